//! Functions of functions of one value become one function: one lookup in place of several.

use crate::float_graph::{FloatGraph, FloatNode, FloatOp, FloatTerm, ValueId};
use crate::function::Function;

/// The most parts that a merged function may have.
const MOST_PARTS: usize = 64;

/// A value as a function of another.
#[derive(Clone)]
struct Expression {
    of: ValueId,
    function: Function,
}

/// Two ways to see a value.
#[derive(Clone)]
struct Views {
    /// As a function of the first value that it is a function of.
    whole: Expression,
    /// The same without scales and shifts at the beginning: those stay sums, which cost nothing where an accumulator is.
    short: Expression,
}

/// Writes each pointwise operation, product and sum that is a function of one value as that function.
pub(super) fn merge(graph: &mut FloatGraph) {
    let mut views: Vec<Views> = (0..graph.values.len()).map(|id| itself(ValueId(id))).collect();
    for index in 0..graph.nodes.len() {
        let (seen, op) = view(graph, &views, &graph.nodes[index]);
        views[graph.nodes[index].output.0] = seen;
        if let Some(op) = op {
            graph.nodes[index].op = op;
        }
    }
}

fn itself(value: ValueId) -> Views {
    let expression = Expression { of: value, function: scale(1.0, 0.0) };
    Views { whole: expression.clone(), short: expression }
}

fn scale(factor: f32, shift: f32) -> Function {
    Function::Affine { factor, shift }
}

/// How a node's result is seen, and the operation that it becomes, if another.
fn view(graph: &FloatGraph, views: &[Views], node: &FloatNode) -> (Views, Option<FloatOp>) {
    let elements = graph.values[node.output.0].elements();
    let unchanged = || (itself(node.output), None);
    match &node.op {
        FloatOp::Reshape { input } => (views[input.0].clone(), None),
        FloatOp::Pointwise { input, function } => {
            let Views { whole, short } = &views[input.0];
            let whole = Expression { of: whole.of, function: chained(&whole.function, function) };
            let short = match short.function {
                Function::Affine { .. } => {
                    Expression { of: *input, function: chained(&scale(1.0, 0.0), function) }
                }
                _ => Expression { of: short.of, function: chained(&short.function, function) },
            };
            if parts(&whole.function) > MOST_PARTS {
                return unchanged();
            }
            let op = FloatOp::Pointwise { input: short.of, function: short.function.clone() };
            (Views { whole, short }, Some(op))
        }
        FloatOp::Multiply { left, right } => {
            let (left, right) = (&views[left.0].whole, &views[right.0].whole);
            let function = product(&left.function, &right.function);
            if left.of != right.of || parts(&function) > MOST_PARTS {
                return unchanged();
            }
            replaced(left.of, function)
        }
        FloatOp::Sum { terms, bias } => match total(graph, views, (terms, bias), elements) {
            Some(Expression { of, function: function @ Function::Affine { .. } }) => {
                let whole = Expression { of, function };
                (Views { short: itself(node.output).short, whole }, None)
            }
            Some(Expression { of, function }) if terms.len() > 1 => replaced(of, function),
            // A scaled or shifted function stays a sum, which a linear operation may take in.
            Some(whole) => (Views { short: whole.clone(), whole }, None),
            None => unchanged(),
        },
        _ => unchanged(),
    }
}

fn replaced(of: ValueId, function: Function) -> (Views, Option<FloatOp>) {
    let expression = Expression { of, function: function.clone() };
    (Views { whole: expression.clone(), short: expression }, Some(FloatOp::Pointwise { input: of, function }))
}

/// A sum of functions of one value with one bias for all elements.
fn total(
    graph: &FloatGraph,
    views: &[Views],
    (terms, bias): (&[FloatTerm], &[f32]),
    elements: usize,
) -> Option<Expression> {
    let shift = bias.first().copied().unwrap_or(0.0);
    bias.iter().all(|&bias| bias == shift).then_some(())?;
    let whole = |term: &FloatTerm| {
        graph.values[term.input.0].elements() == elements && term.access.is_identity(elements)
    };
    terms.iter().all(whole).then_some(())?;
    let of = views[terms.first()?.input.0].whole.of;
    let (mut slope, mut constant, mut functions) = (0.0f32, shift, Vec::new());
    for term in terms {
        let expression = &views[term.input.0].whole;
        (expression.of == of).then_some(())?;
        match chained(&expression.function, &scale(term.coefficient, 0.0)) {
            Function::Affine { factor, shift } => {
                slope += factor;
                constant += shift;
            }
            function => functions.push(function),
        }
    }
    let function = match (functions.as_slice(), slope == 0.0) {
        ([], _) => scale(slope, constant),
        ([only], true) => chained(only, &scale(1.0, constant)),
        _ => {
            functions.push(scale(slope, constant));
            Function::Total(functions)
        }
    };
    (parts(&function) <= MOST_PARTS).then_some(Expression { of, function })
}

/// `second` after `first`.
fn chained(first: &Function, second: &Function) -> Function {
    let mut list: Vec<Function> = Vec::new();
    for function in [first, second] {
        let functions = match function {
            Function::Chain(functions) => functions.as_slice(),
            one => std::slice::from_ref(one),
        };
        for function in functions {
            push(&mut list, function);
        }
    }
    match list.len() {
        0 => scale(1.0, 0.0),
        1 => list.swap_remove(0),
        _ => Function::Chain(list),
    }
}

/// Appends a function to a chain, merged with the last one where both are of a kind.
fn push(list: &mut Vec<Function>, function: &Function) {
    match (list.last_mut(), function) {
        (_, Function::Affine { factor: 1.0, shift: 0.0 } | Function::Clamp { min: None, max: None }) => {}
        (Some(Function::Affine { factor: inner, shift: offset }), Function::Affine { factor, shift }) => {
            *offset = *offset * factor + shift;
            *inner *= factor;
        }
        (
            Some(Function::Clamp { min: inner_min, max: inner_max }),
            Function::Clamp { min: outer_min, max: outer_max },
        ) => {
            // The bounds are the inner ones clamped by the outer.
            let outer = |value: f32| {
                value.min(outer_max.unwrap_or(f32::INFINITY)).max(outer_min.unwrap_or(f32::NEG_INFINITY))
            };
            let finite = |value: f32| value.is_finite().then_some(value);
            *inner_min = finite(outer(inner_min.unwrap_or(f32::NEG_INFINITY)));
            *inner_max = finite(outer(inner_max.unwrap_or(f32::INFINITY)));
        }
        _ => list.push(function.clone()),
    }
}

fn product(left: &Function, right: &Function) -> Function {
    let swish = |one: &Function, other: &Function| {
        matches!(one, Function::Affine { factor: 1.0, shift: 0.0 }).then_some(())?;
        match other {
            Function::Sigmoid => Some(Function::Swish { beta: 1.0 }),
            Function::Chain(chain) => match chain.as_slice() {
                [Function::Affine { factor, shift: 0.0 }, Function::Sigmoid] => {
                    Some(Function::Swish { beta: *factor })
                }
                _ => None,
            },
            _ => None,
        }
    };
    let general = || Function::Product(Box::new(left.clone()), Box::new(right.clone()));
    swish(left, right).or_else(|| swish(right, left)).unwrap_or_else(general)
}

fn parts(function: &Function) -> usize {
    match function {
        Function::Chain(functions) | Function::Total(functions) => {
            functions.iter().map(parts).sum::<usize>() + 1
        }
        Function::Product(left, right) => parts(left) + parts(right) + 1,
        _ => 1,
    }
}
