//! Convolutions, batch normalisation, pools and resizing against loops written here from their definitions.

use super::*;

/// Geometry of one test along an axis: input, kernel, stride, dilation, pads.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: (usize, usize),
}

impl Axis {
    fn outputs(&self, ceil: bool) -> usize {
        let room = self.input + self.pads.0 + self.pads.1 - self.dilation * (self.kernel - 1) - 1;
        let outputs = if ceil { room.div_ceil(self.stride) } else { room / self.stride } + 1;
        outputs - usize::from(ceil && (outputs - 1) * self.stride >= self.input + self.pads.0)
    }

    /// The inputs of an output's window that exist.
    fn window(&self, output: usize) -> Vec<(usize, usize)> {
        let at = |offset: usize| (output * self.stride + offset * self.dilation).checked_sub(self.pads.0);
        let inside = |offset: usize| at(offset).filter(|&at| at < self.input).map(|at| (offset, at));
        (0..self.kernel).filter_map(inside).collect()
    }
}

const fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, pads: (usize, usize)) -> Axis {
    Axis { input, kernel, stride, dilation, pads }
}

/// Edge shapes: one element, a stride larger than the kernel, padding larger than the stride, prime sizes.
const SHAPES: [[Axis; 2]; 6] = [
    [axis(1, 1, 1, 1, (0, 0)), axis(1, 1, 1, 1, (0, 0))],
    [axis(1, 3, 1, 1, (1, 1)), axis(5, 2, 1, 1, (0, 0))],
    [axis(7, 2, 5, 1, (0, 0)), axis(11, 3, 4, 1, (1, 0))],
    [axis(5, 5, 1, 1, (3, 3)), axis(7, 4, 2, 1, (3, 2))],
    [axis(13, 3, 2, 2, (2, 1)), axis(7, 2, 1, 3, (0, 1))],
    [axis(8, 3, 2, 1, (1, 1)), axis(8, 3, 2, 1, (0, 1))],
];

fn ramp(count: usize, period: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 5 + 3) % period) as f32 - (period / 2) as f32).collect()
}

fn attributes(axes: [Axis; 2]) -> Vec<AttributeProto> {
    let each = |value: fn(&Axis) -> usize| axes.iter().map(|axis| value(axis) as i64).collect::<Vec<_>>();
    let pads = [each(|axis| axis.pads.0), each(|axis| axis.pads.1)].concat();
    vec![
        ints("kernel_shape", &each(|axis| axis.kernel)),
        ints("strides", &each(|axis| axis.stride)),
        ints("dilations", &each(|axis| axis.dilation)),
        ints("pads", &pads),
    ]
}

/// The values in an output's window: `(row, column, kernel offset)` for each.
fn window(axes: [Axis; 2], output: (usize, usize)) -> Vec<(usize, usize, usize)> {
    let (rows, columns) = (axes[0].window(output.0), axes[1].window(output.1));
    let pair = |&(i, y): &(usize, usize)| {
        columns.iter().map(move |&(j, x)| (y, x, i * axes[1].kernel + j)).collect::<Vec<_>>()
    };
    rows.iter().flat_map(pair).collect()
}

/// Each output of each channel by a function of the channel and the window.
fn slide(
    axes: [Axis; 2],
    channels: usize,
    ceil: bool,
    of: impl Fn(usize, (usize, usize)) -> f32,
) -> Vec<f32> {
    let (rows, columns) = (axes[0].outputs(ceil), axes[1].outputs(ceil));
    let place = move |at: usize| (at / (rows * columns), (at / columns % rows, at % columns));
    (0..channels * rows * columns).map(|at| of(place(at).0, place(at).1)).collect()
}

fn shape(channels: usize, axes: [Axis; 2]) -> Vec<i64> {
    vec![-1, channels as i64, axes[0].input as i64, axes[1].input as i64]
}

fn close(found: &[f32], expected: &[f32], what: &dyn std::fmt::Debug) {
    assert_eq!(found.len(), expected.len(), "{what:?}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let tolerance = 1e-4 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= tolerance, "{found} for {expected} at {at}: {what:?}");
    }
}

#[test]
fn convolutions_in_two_dimensions() {
    for axes in SHAPES {
        for (channels, groups, rows) in [(1, 1, 1), (4, 2, 6), (3, 3, 3), (3, 3, 6), (5, 1, 7)] {
            let per_group = channels / groups;
            let (kernel, plane) = (axes[0].kernel * axes[1].kernel, axes[0].input * axes[1].input);
            let (weights, bias) = (ramp(rows * per_group * kernel, 7), ramp(rows, 5));
            let dims = [rows, per_group, axes[0].kernel, axes[1].kernel].map(|size| size as i64);
            let model = Model::new(&shape(channels, axes)).floats("w", &dims, &weights);
            let list = [attributes(axes), vec![int("group", groups as i64)]].concat();
            let model = model.floats("b", &[rows as i64], &bias).node("Conv", &["x", "w", "b"], "y", list);
            let input = ramp(channels * plane, 11);
            let expected = slide(axes, rows, false, |row, output| {
                let group = row / (rows / groups);
                let sum = (0..per_group).flat_map(|channel| {
                    window(axes, output).into_iter().map(move |(y, x, offset)| (channel, y, x, offset))
                });
                let sum = sum.map(|(channel, y, x, offset)| {
                    let from = (group * per_group + channel) * plane + y * axes[1].input + x;
                    weights[(row * per_group + channel) * kernel + offset] * input[from]
                });
                sum.sum::<f32>() + bias[row]
            });
            close(&model.run(&input), &expected, &(axes, channels, groups));
            assert_eq!(model.output_shape(), [rows, axes[0].outputs(false), axes[1].outputs(false)]);
        }
    }
}

