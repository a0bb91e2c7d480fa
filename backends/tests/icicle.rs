//! ICICLE's devices: those of an installed ICICLE if `ICICLE_INSTALL_DIR` names one, else those of a stub of ours with the same
//! binary interface. Faults are tried on the stub only.
//!
//! A process loads one ICICLE and keeps it, and a wrong call would end it, so that each test runs in a process of its own.

#![cfg(all(feature = "icicle", unix))]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field, One};
use zkloom_backends::icicle::{self, IcicleBackend};
use zkloom_backends::laws::{self, Method, Options};
use zkloom_backends::registry::{self, self_test};
use zkloom_backends::{Backend, BackendError, CpuBackend, DeviceVector, Direction};

/// Set in the process that runs a test, to the test's name.
const CHILD: &str = "ZKLOOM_ICICLE_CHILD";

/// Runs the test's body in a process of its own with these variables; all others about ICICLE are unset.
fn in_child(name: &str, variables: &[(&str, &Path)], body: impl FnOnce()) {
    if std::env::var(CHILD).as_deref() == Ok(name) {
        return body();
    }
    let output = child(name, variables);
    let passed = output.status.success() && words(&output).contains("1 passed");
    assert!(passed, "{}", words(&output));
}

fn child(name: &str, variables: &[(&str, &Path)]) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().expect("this test is a program"));
    command.args([name, "--exact", "--nocapture", "--include-ignored"]).env(CHILD, name);
    for variable in ["ICICLE_INSTALL_DIR", "ICICLE_BACKEND_INSTALL_DIR", "ZKLOOM_STUB_FAULT"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied()).output().expect("this test can be run again")
}

fn words(output: &std::process::Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The stub, built once.
fn stub() -> &'static Path {
    static STUB: OnceLock<PathBuf> = OnceLock::new();
    STUB.get_or_init(|| {
        let test = std::env::current_exe().expect("this test is a program");
        let profile = test.ancestors().nth(2).expect("tests lie in the folder `deps` of their profile");
        let target = profile.parent().expect("a profile's folder lies in the target folder");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "zkloom-icicle-stub", "--target-dir"]).arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo can be run");
        assert!(built.status.success(), "{}", words(&built));
        profile.join(file_name("zkloom_icicle_stub"))
    })
}

fn file_name(stem: &str) -> String {
    format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zkloom-icicle-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    /// The stub under ICICLE's names, with these libraries of devices.
    fn with_stub(name: &str, devices: &[&str]) -> Self {
        let folder = Self::new(name);
        std::fs::create_dir_all(folder.0.join("lib/backend/some")).expect("a folder can be made");
        for part in ["icicle_device", "icicle_field_bn254", "icicle_curve_bn254"] {
            std::fs::copy(stub(), folder.0.join("lib").join(file_name(part)))
                .expect("the stub can be copied");
        }
        for device in devices {
            let file = folder.0.join("lib/backend/some").join(file_name(device));
            std::fs::write(file, "").expect("a file can be written");
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the body in a process with the installed ICICLE, or the stub if there is none.
fn with_icicle(name: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return in_child(name, &[], body);
    }
    if let Some(installed) = std::env::var_os("ICICLE_INSTALL_DIR").map(PathBuf::from) {
        return in_child(name, &[("ICICLE_INSTALL_DIR", &installed)], body);
    }
    let folder = Folder::with_stub(name, &[]);
    in_child(name, &[("ICICLE_INSTALL_DIR", &folder.0)], body);
}

/// Runs the body in a process with the stub, which fails as asked.
fn with_stub(name: &str, devices: &[&str], fault: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return in_child(name, &[], body);
    }
    let folder = Folder::with_stub(name, devices);
    in_child(name, &[("ICICLE_INSTALL_DIR", &folder.0), ("ZKLOOM_STUB_FAULT", Path::new(fault))], body);
}

fn open() -> IcicleBackend {
    IcicleBackend::open(Some("CPU")).expect("ICICLE always has its device on the processor")
}

fn cpu() -> CpuBackend {
    CpuBackend::new(Some(2)).expect("threads can be started")
}

/// Values of a quadratic recurrence: different, full-size field elements.
fn elements(len: usize, seed: u64) -> Vec<Fr> {
    let start = Fr::from(0x9e37_79b9_7f4a_7c15u64).pow([seed + 5]);
    core::iter::successors(Some(start), |value| Some(value.square() + Fr::from(seed))).take(len).collect()
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
    with_icicle("the_device_obeys_all_laws", || {
        let device = open();
        let mut violations = Vec::new();
        for &method in Method::ALL {
            violations.extend(laws::check_method(&device, method, &Options::default()).err());
        }
        assert!(violations.is_empty(), "{violations:#?}");
    });
}

#[test]
fn transforms_are_the_processors() {
    with_icicle("transforms_are_the_processors", || {
        let (device, cpu) = (open(), cpu());
        // The second is larger than what the device was prepared for by the first, the third smaller.
        for log_size in [12u32, 14, 3] {
            let values = elements(1 << log_size, u64::from(log_size));
            for shift in [Fr::one(), -Fr::one(), Fr::from(7u64)] {
                let (mut ours, mut theirs) = (device.upload(&values).unwrap(), cpu.upload(&values).unwrap());
                for direction in [Direction::Forward, Direction::Inverse, Direction::Forward] {
                    device.ntt(&mut ours, direction).unwrap();
                    cpu.ntt(&mut theirs, direction).unwrap();
                    let input = format!("2^{log_size}, {direction:?}");
                    assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "{input}");
                }
                let mut ours = device.coset_ntt(&ours, log_size - 1, shift).unwrap();
                let mut theirs = cpu.coset_ntt(&theirs, log_size - 1, shift).unwrap();
                let input = format!("2^{log_size}, folded, shift {shift}");
                assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "{input}");
                device.inverse_coset_ntt(&mut ours, shift).unwrap();
                cpu.inverse_coset_ntt(&mut theirs, shift).unwrap();
                assert_eq!(device.download(&ours).unwrap(), cpu.download(&theirs).unwrap(), "{input}, back");
            }
        }
    });
}

