//! Key makers who state what is not so: intervals that values leave, functions that refuse what a circuit takes, matrices that are
//! not the compiler's. What an audit lets pass can refuse too much, but it proves nothing that the network does not compute.

mod common;

use common::{Network, RELU, options};
use zkloom_circuits::{CompileError, CompileOptions, Compiled, WeightVisibility, audit, compile};
use zkloom_model::integer_graph::{Activation, IntegerGraph, IntegerOp, Interval, TensorId};
use zkloom_plonkish::mock::{Failure, MockChecker};
use zkloom_plonkish::{Decode, Encode};

const REACH: Interval = Interval { min: -4096, max: 4095 };

/// Gives a function a domain of its own, and its output the interval that follows.
fn over(network: &mut Network, output: TensorId, domain: Interval) {
    let node = network.graph.nodes.iter_mut().find(|node| node.output == output).unwrap();
    let IntegerOp::Activate { domain: own, .. } = &mut node.op else { panic!("it is no function") };
    *own = domain;
    let node = node.clone();
    let intervals = zkloom_model::interval::channel_intervals(&node, &network.graph.tensors).unwrap();
    network.graph.tensors[output.0].interval = zkloom_model::interval::hull(&intervals);
}

/// `max(a, b)` or `a b` beside a function with the table that the compiler would make for it if `a` and `b` were small.
fn pair(product: bool) -> (IntegerGraph, [TensorId; 2]) {
    let mut network = Network::new(&[4], 3);
    let a = network.linear("a", network.input(), 3);
    let b = network.linear("b", network.input(), 3);
    let squares = (-8_i64..=8).map(|q| (q * q / 4) as i32).collect();
    let function = if product { Activation::Table { first: -8, values: squares } } else { RELU };
    let first = network.activate("function", a, function);
    over(&mut network, first, REACH);
    if product {
        network.multiply("both", a, b);
    } else {
        network.maximum("both", a, b);
    }
    (network.graph, [a, b])
}

/// A description in which the accumulators' intervals are stated too narrow, as the key maker's own compiler could make it.
fn lying(graph: &IntegerGraph, liars: &[TensorId], options: &CompileOptions) -> Compiled {
    // Weights that are small enough for the lie make it a circuit of an honest network.
    let mut small = graph.clone();
    for node in &mut small.nodes {
        if let IntegerOp::Linear { products, bias } = &mut node.op {
            bias.iter_mut().for_each(|value| *value = 0);
            products
                .iter_mut()
                .for_each(|product| product.weights.values.iter_mut().for_each(|value| *value = 0));
        }
    }
    liars.iter().for_each(|tensor| small.tensors[tensor.0].interval = Interval { min: -4, max: 3 });
    let derived: Vec<_> = small.nodes.clone();
    for node in derived.iter().filter(|node| !liars.contains(&node.output)) {
        let intervals = zkloom_model::interval::channel_intervals(node, &small.tensors).unwrap();
        small.tensors[node.output.0].interval = zkloom_model::interval::hull(&intervals);
    }
    compile(&small, options).unwrap()
}

/// The output that the trace's own cells give.
fn output_cells(made: &Compiled, witness: &zkloom_plonkish::Witness) -> Vec<i64> {
    let columns: Vec<u32> = made.circuit.tensor_columns().map(|column| column as u32).collect();
    let views = &made.circuit.claims.last().unwrap().output;
    let cell = |column: u32, row: u32| witness.get(columns[column as usize], row as usize);
    views.iter().flat_map(|view| view.rows().into_iter().map(|row| cell(view.column, row as u32))).collect()
}

#[test]
fn intervals_that_are_stated_too_narrow_refuse_and_never_give_another_value() {
    for product in [false, true] {
        for kind in [WeightVisibility::Private, WeightVisibility::Public] {
            let (honest, liars) = pair(product);
            let made = lying(&honest, &liars, &CompileOptions { weights: kind, ..options(2) });
            audit(&made).unwrap();
            let inputs = [[7, -8, 7, -8], [-8, 7, -8, 7], [7; 4], [-8; 4], [1, 5, -3, 2], [0; 4]];
            for input in inputs {
                // Values outside the tables have no witness, whatever the weights are.
                let Ok(mut witness) = made.witness(&honest, &input) else { continue };
                witness.publics[0] = output_cells(&made, &witness);
                let weights = made.weights(&honest).unwrap();
                let Compiled { circuit, fixed, .. } = &made;
                let failures = MockChecker { circuit, fixed, weights: &weights }.check(&witness, 100);
                // That accumulators lie in their stated intervals is the key maker's word: no proof shows it.
                let refused = failures.iter().any(|failure| !matches!(failure, Failure::Interval { .. }));
                let truth = &honest.run(&input).unwrap()[honest.output.0];
                assert!(refused || &witness.publics[0] == truth, "{input:?}");
            }
            assert!(made.witness(&honest, &inputs[0]).is_err() && made.witness(&honest, &inputs[1]).is_err());
        }
    }
}

