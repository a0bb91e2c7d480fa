//! Softmax and its kin, normalisations, norms, transposed convolutions, blocks of channels.

use super::*;

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() <= 2e-5 * expected.abs().max(1.0),
            "{what}: {found} for {expected}"
        );
    }
}

/// Values without pattern, in [-2, 2].
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 37 + 11) % 41) as f32 / 10.0 - 2.0).collect()
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let total: f64 = row.iter().map(|x| x.exp()).sum();
    row.iter().map(|x| x.exp() / total).collect()
}

#[test]
fn softmax_over_one_axis_or_over_all_that_follow() {
    let input = values(12);
    let model = |version, axis| {
        Model::new(&[1, 3, 4]).opset(version).node("Softmax", &["x"], "y", vec![int("axis", axis)])
    };
    let rows: Vec<f64> = double(&input).chunks(4).flat_map(softmax).collect();
    close(&model(13, -1).run(&input), &rows, "last axis");
    close(&model(12, 2).run(&input), &rows, "last axis, old");
    close(&model(12, 1).run(&input), &softmax(&double(&input)), "both axes, old");
    let mut columns = vec![0.0; 12];
    for column in 0..4 {
        let of: Vec<f64> = (0..3).map(|row| f64::from(input[4 * row + column])).collect();
        softmax(&of).into_iter().enumerate().for_each(|(row, value)| columns[4 * row + column] = value);
    }
    close(&model(13, 1).run(&input), &columns, "middle axis");
    let large = Model::new(&[1, 2]).node("Softmax", &["x"], "y", vec![]);
    close(&large.run(&[1000.0, 1000.0]), &[0.5, 0.5], "large inputs");
    let logarithm = Model::new(&[1, 3, 4]).node("LogSoftmax", &["x"], "y", vec![]);
    let expected: Vec<f64> = rows.iter().map(|value| value.ln()).collect();
    close(&logarithm.run(&input), &expected, "logarithm");
}

#[test]
fn norms_reduce() {
    let input = values(8);
    let exact = double(&input);
    let run =
        |operator| Model::new(&[1, 8]).node(operator, &["x"], "y", vec![ints("axes", &[1])]).run(&input);
    let squares: f64 = exact.iter().map(|x| x * x).sum();
    close(&run("ReduceL1"), &[exact.iter().map(|x| x.abs()).sum()], "L1");
    close(&run("ReduceL2"), &[squares.sqrt()], "L2");
    close(&run("ReduceSumSquare"), &[squares], "squares");
    close(&run("ReduceLogSumExp"), &[exact.iter().map(|x| x.exp()).sum::<f64>().ln()], "exponentials");
    let positive = Model::new(&[1, 2]).node("ReduceLogSum", &["x"], "y", vec![ints("axes", &[1])]);
    close(&positive.run(&[1.5, 2.5]), &[4f64.ln()], "logarithm");
    let lp = |p| Model::new(&[1, 8]).node("LpNormalization", &["x"], "y", vec![int("p", p)]);
    close(&lp(2).run(&input), &exact.iter().map(|x| x / squares.sqrt()).collect::<Vec<_>>(), "unit length");
    let total: f64 = exact.iter().map(|x| x.abs()).sum();
    close(&lp(1).run(&input), &exact.iter().map(|x| x / total).collect::<Vec<_>>(), "unit sum");
    assert!(lp(3).error().to_string().contains("its attribute p is 3"));
}

/// `(x - mean) / sqrt(variance + 1e-5)`.
fn standardised(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    values.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
}

