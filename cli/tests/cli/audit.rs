//! The story of an audit: a stranger checks a key's fixed columns with the description and the SRS.

use std::path::Path;

use crate::world::{Run, fixture, program, scratch};

/// Compiles the digits network with options and makes keys with an own SRS, in a folder.
fn keys(folder: &Path, srs: &str, name: &str, options: &[&str]) -> impl Fn(&str) -> String + use<> {
    let run = |arguments: &[&str]| {
        Run::of(program(&folder.join("home")).args(arguments).current_dir(folder)).succeeds()
    };
    let (model, data) = (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"));
    let circuit = format!("{name}.circuit");
    run(&[&["compile", &model, "--calibration", &data, "-o", &circuit], options].concat());
    if !folder.join(srs).exists() {
        let log_size = run(&["plan", &circuit, "--json"]).json()["srs_log_size"].to_string();
        run(&["srs", "dev", "--log-size", &log_size, "-o", srs]);
    }
    run(&["setup", &circuit, "--srs", srs, "-o", name]);
    let keys = folder.join(name);
    move |file| keys.join(file).display().to_string()
}

#[test]
fn a_stranger_audits_a_key() {
    let folder = scratch();
    let srs = folder.path().join("dev.srs").display().to_string();
    let wide = keys(folder.path(), "dev.srs", "wide", &["--lanes", "2"]);
    let (key, description) = (wide("verification.key"), wide("circuit.public"));
    let stranger = scratch();
    let audit = |key: &str, description: &str, srs: &str, more: &[&str]| {
        let arguments = ["audit", "--key", key, "--description", description, "--srs", srs];
        Run::of(program(stranger.path()).args([&arguments[..], more].concat()))
    };
    let passed = audit(&key, &description, &srs, &[]).succeeds();
    for word in [
        "passes",
        "checked: the key commits to exactly the described fixed columns",
        "dense3",
        "clamp to",
        "One key, one function",
        "what the key maker committed to",
        "INSECURE",
    ] {
        assert!(passed.stdout.contains(word), "`{word}`: {passed:#?}");
    }
    assert!(passed.stderr.contains("DEVELOPMENT SRS"), "{passed:#?}");
    let json = audit(&key, &description, &srs, &["--json"]).succeeds().json();
    assert_eq!((&json["passes"], &json["audit"]["public_weights"]), (&true.into(), &false.into()));
    assert_eq!(json["audit"]["architecture"]["shape"]["lanes"], 2);
    let shown = Run::of(program(stranger.path()).args(["inspect", &description, "--json"])).succeeds().json();
    assert_eq!((&shown["kind"], &shown["private"]), (&"circuit description".into(), &false.into()));

    // Of another circuit, of another kind, damaged.
    let narrow = keys(folder.path(), "dev.srs", "narrow", &["--lanes", "1"]);
    let other = narrow("circuit.public");
    audit(&key, &other, &srs, &[]).fails(4, &[&key, &other, "do not belong together", "the circuit"]);
    audit(&key, &key, &srs, &[]).fails(4, &[&key, "a circuit description is needed here"]);
    let damaged = folder.path().join("damaged").display().to_string();
    let mut bytes = std::fs::read(&description).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    audit(&key, &damaged, &srs, &[]).fails(4, &[&damaged, "is damaged"]);
    // With an SRS of somebody else.
    let made = ["srs", "dev", "--log-size", "8", "-o", &damaged];
    Run::of(program(stranger.path()).args(made)).succeeds();
    audit(&key, &description, &damaged, &[])
        .fails(4, &[&damaged, "the key was made with the SRS", "give the key's own"]);
}
