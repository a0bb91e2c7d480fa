//! Pruning removes what it says and nothing else, and networks without channels compute what they would with zeros there.

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use common::{Network, window};
use rand::RngExt;
use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{FloatGraph, FloatMatrix, FloatNode, FloatOp, FloatTerm, ValueId};
use zkloom_model::function::Function;
use zkloom_model::onnx;
use zkloom_model::report::largest;
use zkloom_model::sparsify::{
    Allocation, Fallback, LayerSize, Method, Pattern, Sparsified, SparsifyError, SparsifyOptions, Treatment,
    sparsify, sparsify_with_cost,
};

const METHODS: [Method; 3] = [Method::Magnitude, Method::Wanda, Method::Obs];

fn options(method: Method, pattern: Pattern, sparsity: f64) -> SparsifyOptions {
    SparsifyOptions { method, pattern, sparsity, ends: true, ..Default::default() }
}

fn weights(node: &FloatNode) -> Option<(&FloatMatrix, &[f32])> {
    match &node.op {
        FloatOp::Linear { weights, bias, .. } | FloatOp::Convolution { weights, bias, .. } => {
            Some((weights, bias))
        }
        _ => None,
    }
}

fn zeros(values: &[f32]) -> usize {
    values.iter().filter(|&&value| value == 0.0).count()
}

fn output(graph: &FloatGraph, input: &[f32]) -> Vec<f32> {
    graph.run(input).expect("run").swap_remove(graph.output.0)
}

/// A stem, a residual block, a depthwise, a grouped and a strided convolution, a concatenation, and a classifier.
fn network(seed: u64) -> Network {
    let mut net = Network::new(seed, &[3, 8, 8]);
    let stem = net.convolution("stem", ValueId(0), (8, 1), window(3, 1, 1));
    let stem = net.relu("stem_relu", stem);
    let inner = net.convolution("inner", stem, (12, 1), window(3, 1, 1));
    let inner = net.relu("inner_relu", inner);
    let back = net.convolution("back", inner, (8, 1), window(1, 1, 0));
    let sum = net.add("residual", &[(back, 1.0), (stem, 1.0)]);
    let sum = net.relu("residual_relu", sum);
    let deep = net.convolution("depthwise", sum, (8, 8), window(3, 1, 1));
    let deep = net.pointwise("leaky", deep, Function::LeakyRelu { slope: 0.1 });
    let grouped = net.convolution("grouped", inner, (8, 4), window(3, 1, 1));
    let both = net.concatenate("concat", &[deep, grouped]);
    let pooled = net.max_pool("pool", both, 2);
    let next = net.convolution("next", pooled, (10, 1), window(3, 2, 1));
    let next = net.relu("next_relu", next);
    let pooled = net.average_pool("average", next, window(2, 1, 0));
    let flat = net.elements(pooled);
    let flat = net.reshape("flat", pooled, &[flat]);
    let hidden = net.dense("hidden", flat, 16);
    let hidden = net.relu("hidden_relu", hidden);
    net.dense("classes", hidden, 5);
    net
}

#[test]
fn exactly_so_many_weights_go_and_the_others_keep_their_bits() {
    let mut net = network(1);
    let data = net.images(6);
    for method in METHODS {
        for sparsity in [0.0, 0.25, 0.5, 0.9, 1.0] {
            let asked = options(method, Pattern::Unstructured, sparsity);
            let Sparsified { graph, report } = sparsify(&net.graph, &data, &asked).expect("sparsify");
            let layers = net.graph.nodes.iter().zip(&graph.nodes).filter(|(old, _)| weights(old).is_some());
            for ((old, new), layer) in layers.zip(&report.layers) {
                let ((before, old_bias), (after, new_bias)) =
                    (weights(old).expect("layer"), weights(new).expect("layer"));
                let expected = (sparsity * before.values.len() as f64).round() as usize;
                assert_eq!(zeros(&after.values), expected, "{method:?} {sparsity} {}", old.name);
                assert_eq!((layer.zeros_before, layer.zeros_after), (0, expected));
                if method != Method::Obs || sparsity == 0.0 {
                    let mut kept = before.values.iter().zip(&after.values);
                    assert!(kept.all(|(old, new)| *new == 0.0 || old.to_bits() == new.to_bits()));
                    assert_eq!(old_bias, new_bias);
                }
            }
            assert_eq!(report.error == 0.0, sparsity == 0.0, "{report}");
        }
    }
}

