//! Quantisation: integers against floats on random networks, scales and intervals, every error.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkloom_model::data::{DataError, Dataset};
use zkloom_model::float_graph::{FloatGraph, FloatMatrix, FloatNode, FloatOp, FloatValue, ValueId};
use zkloom_model::function::Function;
use zkloom_model::input::InputError;
use zkloom_model::interval::{IntervalError, channel_intervals, check_intervals, hull};
use zkloom_model::quantise::weights::NOISE_LIMIT;
use zkloom_model::quantise::{QuantisationOptions, QuantiseError, Quantised, quantise};
use zkloom_model::{Activation, IntegerGraph, IntegerOp, Interval, Product, TensorId};

fn random(count: usize, range: std::ops::Range<f32>, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(range.clone())).collect()
}

/// A dense network with weights as training starts them.
fn network(sizes: &[usize], generator: &mut ChaCha8Rng) -> FloatGraph {
    let layers = sizes.windows(2).map(|pair| {
        let (columns, rows) = (pair[0], pair[1]);
        let bound = (6.0 / columns as f32).sqrt();
        let values = random(rows * columns, -bound..bound, generator);
        (FloatMatrix { rows, columns, values }, random(rows, -0.1..0.1, generator))
    });
    FloatGraph::dense("random", layers.collect()).expect("network")
}

fn samples(count: usize, width: usize, range: std::ops::Range<f32>, generator: &mut ChaCha8Rng) -> Dataset {
    Dataset::new(vec![count, width], random(count * width, range, generator), None).expect("samples")
}

/// A graph of those operations; operation i defines value i + 1, all values have `width` elements.
fn graph(width: usize, operations: Vec<FloatOp>) -> FloatGraph {
    let value = |index: usize| FloatValue { name: format!("v{index}"), shape: vec![width] };
    let values = (0..=operations.len()).map(value).collect();
    let output = ValueId(operations.len());
    let nodes = operations.into_iter().enumerate();
    let nodes =
        nodes.map(|(index, op)| FloatNode { name: format!("n{index}"), op, output: ValueId(index + 1) });
    FloatGraph { name: "graph".into(), values, nodes: nodes.collect(), input: ValueId(0), output }
}

fn identity(input: usize, width: usize) -> FloatOp {
    let values = (0..width * width).map(|index| f32::from(u8::from(index % (width + 1) == 0))).collect();
    let weights = FloatMatrix { rows: width, columns: width, values };
    FloatOp::Linear { input: ValueId(input), weights, bias: vec![0.0; width] }
}

fn relu(input: usize) -> FloatOp {
    FloatOp::relu(ValueId(input))
}

fn clip(input: usize, min: Option<f32>, max: Option<f32>) -> FloatOp {
    FloatOp::Pointwise { input: ValueId(input), function: Function::Clamp { min, max } }
}

fn default(graph: &FloatGraph, data: &Dataset) -> Quantised {
    quantise(graph, data, &QuantisationOptions::default()).expect("quantise")
}

/// The integer graph's real outputs for real inputs.
fn run(graph: &IntegerGraph, input: &[f32]) -> Vec<f32> {
    let values = graph.run(&graph.quantise_input(input).expect("input")).expect("run");
    graph.dequantise_output(&values[graph.output.0])
}

fn refused(graph: &FloatGraph, data: &Dataset, options: &QuantisationOptions) -> QuantiseError {
    quantise(graph, data, options).expect_err("must be refused")
}

