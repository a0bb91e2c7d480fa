//! What becomes of each value: activation, accumulator, part of a fused residual sum, or a virtual rearrangement.

use super::classes::Classes;
use crate::float_graph::{FloatGraph, FloatNode, FloatOp, FloatTerm, ValueId};

/// Integers that sums without requantisation may reach.
const EXACT_MAGNITUDE: u64 = 1 << 16;
/// Denominators that are tried for the coefficients of such a sum.
const DENOMINATORS: std::ops::RangeInclusive<u32> = 1..=64;

/// How a value is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    /// Input, result of a function, index: it has its integers directly.
    Activation,
    /// It is an accumulator that is requantised when an activation is needed.
    Accumulator,
    /// A convolution that only a residual sum reads: a product of that.
    Fused,
    /// A residual sum whose fused terms are products of one linear layer; true for the terms that are.
    Residual(Vec<bool>),
    /// A sum with integer coefficients in a smaller unit: no requantisation.
    Exact(ExactSum),
    /// The elements of others: maxima, views.
    Passed,
}

/// Coefficients `integers[i] * unit`, exactly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ExactSum {
    pub(super) unit: f64,
    pub(super) integers: Vec<i64>,
}

/// The roles of all values, with what ties their scales.
pub(super) struct Roles {
    pub(super) roles: Vec<Role>,
    /// Whether the value is requantised from an accumulator, its own or the one that it views.
    pub(super) accumulator: Vec<bool>,
    /// Bound of the integers that stand for the value, to a factor of two.
    pub(super) magnitudes: Vec<u64>,
    /// The value that it is a view of, through any number of views.
    pub(super) origins: Vec<usize>,
    /// Whether a function other than a clamp reads the accumulator, so that it is requantised finely.
    pub(super) tabled: Vec<bool>,
    /// Times that the value is read, the network's output counting as one.
    pub(super) uses: Vec<usize>,
    pub(super) classes: Classes,
}

/// Decides the roles, from front to back, for values of so many bits each.
pub(super) fn roles(graph: &FloatGraph, bits: &[u32]) -> Roles {
    let count = graph.values.len();
    let mut roles = Roles {
        roles: vec![Role::Activation; count],
        accumulator: vec![false; count],
        magnitudes: bits.iter().map(|&bits| 1 << bits).collect(),
        origins: (0..count).collect(),
        tabled: vec![false; count],
        uses: vec![0; count],
        classes: Classes::new(count),
    };
    roles.uses[graph.output.0] += 1;
    for node in &graph.nodes {
        node.op.inputs().iter().for_each(|input| roles.uses[input.0] += 1);
        match &node.op {
            FloatOp::Reshape { input } => roles.origins[node.output.0] = roles.origins[input.0],
            FloatOp::Pointwise { input, function } if function.as_clamp().is_none() => {
                roles.tabled[roles.origins[input.0]] = true;
            }
            FloatOp::Multiply { .. } => roles.tabled[node.output.0] = true,
            _ => {}
        }
    }
    let mut producers: Vec<Option<&FloatNode>> = vec![None; count];
    for node in &graph.nodes {
        producers[node.output.0] = Some(node);
        roles.node(graph, node, &producers);
    }
    roles
}

impl Roles {
    fn node(&mut self, graph: &FloatGraph, node: &FloatNode, producers: &[Option<&FloatNode>]) {
        let output = node.output.0;
        match &node.op {
            FloatOp::Linear { .. } | FloatOp::Convolution { .. } | FloatOp::Multiply { .. } => {
                self.roles[output] = Role::Accumulator;
                self.accumulator[output] = true;
            }
            FloatOp::Sum { terms, bias } => {
                if bias.is_empty() && self.exact(graph, output, terms) {
                    return;
                }
                self.accumulator[output] = true;
                self.roles[output] = match self.residual(graph, node, producers) {
                    Some(fused) => {
                        let fused_terms = terms.iter().zip(&fused).filter(|(_, fused)| **fused);
                        fused_terms.for_each(|(term, _)| self.roles[term.input.0] = Role::Fused);
                        Role::Residual(fused)
                    }
                    None => Role::Accumulator,
                };
            }
            FloatOp::Maximum { .. } => {
                self.roles[output] = Role::Passed;
                let inputs = node.op.inputs();
                self.magnitudes[output] = inputs.iter().map(|id| self.magnitudes[id.0]).max().unwrap_or(0);
                for (index, input) in inputs.iter().enumerate() {
                    // Where scales cannot be shared, emission rescales.
                    self.classes.tie((output, index == 0), 1.0, input.0);
                }
            }
            FloatOp::Pointwise { input, function } => {
                let accumulator = self.accumulator[input.0] && !self.tabled[self.origins[input.0]];
                if accumulator && function.as_clamp().is_some() {
                    self.classes.tie((output, true), 1.0, input.0);
                }
            }
            FloatOp::ArgMax { length, .. } => {
                self.magnitudes[output] = *length as u64;
                self.classes.fix(output, 1.0);
            }
            FloatOp::Reshape { input } => {
                self.roles[output] = Role::Passed;
                self.accumulator[output] = self.accumulator[input.0];
                self.magnitudes[output] = self.magnitudes[input.0];
                self.classes.tie((output, true), 1.0, input.0);
            }
        }
    }

