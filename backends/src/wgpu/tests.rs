//! What needs a look behind the interface: the shaders' text, a lost device, work that does not fit one binding.

use ::wgpu::naga;
use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{Field, One};
use zkloom_kernels::program::{Operand, Operation, Program};
use zkloom_kernels::wgsl::{self, Arithmetic, Module};

use super::WgpuBackend;
use crate::backend::{Backend, Direction, Result};
use crate::cpu::CpuBackend;
use crate::error::BackendError;
use crate::laws::{self, Method, Options};

fn opened() -> Option<WgpuBackend> {
    let refused = |error: &BackendError| {
        assert_ne!(std::env::var("ZKLOOM_REQUIRE_WGPU").as_deref(), Ok("1"), "{error}");
        println!("skipped: {error}");
    };
    WgpuBackend::open(0).inspect_err(refused).ok()
}

/// A device that is gone is an error of every later call, and never a panic.
#[test]
fn a_lost_device_is_an_error() {
    let Some(backend) = opened() else { return };
    let values = vec![Fr::from(3u64); 64];
    let mut vector = backend.upload(&values).expect("the device is there");
    let bases = backend.upload_bases(&[G1Affine::generator(); 64]).expect("the device is there");
    backend.device.device.destroy();
    let lost = |result: Result<()>| match result {
        Err(BackendError::Device { reason, .. }) => assert!(!reason.is_empty()),
        other => panic!("{other:?}"),
    };
    lost(backend.download(&vector).map(drop));
    lost(backend.upload(&values).map(drop));
    lost(backend.ntt(&mut vector, Direction::Forward));
    lost(backend.batch_invert(&mut vector));
    lost(backend.msm(&bases, &[&vector]).map(drop));
    lost(backend.evaluate(&[&vector], Fr::one()).map(drop));
}

/// Valid text, within what WebGPU guarantees: 8 storage buffers, 256 invocations and 16 KiB of memory for a group.
fn check_shaders(module: Module, arithmetic: Arithmetic) {
    let text = wgsl::source(module, arithmetic);
    let words = format!("{module:?}, {arithmetic:?}");
    let parsed = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{words}: {error}"));
    let capabilities = match arithmetic {
        Arithmetic::Wide => naga::valid::Capabilities::SHADER_INT64,
        Arithmetic::Narrow => naga::valid::Capabilities::empty(),
    };
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    let info = validator.validate(&parsed).unwrap_or_else(|error| panic!("{words}: {error}"));
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(parsed.to_ctx()).unwrap_or_else(|error| panic!("{words}: {error}"));
    for (number, entry) in parsed.entry_points.iter().enumerate() {
        let used = || {
            let info = info.get_entry_point(number);
            parsed
                .global_variables
                .iter()
                .filter(move |(handle, _)| !info[*handle].is_empty())
                .map(|(_, variable)| variable)
        };
        let storage = used().filter(|variable| matches!(variable.space, naga::AddressSpace::Storage { .. }));
        assert!(storage.count() <= 8, "{words}, {}: storage buffers", entry.name);
        let group = used().filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = group.map(|variable| layouter[variable.ty].size).sum();
        assert!(bytes <= 16 << 10, "{words}, {}: {bytes} bytes for a group", entry.name);
        assert!(entry.workgroup_size.iter().product::<u32>() <= 256, "{words}, {}", entry.name);
    }
}

/// Needs no device.
#[test]
fn shaders_are_valid_within_the_guaranteed_limits() {
    let modules = [
        Module::Vectors,
        Module::Transform,
        Module::Scan,
        Module::Interpreter { inputs: 4 },
        Module::Boxes,
        Module::Rows,
        Module::Digits,
        Module::Points,
    ];
    for arithmetic in [Arithmetic::Wide, Arithmetic::Narrow] {
        modules.iter().for_each(|&module| check_shaders(module, arithmetic));
    }
}

