//! The CUDA backend on an emulated driver: the kernels' own sources.

#![cfg(feature = "cuda")]

mod emulation;

use std::path::Path;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField, Zero};
use emulation::{Emulation, library};
use zkloom_backends::cuda::{CudaBackend, CudaBases, Multiples};
use zkloom_backends::laws::{self, Method, Options};
use zkloom_backends::{Backend, BackendError, CpuBackend, DeviceVector, Direction};

fn device() -> Option<CudaBackend> {
    library().map(|library| CudaBackend::with_driver(library, 0).expect("the emulated device opens"))
}

fn cpu() -> CpuBackend {
    CpuBackend::new(Some(2)).expect("threads can be started")
}

/// Powers of a fixed element: different, full-size field elements.
fn elements(len: usize, seed: u64) -> Vec<Fr> {
    let ratio = Fr::from(0x9e37_79b9_7f4a_7c15u64).pow([seed + 5]);
    core::iter::successors(Some(ratio), |value| Some(*value * ratio + Fr::from(seed))).take(len).collect()
}

fn points(len: usize) -> Vec<G1Affine> {
    let mut point = G1Affine::generator() * Fr::from(77u64);
    let mut points = Vec::with_capacity(len);
    for _ in 0..len {
        points.push(point);
        point.double_in_place();
        point += G1Affine::generator();
    }
    G1Projective::normalize_batch(&points)
}

#[test]
fn the_device_obeys_all_laws() {
    let Some(device) = device() else { return };
    let mut violations = Vec::new();
    for &method in Method::ALL {
        let start = std::time::Instant::now();
        violations.extend(laws::check_method(&device, method, &Options::default()).err());
        println!("{method}: {:.2} s", start.elapsed().as_secs_f64());
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn the_device_obeys_the_laws_of_large_vectors() {
    let Some(device) = device() else { return };
    let options = Options { sizes: vec![1 << 13, 10_001], ..Options::default() };
    let heavy = [Method::UploadBases, Method::Msm, Method::MsmIntegers, Method::CosetNtt];
    let violations: Vec<_> = Method::ALL
        .iter()
        .filter(|method| !heavy.contains(method))
        .filter_map(|&method| laws::check_method(&device, method, &options).err())
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn transforms_are_the_processors() {
    let Some(device) = device() else { return };
    let cpu = cpu();
    for log_size in [9u32, 10, 11, 13, 17] {
        let values = elements(1 << log_size, u64::from(log_size));
        let shift = Fr::from(7u64);
        let (mut ours, mut theirs) = (device.upload(&values).unwrap(), cpu.upload(&values).unwrap());
        for direction in [Direction::Forward, Direction::Inverse] {
            device.ntt(&mut ours, direction).unwrap();
            cpu.ntt(&mut theirs, direction).unwrap();
            assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "2^{log_size}");
        }
        let mut ours = device.coset_ntt(&ours, log_size - 1, shift).unwrap();
        let mut theirs = cpu.coset_ntt(&theirs, log_size - 1, shift).unwrap();
        assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "2^{log_size}, coset");
        device.inverse_coset_ntt(&mut ours, shift).unwrap();
        cpu.inverse_coset_ntt(&mut theirs, shift).unwrap();
        assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "2^{log_size}, back");
    }
}

#[test]
fn sums_of_points_are_the_processors() {
    let Some(device) = device() else { return };
    let cpu = cpu();
    let points = points(1 << 14);
    let (ours, theirs) = (device.upload_bases(&points).unwrap(), cpu.upload_bases(&points).unwrap());
    for len in [1000, 1 << 14] {
        for scalars in [elements(len, 3), vec![-Fr::from(5u64); len]] {
            let found = device.msm(&ours, &[&device.upload(&scalars).unwrap()]).unwrap();
            assert_eq!(found, cpu.msm(&theirs, &[&cpu.upload(&scalars).unwrap()]).unwrap(), "{len}");
        }
        let integers: Vec<i64> = (0..len as i64).map(|index| (index * 37 % 4001) - 2000).collect();
        let found = device.msm_integers(&ours, &[&device.upload_integers(&integers).unwrap()]).unwrap();
        let expected = cpu.msm_integers(&theirs, &[&cpu.upload_integers(&integers).unwrap()]).unwrap();
        assert_eq!(found, expected, "{len}, integers");
    }
}

