//! Sums and maxima: pools, concatenations, placed pieces, and Gather for what is irregular.

use std::collections::HashMap;

use super::encode::Attribute;
use super::moves::{Move, Stretch, recognise};
use super::{Tensor, Writer, batched, strides};
use crate::access::{Access, AccessAxis};
use crate::float_graph::{Candidate, FloatTerm, ValueId};

/// The most terms that are written one by one; more are gathered.
const MOST_TERMS: usize = 64;

impl Writer<'_> {
    /// A sum of moved values and a bias.
    pub(super) fn sum(&mut self, terms: &[FloatTerm], bias: &[f32], output: ValueId) -> Tensor {
        let shape = self.shape(output);
        if terms.is_empty() {
            // ONNX has constants, but no output that is one: nothing times an element of the input stands in.
            let axes = vec![AccessAxis { count: shape.iter().product(), output_stride: 1, input_stride: 0 }];
            let access = Access { output_start: 0, input_start: 0, axes };
            let nothing = FloatTerm { input: self.graph.input, coefficient: 0.0, access };
            return self.sum(&[nothing], bias, output);
        }
        let total = match self.average_pool(terms, output) {
            Some(pooled) => pooled,
            None => match self.moves(terms, shape) {
                Some(moves) => self.moved_sum(terms, &moves, shape),
                None => self.gathered(terms, shape),
            },
        };
        self.shifted(total, bias, shape)
    }

    /// Every term as a move, if each is one and they are few.
    fn moves(&self, terms: &[FloatTerm], shape: &[usize]) -> Option<Vec<Move>> {
        (terms.len() <= MOST_TERMS).then_some(())?;
        terms.iter().map(|term| recognise(&term.access, self.shape(term.input), shape)).collect()
    }

    fn moved_sum(&mut self, terms: &[FloatTerm], moves: &[Move], shape: &[usize]) -> Tensor {
        let mut pieces = Vec::with_capacity(terms.len());
        for (term, moved) in terms.iter().zip(moves) {
            let tensor = self.tensor(term.input);
            let piece = self.piece(tensor, moved);
            let factor = term.coefficient * moved.times() as f32;
            pieces.push(if factor == 1.0 { piece } else { self.with("Mul", &piece, factor) });
        }
        let stretches: Option<Vec<Stretch>> = moves.iter().map(Move::stretch).collect();
        if pieces.len() > 1
            && let Some(order) = stretches.as_deref().and_then(tiling)
        {
            return self.concatenated(pieces, &order, shape);
        }
        let placed = pieces.into_iter().zip(moves).map(|(piece, moved)| {
            let filled = self.surrounded(piece, moved);
            self.reshaped(filled, batched(shape))
        });
        let placed: Vec<Tensor> = placed.collect();
        self.added(&placed)
    }

    /// Pieces one after the other along the axis of the shape that they divide, or along one between its axes.
    fn concatenated(&mut self, pieces: Vec<Tensor>, order: &[(usize, Stretch)], shape: &[usize]) -> Tensor {
        let (steps, period) = (strides(shape), order[0].1.period);
        let divides = |at: &usize| {
            let whole =
                order.iter().all(|(_, stretch)| (stretch.end - stretch.start).is_multiple_of(steps[*at]));
            whole && steps[*at] * shape[*at] == period && shape[*at] > 1
        };
        let axis = (0..shape.len()).find(divides);
        let outer = shape.iter().product::<usize>() / period;
        let (at, view) = match axis {
            Some(at) => (at + 1, batched(shape)),
            None => (2, vec![1, outer, period]),
        };
        let unit = axis.map_or(1, |at| steps[at]);
        let mut parts = Vec::with_capacity(order.len());
        for (index, stretch) in order {
            let mut part = view.clone();
            part[at] = (stretch.end - stretch.start) / unit;
            parts.push(self.reshaped(pieces[*index].clone(), part));
        }
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        self.push("Concat", &names, vec![("axis", Attribute::Int(at as i64))], view)
    }

    fn added(&mut self, parts: &[Tensor]) -> Tensor {
        match parts {
            [one] => one.clone(),
            [left, right] => self.binary("Add", left, right),
            several => {
                let names: Vec<&str> = several.iter().map(|part| part.name.as_str()).collect();
                self.push("Sum", &names, Vec::new(), several[0].shape.clone())
            }
        }
    }

    /// The bias as narrow a constant as holds it: one for all, one for each channel, or one for each element.
    fn shifted(&mut self, tensor: Tensor, bias: &[f32], shape: &[usize]) -> Tensor {
        let Some(&first) = bias.first().filter(|_| bias.iter().any(|&bias| bias != 0.0)) else {
            return tensor;
        };
        let tensor = self.reshaped(tensor, batched(shape));
        let channels = shape.first().copied().unwrap_or(1);
        let inner = bias.len() / channels;
        let constant = if bias.iter().all(|&bias| bias == first) {
            self.floats("bias", &[], &[first])
        } else if bias.chunks_exact(inner).all(|plane| plane.iter().all(|value| *value == plane[0])) {
            let mut narrow = vec![1; shape.len()];
            narrow[0] = channels;
            let values: Vec<f32> = bias.iter().step_by(inner).copied().collect();
            self.floats("bias", &narrow, &values)
        } else {
            self.floats("bias", &batched(shape), bias)
        };
        self.push("Add", &[&tensor.name, &constant], Vec::new(), tensor.shape)
    }

    /// Any sum at all: of each element's addends the first, the second and so on are gathered from all inputs side by side.
    fn gathered(&mut self, terms: &[FloatTerm], shape: &[usize]) -> Tensor {
        let mut starts = HashMap::new();
        let mut parts = Vec::new();
        let mut elements = 0;
        for term in terms {
            if let std::collections::hash_map::Entry::Vacant(entry) = starts.entry(term.input) {
                entry.insert(elements);
                let (tensor, count) = (self.tensor(term.input), self.shape(term.input).iter().product());
                elements += count;
                parts.push(self.reshaped(tensor, vec![1, count]));
            }
        }
        let zero = self.floats("zero", &[1, 1], &[0.0]);
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).chain([zero.as_str()]).collect();
        let all = self.push("Concat", &names, vec![("axis", Attribute::Int(1))], vec![1, elements + 1]);
        let mut layers: Vec<(Vec<usize>, Vec<f32>)> = Vec::new();
        let outputs: usize = shape.iter().product();
        let mut filled = vec![0; outputs];
        for term in terms {
            term.access.for_each(|to, from| {
                if filled[to] == layers.len() {
                    layers.push((vec![elements; outputs], vec![1.0; outputs]));
                }
                let (indices, factors) = &mut layers[filled[to]];
                indices[to] = starts[&term.input] + from;
                factors[to] = term.coefficient;
                filled[to] += 1;
            });
        }
        let gathered = layers.into_iter().map(|(indices, factors)| {
            let indices = self.integers("indices", &indices);
            let attributes = vec![("axis", Attribute::Int(1))];
            let layer = self.push("Gather", &[&all.name, &indices], attributes, vec![1, outputs]);
            if factors.iter().all(|&factor| factor == 1.0) {
                return layer;
            }
            let factors = self.floats("factors", &[1, outputs], &factors);
            self.push("Mul", &[&layer.name, &factors], Vec::new(), vec![1, outputs])
        });
        let gathered: Vec<Tensor> = gathered.collect();
        self.added(&gathered)
    }

    /// The largest of candidates: a pool, or Max.
    pub(super) fn maximum(&mut self, candidates: &[Candidate], output: ValueId) -> Tensor {
        if let Some(pooled) = self.max_pool(candidates, output) {
            return pooled;
        }
        let shape = self.shape(output);
        let parts: Vec<Tensor> = candidates
            .iter()
            .map(|candidate| {
                let terms: Vec<FloatTerm> = candidate
                    .pieces
                    .iter()
                    .map(|(input, access)| FloatTerm {
                        input: *input,
                        coefficient: 1.0,
                        access: access.clone(),
                    })
                    .collect();
                let part = self.sum(&terms, &[], output);
                self.reshaped(part, batched(shape))
            })
            .collect();
        if let [only] = parts.as_slice() {
            return only.clone();
        }
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        self.push("Max", &names, Vec::new(), batched(shape))
    }
}

/// The pieces in the order in which they fill each period of the result, if they do exactly that.
fn tiling(stretches: &[Stretch]) -> Option<Vec<(usize, Stretch)>> {
    let mut order: Vec<(usize, Stretch)> = stretches.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, stretch)| stretch.start);
    let period = order.first()?.1.period;
    let mut end = 0;
    for (_, stretch) in &order {
        (stretch.period == period && stretch.start == end && stretch.end > end).then_some(())?;
        end = stretch.end;
    }
    (end == period).then_some(order)
}