/// Compiled shaders are found again, and a damaged file of them does no harm.
#[test]
fn shaders_are_kept_on_disk() {
    if opened().is_none() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("zkloom-shaders-{}", std::process::id()));
    let use_it = || {
        let backend = WgpuBackend::opened(0, None, Some(folder.clone())).expect("the device is there");
        let mut vector = backend.upload(&[Fr::from(4u64)]).expect("it fits");
        backend.batch_invert(&mut vector).expect("it runs");
        assert_eq!(
            backend.download(&vector).expect("it is there"),
            [Fr::from(4u64).inverse().unwrap_or_default()]
        );
    };
    let files = || std::fs::read_dir(&folder).map_or(Vec::new(), |list| list.flatten().collect());
    use_it();
    for file in files() {
        let kept = std::fs::read(file.path()).expect("it was listed");
        use_it();
        assert_eq!(std::fs::read(file.path()).expect("it is still there"), kept, "nothing new was compiled");
        std::fs::write(file.path(), &kept[..kept.len() - 1]).expect("it can be written");
        use_it();
        assert_eq!(std::fs::read(file.path()).expect("it is still there").len(), kept.len(), "written anew");
    }
    assert!(files().len() <= 1, "no unfinished file is left");
    std::fs::remove_dir_all(&folder).ok();
}

/// A device that shows shaders only this much of a buffer: 2^13 elements, 2^12 points.
fn narrow_view() -> Option<WgpuBackend> {
    let mut backend = opened()?;
    backend.device.largest_binding = 1 << 18;
    Some(backend)
}

#[test]
fn work_is_cut_to_what_shaders_can_see() {
    let Some(backend) = narrow_view() else { return };
    assert_eq!(backend.capabilities().max_log_size, 13);
    let options = Options { sizes: vec![8000], seed: 3 };
    for method in [Method::Msm, Method::MsmIntegers, Method::ExpandBoxes, Method::ContractBoxes] {
        // The laws of products try one scalar more than bases, which must still fit.
        assert_eq!(laws::check_method(&backend, method, &options), Ok(()));
    }
    let long = backend.zeros((1 << 13) + 1);
    assert!(matches!(long, Err(BackendError::OutOfMemory { needed, .. }) if needed == (1 << 18) + 32));
}

#[test]
fn gathered_inputs_are_cut_to_what_shaders_can_see() {
    let Some(backend) = narrow_view() else { return };
    let cpu = CpuBackend::new(Some(1)).expect("a thread can be started");
    let (inputs, rows) = (50u32, 1000u64);
    let operations = (0..inputs).map(|index| {
        let before = if index == 0 { Operand::Constant(0) } else { Operand::Result(index - 1) };
        let read = Operand::Input { index, rotation: 41 * index as i32 - 900 };
        if index % 2 == 0 { Operation::Add(before, read) } else { Operation::Multiply(before, read) }
    });
    let output = Some(Operand::Result(inputs - 1));
    let program = Program { inputs, constants: 1, operations: operations.collect(), output };
    let column = |index: u32| (0..rows).map(|row| Fr::from(row * 77 + u64::from(index))).collect::<Vec<_>>();
    let columns: Vec<Vec<Fr>> = (0..inputs).map(column).collect();
    let ours: Result<Vec<_>> = columns.iter().map(|column| backend.upload(column)).collect();
    let theirs: Result<Vec<_>> = columns.iter().map(|column| cpu.upload(column)).collect();
    let (ours, theirs) = (ours.expect("they fit"), theirs.expect("they fit"));
    let found = backend.run(&program, &ours.iter().collect::<Vec<_>>(), &[Fr::one()]).expect("it runs");
    let expected = cpu.run(&program, &theirs.iter().collect::<Vec<_>>(), &[Fr::one()]).expect("it runs");
    assert_eq!(backend.download(&found).expect("it is there"), cpu.download(&expected).expect("it is there"));
}
