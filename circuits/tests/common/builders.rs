//! Networks of convolutions, maxima, products and moved elements, and a check over all numbers of lanes.

// Each test file uses a part of this.
#![allow(dead_code)]

use zkloom_backends::CpuBackend;
use zkloom_circuits::{CompileOptions, Compiled, Visibility, audit, compile};
use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::convolution::{Convolution, Window};
use zkloom_model::integer_graph::{Contraction, IntegerGraph, IntegerOp, Product, TensorId, WeightMatrix};
use zkloom_plonkish::mock::MockChecker;
use zkloom_plonkish::origin::check_origins;
use zkloom_prover::{Prover, ProverInput, key, srs};
use zkloom_verifier::{HashKind, Proof, verify};

use super::{Network, Sequence, options, packings};

/// A window with equal padding on both sides.
pub fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel, stride, dilation: 1, pad_begin: padding, pad_end: padding }
}

/// An axis of an access: count, steps in the output, steps in the input.
pub fn access(output_start: usize, input_start: usize, axes: &[(usize, usize, usize)]) -> Access {
    let axis = |&(count, output_stride, input_stride): &(usize, usize, usize)| AccessAxis {
        count,
        output_stride,
        input_stride,
    };
    Access { output_start, input_start, axes: axes.iter().map(axis).collect() }
}

impl Network {
    /// Another one with other random numbers.
    pub fn seeded(shape: &[usize], shift: u32, seed: u64) -> Self {
        let mut network = Self::new(shape, shift);
        network.sequence = Sequence::new(seed);
        network
    }

    pub fn shape(&self, tensor: TensorId) -> Vec<usize> {
        self.graph.tensor(tensor).shape.clone()
    }

    /// A product with random weights that are not zero.
    pub fn product(&mut self, input: TensorId, rows: usize, groups: usize, windows: &[Window]) -> Product {
        let convolution = Convolution { groups, windows: windows.to_vec() };
        let columns = convolution.columns(self.shape(input)[0]);
        let values = (0..rows * columns).map(|_| self.sequence.nonzero(3) as i8).collect();
        let multipliers = self.sequence.vector(rows, 1, 3);
        let weights = WeightMatrix { rows, columns, values };
        Product { input, contraction: Contraction::Convolution(convolution), weights, multipliers }
    }

    /// One node for several products with equal outputs.
    pub fn fused(&mut self, name: &str, products: Vec<Product>) -> TensorId {
        let first = &products[0];
        let rows = first.weights.rows;
        let shape = first.contraction.output_shape(&self.shape(first.input), rows).unwrap();
        let bias = self.sequence.vector(rows, -20, 20);
        self.node(name, &shape, IntegerOp::Linear { products, bias })
    }

    pub fn convolved(
        &mut self,
        name: &str,
        input: TensorId,
        (rows, groups): (usize, usize),
        windows: &[Window],
    ) -> TensorId {
        let product = self.product(input, rows, groups, windows);
        self.fused(name, vec![product])
    }

    /// The part of `[C, H, W]` from `start` with steps `step` and shape `shape`.
    pub fn slice(
        &mut self,
        name: &str,
        input: TensorId,
        (start, step, shape): ([usize; 3], [usize; 3], [usize; 3]),
    ) -> TensorId {
        let from = self.shape(input);
        let strides = [from[1] * from[2], from[2], 1];
        let own = [shape[1] * shape[2], shape[2], 1];
        let axes: Vec<_> = (0..3).map(|axis| (shape[axis], own[axis], step[axis] * strides[axis])).collect();
        let first = (0..3).map(|axis| start[axis] * strides[axis]).sum();
        self.access(name, &shape, vec![(input, 1, access(0, first, &axes))])
    }

    /// Both along the first axis.
    pub fn concat(&mut self, name: &str, first: TensorId, second: TensorId) -> TensorId {
        let (mut shape, elements) = (self.shape(first), self.graph.tensor(first).elements());
        shape[0] += self.shape(second)[0];
        let rest = self.graph.tensor(second).elements();
        let terms = [
            (first, 1, access(0, 0, &[(elements, 1, 1)])),
            (second, 1, access(elements, 0, &[(rest, 1, 1)])),
        ];
        self.access(name, &shape, terms.to_vec())
    }

    /// `[C, H, W]` as `[W, H, C]`.
    pub fn transposed(&mut self, name: &str, input: TensorId) -> TensorId {
        let [c, h, w]: [usize; 3] = self.shape(input).try_into().unwrap();
        let axes = [(c, 1, h * w), (h, c, w), (w, h * c, 1)];
        self.access(name, &[w, h, c], vec![(input, 1, access(0, 0, &axes))])
    }

    /// Every element twice along both spatial axes.
    pub fn upsampled(&mut self, name: &str, input: TensorId) -> TensorId {
        let [c, h, w]: [usize; 3] = self.shape(input).try_into().unwrap();
        let axes = [(c, 4 * h * w, h * w), (h, 4 * w, w), (2, 2 * w, 0), (w, 2, 1), (2, 1, 0)];
        self.access(name, &[c, 2 * h, 2 * w], vec![(input, 1, access(0, 0, &axes))])
    }

    /// Sums over all positions of a channel, spread over all positions again.
    pub fn spread_sums(&mut self, name: &str, input: TensorId) -> TensorId {
        let [c, h, w]: [usize; 3] = self.shape(input).try_into().unwrap();
        let pooled = self.access(
            &format!("{name}.pool"),
            &[c],
            vec![(input, 1, access(0, 0, &[(c, 1, h * w), (h * w, 0, 1)]))],
        );
        let axes = [(c, h * w, 1), (h * w, 1, 0)];
        self.access(name, &[c, h, w], vec![(pooled, 1, access(0, 0, &axes))])
    }

