//! Builds small float networks layer by layer.
#![allow(dead_code, reason = "each test file uses another part")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::convolution::{Convolution, Window};
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{
    Candidate, FloatGraph, FloatMatrix, FloatNode, FloatOp, FloatTerm, FloatValue, ValueId,
};
use zkloom_model::function::Function;

pub struct Network {
    pub graph: FloatGraph,
    pub random: ChaCha8Rng,
}

pub fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel, stride, dilation: 1, pad_begin: padding, pad_end: padding }
}

impl Network {
    pub fn new(seed: u64, input: &[usize]) -> Self {
        let values = vec![FloatValue { name: "x".into(), shape: input.to_vec() }];
        let (name, nodes) = ("network".into(), Vec::new());
        let graph = FloatGraph { name, values, nodes, input: ValueId(0), output: ValueId(0) };
        Self { graph, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub fn shape(&self, value: ValueId) -> Vec<usize> {
        self.graph.values[value.0].shape.clone()
    }

    pub fn elements(&self, value: ValueId) -> usize {
        self.graph.values[value.0].elements()
    }

    pub fn push(&mut self, name: &str, shape: Vec<usize>, op: FloatOp) -> ValueId {
        let output = ValueId(self.graph.values.len());
        self.graph.values.push(FloatValue { name: format!("{name}_out"), shape });
        self.graph.nodes.push(FloatNode { name: name.into(), op, output });
        self.graph.output = output;
        output
    }

    fn weights(&mut self, rows: usize, columns: usize) -> FloatMatrix {
        let bound = (6.0 / columns as f32).sqrt();
        let values = (0..rows * columns).map(|_| self.random.random_range(-bound..bound)).collect();
        FloatMatrix { rows, columns, values }
    }

    fn bias(&mut self, rows: usize) -> Vec<f32> {
        (0..rows).map(|_| self.random.random_range(-0.1..0.1)).collect()
    }

    pub fn convolution(
        &mut self,
        name: &str,
        input: ValueId,
        (rows, groups): (usize, usize),
        window: Window,
    ) -> ValueId {
        let shape = self.shape(input);
        let geometry = Convolution { groups, windows: vec![window; shape.len() - 1] };
        let output = geometry.output_shape(&shape, rows).expect("shape");
        let (weights, bias) = (self.weights(rows, geometry.columns(shape[0])), self.bias(rows));
        self.push(name, output, FloatOp::Convolution { input, geometry, weights, bias })
    }

    pub fn dense(&mut self, name: &str, input: ValueId, rows: usize) -> ValueId {
        let columns = self.elements(input);
        let (weights, bias) = (self.weights(rows, columns), self.bias(rows));
        self.push(name, vec![rows], FloatOp::Linear { input, weights, bias })
    }

    pub fn pointwise(&mut self, name: &str, input: ValueId, function: Function) -> ValueId {
        let shape = self.shape(input);
        self.push(name, shape, FloatOp::Pointwise { input, function })
    }

    pub fn relu(&mut self, name: &str, input: ValueId) -> ValueId {
        self.pointwise(name, input, Function::RELU)
    }

    pub fn add(&mut self, name: &str, terms: &[(ValueId, f32)]) -> ValueId {
        let shape = self.shape(terms[0].0);
        let elements = self.elements(terms[0].0);
        self.push(name, shape, FloatOp::sum(elements, terms.to_vec(), Vec::new()))
    }

    pub fn reshape(&mut self, name: &str, input: ValueId, shape: &[usize]) -> ValueId {
        self.push(name, shape.to_vec(), FloatOp::Reshape { input })
    }

    /// Windows of `[C, H, W]`, one access for each kernel offset.
    fn taps(&self, input: ValueId, window: Window) -> (Vec<usize>, Vec<Access>) {
        let shape = self.shape(input);
        let geometry = Convolution { groups: shape[0], windows: vec![window; 2] };
        let output = geometry.output_shape(&shape, shape[0]).expect("shape");
        let (plane, image) = (output[1] * output[2], shape[1] * shape[2]);
        let tap = |offset| {
            let mut access = geometry.tap(offset, &shape[1..]);
            let channel = AccessAxis { count: shape[0], output_stride: plane, input_stride: image };
            access.axes.insert(0, channel);
            access
        };
        let taps = (0..window.kernel * window.kernel).map(tap).collect();
        (output, taps)
    }

    pub fn max_pool(&mut self, name: &str, input: ValueId, kernel: usize) -> ValueId {
        let (output, taps) = self.taps(input, window(kernel, kernel, 0));
        let candidates = taps.into_iter().map(|access| Candidate { pieces: vec![(input, access)] }).collect();
        self.push(name, output, FloatOp::Maximum { candidates })
    }

    /// An average whose divisor counts what lies inside.
    pub fn average_pool(&mut self, name: &str, input: ValueId, window: Window) -> ValueId {
        let (output, taps) = self.taps(input, window);
        let mut counts = vec![0u32; output.iter().product()];
        taps.iter().for_each(|tap| tap.for_each(|to, _| counts[to] += 1));
        let mut terms = Vec::new();
        for tap in taps {
            // One term for each pair, as divisors differ at the border.
            tap.for_each(|output_start, input_start| {
                let access = Access { output_start, input_start, axes: Vec::new() };
                terms.push(FloatTerm { input, coefficient: 1.0 / counts[output_start] as f32, access });
            });
        }
        self.push(name, output, FloatOp::Sum { terms, bias: Vec::new() })
    }

    pub fn global_average(&mut self, name: &str, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let plane = shape[1] * shape[2];
        let channel = AccessAxis { count: shape[0], output_stride: 1, input_stride: plane };
        let sum = AccessAxis { count: plane, output_stride: 0, input_stride: 1 };
        let access = Access { output_start: 0, input_start: 0, axes: vec![channel, sum] };
        let terms = vec![FloatTerm { input, coefficient: 1.0 / plane as f32, access }];
        self.push(name, vec![shape[0], 1, 1], FloatOp::Sum { terms, bias: Vec::new() })
    }

    /// Concatenation along the channels.
    pub fn concatenate(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        let (mut start, mut shape) = (0, self.shape(inputs[0]));
        shape[0] = 0;
        let mut terms = Vec::new();
        for &input in inputs {
            let access = Access { output_start: start, ..Access::identity(self.elements(input)) };
            terms.push(FloatTerm { input, coefficient: 1.0, access });
            start += self.elements(input);
            shape[0] += self.shape(input)[0];
        }
        self.push(name, shape, FloatOp::Sum { terms, bias: Vec::new() })
    }

    /// `[C, 1, 1]` repeated over the positions of `like`.
    pub fn broadcast(&mut self, name: &str, input: ValueId, like: ValueId) -> ValueId {
        let shape = self.shape(like);
        let plane = shape[1] * shape[2];
        let axes = vec![
            AccessAxis { count: shape[0], output_stride: plane, input_stride: 1 },
            AccessAxis { count: plane, output_stride: 1, input_stride: 0 },
        ];
        let access = Access { output_start: 0, input_start: 0, axes };
        let terms = vec![FloatTerm { input, coefficient: 1.0, access }];
        self.push(name, shape, FloatOp::Sum { terms, bias: Vec::new() })
    }

    /// Samples that vary smoothly over the positions, as images do.
    pub fn images(&mut self, count: usize) -> Dataset {
        let shape = self.shape(ValueId(0));
        let (height, width) = (shape[1] as f32, shape[2] as f32);
        let mut values = Vec::new();
        for _ in 0..count * shape[0] {
            let [a, b, c, d] = std::array::from_fn(|_| self.random.random_range(-1.0f32..1.0));
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    let wave = (4.0 * a * y as f32 / height + 4.0 * b * x as f32 / width + 3.0 * c).sin();
                    values.push(0.5 + 0.4 * d * wave + self.random.random_range(-0.1f32..0.1));
                }
            }
        }
        let all: Vec<usize> = std::iter::once(count).chain(shape).collect();
        Dataset::new(all, values, None).expect("data")
    }
}
