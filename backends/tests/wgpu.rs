//! The wgpu backend on whatever adapter is here, which in tests is a software one. Without any, tests say so and pass, unless
//! `ZKLOOM_REQUIRE_WGPU=1` asks them to fail.

#![cfg(feature = "wgpu")]

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField};
use zkloom_backends::laws::{self, Method, Options};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::wgpu::{self, Arithmetic, WgpuBackend};
use zkloom_backends::{Backend, BackendError, CpuBackend, Direction};

/// The first adapter with each arithmetic that it has; none where there is no adapter.
fn devices() -> Vec<WgpuBackend> {
    let opened =
        [Arithmetic::Wide, Arithmetic::Narrow].map(|arithmetic| WgpuBackend::with_arithmetic(0, arithmetic));
    let mut devices = Vec::new();
    for device in opened {
        match device {
            Ok(device) => devices.push(device),
            Err(error) => skip(&error),
        }
    }
    devices
}

fn device() -> Option<WgpuBackend> {
    WgpuBackend::open(0).inspect_err(skip).ok()
}

fn skip(error: &BackendError) {
    assert_ne!(std::env::var("ZKLOOM_REQUIRE_WGPU").as_deref(), Ok("1"), "{error}");
    println!("skipped: {error}");
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

fn obeys(device: &WgpuBackend, options: &Options) {
    let mut violations = Vec::new();
    for &method in Method::ALL {
        let start = std::time::Instant::now();
        violations.extend(laws::check_method(device, method, options).err());
        println!("{:?} {method}: {:.2} s", device.arithmetic(), start.elapsed().as_secs_f64());
    }
    assert!(violations.is_empty(), "{:?}: {violations:#?}", device.arithmetic());
}

#[test]
fn the_device_obeys_all_laws_with_both_arithmetics() {
    for device in devices() {
        obeys(&device, &Options::quick());
        computes(&device);
    }
}

/// Elements whose limbs are at the ends of their ranges, and differ from the modulus' by little.
fn awkward() -> Vec<Fr> {
    let modulus = Fr::MODULUS.0;
    let mut limbs =
        vec![[0; 4], [1, 0, 0, 0], [u32::MAX.into(), 0, 0, 0], [1 << 32, 0, 0, 0], [u64::MAX, 0, 0, 0]];
    limbs.push([u64::MAX, u64::MAX, u64::MAX, modulus[3] - 1]);
    limbs.push([0, 0, 0, modulus[3]]);
    limbs.push([modulus[0] - 1, modulus[1], modulus[2], modulus[3]]);
    limbs.push([modulus[0], modulus[1] - 1, modulus[2], modulus[3]]);
    limbs.push([modulus[0] / 2, modulus[1] / 2, modulus[2] / 2, modulus[3] / 2]);
    limbs.extend((0..4).map(|index| {
        let mut one = [0; 4];
        one[index] = 1 << 60;
        one
    }));
    // These are the limbs in memory, of whichever element that is.
    limbs.into_iter().map(|limbs| Fr::new_unchecked(BigInt(limbs))).collect()
}

/// Sums, differences and products of 2^16 pairs are the processor's, all pairs of awkward elements among them.
fn computes(device: &WgpuBackend) {
    let cpu = cpu();
    let awkward = awkward();
    let pairs = awkward.iter().flat_map(|&a| awkward.iter().map(move |&b| (a, b)));
    let random = elements(1 << 16, 1).into_iter().zip(elements(1 << 16, 2));
    let (left, right): (Vec<Fr>, Vec<Fr>) = pairs.chain(random).take(1 << 16).unzip();
    let ours = [&left, &right].map(|values| device.upload(values).unwrap());
    let theirs = [&left, &right].map(|values| cpu.upload(values).unwrap());
    let [a, b] = [0, 1].map(|index| Operand::Input { index, rotation: 0 });
    for operation in [Operation::Add(a, b), Operation::Subtract(a, b), Operation::Multiply(a, b)] {
        let program = Program {
            inputs: 2,
            constants: 0,
            operations: vec![operation],
            output: Some(Operand::Result(0)),
        };
        let found = device.run(&program, &[&ours[0], &ours[1]], &[]).unwrap();
        let expected = cpu.run(&program, &[&theirs[0], &theirs[1]], &[]).unwrap();
        let (found, expected) = (device.download(&found).unwrap(), cpu.download(&expected).unwrap());
        let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        assert_eq!(wrong, None, "{:?}, {operation:?}", device.arithmetic());
    }
}

#[test]
fn the_device_obeys_all_laws_at_larger_sizes() {
    if let Some(device) = device() {
        obeys(&device, &Options::thorough());
    }
}

#[test]
fn transforms_are_the_processors() {
    let Some(device) = device() else { return };
    let cpu = cpu();
    for log_size in [10u32, 12, 14] {
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
    for log_len in [10, 12, 14] {
        let scalars = elements(1 << log_len, 3);
        let equal = vec![-Fr::from(5u64); 1 << log_len];
        for scalars in [scalars, equal] {
            let found = device.msm(&ours, &[&device.upload(&scalars).unwrap()]).unwrap();
            assert_eq!(found, cpu.msm(&theirs, &[&cpu.upload(&scalars).unwrap()]).unwrap(), "2^{log_len}");
        }
        let integers: Vec<i64> = (0..1 << log_len).map(|index| (index * 37 % 4001) - 2000).collect();
        let found = device.msm_integers(&ours, &[&device.upload_integers(&integers).unwrap()]).unwrap();
        let expected = cpu.msm_integers(&theirs, &[&cpu.upload_integers(&integers).unwrap()]).unwrap();
        assert_eq!(found, expected, "2^{log_len}, integers");
    }
}

/// More inputs than a shader can bind are gathered into one buffer.
#[test]
fn programs_may_have_many_inputs() {
    let Some(device) = device() else { return };
    let cpu = cpu();
    let (inputs, rows) = (40u32, 1000);
    let read = |index: u32| Operand::Input { index, rotation: 3 * index as i32 - 50 };
    let mut operations = vec![Operation::Multiply(read(0), read(1))];
    for index in 1..inputs {
        let before = Operand::Result(2 * index - 2);
        operations.push(Operation::Multiply(before, read(index)));
        operations.push(Operation::Add(Operand::Result(2 * index - 1), Operand::Constant(0)));
    }
    let output = Some(Operand::Result(2 * inputs - 2));
    let program = Program { inputs, constants: 1, operations, output };
    let columns: Vec<Vec<Fr>> = (0..inputs).map(|index| elements(rows, u64::from(index))).collect();
    let ours: Vec<_> = columns.iter().map(|column| device.upload(column).unwrap()).collect();
    let theirs: Vec<_> = columns.iter().map(|column| cpu.upload(column).unwrap()).collect();
    let constants = [Fr::from(9u64)];
    let found = device.run(&program, &ours.iter().collect::<Vec<_>>(), &constants).unwrap();
    let expected = cpu.run(&program, &theirs.iter().collect::<Vec<_>>(), &constants).unwrap();
    assert_eq!(device.download(&found).unwrap(), cpu.download(&expected).unwrap());
}

/// Threads that share a device do not disturb each other.
#[test]
fn threads_share_a_device() {
    let Some(device) = device() else { return };
    let points = &points(300);
    let bases = device.upload_bases(points).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (device, bases) = (&device, &bases);
            scope.spawn(move || {
                let values = elements(256, seed);
                let expected = {
                    let cpu = cpu();
                    let bases = cpu.upload_bases(&points[..256]).unwrap();
                    cpu.msm(&bases, &[&cpu.upload(&values).unwrap()]).unwrap()
                };
                for _ in 0..5 {
                    let mut vector = device.upload(&values).unwrap();
                    device.ntt(&mut vector, Direction::Forward).unwrap();
                    device.ntt(&mut vector, Direction::Inverse).unwrap();
                    assert_eq!(device.download(&vector).unwrap(), values);
                    assert_eq!(device.msm(bases, &[&vector]).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(device) = device() else { return };
    for len in [1 << 40, usize::MAX / 32, usize::MAX] {
        assert!(matches!(device.zeros(len), Err(BackendError::OutOfMemory { .. })), "{len}");
    }
    let vector = device.upload(&elements(4, 1)).unwrap();
    assert!(matches!(device.slice(&vector, 0, 1 << 40), Err(BackendError::OutOfMemory { .. })));
    assert_eq!(device.download(&vector).unwrap(), elements(4, 1), "the device is still of use");
}

#[test]
fn a_device_that_is_not_there_is_unavailable() {
    let found = wgpu::find().unwrap();
    let error = WgpuBackend::open(found.len()).expect_err("numbers end before this one");
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("wgpu:{}", found.len())), "{error}");
    for (number, device) in found.iter().enumerate() {
        assert_eq!(device.name, format!("wgpu:{number}"));
        assert!(!device.description.is_empty());
    }
}
