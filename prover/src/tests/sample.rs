//! A small circuit with every kind of claim: a dense layer with bias, a padded strided convolution with bias, a depthwise
//! convolution with bias, a product of two activations, a residual sum with a transpose, a public tensor and an external
//! vector; a range lookup on the activations and another table on the sums.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::PrimeField;
use zkloom_backends::CpuBackend;
use zkloom_plonkish::claim::{FoldBlinds, PositionAxis};
use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::*;
use zkloom_verifier::HashKind;

use crate::key::{self, ProvingKey};
use crate::prove::ProverInput;
use crate::srs::{Srs, dev};

/// Axis roles of the sample.
pub(crate) const ROLE_OUT: u32 = 0;
pub(crate) const ROLE_ROW: u32 = 1;
pub(crate) const ROLE_COLUMN: u32 = 2;
pub(crate) const ROLE_CHANNEL: u32 = 3;

/// Claims of the sample, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Dense,
    Convolution,
    Depthwise,
    Product,
    Residual,
    Public,
    External,
}

pub(crate) const ALL: [Kind; 7] = [
    Kind::Dense,
    Kind::Convolution,
    Kind::Depthwise,
    Kind::Product,
    Kind::Residual,
    Kind::Public,
    Kind::External,
];

/// Which sample to make.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) log_rows: u32,
    pub(crate) tensor_columns: u32,
    pub(crate) blinding_rows: u32,
    pub(crate) fold_blinds: u32,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) private: bool,
    pub(crate) hash: HashKind,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            log_rows: 7,
            tensor_columns: 2,
            blinding_rows: 4,
            fold_blinds: 3,
            kinds: ALL.to_vec(),
            private: true,
            hash: HashKind::Keccak256,
        }
    }
}

/// A tensor's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) column: u32,
    pub(crate) row: u32,
    pub(crate) length: u32,
}

/// The sample with everything that a prover holds.
pub(crate) struct Sample {
    pub(crate) circuit: Circuit,
    pub(crate) places: BTreeMap<&'static str, Place>,
    pub(crate) fixed: FixedValues,
    pub(crate) weights: Vec<IntegerMatrix>,
    pub(crate) srs: Srs,
    pub(crate) key: ProvingKey,
    pub(crate) backend: CpuBackend,
    pub(crate) inputs: Inputs,
}

/// Input tensors.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) dense: Vec<i64>,
    pub(crate) image: Vec<i64>,
    pub(crate) left: Vec<i64>,
    pub(crate) right: Vec<i64>,
    pub(crate) first: Vec<i64>,
    pub(crate) second: Vec<i64>,
}

/// Small pseudo-random numbers in -8..8.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<i64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as i64 % 16 - 8
    };
    (0..count).map(|_| next()).collect()
}

impl Inputs {
    pub(crate) fn new(seed: u64) -> Self {
        let mut part = 0;
        let mut next = |count| {
            part += 1;
            numbers(seed * 10 + part, count)
        };
        Self {
            dense: next(6),
            image: next(50),
            left: next(12),
            right: next(8),
            first: next(6),
            second: next(6),
        }
    }
}

fn role(index: u32, exponent: u32) -> Monomial {
    Monomial::role(index, exponent)
}

fn view(place: Place, coefficient: i64, axes: Vec<Axis>) -> View {
    View { column: place.column, offset: place.row, coefficient, scale: Monomial::one(), axes }
}

/// A padded convolution axis: input size 5, kernel 3, stride 2, padding 1, three outputs.
fn window(step: u32, kernel: &Monomial, output: &Monomial) -> Axis {
    let segment = |u: u32| {
        let valid: Vec<u32> = (0..3).filter(|i| (1..6).contains(&(2 * i + u))).collect();
        let first = valid[0];
        Segment {
            start: (2 * first + u - 1) * step,
            count: valid.len() as u32,
            step: 2 * step,
            ratio: output.clone(),
            scale: kernel.raised(u).times(&output.raised(first)),
        }
    };
    Axis { segments: (0..3).map(segment).collect() }
}

fn position(count: u32, ratio: Monomial) -> PositionAxis {
    PositionAxis { count, ratio }
}

fn image_axes(channel: Monomial) -> Vec<Axis> {
    vec![
        Axis::dense(2, 25, channel),
        window(5, &Monomial::fold(3), &role(ROLE_ROW, 1)),
        window(1, &Monomial::fold(1), &role(ROLE_COLUMN, 1)),
    ]
}

