//! `zkloom optimise`: a network that is cheaper to prove, as an ordinary ONNX file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use zkloom::sparsify::{Allocation, Method, Pattern};
use zkloom::teleport::{Granularity, Threshold};
use zkloom::{
    Dataset, ImportOptions, SparsifyOptions, SparsityReport, TeleportOptions, TeleportReport, files,
};

use super::compile::read;
use super::{check_output, file_bytes};
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::text::bytes;

/// Options of `zkloom optimise`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  zkloom optimise fixtures/digits-cnn.onnx --calibration fixtures/digits-cnn-calibration.npz --channels 0.3 -o small.onnx"
)]
pub struct Arguments {
    /// Trained network, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Typical inputs (npz, npy or json)
    #[arg(long, value_name = "DATA")]
    calibration: PathBuf,
    /// What to prune.
    #[command(flatten)]
    pruning: Pruning,
    /// Change the scale of hidden values, exactly, so that ranges are alike
    #[arg(long)]
    teleport: bool,
    /// Largest magnitude that hidden values may have after the change of scale; chosen by the noise of rounding if absent
    #[arg(long, value_name = "T", requires = "teleport")]
    threshold: Option<f32>,
    /// Balance single channels too, and not only residual stages as wholes
    #[arg(long, requires = "teleport")]
    balance: bool,
    /// ONNX file to write
    #[arg(short, long, value_name = "OUT.onnx")]
    output: PathBuf,
}

/// What to prune, and how: options that several commands share.
#[derive(Debug, Args)]
pub struct Pruning {
    /// Remove this part of the channels, 0 to 1, with all that makes and reads them: shorter tensors, cheaper proofs
    #[arg(long, value_name = "PART", conflicts_with_all = ["weights", "blocks"])]
    channels: Option<f64>,
    /// Set this part of the weights to zero, 0 to 1: fewer additions when keys are made; a proof costs the same
    #[arg(long, value_name = "PART", conflicts_with = "blocks")]
    weights: Option<f64>,
    /// Set N of each M neighbouring weights to zero
    #[arg(long, value_name = "N:M", value_parser = blocks)]
    blocks: Option<(usize, usize)>,
    /// How weights are chosen
    #[arg(long, value_enum, default_value = "obs")]
    method: PruningMethod,
    /// Remove where it raises the output's error least, instead of as much from every layer: minutes for a large network
    #[arg(long)]
    by_error: bool,
    /// Prune the first and the last layer too
    #[arg(long)]
    ends: bool,
    /// A layer that stays as it is; may be given several times
    #[arg(long, value_name = "LAYER")]
    exclude: Vec<String>,
}

/// How weights to remove are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PruningMethod {
    /// The smallest
    Magnitude,
    /// The smallest after multiplication by what they meet on the calibration data
    Wanda,
    /// Those that the others, which change, can make up for best (optimal brain surgery)
    Obs,
}

impl From<PruningMethod> for Method {
    fn from(method: PruningMethod) -> Self {
        match method {
            PruningMethod::Magnitude => Self::Magnitude,
            PruningMethod::Wanda => Self::Wanda,
            PruningMethod::Obs => Self::Obs,
        }
    }
}

/// `2:4`: two of each four.
fn blocks(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once(':').and_then(|(zeros, of)| Some((zeros.parse().ok()?, of.parse().ok()?)));
    numbers.ok_or_else(|| "use two numbers, as in 2:4 for two zeros of each four weights".to_owned())
}

impl Pruning {
    /// What to prune, if anything.
    pub fn options(&self) -> Option<SparsifyOptions> {
        let (pattern, sparsity) = match (self.channels, self.weights, self.blocks) {
            (Some(part), _, _) => (Pattern::Channels, part),
            (_, Some(part), _) => (Pattern::Unstructured, part),
            (_, _, Some((zeros, of))) => (Pattern::Blocks { zeros, of }, 0.5),
            (None, None, None) => return None,
        };
        Some(SparsifyOptions {
            method: self.method.into(),
            pattern,
            sparsity,
            allocation: if self.by_error { Allocation::ByError } else { Allocation::Uniform },
            excluded: self.exclude.clone(),
            ends: self.ends,
            ..SparsifyOptions::default()
        })
    }
}

impl Arguments {
    fn scale(&self) -> Option<TeleportOptions> {
        let threshold = self.threshold.map(Threshold::Fixed);
        self.teleport.then(|| TeleportOptions {
            granularity: if self.balance { Granularity::Channel } else { Granularity::Group },
            threshold: threshold.unwrap_or(TeleportOptions::default().threshold),
            ..TeleportOptions::default()
        })
    }
}

/// Applies the passes in the order pruning, change of scale; writes the network and reports.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    check_output(&arguments.output)?;
    let (pruning, scaling) = (arguments.pruning.options(), arguments.scale());
    if pruning.is_none() && scaling.is_none() {
        let message = "nothing to do; give --channels, --weights, --blocks or --teleport";
        return Err(Failure::option(message.to_owned()).into());
    }
    let model = &arguments.model;
    let calibration = Dataset::load(&arguments.calibration).map_err(zkloom::Error::from)?;
    let options = ImportOptions { input_shape: Some(calibration.shape.clone()), output: None };
    let mut network = read(model, &options)?;
    let (mut pruned, mut scaled): (Option<SparsityReport>, Option<TeleportReport>) = (None, None);
    if let Some(options) = pruning {
        console.note("pruning");
        let (next, report) = network.sparsify(&calibration, &options)?;
        (network, pruned) = (next, Some(report));
    }
    if let Some(options) = scaling {
        console.note("changing the scale");
        let (next, report) = network.teleport(&calibration, &options)?;
        (network, scaled) = (next, Some(report));
    }
    files::write_atomic(&arguments.output, &network.to_onnx()?, false)?;
    let size = file_bytes(&arguments.output);
    let mut text = String::new();
    pruned.iter().for_each(|report| text += &format!("{report}\n\n"));
    scaled.iter().for_each(|report| text += &format!("{report}\n\n"));
    text += &format!("wrote {} ({})", arguments.output.display(), bytes(size));
    let json = json!({
        "model": arguments.output, "file_bytes": size, "sparsification": pruned, "teleportation": scaled,
    });
    Ok(Outcome::success(text, json))
}