    /// Makes the sum exact if it can be.
    fn exact(&mut self, graph: &FloatGraph, output: usize, terms: &[FloatTerm]) -> bool {
        let Some(exact) = exact_coefficients(terms) else { return false };
        let mut sums = vec![(0u64, usize::MAX); graph.values[output].elements()];
        let mut separate = true;
        for (term, integer) in terms.iter().zip(&exact.integers) {
            let (input, step) =
                (term.input.0, integer.unsigned_abs().saturating_mul(self.magnitudes[term.input.0]));
            term.access.for_each(|to, _| {
                let (sum, source) = &mut sums[to];
                separate &= *source == input || *source == usize::MAX;
                (*sum, *source) = (sum.saturating_add(step), input);
            });
        }
        let magnitude = sums.iter().map(|(sum, _)| *sum).max().unwrap_or(0);
        let fresh = |index: usize| index == 0;
        let fits = separate && magnitude <= EXACT_MAGNITUDE;
        let tied = fits
            && terms
                .iter()
                .enumerate()
                .all(|(index, term)| self.classes.tie((output, fresh(index)), exact.unit, term.input.0));
        if tied {
            self.magnitudes[output] = magnitude.max(1);
            self.roles[output] = Role::Exact(exact);
        }
        tied
    }

    /// The terms that become products, if there are any and all others can be skip connections beside them.
    fn residual(
        &self,
        graph: &FloatGraph,
        node: &FloatNode,
        producers: &[Option<&FloatNode>],
    ) -> Option<Vec<bool>> {
        let FloatOp::Sum { terms, bias } = &node.op else { return None };
        let shape = &graph.values[node.output.0].shape;
        let elements = graph.values[node.output.0].elements();
        let plane: usize = shape.iter().skip(1).product();
        let per_channel = bias.chunks(plane.max(1)).all(|channel| channel.windows(2).all(|w| w[0] == w[1]));
        let whole = |term: &FloatTerm| {
            term.access.is_identity(elements) && &graph.values[term.input.0].shape == shape
        };
        (per_channel && !shape.is_empty() && terms.iter().all(whole)).then_some(())?;
        let fused = |term: &FloatTerm| {
            let only_here = self.uses[term.input.0] == 1;
            let product = match producers[term.input.0].map(|node| &node.op) {
                Some(FloatOp::Convolution { .. }) => true,
                Some(FloatOp::Linear { input, .. }) => graph.values[input.0].shape.len() == 1,
                _ => false,
            };
            only_here && product
        };
        let fused: Vec<bool> = terms.iter().map(fused).collect();
        fused.contains(&true).then_some(fused)
    }

    /// Whether an operation reads the value as an activation: not through a function or a view, nor as a fused product.
    pub(super) fn read_directly(&self, graph: &FloatGraph, value: ValueId) -> bool {
        let reads = |node: &FloatNode| match node.op {
            FloatOp::Pointwise { .. } | FloatOp::Reshape { .. } => false,
            _ => node.op.inputs().contains(&value),
        };
        self.roles[value.0] != Role::Fused && graph.nodes.iter().any(reads)
    }
}

/// The coefficients as integers times a unit, with the smallest denominator for which that holds to single precision.
fn exact_coefficients(terms: &[FloatTerm]) -> Option<ExactSum> {
    let coefficients: Vec<f64> = terms.iter().map(|term| f64::from(term.coefficient)).collect();
    let largest = coefficients.iter().fold(0.0f64, |largest, coefficient| largest.max(coefficient.abs()));
    (largest > 0.0 && largest.is_finite()).then_some(())?;
    let integers = |&denominator: &u32| {
        let parts = coefficients.iter().map(|coefficient| coefficient / largest * f64::from(denominator));
        let near = |part: f64| {
            let integer = part.round();
            (integer != 0.0 && (part - integer).abs() <= 1e-5 * part.abs()).then_some(integer as i64)
        };
        let integers: Option<Vec<i64>> = parts.map(near).collect();
        integers.map(|integers| ExactSum { unit: largest / f64::from(denominator), integers })
    };
    DENOMINATORS.clone().find_map(|denominator| integers(&denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_with_a_common_denominator_are_exact() {
        let exact = |coefficients: &[f32]| {
            let term = |&coefficient: &f32| FloatTerm {
                input: ValueId(0),
                coefficient,
                access: crate::access::Access::identity(1),
            };
            exact_coefficients(&coefficients.iter().map(term).collect::<Vec<_>>()).map(|exact| exact.integers)
        };
        assert_eq!(exact(&[1.0 / 9.0, 1.0 / 6.0, 0.25]), Some(vec![4, 6, 9]));
        assert_eq!(exact(&[-0.37, 0.37]), Some(vec![-1, 1]));
        assert_eq!(exact(&[1.0, 0.123_456]), None);
        assert_eq!(exact(&[0.0]), None);
        assert_eq!(exact(&[]), None);
    }
}
