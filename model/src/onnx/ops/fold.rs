//! Operators on constants, as exporters compute shapes and scales with them: arithmetic, comparisons, choices, ranges.

use std::rc::Rc;

use super::super::constant::{Constant, Elements};
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::layout::{broadcast, broadcast_shape};
use super::sizes;

/// The most elements of a constant that the file only describes: weights may have more than a value.
const LARGEST: usize = 1 << 27;

/// An operation on two constants.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Combine {
    Add,
    Subtract,
    Multiply,
    Divide,
    Minimum,
    Maximum,
    Power,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
}

impl Combine {
    fn floats(self, left: f32, right: f32) -> f32 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Minimum => left.min(right),
            Self::Maximum => left.max(right),
            Self::Power => left.powf(right),
            _ => f32::from(u8::from(self.compare(left, right))),
        }
    }

    /// Nothing for a division by zero or an overflow.
    fn integers(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Divide => left.checked_div(right),
            Self::Minimum => Some(left.min(right)),
            Self::Maximum => Some(left.max(right)),
            Self::Power => left.checked_pow(u32::try_from(right).ok()?),
            Self::And => Some(i64::from(left != 0 && right != 0)),
            Self::Or => Some(i64::from(left != 0 || right != 0)),
            _ => Some(i64::from(self.compare(left, right))),
        }
    }

    fn compare<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            _ => false,
        }
    }

    fn is_comparison(self) -> bool {
        use Combine::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        matches!(self, Equal | Greater | GreaterOrEqual | Less | LessOrEqual)
    }
}

/// Binds the combination of two constants that broadcast to one shape.
pub(super) fn combined(
    lowering: &mut Lowering,
    node: &Node,
    (left, right): (&Constant, &Constant),
    combine: Combine,
) -> Result<(), ImportError> {
    let shape = broadcast_shape(node, &left.shape, &right.shape)?;
    let count = lowering.check_size(node, &shape)?;
    let (mut lefts, mut rights) = (vec![0; count], vec![0; count]);
    broadcast(&left.shape, &shape).for_each(|to, from| lefts[to] = from);
    broadcast(&right.shape, &shape).for_each(|to, from| rights[to] = from);
    let pairs = || lefts.iter().zip(&rights);
    let elements = match (&left.elements, &right.elements) {
        (Elements::Integers(left), Elements::Integers(right)) => {
            let results = pairs().map(|(&l, &r)| combine.integers(left[l], right[r]));
            let results = results.collect::<Option<Vec<i64>>>();
            Elements::Integers(results.ok_or_else(|| {
                node.shape_error("its result on integer constants is not an integer of 64 bits")
            })?)
        }
        (Elements::Floats(left), Elements::Floats(right)) => {
            let results = pairs().map(|(&l, &r)| combine.floats(left[l], right[r]));
            if combine.is_comparison() {
                Elements::Integers(results.map(|value| value as i64).collect())
            } else {
                Elements::Floats(results.collect())
            }
        }
        // A mixed power has the type of its base; nothing else may be mixed.
        (Elements::Floats(left), Elements::Integers(right)) if combine == Combine::Power => {
            Elements::Floats(pairs().map(|(&l, &r)| combine.floats(left[l], right[r] as f32)).collect())
        }
        _ => return Err(node.shape_error("its constants are of different types")),
    };
    bind(lowering, node, shape, elements)
}

/// Binds a function of each element of a constant.
pub(super) fn mapped(
    lowering: &mut Lowering,
    node: &Node,
    constant: &Constant,
    floats: impl Fn(f32) -> f32,
    integers: impl Fn(i64) -> i64,
) -> Result<(), ImportError> {
    let elements = match &constant.elements {
        Elements::Floats(values) => Elements::Floats(values.iter().map(|&value| floats(value)).collect()),
        Elements::Integers(values) => {
            Elements::Integers(values.iter().map(|&value| integers(value)).collect())
        }
    };
    bind(lowering, node, constant.shape.clone(), elements)
}

fn both(lowering: &mut Lowering, node: &Node, combine: Combine) -> Result<(), ImportError> {
    let (left, right) = (lowering.required(node, 0)?, lowering.required(node, 1)?);
    combined(lowering, node, (&left, &right), combine)
}