    /// Largest of every `kernel x kernel` square at distance `stride`, as a tree of maxima of slices.
    pub fn max_pool(&mut self, name: &str, input: TensorId, (kernel, stride): (usize, usize)) -> TensorId {
        let [c, h, w]: [usize; 3] = self.shape(input).try_into().unwrap();
        let shape = [c, (h - kernel) / stride + 1, (w - kernel) / stride + 1];
        let mut parts = Vec::new();
        for y in 0..kernel {
            for x in 0..kernel {
                let name = format!("{name}.part {y} {x}");
                parts.push(self.slice(&name, input, ([0, y, x], [1, stride, stride], shape)));
            }
        }
        let mut round = 0;
        while parts.len() > 1 {
            let mut next = Vec::new();
            for pair in parts.chunks(2) {
                round += 1;
                next.push(match pair {
                    [left, right] => self.maximum(&format!("{name}.max {round}"), *left, *right),
                    one => one[0],
                });
            }
            parts = next;
        }
        parts[0]
    }
}

/// Compiles, and checks what holds of every circuit: its rules, the origins of its cells, and that its description suffices to
/// make it again.
pub fn compiled(graph: &IntegerGraph, options: &CompileOptions) -> Compiled {
    let compiled = compile(graph, options).unwrap();
    compiled.circuit.validate().unwrap();
    check_origins(&compiled.circuit, &compiled.fixed, &compiled.weights(graph).unwrap()).unwrap();
    audit(&compiled).unwrap();
    compiled
}

/// [`check_packing`] with rows as they are and with packed ones. Gives the circuit with rows as they are.
pub fn check(graph: &IntegerGraph, options: &CompileOptions, inputs: &[Vec<i64>]) -> Compiled {
    let [plain, _] = packings(options).map(|options| check_packing(graph, &options, inputs));
    plain
}

/// Witnesses of all inputs hold, and of the last one with any of some sixty cells changed does not. The input is public: of a
/// private one, elements that nothing reads may be anything.
fn check_packing(graph: &IntegerGraph, options: &CompileOptions, inputs: &[Vec<i64>]) -> Compiled {
    let compiled = compiled(graph, &CompileOptions { inputs: Visibility::Public, ..*options });
    let weights = compiled.weights(graph).unwrap();
    let Compiled { circuit, fixed, .. } = &compiled;
    let checker = MockChecker { circuit, fixed, weights: &weights };
    for input in inputs {
        let witness = compiled.witness(graph, input).unwrap();
        assert_eq!(checker.check(&witness, 3), []);
        assert_eq!(witness.publics, [input.clone(), graph.run(input).unwrap()[graph.output.0].clone()]);
    }
    let honest = compiled.witness(graph, inputs.last().unwrap()).unwrap();
    let columns: Vec<usize> = circuit.tensor_columns().collect();
    let pieces = circuit.tensors.iter().flat_map(|tensor| &tensor.pieces);
    let cells = pieces.flat_map(|piece| (0..piece.length).map(|i| (piece.column, piece.offset + i)));
    let cells: Vec<(u32, u32)> = cells.collect();
    for (column, row) in cells.iter().step_by(cells.len() / 60 + 1) {
        for delta in [1, -(1 << compiled.layout.shift)] {
            let mut tampered = honest.clone();
            tampered.advice[columns[*column as usize]][*row as usize] += delta;
            let noticed = !checker.check(&tampered, 1).is_empty();
            assert!(noticed, "tensor column {column}, row {row}: a change by {delta} passes");
        }
    }
    compiled
}

/// [`check`] in so many numbers of lanes.
pub fn check_lanes(network: &mut Network, lanes: &[u32]) {
    let inputs = network.inputs();
    for lanes in lanes {
        check(&network.graph, &options(*lanes), &inputs[4..]);
    }
    check(&network.graph, &options(1), &inputs[..4]);
}

/// [`prove_packing`] with rows as they are and with packed ones.
pub fn prove(network: &mut Network, options: &CompileOptions) {
    packings(options).iter().for_each(|options| prove_packing(network, options));
}

/// A real proof of the network's last input, of the predicted size and accepted; none for a changed witness.
fn prove_packing(network: &mut Network, options: &CompileOptions) {
    let input = network.inputs().pop().unwrap();
    let made = compiled(&network.graph, options);
    let circuit = made.circuit.clone();
    let backend = CpuBackend::new(None).unwrap();
    let mut reference = srs::dev::generate(circuit.srs_length().next_power_of_two().ilog2()).unwrap();
    reference.ensure_lagrange(circuit.log_rows).unwrap();
    let values = (made.fixed.clone(), made.weights(&network.graph).unwrap());
    let key = key::generate(&backend, &reference, circuit, values, HashKind::Keccak256).unwrap();
    let witness = made.witness(&network.graph, &input).unwrap();
    let prove = |witness| {
        let input = ProverInput { witness, external_hiding: Vec::new() };
        Prover::new(&backend, &reference, &key).unwrap().prove(&input, &mut |_| {})
    };
    let proved = prove(witness.clone()).unwrap();
    let bytes = proved.proof.to_bytes();
    assert_eq!(bytes.len() as u64, made.report().proof_bytes);
    let proof = Proof::from_bytes(key.verifying(), &bytes).unwrap();
    verify(key.verifying(), reference.pin(), &proved.statement, &proof).unwrap();
    let mut tampered = witness;
    let piece = made.circuit.tensors.last().unwrap().pieces[0];
    let column = made.circuit.tensor_columns().nth(piece.column as usize).unwrap();
    tampered.advice[column][piece.offset as usize] += 1;
    assert!(prove(tampered).is_err());
}