#[test]
fn random_networks_keep_their_outputs() {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    for (sizes, range) in [
        (&[16, 8][..], 0.0..1.0f32),
        (&[40, 30, 20, 10], -2.0..1.0),
        (&[128, 128, 128, 64, 10], 0.0..16.0),
        (&[600, 300, 5], -1.0..1.0),
    ] {
        let network = network(sizes, &mut generator);
        let data = samples(64, sizes[0], range, &mut generator);
        let quantised = default(&network, &data);
        let report = &quantised.report;
        let output = report.layers.last().expect("layers");
        let all = data.samples(&[sizes[0]]).expect("samples");
        let outputs: Vec<f32> = all
            .iter()
            .flat_map(|sample| network.run(sample).expect("float").pop().expect("output"))
            .collect();
        let largest = outputs.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let relative = (output.max_error / f64::from(largest), output.mean_error / f64::from(largest));
        println!("{sizes:?}: shift {}, {relative:?} of the largest output\n{report}", report.shift);
        assert!(relative.0 < 0.08 && relative.1 < 0.02, "{sizes:?}: {relative:?}");
        assert!(report.agreement > 0.9, "{sizes:?}: {}", report.agreement);
    }
}

#[test]
fn the_shift_is_the_smallest_at_which_weight_rounding_is_quiet() {
    let mut generator = ChaCha8Rng::seed_from_u64(8);
    for (width, least) in [(16, 8), (1500, 9)] {
        let network = network(&[width, 32], &mut generator);
        let data = samples(64, width, 0.0..1.0, &mut generator);
        let chosen = default(&network, &data).graph.shift;
        assert!(chosen >= least && (width > 16 || chosen == 8), "{width}: {chosen}");
        // What the rule predicts is what happens: the error, in steps of the output, against its limit.
        let steps = |shift| {
            let options =
                QuantisationOptions { shift: Some(shift), bias_correction: false, ..Default::default() };
            let quantised = quantise(&network, &data, &options).expect("quantise");
            let output = quantised.graph.tensor(quantised.graph.output);
            let step = output.scale * f64::from(1u32 << shift);
            quantised.report.layers[0].mean_error / step
        };
        println!(
            "{width}: shift {chosen}, {} steps, {} at a smaller shift",
            steps(chosen),
            steps(chosen - 1)
        );
        assert!(steps(chosen) < NOISE_LIMIT, "{}", steps(chosen));
        // The mean magnitude of a normal error is 0.8 of its root mean square.
        assert!(chosen == 8 || steps(chosen - 1) > 0.7 * NOISE_LIMIT, "{}", steps(chosen - 1));
    }
}

#[test]
fn more_bits_and_a_larger_shift_are_more_exact() {
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let network = network(&[64, 64, 10], &mut generator);
    let data = samples(64, 64, 0.0..1.0, &mut generator);
    let error = |bits, shift| {
        let options = QuantisationOptions { bits, shift: Some(shift), ..Default::default() };
        let quantised = quantise(&network, &data, &options).expect("quantise");
        assert_eq!((quantised.graph.bits, quantised.graph.shift), (bits, shift));
        quantised.report.layers.last().expect("layers").mean_error
    };
    let (coarse, usual, fine) = (error(4, 8), error(8, 8), error(12, 12));
    assert!(coarse > 2.0 * usual && usual > 2.0 * fine, "{coarse} {usual} {fine}");
}

#[test]
fn every_value_stays_in_its_interval_at_the_corners_of_the_input() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let network = network(&[24, 16, 8], &mut generator);
    let graph = default(&network, &samples(16, 24, -1.0..1.0, &mut generator)).graph;
    check_intervals(&graph).expect("intervals");
    let input = graph.tensor(graph.input).interval;
    for _ in 0..200 {
        let corner: Vec<i64> =
            (0..24).map(|_| if generator.random_bool(0.5) { input.min } else { input.max }).collect();
        graph.run(&corner).expect("inside every interval");
    }
    // The interval of an accumulator is attained: at the corner that the signs of its weights name.
    let IntegerOp::Linear { products, bias } = &graph.nodes[0].op else { panic!("not a linear layer") };
    let Product { weights, multipliers, .. } = &products[0];
    let intervals = channel_intervals(&graph.nodes[0], &graph.tensors).expect("intervals");
    for (row, interval) in intervals.iter().enumerate() {
        let effective: Vec<i64> = weights.effective_row(row, multipliers[row]).collect();
        let worst: Vec<i64> =
            effective.iter().map(|&weight| if weight > 0 { input.max } else { input.min }).collect();
        let accumulator =
            effective.iter().zip(&worst).map(|(weight, value)| weight * value).sum::<i64>() + bias[row];
        assert_eq!(accumulator, interval.max);
        assert_eq!(graph.run(&worst).expect("run")[graph.nodes[0].output.0][row], interval.max);
    }
    assert_eq!(graph.tensor(graph.nodes[0].output).interval, hull(&intervals));
}

