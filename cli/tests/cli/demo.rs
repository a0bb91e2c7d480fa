//! The demo.

use crate::world::{Run, listing, program, scratch};

fn demo(arguments: &[&str]) -> Run {
    let folder = scratch();
    let home = folder.path().join("home");
    let mut command = program(&home);
    command.arg("demo").args(arguments).current_dir(folder.path());
    let run = Run::of(command.env("TMPDIR", folder.path())).succeeds();
    assert_eq!(listing(folder.path()), [""; 0], "nothing is left behind");
    assert!(run.stderr.contains("DEVELOPMENT SRS"), "{run:#?}");
    run
}

#[test]
fn shows_a_digit_its_proof_and_every_deception() {
    let report = demo(&[]).stdout;
    let words = [
        "digit 0 of the test set, labelled 9",
        "██",
        "<- proven class",
        "20 of 20 deceptions rejected",
        "claim that the digit is a 0",
        "not valid for this key and these public values",
        "self-check",
        "verify ",
        "accuracy over 1797 digits: 99.50 % in floats",
    ];
    for word in words {
        assert!(report.contains(word), "`{word}`: {report}");
    }
    assert!(!report.contains("ACCEPTED"));
}

#[test]
fn tells_machines_the_same() {
    let report = demo(&["--index", "7", "--json"]).json();
    let list = |pointer: &str| report.pointer(pointer).and_then(|v| v.as_array()).unwrap();
    assert_eq!(list("/tampering").iter().filter(|attempt| attempt["rejected"] == true).count(), 20);
    assert_eq!(
        (list("/digit/pixels").len(), list("/stages").len(), &report["samples"]),
        (64, 8, &1797.into())
    );
    let logits: Vec<i64> = list("/tensors/0/integers").iter().map(|value| value.as_i64().unwrap()).collect();
    let class = report["class"].as_u64().unwrap() as usize;
    assert!(logits.len() == 10 && logits.iter().all(|logit| *logit <= logits[class]));
    let accuracy = |kind: &str| report["accuracy"][kind].as_f64().unwrap();
    // 1,788 of 1,797 by an evaluator that shares no code with this one; integers may lose one digit in a hundred.
    assert!((accuracy("float") - 1788.0 / 1797.0).abs() < 1e-9);
    assert!(accuracy("integer") > accuracy("float") - 0.01);
    let positive = |pointer: &str| report.pointer(pointer).and_then(|v| v.as_f64()).is_some_and(|v| v > 0.0);
    for pointer in
        ["/seconds/prove", "/seconds/verify", "/seconds/keys", "/proof_bytes", "/verification_key_bytes"]
    {
        assert!(positive(pointer), "{pointer}: {report}");
    }
}
