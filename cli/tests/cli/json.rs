//! Output for machines: one object on stdout for every command, whatever happens.

use crate::world::{fixture, scratch, world};
use serde_json::Value;

#[test]
fn every_command_gives_one_object() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (model, data, digit) =
        (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"), fixture("digit.npy"));
    let (circuit, proof) = (world.path("digits.circuit"), world.path("digit.proof"));
    let (proving, verification) = (world.path("keys/proving.key"), world.path("keys/verification.key"));
    let ptau = fixture("snarkjs-p8.ptau");
    let commands: [(&[&str], &[&str]); 13] = [
        (
            &["compile", &model, "--calibration", &data, "-o", &path("c")],
            &[
                "/quantisation/layers/0/max_error",
                "/quantisation/accuracy/float",
                "/report/proof_bytes",
                "/srs_log_size",
            ],
        ),
        (
            &["srs", "dev", "--log-size", "5", "-o", &path("d")],
            &["/identity", "/insecure", "/powers", "/pinned"],
        ),
        (&["srs", "import", &ptau, "-o", &path("i")], &["/identity", "/lagrange_log_sizes"]),
        (&["srs", "info", &path("d")], &["/identity", "/trusted_here"]),
        (&["srs", "trust", &path("d")], &["/pinned"]),
        (
            &["setup", &circuit, "-o", &path("k")],
            &["/proving_key", "/verification_key", "/insecure_srs", "/seconds/keys"],
        ),
        (
            &["prove", "--key", &proving, "--input", &digit, "-o", &path("p")],
            &["/stages/7/seconds", "/proof_bytes", "/device", "/tensors/0/reals/9", "/insecure_srs"],
        ),
        (
            &["verify", "--key", &verification, "--proof", &proof],
            &["/valid", "/insecure_srs", "/proofs/0/tensors/0/class"],
        ),
        (&["inspect", &proof], &["/kind", "/content/unverified_public_values"]),
        (&["inspect", &circuit], &["/content/report", "/content/quantisation/layers"]),
        (&["inspect", &proving], &["/content/verification_key/digest", "/private"]),
        (
            &["plan", &circuit],
            &["/memory_bytes", "/proving_seconds", "/proof_bytes", "/circuit/shape/log_rows"],
        ),
        (&["doctor"], &["/threads", "/devices/0/available", "/store", "/self_test"]),
    ];
    for (command, pointers) in commands {
        let run = world.run(&[command, &["--json"]].concat()).succeeds();
        let value = run.json();
        for pointer in pointers {
            assert!(
                value.pointer(pointer).is_some_and(|found| !found.is_null()),
                "{command:?}: {pointer}: {value}"
            );
        }
        let warned = run.stderr.replace("WARNING: DEVELOPMENT SRS", "");
        assert!(!warned.contains("error") && !warned.contains("making"), "{command:?}: {run:#?}");
    }
}

#[test]
fn errors_have_class_code_message_and_causes() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let key = world.path("keys/verification.key");
    let circuit = world.path("digits.circuit");
    let cases: [(&[&str], i32, &str, &str); 6] = [
        (&["inspect", "gone"], 4, "file", "io"),
        (&["inspect", &fixture("digit.npy")], 4, "file", "not-an-artifact"),
        (&["verify", "--key", &key, "--proof", &circuit], 4, "file", "wrong-kind"),
        (&["plan", &circuit, "--backend", "cuda"], 5, "resource", "backend-unavailable"),
        (
            &["setup", &circuit, "--srs", &world.path("dev.srs"), "-o", &path("k")],
            5,
            "resource",
            "srs-too-small",
        ),
        (&["verify"], 2, "usage", "usage"),
    ];
    for (command, exit, class, code) in cases {
        let run = world.run(&[&["--json"], command].concat());
        assert_eq!(run.code, Some(exit), "{run:#?}");
        let value = run.json();
        let error = value["error"].as_object().unwrap();
        assert_eq!((&error["class"], &error["code"]), (&class.into(), &code.into()), "{run:#?}");
        assert!(
            error["message"].as_str().is_some_and(|message| !message.is_empty())
                && error["causes"].is_array()
        );
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn an_invalid_proof_is_an_object_too() {
    let world = world();
    let folder = scratch();
    let place = folder.path().join("wrong.proof");
    let mut proof = zkloom::ProofFile::load(world.path("digit.proof").as_ref()).unwrap();
    proof.statement.publics[0][0] += 1;
    proof.save(&place).unwrap();
    let (key, place) = (world.path("keys/verification.key"), place.display().to_string());
    let run = world.run(&["verify", "--key", &key, "--proof", &place, "--json"]);
    let value: Value = run.json();
    assert_eq!((run.code, value["error"]["code"].as_str()), (Some(1), Some("proof-invalid")), "{run:#?}");
    assert!(value.get("valid").is_none());
}

#[test]
fn help_lists_exit_codes_and_has_examples() {
    let world = world();
    let help = world.run(&["--help"]).succeeds();
    assert!(help.stdout.contains("Exit codes:") && help.stderr.is_empty());
    let commands: [&[&str]; 12] = [
        &["compile"],
        &["srs", "import"],
        &["srs", "dev"],
        &["srs", "info"],
        &["srs", "trust"],
        &["setup"],
        &["prove"],
        &["verify"],
        &["inspect"],
        &["plan"],
        &["doctor"],
        &["demo"],
    ];
    for command in commands {
        let help = world.run(&[command, &["--help"]].concat()).succeeds();
        let example = format!("  zkloom {}", command.join(" "));
        assert!(help.stdout.contains("Example:") && help.stdout.contains(&example), "{help:#?}");
    }
}

#[test]
fn quiet_means_no_word_but_the_result() {
    let world = world();
    let folder = scratch();
    let output = folder.path().join("c").display().to_string();
    let (model, data) = (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"));
    let compile = ["compile", &model, "--calibration", &data, "-o", &output];
    let loud = world.run(&compile).succeeds();
    assert!(loud.stderr.contains("quantising") && !loud.stdout.contains("quantising"), "{loud:#?}");
    let quiet = world.run(&[&compile[..], &["--quiet"]].concat()).succeeds();
    assert_eq!((quiet.stderr.as_str(), quiet.stdout), ("", loud.stdout));
    let logged = world.prove(&folder.path().join("p").display().to_string(), &["-vv"]).succeeds();
    assert!(logged.stderr.contains("proving") && !logged.stdout.contains("DEBUG"), "{logged:#?}");
}
