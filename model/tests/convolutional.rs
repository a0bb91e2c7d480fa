//! Quantisation of convolutional networks: every operation, integers against floats.

mod common;

use common::{Network, window};
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{FloatGraph, FloatOp, ValueId};
use zkloom_model::function::Function;
use zkloom_model::interval::check_intervals;
use zkloom_model::quantise::{Calibration, QuantisationOptions, Quantised, RangePolicy, quantise};
use zkloom_model::{Activation, IntegerGraph, IntegerOp};

fn default(graph: &FloatGraph, data: &Dataset) -> Quantised {
    with(graph, data, &QuantisationOptions::default())
}

fn with(graph: &FloatGraph, data: &Dataset, options: &QuantisationOptions) -> Quantised {
    let quantised = quantise(graph, data, options).expect("quantise");
    check_intervals(&quantised.graph).expect("intervals");
    quantised
}

/// Signal-to-noise ratio of the output over samples, in decibels.
fn quality(graph: &FloatGraph, quantised: &IntegerGraph, data: &Dataset) -> f64 {
    let shape = &graph.values[graph.input.0].shape;
    let (mut signal, mut noise) = (0.0, 0.0);
    for sample in data.samples(shape).expect("samples").iter() {
        let float = graph.run(sample).expect("float").swap_remove(graph.output.0);
        let values = quantised.run(&quantised.quantise_input(sample).expect("input")).expect("run");
        let integer = quantised.dequantise_output(&values[quantised.output.0]);
        for (float, integer) in float.iter().zip(integer) {
            signal += f64::from(float * float);
            noise += f64::from((float - integer) * (float - integer));
        }
    }
    10.0 * (signal / noise).log10()
}

fn count(graph: &IntegerGraph, kind: fn(&IntegerOp) -> bool) -> usize {
    graph.nodes.iter().filter(|node| kind(&node.op)).count()
}

fn is_activate(op: &IntegerOp) -> bool {
    matches!(op, IntegerOp::Activate { .. })
}

/// Two residual blocks, the second with a strided convolution on its shortcut.
fn residual(seed: u64) -> (Network, Dataset) {
    let mut net = Network::new(seed, &[3, 12, 12]);
    let stem = net.convolution("stem", ValueId(0), (8, 1), window(3, 1, 1));
    let stem = net.relu("stem_relu", stem);
    let first = net.convolution("a1", stem, (8, 1), window(3, 1, 1));
    let first = net.relu("a1_relu", first);
    let second = net.convolution("a2", first, (8, 1), window(3, 1, 1));
    let sum = net.add("a_add", &[(second, 1.0), (stem, 1.0)]);
    let block = net.relu("a_relu", sum);
    let first = net.convolution("b1", block, (16, 1), window(3, 2, 1));
    let first = net.relu("b1_relu", first);
    let second = net.convolution("b2", first, (16, 1), window(3, 1, 1));
    let short = net.convolution("b_short", block, (16, 1), window(1, 2, 0));
    let sum = net.add("b_add", &[(short, 1.0), (second, 1.0)]);
    let block = net.relu("b_relu", sum);
    let pooled = net.global_average("pool", block);
    let flat = net.reshape("flat", pooled, &[16]);
    net.dense("classes", flat, 10);
    let data = net.images(16);
    (net, data)
}

#[test]
fn residual_sums_are_fused_with_their_convolutions() {
    let (net, data) = residual(1);
    let quantised = default(&net.graph, &data);
    let graph = &quantised.graph;
    println!("{}", quantised.report);
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    let expected = [
        "stem",
        "stem_relu",
        "a1",
        "a1_relu",
        "a_add",
        "a_relu",
        "b1",
        "b1_relu",
        "b_add",
        "b_relu",
        "pool",
        "flat",
        "classes",
    ];
    assert_eq!(names, expected);
    let products = |name: &str| match &graph.nodes.iter().find(|node| node.name == name).expect("node").op {
        IntegerOp::Linear { products, .. } => products.len(),
        op => panic!("{op:?}"),
    };
    assert_eq!((products("a_add"), products("b_add")), (2, 2));
    // One requantisation for each ReLU, none for the average: it is the sum of its terms.
    assert_eq!(count(graph, is_activate), 5);
    let quality = quality(&net.graph, graph, &data);
    println!("{quality} dB");
    assert!(quality > 28.0, "{quality}");
}

