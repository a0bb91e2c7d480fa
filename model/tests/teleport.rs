//! Changes of scale: random networks compute the same, ranges shrink, and what is not homogeneous is left alone.

mod common;

use common::{Network, window};
use rand::RngExt;
use zkloom_model::access::Access;
use zkloom_model::convolution::Window;
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{Candidate, FloatGraph, FloatMatrix, FloatOp, FloatTerm, ValueId};
use zkloom_model::function::Function;
use zkloom_model::quantise::{QuantisationOptions, quantise};
use zkloom_model::teleport::{
    Granularity, Outcome, ROUNDING, TeleportError, TeleportOptions, Teleported, Threshold, teleport,
};

const SHAPE: [usize; 3] = [4, 6, 6];

fn fixed(granularity: Granularity, threshold: f32) -> TeleportOptions {
    TeleportOptions { granularity, threshold: Threshold::Fixed(threshold), ..Default::default() }
}

fn applied(graph: &FloatGraph, data: &Dataset, options: &TeleportOptions) -> Teleported {
    let result = teleport(graph, data, options).expect("teleport");
    assert!(matches!(result.report.outcome, Outcome::Applied | Outcome::Unchanged), "{}", result.report);
    result
}

fn output(graph: &FloatGraph, input: &[f32]) -> Vec<f32> {
    graph.run(input).expect("run").swap_remove(graph.output.0)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Values of one shape in all combinations, with gains that drive ranges apart.
struct Random {
    net: Network,
}

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self { net: Network::new(seed, &SHAPE) };
        let stem = random.net.convolution("stem", ValueId(0), (4, 1), window(3, 1, 1));
        random.net.relu("stem_relu", stem);
        (0..10).for_each(|index| random.step(&format!("n{index}")));
        let last = random.net.graph.output;
        let pooled = random.net.global_average("average", last);
        let flat = random.net.reshape("flat", pooled, &[4]);
        random.net.dense("classes", flat, 3);
        random.spread();
        random
    }

    /// Gives each layer, and each of its channels, a gain of its own.
    fn spread(&mut self) {
        let random = &mut self.net.random;
        for node in &mut self.net.graph.nodes {
            if let FloatOp::Convolution { weights, .. } | FloatOp::Linear { weights, .. } = &mut node.op {
                let layer = random.random_range(0.5f32..4.0);
                for row in weights.values.chunks_mut(weights.columns) {
                    let gain = layer * random.random_range(0.1f32..1.0);
                    row.iter_mut().for_each(|weight| *weight *= gain);
                }
            }
        }
    }

    fn pick(&mut self) -> ValueId {
        let fitting = (0..self.net.graph.values.len()).map(ValueId);
        let fitting: Vec<ValueId> = fitting.filter(|value| self.net.shape(*value) == SHAPE).collect();
        fitting[fitting.len() - 1 - self.net.random.random_range(0..fitting.len().min(4))]
    }

    /// Two values one above the other, and a convolution back to four channels.
    fn concatenated(&mut self, name: &str, input: ValueId, other: ValueId) {
        let both = self.net.concatenate(&format!("{name}_concat"), &[input, other]);
        self.net.convolution(name, both, (4, 1), window(1, 1, 0));
    }

    fn step(&mut self, name: &str) {
        let (input, other) = (self.pick(), self.pick());
        match self.net.random.random_range(0..11) {
            0 => drop(self.net.convolution(name, input, (4, 1), window(3, 1, 1))),
            1 => drop(self.net.convolution(name, input, (4, 2), window(3, 1, 1))),
            2 => drop(self.net.convolution(name, input, (4, 4), window(3, 1, 1))),
            3 => drop(self.net.add(name, &[(input, 1.0), (other, 0.5)])),
            4..6 => drop(self.net.relu(name, input)),
            6 => drop(self.net.pointwise(name, input, Function::LeakyRelu { slope: 0.1 })),
            7 => self.concatenated(name, input, other),
            8 => {
                let slides = Window { kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };
                self.net.average_pool(name, input, slides);
            }
            9 => {
                let candidate =
                    |value| Candidate { pieces: vec![(value, Access::identity(SHAPE.iter().product()))] };
                let candidates = vec![candidate(input), candidate(other)];
                self.net.push(name, SHAPE.to_vec(), FloatOp::Maximum { candidates });
            }
            _ => match self.net.random.random_range(0..4) {
                0 => drop(self.net.pointwise(name, input, Function::Gelu)),
                1 => {
                    self.net.push(name, SHAPE.to_vec(), FloatOp::Multiply { left: input, right: other });
                }
                _ => drop(self.net.pointwise(name, input, Function::Clamp { min: None, max: Some(0.0) })),
            },
        }
    }
}

