//! Names of the committed polynomials, shared by prover and verifier.

use zkloom_plonkish::FoldKind;

/// A committed polynomial of a proof or of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolynomialId {
    /// Row form of an advice column.
    Advice(usize),
    /// Coefficient form of a tensor column, or after them of an external vector.
    Coefficients(usize),
    /// Multiplicities of a table set.
    Multiplicity(usize),
    /// Helper of the lookup argument.
    Helper(usize),
    /// Running sum of the lookup argument.
    RunningSum,
    /// A fold.
    Fold(FoldKind),
    /// Contraction of a matrix's rows, by matrix; known from the key.
    Contraction(usize),
    /// The link polynomial h.
    Link,
    /// The polynomial S of the one identity.
    Symmetric,
    /// A piece of the quotient.
    Quotient(usize),
    /// A fixed column.
    Fixed(usize),
}

/// A polynomial value in the row identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opened {
    /// Advice column at a rotation.
    Advice {
        /// Index of the column.
        column: usize,
        /// The rotation.
        rotation: i32,
    },
    /// Fixed column at a rotation.
    Fixed {
        /// Index of the column.
        column: usize,
        /// The rotation.
        rotation: i32,
    },
    /// Multiplicities of a table set.
    Multiplicity(usize),
    /// A helper.
    Helper(usize),
    /// The running sum on this row.
    RunningSum,
    /// The running sum on the next row.
    NextRunningSum,
    /// Lagrange polynomial of row 0.
    FirstRow,
    /// Lagrange polynomial of the first blinding row.
    FirstBlindingRow,
    /// One on usable rows, zero on blinding rows.
    ActiveRows,
}
