//! Upsample and Resize: each element of the result is the nearest of the input's.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::layout::{AxisMap, mapped, shape_of};
use super::{axis, sizes};

/// Scales are an attribute in operator sets before 9 and an input in 9.
pub(super) fn upsample(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    nearest_only(node)?;
    let operand = lowering.operand(node, 0)?;
    let scales = lowering.required(node, 1)?.finite()?.to_vec();
    let shape = shape_of(&operand);
    let targets = scaled(node, &shape, &scales)?;
    resized(lowering, node, operand, &targets, &Rounding { mode: Mode::Asymmetric, nearest: "floor".into() })
}

pub(super) fn resize(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    nearest_only(node)?;
    let policy = node.text("keep_aspect_ratio_policy", "stretch");
    if policy != "stretch" {
        let reason =
            format!("its attribute keep_aspect_ratio_policy is `{policy}`; only stretch is supported");
        return Err(node.unsupported(reason));
    }
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    // Operator set 10 has the scales as its second input; from 11 on the third are scales and the fourth sizes.
    let old = node.inputs() == 2;
    let scales = lowering.constant(node, if old { 1 } else { 2 })?.filter(|scales| scales.count() > 0);
    let targets = match (scales, lowering.constant(node, 3)?) {
        (Some(scales), _) => {
            scaled(node, &shape, &for_all_axes(node, scales.finite()?, &vec![1.0; shape.len()])?)?
        }
        (None, Some(target)) => {
            let target = for_all_axes(node, &sizes(node, target.integers()?)?, &shape)?;
            let ratio = |(&to, &from): (&usize, &usize)| (to, to as f64 / from as f64);
            target.iter().zip(&shape).map(ratio).collect()
        }
        (None, None) => return Err(node.shape_error("neither its scales nor its sizes are given")),
    };
    let mode = match node.text("coordinate_transformation_mode", "half_pixel").as_str() {
        _ if old => Mode::Asymmetric,
        "asymmetric" => Mode::Asymmetric,
        "half_pixel" => Mode::HalfPixel,
        "pytorch_half_pixel" => Mode::PytorchHalfPixel,
        "align_corners" => Mode::AlignCorners,
        other => {
            let reason =
                format!("its attribute coordinate_transformation_mode is `{other}`, which is not supported");
            return Err(node.unsupported(reason));
        }
    };
    let nearest = if old { "floor".into() } else { node.text("nearest_mode", "round_prefer_floor") };
    resized(lowering, node, operand, &targets, &Rounding { mode, nearest })
}

/// One value for each axis, from one for each of those that the attribute axes lists.
fn for_all_axes<T: Copy>(node: &Node, values: &[T], default: &[T]) -> Result<Vec<T>, ImportError> {
    let Some(axes) = node.integers("axes") else { return Ok(values.to_vec()) };
    if axes.len() != values.len() {
        return Err(node.shape_error(format!("{} scales or sizes for the axes {axes:?}", values.len())));
    }
    let mut all = default.to_vec();
    for (&at, &value) in axes.iter().zip(values) {
        all[axis(node, at, default.len())?] = value;
    }
    Ok(all)
}

fn nearest_only(node: &Node) -> Result<(), ImportError> {
    match node.text("mode", "nearest").as_str() {
        "nearest" => Ok(()),
        other => Err(node.unsupported(format!("its attribute mode is `{other}`; only nearest is supported"))),
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Asymmetric,
    HalfPixel,
    PytorchHalfPixel,
    AlignCorners,
}

/// How a position in the result becomes one in the input.
struct Rounding {
    mode: Mode,
    nearest: String,
}

/// For each axis the result's size and the scale.
fn scaled(node: &Node, shape: &[usize], scales: &[f32]) -> Result<Vec<(usize, f64)>, ImportError> {
    if scales.len() != shape.len() || scales.iter().any(|&scale| scale <= 0.0) {
        return Err(node.shape_error(format!("its scales {scales:?} do not fit {shape:?}")));
    }
    let size = |(&size, &scale): (&usize, &f32)| {
        ((size as f64 * f64::from(scale)).floor() as usize, f64::from(scale))
    };
    Ok(shape.iter().zip(scales).map(size).collect())
}

fn resized(
    lowering: &mut Lowering,
    node: &Node,
    operand: Binding,
    targets: &[(usize, f64)],
    rounding: &Rounding,
) -> Result<(), ImportError> {
    let shape = shape_of(&operand);
    let result: Vec<usize> = targets.iter().map(|target| target.0).collect();
    if targets.len() != shape.len() || lowering.check_size(node, &result)? == 0 {
        return Err(node.shape_error(format!("{shape:?} is not resized to {result:?}")));
    }
    let maps = shape.iter().zip(targets).map(|(&size, &target)| map(node, size, target, rounding));
    let maps = maps.collect::<Result<Vec<AxisMap>, _>>()?;
    let result = mapped(lowering, node, operand, &maps, 0.0)?;
    lowering.bind(node, result)
}

fn map(
    node: &Node,
    size: usize,
    (length, scale): (usize, f64),
    rounding: &Rounding,
) -> Result<AxisMap, ImportError> {
    let round: fn(f64) -> f64 = match rounding.nearest.as_str() {
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        "round_prefer_floor" => |at| (at - 0.5).ceil(),
        "round_prefer_ceil" => |at| (at + 0.5).floor(),
        other => {
            return Err(
                node.unsupported(format!("its attribute nearest_mode is `{other}`, which is not supported"))
            );
        }
    };
    let place = |at: usize| {
        let at = at as f64;
        match rounding.mode {
            _ if scale == 1.0 => at,
            Mode::Asymmetric => at / scale,
            Mode::PytorchHalfPixel if length == 1 => 0.0,
            Mode::HalfPixel | Mode::PytorchHalfPixel => (at + 0.5) / scale - 0.5,
            Mode::AlignCorners if length == 1 => 0.0,
            Mode::AlignCorners => at * (size - 1) as f64 / (length - 1) as f64,
        }
    };
    Ok((0..length).map(|at| Some((round(place(at)).max(0.0) as usize).min(size - 1))).collect())
}
