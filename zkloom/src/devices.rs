//! The choice of a device.

use zkloom_backends::registry::{self, AnyBackend, DeviceReport};

use crate::error::Result;

/// Opens a device by name: `auto` or `cpu`. A named device that can't be used is an error, never another device.
pub(crate) fn open(name: &str, threads: Option<usize>) -> Result<AnyBackend> {
    Ok(registry::choose(name, threads)?)
}

/// What is known of every kind of device on this machine.
pub fn list() -> Vec<DeviceReport> {
    registry::list()
}
