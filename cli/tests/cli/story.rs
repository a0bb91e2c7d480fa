//! Whole stories with files.

use std::path::Path;

use crate::world::{Run, fixture, listing, program, scratch, world};
use zkloom::{Openings, ProofFile};

/// The commands as the README gives them, in a fresh folder with a fresh home.
#[test]
fn from_a_network_to_a_verified_proof_with_an_own_srs() {
    let folder = scratch();
    let home = folder.path().join("home");
    let run =
        |arguments: &[&str]| Run::of(program(&home).args(arguments).current_dir(folder.path())).succeeds();
    let (model, data) = (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"));

    let options = ["--inputs", "private", "--outputs", "public", "--weights", "private"];
    let compiled = run(&[
        &["compile", &model, "--calibration", &data],
        &options[..],
        &["-o", "digits.circuit"],
    ]
    .concat());
    for word in
        ["dense3", "max error", "accuracy", "lanes", "table rows", "proving memory", "SRS of log size"]
    {
        assert!(compiled.stdout.contains(word), "`{word}`: {compiled:#?}");
    }
    let plan = run(&["plan", "digits.circuit", "--json"]).json();
    let log_size = plan["srs_log_size"].to_string();

    let made = run(&["srs", "dev", "--log-size", &log_size, "-o", "dev.srs"]);
    assert!(made.stderr.contains("DEVELOPMENT SRS"), "{made:#?}");
    let info = run(&["srs", "info", "dev.srs"]);
    assert!(
        info.stdout.contains("origin: development") && info.stdout.contains("trusted here: yes"),
        "{info:#?}"
    );

    let keyed = run(&["setup", "digits.circuit", "--srs", "dev.srs", "-o", "keys"]);
    assert!(keyed.stderr.contains("DEVELOPMENT SRS"), "{keyed:#?}");
    let made = listing(&folder.path().join("keys"));
    for name in ["circuit.public", "proving.key", "srs.pin", "verification.key"] {
        assert!(made.iter().any(|found| found == name) && keyed.stdout.contains(name), "{name}: {keyed:#?}");
    }

    let digit = fixture("digit.npy");
    let proved = run(&["prove", "--key", "keys/proving.key", "--input", &digit, "-o", "digit.proof"]);
    for word in ["trace", "quotient", "self-check", "total", "device cpu", "largest at index 9"] {
        assert!(proved.stdout.contains(word), "`{word}`: {proved:#?}");
    }
    let verified = run(&["verify", "--key", "keys/verification.key", "--proof", "digit.proof"]);
    for word in ["is valid", "largest at index 9", "INSECURE: made with a development SRS"] {
        assert!(verified.stdout.contains(word), "`{word}`: {verified:#?}");
    }
    assert!(verified.stderr.contains("DEVELOPMENT SRS"));
    // The private input is nowhere in what the verifier sees.
    assert!(!verified.stdout.contains("input"), "{verified:#?}");
    let names = ["dev.srs", "digit.proof", "digits.circuit", "home", "keys"];
    assert_eq!(listing(folder.path()), names, "nothing else is left");
}

#[cfg(unix)]
#[test]
fn files_with_weights_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let others = |name: &str| std::fs::metadata(world().path(name)).unwrap().permissions().mode() & 0o077;
    assert_eq!((others("digits.circuit"), others("keys/proving.key")), (0, 0));
    assert_ne!(others("digit.proof"), 0);
}

#[test]
fn an_imported_ceremony_is_trusted_and_not_called_insecure() {
    let folder = scratch();
    let home = folder.path().join("home");
    let srs = folder.path().join("p8.srs").display().to_string();
    let imported =
        Run::of(program(&home).args(["srs", "import", &fixture("snarkjs-p8.ptau"), "-o", &srs])).succeeds();
    assert!(
        imported.stdout.contains("origin: ceremony") && imported.stdout.contains("powers: 511"),
        "{imported:#?}"
    );
    assert!(!imported.stderr.contains("DEVELOPMENT"), "{imported:#?}");
    let info = Run::of(program(&home).args(["srs", "info", &srs, "--json"])).succeeds().json();
    assert_eq!((&info["insecure"], &info["trusted_here"]), (&false.into(), &true.into()));
    // Both fixtures hold the same points.
    let other = folder.path().join("phase2.srs").display().to_string();
    let ptau = fixture("snarkjs-p8-phase2.ptau");
    let again =
        Run::of(program(&home).args(["srs", "import", &ptau, "-o", &other, "--json"])).succeeds().json();
    assert_eq!(again["identity"], info["identity"]);
}

