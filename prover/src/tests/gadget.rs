//! A dense layer with the standard requantise-and-activate gadget: accumulators, remainders, activations, two lookups in one
//! row; tables of two coordinates in two sets. The activations are public.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::Field;
use zkloom_backends::CpuBackend;
use zkloom_plonkish::claim::FoldBlinds;
use zkloom_plonkish::*;
use zkloom_verifier::HashKind;

use super::early::Setting;
use super::sample::numbers;
use crate::key::{self, ProvingKey};
use crate::prove::ProverInput;
use crate::srs::{Srs, dev};

/// Requantisation divides by `2^SHIFT`.
pub(crate) const SHIFT: u32 = 4;
/// Inputs of the layer.
const INPUTS: u32 = 6;
/// Outputs of the layer; their rows follow those of the inputs.
pub(crate) const OUTPUTS: u32 = 4;
/// Columns of the trace.
pub(crate) const ACTIVATIONS: usize = 0;
pub(crate) const ACCUMULATORS: usize = 1;
pub(crate) const REMAINDERS: usize = 2;
/// Largest quotient of the activation's table.
const LARGEST: i64 = 26;
/// Largest activation.
const CAP: i64 = 15;

/// The gadget's circuit with everything that a prover holds.
pub(crate) struct Gadget {
    pub(crate) circuit: Circuit,
    pub(crate) fixed: FixedValues,
    pub(crate) weights: Vec<IntegerMatrix>,
    inputs: Vec<i64>,
    srs: Srs,
    key: ProvingKey,
    backend: CpuBackend,
}

/// Rectified, with a cap.
pub(crate) fn activate(quotient: i64) -> i64 {
    quotient.clamp(0, CAP)
}

/// Row of an output's accumulator, remainder and activation.
pub(crate) fn output_row(index: u32) -> usize {
    (INPUTS + index) as usize
}

fn lookups() -> Vec<Lookup> {
    let advice = |index: usize| Expression::Leaf(Query::advice(index as u32));
    let shift = Fr::from(1_u64 << SHIFT).inverse().unwrap();
    let quotient = (advice(ACCUMULATORS) - advice(REMAINDERS)).scale(shift);
    let lookup = |name: &str, selector, tuple, tag| Lookup {
        name: name.to_owned(),
        selector,
        tuple,
        tag: Expression::integer(tag),
    };
    vec![
        lookup("inputs", 0, vec![advice(ACTIVATIONS)], 1),
        lookup("remainders", 1, vec![advice(REMAINDERS)], 2),
        lookup("activations", 1, vec![quotient, advice(ACTIVATIONS)], 3),
    ]
}

fn claims() -> Vec<Claim> {
    let view = |column: usize, offset, count, ratio| View {
        column: column as u32,
        offset,
        coefficient: 1,
        scale: Monomial::one(),
        axes: vec![Axis::dense(count, 1, ratio)],
    };
    let input = vec![view(ACTIVATIONS, 0, INPUTS, Monomial::fold(1))];
    let ones = vec![ConstantOnes { column: INPUTS, scale: Monomial::one(), axes: vec![] }];
    let public = Monomial::power(Variable::Public {}, 1);
    vec![
        Claim {
            name: "dense".to_owned(),
            output: vec![view(ACCUMULATORS, INPUTS, OUTPUTS, Monomial::role(0, 1))],
            relation: Relation::Matrix { matrix: 0, input, ones },
        },
        Claim {
            name: "shown".to_owned(),
            output: vec![view(ACTIVATIONS, INPUTS, OUTPUTS, public)],
            relation: Relation::Public { tensor: 0 },
        },
    ]
}

fn tensors() -> Vec<Tensor> {
    let tensor = |name: &str, (min, max), (column, offset, length), origin| {
        let pieces = vec![Piece { column: column as u32, offset, length, origin }];
        Tensor { name: name.to_owned(), interval: Interval { min, max }, pieces }
    };
    let inputs = Origin::Lookup { lookup: 0, coordinate: 0 };
    let outputs = Origin::Lookup { lookup: 2, coordinate: 1 };
    vec![
        tensor("inputs", (-8, 7), (ACTIVATIONS, 0, INPUTS), inputs),
        tensor("accumulators", (-400, 400), (ACCUMULATORS, INPUTS, OUTPUTS), Origin::Claim { claim: 0 }),
        tensor("activations", (0, CAP), (ACTIVATIONS, INPUTS, OUTPUTS), outputs),
    ]
}

/// Selector of the inputs, of the outputs, of equal neighbours; then values, tag and selector of each table set.
fn fixed() -> FixedValues {
    let mut outputs = vec![0; output_row(OUTPUTS)];
    outputs[output_row(0)..].fill(1);
    let mut neighbours = vec![0; 60];
    neighbours[50] = 1;
    let first: Vec<(i64, i64)> = (-8..8).map(|v| (v, 1)).chain((0..1 << SHIFT).map(|v| (v, 2))).collect();
    let quotients: Vec<i64> = (-LARGEST..=LARGEST).collect();
    FixedValues {
        columns: vec![
            vec![1; INPUTS as usize],
            outputs,
            neighbours,
            first.iter().map(|row| row.0).collect(),
            Vec::new(),
            first.iter().map(|row| row.1).collect(),
            vec![1; first.len()],
            quotients.clone(),
            quotients.iter().map(|q| activate(*q)).collect(),
            vec![3; quotients.len()],
            vec![1; quotients.len()],
        ],
    }
}

