//! The fast executor against the interpreter, bit for bit, on random graphs.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::convolution::{Convolution, Window};
use zkloom_model::interpreter::RunError;
use zkloom_model::interval::{channel_intervals, check_intervals, hull};
use zkloom_model::{
    Activation, Contraction, IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, Product,
    TensorId, Term, WeightMatrix,
};

/// Builds a graph operation by operation; every tensor's interval is what the analysis finds.
struct Builder {
    graph: IntegerGraph,
    random: ChaCha8Rng,
}

impl Builder {
    fn new(seed: u64, shape: &[usize], interval: Interval) -> Self {
        let input = IntegerTensor { name: "t0".into(), shape: shape.to_vec(), interval, scale: 1.0 };
        let (name, input_id) = ("random".into(), TensorId(0));
        let (tensors, nodes) = (vec![input], Vec::new());
        let graph =
            IntegerGraph { name, tensors, nodes, input: input_id, output: input_id, bits: 8, shift: 6 };
        Self { graph, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Adds the operation, unless its accumulators could leave 64 bits.
    fn add(&mut self, shape: Vec<usize>, op: IntegerOp) {
        let id = TensorId(self.graph.tensors.len());
        let node = IntegerNode { name: format!("n{}", id.0), op, output: id };
        let interval = Interval { min: 0, max: 0 };
        let tensor = IntegerTensor { name: format!("t{}", id.0), shape, interval, scale: 1.0 };
        self.graph.tensors.push(tensor);
        match channel_intervals(&node, &self.graph.tensors) {
            Ok(intervals) => {
                self.graph.tensors[id.0].interval = hull(&intervals);
                self.graph.nodes.push(node);
                self.graph.output = id;
            }
            Err(_) => drop(self.graph.tensors.pop()),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    fn pick(&mut self) -> TensorId {
        let count = self.graph.tensors.len();
        // Recent tensors more often, so that graphs get deep.
        TensorId(count - 1 - self.below(count.min(3)))
    }

    fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> (WeightMatrix, Vec<i64>) {
        let extreme = self.random.random_bool(0.2);
        let weight = |random: &mut ChaCha8Rng| {
            if extreme {
                [-128, 127][usize::from(random.random_bool(0.5))]
            } else {
                random.random_range(-127..=127)
            }
        };
        let values = (0..rows * columns).map(|_| weight(&mut self.random)).collect();
        let multipliers = (0..rows).map(|_| self.random.random_range(-3..40)).collect();
        (WeightMatrix { rows, columns, values }, multipliers)
    }

    fn convolution(&mut self, shape: &[usize]) -> Option<(Contraction, Vec<usize>, usize)> {
        let channels = shape[0];
        let divisors: Vec<usize> = (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
        let groups = divisors[self.below(divisors.len())];
        let rows = groups * (1 + self.below(6));
        let mut window = || Window {
            kernel: 1 + self.below(4),
            stride: 1 + self.below(4),
            dilation: 1 + self.below(2),
            pad_begin: self.below(5),
            pad_end: self.below(5),
        };
        let windows = (1..shape.len()).map(|_| window()).collect();
        let convolution = Convolution { groups, windows };
        let output = convolution.output_shape(shape, rows)?;
        Some((Contraction::Convolution(convolution), output, rows))
    }

    fn linear(&mut self) {
        let input = self.pick();
        let shape = self.shape(input);
        let chosen = if self.random.random_bool(0.3) || shape.is_empty() {
            let rows = 1 + self.below(9);
            Contraction::Dense.output_shape(&shape, rows).map(|output| (Contraction::Dense, output, rows))
        } else {
            self.convolution(&shape)
        };
        let Some((contraction, output, rows)) = chosen else { return };
        let (weights, multipliers) = self.matrix(rows, contraction.columns(&shape));
        let mut products = vec![Product { input, contraction, weights, multipliers }];
        // A skip connection from a tensor of the output's shape, if there is one.
        let skip = (0..self.graph.tensors.len()).map(TensorId).find(|id| self.shape(*id) == output);
        if let (Some(input), false) = (skip, products[0].contraction == Contraction::Dense) {
            let window = Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
            let convolution = Convolution { groups: rows, windows: vec![window; output.len() - 1] };
            let (weights, multipliers) = self.matrix(rows, 1);
            let contraction = Contraction::Convolution(convolution);
            products.push(Product { input, contraction, weights, multipliers });
        }
        let bias = (0..rows).map(|_| self.random.random_range(-1000..1000)).collect();
        self.add(output, IntegerOp::Linear { products, bias });
    }

    fn sum(&mut self) {
        let (left, right) = (self.pick(), self.pick());
        let elements = self.graph.tensor(left).elements();
        let shape = self.shape(left);
        let other = self.graph.tensor(right).elements();
        let strided = Access {
            output_start: self.below(elements),
            input_start: other - 1,
            axes: vec![AccessAxis { count: 1 + self.below(3), output_stride: 0, input_stride: 0 }],
        };
        let broadcast = AccessAxis { count: elements, output_stride: 1, input_stride: 0 };
        let broadcast = Access { output_start: 0, input_start: self.below(other), axes: vec![broadcast] };
        let accesses = [(left, Access::identity(elements)), (right, strided), (right, broadcast)];
        let mut term = |(input, access)| Term { input, coefficient: self.random.random_range(-9..9), access };
        let terms = accesses.into_iter().map(&mut term).collect();
        let biased = self.random.random_bool(0.5);
        let bias = if biased { (0..elements).map(|e| e as i64 * 7 - 50).collect() } else { Vec::new() };
        self.add(shape, IntegerOp::Sum { terms, bias });
    }

    fn activate(&mut self) {
        let input = self.pick();
        let function = if self.random.random_bool(0.5) {
            Activation::Clamp { min: -(self.below(200) as i64), max: self.below(300) as i64 }
        } else {
            let values = (0..1 + self.below(50)).map(|_| self.random.random_range(-128..128)).collect();
            Activation::Table { first: -(self.below(40) as i64), values }
        };
        let domain = Interval { min: i64::MIN, max: i64::MAX };
        let shift = self.graph.shift;
        self.add(self.shape(input), IntegerOp::Activate { input, shift, function, domain });
    }

    fn pairwise(&mut self) {
        let (left, right) = (self.pick(), self.pick());
        if self.shape(left) == self.shape(right) {
            let maximum = self.random.random_bool(0.5);
            let op = if maximum {
                IntegerOp::Maximum { left, right }
            } else {
                IntegerOp::Multiply { left, right }
            };
            self.add(self.shape(left), op);
        }
    }

    fn arg_max_and_reshape(&mut self) {
        let input = self.pick();
        let shape = self.shape(input);
        let elements = self.graph.tensor(input).elements();
        self.add(vec![1, elements, 1], IntegerOp::Reshape { input });
        if self.random.random_bool(0.3) {
            let (length, inner) = (shape[0], elements / shape[0]);
            let op = IntegerOp::ArgMax { input, length, inner, last: self.random.random_bool(0.5) };
            self.add(vec![inner], op);
        }
    }

    fn step(&mut self) {
        match self.below(8) {
            0..3 => self.linear(),
            3 => self.sum(),
            4..6 => self.activate(),
            6 => self.pairwise(),
            _ => self.arg_max_and_reshape(),
        }
    }
}

fn both(graph: &IntegerGraph, input: &[i64]) -> Result<Vec<Vec<i64>>, RunError> {
    let (fast, slow) = (graph.run(input), graph.interpret(input));
    assert_eq!(fast, slow, "{graph:?}");
    fast
}

#[test]
fn random_graphs_agree_bit_for_bit() {
    let shapes: [&[usize]; 8] =
        [&[1, 1, 1], &[3, 7, 5], &[6, 1, 11], &[1, 13], &[4, 2, 3, 2], &[17], &[16, 9, 9], &[8, 5]];
    let ends = [(-128, 127), (0, 255), (-40_000, 70_000), (-(1 << 36), 1 << 35), (-32_768, 32_767)];
    let mut operations = [0usize; 7];
    for seed in 0..400 {
        let (min, max) = ends[seed / shapes.len() % ends.len()];
        let mut builder = Builder::new(seed as u64, shapes[seed % shapes.len()], Interval { min, max });
        (0..10).for_each(|_| builder.step());
        let Builder { graph, mut random } = builder;
        check_intervals(&graph).expect("intervals");
        for node in &graph.nodes {
            operations[match node.op {
                IntegerOp::Linear { .. } => 0,
                IntegerOp::Sum { .. } => 1,
                IntegerOp::Activate { .. } => 2,
                IntegerOp::Maximum { .. } => 3,
                IntegerOp::Multiply { .. } => 4,
                IntegerOp::ArgMax { .. } => 5,
                IntegerOp::Reshape { .. } => 6,
            }] += 1;
        }
        let elements = graph.tensor(graph.input).elements();
        both(&graph, &vec![min; elements]).expect("least");
        both(&graph, &vec![max; elements]).expect("greatest");
        for corner in [false, true] {
            let value = |random: &mut ChaCha8Rng| {
                if corner {
                    [min, max][usize::from(random.random_bool(0.5))]
                } else {
                    random.random_range(min..=max)
                }
            };
            let input: Vec<i64> = (0..elements).map(|_| value(&mut random)).collect();
            both(&graph, &input).expect("inside every interval");
        }
    }
    println!("operations run: {operations:?}");
    assert!(operations.iter().all(|&count| count > 30), "{operations:?}");
}

#[test]
fn errors_are_the_same() {
    let mut refused = 0;
    for seed in 0..120 {
        let interval = Interval { min: -128, max: 127 };
        let mut builder = Builder::new(seed, &[4, 5, 3], interval);
        (0..6).for_each(|_| builder.step());
        let Builder { mut graph, mut random } = builder;
        let input: Vec<i64> = (0..60).map(|_| random.random_range(-128..=127)).collect();
        for node in &mut graph.nodes {
            if let IntegerOp::Activate { domain, .. } = &mut node.op {
                *domain = Interval { min: -10, max: 10 };
            } else if random.random_bool(0.2) {
                let interval = &mut graph.tensors[node.output.0].interval;
                *interval = Interval { min: interval.min / 16, max: interval.max / 16 };
            }
        }
        refused += usize::from(both(&graph, &input).is_err());
        both(&graph, &input[1..]).expect_err("too short");
        let outside: Vec<i64> = input.iter().map(|value| value + 1000).collect();
        both(&graph, &outside).expect_err("outside");
    }
    assert!((20..120).contains(&refused), "{refused}");
}

/// A convolution with 3x3 kernels over 56x56 positions, 64 channels to 64: 116 million products.
#[test]
fn a_large_convolution_takes_a_fraction_of_the_interpreters_time() {
    let mut builder = Builder::new(1, &[64, 56, 56], Interval { min: 0, max: 255 });
    let window = Window { kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };
    let contraction = Contraction::Convolution(Convolution { groups: 1, windows: vec![window; 2] });
    let (weights, multipliers) = builder.matrix(64, 576);
    let products = vec![Product { input: TensorId(0), contraction, weights, multipliers }];
    builder.add(vec![64, 56, 56], IntegerOp::Linear { products, bias: vec![0; 64] });
    let graph = builder.graph;
    let input: Vec<i64> = (0..64 * 56 * 56).map(|index| index * 31 % 256).collect();
    let timed = |run: &dyn Fn() -> Vec<Vec<i64>>| {
        let start = std::time::Instant::now();
        let values = run();
        (values, start.elapsed())
    };
    let (fast, fast_time) = timed(&|| graph.run(&input).expect("run"));
    let (slow, slow_time) = timed(&|| graph.interpret(&input).expect("interpret"));
    println!("fast {fast_time:?}, interpreter {slow_time:?}");
    assert_eq!(fast, slow);
    assert!(fast_time * 3 < slow_time, "fast {fast_time:?}, interpreter {slow_time:?}");
}
