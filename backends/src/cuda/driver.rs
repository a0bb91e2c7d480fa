//! The CUDA driver's functions, loaded at run time.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libloading::Library;

/// The environment variable that names the driver's library, for tests with an emulated one.
pub const DRIVER_VARIABLE: &str = "ZKLOOM_CUDA_DRIVER";

#[cfg(windows)]
const LIBRARY: &str = "nvcuda.dll";
#[cfg(not(windows))]
const LIBRARY: &str = "libcuda.so.1";

/// The driver's code for too little memory.
const OUT_OF_MEMORY: c_int = 2;

/// A failed call, in the driver's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether memory ran out.
    pub out_of_memory: bool,
    /// The function, the error's name and its description.
    pub reason: String,
}

/// Shorthand for the result of a driver call.
pub type Called<T> = core::result::Result<T, Failure>;

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($kind:ty),*);)*) => {
        /// The functions that we call; the library stays loaded as long as they exist.
        struct Functions {
            $($name: unsafe extern "system" fn($($kind),*) -> c_int,)*
            _library: Library,
        }

        impl Functions {
            fn load(library: Library) -> core::result::Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: each type is that of the function in cuda.h, and the library is kept beside the pointers.
                    $($name: unsafe { *library.get(concat!($symbol, "\0").as_bytes())? },)*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    init = "cuInit" (c_uint);
    version = "cuDriverGetVersion" (*mut c_int);
    device_count = "cuDeviceGetCount" (*mut c_int);
    device = "cuDeviceGet" (*mut c_int, c_int);
    device_name = "cuDeviceGetName" (*mut c_char, c_int, c_int);
    total_memory = "cuDeviceTotalMem_v2" (*mut usize, c_int);
    attribute = "cuDeviceGetAttribute" (*mut c_int, c_int, c_int);
    retain = "cuDevicePrimaryCtxRetain" (*mut *mut c_void, c_int);
    release = "cuDevicePrimaryCtxRelease_v2" (c_int);
    set_current = "cuCtxSetCurrent" (*mut c_void);
    synchronize = "cuCtxSynchronize" ();
    load_module = "cuModuleLoadData" (*mut *mut c_void, *const c_void);
    unload_module = "cuModuleUnload" (*mut c_void);
    function = "cuModuleGetFunction" (*mut *mut c_void, *mut c_void, *const c_char);
    memory = "cuMemGetInfo_v2" (*mut usize, *mut usize);
    allocate = "cuMemAlloc_v2" (*mut u64, usize);
    free = "cuMemFree_v2" (u64);
    to_device = "cuMemcpyHtoD_v2" (u64, *const c_void, usize);
    to_device_later = "cuMemcpyHtoDAsync_v2" (u64, *const c_void, usize, *mut c_void);
    to_host = "cuMemcpyDtoH_v2" (*mut c_void, u64, usize);
    on_device = "cuMemcpyDtoD_v2" (u64, u64, usize);
    between = "cuMemcpyPeer" (u64, *mut c_void, u64, *mut c_void, usize);
    fill = "cuMemsetD8_v2" (u64, u8, usize);
    allocate_host = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
    free_host = "cuMemFreeHost" (*mut c_void);
    make_event = "cuEventCreate" (*mut *mut c_void, c_uint);
    destroy_event = "cuEventDestroy_v2" (*mut c_void);
    record_event = "cuEventRecord" (*mut c_void, *mut c_void);
    wait_for_event = "cuEventSynchronize" (*mut c_void);
    launch = "cuLaunchKernel" (*mut c_void, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, *mut c_void, *mut *mut c_void, *mut *mut c_void);
    error_name = "cuGetErrorName" (c_int, *mut *const c_char);
    error_text = "cuGetErrorString" (c_int, *mut *const c_char);
}

/// A loaded and initialised driver.
pub struct Driver {
    functions: Functions,
}

impl core::fmt::Debug for Driver {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// The driver's own handle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(*mut c_void);

// SAFETY: the driver's handles may be used from any thread; they are never followed here.
unsafe impl Send for Handle {}
// SAFETY: as for Send.
unsafe impl Sync for Handle {}

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks of threads.
    pub blocks: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory of a block.
    pub shared: u32,
}

/// A kernel's arguments in order.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    words: Vec<u64>,
    starts: Vec<usize>,
}

impl Arguments {
    /// One more argument of at most 64 bits: an address or an integer.
    pub fn word(mut self, word: u64) -> Self {
        self.starts.push(self.words.len());
        self.words.push(word);
        self
    }

    /// One more argument: a structure of these words.
    pub fn structure(mut self, words: &[u64]) -> Self {
        self.starts.push(self.words.len());
        self.words.extend_from_slice(words);
        self
    }
}