#[test]
fn random_networks_compute_the_same_and_ranges_do_not_grow() {
    let (mut scaled, mut channels) = (0, 0);
    for seed in 0..150 {
        let mut net = Random::new(seed).net;
        let (data, unseen) = (net.images(4), net.images(3));
        for granularity in [Granularity::Group, Granularity::Channel] {
            for power_of_two in [true, false] {
                let options = TeleportOptions { power_of_two, ..fixed(granularity, 0.25) };
                let Teleported { graph, report } = applied(&net.graph, &data, &options);
                for sample in unseen.samples(&SHAPE).expect("samples").iter() {
                    let (before, after) = (output(&net.graph, sample), output(&graph, sample));
                    if power_of_two {
                        assert_eq!(bits(&before), bits(&after), "seed {seed}: {report}");
                    }
                    let largest = before.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                    for (before, after) in before.iter().zip(&after) {
                        assert!((before - after).abs() <= ROUNDING as f32 * largest, "seed {seed}: {report}");
                    }
                }
                for group in report.groups.iter().filter(|group| group.is_scaled()) {
                    scaled += 1;
                    channels += usize::from(group.factors.0 != group.factors.1);
                    let limit = if power_of_two { 0.25 } else { 0.2501 };
                    assert!(group.after.magnitude() <= limit, "seed {seed}: {report}");
                    assert!(group.after.magnitude() <= group.before.magnitude(), "seed {seed}: {report}");
                }
            }
        }
        let automatic = applied(&net.graph, &data, &TeleportOptions::default()).report;
        assert!(automatic.saved_bits() >= 0.0, "seed {seed}: {automatic}");
        for group in &automatic.groups {
            assert!(group.after.magnitude() <= group.before.magnitude(), "seed {seed}: {automatic}");
        }
    }
    println!("{scaled} groups scaled, {channels} of them channel by channel");
    assert!(scaled > 500 && channels > 50, "{scaled} {channels}");
}

/// `x -> conv -> f -> conv2 -> relu -> dense`, with a first convolution that makes large values.
fn chain(function: Function) -> Network {
    let mut net = Network::new(7, &SHAPE);
    let first = net.convolution("first", ValueId(0), (4, 1), window(3, 1, 1));
    let function = net.pointwise("function", first, function);
    let second = net.convolution("second", function, (4, 1), window(3, 1, 1));
    let relu = net.relu("relu", second);
    let flat = net.reshape("flat", relu, &[144]);
    net.dense("classes", flat, 3);
    for node in &mut net.graph.nodes[..3] {
        if let FloatOp::Convolution { weights, .. } = &mut node.op {
            weights.values.iter_mut().for_each(|weight| *weight *= 20.0);
        }
    }
    net
}

