//! Every operator against values worked out by hand.

use super::*;

const MATRIX: [f32; 6] = [1.0, 2.0, 3.0, -1.0, 0.5, 4.0];

#[test]
fn the_table_is_sorted_and_without_repetition() {
    let names = crate::onnx::supported_operators();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
}

#[test]
fn gemm_takes_matrices_both_ways_round() {
    // [out, in] = [2, 3] with transB, [3, 2] without.
    let stored = Model::new(&[-1, 3]).floats("w", &[2, 3], &MATRIX).floats("b", &[2], &[10.0, 20.0]);
    let model = stored.node("Gemm", &["x", "w", "b"], "y", vec![int("transB", 1)]);
    assert_eq!(model.run(&[1.0, 1.0, 2.0]), [19.0, 27.5]);
    assert_eq!(model.output_shape(), [2]);

    let plain = Model::new(&[1, 2]).floats("w", &[2, 3], &MATRIX);
    let model = plain.node("Gemm", &["x", "w"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0]), [-1.0, 3.0, 11.0]);
}

#[test]
fn gemm_scales_by_alpha_and_beta() {
    let model = Model::new(&[1, 2]).floats("w", &[2, 1], &[3.0, 4.0]).floats("b", &[], &[10.0]).node(
        "Gemm",
        &["x", "w", "b"],
        "y",
        vec![float("alpha", 0.5), float("beta", -2.0)],
    );
    assert_eq!(model.run(&[2.0, 1.0]), [-15.0]);
}

#[test]
fn gemm_takes_weights_on_the_left() {
    // A = w (transposed from [3, 2] to [2, 3]), B = x as [3, 1] by transB.
    let model = Model::new(&[1, 3]).floats("w", &[3, 2], &MATRIX).floats("b", &[2, 1], &[1.0, 2.0]).node(
        "Gemm",
        &["w", "x", "b"],
        "y",
        vec![int("transA", 1), int("transB", 1)],
    );
    // Rows of w': [1, 3, 0.5], [2, -1, 4].
    assert_eq!(model.run(&[1.0, 1.0, 2.0]), [6.0, 11.0]);
    assert_eq!(model.output_shape(), [2, 1]);
}

#[test]
fn gemm_adds_an_activation_as_c() {
    let model = Model::new(&[1, 2]).floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]).node(
        "Gemm",
        &["x", "w", "x"],
        "y",
        vec![float("beta", 3.0)],
    );
    assert_eq!(model.run(&[1.0, 10.0]), [34.0, 72.0]);
    assert_eq!(model.kinds(), ["Linear", "Sum"]);
}

#[test]
fn matmul_with_bias_is_one_linear_under_the_matmuls_name() {
    let model = Model::new(&[-1, 2])
        .floats("w", &[2, 3], &MATRIX)
        .floats("b", &[3], &[1.0, 2.0, 3.0])
        .node("MatMul", &["x", "w"], "h", vec![])
        .node("Add", &["b", "h"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0]), [0.0, 5.0, 14.0]);
    assert_eq!(model.kinds(), ["Linear"]);
    let graph = model.imported();
    assert_eq!(graph.nodes[0].name, "n_h");
    assert_eq!(graph.values[graph.output.0].name, "y");
    assert_eq!(graph.values.len(), 2, "the value between was removed");
}

#[test]
fn a_bias_on_a_value_that_is_also_read_elsewhere_stays_correct() {
    let model = Model::new(&[1, 2])
        .floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])
        .floats("b", &[2], &[100.0, 200.0])
        .node("MatMul", &["x", "w"], "h", vec![])
        .node("Add", &["h", "b"], "biased", vec![])
        .node("Sub", &["biased", "h"], "y", vec![]);
    assert_eq!(model.run(&[5.0, 7.0]), [100.0, 200.0]);
}

#[test]
fn matmul_keeps_leading_positions() {
    let model =
        Model::new(&[1, 2, 2]).floats("w", &[1, 2, 1], &[1.0, 10.0]).node("MatMul", &["x", "w"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), [21.0, 43.0]);
    assert_eq!(model.output_shape(), [2, 1]);
}

