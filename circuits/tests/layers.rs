//! Every operation, over lanes, sizes and visibilities, through the one check.

mod common;

use common::{Network, RELU, SATURATE, check_layer, options, visibilities};
use zkloom_circuits::{CompileOptions, Visibility, WeightVisibility, compile};
use zkloom_model::integer_graph::{Activation, IntegerOp, Interval, WeightMatrix};
use zkloom_plonkish::mock::{Failure, MockChecker};
use zkloom_plonkish::{Origin, Relation};

#[test]
fn dense_layers_of_odd_sizes() {
    for lanes in [1, 2, 4] {
        for (columns, rows) in [(1, 1), (3, 5), (7, 2)] {
            let mut network = Network::new(&[columns], 3);
            let acc = network.linear("dense", network.input(), rows);
            network.activate("relu", acc, RELU);
            let inputs = network.inputs();
            check_layer(&network.graph, &options(lanes), &inputs);
        }
    }
}

#[test]
fn several_positions_cut_anywhere() {
    for lanes in [1, 2, 3, 4] {
        let mut network = Network::new(&[3, 5], 3);
        let acc = network.linear("dense", network.input(), 2);
        let act = network.activate("relu", acc, RELU);
        network.linear("head", act, 3);
        let inputs = network.inputs();
        check_layer(&network.graph, &options(lanes), &inputs);
    }
}

#[test]
fn leading_axes_are_one_position_axis() {
    let mut network = Network::new(&[2, 2, 3], 3);
    let acc = network.linear("dense", network.input(), 2);
    network.activate("relu", acc, SATURATE);
    let inputs = network.inputs();
    let checked = check_layer(&network.graph, &options(2), &inputs);
    let Relation::Matrix { ones, .. } = &checked.compiled.circuit.claims[0].relation else { panic!() };
    assert_eq!(ones[0].axes[0].count, 4);
}

#[test]
fn several_layers_in_every_visibility() {
    let mut network = Network::new(&[5], 3);
    let acc = network.linear("first", network.input(), 4);
    let act = network.activate("relu", acc, RELU);
    network.linear("second", act, 3);
    let inputs = network.inputs();
    for options in visibilities() {
        let checked = check_layer(&network.graph, &options, &inputs);
        let circuit = &checked.compiled.circuit;
        let both = [options.inputs, options.outputs];
        let count = |kind| both.iter().filter(|found| **found == kind).count();
        assert_eq!(circuit.publics.len(), count(Visibility::Public));
        assert_eq!(circuit.externals.len(), count(Visibility::Committed));
        let public = options.weights == WeightVisibility::Public;
        assert!(circuit.matrices.iter().all(|matrix| matrix.public == public));
    }
}

#[test]
fn public_and_committed_values_are_bound() {
    let mut network = Network::new(&[4], 3);
    let acc = network.linear("dense", network.input(), 3);
    network.activate("relu", acc, RELU);
    let input = vec![1, -2, 3, 4];
    let kinds = CompileOptions { inputs: Visibility::Committed, outputs: Visibility::Public, ..options(2) };
    let checked = check_layer(&network.graph, &kinds, std::slice::from_ref(&input));
    let honest = checked.compiled.witness(&network.graph, &input).unwrap();
    assert_eq!(checked.compiled.circuit.publics[0].identifier, 1);
    assert_eq!(checked.compiled.circuit.externals[0].identifier, 0);
    for index in 0..3 {
        let mut tampered = honest.clone();
        tampered.publics[0][index] += 1;
        assert!(!checked.failures(&tampered).is_empty(), "public value {index}");
    }
    for index in 0..4 {
        let mut tampered = honest.clone();
        tampered.externals[0][index] += zkloom_plonkish::Fr::from(1_u64);
        assert!(!checked.failures(&tampered).is_empty(), "committed value {index}");
    }
}

#[test]
fn residual_sums() {
    for lanes in [1, 2, 4] {
        let mut network = Network::new(&[5], 2);
        let acc = network.linear("dense", network.input(), 5);
        let act = network.activate("relu", acc, RELU);
        let sum = network.sum("residual", &[(act, 3), (network.input(), -2), (act, 1)], vec![]);
        network.activate("relu again", sum, RELU);
        let inputs = network.inputs();
        let checked = check_layer(&network.graph, &options(lanes), &inputs);
        let linear = |relation: &Relation| matches!(relation, Relation::Linear { .. });
        let claims = checked.compiled.circuit.claims.iter().filter(|claim| linear(&claim.relation)).count();
        // One for the sum, whatever the lanes.
        assert_eq!(claims, 1);
    }
}

#[test]
fn sums_with_a_bias() {
    for weights in [WeightVisibility::Private, WeightVisibility::Public] {
        let mut network = Network::new(&[5], 2);
        let bias = network.sequence.vector(5, -30, 40);
        let sum = network.sum("shifted", &[(network.input(), 5)], bias);
        network.activate("clamp", sum, SATURATE);
        let inputs = network.inputs();
        let checked = check_layer(&network.graph, &CompileOptions { weights, ..options(2) }, &inputs);
        assert_eq!(checked.compiled.circuit.matrices[0].columns, 1);
        let claimed = |origin: &Origin| matches!(origin, Origin::Claim { .. });
        let bias = checked.compiled.circuit.tensors.iter().find(|t| t.name.ends_with(".bias")).unwrap();
        assert!(bias.pieces.iter().all(|piece| claimed(&piece.origin)));
    }
}

