#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod absent;
pub mod backend;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod error;
pub mod host;
#[cfg(feature = "icicle")]
pub mod icicle;
pub mod laws;
pub mod meter;
pub mod paired;
pub mod rank;
pub mod registry;
pub mod several;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod sums;
#[cfg(feature = "wgpu")]
pub mod wgpu;

pub use backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Segment};
pub use cpu::CpuBackend;
pub use error::BackendError;
pub use meter::Meter;
pub use paired::PairedBackend;
pub use registry::AnyBackend;
pub use several::Several;
pub use zkloom_kernels::cpu::simd::Tier;
pub use zkloom_kernels::program;