#[test]
fn a_graph_whose_values_leave_its_intervals_is_refused() {
    let (mut graph, [a, _]) = pair(false);
    graph.tensors[a.0].interval = Interval { min: -4, max: 3 };
    assert!(matches!(compile(&graph, &options(1)), Err(CompileError::Interval(_))));
}

#[test]
fn a_structure_states_no_interval_that_follows_from_others() {
    let (graph, _) = pair(false);
    let made = compile(&graph, &options(1)).unwrap();
    let mut bytes = made.layout.structure.to_vec();
    assert!(zkloom_circuits::structure::Structure::from_slice(&bytes).is_ok());
    let mut other: IntegerGraph = made.layout.structure.graph().clone();
    let output = other.output;
    other.tensors[output.0].interval.max += 1;
    let encoded = postcard::to_stdvec(&other).unwrap();
    bytes = (encoded.len() as u64).to_vec();
    bytes.extend(encoded);
    assert!(zkloom_circuits::structure::Structure::from_slice(&bytes).is_err());
}

/// A function that refuses what lies outside a domain.
fn strict(domain: Interval) -> IntegerGraph {
    let mut network = Network::new(&[4], 3);
    let a = network.linear("a", network.input(), 3);
    let output = network.activate("strict", a, Activation::Clamp { min: -8, max: 7 });
    over(&mut network, output, domain);
    network.graph
}

#[test]
fn domains_that_a_circuit_cannot_keep_are_refused() {
    let compiled = |min, max, weights| {
        compile(&strict(Interval { min, max }), &CompileOptions { weights, ..options(1) })
    };
    use WeightVisibility::{Private, Public};
    assert!(matches!(compiled(-5, 5, Private), Err(CompileError::Strict { .. })));
    assert!(matches!(compiled(2, 3, Public), Err(CompileError::Strict { .. })));
    let error = compiled(-5, 5, Private).unwrap_err().to_string();
    assert!(error.contains("`strict`") && error.contains("[-5, 5]") && error.contains("[-8, 7]"), "{error}");
    for (min, max, weights) in [(-5, 5, Public), (-4, 3, Private), (-4, 3, Public)] {
        compiled(min, max, weights).unwrap();
    }
}

#[test]
fn what_the_network_refuses_has_no_proof() {
    let refusing = strict(Interval { min: -4, max: 3 });
    let mut wide = refusing.clone();
    for node in &mut wide.nodes {
        if let IntegerOp::Activate { domain, .. } = &mut node.op {
            *domain = REACH;
        }
    }
    wide.tensors.last_mut().unwrap().interval = Interval { min: -8, max: 7 };
    for kind in [WeightVisibility::Public, WeightVisibility::Private] {
        let made = compile(&refusing, &CompileOptions { weights: kind, ..options(1) }).unwrap();
        let weights = made.weights(&refusing).unwrap();
        let mut sequence = common::Sequence::new(9);
        let mut refused = 0;
        for _ in 0..500 {
            let input = sequence.vector(4, -8, 7);
            if refusing.run(&input).is_ok() {
                continue;
            }
            refused += 1;
            let Ok(witness) = made.witness(&wide, &input) else { continue };
            let Compiled { circuit, fixed, .. } = &made;
            assert!(
                !MockChecker { circuit, fixed, weights: &weights }.check(&witness, 1).is_empty(),
                "{input:?}"
            );
        }
        assert!(refused > 50, "{refused}");
    }
}

#[test]
fn the_compilers_own_matrices_are_named() {
    let mut network = Network::new(&[5], 3);
    let acc = network.linear("scores", network.input(), 5);
    let scores = network.activate("clamp", acc, Activation::Clamp { min: -8, max: 7 });
    network.node("best", &[1], IntegerOp::ArgMax { input: scores, length: 5, inner: 1, last: false });
    let graph = network.graph;
    let made = compile(&graph, &options(1)).unwrap();
    let own = made.own_matrices().unwrap();
    assert_eq!(own.len(), 1);
    let (index, matrix) = &own[0];
    assert!(made.circuit.matrices[*index].public && made.circuit.matrices[*index].name.contains("counts"));
    assert_eq!(&made.weights(&graph).unwrap()[*index], matrix);
    let none = compile(&pair(false).0, &options(1)).unwrap();
    assert!(none.own_matrices().unwrap().is_empty());
}