#[test]
fn matmul_takes_vectors_and_left_weights() {
    let vector =
        Model::new(&[1, 3, 2]).floats("w", &[2], &[1.0, 10.0]).node("MatMul", &["x", "w"], "y", vec![]);
    assert_eq!(vector.run(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [21.0, 43.0, 65.0]);
    assert_eq!(vector.output_shape(), [3]);

    let left = Model::new(&[-1, 3, 1]).floats("w", &[2, 3], &MATRIX).node("MatMul", &["w", "x"], "y", vec![]);
    assert_eq!(left.run(&[1.0, 1.0, 2.0]), [9.0, 7.5]);
    assert_eq!(left.output_shape(), [2, 1]);
}

#[test]
fn sums_and_differences_of_activations() {
    let base = || Model::new(&[1, 2]).node("Relu", &["x"], "r", vec![]);
    assert_eq!(base().node("Add", &["x", "r"], "y", vec![]).run(&[-3.0, 4.0]), [-3.0, 8.0]);
    assert_eq!(base().node("Sub", &["x", "r"], "y", vec![]).run(&[-3.0, 4.0]), [-3.0, 0.0]);
    assert_eq!(base().node("Sub", &["r", "x"], "y", vec![]).run(&[-3.0, 4.0]), [3.0, 0.0]);
    assert_eq!(base().node("Add", &["x", "x"], "y", vec![]).run(&[-3.0, 4.0]), [-6.0, 8.0]);
}

#[test]
fn arithmetic_with_constants() {
    let base = || Model::new(&[1, 2]).floats("c", &[2], &[1.0, 10.0]).floats("s", &[1, 1], &[4.0]);
    assert_eq!(base().node("Add", &["x", "c"], "y", vec![]).run(&[2.0, 3.0]), [3.0, 13.0]);
    assert_eq!(base().node("Sub", &["x", "c"], "y", vec![]).run(&[2.0, 3.0]), [1.0, -7.0]);
    assert_eq!(base().node("Sub", &["c", "x"], "y", vec![]).run(&[2.0, 3.0]), [-1.0, 7.0]);
    assert_eq!(base().node("Mul", &["x", "s"], "y", vec![]).run(&[2.0, 3.0]), [8.0, 12.0]);
    assert_eq!(base().node("Div", &["x", "s"], "y", vec![]).run(&[2.0, 3.0]), [0.5, 0.75]);
    let chain = base().node("Mul", &["x", "s"], "a", vec![]).node("Sub", &["c", "a"], "b", vec![]);
    let chain = chain.node("Div", &["b", "s"], "y", vec![]);
    assert_eq!(chain.run(&[2.0, 3.0]), [-1.75, -0.5]);
    assert_eq!(chain.kinds(), ["Sum"]);
}

#[test]
fn scaling_each_output_merges_into_the_layer() {
    let model = Model::new(&[1, 2])
        .floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])
        .floats("b", &[2], &[1.0, 1.0])
        .floats("s", &[1, 2], &[10.0, -1.0])
        .node("Gemm", &["x", "w", "b"], "h", vec![])
        .node("Mul", &["s", "h"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 1.0]), [50.0, -7.0]);
    assert_eq!(model.kinds(), ["Linear"]);
}

#[test]
fn constants_broadcast_over_positions() {
    let model =
        Model::new(&[1, 2, 3]).floats("c", &[2, 1], &[10.0, 20.0]).node("Add", &["x", "c"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [11.0, 12.0, 13.0, 24.0, 25.0, 26.0]);
    // A bias that differs between positions cannot join the weights.
    let model = Model::new(&[1, 2, 1])
        .floats("w", &[1, 2], &[1.0, 2.0])
        .floats("c", &[2, 1], &[10.0, 20.0])
        .node("MatMul", &["x", "w"], "h", vec![])
        .node("Add", &["h", "c"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0]), [11.0, 12.0, 22.0, 24.0]);
    assert_eq!(model.kinds(), ["Linear", "Sum"]);
}

