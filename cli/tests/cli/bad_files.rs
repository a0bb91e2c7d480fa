//! Files that are missing, damaged, of another kind or too small.

use std::path::Path;

use crate::world::{Run, fixture, scratch, world};
use zkloom::ProofFile;

/// Every artifact, with the command that reads it in the place of `FILE`.
fn readers() -> Vec<(&'static str, Vec<String>)> {
    let world = world();
    let words = |text: &str| -> Vec<String> {
        text.split(' ')
            .map(|word| word.replace("WORLD", &world.path("")).replace("FIX", &fixture("digit.npy")))
            .collect()
    };
    vec![
        ("digits.circuit", words("setup FILE -o OUT")),
        ("digits.circuit", words("plan FILE")),
        ("keys/proving.key", words("prove --key FILE --input FIX -o OUT")),
        ("keys/verification.key", words("verify --key FILE --proof WORLD/digit.proof")),
        ("digit.proof", words("verify --key WORLD/keys/verification.key --proof FILE")),
        (
            "keys/srs.pin",
            words("verify --key WORLD/keys/verification.key --proof WORLD/digit.proof --srs FILE"),
        ),
        ("keys/srs.pin", words("srs trust FILE")),
        ("dev.srs", words("setup WORLD/digits.circuit --srs FILE -o OUT")),
        ("dev.srs", words("srs info FILE")),
        ("digit.proof", words("inspect FILE")),
    ]
}

/// Runs a reader on bytes. Whatever it would write must not be there afterwards.
fn read(name: &str, command: &[String], bytes: &[u8]) -> (Run, String) {
    let folder = scratch();
    let file = folder.path().join(Path::new(name).file_name().unwrap());
    let (place, output) = (file.display().to_string(), folder.path().join("out"));
    std::fs::write(&file, bytes).unwrap();
    let target = output.display().to_string();
    let arguments: Vec<&str> = command
        .iter()
        .map(|word| match word.as_str() {
            "FILE" => place.as_str(),
            "OUT" => target.as_str(),
            other => other,
        })
        .collect();
    let run = world().run(&arguments);
    assert!(!output.exists(), "{arguments:?}");
    (run, place)
}

#[test]
fn truncated_and_bit_flipped_artifacts() {
    for (name, command) in readers() {
        let bytes = std::fs::read(world().path(name)).unwrap();
        for length in [bytes.len() - 1, bytes.len() / 2, 20] {
            let (run, place) = read(name, &command, &bytes[..length]);
            run.fails(4, &[&place, "is damaged", "Copy or make it again"]);
        }
        // In the container's head, the content and the digest at the end.
        for position in [20, bytes.len() / 3, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[position] ^= 0x20;
            let (run, place) = read(name, &command, &flipped);
            run.fails(4, &[&place, "is damaged"]);
        }
    }
}

#[test]
fn files_that_are_none_of_ours_or_of_another_version() {
    for (name, command) in readers() {
        let (run, place) = read(name, &command, b"a text");
        run.fails(4, &[&place, "not a zkLoom file"]);
        let (run, _) = read(name, &command, b"");
        run.fails(4, &["not a zkLoom file"]);
        let mut bytes = std::fs::read(world().path(name)).unwrap();
        bytes[12] = 9;
        let (run, _) = read(name, &command, &bytes);
        run.fails(4, &["format version 9", "matching release"]);
    }
}

#[test]
fn files_of_another_kind() {
    let kinds = [
        ("digits.circuit", "a circuit"),
        ("keys/proving.key", "a proving key"),
        ("keys/verification.key", "a verification key"),
        ("digit.proof", "a proof"),
        ("dev.srs", "an SRS"),
        ("keys/srs.pin", "an SRS pin"),
    ];
    for (name, command) in readers() {
        let (other, kind) = kinds.iter().find(|(other, _)| !is_read_by(&command, other)).unwrap();
        if command[0] == "inspect" {
            continue;
        }
        let (run, place) = read(name, &command, &std::fs::read(world().path(other)).unwrap());
        run.fails(4, &[&place, kind, "is needed here"]);
    }
}

/// Whether a command takes files of this name in the place of `FILE`; a pin may be given as the SRS.
fn is_read_by(command: &[String], name: &str) -> bool {
    let takes = |other: &str| readers().iter().any(|(name, readers)| readers == command && *name == other);
    takes(name)
        || (name == "dev.srs" && takes("keys/srs.pin"))
        || (name == "keys/srs.pin" && takes("dev.srs"))
}

