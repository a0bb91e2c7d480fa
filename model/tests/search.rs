//! The search for the cheapest quantisation within a bound on the loss.

mod common;

use std::collections::BTreeMap;

use common::{Network, window};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::FloatGraph;
use zkloom_model::function::Function;
use zkloom_model::interval::check_intervals;
use zkloom_model::onnx::import;
use zkloom_model::quantise::{
    Change, LossMeasure, ProvingCost, QuantisationOptions, QuantiseError, RangePolicy, SearchError,
    SearchOptions, Searched, TableCost, Trial, quantise, search,
};
use zkloom_model::report::largest;
use zkloom_model::{Activation, IntegerGraph, IntegerOp};

fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn digits() -> (FloatGraph, Dataset) {
    let network = import(fixture("digits-mlp.onnx")).expect("network");
    (network, Dataset::load(fixture("digits-calibration.npz")).expect("data"))
}

/// A small network with a residual stage, a function and a concatenation.
fn network(outputs: usize) -> (Network, Dataset) {
    let mut net = Network::new(4, &[2, 8, 8]);
    let stem = net.convolution("stem", net.graph.input, (4, 1), window(3, 1, 1));
    let stem = net.relu("stem_relu", stem);
    let branch = net.convolution("branch", stem, (4, 1), window(3, 1, 1));
    let sum = net.add("sum", &[(stem, 1.0), (branch, 1.0)]);
    let sum = net.relu("sum_relu", sum);
    let smooth = net.convolution("smooth", sum, (4, 2), window(3, 1, 1));
    let smooth = net.pointwise("gelu", smooth, Function::Gelu);
    let both = net.concatenate("both", &[sum, smooth]);
    let pooled = net.max_pool("pooled", both, 2);
    let flat = net.reshape("flat", pooled, &[128]);
    let hidden = net.dense("hidden", flat, 16);
    let hidden = net.relu("hidden_relu", hidden);
    net.dense("last", hidden, outputs);
    let data = net.images(24);
    (net, data)
}

/// The fraction of samples where the largest output moves, counted here.
fn moved(float: &FloatGraph, integer: &IntegerGraph, data: &Dataset) -> f64 {
    let samples = data.samples(&float.values[float.input.0].shape).expect("samples");
    let different = samples.iter().filter(|sample| {
        let floats = float.run(sample).expect("float").swap_remove(float.output.0);
        let values = integer.run(&integer.quantise_input(sample).expect("input")).expect("run");
        largest(&floats) != largest(&values[integer.output.0])
    });
    different.count() as f64 / samples.count() as f64
}

/// What must hold of every result.
fn check(graph: &FloatGraph, data: &Dataset, options: &SearchOptions, result: &Searched) {
    let again = quantise(graph, data, &result.options).expect("quantise");
    assert_eq!(again, result.quantised);
    assert!(result.loss <= options.max_accuracy_loss);
    let kept: Vec<_> = result.trials.iter().filter(|trial| trial.kept).collect();
    // What is kept is cheaper, or more exact at the same cost.
    let better = |pair: &[&Trial]| {
        pair[1].cost < pair[0].cost
            || pair[1].cost == pair[0].cost && pair[1].relative_error < pair[0].relative_error
    };
    assert!(kept.windows(2).all(better), "{:?}", result.trials);
    assert_eq!(kept.last().map(|trial| trial.cost), Some(result.cost));
    let run: Vec<_> = result.trials.iter().filter(|trial| trial.loss.is_some()).collect();
    assert!(run.len() <= options.trials);
    for trial in run.iter().filter(|trial| trial.kept) {
        assert!(trial.loss.is_some_and(|loss| loss <= options.max_accuracy_loss));
    }
}

fn print(name: &str, result: &Searched) {
    let first = &result.trials[0];
    let run = result.trials.iter().filter(|trial| trial.loss.is_some()).count();
    let QuantisationOptions { bits, calibration, layer_bits, .. } = &result.options;
    println!("{name}: cost {} became {}, loss {}, {run} runs", first.cost, result.cost, result.loss);
    println!("  {bits} bits, {calibration:?}, shift {}, {layer_bits:?}", result.quantised.graph.shift);
    for trial in result.trials.iter().filter(|trial| trial.kept) {
        println!("  {:?}: cost {}, loss {:?}", trial.change, trial.cost, trial.loss);
    }
}

