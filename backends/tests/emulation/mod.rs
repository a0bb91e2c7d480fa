//! The emulated CUDA driver, compiled by the system's C++ compiler. Without a compiler, tests say so and pass, unless
//! `ZKLOOM_REQUIRE_CUDA_EMULATION=1` asks them to fail.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libloading::{Library, Symbol};
use zkloom_backends::cuda::CudaBackend;

/// Compiles the emulation once; an error is the reason why it can't be.
fn built() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/cuda/host/driver.cpp");
    let library = folder.join(format!("emulated_cuda_{}.so", std::process::id()));
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let output = Command::new(&compiler)
        .args(["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall"])
        .arg(&source)
        .arg("-o")
        .arg(&library)
        .output()
        .map_err(|error| format!("the C++ compiler `{compiler}` can't be run: {error}"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

/// The emulation's library, or nothing where none can be built.
pub fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(built) {
        Ok(library) => Some(library),
        Err(reason) => {
            assert_ne!(std::env::var("ZKLOOM_REQUIRE_CUDA_EMULATION").as_deref(), Ok("1"), "{reason}");
            println!("skipped: {reason}");
            None
        }
    }
}

/// An emulated driver of its own, whose faults disturb no other test.
pub struct Emulation {
    library: Library,
    path: PathBuf,
}

impl Emulation {
    /// A driver with so many devices.
    pub fn new(name: &str, devices: i32) -> Option<Self> {
        let library = library()?;
        let path = library.with_extension(format!("{name}.so"));
        std::fs::copy(library, &path).expect("the library can be copied");
        // SAFETY: the library is our own emulation.
        let library = unsafe { Library::new(&path) }.expect("the copy loads");
        let emulation = Self { library, path };
        // SAFETY: it takes any number.
        unsafe { emulation.function::<unsafe extern "C" fn(i32)>("devices")(devices) };
        Some(emulation)
    }

    /// A function for tests.
    fn function<F>(&self, name: &str) -> Symbol<'_, F> {
        let name = CString::new(format!("zkloom_emulation_{name}")).expect("names have no zeros");
        // SAFETY: callers name the type that the emulation declares.
        unsafe { self.library.get(name.as_bytes_with_nul()) }.expect("it is exported")
    }

    /// Opens a device.
    pub fn device(&self, number: usize) -> CudaBackend {
        CudaBackend::with_driver(&self.path, number).expect("the emulated device opens")
    }

    /// From now on a device has this much memory.
    pub fn limit(&self, device: i32, bytes: u64) {
        // SAFETY: it takes the number of a device and any other.
        unsafe { self.function::<unsafe extern "C" fn(i32, u64)>("limit")(device, bytes) };
    }

    /// The most memory of a device that was in use at a time.
    pub fn peak(&self, device: i32) -> u64 {
        // SAFETY: it takes the number of a device.
        unsafe { self.function::<unsafe extern "C" fn(i32) -> u64>("peak")(device) }
    }

    /// Launches that a device has seen.
    pub fn launches(&self, device: i32) -> u64 {
        // SAFETY: it takes the number of a device.
        unsafe { self.function::<unsafe extern "C" fn(i32) -> u64>("launches")(device) }
    }

    /// From now on launches of a kernel fail.
    pub fn fail(&self, kernel: &str) {
        let kernel = CString::new(kernel).expect("names have no zeros");
        // SAFETY: the text ends with a zero and is copied.
        unsafe { self.function::<unsafe extern "C" fn(*const core::ffi::c_char)>("fail")(kernel.as_ptr()) };
    }

    /// After so many launches more a device is lost.
    pub fn lose(&self, device: i32, launches: core::ffi::c_long) {
        // SAFETY: it takes the number of a device and any other.
        unsafe { self.function::<unsafe extern "C" fn(i32, core::ffi::c_long)>("lose")(device, launches) };
    }

    /// From now on there is no memory that copies could come from directly.
    pub fn refuse_host_memory(&self) {
        // SAFETY: it takes nothing.
        unsafe { self.function::<unsafe extern "C" fn()>("refuse_host_memory")() };
    }
}