#[test]
fn missing_files_and_folders() {
    let world = world();
    let gone = world.path("gone");
    let key = world.path("keys/verification.key");
    world.run(&["verify", "--key", &gone, "--proof", &world.path("digit.proof")]).fails(4, &[&gone]);
    world.run(&["verify", "--key", &key, "--proof", &gone]).fails(4, &[&gone]);
    world.run(&["srs", "import", &gone, "-o", &world.path("x")]).fails(4, &[&gone]);
    world.run(&["inspect", &gone]).fails(4, &[&gone]);
    world.run(&["inspect", &world.path("keys")]).fails(4, &[&world.path("keys")]);
    world.prove_input(&format!("{gone}.npy"), &world.path("x")).fails(4, &["gone.npy", "check the path"]);
    // Before any work, the place for the result is looked at.
    let nowhere = world.path("no-such-folder/digit.proof");
    world.prove(&nowhere, &[]).fails(4, &[&nowhere, "does not exist", "make it first"]);
    world.prove(&world.path("keys"), &[]).fails(4, &["is a folder"]);
    world.prove(&world.path("digit.proof/x"), &[]).fails(4, &["is not a folder"]);
    world.run(&["srs", "dev", "--log-size", "4", "-o", &nowhere]).fails(4, &["does not exist"]);
    world
        .run(&["setup", &world.path("digits.circuit"), "-o", &world.path("digit.proof")])
        .fails(4, &["digit.proof"]);
}

#[test]
fn an_srs_that_is_too_small_says_which_size_is_needed() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let needed =
        world.run(&["plan", &world.path("digits.circuit"), "--json"]).succeeds().json()["srs_log_size"]
            .clone();
    let needed = format!("use one of log size {needed} or more");
    let circuit = world.path("digits.circuit");
    let small = world.run(&["setup", &circuit, "--srs", &world.path("dev.srs"), "-o", &path("keys")]);
    small.fails(5, &["dev.srs", "264 powers", &needed]);
    world.run(&["srs", "import", &fixture("snarkjs-p8.ptau"), "-o", &path("p8.srs")]).succeeds();
    world
        .run(&["setup", &circuit, "--srs", &path("p8.srs"), "-o", &path("keys")])
        .fails(5, &["511 powers", &needed]);
    assert!(!Path::new(&path("keys")).exists());
}

#[test]
fn an_srs_of_the_size_that_is_asked_for_suffices() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let circuit = world.path("digits.circuit");
    let size = world.run(&["plan", &circuit, "--json"]).succeeds().json()["srs_log_size"].as_u64().unwrap();
    for (size, code) in [(size - 1, 5), (size, 0)] {
        world.run(&["srs", "dev", "--log-size", &size.to_string(), "-o", &path("dev.srs")]).succeeds();
        let run = world.run(&["setup", &circuit, "--srs", &path("dev.srs"), "-o", &path("keys")]);
        assert_eq!(run.code, Some(code), "{run:#?}");
    }
}

#[test]
fn damaged_powers_of_tau() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let ptau = std::fs::read(fixture("snarkjs-p8.ptau")).unwrap();
    let import = |bytes: &[u8]| {
        std::fs::write(path("x.ptau"), bytes).unwrap();
        let run = world.run(&["srs", "import", &path("x.ptau"), "-o", &path("x.srs")]);
        assert!(!Path::new(&path("x.srs")).exists());
        run
    };
    import(b"a text").fails(4, &["x.ptau", "not a valid .ptau file"]);
    import(&ptau[..ptau.len() / 2]).fails(4, &["x.ptau"]);
    // A bit of a point in the sections that are used: header (24 bytes and 44 of content), then tauG1.
    let mut flipped = ptau.clone();
    flipped[12 + 12 + 44 + 12 + 64 * 9 + 3] ^= 1;
    import(&flipped).fails(4, &["x.ptau"]);
    // Two powers exchanged: each is on the curve, but they are no powers any more.
    let mut exchanged = ptau.clone();
    let start = 12 + 12 + 44 + 12 + 64 * 9;
    let (first, second) = (ptau[start..start + 64].to_vec(), ptau[start + 64..start + 128].to_vec());
    exchanged[start..start + 64].copy_from_slice(&second);
    exchanged[start + 64..start + 128].copy_from_slice(&first);
    import(&exchanged).fails(4, &["x.ptau", "inconsistent"]);
}

/// A file whose container is in order, so that the proof itself has to be judged.
#[test]
fn proofs_that_are_well_packed_but_wrong() {
    let world = world();
    let folder = scratch();
    let place = folder.path().join("wrong.proof");
    let honest = ProofFile::load(world.path("digit.proof").as_ref()).unwrap();
    let refuse = |change: &dyn Fn(&mut ProofFile), words: &[&str]| {
        let mut proof = honest.clone();
        change(&mut proof);
        proof.save(&place).unwrap();
        world.verify(&place.display().to_string()).fails(1, &[&["wrong.proof"], words].concat());
    };
    let length = honest.bytes.len();
    refuse(&|proof| proof.statement.publics[0][3] += 1, &["not valid for this key"]);
    refuse(&|proof| proof.statement.publics[0][3] = i64::MAX, &["is outside"]);
    refuse(&|proof| proof.statement.publics.clear(), &["the key expects 1"]);
    refuse(&|proof| proof.statement.publics[0].truncate(9), &["the key expects 10"]);
    refuse(&|proof| proof.bytes.truncate(length - 1), &["cannot be read"]);
    refuse(&|proof| proof.bytes.push(0), &["cannot be read"]);
    for index in (0..length).step_by(length / 12) {
        refuse(&|proof| proof.bytes[index] ^= 4, &[]);
    }
}
