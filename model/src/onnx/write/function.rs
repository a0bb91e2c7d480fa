//! Functions of each element as ONNX operators.

use super::encode::Attribute;
use super::{Tensor, Writer};
use crate::function::Function;

impl Writer<'_> {
    /// The function of each element; the function without a name in this operator set from its definition.
    pub(super) fn function(&mut self, x: Tensor, function: &Function) -> Tensor {
        match function {
            Function::Clamp { min, max } => self.clamp(x, *min, *max),
            Function::LeakyRelu { slope } => self.map("LeakyRelu", &x, &[("alpha", *slope)]),
            Function::Elu { alpha } => self.map("Elu", &x, &[("alpha", *alpha)]),
            Function::Sigmoid => self.map("Sigmoid", &x, &[]),
            Function::HardSigmoid { alpha, beta } => {
                self.map("HardSigmoid", &x, &[("alpha", *alpha), ("beta", *beta)])
            }
            Function::HardSwish => self.map("HardSwish", &x, &[]),
            Function::Tanh => self.map("Tanh", &x, &[]),
            Function::Softplus => self.map("Softplus", &x, &[]),
            Function::Erf => self.map("Erf", &x, &[]),
            Function::Softsign => self.map("Softsign", &x, &[]),
            Function::ThresholdedRelu { threshold } => {
                self.map("ThresholdedRelu", &x, &[("alpha", *threshold)])
            }
            Function::Exp => self.map("Exp", &x, &[]),
            Function::Log => self.map("Log", &x, &[]),
            Function::Reciprocal => self.map("Reciprocal", &x, &[]),
            Function::Abs => self.map("Abs", &x, &[]),
            Function::Sqrt => {
                let positive = self.map("Relu", &x, &[]);
                self.map("Sqrt", &positive, &[])
            }
            Function::Square => self.binary("Mul", &x, &x.clone()),
            Function::Power { exponent } => self.with("Pow", &x, *exponent),
            Function::Affine { factor, shift } => {
                let scaled = if *factor == 1.0 { x } else { self.with("Mul", &x, *factor) };
                if *shift == 0.0 { scaled } else { self.with("Add", &scaled, *shift) }
            }
            Function::Chain(functions) => functions.iter().fold(x, |x, function| self.function(x, function)),
            Function::Product(left, right) => {
                let (left, right) = (self.function(x.clone(), left), self.function(x, right));
                self.binary("Mul", &left, &right)
            }
            Function::Total(functions) => self.total(x, functions),
            Function::Swish { .. } | Function::Gelu | Function::GeluTanh | Function::Mish => {
                self.gated(x, function)
            }
        }
    }

    /// `x` times a gate that depends on `x`.
    fn gated(&mut self, x: Tensor, function: &Function) -> Tensor {
        let gate = match function {
            Function::Swish { beta } => {
                let inner = if *beta == 1.0 { x.clone() } else { self.with("Mul", &x, *beta) };
                self.map("Sigmoid", &inner, &[])
            }
            Function::GeluTanh => {
                let square = self.binary("Mul", &x, &x.clone());
                let cube = self.binary("Mul", &square, &x);
                let cubic = self.with("Mul", &cube, 0.044_715);
                let inner = self.binary("Add", &x, &cubic);
                let inner = self.with("Mul", &inner, std::f64::consts::FRAC_2_PI.sqrt() as f32);
                let bent = self.map("Tanh", &inner, &[]);
                let shifted = self.with("Add", &bent, 1.0);
                self.with("Mul", &shifted, 0.5)
            }
            Function::Mish => {
                let inner = self.map("Softplus", &x, &[]);
                self.map("Tanh", &inner, &[])
            }
            _ => {
                let inner = self.with("Mul", &x, std::f32::consts::FRAC_1_SQRT_2);
                let bent = self.map("Erf", &inner, &[]);
                let shifted = self.with("Add", &bent, 1.0);
                self.with("Mul", &shifted, 0.5)
            }
        };
        self.binary("Mul", &x, &gate)
    }

    fn total(&mut self, x: Tensor, functions: &[Function]) -> Tensor {
        let parts: Vec<Tensor> =
            functions.iter().map(|function| self.function(x.clone(), function)).collect();
        let mut parts = parts.into_iter();
        match parts.next() {
            Some(first) => parts.fold(first, |sum, part| self.binary("Add", &sum, &part)),
            None => self.with("Mul", &x, 0.0),
        }
    }

    fn clamp(&mut self, x: Tensor, min: Option<f32>, max: Option<f32>) -> Tensor {
        if (min, max) == (Some(0.0), None) {
            return self.map("Relu", &x, &[]);
        }
        let [min, max] = [("min", min), ("max", max)].map(|(name, bound)| match bound {
            Some(bound) => self.floats(name, &[], &[bound]),
            None => String::new(),
        });
        match (min.is_empty(), max.is_empty()) {
            (true, true) => x,
            (_, true) => self.push("Clip", &[&x.name, &min], Vec::new(), x.shape),
            _ => self.push("Clip", &[&x.name, &min, &max], Vec::new(), x.shape),
        }
    }

    fn map(&mut self, operator: &'static str, x: &Tensor, numbers: &[(&'static str, f32)]) -> Tensor {
        let attributes = numbers.iter().map(|&(name, value)| (name, Attribute::Float(value))).collect();
        self.push(operator, &[&x.name], attributes, x.shape.clone())
    }

    /// An operator with one constant for all elements.
    pub(super) fn with(&mut self, operator: &'static str, x: &Tensor, constant: f32) -> Tensor {
        let constant = self.floats("constant", &[], &[constant]);
        self.push(operator, &[&x.name, &constant], Vec::new(), x.shape.clone())
    }

    /// An operator of two tensors of one shape.
    pub(super) fn binary(&mut self, operator: &'static str, left: &Tensor, right: &Tensor) -> Tensor {
        self.push(operator, &[&left.name, &right.name], Vec::new(), left.shape.clone())
    }
}
