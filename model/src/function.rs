//! Real functions of one variable that networks apply element by element.

use serde::{Deserialize, Serialize};

/// A function of one real variable. ONNX operators are named where the definition is theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// `max(min, min(max, x))`; an absent bound does not bind. ReLU is `min = 0`.
    Clamp {
        /// Least result.
        min: Option<f32>,
        /// Greatest result.
        max: Option<f32>,
    },
    /// `x` from zero on, `slope * x` below.
    LeakyRelu {
        /// Slope below zero.
        slope: f32,
    },
    /// `x` from zero on, `alpha * (exp(x) - 1)` below.
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `x * sigmoid(beta * x)`; SiLU is `beta = 1`.
    Swish {
        /// Factor inside the sigmoid.
        beta: f32,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// The error function.
    Erf,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `x` above the threshold, zero elsewhere.
    ThresholdedRelu {
        /// The threshold.
        threshold: f32,
    },
    /// Exponential function.
    Exp,
    /// Natural logarithm; minus infinity at zero, not a number below.
    Log,
    /// Square root; zero below zero.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// Absolute value.
    Abs,
    /// `x^2`.
    Square,
    /// `x^exponent`; for an exponent that is no integer, not a number below zero.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `factor * x + shift`.
    Affine {
        /// Slope.
        factor: f32,
        /// Value at zero.
        shift: f32,
    },
    /// The functions one after the other, first to last.
    Chain(Vec<Function>),
    /// The product of two functions of the same argument.
    Product(Box<Function>, Box<Function>),
    /// The sum of functions of the same argument.
    Total(Vec<Function>),
}

impl Function {
    /// `max(0, x)`.
    pub const RELU: Self = Self::Clamp { min: Some(0.0), max: None };

    /// The function's value, computed in 64-bit floats.
    #[must_use]
    pub fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Clamp { min, max } => {
                x.min(max.map_or(f64::INFINITY, f64::from)).max(min.map_or(f64::NEG_INFINITY, f64::from))
            }
            Self::LeakyRelu { slope } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(*slope) * x
                }
            }
            Self::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(*alpha) * x.exp_m1()
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid { alpha, beta } => (f64::from(*alpha) * x + f64::from(*beta)).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Swish { beta } => x * sigmoid(f64::from(*beta) * x),
            Self::Tanh => x.tanh(),
            Self::Softplus => softplus(x),
            Self::Erf => libm::erf(x),
            Self::Gelu => x / 2.0 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x.powi(3));
                x / 2.0 * (1.0 + inner.tanh())
            }
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * softplus(x).tanh(),
            Self::ThresholdedRelu { threshold } => {
                if x > f64::from(*threshold) {
                    x
                } else {
                    0.0
                }
            }
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Power { exponent } => x.powf(f64::from(*exponent)),
            Self::Sqrt => x.max(0.0).sqrt(),
            Self::Reciprocal => x.recip(),
            Self::Abs => x.abs(),
            Self::Square => x * x,
            Self::Affine { factor, shift } => f64::from(*factor) * x + f64::from(*shift),
            Self::Chain(functions) => functions.iter().fold(x, |x, function| function.apply(x)),
            Self::Product(left, right) => left.apply(x) * right.apply(x),
            Self::Total(functions) => functions.iter().map(|function| function.apply(x)).sum(),
        }
    }

    /// The clamp that the function is, if it is one: its bounds.
    #[must_use]
    pub fn as_clamp(&self) -> Option<(Option<f32>, Option<f32>)> {
        match self {
            Self::Clamp { min, max } => Some((*min, *max)),
            _ => None,
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