#[test]
fn relu_and_both_forms_of_clip() {
    assert_eq!(Model::new(&[1, 3]).node("Relu", &["x"], "y", vec![]).run(&[-1.0, 0.0, 2.0]), [0.0, 0.0, 2.0]);
    let attributes = vec![float("min", -1.0), float("max", 1.5)];
    let old = Model::new(&[1, 3]).opset(9).node("Clip", &["x"], "y", attributes);
    assert_eq!(old.run(&[-2.0, 0.5, 2.0]), [-1.0, 0.5, 1.5]);
    let bounds = Model::new(&[1, 3]).floats("low", &[], &[-1.0]).floats("high", &[], &[1.5]);
    let new = bounds.node("Clip", &["x", "low", "high"], "y", vec![]);
    assert_eq!(new.run(&[-2.0, 0.5, 2.0]), [-1.0, 0.5, 1.5]);
    let open = Model::new(&[1, 3]).floats("high", &[], &[1.5]).node("Clip", &["x", "", "high"], "y", vec![]);
    assert_eq!(open.run(&[-2.0, 0.5, 2.0]), [-2.0, 0.5, 1.5]);
    let nothing = vec![float("min", f32::MIN), float("max", f32::INFINITY)];
    let unbounded = Model::new(&[1, 1]).opset(9).node("Clip", &["x"], "y", nothing);
    assert!(unbounded.kinds().is_empty(), "no bound is no operation");
}

#[test]
fn clamps_in_a_row_are_one() {
    let bounds = Model::new(&[1, 4]).floats("low", &[], &[-1.0]).floats("high", &[], &[6.0]);
    let model = bounds.node("Relu", &["x"], "r", vec![]).node("Clip", &["r", "low", "high"], "y", vec![]);
    assert_eq!(model.run(&[-5.0, 0.5, 3.0, 9.0]), [0.0, 0.5, 3.0, 6.0]);
    assert_eq!(model.kinds(), ["Clamp"]);
    // Outer bounds that lie above the inner ones win.
    let bounds = Model::new(&[1, 2]).floats("low", &[], &[-3.0]).floats("high", &[], &[-2.0]);
    let model = bounds.node("Relu", &["x"], "r", vec![]).node("Clip", &["r", "low", "high"], "y", vec![]);
    assert_eq!(model.run(&[-5.0, 5.0]), [-2.0, -2.0]);
}

#[test]
fn flatten_and_reshape_make_the_batch_axis_disappear() {
    let model = Model::new(&[-1, 2, 3]).node("Flatten", &["x"], "y", vec![]);
    assert_eq!(model.output_shape(), [6]);
    assert_eq!(
        Model::new(&[1, 2, 3]).node("Flatten", &["x"], "y", vec![int("axis", 2)]).output_shape(),
        [2, 3]
    );
    assert_eq!(
        Model::new(&[1, 2, 3]).node("Flatten", &["x"], "y", vec![int("axis", -1)]).output_shape(),
        [2, 3]
    );
    let reshape = |target: &[i64]| {
        Model::new(&[-1, 2, 3]).integers("s", target).node("Reshape", &["x", "s"], "y", vec![]).output_shape()
    };
    assert_eq!(reshape(&[0, -1]), [6]);
    assert_eq!(reshape(&[1, 3, 2]), [3, 2]);
    assert_eq!(reshape(&[-1, 6]), [6]);
    assert_eq!(reshape(&[6]), [6]);
    assert_eq!(reshape(&[0, 0, 3]), [2, 3]);
}

#[test]
fn squeeze_and_unsqueeze_in_both_forms() {
    let model = Model::new(&[-1, 1, 3]).opset(11).node("Squeeze", &["x"], "y", vec![ints("axes", &[1])]);
    assert_eq!(model.output_shape(), [3]);
    let model = Model::new(&[-1, 2, 1]).integers("a", &[-1]).node("Squeeze", &["x", "a"], "y", vec![]);
    assert_eq!(model.output_shape(), [2]);
    assert_eq!(Model::new(&[1, 2, 1, 3]).node("Squeeze", &["x"], "y", vec![]).output_shape(), [2, 3]);
    let model = Model::new(&[1, 3]).opset(11).node("Unsqueeze", &["x"], "y", vec![ints("axes", &[-1])]);
    assert_eq!(model.output_shape(), [3, 1]);
    let model = Model::new(&[1, 3]).integers("a", &[3, 1]).node("Unsqueeze", &["x", "a"], "y", vec![]);
    assert_eq!(model.output_shape(), [1, 3, 1]);
}

#[test]
fn names_without_computation_disappear() {
    let model = Model::new(&[1, 2])
        .node("Identity", &["x"], "a", vec![])
        .node("Dropout", &["a"], "b", vec![float("ratio", 0.5)])
        .node("Cast", &["b"], "c", vec![int("to", DataType::Float as i64)])
        .node("Transpose", &["c"], "d", vec![ints("perm", &[0, 1])])
        .node("Relu", &["d"], "y", vec![]);
    assert_eq!(model.run(&[-1.0, 2.0]), [0.0, 2.0]);
    assert_eq!(model.kinds(), ["Clamp"]);
}