#[test]
fn normalisations_are_their_definitions() {
    let input = values(24);
    let exact = double(&input);
    let layer = Model::new(&[1, 2, 3, 4])
        .opset(17)
        .floats("s", &[4], &[1.0, 2.0, -1.0, 0.5])
        .floats("b", &[4], &[0.0, 1.0, 2.0, 3.0])
        .node("LayerNormalization", &["x", "s", "b"], "y", vec![]);
    let scaled = |row: &[f64]| -> Vec<f64> {
        let pairs = standardised(row).into_iter().zip([(1.0, 0.0), (2.0, 1.0), (-1.0, 2.0), (0.5, 3.0)]);
        pairs.map(|(x, (scale, bias))| scale * x + bias).collect()
    };
    close(&layer.run(&input), &exact.chunks(4).flat_map(scaled).collect::<Vec<_>>(), "layer");

    let mut several = Model(layer.0.clone());
    several.graph().node[0].output.extend(["m".to_string(), "d".to_string()]);
    let options = ImportOptions { output: Some("m".into()), ..Default::default() };
    let graph = several.import_with(&options).expect("import");
    let means = graph.run(&input).expect("run").swap_remove(graph.output.0);
    let expected: Vec<f64> = exact.chunks(4).map(|row| row.iter().sum::<f64>() / 4.0).collect();
    close(&means, &expected, "means");

    let (scale, bias) = ([2.0, -1.0, 0.5, 1.0], [0.5, 0.0, -1.0, 1.0]);
    let channels = |model: Model, operator, attributes| {
        model
            .floats("s", &[4], &scale.map(|value| value as f32))
            .floats("b", &[4], &bias.map(|value| value as f32))
            .node(operator, &["x", "s", "b"], "y", attributes)
    };
    let apply = |normal: &[f64]| -> Vec<f64> {
        normal.iter().enumerate().map(|(at, x)| scale[at / 6] * x + bias[at / 6]).collect()
    };
    let instance = channels(Model::new(&[1, 4, 2, 3]), "InstanceNormalization", vec![]);
    let normal: Vec<f64> = exact.chunks(6).flat_map(standardised).collect();
    close(&instance.run(&input), &apply(&normal), "instance");
    let group = |version| {
        let model = Model::new(&[1, 4, 2, 3]).opset(version);
        channels(model, "GroupNormalization", vec![int("num_groups", 2)])
    };
    let normal: Vec<f64> = exact.chunks(12).flat_map(standardised).collect();
    close(&group(21).run(&input), &apply(&normal), "group");
    assert!(group(18).error().to_string().contains("has 4 values for 2 channels"));
    let mean_variance = Model::new(&[1, 4, 2, 3]).node("MeanVarianceNormalization", &["x"], "y", vec![]);
    let normal: Vec<f64> = exact.chunks(6).flat_map(standardised).collect();
    close(&mean_variance.run(&input), &normal, "mean and variance");
}

#[test]
fn responses_are_normalised_by_their_neighbours() {
    let input = values(10);
    for size in [1, 2, 3, 4, 20] {
        let attributes =
            vec![int("size", size), float("alpha", 0.5), float("beta", 0.75), float("bias", 2.0)];
        let model = Model::new(&[1, 5, 2]).node("LRN", &["x"], "y", attributes);
        let neighbours = |at: i64| (at - (size - 1) / 2).max(0)..=(at + size / 2).min(4);
        let expected: Vec<f64> = (0..10i64)
            .map(|at| {
                let square = |channel: i64| f64::from(input[(2 * channel + at % 2) as usize]).powi(2);
                let total: f64 = neighbours(at / 2).map(square).sum();
                f64::from(input[at as usize]) / (2.0 + 0.5 / size as f64 * total).powf(0.75)
            })
            .collect();
        close(&model.run(&input), &expected, "neighbours");
    }
}

/// The definition: each element of the input adds its kernel to the output.
fn transposed(input: &[f32], weights: &[f32], shape: [usize; 3], out: usize, axis: [usize; 5]) -> Vec<f64> {
    let ([channels, length, groups], [kernel, stride, dilation, pad, outputs]) = (shape, axis);
    let per_group = out / groups;
    let mut result = vec![0.0; out * outputs];
    for channel in 0..channels {
        for (output, tap, at) in (0..per_group)
            .flat_map(|output| (0..kernel).map(move |tap| (output, tap)))
            .flat_map(|(output, tap)| (0..length).map(move |at| (output, tap, at)))
        {
            let place = (at * stride + tap * dilation).checked_sub(pad).filter(|&place| place < outputs);
            let Some(place) = place else { continue };
            let row = channel / (channels / groups) * per_group + output;
            let weight = weights[(channel * per_group + output) * kernel + tap];
            result[row * outputs + place] += f64::from(weight * input[channel * length + at]);
        }
    }
    result
}