#[test]
fn blocks_have_their_zeros() {
    let mut net = network(2);
    let data = net.images(4);
    for method in METHODS {
        for (few, of) in [(2, 4), (1, 4), (0, 3), (5, 5), (3, 8)] {
            let asked = options(method, Pattern::Blocks { zeros: few, of }, 0.0);
            let pruned = sparsify(&net.graph, &data, &asked).expect("sparsify").graph;
            for node in &pruned.nodes {
                let Some((matrix, _)) = weights(node) else { continue };
                for block in matrix.values.chunks(matrix.columns).flat_map(|row| row.chunks(of)) {
                    assert_eq!(zeros(block), few * block.len() / of, "{method:?} {few}:{of} {}", node.name);
                }
            }
        }
    }
}

/// A linear layer whose inputs depend on each other, in front of another layer.
fn correlated() -> (FloatGraph, Dataset) {
    let mut net = Network::new(7, &[24]);
    let hidden = net.dense("hidden", ValueId(0), 16);
    let hidden = net.relu("relu", hidden);
    net.dense("classes", hidden, 4);
    let mut values = Vec::new();
    for _ in 0..200 {
        let sources: [f32; 4] = std::array::from_fn(|_| net.random.random_range(-1.0f32..1.0));
        for at in 0..24 {
            let noise = net.random.random_range(-0.1f32..0.1);
            values.push((1 + at % 3) as f32 * sources[at % 4] + sources[(at + 1) % 4] + noise);
        }
    }
    (net.graph, Dataset::new(vec![200, 24], values, None).expect("data"))
}

#[test]
fn surgery_is_better_than_magnitude_on_inputs_that_depend_on_each_other() {
    let (graph, data) = correlated();
    for pattern in [Pattern::Unstructured, Pattern::Blocks { zeros: 2, of: 4 }] {
        let errors = METHODS.map(|method| {
            let report = sparsify(&graph, &data, &options(method, pattern, 0.5)).expect("sparsify").report;
            report.layers[0].error
        });
        println!("{pattern:?}: {errors:?}");
        assert!(errors[2] < 0.5 * errors[0] && errors[2] < 0.5 * errors[1], "{errors:?}");
    }
}

#[test]
fn zeros_that_are_there_stay_and_count() {
    let (mut graph, data) = correlated();
    if let FloatOp::Linear { weights, .. } = &mut graph.nodes[0].op {
        weights.values.iter_mut().step_by(3).for_each(|weight| *weight = 0.0);
    }
    for method in METHODS {
        let sparse = sparsify(&graph, &data, &options(method, Pattern::Unstructured, 0.1)).expect("sparse");
        let layer = &sparse.report.layers[0];
        assert_eq!((layer.zeros_before, layer.zeros_after), (128, 128));
        assert_eq!(sparse.graph.nodes[0], graph.nodes[0]);
        let more = sparsify(&graph, &data, &options(method, Pattern::Unstructured, 0.5)).expect("more");
        let (before, after) = (weights(&graph.nodes[0]), weights(&more.graph.nodes[0]));
        let (before, after) = (&before.expect("layer").0.values, &after.expect("layer").0.values);
        assert!(before.iter().zip(after).all(|(before, after)| *before != 0.0 || *after == 0.0));
        assert_eq!(zeros(after), 192);
    }
}

