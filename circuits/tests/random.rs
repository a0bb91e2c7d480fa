//! Random small networks of all operations, in random numbers of lanes, against the mock checker.

mod common;

use common::builders::{access, check, window};
use common::{Network, RELU, SATURATE};
use zkloom_circuits::{CompileOptions, WeightVisibility};
use zkloom_model::convolution::Window;
use zkloom_model::integer_graph::TensorId;

fn pick(network: &mut Network, from: usize) -> usize {
    network.sequence.between(0, from as i64 - 1) as usize
}

fn random_window(network: &mut Network, size: usize) -> Window {
    let mut window = window(1 + pick(network, 3), 1 + pick(network, 2), 0);
    (window.pad_begin, window.pad_end) = (pick(network, 3), pick(network, 3));
    window.dilation = 1 + pick(network, 2);
    // Long kernels on short axes get enough padding.
    window.pad_end +=
        (window.dilation * (window.kernel - 1) + 1).saturating_sub(size + window.pad_begin + window.pad_end);
    window
}

/// One more operation on `input`, a `[C, H, W]`; the result is one as well.
fn step(network: &mut Network, input: TensorId, number: usize) -> TensorId {
    let name = format!("node {number}");
    let [c, h, w]: [usize; 3] = network.shape(input).try_into().unwrap();
    match pick(network, 9) {
        0 | 1 => {
            let groups = if c > 1 && pick(network, 2) == 0 { c } else { 1 };
            let windows = [random_window(network, h), random_window(network, w)];
            let rows = groups * (1 + pick(network, 2));
            let mut products = vec![network.product(input, rows, groups, &windows)];
            if pick(network, 2) == 0 {
                products.push(network.product(input, rows, 1, &windows));
            }
            let acc = network.fused(&format!("{name} acc"), products);
            network.activate(&name, acc, if number.is_multiple_of(2) { RELU } else { SATURATE })
        }
        2 => network.transposed(&name, input),
        3 if c * h * w < 30 => network.concat(&name, input, input),
        4 => {
            let steps = [1, 1 + pick(network, 2), 1 + pick(network, 2)];
            let start = [pick(network, c), pick(network, h), pick(network, w)];
            let size = |axis: usize, size: usize| (size - start[axis]).div_ceil(steps[axis]);
            let shape = [size(0, c), size(1, h), size(2, w)];
            network.slice(&name, input, (start, steps, shape))
        }
        5 if c * h * w < 15 => network.upsampled(&name, input),
        6 if h > 1 && w > 1 => network.max_pool(&name, input, (2, 1)),
        7 => {
            let reversed = network.access(
                &format!("{name} turned"),
                &[c, h, w],
                vec![(input, -1, access(0, 0, &[(c * h, w, w), (w, 1, 1)]))],
            );
            network.maximum(&name, input, reversed)
        }
        8 if network.graph.tensor(input).interval.max < 64 => {
            let squared = network.multiply(&format!("{name} squared"), input, input);
            network.activate(&name, squared, SATURATE)
        }
        _ => {
            let sum = network.sum(&format!("{name} sum"), &[(input, 2), (input, 1)], Vec::new());
            network.activate(&name, sum, SATURATE)
        }
    }
}

#[test]
fn random_networks() {
    for seed in 1..=60 {
        let mut network = Network::seeded(&[2, 3, 4], 2, seed);
        let mut current = network.input();
        for number in 0..2 + seed as usize % 4 {
            current = step(&mut network, current, number);
        }
        if network.graph.tensor(current).elements() > 400 {
            continue;
        }
        let lanes = 1 + pick(&mut network, 8) as u32;
        let weights = if seed % 3 == 0 { WeightVisibility::Public } else { WeightVisibility::Private };
        let options = CompileOptions { lanes: Some(lanes), weights, ..CompileOptions::default() };
        let inputs = network.inputs();
        println!("seed {seed}, {lanes} lanes, {} nodes", network.graph.nodes.len());
        check(&network.graph, &options, &inputs[3..]);
    }
}