#[test]
fn intervals_and_scales_follow_the_calibrated_range() {
    let data = |values: &[f32]| Dataset::new(vec![1, 2], values.to_vec(), None).expect("data");
    let input = |values: &[f32]| {
        let graph = default(&graph(2, vec![identity(0, 2), relu(1)]), &data(values)).graph;
        let tensor = graph.tensor(graph.input).clone();
        (tensor.interval, tensor.scale)
    };
    assert_eq!(input(&[0.0, 510.0]), (Interval { min: 0, max: 255 }, 2.0));
    assert_eq!(input(&[-254.0, 3.0]), (Interval { min: -128, max: 127 }, 2.0));
    assert_eq!(input(&[0.0, 0.0]), (Interval { min: 0, max: 255 }, 1.0 / 255.0));
}

#[test]
fn a_last_linear_layer_is_its_accumulator_under_one_scale() {
    let mut generator = ChaCha8Rng::seed_from_u64(4);
    let graph = default(&network(&[8, 6, 3], &mut generator), &samples(8, 8, 0.0..1.0, &mut generator)).graph;
    let last = graph.nodes.last().expect("nodes");
    assert!(matches!(last.op, IntegerOp::Linear { .. }));
    assert_eq!(last.output, graph.output);
    assert_eq!(last.name, "dense2");
    let kinds: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(kinds, ["dense1", "relu1", "dense2"]);
}

#[test]
fn two_linear_layers_have_a_requantisation_between() {
    let data = Dataset::new(vec![2, 2], vec![-1.0, 0.5, 0.25, 1.0], None).expect("data");
    let quantised = default(&graph(2, vec![identity(0, 2), identity(1, 2)]), &data);
    let ops: Vec<_> = quantised.graph.nodes.iter().map(|node| &node.op).collect();
    let [IntegerOp::Linear { .. }, IntegerOp::Activate { function, .. }, IntegerOp::Linear { .. }] = ops[..]
    else {
        panic!("{ops:?}");
    };
    assert_eq!(*function, Activation::Clamp { min: -128, max: 127 });
    for (real, expected) in run(&quantised.graph, &[-1.0, 0.5]).iter().zip([-1.0, 0.5]) {
        assert!((real - expected).abs() < 0.02, "{real}");
    }
}

#[test]
fn clips_and_relus_fuse_with_the_requantisation() {
    let data = Dataset::new(vec![1, 4], vec![-3.0, -0.5, 1.0, 8.0], None).expect("data");
    let clip = |min, max| clip(1, min, max);
    let clamp = |op: FloatOp| {
        let graph = default(&graph(4, vec![identity(0, 4), op]), &data).graph;
        assert_eq!(graph.nodes.len(), 2);
        let IntegerOp::Activate { function, .. } = &graph.nodes[1].op else { panic!("not an activation") };
        let Activation::Clamp { min, max } = *function else { panic!("not a clamp") };
        assert_eq!(graph.tensor(graph.output).interval, Interval { min, max });
        (min, max, run(&graph, &[-3.0, -0.5, 1.0, 8.0]))
    };
    let (min, max, values) = clamp(clip(Some(0.0), None));
    assert_eq!((min, max, values[0]), (0, 255, 0.0));
    let (min, max, values) = clamp(clip(Some(0.0), Some(6.0)));
    assert_eq!((min, max, values[3]), (0, 255, 6.0));
    let (min, max, values) = clamp(clip(Some(-1.0), Some(2.0)));
    assert_eq!((min, max), (-64, 127));
    assert!((values[0] + 1.0).abs() < 0.02 && values[3] == 2.0, "{values:?}");
    assert_eq!((clamp(clip(None, None)).0, clamp(clip(None, None)).1), (-128, 127));
}

