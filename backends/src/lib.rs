//! Devices for BN254 provers behind one interface: multi-scalar multiplication, NTT, polynomial arithmetic.

pub mod backend;
pub mod error;
pub mod meter;

pub use backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Segment};
pub use error::BackendError;
pub use meter::Meter;