/// Places of all tensors, activations in the first tensor column, accumulators in the last.
fn places(shape: &Shape) -> (BTreeMap<&'static str, Place>, Vec<CellRun>) {
    let last = shape.tensor_columns - 1;
    let mut free = vec![0_u32; shape.tensor_columns as usize];
    let mut put = |column: u32, length: u32| {
        let row = free[column as usize];
        free[column as usize] += length;
        Place { column, row, length }
    };
    let mut places = BTreeMap::new();
    for (name, length) in
        [("dense", 6), ("image", 50), ("left", 12), ("right", 8), ("first", 6), ("second", 6)]
    {
        places.insert(name, put(0, length));
    }
    for (name, length) in [("y1", 3), ("y2", 27), ("y3", 18), ("yc", 6), ("ss", 6)] {
        places.insert(name, put(last, length));
    }
    let has = |kinds: &[Kind]| shape.kinds.iter().any(|kind| kinds.contains(kind));
    let folds = usize::from(has(&[Kind::Dense, Kind::Convolution, Kind::Depthwise]))
        + 2 * usize::from(has(&[Kind::Product]));
    let runs = (0..folds).map(|_| {
        let place = put(0, shape.fold_blinds);
        CellRun { column: place.column, row: place.row }
    });
    (places, runs.collect())
}

// architecture: allow function-length: one arm for each kind of claim; apart they would hide what they share
fn claim(kind: Kind, places: &BTreeMap<&'static str, Place>, matrix: u32) -> Claim {
    let at = |name: &str| places[name];
    let row = || role(ROLE_ROW, 1);
    let column = || role(ROLE_COLUMN, 1);
    let ones =
        |first: u32, axes: Vec<PositionAxis>| ConstantOnes { column: first, scale: Monomial::one(), axes };
    let square = || vec![position(3, row()), position(3, column())];
    let (output, relation) = match kind {
        Kind::Dense => (
            vec![view(at("y1"), 1, vec![Axis::dense(3, 1, role(ROLE_OUT, 1))])],
            Relation::Matrix {
                matrix,
                input: vec![view(at("dense"), 1, vec![Axis::dense(6, 1, Monomial::fold(1))])],
                ones: vec![ones(6, vec![])],
            },
        ),
        Kind::Convolution => (
            vec![view(
                at("y2"),
                1,
                vec![
                    Axis::dense(3, 9, role(ROLE_OUT, 1)),
                    Axis::dense(3, 3, row()),
                    Axis::dense(3, 1, column()),
                ],
            )],
            Relation::Matrix {
                matrix,
                input: vec![view(at("image"), 1, image_axes(Monomial::fold(9)))],
                ones: vec![ones(18, square())],
            },
        ),
        Kind::Depthwise => {
            // Both channels' biases are one run along the matrix's columns.
            let channels = position(2, role(ROLE_CHANNEL, 1).times(&Monomial::fold(1)));
            (
                vec![view(
                    at("y3"),
                    1,
                    vec![
                        Axis::dense(2, 9, role(ROLE_CHANNEL, 1)),
                        Axis::dense(3, 3, row()),
                        Axis::dense(3, 1, column()),
                    ],
                )],
                Relation::Matrix {
                    matrix,
                    input: vec![view(
                        at("image"),
                        1,
                        image_axes(Monomial::fold(9).times(&role(ROLE_CHANNEL, 1))),
                    )],
                    ones: vec![ones(18, [vec![channels], square()].concat())],
                },
            )
        }
        Kind::Product => (
            vec![view(at("yc"), 1, vec![Axis::dense(3, 2, row()), Axis::dense(2, 1, column())])],
            Relation::Product {
                left: vec![view(
                    at("left"),
                    1,
                    vec![Axis::dense(3, 4, row()), Axis::dense(4, 1, Monomial::fold(1))],
                )],
                right: vec![view(
                    at("right"),
                    1,
                    vec![Axis::dense(4, 2, Monomial::fold(1)), Axis::dense(2, 1, column())],
                )],
                length: 4,
            },
        ),
        Kind::Residual => (
            vec![view(at("ss"), 1, vec![Axis::dense(2, 3, row()), Axis::dense(3, 1, column())])],
            Relation::Linear {
                inputs: vec![
                    view(at("first"), -2, vec![Axis::dense(2, 3, row()), Axis::dense(3, 1, column())]),
                    view(at("second"), -3, vec![Axis::dense(2, 1, row()), Axis::dense(3, 2, column())]),
                ],
            },
        ),
        Kind::Public | Kind::External => {
            let name = if kind == Kind::Public { "ss" } else { "first" };
            let axis = Axis::dense(6, 1, Monomial::power(Variable::Public {}, 1));
            let relation = if kind == Kind::Public {
                Relation::Public { tensor: 0 }
            } else {
                Relation::External { vector: 0 }
            };
            (vec![view(at(name), 1, vec![axis])], relation)
        }
    };
    Claim { name: format!("{kind:?}"), output, relation }
}

