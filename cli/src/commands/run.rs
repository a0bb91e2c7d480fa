//! `zkloom run`: the network on one input, in integers, without a proof.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use zkloom::{CompileOptions, Dataset, files};

use super::check_output;
use super::compile::{Network, Prepared};
use super::prove::read_input;
use crate::console::{Console, Outcome};
use crate::text::list;

/// Options of `zkloom run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  zkloom run fixtures/digits-mlp.onnx --calibration fixtures/digits-calibration.npz --input fixtures/digit.npy"
)]
pub struct Arguments {
    /// Network and quantisation.
    #[command(flatten)]
    network: Network,
    /// The network's input (npy, npz or json)
    #[arg(long, value_name = "INPUT")]
    input: PathBuf,
    /// Which sample of a file with several, from 0
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// File to write the output to, an npy array of floats
    #[arg(short, long, value_name = "OUTPUT.npy")]
    output: Option<PathBuf>,
}

/// Quantises, runs and reports both outputs.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    arguments.output.as_deref().map(check_output).transpose()?;
    let Prepared { imported, quantised, .. } =
        arguments.network.prepare(&CompileOptions::default(), console)?;
    let graph = quantised.graph();
    let input = read_input(&graph.tensor(graph.input).shape, &arguments.input, arguments.index)?;
    let inference = quantised.infer(&input)?;
    let float = imported.infer(&input)?;
    let error = inference.reals.iter().zip(&float).map(|(integer, float)| (integer - float).abs());
    let largest_error = error.fold(0.0, f32::max);
    if let Some(path) = &arguments.output {
        let array = Dataset { shape: inference.shape.clone(), values: inference.reals.clone(), labels: None };
        let bytes = array.to_npy().context("the output as an array")?;
        files::write_atomic(path, &bytes, false)?;
    }
    let text = format!(
        "shape:    {:?}\nintegers: {}\nreals:    {}\nfloats:   {}\nlargest error {largest_error:.6}, one is {:.6}",
        inference.shape,
        list(&inference.integers, i64::to_string),
        list(&inference.reals, |value| format!("{value:.4}")),
        list(&float, |value| format!("{value:.4}")),
        inference.scale,
    );
    let mut json = json!(inference);
    json["floats"] = json!(float);
    json["largest_error"] = json!(largest_error);
    Ok(Outcome::success(text, json))
}
