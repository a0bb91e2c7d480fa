//! Every error of import, produced.

use super::*;
use crate::onnx::{import, import_bytes};

fn fixture() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/digits-mlp.onnx")
}

fn message(model: &Model) -> String {
    model.error().to_string()
}

#[test]
fn files_that_are_not_there_or_not_models() {
    assert!(matches!(import("/nonexistent/model.onnx"), Err(ImportError::Unreadable { .. })));
    assert!(matches!(import_bytes(b"# A text file\n"), Err(ImportError::NotOnnx { .. })));
    assert!(matches!(import_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Err(ImportError::NotOnnx { .. })));
    assert!(matches!(import_bytes(b"PK\x03\x04\x14\0\0\0\x08\0"), Err(ImportError::NotOnnx { .. })));
    assert!(matches!(import_bytes(&[0xff; 40]), Err(ImportError::NotOnnx { .. })));
    // Well-framed outside, rubbish inside the graph.
    assert!(matches!(import_bytes(&[8, 8, 0x3a, 3, 0xff, 0xff, 0xff]), Err(ImportError::NotOnnx { .. })));
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let bytes = std::fs::read(fixture()).expect("fixture");
    import_bytes(&bytes).expect("the whole file");
    assert!(matches!(import_bytes(&[]), Err(ImportError::Truncated { needed: 1, found: 0 })));
    for length in (1..bytes.len()).step_by(97).chain(bytes.len() - 8..bytes.len()) {
        match import_bytes(&bytes[..length]) {
            Err(ImportError::Truncated { needed, found }) => {
                assert!(needed > found && found == length as u64)
            }
            // Cut between two outer fields, it is a model without what follows.
            Err(ImportError::Incomplete { .. }) => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    let half = import_bytes(&bytes[..bytes.len() / 2]).expect_err("half a file");
    assert!(half.to_string().contains("cut off"), "{half}");
}

#[test]
fn damaged_files_give_errors_or_graphs_and_never_panic() {
    let bytes = std::fs::read(fixture()).expect("fixture");
    // Structure sits in the first bytes and around the tensors' headers; weights fill the rest.
    for position in (0..600).chain((600..bytes.len()).step_by(131)) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= flip;
            if let Ok(graph) = import_bytes(&damaged) {
                graph.check_structure().expect("what is imported is well formed");
            }
        }
    }
}

#[test]
fn models_without_graph_opset_input_or_output() {
    let relu = || Model::new(&[1, 2]).node("Relu", &["x"], "y", vec![]);
    let mut model = relu();
    model.0.graph = None;
    assert!(matches!(model.error(), ImportError::Incomplete { part: "graph" }));
    let mut model = relu();
    model.0.opset_import.clear();
    assert!(matches!(model.error(), ImportError::Incomplete { part: "operator set" }));
    assert!(matches!(relu().opset(8).error(), ImportError::Opset { found: 8 }));
    assert!(matches!(relu().opset(22).error(), ImportError::Opset { found: 22 }));
    let mut model = relu();
    model.graph().input.clear();
    assert!(matches!(model.error(), ImportError::NoInput));
    let mut model = Model::new(&[1, 2]).node("Add", &["x", "mask"], "y", vec![]);
    model.graph().input.push(value("mask", DataType::Float, &[1, 2]));
    assert!(message(&model).contains("2 inputs (x, mask)"), "{}", message(&model));
    let mut model = relu();
    model.graph().output.clear();
    assert!(matches!(model.error(), ImportError::NoOutput));
    let mut model = relu();
    model.graph().output.push(ValueInfoProto { name: "x".into(), ..Default::default() });
    assert!(message(&model).contains("2 outputs (y, x)"), "{}", message(&model));
    let model = relu().floats("c", &[1], &[1.0]).node("Identity", &["c"], "z", vec![]);
    let mut constant = model;
    constant.graph().output[0].name = "z".into();
    assert!(matches!(constant.error(), ImportError::ConstantOutput { output } if output == "z"));
}

#[test]
fn inputs_of_the_wrong_type_or_shape() {
    let with = |input: ValueInfoProto| {
        let mut model = Model::new(&[1, 2]).node("Relu", &["x"], "y", vec![]);
        model.graph().input[0] = input;
        model.error()
    };
    let wrong = with(value("x", DataType::Int64, &[1, 2]));
    assert!(matches!(&wrong, ImportError::InputType { found, .. } if found == "int64"), "{wrong}");
    let untyped = ValueInfoProto { name: "x".into(), ..Default::default() };
    assert!(matches!(with(untyped), ImportError::InputType { .. }));
    for (shape, part) in [
        (&[32, 2][..], "batch dimension 1"),
        (&[-1, -1], "only the batch dimension may be symbolic"),
        (&[2], "batch dimension first"),
        (&[], "known shape"),
        (&[1, 0], "at least 1"),
        (&[1, 1 << 40], "2^26"),
        (&[1, 1 << 40, 1 << 40], "2^26"),
    ] {
        let error = with(value("x", DataType::Float, shape));
        assert!(
            matches!(error, ImportError::InputShape { .. }) && error.to_string().contains(part),
            "{error}"
        );
    }
}