#[test]
fn nothing_is_scaled_through_functions_that_are_not_homogeneous() {
    for function in [
        Function::Gelu,
        Function::Swish { beta: 1.0 },
        Function::Sigmoid,
        Function::Exp,
        Function::Clamp { min: Some(0.0), max: Some(6.0) },
        Function::Chain(vec![Function::RELU, Function::Tanh]),
        Function::ThresholdedRelu { threshold: 0.1 },
        Function::Affine { factor: 1.0, shift: 0.5 },
    ] {
        let mut net = chain(function.clone());
        let data = net.images(3);
        let Teleported { graph, report } = applied(&net.graph, &data, &fixed(Granularity::Channel, 0.5));
        assert_eq!(report.held.iter().map(|held| held.layer.as_str()).collect::<Vec<_>>(), ["function"]);
        // What the function reads and makes stays to the last bit; what comes behind is scaled.
        let sample = data.samples(&SHAPE).expect("samples").get(0).expect("sample").to_vec();
        let (before, after) = (net.graph.run(&sample).expect("run"), graph.run(&sample).expect("run"));
        for value in [1, 2] {
            assert_eq!(bits(&before[value]), bits(&after[value]), "{function:?}");
        }
        let scaled: Vec<_> = report.groups.iter().filter(|group| group.is_scaled()).collect();
        assert_eq!(scaled.len(), 1, "{function:?}: {report}");
        assert_eq!(scaled[0].layers, ["second", "relu", "flat"]);
        assert_ne!(bits(&before[4]), bits(&after[4]), "{function:?}");
    }
    for function in [
        Function::RELU,
        Function::LeakyRelu { slope: 0.3 },
        Function::Abs,
        Function::Clamp { min: None, max: Some(0.0) },
        Function::Affine { factor: -2.0, shift: 0.0 },
        Function::Total(vec![Function::RELU, Function::Affine { factor: 0.5, shift: 0.0 }]),
    ] {
        let mut net = chain(function.clone());
        let data = net.images(3);
        let report = applied(&net.graph, &data, &fixed(Granularity::Group, 0.5)).report;
        assert!(report.held.is_empty());
        assert_eq!(report.groups.iter().filter(|group| group.is_scaled()).count(), 2, "{function:?}");
    }
}

#[test]
fn a_residual_stage_and_a_concatenation_are_one_group_each() {
    let mut net = Network::new(3, &SHAPE);
    let stem = net.convolution("stem", ValueId(0), (4, 1), window(3, 1, 1));
    let stem = net.relu("stem_relu", stem);
    let inner = net.convolution("inner", stem, (6, 2), window(3, 1, 1));
    let inner = net.relu("inner_relu", inner);
    let branch = net.convolution("branch", inner, (4, 1), window(3, 1, 1));
    let sum = net.add("sum", &[(stem, 1.0), (branch, 1.0)]);
    let sum = net.relu("sum_relu", sum);
    let side = net.convolution("side", ValueId(0), (2, 1), window(3, 1, 1));
    let both = net.concatenate("both", &[sum, side]);
    let pooled = net.max_pool("pooled", both, 2);
    let depthwise = net.convolution("depthwise", pooled, (6, 6), window(3, 1, 1));
    let flat = net.reshape("flat", depthwise, &[54]);
    net.dense("classes", flat, 3);
    let data = net.images(4);
    let report = applied(&net.graph, &data, &fixed(Granularity::Group, 0.01)).report;
    let layers: Vec<Vec<&str>> =
        report.groups.iter().map(|group| group.layers.iter().map(String::as_str).collect()).collect();
    let stage = ["stem", "stem_relu", "branch", "sum", "sum_relu", "side", "both", "pooled"];
    assert_eq!(layers, [&stage[..], &["inner", "inner_relu"], &["depthwise", "flat"]]);
    let classes: Vec<usize> = report.groups.iter().map(|group| group.classes).collect();
    // Four channels of the stage and two beside it; all of them go on alone.
    assert_eq!(classes, [6, 6, 6]);
    assert!(report.groups.iter().all(|group| group.factors.0 == group.factors.1));
    assert!(report.functions.expect("ReLUs").1.magnitude() <= 0.01);
}

#[test]
fn products_pass_a_factor_on_where_the_other_side_is_held() {
    let mut net = Network::new(5, &SHAPE);
    let gate = net.convolution("gate", ValueId(0), (4, 1), window(3, 1, 1));
    let gate = net.pointwise("sigmoid", gate, Function::Sigmoid);
    let value = net.convolution("value", ValueId(0), (4, 1), window(3, 1, 1));
    let value = net.relu("value_relu", value);
    let product = net.push("product", SHAPE.to_vec(), FloatOp::Multiply { left: value, right: gate });
    let last = net.convolution("last", product, (4, 1), window(3, 1, 1));
    let square = net.push("square", SHAPE.to_vec(), FloatOp::Multiply { left: last, right: last });
    let flat = net.reshape("flat", square, &[144]);
    net.dense("classes", flat, 3);
    let data = net.images(4);
    let report = applied(&net.graph, &data, &fixed(Granularity::Group, 0.01)).report;
    let held: Vec<&str> = report.held.iter().map(|held| held.layer.as_str()).collect();
    assert_eq!(held, ["sigmoid", "square"]);
    assert_eq!(report.groups.len(), 1);
    assert_eq!(report.groups[0].layers, ["value", "value_relu", "product"]);
    assert!(report.groups[0].is_scaled());
}

