//! Sparsification: weights or whole channels of a float network are removed after training, with a calibration set and without
//! gradients.
//!
//! What is removed is decided by [`Method`], in the pattern that [`Pattern`] says, spread over the layers as [`Allocation`]
//! says. Weights that stay keep their bits under [`Method::Magnitude`] and [`Method::Wanda`]; [`Method::Obs`] changes them, and
//! the biases, to make up for what is gone. Zeros that the network has already stay zeros, are counted, and count towards the
//! sparsity: a network that is sparse enough comes back as it is.
//!
//! Sources: M. Sun et al., "A Simple and Effective Pruning Approach for Large Language Models" (Wanda); E. Frantar and
//! D. Alistarh, "SparseGPT"; B. Hassibi and D. Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon".

mod allocate;
mod channels;
mod layers;
mod obs;
mod rebuild;
mod report;
mod select;
mod statistics;
mod weights;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::{DataError, Dataset, Samples};
use crate::float_graph::{FloatGraph, FloatGraphError};
pub use layers::LayerSize;
pub use report::{Fallback, LayerSparsity, SparsityReport, Treatment};

/// How it is decided which weights go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// The smallest magnitudes of a layer.
    Magnitude,
    /// The smallest products of a weight's magnitude and the norm of the input that it meets on the calibration set, for each
    /// output by itself.
    #[default]
    Wanda,
    /// The smallest rise of the layer's squared output error on the calibration set, when the weights behind and the bias make
    /// up for it. Layers wider than [`SparsifyOptions::widest`] fall back to [`Self::Wanda`]. When channels go, the layers that
    /// read them make up for them, also the last one; excluded layers do not change.
    Obs,
}

/// Which weights may go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// Any.
    #[default]
    Unstructured,
    /// In each row, `zeros` of each `of` neighbouring columns; of a shorter rest the same part, rounded down.
    Blocks {
        /// Zeros in each block.
        zeros: usize,
        /// Columns of a block.
        of: usize,
    },
    /// Whole channels, with all that makes and reads them: tensors get shorter. Channels that residual sums tie go together. The
    /// network computes what it would with zeros in the rows and biases that are gone.
    Channels,
}

/// How the sparsity is spread over the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allocation {
    /// Every layer alike.
    #[default]
    Uniform,
    /// Where the saving of cost raises the error of the network's output least, on some of the calibration set; the sparsity is
    /// then the part of all prunable layers' cost that is saved. Errors of layers are taken to add up.
    ByError,
}

/// What to remove.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SparsifyOptions {
    /// How weights are chosen.
    pub method: Method,
    /// Which weights may go together.
    pub pattern: Pattern,
    /// Part that is removed, 0 to 1; [`Pattern::Blocks`] has its own.
    pub sparsity: f64,
    /// How it is spread over the layers; blocks are the same everywhere.
    pub allocation: Allocation,
    /// Names of layers that stay as they are.
    pub excluded: Vec<String>,
    /// Whether the first and the last layer are pruned too.
    pub ends: bool,
    /// What [`Method::Obs`] adds to the diagonal of its Hessians, relative to their mean; above zero.
    pub damping: f64,
    /// The most inputs of one output for [`Method::Obs`]: it keeps a square of as many 64-bit floats for each group.
    pub widest: usize,
    /// The most samples that [`Allocation::ByError`] measures errors on.
    pub samples: usize,
}

impl Default for SparsifyOptions {
    fn default() -> Self {
        Self {
            method: Method::default(),
            pattern: Pattern::default(),
            sparsity: 0.5,
            allocation: Allocation::default(),
            excluded: Vec::new(),
            ends: false,
            damping: 0.01,
            widest: 2048,
            samples: 16,
        }
    }
}