#[test]
fn sums_of_points_are_the_processors() {
    with_icicle("sums_of_points_are_the_processors", || {
        let (device, cpu) = (open(), cpu());
        let points = points(1 << 12);
        let (ours, theirs) = (device.upload_bases(&points).unwrap(), cpu.upload_bases(&points).unwrap());
        for len in [1, 100, 1 << 10, 1 << 12] {
            for scalars in [elements(len, 3), vec![-Fr::from(5u64); len]] {
                let found = device.msm(&ours, &[&device.upload(&scalars).unwrap()]).unwrap();
                assert_eq!(found, cpu.msm(&theirs, &[&cpu.upload(&scalars).unwrap()]).unwrap(), "{len}");
            }
            for bits in [1, 2, 7, 8, 31, 32, 62, 63] {
                let top = i64::MAX >> (63 - bits);
                let integers: Vec<i64> = (0..len as i64)
                    .map(|index| match index % 4 {
                        0 => top - index % (top / 2 + 1),
                        1 => index % (top / 2 + 1) - top,
                        2 => top,
                        _ => index % top.max(2),
                    })
                    .collect();
                let found =
                    device.msm_integers(&ours, &[&device.upload_integers(&integers).unwrap()]).unwrap();
                let expected =
                    cpu.msm_integers(&theirs, &[&cpu.upload_integers(&integers).unwrap()]).unwrap();
                assert_eq!(found, expected, "{len} integers of {bits} bits");
            }
        }
    });
}

/// Threads that share a device, and so ICICLE's idea of each thread's device, do not disturb each other.
#[test]
fn threads_share_a_device() {
    with_icicle("threads_share_a_device", || {
        let device = open();
        let bases = device.upload_bases(&points(256)).unwrap();
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (device, bases) = (&device, &bases);
                scope.spawn(move || {
                    let values = elements(256, seed);
                    let first = device.msm(bases, &[&device.upload(&values).unwrap()]).unwrap();
                    for _ in 0..5 {
                        let mut vector = device.upload(&values).unwrap();
                        device.ntt(&mut vector, Direction::Forward).unwrap();
                        device.ntt(&mut vector, Direction::Inverse).unwrap();
                        assert_eq!(device.download(&vector).unwrap(), values);
                        assert_eq!(device.msm(bases, &[&vector]).unwrap(), first);
                    }
                });
            }
        });
    });
}

