//! What a network costs and what it keeps of its accuracy, layer by layer and in total, for one network or for two side by side:
//! as data, as Markdown and as one HTML page that needs nothing else.
//!
//! A [`Subject`] is a network with everything that was done to it. [`NetworkReport::new`] gathers what the stages know of it;
//! [`measure()`] makes real proofs; [`Report::markdown`] and [`Report::html`] render one [`document`](mod@document), so that
//! both say the same. Sizes and predictions are those of [`crate::CompileReport`] and [`crate::Estimate`]: nothing is computed twice.

mod content;
mod cost;
pub mod document;
mod html;
mod layers;
mod markdown;
pub mod measure;
mod svg;
mod text;

use serde::Serialize;
use zkloom_circuits::CompileReport;
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{FloatGraph, FloatOp};
use zkloom_model::report::{Evaluation, QuantisationReport, evaluate};
use zkloom_model::sparsify::SparsityReport;
use zkloom_model::teleport::TeleportReport;

use crate::error::Result;
use crate::optimise::SearchReport;
use crate::plan::Estimate;
use crate::session::{Compiled, Imported, Quantised};
pub use cost::Shares;
pub use layers::LayerRow;
pub use measure::{MeasureOptions, ProofMeasurement, measure};

/// A network, and what was done to it on the way to a circuit.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What the report calls it: `before`, `after`.
    pub label: String,
    /// Name of the file that it was read from.
    pub file: String,
    /// The network as it was read.
    pub given: Imported,
    /// The network that was turned into integers: after pruning and the change of scale.
    pub network: Imported,
    /// In integers.
    pub quantised: Quantised,
    /// As a circuit.
    pub compiled: Compiled,
    /// What pruning did.
    pub sparsification: Option<SparsityReport>,
    /// What the change of scale did.
    pub teleportation: Option<TeleportReport>,
    /// What the search for bits, shift and ranges did.
    pub search: Option<SearchReport>,
}

/// Weights of a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WeightCounts {
    /// Weights of the float network's linear layers and convolutions.
    pub float: usize,
    /// Zeros among them.
    pub float_zeros: usize,
    /// Weights of the integer network's products, one for each channel of a residual sum's skip connection included.
    pub integer: usize,
    /// Zeros among them, those that rounding made included: each spares key generation an addition of points.
    pub integer_zeros: usize,
}

/// Everything about one network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkReport {
    /// What the report calls it.
    pub label: String,
    /// Name of the file that it was read from.
    pub file: String,
    /// Operations of the integer network in order, with all that is known of each.
    pub layers: Vec<LayerRow>,
    /// Weights of all layers.
    pub weights: WeightCounts,
    /// What no layer can be given: rows that nothing uses, and what a proof costs whatever the network is.
    pub rest: Shares,
    /// Float against integer on the calibration set, as in `zkloom compile --json`.
    pub quantisation: QuantisationReport,
    /// The circuit, as in `zkloom compile --json`.
    pub circuit: CompileReport,
    /// The integer network beside the float network that it was made from, over the evaluation set.
    pub evaluation: Evaluation,
    /// The integer network beside the float network that was read first (the one before, if there are two), over the same set.
    pub against_first: Evaluation,
    /// What proving will need, as in `zkloom plan --json`.
    pub prediction: Option<Estimate>,
    /// What proving took.
    pub measurement: Option<ProofMeasurement>,
    /// What pruning did.
    pub sparsification: Option<SparsityReport>,
    /// What the change of scale did.
    pub teleportation: Option<TeleportReport>,
    /// What the search for bits, shift and ranges did.
    pub search: Option<SearchReport>,
}

/// The data sets that a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// What scales were chosen from; ranges are over it.
    pub calibration: &'a Dataset,
    /// What accuracy is measured on.
    pub evaluation: &'a Dataset,
}

impl NetworkReport {
    /// Gathers what is known of a network. `first` is the float network that all are compared with.
    ///
    /// # Errors
    /// Data of another shape than the networks'; [`crate::Error::Quantise`] says which.
    pub fn new(subject: &Subject, first: &Imported, data: Data<'_>) -> Result<Self> {
        let graph = subject.quantised.graph();
        let shape = &graph.tensor(graph.input).shape;
        let evaluation = data.evaluation.samples(shape)?;
        let own = evaluate(subject.network.graph(), graph, &evaluation)?;
        let against_first = evaluate(first.graph(), graph, &evaluation)?;
        let circuit = subject.compiled.report();
        let layers = layers::rows(subject, &circuit, &data.calibration.samples(shape)?)?;
        let (layers, rest) = cost::predicted(layers, &circuit);
        let (float, float_zeros) = float_weights(subject.network.graph());
        let sum = |of: fn(&LayerRow) -> usize| layers.iter().map(of).sum();
        let weights = WeightCounts {
            float,
            float_zeros,
            integer: sum(|layer| layer.weights),
            integer_zeros: sum(|layer| layer.zeros),
        };
        Ok(Self {
            label: subject.label.clone(),
            file: subject.file.clone(),
            layers,
            weights,
            rest,
            quantisation: subject.quantised.report().clone(),
            circuit,
            evaluation: own,
            against_first,
            prediction: None,
            measurement: None,
            sparsification: subject.sparsification.clone(),
            teleportation: subject.teleportation.clone(),
            search: subject.search.clone(),
        })
    }

    /// Adds a measurement, and the layers' shares of it.
    #[must_use]
    pub fn with_measurement(mut self, measurement: ProofMeasurement) -> Self {
        cost::measured(&mut self.layers, &mut self.rest, &self.circuit, &measurement);
        self.measurement = Some(measurement);
        self
    }

    /// Adds a prediction.
    #[must_use]
    pub fn with_prediction(self, prediction: Estimate) -> Self {
        Self { prediction: Some(prediction), ..self }
    }
}

/// Weights of a float network and zeros among them.
fn float_weights(graph: &FloatGraph) -> (usize, usize) {
    let mut counts = (0, 0);
    for node in &graph.nodes {
        if let FloatOp::Linear { weights, .. } | FloatOp::Convolution { weights, .. } = &node.op {
            counts.0 += weights.values.len();
            counts.1 += weights.values.iter().filter(|&&weight| weight == 0.0).count();
        }
    }
    counts
}

/// A report on one network, or on two side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// Name of the calibration set's file.
    pub calibration: String,
    /// Name of the evaluation set's file.
    pub evaluation: String,
    /// One network, or the one before and the one after.
    pub networks: Vec<NetworkReport>,
}

impl Report {
    /// A report on networks that belong together, in order, with the names of the data sets.
    pub fn new(networks: Vec<NetworkReport>, calibration: String, evaluation: String) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), calibration, evaluation, networks }
    }

    /// As Markdown; plots are bars of text.
    pub fn markdown(&self) -> String {
        markdown::render(&content::document(self))
    }

    /// As one HTML page: styles and plots (SVG) are in it, there is no script, and it loads nothing.
    pub fn html(&self) -> String {
        html::render(&content::document(self))
    }

    /// The table of totals: what is told, and a value for each network.
    pub fn totals(&self) -> document::Table {
        content::totals(self)
    }
}
