//! Interval analysis: the worst case of every accumulator over the intervals of its inputs.

use thiserror::Error;

use crate::integer_graph::{
    Contraction, GraphError, IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, Product,
    TensorId, Term,
};
use crate::rounding::requantise;

/// An interval that cannot be, or one that the graph declares too narrow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IntervalError {
    /// The worst case of an accumulator leaves 64 bits.
    #[error(
        "layer `{layer}`, channel {channel}: the accumulator can leave the range of 64-bit integers; \
         use fewer activation bits, a smaller shift, or rescale this layer's weights"
    )]
    Overflow {
        /// The ONNX node's name.
        layer: String,
        /// Output channel (Linear) or element (Sum).
        channel: usize,
    },
    /// The declared interval of a tensor does not cover what its node can produce.
    #[error(
        "layer `{layer}`, channel {channel}: values reach {reached}, outside the declared interval {declared}; \
         the graph is damaged, compile the model again"
    )]
    Undeclared {
        /// The node's name.
        layer: String,
        /// Output channel (Linear) or element (Sum), 0 for the other operations.
        channel: usize,
        /// What the node can produce.
        reached: Interval,
        /// What the tensor declares.
        declared: Interval,
    },
    /// The graph's parts do not fit together.
    #[error(transparent)]
    Structure(#[from] GraphError),
}

/// Worst-case intervals of a node's output: for a Linear one for each output channel; for a Sum one for each element;
/// otherwise a single one for all elements. The tensor's interval is their [`hull`].
///
/// `tensors` are the graph's; the intervals of the node's inputs and the shape of its output are taken from there.
///
/// # Errors
/// [`IntervalError::Overflow`] names the layer and channel; [`IntervalError::Structure`] for an input index
/// beyond `tensors`.
pub fn channel_intervals(
    node: &IntegerNode,
    tensors: &[IntegerTensor],
) -> Result<Vec<Interval>, IntervalError> {
    let interval_of = |id: TensorId| interval_of(node, tensors, id);
    match &node.op {
        IntegerOp::Linear { products, bias } => linear_intervals(node, tensors, products, bias),
        IntegerOp::Sum { terms, bias } => sum_intervals(node, tensors, terms, bias),
        IntegerOp::Activate { input, shift, function, domain } => {
            // Requantisation is monotone, and what lies outside the domain is refused.
            let input = interval_of(*input)?;
            let inside = |end| requantise(end, *shift).clamp(domain.min, domain.max);
            Ok(vec![function.image(Interval { min: inside(input.min), max: inside(input.max) })])
        }
        IntegerOp::Maximum { left, right } => {
            let (left, right) = (interval_of(*left)?, interval_of(*right)?);
            Ok(vec![Interval { min: left.min.max(right.min), max: left.max.max(right.max) }])
        }
        IntegerOp::Multiply { left, right } => {
            let (left, right) = (interval_of(*left)?, interval_of(*right)?);
            let ends =
                [(left.min, right.min), (left.min, right.max), (left.max, right.min), (left.max, right.max)];
            let products = ends.map(|(left, right)| left.checked_mul(right));
            let overflow = || IntervalError::Overflow { layer: node.name.clone(), channel: 0 };
            let products: Vec<i64> = products.into_iter().collect::<Option<_>>().ok_or_else(overflow)?;
            let bound = |pick: fn(i64, i64) -> i64| products.iter().copied().reduce(pick).unwrap_or(0);
            Ok(vec![Interval { min: bound(i64::min), max: bound(i64::max) }])
        }
        IntegerOp::ArgMax { length, .. } => {
            Ok(vec![Interval { min: 0, max: i64::try_from(length.saturating_sub(1)).unwrap_or(i64::MAX) }])
        }
        IntegerOp::Reshape { input } => Ok(vec![interval_of(*input)?]),
    }
}

fn interval_of(
    node: &IntegerNode,
    tensors: &[IntegerTensor],
    id: TensorId,
) -> Result<Interval, IntervalError> {
    let unknown = || GraphError::UnknownTensor { place: node.name.clone(), id: id.0, tensors: tensors.len() };
    Ok(tensors.get(id.0).map(|tensor| tensor.interval).ok_or_else(unknown)?)
}

/// One interval for each channel: positive and negative weights are summed apart, so that a row costs two multiplications.
fn linear_intervals(
    node: &IntegerNode,
    tensors: &[IntegerTensor],
    products: &[Product],
    bias: &[i64],
) -> Result<Vec<Interval>, IntervalError> {
    let mut inputs = Vec::with_capacity(products.len());
    for product in products {
        // A convolution meets its padding, which is zero, beside the input.
        let padded = product.contraction != Contraction::Dense;
        let interval = interval_of(node, tensors, product.input)?;
        inputs.push(if padded { interval.hull(Interval { min: 0, max: 0 }) } else { interval });
    }
    let channel_interval = |(channel, &bias): (usize, &i64)| {
        let of_product = |(product, &interval): (&Product, &Interval)| {
            let multiplier = i128::from(product.multipliers.get(channel).copied().unwrap_or(0));
            let row = product.weights.row(channel);
            let sum = |part: fn(i64) -> i64| row.iter().map(|&weight| part(i64::from(weight))).sum();
            let (positive, negative): (i64, i64) = (sum(|w| w.max(0)), sum(|w| w.min(0)));
            [positive, negative].map(|weights| (i128::from(weights) * multiplier, interval))
        };
        combine(products.iter().zip(&inputs).flat_map(of_product), bias)
            .ok_or_else(|| IntervalError::Overflow { layer: node.name.clone(), channel })
    };
    bias.iter().enumerate().map(channel_interval).collect()
}

