//! The shape of a circuit: everything that prover and verifier share, without values.

use crate::claim::{Claim, FoldBlinds, FoldKind, Matrix, Relation};
use crate::codec::Encode;
use crate::codec_struct;
use crate::expression::{Expression, Query};
use crate::lookup::{Lookup, TableSet};
use crate::origin::{Interval, Tensor};

/// A column that the prover fills for each proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdviceColumn {
    /// Name for messages.
    pub name: String,
    /// Whether it carries tensors. Tensor columns are committed in row form and in coefficient form, and views speak of them.
    pub tensor: bool,
}
codec_struct!(AdviceColumn { name, tensor });

/// A column that the key fixes: selectors, row constants, tags, tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedColumn {
    /// Name for messages.
    pub name: String,
}
codec_struct!(FixedColumn { name });

/// A polynomial that is zero on every row. Selectors are factors of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Name for messages.
    pub name: String,
    /// The polynomial.
    pub polynomial: Expression<Query>,
}
codec_struct!(Gate { name, polynomial });

/// Two cells of advice columns that hold the same value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Advice column and row of one cell.
    pub left_column: u32,
    /// Its row.
    pub left_row: u32,
    /// Advice column of the other cell.
    pub right_column: u32,
    /// Its row.
    pub right_row: u32,
}
codec_struct!(Copy { left_column, left_row, right_column, right_row });

/// A vector of values that the statement gives in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicTensor {
    /// Identifier in the statement.
    pub identifier: u32,
    /// Name for messages.
    pub name: String,
    /// Number of values.
    pub length: u32,
    /// Interval that the verifier checks every value against.
    pub interval: Interval,
}
codec_struct!(PublicTensor { identifier, name, length, interval });

/// A vector that the statement gives as a commitment in coefficient form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalVector {
    /// Identifier in the statement.
    pub identifier: u32,
    /// Name for messages.
    pub name: String,
    /// Number of entries that the circuit speaks of.
    pub length: u32,
    /// Position of the first of them in the committed vector.
    pub offset: u32,
}
codec_struct!(ExternalVector { identifier, name, length, offset });

/// The shape of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Columns have `2^log_rows` rows.
    pub log_rows: u32,
    /// The last so many rows of every advice column are random; selectors are zero there.
    pub blinding_rows: u32,
    /// Bound on the degree of gates and helpers, at least 3. The quotient has one piece less.
    pub max_degree: u32,
    /// Advice columns in key order.
    pub advice: Vec<AdviceColumn>,
    /// Fixed columns in key order.
    pub fixed: Vec<FixedColumn>,
    /// Gates in key order.
    pub gates: Vec<Gate>,
    /// Sets of tables; one multiplicity column each.
    pub table_sets: Vec<TableSet>,
    /// Lookups in key order; helpers take `max_degree - 1` fractions each, in this order.
    pub lookups: Vec<Lookup>,
    /// Copy constraints.
    pub copies: Vec<Copy>,
    /// Names of the axis roles; one challenge each.
    pub roles: Vec<String>,
    /// Matrices whose rows the key commits to.
    pub matrices: Vec<Matrix>,
    /// Linear claims in key order, numbered from 1 in the protocol.
    pub claims: Vec<Claim>,
    /// Public tensors in key order.
    pub publics: Vec<PublicTensor>,
    /// External vectors in key order.
    pub externals: Vec<ExternalVector>,
    /// Where the random entries of the folds lie.
    pub fold_blinds: FoldBlinds,
    /// Every tensor with its interval and the origin of its cells.
    pub tensors: Vec<Tensor>,
}
codec_struct!(Circuit {
    log_rows,
    blinding_rows,
    max_degree,
    advice,
    fixed,
    gates,
    table_sets,
    lookups,
    copies,
    roles,
    matrices,
    claims,
    publics,
    externals,
    fold_blinds,
    tensors,
});

impl Circuit {
    /// Number of rows, N.
    pub fn rows(&self) -> usize {
        1_usize.checked_shl(self.log_rows).unwrap_or(0)
    }

    /// Rows before the blinding rows.
    pub fn usable(&self) -> usize {
        self.rows().saturating_sub(self.blinding_rows as usize)
    }

    /// Indices of the advice columns that carry tensors, in key order.
    pub fn tensor_columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.advice.iter().enumerate().filter(|(_, column)| column.tensor).map(|(index, _)| index)
    }

    /// Fractions that one helper sums.
    pub fn fractions_per_helper(&self) -> usize {
        (self.max_degree as usize).saturating_sub(1).max(1)
    }

    /// Fractions of the lookup argument that helpers carry: every lookup, and every table set but the first.
    pub fn helper_fractions(&self) -> usize {
        self.lookups.len() + self.table_sets.len().saturating_sub(1)
    }

    /// Number of helper columns.
    pub fn helpers(&self) -> usize {
        self.helper_fractions().div_ceil(self.fractions_per_helper())
    }

    /// Coordinates of a lookup tuple without the table's number.
    pub fn arity(&self) -> usize {
        self.table_sets.iter().map(|set| set.values.len()).max().unwrap_or(0)
    }

    /// Folds that exist, in the protocol's order.
    pub fn folds(&self) -> Vec<FoldKind> {
        let any = |test: fn(&Relation) -> bool| self.claims.iter().any(|claim| test(&claim.relation));
        let mut folds = Vec::new();
        if any(|relation| matches!(relation, Relation::Matrix { .. })) {
            folds.push(FoldKind::Input);
        }
        if any(|relation| matches!(relation, Relation::Product { .. })) {
            folds.extend([FoldKind::Left, FoldKind::Right]);
        }
        folds
    }

    /// For each claim, the fold entry where its segment starts (matrix claims in the input fold, product claims in the
    /// left one), or `None` for claims without a product; then the total lengths of both.
    pub fn fold_segments(&self) -> (Vec<Option<u64>>, u64, u64) {
        let (mut input, mut left) = (0_u64, 0_u64);
        let offsets = self
            .claims
            .iter()
            .map(|claim| match &claim.relation {
                Relation::Matrix { matrix, .. } => {
                    let length = self.matrices.get(*matrix as usize).map_or(0, |m| u64::from(m.columns));
                    let start = input;
                    input = input.saturating_add(length);
                    Some(start)
                }
                Relation::Product { length, .. } => {
                    let start = left;
                    left = left.saturating_add(u64::from(*length));
                    Some(start)
                }
                _ => None,
            })
            .collect();
        (offsets, input, left)
    }

    /// Number of entries of a fold, random ones included.
    pub fn fold_length(&self, fold: FoldKind) -> u64 {
        let (_, input, left) = self.fold_segments();
        let blinds = u64::from(self.fold_blinds.count);
        match fold {
            FoldKind::Input => input.saturating_add(blinds),
            FoldKind::Left => left.saturating_add(blinds),
            FoldKind::Right => left.saturating_add(2 * blinds),
        }
    }

    /// Powers of tau that commitments of this circuit need: rows and slack, folds, external vectors.
    pub fn srs_length(&self) -> u64 {
        let folds = self.folds().into_iter().map(|fold| self.fold_length(fold)).max().unwrap_or(0);
        let external = self
            .externals
            .iter()
            .map(|e| u64::from(e.offset).saturating_add(u64::from(e.length)))
            .max()
            .unwrap_or(0);
        (self.rows() as u64 + 8).max(folds).max(external)
    }

    /// Blake3 of the canonical encoding.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.to_vec()).as_bytes()
    }
}