#[test]
fn transposed_convolutions_of_all_geometries() {
    for (kernel, stride, dilation) in
        [(1, 1, 1), (3, 1, 1), (2, 2, 1), (4, 2, 1), (3, 2, 2), (2, 3, 1), (1, 3, 1), (3, 5, 2)]
    {
        for (begin, end) in [(0, 0), (1, 1), (2, 0), (0, 1)] {
            for (groups, length) in [(1, 1), (1, 5), (2, 4)] {
                for more in 0..stride.min(2) {
                    let (channels, out) = (4usize, 2usize);
                    let full = stride * (length - 1) + more + dilation * (kernel - 1) + 1;
                    if full <= begin + end {
                        continue;
                    }
                    let outputs = full - begin - end;
                    let (input, weights) =
                        (values(channels * length), values(channels * out / groups * kernel));
                    let dims = [channels as i64, (out / groups) as i64, kernel as i64];
                    let sizes = |list: &[usize]| list.iter().map(|&size| size as i64).collect::<Vec<_>>();
                    let model = Model::new(&[1, channels as i64, length as i64])
                        .floats("w", &dims, &weights)
                        .floats("b", &[2], &[0.5, -1.5])
                        .node(
                            "ConvTranspose",
                            &["x", "w", "b"],
                            "y",
                            vec![
                                ints("strides", &sizes(&[stride])),
                                ints("dilations", &sizes(&[dilation])),
                                ints("pads", &sizes(&[begin, end])),
                                ints("output_padding", &sizes(&[more])),
                                int("group", groups as i64),
                            ],
                        );
                    let axis = [kernel, stride, dilation, begin, outputs];
                    let mut expected = transposed(&input, &weights, [channels, length, groups], out, axis);
                    expected
                        .iter_mut()
                        .enumerate()
                        .for_each(|(at, value)| *value += [0.5, -1.5][at / outputs]);
                    let what = format!(
                        "kernel {kernel}, stride {stride}, dilation {dilation}, pads {begin} {end}, {groups} groups, {length}"
                    );
                    close(&model.run(&input), &expected, &what);
                }
            }
        }
    }
}

#[test]
fn transposed_convolutions_that_do_not_fit_are_refused() {
    let model = |shape: &[i64], attributes| {
        let count = shape.iter().product::<i64>() as usize;
        Model::new(&[1, 2, 3, 3]).floats("w", shape, &vec![1.0; count]).node(
            "ConvTranspose",
            &["x", "w"],
            "y",
            attributes,
        )
    };
    let error = |shape: &[i64], attributes| model(shape, attributes).error().to_string();
    assert!(error(&[3, 1, 2, 2], vec![]).contains("do not fit 2 channels in 1 groups"));
    assert!(error(&[2, 1, 2, 2], vec![int("group", 3)]).contains("in 3 groups"));
    assert!(error(&[2, 1, 2], vec![]).contains("a kernel with 1 axes for 2"));
    assert!(error(&[2, 1, 2, 2], vec![ints("strides", &[0, 1])]).contains("is 0"));
    assert!(error(&[2, 1, 2, 2], vec![ints("pads", &[2, 2, 2, 2])]).contains("leave nothing"));
    assert!(error(&[2, 1, 2, 2], vec![ints("strides", &[1 << 19, 1 << 19])]).contains("2^26"));
    let same = model(&[2, 1, 3, 3], vec![ints("strides", &[2, 2]), ints("output_shape", &[6, 6])]);
    assert_eq!(same.output_shape(), [1, 6, 6]);
}

#[test]
fn channels_and_blocks_turn_into_each_other() {
    let input: Vec<f32> = (0..8).map(|value| value as f32).collect();
    let mode = |mode: &str| AttributeProto { name: "mode".into(), s: mode.into(), ..Default::default() };
    let depth = |name: &str| {
        Model::new(&[1, 8, 1, 1]).node("DepthToSpace", &["x"], "y", vec![int("blocksize", 2), mode(name)])
    };
    assert_eq!(depth("DCR").output_shape(), [2, 2, 2]);
    assert_eq!(depth("DCR").run(&input), [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    assert_eq!(depth("CRD").run(&input), input);
    let space = Model::new(&[1, 1, 2, 4]).node("SpaceToDepth", &["x"], "y", vec![int("blocksize", 2)]);
    assert_eq!(space.output_shape(), [4, 1, 2]);
    assert_eq!(space.run(&input), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    let odd = Model::new(&[1, 1, 3, 4]).node("SpaceToDepth", &["x"], "y", vec![int("blocksize", 2)]);
    assert!(odd.error().to_string().contains("does not fall into blocks of 2 by 2"));
}
