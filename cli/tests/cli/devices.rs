//! The choice of a device.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Run, fixture, program, world};

/// A shared library from C++, or nothing where there is no compiler and nobody asked for one.
fn library(name: &str, source: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let library = folder.join(format!("{name}.so"));
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O2", "-shared", "-fPIC", source, "-o"]).arg(&library);
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            assert_ne!(std::env::var("ZKLOOM_REQUIRE_CUDA_EMULATION").as_deref(), Ok("1"), "{error}");
            println!("skipped: the C++ compiler `{compiler}` can't be run: {error}");
            return None;
        }
    }
    Some(library)
}

/// Runs the program with two emulated GPUs of so much memory.
fn with_gpus(driver: &Path, memory: &str, arguments: &[&str]) -> Run {
    let mut command = program(&world().home);
    command.env("ZKLOOM_CUDA_DRIVER", driver).env("ZKLOOM_EMULATED_DEVICES", "2");
    Run::of(command.env("ZKLOOM_EMULATED_MEMORY", memory).args(arguments))
}

#[test]
fn a_named_device_is_never_replaced() {
    let world = world();
    let output = world.path("devices.proof");
    for (name, words) in
        [("cuda:77", "cuda"), ("wgpu:77", "wgpu"), ("icicle:ABACUS", "icicle"), ("gpu", "known names are")]
    {
        world.prove(&output, &["--backend", name]).fails(5, &["cannot be used", words]);
        let circuit = world.path("digits.circuit");
        world.run(&["plan", &circuit, "--backend", name]).fails(5, &["cannot be used", words]);
        world.run(&["setup", &circuit, "--backend", name, "-o", &world.path("k")]).fails(5, &[words]);
    }
    assert!(!std::path::Path::new(&output).exists());
    world.prove(&output, &["--backend", "cpu", "--threads", "1"]).succeeds();
    world.verify(&output).succeeds();
    world.prove(&output, &["--threads", "0"]).fails(2, &["--threads"]);
}

#[test]
fn the_doctor_tells_why_others_cannot_be_used() {
    let report = world().run(&["doctor"]).succeeds().stdout;
    for word in [
        "cpu: available: ",
        "cuda: not available: ",
        "icicle: not available: ",
        "wgpu",
        "self test: passed",
        "threads:",
        "development",
    ] {
        assert!(report.contains(word), "`{word}`: {report}");
    }
}

/// A vendor's library that throws or aborts when it is loaded ends another process than the doctor's.
#[cfg(target_os = "linux")]
#[test]
fn the_doctor_survives_a_vendors_library_that_does_not() {
    for (name, source, words) in [
        ("throws", "struct Thrower { Thrower() { throw 42; } } thrower;\n", "signal: 6"),
        (
            "aborts",
            "#include <cstdio>\n#include <cstdlib>\nstruct A { A() { fputs(\"no luck\", stderr); abort(); } } a;\n",
            "no luck",
        ),
        ("leaves", "#include <unistd.h>\nstruct L { L() { _exit(0); } } l;\n", "told nothing"),
    ] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("device.cpp");
        std::fs::write(&file, source).expect("a file can be written");
        let Some(library) = library(name, &file.display().to_string()) else { return };
        std::fs::create_dir(folder.path().join("lib")).expect("a folder can be made");
        for part in ["device", "field_bn254", "curve_bn254"] {
            let file = folder.path().join(format!("lib/libicicle_{part}.so"));
            std::fs::copy(&library, file).expect("it can be copied");
        }
        let run = Run::of(
            program(&world().home).env("ICICLE_INSTALL_DIR", folder.path()).args(["doctor", "--json"]),
        );
        let report = run.succeeds().json();
        let icicle =
            report["devices"].as_array().expect("a list").iter().find(|device| device["name"] == "icicle");
        let icicle = icicle.expect("the kind is reported");
        assert_eq!(icicle["available"], false);
        let description = icicle["description"].as_str().expect("words");
        assert!(description.contains(words), "{name}: {description}");
    }
}

#[test]
fn several_gpus_and_their_memory() {
    let driver = fixture("../kernels/cuda/host/driver.cpp");
    let Some(driver) = library("emulated_cuda", &driver) else { return };
    let (enough, little) =
        (format!("{},{}", 1u64 << 30, 1u64 << 29), format!("{},{}", 1u64 << 20, 5u64 << 20));
    let report = with_gpus(&driver, &enough, &["doctor"]).succeeds().stdout;
    for word in ["cuda:0: available: ", "cuda:1: available: ", "cuda:all: available: all 2 of them together"]
    {
        assert!(report.contains(word), "`{word}`: {report}");
    }
    let circuit = world().path("digits.circuit");
    let plan = |memory: &str, device: &str| {
        with_gpus(&driver, memory, &["plan", &circuit, "--backend", device, "--json"]).succeeds().json()
    };
    let all = plan(&enough, "cuda:all");
    assert_eq!((&all["device_memory"]["device"], &all["device_fits"]), (&"cuda:all".into(), &true.into()));
    // The tests of the devices left a few tables there.
    let free = all["device_memory"]["free_bytes"].as_u64().expect("a number");
    assert!(free <= 3 << 29 && free + (1 << 20) > 3 << 29, "{free}");
    let one = plan(&little, "cuda:1");
    assert_eq!(one["device_fits"], false);
    assert!(one["device_memory"]["free_bytes"].as_u64().is_some_and(|free| free <= 5 << 20));
    // Refused before anything is sent there, with the same numbers.
    let (key, input, output) =
        (world().path("keys/proving.key"), fixture("digit.npy"), world().path("gpu.proof"));
    let prove = |memory: &str, device: &str| {
        with_gpus(
            &driver,
            memory,
            &["prove", "--key", &key, "--input", &input, "-o", &output, "--backend", device],
        )
    };
    prove(&little, "cuda:0").fails(5, &["`cuda:0` cannot be used", "MiB of its memory", "0 MiB are free"]);
    // What the plan says is enough.
    let memory = &plan(&enough, "cuda:0")["device_memory"];
    let parts =
        ["key_bytes", "proof_bytes", "scratch_bytes"].map(|part| memory[part].as_u64().expect("a number"));
    let planned = parts.iter().sum::<u64>() + (64 << 10);
    for (memory, device) in [(planned.to_string(), "cuda:0"), (enough.clone(), "cuda:all")] {
        let run = prove(&memory, device).succeeds();
        assert!(run.stdout.contains(&format!("device {device}\n")), "{run:#?}");
        assert!(!run.stderr.contains("failed"), "{run:#?}");
        world().verify(&output).succeeds();
    }
    with_gpus(&driver, &enough, &["plan", &circuit, "--backend", "cuda:0,0"]).fails(5, &["named twice"]);
    with_gpus(&driver, &enough, &["plan", &circuit, "--backend", "cuda:0,7"]).fails(5, &["2 devices"]);
}
