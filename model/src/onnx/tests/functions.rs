//! Functions of elements, reductions, extremes, and arithmetic with broadcasting.

use super::*;

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let tolerance = 2e-5 * expected.abs().max(1.0);
        assert!((f64::from(*found) - expected).abs() <= tolerance, "{what}: {found} for {expected}");
    }
}

/// An operator, its attributes, and the function that it shall be.
type Case = (&'static str, Vec<AttributeProto>, fn(f64) -> f64);

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn functions_of_one_operand() {
    let text = AttributeProto { name: "approximate".into(), s: b"tanh".to_vec(), ..Default::default() };
    let cases: Vec<Case> = vec![
        ("Abs", vec![], f64::abs),
        ("Celu", vec![float("alpha", 2.0)], |x| x.max(0.0) + (2.0 * ((x / 2.0).exp() - 1.0)).min(0.0)),
        ("Elu", vec![float("alpha", 0.5)], |x| if x < 0.0 { 0.5 * (x.exp() - 1.0) } else { x }),
        ("Erf", vec![], libm::erf),
        ("Exp", vec![], f64::exp),
        ("Gelu", vec![], |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()))),
        ("Gelu", vec![text], |x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }),
        ("HardSigmoid", vec![], |x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
        ("HardSwish", vec![], |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("LeakyRelu", vec![], |x| if x < 0.0 { 0.01 * x } else { x }),
        ("Mish", vec![], |x| x * (1.0 + x.exp()).ln().tanh()),
        ("Neg", vec![], |x| -x),
        ("Reciprocal", vec![], |x| 1.0 / x),
        ("Selu", vec![], |x| {
            1.0507009873554805 * if x > 0.0 { x } else { 1.6732632423543772 * (x.exp() - 1.0) }
        }),
        ("Sigmoid", vec![], sigmoid),
        ("Softplus", vec![], |x| (1.0 + x.exp()).ln()),
        ("Softsign", vec![], |x| x / (1.0 + x.abs())),
        ("Tanh", vec![], f64::tanh),
        ("ThresholdedRelu", vec![], |x| if x > 1.0 { x } else { 0.0 }),
    ];
    let input = [-7.5, -1.25, -0.5, 0.25, 1.0, 1.5, 4.0];
    for (operator, attributes, function) in cases {
        let model = Model::new(&[1, 7]).opset(20).node(operator, &["x"], "y", attributes);
        let expected: Vec<f64> = input.iter().map(|&x| function(f64::from(x))).collect();
        close(&model.run(&input), &expected, operator);
        assert_eq!(model.kinds().len(), 1, "{operator}");
    }
    let positive = |operator| Model::new(&[1, 2]).node(operator, &["x"], "y", vec![]).run(&[0.25, 4.0]);
    close(&positive("Sqrt"), &[0.5, 2.0], "Sqrt");
    close(&positive("Log"), &[0.25f64.ln(), 4f64.ln()], "Log");
}

#[test]
fn powers_with_constant_exponents() {
    let run = |exponent: f32, input: &[f32; 2]| {
        let model = Model::new(&[1, 2]).floats("e", &[], &[exponent]);
        model.node("Pow", &["x", "e"], "y", vec![]).run(input)
    };
    assert_eq!(run(2.0, &[-3.0, 2.0]), [9.0, 4.0]);
    assert_eq!(run(3.0, &[-3.0, 2.0]), [-27.0, 8.0]);
    assert_eq!(run(1.0, &[-3.0, 2.0]), [-3.0, 2.0]);
    assert_eq!(run(0.5, &[9.0, 4.0]), [3.0, 2.0]);
    assert_eq!(run(-1.0, &[-4.0, 2.0]), [-0.25, 0.5]);
}

#[test]
fn slopes_for_all_and_for_each_channel() {
    let uniform = Model::new(&[1, 2]).floats("s", &[1], &[0.5]).node("PRelu", &["x", "s"], "y", vec![]);
    assert_eq!(uniform.run(&[-2.0, 2.0]), [-1.0, 2.0]);
    assert_eq!(uniform.kinds(), ["Pointwise"]);
    let each =
        Model::new(&[1, 2, 2]).floats("s", &[2, 1], &[0.5, -1.0]).node("PRelu", &["x", "s"], "y", vec![]);
    assert_eq!(each.run(&[-2.0, 2.0, -3.0, 3.0]), [-1.0, 2.0, 3.0, 3.0]);
}