#[test]
fn edge_cases_keep_their_function() {
    // A channel of zeros, a constant one, one that is always negative, and weights that nothing meets.
    let mut net = Network::new(9, &SHAPE);
    let first = net.convolution("first", ValueId(0), (4, 1), window(1, 1, 0));
    let leaky = net.pointwise("leaky", first, Function::LeakyRelu { slope: 0.5 });
    let flat = net.reshape("flat", leaky, &[144]);
    net.dense("classes", flat, 2);
    if let FloatOp::Convolution { weights, bias, .. } = &mut net.graph.nodes[0].op {
        weights.values[..12].fill(0.0);
        bias.copy_from_slice(&[0.0, 700.0, -900.0, 0.0]);
    }
    let data = net.images(3);
    for granularity in [Granularity::Group, Granularity::Channel] {
        let Teleported { graph, report } = applied(&net.graph, &data, &fixed(granularity, 1.0));
        assert_eq!(report.outcome, Outcome::Applied);
        assert_eq!(report.deviation, 0.0);
        assert!(report.groups[0].after.magnitude() <= 1.0, "{report}");
        graph.check_structure().expect("structure");
    }
    // Everything is zero: nothing is scaled, whatever the threshold.
    for node in &mut net.graph.nodes {
        if let FloatOp::Convolution { weights, bias, .. } = &mut node.op {
            weights.values.fill(0.0);
            bias.fill(0.0);
        }
    }
    for options in [fixed(Granularity::Channel, 1e-9), TeleportOptions::default()] {
        let result = applied(&net.graph, &data, &options);
        assert_eq!(result.report.outcome, Outcome::Unchanged);
        assert_eq!(result.graph, net.graph);
    }
    // One channel of one element, always negative.
    let matrix = |weight| FloatMatrix { rows: 1, columns: 1, values: vec![weight] };
    let layers = vec![(matrix(-300.0), vec![-50.0]), (matrix(0.25), vec![1.0])];
    let mut one = FloatGraph::dense("one", layers).expect("network");
    if let FloatOp::Pointwise { function, .. } = &mut one.nodes[1].op {
        *function = Function::Clamp { min: None, max: Some(0.0) };
    }
    let data = Dataset::new(vec![2, 1], vec![0.5, 1.0], None).expect("data");
    let Teleported { graph, report } = applied(&one, &data, &fixed(Granularity::Group, 1.0));
    assert_eq!(report.groups[0].factors, (1.0 / 512.0, 1.0 / 512.0));
    assert!(report.groups[0].before.max < 0.0);
    assert_eq!(output(&one, &[0.75]), output(&graph, &[0.75]));
}

#[test]
fn sums_with_biases_and_unreached_elements_are_scaled_too() {
    let mut net = Network::new(2, &[8]);
    let first = net.dense("first", ValueId(0), 4);
    let moved = Access { output_start: 2, ..Access::identity(4) };
    let terms = vec![FloatTerm { input: first, coefficient: 3.0, access: moved }];
    let bias = vec![0.0, 40.0, 1.0, 2.0, 3.0, 4.0];
    let padded = net.push("padded", vec![6], FloatOp::Sum { terms, bias });
    net.dense("last", padded, 2);
    let data = Dataset::new(vec![2, 8], (0..16).map(|i| i as f32 - 4.0).collect(), None).expect("data");
    for granularity in [Granularity::Group, Granularity::Channel] {
        let report = applied(&net.graph, &data, &fixed(granularity, 1.0)).report;
        assert_eq!((report.deviation, report.groups.len()), (0.0, 1));
        assert!(report.groups[0].before.max >= 40.0 && report.groups[0].after.magnitude() <= 1.0);
    }
}

