//! Linear layers: weights as integers, residual sums fused with the convolutions that they read.

use super::{Emitter, integers, too_large};
use crate::convolution::{Convolution, Window};
use crate::float_graph::{FloatMatrix, FloatNode, FloatOp, FloatTerm, ValueId};
use crate::integer_graph::{Contraction, IntegerOp, Product, WeightMatrix};
use crate::quantise::QuantiseError;
use crate::quantise::weights::{multiplier, quantise_row};

/// A product in real numbers.
struct FloatProduct<'a> {
    input: ValueId,
    contraction: Contraction,
    weights: &'a FloatMatrix,
    /// Multiplies all weights.
    factor: f64,
}

impl Emitter<'_> {
    /// A linear layer or a convolution on its own.
    pub(super) fn linear(&mut self, node: &FloatNode) -> Result<(), QuantiseError> {
        let Some((product, bias)) = float_product(&node.op, 1.0, false) else { return Ok(()) };
        let bias: Vec<f64> = bias.iter().map(|&value| f64::from(value)).collect();
        self.products(node, (&[product], &[]), bias)
    }

    /// A residual sum: the fused terms' products, and a product with one weight for each channel for the others.
    pub(super) fn residual(
        &mut self,
        node: &FloatNode,
        (terms, bias): (&[FloatTerm], &[f32]),
        fused: &[bool],
    ) -> Result<(), QuantiseError> {
        let shape = &self.source.values[node.output.0].shape;
        let (channels, plane) = (shape[0], shape[1..].iter().product::<usize>().max(1));
        let mut total: Vec<f64> = if bias.is_empty() {
            vec![0.0; channels]
        } else {
            bias.iter().step_by(plane).map(|&value| f64::from(value)).collect()
        };
        let (mut products, mut skips) = (Vec::new(), Vec::new());
        let source = self.source;
        for (term, &fused) in terms.iter().zip(fused) {
            let factor = f64::from(term.coefficient);
            let producer = source.nodes.iter().find(|node| fused && node.output == term.input);
            match producer.and_then(|node| float_product(&node.op, factor, true)) {
                Some((product, bias)) => {
                    let biases = total.iter_mut().zip(bias);
                    biases.for_each(|(total, &bias)| *total += factor * f64::from(bias));
                    products.push(product);
                }
                None => skips.push((term.input, factor)),
            }
        }
        self.products(node, (&products, &skips), total)
    }

    /// One linear layer from products with weights and from skip connections, which are multiplied by a factor.
    fn products(
        &mut self,
        node: &FloatNode,
        (products, skips): (&[FloatProduct], &[(ValueId, f64)]),
        mut bias: Vec<f64>,
    ) -> Result<(), QuantiseError> {
        let unit = self.unit(node.output);
        let mut made = Vec::with_capacity(products.len() + skips.len());
        for product in products {
            made.push(self.product(node, product, unit, &mut bias)?);
        }
        for &(value, factor) in skips {
            let input = self.activation(value)?;
            let scale = self.tensors[input.0].scale;
            let shape = &self.source.values[node.output.0].shape;
            let coefficient = integers(node, "coefficient", std::iter::once(factor * scale), unit)?[0];
            if self.correct_bias {
                let error = coefficient as f64 * unit / scale - factor;
                let means = self.statistics[value.0].channels.iter();
                bias.iter_mut().zip(means).for_each(|(bias, mean)| *bias -= error * mean);
            }
            let point = Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
            let geometry = Convolution { groups: shape[0], windows: vec![point; shape.len() - 1] };
            let weights = WeightMatrix { rows: shape[0], columns: 1, values: vec![1; shape[0]] };
            let (contraction, multipliers) =
                (Contraction::Convolution(geometry), vec![coefficient; shape[0]]);
            made.push(Product { input, contraction, weights, multipliers });
        }
        let bias = integers(node, "bias", bias.into_iter(), unit)?;
        self.accumulator(node, IntegerOp::Linear { products: made, bias }, unit)?;
        Ok(())
    }

    /// Quantises a product's weights; the mean error that rounding them makes over the calibration set goes to the bias.
    fn product(
        &mut self,
        node: &FloatNode,
        product: &FloatProduct,
        unit: f64,
        bias: &mut [f64],
    ) -> Result<Product, QuantiseError> {
        let refined = self.plan.refinement > 0 && self.plan.origins[self.source.output.0] == node.output.0;
        let input = if refined { self.activation(product.input)? } else { self.narrow(node, product.input)? };
        let weight_unit = unit / self.tensors[input.0].scale;
        let FloatMatrix { rows, columns, .. } = *product.weights;
        let mut multipliers = Vec::with_capacity(rows);
        let mut values = Vec::with_capacity(product.weights.values.len());
        let means = if self.correct_bias { self.column_means(product) } else { Vec::new() };
        for (row, bias) in bias.iter_mut().enumerate() {
            let floats: Vec<f32> =
                product.weights.row(row).iter().map(|&w| (f64::from(w) * product.factor) as f32).collect();
            let largest = floats.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
            let multiplier = multiplier(&floats, weight_unit)
                .ok_or_else(|| too_large(node, row, "weight", f64::from(largest)))?;
            multipliers.push(multiplier);
            values.extend(quantise_row(&floats, weight_unit, multiplier));
            if let Some(means) = row_of(&means, (row, rows), product.contraction.groups(), columns) {
                let quantised = values[row * columns..].iter().zip(&floats).zip(means);
                let step = weight_unit * multiplier as f64;
                let errors =
                    quantised.map(|((&w, &float), mean)| (f64::from(w) * step - f64::from(float)) * mean);
                *bias -= errors.sum::<f64>();
            }
        }
        let weights = WeightMatrix { rows, columns, values };
        Ok(Product { input, contraction: product.contraction.clone(), weights, multipliers })
    }

    /// The mean, over samples and positions, of what each column of a product meets, for one group after the other; padding
    /// counts as the zeros that it is. Empty if it is not known.
    fn column_means(&self, product: &FloatProduct) -> Vec<f64> {
        let statistics = &self.statistics[product.input.0];
        let Contraction::Convolution(geometry) = &product.contraction else {
            return statistics.features.clone();
        };
        let spatial = self.source.values[product.input.0].shape.get(1..).unwrap_or(&[]);
        let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
        let sizes = geometry.windows.iter().zip(spatial);
        let outputs: usize = sizes.map(|(window, &size)| window.outputs(size).unwrap_or(0)).product();
        let inside = |offset| geometry.tap(offset, spatial).pairs() as f64 / outputs.max(1) as f64;
        let inside: Vec<f64> = (0..kernel).map(inside).collect();
        let channels = statistics.channels.iter();
        channels.flat_map(|mean| inside.iter().map(move |inside| mean * inside)).collect()
    }
}

/// The means that meet a row: those of its group.
fn row_of(means: &[f64], (row, rows): (usize, usize), groups: usize, columns: usize) -> Option<&[f64]> {
    let group = row / (rows / groups).max(1);
    means.get(group * columns..(group + 1) * columns)
}

/// The product that an operation is, and its bias; a linear layer of a vector as a convolution if `windows` says so.
fn float_product(op: &FloatOp, factor: f64, windows: bool) -> Option<(FloatProduct<'_>, &[f32])> {
    match op {
        FloatOp::Convolution { input, geometry, weights, bias } => {
            let contraction = Contraction::Convolution(geometry.clone());
            Some((FloatProduct { input: *input, contraction, weights, factor }, bias))
        }
        FloatOp::Linear { input, weights, bias } => {
            let vector = Convolution { groups: 1, windows: Vec::new() };
            let contraction = if windows { Contraction::Convolution(vector) } else { Contraction::Dense };
            Some((FloatProduct { input: *input, contraction, weights, factor }, bias))
        }
        _ => None,
    }
}
