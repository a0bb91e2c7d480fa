//! What a compiled network looks like, layer by layer and in total.

use serde::Serialize;
use zkloom_model::integer_graph::{Contraction, IntegerNode, IntegerOp, Interval};

use crate::compile::Compiled;
use crate::cost::{CostConstants, Shape, shape_of};
use crate::plan::{Activated, Plan};
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
    /// Digest of the whole architecture, in hexadecimal: geometry, functions, stated intervals, no weights.
    pub architecture: String,
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
        let layers = crate::plan::Plan::new(&self.layout.structure).map(|plan| self.layers(&plan));
        let shape = shape_of(&self.circuit);
        CompileReport {
            network: self.layout.network().to_owned(),
            architecture: self.layout.structure.digest().iter().map(|byte| format!("{byte:02x}")).collect(),
            layers: layers.unwrap_or_default(),
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

    fn layers(&self, plan: &Plan<'_>) -> Vec<LayerReport> {
        let interval = |i: zkloom_plonkish::Interval| Interval { min: i.min, max: i.max };
        let layer = |(index, node): (usize, &IntegerNode)| {
            let own = || {
                plan.blocks
                    .iter()
                    .zip(&self.layout.blocks)
                    .filter(move |(block, _)| block.node == Some(index))
            };
            let rows = own().map(|(_, placed)| placed.height).sum();
            let last = own().next_back().map(|(block, _)| block.name.clone());
            let accumulators =
                last.and_then(|name| self.circuit.tensors.iter().find(|tensor| tensor.name == name));
            let asked = |activated: &&Activated| activated.node == index;
            let activated = plan.blocks.iter().filter_map(|block| block.activated.as_ref()).find(asked);
            let table =
                plan.blocks.iter().zip(&self.layout.blocks).find(|(block, _)| {
                    block.activated.as_ref().is_some_and(|activated| activated.node == index)
                });
            let table = table.and_then(|(_, placed)| self.layout.table(placed.tag));
            let shape = plan.graph.tensor(node.output).shape.iter().map(|size| *size as u64).collect();
            LayerReport {
                name: node.name.clone(),
                operator: operator(&node.op).to_owned(),
                shape,
                rows,
                accumulators: accumulators.map(|tensor| interval(tensor.interval)),
                quotients: activated
                    .map(|activated| Interval { min: activated.domain.min, max: activated.domain.max }),
                table_rows: table.map(Table::rows),
            }
        };
        plan.graph.nodes.iter().enumerate().map(layer).collect()
    }
}

/// The operation's name in reports.
fn operator(op: &IntegerOp) -> &'static str {
    match op {
        IntegerOp::Linear { products, .. } => match products.first().map(|product| &product.contraction) {
            Some(Contraction::Convolution(_)) => "Convolution",
            _ => "Linear",
        },
        IntegerOp::Sum { .. } => "Sum",
        IntegerOp::Activate { .. } => "Activate",
        IntegerOp::Maximum { .. } => "Maximum",
        IntegerOp::Multiply { .. } => "Multiply",
        IntegerOp::ArgMax { .. } => "ArgMax",
        IntegerOp::Reshape { .. } => "Reshape",
    }
}
