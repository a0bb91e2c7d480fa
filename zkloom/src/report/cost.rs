//! Which part of a proof's cost each layer has.
//!
//! A proof's time follows the rows of its columns, the weights (in the contraction) and the columns of the weight matrices (in the
//! fold); nothing in it belongs to one layer. So each stage is divided among the layers by what it works on, and what is left, rows
//! that no layer uses and work that every proof has, is nobody's. Memory is divided in the same way.

use serde::Serialize;
use zkloom_circuits::CompileReport;
use zkloom_circuits::cost::{CostConstants, Shape};

use super::layers::LayerRow;
use super::measure::ProofMeasurement;

/// Parts of a proof's cost, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// Of the predicted time.
    pub predicted_time: f64,
    /// Of the predicted memory.
    pub predicted_memory: f64,
    /// Of the measured time; nothing without a measurement.
    pub measured_time: Option<f64>,
}

/// How much of everything that a proof works on is a layer's, 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    /// Of all rows, unused ones included.
    rows: f64,
    /// Of the rows in use.
    used: f64,
    weights: f64,
    columns: f64,
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn parts(layers: &[LayerRow], circuit: &CompileReport) -> Vec<Parts> {
    let all = 2_f64.powi(circuit.shape.log_rows as i32);
    let sum = |of: fn(&LayerRow) -> f64| layers.iter().map(of).sum::<f64>();
    let (weights, columns) = (sum(|layer| layer.weights as f64), sum(|layer| layer.columns as f64));
    let part = |layer: &LayerRow| Parts {
        rows: f64::from(layer.rows) / all,
        used: ratio(f64::from(layer.rows), f64::from(circuit.rows_in_use)),
        weights: ratio(layer.weights as f64, weights),
        columns: ratio(layer.columns as f64, columns),
    };
    layers.iter().map(part).collect()
}

/// A cost as its parts that follow rows, weights and columns; what is left of the whole is fixed.
#[derive(Clone, Copy, Debug)]
struct Divided {
    whole: f64,
    rows: f64,
    weights: f64,
    columns: f64,
}

impl Divided {
    /// Divides a function of a circuit's shape by leaving out weights, columns and rows one after the other.
    fn of(shape: Shape, cost: impl Fn(&Shape) -> f64) -> Self {
        let whole = cost(&shape);
        let no_weights = cost(&Shape { weights: 0, ..shape });
        let no_columns = cost(&Shape { weights: 0, fold_length: 0, ..shape });
        let no_rows = cost(&Shape { weights: 0, fold_length: 0, log_rows: 0, ..shape });
        Self {
            whole,
            rows: no_columns - no_rows,
            weights: whole - no_weights,
            columns: no_weights - no_columns,
        }
    }

    fn share(&self, part: &Parts) -> f64 {
        let own = self.rows * part.rows + self.weights * part.weights + self.columns * part.columns;
        ratio(own, self.whole)
    }
}

/// Fills in the predicted shares; gives the rest beside them.
pub(super) fn predicted(mut layers: Vec<LayerRow>, circuit: &CompileReport) -> (Vec<LayerRow>, Shares) {
    let time = Divided::of(circuit.shape, |shape| shape.work(&CostConstants::CPU));
    let memory = Divided::of(circuit.shape, |shape| shape.memory_bytes() as f64);
    let mut rest = Shares { predicted_time: 1.0, predicted_memory: 1.0, measured_time: None };
    let parts = parts(&layers, circuit);
    for (layer, part) in layers.iter_mut().zip(&parts) {
        layer.shares.predicted_time = time.share(part);
        layer.shares.predicted_memory = memory.share(part);
        rest.predicted_time -= layer.shares.predicted_time;
        rest.predicted_memory -= layer.shares.predicted_memory;
    }
    (layers, rest)
}

/// Fills in the measured shares.
pub(super) fn measured(
    layers: &mut [LayerRow],
    rest: &mut Shares,
    circuit: &CompileReport,
    measurement: &ProofMeasurement,
) {
    let parts = parts(layers, circuit);
    let mut left = 1.0;
    for (layer, part) in layers.iter_mut().zip(&parts) {
        let own: f64 =
            measurement.stages.iter().map(|stage| stage.seconds * driver(&stage.stage, part)).sum::<f64>()
                + measurement.witness_seconds * part.used;
        let share = ratio(own, measurement.prove_seconds);
        layer.shares.measured_time = Some(share);
        left -= share;
    }
    rest.measured_time = Some(left);
}

/// What a stage works on.
fn driver(stage: &str, part: &Parts) -> f64 {
    match stage {
        // Unused rows hold zeros, which cost a commitment nothing.
        "trace" => part.used,
        "contraction" => part.weights,
        "self-check" => 0.0,
        _ => part.rows,
    }
}
