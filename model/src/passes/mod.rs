//! What import simplifies in a float graph: every pass keeps what the graph computes, up to rounding.

mod affine;
mod commute;
mod identity;
mod pointwise;
mod sums;

use crate::float_graph::{FloatGraph, FloatOp, ValueId};
use crate::prune::prune;

/// The graph with chains of linear and of pointwise operations merged, and without what computes nothing.
pub(crate) fn simplify(graph: FloatGraph) -> FloatGraph {
    let passes: [fn(&mut FloatGraph); 5] =
        [sums::merge, identity::remove, affine::fold, pointwise::merge, commute::advance];
    // A second round meets what the first has brought together.
    let mut graph = prune(graph);
    for pass in passes.iter().chain(&passes).chain([&(identity::remove as fn(&mut FloatGraph))]) {
        pass(&mut graph);
        graph = prune(graph);
    }
    graph
}

/// Who makes and who reads each value.
struct Links {
    /// Index of the node that makes it; nothing for the input.
    producers: Vec<Option<usize>>,
    /// How often nodes read it; the graph's output counts once.
    readers: Vec<usize>,
}

impl Links {
    fn of(graph: &FloatGraph) -> Self {
        let mut links =
            Self { producers: vec![None; graph.values.len()], readers: vec![0; graph.values.len()] };
        for (index, node) in graph.nodes.iter().enumerate() {
            links.producers[node.output.0] = Some(index);
            node.op.inputs().iter().for_each(|input| links.readers[input.0] += 1);
        }
        links.readers[graph.output.0] += 1;
        links
    }

