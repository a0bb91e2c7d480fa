//! Random networks of all operations, read in all combinations: integers follow the floats.

mod common;

use common::{Network, window};
use rand::RngExt;
use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::float_graph::{Candidate, FloatOp, FloatTerm, ValueId};
use zkloom_model::function::Function;
use zkloom_model::interval::check_intervals;
use zkloom_model::quantise::{QuantisationOptions, RangePolicy, quantise};

const SHAPE: [usize; 3] = [4, 5, 6];
const ELEMENTS: usize = 120;

/// All values have one shape, so that any can meet any.
struct Random {
    net: Network,
}

impl Random {
    fn pick(&mut self) -> ValueId {
        let count = self.net.graph.values.len();
        ValueId(count - 1 - self.net.random.random_range(0..count.min(4)))
    }

    fn coefficient(&mut self) -> f32 {
        self.net.random.random_range(0.3..1.0) * if self.net.random.random_bool(0.3) { -1.0 } else { 1.0 }
    }

    /// Rows turned by one, and the last one first: two pieces.
    fn turned(&self) -> Vec<Access> {
        let channel = AccessAxis { count: 4, output_stride: 30, input_stride: 30 };
        let most = AccessAxis { count: 24, output_stride: 1, input_stride: 1 };
        let last = AccessAxis { count: 6, output_stride: 1, input_stride: 1 };
        vec![
            Access { output_start: 6, input_start: 0, axes: vec![channel, most] },
            Access { output_start: 0, input_start: 24, axes: vec![channel, last] },
        ]
    }

    fn function(&mut self) -> Function {
        match self.net.random.random_range(0..8) {
            0..3 => Function::RELU,
            3 => Function::Clamp { min: Some(-0.5), max: Some(0.8) },
            4 => Function::Swish { beta: 1.0 },
            5 => Function::Sigmoid,
            6 => Function::LeakyRelu { slope: 0.2 },
            _ => Function::Tanh,
        }
    }

    fn step(&mut self, name: &str) {
        let input = self.pick();
        match self.net.random.random_range(0..9) {
            0..2 => drop(self.net.convolution(name, input, (4, 1), window(3, 1, 1))),
            2 => drop(self.net.convolution(name, input, (4, 4), window(3, 1, 1))),
            3 => {
                let terms = [(input, self.coefficient()), (self.pick(), self.coefficient())];
                self.net.add(name, &terms);
            }
            4..6 => {
                let function = self.function();
                self.net.pointwise(name, input, function);
            }
            6 => {
                // Two pieces of two values.
                let inputs = [input, self.pick()];
                let terms = self.turned().into_iter().zip(inputs);
                let terms = terms.map(|(access, input)| FloatTerm { input, coefficient: 0.8, access });
                let op = FloatOp::Sum { terms: terms.collect(), bias: Vec::new() };
                self.net.push(name, SHAPE.to_vec(), op);
            }
            7 => {
                let other = self.pick();
                let whole = Candidate { pieces: vec![(other, Access::identity(ELEMENTS))] };
                let turned = self.turned().into_iter().map(|access| (input, access)).collect();
                let candidates = vec![whole.clone(), Candidate { pieces: turned }, whole];
                self.net.push(name, SHAPE.to_vec(), FloatOp::Maximum { candidates });
            }
            _ => {
                let right = self.pick();
                self.net.push(name, SHAPE.to_vec(), FloatOp::Multiply { left: input, right });
            }
        }
    }
}

/// Signal-to-noise ratio of the output around its mean, in decibels.
fn quality(net: &Network, options: &QuantisationOptions, data: &zkloom_model::data::Dataset) -> f64 {
    let quantised = quantise(&net.graph, data, options).expect("quantise").graph;
    check_intervals(&quantised).expect("intervals");
    let (mut floats, mut noise) = (Vec::new(), 0.0);
    for sample in data.samples(&SHAPE).expect("samples").iter() {
        let float = net.graph.run(sample).expect("float").swap_remove(net.graph.output.0);
        let values = quantised.run(&quantised.quantise_input(sample).expect("input")).expect("run");
        let integer = quantised.dequantise_output(&values[quantised.output.0]);
        noise += float.iter().zip(&integer).map(|(a, b)| f64::from((a - b) * (a - b))).sum::<f64>();
        floats.extend(float);
    }
    let mean = floats.iter().map(|&v| f64::from(v)).sum::<f64>() / floats.len() as f64;
    let signal: f64 = floats.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}

#[test]
fn integers_follow_floats_in_random_networks() {
    let (mut total, mut worst, mut count) = (0.0, f64::INFINITY, 0);
    for seed in 0..200 {
        let mut random = Random { net: Network::new(seed, &SHAPE) };
        (0..9).for_each(|index| random.step(&format!("n{index}")));
        let mut net = random.net;
        let data = net.images(8);
        let range = if seed % 2 == 0 { RangePolicy::Saturate } else { RangePolicy::Strict };
        let quality = quality(&net, &QuantisationOptions { bits: 10, range, ..Default::default() }, &data);
        if quality < 22.0 {
            println!("seed {seed}: {quality} dB");
            net.graph.nodes.iter().for_each(|node| {
                println!("{} = {:?}", node.output.0, node.op.inputs());
            });
        }
        total += quality;
        worst = f64::min(worst, quality);
        count += 1;
    }
    let mean = total / f64::from(count);
    println!("{count} networks: {mean} dB on average, {worst} at worst");
    assert!(mean > 40.0 && worst > 22.0, "{mean} {worst}");
}