/// The fixed columns: selector of the activations, selector of the sums, table values, tags, table selector.
fn fixed_values(places: &BTreeMap<&'static str, Place>) -> FixedValues {
    let mark = |names: &[&str]| {
        let mut column = Vec::new();
        for place in names.iter().map(|name| places[name]) {
            column.resize(column.len().max((place.row + place.length) as usize), 0);
            column[place.row as usize..(place.row + place.length) as usize].fill(1);
        }
        column
    };
    let table: Vec<(i64, i64)> = (-8..8).map(|v| (v, 1)).chain((-40..40).map(|v| (v, 2))).collect();
    FixedValues {
        columns: vec![
            mark(&["dense", "image", "left", "right", "first", "second"]),
            mark(&["ss"]),
            table.iter().map(|row| row.0).collect(),
            table.iter().map(|row| row.1).collect(),
            vec![1; table.len()],
        ],
    }
}

fn tensors(places: &BTreeMap<&'static str, Place>, kinds: &[Kind]) -> Vec<Tensor> {
    let tensor = |name: &str, min: i64, max: i64, origin: Origin| {
        let Place { column, row, length } = places[name];
        let pieces = vec![Piece { column, offset: row, length, origin }];
        Tensor { name: name.to_owned(), interval: Interval { min, max }, pieces }
    };
    let input = |name| tensor(name, -8, 7, Origin::Lookup { lookup: 0, coordinate: 0 });
    let mut all: Vec<Tensor> =
        ["dense", "image", "left", "right", "first", "second"].into_iter().map(input).collect();
    for (name, kind) in
        [("y1", Kind::Dense), ("y2", Kind::Convolution), ("y3", Kind::Depthwise), ("yc", Kind::Product)]
    {
        if let Some(claim) = kinds.iter().position(|known| *known == kind) {
            all.push(tensor(name, -4000, 4000, Origin::Claim { claim: claim as u32 }));
        }
    }
    all.push(tensor("ss", -40, 39, Origin::Lookup { lookup: 1, coordinate: 0 }));
    all
}

fn circuit(shape: &Shape, places: &BTreeMap<&'static str, Place>, runs: Vec<CellRun>) -> Circuit {
    let last = shape.tensor_columns - 1;
    let matrix = |name: &str, rows, columns| Matrix {
        name: name.to_owned(),
        rows,
        columns,
        public: !shape.private,
        row_role: ROLE_OUT,
    };
    let (mut matrices, mut claims) = (Vec::new(), Vec::new());
    for kind in &shape.kinds {
        claims.push(claim(*kind, places, matrices.len() as u32));
        match kind {
            Kind::Dense => matrices.push(matrix("dense", 3, 7)),
            Kind::Convolution => matrices.push(matrix("convolution", 3, 19)),
            Kind::Depthwise => matrices.push(matrix("depthwise", 1, 20)),
            _ => {}
        }
    }
    let lookup = |name: &str, selector, column, tag| Lookup {
        name: name.to_owned(),
        selector,
        tuple: vec![Expression::Leaf(Query::advice(column))],
        tag: Expression::integer(tag),
    };
    let has = |kind| shape.kinds.contains(&kind);
    Circuit {
        log_rows: shape.log_rows,
        blinding_rows: shape.blinding_rows,
        max_degree: 3,
        advice: (0..shape.tensor_columns)
            .map(|i| AdviceColumn { name: format!("a{i}"), tensor: true })
            .collect(),
        fixed: ["s0", "s1", "tv", "tt", "sT"].map(|name| FixedColumn { name: name.to_owned() }).to_vec(),
        gates: Vec::new(),
        table_sets: vec![TableSet { values: vec![2], tag: 3, selector: 4 }],
        lookups: vec![lookup("range", 0, 0, 1), lookup("sums", 1, last, 2)],
        copies: Vec::new(),
        roles: ["out", "row", "column", "channel"].map(str::to_owned).to_vec(),
        matrices,
        claims,
        publics: if has(Kind::Public) {
            let interval = Interval { min: -40, max: 39 };
            vec![PublicTensor { identifier: 1, name: "ss".to_owned(), length: 6, interval }]
        } else {
            Vec::new()
        },
        externals: if has(Kind::External) {
            vec![ExternalVector { identifier: 2, name: "record".to_owned(), length: 6, offset: 2 }]
        } else {
            Vec::new()
        },
        fold_blinds: FoldBlinds { count: shape.fold_blinds, runs },
        tensors: tensors(places, &shape.kinds),
    }
}

