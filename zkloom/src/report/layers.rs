//! One row for each operation of an integer network: what the circuit, the quantisation and the float network say of it.

use std::collections::HashMap;

use serde::Serialize;
use zkloom_circuits::CompileReport;
use zkloom_circuits::plan::Plan;
use zkloom_circuits::structure::Structure;
use zkloom_model::data::Samples;
use zkloom_model::integer_graph::{IntegerNode, IntegerOp};
use zkloom_model::quantise::QuantiseError;
use zkloom_model::report::{LayerReport, bits, ranges, weights};
use zkloom_model::teleport::Extent;

use super::{Shares, Subject};
use crate::error::Result;

/// An operation of an integer network.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerRow {
    /// The ONNX node's name, with a suffix where quantisation added the operation.
    pub name: String,
    /// What it computes.
    pub operator: String,
    /// Elements of its output.
    pub elements: usize,
    /// Weights that it commits to.
    pub weights: usize,
    /// Zeros among them.
    pub zeros: usize,
    /// Columns of its weight matrices together: entries of the input fold.
    pub columns: usize,
    /// Rows in each lane that its cells need.
    pub rows_predicted: u64,
    /// Rows in each lane that it has in the circuit; lanes are cut where their cells stay in one piece, so that there may be more.
    pub rows: u32,
    /// Rows of the table that it looks up, which other layers may share.
    pub table_rows: Option<u64>,
    /// Interval of the requantised accumulators: what the table must hold.
    pub table_interval: Option<(i64, i64)>,
    /// Least and greatest value over the calibration set in the network as it was read; nothing where it has no such layer.
    pub range_given: Option<Extent>,
    /// The same in the network that was turned into integers.
    pub range: Option<Extent>,
    /// Bits of its integers.
    pub bits: Option<u32>,
    /// Largest absolute error on the calibration set, in real units.
    pub max_error: Option<f64>,
    /// Signal-to-noise ratio on the calibration set, in decibels.
    pub signal_to_noise: Option<f64>,
    /// Elements that were cut to the representable range.
    pub saturated: Option<u64>,
    /// Relative error that pruning made in the layer's output, all errors before it included.
    pub pruning_error: Option<f64>,
    /// Its part of what a proof costs.
    pub shares: Shares,
}

/// All rows, their shares of cost still empty.
pub(super) fn rows(subject: &Subject, circuit: &CompileReport, samples: &Samples) -> Result<Vec<LayerRow>> {
    let graph = subject.quantised.graph();
    let given = given_ranges(subject, samples)?;
    let report = subject.quantised.report();
    let compared: HashMap<usize, &LayerReport> =
        report.layers.iter().map(|layer| (layer.tensor.0, layer)).collect();
    let cells = cells(subject)?;
    let pruned: HashMap<&str, f64> = subject
        .sparsification
        .iter()
        .flat_map(|report| report.layers.iter().map(|layer| (layer.name.as_str(), layer.error)))
        .collect();
    let lanes = u64::from(circuit.shape.lanes.max(1));
    let rows_of = |cells: &[u32]| cells.iter().map(|cells| u64::from(*cells).div_ceil(lanes)).sum();
    let nodes = graph.nodes.iter().zip(&circuit.layers).enumerate();
    let row = |(index, (node, layer)): (usize, (&_, &zkloom_circuits::LayerReport))| {
        let node: &IntegerNode = node;
        let compared = compared.get(&node.output.0);
        let (weights, zeros) = weights(&node.op).unwrap_or((0, 0));
        let cells = cells.nodes.get(index).map_or(&[][..], Vec::as_slice);
        LayerRow {
            name: node.name.clone(),
            operator: layer.operator.clone(),
            elements: graph.tensor(node.output).elements(),
            weights,
            zeros,
            columns: columns(node),
            rows_predicted: rows_of(cells),
            rows: layer.rows,
            table_rows: layer.table_rows,
            table_interval: layer.quotients.map(|interval| (interval.min, interval.max)),
            range_given: given.get(node.name.as_str()).copied().filter(|_| compared.is_some()),
            range: compared.map(|layer| layer.range),
            bits: compared.map(|layer| layer.bits),
            max_error: compared.map(|layer| layer.max_error),
            signal_to_noise: compared.and_then(|layer| layer.signal_to_noise),
            saturated: compared.map(|layer| layer.saturated),
            pruning_error: pruned.get(node.name.as_str()).copied(),
            shares: Shares::default(),
        }
    };
    let mut rows: Vec<LayerRow> = nodes.map(row).collect();
    let others = rows.iter().map(|layer| layer.rows).sum();
    rows.insert(
        0,
        input(subject, circuit.rows_in_use.saturating_sub(others), rows_of(&cells.input), samples),
    );
    Ok(rows)
}

/// The row of the network's input, whose values take rows too.
fn input(subject: &Subject, rows: u32, rows_predicted: u64, samples: &Samples) -> LayerRow {
    let graph = subject.quantised.graph();
    let tensor = graph.tensor(graph.input);
    let mut seen: Option<Extent> = None;
    for &value in samples.iter().flatten() {
        let extent = seen.get_or_insert_with(Extent::default);
        *extent = Extent { min: extent.min.min(value), max: extent.max.max(value) };
    }
    LayerRow {
        name: tensor.name.clone(),
        operator: "Input".to_owned(),
        elements: tensor.elements(),
        rows_predicted,
        rows,
        range_given: seen,
        range: seen,
        bits: Some(bits(tensor.interval)),
        ..LayerRow::default()
    }
}

/// Ranges in the network as read, by the names of the nodes that make the values; the first of equal names.
fn given_ranges<'a>(subject: &'a Subject, samples: &Samples) -> Result<HashMap<&'a str, Extent>> {
    let graph = subject.given.graph();
    let ranges = ranges(graph, samples).map_err(QuantiseError::from)?;
    let mut named = HashMap::new();
    for node in &graph.nodes {
        named.entry(node.name.as_str()).or_insert(ranges[node.output.0]);
    }
    Ok(named)
}

/// Cells of the blocks that a network's circuit has.
#[derive(Default)]
struct Cells {
    /// Of those that hold the input.
    input: Vec<u32>,
    /// Of those that each node asks for.
    nodes: Vec<Vec<u32>>,
}

fn cells(subject: &Subject) -> Result<Cells> {
    let graph = subject.quantised.graph();
    let structure = Structure::of(graph, true)?;
    let plan = Plan::new(&structure)?;
    let mut cells = Cells { nodes: vec![Vec::new(); graph.nodes.len()], ..Cells::default() };
    for block in &plan.blocks {
        let own = match block.node {
            None => Some(&mut cells.input),
            Some(node) => cells.nodes.get_mut(node),
        };
        own.into_iter().for_each(|own| own.push(block.cells));
    }
    Ok(cells)
}

/// Columns of a node's weight matrices.
fn columns(node: &IntegerNode) -> usize {
    match &node.op {
        IntegerOp::Linear { products, .. } => {
            products.iter().map(|product| product.weights.columns * product.contraction.groups()).sum()
        }
        _ => 0,
    }
}
