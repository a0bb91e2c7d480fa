//! Networks for tests, and the one check that every layer goes through.

// Each test file uses a part of this.
#![allow(dead_code)]

pub mod builders;

use zkloom_circuits::gadgets::requantise::remainder;
use zkloom_circuits::{CompileOptions, Compiled, Visibility, WeightVisibility, compile};
use zkloom_model::access::Access;
use zkloom_model::convolution::Convolution;
use zkloom_model::integer_graph::{
    Activation, IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, TensorId, Term, WeightMatrix,
};
use zkloom_model::interval::{channel_intervals, hull};
use zkloom_model::rounding::requantise;
use zkloom_plonkish::mock::{Failure, MockChecker};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{Decode, Encode, IntegerMatrix, Witness};
use zkloom_verifier::Proof;

/// A deterministic sequence of integers.
pub struct Sequence(u64);

impl Sequence {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// An integer between `min` and `max`, both included.
    pub fn between(&mut self, min: i64, max: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        min + (self.0 >> 16).wrapping_rem((max - min + 1) as u64) as i64
    }

    /// One that is not zero.
    pub fn nonzero(&mut self, bound: i64) -> i64 {
        let value = self.between(-bound, bound - 1);
        if value >= 0 { value + 1 } else { value }
    }

    pub fn vector(&mut self, length: usize, min: i64, max: i64) -> Vec<i64> {
        (0..length).map(|_| self.between(min, max)).collect()
    }
}

/// Builds graphs whose intervals are right.
pub struct Network {
    pub graph: IntegerGraph,
    pub sequence: Sequence,
}

pub const RELU: Activation = Activation::Clamp { min: 0, max: 7 };
pub const SATURATE: Activation = Activation::Clamp { min: -8, max: 7 };

impl Network {
    /// A network with nothing but its input, of values `-8..=7`.
    pub fn new(shape: &[usize], shift: u32) -> Self {
        let interval = Interval { min: -8, max: 7 };
        let input = IntegerTensor { name: "input".into(), shape: shape.to_vec(), interval, scale: 1.0 };
        let graph = IntegerGraph {
            name: "test".into(),
            tensors: vec![input],
            nodes: Vec::new(),
            input: TensorId(0),
            output: TensorId(0),
            bits: 4,
            shift,
        };
        Self { graph, sequence: Sequence::new(1) }
    }

    pub fn input(&self) -> TensorId {
        self.graph.input
    }

    /// Adds a node; its output becomes the network's.
    pub fn node(&mut self, name: &str, shape: &[usize], op: IntegerOp) -> TensorId {
        let output = TensorId(self.graph.tensors.len());
        let tensor = IntegerTensor {
            name: format!("{name}.out"),
            shape: shape.to_vec(),
            interval: Interval { min: 0, max: 0 },
            scale: 1.0,
        };
        self.graph.tensors.push(tensor);
        let node = IntegerNode { name: name.into(), op, output };
        self.graph.tensors[output.0].interval = hull(&channel_intervals(&node, &self.graph.tensors).unwrap());
        self.graph.nodes.push(node);
        self.graph.output = output;
        output
    }

    /// A dense layer with nonzero weights, multipliers 1 to 3 and small biases.
    pub fn linear(&mut self, name: &str, input: TensorId, rows: usize) -> TensorId {
        let mut shape = self.graph.tensor(input).shape.clone();
        let columns = shape.pop().unwrap();
        shape.push(rows);
        let values = (0..rows * columns).map(|_| self.sequence.nonzero(3) as i8).collect();
        let multipliers = self.sequence.vector(rows, 1, 3);
        let bias = self.sequence.vector(rows, -20, 20);
        let weights = WeightMatrix { rows, columns, values };
        self.node(name, &shape, IntegerOp::dense(input, weights, multipliers, bias))
    }

    pub fn activate(&mut self, name: &str, input: TensorId, function: Activation) -> TensorId {
        let (shape, shift) = (self.graph.tensor(input).shape.clone(), self.graph.shift);
        let Interval { min, max } = self.graph.tensor(input).interval;
        let domain = Interval { min: requantise(min, shift), max: requantise(max, shift) };
        self.node(name, &shape, IntegerOp::Activate { input, shift, function, domain })
    }

    pub fn sum(&mut self, name: &str, terms: &[(TensorId, i64)], bias: Vec<i64>) -> TensorId {
        let shape = self.graph.tensor(terms[0].0).shape.clone();
        let elements = shape.iter().product();
        self.node(name, &shape, IntegerOp::sum(elements, terms.to_vec(), bias))
    }

    pub fn maximum(&mut self, name: &str, left: TensorId, right: TensorId) -> TensorId {
        let shape = self.graph.tensor(left).shape.clone();
        self.node(name, &shape, IntegerOp::Maximum { left, right })
    }

