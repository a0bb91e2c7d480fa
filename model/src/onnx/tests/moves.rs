//! Operators that move elements, and constants that they fold.

use super::*;

fn count(size: usize) -> Vec<f32> {
    (0..size).map(|at| at as f32).collect()
}

#[test]
fn transpositions() {
    let model = Model::new(&[1, 2, 3]).node("Transpose", &["x"], "y", vec![ints("perm", &[0, 2, 1])]);
    assert_eq!(model.run(&count(6)), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(model.output_shape(), [3, 2]);
    let back = Model::new(&[1, 2, 3, 4])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[0, 2, 3, 1])])
        .node("Transpose", &["t"], "u", vec![ints("perm", &[0, 3, 1, 2])])
        .node("Relu", &["u"], "y", vec![]);
    assert_eq!(back.kinds(), ["Clamp"]);
    assert_eq!(back.run(&count(24)), count(24));
}

#[test]
fn joining_and_parting() {
    let model = Model::new(&[1, 2, 2])
        .floats("c", &[1, 1, 2], &[10.0, 20.0])
        .node("Relu", &["x"], "r", vec![])
        .node("Concat", &["r", "c", "x"], "y", vec![int("axis", 1)]);
    assert_eq!(model.run(&[-1.0, 2.0, 3.0, 4.0]), [0.0, 2.0, 3.0, 4.0, 10.0, 20.0, -1.0, 2.0, 3.0, 4.0]);
    let inner = Model::new(&[1, 2, 1]).floats("c", &[1, 2, 1], &[10.0, 20.0]);
    let inner = inner.node("Concat", &["x", "c"], "y", vec![int("axis", -1)]);
    assert_eq!(inner.run(&[1.0, 2.0]), [1.0, 10.0, 2.0, 20.0]);

    let parts = |model: Model, attributes: Vec<AttributeProto>, inputs: &[&str]| {
        let mut model = model.node("Split", inputs, "a", attributes);
        model.graph().node[0].output = vec!["a".into(), "b".into()];
        model.node("Sub", &["b", "a"], "y", vec![])
    };
    let even = parts(Model::new(&[1, 4]), vec![int("axis", 1)], &["x"]);
    assert_eq!(even.run(&[1.0, 2.0, 10.0, 20.0]), [9.0, 18.0]);
    let old = parts(Model::new(&[1, 3]).opset(11), vec![int("axis", -1), ints("split", &[2, 1])], &["x"]);
    assert_eq!(old.run(&[1.0, 2.0, 10.0]), [9.0, 8.0]);
    let new = parts(Model::new(&[1, 3]).integers("s", &[1, 2]), vec![int("axis", 1)], &["x", "s"]);
    assert_eq!(new.run(&[1.0, 2.0, 10.0]), [1.0, 9.0]);
}

#[test]
fn slices() {
    let model = Model::new(&[1, 2, 5])
        .integers("starts", &[-3])
        .integers("ends", &[i64::MAX])
        .integers("axes", &[2])
        .integers("steps", &[2])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], "y", vec![]);
    assert_eq!(model.run(&count(10)), [2.0, 4.0, 7.0, 9.0]);
    let list = vec![ints("starts", &[1]), ints("ends", &[-1]), ints("axes", &[1])];
    let old = Model::new(&[1, 4]).opset(9).node("Slice", &["x"], "y", list);
    assert_eq!(old.run(&count(4)), [1.0, 2.0]);
    let backwards = Model::new(&[1, 3])
        .integers("starts", &[-1])
        .integers("ends", &[i64::MIN])
        .integers("axes", &[1])
        .integers("steps", &[-1])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], "y", vec![]);
    assert_eq!(backwards.run(&count(3)), [2.0, 1.0, 0.0]);
}