#[test]
fn digits_get_cheaper_within_the_bound() {
    let (graph, data) = digits();
    let cost = TableCost { row: 1.0, element: 0.0 };
    let options = SearchOptions { max_accuracy_loss: 0.0, ..Default::default() };
    let result = search(&graph, (&data, None), &options, &cost).expect("search");
    print("no loss", &result);
    check(&graph, &data, &options, &result);
    assert_eq!(result.loss, moved(&graph, &result.quantised.graph, &data));
    assert_eq!(result.loss, 1.0 - result.quantised.report.agreement);
    assert_eq!(result.trials[0].change, Change::Start);
    assert!(result.cost < 0.5 * result.trials[0].cost, "{}", result.cost);
    let all = Dataset::load(fixture("digits-all.npz")).expect("digits");
    let loss = moved(&graph, &result.quantised.graph, &all);
    println!("  over all digits {loss} have another class");
    assert!(loss < 0.05, "{loss}");
    // By the outputs' error, more loss buys more.
    let costs = [0.01, 0.03, 0.1].map(|max_accuracy_loss| {
        let measure = LossMeasure::RelativeError;
        let options = SearchOptions { max_accuracy_loss, measure, ..Default::default() };
        let result = search(&graph, (&data, None), &options, &cost).expect("search");
        print(&format!("error {max_accuracy_loss}"), &result);
        check(&graph, &data, &options, &result);
        result.cost
    });
    assert!(costs[0] > costs[1] && costs[1] > costs[2], "{costs:?}");
}

#[test]
fn layers_get_bits_of_their_own_where_that_is_cheaper() {
    let (net, data) = network(5);
    // Tables that share nothing: each layer's rows count.
    let cost = |graph: &IntegerGraph| {
        let rows = graph.nodes.iter().map(|node| match node.op {
            IntegerOp::Activate { domain, .. } => (domain.max - domain.min + 1) as f64,
            _ => 0.0,
        });
        rows.sum::<f64>() + f64::from(1u32 << graph.shift)
    };
    let measure = LossMeasure::RelativeError;
    let options = SearchOptions { max_accuracy_loss: 0.045, measure, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &cost).expect("search");
    print("own bits", &result);
    check(&net.graph, &data, &options, &result);
    assert!(!result.options.layer_bits.is_empty(), "{:?}", result.options);
    let start = quantise(&net.graph, &data, &QuantisationOptions::default()).expect("quantise").graph;
    assert_eq!(result.trials[0].cost, cost(&start));
    // The evaluation set decides, if there is one.
    let mut other = Network::new(77, &[2, 8, 8]);
    let evaluation = other.images(10);
    let result = search(&net.graph, (&data, Some(&evaluation)), &options, &cost).expect("search");
    check(&net.graph, &data, &options, &result);
}

#[test]
fn an_output_without_classes_is_judged_by_its_error() {
    let (net, data) = network(1);
    let options = SearchOptions { max_accuracy_loss: 0.03, trials: 20, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &TableCost::default()).expect("search");
    check(&net.graph, &data, &options, &result);
    assert!(result.loss > 0.0 && result.trials.iter().all(|trial| trial.loss == trial.relative_error));
    // Error of the outputs, counted here.
    let (mut signal, mut noise) = (0.0, 0.0);
    for sample in data.samples(&[2, 8, 8]).expect("samples").iter() {
        let float = net.graph.run(sample).expect("float").swap_remove(net.graph.output.0)[0];
        let graph = &result.quantised.graph;
        let values = graph.run(&graph.quantise_input(sample).expect("input")).expect("run");
        let integer = graph.dequantise_output(&values[graph.output.0])[0];
        signal += f64::from(float).powi(2);
        noise += (f64::from(float) - f64::from(integer)).powi(2);
    }
    assert!((result.loss - (noise / signal).sqrt()).abs() < 1e-12);
}

