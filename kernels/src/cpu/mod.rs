//! Kernels for the CPU: portable Rust over `ark-ff`, parallel in the ambient rayon pool.
//!
//! The work is concentrated in few loops, which is where a vector tier comes in: `msm::point::Adder::add` (a batch of affine
//! additions), the transform's butterflies, and the interpreter's steps. Everything around them is order and bookkeeping and
//! serves every tier.

pub mod boxes;
#[cfg(target_arch = "x86_64")]
mod eights;
pub mod group;
pub mod huge;
pub mod integers;
pub mod interpreter;
pub mod msm;
pub mod ntt;
pub mod polynomial;
pub mod scan;
pub mod simd;

/// Entries of a vector that one task handles at least, where an entry costs about one multiplication.
pub(crate) const GRAIN: usize = 1024;

/// Length of the pieces into which `len` entries are cut, so that every thread of the ambient pool gets about `per_thread`
/// of them, but none is shorter than `least` (and none is empty).
pub(crate) fn piece_length(len: usize, per_thread: usize, least: usize) -> usize {
    len.div_ceil(rayon::current_num_threads() * per_thread).max(least).max(1)
}
