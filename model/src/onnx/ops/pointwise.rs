//! Functions of each element: sigmoids, exponentials, powers and their kin.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{Affine, affine, sum};
use super::fold::{self, Combine};
use super::layout::{broadcast_shape, expand};
use crate::float_graph::FloatOp;
use crate::function::Function;

/// The function that a node of one operand computes, from its attributes.
fn function(node: &Node) -> Result<Function, ImportError> {
    Ok(match node.operator() {
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Abs" => Function::Abs,
        "HardSwish" => Function::HardSwish,
        "Mish" => Function::Mish,
        "LeakyRelu" => Function::LeakyRelu { slope: node.float("alpha", 0.01)? },
        "ThresholdedRelu" => Function::ThresholdedRelu { threshold: node.float("alpha", 1.0)? },
        "Elu" => Function::Elu { alpha: node.float("alpha", 1.0)? },
        "Selu" => {
            let alpha = node.float("alpha", 1.673_263_2)?;
            let factor = node.float("gamma", 1.050_701)?;
            Function::Chain(vec![Function::Elu { alpha }, Function::Affine { factor, shift: 0.0 }])
        }
        "Celu" => {
            let alpha = node.float("alpha", 1.0)?;
            if alpha <= 0.0 {
                return Err(node.unsupported(format!("its attribute alpha is {alpha}, not positive")));
            }
            let scale = |factor: f32| Function::Affine { factor, shift: 0.0 };
            Function::Chain(vec![scale(1.0 / alpha), Function::Elu { alpha: 1.0 }, scale(alpha)])
        }
        "HardSigmoid" => {
            Function::HardSigmoid { alpha: node.float("alpha", 0.2)?, beta: node.float("beta", 0.5)? }
        }
        "Gelu" => match node.text("approximate", "none").as_str() {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => {
                return Err(node
                    .unsupported(format!("its attribute approximate is `{other}`; none or tanh is needed")));
            }
        },
        _ => return Err(node.unsupported("it is no function of one operand")),
    })
}

pub(super) fn pointwise(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let function = function(node)?;
    apply(lowering, node, function)
}

/// The function of the first operand, which may also be a constant.
pub(super) fn apply(lowering: &mut Lowering, node: &Node, function: Function) -> Result<(), ImportError> {
    match lowering.operand(node, 0)? {
        Binding::Flow(flow) => {
            let op = FloatOp::Pointwise { input: flow.id, function };
            let result = lowering.push(node, op, flow.shape);
            lowering.bind(node, Binding::Flow(result))
        }
        Binding::Constant(constant) => {
            let of_integer = |value: i64| function.apply(value as f64) as i64;
            fold::mapped(
                lowering,
                node,
                &constant,
                |value| function.apply(f64::from(value)) as f32,
                of_integer,
            )
        }
    }
}

/// Pow with one constant exponent.
pub(super) fn pow(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let exponent = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Constant(base), Binding::Constant(exponent)) => {
            return fold::combined(lowering, node, (&base, &exponent), Combine::Power);
        }
        (Binding::Flow(_), Binding::Constant(exponent)) => exponent,
        (_, Binding::Flow(_)) => {
            return Err(
                node.unsupported("its exponent is computed from the network's input; it must be constant")
            );
        }
    };
    let exponent = match &exponent.elements {
        super::super::constant::Elements::Integers(values) => {
            values.iter().map(|&value| value as f32).collect()
        }
        super::super::constant::Elements::Floats(_) => exponent.finite()?.to_vec(),
    };
    let &[exponent] = exponent.as_slice() else {
        return Err(
            node.unsupported(format!("it has {} exponents; one for all elements is needed", exponent.len()))
        );
    };
    let function = match exponent {
        1.0 => return super::constant::identity(lowering, node),
        2.0 => Function::Square,
        0.5 => Function::Sqrt,
        -1.0 => Function::Reciprocal,
        exponent => Function::Power { exponent },
    };
    apply(lowering, node, function)
}

/// One slope for all is a function; otherwise `slope x + (1 - slope) relu(x)`.
pub(super) fn prelu(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (flow, slope) = (lowering.flow(node, 0)?, lowering.required(node, 1)?);
    let values = slope.finite()?;
    if let Some(&first) = values.first()
        && values.iter().all(|&value| value == first)
    {
        return apply(lowering, node, Function::LeakyRelu { slope: first });
    }
    let result = by_slopes(lowering, node, &flow, &slope)?;
    lowering.bind(node, Binding::Flow(result))
}

fn by_slopes(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    slope: &Constant,
) -> Result<Flow, ImportError> {
    let shape = flow.shape.clone();
    if broadcast_shape(node, &shape, &slope.shape)? != shape {
        let slopes = &slope.shape;
        return Err(node.shape_error(format!("its slopes of shape {slopes:?} do not broadcast to {shape:?}")));
    }
    let factor = expand(slope, &shape)?;
    let rest = factor.iter().map(|slope| 1.0 - slope).collect();
    let positive = lowering.push(node, FloatOp::relu(flow.id), shape.clone());
    let all = affine(lowering, node, flow, Affine { factor, shift: Vec::new(), shape: shape.clone() });
    let positive = affine(lowering, node, &positive, Affine { factor: rest, shift: Vec::new(), shape });
    sum(lowering, node, &[(all, 1.0), (positive, 1.0)])
}