pub(super) fn equal(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::Equal)
}

pub(super) fn greater(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::Greater)
}

pub(super) fn greater_or_equal(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::GreaterOrEqual)
}

pub(super) fn less(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::Less)
}

pub(super) fn less_or_equal(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::LessOrEqual)
}

pub(super) fn and(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::And)
}

pub(super) fn or(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    both(lowering, node, Combine::Or)
}

pub(super) fn not(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let constant = lowering.required(node, 0)?;
    constant.integers()?;
    mapped(lowering, node, &constant, |value| value, |value| i64::from(value == 0))
}

/// Where on constants alone.
pub(super) fn choose(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let condition = lowering.required(node, 0)?;
    let (left, right) = (lowering.required(node, 1)?, lowering.required(node, 2)?);
    let shape = broadcast_shape(node, &left.shape, &right.shape)?;
    let shape = broadcast_shape(node, &shape, &condition.shape)?;
    let count = lowering.check_size(node, &shape)?;
    let mut chosen = vec![false; count];
    let conditions = condition.integers()?;
    broadcast(&condition.shape, &shape).for_each(|to, from| chosen[to] = conditions[from] != 0);
    let elements = match (&left.elements, &right.elements) {
        (Elements::Integers(_), Elements::Integers(_)) => Elements::Integers(chosen_from(
            &chosen,
            &shape,
            (&left.shape, left.integers()?),
            (&right.shape, right.integers()?),
        )),
        _ => Elements::Floats(chosen_from(
            &chosen,
            &shape,
            (&left.shape, left.floats()?),
            (&right.shape, right.floats()?),
        )),
    };
    bind(lowering, node, shape, elements)
}

fn chosen_from<T: Copy + Default>(
    chosen: &[bool],
    shape: &[usize],
    left: (&[usize], &[T]),
    right: (&[usize], &[T]),
) -> Vec<T> {
    let mut result = vec![T::default(); chosen.len()];
    for ((own, values), wanted) in [(left, true), (right, false)] {
        broadcast(own, shape).for_each(|to, from| {
            if chosen[to] == wanted {
                result[to] = values[from];
            }
        });
    }
    result
}

pub(super) fn constant_of_shape(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = sizes(node, lowering.required(node, 0)?.integers()?)?;
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let count = count
        .filter(|&count| count <= LARGEST)
        .ok_or_else(|| node.shape_error(format!("its result {shape:?} has more than 2^27 elements")))?;
    let value = match node.attribute("value").and_then(|attribute| attribute.t.as_ref()) {
        Some(tensor) => Constant::from_proto(tensor, &node.name())?.elements,
        None => Elements::Floats(vec![0.0]),
    };
    let elements = match value {
        Elements::Floats(values) => Elements::Floats(vec![values.first().copied().unwrap_or(0.0); count]),
        Elements::Integers(values) => Elements::Integers(vec![values.first().copied().unwrap_or(0); count]),
    };
    bind(lowering, node, shape, elements)
}

pub(super) fn range(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let bound = |index| {
        let constant = lowering.required(node, index)?;
        Ok(match &constant.elements {
            Elements::Floats(values) => (f64::from(values.first().copied().unwrap_or(0.0)), false),
            Elements::Integers(values) => (values.first().copied().unwrap_or(0) as f64, true),
        })
    };
    let ((start, integers), (limit, _), (step, _)): ((f64, bool), (f64, bool), (f64, bool)) =
        (bound(0)?, bound(1)?, bound(2)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() {
        return Err(node.shape_error("its step is 0 or not a number"));
    }
    let shape = vec![count as usize];
    let count = lowering.check_size(node, &shape)?;
    let values = (0..count).map(|at| start + at as f64 * step);
    let elements = match integers {
        true => Elements::Integers(values.map(|value| value as i64).collect()),
        false => Elements::Floats(values.map(|value| value as f32).collect()),
    };
    bind(lowering, node, shape, elements)
}

/// Binds a constant made here.
pub(super) fn bind(
    lowering: &mut Lowering,
    node: &Node,
    shape: Vec<usize>,
    elements: Elements,
) -> Result<(), ImportError> {
    let constant = Constant { name: node.name(), shape, elements };
    lowering.bind(node, Binding::Constant(Rc::new(constant)))
}
