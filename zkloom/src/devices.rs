//! The choice of a device.
//!
//! `auto` takes the device that a short measurement found fastest for work of the circuit's size. The measurement is made once
//! for a machine, its devices and this version, and kept in the home folder; without a home folder it is made each time. What was
//! found is trusted for a day, because looking for devices takes half a second and more; `zkloom doctor` forgets it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zkloom_backends::rank::{self, Speed};
use zkloom_backends::registry::{self, AnyBackend, DeviceReport, Found};

use crate::error::Result;
use crate::files;
use crate::store::Store;

/// Kinds that `auto` looks at. ICICLE's libraries can end the process when something is wrong with them, so whoever wants one names it.
const AUTOMATIC: [&str; 3] = ["cpu", "cuda", "wgpu"];

/// Whether the system shows any sign of a GPU. Without one, loading graphics drivers costs a third of a second and a hundred
/// megabytes to find out that there is only a software driver.
fn may_have_gpu() -> bool {
    const SIGNS: [&str; 4] = ["/dev/dri", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"];
    !cfg!(target_os = "linux") || SIGNS.iter().any(|sign| Path::new(sign).exists())
}

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
    let store = Store::from_environment().ok();
    let home = store.as_ref().map(Store::root);
    let speeds = remembered(home, threads, &|| {
        let kinds: &[&str] = if may_have_gpu() { &AUTOMATIC } else { &["cpu"] };
        registry::found_of(kinds).into_iter().filter(|device| !device.software).collect()
    });
    let fastest = rank::fastest(&speeds, log_rows).map_or("cpu", |speed| speed.name.as_str());
    match registry::choose(fastest, threads) {
        Ok(backend) => {
            let reason = match speeds.len() {
                0 | 1 => "the only device here".to_owned(),
                count => format!("the fastest of {count} devices for 2^{log_rows} rows"),
            };
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
    /// What they were measured with: version and threads.
    key: String,
    /// The devices.
    devices: String,
    /// When the devices were looked for, in seconds since 1970.
    seen: u64,
    /// Name and milliseconds of each device.
    speeds: Vec<(String, Vec<f64>)>,
}

/// How long found devices are trusted, in seconds.
const TRUSTED: u64 = 24 * 60 * 60;

/// Name of the file with the measurement.
const FILE: &str = "devices.json";

/// Speeds of the devices: kept ones if nothing changed, else measured and kept. A single device needs no measurement.
fn remembered(home: Option<&Path>, threads: Option<usize>, find: &dyn Fn() -> Vec<Found>) -> Vec<Speed> {
    let key = format!("{} {threads:?}", env!("CARGO_PKG_VERSION"));
    let seen = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let path: Option<PathBuf> = home.map(|home| home.join(FILE));
    let kept = path.as_ref().and_then(|path| std::fs::read(path).ok());
    // A file that is damaged or of another version is as good as none.
    let kept = kept.and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
    let kept = kept.filter(|kept| kept.key == key);
    let speeds_of = |kept: Remembered| {
        let speed = |(name, milliseconds)| Speed { name, milliseconds };
        kept.speeds.into_iter().map(speed).collect()
    };
    // A clock that was put back makes it older, not younger.
    let kept = match kept {
        Some(kept) if kept.seen <= seen && seen - kept.seen < TRUSTED => return speeds_of(kept),
        kept => kept,
    };
    let found = find();
    let listed: Vec<String> =
        found.iter().map(|device| format!("{} {}", device.name, device.description)).collect();
    let devices = listed.join("; ");
    let speeds = match kept {
        Some(kept) if kept.devices == devices => speeds_of(kept),
        _ => measured(&found, threads),
    };
    // Looking for a device is no reason to make a home folder.
    if let Some(path) = path.filter(|_| home.is_some_and(Path::is_dir)) {
        let kept = speeds.iter().map(|speed| (speed.name.clone(), speed.milliseconds.clone())).collect();
        let remembered = Remembered { key, devices, seen, speeds: kept };
        let bytes = serde_json::to_vec_pretty(&remembered).unwrap_or_default();
        let written = files::write_atomic(&path, &bytes, false);
        if let Err(error) = written {
            tracing::debug!("the measurement can't be kept: {error}");
        }
    }
    speeds
}

/// A measurement, if there is a choice.
fn measured(devices: &[Found], threads: Option<usize>) -> Vec<Speed> {
    if let [only] = devices {
        return vec![Speed { name: only.name.clone(), milliseconds: Vec::new() }];
    }
    tracing::info!("measuring {} devices, once for this machine", devices.len());
    let (speeds, failures) = rank::measure(devices, threads);
    failures.iter().for_each(|error| tracing::warn!("{error}; it is left out of the choice"));
    speeds
}

/// What is known of every device on this machine, looked for anew; `auto` will do so too the next time.
pub fn list() -> Vec<DeviceReport> {
    list_of(&kinds())
}

/// The same for some of the [`kinds`]. A vendor's library that is broken can end the process instead of reporting an error; whoever
/// must live on asks for the kinds in processes of their own.
pub fn list_of(kinds: &[&str]) -> Vec<DeviceReport> {
    if let Ok(store) = Store::from_environment() {
        // Mostly it is not there; a file that can't be removed is looked at again in a day.
        let _ = std::fs::remove_file(store.root().join(FILE));
    }
    registry::list_of(kinds)
}

/// Kinds of devices, in the order of a report.
pub fn kinds() -> [&'static str; 4] {
    registry::kinds()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The processor under two names: a choice.
    fn two() -> Vec<Found> {
        let cpu = registry::found_of(&["cpu"]);
        [cpu.clone(), cpu].concat()
    }

    #[test]
    fn a_measurement_is_made_once_and_again_when_something_changed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE);
        let looked = std::cell::Cell::new(0);
        let find = || {
            looked.set(looked.get() + 1);
            two()
        };
        let first = remembered(Some(home.path()), Some(1), &find);
        assert_eq!((first.len(), looked.get()), (2, 1));
        // For a day nobody looks again.
        let kept = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, kept.replacen("\"cpu\"", "\"other\"", 1)).unwrap();
        assert_eq!(remembered(Some(home.path()), Some(1), &find)[0].name, "other");
        assert_eq!(looked.get(), 1);
        // After it, the same devices need no measurement, but other ones do.
        let change = |from: &str, to: &str| {
            let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let mut old = kept;
            old["seen"] = 1.into();
            std::fs::write(&path, old.to_string().replace(from, to)).unwrap();
        };
        change("", "");
        assert_eq!(remembered(Some(home.path()), Some(1), &find)[0].name, "other");
        assert_eq!(looked.get(), 2);
        change("threads", "cores");
        assert_eq!(remembered(Some(home.path()), Some(1), &find)[0].name, "cpu");
        // Other threads, or a damaged file.
        assert_eq!(remembered(Some(home.path()), Some(2), &find)[0].name, "cpu");
        std::fs::write(&path, "damaged").unwrap();
        assert_eq!(remembered(Some(home.path()), Some(1), &find)[0].name, "cpu");
        assert_eq!(looked.get(), 5);
    }

    #[test]
    fn a_single_device_is_not_measured() {
        let speeds = remembered(None, None, &|| registry::found_of(&["cpu"]));
        assert_eq!(speeds, [Speed { name: "cpu".to_owned(), milliseconds: Vec::new() }]);
        assert_eq!(rank::fastest(&speeds, 20).map(|speed| speed.name.as_str()), Some("cpu"));
    }

    #[test]
    fn a_named_device_that_is_not_there_is_an_error() {
        assert!(open("abacus", None, 10).is_err());
        assert_eq!(open("cpu", Some(1), 10).unwrap().reason, "asked for");
    }
}