/// Sums over bases of a device, for awkward scalars and integers, beside the processor's.
fn check_sums(device: &CudaBackend, bases: &CudaBases, points: &[G1Affine], what: &str) {
    let cpu = cpu();
    let theirs = cpu.upload_bases(points).unwrap();
    let all = points.len();
    let integers: Vec<i64> =
        (0..all as i64).map(|index| (index * 0x9e37_79b9_7f4a % 4001 - 2000) << 30).collect();
    for len in [all, 1, 2048] {
        for scalars in [elements(len, 3), vec![-Fr::from(5u64); len], vec![-Fr::ONE; len]] {
            let found = device.msm(bases, &[&device.upload(&scalars).unwrap()]).unwrap();
            let expected = cpu.msm(&theirs, &[&cpu.upload(&scalars).unwrap()]).unwrap();
            assert_eq!(found, expected, "{what}, {len}");
        }
        for integers in [&integers[..len], &vec![i64::MIN; len], &vec![1; len]] {
            let found = device.msm_integers(bases, &[&device.upload_integers(integers).unwrap()]).unwrap();
            let expected = cpu.msm_integers(&theirs, &[&cpu.upload_integers(integers).unwrap()]).unwrap();
            assert_eq!(found, expected, "{what}, {len} integers");
        }
    }
}

/// With multiples of the bases sums are the same, whether all windows fit the memory at once or not.
#[test]
fn sums_with_multiples_are_the_processors() {
    let Some(emulation) = Emulation::new("multiples", 2) else { return };
    let mut points = points(3000);
    points[17] = G1Affine::zero();
    points[19] = -points[18];
    emulation.limit(1, 6 << 20);
    for (number, what) in ["all windows at once", "some windows"].into_iter().enumerate() {
        let device = emulation.device(number);
        device.set_multiples(Multiples::Always);
        let bases = device.upload_bases(&points).unwrap();
        assert!(bases.levels() > 10, "{what}: {}", bases.levels());
        check_sums(&device, &bases, &points, what);
    }
    let device = emulation.device(0);
    for when in [Multiples::Never, Multiples::Automatic] {
        device.set_multiples(when);
        device.expect(u64::MAX);
        assert_eq!(device.upload_bases(&points).unwrap().levels(), 1, "what is expected leaves no room");
    }
    device.expect(1 << 20);
    assert!(device.upload_bases(&points).unwrap().levels() > 10, "there is room");
}

/// With hardly any memory a sum is made of pieces; with even less it says what it needs.
#[test]
fn sums_need_little_memory() {
    let Some(emulation) = Emulation::new("pieces", 1) else { return };
    let (device, cpu) = (emulation.device(0), cpu());
    device.set_multiples(Multiples::Never);
    let points = points(1 << 14);
    let (ours, theirs) = (device.upload_bases(&points).unwrap(), cpu.upload_bases(&points).unwrap());
    let scalars = elements(1 << 14, 3);
    let vector = device.upload(&scalars).unwrap();
    let held = (64 + 32) << 14;
    emulation.limit(0, held + device.least_scratch(1 << 14));
    let found = device.msm(&ours, &[&vector]).unwrap();
    assert_eq!(found, cpu.msm(&theirs, &[&cpu.upload(&scalars).unwrap()]).unwrap());
    emulation.limit(0, held + device.least_scratch(1 << 14) / 4);
    let error = device.msm(&ours, &[&vector]).expect_err("it has too little");
    assert!(matches!(error, BackendError::OutOfMemory { needed, .. } if needed > 1000), "{error}");
}