#[test]
fn layers_of_equal_and_of_no_weights_and_dead_inputs() {
    let (mut graph, data) = correlated();
    for value in [0.0f32, 0.5] {
        if let FloatOp::Linear { weights, .. } = &mut graph.nodes[0].op {
            weights.values.fill(value);
        }
        for method in METHODS {
            let result =
                sparsify(&graph, &data, &options(method, Pattern::Unstructured, 0.5)).expect("sparse");
            let found = zeros(&weights(&result.graph.nodes[0]).expect("layer").0.values);
            assert_eq!(found, if value == 0.0 { 384 } else { 192 });
        }
    }
    let silent = Dataset::new(vec![3, 24], vec![0.0; 72], None).expect("data");
    let asked = options(Method::Obs, Pattern::Unstructured, 0.5);
    let result = sparsify(&graph, &silent, &asked).expect("sparse");
    assert_eq!(result.report.layers[0].treatment, Treatment::FellBack(Fallback::NoInput));
    assert_eq!(result.report.layers[0].zeros_after, 192);
    let narrow = SparsifyOptions { widest: 20, ..asked };
    let result = sparsify(&graph, &data, &narrow).expect("sparse");
    let wide = Fallback::Wide { columns: 24, widest: 20 };
    assert_eq!(result.report.layers[0].treatment, Treatment::FellBack(wide));
    assert_eq!(result.report.layers[1].treatment, Treatment::Pruned(Method::Obs));
}

/// The graph with zeros where the pruned one has no rows. Biases are random, so that they tell which rows are gone.
fn zeroed(graph: &FloatGraph, pruned: &FloatGraph) -> FloatGraph {
    let mut zeroed = graph.clone();
    for (node, new) in zeroed.nodes.iter_mut().zip(&pruned.nodes) {
        let Some((_, left)) = weights(new) else { continue };
        let left: HashSet<u32> = left.iter().map(|bias| bias.to_bits()).collect();
        if let FloatOp::Linear { weights, bias, .. } | FloatOp::Convolution { weights, bias, .. } =
            &mut node.op
        {
            for (row, bias) in weights.values.chunks_mut(weights.columns).zip(bias) {
                if !left.contains(&bias.to_bits()) {
                    row.fill(0.0);
                    *bias = 0.0;
                }
            }
        }
    }
    zeroed
}

fn compare(graph: &FloatGraph, pruned: &FloatGraph, inputs: &Dataset) {
    pruned.check_structure().expect("structure");
    let zeroed = zeroed(graph, pruned);
    for sample in inputs.samples(&graph.values[graph.input.0].shape).expect("samples").iter() {
        let (expected, found) = (output(&zeroed, sample), output(pruned, sample));
        assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(&found) {
            assert!((expected - found).abs() <= 1e-4 * expected.abs().max(1.0), "{expected} became {found}");
        }
    }
}

#[test]
fn a_network_without_channels_is_the_one_with_zeros_there() {
    for seed in 0..6 {
        let mut net = network(seed);
        let (data, unseen) = (net.images(4), net.images(3));
        // Surgery changes the weights that stay: there is a test of its own for that.
        for method in [Method::Magnitude, Method::Wanda] {
            for sparsity in [0.0, 0.25, 0.5, 1.0] {
                let asked = options(method, Pattern::Channels, sparsity);
                let Sparsified { graph, report } = sparsify(&net.graph, &data, &asked).expect("sparsify");
                compare(&net.graph, &graph, &unseen);
                let rows = |name: &str| {
                    let layer = report.layers.iter().find(|layer| layer.name == name).expect("layer");
                    (layer.rows_before, layer.rows_after)
                };
                // `inner` feeds groups of three: four classes of them; the residual stage has the stem's eight channels.
                let left = |count: usize| count - ((sparsity * count as f64).round() as usize).min(count - 1);
                assert_eq!(rows("inner"), (12, 3 * left(4)), "{report}");
                assert_eq!(rows("grouped"), (8, 2 * left(4)));
                for name in ["stem", "back", "depthwise"] {
                    assert_eq!(rows(name), (8, left(8)), "{report}");
                }
                assert_eq!(rows("next"), (10, left(10)));
                assert_eq!(rows("hidden"), (16, left(16)));
                assert_eq!(rows("classes"), (5, 5));
                let elements = |graph: &FloatGraph| graph.values.iter().map(|v| v.elements()).sum::<usize>();
                assert_eq!(sparsity > 0.0, elements(&graph) < elements(&net.graph));
                let back = onnx::import_bytes(&onnx::write_bytes(&graph).expect("write")).expect("back");
                for sample in unseen.samples(&[3, 8, 8]).expect("samples").iter() {
                    let (left, right) = (output(&graph, sample), output(&back, sample));
                    assert!(left.iter().zip(&right).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs().max(1.0)));
                }
            }
        }
    }
}

