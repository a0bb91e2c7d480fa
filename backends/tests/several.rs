//! Several devices as one: the processor several times, and devices of an emulated CUDA driver.

#[cfg(feature = "cuda")]
mod emulation;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use zkloom_backends::laws::{self, Faulty, Method, Options};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, BackendError, CpuBackend, Direction, PairedBackend, Several};

fn cpu() -> CpuBackend {
    CpuBackend::new(Some(1)).expect("a thread can be started")
}

fn cpus(count: usize) -> Several<CpuBackend> {
    let members = (0..count).map(|_| cpu()).collect();
    Several::new(format!("cpu:{count}"), members).expect("there are devices").with_least_part(1)
}

fn elements(len: usize, seed: u64) -> Vec<Fr> {
    let ratio = Fr::from(0x9e37_79b9_7f4a_7c15u64).pow([seed + 5]);
    core::iter::successors(Some(ratio), |value| Some(*value * ratio + Fr::from(seed))).take(len).collect()
}

fn points(len: usize) -> Vec<G1Affine> {
    let step = G1Affine::generator() * Fr::from(77u64);
    let chain = core::iter::successors(Some(step), |point| Some(point.double() + G1Affine::generator()));
    G1Projective::normalize_batch(&chain.take(len).collect::<Vec<_>>())
}

#[test]
fn several_processors_obey_all_laws() {
    for count in [1, 2, 3, 5] {
        let violations = laws::check(&cpus(count), &Options::default());
        assert!(violations.is_empty(), "{count}: {violations:#?}");
    }
}

#[test]
fn no_device_is_an_error() {
    let none = Several::<CpuBackend>::new("none", Vec::new());
    assert!(matches!(none, Err(BackendError::Argument { .. })));
}

#[test]
fn a_fault_of_one_device_is_noticed() {
    for method in [Method::Msm, Method::MsmIntegers, Method::Ntt, Method::CosetNtt, Method::Run] {
        let sound = || Faulty::lost(cpu(), Method::Slice, u64::MAX);
        let members = vec![sound(), Faulty::new(cpu(), method)];
        let several = Several::new("cpu:2", members).expect("there are devices").with_least_part(1);
        assert!(laws::check_method(&several, method, &Options::default()).is_err(), "{method}");
    }
}

