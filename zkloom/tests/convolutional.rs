//! A trained convolutional network from ONNX to verified proofs: the outputs that proofs bind are the integer network's, at
//! every visibility and number of lanes, and a key stays resident for several of them.

use zkloom::{
    CompileOptions, Compiled, Dataset, Imported, Openings, ProveOptions, QuantisationOptions, Quantised,
    RangePolicy, SetupOptions, Srs, Visibility, WeightVisibility,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

fn quantised(options: &QuantisationOptions) -> (Imported, Quantised) {
    let calibration = Dataset::load(format!("{FIXTURES}/digits-cnn-calibration.npz")).unwrap();
    let imported = Imported::from_file(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
    let quantised = imported.quantise(&calibration, options).unwrap();
    (imported, quantised)
}

fn test_digits() -> Dataset {
    Dataset::load(format!("{FIXTURES}/digits-cnn-test.npz")).unwrap()
}

fn prove_some(quantised: &Quantised, compiled: &Compiled, step: usize) {
    let srs = Srs::development(compiled.srs_log_size()).unwrap();
    let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
    let verifier = keyed.verifier();
    verifier.audit(&keyed.description(), &with_lagrange(srs.clone(), compiled), "cpu").unwrap();
    let digits = test_digits();
    let samples = digits.samples(&keyed.input_shape()).unwrap();
    keyed
        .resident(&ProveOptions::default(), |key| {
            for digit in samples.iter().step_by(step) {
                let expected = quantised.infer(digit).unwrap();
                let proved = key.prove(digit, &Openings::default(), &mut |_| {}).unwrap();
                let bound = verifier.verify(proved.file(), &srs.pin()).unwrap();
                for tensor in bound.iter().filter(|tensor| tensor.identifier == 1) {
                    if let Some(values) = &tensor.values {
                        assert_eq!(values.integers, expected.integers);
                    }
                }
                let mut forged = proved.file().clone();
                if let Some(value) = forged.statement.publics.last_mut().and_then(|tensor| tensor.first_mut())
                {
                    *value += 1;
                    assert!(verifier.verify(&forged, &srs.pin()).is_err());
                }
            }
            Ok(())
        })
        .unwrap();
}

fn with_lagrange(mut srs: Srs, compiled: &Compiled) -> Srs {
    srs.ensure_lagrange(compiled.circuit().log_rows, None).unwrap();
    srs
}

#[test]
fn proofs_bind_the_integer_networks_outputs() {
    let (_, quantised) = quantised(&QuantisationOptions::default());
    let compiled = quantised.compile(&CompileOptions::default()).unwrap();
    prove_some(&quantised, &compiled, 120);
}

#[test]
fn every_visibility_and_several_lanes() {
    let strict =
        QuantisationOptions { range: RangePolicy::Strict, bits: 7, ..QuantisationOptions::default() };
    let (_, quantised) = quantised(&strict);
    let kinds = [
        (Visibility::Public, Visibility::Public, WeightVisibility::Public, 1),
        (Visibility::Committed, Visibility::Private, WeightVisibility::Private, 3),
        (Visibility::Private, Visibility::Committed, WeightVisibility::Public, 8),
    ];
    for (inputs, outputs, weights, lanes) in kinds {
        let lanes = Some(lanes);
        let options = CompileOptions { inputs, outputs, weights, lanes, ..CompileOptions::default() };
        prove_some(&quantised, &quantised.compile(&options).unwrap(), 400);
    }
}

#[test]
fn integers_keep_the_accuracy() {
    for bits in [6, 8, 10] {
        let (imported, quantised) =
            quantised(&QuantisationOptions { bits, ..QuantisationOptions::default() });
        let accuracy = quantised.accuracy(&imported, &test_digits()).unwrap();
        assert!(accuracy.float > 0.95, "{accuracy:?}");
        assert!(accuracy.integer > accuracy.float - 0.01, "{bits} bits: {accuracy:?}");
    }
}