#[test]
fn a_relu_of_the_input_becomes_a_sum_and_an_activation() {
    let data = Dataset::new(vec![1, 3], vec![-2.0, 0.5, 4.0], None).expect("data");
    let graph = default(&graph(3, vec![relu(0)]), &data).graph;
    assert!(matches!(&graph.nodes[0].op, IntegerOp::Sum { terms, .. } if terms.len() == 1));
    assert!(matches!(graph.nodes[1].op, IntegerOp::Activate { .. }));
    let values = run(&graph, &[-2.0, 0.5, 4.0]);
    assert!(
        values[0] == 0.0 && (values[1] - 0.5).abs() < 0.04 && (values[2] - 4.0).abs() < 0.04,
        "{values:?}"
    );
}

#[test]
fn residual_sums_scalings_and_views() {
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let dense = |input, generator: &mut ChaCha8Rng| {
        let weights = FloatMatrix { rows: 6, columns: 6, values: random(36, -0.6..0.6, generator) };
        FloatOp::Linear { input: ValueId(input), weights, bias: vec![0.1; 6] }
    };
    let operations = vec![
        dense(0, &mut generator),
        relu(1),
        FloatOp::sum(6, vec![(ValueId(2), 1.0), (ValueId(0), -0.5)], vec![0.25; 6]),
        FloatOp::Reshape { input: ValueId(3) },
        relu(4),
        FloatOp::Reshape { input: ValueId(5) },
        dense(6, &mut generator),
        // The accumulator of 7 is read twice: through a clamp and as it is.
        relu(7),
        FloatOp::sum(6, vec![(ValueId(7), 1.0), (ValueId(8), 2.0)], vec![]),
        FloatOp::Reshape { input: ValueId(9) },
    ];
    let mut source = graph(6, operations);
    for view in [4, 5] {
        source.values[view].shape = vec![2, 3];
    }
    let data = samples(50, 6, -1.0..1.0, &mut generator);
    let quantised = default(&source, &data);
    println!("{}", quantised.report);
    check_intervals(&quantised.graph).expect("intervals");
    let output = quantised.report.layers.last().expect("layers");
    assert!(output.mean_error < 0.03, "{}", output.mean_error);
    let last = quantised.graph.nodes.last().expect("nodes");
    assert!(matches!(last.op, IntegerOp::Reshape { .. }));
    let names: Vec<&str> = quantised.graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n6", "n8", "n9"]);
}

#[test]
fn inputs_are_checked_and_rounded() {
    let data = Dataset::new(vec![1, 2], vec![0.0, 255.0], None).expect("data");
    let graph = default(&graph(2, vec![identity(0, 2)]), &data).graph;
    assert_eq!(graph.quantise_input(&[3.4, 3.6]).expect("input"), [3, 4]);
    // Half a step beyond either end is the end.
    assert_eq!(graph.quantise_input(&[-0.5, 255.5]).expect("input"), [0, 255]);
    let expected = InputError::OutOfRange { index: 1, value: 256.0, excess: 1.0, min: 0.0, max: 255.0 };
    assert_eq!(graph.quantise_input(&[0.0, 256.0]), Err(expected.clone()));
    let text = expected.to_string();
    assert!(
        text.contains("1 outside the calibrated range [0, 255]") && text.contains("clip the input"),
        "{text}"
    );
    assert!(matches!(graph.quantise_input(&[-0.75, 0.0]), Err(InputError::OutOfRange { index: 0, .. })));
    assert!(matches!(graph.quantise_input(&[0.0, f32::MAX]), Err(InputError::OutOfRange { .. })));
    for value in [f32::NAN, f32::INFINITY] {
        assert!(matches!(graph.quantise_input(&[0.0, value]), Err(InputError::NotFinite { index: 1, .. })));
    }
    let length = graph.quantise_input(&[0.0; 3]).expect_err("length");
    assert!(length.to_string().contains("shape [2], 2 values; 3"), "{length}");
    assert_eq!(graph.dequantise_output(&[0]), [0.0]);
    let damaged = IntegerGraph { input: TensorId(7), ..graph };
    assert!(matches!(damaged.quantise_input(&[0.0; 2]), Err(InputError::Structure(_))));
}

