//! Maxima, products, functions by table, and the index of the largest element.

mod common;

use common::builders::{check, check_lanes, prove, window};
use common::{Network, RELU, SATURATE, check_layer, options};
use zkloom_model::integer_graph::{Activation, IntegerOp, TensorId};

const LANES: [u32; 4] = [1, 2, 3, 5];

#[test]
fn maxima_by_hand_and_with_every_cell_tampered() {
    for shift in [0, 2] {
        let mut network = Network::new(&[2, 3], shift);
        let negated = network.sum("negated", &[(network.input(), -1)], Vec::new());
        network.maximum("absolute", network.input(), negated);
        if shift > 0 {
            network.activate("act", network.graph.output, SATURATE);
        }
        let inputs = network.inputs();
        for lanes in [1, 2, 4] {
            check_layer(&network.graph, &options(lanes), &inputs[4..]);
        }
    }
}

#[test]
fn pooling_at_edge_shapes() {
    for (shape, kernel) in [
        ([2, 4, 4], (2, 2)),
        ([1, 5, 7], (3, 2)),
        ([3, 3, 3], (2, 1)),
        ([5, 2, 2], (2, 2)),
        ([2, 1, 1], (1, 1)),
    ] {
        let mut network = Network::new(&shape, 2);
        let acc =
            network.convolved("conv", network.input(), (shape[0], 1), &[window(1, 1, 0), window(1, 1, 0)]);
        let act = network.activate("relu", acc, RELU);
        let pooled = network.max_pool("pool", act, kernel);
        network.convolved("next", pooled, (2, 1), &[window(1, 1, 0), window(1, 1, 0)]);
        check_lanes(&mut network, &LANES);
    }
}

#[test]
fn pools_of_many_elements_and_of_pools() {
    let mut network = Network::new(&[1, 9, 9], 2);
    let first = network.max_pool("first", network.input(), (5, 2));
    let second = network.max_pool("second", first, (3, 1));
    let flat = network.reshape("flat", second, &[1]);
    network.linear("head", flat, 2);
    check_lanes(&mut network, &[1, 4]);
}

#[test]
fn products_of_tensors() {
    let mut network = Network::new(&[2, 3, 2], 2);
    let acc = network.convolved("conv", network.input(), (2, 1), &[window(1, 1, 0), window(1, 1, 0)]);
    let gate = network.activate("gate", acc, RELU);
    let product = network.multiply("product", network.input(), gate);
    network.activate("act", product, SATURATE);
    check_lanes(&mut network, &LANES);
    let mut square = Network::new(&[3], 0);
    square.multiply("square", square.input(), square.input());
    let inputs = square.inputs();
    for lanes in [1, 2] {
        check_layer(&square.graph, &options(lanes), &inputs[4..]);
    }
}

#[test]
fn functions_by_table() {
    let table = Activation::Table { first: -4, values: vec![3, 1, 4, 1, 5, -9, 2, 6] };
    let mut network = Network::new(&[2, 4], 2);
    let acc = network.linear("dense", network.input(), 3);
    let act = network.activate("table", acc, table.clone());
    let acc = network.linear("second", act, 2);
    network.activate("again", acc, table);
    check_lanes(&mut network, &LANES);
}

fn index_of_largest(shape: &[usize], (length, inner, last): (usize, usize, bool)) -> Network {
    let mut network = Network::new(shape, 0);
    let elements: usize = shape.iter().product();
    let op = IntegerOp::ArgMax { input: network.input(), length, inner, last };
    network.node("index", &[elements / length], op);
    network
}

#[test]
fn indices_of_largest_elements() {
    for last in [false, true] {
        for (shape, length, inner) in [
            (vec![6], 6, 1),
            (vec![2, 3, 2], 3, 2),
            (vec![7, 2], 7, 2),
            (vec![3, 1], 1, 1),
            (vec![2, 2], 2, 1),
        ] {
            let mut network = index_of_largest(&shape, (length, inner, last));
            let inputs = network.inputs();
            for lanes in [1, 2, 3] {
                check(&network.graph, &options(lanes), &inputs);
            }
        }
        let mut network = index_of_largest(&[4], (4, 1, last));
        let ties = vec![vec![7, 7, 7, 7], vec![-8, 2, 2, 1]];
        check_layer(&network.graph, &options(2), &ties);
        prove(&mut network, &options(1));
    }
}

#[test]
fn indices_of_scores_that_a_layer_makes() {
    let mut network = Network::new(&[4], 3);
    let acc = network.linear("dense", network.input(), 5);
    let scores = network.activate("scores", acc, SATURATE);
    network.node("index", &[1], IntegerOp::ArgMax { input: scores, length: 5, inner: 1, last: false });
    check_lanes(&mut network, &LANES);
}

#[test]
fn proofs_with_pools_and_products() {
    let mut network = Network::new(&[2, 4, 4], 3);
    let acc = network.convolved("conv", network.input(), (2, 1), &[window(3, 1, 1), window(3, 1, 1)]);
    let act = network.activate("relu", acc, RELU);
    let pooled = network.max_pool("pool", act, (2, 2));
    let squared = network.multiply("squared", pooled, pooled);
    let act = network.activate("again", squared, RELU);
    let flat = network.reshape("flat", act, &[8]);
    network.linear("head", flat, 3);
    check_lanes(&mut network, &LANES);
    for lanes in [1, 4] {
        prove(&mut network, &options(lanes));
    }
    assert_eq!(network.graph.input, TensorId(0));
}
