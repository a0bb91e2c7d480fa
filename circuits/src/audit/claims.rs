//! Tensors and claims: which cells each tensor has and why they are bounded, and that every claim is one that a layer or a
//! statement makes.

use std::collections::BTreeMap;

use zkloom_plonkish::{Circuit, Claim, Interval, Origin, Relation, Tensor, View};

use super::{AuditError, activation_table};
use crate::compile::{INPUT_IDENTIFIER, OUTPUT_IDENTIFIER, stated_views};
use crate::layers::linear::Product;
use crate::layers::sum::{bias_claim, views};
use crate::layout::{LANE_TENSOR_COLUMNS, Layout, Source};
use crate::lowering::{OUT_ROLE, lookup_origin, piece};
use crate::plan::Part;
use crate::tables::TableContent;

/// How a block's accumulators come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// By a matrix.
    Linear,
    /// By a sum, with the block of its bias if it has one.
    Sum {
        /// Block of the bias.
        bias: Option<usize>,
    },
    /// They are the bias of a sum.
    Bias,
}

/// A tensor's cells: a block, and 0 for its accumulators or 1 for its activations.
type Place = (usize, u32);

const INPUT: Place = (0, 1);

fn part(place: Place) -> Part {
    if place.1 == 0 { Part::Accumulator } else { Part::Activation }
}

struct Audit<'a> {
    layout: &'a Layout,
    circuit: &'a Circuit,
    /// Block that begins at a row.
    blocks: BTreeMap<u32, usize>,
    next_claim: u32,
    next_matrix: u32,
}

/// Checks tensors and claims; tells how each block's accumulators come about.
pub(super) fn check(layout: &Layout, circuit: &Circuit) -> Result<BTreeMap<usize, Made>, AuditError> {
    let blocks = layout.blocks.iter().enumerate().map(|(index, block)| (block.row, index)).collect();
    let mut audit = Audit { layout, circuit, blocks, next_claim: 0, next_matrix: 0 };
    let mut found = BTreeMap::new();
    let mut made = BTreeMap::new();
    for (index, tensor) in circuit.tensors.iter().enumerate() {
        let place = audit.check_tensor(tensor)?;
        let refuse = |reason| Err(tensor_error(tensor, reason));
        if found.insert(place, index).is_some() || (index == 0) != (place == INPUT) {
            return refuse("its cells are another tensor's, or it is not where the network's order has it");
        }
        if part(place) == Part::Accumulator {
            made.insert(place.0, audit.check_accumulators(tensor, place.0)?);
        }
    }
    for (index, block) in layout.blocks.iter().enumerate() {
        let has =
            |side: u32, source: Source| (source == Source::Empty {}) != found.contains_key(&(index, side));
        if !has(0, block.accumulator) || !has(1, block.activation) {
            let reason = "the circuit has no tensor for it, or one too many".to_owned();
            return Err(AuditError::Block { block: block.name.clone(), reason });
        }
    }
    audit.check_statements()?;
    if audit.next_matrix as usize != circuit.matrices.len() {
        return Err(AuditError::Part { part: "matrices" });
    }
    Ok(made)
}

fn tensor_error(tensor: &Tensor, reason: &str) -> AuditError {
    AuditError::Tensor { tensor: tensor.name.clone(), reason: reason.to_owned() }
}

fn claim_error(claim: &Claim, reason: &str) -> AuditError {
    AuditError::Claim { claim: claim.name.clone(), reason: reason.to_owned() }
}

impl<'a> Audit<'a> {
    /// Which tensor begins at a cell.
    fn place(&self, column: u32, row: u32) -> Option<Place> {
        let side = column % LANE_TENSOR_COLUMNS;
        self.blocks.get(&row).map(|block| (*block, side))
    }

    fn cells(&self, place: Place) -> u32 {
        self.layout.blocks.get(place.0).map_or(0, |block| block.cells)
    }

    fn runs(&self, place: Place) -> Vec<crate::views::Run> {
        self.layout.runs(place.0, part(place))
    }