/// One interval for each element.
fn sum_intervals(
    node: &IntegerNode,
    tensors: &[IntegerTensor],
    terms: &[Term],
    bias: &[i64],
) -> Result<Vec<Interval>, IntervalError> {
    let output = tensors.get(node.output.0).map_or(0, IntegerTensor::elements);
    let mut sums = vec![(0i128, 0i128); output];
    sums.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = (i128::from(bias), i128::from(bias)));
    for Term { input, coefficient, access } in terms {
        let interval = interval_of(node, tensors, *input)?;
        let ends = [interval.min, interval.max].map(|end| i128::from(*coefficient) * i128::from(end));
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        access.for_each(|to, _| {
            if let Some(sum) = sums.get_mut(to) {
                *sum = (sum.0.saturating_add(low), sum.1.saturating_add(high));
            }
        });
    }
    let element = |(channel, (min, max)): (usize, (i128, i128))| {
        let ends = i64::try_from(min).ok().zip(i64::try_from(max).ok());
        let overflow = || IntervalError::Overflow { layer: node.name.clone(), channel };
        ends.map(|(min, max)| Interval { min, max }).ok_or_else(overflow)
    };
    sums.into_iter().enumerate().map(element).collect()
}

/// The least interval that contains all of `intervals`; `[0, 0]` for none.
#[must_use]
pub fn hull(intervals: &[Interval]) -> Interval {
    let all = intervals.iter().copied().reduce(Interval::hull);
    all.unwrap_or(Interval { min: 0, max: 0 })
}

/// Checks that every tensor's declared interval covers what its node can produce, so that an input inside its
/// interval keeps every value inside. Reads all weights.
///
/// # Errors
/// [`IntervalError`], naming the layer and channel.
pub fn check_intervals(graph: &IntegerGraph) -> Result<(), IntervalError> {
    graph.check_structure()?;
    for node in &graph.nodes {
        let declared = graph.tensor(node.output).interval;
        for (channel, reached) in channel_intervals(node, &graph.tensors)?.into_iter().enumerate() {
            if !declared.contains(reached.min) || !declared.contains(reached.max) {
                return Err(IntervalError::Undeclared {
                    layer: node.name.clone(),
                    channel,
                    reached,
                    declared,
                });
            }
        }
    }
    Ok(())
}