#[test]
fn a_start_with_too_few_bits_gets_more_and_an_impossible_bound_is_an_error() {
    let (net, data) = network(5);
    let start = QuantisationOptions { bits: 4, ..Default::default() };
    let measure = LossMeasure::RelativeError;
    let options = SearchOptions { start, measure, max_accuracy_loss: 0.02, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &TableCost::default()).expect("search");
    check(&net.graph, &data, &options, &result);
    assert!(result.options.bits > 4 && !result.trials[0].kept);
    let options = SearchOptions { max_accuracy_loss: 1e-9, trials: 200, ..options };
    match search(&net.graph, (&data, None), &options, &TableCost::default()) {
        Err(SearchError::Loss { allowed, reached, bits }) => {
            assert!(allowed == 1e-9 && reached > 1e-9 && reached < 0.02 && bits > 8, "{reached} {bits}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn few_trials_and_useless_costs_end_early() {
    let (net, data) = network(5);
    let options = SearchOptions { trials: 1, max_accuracy_loss: 1.0, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &TableCost::default()).expect("search");
    assert_eq!((result.trials.len(), &result.options), (1, &options.start));
    // A cost that is not a number is never small enough.
    let options = SearchOptions { trials: 12, ..options };
    let useless = |_: &IntegerGraph| f64::NAN;
    let error = search(&net.graph, (&data, None), &options, &useless).expect_err("refused");
    assert!(matches!(error, SearchError::Loss { .. }), "{error}");
}

#[test]
fn what_costs_nothing_is_taken_for_exactness() {
    let (net, data) = network(5);
    let same = |_: &IntegerGraph| 7.0;
    let options = SearchOptions { trials: 30, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &same).expect("search");
    print("free", &result);
    check(&net.graph, &data, &options, &result);
    let error = |trial: Option<&Trial>| trial.and_then(|trial| trial.relative_error).expect("run");
    let last = result.trials.iter().rfind(|trial| trial.kept);
    assert!(error(last) < 0.5 * error(result.trials.first()), "{:?}", result.trials);
    assert!(result.options.bits > 8);
    // Room for so many rows is free, and is used up.
    let room = |graph: &IntegerGraph| TableCost::rows(graph).next_power_of_two() as f64;
    let options = SearchOptions { max_accuracy_loss: 0.1, ..options };
    let result = search(&net.graph, (&data, None), &options, &room).expect("search");
    print("room", &result);
    check(&net.graph, &data, &options, &result);
    let start = result.trials.first().map(|trial| trial.cost);
    assert!(start.is_some_and(|start| result.cost < start), "{:?}", result.trials);
}

#[test]
fn a_trained_convolutional_network_keeps_its_accuracy_on_other_images() {
    let graph = import(fixture("digits-cnn.onnx")).expect("network");
    let data = Dataset::load(fixture("digits-cnn-calibration.npz")).expect("data");
    let test = Dataset::load(fixture("digits-cnn-test.npz")).expect("data");
    let options = SearchOptions { max_accuracy_loss: 0.01, ..Default::default() };
    let cost = TableCost { row: 1.0, element: 0.0 };
    let result = search(&graph, (&data, None), &options, &cost).expect("search");
    print("digits-cnn", &result);
    check(&graph, &data, &options, &result);
    let loss = moved(&graph, &result.quantised.graph, &test);
    println!("  of {:?} other images {loss} have another class", test.shape);
    assert!(result.cost < 0.25 * result.trials[0].cost && loss < 0.05, "{} {loss}", result.cost);
}

#[test]
fn a_fixed_shift_and_a_strict_policy_stay() {
    let (net, data) = network(5);
    let start = QuantisationOptions { shift: Some(9), range: RangePolicy::Strict, ..Default::default() };
    let options = SearchOptions { start, max_accuracy_loss: 0.1, trials: 30, ..Default::default() };
    let result = search(&net.graph, (&data, None), &options, &TableCost::default()).expect("search");
    check(&net.graph, &data, &options, &result);
    assert_eq!((result.options.shift, result.options.range), (Some(9), RangePolicy::Strict));
    assert!(result.cost < result.trials[0].cost);
}

#[test]
fn layers_have_the_bits_that_they_are_given() {
    let (net, data) = network(5);
    let of = |layers: &[(&str, u32)]| {
        let layer_bits = layers.iter().map(|&(name, bits)| (name.to_string(), bits)).collect();
        QuantisationOptions { layer_bits, ..Default::default() }
    };
    let width = |options: &QuantisationOptions, layer: &str| {
        let graph = quantise(&net.graph, &data, options).expect("quantise").graph;
        let node = graph.nodes.iter().find(|node| node.name == layer).expect("layer");
        let interval = graph.tensor(node.output).interval;
        interval.max - interval.min + 1
    };
    assert_eq!(width(&of(&[]), "stem_relu"), 256);
    assert_eq!(width(&of(&[("stem_relu", 5)]), "stem_relu"), 32);
    // The convolution before it has the same scale, and the fewest bits count.
    assert_eq!(width(&of(&[("stem", 6), ("stem_relu", 9)]), "stem_relu"), 64);
    assert_eq!(width(&of(&[("stem_relu", 5)]), "hidden_relu"), 256);
    assert_eq!(width(&of(&[("gelu", 6)]), "gelu"), 64);
    let input = quantise(&net.graph, &data, &of(&[("x", 6)])).expect("quantise").graph;
    assert_eq!(input.tensor(input.input).interval.max - input.tensor(input.input).interval.min, 63);
    // The same bits for all layers are the bits of all.
    let names = net.graph.nodes.iter().map(|node| node.name.clone()).chain(["x".to_string()]);
    let all: BTreeMap<String, u32> = names.map(|name| (name, 7)).collect();
    let options = QuantisationOptions { layer_bits: all, equalisation: false, ..Default::default() };
    let one = QuantisationOptions { bits: 7, equalisation: false, ..Default::default() };
    let nodes = |options| quantise(&net.graph, &data, options).expect("quantise").graph.nodes;
    assert_eq!(nodes(&options), nodes(&one));
    let refused = |options: &QuantisationOptions| quantise(&net.graph, &data, options).expect_err("refused");
    let error = refused(&of(&[("no such layer", 6)]));
    assert!(matches!(&error, QuantiseError::UnknownLayer { layer } if layer == "no such layer"), "{error}");
    let error = refused(&of(&[("gelu", 3)]));
    assert!(matches!(error, QuantiseError::Option { option: "bits", found: 3, .. }), "{error}");
}

/// Root mean square error of the outputs over the calibration set, over that of the outputs themselves.
fn relative_error(float: &FloatGraph, integer: &IntegerGraph, data: &Dataset) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for sample in data.samples(&float.values[float.input.0].shape).expect("samples").iter() {
        let floats = float.run(sample).expect("float").swap_remove(float.output.0);
        let input = integer.quantise_input(sample).expect("input");
        let values = integer.run(&input).expect("run");
        assert_eq!(values, integer.interpret(&input).expect("interpreter"));
        for (float, integer) in floats.iter().zip(integer.dequantise_output(&values[integer.output.0])) {
            signal += f64::from(*float).powi(2);
            noise += f64::from(float - integer).powi(2);
        }
    }
    (noise / signal).sqrt()
}

#[test]
fn any_mixture_of_bits_runs_and_follows_the_floats() {
    let (net, data) = network(5);
    let error = |options: &QuantisationOptions| {
        let graph = quantise(&net.graph, &data, options).expect("quantise").graph;
        check_intervals(&graph).expect("intervals");
        relative_error(&net.graph, &graph, &data)
    };
    let uniform = |bits| error(&QuantisationOptions { bits, ..Default::default() });
    let (coarse, fine) = (uniform(4), uniform(12));
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let mut total = 0.0;
    for round in 0..40 {
        let mut layer_bits = BTreeMap::new();
        for node in net.graph.nodes.iter().filter(|_| random.random_bool(0.7)) {
            layer_bits.insert(node.name.clone(), 4 + (u32::from(node.name.as_bytes()[0]) * round) % 9);
        }
        let range = if round % 2 == 0 { RangePolicy::Saturate } else { RangePolicy::Strict };
        let mixed = error(&QuantisationOptions { layer_bits, range, ..Default::default() });
        assert!(mixed < 1.5 * coarse && mixed > 0.5 * fine, "{mixed} of {coarse} to {fine}");
        total += mixed;
    }
    println!("error {coarse} at 4 bits, {fine} at 12, {} on average in mixtures", total / 40.0);
}

#[test]
fn rows_of_tables_are_counted_once_for_each_function() {
    let (net, data) = network(5);
    let graph = quantise(&net.graph, &data, &QuantisationOptions::default()).expect("quantise").graph;
    let (mut clamp, mut others) = (Vec::new(), 0i64);
    for node in &graph.nodes {
        match &node.op {
            IntegerOp::Activate { function: Activation::Clamp { min: 0, max: 255 }, domain, .. } => {
                clamp.push(*domain);
            }
            IntegerOp::Activate { domain, .. } => others += domain.max - domain.min + 1,
            _ => {}
        }
    }
    let shared = clamp.iter().copied().reduce(|a, b| a.hull(b)).expect("ReLUs");
    assert!(clamp.len() > 1);
    let expected = shared.max - shared.min + 1 + others + (1 << graph.shift) + 256;
    assert_eq!(TableCost::rows(&graph), expected as u64);
    let elements = TableCost { row: 0.0, element: 2.0 }.cost(&graph);
    assert!(elements > 0.0 && elements % 2.0 == 0.0);
}

#[test]
fn search_options_are_checked() {
    let (net, data) = network(5);
    let refused = |options: SearchOptions| {
        search(&net.graph, (&data, None), &options, &TableCost::default()).expect_err("refused")
    };
    let option = |options, name: &str| {
        let error = refused(options);
        assert!(matches!(&error, SearchError::Option { option, .. } if *option == name), "{error}");
    };
    for max_accuracy_loss in [-0.1, f64::NAN, f64::INFINITY] {
        option(SearchOptions { max_accuracy_loss, ..Default::default() }, "max_accuracy_loss");
    }
    option(SearchOptions { least_bits: 2, ..Default::default() }, "least_bits");
    option(SearchOptions { trials: 0, ..Default::default() }, "trials");
    let start = QuantisationOptions { bits: 13, ..Default::default() };
    let error = refused(SearchOptions { start, ..Default::default() });
    assert!(matches!(error, SearchError::Quantise(QuantiseError::Option { .. })), "{error}");
}