/// An event that needs no clock, which makes it cheaper.
const EVENT_WITHOUT_TIME: c_uint = 2;

/// Memory of the host that the device reads by itself, and the event after its last reading. Given back by
/// [`Driver::free_host`] only.
#[derive(Debug)]
pub struct HostMemory {
    start: *mut u8,
    len: usize,
    event: Handle,
}

// SAFETY: the memory belongs to this value alone, and the driver's functions for it may be called from any thread.
unsafe impl Send for HostMemory {}

impl HostMemory {
    /// The memory as bytes; the caller waits for the event before it writes where a copy may still read.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the driver gave so many bytes, they were zeroed, and the borrow is unique.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// Every driver that was loaded, by its file. They stay loaded: a driver has threads of its own, and unloading it is asking for
/// trouble.
static LOADED: Mutex<BTreeMap<PathBuf, Arc<Driver>>> = Mutex::new(BTreeMap::new());

/// The library's file: what the environment names, or the driver's usual name.
pub fn library() -> PathBuf {
    std::env::var_os(DRIVER_VARIABLE).map_or_else(|| LIBRARY.into(), PathBuf::from)
}

impl Driver {
    /// Loads the library and initialises it, or finds it loaded; the error is a sentence.
    pub fn load(path: &Path) -> core::result::Result<Arc<Self>, String> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(path) {
            return Ok(Arc::clone(known));
        }
        let driver = Arc::new(Self::load_anew(path)?);
        loaded.insert(path.to_owned(), Arc::clone(&driver));
        Ok(driver)
    }

    fn load_anew(path: &Path) -> core::result::Result<Self, String> {
        let name = path.display();
        // SAFETY: loading runs the library's initialisers; the file is NVIDIA's driver, or what the user names in its place.
        let library = unsafe { Library::new(path) }.map_err(|error| {
            format!(
                "the driver's library {name} can't be loaded ({error}); install NVIDIA's driver, or use `cpu`"
            )
        })?;
        let functions = Functions::load(library).map_err(|error| {
            format!("the driver's library {name} lacks a function ({error}); install a driver for CUDA 12 or newer")
        })?;
        let driver = Self { functions };
        // SAFETY: the function takes flags, which must be zero.
        let code = unsafe { (driver.functions.init)(0) };
        driver.check("cuInit", code).map_err(|failure| failure.reason)?;
        Ok(driver)
    }