#[test]
fn convolutions_in_one_and_three_dimensions() {
    let model = Model::new(&[1, 1, 4]).floats("w", &[1, 1, 2], &[1.0, 10.0]);
    let model = model.node("Conv", &["x", "w"], "y", vec![ints("pads", &[1, 0]), ints("strides", &[2])]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), [10.0, 32.0]);
    let model =
        Model::new(&[1, 1, 1, 2, 2]).floats("w", &[2, 1, 1, 2, 2], &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 3.0]);
    let model = model.node("Conv", &["x", "w"], "y", vec![]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0]), [10.0, 12.0]);
    assert_eq!(model.output_shape(), [2, 1, 1, 1]);
}

#[test]
fn automatic_padding() {
    let text =
        |value: &str| AttributeProto { name: "auto_pad".into(), s: value.into(), ..Default::default() };
    let run = |mode: &str| {
        let model = Model::new(&[1, 1, 4]).floats("w", &[1, 1, 2], &[1.0, 10.0]);
        model.node("Conv", &["x", "w"], "y", vec![text(mode)]).run(&[1.0, 2.0, 3.0, 4.0])
    };
    assert_eq!(run("VALID"), [21.0, 32.0, 43.0]);
    assert_eq!(run("SAME_UPPER"), [21.0, 32.0, 43.0, 4.0]);
    assert_eq!(run("SAME_LOWER"), [10.0, 21.0, 32.0, 43.0]);
    assert_eq!(run("NOTSET"), run("VALID"));
    let model = Model::new(&[1, 1, 5]).floats("w", &[1, 1, 1], &[2.0]);
    let model = model.node("Conv", &["x", "w"], "y", vec![text("SAME_UPPER"), ints("strides", &[2])]);
    assert_eq!(model.run(&[1.0, 2.0, 3.0, 4.0, 5.0]), [2.0, 6.0, 10.0]);
}

fn normalised(model: Model, input: &str, output: &str) -> Model {
    let model = model.floats("scale", &[2], &[2.0, -1.0]).floats("shift", &[2], &[0.5, 1.0]);
    let model = model.floats("mean", &[2], &[1.0, 2.0]).floats("variance", &[2], &[3.0, 0.0]);
    let inputs = [input, "scale", "shift", "mean", "variance"];
    model.node("BatchNormalization", &inputs, output, vec![float("epsilon", 1.0)])
}

