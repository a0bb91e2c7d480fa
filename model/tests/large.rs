//! ResNet-18 at full size, with random weights: quantisation, interval analysis and the executor in reasonable time.

mod common;

use std::time::{Duration, Instant};

use common::{Network, window};
use zkloom_model::float_graph::ValueId;
use zkloom_model::interval::check_intervals;
use zkloom_model::quantise::{QuantisationOptions, quantise};
use zkloom_model::{IntegerOp, Product};

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    let elapsed = start.elapsed();
    println!("{what}: {elapsed:?}");
    (result, elapsed)
}

/// Halves the residual branch, so that activations do not grow from block to block.
const BRANCH: f32 = 0.5;

fn block(net: &mut Network, name: &str, input: ValueId, channels: usize) -> ValueId {
    let before = net.shape(input)[0];
    let stride = if channels == before { 1 } else { 2 };
    let first = net.convolution(&format!("{name}_1"), input, (channels, 1), window(3, stride, 1));
    let first = net.relu(&format!("{name}_1_relu"), first);
    let second = net.convolution(&format!("{name}_2"), first, (channels, 1), window(3, 1, 1));
    let shortcut = if stride == 1 {
        input
    } else {
        net.convolution(&format!("{name}_short"), input, (channels, 1), window(1, 2, 0))
    };
    let sum = net.add(&format!("{name}_add"), &[(second, BRANCH), (shortcut, 1.0 - BRANCH / 2.0)]);
    net.relu(&format!("{name}_relu"), sum)
}

fn resnet_18() -> Network {
    let mut net = Network::new(1, &[3, 224, 224]);
    let stem = net.convolution("stem", ValueId(0), (64, 1), window(7, 2, 3));
    let stem = net.relu("stem_relu", stem);
    let mut value = net.max_pool("pool", stem, 2);
    for (stage, channels) in [64, 128, 256, 512].into_iter().enumerate() {
        for index in 0..2 {
            value = block(&mut net, &format!("block{stage}{index}"), value, channels);
        }
    }
    let pooled = net.global_average("average", value);
    let flat = net.reshape("flat", pooled, &[512]);
    net.dense("classes", flat, 1000);
    net
}

#[test]
#[ignore = "about a minute: float inferences of 1.8 billion products each"]
fn resnet_18_runs_in_seconds() {
    let mut net = resnet_18();
    let data = net.images(2);
    let (quantised, _) =
        timed("quantise", || quantise(&net.graph, &data, &QuantisationOptions::default()).expect("quantise"));
    println!("{}", quantised.report);
    let graph = quantised.graph;
    let products = graph.nodes.iter().filter_map(|node| match &node.op {
        IntegerOp::Linear { products, .. } => {
            let outputs = graph.tensor(node.output).elements();
            let of = |product: &Product| outputs * product.weights.columns;
            Some(products.iter().map(of).sum::<usize>())
        }
        _ => None,
    });
    println!("{} million products", products.sum::<usize>() / 1_000_000);
    let (_, intervals) = timed("intervals", || check_intervals(&graph).expect("intervals"));
    assert!(intervals < Duration::from_secs(5), "{intervals:?}");
    let samples = data.samples(&[3, 224, 224]).expect("samples");
    let input = graph.quantise_input(samples.get(1).expect("sample")).expect("input");
    let (fast, elapsed) = timed("run", || graph.run(&input).expect("run"));
    // A second or two on two cores.
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    let (slow, _) = timed("interpret", || graph.interpret(&input).expect("interpret"));
    assert_eq!(fast, slow);
    let worst = quantised.report.worst(1)[0];
    assert!(worst.signal_to_noise > Some(15.0), "{worst:?}");
}
