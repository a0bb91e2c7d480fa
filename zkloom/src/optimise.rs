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

    /// What a verifier holds of a network with most weights at zero, and rows of zeros, has the same sizes as of the dense one, and
    /// no commitment shows that its row is empty or equal to another.
    #[test]
    fn keys_and_proofs_do_not_show_where_weights_are_zero() {
        use zkloom_model::integer_graph::IntegerOp;
        use zkloom_plonkish::Encode;
        let (imported, data) = digits();
        let dense = imported.quantise(&data, &QuantisationOptions::default()).unwrap();
        let mut sparse = dense.clone();
        for node in &mut sparse.graph.nodes {
            let IntegerOp::Linear { products, bias } = &mut node.op else { continue };
            for weights in products.iter_mut().map(|product| &mut product.weights) {
                let columns = weights.columns;
                for (index, weight) in weights.values.iter_mut().enumerate() {
                    // The first two rows are all zero, and three of four weights elsewhere.
                    if index < 2 * columns || index % 4 != 1 {
                        *weight = 0;
                    }
                }
            }
            bias.iter_mut().take(2).for_each(|value| *value = 0);
        }
        let sample =
            data.samples(&dense.graph.tensor(dense.graph.input).shape).unwrap().get(0).unwrap().to_vec();
        let mut sizes = Vec::new();
        for network in [&dense, &sparse] {
            let compiled = network.compile(&CompileOptions::default()).unwrap();
            let srs = Srs::development(compiled.srs_log_size()).unwrap();
            let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
            let key = keyed.key().verifying();
            let mut seen = std::collections::HashSet::new();
            for point in key.matrices().iter().flatten() {
                assert!(
                    *point != zkloom_verifier::G1Affine::default()
                        && seen.insert(zkloom_verifier::group::compressed(point).to_vec())
                );
            }
            let proved = keyed.prove(&sample, &ProveOptions::default(), &mut |_| {}).unwrap();
            keyed.verifier().verify(proved.file(), &keyed.pin()).unwrap();
            sizes.push((key.to_vec().len(), proved.file().bytes.len(), compiled.report().shape));
        }
        assert_eq!(sizes[0].0, sizes[1].0);
        assert_eq!(sizes[0].1, sizes[1].1);
        assert_eq!(sizes[0].2, sizes[1].2);
    }
}
