//! Convolutions of every geometry, over lanes, through the mock checker and the prover.

mod common;

use common::builders::{check, check_lanes, prove, window};
use common::{Network, RELU, check_layer, options};
use zkloom_circuits::{CompileOptions, WeightVisibility};
use zkloom_model::convolution::Window;

/// A convolution with an activation behind it.
fn single(shape: &[usize], channels: (usize, usize), windows: &[Window]) -> Network {
    let mut network = Network::new(shape, 3);
    let acc = network.convolved("conv", network.input(), channels, windows);
    network.activate("relu", acc, RELU);
    network
}

const LANES: [u32; 4] = [1, 2, 3, 5];

#[test]
fn along_one_axis() {
    let odd = Window { kernel: 3, stride: 2, dilation: 2, pad_begin: 3, pad_end: 1 };
    for window in [window(1, 1, 0), window(3, 1, 1), window(2, 3, 0), odd] {
        check_lanes(&mut single(&[2, 11], (3, 1), &[window]), &LANES);
    }
}

#[test]
fn strides_padding_and_dilation_in_the_plane() {
    let asymmetric = Window { kernel: 3, stride: 2, dilation: 1, pad_begin: 0, pad_end: 1 };
    let dilated = Window { kernel: 2, stride: 1, dilation: 3, pad_begin: 1, pad_end: 2 };
    let cases = [
        [window(3, 1, 1), window(3, 1, 1)],
        [window(3, 2, 1), asymmetric],
        [dilated, window(1, 1, 0)],
        [window(1, 2, 0), window(1, 2, 0)],
    ];
    for windows in cases {
        check_lanes(&mut single(&[2, 5, 7], (3, 1), &windows), &LANES);
    }
}

#[test]
fn strides_beyond_the_kernel_and_padding_beyond_the_stride() {
    check_lanes(&mut single(&[1, 7, 7], (2, 1), &[window(2, 4, 0), window(1, 5, 0)]), &LANES);
    check_lanes(&mut single(&[2, 3, 2], (2, 1), &[window(3, 1, 2), window(5, 2, 4)]), &LANES);
}

#[test]
fn images_of_one_pixel_and_single_channels() {
    check_lanes(&mut single(&[5, 1, 1], (7, 1), &[window(3, 1, 1), window(3, 1, 1)]), &LANES);
    check_lanes(&mut single(&[1, 5, 3], (1, 1), &[window(3, 1, 1), window(3, 1, 1)]), &LANES);
    check_lanes(&mut single(&[1, 1, 1], (1, 1), &[window(1, 1, 0), window(1, 1, 0)]), &[1, 2]);
}

#[test]
fn groups_and_depthwise() {
    let plane = [window(3, 1, 1), window(2, 1, 0)];
    check_lanes(&mut single(&[4, 3, 4], (6, 2), &plane), &LANES);
    check_lanes(&mut single(&[3, 3, 5], (3, 3), &plane), &LANES);
    // Two outputs for each input channel, and one for several.
    check_lanes(&mut single(&[3, 3, 3], (6, 3), &plane), &LANES);
    check_lanes(&mut single(&[6, 3, 3], (3, 3), &plane), &LANES);
}

#[test]
fn three_spatial_axes_and_none() {
    check_lanes(
        &mut single(&[2, 3, 2, 3], (2, 1), &[window(2, 1, 1), window(1, 1, 0), window(2, 2, 0)]),
        &LANES,
    );
    check_lanes(&mut single(&[6], (6, 6), &[]), &LANES);
    check_lanes(&mut single(&[6], (4, 2), &[]), &LANES);
}

#[test]
fn every_lane_count_and_every_tampered_cell() {
    let mut network = single(&[2, 3, 3], (2, 1), &[window(3, 1, 1), window(2, 1, 0)]);
    let inputs = network.inputs();
    for lanes in 1..=8 {
        check(&network.graph, &options(lanes), &inputs[5..]);
    }
    for lanes in [1, 3] {
        check_layer(&network.graph, &options(lanes), &inputs[4..]);
    }
}

/// An activation, a skip connection that scales it channel by channel, and a convolution that strides.
fn residual() -> Network {
    let mut network = Network::new(&[2, 4, 5], 3);
    let acc = network.convolved("stem", network.input(), (4, 1), &[window(3, 1, 1), window(3, 1, 1)]);
    let stem = network.activate("stem relu", acc, RELU);
    let acc = network.convolved("first", stem, (4, 1), &[window(3, 1, 1), window(3, 1, 1)]);
    let act = network.activate("first relu", acc, RELU);
    let second = network.product(act, 4, 1, &[window(3, 1, 1), window(3, 1, 1)]);
    let skip = network.product(stem, 4, 4, &[window(1, 1, 0), window(1, 1, 0)]);
    let sum = network.fused("second", vec![second, skip]);
    let act = network.activate("second relu", sum, RELU);
    let main = network.product(act, 6, 1, &[window(3, 2, 1), window(3, 2, 1)]);
    let down = network.product(stem, 6, 1, &[window(1, 2, 0), window(1, 2, 0)]);
    let sum = network.fused("third", vec![main, down]);
    network.activate("third relu", sum, RELU);
    network
}

#[test]
fn fused_residual_sums() {
    check_lanes(&mut residual(), &[1, 2, 4, 7]);
}

#[test]
fn products_of_different_groups_in_one_node() {
    let mut network = Network::new(&[4, 3, 3], 3);
    let grouped = network.product(network.input(), 4, 2, &[window(3, 1, 1), window(1, 1, 0)]);
    let depthwise = network.product(network.input(), 4, 4, &[window(1, 1, 0), window(3, 1, 1)]);
    network.fused("both", vec![grouped, depthwise]);
    check_lanes(&mut network, &LANES);
}

#[test]
fn proofs_of_residual_networks() {
    for lanes in [1, 3] {
        prove(&mut residual(), &options(lanes));
    }
    let public = CompileOptions { weights: WeightVisibility::Public, ..options(2) };
    prove(&mut single(&[3, 3, 5], (6, 3), &[window(3, 2, 1), window(2, 1, 0)]), &public);
}

#[test]
fn lanes_of_whole_rows_need_few_views() {
    let mut network = Network::new(&[8, 16, 16], 3);
    network.convolved("conv", network.input(), (8, 1), &[window(3, 1, 1), window(3, 1, 1)]);
    let options = |lanes| CompileOptions { packing: Some(0), ..options(lanes) };
    let made = common::builders::compiled(&network.graph, &options(4));
    let zkloom_plonkish::Relation::Matrix { input, ones, .. } = &made.circuit.claims[0].relation else {
        panic!()
    };
    assert_eq!((input.len(), made.circuit.claims[0].output.len(), ones.len()), (4, 4, 1));
    assert_eq!(made.circuit.matrices[0].columns, 73);
    let mut depthwise = Network::new(&[8, 4, 4], 3);
    depthwise.convolved("conv", depthwise.input(), (8, 8), &[window(3, 1, 1), window(3, 1, 1)]);
    let made = common::builders::compiled(&depthwise.graph, &options(2));
    assert_eq!((made.circuit.matrices[0].rows, made.circuit.matrices[0].columns), (1, 80));
    let zkloom_plonkish::Relation::Matrix { ones, .. } = &made.circuit.claims[0].relation else { panic!() };
    assert_eq!(ones.len(), 1);
}
