use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::access::{Access, AccessAxis};
use crate::convolution::{Convolution, Window};
use crate::float_graph::{Candidate, FloatMatrix, FloatTerm, FloatValue};
use crate::function::Function;
use crate::onnx::{import, import_bytes, proto};

fn graph(input: &[usize], nodes: Vec<(FloatOp, Vec<usize>)>) -> FloatGraph {
    let mut values = vec![FloatValue { name: "x".into(), shape: input.to_vec() }];
    let mut list = Vec::new();
    for (index, (op, shape)) in nodes.into_iter().enumerate() {
        values.push(FloatValue { name: format!("v{}", index + 1), shape });
        list.push(FloatNode { name: format!("n{}", index + 1), op, output: ValueId(index + 1) });
    }
    let output = ValueId(values.len() - 1);
    FloatGraph { name: "test".into(), values, nodes: list, input: ValueId(0), output }
}

fn floats(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-2.0f32..2.0)).collect()
}

/// Writes, reads back, compares the functions, and gives the file's operators.
fn round_trip(graph: &FloatGraph, random: &mut ChaCha8Rng) -> Vec<String> {
    let bytes = write_bytes(graph).expect("write");
    let back = import_bytes(&bytes).unwrap_or_else(|error| panic!("{error}: {graph:?}"));
    back.check_structure().expect("structure");
    assert_eq!(back.values[back.input.0].shape, graph.values[graph.input.0].shape);
    assert_eq!(back.values[back.output.0].elements(), graph.values[graph.output.0].elements());
    for _ in 0..3 {
        let input = floats(graph.values[graph.input.0].elements(), random);
        let before = graph.run_reference(&input).expect("before").swap_remove(graph.output.0);
        let after = back.run_reference(&input).expect("after").swap_remove(back.output.0);
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            let same = (before - after).abs() <= 1e-5 * before.abs().max(1.0)
                || (!before.is_finite() && before.to_bits() == after.to_bits())
                || (before.is_nan() && after.is_nan());
            assert!(same, "{before} became {after} at {at}: {graph:?}");
        }
    }
    let model = proto::decode(&bytes).expect("decode");
    model.graph.expect("graph").node.into_iter().map(|node| node.op_type).collect()
}

fn matrix(rows: usize, columns: usize, random: &mut ChaCha8Rng) -> FloatMatrix {
    FloatMatrix { rows, columns, values: floats(rows * columns, random) }
}

fn axis(count: usize, output_stride: usize, input_stride: usize) -> AccessAxis {
    AccessAxis { count, output_stride, input_stride }
}

fn term(access: Access) -> FloatTerm {
    FloatTerm { input: ValueId(0), coefficient: 1.0, access }
}

#[test]
fn layers_keep_their_function() {
    let random = &mut ChaCha8Rng::seed_from_u64(1);
    let linear = |rows, columns, random: &mut ChaCha8Rng| FloatOp::Linear {
        input: ValueId(0),
        weights: matrix(rows, columns, random),
        bias: floats(rows, random),
    };
    let kinds = round_trip(&graph(&[7], vec![(linear(3, 7, random), vec![3])]), random);
    assert_eq!(kinds, ["Gemm"]);
    let kinds = round_trip(&graph(&[2, 5, 7], vec![(linear(3, 7, random), vec![2, 5, 3])]), random);
    assert_eq!(kinds, ["MatMul", "Add"]);
    // Vectors that are not the last axis.
    round_trip(&graph(&[6, 2], vec![(linear(5, 4, random), vec![15])]), random);
    round_trip(&graph(&[12], vec![(linear(5, 4, random), vec![3, 5])]), random);
    let window = |kernel, stride, dilation, pad_begin, pad_end| Window {
        kernel,
        stride,
        dilation,
        pad_begin,
        pad_end,
    };
    let unit = window(1, 1, 1, 0, 0);
    let cases = [
        (vec![3, 9, 8], 1, 5, vec![window(3, 2, 1, 1, 1), window(2, 1, 2, 0, 3)], "Conv"),
        (vec![4, 6, 6], 4, 8, vec![window(3, 1, 1, 1, 1); 2], "Conv"),
        (vec![4, 6], 2, 6, vec![window(3, 3, 1, 0, 1)], "Conv"),
        (vec![2, 4, 5, 3], 1, 4, vec![window(2, 1, 1, 1, 1); 3], "Conv"),
        (vec![6], 2, 4, vec![], "Reshape"),
        (vec![6], 6, 6, vec![], "Mul"),
        (vec![3, 4, 4], 3, 3, vec![unit; 2], "Mul"),
    ];
    for (shape, groups, rows, windows, kind) in cases {
        let geometry = Convolution { groups, windows };
        let output = geometry.output_shape(&shape, rows).expect("shape");
        let (weights, bias) = (matrix(rows, geometry.columns(shape[0]), random), floats(rows, random));
        let op = FloatOp::Convolution { input: ValueId(0), geometry, weights, bias };
        assert_eq!(round_trip(&graph(&shape, vec![(op, output)]), random)[0], kind);
    }
}