    pub fn multiply(&mut self, name: &str, left: TensorId, right: TensorId) -> TensorId {
        let shape = self.graph.tensor(left).shape.clone();
        self.node(name, &shape, IntegerOp::Multiply { left, right })
    }

    /// A sum of parts of tensors without bias.
    pub fn access(&mut self, name: &str, shape: &[usize], terms: Vec<(TensorId, i64, Access)>) -> TensorId {
        let term = |(input, coefficient, access)| Term { input, coefficient, access };
        let op = IntegerOp::Sum { terms: terms.into_iter().map(term).collect(), bias: Vec::new() };
        self.node(name, shape, op)
    }

    /// Convolutions that are added: inputs with their geometry.
    pub fn convolution(&mut self, name: &str, rows: usize, parts: &[(TensorId, Convolution)]) -> TensorId {
        let product = |(input, geometry): &(TensorId, Convolution)| {
            self.product(*input, rows, geometry.groups, &geometry.windows)
        };
        let products = parts.iter().map(product).collect();
        self.fused(name, products)
    }

    pub fn reshape(&mut self, name: &str, input: TensorId, shape: &[usize]) -> TensorId {
        self.node(name, shape, IntegerOp::Reshape { input })
    }

    /// All-zero and all-equal inputs, both ends of the range, alternating ends, and a mixed input.
    pub fn inputs(&mut self) -> Vec<Vec<i64>> {
        let tensor = self.graph.tensor(self.graph.input);
        let (length, Interval { min, max }) = (tensor.elements(), tensor.interval);
        let mut inputs: Vec<Vec<i64>> = [0, 3, min, max].iter().map(|value| vec![*value; length]).collect();
        inputs.push((0..length).map(|i| if i % 2 == 0 { min } else { max }).collect());
        inputs.push(self.sequence.vector(length, min, max));
        inputs
    }
}

pub fn options(lanes: u32) -> CompileOptions {
    CompileOptions { lanes: Some(lanes), ..CompileOptions::default() }
}

/// Every combination of who sees what.
pub fn visibilities() -> Vec<CompileOptions> {
    let kinds = [Visibility::Private, Visibility::Public, Visibility::Committed];
    let mut all = Vec::new();
    for inputs in kinds {
        for outputs in kinds {
            for weights in [WeightVisibility::Private, WeightVisibility::Public] {
                all.push(CompileOptions { inputs, outputs, weights, ..options(2) });
            }
        }
    }
    all
}

/// A compiled network with what a check of witnesses needs.
pub struct Checked {
    pub compiled: Compiled,
    pub graph: IntegerGraph,
    pub weights: Vec<IntegerMatrix>,
}

impl Checked {
    pub fn failures(&self, witness: &Witness) -> Vec<Failure> {
        let Compiled { circuit, fixed, .. } = &self.compiled;
        MockChecker { circuit, fixed, weights: &self.weights }.check(witness, 3)
    }

    fn advice_of(&self, tensor_column: u32) -> usize {
        self.compiled.circuit.tensor_columns().nth(tensor_column as usize).unwrap()
    }

    /// Every tensor of the circuit holds the interpreter's values.
    fn check_values(&self, witness: &Witness, input: &[i64]) {
        let values = self.graph.run(input).unwrap();
        for tensor in &self.compiled.circuit.tensors {
            let mut found = Vec::new();
            for piece in &tensor.pieces {
                let column = self.advice_of(piece.column);
                found.extend(
                    (0..piece.length).map(|i| witness.get(column as u32, (piece.offset + i) as usize)),
                );
            }
            let index = self.graph.tensors.iter().position(|known| known.name == tensor.name);
            match index {
                Some(index) => assert_eq!(found, values[index], "{}", tensor.name),
                // Biases, and what the compiler makes for its own ends.
                None => assert!(
                    tensor.name.contains('.') || tensor.name.ends_with("(accumulator)"),
                    "{} is no tensor",
                    tensor.name
                ),
            }
            let range = tensor.interval;
            assert!(found.iter().all(|value| range.contains(*value)), "{} leaves {range:?}", tensor.name);
        }
    }

    /// Whether a witness is the one for the input that it holds: an input that no layer reads may be any in its range.
    fn is_honest(&self, witness: &Witness) -> bool {
        let block = &self.compiled.layout.blocks[0];
        let mut input = Vec::new();
        for lane in 0..self.compiled.layout.lanes() {
            let (_, length) = block.share(lane);
            let column = &witness.advice[(3 * lane + 1) as usize];
            input.extend_from_slice(&column[block.row as usize..(block.row + length) as usize]);
        }
        self.compiled
            .witness(&self.graph, &input)
            .is_ok_and(|honest| honest.advice == witness.advice && honest.publics == witness.publics)
    }