#[test]
fn pooling_concatenation_and_transposition_cost_no_requantisation() {
    let mut net = Network::new(2, &[2, 13, 11]);
    let left = net.convolution("left", ValueId(0), (6, 1), window(3, 1, 1));
    let left = net.relu("left_relu", left);
    let right = net.convolution("right", ValueId(0), (4, 2), window(5, 1, 2));
    let both = net.concatenate("concat", &[left, right]);
    let pooled = net.max_pool("max_pool", both, 2);
    let averaged = net.average_pool("average", pooled, window(3, 2, 1));
    let mixed = net.convolution("mix", averaged, (5, 1), window(1, 1, 0));
    net.relu("mix_relu", mixed);
    let data = net.images(12);
    let quantised = default(&net.graph, &data);
    let graph = &quantised.graph;
    println!("{}", quantised.report);
    // Left, right, the wide average before its convolution, and the last ReLU.
    assert_eq!(count(graph, is_activate), 4);
    assert_eq!(count(graph, |op| matches!(op, IntegerOp::Maximum { .. })), 3);
    let scale = |name: &str| {
        let tensor = graph.tensors.iter().find(|tensor| tensor.name == name);
        tensor.unwrap_or_else(|| panic!("no tensor {name}")).scale
    };
    for tied in ["right_out", "concat_out", "max_pool_out"] {
        assert!((scale(tied) / scale("left_relu_out") - 1.0).abs() < 1e-9, "{tied}");
    }
    assert!((scale("average_out") * 36.0 / scale("concat_out") - 1.0).abs() < 1e-6);
    let quality = quality(&net.graph, graph, &data);
    println!("{quality} dB");
    assert!(quality > 28.0, "{quality}");
}

/// A depthwise-separable block with SiLU and a gate over the channels.
fn gated(seed: u64) -> (Network, Dataset) {
    let mut net = Network::new(seed, &[3, 10, 10]);
    let stem = net.convolution("stem", ValueId(0), (12, 1), window(3, 1, 1));
    let stem = net.pointwise("stem_silu", stem, Function::Swish { beta: 1.0 });
    let depth = net.convolution("depth", stem, (12, 12), window(3, 1, 1));
    let depth = net.pointwise("depth_silu", depth, Function::Swish { beta: 1.0 });
    let squeezed = net.global_average("squeeze", depth);
    let inner = net.convolution("gate1", squeezed, (4, 1), window(1, 1, 0));
    let inner = net.relu("gate1_relu", inner);
    let gate = net.convolution("gate2", inner, (12, 1), window(1, 1, 0));
    let gate = net.pointwise("gate", gate, Function::Sigmoid);
    let gate = net.broadcast("spread", gate, depth);
    let shape = net.shape(depth);
    let scaled = net.push("scaled", shape, FloatOp::Multiply { left: depth, right: gate });
    let point = net.convolution("point", scaled, (12, 1), window(1, 1, 0));
    let sum = net.add("add", &[(point, 1.0), (stem, 1.0)]);
    let pooled = net.global_average("pool", sum);
    let flat = net.reshape("flat", pooled, &[12]);
    net.dense("classes", flat, 7);
    let data = net.images(16);
    (net, data)
}

#[test]
fn functions_gates_and_depthwise_convolutions() {
    let (net, data) = gated(3);
    let quantised = default(&net.graph, &data);
    println!("{}", quantised.report);
    let quality_8 = quality(&net.graph, &quantised.graph, &data);
    let tables =
        |op: &IntegerOp| matches!(op, IntegerOp::Activate { function: Activation::Table { .. }, .. });
    // Two SiLUs, the sigmoid, and the product on its way to an activation.
    assert_eq!(count(&quantised.graph, tables), 4);
    let bits = |bits| {
        let options = QuantisationOptions { bits, ..Default::default() };
        quality(&net.graph, &with(&net.graph, &data, &options).graph, &data)
    };
    let (coarse, fine) = (bits(4), bits(12));
    println!("{coarse} dB with 4 bits, {quality_8} with 8, {fine} with 12");
    assert!(quality_8 > 26.0 && coarse > 5.0 && fine > quality_8 + 2.0, "{coarse} {quality_8} {fine}");
}

