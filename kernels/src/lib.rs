//! BN254 arithmetic kernels: multi-scalar multiplication, NTT, scans.

pub mod program;