#[test]
fn a_verifier_decides_whom_to_trust() {
    let world = world();
    let folder = scratch();
    let home = folder.path().join("home");
    let (key, proof, pin) =
        (world.path("keys/verification.key"), world.path("digit.proof"), world.path("keys/srs.pin"));
    let verify = ["verify", "--key", &key, "--proof", &proof];
    let stranger = |arguments: &[&str]| Run::of(program(&home).args(arguments));
    stranger(&verify).fails(4, &["is not known here", "zkloom srs trust FILE", "--srs FILE"]);
    // Once, with a file; then for good.
    stranger(&[&verify[..], &["--srs", &pin]].concat()).succeeds();
    stranger(&verify).fails(4, &["is not known here"]);
    let trusted = stranger(&["srs", "trust", &pin]).succeeds();
    assert!(trusted.stderr.contains("DEVELOPMENT SRS"), "{trusted:#?}");
    stranger(&verify).succeeds();
    // Another SRS than the key's.
    stranger(&[&verify[..], &["--srs", &world.path("dev.srs")]].concat())
        .fails(4, &["belongs to the structured reference string", "the verifier trusts"]);
}

#[test]
fn public_weights_and_inputs_with_the_other_transcript() {
    let world = world();
    let folder = scratch();
    let visibility = ["--weights", "public", "--inputs", "public"];
    let keys = world.keys(folder.path(), &visibility, &["--transcript", "blake3"]);
    let path = |name: &str| keys.join(name).display().to_string();
    let proof = folder.path().join("digit.proof").display().to_string();
    let (key, input) = (path("proving.key"), fixture("digit.npy"));
    world.run(&["prove", "--key", &key, "--input", &input, "-o", &proof]).succeeds();
    let verified = world
        .run(&["verify", "--key", &path("verification.key"), "--proof", &proof, "--json"])
        .succeeds()
        .json();
    let tensors = verified["proofs"][0]["tensors"].as_array().unwrap();
    let lengths: Vec<usize> = tensors.iter().map(|t| t["integers"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [64, 10]);
    assert_eq!((&tensors[0]["class"], &tensors[1]["class"]), (&serde_json::Value::Null, &9.into()));
    let described = world.run(&["inspect", &path("verification.key"), "--json"]).succeeds().json();
    assert!(described["content"]["transcript"].as_str().unwrap().contains("Blake3"));
    assert!(
        described["content"]["matrices"].as_array().unwrap().iter().all(|matrix| matrix["public"] == true)
    );
    // A proof under one key is none under another; the message names both.
    let digit = world.path("digit.proof");
    world
        .run(&["verify", "--key", &path("verification.key"), "--proof", &digit])
        .fails(4, &[&digit, &path("verification.key"), "do not belong together"]);
}

/// Commitments in the order of the statement.
fn commitments(world: &crate::world::World, key: &Path, proof: &str) -> Vec<String> {
    let key = key.join("verification.key").display().to_string();
    let verified = world.run(&["verify", "--key", &key, "--proof", proof, "--json"]).succeeds().json();
    let tensors = verified["proofs"][0]["tensors"].as_array().unwrap().iter();
    tensors.map(|tensor| tensor["commitment"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn commitments_agree_through_an_openings_file_and_only_then() {
    let world = world();
    let folder = scratch();
    let keys = world.keys(folder.path(), &["--inputs", "committed", "--outputs", "committed"], &[]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let key = keys.join("proving.key").display().to_string();
    let prove = |input: &str, proof: &str, openings: &str| {
        let arguments =
            ["prove", "--key", &key, "--input", input, "-o", &path(proof), "--openings", &path(openings)];
        world.run(&arguments)
    };
    let digit = fixture("digit.npy");
    prove(&digit, "first.proof", "secret").succeeds();
    let written = std::fs::read(path("secret")).unwrap();
    prove(&digit, "second.proof", "secret").succeeds();
    prove(&digit, "third.proof", "other-secret").succeeds();
    let of = |proof: &str| commitments(world, &keys, &path(proof));
    assert_eq!(of("first.proof").len(), 2);
    assert_eq!(of("first.proof"), of("second.proof"));
    assert!(of("first.proof").iter().zip(of("third.proof")).all(|(first, third)| *first != third));
    assert_eq!(std::fs::read(path("secret")).unwrap(), written);
    // The proofs themselves differ: blinding is fresh.
    let bytes = |proof: &str| ProofFile::load(path(proof).as_ref()).unwrap().bytes;
    assert_ne!(bytes("first.proof"), bytes("second.proof"));

    // The same scalar for other values would show how they differ.
    std::fs::write(path("zero.npy"), crate::formats::npy_floats(&[0.0; 64])).unwrap();
    prove(&path("zero.npy"), "zero.proof", "secret").fails(3, &["hid other values", "fresh openings file"]);
    assert!(!Path::new(&path("zero.proof")).exists());
    assert_eq!(std::fs::read(path("secret")).unwrap(), written);
    assert_eq!(Openings::load(path("secret").as_ref()).unwrap().entries.len(), 2);
}

#[test]
fn many_proofs_are_checked_together_and_the_wrong_one_is_named() {
    let world = world();
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["a.proof", "b.proof"] {
        world.prove(&path(name), &[]).succeeds();
    }
    let key = world.path("keys/verification.key");
    let (shared, a, b) = (world.path("digit.proof"), path("a.proof"), path("b.proof"));
    let verified = world.run(&["verify", "--key", &key, "--proof", &shared, &a, &b, "--json"]).succeeds();
    assert_eq!(verified.json()["proofs"].as_array().unwrap().len(), 3);

    let mut wrong = ProofFile::load(a.as_ref()).unwrap();
    wrong.statement.publics[0].swap(0, 9);
    wrong.save(a.as_ref()).unwrap();
    let refused = world.run(&["verify", "--key", &key, "--proof", &shared, &a, &b]);
    let refused = refused.fails(1, &["1 of 3 proofs", &a, "not valid for this key"]);
    assert!(!refused.stderr.contains(&b) && !refused.stderr.contains(&shared), "{refused:#?}");
}

#[test]
fn one_of_several_samples_is_chosen_by_index() {
    let world = world();
    let folder = scratch();
    let output = folder.path().join("digit.proof").display().to_string();
    let (key, all) = (world.path("keys/proving.key"), fixture("digits-test.npz"));
    let prove = |index: &[&str]| {
        world.run(&[&["prove", "--key", &key, "--input", &all, "-o", &output, "--json"], index].concat())
    };
    let proved = prove(&["--index", "0"]).succeeds().json();
    // The first digit of the test part is the one in digit.npy.
    let verified = world.verify(&output).succeeds().stdout;
    let known = world.verify(&world.path("digit.proof")).succeeds().stdout;
    let values =
        |text: &str| text.lines().filter(|l| l.contains("integers")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values(&verified), values(&known));
    assert_eq!(proved["tensors"][0]["class"], 9);
    for (index, words) in [(&[][..], "choose one with --index 0 to 449"), (&["--index", "450"], "0 to 449")] {
        let error = prove(index);
        assert_eq!((error.code, error.json()["error"]["class"].as_str()), (Some(3), Some("input")));
        assert!(error.stderr.contains(words), "{error:#?}");
    }
}

/// A ceremony's file as snarkjs writes it carries a proof, and nothing is marked as made for development.
#[test]
fn with_the_powers_of_tau_of_a_ceremony() {
    let folder = scratch();
    let home = folder.path().join("home");
    let run =
        |arguments: &[&str]| Run::of(program(&home).args(arguments).current_dir(folder.path())).succeeds();
    let (model, data) = (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"));
    // The bundled file has 511 powers, so the circuit must fit 2^8 rows: fewer bits, shorter tables.
    let size = ["--bits", "6", "--log-rows", "8", "-o", "digits.circuit"];
    run(&[&["compile", &model, "--calibration", &data], &size[..]].concat());
    let imported = run(&["srs", "import", &fixture("snarkjs-p8.ptau"), "-o", "ceremony.srs"]);
    assert!(imported.stdout.contains("origin: ceremony"), "{imported:#?}");
    let keyed = run(&["setup", "digits.circuit", "--srs", "ceremony.srs", "-o", "keys"]);
    let again = run(&["setup", "digits.circuit", "--srs", "ceremony.srs", "-o", "keys"]);
    let cached = listing(&home.join("cache"));
    assert!(cached.iter().any(|name| name.ends_with("-8.lagrange")), "{cached:?}");
    let digit = fixture("digit.npy");
    let proved = run(&["prove", "--key", "keys/proving.key", "--input", &digit, "-o", "digit.proof"]);
    let verified = run(&["verify", "--key", "keys/verification.key", "--proof", "digit.proof"]);
    for word in ["is valid", "largest at index 9"] {
        assert!(verified.stdout.contains(word), "`{word}`: {verified:#?}");
    }
    for run in [&imported, &keyed, &again, &proved, &verified] {
        assert!(!run.stdout.contains("INSECURE") && !run.stderr.contains("DEVELOPMENT"), "{run:#?}");
    }
}

/// A pruned network of another scale takes every stage like the one it came from, and costs fewer rows.
#[test]
fn from_a_network_to_a_smaller_one_and_its_proof() {
    let folder = scratch();
    let home = folder.path().join("home");
    let run =
        |arguments: &[&str]| Run::of(program(&home).args(arguments).current_dir(folder.path())).succeeds();
    let (model, data) = (fixture("digits-cnn.onnx"), fixture("digits-cnn-calibration.npz"));
    let optimised = run(&[
        "optimise",
        &model,
        "--calibration",
        &data,
        "--channels",
        "0.4",
        "--ends",
        "--teleport",
        "-o",
        "small.onnx",
        "--json",
    ])
    .json();
    let layers = optimised["sparsification"]["layers"].as_array().unwrap();
    assert!(layers.iter().any(|layer| layer["rows_after"].as_u64() < layer["rows_before"].as_u64()));
    let rows = |model: &str, options: &[&str]| {
        let compile = ["compile", model, "--calibration", &data, "-o", "net.circuit", "--json"];
        run(&[&compile[..], options].concat()).json()["report"]["rows_in_use"].as_u64().unwrap()
    };
    assert!(rows("small.onnx", &[]) < rows(&model, &[]));
    // The search's network is the one that is compiled and proved.
    rows("small.onnx", &["--teleport", "--max-accuracy-loss", "0.05"]);
    run(&["setup", "net.circuit", "-o", "keys"]);
    let digits = fixture("digits-cnn-test.npz");
    run(&["prove", "--key", "keys/proving.key", "--input", &digits, "--index", "3", "-o", "digit.proof"]);
    run(&["verify", "--key", "keys/verification.key", "--proof", "digit.proof"]);

    let nothing = ["optimise", &model, "--calibration", &data, "-o", "other.onnx"];
    let refused = Run::of(program(&home).args(nothing).current_dir(folder.path()));
    assert!(refused.stderr.contains("nothing to do"), "{refused:#?}");
    let both =
        ["optimise", &model, "--calibration", &data, "--channels", "0.4", "--weights", "0.4", "-o", "x.onnx"];
    let refused = Run::of(program(&home).args(both).current_dir(folder.path()));
    assert!(refused.stderr.contains("cannot be used with"), "{refused:#?}");
    assert!(!folder.path().join("other.onnx").exists() && !folder.path().join("x.onnx").exists());
}