/// Why a network was not pruned.
#[derive(Debug, Error)]
pub enum SparsifyError {
    /// An option outside its range.
    #[error("the option {option} is {value}, it must be {expected}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What may be given.
        expected: &'static str,
    },
    /// A block pattern without sense.
    #[error("blocks of {of} weights with {zeros} zeros; give at least one weight and at most as many zeros")]
    Blocks {
        /// Zeros in each block.
        zeros: usize,
        /// Columns of a block.
        of: usize,
    },
    /// An excluded layer that is not there.
    #[error("the network has no layer `{name}` to exclude; its layers are {}", known.join(", "))]
    UnknownLayer {
        /// The name given.
        name: String,
        /// All layers' names.
        known: Vec<String>,
    },
    /// No layer may be pruned.
    #[error(
        "`{name}` has nothing to prune ({layers}); exclude fewer layers or allow the first and the last one"
    )]
    NothingToPrune {
        /// The network's name.
        name: String,
        /// Its layers, each with the reason.
        layers: String,
    },
    /// Calibration met NaN or infinity.
    #[error(
        "layer `{layer}` reads a value that is no finite number on the calibration set; check the data's scale"
    )]
    NotFinite {
        /// The layer's name.
        layer: String,
    },
    /// The calibration data do not suit the network.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network is malformed.
    #[error(transparent)]
    Graph(#[from] FloatGraphError),
}

/// A pruned network.
#[derive(Clone, Debug)]
pub struct Sparsified {
    /// The network; with [`Pattern::Channels`] its tensors are shorter.
    pub graph: FloatGraph,
    /// What was removed.
    pub report: SparsityReport,
}

/// Prunes a network. For [`Allocation::ByError`] a layer costs what it has in weights other than zero, and for channels what it
/// gives in activations.
///
/// # Errors
/// [`SparsifyError`]: options out of range, a layer to exclude that is not there, nothing to prune, unsuitable data.
pub fn sparsify(
    graph: &FloatGraph,
    calibration: &Dataset,
    options: &SparsifyOptions,
) -> Result<Sparsified, SparsifyError> {
    let channels = options.pattern == Pattern::Channels;
    let cost = |layer: &LayerSize| if channels { layer.outputs as f64 } else { layer.nonzero as f64 };
    sparsify_with_cost(graph, calibration, options, &cost)
}

/// As [`sparsify`], with the cost of a layer, in any unit, as [`Allocation::ByError`] is to save it.
///
/// # Errors
/// [`SparsifyError`], as for [`sparsify`].
pub fn sparsify_with_cost(
    graph: &FloatGraph,
    calibration: &Dataset,
    options: &SparsifyOptions,
    cost: &(dyn Fn(&LayerSize) -> f64 + Sync),
) -> Result<Sparsified, SparsifyError> {
    check(options)?;
    graph.check_structure()?;
    let samples = calibration.samples(&graph.values[graph.input.0].shape)?;
    let task = Task { graph, samples, options, cost };
    let mut layers = layers::layers(graph, options)?;
    let (pruned, places) = match options.pattern {
        Pattern::Channels => channels::prune(&task, &mut layers)?,
        _ => (weights::prune(&task, &mut layers)?, None),
    };
    let report = report::report(&task, &layers, &pruned, places.as_ref())?;
    Ok(Sparsified { graph: pruned, report })
}

/// What is to be done, for all parts of it.
struct Task<'a> {
    graph: &'a FloatGraph,
    samples: Samples<'a>,
    options: &'a SparsifyOptions,
    cost: &'a (dyn Fn(&LayerSize) -> f64 + Sync),
}

fn check(options: &SparsifyOptions) -> Result<(), SparsifyError> {
    let within = |option, value: f64, fits: bool, expected| {
        if fits { Ok(()) } else { Err(SparsifyError::Option { option, value, expected }) }
    };
    let sparsity = options.sparsity;
    within("sparsity", sparsity, (0.0..=1.0).contains(&sparsity), "within 0 and 1")?;
    let damping = options.damping;
    within("damping", damping, damping > 0.0 && damping.is_finite(), "above 0 and finite")?;
    within("samples", options.samples as f64, options.samples > 0, "at least 1")?;
    match options.pattern {
        Pattern::Blocks { zeros, of } if of == 0 || zeros > of => Err(SparsifyError::Blocks { zeros, of }),
        _ => Ok(()),
    }
}
