//! Convolutions, and operations that move, pool and combine tensors: values, checks and tampering, at edge shapes.

mod common;

use common::builders::access;
use common::{Network, RELU, SATURATE, Sequence, check_layer, options};
use zkloom_circuits::{CompileOptions, WeightVisibility, compile};
use zkloom_model::access::Access;
use zkloom_model::convolution::{Convolution, Window};
use zkloom_model::integer_graph::{Activation, IntegerOp, TensorId};

fn window(kernel: usize, stride: usize, dilation: usize, (pad_begin, pad_end): (usize, usize)) -> Window {
    Window { kernel, stride, dilation, pad_begin, pad_end }
}

fn geometry(groups: usize, windows: &[Window]) -> Convolution {
    Convolution { groups, windows: windows.to_vec() }
}

/// Checks a network at several numbers of lanes.
fn check(mut network: Network, lanes: &[u32]) {
    let inputs = network.inputs();
    for lanes in lanes {
        check_layer(&network.graph, &options(*lanes), &inputs);
    }
}

#[test]
fn convolutions_of_all_geometries() {
    let same = (1, 1);
    let none = (0, 0);
    let cases: Vec<(Vec<usize>, usize, Convolution)> = vec![
        (vec![1, 1, 1], 1, geometry(1, &[window(1, 1, 1, none), window(1, 1, 1, none)])),
        (vec![1, 1, 1], 2, geometry(1, &[window(3, 1, 1, same), window(3, 1, 1, same)])),
        (vec![2, 3, 5], 3, geometry(1, &[window(3, 1, 1, same), window(3, 1, 1, same)])),
        (vec![2, 5, 7], 2, geometry(1, &[window(2, 3, 1, none), window(1, 4, 1, none)])),
        (vec![1, 4, 3], 2, geometry(1, &[window(3, 1, 2, (2, 1)), window(2, 1, 1, (0, 1))])),
        (vec![2, 2, 2], 2, geometry(1, &[window(2, 1, 1, (3, 2)), window(2, 2, 1, (2, 3))])),
        (vec![4, 3, 2], 6, geometry(2, &[window(2, 1, 1, same), window(1, 1, 1, none)])),
        (vec![3, 3, 3], 3, geometry(3, &[window(3, 2, 1, same), window(3, 1, 1, same)])),
        (vec![2, 2, 3], 4, geometry(2, &[window(1, 1, 1, none), window(2, 1, 1, none)])),
        (vec![3, 11], 2, geometry(1, &[window(5, 2, 1, (2, 0))])),
        (vec![5], 5, geometry(5, &[])),
        (
            vec![2, 2, 2, 3],
            2,
            geometry(1, &[window(2, 1, 1, none), window(2, 1, 1, same), window(2, 2, 1, none)]),
        ),
    ];
    for (shape, rows, geometry) in cases {
        let mut network = Network::new(&shape, 3);
        let acc = network.convolution("conv", rows, &[(network.input(), geometry)]);
        network.activate("relu", acc, RELU);
        check(network, &[1, 3]);
    }
}

#[test]
fn residual_blocks_are_one_claim() {
    let three = geometry(1, &[window(3, 1, 1, (1, 1)), window(3, 1, 1, (1, 1))]);
    let skip = geometry(3, &[window(1, 1, 1, (0, 0)), window(1, 1, 1, (0, 0))]);
    let mut network = Network::new(&[3, 3, 4], 3);
    let acc = network.convolution("first", 3, &[(network.input(), three.clone())]);
    let act = network.activate("relu", acc, RELU);
    let sum = network.convolution("second", 3, &[(act, three), (network.input(), skip)]);
    network.activate("again", sum, SATURATE);
    let matrices = compile(&network.graph, &options(2)).unwrap().circuit.matrices.len();
    assert_eq!(matrices, 2);
    check(network, &[1, 2, 4]);

    // A branch that is sampled down by a convolution of its own, and groups that differ.
    let strided = geometry(1, &[window(3, 2, 1, (1, 1)), window(3, 2, 1, (1, 1))]);
    let down = geometry(2, &[window(1, 2, 1, (0, 0)), window(1, 2, 1, (0, 0))]);
    let mut network = Network::new(&[2, 5, 4], 3);
    let acc = network.convolution("down", 4, &[(network.input(), strided), (network.input(), down)]);
    network.activate("relu", acc, RELU);
    check(network, &[1, 3]);
}

