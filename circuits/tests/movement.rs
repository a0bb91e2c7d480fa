//! What only moves or adds elements: no cells until something needs them, read through by claims.

mod common;

use common::builders::{access, check_lanes, compiled, prove, window};
use common::{Network, RELU, SATURATE, check_layer, options};
use zkloom_model::integer_graph::TensorId;

const LANES: [u32; 4] = [1, 2, 3, 5];

/// A network of one activation and what `build` makes of it, read by a convolution.
fn read_by_convolution(build: impl Fn(&mut Network, TensorId) -> TensorId) -> Network {
    let mut network = Network::new(&[2, 4, 3], 3);
    let acc = network.convolved("first", network.input(), (2, 1), &[window(1, 1, 0), window(1, 1, 0)]);
    let act = network.activate("act", acc, SATURATE);
    let moved = build(&mut network, act);
    let acc = network.convolved("reader", moved, (2, 1), &[window(3, 1, 1), window(2, 1, 0)]);
    network.activate("last", acc, RELU);
    network
}

#[test]
fn slices_transposes_and_concatenations() {
    check_lanes(
        &mut read_by_convolution(|network, act| {
            network.slice("slice", act, ([1, 1, 0], [1, 2, 1], [1, 2, 3]))
        }),
        &LANES,
    );
    check_lanes(&mut read_by_convolution(|network, act| network.transposed("transpose", act)), &LANES);
    check_lanes(
        &mut read_by_convolution(|network, act| network.concat("concat", act, network.input())),
        &LANES,
    );
    check_lanes(
        &mut read_by_convolution(|network, act| {
            let slice = network.slice("slice", act, ([0, 0, 0], [1, 1, 1], [1, 4, 3]));
            let both = network.concat("concat", slice, act);
            network.transposed("transpose", both)
        }),
        &LANES,
    );
}

#[test]
fn padding_with_zeros() {
    let pad = |network: &mut Network, act| {
        let axes = [(2, 30, 12), (4, 5, 3), (3, 1, 1)];
        network.access("pad", &[2, 6, 5], vec![(act, 1, access(6, 0, &axes))])
    };
    check_lanes(&mut read_by_convolution(pad), &LANES);
}

#[test]
fn upsampling_and_broadcasts() {
    check_lanes(&mut read_by_convolution(|network, act| network.upsampled("up", act)), &LANES);
    check_lanes(&mut read_by_convolution(|network, act| network.spread_sums("spread", act)), &LANES);
}

#[test]
fn averages_and_residual_sums() {
    let mut network = Network::new(&[3, 4, 4], 2);
    let input = network.input();
    // Two by two, stride two.
    let axes = [(3, 4, 16), (2, 2, 8), (2, 1, 2), (2, 0, 4), (2, 0, 1)];
    let pooled = network.access("pool", &[3, 2, 2], vec![(input, 1, access(0, 0, &axes))]);
    let act = network.activate("rounded", pooled, SATURATE);
    let corner = network.slice("corner", input, ([0, 1, 1], [1, 2, 2], [3, 2, 2]));
    let sum = network.sum("residual", &[(act, 3), (corner, -2)], Vec::new());
    network.activate("act", sum, RELU);
    check_lanes(&mut network, &LANES);
}

#[test]
fn biased_sums_of_moved_elements() {
    let mut network = Network::new(&[2, 3], 2);
    let bias = network.sequence.vector(6, -20, 20);
    let flipped = network.access(
        "transposed",
        &[2, 3],
        vec![(network.input(), 2, access(0, 0, &[(2, 1, 3), (3, 2, 1)]))],
    );
    let sum = network.sum("sum", &[(flipped, 3), (network.input(), 1)], bias);
    network.activate("act", sum, SATURATE);
    let inputs = network.inputs();
    for lanes in [1, 2, 4] {
        check_layer(&network.graph, &options(lanes), &inputs[4..]);
    }
}

#[test]
fn accumulators_that_are_read_and_shared() {
    let mut network = Network::new(&[2, 3, 3], 3);
    let acc = network.convolved("conv", network.input(), (2, 1), &[window(3, 1, 1), window(3, 1, 1)]);
    let relu = network.activate("relu", acc, RELU);
    let both = network.activate("saturate", acc, SATURATE);
    let sum = network.sum("sum", &[(acc, 1), (relu, 5), (both, -3)], Vec::new());
    network.activate("again", sum, RELU);
    check_lanes(&mut network, &LANES);
}

#[test]
fn the_input_activated_and_an_output_that_only_moves() {
    let mut network = Network::new(&[2, 2, 3], 1);
    let act = network.activate("relu", network.input(), RELU);
    network.transposed("output", act);
    let inputs = network.inputs();
    for lanes in [1, 2, 3] {
        check_layer(&network.graph, &options(lanes), &inputs[4..]);
    }
    // The same with a chain of views of views and a shape of its own.
    let up = network.upsampled("up", network.graph.output);
    let flat = network.reshape("flat", up, &[4, 12]);
    network.linear("head", flat, 2);
    check_lanes(&mut network, &LANES);
}

#[test]
fn sums_of_nothing_are_zero() {
    let mut network = Network::new(&[3], 1);
    let zeros = network.access("zeros", &[4], vec![]);
    check_lanes(&mut network, &[1, 2]);
    let sum = network.access(
        "sum",
        &[4],
        vec![(zeros, 1, access(0, 0, &[(4, 1, 1)])), (TensorId(0), 2, access(1, 0, &[(3, 1, 1)]))],
    );
    network.linear("dense", sum, 2);
    check_lanes(&mut network, &[1, 2]);
}

#[test]
fn what_only_moves_has_no_rows() {
    let network = read_by_convolution(|network, act| network.concat("concat", act, network.input()));
    let report = compiled(&network.graph, &options(1)).report();
    let rows = |name: &str| report.layers.iter().find(|layer| layer.name == name).unwrap().rows;
    assert_eq!((rows("concat"), rows("act"), rows("last")), (0, 0, 0));
    assert_eq!((rows("first"), rows("reader")), (24, 2 * 4 * 2));
}

#[test]
fn proofs_through_views_of_views() {
    let chain = |network: &mut Network, act| {
        let up = network.upsampled("up", act);
        let slice = network.slice("slice", up, ([0, 1, 1], [1, 1, 2], [2, 5, 2]));
        network.transposed("transpose", slice)
    };
    let mut network = read_by_convolution(chain);
    check_lanes(&mut network, &LANES);
    for lanes in [1, 2] {
        prove(&mut network, &options(lanes));
    }
}