/// Elements whose limbs as stored are awkward: ends of the range, and limbs of zeros and ones.
fn awkward<F: PrimeField<BigInt = BigInt<4>>>(from: impl Fn(BigInt<4>) -> F) -> Vec<F> {
    let mut list = vec![F::ZERO, F::ONE, -F::ONE, F::ONE.double()];
    for limbs in [
        [0u64, 0, 0, 1],
        [u64::MAX, 0, 0, 0],
        [u64::MAX, u64::MAX, u64::MAX, 0],
        [0, u64::MAX, 0, 1 << 60],
        [1 << 32, 0, u64::MAX, 0],
        [0xffff_ffff, 0xffff_ffff_0000_0000, 1, 0x3000_0000_0000_0000],
    ] {
        list.push(from(BigInt(limbs)));
    }
    let mut last = F::MODULUS;
    last.0[0] -= 1;
    list.push(from(last));
    last.0[0] -= 1;
    list.push(from(last));
    list
}

#[test]
fn field_arithmetic_is_arkworks() {
    let Some(device) = device() else { return };
    // Coordinates travel as the scalars with the same limbs, which must be below both moduli.
    let scalars = awkward(Fr::new_unchecked);
    let coordinates: Vec<Fq> = awkward(Fq::new_unchecked);
    let mut pairs: Vec<(Fr, Fr)> = Vec::new();
    scalars.iter().for_each(|&a| scalars.iter().for_each(|&b| pairs.push((a, b))));
    let random = elements(50_000, 11).into_iter().zip(elements(50_000, 12));
    pairs.extend(random);
    let (a, b): (Vec<Fr>, Vec<Fr>) = pairs.iter().copied().unzip();
    let (left, right) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
    let found = device.download(&device.check_field(&left, &right, false).unwrap()).unwrap();
    for (pair, found) in pairs.iter().zip(found.chunks_exact(4)) {
        let (a, b) = *pair;
        assert_eq!(found, [a + b, a - b, a * b, a * b], "{a} and {b}");
    }
    // The scalars' modulus is the lower one: results at or above it are refused by the download, so only such pairs are compared
    // as give none.
    let fits = |value: &Fq| value.0 < Fr::MODULUS;
    let as_scalar = |value: &Fq| Fr::new_unchecked(value.0);
    let coordinates = coordinates.iter().copied().filter(fits).collect::<Vec<_>>();
    let mut base_pairs: Vec<(Fq, Fq)> = Vec::new();
    coordinates.iter().for_each(|&a| coordinates.iter().for_each(|&b| base_pairs.push((a, b))));
    base_pairs.extend(pairs.iter().map(|(a, b)| (Fq::new_unchecked(a.0), Fq::new_unchecked(b.0))));
    base_pairs.retain(|&(a, b)| [a + b, a - b, a * b].iter().all(fits));
    assert!(base_pairs.len() > 50_000);
    let left: Vec<Fr> = base_pairs.iter().map(|(a, _)| as_scalar(a)).collect();
    let right: Vec<Fr> = base_pairs.iter().map(|(_, b)| as_scalar(b)).collect();
    let (left, right) = (device.upload(&left).unwrap(), device.upload(&right).unwrap());
    let found = device.download(&device.check_field(&left, &right, true).unwrap()).unwrap();
    for (&(a, b), found) in base_pairs.iter().zip(found.chunks_exact(4)) {
        let expected = [a + b, a - b, a * b, a * b].map(|value| as_scalar(&value));
        assert_eq!(found, expected, "{a} and {b}");
    }
}

#[test]
fn additions_of_points_are_arkworks() {
    let Some(device) = device() else { return };
    let some = points(20_000);
    let pair = |index: usize| {
        let (a, other) = (some[index], some[(index * 7 + 1) % some.len()]);
        match index % 10 {
            0 => (a, a),
            1 => (a, -a),
            2 => (a, G1Affine::zero()),
            3 => (G1Affine::zero(), a),
            4 => (G1Affine::zero(), G1Affine::zero()),
            // The second addition meets opposite or equal points.
            5 => (a, (-(a + a)).into_affine()),
            6 => (a, (a + a).into_affine()),
            _ => (a, other),
        }
    };
    let (a, b): (Vec<G1Affine>, Vec<G1Affine>) = (0..some.len()).map(pair).unzip();
    let (left, right) = (device.upload_bases(&a).unwrap(), device.upload_bases(&b).unwrap());
    let found = device.check_points(&left, &right).unwrap();
    let expected: Vec<G1Projective> = a.iter().zip(&b).map(|(a, b)| *a + *b + *a).collect();
    assert_eq!(found, G1Projective::normalize_batch(&expected));
}