#[test]
fn functions_as_exporters_write_them() {
    let input = [-3.0, -0.5, 0.0, 2.0];
    let silu = Model::new(&[1, 4]).node("Sigmoid", &["x"], "s", vec![]).node("Mul", &["x", "s"], "y", vec![]);
    let expected: Vec<f64> = input.iter().map(|&x| f64::from(x) * sigmoid(f64::from(x))).collect();
    close(&silu.run(&input), &expected, "silu");
    assert_eq!(silu.kinds(), ["Pointwise"]);
    let constants = Model::new(&[1, 4]).floats("r", &[], &[2f32.sqrt()]).floats("o", &[], &[1.0]).floats(
        "h",
        &[],
        &[0.5],
    );
    let gelu = constants
        .node("Div", &["x", "r"], "d", vec![])
        .node("Erf", &["d"], "e", vec![])
        .node("Add", &["e", "o"], "a", vec![])
        .node("Mul", &["x", "a"], "m", vec![])
        .node("Mul", &["m", "h"], "y", vec![]);
    let expected: Vec<f64> =
        input.iter().map(|&x| 0.5 * f64::from(x) * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()))).collect();
    close(&gelu.run(&input), &expected, "gelu");
    assert_eq!(gelu.kinds(), ["Pointwise", "Sum"]);
    let square = Model::new(&[1, 4]).node("Mul", &["x", "x"], "y", vec![]);
    assert_eq!(square.run(&input), [9.0, 0.25, 0.0, 4.0]);
    assert_eq!(square.kinds(), ["Pointwise"]);
}

#[test]
fn arithmetic_of_activations_broadcasts() {
    // Gates: one value for each channel times a whole image.
    let model = Model::new(&[1, 2, 2]).node("ReduceMax", &["x"], "g", vec![ints("axes", &[2])]);
    let run = |operator| {
        let model = Model(model.0.clone()).node(operator, &["x", "g"], "y", vec![]);
        (model.run(&[1.0, 2.0, 5.0, 3.0]), model.kinds())
    };
    assert_eq!(run("Mul"), (vec![2.0, 4.0, 25.0, 15.0], vec!["Maximum", "Sum", "Multiply"]));
    assert_eq!(run("Sub"), (vec![-1.0, 0.0, 0.0, -2.0], vec!["Maximum", "Sum"]));
    assert_eq!(run("Div").0, [0.5, 1.0, 1.0, 0.6]);
    assert_eq!(run("Sum").0, [3.0, 4.0, 10.0, 8.0]);
    assert_eq!(run("Mean").0, [1.5, 2.0, 5.0, 4.0]);
}

#[test]
fn constants_of_every_shape_scale() {
    let run = |shape: &[i64], values: &[f32]| {
        let model = Model::new(&[1, 2, 2]).floats("c", shape, values).node("Mul", &["x", "c"], "y", vec![]);
        (model.run(&[1.0, 2.0, 3.0, 4.0]), model.kinds())
    };
    assert_eq!(run(&[], &[2.0]), (vec![2.0, 4.0, 6.0, 8.0], vec!["Sum"]));
    assert_eq!(run(&[2, 1], &[2.0, 3.0]), (vec![2.0, 4.0, 9.0, 12.0], vec!["Convolution"]));
    let elements = vec!["Reshape", "Convolution", "Reshape"];
    assert_eq!(run(&[2], &[2.0, 3.0]), (vec![2.0, 6.0, 6.0, 12.0], elements.clone()));
    assert_eq!(run(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), (vec![1.0, 4.0, 9.0, 16.0], elements));
    let larger = Model::new(&[1, 1, 2]).floats("c", &[2, 1], &[10.0, 20.0]);
    assert_eq!(larger.node("Add", &["x", "c"], "y", vec![]).run(&[1.0, 2.0]), [11.0, 12.0, 21.0, 22.0]);
    let under = Model::new(&[1, 2]).floats("c", &[2], &[6.0, 8.0]).node("Div", &["c", "x"], "y", vec![]);
    assert_eq!(under.run(&[2.0, 4.0]), [3.0, 2.0]);
}