#[test]
fn every_function_is_a_table_within_two_steps() {
    let functions = [
        Function::LeakyRelu { slope: 0.1 },
        Function::Elu { alpha: 1.0 },
        Function::Sigmoid,
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::HardSwish,
        Function::Swish { beta: 1.0 },
        Function::Tanh,
        Function::Softplus,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::Exp,
        Function::Abs,
        Function::Square,
        Function::Affine { factor: -0.7, shift: 0.3 },
    ];
    for function in functions {
        // Once from an accumulator, once more from the activation that this gives.
        let mut net = Network::new(4, &[2, 6, 6]);
        let linear = net.convolution("linear", ValueId(0), (6, 1), window(3, 1, 1));
        net.pointwise("first", linear, function.clone());
        net.pointwise("second", ValueId(2), function.clone());
        let data = net.images(24);
        let report = default(&net.graph, &data).report;
        for layer in &report.layers {
            assert!(layer.mean_error < 2.0 * layer.scale, "{function:?}\n{report}");
        }
        assert_eq!(report.layers.len(), 2);
    }
}

#[test]
fn strict_networks_refuse_what_saturating_ones_cut() {
    let (net, data) = residual(5);
    let strict = QuantisationOptions { range: RangePolicy::Strict, ..Default::default() };
    let (saturating, strict) = (default(&net.graph, &data).graph, with(&net.graph, &data, &strict).graph);
    let width = |graph: &IntegerGraph| {
        let domains = graph.nodes.iter().filter_map(|node| match &node.op {
            IntegerOp::Activate { domain, .. } => {
                assert!(domain.contains(0));
                Some(domain.max - domain.min)
            }
            _ => None,
        });
        domains.max().expect("activations")
    };
    println!("domains: {} saturating, {} strict", width(&saturating), width(&strict));
    // Domains end at powers of two.
    assert!(width(&strict) < 2048 && width(&saturating) > 2 * width(&strict));
    // The calibration set itself passes, with the same values.
    for sample in data.samples(&[3, 12, 12]).expect("samples").iter() {
        let input = saturating.quantise_input(sample).expect("input");
        assert_eq!(saturating.run(&input), strict.run(&input));
    }
    // A checkerboard at the ends of the input's interval is like nothing in it.
    let ends = saturating.tensor(saturating.input).interval;
    let extreme: Vec<i64> =
        (0..432).map(|i| if (i / 12 + i) % 2 == 0 { ends.min } else { ends.max }).collect();
    saturating.run(&extreme).expect("every input has a result");
    let error = strict.run(&extreme).expect_err("outside the domain").to_string();
    assert!(error.contains("the range that the network was calibrated for"), "{error}");
}

#[test]
fn percentiles_and_least_error_cut_outliers() {
    let (net, mut outliers) = residual(6);
    // One sample in sixteen is ten times as bright in one pixel.
    let shape = [16, 3, 12, 12];
    let mut values: Vec<f32> =
        outliers.samples(&shape[1..]).expect("samples").iter().flatten().copied().collect();
    values[200] = 12.0;
    outliers = Dataset::new(shape.to_vec(), values.clone(), None).expect("data");
    // Judged without the outlier.
    let judged = Dataset::new(vec![15, 3, 12, 12], values[432..].to_vec(), None).expect("data");
    let quality = |calibration| {
        let options = QuantisationOptions { calibration, bits: 4, ..Default::default() };
        quality(&net.graph, &with(&net.graph, &outliers, &options).graph, &judged)
    };
    let (all, percentile, least) = (
        quality(Calibration::MinMax),
        quality(Calibration::Percentile(99.9)),
        quality(Calibration::MeanSquareError),
    );
    println!("{all} dB, {percentile} at 99.9 %, {least} with the least error");
    assert!(percentile > all && least > all, "{all} {percentile} {least}");
    let options = QuantisationOptions { calibration: Calibration::Percentile(50.0), ..Default::default() };
    let error = quantise(&net.graph, &outliers, &options).expect_err("percentile");
    assert!(error.to_string().contains("the calibration percentile is 50"), "{error}");
}

