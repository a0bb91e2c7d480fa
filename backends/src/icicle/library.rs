//! Finding and loading an installed ICICLE.
//!
//! Its functions throw C++ exceptions where an argument is wrong, and these would end the process, so that everything that
//! can be checked is checked before a call: whether a device is registered, how many there are, whether a CUDA library may
//! be loaded at all. The libraries stay loaded until the process ends, since their own destructors expect that.

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};
use std::collections::HashMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::{DeviceId, Functions, Part, words};
use crate::backend::Result;
use crate::error::BackendError;

/// Environment variable: the installation, with a folder `lib`.
const INSTALLATION: &str = "ICICLE_INSTALL_DIR";
/// Environment variable: the folder with the libraries of its devices.
const DEVICES: &str = "ICICLE_BACKEND_INSTALL_DIR";
/// Where ICICLE's own documentation puts it.
const USUAL: &str = "/opt/icicle/lib";
/// Deepest folder in which libraries of devices are looked for.
const DEPTH: usize = 4;

/// A loaded ICICLE.
pub(super) struct Library {
    pub(super) functions: Functions,
    /// Folder that it came from; none for the loader's own path.
    pub(super) folder: Option<PathBuf>,
    /// Why devices whose libraries are installed were left out.
    pub(super) left_out: Vec<String>,
    /// One call at a time; what transforms are prepared for, as log2 of their size, for each device.
    state: Mutex<HashMap<String, u32>>,
}

impl core::fmt::Debug for Library {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Library").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The library of this process, once it is loaded.
static LOADED: Mutex<Option<&'static Library>> = Mutex::new(None);

/// An error of the kind of device as a whole.
pub(super) fn unavailable(name: &str, reason: impl Into<String>) -> BackendError {
    BackendError::Unavailable { name: name.to_owned(), reason: reason.into() }
}

/// The library of this process; loads it at the first call. A failure is not kept: the next call tries again.
pub(super) fn library() -> Result<&'static Library> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = *loaded {
        return Ok(library);
    }
    let library: &'static Library = Box::leak(Box::new(load()?));
    *loaded = Some(library);
    Ok(library)
}

/// Folders that may hold the libraries; none stands for the loader's own path.
fn folders() -> Result<Vec<Option<PathBuf>>> {
    if let Some(installation) = std::env::var_os(INSTALLATION).filter(|path| !path.is_empty()) {
        let installation = PathBuf::from(installation);
        let candidates = [installation.join("lib"), installation.clone()];
        let Some(folder) = candidates.into_iter().find(|folder| has_parts(folder)) else {
            let reason = format!(
                "{INSTALLATION} is {}, where {} is missing; set it to the folder whose `lib` holds ICICLE's libraries for \
                 BN254",
                installation.display(),
                file_name(
                    Part::ALL
                        .into_iter()
                        .find(|part| !has_part(&installation.join("lib"), *part))
                        .unwrap_or(Part::Device)
                ),
            );
            return Err(unavailable("icicle", reason));
        };
        return Ok(vec![Some(folder)]);
    }
    let devices = std::env::var_os(DEVICES).map(PathBuf::from);
    let beside = devices
        .iter()
        .flat_map(|folder| folder.parent().map(Path::to_path_buf).into_iter().chain([folder.clone()]));
    let candidates = beside.chain([PathBuf::from(USUAL)]);
    Ok(candidates.filter(|folder| has_parts(folder)).map(Some).chain([None]).collect())
}

fn file_name(part: Part) -> String {
    format!("{}{}{}", std::env::consts::DLL_PREFIX, part.stem(), std::env::consts::DLL_SUFFIX)
}

fn has_part(folder: &Path, part: Part) -> bool {
    folder.join(file_name(part)).is_file()
}

fn has_parts(folder: &Path) -> bool {
    Part::ALL.into_iter().all(|part| has_part(folder, part))
}

