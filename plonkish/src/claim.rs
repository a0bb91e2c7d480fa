//! Linear claims between tensors (protocol, section 4) and the matrices and folds they speak of.

use crate::view::{Monomial, Variable, View};
use crate::{codec_enum, codec_struct};

/// A matrix whose rows the key commits to one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Name for messages.
    pub name: String,
    /// Number of rows: output channels.
    pub rows: u32,
    /// Entries of a row, the bias included (last).
    pub columns: u32,
    /// Whether the rows are committed without hiding, so that anyone can recompute the key from the model.
    pub public: bool,
    /// Axis role whose challenge contracts the rows.
    pub row_role: u32,
}
codec_struct!(Matrix { name, rows, columns, public, row_role });

/// Constant-one inputs of a matrix (its bias columns): no cells, but a public part of the fold. Entry `column` of the
/// matrix's input is one at every output position, and the positions' monomials are a product of geometric runs. A run whose
/// ratio has a power of the fold's variable goes along the matrix's columns as well: with `theta^1 fold^1` the i-th of `count`
/// is entry `column + i` with the monomial `theta^i`, so that all channels' biases are one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantOnes {
    /// Which entry of the matrix's rows.
    pub column: u32,
    /// Monomial of the first position.
    pub scale: Monomial,
    /// The position axes.
    pub axes: Vec<PositionAxis>,
}
codec_struct!(ConstantOnes { column, scale, axes });

impl ConstantOnes {
    /// Largest matrix column among its entries (axes without positions count as one).
    pub fn last_column(&self) -> u64 {
        let step = |axis: &PositionAxis| {
            u64::from(axis.ratio.exponent(Variable::Fold {})) * u64::from(axis.count.saturating_sub(1))
        };
        self.axes.iter().map(step).fold(u64::from(self.column), u64::saturating_add)
    }

    /// The same ones with the fold's variable written out: one for each matrix column that a run reaches, in which no ratio has
    /// that variable.
    pub fn by_column(&self) -> Vec<Self> {
        let along = |axis: &&PositionAxis| axis.ratio.exponent(Variable::Fold {}) > 0;
        let rest = self.axes.iter().filter(|axis| !along(axis)).cloned().collect();
        let mut found = vec![Self { column: self.column, scale: self.scale.clone(), axes: rest }];
        for axis in self.axes.iter().filter(along) {
            let step = axis.ratio.exponent(Variable::Fold {});
            let ratio = axis.ratio.without(Variable::Fold {});
            let run = |one: &Self| {
                let one = one.clone();
                let ratio = ratio.clone();
                (0..axis.count).map(move |i| Self {
                    column: one.column.saturating_add(step.saturating_mul(i)),
                    scale: one.scale.times(&ratio.raised(i)),
                    axes: one.axes.clone(),
                })
            };
            found = found.iter().flat_map(run).collect();
        }
        found
    }
}

/// A run of output positions: the i-th of `count` has the monomial `ratio^i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionAxis {
    /// Number of positions.
    pub count: u32,
    /// Monomial from one to the next.
    pub ratio: Monomial,
}
codec_struct!(PositionAxis { count, ratio });

/// What a claim says of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Kinds M and D: output = matrix times input. Input views carry the fold's variable (the matrix column that a cell
    /// meets) and position monomials.
    Matrix {
        /// Which matrix; each belongs to one claim.
        matrix: u32,
        /// The input's cells.
        input: Vec<View>,
        /// Constant-one inputs.
        ones: Vec<ConstantOnes>,
    },
    /// Kind A: output = left times right, both activations, contracted over `length` entries of the fold's variable.
    Product {
        /// Left factor, with the output's row monomials.
        left: Vec<View>,
        /// Right factor, with the output's column monomials.
        right: Vec<View>,
        /// Length of the contraction.
        length: u32,
    },
    /// Kind L: output + inputs = 0, cell by cell.
    Linear {
        /// The other terms.
        inputs: Vec<View>,
    },
    /// Kind P: output = public tensor; the i-th value meets the cell with the i-th power of the public challenge.
    Public {
        /// Which public tensor.
        tensor: u32,
    },
    /// Kind P against a commitment.
    External {
        /// Which external vector.
        vector: u32,
    },
}
codec_enum!(Relation {
    0 = Matrix { matrix, input, ones },
    1 = Product { left, right, length },
    2 = Linear { inputs },
    3 = Public { tensor },
    4 = External { vector },
});

/// A linear claim. The cells of its output bear distinct monomials, so that the claim at random challenges holds only if
/// it holds cell by cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name for messages.
    pub name: String,
    /// The output's cells.
    pub output: Vec<View>,
    /// What they equal.
    pub relation: Relation,
}
codec_struct!(Claim { name, output, relation });

/// The vectors that the prover folds a proof's matrix inputs and products into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoldKind {
    /// Inputs of all matrices (x~).
    Input,
    /// Left factors of all products (a~).
    Left,
    /// Right factors of all products (b~).
    Right,
}

/// Consecutive cells of a tensor column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRun {
    /// Tensor column, numbered among tensor columns.
    pub column: u32,
    /// First row.
    pub row: u32,
}
codec_struct!(CellRun { column, row });

/// Trace cells that hold the random last entries of the folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldBlinds {
    /// Random entries of each fold.
    pub count: u32,
    /// One run for each fold that exists, in their order.
    pub runs: Vec<CellRun>,
}
codec_struct!(FoldBlinds { count, runs });
