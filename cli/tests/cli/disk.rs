//! Disks that are full: a result stands whole or not at all, and what stood there before stands there still.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{Run, fixture, listing, program, scratch, world};

/// Every command that writes a file, with `OUT` where it goes, and the bytes that it needs at most.
fn writers() -> Vec<(&'static str, Vec<String>)> {
    let world = world();
    let (model, data, digit) =
        (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"), fixture("digit.npy"));
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        ("circuit", owned(&["compile", &model, "--calibration", &data, "-o", "OUT"])),
        (
            "proof",
            owned(&["prove", "--key", &world.path("keys/proving.key"), "--input", &digit, "-o", "OUT"]),
        ),
        ("srs", owned(&["srs", "dev", "--log-size", "10", "-o", "OUT"])),
        ("srs", owned(&["srs", "import", &fixture("snarkjs-p8.ptau"), "-o", "OUT"])),
    ]
}

fn with_output(command: &[String], output: &str) -> Vec<String> {
    command.iter().map(|word| if word == "OUT" { output.to_owned() } else { word.clone() }).collect()
}

/// A limit on the size of files works everywhere and for everybody; the system then refuses to write more.
#[cfg(unix)]
#[test]
fn nothing_half_written_when_a_file_cannot_grow() {
    for (name, command) in writers() {
        let folder = scratch();
        let output = folder.path().join(name);
        std::fs::write(&output, b"old").unwrap();
        let mut shell = Command::new("sh");
        // Blocks of 512 bytes. The signal is ignored, so that writing gives an error.
        shell.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_zkloom")]);
        shell
            .args(with_output(&command, &output.display().to_string()))
            .env("ZKLOOM_HOME", folder.path().join("home"));
        Run::of(&mut shell).fails(5, &[&output.display().to_string()]);
        assert_eq!(std::fs::read(&output).unwrap(), b"old", "{command:?}");
        assert_eq!(listing(folder.path()), [name], "{command:?}");
    }
}

/// A file system of 16 kB, mounted in a name space of its own; needs a privilege that not every machine gives.
#[cfg(target_os = "linux")]
#[test]
fn nothing_half_written_on_a_full_disk() {
    let folder = scratch();
    let inside = folder.path().join("small");
    std::fs::create_dir(&inside).unwrap();
    let mount = format!("mount -t tmpfs -o size=16k tmpfs '{}'", inside.display());
    let isolated = |flags: &str, script: &str, arguments: &[String]| {
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_zkloom")]).args(arguments);
        command.env("ZKLOOM_HOME", folder.path().join("home"));
        command
    };
    let works = |flags: &&str| {
        let mut trial = isolated(flags, &mount, &[]);
        trial.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(flags) = ["-m", "-rm"].into_iter().find(works) else {
        // Straight to stderr, past the harness, which shows what a test prints only if it fails.
        let reason =
            b"skipped: this system lets the test mount no file system (unshare -m and unshare -rm fail)\n";
        std::io::stderr().write_all(reason).unwrap();
        return;
    };
    for (name, command) in writers().into_iter().filter(|(name, _)| *name != "proof") {
        let output = inside.join(name).display().to_string();
        // The old file leaves too little room; what lies there afterwards is listed on stdout.
        let script = format!(
            "{mount} && printf old > '{output}' && head -c 9000 /dev/zero > '{0}/ballast' && {{ \"$@\"; code=$?; \
             ls -A '{0}' | tr '\\n' ' '; cat '{output}'; exit $code; }}",
            inside.display()
        );
        let run = Run::of(&mut isolated(flags, &script, &with_output(&command, &output)));
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(5), format!("ballast {name} old").as_str()),
            "{run:#?}"
        );
        assert!(run.stderr.contains("No space left on device") && run.stderr.contains(&output), "{run:#?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_written_not_replaced() {
    let world = world();
    let full = scratch();
    let link = full.path().join("full");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let run = world.run(&["srs", "dev", "--log-size", "3", "-o", &link.display().to_string()]);
    run.fails(5, &["No space left on device"]);
    assert!(!Path::new("/dev/full").metadata().unwrap().is_file());
}

/// A result that nobody gets is no success.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed() {
    let world = world();
    for json in [&["--json"][..], &[]] {
        let mut command = program(&world.home);
        command.args(["inspect", &world.path("digit.proof")]).args(json);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = Run::of(command.stdout(full));
        assert_eq!(run.code, Some(5), "{run:#?}");
        assert!(run.stderr.contains("cannot be written to stdout"), "{run:#?}");
    }
}

#[cfg(unix)]
#[test]
fn a_home_that_cannot_be_made() {
    let world = world();
    let folder = scratch();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let home = folder.path().join("file/home");
    let keys = folder.path().join("keys").display().to_string();
    let run = Run::of(program(&home).args(["setup", &world.path("digits.circuit"), "-o", &keys]));
    run.fails(4, &["file/home"]);
    let mut homeless = program(&home);
    homeless.env_remove("ZKLOOM_HOME").env_remove("XDG_DATA_HOME").env_remove("HOME");
    let run = Run::of(homeless.args(["setup", &world.path("digits.circuit"), "-o", &keys]));
    run.fails(5, &["set ZKLOOM_HOME"]);
}
