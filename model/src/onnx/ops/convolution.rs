//! Conv, and BatchNormalization as a scale and a shift of each channel.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{Affine, affine};
use super::windows::windows;
use crate::convolution::Convolution;
use crate::float_graph::{FloatMatrix, FloatOp};

pub(super) fn conv(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let weights = lowering.required(node, 1)?;
    let [rows, per_group, kernel @ ..] = weights.shape.as_slice() else {
        return Err(node.shape_error(format!("the weights `{}` have no input channels", weights.name)));
    };
    let named = node.integers("kernel_shape").is_none_or(|named| {
        named.len() == kernel.len() && named.iter().zip(kernel).all(|(&named, &own)| named == own as i64)
    });
    if !named {
        let named = node.integers("kernel_shape").unwrap_or_default();
        return Err(node.shape_error(format!("its kernel_shape is {named:?}, the weights' is {kernel:?}")));
    }
    let (rows, channels) = (*rows, flow.shape[1]);
    let groups = usize::try_from(node.integer("group", 1)).unwrap_or(0);
    let divided = groups > 0 && channels.is_multiple_of(groups) && rows.is_multiple_of(groups);
    if !divided || channels / groups != *per_group || weights.count() == 0 {
        let reason = format!(
            "the weights `{}` of shape {:?} do not fit {channels} channels in {groups} groups",
            weights.name, weights.shape
        );
        return Err(node.shape_error(reason));
    }
    let bias = match lowering.constant(node, 2)? {
        Some(bias) => channel_values(node, &bias, rows)?,
        None => vec![0.0; rows],
    };
    let slid = windows(node, kernel, &flow.shape[2..])?;
    let shape = [&[1, rows], slid.outputs.as_slice()].concat();
    lowering.check_size(node, &shape)?;
    let geometry = Convolution { groups, windows: slid.windows };
    let columns = geometry.columns(channels);
    let weights = FloatMatrix { rows, columns, values: weights.finite()?.to_vec() };
    let result = lowering.push(node, FloatOp::Convolution { input: flow.id, geometry, weights, bias }, shape);
    lowering.bind(node, Binding::Flow(result))
}

/// The first input, which must be `[1, C, spatial..]` with at least so many spatial axes.
pub(super) fn image(lowering: &Lowering, node: &Node, spatial: usize) -> Result<Flow, ImportError> {
    let flow = lowering.flow(node, 0)?;
    let found = &flow.shape;
    if found.len() < spatial + 2 {
        return Err(node.shape_error(format!("its input has shape {found:?}, [1, channels, ..] is needed")));
    }
    if found[0] != 1 {
        return Err(node.unsupported(format!("its input has shape {found:?}; the batch axis must be 1")));
    }
    Ok(flow)
}

/// A constant with one value for each channel.
pub(super) fn channel_values(
    node: &Node,
    constant: &Constant,
    channels: usize,
) -> Result<Vec<f32>, ImportError> {
    let values = constant.finite()?;
    if values.len() == channels {
        return Ok(values.to_vec());
    }
    let reason = format!("`{}` has {} values for {channels} channels", constant.name, values.len());
    Err(node.shape_error(reason))
}

pub(super) fn batch_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    if node.integer("training_mode", 0) != 0 {
        return Err(
            node.unsupported("its attribute training_mode is 1; export the network in evaluation mode")
        );
    }
    let flow = lowering.flow(node, 0)?;
    let &[outer, channels, ref spatial @ ..] = flow.shape.as_slice() else {
        return Err(
            node.shape_error(format!("its input has shape {:?}, [1, channels, ..] is needed", flow.shape))
        );
    };
    let values = |index| channel_values(node, &*lowering.required(node, index)?, channels);
    let (scale, bias, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
    let epsilon = node.float("epsilon", 1e-5)?;
    let inner: usize = spatial.iter().product();
    let (mut factor, mut shift) = (Vec::new(), Vec::new());
    for channel in 0..channels {
        let deviation = (f64::from(variance[channel]) + f64::from(epsilon)).sqrt();
        let slope = f64::from(scale[channel]) / deviation;
        if !slope.is_finite() {
            let reason =
                format!("channel {channel} has variance {}; export the network again", variance[channel]);
            return Err(node.unsupported(reason));
        }
        let offset = f64::from(bias[channel]) - slope * f64::from(mean[channel]);
        factor.extend(std::iter::repeat_n(slope as f32, inner));
        shift.extend(std::iter::repeat_n(offset as f32, inner));
    }
    let (factor, shift) = (factor.repeat(outer), shift.repeat(outer));
    let shape = flow.shape.clone();
    let result = affine(lowering, node, &flow, Affine { factor, shift, shape });
    lowering.bind(node, Binding::Flow(result))
}