impl Sample {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self::with(shape, |_| {})
    }

    /// A sample whose circuit differs.
    pub(crate) fn with(shape: &Shape, change: impl FnOnce(&mut Circuit)) -> Self {
        let (places, runs) = places(shape);
        let mut circuit = circuit(shape, &places, runs);
        change(&mut circuit);
        let fixed = fixed_values(&places);
        let mut weights = Vec::new();
        for (index, matrix) in circuit.matrices.iter().enumerate() {
            let entries = numbers(100 + index as u64, (matrix.rows * matrix.columns) as usize);
            weights.push(IntegerMatrix { width: matrix.columns, entries });
        }
        let srs = dev::for_tests(shape.log_rows);
        let backend = CpuBackend::new(Some(1)).unwrap();
        let key =
            key::generate(&backend, &srs, circuit.clone(), (fixed.clone(), weights.clone()), shape.hash)
                .unwrap();
        Self { circuit, places, fixed, weights, srs, key, backend, inputs: Inputs::new(7) }
    }

    fn matrix(&self, name: &str) -> Option<&IntegerMatrix> {
        let index = self.circuit.matrices.iter().position(|matrix| matrix.name == name)?;
        self.weights.get(index)
    }

    /// What the network computes on inputs, tensor by tensor.
    pub(crate) fn compute(&self, inputs: &Inputs) -> BTreeMap<&'static str, Vec<i64>> {
        let mut out = BTreeMap::from([
            ("dense", inputs.dense.clone()),
            ("image", inputs.image.clone()),
            ("left", inputs.left.clone()),
            ("right", inputs.right.clone()),
            ("first", inputs.first.clone()),
            ("second", inputs.second.clone()),
        ]);
        let pixel = |channel: i64, i: i64, j: i64| {
            let inside = (0..5).contains(&i) && (0..5).contains(&j);
            if inside { inputs.image[(channel * 25 + i * 5 + j) as usize] } else { 0 }
        };
        let at = |kernel: &[i64], channel: i64, i: i64, j: i64| -> i64 {
            (0..9).map(|k| kernel[k as usize] * pixel(channel, 2 * i + k / 3 - 1, 2 * j + k % 3 - 1)).sum()
        };
        if let Some(matrix) = self.matrix("dense") {
            let dot = |row: &[i64]| row.iter().zip(&inputs.dense).map(|(w, x)| w * x).sum::<i64>() + row[6];
            out.insert("y1", matrix.iter_rows().map(dot).collect());
        }
        if let Some(matrix) = self.matrix("convolution") {
            let cell = |row: &[i64], i, j| at(&row[..9], 0, i, j) + at(&row[9..18], 1, i, j) + row[18];
            let rows = matrix.iter_rows().flat_map(|row| (0..9).map(move |p| cell(row, p / 3, p % 3)));
            out.insert("y2", rows.collect());
        }
        if let Some(matrix) = self.matrix("depthwise") {
            let row = &matrix.entries;
            let cell = |c: i64, p: i64| at(&row[9 * c as usize..], c, p / 3, p % 3) + row[18 + c as usize];
            out.insert("y3", (0..18).map(|k| cell(k / 9, k % 9)).collect());
        }
        let product =
            |i: usize, j: usize| (0..4).map(|t| inputs.left[i * 4 + t] * inputs.right[t * 2 + j]).sum();
        out.insert("yc", (0..6).map(|k| product(k / 2, k % 2)).collect());
        let sum = |i: usize, j: usize| 2 * inputs.first[i * 3 + j] + 3 * inputs.second[j * 2 + i];
        out.insert("ss", (0..6).map(|k| sum(k / 3, k % 3)).collect());
        out
    }

    /// The honest prover's input for given network inputs.
    pub(crate) fn input(&self, inputs: &Inputs) -> ProverInput {
        let values = self.compute(inputs);
        let mut advice = vec![vec![0; self.circuit.usable()]; self.circuit.advice.len()];
        for (name, place) in &self.places {
            if let Some(cells) = values.get(name) {
                let start = place.row as usize;
                advice[place.column as usize][start..start + cells.len()].copy_from_slice(cells);
            }
        }
        let publics = if self.circuit.publics.is_empty() { vec![] } else { vec![values["ss"].clone()] };
        let mut external = vec![Fr::from(77), Fr::from(5)];
        external.extend(inputs.first.iter().map(|v| from_integer(*v)));
        external.push(Fr::from_be_bytes_mod_order(b"nobody's business"));
        let exists = !self.circuit.externals.is_empty();
        let externals = if exists { vec![external] } else { vec![] };
        let external_hiding = if exists { vec![Fr::from(31_337)] } else { vec![] };
        ProverInput { witness: Witness { advice, publics, externals }, external_hiding }
    }
}