#[test]
fn functions_keep_their_values() {
    let random = &mut ChaCha8Rng::seed_from_u64(2);
    let affine = Function::Affine { factor: -1.5, shift: 0.25 };
    let functions = vec![
        Function::RELU,
        Function::Clamp { min: None, max: None },
        Function::Clamp { min: Some(-0.5), max: None },
        Function::Clamp { min: None, max: Some(0.75) },
        Function::Clamp { min: Some(-1.0), max: Some(1.5) },
        Function::LeakyRelu { slope: 0.2 },
        Function::Elu { alpha: 0.7 },
        Function::Sigmoid,
        Function::HardSigmoid { alpha: 0.3, beta: 0.4 },
        Function::HardSwish,
        Function::Swish { beta: 1.0 },
        Function::Swish { beta: 1.7 },
        Function::Tanh,
        Function::Softplus,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::Softsign,
        Function::Mish,
        Function::ThresholdedRelu { threshold: 0.5 },
        Function::Exp,
        Function::Log,
        Function::Sqrt,
        Function::Reciprocal,
        Function::Abs,
        Function::Square,
        Function::Power { exponent: 3.0 },
        affine.clone(),
        Function::Chain(vec![Function::Tanh, affine.clone(), Function::Abs]),
        Function::Product(Box::new(Function::Sigmoid), Box::new(affine.clone())),
        Function::Total(vec![Function::Square, Function::Tanh, affine]),
        Function::Total(Vec::new()),
    ];
    for function in functions {
        let op = FloatOp::Pointwise { input: ValueId(0), function };
        round_trip(&graph(&[3, 4], vec![(op, vec![3, 4])]), random);
    }
}

/// A random access into tensors of those shapes: loops along random axes, cut to what fits.
fn access(input: &[usize], output: &[usize], random: &mut ChaCha8Rng) -> Access {
    let (inputs, outputs) = (input.iter().product::<usize>(), output.iter().product::<usize>());
    let (from, to) = (strides(input), strides(output));
    let mut access = Access {
        output_start: random.random_range(0..outputs),
        input_start: random.random_range(0..inputs),
        axes: Vec::new(),
    };
    if random.random_range(0..2) == 0 {
        (access.output_start, access.input_start) = (0, 0);
    }
    for _ in 0..random.random_range(0..4) {
        let pick = |strides: &[usize], random: &mut ChaCha8Rng| match random.random_range(0..6) {
            0 => 0,
            1 => random.random_range(1..5),
            _ => strides[random.random_range(0..strides.len())] * random.random_range(1..3),
        };
        let axis = axis(random.random_range(1..7), pick(&to, random), pick(&from, random));
        access.axes.push(axis);
        while !access.reach().is_some_and(|(to, from)| to < outputs && from < inputs) {
            let last = access.axes.len() - 1;
            access.axes[last].count -= 1;
            if access.axes[last].count == 0 {
                access.axes.pop();
            }
        }
    }
    access
}

#[test]
fn random_sums_keep_their_function() {
    let random = &mut ChaCha8Rng::seed_from_u64(3);
    let shapes = [vec![2, 3, 4], vec![24], vec![4, 6], vec![3, 5, 5], vec![1, 7]];
    for case in 0..600 {
        let input = shapes[random.random_range(0..shapes.len())].clone();
        let output = shapes[random.random_range(0..shapes.len())].clone();
        let terms = (0..random.random_range(0..4)).map(|_| FloatTerm {
            input: ValueId(1),
            coefficient: if random.random_range(0..2) == 0 { 1.0 } else { random.random_range(-2.0..2.0) },
            access: access(&input, &output, random),
        });
        let terms = terms.collect();
        let elements = output.iter().product();
        let bias = match random.random_range(0..3) {
            0 => Vec::new(),
            1 => vec![0.5; elements],
            _ => floats(elements, random),
        };
        let square = FloatOp::Pointwise { input: ValueId(0), function: Function::Square };
        let nodes = vec![(square, input.clone()), (FloatOp::Sum { terms, bias }, output)];
        let graph = graph(&input, nodes);
        graph.check_structure().unwrap_or_else(|error| panic!("case {case}: {error}"));
        round_trip(&graph, random);
    }
}

