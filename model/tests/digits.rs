//! The bundled digits network keeps its accuracy as integers.

use std::path::{Path, PathBuf};

use zkloom_model::data::Dataset;
use zkloom_model::onnx;
use zkloom_model::quantise::{QuantisationOptions, Quantised, quantise};
use zkloom_model::report::largest;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn quantised(options: &QuantisationOptions) -> Quantised {
    let network = onnx::import(fixture("digits-mlp.onnx")).expect("import");
    let calibration = Dataset::load(fixture("digits-calibration.npz")).expect("calibration");
    quantise(&network, &calibration, options).expect("quantise")
}

/// Float and integer accuracy over all digits.
fn accuracies(quantised: &Quantised) -> (f64, f64) {
    let network = onnx::import(fixture("digits-mlp.onnx")).expect("import");
    let digits = Dataset::load(fixture("digits-all.npz")).expect("digits");
    let samples = digits.samples(&[64]).expect("samples");
    assert_eq!(samples.count(), 1797);
    let (mut float, mut integer) = (0u32, 0u32);
    for (digit, &label) in samples.iter().zip(samples.labels().expect("labels")) {
        let values = network.run(digit).expect("float");
        float += u32::from(largest(&values[network.output.0]) == Some(label as usize));
        let graph = &quantised.graph;
        let values = graph.run(&graph.quantise_input(digit).expect("input")).expect("integer");
        integer += u32::from(largest(&values[graph.output.0]) == Some(label as usize));
    }
    (f64::from(float) / 1797.0, f64::from(integer) / 1797.0)
}

#[test]
fn integer_accuracy_is_within_one_percent_over_all_digits() {
    let quantised = quantised(&QuantisationOptions::default());
    println!("{}", quantised.report);
    let (float, integer) = accuracies(&quantised);
    println!("all digits: float {float:.4}, integer {integer:.4}");
    // The exported file's accuracy by onnx's own reference evaluator (fixtures/README.md).
    assert!((float - 1788.0 / 1797.0).abs() < 1e-9, "float accuracy {float}");
    assert!((float - integer).abs() <= 0.01, "float {float}, integer {integer}");
}