    fn check(&self, function: &str, code: c_int) -> Called<()> {
        if code == 0 {
            return Ok(());
        }
        let words = |ask: unsafe extern "system" fn(c_int, *mut *const c_char) -> c_int| {
            let mut text = core::ptr::null();
            // SAFETY: the function writes a pointer to a static string, or to null for an unknown code.
            let known = unsafe { ask(code, &raw mut text) } == 0 && !text.is_null();
            // SAFETY: just checked; the string is static and ends with a zero.
            known.then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        let name = words(self.functions.error_name).unwrap_or_else(|| format!("error {code}"));
        let text = words(self.functions.error_text).unwrap_or_default();
        Err(Failure { out_of_memory: code == OUT_OF_MEMORY, reason: format!("{function}: {name} ({text})") })
    }

    /// The newest CUDA version that the driver speaks, as 1000 * major + 10 * minor.
    pub fn version(&self) -> Called<i32> {
        let mut version = 0;
        // SAFETY: the pointer is to an int.
        let code = unsafe { (self.functions.version)(&raw mut version) };
        self.check("cuDriverGetVersion", code).map(|()| version)
    }

    /// Number of devices.
    pub fn device_count(&self) -> Called<usize> {
        let mut count = 0;
        // SAFETY: the pointer is to an int.
        let code = unsafe { (self.functions.device_count)(&raw mut count) };
        self.check("cuDeviceGetCount", code).map(|()| usize::try_from(count).unwrap_or(0))
    }

    /// The driver's number for a device.
    pub fn device(&self, number: usize) -> Called<i32> {
        let mut device = 0;
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        // SAFETY: the pointer is to an int.
        let code = unsafe { (self.functions.device)(&raw mut device, number) };
        self.check("cuDeviceGet", code).map(|()| device)
    }

    /// A device's name.
    pub fn name(&self, device: i32) -> Called<String> {
        let mut name = [0 as c_char; 256];
        // SAFETY: the buffer has room for one byte more than the length given, which stays zero.
        let code = unsafe { (self.functions.device_name)(name.as_mut_ptr(), 255, device) };
        self.check("cuDeviceGetName", code)?;
        // SAFETY: the buffer ends with a zero.
        Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
    }

    /// A device's memory, in bytes.
    pub fn total_memory(&self, device: i32) -> Called<u64> {
        let mut bytes = 0;
        // SAFETY: the pointer is to a size.
        let code = unsafe { (self.functions.total_memory)(&raw mut bytes, device) };
        self.check("cuDeviceTotalMem", code).map(|()| bytes as u64)
    }

    /// A number that describes a device; see `CUdevice_attribute`.
    pub fn attribute(&self, device: i32, attribute: i32) -> Called<i32> {
        let mut value = 0;
        // SAFETY: the pointer is to an int.
        let code = unsafe { (self.functions.attribute)(&raw mut value, attribute, device) };
        self.check("cuDeviceGetAttribute", code).map(|()| value)
    }

    /// The device's context, which all users of the process share.
    pub fn retain(&self, device: i32) -> Called<Handle> {
        let mut context = core::ptr::null_mut();
        // SAFETY: the pointer is to a handle.
        let code = unsafe { (self.functions.retain)(&raw mut context, device) };
        self.check("cuDevicePrimaryCtxRetain", code).map(|()| Handle(context))
    }

    /// Gives the context back; a failure leaves nothing to do.
    pub fn release(&self, device: i32) {
        // SAFETY: the device's context was retained before.
        let _ = unsafe { (self.functions.release)(device) };
    }

    /// Makes a context this thread's own.
    pub fn enter(&self, context: Handle) -> Called<()> {
        // SAFETY: the handle comes from `retain`.
        let code = unsafe { (self.functions.set_current)(context.0) };
        self.check("cuCtxSetCurrent", code)
    }

    /// Waits until everything is done.
    pub fn synchronize(&self) -> Called<()> {
        // SAFETY: the function has no arguments.
        let code = unsafe { (self.functions.synchronize)() };
        self.check("cuCtxSynchronize", code)
    }

    /// Loads kernels from an image in memory.
    pub fn load_module(&self, image: &[u8]) -> Called<Handle> {
        let mut module = core::ptr::null_mut();
        // SAFETY: the image is a fat binary, whose header tells its length.
        let code = unsafe { (self.functions.load_module)(&raw mut module, image.as_ptr().cast()) };
        self.check("cuModuleLoadData", code).map(|()| Handle(module))
    }

    /// Unloads kernels; a failure leaves nothing to do.
    pub fn unload_module(&self, module: Handle) {
        // SAFETY: the handle comes from `load_module` and is not used again.
        let _ = unsafe { (self.functions.unload_module)(module.0) };
    }

    /// A kernel by its name.
    pub fn function(&self, module: Handle, name: &str) -> Called<Handle> {
        let mut function = core::ptr::null_mut();
        let text: Vec<u8> = name.bytes().chain([0]).collect();
        // SAFETY: the module comes from `load_module`, and the name ends with a zero.
        let code = unsafe { (self.functions.function)(&raw mut function, module.0, text.as_ptr().cast()) };
        self.check(&format!("cuModuleGetFunction({name})"), code).map(|()| Handle(function))
    }

    /// Bytes of memory that are free.
    pub fn free_memory(&self) -> Called<u64> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: the pointers are to sizes.
        let code = unsafe { (self.functions.memory)(&raw mut free, &raw mut total) };
        self.check("cuMemGetInfo", code).map(|()| free as u64)
    }

    /// Memory on the device: its address there.
    pub fn allocate(&self, bytes: usize) -> Called<u64> {
        let mut address = 0;
        // SAFETY: the pointer is to an address.
        let code = unsafe { (self.functions.allocate)(&raw mut address, bytes) };
        self.check("cuMemAlloc", code).map(|()| address)
    }

    /// Frees memory; a failure leaves nothing to do.
    pub fn free(&self, address: u64) {
        // SAFETY: the address comes from `allocate`; the driver itself refuses any other.
        let _ = unsafe { (self.functions.free)(address) };
    }

    /// Copies bytes to the device.
    pub fn to_device(&self, target: u64, bytes: &[u8]) -> Called<()> {
        // SAFETY: the source is a slice; the driver checks the target.
        let code = unsafe { (self.functions.to_device)(target, bytes.as_ptr().cast(), bytes.len()) };
        self.check("cuMemcpyHtoD", code)
    }

    /// Queues a copy of `len` bytes of the host's memory from `start` on, which must not change before its event.
    pub fn to_device_later(
        &self,
        target: u64,
        memory: &HostMemory,
        (start, len): (usize, usize),
    ) -> Called<()> {
        debug_assert!(start + len <= memory.len, "{start} + {len} bytes of {}", memory.len);
        let none = core::ptr::null_mut();
        // SAFETY: the source lies within the memory, which lives until the driver frees it; the driver checks the target.
        let code =
            unsafe { (self.functions.to_device_later)(target, memory.start.add(start).cast(), len, none) };
        self.check("cuMemcpyHtoDAsync", code)
    }