#[test]
fn unsupported_operators_are_listed_all_at_once() {
    let mut model = Model::new(&[1, 2])
        .node("Einsum", &["x"], "a", vec![])
        .node("Relu", &["a"], "b", vec![])
        .node("LSTM", &["b"], "c", vec![])
        .node("Add", &["c", "c"], "y", vec![]);
    model.graph().node[3].domain = "com.example".into();
    model.graph().node[2].name.clear();
    let text = message(&model);
    for part in
        ["Einsum (node `n_a`)", "LSTM (node `c`)", "com.example.Add (node `n_y`)", "Supported: Abs, Add"]
    {
        assert!(text.contains(part), "{text}");
    }
    match model.error() {
        ImportError::UnsupportedOperators { nodes } => assert_eq!(nodes.len(), 3),
        other => panic!("{other}"),
    }
}

#[test]
fn unsupported_forms_name_the_node() {
    let base =
        || Model::new(&[1, 2, 2]).floats("c", &[2, 2], &[1.0, 2.0, 3.0, 0.0]).floats("w", &[2, 2], &[1.0; 4]);
    let cases = [
        (base().node("MatMul", &["x", "x"], "y", vec![]), "two activations"),
        (base().node("MatMul", &["c", "x"], "y", vec![]), "transposition"),
        (base().node("MatMul", &["c", "w"], "y", vec![]), "both operands are constants"),
        (
            base().floats("d", &[2, 2, 2], &[0.0; 8]).node("MatMul", &["x", "d"], "y", vec![]),
            "more than one matrix",
        ),
        (base().node("Gemm", &["x", "c"], "y", vec![]), "must be one vector"),
        (base().node("Gemm", &["c", "w"], "y", vec![]), "exactly one of A and B"),
        (base().node("Div", &["x", "c"], "y", vec![]), "divisor that is zero"),
        (base().node("Clip", &["x", "x"], "y", vec![]), "must be constant"),
        (base().node("Clip", &["x"], "y", vec![float("min", 2.0), float("max", 1.0)]), "swapped"),
        (base().node("Clip", &["x"], "y", vec![float("min", f32::NAN)]), "not a number"),
        (base().node("Constant", &[], "y", vec![]), "neither a dense tensor nor numbers"),
        (base().node("Cast", &["x"], "y", vec![int("to", DataType::Int64 as i64)]), "only cast"),
    ];
    for (model, part) in cases {
        let error = model.error();
        let text = error.to_string();
        assert!(matches!(error, ImportError::UnsupportedForm { .. }), "{text}");
        assert!(text.contains(part) && text.contains("`n_y`"), "{text}");
    }
}

#[test]
fn unsupported_attributes_name_themselves() {
    let alpha = Model::new(&[1, 2]).floats("w", &[2, 2], &[1.0; 4]);
    let alpha = alpha.node("Gemm", &["x", "w"], "y", vec![float("alpha", f32::NAN)]);
    assert!(message(&alpha).contains("attribute alpha is NaN"));
    let training = TensorProto {
        data_type: DataType::Bool as i32,
        dims: vec![],
        raw_data: vec![1],
        name: "t".into(),
        ..Default::default()
    };
    let training = Model::new(&[1, 2]).tensor(training).node("Dropout", &["x", "", "t"], "y", vec![]);
    assert!(message(&training).contains("training mode"));
}

#[test]
fn inconsistent_shapes_name_the_node() {
    let base = || {
        Model::new(&[1, 4])
            .floats("w", &[3, 2], &[1.0; 6])
            .floats("b", &[3], &[1.0; 3])
            .integers("i", &[5, 7])
    };
    let fit = || base().floats("v", &[4, 2], &[1.0; 8]);
    let cases = [
        (base().node("MatMul", &["x", "w"], "y", vec![]), "take 3 values"),
        (base().node("Gemm", &["x", "w"], "y", vec![]), "take 3 values"),
        (fit().node("Gemm", &["x", "v", "b"], "y", vec![]), "bias `b`"),
        (base().node("Gemm", &["x", "b"], "y", vec![]), "not a matrix"),
        (base().floats("e", &[0, 2], &[]).node("MatMul", &["x", "e"], "y", vec![]), "empty"),
        (base().node("Reshape", &["x", "i"], "y", vec![]), "cannot be viewed"),
        (base().integers("n", &[-2, 2]).node("Reshape", &["x", "n"], "y", vec![]), "target shape"),
        (base().integers("n", &[-1, -1]).node("Reshape", &["x", "n"], "y", vec![]), "target shape"),
        (base().integers("n", &[0, 0, 0]).node("Reshape", &["x", "n"], "y", vec![]), "target shape"),
        (
            base().integers("n", &[-1, 0]).node("Reshape", &["x", "n"], "y", vec![int("allowzero", 1)]),
            "cannot be viewed",
        ),
        (base().node("Reshape", &["x"], "y", vec![]), "target shape is missing"),
        (base().node("Flatten", &["x"], "y", vec![int("axis", 3)]), "axis 3"),
        (base().node("Squeeze", &["x"], "y", vec![ints("axes", &[1])]), "is not 1"),
        (base().node("Unsqueeze", &["x"], "y", vec![]), "axes are missing"),
        (base().node("Unsqueeze", &["x"], "y", vec![ints("axes", &[1, 1])]), "twice"),
        (base().node("Transpose", &["w"], "y", vec![ints("perm", &[0, 0])]), "not a permutation"),
        (base().node("Clip", &["x", "b"], "y", vec![]), "has 3 values"),
        (base().node("Gather", &["w", "i"], "y", vec![]), "axis 5"),
        (base().node("Concat", &[], "y", vec![]), "no inputs"),
        (base().node("Relu", &[], "y", vec![]), "input 0 is missing"),
        (base().node("Gather", &["i", ""], "y", vec![]), "input 1 is missing"),
    ];
    for (model, part) in cases {
        let error = model.error();
        let text = error.to_string();
        assert!(matches!(error, ImportError::Shape { .. }), "{text}");
        assert!(text.contains(part) && text.contains("`n_y`"), "{text}");
    }
    let grown = Model::new(&[1, 1 << 14, 1]).floats("w", &[1, 1 << 13], &[1.0; 1 << 13]);
    let grown = grown.node("MatMul", &["x", "w"], "y", vec![]);
    assert!(message(&grown).contains("more than 2^26 elements"));
    let mut no_output = base().node("Relu", &["x"], "y", vec![]);
    no_output.graph().node[0].output.clear();
    assert!(message(&no_output).contains("no output"));
}

