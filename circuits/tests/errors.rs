//! Every refusal, produced by a network or an input that deserves it.

mod common;

use common::{Network, RELU, SATURATE, options};
use zkloom_circuits::{CompileError, CompileOptions, WitnessError, compile};
use zkloom_model::integer_graph::{IntegerOp, Interval, TensorId, WeightMatrix};

fn dense() -> Network {
    let mut network = Network::new(&[3], 3);
    let acc = network.linear("dense", network.input(), 4);
    network.activate("relu", acc, RELU);
    network
}

fn refusal(network: &Network, options: &CompileOptions) -> CompileError {
    let error = compile(&network.graph, options).unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

/// A layer with one weight, which takes any multiplier and bias.
fn single(multiplier: i64, bias: i64, interval: Interval) -> Network {
    let mut network = Network::new(&[1], 3);
    network.graph.tensors[0].interval = interval;
    let weights = WeightMatrix { rows: 2, columns: 1, values: vec![1, 100] };
    let op = IntegerOp::dense(network.input(), weights, vec![1, multiplier], vec![0, bias]);
    let shape = network.graph.tensors[0].clone();
    network.graph.tensors.push(shape);
    network.graph.tensors[1].name = "dense.out".into();
    network.graph.tensors[1].shape = vec![2];
    network.graph.nodes.push(zkloom_model::integer_graph::IntegerNode {
        name: "dense".into(),
        op,
        output: TensorId(1),
    });
    network.graph.output = TensorId(1);
    let node = network.graph.nodes[0].clone();
    // What leaves 64 bits has no interval; the compiler says so.
    if let Ok(intervals) = zkloom_model::interval::channel_intervals(&node, &network.graph.tensors) {
        network.graph.tensors[1].interval = zkloom_model::interval::hull(&intervals);
    }
    network
}

#[test]
fn a_damaged_graph() {
    let mut network = dense();
    network.graph.output = TensorId(99);
    assert!(matches!(refusal(&network, &options(1)), CompileError::Graph(_)));
    let sound = compile(&dense().graph, &options(1)).unwrap();
    assert!(matches!(sound.weights(&network.graph), Err(CompileError::Graph(_))));
}

#[test]
fn lanes() {
    for found in [0, 65, u32::MAX] {
        assert_eq!(refusal(&dense(), &options(found)), CompileError::Lanes { found, max: 64 });
    }
}

#[test]
fn tensor_sizes() {
    let empty = Network::new(&[0], 3);
    assert!(matches!(refusal(&empty, &options(1)), CompileError::TensorSize { elements: 0, .. }));
    let huge = Network::new(&[1 << 15, 1 << 15], 3);
    assert!(matches!(refusal(&huge, &options(1)), CompileError::TensorSize { .. }));
}

#[test]
fn rows() {
    let mut network = Network::new(&[40], 3);
    network.graph.tensors[0].interval = Interval { min: 0, max: 1 };
    let small = CompileOptions { log_rows: Some(5), ..options(1) };
    let expected = CompileError::Rows { needed: 40, lanes: 1, log_rows: 5, usable: 28 };
    assert_eq!(refusal(&network, &small), expected);
    let two = CompileOptions { lanes: Some(2), ..small };
    assert!(compile(&network.graph, &two).is_ok());
}

#[test]
fn tables() {
    let network = dense();
    let small = CompileOptions { max_log_rows: 5, max_table_sets: 1, ..options(4) };
    let CompileError::Tables { layer, interval, rows, total, capacity, .. } = refusal(&network, &small)
    else {
        panic!("other error")
    };
    assert_eq!(layer, "dense.out");
    assert_eq!(capacity, 28);
    assert!(total > rows && interval.starts_with('-'));
    // The network's input can be what is too wide.
    let mut wide = dense();
    wide.graph.tensors[0].interval = Interval { min: i64::MIN, max: i64::MAX };
    wide.graph.nodes.truncate(0);
    wide.graph.output = wide.graph.input;
    assert!(matches!(refusal(&wide, &options(1)), CompileError::Tables { layer, .. } if layer == "input"));
}

#[test]
fn shifts() {
    let mut network = dense();
    let acc = network.linear("second", network.graph.output, 2);
    let domain = Interval { min: -9, max: 9 };
    let op = IntegerOp::Activate { input: acc, shift: 5, function: SATURATE, domain };
    network.node("other", &[2], op);
    let expected = CompileError::MixedShifts { layer: "other".into(), found: 5, expected: 3 };
    assert_eq!(refusal(&network, &options(1)), expected);

    let mut network = Network::new(&[2], 25);
    let acc = network.linear("dense", network.input(), 2);
    network.activate("relu", acc, RELU);
    assert_eq!(
        refusal(&network, &options(1)),
        CompileError::Shift { layer: "relu".into(), found: 25, max: 24 }
    );
}

#[test]
fn accumulators_that_are_too_large() {
    let small = Interval { min: 0, max: 1 };
    let network = single(1 << 56, 0, small);
    let CompileError::Range { layer, .. } = refusal(&network, &options(1)) else { panic!() };
    assert_eq!(layer, "dense.out");
    let network = single(1, i64::MAX, small);
    assert!(matches!(refusal(&network, &options(1)), CompileError::Interval(_)));
    // Just inside.
    assert!(compile(&single(1, 1 << 60, small).graph, &options(1)).is_ok());
}

#[test]
fn weights_that_do_not_fit() {
    let network = single(i64::MAX, 0, Interval { min: 0, max: 0 });
    assert_eq!(refusal(&network, &options(1)), CompileError::Weight { layer: "dense".into(), channel: 1 });
    let mut network = Network::new(&[1], 3);
    network.graph.tensors[0].interval = Interval { min: 0, max: 0 };
    network.sum("sum", &[(network.input(), i64::MIN)], vec![]);
    assert_eq!(refusal(&network, &options(1)), CompileError::Weight { layer: "sum".into(), channel: 0 });
}

#[test]
fn memory() {
    let limited = CompileOptions { max_memory: Some(1000), ..options(1) };
    let CompileError::Memory { needed, allowed } = refusal(&dense(), &limited) else { panic!() };
    assert!(needed > 1000 && allowed == 1000);
    let enough = CompileOptions { max_memory: Some(needed), ..options(1) };
    assert!(compile(&dense().graph, &enough).is_ok());
}

#[test]
fn unsuitable_options_reach_the_circuit_check() {
    // Columns longer than the field has roots of unity for; tables that fill them would be refused for memory first.
    let network = Network::new(&[1], 3);
    let options = CompileOptions { log_rows: Some(29), ..options(1) };
    assert!(matches!(refusal(&network, &options), CompileError::Circuit(_)));
}

#[test]
fn witnesses() {
    let network = dense();
    let compiled = compile(&network.graph, &options(2)).unwrap();
    let run = |input: &[i64]| compiled.witness(&network.graph, input).unwrap_err();
    assert!(matches!(run(&[1, 2]), WitnessError::Run(_)));
    assert!(matches!(run(&[1, 2, 8]), WitnessError::Run(_)));

    let mut other = Network::new(&[3], 3);
    let acc = other.linear("dense", other.input(), 5);
    other.activate("relu", acc, RELU);
    let expected = WitnessError::OtherGraph { graph: "test".into(), tensor: 1, expected: 4, found: 5 };
    assert_eq!(compiled.witness(&other.graph, &[1, 2, 3]).unwrap_err(), expected);

    // The same shapes with weights that reach beyond the tables.
    let mut louder = network.graph.clone();
    let IntegerOp::Linear { products, .. } = &mut louder.nodes[0].op else { panic!() };
    products[0].multipliers.iter_mut().for_each(|multiplier| *multiplier *= 1000);
    let wide = Interval { min: -1_000_000, max: 1_000_000 };
    louder.tensors[1].interval = wide;
    let IntegerOp::Activate { domain, .. } = &mut louder.nodes[1].op else { panic!() };
    *domain = wide;
    let error = compiled.witness(&louder, &[7, 7, 7]).unwrap_err();
    assert!(matches!(&error, WitnessError::OutOfTable { layer, .. } if layer == "dense.out"), "{error}");
    assert!(error.to_string().contains("dense.out"));

    let mut fewer = network.graph.clone();
    fewer.nodes.clear();
    fewer.output = fewer.input;
    assert!(matches!(
        compiled.witness(&fewer, &[1, 2, 3]),
        Err(WitnessError::OtherGraph { expected: 4, found: 0, .. })
    ));
}

#[test]
fn functions_and_kernels_that_are_too_large() {
    let mut network = Network::new(&[1], 3);
    network.graph.tensors[0].interval = Interval { min: 0, max: 1 << 20 };
    network.multiply("square", network.input(), network.input());
    assert!(
        matches!(refusal(&network, &options(1)), CompileError::Domain { layer, .. } if layer == "square")
    );
    // Many products of tensors, each with a table that is small enough.
    let mut network = Network::new(&[1], 3);
    network.graph.tensors[0].interval = Interval { min: 0, max: 20_000 };
    for index in 0..200 {
        network.multiply(&format!("square {index}"), network.input(), network.input());
    }
    assert!(matches!(refusal(&network, &options(1)), CompileError::Domain { .. }));
    let mut network = Network::new(&[1, 5000], 3);
    let window =
        zkloom_model::convolution::Window { kernel: 4097, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    let geometry = zkloom_model::convolution::Convolution { groups: 1, windows: vec![window] };
    network.convolution("long", 1, &[(network.input(), geometry)]);
    assert!(
        matches!(refusal(&network, &options(1)), CompileError::Unprovable { layer, .. } if layer == "long")
    );
}
