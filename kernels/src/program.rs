//! Gate programs: straight-line field arithmetic applied to every row of a set of vectors.
//!
//! A program is made once for a circuit; the values of its constants (challenges, mostly) are given at each run.
//! It is the common input of the CPU interpreter and of the emitters for other devices.

/// Where an operation reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// The result of an earlier operation, by its index in [`Program::operations`].
    Result(u32),
    /// Input vector `index` at row `(row + rotation) mod len`.
    Input {
        /// Which input vector.
        index: u32,
        /// Row offset, cyclic.
        rotation: i32,
    },
    /// Run-time constant, by index.
    Constant(u32),
}

/// One operation; its result is known by the operation's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `a + b`
    Add(Operand, Operand),
    /// `a - b`
    Subtract(Operand, Operand),
    /// `a * b`
    Multiply(Operand, Operand),
}

/// A straight-line program over rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Number of input vectors it expects; all have the same length.
    pub inputs: u32,
    /// Number of run-time constants it expects.
    pub constants: u32,
    /// Operations, each reading only earlier results.
    pub operations: Vec<Operation>,
    /// What is written to the output row.
    pub output: Option<Operand>,
}