#[test]
fn layers_that_read_channels_make_up_for_them() {
    for seed in 0..4 {
        let mut net = network(seed);
        let data = net.images(30);
        let error = |method, excluded: Vec<String>| {
            let asked = SparsifyOptions { excluded, ..options(method, Pattern::Channels, 0.4) };
            let result = sparsify(&net.graph, &data, &asked).expect("sparsify");
            result.graph.check_structure().expect("structure");
            (result.report.error, result.graph)
        };
        let [magnitude, wanda, surgery] = METHODS.map(|method| error(method, Vec::new()).0);
        println!("channels: magnitude {magnitude:.3}, Wanda {wanda:.3}, surgery {surgery:.3}");
        assert!(surgery < 0.8 * wanda.min(magnitude), "{magnitude}, {wanda}, {surgery}");
        // An excluded layer loses the columns that read what is gone, and nothing else.
        let (_, graph) = error(Method::Obs, vec!["classes".into()]);
        let bits = |graph: &FloatGraph| {
            let (weights, bias) = weights(&graph.nodes[graph.nodes.len() - 1]).expect("layer");
            let rows = weights.values.chunks(weights.columns).map(|row| row.iter().map(|w| w.to_bits()));
            (rows.map(Iterator::collect).collect::<Vec<HashSet<u32>>>(), bias.to_vec())
        };
        let ((before, old_bias), (after, new_bias)) = (bits(&net.graph), bits(&graph));
        assert!(before.iter().zip(&after).all(|(before, after)| after.is_subset(before)));
        assert_eq!(old_bias, new_bias);
    }
}

/// Positions of vectors: two layers with a residual sum around the second, and a layer that mixes positions if asked for.
fn vectors(mixing: bool) -> Network {
    let mut net = Network::new(11, &[5, 6]);
    let linear = |net: &mut Network, name: &str, input, rows: usize| {
        let shape = net.shape(input);
        let (positions, columns) = (shape[0], shape[1]);
        let mut random =
            |count| (0..count).map(|_| net.random.random_range(-0.5f32..0.5)).collect::<Vec<f32>>();
        let weights = FloatMatrix { rows, columns, values: random(rows * columns) };
        let op = FloatOp::Linear { input, weights, bias: random(rows) };
        net.push(name, vec![positions, rows], op)
    };
    let first = linear(&mut net, "first", ValueId(0), 8);
    let first = net.relu("first_relu", first);
    let wide = linear(&mut net, "wide", first, 12);
    let wide = net.relu("wide_relu", wide);
    let narrow = linear(&mut net, "narrow", wide, 8);
    let mut last = net.add("residual", &[(first, 1.0), (narrow, 1.0)]);
    if mixing {
        let axes = vec![
            AccessAxis { count: 8, output_stride: 5, input_stride: 1 },
            AccessAxis { count: 5, output_stride: 1, input_stride: 8 },
        ];
        let access = Access { output_start: 0, input_start: 0, axes };
        let terms = vec![FloatTerm { input: last, coefficient: 1.0, access }];
        let turned = net.push("turned", vec![8, 5], FloatOp::Sum { terms, bias: Vec::new() });
        last = linear(&mut net, "mixing", turned, 5);
    }
    let flat = net.reshape("flat", last, &[40]);
    net.dense("classes", flat, 3);
    net
}

