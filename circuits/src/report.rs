//! What a compiled network looks like, layer by layer and in total.

use serde::Serialize;
use zkloom_model::integer_graph::Interval;

use crate::compile::Compiled;
use crate::cost::{CostConstants, Shape, shape_of};
use crate::layout::Effect;
use crate::tables::{Table, total_rows};

/// One node of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// The node's name.
    pub name: String,
    /// The operation.
    pub operator: String,
    /// Shape of its output, without batch.
    pub shape: Vec<u64>,
    /// Rows in each lane that it adds; an activation shares its accumulator's, a reshape has none.
    pub rows: u32,
    /// Interval of its accumulators as the circuit states it (private weights: widened to powers of two), or of the
    /// accumulators that it requantises.
    pub accumulators: Option<Interval>,
    /// Interval of the requantised accumulators.
    pub quotients: Option<Interval>,
    /// Rows of the table that it looks up, which other layers may share.
    pub table_rows: Option<u64>,
}

/// A compiled network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompileReport {
    /// The network's name.
    pub network: String,
    /// Its nodes in order.
    pub layers: Vec<LayerReport>,
    /// Rows of a column, lanes, table sets, fold and weights.
    pub shape: Shape,
    /// Rows in use in each lane, without random ones.
    pub rows_in_use: u32,
    /// Requantisation divides by `2^shift`.
    pub shift: u32,
    /// Rows of all tables.
    pub table_rows: u64,
    /// Rows of all matrices, each a commitment in the key.
    pub matrix_rows: u64,
    /// Linear claims.
    pub claims: usize,
    /// Bytes of a proof, without its public values and its file's header.
    pub proof_bytes: u64,
    /// Rough peak memory of proving, in bytes.
    pub proving_memory_bytes: u64,
    /// Work of a proof in full-width entries of multi-scalar multiplications on a CPU, for comparison of shapes.
    pub work: f64,
}

impl Compiled {
    /// Sizes layer by layer and in total. It tells what the circuit tells, and nothing else of the weights.
    pub fn report(&self) -> CompileReport {
        let interval = |i: zkloom_plonkish::Interval| Interval { min: i.min, max: i.max };
        let layers = self.layout.nodes.iter().map(|node| {
            let (accumulators, quotients, table_rows) = match node.effect {
                Effect::Alias {} => (None, None, None),
                Effect::Accumulate { interval: found } => (Some(interval(found)), None, None),
                Effect::Activate { interval: found, quotients, tag } => {
                    let rows = self.layout.table(tag).map(Table::rows);
                    (Some(interval(found)), Some(interval(quotients)), rows)
                }
            };
            let (name, operator, shape) = (node.name.clone(), node.operator.clone(), node.shape.clone());
            LayerReport { name, operator, shape, rows: node.rows, accumulators, quotients, table_rows }
        });
        let shape = shape_of(&self.circuit);
        CompileReport {
            network: self.layout.network.clone(),
            layers: layers.collect(),
            shape,
            rows_in_use: self.layout.rows,
            shift: self.layout.shift,
            table_rows: total_rows(&self.layout.tables),
            matrix_rows: self.circuit.cost().matrix_rows,
            claims: self.circuit.claims.len(),
            proof_bytes: shape.proof_bytes(),
            proving_memory_bytes: shape.memory_bytes(),
            work: shape.work(&CostConstants::CPU),
        }
    }
}
