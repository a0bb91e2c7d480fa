//! Forms of the operators of convolutional networks that are refused, and what the messages say.

use super::*;

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: value.into(), ..Default::default() }
}

fn image() -> Model {
    Model::new(&[1, 2, 4, 4])
        .floats("w", &[2, 2, 3, 3], &[1.0; 36])
        .floats("two", &[2], &[1.0; 2])
        .floats("three", &[3], &[1.0; 3])
        .floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])
        .integers("i", &[0, 1])
}

fn all_unsupported(cases: Vec<(Model, &str)>) {
    for (model, part) in cases {
        let error = model.error();
        let text = error.to_string();
        assert!(matches!(error, ImportError::UnsupportedForm { .. }), "{text}");
        assert!(text.contains(part) && text.contains("`n_y`"), "{text}");
    }
}

#[test]
fn unsupported_forms_name_the_attribute() {
    let pool = |more: Vec<AttributeProto>| [vec![ints("kernel_shape", &[2, 2])], more].concat();
    let negative = image().floats("variance", &[2], &[-1.0, 1.0]);
    let inputs = ["x", "two", "two", "two", "variance"];
    let mut indices = image().node("MaxPool", &["x"], "y", pool(vec![]));
    indices.graph().node[0].output.push("indices".into());
    let flat = Model::new(&[1, 6, 4]).floats("w", &[2, 2, 1], &[1.0; 4]).integers("s", &[3, 2, 4]);
    let flat = flat.node("Reshape", &["x", "s"], "r", vec![]).node("Conv", &["r", "w"], "y", vec![]);
    let cases = [
        (
            image().node("Conv", &["x", "w"], "y", vec![text("auto_pad", "SOME")]),
            "attribute auto_pad is `SOME`",
        ),
        (
            image().node("Conv", &["x", "w"], "y", vec![ints("pads", &[-1, 0, 0, 0])]),
            "attribute pads is [-1, 0, 0, 0]",
        ),
        (image().node("Conv", &["x", "x"], "y", vec![]), "its input 1 is computed"),
        (flat, "the batch axis must be 1"),
        (
            negative.node("BatchNormalization", &inputs, "y", vec![float("epsilon", 0.0)]),
            "channel 0 has variance -1",
        ),
        (
            image().node(
                "BatchNormalization",
                &["x", "two", "two", "two", "two"],
                "y",
                vec![int("training_mode", 1)],
            ),
            "attribute training_mode is 1",
        ),
        (indices, "second output, the indices"),
        (
            image().node("MaxPool", &["x"], "y", pool(vec![int("storage_order", 1)])),
            "attribute storage_order",
        ),
        (
            image().node("MaxPool", &["x"], "y", pool(vec![ints("pads", &[2, 0, 2, 0])])),
            "in the padding altogether",
        ),
    ];
    all_unsupported(cases.into());
}

#[test]
fn unsupported_resizing_and_functions_name_the_attribute() {
    let cases = [
        (
            image().node("Resize", &["x", "", "scales"], "y", vec![text("mode", "linear")]),
            "attribute mode is `linear`",
        ),
        (
            image().node("Upsample", &["x", "scales"], "y", vec![text("mode", "cubic")]),
            "attribute mode is `cubic`",
        ),
        (
            image().node("Resize", &["x", "", "scales"], "y", vec![text("nearest_mode", "odd")]),
            "attribute nearest_mode is `odd`",
        ),
        (
            image().node(
                "Resize",
                &["x", "", "scales"],
                "y",
                vec![text("coordinate_transformation_mode", "tf_crop_and_resize")],
            ),
            "attribute coordinate_transformation_mode is `tf_crop_and_resize`",
        ),
        (
            image().node(
                "Resize",
                &["x", "", "scales"],
                "y",
                vec![text("keep_aspect_ratio_policy", "not_larger")],
            ),
            "attribute keep_aspect_ratio_policy is `not_larger`",
        ),
        (
            image().integers("p", &[0; 8]).node("Pad", &["x", "p"], "y", vec![text("mode", "other")]),
            "attribute mode is `other`",
        ),
        (image().node("Pow", &["x", "three"], "y", vec![]), "3 exponents"),
        (image().node("Pow", &["two", "x"], "y", vec![]), "exponent is computed"),
        (
            image().node("Gelu", &["x"], "y", vec![text("approximate", "sin")]),
            "attribute approximate is `sin`",
        ),
        (image().node("Celu", &["x"], "y", vec![float("alpha", 0.0)]), "attribute alpha is 0"),
        (image().node("Greater", &["x", "two"], "y", vec![]), "its input 0 is computed"),
        (image().node("Where", &["i", "x", "two"], "y", vec![]), "its input 1 is computed"),
        (image().node("ReduceMax", &["two"], "y", vec![]), "operand is a constant"),
        (image().node("Sum", &["two", "two"], "y", vec![]), "all its operands are constants"),
    ];
    all_unsupported(cases.into());
}

