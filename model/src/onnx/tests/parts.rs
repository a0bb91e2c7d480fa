//! Open sizes, and parts of a file.

use super::*;

fn shape(values: &[usize]) -> ImportOptions {
    ImportOptions { input_shape: Some(values.to_vec()), output: None }
}

fn output(name: &str) -> ImportOptions {
    ImportOptions { input_shape: None, output: Some(name.into()) }
}

#[test]
fn open_sizes_are_given() {
    let model = Model::new(&[-1, 3, -1, 4]).node("Relu", &["x"], "y", vec![]);
    let refused = |error: ImportError| {
        assert!(matches!(&error, ImportError::InputShape { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(model.error()).contains("[?, 3, ?, 4]"));
    // With a batch dimension, of whatever size, and without one; sizes that the file states stay.
    for given in [vec![3, 5, 4], vec![1, 3, 5, 4], vec![100, 3, 5, 4], vec![7, 5, 7]] {
        let graph = model.import_with(&shape(&given)).unwrap();
        assert_eq!(graph.values[graph.input.0].shape, [3, 5, 4], "{given:?}");
    }
    for given in [vec![5, 4], vec![1, 1, 3, 5, 4], vec![]] {
        refused(model.import_with(&shape(&given)).unwrap_err());
    }
    assert!(refused(model.import_with(&shape(&[3, 0, 4])).unwrap_err()).contains("at least 1"));
    assert!(refused(model.import_with(&shape(&[3, usize::MAX, 4])).unwrap_err()).contains("symbolic"));
    assert!(refused(model.import_with(&shape(&[3, 1 << 40, 4])).unwrap_err()).contains("2^26"));
}

/// `x`, its ReLU `a`, what is unsupported `b`, and the sum `y` of `a` and `x`.
fn two_ends() -> Model {
    let mut model = Model::new(&[1, 2])
        .node("Relu", &["x"], "a", vec![])
        .node("LSTM", &["a"], "b", vec![])
        .node("Add", &["a", "x"], "y", vec![]);
    model.graph().output.push(ValueInfoProto { name: "b".into(), ..Default::default() });
    model
}

#[test]
fn one_of_several_outputs_and_inner_tensors() {
    let model = two_ends();
    assert!(matches!(
        model.error(),
        ImportError::UnsupportedOperators { .. } | ImportError::SeveralOutputs { .. }
    ));
    let run = |name| {
        let graph = model.import_with(&output(name)).unwrap();
        graph.check_structure().unwrap();
        graph.run(&[-1.0, 2.0]).unwrap().swap_remove(graph.output.0)
    };
    assert_eq!(run("y"), [-1.0, 4.0]);
    assert_eq!(run("a"), [0.0, 2.0]);
    let error = model.import_with(&output("b")).unwrap_err().to_string();
    assert!(error.contains("LSTM (node `n_b`)"), "{error}");
    for wrong in ["x", "z", ""] {
        let error = model.import_with(&output(wrong)).unwrap_err();
        assert!(matches!(&error, ImportError::NoSuchTensor { .. }), "{error}");
        assert!(error.to_string().contains("y, b"), "{error}");
    }
}

#[test]
fn what_does_not_lead_to_the_output_is_left_out() {
    let mut model = Model::new(&[1, 2]).node("LSTM", &["z"], "b", vec![]).node("Relu", &["x"], "y", vec![]);
    model.graph().input.push(value("z", DataType::Float, &[1, 7]));
    assert_eq!(model.run(&[-1.0, 2.0]), [0.0, 2.0]);
}
