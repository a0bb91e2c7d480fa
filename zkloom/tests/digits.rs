//! The bundled network on all 1,797 digits: the trace holds what the integer interpreter computes, bit for bit, the circuit
//! accepts it, and proofs of a sample bind exactly these outputs.

use std::sync::OnceLock;

use zkloom::{
    CompileOptions, Compiled, Dataset, Imported, Keyed, ProveOptions, QuantisationOptions, SetupOptions, Srs,
    Visibility, WeightVisibility,
};
use zkloom_plonkish::mock::MockChecker;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
/// Mock checks evaluate every product of every layer, so only every so many digits get one.
const MOCK_STRIDE: usize = 60;
const PROOF_STRIDE: usize = 450;

fn compiled(options: &CompileOptions) -> Compiled {
    let calibration = Dataset::load(format!("{FIXTURES}/digits-calibration.npz")).unwrap();
    let imported = Imported::from_file(format!("{FIXTURES}/digits-mlp.onnx")).unwrap();
    imported.quantise(&calibration, &QuantisationOptions::default()).unwrap().compile(options).unwrap()
}

fn all_digits() -> &'static Dataset {
    static DIGITS: OnceLock<Dataset> = OnceLock::new();
    DIGITS.get_or_init(|| Dataset::load(format!("{FIXTURES}/digits-all.npz")).unwrap())
}

fn keys(compiled: &Compiled) -> Keyed {
    compiled.setup(&Srs::development(compiled.srs_log_size()).unwrap(), &SetupOptions::default()).unwrap()
}

#[test]
fn every_digit_fills_the_trace_with_the_interpreters_values() {
    let compiled = compiled(&CompileOptions::default());
    let graph = compiled.graph();
    let parts = compiled.parts();
    let weights = parts.weights(graph).unwrap();
    let checker = MockChecker { circuit: &parts.circuit, fixed: &parts.fixed, weights: &weights };
    let samples = all_digits().samples(&graph.tensor(graph.input).shape).unwrap();
    assert_eq!(samples.count(), 1797);
    let labels = samples.labels().unwrap();
    let mut right = 0;
    for (index, digit) in samples.iter().enumerate() {
        let input = graph.quantise_input(digit).unwrap();
        let values = graph.run(&input).unwrap();
        let witness = parts.witness(graph, &input).unwrap();
        let output = &values[graph.output.0];
        assert_eq!(&witness.publics, std::slice::from_ref(output), "digit {index}");
        let largest = (0..output.len()).max_by_key(|class| (output[*class], usize::MAX - class)).unwrap();
        right += usize::from(largest as i64 == labels[index]);
        if index % MOCK_STRIDE == 0 {
            assert_eq!(checker.check(&witness, 3), [], "digit {index}");
            let mut wrong = witness.clone();
            wrong.publics[0][index % 10] += 1;
            assert_ne!(checker.check(&wrong, 1), [], "digit {index}");
        }
    }
    // The float network is right on 1,788; quantisation may cost one per cent at most.
    assert!(right >= 1770, "{right} of 1797");
}

#[test]
fn proofs_of_a_sample_bind_the_interpreters_outputs() {
    let compiled = compiled(&CompileOptions::default());
    let keyed = keys(&compiled);
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    let samples = all_digits().samples(&keyed.input_shape()).unwrap();
    for (index, digit) in samples.iter().enumerate().step_by(PROOF_STRIDE) {
        let proved = keyed.prove(digit, &ProveOptions::default(), &mut |_| {}).unwrap();
        let bound = verifier.verify(proved.file(), &pin).unwrap();
        let values = keyed.graph().run(&keyed.graph().quantise_input(digit).unwrap()).unwrap();
        assert_eq!(bound.len(), 1);
        assert_eq!(
            bound[0].values.as_ref().unwrap().integers,
            values[keyed.graph().output.0],
            "digit {index}"
        );
        assert!(proved.file().bytes.len() < 3000);
    }
}

#[test]
fn every_visibility_proves_and_shows_only_what_it_should() {
    let samples = all_digits();
    for (inputs, outputs, weights) in [
        (Visibility::Public, Visibility::Private, WeightVisibility::Private),
        (Visibility::Committed, Visibility::Public, WeightVisibility::Public),
        (Visibility::Private, Visibility::Committed, WeightVisibility::Private),
    ] {
        let compiled = compiled(&CompileOptions { inputs, outputs, weights, ..CompileOptions::default() });
        let keyed = keys(&compiled);
        let digit = samples.samples(&keyed.input_shape()).unwrap().get(5).unwrap().to_vec();
        let first = keyed.prove(&digit, &ProveOptions::default(), &mut |_| {}).unwrap();
        let bound = keyed.verifier().verify(first.file(), &keyed.pin()).unwrap();
        let shown = |visibility| [inputs, outputs].iter().filter(|v| **v == visibility).count();
        assert_eq!(bound.iter().filter(|t| t.values.is_some()).count(), shown(Visibility::Public));
        assert_eq!(bound.iter().filter(|t| t.commitment.is_some()).count(), shown(Visibility::Committed));
        // A commitment hides with fresh randomness, unless its opening is given again.
        let again = |openings| {
            let options = ProveOptions { openings, ..ProveOptions::default() };
            keyed.prove(&digit, &options, &mut |_| {}).unwrap().file().statement.externals.clone()
        };
        let commitments = &first.file().statement.externals;
        if shown(Visibility::Committed) > 0 {
            assert_ne!(&again(zkloom::Openings::default()), commitments);
            assert_eq!(&again(first.openings().clone()), commitments);
        }
    }
}

#[test]
fn public_weights_give_everyone_the_same_key() {
    let options = CompileOptions { weights: WeightVisibility::Public, ..CompileOptions::default() };
    let compiled = compiled(&options);
    let srs = Srs::development(compiled.srs_log_size()).unwrap();
    let digest = |compiled: &Compiled| {
        compiled.setup(&srs, &SetupOptions::default()).unwrap().verifier().key().digest()
    };
    assert_eq!(digest(&compiled), digest(&compiled));
    let private = self::compiled(&CompileOptions::default());
    assert_ne!(digest(&private), digest(&private));
}