/// `sum factor * interval + bias`, or nothing if an end does not fit 64 bits.
fn combine(terms: impl Iterator<Item = (i128, Interval)>, bias: i64) -> Option<Interval> {
    let (mut min, mut max) = (i128::from(bias), i128::from(bias));
    for (factor, interval) in terms {
        let at_min = factor.checked_mul(i128::from(interval.min))?;
        let at_max = factor.checked_mul(i128::from(interval.max))?;
        min = min.checked_add(at_min.min(at_max))?;
        max = max.checked_add(at_min.max(at_max))?;
    }
    Some(Interval { min: i64::try_from(min).ok()?, max: i64::try_from(max).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integer_graph::{Activation, WeightMatrix};

    fn tensor(interval: (i64, i64), elements: usize) -> IntegerTensor {
        let interval = Interval { min: interval.0, max: interval.1 };
        IntegerTensor { name: "tensor".into(), shape: vec![elements], interval, scale: 1.0 }
    }

    fn linear(values: Vec<i8>, multipliers: Vec<i64>, bias: Vec<i64>) -> IntegerNode {
        let rows = bias.len();
        let weights = WeightMatrix { rows, columns: values.len() / rows, values };
        let op = IntegerOp::dense(TensorId(0), weights, multipliers, bias);
        IntegerNode { name: "layer".into(), op, output: TensorId(1) }
    }

    #[test]
    fn a_linear_layer_channel_by_channel() {
        let node = linear(vec![2, -3, 0, 1, 1, 1], vec![10, 1], vec![100, -5]);
        let intervals = channel_intervals(&node, &[tensor((-1, 4), 3)]).expect("intervals");
        // 10 * (2 x - 3 y) + 100 over [-1, 4]; x + y + z - 5.
        assert_eq!(intervals, [Interval { min: -40, max: 210 }, Interval { min: -8, max: 7 }]);
        assert_eq!(hull(&intervals), Interval { min: -40, max: 210 });
    }

    #[test]
    fn a_sum_element_by_element_and_without_bias_as_one() {
        let tensors = [tensor((0, 10), 2), tensor((-5, 1), 2), tensor((0, 0), 2)];
        let sum = |bias: Vec<i64>| {
            let op = IntegerOp::sum(2, vec![(TensorId(0), 3), (TensorId(1), -2)], bias);
            channel_intervals(&IntegerNode { name: "sum".into(), op, output: TensorId(2) }, &tensors)
        };
        assert_eq!(sum(vec![]).expect("interval"), [Interval { min: -2, max: 40 }; 2]);
        let with_bias = sum(vec![0, 7]).expect("intervals");
        assert_eq!(with_bias, [Interval { min: -2, max: 40 }, Interval { min: 5, max: 47 }]);
    }

    #[test]
    fn activations_and_views() {
        let function = Activation::Clamp { min: 0, max: 3 };
        let domain = Interval { min: -100, max: 100 };
        let op = IntegerOp::Activate { input: TensorId(0), shift: 2, function, domain };
        let node = IntegerNode { name: "relu".into(), op, output: TensorId(1) };
        let image = |interval| channel_intervals(&node, &[tensor(interval, 1)]).expect("interval");
        assert_eq!(image((-100, 9)), [Interval { min: 0, max: 2 }]);
        assert_eq!(image((6, 100)), [Interval { min: 2, max: 3 }]);
        let view = IntegerNode { op: IntegerOp::Reshape { input: TensorId(0) }, ..node };
        let viewed = channel_intervals(&view, &[tensor((6, 100), 1)]).expect("interval");
        assert_eq!(viewed, [Interval { min: 6, max: 100 }]);
    }

    #[test]
    fn overflow_names_layer_and_channel() {
        let node = linear(vec![1, 127], vec![1, 1 << 40], vec![0, 0]);
        let fits = channel_intervals(&node, &[tensor((0, 1 << 15), 1)]).expect("fits");
        assert_eq!(fits[1].max, 127 << 55);
        let overflow = channel_intervals(&node, &[tensor((0, 1 << 17), 1)]);
        assert_eq!(overflow, Err(IntervalError::Overflow { layer: "layer".into(), channel: 1 }));
        // Even the widest numbers: factors of 2^70 and sums of them.
        let node = linear(vec![-128; 4], vec![i64::MIN], vec![i64::MIN]);
        let overflow = channel_intervals(&node, &[tensor((i64::MIN, i64::MAX), 4)]);
        assert_eq!(overflow, Err(IntervalError::Overflow { layer: "layer".into(), channel: 0 }));
    }

    #[test]
    fn a_declared_interval_that_is_too_narrow_is_found() {
        let node = linear(vec![2, 1], vec![1, 1], vec![0, 0]);
        let mut graph = IntegerGraph {
            name: "graph".into(),
            tensors: vec![tensor((0, 10), 1), tensor((0, 20), 2)],
            nodes: vec![node],
            input: TensorId(0),
            output: TensorId(1),
            bits: 8,
            shift: 8,
        };
        assert_eq!(check_intervals(&graph), Ok(()));
        graph.tensors[1].interval.max = 19;
        let (reached, declared) = (Interval { min: 0, max: 20 }, Interval { min: 0, max: 19 });
        let expected = IntervalError::Undeclared { layer: "layer".into(), channel: 0, reached, declared };
        assert_eq!(check_intervals(&graph), Err(expected));
        graph.nodes[0].output = TensorId(9);
        assert!(matches!(check_intervals(&graph), Err(IntervalError::Structure(_))));
        assert!(matches!(channel_intervals(&graph.nodes[0], &[]), Err(IntervalError::Structure(_))));
    }

    #[test]
    fn maxima_products_indices_and_padding() {
        let tensors = [tensor((-3, 10), 4), tensor((-5, 7), 4), tensor((0, 0), 4)];
        let of = |op| {
            let node = IntegerNode { name: "node".into(), op, output: TensorId(2) };
            channel_intervals(&node, &tensors)
        };
        let (left, right) = (TensorId(0), TensorId(1));
        assert_eq!(of(IntegerOp::Maximum { left, right }), Ok(vec![Interval { min: -3, max: 10 }]));
        assert_eq!(of(IntegerOp::Multiply { left, right }), Ok(vec![Interval { min: -50, max: 70 }]));
        let index = IntegerOp::ArgMax { input: left, length: 4, inner: 1, last: true };
        assert_eq!(of(index), Ok(vec![Interval { min: 0, max: 3 }]));
        // The padding of a convolution is zero, outside of its input's interval.
        let window =
            crate::convolution::Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 1, pad_end: 0 };
        let geometry = crate::convolution::Convolution { groups: 1, windows: vec![window] };
        let product = Product {
            input: TensorId(0),
            contraction: Contraction::Convolution(geometry),
            weights: WeightMatrix { rows: 1, columns: 1, values: vec![2] },
            multipliers: vec![3],
        };
        let op = IntegerOp::Linear { products: vec![product], bias: vec![1] };
        let node = IntegerNode { name: "padded".into(), op, output: TensorId(1) };
        let positive = [tensor((4, 10), 4), tensor((0, 0), 5)];
        assert_eq!(channel_intervals(&node, &positive), Ok(vec![Interval { min: 1, max: 61 }]));
    }
}