#[test]
fn layers_read_through_sums_without_cells() {
    // Transposed, sliced and concatenated, repeated, summed over windows.
    let mut network = Network::new(&[2, 3, 4], 3);
    let input = network.input();
    let transposed = network.access(
        "transpose",
        &[2, 4, 3],
        vec![(input, 1, access(0, 0, &[(2, 12, 12), (3, 1, 4), (4, 3, 1)]))],
    );
    let rows = network.access(
        "slice",
        &[2, 2, 3],
        vec![(transposed, 1, access(0, 3, &[(2, 6, 12), (2, 3, 6), (3, 1, 1)]))],
    );
    let joined = network.access(
        "concat",
        &[4, 2, 3],
        vec![(rows, 1, access(0, 0, &[(12, 1, 1)])), (rows, -2, access(12, 0, &[(12, 1, 1)]))],
    );
    let upsampled = network.access(
        "upsample",
        &[4, 4, 6],
        vec![(joined, 1, access(0, 0, &[(4, 24, 6), (2, 12, 3), (2, 6, 0), (3, 2, 1), (2, 1, 0)]))],
    );
    let three = geometry(1, &[window(3, 1, 1, (1, 1)), window(2, 2, 1, (0, 0))]);
    let acc = network.convolution("conv", 2, &[(upsampled, three)]);
    let act = network.activate("relu", acc, RELU);
    let pooled = network.access("pool", &[2], vec![(act, 1, access(0, 0, &[(2, 1, 12), (12, 0, 1)]))]);
    network.linear("head", pooled, 3);
    let blocks = compile(&network.graph, &options(1)).unwrap().layout.blocks.len();
    // Input and the two layers: the window reads through all of it, repeated rows and columns as well.
    assert_eq!(blocks, 3);
    check(network, &[1, 2, 5]);
}

#[test]
fn what_does_not_factor_gets_cells() {
    // A window over a dimension that a reshape made of two.
    let mut network = Network::new(&[2, 2, 6], 3);
    let swapped = network.access(
        "swap",
        &[2, 6, 2],
        vec![(network.input(), 1, access(0, 0, &[(2, 12, 12), (2, 1, 6), (6, 2, 1)]))],
    );
    let flat = network.reshape("reshape", swapped, &[2, 12]);
    let acc = network.convolution("conv", 2, &[(flat, geometry(1, &[window(3, 1, 1, (1, 1))]))]);
    network.activate("relu", acc, RELU);
    let compiled = compile(&network.graph, &options(2)).unwrap();
    assert_eq!(compiled.layout.blocks.len(), 3);
    check(network, &[1, 2]);
}

/// A maximum over windows of `kernel` along the last axis, by a tree.
fn pool(network: &mut Network, input: TensorId, kernel: usize, stride: usize) -> TensorId {
    let shape = network.graph.tensor(input).shape.clone();
    let (last, outer) = (*shape.last().unwrap(), shape.iter().rev().skip(1).product::<usize>());
    let outputs = (last - kernel) / stride + 1;
    let mut to = shape;
    *to.last_mut().unwrap() = outputs;
    let tap = |network: &mut Network, offset: usize| {
        let axes = [(outer, outputs, last), (outputs, 1, stride)];
        network.access("tap", &to, vec![(input, 1, access(0, offset, &axes))])
    };
    let mut held = tap(network, 0);
    for offset in 1..kernel {
        let next = tap(network, offset);
        held = network.maximum(&format!("larger {offset} {}", network.graph.nodes.len()), held, next);
    }
    held
}

#[test]
fn maxima_over_windows() {
    for (shape, kernel, stride) in
        [(vec![2, 4], 2, 2), (vec![3, 5], 3, 1), (vec![1, 7], 3, 2), (vec![1, 1], 1, 3)]
    {
        let mut network = Network::new(&shape, 3);
        let input = network.input();
        let pooled = pool(&mut network, input, kernel, stride);
        network.linear("head", pooled, 2);
        check(network, &[1, 2, 3]);
    }
}

#[test]
fn maxima_of_maxima_stay_tight() {
    let mut network = Network::new(&[8], 3);
    let mut held = network.input();
    for length in [4, 2, 1] {
        let half = |network: &mut Network, from: usize| {
            network.access("half", &[length], vec![(held, 1, access(0, from, &[(length, 1, 1)]))])
        };
        let (left, right) = (half(&mut network, 0), half(&mut network, length));
        held = network.maximum(&format!("larger {length}"), left, right);
    }
    let compiled = compile(&network.graph, &options(1)).unwrap();
    // Differences of 4-bit numbers, whatever the depth.
    assert_eq!(compiled.layout.tables[2].rows(), 31);
    check(network, &[1, 2]);
}