    /// What a tensor's cells can be.
    fn interval(&self, place: Place) -> Option<Interval> {
        let block = self.layout.blocks.get(place.0)?;
        match (part(place), activation_table(self.layout, block).map(|table| table.content)) {
            (Part::Activation, Some(TableContent::Clamp { min, max, .. })) => Some(Interval { min, max }),
            _ => Some(block.interval),
        }
    }

    /// A tensor has all cells of one block on one side, with the interval and the kind of origin that belong to them.
    fn check_tensor(&self, tensor: &Tensor) -> Result<Place, AuditError> {
        let first = tensor.pieces.first();
        let place = first.and_then(|first| self.place(first.column, first.offset));
        let place = place.ok_or_else(|| tensor_error(tensor, "its cells are in no block of the layout"))?;
        let runs = self.runs(place);
        let same = runs.len() == tensor.pieces.len()
            && runs.iter().zip(&tensor.pieces).all(|(run, found)| {
                let origin = match (part(place), found.origin) {
                    (Part::Accumulator, Origin::Claim { .. }) => found.origin,
                    _ => lookup_origin(run),
                };
                piece(run, origin) == *found
            });
        if !same || self.interval(place) != Some(tensor.interval) {
            return Err(tensor_error(
                tensor,
                "its cells, origins or interval are not those that the layout gives",
            ));
        }
        let lookup = matches!(first.map(|first| first.origin), Some(Origin::Lookup { .. }));
        if lookup == (part(place) == Part::Accumulator) {
            return Err(tensor_error(tensor, "its cells have another kind of origin than the layout gives"));
        }
        Ok(place)
    }

