//! The bundled digits network: from ONNX to a circuit, and every digit's witness.

mod common;

use zkloom_circuits::{CompileOptions, Compiled, Visibility, WeightVisibility, compile};
use zkloom_model::data::Dataset;
use zkloom_model::integer_graph::IntegerGraph;
use zkloom_model::onnx;
use zkloom_model::quantise::{QuantisationOptions, quantise};
use zkloom_plonkish::mock::MockChecker;

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn digits() -> (IntegerGraph, Vec<Vec<i64>>) {
    let network = onnx::import(fixture("digits-mlp.onnx")).unwrap();
    let calibration = Dataset::load(fixture("digits-calibration.npz")).unwrap();
    let graph = quantise(&network, &calibration, &QuantisationOptions::default()).unwrap().graph;
    let all = Dataset::load(fixture("digits-all.npz")).unwrap();
    let samples = all.samples(&graph.tensor(graph.input).shape).unwrap();
    let inputs = samples.iter().map(|sample| graph.quantise_input(sample).unwrap()).collect();
    (graph, inputs)
}

fn passes(compiled: &Compiled, graph: &IntegerGraph, input: &[i64]) -> bool {
    let Compiled { circuit, fixed, .. } = compiled;
    let weights = compiled.weights(graph).unwrap();
    let witness = compiled.witness(graph, input).unwrap();
    MockChecker { circuit, fixed, weights: &weights }.check(&witness, 1).is_empty()
}

#[test]
fn every_digit_has_a_witness_with_the_interpreters_output() {
    let (graph, inputs) = digits();
    assert_eq!(inputs.len(), 1797);
    let compiled = compile(&graph, &CompileOptions::default()).unwrap();
    for input in &inputs {
        let witness = compiled.witness(&graph, input).unwrap();
        assert_eq!(witness.publics, [graph.run(input).unwrap()[graph.output.0].clone()]);
    }
    for input in inputs.iter().step_by(600) {
        assert!(passes(&compiled, &graph, input));
    }
}

#[test]
fn the_circuit_is_small() {
    let (graph, _) = digits();
    let report = compile(&graph, &CompileOptions::default()).unwrap().report();
    println!("{report:#?}");
    assert_eq!(report.layers.len(), graph.nodes.len());
    assert!(report.proof_bytes < 3000, "{} bytes", report.proof_bytes);
    assert!(report.shape.log_rows <= 12);
}

#[test]
fn every_number_of_lanes_and_every_visibility() {
    let (graph, inputs) = digits();
    for lanes in [1, 2, 4, 8] {
        let options = CompileOptions { lanes: Some(lanes), ..CompileOptions::default() };
        let compiled = compile(&graph, &options).unwrap();
        assert!(passes(&compiled, &graph, &inputs[lanes as usize]));
    }
    for inputs_and_outputs in [Visibility::Private, Visibility::Public, Visibility::Committed] {
        for weights in [WeightVisibility::Private, WeightVisibility::Public] {
            let options = CompileOptions {
                inputs: inputs_and_outputs,
                outputs: inputs_and_outputs,
                weights,
                ..CompileOptions::default()
            };
            let compiled = compile(&graph, &options).unwrap();
            assert!(passes(&compiled, &graph, &inputs[0]));
        }
    }
}