#[test]
fn an_index_is_the_largest_of_what_was_quantised() {
    let mut net = Network::new(7, &[5, 4, 3]);
    let mixed = net.convolution("mix", ValueId(0), (6, 1), window(1, 1, 0));
    net.push("index", vec![4, 3], FloatOp::ArgMax { input: mixed, length: 6, inner: 12, last: false });
    let data = net.images(30);
    let graph = default(&net.graph, &data).graph;
    let (mut same, mut total) = (0, 0);
    for sample in data.samples(&[5, 4, 3]).expect("samples").iter() {
        let float = net.graph.run(sample).expect("float").pop().expect("output");
        let values = graph.run(&graph.quantise_input(sample).expect("input")).expect("run");
        let integer = graph.dequantise_output(&values[graph.output.0]);
        same += float.iter().zip(&integer).filter(|(float, integer)| float == integer).count();
        total += float.len();
    }
    println!("{same} of {total} indices");
    assert!(same * 100 > total * 95, "{same} of {total}");
    assert_eq!(graph.tensor(graph.output).scale, 1.0);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let (net, data) = gated(8);
    let options = QuantisationOptions { calibration: Calibration::MeanSquareError, ..Default::default() };
    let first = with(&net.graph, &data, &options);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
    assert_eq!(first, threads.install(|| with(&net.graph, &data, &options)));
}

#[test]
fn the_report_names_the_worst_layers() {
    let mut net = Network::new(9, &[3, 8, 8]);
    let first = net.convolution("first", ValueId(0), (6, 1), window(3, 1, 1));
    let first = net.relu("first_relu", first);
    let second = net.convolution("spoilt", first, (6, 1), window(3, 1, 1));
    net.relu("spoilt_relu", second);
    let data = net.images(8);
    // One channel a thousand times as large as the others takes their resolution.
    let FloatOp::Convolution { weights, .. } = &mut net.graph.nodes[2].op else { panic!("a convolution") };
    weights.values[..54].iter_mut().for_each(|weight| *weight *= 1000.0);
    net.random = rand::SeedableRng::seed_from_u64(1);
    let third = net.convolution("third", ValueId(4), (4, 1), window(1, 1, 0));
    let FloatOp::Convolution { weights, .. } = &mut net.graph.nodes[4].op else { panic!("a convolution") };
    // And nothing reads that channel.
    weights.values.iter_mut().step_by(6).for_each(|weight| *weight = 0.0);
    net.relu("third_relu", third);
    let report = default(&net.graph, &data).report;
    println!("{report}");
    let worst = report.worst(2);
    assert_eq!(worst[0].name, "third_relu");
    assert!(worst[0].signal_to_noise < worst[1].signal_to_noise);
    let ratio = worst[0].signal_to_noise.expect("noisy");
    assert!(ratio < 20.0, "{ratio}");
    assert!(report.to_string().contains(&format!("worst layers: third_relu ({ratio:.1} dB), ")), "{report}");
    assert_eq!(report.worst(99).len(), report.layers.len());
}

/// Inverted bottlenecks as in MobileNet with ReLU, whose channels have ranges as uneven as trained ones.
fn separable(seed: u64, unevenness: f32) -> (Network, Dataset) {
    let mut net = Network::new(seed, &[3, 14, 14]);
    let mut value = net.convolution("stem", ValueId(0), (12, 1), window(3, 1, 1));
    value = net.relu("stem_relu", value);
    for block in 0..3 {
        let expanded = net.convolution(&format!("expand{block}"), value, (36, 1), window(1, 1, 0));
        let expanded = net.relu(&format!("expand{block}_relu"), expanded);
        let depth = net.convolution(&format!("depth{block}"), expanded, (36, 36), window(3, 1, 1));
        let depth = net.relu(&format!("depth{block}_relu"), depth);
        let projected = net.convolution(&format!("project{block}"), depth, (12, 1), window(1, 1, 0));
        value = net.add(&format!("add{block}"), &[(projected, 1.0), (value, 0.7)]);
    }
    let pooled = net.global_average("pool", value);
    let flat = net.reshape("flat", pooled, &[12]);
    net.dense("classes", flat, 10);
    // Uneven channels that the next layer makes up for, as training leaves them.
    let uneven: Vec<f32> = (0..36).map(|channel| unevenness.powf((channel * 7 % 36) as f32 / 36.0)).collect();
    for node in &mut net.graph.nodes {
        let FloatOp::Convolution { weights, bias, .. } = &mut node.op else { continue };
        let columns = weights.columns;
        if node.name.starts_with("expand") || node.name.starts_with("depth") {
            for (row, factor) in weights.values.chunks_mut(columns).zip(&uneven) {
                row.iter_mut().for_each(|weight| *weight *= factor);
            }
            bias.iter_mut().zip(&uneven).for_each(|(bias, factor)| *bias *= factor);
        }
        if node.name.starts_with("project") {
            for (index, weight) in weights.values.iter_mut().enumerate() {
                *weight /= uneven[index % columns].powi(2);
            }
        }
    }
    let data = net.images(12);
    (net, data)
}