#[test]
fn names_that_nothing_or_two_nodes_define() {
    let model = Model::new(&[1, 2]).node("MatMul", &["x", "weights"], "y", vec![]);
    assert!(matches!(model.error(), ImportError::MissingTensor { tensor, .. } if tensor == "weights"));
    let model = Model::new(&[1, 2]).node("Relu", &["x"], "other", vec![]);
    assert!(matches!(model.error(), ImportError::MissingTensor { tensor, .. } if tensor == "y"));
    let twice = Model::new(&[1, 2]).node("Relu", &["x"], "y", vec![]).node("Relu", &["x"], "y", vec![]);
    assert!(matches!(twice.error(), ImportError::DefinedTwice { tensor, .. } if tensor == "y"));
    let twice = Model::new(&[1, 2]).floats("w", &[1], &[1.0]).floats("w", &[1], &[1.0]);
    assert!(matches!(twice.error(), ImportError::DefinedTwice { tensor, .. } if tensor == "w"));
}

#[test]
fn constants_that_cannot_be_used() {
    let with = |tensor: TensorProto| {
        Model::new(&[1, 2]).tensor(tensor).node("MatMul", &["x", "w"], "y", vec![]).error()
    };
    let good = || floats("w", &[2, 1], &[1.0, 2.0]);
    let half = TensorProto { data_type: DataType::Float16 as i32, ..good() };
    assert!(matches!(with(half), ImportError::TensorType { found, .. } if found == "float16"));
    let unknown = TensorProto { data_type: 99, ..good() };
    assert!(matches!(with(unknown), ImportError::TensorType { found, .. } if found == "number 99"));
    let integer = TensorProto { dims: vec![2, 1], ..integers("w", &[1, 2]) };
    assert!(matches!(with(integer), ImportError::TensorType { found, .. } if found == "integer"));
    let shape = Model::new(&[1, 2]).floats("s", &[1], &[2.0]).node("Reshape", &["x", "s"], "y", vec![]);
    assert!(matches!(shape.error(), ImportError::TensorType { found, .. } if found == "float"));
    for dims in [&[3, 1][..], &[-2, 1], &[1 << 40, 1 << 40], &[i64::MAX, 4]] {
        let tensor = TensorProto { dims: dims.to_vec(), ..good() };
        assert!(matches!(with(tensor), ImportError::TensorLength { .. }), "{dims:?}");
    }
    let mut cut = good();
    cut.raw_data.push(0);
    assert!(matches!(with(cut), ImportError::TensorLength { expected: 8, found: 9, .. }));
    let external = TensorProto { data_location: Some(1), raw_data: vec![], ..good() };
    assert!(matches!(with(external), ImportError::ExternalData { tensor } if tensor == "w"));
    let nan = with(floats("w", &[2, 1], &[1.0, f32::NAN]));
    assert!(matches!(nan, ImportError::NotFinite { element: 1, .. }), "{nan}");
    let infinite = Model::new(&[1, 2]).floats("w", &[2, 1], &[1.0; 2]).floats("b", &[1], &[f32::INFINITY]);
    let infinite = infinite.node("Gemm", &["x", "w", "b"], "y", vec![]).error();
    assert!(matches!(infinite, ImportError::NotFinite { element: 0, .. }), "{infinite}");
    let mut sparse = Model::new(&[1, 2]).node("Relu", &["x"], "y", vec![]);
    sparse.graph().sparse_initializer.push(Default::default());
    assert!(matches!(sparse.error(), ImportError::SparseTensor { .. }));
}