    /// Takes the next claim in the circuit's order.
    fn take_claim(&mut self) -> Option<&'a Claim> {
        let circuit = self.circuit;
        let claim = circuit.claims.get(self.next_claim as usize);
        self.next_claim += 1;
        claim
    }

    /// The claims that compute a tensor are the next ones, and those of a layer.
    fn check_accumulators(&mut self, tensor: &Tensor, block: usize) -> Result<Made, AuditError> {
        let first = self.next_claim;
        let claim = self.take_claim().ok_or_else(|| tensor_error(tensor, "no claim computes it"))?;
        let per_lane = matches!(claim.relation, Relation::Linear { .. });
        let in_order = (0..).zip(&tensor.pieces).all(|(lane, found): (u32, _)| {
            found.origin == Origin::Claim { claim: first + if per_lane { lane } else { 0 } }
        });
        if !in_order {
            return Err(tensor_error(tensor, "its claims are not where the network's order has them"));
        }
        match &claim.relation {
            Relation::Matrix { matrix, input, .. } => self.check_matrix(claim, block, (*matrix, input)),
            Relation::Linear { inputs } => self.check_sum(claim, block, inputs),
            _ => Err(claim_error(claim, "no layer computes a tensor by it")),
        }
    }

    fn check_matrix(
        &mut self,
        claim: &Claim,
        block: usize,
        (matrix, input): (u32, &[View]),
    ) -> Result<Made, AuditError> {
        let refuse = |reason| Err(claim_error(claim, reason));
        let shape = self.circuit.matrices.get(matrix as usize);
        let Some(shape) = shape.filter(|shape| matrix == self.next_matrix && shape.row_role == OUT_ROLE)
        else {
            return refuse("its matrix is not the next one, or has another axis role");
        };
        self.next_matrix += 1;
        let (output, cells) = (self.runs((block, 0)), self.cells((block, 0)));
        let is_bias =
            self.layout.blocks.get(block).is_some_and(|b| matches!(b.accumulator, Source::Bias { .. }));
        if is_bias {
            let expected = bias_claim(&claim.name, (matrix, shape.rows), &output);
            let fits = (shape.rows, shape.columns) == (cells, 1) && expected == *claim;
            return if fits { Ok(Made::Bias) } else { refuse("it is not the claim of a bias") };
        }
        let source = input.first().and_then(|view| self.place(view.column, view.offset));
        let Some(source) = source.filter(|place| part(*place) == Part::Activation) else {
            return refuse("its matrix reads no input or activation");
        };
        let (rows, columns) = (shape.rows, shape.columns.saturating_sub(1));
        let positions = cells.checked_div(rows).unwrap_or(0);
        let sizes = |extent: u32| u64::from(positions) * u64::from(extent);
        let fits = columns > 0
            && sizes(rows) == u64::from(cells)
            && sizes(columns) == u64::from(self.cells(source))
            && Product { matrix, rows, columns, positions }.claim(&claim.name, &output, &self.runs(source))
                == *claim;
        if fits { Ok(Made::Linear) } else { refuse("it is not the claim of a dense layer on its tensors") }
    }

    fn check_sum(&mut self, claim: &'a Claim, block: usize, inputs: &[View]) -> Result<Made, AuditError> {
        let refuse = |claim: &Claim, reason| Err(claim_error(claim, reason));
        let (mut terms, mut bias) = (Vec::new(), None);
        for (index, view) in inputs.iter().enumerate() {
            let place = self
                .place(view.column, view.offset)
                .filter(|place| self.cells(*place) == self.cells((block, 0)));
            let Some(place) = place else {
                return refuse(claim, "it adds no whole tensor of its output's size");
            };
            if part(place) == Part::Accumulator {
                let source = self.layout.blocks.get(place.0).map(|block| block.accumulator);
                let is_bias = matches!(source, Some(Source::Bias { .. })) && view.coefficient == -1;
                if !is_bias || index + 1 != inputs.len() {
                    return refuse(claim, "it adds an accumulator that is not its bias");
                }
                bias = Some(place.0);
            }
            terms.push((self.runs(place), view.coefficient));
        }
        let mut current = Some(claim);
        for (lane, run) in self.runs((block, 0)).into_iter().enumerate() {
            if lane > 0 {
                current = self.take_claim();
            }
            let Some(claim) = current else { return Err(AuditError::Part { part: "claims" }) };
            let addend = |(runs, coefficient): &(Vec<crate::views::Run>, i64)| {
                runs.get(lane).map_or_else(Vec::new, |run| views(*run, *coefficient))
            };
            let relation = Relation::Linear { inputs: terms.iter().flat_map(addend).collect() };
            if (Claim { name: claim.name.clone(), output: views(run, 1), relation }) != *claim {
                return refuse(claim, "it is not the claim of a sum on its tensors");
            }
        }
        Ok(Made::Sum { bias })
    }

    /// What is left are comparisons of the input and of one tensor, the output, with public values or commitments.
    fn check_statements(&mut self) -> Result<(), AuditError> {
        let (mut publics, mut externals, mut last) = (0, 0, None);
        while let Some(claim) = self.take_claim() {
            let refuse = |reason| Err(claim_error(claim, reason));
            let place = claim.output.first().and_then(|view| self.place(view.column, view.offset));
            let Some(place) = place else { return refuse("it speaks of no tensor of the layout") };
            let interval = self.interval(place).unwrap_or(Interval { min: 0, max: 0 });
            let (number, identifier, fits) = match &claim.relation {
                Relation::Public { tensor } => {
                    let public = self.circuit.publics.get(*tensor as usize);
                    let fits =
                        public.is_some_and(|p| p.length == self.cells(place) && p.interval == interval);
                    publics += 1;
                    (*tensor == publics - 1, public.map(|public| public.identifier), fits)
                }
                Relation::External { vector } => {
                    let external = self.circuit.externals.get(*vector as usize);
                    let fits = external.is_some_and(|e| e.length == self.cells(place) && e.offset == 0);
                    externals += 1;
                    (*vector == externals - 1, external.map(|external| external.identifier), fits)
                }
                _ => return refuse("no layer makes it"),
            };
            let identified = match identifier {
                Some(INPUT_IDENTIFIER) => last.is_none() && place == INPUT,
                Some(OUTPUT_IDENTIFIER) => last != Some(OUTPUT_IDENTIFIER),
                _ => false,
            };
            if !number || !fits || !identified || stated_views(&self.runs(place)) != claim.output {
                return refuse("it is not the claim that states the input or the output");
            }
            last = identifier;
        }
        let all = publics as usize == self.circuit.publics.len()
            && externals as usize == self.circuit.externals.len();
        if all { Ok(()) } else { Err(AuditError::Part { part: "public or committed tensors" }) }
    }
}