    /// Host memory for queued copies to this thread's device.
    pub fn allocate_host(&self, len: usize) -> Called<HostMemory> {
        let (mut start, mut event) = (core::ptr::null_mut(), core::ptr::null_mut());
        // SAFETY: the pointer is to a pointer.
        let code = unsafe { (self.functions.allocate_host)(&raw mut start, len, 0) };
        self.check("cuMemHostAlloc", code)?;
        // SAFETY: the driver gave so many bytes.
        unsafe { start.cast::<u8>().write_bytes(0, len) };
        // SAFETY: the pointer is to a handle.
        let code = unsafe { (self.functions.make_event)(&raw mut event, EVENT_WITHOUT_TIME) };
        let memory = HostMemory { start: start.cast(), len, event: Handle(event) };
        match self.check("cuEventCreate", code) {
            Ok(()) => Ok(memory),
            Err(failure) => {
                // SAFETY: the memory is from `cuMemHostAlloc`, and nothing uses it.
                let _ = unsafe { (self.functions.free_host)(start) };
                Err(failure)
            }
        }
    }

    /// Gives host memory back, when nothing is queued any more; a failure leaves nothing to do.
    pub fn free_host(&self, memory: HostMemory) {
        // SAFETY: both handles come from `allocate_host` and are not used again.
        let _ = unsafe { (self.functions.destroy_event)(memory.event.0) };
        // SAFETY: as above.
        let _ = unsafe { (self.functions.free_host)(memory.start.cast()) };
    }

    /// Sets the memory's event behind all that is queued.
    pub fn mark(&self, memory: &HostMemory) -> Called<()> {
        // SAFETY: the event comes from `allocate_host`; no stream is the one that everything is queued in.
        let code = unsafe { (self.functions.record_event)(memory.event.0, core::ptr::null_mut()) };
        self.check("cuEventRecord", code)
    }

    /// Waits for the memory's event.
    pub fn wait(&self, memory: &HostMemory) -> Called<()> {
        // SAFETY: the event comes from `allocate_host`.
        let code = unsafe { (self.functions.wait_for_event)(memory.event.0) };
        self.check("cuEventSynchronize", code)
    }

    /// Queues a copy from one device's memory to another's, behind and before all other work of both.
    pub fn between(&self, target: (u64, Handle), source: (u64, Handle), bytes: usize) -> Called<()> {
        // SAFETY: the contexts come from `retain`; the driver checks the addresses.
        let code = unsafe { (self.functions.between)(target.0, target.1.0, source.0, source.1.0, bytes) };
        self.check("cuMemcpyPeer", code)
    }

    /// Copies bytes from the device, when all that was launched is done.
    pub fn to_host(&self, bytes: &mut [u8], source: u64) -> Called<()> {
        // SAFETY: the target is a slice; the driver checks the source.
        let code = unsafe { (self.functions.to_host)(bytes.as_mut_ptr().cast(), source, bytes.len()) };
        self.check("cuMemcpyDtoH", code)
    }

    /// Copies bytes on the device.
    pub fn on_device(&self, target: u64, source: u64, bytes: usize) -> Called<()> {
        // SAFETY: the driver checks both addresses.
        let code = unsafe { (self.functions.on_device)(target, source, bytes) };
        self.check("cuMemcpyDtoD", code)
    }

    /// Zeroes bytes on the device.
    pub fn clear(&self, target: u64, bytes: usize) -> Called<()> {
        // SAFETY: the driver checks the address.
        let code = unsafe { (self.functions.fill)(target, 0, bytes) };
        self.check("cuMemsetD8", code)
    }

    /// Launches a kernel.
    pub fn launch(&self, name: &str, function: Handle, grid: Grid, arguments: &Arguments) -> Called<()> {
        let mut pointers: Vec<*mut c_void> = arguments
            .starts
            .iter()
            .map(|&start| (&raw const arguments.words[start]).cast_mut().cast())
            .collect();
        let none = core::ptr::null_mut();
        let Grid { blocks, threads, shared } = grid;
        // SAFETY: one pointer for each of the kernel's parameters, to at least as many bytes as it has; callers keep to the
        // parameter lists in kernels/cuda, and the emulation's tests run every one of these calls.
        let code = unsafe {
            (self.functions.launch)(
                function.0,
                blocks,
                1,
                1,
                threads,
                1,
                1,
                shared,
                none,
                pointers.as_mut_ptr(),
                core::ptr::null_mut(),
            )
        };
        self.check(&format!("cuLaunchKernel({name})"), code)
    }
}