#[test]
fn padding() {
    let mode = |value: &str| AttributeProto { name: "mode".into(), s: value.into(), ..Default::default() };
    let run = |attributes: Vec<AttributeProto>| {
        let model = Model::new(&[1, 3]).integers("p", &[0, 2, 0, 1]);
        model.node("Pad", &["x", "p"], "y", attributes).run(&[1.0, 2.0, 3.0])
    };
    assert_eq!(run(vec![]), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
    assert_eq!(run(vec![mode("edge")]), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
    assert_eq!(run(vec![mode("reflect")]), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    assert_eq!(run(vec![mode("wrap")]), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
    let old = vec![ints("pads", &[0, 1, 0, -1]), float("value", 7.0)];
    let old = Model::new(&[1, 3]).opset(10).node("Pad", &["x"], "y", old);
    assert_eq!(old.run(&[1.0, 2.0, 3.0]), [7.0, 1.0, 2.0]);
}

#[test]
fn repeating_and_picking() {
    let expand = Model::new(&[1, 2, 1]).integers("s", &[1, 2, 3]).node("Expand", &["x", "s"], "y", vec![]);
    assert_eq!(expand.run(&[1.0, 2.0]), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    let tile = Model::new(&[1, 2]).integers("r", &[1, 2]).node("Tile", &["x", "r"], "y", vec![]);
    assert_eq!(tile.run(&[1.0, 2.0]), [1.0, 2.0, 1.0, 2.0]);
    let gather = Model::new(&[1, 3]).integers("i", &[2, -3]);
    let gather = gather.node("Gather", &["x", "i"], "y", vec![int("axis", 1)]);
    assert_eq!(gather.run(&[1.0, 2.0, 3.0]), [3.0, 1.0]);
    // One index without an axis of its own removes the axis.
    let one = TensorProto { dims: vec![], ..integers("i", &[1]) };
    let one = Model::new(&[1, 2, 3]).tensor(one).node("Gather", &["x", "i"], "y", vec![int("axis", 1)]);
    assert_eq!(one.run(&count(6)), [3.0, 4.0, 5.0]);
    assert_eq!(one.output_shape(), [3]);
}

#[test]
fn a_shuffle_of_channels_is_one_move() {
    let model = Model::new(&[1, 4, 2])
        .integers("apart", &[1, 2, 2, 2])
        .integers("together", &[1, 4, 2])
        .node("Reshape", &["x", "apart"], "a", vec![])
        .node("Transpose", &["a"], "t", vec![ints("perm", &[0, 2, 1, 3])])
        .node("Reshape", &["t", "together"], "y", vec![]);
    assert_eq!(model.run(&count(8)), [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
}

#[test]
fn constants_fold_through_arithmetic_comparisons_and_choices() {
    let base = || Model::new(&[1, 2]).integers("a", &[1, 5]).integers("b", &[3, 2]);
    let target = |model: Model| model.node("Cast", &["z"], "f", vec![int("to", 1)]);
    let folded = |operator: &str| {
        let model = target(base().node(operator, &["a", "b"], "z", vec![]));
        model.node("Add", &["x", "f"], "y", vec![]).run(&[0.0, 0.0])
    };
    for (operator, expected) in [
        ("Add", [4.0, 7.0]),
        ("Sub", [-2.0, 3.0]),
        ("Mul", [3.0, 10.0]),
        ("Div", [0.0, 2.0]),
        ("Pow", [1.0, 25.0]),
        ("Min", [1.0, 2.0]),
        ("Max", [3.0, 5.0]),
        ("Equal", [0.0, 0.0]),
        ("Greater", [0.0, 1.0]),
        ("GreaterOrEqual", [0.0, 1.0]),
        ("Less", [1.0, 0.0]),
        ("LessOrEqual", [1.0, 0.0]),
        ("And", [1.0, 1.0]),
        ("Or", [1.0, 1.0]),
    ] {
        assert_eq!(folded(operator), expected, "{operator}");
    }
    let model = base().node("Less", &["a", "b"], "c", vec![]).node("Not", &["c"], "n", vec![]);
    let model = target(model.node("Where", &["n", "a", "b"], "z", vec![]));
    assert_eq!(model.node("Add", &["x", "f"], "y", vec![]).run(&[0.0, 0.0]), [3.0, 5.0]);
    let whole = |name: &str, value| TensorProto { dims: vec![], ..integers(name, &[value]) };
    let range = Model::new(&[1, 3]).tensor(whole("s", 1)).tensor(whole("l", 6)).tensor(whole("d", 2));
    let range = target(range.node("Range", &["s", "l", "d"], "z", vec![]));
    assert_eq!(range.node("Add", &["x", "f"], "y", vec![]).run(&[0.0; 3]), [1.0, 3.0, 5.0]);
    let filled =
        AttributeProto { name: "value".into(), t: Some(floats("", &[1], &[2.5])), ..Default::default() };
    let filled = Model::new(&[1, 2]).integers("s", &[2]).node("ConstantOfShape", &["s"], "c", vec![filled]);
    assert_eq!(filled.node("Mul", &["x", "c"], "y", vec![]).run(&[1.0, 2.0]), [2.5, 5.0]);
    let product = Model::new(&[1, 2, 3]).node("Shape", &["x"], "s", vec![]);
    let product = product.node("ReduceProd", &["s"], "p", vec![]).node("Reshape", &["x", "p"], "y", vec![]);
    assert_eq!(product.output_shape(), [6]);
}
