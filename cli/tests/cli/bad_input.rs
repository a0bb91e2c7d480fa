//! Models and data that do not suit: exit code 3 or 4, and a message that says what to do.

use crate::formats::{npy, npy_floats, onnx_chain};
use crate::world::{Run, fixture, scratch, world};

/// Compiles a model from bytes, into a folder that goes away.
fn compile(model: &[u8], more: &[&str]) -> Run {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("model.onnx"), model).unwrap();
    let (model, data, output) = (path("model.onnx"), fixture("digits-calibration.npz"), path("out"));
    let arguments = ["compile", &model, "--calibration", &data, "-o", &output];
    let run = world().run(&[&arguments[..], more].concat());
    assert_eq!(std::path::Path::new(&output).exists(), run.code == Some(0));
    run
}

/// Proves an input given as a file's bytes.
fn prove(name: &str, bytes: &[u8]) -> Run {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path(name), bytes).unwrap();
    let run = world().prove_input(&path(name), &path("out"));
    assert!(!std::path::Path::new(&path("out")).exists());
    assert!(run.stderr.contains(name), "the file is named: {run:#?}");
    run
}

fn digits() -> Vec<u8> {
    std::fs::read(fixture("digits-mlp.onnx")).unwrap()
}

#[test]
fn not_an_onnx_file() {
    compile(b"# a text, not a network\n", &[]).fails(4, &["model.onnx", "not an ONNX model"]);
    compile(b"", &[]).fails(4, &["model.onnx"]);
    compile(&std::fs::read(fixture("digit.npy")).unwrap(), &[]).fails(4, &["not an ONNX model"]);
    let missing = world().run(&[
        "compile",
        "no.onnx",
        "--calibration",
        &fixture("digits-calibration.npz"),
        "-o",
        &world().path("x"),
    ]);
    missing.fails(4, &["no.onnx", "check the path"]);
}

#[test]
fn a_truncated_onnx_file() {
    let model = digits();
    compile(&model[..model.len() / 2], &[]).fails(4, &["model.onnx", "cut off", "needs at least"]);
}

#[test]
fn all_unsupported_operators_with_their_nodes() {
    let model = onnx_chain(&[("bend", "Einsum"), ("keep", "Relu"), ("squash", "LSTM")]);
    let run = compile(&model, &[]).fails(3, &["Einsum (node `bend`)", "LSTM (node `squash`)", "Supported:"]);
    assert!(!run.stderr.contains("`keep`"), "{run:#?}");
    // The same bytes without them are a model.
    compile(&onnx_chain(&[("keep", "Relu")]), &[]).fails(3, &["[200, 64]", "[4]"]);
}

#[test]
fn unsuitable_options() {
    let model = digits();
    compile(&model, &["--bits", "30"]).fails(3, &["bits is 30", "4 to 12"]);
    compile(&model, &["--shift", "60"]).fails(3, &["shift is 60"]);
    compile(&model, &["--lanes", "0"]).fails(3, &["0 lanes"]);
    compile(&model, &["--lanes", "4000000000"]).fails(3, &["4000000000 lanes"]);
    compile(&model, &["--log-rows", "3"]).fails(3, &["rows"]);
    compile(&model, &["--log-rows", "63"]).fails(3, &["rows"]);
    compile(&model, &["--inputs", "secret"]).fails(2, &["secret", "private, public, committed"]);
}

#[test]
fn calibration_data_of_another_shape() {
    let folder = scratch();
    let (data, output) = (folder.path().join("c.json"), folder.path().join("out"));
    std::fs::write(&data, "[[1, 2, 3], [4, 5, 6]]").unwrap();
    let (data, output) = (data.display().to_string(), output.display().to_string());
    let arguments = ["compile", &fixture("digits-mlp.onnx"), "--calibration", &data, "-o", &output];
    world().run(&arguments).fails(3, &["calibration", "[2, 3]", "[64]"]);
}

#[test]
fn an_input_of_another_shape() {
    prove("short.npy", &npy_floats(&[0.5; 63])).fails(3, &["[63]", "[64]"]);
    prove("short.json", b"[[0.5, 0.5]]").fails(3, &["[1, 2]", "[64]"]);
    prove("ragged.json", b"[[0.5, 0.5], [0.5]]").fails(3, &["the same shape"]);
}

#[test]
fn an_input_of_another_type() {
    prove("bool.npy", &npy("|b1", "(64,)", &[1; 64]))
        .fails(3, &["elements of type", "convert them to float32"]);
    prove("complex.npy", &npy("<c8", "(64,)", &[0; 512])).fails(3, &["elements of type"]);
    prove("words.json", br#"["zero", "one"]"#).fails(3, &["string", "convert them"]);
    prove("digit.txt", b"0 1 2").fails(3, &[".npy, .npz or .json"]);
}

#[test]
fn a_damaged_input() {
    let digit = std::fs::read(fixture("digit.npy")).unwrap();
    prove("cut.npy", &digit[..digit.len() - 9]).fails(4, &["cut off"]);
    prove("text.npy", b"0 1 2").fails(4, &["not a valid npy file"]);
    prove("text.npz", b"0 1 2").fails(4, &["not a valid npz file"]);
    prove("text.json", b"[1, 2").fails(4, &["not a valid JSON file"]);
}

#[test]
fn values_that_are_no_numbers() {
    for (value, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut input = [0.5; 64];
        input[17] = value;
        prove("odd.npy", &npy_floats(&input)).fails(3, &["index [17]", word, "must be finite"]);
    }
}

#[test]
fn values_outside_the_calibrated_range() {
    let mut input = [0.5; 64];
    input[5] = 1.5;
    let words = ["value 5 is 1.5", "0.5 outside the calibrated range [0, 1]", "clip the input"];
    prove("bright.npy", &npy_floats(&input)).fails(3, &words);
    input[5] = -0.25;
    prove("dark.npy", &npy_floats(&input))
        .fails(3, &["value 5 is -0.25", "0.25 outside", "calibration data"]);
}

#[test]
fn wrong_command_lines() {
    let world = world();
    world.run(&[]).fails(2, &["Usage"]);
    world.run(&["prove"]).fails(2, &["--key", "--input"]);
    world.run(&["proove"]).fails(2, &["prove"]);
    world.run(&["srs", "dev", "--log-size", "60", "-o", "x"]).fails(2, &["60"]);
    world.run(&["demo", "--index", "450"]).fails(3, &["450 test digits", "0 to 449"]);
    let json = world.run(&["prove", "--json"]);
    assert_eq!((json.code, json.json()["error"]["class"].as_str()), (Some(2), Some("usage")));
}