    /// The value behind reshapes that nothing else reads: the same elements. The value itself may have other readers.
    fn behind_reshapes(&self, graph: &FloatGraph, mut value: ValueId) -> ValueId {
        while self.readers[value.0] == 1
            && let Some(index) = self.producers[value.0]
            && let FloatOp::Reshape { input } = graph.nodes[index].op
        {
            value = input;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, AccessAxis};
    use crate::convolution::{Convolution, Window};
    use crate::float_graph::{Candidate, FloatMatrix, FloatNode, FloatTerm, FloatValue};
    use crate::function::Function;

    /// A graph of nodes `(operation, shape)` behind an input of that shape; the last one's value is the output.
    fn graph(input: &[usize], nodes: Vec<(FloatOp, Vec<usize>)>) -> FloatGraph {
        let mut values = vec![FloatValue { name: "x".into(), shape: input.to_vec() }];
        let mut list = Vec::new();
        for (index, (op, shape)) in nodes.into_iter().enumerate() {
            values.push(FloatValue { name: format!("v{}", index + 1), shape });
            list.push(FloatNode { name: format!("n{}", index + 1), op, output: ValueId(index + 1) });
        }
        let output = ValueId(values.len() - 1);
        FloatGraph { name: "test".into(), values, nodes: list, input: ValueId(0), output }
    }

    /// Simplifies, checks that the output stays the same on a ramp, and returns how many nodes are left.
    fn simplified(graph: FloatGraph) -> (usize, FloatGraph) {
        let input: Vec<f32> =
            (0..graph.values[0].elements()).map(|at| (at * 7 % 11) as f32 * 0.5 - 2.0).collect();
        let before = graph.run_reference(&input).expect("before").swap_remove(graph.output.0);
        let after = simplify(graph);
        let found = after.run_reference(&input).expect("after").swap_remove(after.output.0);
        assert_eq!(before.len(), found.len());
        for (before, found) in before.iter().zip(&found) {
            assert!((before - found).abs() <= 1e-5 * before.abs().max(1.0), "{before} became {found}");
        }
        (after.nodes.len(), after)
    }

    fn convolution(input: usize, groups: usize, window: Window, weights: (usize, usize)) -> FloatOp {
        let values = (0..weights.0 * weights.1).map(|at| (at % 5) as f32 - 1.5).collect();
        FloatOp::Convolution {
            input: ValueId(input),
            geometry: Convolution { groups, windows: vec![window; 2] },
            weights: FloatMatrix { rows: weights.0, columns: weights.1, values },
            bias: (0..weights.0).map(|row| row as f32 + 0.5).collect(),
        }
    }

    const UNIT: Window = Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    const THREE: Window = Window { kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };

    #[test]
    fn a_scale_of_channels_joins_the_convolution_before_it() {
        let nodes = vec![
            (convolution(0, 1, THREE, (3, 18)), vec![3, 4, 4]),
            (convolution(1, 3, UNIT, (3, 1)), vec![3, 4, 4]),
            (FloatOp::relu(ValueId(2)), vec![3, 4, 4]),
        ];
        let (count, graph) = simplified(graph(&[2, 4, 4], nodes));
        assert_eq!(count, 2);
        assert_eq!(graph.nodes[0].name, "n1");
        assert_eq!(graph.values[graph.nodes[0].output.0].name, "v2");
    }

    #[test]
    fn a_scale_joins_the_convolution_after_it_unless_padding_forbids() {
        let around = |window, size: usize| {
            vec![
                (FloatOp::relu(ValueId(0)), vec![2, 4, 4]),
                (convolution(1, 2, UNIT, (2, 1)), vec![2, 4, 4]),
                (convolution(2, 1, window, (3, 18)), vec![3, size, size]),
            ]
        };
        let open = Window { pad_begin: 0, pad_end: 0, ..THREE };
        assert_eq!(simplified(graph(&[2, 4, 4], around(open, 2))).0, 2);
        assert_eq!(simplified(graph(&[2, 4, 4], around(THREE, 4))).0, 3);
    }

    #[test]
    fn what_another_node_reads_is_not_changed() {
        let nodes = vec![
            (convolution(0, 1, THREE, (2, 18)), vec![2, 4, 4]),
            (convolution(1, 2, UNIT, (2, 1)), vec![2, 4, 4]),
            (FloatOp::relu(ValueId(2)), vec![2, 4, 4]),
            (FloatOp::sum(32, vec![(ValueId(1), 1.0), (ValueId(3), 2.0)], Vec::new()), vec![2, 4, 4]),
        ];
        assert_eq!(simplified(graph(&[2, 4, 4], nodes)).0, 4);
    }

    #[test]
    fn transpositions_cancel() {
        let transpose = |input, (rows, columns): (usize, usize)| {
            let axes = vec![
                AccessAxis { count: columns, output_stride: rows, input_stride: 1 },
                AccessAxis { count: rows, output_stride: 1, input_stride: columns },
            ];
            let access = Access { output_start: 0, input_start: 0, axes };
            FloatOp::Sum {
                terms: vec![FloatTerm { input: ValueId(input), coefficient: 1.0, access }],
                bias: Vec::new(),
            }
        };
        let nodes = vec![
            (transpose(0, (3, 5)), vec![5, 3]),
            (transpose(1, (5, 3)), vec![3, 5]),
            (FloatOp::relu(ValueId(2)), vec![3, 5]),
        ];
        assert_eq!(simplified(graph(&[3, 5], nodes)).0, 1);
    }

    #[test]
    fn functions_of_one_value_are_one_function() {
        let point = |input, function| (FloatOp::Pointwise { input: ValueId(input), function }, vec![6]);
        let sum = |terms, bias: f32| (FloatOp::sum(6, terms, vec![bias; 6]), vec![6]);
        let clamp = Function::Clamp { min: Some(0.0), max: Some(6.0) };
        // x * clamp(x + 3, 0, 6) / 6, as exporters write hard swish.
        let swish = vec![
            sum(vec![(ValueId(0), 1.0)], 3.0),
            point(1, clamp),
            (FloatOp::Multiply { left: ValueId(0), right: ValueId(2) }, vec![6]),
            point(3, Function::Affine { factor: 1.0 / 6.0, shift: 0.0 }),
        ];
        assert_eq!(simplified(graph(&[6], swish)).0, 1);
        let silu = vec![
            point(0, Function::Sigmoid),
            (FloatOp::Multiply { left: ValueId(0), right: ValueId(1) }, vec![6]),
        ];
        let (_, silu) = simplified(graph(&[6], silu));
        let swish = FloatOp::Pointwise { input: ValueId(0), function: Function::Swish { beta: 1.0 } };
        assert_eq!(silu.nodes[0].op, swish);
        let clamps =
            vec![point(0, Function::RELU), point(1, Function::Clamp { min: Some(-1.0), max: Some(2.0) })];
        let (_, clamps) = simplified(graph(&[6], clamps));
        let clamp = Function::Clamp { min: Some(0.0), max: Some(2.0) };
        assert_eq!(clamps.nodes[0].op, FloatOp::Pointwise { input: ValueId(0), function: clamp });
    }

    #[test]
    fn an_increasing_function_moves_before_maxima_of_a_layer() {
        let pieces = |input, stride: usize, count: usize| {
            let access = |input_start| {
                let axes = vec![AccessAxis { count, output_stride: 1, input_stride: stride }];
                Candidate { pieces: vec![(ValueId(input), Access { output_start: 0, input_start, axes })] }
            };
            FloatOp::Maximum { candidates: vec![access(0), access(1)] }
        };
        let nodes = |layer| {
            let last = Function::Clamp { min: Some(0.0), max: None };
            vec![
                (layer, vec![1, 4, 4]),
                (pieces(1, 2, 8), vec![8]),
                (pieces(2, 2, 4), vec![4]),
                (FloatOp::Pointwise { input: ValueId(3), function: last }, vec![4]),
            ]
        };
        let (_, moved) = simplified(graph(&[1, 4, 4], nodes(convolution(0, 1, THREE, (1, 9)))));
        let names: Vec<_> = moved.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["n1", "n4", "n2", "n3"]);
        assert_eq!(moved.values[moved.output.0].name, "v4");
        // Behind a function it would be one more lookup, not one fewer.
        let (_, kept) = simplified(graph(&[1, 4, 4], nodes(FloatOp::relu(ValueId(0)))));
        assert_eq!(kept.nodes.last().map(|node| node.name.as_str()), Some("n4"));
    }

    #[test]
    fn functions_do_not_grow_without_bound() {
        let mut nodes = Vec::new();
        for layer in 0..40 {
            let input = ValueId(2 * layer);
            nodes.push((FloatOp::Pointwise { input, function: Function::Tanh }, vec![3]));
            nodes.push((FloatOp::Multiply { left: input, right: ValueId(2 * layer + 1) }, vec![3]));
        }
        let (count, _) = simplified(graph(&[3], nodes));
        assert!((2..40).contains(&count), "{count}");
    }
}