#[test]
fn vectors_get_shorter_unless_positions_are_mixed() {
    for mixing in [false, true] {
        let mut net = vectors(mixing);
        let values = (0..8 * 30).map(|_| net.random.random_range(-1.0f32..1.0)).collect();
        let data = Dataset::new(vec![8, 5, 6], values, None).expect("data");
        let asked = options(Method::Wanda, Pattern::Channels, 0.5);
        let Sparsified { graph, report } = sparsify(&net.graph, &data, &asked).expect("sparsify");
        compare(&net.graph, &graph, &data);
        let rows: Vec<usize> = report.layers.iter().map(|layer| layer.rows_after).collect();
        // A layer over positions reads all channels alike, so that none of them can go; what it makes itself can.
        let expected: &[usize] = if mixing { &[8, 6, 8, 2, 3] } else { &[4, 6, 4, 3] };
        assert_eq!(rows, expected, "{report}");
        assert_eq!(graph.values[net.graph.nodes[0].output.0].shape, [5, if mixing { 8 } else { 4 }]);
        let unstructured = sparsify(&net.graph, &data, &options(Method::Obs, Pattern::Unstructured, 0.5));
        assert!(unstructured.expect("sparsify").report.layers.iter().all(|layer| {
            layer.treatment == Treatment::Pruned(Method::Obs) && layer.zeros_after * 2 >= layer.weights - 1
        }));
    }
}

/// Random wiring of values of one shape.
fn random_wiring(seed: u64) -> Network {
    let shape = [6, 5, 5];
    let mut net = Network::new(seed, &shape);
    net.convolution("first", ValueId(0), (6, 1), window(3, 1, 1));
    for step in 0..9 {
        let name = format!("n{step}");
        let fitting = (1..net.graph.values.len()).map(ValueId).filter(|&id| net.shape(id) == shape);
        let fitting: Vec<ValueId> = fitting.collect();
        let pick = |net: &mut Network| {
            let back = net.random.random_range(0..fitting.len().min(4));
            fitting[fitting.len() - 1 - back]
        };
        let (input, other) = (pick(&mut net), pick(&mut net));
        match net.random.random_range(0..9) {
            0 | 1 => drop(net.convolution(&name, input, (6, 1), window(3, 1, 1))),
            2 => drop(net.convolution(&name, input, (6, 2), window(3, 1, 1))),
            3 => drop(net.convolution(&name, input, (6, 6), window(3, 1, 1))),
            4 => drop(net.add(&name, &[(input, 1.0), (other, -0.5)])),
            5 => drop(net.relu(&name, input)),
            6 => {
                let both = net.concatenate(&format!("{name}_concat"), &[input, other]);
                net.convolution(&name, both, (6, 1), window(1, 1, 0));
            }
            7 => drop(net.average_pool(&name, input, window(3, 1, 1))),
            _ => match net.random.random_range(0..3) {
                // Something of nothing: such channels must stay.
                0 => drop(net.pointwise(&name, input, Function::Sigmoid)),
                1 => drop(net.pointwise(&name, input, Function::Gelu)),
                _ => {
                    net.push(&name, shape.to_vec(), FloatOp::Multiply { left: input, right: other });
                }
            },
        }
    }
    let last = net.graph.output;
    let pooled = net.global_average("average", last);
    let flat = net.reshape("flat", pooled, &[6]);
    net.dense("classes", flat, 3);
    net
}

