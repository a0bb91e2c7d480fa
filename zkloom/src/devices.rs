//! The choice of a device.
//!
//! `auto` takes the device that a short measurement found fastest for work of the circuit's size. The measurement is made once
//! for a machine, its devices and this version, and kept in the home folder; without a home folder it is made each time.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zkloom_backends::rank::{self, Speed};
use zkloom_backends::registry::{self, AnyBackend, DeviceReport, Found};

use crate::error::Result;
use crate::files;
use crate::store::Store;

/// Kinds that `auto` looks at. ICICLE's libraries can end the process when something is wrong with them, so whoever wants one names it.
const AUTOMATIC: [&str; 3] = ["cpu", "cuda", "wgpu"];

/// A device that was chosen, and why.
pub(crate) struct Chosen {
    pub(crate) backend: AnyBackend,
    /// Why it was chosen, for people.
    pub(crate) reason: String,
}

/// Opens a device by name, or for `auto` (or no name) the fastest one for so many rows. A named device that can't be used is an
/// error, never another device.
pub(crate) fn open(name: &str, threads: Option<usize>, log_rows: u32) -> Result<Chosen> {
    if !matches!(name, "" | "auto") {
        let backend = registry::choose(name, threads)?;
        return Ok(Chosen { backend, reason: "asked for".to_owned() });
    }
    let devices: Vec<Found> =
        registry::found_of(&AUTOMATIC).into_iter().filter(|device| !device.software).collect();
    if devices.len() < 2 {
        let backend = registry::choose("cpu", threads)?;
        return Ok(Chosen { backend, reason: "the only device here".to_owned() });
    }
    let store = Store::from_environment().ok();
    let speeds = remembered(store.as_ref().map(Store::root), &devices, threads);
    let fastest = rank::fastest(&speeds, log_rows).map_or("cpu", |speed| speed.name.as_str());
    match registry::choose(fastest, threads) {
        Ok(backend) => {
            let reason = format!("the fastest of {} devices for 2^{log_rows} rows", devices.len());
            Ok(Chosen { backend, reason })
        }
        // It worked when it was measured; `auto` promises a device, not this one.
        Err(error) if fastest != "cpu" => {
            tracing::warn!("{error}; the processor is used instead");
            let reason = format!("`{fastest}` was faster but can't be used now");
            Ok(Chosen { backend: registry::choose("cpu", threads)?, reason })
        }
        Err(error) => Err(error.into()),
    }
}

/// Speeds as kept in the home folder.
#[derive(Serialize, Deserialize)]
struct Remembered {
    /// What they were measured with: version, threads, devices.
    key: String,
    /// Name and milliseconds of each device.
    speeds: Vec<(String, Vec<f64>)>,
}

/// Speeds of these devices: kept ones if nothing changed, else measured and kept.
fn remembered(home: Option<&Path>, devices: &[Found], threads: Option<usize>) -> Vec<Speed> {
    let listed: Vec<String> =
        devices.iter().map(|device| format!("{} {}", device.name, device.description)).collect();
    let key = format!("{} {threads:?} {}", env!("CARGO_PKG_VERSION"), listed.join("; "));
    let path: Option<PathBuf> = home.map(|home| home.join("devices.json"));
    let kept = path.as_ref().and_then(|path| std::fs::read(path).ok());
    // A file that is damaged or of other devices is as good as none.
    if let Some(kept) = kept.and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok())
        && kept.key == key
    {
        let speed = |(name, milliseconds)| Speed { name, milliseconds };
        return kept.speeds.into_iter().map(speed).collect();
    }
    tracing::info!("measuring {} devices, once for this machine", devices.len());
    let (speeds, failures) = rank::measure(devices, threads);
    failures.iter().for_each(|error| tracing::warn!("{error}; it is left out of the choice"));
    if let (Some(path), Some(home)) = (path, home) {
        let speeds = speeds.iter().map(|speed| (speed.name.clone(), speed.milliseconds.clone())).collect();
        let bytes = serde_json::to_vec_pretty(&Remembered { key, speeds }).unwrap_or_default();
        let written = files::make_folder(home).and_then(|_| files::write_atomic(&path, &bytes, false));
        if let Err(error) = written {
            tracing::warn!("the measurement can't be kept: {error}");
        }
    }
    speeds
}

/// What is known of every device on this machine.
pub fn list() -> Vec<DeviceReport> {
    registry::list()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Vec<Found> {
        registry::found().into_iter().filter(|device| device.name == "cpu").collect()
    }

    #[test]
    fn a_measurement_is_made_once_and_again_when_something_changed() {
        let home = tempfile::tempdir().unwrap();
        let first = remembered(Some(home.path()), &cpu(), Some(1));
        assert_eq!(first.len(), 1);
        // A second measurement would not come this close.
        let again = remembered(Some(home.path()), &cpu(), Some(1));
        let pairs = first[0].milliseconds.iter().zip(&again[0].milliseconds);
        assert!(pairs.map(|(one, other)| (one - other).abs()).all(|difference| difference < 1e-9));
        let path = home.path().join("devices.json");
        let kept = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, kept.replace("\"cpu\"", "\"other\"")).unwrap();
        assert_eq!(remembered(Some(home.path()), &cpu(), Some(1))[0].name, "other");
        assert_eq!(remembered(Some(home.path()), &cpu(), Some(2))[0].name, "cpu");
        std::fs::write(&path, "damaged").unwrap();
        assert_eq!(remembered(Some(home.path()), &cpu(), Some(1))[0].name, "cpu");
    }

    #[test]
    fn a_named_device_that_is_not_there_is_an_error() {
        assert!(open("abacus", None, 10).is_err());
        assert_eq!(open("cpu", Some(1), 10).unwrap().reason, "asked for");
    }
}
