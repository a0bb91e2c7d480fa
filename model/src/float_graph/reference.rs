//! The definition of every operation, computed in 64-bit floats: slow, and what the fast executor is checked against.

use super::{FloatGraph, FloatGraphError, FloatMatrix, FloatNode, FloatOp, FloatTerm};
use crate::convolution::Convolution;

impl FloatGraph {
    /// Computes every value as [`Self::run`] does, slowly: sums are accumulated in 64-bit floats and rounded once.
    ///
    /// # Errors
    /// [`FloatGraphError`]: wrong number of input elements, a malformed graph.
    pub fn run_reference(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, FloatGraphError> {
        self.check_structure()?;
        let expected = &self.values[self.input.0];
        if input.len() != expected.elements() {
            let expected_shape = expected.shape.clone();
            let expected = expected.elements();
            return Err(FloatGraphError::InputLength { expected_shape, expected, found: input.len() });
        }
        let mut values = vec![Vec::new(); self.values.len()];
        values[self.input.0] = input.to_vec();
        for node in &self.nodes {
            values[node.output.0] = self.evaluate(node, &values);
        }
        Ok(values)
    }

    /// One node's result from all values before it.
    pub(super) fn evaluate(&self, node: &FloatNode, values: &[Vec<f32>]) -> Vec<f32> {
        let elements = self.values[node.output.0].elements();
        match &node.op {
            FloatOp::Linear { input, weights, bias } => {
                let positions = values[input.0].chunks_exact(weights.columns);
                positions.flat_map(|position| linear(position, weights, bias)).collect()
            }
            FloatOp::Convolution { input, geometry, weights, bias } => {
                convolve(&self.values[input.0].shape, &values[input.0], (geometry, weights, bias))
            }
            FloatOp::Sum { terms, bias } => {
                let mut sum = vec![0.0f64; elements];
                sum.iter_mut().zip(bias).for_each(|(element, &bias)| *element = f64::from(bias));
                for FloatTerm { input, coefficient, access } in terms {
                    let (input, coefficient) = (&values[input.0], f64::from(*coefficient));
                    access.for_each(|to, from| sum[to] += coefficient * f64::from(input[from]));
                }
                sum.into_iter().map(|element| element as f32).collect()
            }
            FloatOp::Maximum { candidates } => {
                let mut greatest = vec![f32::NEG_INFINITY; elements];
                for (input, access) in candidates.iter().flat_map(|candidate| &candidate.pieces) {
                    let input = &values[input.0];
                    access.for_each(|to, from| greatest[to] = greatest[to].max(input[from]));
                }
                greatest
            }
            FloatOp::Multiply { left, right } => {
                values[left.0].iter().zip(&values[right.0]).map(|(left, right)| left * right).collect()
            }
            FloatOp::Pointwise { input, function } => {
                values[input.0].iter().map(|&value| function.apply(f64::from(value)) as f32).collect()
            }
            FloatOp::ArgMax { input, length, inner, last } => {
                arg_max(&values[input.0], (*length, *inner), *last)
            }
            FloatOp::Reshape { input } => values[input.0].clone(),
        }
    }
}

fn convolve(
    shape: &[usize],
    input: &[f32],
    (geometry, weights, bias): (&Convolution, &FloatMatrix, &[f32]),
) -> Vec<f32> {
    let (channels, spatial) = (shape[0], &shape[1..]);
    let per_group = (channels / geometry.groups, weights.rows / geometry.groups);
    let plane: usize = spatial.iter().product();
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    let outputs: usize = geometry
        .windows
        .iter()
        .zip(spatial)
        .map(|(window, &size)| window.outputs(size).unwrap_or(0))
        .product();
    let mut result = Vec::with_capacity(outputs * weights.rows);
    for (row, &bias) in bias.iter().enumerate() {
        let mut sums = vec![f64::from(bias); outputs];
        for (column, &weight) in weights.row(row).iter().enumerate() {
            let channel = row / per_group.1 * per_group.0 + column / kernel;
            let input = &input[channel * plane..][..plane];
            let weight = f64::from(weight);
            geometry
                .tap(column % kernel, spatial)
                .for_each(|to, from| sums[to] += weight * f64::from(input[from]));
        }
        result.extend(sums.into_iter().map(|sum| sum as f32));
    }
    result
}

fn arg_max(input: &[f32], (length, inner): (usize, usize), last: bool) -> Vec<f32> {
    let group = |group: &[f32]| {
        let index = |position: usize| {
            let better = |best: usize, index: usize| {
                let (best_value, value) = (group[best * inner + position], group[index * inner + position]);
                if value > best_value || (last && value == best_value) { index } else { best }
            };
            (1..length).fold(0, better) as f32
        };
        (0..inner).map(index).collect::<Vec<f32>>()
    };
    input.chunks_exact(length * inner).flat_map(group).collect()
}

fn linear(position: &[f32], weights: &FloatMatrix, bias: &[f32]) -> Vec<f32> {
    let row = |(row, &bias): (usize, &f32)| {
        let products = weights.row(row).iter().zip(position).map(|(&w, &x)| f64::from(w) * f64::from(x));
        (products.sum::<f64>() + f64::from(bias)) as f32
    };
    bias.iter().enumerate().map(row).collect()
}