/// What a prover does with a few columns: every kind of work, on vectors with different homes.
fn work<B: Backend>(backend: &B) -> Result<(Vec<G1Affine>, Vec<Fr>), BackendError> {
    let len = 1 << 9;
    let bases = backend.upload_bases(&points(len))?;
    let integers: Vec<_> = (1..8i64)
        .map(|seed| {
            let column: Vec<i64> = (0..len as i64).map(|index| index * seed % 257 - 128).collect();
            backend.upload_integers(&column)
        })
        .collect::<Result<_, _>>()?;
    let mut sums = backend.msm_integers(&bases, &integers.iter().collect::<Vec<_>>())?;
    let mut columns = Vec::new();
    for column in &integers {
        let mut values = backend.widen(column)?;
        backend.write(&mut values, 7, &elements(3, 9))?;
        backend.ntt(&mut values, Direction::Inverse)?;
        columns.push(values);
    }
    sums.extend(backend.msm(&bases, &columns.iter().collect::<Vec<_>>())?);
    let mut remainders = Vec::new();
    for shift in [3u64, 5, 7] {
        let values = columns
            .iter()
            .map(|column| backend.coset_ntt(column, 9, Fr::from(shift)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut product = backend.run(&product_of(values.len()), &values.iter().collect::<Vec<_>>(), &[])?;
        backend.batch_invert(&mut product)?;
        backend.inverse_coset_ntt(&mut product, Fr::from(shift))?;
        remainders.push(product);
    }
    let terms: Vec<_> = remainders.iter().chain(&columns).map(|vector| (Fr::from(11u64), vector)).collect();
    let mut combined = backend.combine(&terms)?;
    for column in &columns {
        backend.add_scaled(&mut combined, 0, Fr::from(5u64), column)?;
    }
    let mut rows = backend.zeros(64)?;
    for matrix in &integers {
        backend.combine_rows(&mut rows, 0, matrix, 64, &elements(8, 2))?;
    }
    let quotient = backend.divide_by_linear(&combined, Fr::from(3u64))?;
    sums.extend(backend.msm(&bases, &[&quotient, &rows])?);
    let mut all: Vec<&B::Scalars> = columns.iter().chain(&remainders).collect();
    all.extend([&combined, &quotient, &rows]);
    let mut values = backend.evaluate(&all, Fr::from(123u64))?;
    values.extend(backend.download(&backend.linear_recurrence(Fr::ONE, Fr::from(2u64), &combined)?)?);
    Ok((G1Projective::normalize_batch(&sums), values))
}

/// The product of all inputs, each one row on from the one before.
fn product_of(inputs: usize) -> Program {
    let input = |index: usize| Operand::Input { index: index as u32, rotation: index as i32 };
    let mut operations = vec![Operation::Multiply(input(0), input(1))];
    for index in 2..inputs {
        operations.push(Operation::Multiply(Operand::Result(index as u32 - 2), input(index)));
    }
    let output = Some(Operand::Result(inputs as u32 - 2));
    Program { inputs: inputs as u32, constants: 0, operations, output }
}

#[test]
fn several_processors_do_a_provers_work() {
    let expected = work(&cpu()).expect("one processor does it");
    for count in [2, 3] {
        let several = cpus(count);
        assert_eq!(work(&several).expect("several do it"), expected, "{count}");
        assert!(several.meter().moved_bytes() > 0);
        let launches: Vec<u64> = several.members().iter().map(|member| member.meter().launches()).collect();
        assert!(launches.iter().all(|launches| *launches > 20), "all have work: {launches:?}");
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::emulation::Emulation;
    use super::*;
    use zkloom_backends::cuda::CudaBackend;

    fn together(emulation: &Emulation, count: usize) -> Several<CudaBackend> {
        let members = (0..count).map(|number| emulation.device(number)).collect();
        Several::new("cuda:all", members).expect("there are devices").with_least_part(1)
    }

    #[test]
    fn emulated_devices_obey_all_laws_together() {
        for count in [2, 3] {
            let Some(emulation) = Emulation::new(&format!("laws{count}"), count) else { return };
            let violations = laws::check(&together(&emulation, count as usize), &Options::default());
            assert!(violations.is_empty(), "{count}: {violations:#?}");
        }
    }

    #[test]
    fn emulated_devices_do_a_provers_work() {
        let Some(emulation) = Emulation::new("work", 3) else { return };
        let expected = work(&cpu()).expect("the processor does it");
        let several = together(&emulation, 3);
        assert_eq!(work(&several).expect("several devices do it"), expected);
        let launches: Vec<u64> = (0..3).map(|device| emulation.launches(device)).collect();
        assert!(launches.iter().all(|launches| *launches > 50), "all have work: {launches:?}");
    }

    #[test]
    fn a_small_device_gets_little_and_disturbs_nothing() {
        let Some(emulation) = Emulation::new("unequal", 2) else { return };
        emulation.limit(0, 6 << 20);
        emulation.limit(1, 600 << 10);
        let expected = work(&cpu()).expect("the processor does it");
        let several = together(&emulation, 2);
        assert_eq!(work(&several).expect("the large device does most of it"), expected);
        let launches = [emulation.launches(0), emulation.launches(1)];
        assert!(launches[1] > 0 && launches[1] < launches[0], "{launches:?}");
        assert!(emulation.peak(1) <= 600 << 10);
    }

    #[test]
    fn memory_that_runs_out_on_one_device_is_found_on_another() {
        let Some(emulation) = Emulation::new("full", 2) else { return };
        emulation.limit(0, 1 << 20);
        emulation.limit(1, 1 << 20);
        let several = together(&emulation, 2);
        // Less than what the shares were made for is left on one.
        emulation.limit(0, 100 << 10);
        let vectors: Vec<_> = (0..4).map(|seed| several.upload(&elements(1 << 12, seed)).unwrap()).collect();
        for (seed, vector) in vectors.iter().enumerate() {
            assert_eq!(several.download(vector).unwrap(), elements(1 << 12, seed as u64));
        }
        let error = several.zeros(1 << 16).expect_err("no device has so much");
        assert!(matches!(error, BackendError::OutOfMemory { .. }), "{error}");
    }

    #[test]
    fn a_device_that_is_lost_in_the_middle_is_named() {
        for launches in [0, 10, 40, 100, 160] {
            let Some(emulation) = Emulation::new(&format!("lost{launches}"), 2) else { return };
            let several = together(&emulation, 2);
            emulation.lose(1, launches);
            let error = work(&several).expect_err("one of two devices is lost");
            assert!(matches!(error, BackendError::Device { .. }), "{error}");
            assert!(error.to_string().contains("cuda:1"), "{error}");
        }
    }

    #[test]
    fn each_call_is_that_of_the_processor() {
        let Some(emulation) = Emulation::new("pair", 2) else { return };
        let pair = PairedBackend::new(together(&emulation, 2), cpu());
        work(&pair).expect("every call agrees");
    }
}