#[test]
fn batch_normalisation_alone_and_around_a_convolution() {
    // Factors 2 / 2 and -1 / 1, shifts 0.5 - 1 and 1 + 2.
    let alone = normalised(Model::new(&[1, 2, 1, 2]), "x", "y");
    close(&alone.run(&[1.0, 2.0, 3.0, 4.0]), &[0.5, 1.5, 0.0, -1.0], &"alone");
    assert_eq!(alone.kinds(), ["Convolution"]);
    assert_eq!(normalised(Model::new(&[1, 2]), "x", "y").run(&[1.0, 3.0]), [0.5, 0.0]);
    let weights = |model: Model| model.floats("w", &[2, 2, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
    let after = weights(Model::new(&[1, 2, 1, 1])).node("Conv", &["x", "w"], "h", vec![]);
    let after = normalised(after, "h", "b").node("Relu", &["b"], "y", vec![]);
    close(&after.run(&[1.0, -1.0]), &[0.0, 4.0], &"after");
    assert_eq!(after.kinds(), ["Convolution", "Clamp"]);
    let before = normalised(weights(Model::new(&[1, 2, 1, 1])), "x", "b");
    let before = before.node("Conv", &["b", "w"], "y", vec![]);
    close(&before.run(&[1.0, -1.0]), &[8.5, 17.5], &"before");
    assert_eq!(before.kinds(), ["Convolution"]);
}

#[test]
fn greatest_of_windows() {
    for axes in SHAPES {
        for (channels, ceil) in [(1, false), (3, false), (2, true)] {
            if axes.iter().any(|axis| axis.pads.0.max(axis.pads.1) > axis.dilation * (axis.kernel - 1)) {
                continue;
            }
            let plane = axes[0].input * axes[1].input;
            // All negative: a zero of the padding must not win.
            let input: Vec<f32> = ramp(channels * plane, 13).iter().map(|value| value - 50.0).collect();
            let list = [attributes(axes), vec![int("ceil_mode", i64::from(ceil))]].concat();
            let model = Model::new(&shape(channels, axes)).node("MaxPool", &["x"], "y", list);
            let expected = slide(axes, channels, ceil, |channel, output| {
                let values = window(axes, output).into_iter();
                let values = values.map(|(y, x, _)| input[channel * plane + y * axes[1].input + x]);
                values.fold(f32::NEG_INFINITY, f32::max)
            });
            close(&model.run(&input), &expected, &(axes, channels, ceil));
        }
    }
    let kernel = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
    let model = Model::new(&[1, 2, 8, 8]).node("MaxPool", &["x"], "y", kernel);
    assert_eq!(model.kinds(), ["Maximum", "Maximum"], "one for each axis");
}

#[test]
fn means_of_windows() {
    for axes in SHAPES {
        for (counted, ceil) in [(false, false), (true, false), (false, true)] {
            if axes.iter().any(|axis| axis.pads.0.max(axis.pads.1) > axis.dilation * (axis.kernel - 1)) {
                continue;
            }
            let plane = axes[0].input * axes[1].input;
            let input = ramp(2 * plane, 13);
            let more = vec![int("count_include_pad", i64::from(counted)), int("ceil_mode", i64::from(ceil))];
            let list = [attributes(axes), more].concat();
            let model = Model::new(&shape(2, axes)).opset(19).node("AveragePool", &["x"], "y", list);
            let expected = slide(axes, 2, ceil, |channel, output| {
                let met = window(axes, output);
                let divisor = if counted { axes[0].kernel * axes[1].kernel } else { met.len() };
                let values = met.iter().map(|(y, x, _)| input[channel * plane + y * axes[1].input + x]);
                values.sum::<f32>() / divisor as f32
            });
            close(&model.run(&input), &expected, &(axes, counted, ceil));
            assert_eq!(model.kinds().iter().filter(|kind| **kind == "Sum").count(), model.kinds().len());
        }
    }
}

#[test]
fn a_last_window_that_hangs_over_counts_only_the_padding() {
    // Windows of two at 0, 2, 4 over three elements and one pad: the last has one pad only behind the end.
    let list = vec![
        ints("kernel_shape", &[2]),
        ints("strides", &[2]),
        ints("pads", &[1, 1]),
        int("ceil_mode", 1),
        int("count_include_pad", 1),
    ];
    let model = Model::new(&[1, 1, 4]).node("AveragePool", &["x"], "y", list);
    assert_eq!(model.run(&[2.0, 4.0, 6.0, 8.0]), [1.0, 5.0, 4.0]);
    let list = vec![
        ints("kernel_shape", &[3]),
        ints("strides", &[2]),
        int("ceil_mode", 1),
        int("count_include_pad", 1),
    ];
    let model = Model::new(&[1, 1, 4]).node("AveragePool", &["x"], "y", list);
    assert_eq!(model.run(&[2.0, 4.0, 6.0, 8.0]), [4.0, 7.0]);
}

#[test]
fn global_pools() {
    let input = [1.0, 2.0, 3.0, 6.0, -1.0, -2.0, -3.0, -6.0];
    let model = |operator| Model::new(&[1, 2, 2, 2]).node(operator, &["x"], "y", vec![]);
    assert_eq!(model("GlobalAveragePool").run(&input), [3.0, -3.0]);
    assert_eq!(model("GlobalMaxPool").run(&input), [6.0, -1.0]);
    assert_eq!(model("GlobalMaxPool").output_shape(), [2, 1, 1]);
    let one = Model::new(&[1, 3, 1, 1]).node("GlobalAveragePool", &["x"], "y", vec![]);
    assert_eq!(one.run(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
    assert!(one.kinds().is_empty());
}

#[test]
fn nearest_resizing() {
    let twice = Model::new(&[1, 1, 1, 2]).opset(9).floats("s", &[4], &[1.0, 1.0, 2.0, 3.0]);
    let twice = twice.node("Upsample", &["x", "s"], "y", vec![]);
    let expected = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0];
    assert_eq!(twice.run(&[1.0, 2.0]), expected);
    let FloatOp::Sum { terms, .. } = &twice.imported().nodes[0].op else { panic!("no sum") };
    assert_eq!(terms.len(), 1, "blocks are one move");
    let scales = || Model::new(&[1, 1, 1, 2]).floats("s", &[4], &[1.0, 1.0, 2.0, 3.0]);
    assert_eq!(scales().node("Resize", &["x", "", "s"], "y", vec![]).run(&[1.0, 2.0]), expected);
    assert_eq!(scales().opset(10).node("Resize", &["x", "s"], "y", vec![]).run(&[1.0, 2.0]), expected);
    let sizes = Model::new(&[1, 1, 4]).integers("t", &[1, 1, 2]);
    let sizes = sizes.node("Resize", &["x", "", "", "t"], "y", vec![]);
    assert_eq!(sizes.run(&[1.0, 2.0, 3.0, 4.0]), [1.0, 3.0]);
    let axes = Model::new(&[1, 1, 4]).opset(18).integers("t", &[2]);
    let axes = axes.node("Resize", &["x", "", "", "t"], "y", vec![ints("axes", &[2])]);
    assert_eq!(axes.run(&[1.0, 2.0, 3.0, 4.0]), [1.0, 3.0]);
}