#[test]
fn powers_of_two_for_whole_groups_lead_to_the_same_integers() {
    let mut net = chain(Function::RELU);
    let data = net.images(4);
    let scaled = applied(&net.graph, &data, &fixed(Granularity::Group, 0.3));
    assert_eq!(scaled.report.groups.iter().filter(|group| group.is_scaled()).count(), 2);
    let integers = |graph: &FloatGraph| {
        let graph = quantise(graph, &data, &QuantisationOptions::default()).expect("quantise").graph;
        (graph.shift, graph.nodes)
    };
    assert_eq!(integers(&net.graph), integers(&scaled.graph));
}

#[test]
fn balanced_channels_are_quantised_with_less_error_through_a_residual_stage() {
    // Channels of a residual stage that differ by a factor of 50: cross-layer equalisation alone cannot reach them.
    let mut net = Network::new(11, &SHAPE);
    let stem = net.convolution("stem", ValueId(0), (4, 1), window(3, 1, 1));
    let stem = net.relu("stem_relu", stem);
    let branch = net.convolution("branch", stem, (4, 1), window(3, 1, 1));
    let sum = net.add("sum", &[(stem, 1.0), (branch, 1.0)]);
    let sum = net.relu("sum_relu", sum);
    let last = net.convolution("last", sum, (4, 1), window(3, 1, 1));
    let flat = net.reshape("flat", last, &[144]);
    net.dense("classes", flat, 3);
    // Factors that the network does not notice, the wrong way round: channels 0 and 2 small, their readers' weights large.
    let gains = [0.02f32, 1.0, 0.05, 1.0];
    for node in &mut net.graph.nodes {
        let FloatOp::Convolution { weights, bias, .. } = &mut node.op else { continue };
        let (made, read) = (node.name != "last", node.name != "stem");
        for (row, values) in weights.values.chunks_mut(weights.columns).enumerate() {
            for (column, weight) in values.iter_mut().enumerate() {
                *weight *= if made { gains[row] } else { 1.0 };
                *weight /= if read { gains[column / 9] } else { 1.0 };
            }
            bias[row] *= if made { gains[row] } else { 1.0 };
        }
    }
    let data = net.images(16);
    let balanced = applied(&net.graph, &data, &fixed(Granularity::Channel, 1e6));
    assert_eq!(balanced.report.outcome, Outcome::Applied);
    let error = |graph: &FloatGraph| {
        let report = quantise(graph, &data, &QuantisationOptions::default()).expect("quantise").report;
        report.layers.last().expect("layers").mean_error
    };
    let (before, after) = (error(&net.graph), error(&balanced.graph));
    println!("mean error {before} before, {after} after\n{}", balanced.report);
    assert!(after < 0.5 * before, "{after} {before}");
}

#[test]
fn options_and_data_are_checked() {
    let mut net = chain(Function::RELU);
    let data = net.images(1);
    let refused = |options: TeleportOptions| teleport(&net.graph, &data, &options).expect_err("refused");
    for threshold in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = refused(fixed(Granularity::Group, threshold));
        assert!(matches!(error, TeleportError::Option { option: "threshold", .. }), "{error}");
    }
    for tolerance in [-0.1, f64::NAN] {
        let threshold = Threshold::Automatic { tolerance };
        let error = refused(TeleportOptions { threshold, ..Default::default() });
        assert!(matches!(error, TeleportError::Option { option: "tolerance", .. }), "{error}");
    }
    let error = refused(TeleportOptions { bits: 3, ..Default::default() });
    assert!(matches!(error, TeleportError::Option { option: "bits", .. }), "{error}");
    let short = Dataset::new(vec![1, 5], vec![0.0; 5], None).expect("data");
    let error = teleport(&net.graph, &short, &TeleportOptions::default()).expect_err("refused");
    assert!(matches!(error, TeleportError::Data(_)), "{error}");
    if let FloatOp::Convolution { weights, .. } = &mut net.graph.nodes[0].op {
        weights.values.fill(f32::MAX);
    }
    let error = teleport(&net.graph, &data, &TeleportOptions::default()).expect_err("refused");
    assert!(
        matches!(&error, TeleportError::NotFinite { layer, sample: 0, .. } if layer == "first"),
        "{error}"
    );
    net.graph.output = ValueId(99);
    let error = teleport(&net.graph, &data, &TeleportOptions::default()).expect_err("refused");
    assert!(matches!(error, TeleportError::Float(_)), "{error}");
}
