//! Compiled shaders kept on disk, where the driver lets its own be read (Vulkan).
//!
//! One file for each kind of device, in the folder that the environment variable `ZKLOOM_CACHE` names (empty: nowhere), by default
//! `zkloom` in the user's cache folder. A file that is damaged, or of another driver, is as good as none. What can't be written is
//! not: the next program compiles again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ::wgpu as gpu;

/// What a file begins with; its checksum follows.
const MAGIC: &[u8; 8] = b"zkLpipe1";

/// Largest file that is read.
const MOST_BYTES: u64 = 1 << 28;

/// A cache that is written when it is dropped, if anything was compiled with it.
#[derive(Debug)]
pub(super) struct DiskCache {
    file: PathBuf,
    cache: gpu::PipelineCache,
    changed: AtomicBool,
}

/// The folder for caches: by `ZKLOOM_CACHE`, else in the user's cache folder, where the system has one.
pub(super) fn folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match std::env::var_os("ZKLOOM_CACHE") {
        Some(named) => (named != OsString::new()).then(|| named.into()),
        None if cfg!(windows) => Some(variable("LOCALAPPDATA")?.join("zkloom")),
        None if cfg!(target_os = "macos") => Some(variable("HOME")?.join("Library/Caches/zkloom")),
        None => {
            let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
            Some(base.join("zkloom"))
        }
    }
}

/// FNV-1a: enough to notice a damaged file.
fn checksum(data: &[u8]) -> [u8; 8] {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    data.iter().fold(0xcbf2_9ce4_8422_2325, step).to_le_bytes()
}

/// The data of a file that is whole.
fn read(file: &Path) -> Option<Vec<u8>> {
    if std::fs::metadata(file).ok()?.len() > MOST_BYTES {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    let (sum, data) = bytes.strip_prefix(MAGIC)?.split_at_checked(8)?;
    (sum == checksum(data)).then(|| data.to_vec())
}

impl DiskCache {
    /// The cache of a device in a folder; nothing if its driver does not give its compiled shaders out.
    pub fn open(device: &gpu::Device, info: &gpu::AdapterInfo, folder: Option<PathBuf>) -> Option<Self> {
        if !device.features().contains(gpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder?.join(gpu::util::pipeline_cache_key(info)?);
        let data = read(&file);
        let descriptor = gpu::PipelineCacheDescriptor { label: None, data: data.as_deref(), fallback: true };
        #[allow(unsafe_code)]
        // SAFETY: the data is what `get_data` gave for this kind of device: only `save` below writes such a file, in a folder of
        // the user's own, and its checksum holds.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Self { file, cache, changed: AtomicBool::new(false) })
    }

    /// The cache for a pipeline that is to be compiled.
    pub fn for_compilation(&self) -> &gpu::PipelineCache {
        self.changed.store(true, Ordering::Relaxed);
        &self.cache
    }

    /// Writes the file whole or not at all.
    fn save(&self) -> Option<()> {
        let data = self.cache.get_data()?;
        let bytes = [&MAGIC[..], &checksum(&data), &data].concat();
        if read(&self.file).is_some_and(|known| known == data) {
            return Some(());
        }
        std::fs::create_dir_all(self.file.parent()?).ok()?;
        let unfinished = self.file.with_extension(format!("{}.unfinished", std::process::id()));
        std::fs::write(&unfinished, bytes).ok()?;
        std::fs::rename(&unfinished, &self.file).or_else(|_| std::fs::remove_file(&unfinished)).ok()
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        if self.changed.load(Ordering::Relaxed) {
            // A cache that can't be kept only costs the next program its time.
            let _ = self.save();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_none() {
        let file = std::env::temp_dir().join(format!("zkloom-cache-{}", std::process::id()));
        let data = b"compiled".as_slice();
        let whole = [&MAGIC[..], &checksum(data), data].concat();
        std::fs::write(&file, &whole).expect("the temporary folder can be written");
        assert_eq!(read(&file).as_deref(), Some(data));
        for bad in [&whole[..whole.len() - 1], &whole[..12], &whole[1..], &[]] {
            std::fs::write(&file, bad).expect("the temporary folder can be written");
            assert_eq!(read(&file), None);
        }
        std::fs::remove_file(&file).expect("it was there");
        assert_eq!(read(&file), None);
    }
}
