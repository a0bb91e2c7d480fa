//! Why a network has no circuit, and why an input has no witness.

use thiserror::Error;
use zkloom_model::integer_graph::{GraphError, Interval};
use zkloom_model::interpreter::RunError;
use zkloom_model::interval::IntervalError;
use zkloom_plonkish::CircuitError;

/// Why a network cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompileError {
    /// The graph's parts do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The number of lanes is not supported.
    #[error("{found} lanes were asked for; choose 1 to {max}, or leave the choice to the cost model")]
    Lanes {
        /// What was asked for.
        found: u32,
        /// The most that is supported.
        max: u32,
    },
    /// A tensor without elements, or with more than a circuit can number.
    #[error("tensor `{tensor}` has {elements} elements; a circuit needs 1 to {max}")]
    TensorSize {
        /// The tensor, or the layer whose weights they are.
        tensor: String,
        /// Its number of elements.
        elements: usize,
        /// The most that is supported.
        max: usize,
    },
    /// The network's rows do not fit.
    #[error(
        "the network needs {needed} rows in each of {lanes} lanes, but 2^{log_rows} rows leave {usable} for it; \
         allow more rows or more lanes"
    )]
    Rows {
        /// Rows in use.
        needed: u64,
        /// Lanes that this is for.
        lanes: u32,
        /// Log2 of the largest number of rows allowed.
        log_rows: u32,
        /// Rows that are not blinding rows.
        usable: u64,
    },
    /// No shape keeps within the memory allowed.
    #[error("proving would take about {needed} bytes of memory at least, {allowed} are allowed; allow more")]
    Memory {
        /// Bytes that the smallest shape takes.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// The tables do not fit.
    #[error(
        "layer `{layer}`: requantised accumulators in {interval} take a table of {rows} rows, all tables {total}; {max_sets} table sets of 2^{log_rows} rows hold {capacity}; use a larger shift, fewer bits or smaller \
         weights, or allow more rows or table sets"
    )]
    Tables {
        /// The layer with the longest table.
        layer: String,
        /// The interval that its table covers.
        interval: String,
        /// Rows of this table.
        rows: u64,
        /// Rows of all tables.
        total: u64,
        /// Table sets allowed.
        max_sets: u32,
        /// Log2 of the largest number of rows allowed.
        log_rows: u32,
        /// Rows that the table sets hold.
        capacity: u64,
    },
    /// Layers requantise by different shifts.
    #[error(
        "layer `{layer}` requantises by 2^{found}, an earlier one by 2^{expected}; a circuit has one shift, quantise again"
    )]
    MixedShifts {
        /// The layer.
        layer: String,
        /// Its shift.
        found: u32,
        /// The shift of the layers before it.
        expected: u32,
    },
    /// A shift whose range table would be longer than any column.
    #[error(
        "layer `{layer}` requantises by 2^{found}; the range table of the remainders allows at most 2^{max}"
    )]
    Shift {
        /// The layer.
        layer: String,
        /// Its shift.
        found: u32,
        /// The largest shift supported.
        max: u32,
    },
    /// A layer that circuits cannot have.
    #[error("layer `{layer}`: {reason}")]
    Unprovable {
        /// The layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// An interval cannot be derived.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// A term of a sum reads a tensor in a way that is no product of strided loops over its axes.
    #[error(
        "layer `{layer}` reads `{tensor}` across the borders of its axes, which is not supported; reshape the tensor before the \
         layer so that what it reads is whole rows"
    )]
    Access {
        /// The layer.
        layer: String,
        /// The tensor that it reads.
        tensor: String,
    },
    /// A layer with too many position axes.
    #[error("layer `{layer}` has {found} spatial axes; at most {max} are supported")]
    Positions {
        /// The layer.
        layer: String,
        /// Its axes.
        found: usize,
        /// The most that is supported.
        max: usize,
    },
    /// A function whose table would be longer than any column.
    #[error(
        "layer `{layer}` needs a table over {interval}, which is too long; requantise its inputs to fewer bits before it"
    )]
    Domain {
        /// The layer.
        layer: String,
        /// The arguments.
        interval: String,
    },
    /// A function that refuses values, with a domain that a circuit would show or could not keep.
    #[error(
        "layer `{layer}`: its function refuses values outside {domain}, but a circuit would take {widened}: tables hold zero, and \
         with private weights they reach to powers of two. Give it that domain (quantising with a strict range does)"
    )]
    Strict {
        /// The layer.
        layer: String,
        /// The function's domain.
        domain: Interval,
        /// The domain of a circuit's table.
        widened: Interval,
    },
    /// An accumulator can be so large that equations modulo the field's order would not be equations of integers.
    #[error(
        "layer `{layer}`: accumulators reach {interval}, requantised sums {reach}, allowed is below 2^62; use fewer bits or \
         smaller multipliers"
    )]
    Range {
        /// The layer.
        layer: String,
        /// The accumulator's interval.
        interval: String,
        /// Bound on every integer in the requantisation's equation.
        reach: String,
    },
    /// A multiplied weight does not fit 64 bits.
    #[error(
        "layer `{layer}`, channel {channel}: the multiplier times a weight leaves 64 bits; quantise again"
    )]
    Weight {
        /// The layer.
        layer: String,
        /// The output channel.
        channel: usize,
    },
    /// The circuit breaks a rule of circuits. This is a fault of the compiler, not of the network.
    #[error("the compiled circuit is refused: {0}; please report this network")]
    Circuit(#[from] CircuitError),
}

/// Why an input has no witness.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// The layout has no plan: it is not one that the compiler made.
    #[error("the layout cannot be filled: {0}; compile the network again")]
    Layout(String),
    /// The integer network does not accept the input.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The graph is not the one that was compiled.
    #[error(
        "tensor {tensor} of graph `{graph}` has {found} elements, the circuit is for {expected}; use the graph that was compiled"
    )]
    OtherGraph {
        /// The graph's name.
        graph: String,
        /// Index of the tensor.
        tensor: u32,
        /// Elements in the circuit.
        expected: u32,
        /// Elements in the graph; 0 if there is no such tensor.
        found: usize,
    },
    /// A value that the circuit's tables lack: the graph is not the one that was compiled, or its intervals are wrong.
    #[error(
        "layer `{layer}`, element {element}: {value} is outside {min} to {max}, which the circuit's table covers; use the \
         graph that was compiled"
    )]
    OutOfTable {
        /// The block of rows, by its tensor's name.
        layer: String,
        /// Row-major index.
        element: usize,
        /// The value that is looked up.
        value: i64,
        /// Least value of the table.
        min: i64,
        /// Greatest value of the table.
        max: i64,
    },
}
