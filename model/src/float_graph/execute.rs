//! The executor that calibration runs: products in blocks of 32-bit floats, values dropped after their last reader.

use super::{FloatGraph, FloatGraphError, FloatNode, FloatOp, ValueId, multiply};
use crate::function::Function;

impl FloatGraph {
    /// Computes every value from the input's elements (row-major, without batch): `result[id.0]` are the
    /// elements of value `id`. Products are accumulated in blocks of 32-bit floats; [`Self::run_reference`] is more exact.
    ///
    /// # Errors
    /// [`FloatGraphError`]: wrong number of input elements, a malformed graph.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, FloatGraphError> {
        let mut all = vec![Vec::new(); self.values.len()];
        self.run_with(input, |id, elements| all[id.0] = elements.to_vec())?;
        Ok(all)
    }

    /// Calls `visit` with each value once, the input first, in the order in which they are computed. A value is dropped when
    /// no later node reads it, so that a large network needs the memory of its widest part only.
    ///
    /// # Errors
    /// [`FloatGraphError`]: wrong number of input elements, a malformed graph.
    pub fn run_with(
        &self,
        input: &[f32],
        mut visit: impl FnMut(ValueId, &[f32]),
    ) -> Result<(), FloatGraphError> {
        self.check_structure()?;
        let expected = &self.values[self.input.0];
        if input.len() != expected.elements() {
            let expected_shape = expected.shape.clone();
            let expected = expected.elements();
            return Err(FloatGraphError::InputLength { expected_shape, expected, found: input.len() });
        }
        let mut last_reader = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.op.inputs().iter().for_each(|read| last_reader[read.0] = Some(index));
        }
        let mut values = vec![Vec::new(); self.values.len()];
        visit(self.input, input);
        values[self.input.0] = input.to_vec();
        for (index, node) in self.nodes.iter().enumerate() {
            let result = self.execute(node, &values);
            visit(node.output, &result);
            for read in node.op.inputs().iter().filter(|read| last_reader[read.0] == Some(index)) {
                values[read.0] = Vec::new();
            }
            if last_reader[node.output.0].is_some() {
                values[node.output.0] = result;
            }
        }
        Ok(())
    }

    fn execute(&self, node: &FloatNode, values: &[Vec<f32>]) -> Vec<f32> {
        match &node.op {
            FloatOp::Linear { input, weights, bias } => multiply::linear(&values[input.0], weights, bias),
            FloatOp::Convolution { input, geometry, weights, bias } => {
                multiply::convolve(&self.values[input.0].shape, &values[input.0], geometry, (weights, bias))
            }
            FloatOp::Pointwise { input, function: Function::Clamp { min, max } } => {
                let (min, max) = (min.unwrap_or(f32::NEG_INFINITY), max.unwrap_or(f32::INFINITY));
                // Not-a-number must stay visible to calibration.
                let clamp = |&value: &f32| if value.is_nan() { value } else { value.min(max).max(min) };
                values[input.0].iter().map(clamp).collect()
            }
            _ => self.evaluate(node, values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::{Convolution, Window};
    use crate::float_graph::{FloatMatrix, FloatValue};
    use rand::{RngExt, SeedableRng};

    fn compare(shape: &[usize], op: FloatOp, output: Vec<usize>, random: &mut rand_chacha::ChaCha8Rng) {
        let values = vec![
            FloatValue { name: "x".into(), shape: shape.to_vec() },
            FloatValue { name: "y".into(), shape: output },
        ];
        let nodes = vec![FloatNode { name: "n".into(), op, output: ValueId(1) }];
        let (input, output) = (ValueId(0), ValueId(1));
        let graph = FloatGraph { name: "test".into(), values, nodes, input, output };
        let input: Vec<f32> =
            (0..graph.values[0].elements()).map(|_| random.random_range(-1.0..1.0)).collect();
        let (slow, fast) = (graph.run_reference(&input).expect("slow"), graph.run(&input).expect("fast"));
        assert_eq!(slow[1].len(), fast[1].len());
        for (at, (slow, fast)) in slow[1].iter().zip(&fast[1]).enumerate() {
            assert!((slow - fast).abs() <= 1e-4 * slow.abs().max(1.0), "{slow} is {fast} at {at}: {graph:?}");
        }
    }

    fn matrix(rows: usize, columns: usize, random: &mut rand_chacha::ChaCha8Rng) -> (FloatMatrix, Vec<f32>) {
        let mut values = |count| (0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
        (FloatMatrix { rows, columns, values: values(rows * columns) }, values(rows))
    }

    #[test]
    fn fast_convolutions_are_the_slow_ones() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let window = |kernel, stride, dilation, pad_begin, pad_end| Window {
            kernel,
            stride,
            dilation,
            pad_begin,
            pad_end,
        };
        let cases = [
            (vec![1, 1, 1], 1, 5, vec![window(1, 1, 1, 0, 0); 2]),
            (vec![3, 13, 11], 1, 7, vec![window(3, 2, 1, 1, 1), window(3, 1, 2, 2, 1)]),
            (vec![8, 9, 9], 8, 8, vec![window(3, 1, 1, 1, 1); 2]),
            (vec![8, 9, 9], 2, 12, vec![window(3, 5, 1, 0, 2), window(1, 3, 1, 0, 0)]),
            (vec![4, 37], 1, 6, vec![window(5, 1, 1, 4, 0)]),
            (vec![300, 5, 5], 1, 9, vec![window(2, 1, 1, 0, 0); 2]),
            (vec![2, 4, 5, 3], 1, 4, vec![window(2, 1, 1, 1, 1); 3]),
            (vec![6], 6, 6, vec![]),
            (vec![2, 70, 70], 1, 4, vec![window(3, 1, 1, 1, 1); 2]),
        ];
        for (shape, groups, rows, windows) in cases {
            let geometry = Convolution { groups, windows };
            let output = geometry.output_shape(&shape, rows).expect("a shape that fits");
            let (weights, bias) = matrix(rows, geometry.columns(shape[0]), &mut random);
            let op = FloatOp::Convolution { input: ValueId(0), geometry, weights, bias };
            compare(&shape, op, output, &mut random);
        }
    }

    #[test]
    fn fast_products_are_the_slow_ones() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        for (positions, columns, rows) in [(1, 1, 1), (1, 1031, 5), (7, 33, 12)] {
            let (weights, bias) = matrix(rows, columns, &mut random);
            let op = FloatOp::Linear { input: ValueId(0), weights, bias };
            compare(&[positions, columns], op, vec![positions, rows], &mut random);
        }
    }

    #[test]
    fn every_value_is_visited_once_and_not_a_number_stays() {
        let identity = FloatMatrix { rows: 2, columns: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
        let layers = vec![(identity.clone(), vec![0.0; 2]), (identity, vec![1.0; 2])];
        let graph = FloatGraph::dense("test", layers).expect("a graph");
        let mut seen = Vec::new();
        graph.run_with(&[2.0, -3.0], |id, values| seen.push((id.0, values.to_vec()))).expect("run");
        let expected = [(0, vec![2.0, -3.0]), (1, vec![2.0, -3.0]), (2, vec![2.0, 0.0]), (3, vec![3.0, 1.0])];
        assert_eq!(seen, expected);
        let values = graph.run(&[f32::NAN, 0.0]).expect("run");
        assert!(values[2][0].is_nan());
        assert!(graph.run_with(&[0.0], |_, _| ()).is_err());
    }
}
