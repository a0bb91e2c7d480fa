//! Linear layers, convolutions and indices of maxima.

use super::encode::Attribute;
use super::{Tensor, Writer, batched};
use crate::convolution::{Convolution, Window};
use crate::float_graph::{FloatMatrix, ValueId};

/// Element type that indices are turned into.
const FLOAT: i64 = 1;

impl Writer<'_> {
    /// Gemm for one vector, MatMul and Add for several.
    pub(super) fn linear(
        &mut self,
        input: ValueId,
        (weights, bias): (&FloatMatrix, &[f32]),
        output: ValueId,
    ) -> Tensor {
        let (rows, columns) = (weights.rows, weights.columns);
        let (own, target) = (self.shape(input), self.shape(output));
        let positions = own.iter().product::<usize>() / columns;
        let tensor = self.tensor(input);
        if positions == 1 {
            let vector = self.reshaped(tensor, vec![1, columns]);
            let matrix = self.floats("weight", &[rows, columns], &weights.values);
            let bias = self.floats("bias", &[rows], bias);
            let attributes = vec![("transB", Attribute::Int(1))];
            return self.push("Gemm", &[&vector.name, &matrix, &bias], attributes, vec![1, rows]);
        }
        // The last axis is the one that is multiplied; where the graph sees another, it is viewed as a list of vectors.
        let along = |shape: &[usize], last: usize| match shape.split_last() {
            Some((&size, rest)) if size == last => Some(rest.to_vec()),
            _ => None,
        };
        let rest = match (along(own, columns), along(target, rows)) {
            (Some(before), Some(after)) if before == after => before,
            _ => vec![positions],
        };
        let vectors = self.reshaped(tensor, batched(&[rest.as_slice(), &[columns]].concat()));
        let transposed: Vec<f32> = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| weights.values[row * columns + column]))
            .collect();
        let matrix = self.floats("weight", &[columns, rows], &transposed);
        let shape = batched(&[rest.as_slice(), &[rows]].concat());
        let product = self.push("MatMul", &[&vectors.name, &matrix], Vec::new(), shape.clone());
        if bias.iter().all(|&bias| bias == 0.0) {
            return product;
        }
        let bias = self.floats("bias", &[rows], bias);
        self.push("Add", &[&product.name, &bias], Vec::new(), shape)
    }

    /// Conv; Mul and Add for what only scales channels.
    pub(super) fn convolution(
        &mut self,
        input: ValueId,
        geometry: &Convolution,
        (weights, bias): (&FloatMatrix, &[f32]),
    ) -> Tensor {
        let unit = Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
        let own = self.shape(input);
        let channels = own[0];
        let scales = geometry.groups == channels && weights.rows == channels;
        if scales && geometry.windows.iter().all(|window| *window == unit) {
            return self.scale(input, &weights.values, bias);
        }
        // ONNX knows no convolution without spatial axes: one of length 1 stands in.
        let (windows, spatial) = match geometry.windows.as_slice() {
            [] => (vec![unit], vec![1]),
            windows => (windows.to_vec(), own[1..].to_vec()),
        };
        let tensor = self.tensor(input);
        let image = self.reshaped(tensor, batched(&[&[channels], spatial.as_slice()].concat()));
        let kernel: Vec<usize> = windows.iter().map(|window| window.kernel).collect();
        let shape = [&[weights.rows, channels / geometry.groups], kernel.as_slice()].concat();
        let filters = self.floats("weight", &shape, &weights.values);
        let bias = self.floats("bias", &[weights.rows], bias);
        let outputs = windows.iter().zip(&spatial).map(|(window, &size)| window.outputs(size).unwrap_or(0));
        let result: Vec<usize> = [1, weights.rows].into_iter().chain(outputs).collect();
        let mut attributes = slide(&windows);
        attributes.push(("dilations", list(windows.iter().map(|window| window.dilation))));
        attributes.push(("group", Attribute::Int(geometry.groups as i64)));
        self.push("Conv", &[&image.name, &filters, &bias], attributes, result)
    }

    fn scale(&mut self, input: ValueId, factors: &[f32], shifts: &[f32]) -> Tensor {
        let tensor = self.tensor(input);
        let mut shape = vec![1; tensor.shape.len() - 1];
        shape[0] = factors.len();
        let factor = self.floats("scale", &shape, factors);
        let scaled = self.push("Mul", &[&tensor.name, &factor], Vec::new(), tensor.shape);
        if shifts.iter().all(|&shift| shift == 0.0) {
            return scaled;
        }
        let shift = self.floats("shift", &shape, shifts);
        self.push("Add", &[&scaled.name, &shift], Vec::new(), scaled.shape)
    }

    /// ArgMax over the middle axis; its indices become floats, as the graph has them.
    pub(super) fn arg_max(&mut self, input: ValueId, (length, inner): (usize, usize), last: bool) -> Tensor {
        let tensor = self.tensor(input);
        let outer = tensor.shape.iter().product::<usize>() / (length * inner);
        let viewed = self.reshaped(tensor, vec![1, outer, length, inner]);
        let attributes = vec![
            ("axis", Attribute::Int(2)),
            ("keepdims", Attribute::Int(0)),
            ("select_last_index", Attribute::Int(i64::from(last))),
        ];
        let index = self.push("ArgMax", &[&viewed.name], attributes, vec![1, outer, inner]);
        self.push("Cast", &[&index.name], vec![("to", Attribute::Int(FLOAT))], index.shape)
    }
}

/// An attribute that lists sizes.
pub(super) fn list(values: impl Iterator<Item = usize>) -> Attribute {
    Attribute::Ints(values.map(|value| value as i64).collect())
}

/// What convolutions and pools say alike about their windows.
pub(super) fn slide(windows: &[Window]) -> Vec<(&'static str, Attribute)> {
    let pads = windows.iter().map(|window| window.pad_begin);
    let pads = pads.chain(windows.iter().map(|window| window.pad_end));
    vec![
        ("kernel_shape", list(windows.iter().map(|window| window.kernel))),
        ("strides", list(windows.iter().map(|window| window.stride))),
        ("pads", list(pads)),
    ]
}