#[test]
fn reshapes_are_the_same_cells() {
    let mut network = Network::new(&[2, 3], 3);
    let flat = network.reshape("flatten", network.input(), &[6]);
    let acc = network.linear("dense", flat, 4);
    let square = network.reshape("square", acc, &[2, 2]);
    let act = network.activate("relu", square, RELU);
    let again = network.reshape("transparent", act, &[4]);
    network.linear("head", again, 2);
    let inputs = network.inputs();
    for lanes in [1, 2, 4] {
        let checked = check_layer(&network.graph, &options(lanes), &inputs);
        assert_eq!(checked.compiled.layout.blocks.len(), 3);
    }
}

#[test]
fn networks_without_any_layer() {
    let mut network = Network::new(&[3], 3);
    let inputs = network.inputs();
    let kinds = CompileOptions { inputs: Visibility::Committed, outputs: Visibility::Public, ..options(2) };
    let checked = check_layer(&network.graph, &kinds, &inputs);
    assert!(checked.compiled.circuit.folds().is_empty());
}

#[test]
fn clamps_that_are_not_zero_at_zero() {
    let mut network = Network::new(&[3], 2);
    let acc = network.linear("dense", network.input(), 5);
    // Padding cells hold the function's value at zero, which is 2 here.
    let act = network.activate("clip", acc, Activation::Clamp { min: 2, max: 5 });
    network.linear("head", act, 2);
    let inputs = network.inputs();
    check_layer(&network.graph, &options(4), &inputs);
}

#[test]
fn inputs_without_zero_and_functions_side_by_side() {
    let mut network = Network::new(&[3], 2);
    network.graph.tensors[0].interval.min = 2;
    let acc = network.linear("dense", network.input(), 3);
    let act = network.activate("relu", acc, RELU);
    let other = network.linear("other", act, 3);
    let saturated = network.activate("saturate", other, SATURATE);
    let third = network.linear("third", saturated, 2);
    network.activate("relu again", third, RELU);
    let inputs: Vec<_> = network.inputs().into_iter().filter(|input| !input.contains(&0)).collect();
    let checked = check_layer(&network.graph, &options(2), &inputs);
    // Remainders, input, and one table for each of two functions.
    assert_eq!(checked.compiled.layout.tables.len(), 4);
}

#[test]
fn no_shift_at_all() {
    let mut network = Network::new(&[2], 0);
    let acc = network.linear("dense", network.input(), 2);
    network.activate("relu", acc, RELU);
    let inputs = network.inputs();
    check_layer(&network.graph, &options(1), &inputs);
}

#[test]
fn tables_over_several_sets() {
    let mut network = Network::new(&[6], 2);
    let acc = network.linear("dense", network.input(), 6);
    network.activate("relu", acc, RELU);
    let inputs = network.inputs();
    let small = CompileOptions { log_rows: Some(6), ..options(1) };
    let checked = check_layer(&network.graph, &small, &inputs);
    assert!(checked.compiled.circuit.table_sets.len() > 2);
    let large = CompileOptions { log_rows: Some(10), ..options(1) };
    assert_eq!(check_layer(&network.graph, &large, &inputs).compiled.circuit.table_sets.len(), 1);
}

#[test]
fn values_by_hand() {
    let mut network = Network::new(&[2], 1);
    let weights_of = WeightMatrix { rows: 2, columns: 2, values: vec![1, -2, 3, 1] };
    let op = IntegerOp::dense(network.input(), weights_of, vec![2, 1], vec![1, -4]);
    let acc = network.node("dense", &[2], op);
    network.activate("relu", acc, RELU);
    let plain = CompileOptions { packing: Some(0), ..options(1) };
    let packed = CompileOptions { packing: Some(100), ..options(1) };
    let compiled = compile(&network.graph, &packed).unwrap();
    // Both rows side by side, then both biases.
    assert_eq!(compiled.weights(&network.graph).unwrap()[0].entries, [2, -4, 3, 1, 1, -4]);
    let compiled = compile(&network.graph, &plain).unwrap();
    assert_eq!(compiled.weights(&network.graph).unwrap()[0].entries, [2, -4, 1, 3, 1, -4]);
    let witness = compiled.witness(&network.graph, &[3, -1]).unwrap();
    // 2 * 3 + 4 * 1 + 1 = 11 and 3 * 3 - 1 - 4 = 4; halves go up, so 11 / 2 becomes 6 with remainder -1.
    assert_eq!(witness.advice, [[0, 0, 11, 4], [3, -1, 6, 2], [0, 0, -1, 0]].map(Vec::from));
    assert_eq!(witness.publics, [[6, 2]].map(Vec::from));
}

