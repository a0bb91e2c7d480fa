#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod cpu;
pub mod error;
pub mod host;
pub mod laws;
pub mod meter;
pub mod paired;
pub mod registry;

pub use backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Segment};
pub use cpu::CpuBackend;
pub use error::BackendError;
pub use meter::Meter;
pub use paired::PairedBackend;
pub use registry::AnyBackend;
pub use zkloom_kernels::cpu::simd::Tier;
pub use zkloom_kernels::program;
