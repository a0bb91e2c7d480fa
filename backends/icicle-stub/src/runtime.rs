//! Devices, memory and copies.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use std::alloc::{Layout, alloc, dealloc};
use std::sync::Mutex;

use crate::fault::{Course, course, exception};

const INVALID_DEVICE: c_int = 1;
const INVALID_POINTER: c_int = 3;
const ALLOCATION_FAILED: c_int = 4;
const NOT_IMPLEMENTED: c_int = 10;

/// Devices of the kind that loading a library adds.
const SECOND_KIND_COUNT: c_int = 2;
/// Bits of an address below the device's tag.
const TAG: u32 = 52;
/// Room before a piece of memory, which holds its size.
const HEADER: usize = 32;

/// Kind and number of a device.
#[repr(C)]
pub struct Device {
    kind: [c_char; 64],
    number: c_int,
}

/// Kinds that were registered by loading their libraries.
static KINDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// The thread's device as a tag: 1 for the processor, 2 and more for others.
    static ACTIVE: Cell<usize> = const { Cell::new(1) };
}

fn others() -> Vec<String> {
    KINDS.lock().map(|kinds| kinds.clone()).unwrap_or_default()
}

/// The tag of a device, if it is registered.
fn tag(device: &Device) -> Option<usize> {
    // SAFETY: callers end the kind with a zero.
    let kind = unsafe { CStr::from_ptr(device.kind.as_ptr()) }.to_str().ok()?.to_owned();
    if kind == "CPU" {
        return (device.number == 0).then_some(1);
    }
    let index = others().iter().position(|other| *other == kind)?;
    (0..SECOND_KIND_COUNT).contains(&device.number).then(|| 2 + 2 * index + device.number as usize)
}

/// Registers the kind that the file's name says. A CUDA library ends the process, as the original does without a driver.
///
/// # Safety
/// The path ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_load_backend(path: *const c_char, _recursive: bool) -> c_int {
    // SAFETY: by the function's contract.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
    if path.contains("backend_cuda") {
        exception("a CUDA library is loaded");
    }
    if let Ok(mut kinds) = KINDS.lock()
        && path.contains("backend_metal_device")
    {
        kinds.push("METAL".to_owned());
    }
    0
}

/// Names of the registered kinds.
///
/// # Safety
/// The output has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_get_registered_devices(output: *mut c_char, size: usize) -> c_int {
    let mut names = vec!["CPU".to_owned()];
    names.extend(others());
    let names = names.join(",");
    if names.len() >= size {
        return 11;
    }
    // SAFETY: the output has room for the names and a zero.
    unsafe {
        core::ptr::copy_nonoverlapping(names.as_ptr().cast(), output, names.len());
        output.add(names.len()).write(0);
    }
    0
}

/// Makes a device the calling thread's; throws for one that is not registered.
///
/// # Safety
/// The pointer is to a device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_set_device(device: *const Device) -> c_int {
    // SAFETY: by the function's contract.
    let Some(tag) = tag(unsafe { &*device }) else { exception("no such device") };
    match course("icicle_set_device") {
        Course::Refused(code) => code,
        _ => {
            ACTIVE.set(tag);
            0
        }
    }
}

/// The calling thread's device as a tag; the other copies of this library ask for it.
#[unsafe(no_mangle)]
pub extern "C" fn zkloom_stub_active() -> usize {
    ACTIVE.get()
}

/// Number of devices of the active kind.
///
/// # Safety
/// The pointer is to an integer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_get_device_count(count: *mut c_int) -> c_int {
    let found = if ACTIVE.get() == 1 { 1 } else { SECOND_KIND_COUNT };
    // SAFETY: by the function's contract.
    unsafe { count.write(found) };
    0
}

/// Not there for the processor, a gibibyte for others.
///
/// # Safety
/// The pointers are to integers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_get_available_memory(total: *mut usize, free: *mut usize) -> c_int {
    if ACTIVE.get() == 1 {
        return NOT_IMPLEMENTED;
    }
    // SAFETY: by the function's contract.
    unsafe {
        total.write(1 << 30);
        free.write(1 << 29);
    }
    0
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

/// The host's address of device memory, if the tag is the active device's.
fn followed(address: *const c_void, active: usize) -> Option<*mut u8> {
    (address as usize >> TAG == active)
        .then(|| address.map_addr(|address| address & ((1 << TAG) - 1)).cast_mut().cast())
}

