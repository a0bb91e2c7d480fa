//! What a circuit costs: degrees, rows in use, columns, lookups, and the counts that a cost model needs.

use crate::Circuit;
use crate::claim::FoldKind;

/// Sizes of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostReport {
    /// Rows, as log2.
    pub log_rows: u32,
    /// Largest row that a tensor uses, plus one.
    pub tensor_rows: u64,
    /// Tensor cells in use.
    pub tensor_cells: u64,
    /// Tensor columns.
    pub tensor_columns: usize,
    /// Other advice columns.
    pub other_columns: usize,
    /// Fixed columns.
    pub fixed_columns: usize,
    /// Largest degree of a gate or helper.
    pub degree: u32,
    /// Lookups.
    pub lookups: usize,
    /// Helper columns.
    pub helpers: usize,
    /// Table sets.
    pub table_sets: usize,
    /// Pieces of the quotient.
    pub quotient_pieces: usize,
    /// Committed matrix rows.
    pub matrix_rows: u64,
    /// Matrix entries.
    pub matrix_entries: u64,
    /// Length of the input fold.
    pub input_fold: u64,
    /// Claims.
    pub claims: usize,
}

impl Circuit {
    /// Counts everything.
    pub fn cost(&self) -> CostReport {
        let pieces = || self.tensors.iter().flat_map(|tensor| &tensor.pieces);
        let tensor_columns = self.tensor_columns().count();
        let gate_degree = self.gates.iter().map(|gate| gate.polynomial.degree()).max().unwrap_or(0);
        let helper_degree = if self.lookups.is_empty() { 0 } else { self.fractions_per_helper() as u32 + 1 };
        CostReport {
            log_rows: self.log_rows,
            tensor_rows: pieces().map(|p| u64::from(p.offset) + u64::from(p.length)).max().unwrap_or(0),
            tensor_cells: pieces().map(|p| u64::from(p.length)).sum(),
            tensor_columns,
            other_columns: self.advice.len() - tensor_columns,
            fixed_columns: self.fixed.len(),
            degree: gate_degree.max(helper_degree),
            lookups: self.lookups.len(),
            helpers: self.helpers(),
            table_sets: self.table_sets.len(),
            quotient_pieces: self.max_degree as usize - 1,
            matrix_rows: self.matrices.iter().map(|m| u64::from(m.rows)).sum(),
            matrix_entries: self.matrices.iter().map(|m| u64::from(m.rows) * u64::from(m.columns)).sum(),
            input_fold: self.fold_length(FoldKind::Input),
            claims: self.claims.len(),
        }
    }
}