#[test]
fn the_report_counts_saturation_and_classes() {
    let data =
        Dataset::new(vec![4, 2], vec![0.0, 1.0, 1.0, 0.0, 0.25, 0.75, 0.5, 0.5], Some(vec![1, 0, 0, 0]));
    let options = QuantisationOptions { bias_correction: false, ..Default::default() };
    let report = quantise(&graph(2, vec![identity(0, 2)]), &data.expect("data"), &options);
    let report = report.expect("quantise").report;
    let accuracy = report.accuracy.expect("labels");
    assert_eq!((accuracy.float, accuracy.integer, report.agreement), (0.75, 0.75, 1.0));
    assert_eq!((report.samples, report.layers.len(), report.layers[0].saturated), (4, 1, 0));
    let text = report.to_string();
    assert!(
        text.contains("accuracy 75.00 % float, 75.00 % integer") && text.contains("mean error"),
        "{text}"
    );
    // Three times a third, each rounded up to half by a shift of 1, overshoots the range at one element.
    let thirds = FloatOp::sum(2, vec![(ValueId(0), 1.0 / 3.0); 3], vec![0.0; 2]);
    let data = Dataset::new(vec![2, 2], vec![0.0, 255.0, 10.0, 20.0], None).expect("data");
    let options = QuantisationOptions { shift: Some(1), ..Default::default() };
    let report = quantise(&graph(2, vec![thirds, relu(1)]), &data, &options).expect("quantise").report;
    assert_eq!((report.layers[0].saturated, report.layers[0].max_error), (1, 10.0));
    // A clip's own cut is no saturation.
    let clip = clip(1, Some(0.0), Some(0.5));
    let data = Dataset::new(vec![1, 2], vec![-1.0, 1.0], None).expect("data");
    let report = default(&graph(2, vec![identity(0, 2), clip]), &data).report;
    assert_eq!(report.layers[0].saturated, 0);
    assert!(report.layers[0].max_error < 0.01, "{report}");
}

#[test]
fn the_result_is_deterministic_and_survives_serialisation() {
    let mut generator = ChaCha8Rng::seed_from_u64(6);
    let network = network(&[32, 24, 4], &mut generator);
    let data = samples(40, 32, 0.0..1.0, &mut generator);
    let first = default(&network, &data);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
    let second = threads.install(|| default(&network, &data));
    assert_eq!(first, second);
    let text = serde_json::to_string(&first.graph).expect("serialise");
    let read: IntegerGraph = serde_json::from_str(&text).expect("deserialise");
    assert_eq!(read.nodes, first.graph.nodes);
    let text = serde_json::to_string(&network).expect("serialise");
    assert_eq!(serde_json::from_str::<FloatGraph>(&text).expect("deserialise"), network);
    serde_json::to_string(&first.report).expect("the report serialises");
}

#[test]
fn options_data_and_networks_that_are_refused() {
    let data = || Dataset::new(vec![1, 2], vec![-1.0, 1.0], None).expect("data");
    let good = || graph(2, vec![identity(0, 2)]);
    for bits in [0, 3, 13] {
        let options = QuantisationOptions { bits, ..Default::default() };
        let error = refused(&good(), &data(), &options);
        assert!(
            matches!(error, QuantiseError::Option { option: "bits", least: 4, greatest: 12, .. }),
            "{error}"
        );
    }
    for shift in [0, 25] {
        let options = QuantisationOptions { shift: Some(shift), ..Default::default() };
        assert!(matches!(refused(&good(), &data(), &options), QuantiseError::Option { option: "shift", .. }));
    }
    let default = QuantisationOptions::default();
    let wrong = Dataset::new(vec![4, 3], vec![0.0; 12], None).expect("data");
    let error = refused(&good(), &wrong, &default);
    assert!(matches!(error, QuantiseError::Data(DataError::Shape { .. })), "{error}");
    for operations in [vec![], vec![FloatOp::Reshape { input: ValueId(0) }]] {
        assert!(matches!(refused(&graph(2, operations), &data(), &default), QuantiseError::NoLayers));
    }
    let mut malformed = good();
    malformed.output = ValueId(5);
    assert!(matches!(refused(&malformed, &data(), &default), QuantiseError::Float(_)));
    let large = |input| FloatOp::sum(2, vec![(ValueId(input), f32::MAX)], vec![]);
    let error = refused(&graph(2, vec![large(0), large(1)]), &data(), &default);
    assert!(matches!(&error, QuantiseError::NotFinite { layer, sample: 0, .. } if layer == "n1"), "{error}");
}

