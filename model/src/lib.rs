//! Neural networks as integers, without cryptography: ONNX import, post-training quantisation, the integer graph
//! that circuits are compiled from, and the integer interpreter that is their oracle.
//!
//! ```no_run
//! use zkloom_model::{data::Dataset, onnx, quantise::{QuantisationOptions, quantise}};
//!
//! let network = onnx::import("fixtures/digits-mlp.onnx")?;
//! let calibration = Dataset::load("fixtures/digits-calibration.npz")?;
//! let quantised = quantise(&network, &calibration, &QuantisationOptions::default())?;
//! println!("{}", quantised.report);
//!
//! let samples = calibration.samples(&quantised.graph.tensor(quantised.graph.input).shape)?;
//! let digit = samples.get(0).ok_or("no sample")?;
//! let values = quantised.graph.run(&quantised.graph.quantise_input(digit)?)?;
//! let logits = quantised.graph.dequantise_output(&values[quantised.graph.output.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod convolution;
pub mod data;
mod executor;
pub mod float_graph;
pub mod function;
pub mod input;
pub mod integer_graph;
pub mod interpreter;
pub mod interval;
pub mod onnx;
mod passes;
mod prune;
pub mod quantise;
pub mod report;
pub mod rounding;
pub mod sparsify;
pub mod teleport;

pub use integer_graph::{
    Activation, Contraction, IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, Product,
    TensorId, Term, WeightMatrix,
};