/// The host's address of device memory of the active device.
fn own(address: *const c_void) -> Option<*mut u8> {
    followed(address, ACTIVE.get())
}

/// The host's address of a function's argument, which lies on the active device or on the host, as the flag says.
pub(crate) fn argument<T>(address: *const T, on_device: bool) -> Option<*mut T> {
    // SAFETY: the symbol is this library's own, in the copy that was loaded first.
    let active = unsafe {
        let active = dlsym(core::ptr::null_mut(), c"zkloom_stub_active".as_ptr());
        if active.is_null() {
            exception("the device library's symbols are not visible");
        }
        core::mem::transmute::<*mut c_void, extern "C" fn() -> usize>(active)()
    };
    let host = address as usize >> TAG == 0 && !address.is_null();
    match on_device {
        true => followed(address.cast(), active).map(|address| address.cast()),
        false => host.then_some(address.cast_mut()),
    }
}

unsafe extern "C" {
    /// The system's look-up of a symbol; a null handle searches everything that is visible.
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// Device memory, filled with a pattern.
///
/// # Safety
/// The pointer is to an address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_malloc(address: *mut *mut c_void, size: usize) -> c_int {
    if let Course::Refused(code) = course("icicle_malloc") {
        return code;
    }
    let Some(layout) = layout(size).filter(|_| size > 0) else { return ALLOCATION_FAILED };
    // SAFETY: the layout is not empty; the header and the pattern lie within it; the pointer is the caller's.
    unsafe {
        let memory = alloc(layout);
        if memory.is_null() {
            return ALLOCATION_FAILED;
        }
        memory.cast::<usize>().write(size);
        let start = memory.add(HEADER);
        start.write_bytes(0xa5, size);
        address.write(start.map_addr(|start| start | ACTIVE.get() << TAG).cast());
    }
    0
}

/// Gives device memory back.
///
/// # Safety
/// The address is from `icicle_malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_free(address: *mut c_void) -> c_int {
    let Some(start) = own(address) else { exception("memory of another device is released") };
    // SAFETY: `icicle_malloc` wrote the size before the memory.
    unsafe {
        let memory = start.sub(HEADER);
        let Some(layout) = layout(memory.cast::<usize>().read()) else { return INVALID_POINTER };
        dealloc(memory, layout);
    }
    0
}

/// Fills device memory with a byte.
///
/// # Safety
/// The memory has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_memset(address: *mut c_void, value: c_int, size: usize) -> c_int {
    let Some(start) = own(address) else { return INVALID_POINTER };
    // SAFETY: by the function's contract.
    unsafe { start.write_bytes(value as u8, size) };
    0
}

unsafe fn moved(target: Option<*mut u8>, source: Option<*const u8>, size: usize) -> c_int {
    match (target, source) {
        (Some(target), Some(source)) => {
            // SAFETY: the callers' pointers have `size` bytes each.
            unsafe { core::ptr::copy(source, target, size) };
            0
        }
        _ => INVALID_DEVICE,
    }
}

/// Copies within the active device.
///
/// # Safety
/// Both have `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_copy(target: *mut c_void, source: *const c_void, size: usize) -> c_int {
    // SAFETY: by the function's contract.
    unsafe { moved(own(target), own(source).map(<*mut u8>::cast_const), size) }
}

/// Copies to the host.
///
/// # Safety
/// Both have `size` bytes, the target on the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_copy_to_host(
    target: *mut c_void,
    source: *const c_void,
    size: usize,
) -> c_int {
    if let Course::Refused(code) = course("icicle_copy_to_host") {
        return code;
    }
    // SAFETY: by the function's contract.
    unsafe { moved(Some(target.cast()), own(source).map(<*mut u8>::cast_const), size) }
}

/// Copies from the host.
///
/// # Safety
/// Both have `size` bytes, the source on the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn icicle_copy_to_device(
    target: *mut c_void,
    source: *const c_void,
    size: usize,
) -> c_int {
    if let Course::Refused(code) = course("icicle_copy_to_device") {
        return code;
    }
    // SAFETY: by the function's contract.
    unsafe { moved(own(target), Some(source.cast()), size) }
}
