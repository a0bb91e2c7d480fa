//! Accelerators that fail: a wrong result is never handed out, and the proof is made all the same.

use zkloom::{
    CompileOptions, Dataset, Imported, Keyed, Openings, Proved, QuantisationOptions, SetupOptions, Srs,
};
use zkloom_backends::laws::{Faulty, Method};
use zkloom_backends::{Backend, CpuBackend, Several};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

/// Keys of the digits network, and one digit.
fn keyed() -> (Keyed, Vec<f32>) {
    let calibration = Dataset::load(format!("{FIXTURES}/digits-cnn-calibration.npz")).unwrap();
    let imported = Imported::from_file(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
    let quantised = imported.quantise(&calibration, &QuantisationOptions::default()).unwrap();
    let compiled = quantised.compile(&CompileOptions::default()).unwrap();
    let srs = Srs::development(compiled.srs_log_size()).unwrap();
    let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
    let digits = Dataset::load(format!("{FIXTURES}/digits-cnn-test.npz")).unwrap();
    let digit = digits.samples(&keyed.input_shape()).unwrap().get(0).unwrap().to_vec();
    (keyed, digit)
}

fn cpu() -> CpuBackend {
    CpuBackend::new(Some(2)).unwrap()
}

/// Two proofs by the device, each verified.
fn two<B: Backend>(keyed: &Keyed, digit: &[f32], backend: &B) -> [Proved; 2] {
    let mut proofs = keyed
        .resident_on(backend, Some(2), |key| {
            let prove = || key.prove(digit, &Openings::default(), &mut |_| {});
            Ok([prove()?, prove()?])
        })
        .unwrap();
    for proved in &mut proofs {
        keyed.verifier().verify(proved.file(), &keyed.pin()).unwrap();
    }
    proofs
}

#[test]
fn a_device_that_computes_wrongly_is_replaced_after_the_second_time() {
    let (keyed, digit) = keyed();
    for method in
        [Method::Msm, Method::MsmIntegers, Method::CosetNtt, Method::Run, Method::Evaluate, Method::Combine]
    {
        let [first, second] = two(&keyed, &digit, &Faulty::new(cpu(), method));
        assert_eq!((first.device(), first.faults().len()), ("cpu", 2), "{method}");
        assert!(first.faults()[0].contains("faulty-cpu") && first.faults()[0].contains("does not verify"));
        assert_eq!((second.device(), second.faults().len()), ("cpu", 0), "{method} stays in quarantine");
    }
}

#[test]
fn a_passing_fault_costs_one_proof_more() {
    let (keyed, digit) = keyed();
    for method in [Method::Msm, Method::Run, Method::InverseCosetNtt, Method::Combine] {
        let [first, second] = two(&keyed, &digit, &Faulty::once(cpu(), method, 1));
        assert_eq!(
            (first.device(), first.faults().len()),
            ("faulty-cpu", 1),
            "{method}: {:?}",
            first.faults()
        );
        assert_eq!((second.device(), second.faults().len()), ("faulty-cpu", 0), "{method}");
    }
}

#[test]
fn a_device_lost_or_full_in_the_middle_of_a_proof_is_replaced_at_once() {
    let (keyed, digit) = keyed();
    for method in [Method::Msm, Method::CosetNtt, Method::Run, Method::Evaluate, Method::ContractBoxes] {
        for backend in [Faulty::lost(cpu(), method, 0), Faulty::out_of_memory(cpu(), method, 0)] {
            let [first, second] = two(&keyed, &digit, &backend);
            assert_eq!((first.device(), first.faults().len()), ("cpu", 1), "{method}");
            assert!(first.faults()[0].contains(method.name()), "{}", first.faults()[0]);
            assert_eq!(second.device(), "cpu");
        }
    }
}

#[test]
fn one_of_several_devices_lost_in_the_middle_of_a_proof_is_named_and_the_proof_is_made() {
    let (keyed, digit) = keyed();
    for method in [Method::Msm, Method::CosetNtt, Method::Run, Method::Evaluate] {
        let sound = Faulty::lost(cpu(), Method::RunningProduct, u64::MAX);
        let several = Several::new("two", vec![sound, Faulty::lost(cpu(), method, 1)]).unwrap();
        let [first, second] = two(&keyed, &digit, &several.with_least_part(1));
        assert_eq!((first.device(), first.faults().len()), ("cpu", 1), "{method}");
        assert!(first.faults()[0].contains("the device is lost"), "{}", first.faults()[0]);
        assert_eq!(second.device(), "cpu");
    }
    let members = (0..2).map(|_| cpu()).collect();
    let [first, second] = two(&keyed, &digit, &Several::new("two", members).unwrap().with_least_part(1));
    assert_eq!((first.device(), second.device(), second.faults().len()), ("two", "two", 0));
    assert!(first.transfers().moved > 0);
}

#[test]
fn a_device_that_can_not_hold_the_key_is_an_error_that_says_so() {
    let (keyed, _) = keyed();
    let backend = Faulty::out_of_memory(cpu(), Method::UploadBases, 0);
    let error = keyed.resident_on(&backend, Some(2), |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("out of memory") && error.contains("upload_bases"), "{error}");
}

#[test]
fn a_witness_that_is_wrong_is_no_fault_of_the_device() {
    let (keyed, digit) = keyed();
    let short = &digit[..digit.len() - 1];
    let outcome = keyed.resident_on(&Faulty::new(cpu(), Method::Zeros), Some(2), |key| {
        Ok(key.prove(short, &Openings::default(), &mut |_| {}).map(|proved| proved.device().to_owned()))
    });
    assert!(outcome.unwrap().is_err());
}