#[test]
fn reductions() {
    let input = [1.0, -2.0, 3.0, 4.0, 5.0, -6.0];
    let run = |operator: &str, attributes: Vec<AttributeProto>| {
        Model::new(&[1, 2, 3]).opset(11).node(operator, &["x"], "y", attributes).run(&input)
    };
    let last = || vec![ints("axes", &[-1])];
    assert_eq!(run("ReduceSum", last()), [2.0, 3.0]);
    assert_eq!(run("ReduceMean", vec![ints("axes", &[1])]), [2.5, 1.5, -1.5]);
    assert_eq!(run("ReduceMax", last()), [3.0, 5.0]);
    assert_eq!(run("ReduceMin", last()), [-2.0, -6.0]);
    assert_eq!(run("ReduceMax", vec![]), [5.0]);
    let dropped = vec![ints("axes", &[1]), int("keepdims", 0)];
    let dropped = Model::new(&[1, 2, 3]).opset(11).node("ReduceSum", &["x"], "y", dropped);
    assert_eq!(dropped.output_shape(), [3]);
    let given =
        Model::new(&[1, 2, 3]).opset(18).integers("a", &[2]).node("ReduceMean", &["x", "a"], "y", vec![]);
    close(&given.run(&input), &[2.0 / 3.0, 1.0], "axes as an input");
    let nothing = vec![int("noop_with_empty_axes", 1)];
    assert!(Model::new(&[1, 2]).opset(18).node("ReduceSum", &["x"], "y", nothing).kinds().is_empty());
}

#[test]
fn indices_of_extremes() {
    let input = [1.0, 3.0, 3.0, -2.0, -2.0, 0.0];
    let run = |operator: &str, last: i64| {
        let attributes = vec![int("axis", 2), int("select_last_index", last), int("keepdims", 0)];
        Model::new(&[1, 2, 3]).node(operator, &["x"], "y", attributes).run(&input)
    };
    assert_eq!(run("ArgMax", 0), [1.0, 2.0]);
    assert_eq!(run("ArgMax", 1), [2.0, 2.0]);
    assert_eq!(run("ArgMin", 0), [0.0, 0.0]);
    assert_eq!(run("ArgMin", 1), [0.0, 1.0]);
    let outer = Model::new(&[1, 2, 3]).node("ArgMax", &["x"], "y", vec![int("axis", 1)]);
    assert_eq!(outer.run(&input), [0.0, 0.0, 0.0]);
    assert_eq!(outer.output_shape(), [1, 3]);
}

#[test]
fn greatest_and_least_of_several() {
    let base = || Model::new(&[1, 2]).node("Neg", &["x"], "n", vec![]).floats("c", &[2], &[-1.0, 3.0]);
    let one = |model: Model| model.floats("s", &[], &[1.0]);
    assert_eq!(base().node("Max", &["x", "n"], "y", vec![]).run(&[-2.0, 5.0]), [2.0, 5.0]);
    assert_eq!(base().node("Min", &["x", "n"], "y", vec![]).run(&[-2.0, 5.0]), [-2.0, -5.0]);
    assert_eq!(base().node("Max", &["x", "c"], "y", vec![]).run(&[-2.0, 5.0]), [-1.0, 5.0]);
    assert_eq!(base().node("Min", &["c", "x"], "y", vec![]).run(&[-2.0, 5.0]), [-2.0, 3.0]);
    assert_eq!(one(base()).node("Max", &["x", "s"], "y", vec![]).kinds(), ["Clamp"]);
    assert_eq!(one(base()).node("Min", &["x", "s", "n"], "y", vec![]).run(&[-2.0, 0.5]), [-2.0, -0.5]);
}

#[test]
fn gemm_over_several_positions() {
    let model = Model::new(&[1, 2, 2])
        .integers("rows", &[2, 2])
        .floats("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .floats("b", &[3], &[10.0, 20.0, 30.0])
        .node("Reshape", &["x", "rows"], "r", vec![])
        .node("Gemm", &["r", "w", "b"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 0.0, 0.0, 1.0]), [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    assert_eq!(model.kinds(), ["Linear"]);
}