/// The circuit; `rotated` adds a gate that opens the activations on the next row too.
fn circuit(blinding_rows: u32, rotated: bool) -> Circuit {
    let names = ["s0", "s1", "s2", "v0", "w0", "t0", "on0", "v1", "w1", "t1", "on1"];
    let column = |name: &str, tensor| AdviceColumn { name: name.to_owned(), tensor };
    let here = Query::advice(ACTIVATIONS as u32);
    let next = Query { rotation: 1, ..here };
    let leaf = Expression::Leaf;
    let equal = Gate {
        name: "equal neighbours".to_owned(),
        polynomial: leaf(Query::fixed(2)) * (leaf(next) - leaf(here)),
    };
    let matrix =
        Matrix { name: "dense".to_owned(), rows: OUTPUTS, columns: INPUTS + 1, public: false, row_role: 0 };
    Circuit {
        log_rows: 7,
        blinding_rows,
        max_degree: 3,
        advice: vec![column("activations", true), column("accumulators", true), column("remainders", false)],
        fixed: names.map(|name| FixedColumn { name: name.to_owned() }).to_vec(),
        gates: if rotated { vec![equal] } else { Vec::new() },
        table_sets: vec![
            TableSet { values: vec![3, 4], tag: 5, selector: 6 },
            TableSet { values: vec![7, 8], tag: 9, selector: 10 },
        ],
        lookups: lookups(),
        copies: Vec::new(),
        roles: vec!["out".to_owned()],
        matrices: vec![matrix],
        claims: claims(),
        publics: vec![PublicTensor {
            identifier: 3,
            name: "activations".to_owned(),
            length: OUTPUTS,
            interval: Interval { min: 0, max: CAP },
        }],
        externals: Vec::new(),
        fold_blinds: FoldBlinds { count: 3, runs: vec![CellRun { column: 0, row: 20 }] },
        tensors: tensors(),
    }
}

impl Gadget {
    pub(crate) fn new(blinding_rows: u32, rotated: bool) -> Self {
        let (circuit, fixed) = (circuit(blinding_rows, rotated), fixed());
        let entries = numbers(41, (OUTPUTS * (INPUTS + 1)) as usize);
        let weights = vec![IntegerMatrix { width: INPUTS + 1, entries }];
        let (srs, backend) = (dev::for_tests(7), CpuBackend::new(Some(1)).unwrap());
        let values = (fixed.clone(), weights.clone());
        let key = key::generate(&backend, &srs, circuit.clone(), values, HashKind::Blake3).unwrap();
        Self { circuit, fixed, weights, inputs: numbers(42, INPUTS as usize), srs, key, backend }
    }

    /// Accumulator, remainder and activation of each output.
    pub(crate) fn outputs(&self) -> Vec<(i64, i64, i64)> {
        let row = |weights: &[i64]| {
            let dot: i64 = weights.iter().zip(&self.inputs).map(|(w, x)| w * x).sum();
            let accumulator = dot + weights[INPUTS as usize];
            let remainder = accumulator.rem_euclid(1 << SHIFT);
            (accumulator, remainder, activate(accumulator >> SHIFT))
        };
        self.weights[0].iter_rows().map(row).collect()
    }

    /// How often each table row is used, by (value, other value, tag), in a trace whose gadget cells are replaced.
    pub(crate) fn counts(&self, outputs: &[(i64, i64, i64)]) -> Option<Vec<Vec<i64>>> {
        let cells: BTreeMap<(usize, usize), i64> = self.cells(outputs);
        let cell = |column: usize, row: usize| Fr::from(cells.get(&(column, row)).copied().unwrap_or(0));
        crate::lookup::multiplicities_of(&self.circuit, &self.fixed, &cell).ok()
    }

    fn cells(&self, outputs: &[(i64, i64, i64)]) -> BTreeMap<(usize, usize), i64> {
        let inputs = self.inputs.iter().enumerate().map(|(row, value)| ((ACTIVATIONS, row), *value));
        let rows = outputs.iter().enumerate().flat_map(|(index, (accumulator, remainder, activation))| {
            let row = output_row(index as u32);
            [
                ((ACCUMULATORS, row), *accumulator),
                ((REMAINDERS, row), *remainder),
                ((ACTIVATIONS, row), *activation),
            ]
        });
        inputs.chain(rows).collect()
    }
}

impl Setting for Gadget {
    fn key(&self) -> &ProvingKey {
        &self.key
    }

    fn srs(&self) -> &Srs {
        &self.srs
    }

    fn backend(&self) -> &CpuBackend {
        &self.backend
    }

    fn honest(&self) -> ProverInput {
        let outputs = self.outputs();
        let mut advice = vec![vec![0; output_row(OUTPUTS)]; 3];
        for ((column, row), value) in self.cells(&outputs) {
            advice[column][row] = value;
        }
        let publics = vec![outputs.iter().map(|output| output.2).collect()];
        ProverInput {
            witness: Witness { advice, publics, externals: Vec::new() },
            external_hiding: Vec::new(),
        }
    }
}
