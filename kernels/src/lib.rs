//! BN254 arithmetic kernels: multi-scalar multiplication, NTT, scans, gate programs.
//!
//! [`cpu`] is the portable tier on top of `ark-ff`. Its functions use the rayon thread pool that they are called in, so the
//! caller decides about threads (`pool.install(|| ...)`); nothing here is global. All of it is variable time.

pub mod cpu;
pub mod cuda;
pub mod geometry;
pub mod program;
pub mod shape;
pub mod wgsl;