fn kinds_of(input: &[usize], output: &[usize], terms: Vec<FloatTerm>) -> Vec<String> {
    let random = &mut ChaCha8Rng::seed_from_u64(4);
    let op = FloatOp::Sum { terms, bias: Vec::new() };
    round_trip(&graph(input, vec![(op, output.to_vec())]), random)
}

#[test]
fn moves_become_what_they_are() {
    let whole =
        |output_start, input_start, axes: Vec<AccessAxis>| term(Access { output_start, input_start, axes });
    let transposed = whole(0, 0, vec![axis(3, 1, 4), axis(4, 3, 1)]);
    assert_eq!(kinds_of(&[3, 4], &[4, 3], vec![transposed]), ["Transpose"]);
    let sliced = whole(0, 5, vec![axis(2, 2, 4), axis(2, 1, 2)]);
    assert_eq!(kinds_of(&[3, 4], &[2, 2], vec![sliced]), ["Slice"]);
    let padded = whole(7, 0, vec![axis(3, 6, 4), axis(4, 1, 1)]);
    assert_eq!(kinds_of(&[3, 4], &[5, 6], vec![padded]), ["Pad"]);
    let spread = whole(0, 0, vec![axis(3, 4, 1), axis(4, 1, 0)]);
    assert_eq!(kinds_of(&[3], &[3, 4], vec![spread]), ["Reshape", "Expand"]);
    let summed = whole(0, 0, vec![axis(3, 1, 4), axis(4, 0, 1)]);
    assert_eq!(kinds_of(&[3, 4], &[3], vec![summed]), ["ReduceSum"]);
    let halves = [0, 12].map(|start| whole(start, 0, vec![axis(12, 1, 1)])).to_vec();
    assert_eq!(kinds_of(&[3, 4], &[6, 4], halves), ["Concat"]);
    let columns = [0, 4].map(|start| whole(start, 0, vec![axis(3, 8, 4), axis(4, 1, 1)])).to_vec();
    assert_eq!(kinds_of(&[3, 4], &[3, 8], columns), ["Concat"]);
    let doubled = whole(0, 0, vec![axis(3, 2, 1), axis(2, 1, 0)]);
    assert_eq!(kinds_of(&[3], &[6], vec![doubled]), ["Reshape", "Expand", "Reshape"]);
    // A diagonal: nothing but picking elements.
    let diagonal = whole(0, 0, vec![axis(3, 1, 4)]);
    assert!(kinds_of(&[3, 3], &[3], vec![diagonal]).contains(&"Gather".to_string()));
}

fn pools(shape: &[usize], windows: &[Window]) -> (Vec<usize>, Vec<Access>) {
    let geometry = Convolution { groups: shape[0], windows: windows.to_vec() };
    let output = geometry.output_shape(shape, shape[0]).expect("shape");
    let (to, from) = (output[1..].iter().product(), shape[1..].iter().product());
    let kernel: usize = windows.iter().map(|window| window.kernel).product();
    let tap = |offset| {
        let mut access = geometry.tap(offset, &shape[1..]);
        access.axes.insert(0, axis(shape[0], to, from));
        access
    };
    (output.clone(), (0..kernel).map(tap).collect())
}

