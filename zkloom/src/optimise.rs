//! Networks that are cheaper to prove: an exact change of scale, and a search for the cheapest quantisation within a bound on
//! the loss of accuracy.

use serde::Serialize;
use zkloom_circuits::CompileOptions;
use zkloom_model::data::Dataset;
use zkloom_model::integer_graph::IntegerGraph;
use zkloom_model::quantise::{ProvingCost, QuantisationOptions, SearchOptions, Trial, search};
use zkloom_model::sparsify::{SparsifyOptions, SparsityReport, sparsify};
use zkloom_model::teleport::{TeleportOptions, TeleportReport, teleport};

use crate::error::Result;
use crate::session::{Imported, Quantised};

/// What a search tried and chose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchReport {
    /// Options of the network that was chosen.
    pub options: QuantisationOptions,
    /// Predicted work of its proof, in full-width entries of multi-scalar multiplications.
    pub work: f64,
    /// Predicted work of the network that the search began with.
    pub work_before: f64,
    /// Its loss over the evaluation set.
    pub loss: f64,
    /// All that was tried, in order.
    pub trials: Vec<Trial>,
}

/// The work that the compiler predicts for a network's circuit.
struct CircuitWork<'a>(&'a CompileOptions);

impl ProvingCost for CircuitWork<'_> {
    fn cost(&self, graph: &IntegerGraph) -> f64 {
        // A network that has no circuit costs more than any that has one.
        zkloom_circuits::compile(graph, self.0).map_or(f64::INFINITY, |compiled| compiled.report().work)
    }
}

impl Imported {
    /// Changes the scale of hidden values, exactly; see [`zkloom_model::teleport`].
    ///
    /// # Errors
    /// [`crate::Error::Teleport`]: an option outside its range, data that does not fit, values that are not finite.
    pub fn teleport(
        &self,
        calibration: &Dataset,
        options: &TeleportOptions,
    ) -> Result<(Self, TeleportReport)> {
        let teleported = teleport(self.graph(), calibration, options)?;
        Ok((Self::from_graph(teleported.graph), teleported.report))
    }

    /// Removes weights or whole channels; see [`zkloom_model::sparsify`].
    ///
    /// # Errors
    /// [`crate::Error::Sparsify`]: options out of range, nothing to prune, data that does not fit.
    pub fn sparsify(
        &self,
        calibration: &Dataset,
        options: &SparsifyOptions,
    ) -> Result<(Self, SparsityReport)> {
        let pruned = sparsify(self.graph(), calibration, options)?;
        Ok((Self::from_graph(pruned.graph), pruned.report))
    }

    /// The network as the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`crate::Error::Export`] for a network of more than two gigabytes.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        Ok(zkloom_model::onnx::write_bytes(self.graph())?)
    }

    /// Searches for the quantisation with the cheapest proof, by the compiler's own prediction for circuits with these options,
    /// whose loss over `evaluation` (or the calibration set) is within the bound.
    ///
    /// # Errors
    /// [`crate::Error::Search`]: an option outside its range, data that does not fit, no network within the bound.
    pub fn search(
        &self,
        (calibration, evaluation): (&Dataset, Option<&Dataset>),
        options: &SearchOptions,
        circuit: &CompileOptions,
    ) -> Result<(Quantised, SearchReport)> {
        let searched = search(self.graph(), (calibration, evaluation), options, &CircuitWork(circuit))?;
        let report = SearchReport {
            options: searched.options,
            work: searched.cost,
            work_before: searched.trials.first().map_or(searched.cost, |trial| trial.cost),
            loss: searched.loss,
            trials: searched.trials,
        };
        Ok((Quantised::from_parts(searched.quantised), report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Openings, ProveOptions, SetupOptions, Srs};
    use zkloom_model::sparsify::Allocation;
    use zkloom_model::teleport::{Outcome, Threshold};

    fn digits() -> (Imported, Dataset) {
        let fixture = |name: &str| format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let calibration = Dataset::load(fixture("digits-cnn-calibration.npz")).unwrap();
        (Imported::from_file(fixture("digits-cnn.onnx")).unwrap(), calibration)
    }

    #[test]
    fn a_network_of_another_scale_computes_the_same() {
        let (imported, data) = digits();
        let options = TeleportOptions { threshold: Threshold::Fixed(0.5), ..TeleportOptions::default() };
        let (scaled, report) = imported.teleport(&data, &options).unwrap();
        assert_eq!(report.outcome, Outcome::Applied);
        let shape = &imported.graph().values[imported.graph().input.0].shape;
        for sample in data.samples(shape).unwrap().iter().take(5) {
            // Powers of two change no digit.
            assert_eq!(imported.infer(sample).unwrap(), scaled.infer(sample).unwrap());
        }
    }

    /// Activations are what a proof costs, so channels are what to remove.
    #[test]
    fn a_network_with_fewer_channels_is_smaller_and_survives_its_file() {
        let (imported, data) = digits();
        let options = SparsifyOptions {
            pattern: zkloom_model::sparsify::Pattern::Channels,
            allocation: Allocation::ByError,
            sparsity: 0.4,
            ends: true,
            ..SparsifyOptions::default()
        };
        let (pruned, report) = imported.sparsify(&data, &options).unwrap();
        assert!(report.layers.iter().any(|layer| layer.rows_after < layer.rows_before));
        let again = Imported::from_bytes(&pruned.to_onnx().unwrap()).unwrap();
        let shape = &imported.graph().values[imported.graph().input.0].shape;
        for sample in data.samples(shape).unwrap().iter().take(5) {
            let (one, other) = (pruned.infer(sample).unwrap(), again.infer(sample).unwrap());
            assert!(
                one.iter().zip(&other).all(|(one, other)| (one - other).abs() < 1e-4 * one.abs().max(1.0))
            );
        }
        let rows = |network: &Imported| {
            let quantised = network.quantise(&data, &QuantisationOptions::default()).unwrap();
            quantised.compile(&CompileOptions::default()).unwrap().report().rows_in_use
        };
        assert!(rows(&again) < rows(&imported));
    }

    #[test]
    fn a_search_finds_a_cheaper_network_that_proves() {
        let (imported, data) = digits();
        let options = SearchOptions { max_accuracy_loss: 0.02, trials: 12, ..SearchOptions::default() };
        let (quantised, report) =
            imported.search((&data, None), &options, &CompileOptions::default()).unwrap();
        assert!(report.work < report.work_before && report.loss <= 0.02, "{report:?}");
        let compiled = quantised.compile(&CompileOptions::default()).unwrap();
        assert!((compiled.report().work - report.work).abs() < 1e-6 * report.work);
        let srs = Srs::development(compiled.srs_log_size()).unwrap();
        let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
        let sample = data.samples(&keyed.input_shape()).unwrap().get(0).unwrap().to_vec();
        keyed
            .resident(&ProveOptions::default(), |key| {
                let proved = key.prove(&sample, &Openings::default(), &mut |_| {})?;
                keyed.verifier().verify(proved.file(), &keyed.pin()).map(|_| ())
            })
            .unwrap();
    }
}