#[test]
fn products_of_tensors() {
    let mut network = Network::new(&[5], 3);
    let doubled = network.access(
        "shift",
        &[5],
        vec![
            (network.input(), 1, access(0, 0, &[(4, 1, 1)])),
            (network.input(), 2, access(4, 4, &[(1, 1, 1)])),
        ],
    );
    let product = network.multiply("product", network.input(), doubled);
    let scaled = network.access("scale", &[5], vec![(product, 3, Access::identity(5))]);
    network.activate("saturate", scaled, SATURATE);
    check(network, &[1, 2, 4]);
}

#[test]
fn functions_by_their_values() {
    let mut network = Network::new(&[4], 1);
    let acc = network.linear("dense", network.input(), 4);
    let values = (-20..20).map(|q: i32| q * q % 13 - 5).collect();
    let act = network.activate("wave", acc, Activation::Table { first: -20, values });
    network.linear("head", act, 2);
    check(network, &[1, 3]);
}

#[test]
fn indices_of_the_largest() {
    for (shape, length, inner, last) in [
        (vec![7], 7, 1, false),
        (vec![2, 5, 2], 5, 2, true),
        (vec![3, 2], 2, 1, false),
        (vec![1, 4], 1, 4, false),
    ] {
        let elements: usize = shape.iter().product();
        let mut network = Network::new(&shape, 3);
        let op = IntegerOp::ArgMax { input: network.input(), length, inner, last };
        network.node("index", &[elements / length], op);
        check(network, &[1, 2]);
    }
}

#[test]
fn zero_and_equal_weights() {
    let one = geometry(1, &[window(2, 1, 1, (1, 0)), window(1, 1, 1, (0, 0))]);
    for weight in [0, 5] {
        let mut network = Network::new(&[2, 2, 2], 3);
        let acc = network.convolution("conv", 2, &[(network.input(), one.clone())]);
        if let IntegerOp::Linear { products, .. } = &mut network.graph.nodes[0].op {
            products[0].weights.values.fill(weight);
        }
        let node = network.graph.nodes[0].clone();
        let intervals = zkloom_model::interval::channel_intervals(&node, &network.graph.tensors).unwrap();
        network.graph.tensors[acc.0].interval = zkloom_model::interval::hull(&intervals);
        network.activate("relu", acc, RELU);
        let inputs = network.inputs();
        for weights in [WeightVisibility::Public, WeightVisibility::Private] {
            let compiled = compile(&network.graph, &CompileOptions { weights, ..options(2) }).unwrap();
            for input in &inputs {
                compiled.witness(&network.graph, input).unwrap();
            }
        }
        check(network, &[1]);
    }
}

#[test]
fn random_networks() {
    for seed in 0..24 {
        let mut sequence = Sequence::new(seed + 100);
        let size = |sequence: &mut Sequence, most: i64| sequence.between(1, most) as usize;
        let shape = [size(&mut sequence, 3), size(&mut sequence, 4), size(&mut sequence, 4)];
        let mut network = Network::new(&shape, 2);
        network.sequence = Sequence::new(seed + 1);
        let mut held = network.input();
        for step in 0..3 {
            let shape = network.graph.tensor(held).shape.clone();
            held = match sequence.between(0, 3) {
                0 => {
                    let kernel = size(&mut sequence, 3);
                    let square = window(kernel, size(&mut sequence, 2), 1, (kernel / 2, kernel - 1));
                    let groups = if sequence.between(0, 1) == 0 { 1 } else { shape[0] };
                    let rows = groups * size(&mut sequence, 2);
                    let acc = network.convolution(
                        &format!("conv {step}"),
                        rows,
                        &[(held, geometry(groups, &[square, square]))],
                    );
                    network.activate(&format!("relu {step}"), acc, RELU)
                }
                1 => pool(&mut network, held, 1 + usize::from(shape[2] > 1), 1),
                2 => {
                    let [c, h, w] = [shape[0], shape[1], shape[2]];
                    let axes = [(c, 1, h * w), (h, c * w, w), (w, c, 1)];
                    network.access(
                        &format!("transpose {step}"),
                        &[h, w, c],
                        vec![(held, 1, access(0, 0, &axes))],
                    )
                }
                _ => {
                    let elements = shape.iter().product();
                    network.access(
                        "sum",
                        &shape,
                        vec![(held, 2, Access::identity(elements)), (held, -1, Access::identity(elements))],
                    )
                }
            };
        }
        let elements = network.graph.tensor(held).elements();
        let flat = network.reshape("flatten", held, &[elements]);
        network.linear("head", flat, 2);
        let lanes = sequence.between(1, 8) as u32;
        check(network, &[lanes]);
    }
}