#[test]
fn pools_become_pools() {
    let random = &mut ChaCha8Rng::seed_from_u64(5);
    let window = |kernel, stride, padding| Window {
        kernel,
        stride,
        dilation: 1,
        pad_begin: padding,
        pad_end: padding,
    };
    for (size, kernel, stride, padding) in [(6, 2, 2, 0), (7, 3, 2, 1), (5, 3, 1, 1), (4, 4, 4, 0)] {
        let shape = [3, size, size];
        let (output, taps) = pools(&shape, &[window(kernel, stride, padding); 2]);
        let mut counts = vec![0u32; output.iter().product()];
        taps.iter().for_each(|tap| tap.for_each(|to, _| counts[to] += 1));
        let coefficient = 0.5 / (kernel * kernel) as f32;
        let counted = taps.iter().map(|tap| FloatTerm { coefficient, ..term(tap.clone()) }).collect();
        let kinds = kinds_of(&shape, &output, counted);
        assert_eq!(kinds, ["AveragePool", "Mul"]);
        let mut single = Vec::new();
        for tap in &taps {
            tap.for_each(|output_start, input_start| {
                let access = Access { output_start, input_start, axes: Vec::new() };
                single.push(FloatTerm { coefficient: 1.0 / counts[output_start] as f32, ..term(access) });
            });
        }
        assert_eq!(kinds_of(&shape, &output, single), ["AveragePool"]);
        if padding == 0 {
            let candidates = taps.into_iter().map(|tap| Candidate { pieces: vec![(ValueId(0), tap)] });
            let op = FloatOp::Maximum { candidates: candidates.collect() };
            assert_eq!(round_trip(&graph(&shape, vec![(op, output)]), random), ["MaxPool"]);
        }
    }
}

#[test]
fn the_other_operations_keep_their_function() {
    let random = &mut ChaCha8Rng::seed_from_u64(6);
    let [x, v1] = [0, 1].map(ValueId);
    let halves = |first: usize, second: usize| Candidate {
        pieces: vec![
            (x, Access { output_start: 0, input_start: first, axes: vec![axis(2, 1, 1)] }),
            (v1, Access { output_start: 2, input_start: second, axes: vec![axis(4, 1, 0)] }),
        ],
    };
    let nodes = vec![
        (FloatOp::Pointwise { input: x, function: Function::Tanh }, vec![2, 3]),
        (FloatOp::Maximum { candidates: vec![halves(0, 1), halves(4, 0)] }, vec![6]),
        (FloatOp::Multiply { left: v1, right: ValueId(2) }, vec![3, 2]),
        (FloatOp::Reshape { input: ValueId(3) }, vec![2, 3]),
        (FloatOp::sum(6, vec![(ValueId(4), 0.5), (x, -1.0), (v1, 1.0)], vec![0.5; 6]), vec![6]),
        (FloatOp::ArgMax { input: ValueId(5), length: 3, inner: 1, last: false }, vec![2]),
        (FloatOp::sum(2, vec![(ValueId(6), 0.25)], Vec::new()), vec![2]),
    ];
    round_trip(&graph(&[6], nodes), random);
    let last = FloatOp::ArgMax { input: x, length: 2, inner: 3, last: true };
    let kinds = round_trip(&graph(&[2, 2, 3], vec![(last, vec![2, 3])]), random);
    assert_eq!(kinds, ["ArgMax", "Cast"]);
    // A network that is its input, and one whose values share a name with each other and with a constant's.
    round_trip(&graph(&[3], Vec::new()), random);
    let mut clash = graph(&[3], vec![(FloatOp::relu(x), vec![3]), (FloatOp::relu(v1), vec![3])]);
    clash.values.iter_mut().for_each(|value| value.name = "x".into());
    clash.nodes.iter_mut().for_each(|node| node.name = String::new());
    round_trip(&clash, random);
}

#[test]
fn fixtures_keep_their_function_and_their_names() {
    let random = &mut ChaCha8Rng::seed_from_u64(7);
    for name in ["digits-mlp.onnx", "digits-cnn.onnx"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
        let graph = import(path).expect("import");
        round_trip(&graph, random);
        let back = import_bytes(&write_bytes(&graph).expect("write")).expect("back");
        let ops = |graph: &FloatGraph| graph.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>();
        assert!(ops(&graph) == ops(&back), "{name} comes back with other operations");
        let ends = |graph: &FloatGraph| [graph.input, graph.output].map(|id| graph.values[id.0].clone());
        assert_eq!(ends(&graph), ends(&back));
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let mut broken = graph(&[3], vec![(FloatOp::relu(ValueId(0)), vec![3])]);
    broken.output = ValueId(9);
    assert!(matches!(write_bytes(&broken), Err(WriteError::Structure(_))));
    let fine = graph(&[3], vec![(FloatOp::relu(ValueId(0)), vec![3])]);
    let path = std::env::temp_dir().join("zkloom-no-such-folder").join("network.onnx");
    assert!(matches!(write(&fine, path), Err(WriteError::Unwritable { .. })));
}