    /// Every accumulator, activation and remainder, changed in turn, is noticed.
    fn check_tampering(&self, witness: &Witness) {
        let step = 1_i64 << self.compiled.layout.shift;
        let mut cells: Vec<(usize, usize)> = Vec::new();
        for piece in self.compiled.circuit.tensors.iter().flat_map(|tensor| &tensor.pieces) {
            let rows = piece.offset as usize..(piece.offset + piece.length) as usize;
            cells.extend(rows.map(|row| (self.advice_of(piece.column), row)));
        }
        for block in self.compiled.layout.blocks.iter().filter(|block| block.tag != 0) {
            for lane in 0..self.compiled.layout.lanes() as usize {
                cells.extend((block.row..block.row + block.height).map(|row| (3 * lane + 2, row as usize)));
            }
        }
        for (column, row) in cells {
            for delta in [1, -1, step, -step, 1 << 40] {
                let mut tampered = witness.clone();
                tampered.advice[column][row] += delta;
                let noticed = !self.failures(&tampered).is_empty();
                let honest = || self.is_honest(&tampered);
                assert!(noticed || honest(), "column {column}, row {row}: a change by {delta} passes");
            }
        }
    }

    /// Accumulators that are changed together with remainder and activation, so that every lookup holds, are noticed.
    fn check_consistent_tampering(&self, witness: &Witness) {
        let layout = &self.compiled.layout;
        let step = 1_i64 << layout.shift;
        for block in layout.blocks.iter().filter(|block| block.tag > 2) {
            let table = layout.table(block.tag).unwrap();
            for lane in 0..layout.lanes() {
                for row in block.row..block.row + block.share(lane).1 {
                    for delta in [1, -1, step, -step] {
                        let mut tampered = witness.clone();
                        let cell = |column: u32| (3 * lane + column) as usize;
                        let row = row as usize;
                        let acc = witness.advice[cell(0)][row] + delta;
                        let q = requantise(acc, layout.shift);
                        let Some([_, act]) = table.entries().find(|entry| entry[0] == q) else { continue };
                        tampered.advice[cell(0)][row] = acc;
                        tampered.advice[cell(1)][row] = act;
                        tampered.advice[cell(2)][row] = remainder(acc, q, layout.shift);
                        let failures = self.failures(&tampered);
                        assert!(!failures.is_empty(), "lane {lane}, row {row}: accumulator moved by {delta}");
                        assert!(
                            failures.iter().all(|f| !matches!(f, Failure::Lookup { .. })),
                            "{failures:?}"
                        );
                    }
                }
            }
        }
    }
}

/// The same options with matrix rows as they are, and with as many as possible packed into one.
pub fn packings(options: &CompileOptions) -> [CompileOptions; 2] {
    [Some(0), Some(1 << 16)].map(|packing| CompileOptions { packing, ..*options })
}

/// Compiles with rows as they are and with packed ones, checks shape and origins, checks the witness of every input, and that
/// tampered witnesses of the last one are noticed. Gives the circuit with rows as they are.
pub fn check_layer(graph: &IntegerGraph, options: &CompileOptions, inputs: &[Vec<i64>]) -> Checked {
    let [plain, packed] = packings(options).map(|options| check_compiled(graph, &options, inputs));
    let intervals = |checked: &Checked| -> Vec<_> {
        checked.compiled.circuit.tensors.iter().map(|tensor| tensor.interval).collect()
    };
    assert_eq!(intervals(&plain), intervals(&packed), "packing changes no interval");
    plain
}

fn check_compiled(graph: &IntegerGraph, options: &CompileOptions, inputs: &[Vec<i64>]) -> Checked {
    let compiled = compile(graph, options).unwrap();
    let matrices = compiled.weights(graph).unwrap();
    compiled.circuit.validate().unwrap();
    check_origins(&compiled.circuit, &compiled.fixed, &matrices).unwrap();
    assert_eq!(Compiled::from_slice(&compiled.to_vec()), Ok(compiled.clone()));
    assert_eq!(matrices.len(), compiled.circuit.matrices.len());
    for (matrix, values) in compiled.circuit.matrices.iter().zip(&matrices) {
        assert_eq!((matrix.rows as usize, matrix.columns), (values.rows(), values.width));
    }
    assert_eq!(compiled.report().proof_bytes, Proof::encoded_length(&compiled.circuit) as u64);
    let checked = Checked { compiled, graph: graph.clone(), weights: matrices };
    for input in inputs {
        let witness = checked.compiled.witness(graph, input).unwrap();
        checked.check_values(&witness, input);
        assert_eq!(checked.failures(&witness), []);
    }
    let witness = checked.compiled.witness(graph, inputs.last().unwrap()).unwrap();
    checked.check_tampering(&witness);
    checked.check_consistent_tampering(&witness);
    checked
}