#[test]
fn random_networks_lose_channels_and_come_back_from_onnx() {
    let mut pruned = 0;
    for seed in 0..60 {
        let mut net = random_wiring(seed);
        let (data, unseen) = (net.images(3), net.images(2));
        let bytes = onnx::write_bytes(&net.graph).expect("write");
        compare(&net.graph, &net.graph, &unseen);
        let back = onnx::import_bytes(&bytes).expect("back");
        for sample in unseen.samples(&[6, 5, 5]).expect("samples").iter() {
            let (left, right) = (output(&net.graph, sample), output(&back, sample));
            assert!(left.iter().zip(&right).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs().max(1.0)));
        }
        let asked = options(Method::Wanda, Pattern::Channels, 0.5);
        match sparsify(&net.graph, &data, &asked) {
            Ok(result) => {
                compare(&net.graph, &result.graph, &unseen);
                pruned += 1;
            }
            Err(SparsifyError::NothingToPrune { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        for method in METHODS {
            let result = sparsify(&net.graph, &data, &options(method, Pattern::Unstructured, 0.5));
            result.expect("sparsify").graph.check_structure().expect("structure");
        }
    }
    assert!(pruned >= 30, "{pruned}");
}

#[test]
fn allocation_saves_what_is_asked_where_it_costs_least() {
    let mut net = network(9);
    let data = net.images(6);
    for method in [Method::Magnitude, Method::Wanda] {
        let uniform = options(method, Pattern::Unstructured, 0.6);
        let spread = SparsifyOptions { allocation: Allocation::ByError, ..uniform.clone() };
        let (uniform, spread) = (sparsify(&net.graph, &data, &uniform), sparsify(&net.graph, &data, &spread));
        let (uniform, spread) = (uniform.expect("uniform").report, spread.expect("spread").report);
        assert!((spread.sparsity() - 0.6).abs() < 0.01, "{spread}");
        println!("{method:?}: uniform {:.4}, by error {:.4}", uniform.error, spread.error);
        assert!(spread.error < uniform.error, "{uniform}\n{spread}");
    }
    // Only one layer costs anything: it alone is pruned.
    let asked = SparsifyOptions {
        allocation: Allocation::ByError,
        ..options(Method::Wanda, Pattern::Unstructured, 0.5)
    };
    let cost = |layer: &LayerSize| if layer.name == "next" { layer.nonzero as f64 } else { 0.0 };
    let report = sparsify_with_cost(&net.graph, &data, &asked, &cost).expect("sparsify").report;
    for layer in &report.layers {
        assert_eq!(layer.zeros_after > 0, layer.name == "next", "{report}");
    }
    assert!((report.cost_after - 0.5 * report.cost_before).abs() <= 1.0, "{report}");
    // Channels by error, activations as the cost.
    let asked = SparsifyOptions { pattern: Pattern::Channels, ..asked };
    let result = sparsify(&net.graph, &data, &asked).expect("sparsify");
    assert!(result.report.cost_after < 0.75 * result.report.cost_before, "{}", result.report);
    compare(&net.graph, &result.graph, &data);
}

#[test]
fn layers_that_must_stay_do() {
    let mut net = network(3);
    let data = net.images(3);
    let asked = SparsifyOptions {
        ends: false,
        excluded: vec!["inner".into()],
        ..options(Method::Wanda, Pattern::Unstructured, 0.5)
    };
    let Sparsified { graph, report } = sparsify(&net.graph, &data, &asked).expect("sparsify");
    for (old, new) in net.graph.nodes.iter().zip(&graph.nodes) {
        let stays = ["stem", "inner", "classes"].contains(&old.name.as_str()) || weights(old).is_none();
        assert_eq!(stays, old == new, "{}", old.name);
    }
    let treatment = |name: &str| report.layers.iter().find(|layer| layer.name == name).map(|l| l.treatment);
    assert_eq!(treatment("stem"), Some(Treatment::First));
    assert_eq!(treatment("inner"), Some(Treatment::Excluded));
    assert_eq!(treatment("classes"), Some(Treatment::Last));
    let asked = SparsifyOptions { pattern: Pattern::Channels, ..asked };
    let Sparsified { graph, report } = sparsify(&net.graph, &data, &asked).expect("sparsify");
    compare(&net.graph, &graph, &data);
    for layer in &report.layers {
        let open = ["next", "hidden"].contains(&layer.name.as_str());
        assert_eq!(layer.rows_after < layer.rows_before, open, "{report}");
    }
    let tied = report.layers.iter().find(|layer| layer.name == "back").expect("layer");
    assert_eq!(tied.treatment, Treatment::Tied);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let (graph, data) = correlated();
    let refused = |asked: SparsifyOptions| sparsify(&graph, &data, &asked).expect_err("refused");
    let base = SparsifyOptions::default();
    let error = refused(base.clone());
    assert!(matches!(error, SparsifyError::NothingToPrune { .. }), "{error}");
    assert!(error.to_string().contains("`hidden` kept: the first layer"), "{error}");
    for sparsity in [-0.1, 1.5, f64::NAN] {
        assert!(matches!(
            refused(SparsifyOptions { sparsity, ..base.clone() }),
            SparsifyError::Option { .. }
        ));
    }
    let error = refused(SparsifyOptions { damping: 0.0, ..base.clone() });
    assert!(matches!(error, SparsifyError::Option { option: "damping", .. }));
    for (few, of) in [(1, 0), (3, 2)] {
        let error = refused(SparsifyOptions { pattern: Pattern::Blocks { zeros: few, of }, ..base.clone() });
        assert!(matches!(error, SparsifyError::Blocks { .. }));
    }
    let error = refused(SparsifyOptions { excluded: vec!["nowhere".into()], ..base.clone() });
    assert!(matches!(error, SparsifyError::UnknownLayer { .. }));
    let wrong = Dataset::new(vec![2, 5], vec![0.0; 10], None).expect("data");
    assert!(matches!(sparsify(&graph, &wrong, &base), Err(SparsifyError::Data(_))));
    let huge = Dataset::new(vec![1, 24], vec![f32::MAX; 24], None).expect("data");
    let asked = SparsifyOptions { ends: true, ..base.clone() };
    assert!(matches!(sparsify(&graph, &huge, &asked), Err(SparsifyError::NotFinite { .. })));
    let mut idle = graph.clone();
    let input = FloatTerm { input: ValueId(0), coefficient: 1.0, access: Access::identity(24) };
    idle.nodes = vec![FloatNode {
        name: "only".into(),
        op: FloatOp::Sum { terms: vec![input], bias: Vec::new() },
        output: ValueId(1),
    }];
    idle.values.truncate(2);
    (idle.values[1].shape, idle.output) = (vec![24], ValueId(1));
    let error = sparsify(&idle, &data, &base).expect_err("refused");
    assert!(error.to_string().contains("no layer has weights"), "{error}");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// Percent of the test set that is classified as labelled.
fn accuracy(graph: &FloatGraph, data: &Dataset) -> f64 {
    let samples = data.samples(&graph.values[graph.input.0].shape).expect("samples");
    let labels = samples.labels().expect("labels");
    let right = samples
        .iter()
        .zip(labels)
        .filter(|(sample, label)| largest(&output(graph, sample)) == Some(**label as usize));
    100.0 * right.count() as f64 / samples.count() as f64
}

#[test]
fn digits_stay_readable() {
    for name in ["digits-mlp", "digits-cnn"] {
        let graph = onnx::import(fixture(&format!("{name}.onnx"))).expect("import");
        let prefix = if name == "digits-mlp" { "digits" } else { name };
        let load = |part: &str| Dataset::load(fixture(&format!("{prefix}-{part}.npz"))).expect("data");
        let (calibration, test) = (load("calibration"), load("test"));
        let dense = accuracy(&graph, &test);
        println!("{name}: dense {dense:.2}");
        for allocation in [Allocation::Uniform, Allocation::ByError] {
            for method in METHODS {
                let found = [0.25, 0.5, 0.75, 0.9].map(|sparsity| {
                    let asked =
                        SparsifyOptions { allocation, ..options(method, Pattern::Unstructured, sparsity) };
                    accuracy(&sparsify(&graph, &calibration, &asked).expect("sparsify").graph, &test)
                });
                println!("{name} {allocation:?} {method:?}: {found:.2?}");
                let most = if method == Method::Obs { [1.0, 2.0] } else { [2.0, 20.0] };
                let held = most.iter().zip(found).all(|(most, found)| found >= dense - most);
                assert!(held, "{name} {method:?}: {dense} became {found:?}");
            }
            for method in METHODS {
                let found = [0.25, 0.5].map(|sparsity| {
                    let asked =
                        SparsifyOptions { allocation, ..options(method, Pattern::Channels, sparsity) };
                    accuracy(&sparsify(&graph, &calibration, &asked).expect("sparsify").graph, &test)
                });
                println!("{name} {allocation:?} channels {method:?}: {found:.2?}");
            }
        }
    }
}