fn load() -> Result<Library> {
    let mut refusals = Vec::new();
    for folder in folders()? {
        match load_from(folder.as_deref()) {
            Ok(functions) => {
                let mut library =
                    Library { functions, folder, left_out: Vec::new(), state: Mutex::default() };
                library.load_devices();
                return Ok(library);
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    let reason = format!(
        "no ICICLE for BN254 could be loaded ({}); install ICICLE 4.0 and set {INSTALLATION} to its folder (that with `lib`), \
         and {DEVICES} to the folder of its devices if they lie elsewhere than in `lib/backend`; or use `cpu`",
        refusals.join("; ")
    );
    Err(unavailable("icicle", reason))
}

/// Opens the three parts, in order and with their symbols visible to each other.
fn load_from(folder: Option<&Path>) -> core::result::Result<Functions, String> {
    let mut handles = Vec::new();
    for part in Part::ALL {
        let name = file_name(part);
        let path = folder.map_or_else(|| PathBuf::from(&name), |folder| folder.join(&name));
        handles.push((part, open(&path).map_err(|error| format!("{}: {error}", path.display()))?));
    }
    let find = |part: Part, symbol: &'static str| {
        let handle = handles.iter().find(|(of, _)| *of == part).map(|(_, handle)| handle);
        handle.and_then(|handle| address(handle, symbol)).ok_or_else(|| {
            format!("{} has no {symbol}: its version is not one of 3.5 to 4.0", file_name(part))
        })
    };
    // SAFETY: these are ICICLE's names for functions of these signatures in the versions that the module names.
    let functions = unsafe { Functions::resolve(find) };
    // Left open on failure too: a library may have registered itself with another one.
    handles.into_iter().for_each(|(_, handle)| core::mem::forget(handle));
    functions
}

#[cfg(unix)]
type Handle = libloading::os::unix::Library;
#[cfg(not(unix))]
type Handle = libloading::Library;

#[cfg(unix)]
fn open(path: &Path) -> core::result::Result<Handle, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: loading runs the library's constructors; the operator installed it to be run.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
}

#[cfg(not(unix))]
fn open(path: &Path) -> core::result::Result<Handle, libloading::Error> {
    // SAFETY: loading runs the library's constructors; the operator installed it to be run.
    unsafe { libloading::Library::new(path) }
}

/// Address of a symbol, if the library has it.
fn address(handle: &Handle, symbol: &str) -> Option<*mut c_void> {
    // SAFETY: only the address is taken; nothing is called or read through it here.
    let found = unsafe { handle.get::<unsafe extern "C" fn()>(symbol.as_bytes()) }.ok()?;
    Some(*found as *mut c_void).filter(|address| !address.is_null())
}

/// Whether NVIDIA's driver is installed and has a device. ICICLE's CUDA libraries end the process where it isn't.
fn cuda_driver() -> core::result::Result<(), String> {
    let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
    let missing = |what: &str| format!("{what}; install NVIDIA's driver");
    let driver = open(Path::new(name)).map_err(|_| missing(&format!("{name} could not be loaded")))?;
    let (Some(start), Some(count)) = (address(&driver, "cuInit"), address(&driver, "cuDeviceGetCount"))
    else {
        return Err(missing(&format!("{name} is not NVIDIA's driver")));
    };
    // SAFETY: the CUDA driver's interface gives `cuInit(unsigned)`.
    let start = unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32) -> c_int>(start) };
    // SAFETY: the CUDA driver's interface gives `cuDeviceGetCount(int*)`.
    let count =
        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_int) -> c_int>(count) };
    // SAFETY: zero is the only value that the argument may have.
    let started = unsafe { start(0) };
    let mut devices = 0;
    // SAFETY: the pointer is to an integer of ours; a driver that could not start refuses.
    let counted = unsafe { count(&mut devices) };
    // Kept open: a driver does not bear being unloaded.
    core::mem::forget(driver);
    if started != 0 || counted != 0 || devices < 1 {
        return Err(missing(&format!("NVIDIA's driver finds no device (codes {started} and {counted})")));
    }
    Ok(())
}

/// Libraries of devices under a folder that serve BN254, those that others build on first.
fn device_libraries(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            found.extend(device_libraries(&path, depth - 1));
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(serves_bn254) {
            found.push(path);
        }
    }
    found.sort_by_key(|path| (!is_about(path, "device"), path.clone()));
    found
}

fn serves_bn254(name: &str) -> bool {
    name.contains("icicle_backend")
        && name.ends_with(std::env::consts::DLL_SUFFIX)
        && (name.contains("device") || name.contains("bn254"))
}