#[test]
fn shapes_that_do_not_fit_name_the_node() {
    let huge = TensorProto { dims: vec![3], ..integers("h", &[1 << 20, 1 << 20, 1 << 20]) };
    let cases = [
        (image().node("Conv", &["x", "w"], "y", vec![int("group", 2)]), "do not fit 2 channels in 2 groups"),
        (image().node("Conv", &["x", "w"], "y", vec![int("group", 0)]), "in 0 groups"),
        (
            image().node("Conv", &["x", "w"], "y", vec![ints("kernel_shape", &[5, 5])]),
            "kernel_shape is [5, 5]",
        ),
        (
            image().node("Conv", &["x", "w"], "y", vec![ints("dilations", &[2, 2])]),
            "larger than the padded input",
        ),
        (image().node("Conv", &["x", "w"], "y", vec![ints("strides", &[0, 1])]), "is 0 or too large"),
        (image().node("Conv", &["x", "w"], "y", vec![ints("strides", &[1])]), "2 values up to 2^26"),
        (image().node("Conv", &["x", "w", "three"], "y", vec![]), "`three` has 3 values for 2 channels"),
        (image().node("Conv", &["x", "two"], "y", vec![]), "no input channels"),
        (image().node("MaxPool", &["x"], "y", vec![]), "kernel_shape is missing"),
        (image().node("Concat", &["x", "w"], "y", vec![int("axis", 1)]), "does not join"),
        (image().node("Add", &["x", "three"], "y", vec![]), "do not broadcast"),
        (
            image().integers("s", &[3, 4]).node("Split", &["x", "s"], "y", vec![int("axis", 1)]),
            "do not make up 2",
        ),
        (image().node("Slice", &["x", "i", "i", "i", "i"], "y", vec![]), "its step is 0"),
        (image().node("Slice", &["x", "i"], "y", vec![]), "its ends are missing"),
        (image().node("Pad", &["x", "i"], "y", vec![]), "2 pads for 4 axes"),
        (image().node("Tile", &["x", "i"], "y", vec![]), "repeats for the 4 axes"),
        (image().tensor(huge).node("Expand", &["x", "h"], "y", vec![]), "do not broadcast"),
        (image().node("Resize", &["x", "", "two"], "y", vec![]), "do not fit"),
        (image().node("Resize", &["x", "", ""], "y", vec![]), "neither its scales nor its sizes"),
        (
            image().floats("s", &[3, 1, 1, 1], &[1.0, 2.0, 3.0]).node("PRelu", &["x", "s"], "y", vec![]),
            "its slopes of shape [3, 1, 1, 1]",
        ),
        (image().node("ReduceSum", &["x"], "y", vec![ints("axes", &[4])]), "axis 4"),
        (image().node("ArgMax", &["x"], "y", vec![int("axis", -5)]), "axis -5"),
        (image().node("Gather", &["x", "i"], "y", vec![int("axis", 0)]), "axis 1 does not exist"),
    ];
    for (model, part) in cases {
        let error = model.error();
        let text = error.to_string();
        assert!(matches!(error, ImportError::Shape { .. }), "{text}");
        assert!(text.contains(part) && text.contains("`n_y`"), "{text}");
    }
}

#[test]
fn results_that_are_too_large_or_cut_too_fine_are_refused() {
    let grown = image().integers("s", &[1, 1 << 20, 1 << 20, 1]).node("Tile", &["x", "s"], "y", vec![]);
    assert!(grown.error().to_string().contains("more than 2^26 elements"));
    let described = image().integers("s", &[1 << 30]).node("ConstantOfShape", &["s"], "c", vec![]);
    let described = described.node("Add", &["x", "c"], "y", vec![]);
    assert!(described.error().to_string().contains("more than 2^27 elements"));
    let turned = Model::new(&[1, 5000])
        .integers("starts", &[-1])
        .integers("ends", &[i64::MIN])
        .integers("axes", &[1])
        .integers("steps", &[-1])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], "y", vec![]);
    assert!(turned.error().to_string().contains("more than 4096 pieces"));
    let empty = image().integers("none", &[0]).integers("axis", &[1]);
    let empty = empty.node("Slice", &["x", "none", "none", "axis"], "y", vec![]);
    assert!(matches!(empty.error(), ImportError::ConstantOutput { .. }));
}