#[test]
fn private_weights_show_only_powers_of_two() {
    let graph = |scale: i8| {
        let mut network = Network::new(&[4], 2);
        let values = (0..12).map(|i| if i % 2 == 0 { scale } else { -scale }).collect();
        let weights = WeightMatrix { rows: 3, columns: 4, values };
        let op = IntegerOp::dense(network.input(), weights, vec![1; 3], vec![0; 3]);
        let acc = network.node("dense", &[3], op);
        network.activate("relu", acc, RELU);
        network.graph
    };
    // Accumulators up to 4 * 8 * 5 = 160 and 4 * 8 * 7 = 224.
    let digest = |scale, weights| {
        let compiled = compile(&graph(scale), &CompileOptions { weights, ..options(1) }).unwrap();
        (compiled.circuit.digest(), compiled.fixed)
    };
    assert_eq!(digest(5, WeightVisibility::Private), digest(7, WeightVisibility::Private));
    assert_ne!(digest(5, WeightVisibility::Public), digest(7, WeightVisibility::Public));
    let compiled = compile(&graph(5), &options(1)).unwrap();
    let interval = compiled.circuit.tensors[1].interval;
    assert_eq!((interval.min, interval.max), (-256, 255));
}

#[test]
fn accumulators_are_read_like_any_tensor() {
    let mut network = Network::new(&[3], 3);
    let acc = network.linear("first", network.input(), 3);
    let reshaped = network.reshape("reshape", acc, &[3, 1]);
    network.linear("second", reshaped, 2);
    let sum = network.sum("sum", &[(network.input(), 1), (acc, 1)], vec![]);
    network.activate("relu", sum, RELU);
    let inputs = network.inputs();
    check_layer(&network.graph, &options(2), &inputs);
}

#[test]
fn activations_of_inputs_of_activations_and_of_shared_accumulators() {
    let mut network = Network::new(&[5], 1);
    let first = network.activate("relu", network.input(), RELU);
    let second = network.activate("clip", first, Activation::Clamp { min: 1, max: 2 });
    let acc = network.linear("dense", second, 3);
    let one = network.activate("one", acc, RELU);
    let two = network.activate("two", acc, SATURATE);
    network.sum("both", &[(one, 1), (two, -1)], vec![]);
    let inputs = network.inputs();
    let checked = check_layer(&network.graph, &options(2), &inputs);
    // Input, its activation, that one's, the layer with the first of its activations, the second, the output.
    assert_eq!(checked.compiled.layout.blocks.len(), 6);
}

/// Two layers with one function, the first defined for less than its accumulators can be.
fn strict(narrow: bool) -> Network {
    let mut network = Network::new(&[2], 1);
    let wide = network.linear("wide", network.input(), 3);
    network.activate("first", wide, RELU);
    let Interval { min, max } = network.graph.tensor(wide).interval;
    let IntegerOp::Activate { domain, .. } = &mut network.graph.nodes[1].op else { panic!() };
    if narrow {
        *domain = Interval { min: 0, max: 1 };
    } else {
        assert!(min < -3 && max > 3, "there is something beyond the narrow domain");
    }
    let other = network.linear("other", network.graph.output, 3);
    network.activate("second", other, RELU);
    network
}

#[test]
fn a_function_for_less_than_can_occur_has_a_table_of_its_own() {
    let options = CompileOptions { weights: WeightVisibility::Public, ..options(2) };
    let (free, narrow) = (strict(false), strict(true));
    let [shared, own] = [&free, &narrow].map(|network| compile(&network.graph, &options).unwrap());
    assert_eq!((shared.layout.tables.len(), own.layout.tables.len()), (3, 4));
    let input = [7, 7];
    // An input that leads the first layer beyond, but not beyond what the second layer's table has.
    let witness = shared.witness(&free.graph, &input).unwrap();
    let acc = free.graph.run(&input).unwrap()[1].clone();
    let beyond = |value: &i64| !(0..=1).contains(&zkloom_model::rounding::requantise(*value, 1));
    assert!(acc.iter().any(beyond), "{acc:?}");
    assert!(own.witness(&narrow.graph, &input).is_err());
    let weights = own.weights(&narrow.graph).unwrap();
    let checker = MockChecker { circuit: &own.circuit, fixed: &own.fixed, weights: &weights };
    let failures = checker.check(&witness, 100);
    assert!(failures.iter().any(|failure| matches!(failure, Failure::Lookup { .. })), "{failures:?}");
    // With the second layer's tag on all rows, which is what sharing a table would mean, no constraint would notice.
    let mut sharing = own.fixed.clone();
    let tags = [&own.layout.blocks[1], &own.layout.blocks[2]].map(|block| i64::from(block.tag));
    sharing.columns[1].iter_mut().filter(|tag| **tag == tags[0]).for_each(|tag| *tag = tags[1]);
    let checker = MockChecker { circuit: &own.circuit, fixed: &sharing, weights: &weights };
    let failures = checker.check(&witness, 100);
    assert!(failures.iter().all(|failure| matches!(failure, Failure::Interval { .. })), "{failures:?}");
}