#[test]
fn constants_are_folded() {
    let made =
        AttributeProto { name: "value".into(), t: Some(floats("", &[3, 2], &MATRIX)), ..Default::default() };
    let model = Model::new(&[1, 3])
        .integers("s", &[3, 2])
        .node("Constant", &[], "stored", vec![made])
        .node("Transpose", &["stored"], "turned", vec![])
        .node("Identity", &["turned"], "same", vec![])
        .node("Reshape", &["same", "s"], "w", vec![])
        .node("MatMul", &["x", "w"], "y", vec![]);
    // [[1, 2], [3, -1], [0.5, 4]] transposed is [1, 3, 0.5, 2, -1, 4], viewed as [[1, 3], [0.5, 2], [-1, 4]].
    assert_eq!(model.run(&[1.0, 2.0, 3.0]), [-1.0, 19.0]);
    let number = Model::new(&[1, 1]).node("Constant", &[], "c", vec![float("value_float", 2.0)]);
    assert_eq!(number.node("Mul", &["x", "c"], "y", vec![]).run(&[3.0]), [6.0]);
}

#[test]
fn a_transposed_constant_of_three_axes() {
    let values: Vec<f32> = (0..6).map(|value| value as f32).collect();
    let model = Model::new(&[1, 3, 2, 1])
        .floats("c", &[1, 2, 3], &values)
        .node("Transpose", &["c"], "t", vec![ints("perm", &[2, 1, 0])])
        .node("Add", &["x", "t"], "y", vec![]);
    assert_eq!(model.run(&[0.0; 6]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}

#[test]
fn exporters_arithmetic_on_shapes() {
    // x.view(x.size(0), -1) as exporters write it.
    let model = Model::new(&[-1, 2, 2])
        .tensor(TensorProto { dims: vec![], ..integers("zero", &[0]) })
        .integers("axes", &[0])
        .integers("rest", &[-1])
        .node("Shape", &["x"], "shape", vec![])
        .node("Gather", &["shape", "zero"], "batch", vec![int("axis", 0)])
        .node("Unsqueeze", &["batch", "axes"], "list", vec![])
        .node("Concat", &["list", "rest"], "target", vec![int("axis", 0)])
        .node("Reshape", &["x", "target"], "y", vec![]);
    assert_eq!(model.output_shape(), [4]);
    let cast = Model::new(&[1, 2])
        .integers("c", &[3])
        .node("Cast", &["c"], "f", vec![int("to", DataType::Float as i64)])
        .node("Mul", &["x", "f"], "y", vec![]);
    assert_eq!(cast.run(&[1.0, 2.0]), [3.0, 6.0]);
    let cast = Model::new(&[1, 2])
        .floats("c", &[2], &[1.0, 2.0])
        .node("Cast", &["c"], "s", vec![int("to", DataType::Int64 as i64)])
        .node("Reshape", &["x", "s"], "y", vec![]);
    assert_eq!(cast.output_shape(), [2]);
}

#[test]
fn what_the_output_does_not_need_is_removed() {
    let model = Model::new(&[1, 2])
        .floats("w", &[2, 2], &[1.0; 4])
        .node("MatMul", &["x", "w"], "unused", vec![])
        .node("Relu", &["x"], "y", vec![]);
    assert_eq!(model.kinds(), ["Clamp"]);
    assert_eq!(model.imported().values.len(), 2);
}

#[test]
fn initializers_may_be_listed_as_inputs_and_weights_may_be_double() {
    let mut model = Model::new(&[1, 2])
        .tensor(TensorProto {
            name: "w".into(),
            dims: vec![2, 1],
            data_type: DataType::Double as i32,
            double_data: vec![2.0, 0.25],
            ..Default::default()
        })
        .node("MatMul", &["x", "w"], "y", vec![]);
    model.graph().input.insert(0, value("w", DataType::Double, &[2, 1]));
    assert_eq!(model.run(&[1.0, 4.0]), [3.0]);
}

#[test]
fn the_graph_is_named_by_the_file_if_it_has_no_name() {
    let mut model = Model::new(&[1, 2]).node("Relu", &["x"], "y", vec![]);
    assert_eq!(model.imported().name, "test");
    model.graph().name.clear();
    assert_eq!(model.imported().name, "fallback");
}