#[test]
fn a_missing_driver_is_a_clear_error() {
    let error =
        CudaBackend::with_driver(Path::new("/nonexistent/libcuda.so.1"), 0).expect_err("there is none");
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/libcuda.so.1"), "{error}");
    if let Some(library) = library() {
        let error = CudaBackend::with_driver(library, 1).expect_err("there is one device");
        assert!(error.to_string().contains("cuda:1"), "{error}");
    }
}

#[test]
fn too_little_memory_is_an_error_that_leaves_the_device_of_use() {
    let Some(faulty) = Emulation::new("memory", 1) else { return };
    faulty.limit(0, 1 << 20);
    let device = faulty.device(0);
    let values = elements(1 << 14, 1);
    let vector = device.upload(&values).expect("half of the memory");
    assert!(matches!(device.zeros(1 << 15), Err(BackendError::OutOfMemory { .. })));
    assert!(matches!(device.zeros(usize::MAX), Err(BackendError::OutOfMemory { .. })));
    assert_eq!(device.download(&vector).unwrap(), values, "the device is still of use");
    drop(vector);
    // The block that is free again has another size and goes back to the driver first.
    assert_eq!(device.zeros(1 << 14 | 1 << 13).expect("memory is free again").len(), 3 << 13);
}

#[test]
fn failing_launches_are_errors() {
    let Some(faulty) = Emulation::new("launch", 1) else { return };
    let device = faulty.device(0);
    let bases = device.upload_bases(&points(64)).unwrap();
    let mut values = device.upload(&elements(64, 1)).unwrap();
    for kernel in ["count_digits", "sort_digits", "sum_sorted", "sum_entries", "weigh_buckets"] {
        faulty.fail(kernel);
        let error = device.msm(&bases, &[&values]).expect_err("its kernel fails");
        assert!(matches!(error, BackendError::Device { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(kernel) && text.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{text}");
    }
    faulty.fail("transform_layers");
    assert!(device.ntt(&mut values, Direction::Forward).is_err());
    faulty.fail("");
    assert!(!device.msm(&bases, &[&values]).unwrap()[0].is_zero());
}

/// Copies that the driver puts off read what was uploaded, whatever the host does afterwards.
#[test]
fn uploads_may_be_late() {
    for refused in [false, true] {
        let name = format!("late{refused}");
        let Some(emulation) = Emulation::new(&name, 1) else { return };
        if refused {
            emulation.refuse_host_memory();
        }
        let device = emulation.device(0);
        // More than all staging memory, with work between that needs the first part.
        let mut values = elements(1 << 20, 1);
        let first = device.upload(&values).unwrap();
        let expected = values.clone();
        values.iter_mut().for_each(|value| *value = Fr::ONE);
        let small: Vec<_> = (0..100u64).map(|seed| device.upload(&elements(5, seed)).unwrap()).collect();
        drop(values);
        assert_eq!(device.download(&first).unwrap(), expected, "{refused}");
        for (seed, vector) in small.iter().enumerate() {
            assert_eq!(device.download(vector).unwrap(), elements(5, seed as u64), "{refused}");
        }
    }
}

#[test]
fn a_lost_device_is_an_error_at_the_next_result() {
    let Some(emulation) = Emulation::new("lost", 1) else { return };
    let device = emulation.device(0);
    let bases = device.upload_bases(&points(64)).unwrap();
    let values = device.upload(&elements(64, 1)).unwrap();
    emulation.lose(0, 3);
    let error = device.msm(&bases, &[&values]).expect_err("it is lost on the way").to_string();
    assert!(error.contains("cuda:0") && error.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{error}");
    assert!(device.download(&values).is_err() && device.upload(&elements(4, 1)).is_err());
}