#[test]
fn what_the_processor_does_is_listed_and_counted() {
    with_icicle("what_the_processor_does_is_listed_and_counted", || {
        let device = open();
        assert_eq!(device.capabilities().composed, ["expand_boxes", "contract_boxes", "combine_rows"]);
        let mut target = device.zeros(3).unwrap();
        let matrix = device.upload_integers(&[1, -2, 3]).unwrap();
        assert_eq!(device.meter().composed(), 0);
        device.combine_rows(&mut target, 0, &matrix, 3, &[Fr::from(2u64)]).unwrap();
        assert_eq!(device.meter().composed(), 1);
        assert_eq!(device.download(&target).unwrap(), [2i64, -4, 6].map(Fr::from));
        let polynomial = device.upload(&elements(9, 1)).unwrap();
        device.evaluate(&[&polynomial], Fr::from(3u64)).unwrap();
        device.divide_by_linear(&polynomial, Fr::from(3u64)).unwrap();
        assert_eq!(device.meter().composed(), 1, "these are the device's own work");
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    with_icicle("what_does_not_fit_is_refused", || {
        let device = open();
        for len in [1 << 50, usize::MAX / 32, usize::MAX] {
            assert!(matches!(device.zeros(len), Err(BackendError::OutOfMemory { .. })), "{len}");
        }
        let vector = device.upload(&elements(4, 1)).unwrap();
        assert!(matches!(device.slice(&vector, 0, 1 << 50), Err(BackendError::OutOfMemory { .. })));
        assert_eq!(device.download(&vector).unwrap(), elements(4, 1), "the device is still of use");
    });
}

#[test]
fn devices_are_found_and_probed() {
    with_icicle("devices_are_found_and_probed", || {
        let found = icicle::probe().unwrap();
        let processor = found.iter().find(|found| found.name == "icicle:CPU").expect("it is always there");
        assert!(processor.software && processor.description.contains("ICICLE"), "{processor:?}");
        assert_eq!(registry::choose("icicle:CPU", None).unwrap().capabilities().name, "icicle:CPU");
        assert_eq!(registry::choose("icicle:cpu:0", None).unwrap().capabilities().name, "icicle:CPU");
    });
}

#[test]
fn names_that_do_not_exist_are_refused() {
    with_icicle("names_that_do_not_exist_are_refused", || {
        for (name, word) in
            [("NPU", "it has"), ("CPU:1", "numbered from 0"), ("CPU:one", "no device number"), ("", "it has")]
        {
            let error = IcicleBackend::open(Some(name)).expect_err(name);
            assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    });
}

/// A GPU is preferred, vectors know their device, and a CUDA library without a driver is left alone.
#[test]
fn devices_of_several_kinds_are_told_apart() {
    let mut libraries = vec!["icicle_backend_metal_device", "icicle_backend_metal_field_m31"];
    let driver = Path::new("/dev/nvidiactl").exists();
    if !driver {
        libraries.push("icicle_backend_cuda_device");
    }
    with_stub("devices_of_several_kinds_are_told_apart", &libraries, "", || {
        let names: Vec<_> = icicle::find().unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["icicle:METAL", "icicle:METAL:1", "icicle:CPU"]);
        let best = IcicleBackend::open(None).unwrap();
        assert_eq!(best.capabilities().name, "icicle:METAL");
        assert_eq!(best.capabilities().memory, Some(1 << 30));
        let (second, processor) = (IcicleBackend::open(Some("METAL:1")).unwrap(), open());
        let values = elements(64, 1);
        let (mut here, there) = (best.upload(&values).unwrap(), second.upload(&values).unwrap());
        self_test(&processor).unwrap();
        best.ntt(&mut here, Direction::Forward).unwrap();
        std::thread::scope(|scope| scope.spawn(|| drop(there)).join())
            .expect("no call is made on a wrong device");
        assert!(matches!(best.zeros(1 << 26), Err(BackendError::OutOfMemory { .. })));
        let error = IcicleBackend::open(Some("CUDA")).expect_err("there is no driver");
        assert!(driver || error.to_string().contains("left out: CUDA: libcuda.so.1"), "{error}");
        assert!(IcicleBackend::open(Some("METAL:2")).is_err());
    });
}

#[test]
fn too_little_memory_is_an_error() {
    with_stub("too_little_memory_is_an_error", &[], "icicle_malloc=4@2", || {
        let device = open();
        let kept = device.upload(&elements(8, 1)).unwrap();
        let mut other = device.upload(&elements(8, 2)).unwrap();
        let error = device.batch_invert(&mut other).expect_err("no memory is left");
        assert!(matches!(error, BackendError::OutOfMemory { needed: 256, .. }), "{error}");
        assert_eq!(device.download(&other).unwrap(), elements(8, 2), "unchanged");
        assert_eq!(device.download(&kept).unwrap(), elements(8, 1));
    });
}

#[test]
fn a_missing_operation_is_an_error() {
    with_stub("a_missing_operation_is_an_error", &[], "bn254_msm=10", || {
        let device = open();
        let bases = device.upload_bases(&points(4)).unwrap();
        let error = device.msm(&bases, &[&device.upload(&elements(4, 1)).unwrap()]).expect_err("not there");
        assert!(matches!(error, BackendError::Unsupported { operation: "msm", .. }), "{error}");
        assert!(registry::choose("icicle:CPU", None).is_err());
    });
}

#[test]
fn a_licence_that_is_refused_is_an_error() {
    with_stub("a_licence_that_is_refused_is_an_error", &[], "icicle_set_device=13", || {
        let error = IcicleBackend::open(None).expect_err("no device can be used");
        assert!(error.to_string().contains("ICICLE_LICENSE"), "{error}");
    });
}

#[test]
fn a_device_that_fails_in_the_middle_is_an_error() {
    with_stub("a_device_that_fails_in_the_middle_is_an_error", &[], "bn254_ntt=7@1", || {
        let device = open();
        let mut vector = device.upload(&elements(8, 1)).unwrap();
        device.ntt(&mut vector, Direction::Forward).unwrap();
        let error = device.ntt(&mut vector, Direction::Inverse).expect_err("it fails from now on");
        assert!(matches!(error, BackendError::Device { operation: "ntt", .. }), "{error}");
        assert!(error.to_string().contains("code 7"), "{error}");
        assert_eq!(vector.len(), 8);
    });
}

#[test]
fn a_failed_preparation_is_made_again() {
    with_stub("a_failed_preparation_is_made_again", &[], "bn254_ntt_init_domain=2@1", || {
        let device = open();
        let mut vector = device.upload(&elements(8, 1)).unwrap();
        device.ntt(&mut vector, Direction::Forward).unwrap();
        let mut long = device.zeros(1 << 13).unwrap();
        assert!(matches!(device.ntt(&mut long, Direction::Forward), Err(BackendError::OutOfMemory { .. })));
        // The stub ends the process for a transform that is not prepared, so an error shows that none was tried.
        assert!(matches!(device.ntt(&mut vector, Direction::Forward), Err(BackendError::OutOfMemory { .. })));
    });
}

#[test]
fn wrong_transforms_fail_the_self_test() {
    with_stub("wrong_transforms_fail_the_self_test", &[], "bn254_ntt=wrong", || {
        let error = registry::choose("icicle:CPU", None).expect_err("the transform is wrong");
        assert!(error.to_string().contains("self-test"), "{error}");
        assert!(icicle::probe().is_err());
    });
}

#[test]
fn wrong_points_are_noticed() {
    with_stub("wrong_points_are_noticed", &[], "bn254_msm=wrong", || {
        let device = open();
        let bases = device.upload_bases(&points(4)).unwrap();
        let error = device.msm(&bases, &[&device.upload(&elements(4, 1)).unwrap()]).expect_err("no point");
        assert!(error.to_string().contains("no point of the curve"), "{error}");
    });
}

#[test]
fn without_an_installation_the_error_says_how_to_install() {
    let name = "without_an_installation_the_error_says_how_to_install";
    let empty = if std::env::var_os(CHILD).is_none() { Some(Folder::new("empty")) } else { None };
    let folder = empty.as_ref().map_or(PathBuf::new(), |folder| folder.0.clone());
    in_child(name, &[("ICICLE_INSTALL_DIR", &folder)], || {
        for error in
            [icicle::find().map(drop), IcicleBackend::open(None).map(drop), icicle::probe().map(drop)]
        {
            let error = error.expect_err("nothing is installed there");
            assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
            assert!(
                error.to_string().contains("ICICLE_INSTALL_DIR") && error.to_string().contains("is missing")
            );
        }
        assert!(registry::list().iter().any(|report| report.name == "icicle" && !report.available));
    });
}

/// A file that is no library, and one that lacks what we call.
#[test]
fn a_broken_installation_is_an_error() {
    let name = "a_broken_installation_is_an_error";
    if std::env::var_os(CHILD).is_some() {
        return in_child(name, &[], || {
            let error = IcicleBackend::open(None).expect_err("the installation is broken");
            assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains("icicle_device"), "{error}");
        });
    }
    let folder = Folder::with_stub(name, &[]);
    std::fs::write(folder.0.join("lib").join(file_name("icicle_device")), "no library")
        .expect("a file can be written");
    in_child(name, &[("ICICLE_INSTALL_DIR", &folder.0)], || {});
}

/// The stub ends the process where ICICLE throws, so that the other tests show that no such call is made.
#[test]
fn the_stub_is_as_strict_as_it_says() {
    let name = "the_stub_is_as_strict_as_it_says";
    if std::env::var_os(CHILD).is_some() {
        let device = open();
        let bases = device.upload_bases(&points(4)).unwrap();
        // Not below the modulus: only a fault of the adapter could send it.
        let wrong = Fr::new_unchecked(ark_ff::BigInt::new([u64::MAX; 4]));
        let _ = device.msm(&bases, &[&device.upload(&[wrong]).unwrap()]);
        return;
    }
    let folder = Folder::with_stub(name, &[]);
    let output = child(name, &[("ICICLE_INSTALL_DIR", &folder.0)]);
    assert!(!output.status.success() && words(&output).contains("not reduced"), "{}", words(&output));
}