#[test]
fn constants_beyond_the_calibrated_range_are_refused() {
    let default = QuantisationOptions::default();
    // Calibrated on zeros, the layer's range knows nothing of its weights.
    let zeros = Dataset::new(vec![1, 2], vec![0.0; 2], None).expect("data");
    let linear = |weight: f32, bias: f32| {
        let weights = FloatMatrix { rows: 2, columns: 2, values: vec![0.0, 0.0, 0.0, weight] };
        let bias = vec![0.0, bias];
        graph(2, vec![FloatOp::Linear { input: ValueId(0), weights, bias }, relu(1)])
    };
    let error = refused(&linear(1e30, 0.0), &zeros, &default);
    assert!(matches!(&error, QuantiseError::TooLarge { what: "weight", channel: 1, .. }), "{error}");
    let error = refused(&linear(0.0, -1e30), &zeros, &default);
    assert!(matches!(&error, QuantiseError::TooLarge { what: "bias", channel: 1, .. }), "{error}");
    let sum = FloatOp::sum(2, vec![(ValueId(0), 1e30)], vec![]);
    let error = refused(&graph(2, vec![sum, relu(1)]), &zeros, &default);
    assert!(matches!(&error, QuantiseError::TooLarge { what: "coefficient", channel: 0, .. }), "{error}");
    // Each constant is in range; the sum over all inputs is not.
    let weights = FloatMatrix { rows: 1, columns: 1 << 17, values: vec![5e7; 1 << 17] };
    let wide = FloatGraph {
        name: "wide".into(),
        values: vec![
            FloatValue { name: "x".into(), shape: vec![1 << 17] },
            FloatValue { name: "y".into(), shape: vec![1] },
        ],
        nodes: vec![FloatNode {
            name: "dense".into(),
            op: FloatOp::Linear { input: ValueId(0), weights, bias: vec![0.0] },
            output: ValueId(1),
        }],
        input: ValueId(0),
        output: ValueId(1),
    };
    let zeros = Dataset::new(vec![1, 1 << 17], vec![0.0; 1 << 17], None).expect("data");
    let options = QuantisationOptions { bits: 12, shift: Some(12), ..Default::default() };
    let error = refused(&wide, &zeros, &options);
    let expected = IntervalError::Overflow { layer: "dense".into(), channel: 0 };
    assert!(matches!(&error, QuantiseError::Interval(overflow) if *overflow == expected), "{error}");
}

#[test]
fn a_network_of_the_benchmarks_size_runs_in_reasonable_time() {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    let network = network(&[512, 2048, 2048, 10], &mut generator);
    let data = samples(4, 512, 0.0..1.0, &mut generator);
    let quantised = default(&network, &data);
    let input = quantised.graph.quantise_input(data.samples(&[512]).expect("samples").get(0).expect("first"));
    let input = input.expect("input");
    let start = std::time::Instant::now();
    quantised.graph.run(&input).expect("run");
    let elapsed = start.elapsed();
    println!("512-2048-2048-10: {elapsed:?}, {} shift", quantised.graph.shift);
    // Some five milliseconds; the bound only catches a quadratic mistake.
    assert!(elapsed.as_secs() < 2, "{elapsed:?}");
    assert_eq!(quantised.graph.tensors[TensorId(0).0].shape, [512]);
}