/// Whether the file's name has this word.
fn is_about(path: &Path, word: &str) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.to_ascii_lowercase().contains(word))
}

impl Library {
    /// Loads the libraries of its devices, one by one and without those that need a driver that isn't there.
    fn load_devices(&mut self) {
        let beside = self.folder.as_ref().map(|folder| folder.join("backend"));
        let named = std::env::var_os(DEVICES).filter(|path| !path.is_empty()).map(PathBuf::from);
        let folder = named.or(beside).unwrap_or_else(|| Path::new(USUAL).join("backend"));
        let libraries = device_libraries(&folder, DEPTH);
        let cuda = libraries.iter().any(|path| is_about(path, "cuda")).then(cuda_driver);
        if let Some(Err(reason)) = &cuda {
            self.left_out.push(format!("CUDA: {reason}"));
        }
        for path in libraries {
            if is_about(&path, "cuda") && !matches!(cuda, Some(Ok(()))) {
                continue;
            }
            let Some(path) = path.to_str().and_then(|path| CString::new(path).ok()) else { continue };
            // SAFETY: the string ends in a zero and outlives the call; the result says nothing, see `kinds`.
            unsafe { (self.functions.load_backend)(path.as_ptr(), false) };
        }
    }

    /// Kinds of devices that are registered, as ICICLE names them.
    pub(super) fn kinds(&self) -> Result<Vec<String>> {
        let mut names = [0 as c_char; 256];
        // SAFETY: the buffer is as long as said.
        let code = unsafe { (self.functions.registered_devices)(names.as_mut_ptr(), names.len()) };
        names[names.len() - 1] = 0;
        if code != 0 {
            let reason = format!("ICICLE can't list its devices: {}", words(code));
            return Err(unavailable("icicle", reason));
        }
        // SAFETY: the buffer has a zero at its end at the latest.
        let names = unsafe { CStr::from_ptr(names.as_ptr()) }.to_string_lossy().into_owned();
        Ok(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Lets one thread at a time call ICICLE; what it guards is the log2 of the transforms that a device is prepared for.
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of devices of a kind that is registered.
    pub(super) fn count(&self, kind: &str) -> Result<u32> {
        let _alone = self.lock();
        let first = device_id(kind, 0)?;
        let mut count: c_int = 0;
        // SAFETY: the kind is registered, so that neither call throws; both pointers are to values of ours.
        let code = unsafe {
            match (self.functions.set_device)(&first) {
                0 => (self.functions.device_count)(&mut count),
                code => code,
            }
        };
        if code != 0 {
            return Err(unavailable(&format!("icicle:{kind}"), words(code)));
        }
        Ok(u32::try_from(count).unwrap_or(0))
    }
}

/// A device's name in ICICLE's form.
pub(super) fn device_id(kind: &str, number: u32) -> Result<DeviceId> {
    let mut id = DeviceId { kind: [0; 64], number: number as c_int };
    if kind.is_empty() || kind.len() >= id.kind.len() || !kind.is_ascii() {
        return Err(unavailable(
            &format!("icicle:{kind}"),
            "a kind of device is up to 63 plain letters, for instance `CUDA`",
        ));
    }
    for (to, from) in id.kind.iter_mut().zip(kind.bytes()) {
        *to = from as c_char;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_devices_are_told_from_others() {
        let ending = std::env::consts::DLL_SUFFIX;
        for name in ["libicicle_backend_cuda_device", "libicicle_backend_metal_field_bn254"] {
            assert!(serves_bn254(&format!("{name}{ending}")), "{name}");
        }
        for name in ["libicicle_backend_cuda_field_babybear", "libicicle_device", "notes_bn254"] {
            assert!(!serves_bn254(&format!("{name}{ending}")), "{name}");
        }
        assert!(!serves_bn254("libicicle_backend_cuda_device.txt"));
    }

    #[test]
    fn names_of_devices_fit_their_field() {
        let id = device_id("CUDA", 3).expect("a short name");
        assert_eq!((id.kind[3], id.kind[4], id.number), (b'A' as c_char, 0, 3));
        for name in ["", "Gerät", &"x".repeat(64)] {
            assert!(device_id(name, 0).is_err(), "{name}");
        }
    }
}