#[test]
fn equalisation_and_bias_correction_lower_the_error() {
    for unevenness in [1.0, 8.0] {
        let (net, data) = separable(10, unevenness);
        let quality = |equalisation, bias_correction| {
            let options = QuantisationOptions { equalisation, bias_correction, ..Default::default() };
            quality(&net.graph, &with(&net.graph, &data, &options).graph, &data)
        };
        let (neither, corrected, equalised, both) =
            (quality(false, false), quality(false, true), quality(true, false), quality(true, true));
        println!(
            "unevenness {unevenness}: {neither} dB, {corrected} corrected, {equalised} equalised, {both} both"
        );
        assert!(corrected > neither && both > corrected - 0.5, "{neither} {corrected} {equalised} {both}");
        assert!(unevenness == 1.0 || both > corrected + 3.0, "{corrected} {both}");
    }
}

#[test]
fn dense_residual_sums_are_fused_too() {
    let mut net = Network::new(11, &[1, 4, 6]);
    let flat = net.reshape("flat", ValueId(0), &[24]);
    let first = net.dense("first", flat, 24);
    let first = net.relu("first_relu", first);
    let second = net.dense("second", first, 24);
    let elements = net.elements(second);
    let sum = FloatOp::sum(elements, vec![(second, -0.5), (first, 0.75), (flat, 1.0)], vec![0.25; 24]);
    let sum = net.push("sum", vec![24], sum);
    net.relu("sum_relu", sum);
    let data = net.images(20);
    let graph = default(&net.graph, &data).graph;
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    // The bias is alike in all places of a channel, and here each element is a channel.
    assert_eq!(names, ["flat", "first", "first_relu", "sum", "sum_relu"]);
    let IntegerOp::Linear { products, .. } = &graph.nodes[3].op else { panic!("not fused") };
    assert_eq!(products.len(), 3);
    let quality = quality(&net.graph, &graph, &data);
    println!("{quality} dB");
    assert!(quality > 35.0, "{quality}");
}

#[test]
fn what_is_read_elsewhere_is_not_fused() {
    let mut net = Network::new(12, &[2, 6, 6]);
    let first = net.convolution("first", ValueId(0), (4, 1), window(3, 1, 1));
    let second = net.convolution("second", first, (4, 1), window(3, 1, 1));
    let sum = net.add("sum", &[(first, 1.0), (second, 1.0)]);
    net.convolution("third", sum, (2, 1), window(1, 1, 0));
    let data = net.images(8);
    let graph = default(&net.graph, &data).graph;
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["first", "first", "sum", "sum", "third"]);
    assert!(quality(&net.graph, &graph, &data) > 30.0);
}

#[test]
fn a_maximum_of_values_that_cannot_share_a_scale_rescales_one() {
    let mut net = Network::new(13, &[3, 6, 6]);
    let value = net.convolution("linear", ValueId(0), (4, 1), window(3, 1, 1));
    let average = net.global_average("average", value);
    let spread = net.broadcast("spread", average, value);
    let whole = |net: &Network, value| zkloom_model::float_graph::Candidate {
        pieces: vec![(value, zkloom_model::access::Access::identity(net.elements(value)))],
    };
    let candidates = vec![whole(&net, value), whole(&net, spread)];
    net.push("above_average", vec![4, 6, 6], FloatOp::Maximum { candidates });
    let data = net.images(12);
    let graph = default(&net.graph, &data).graph;
    assert!(graph.nodes.iter().any(|node| node.name.ends_with("(rescaled)")));
    let quality = quality(&net.graph, &graph, &data);
    println!("{quality} dB");
    assert!(quality > 30.0, "{quality}");
}
