//! C interface to the devices; `include/zkloom.h` says what each function does.
//!
//! Nothing unwinds into C: a panic becomes the status `ZKLOOM_INTERNAL`. Pointers are checked for null; that they point to as much as the
//! header says is the caller's part, as anywhere in C.

mod convert;
mod device;
mod status;

use std::ffi::{CStr, c_char};

use ark_ec::CurveGroup;
use zkloom_backends::{BackendError, registry};

use convert::{Form, from_points, from_scalars, to_point, to_scalars};
use device::{Bases, Device, Inverse};
use status::{Failure, Status, guarded, last_error};

/// An open device; opaque in C.
pub struct ZkloomDevice(Box<dyn Device>);

/// Points on a device; opaque in C.
pub struct ZkloomBases(Bases);

/// A reference to what a pointer points to, or a failure for null.
///
/// # Safety
/// A pointer that is not null points to a live `T` for as long as the reference is used.
unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: by the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(format!("`{name}` is null")))
}

/// The slice at a pointer; an empty one may be null.
///
/// # Safety
/// A pointer that is not null points to `len` values of `T` that nobody writes to meanwhile.
unsafe fn slice<'a, T>(pointer: *const T, len: usize, name: &str) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || len.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Failure::argument(format!("`{name}` is null or too long")));
    }
    // SAFETY: it is not null, its length is possible, and the caller promises the rest.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// Puts a value where a pointer points to.
///
/// # Safety
/// A pointer that is not null points to room for a `T`.
unsafe fn put<T>(pointer: *mut T, value: T, name: &str) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("`{name}` is null")));
    }
    // SAFETY: it is not null, and the caller promises the room.
    unsafe { pointer.write(value) };
    Ok(())
}

fn words(count: usize, each: usize) -> Result<usize, Failure> {
    count.checked_mul(each).ok_or_else(|| Failure::argument(format!("{count} elements are too many")))
}

/// The last failure on this thread, in words.
#[unsafe(no_mangle)]
pub extern "C" fn zkloom_last_error() -> *const c_char {
    last_error()
}

/// Lists the devices that were found.
///
/// # Safety
/// `text` points to `capacity` bytes, `needed` to one number; each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_devices(text: *mut c_char, capacity: usize, needed: *mut usize) -> Status {
    guarded(|| {
        let line = |found: registry::Found| format!("{}: {}\n", found.name, found.description);
        let mut list: Vec<u8> =
            registry::found().into_iter().flat_map(|found| line(found).into_bytes()).collect();
        list.retain(|byte| *byte != 0);
        list.push(0);
        if !needed.is_null() {
            // SAFETY: it is not null, and the caller promises the room.
            unsafe { needed.write(list.len()) };
        }
        if !text.is_null() && capacity > 0 {
            let len = list.len().min(capacity);
            list.truncate(len);
            list[len - 1] = 0;
            // SAFETY: the caller promises `capacity` bytes, and `len` is no more.
            unsafe { core::ptr::copy_nonoverlapping(list.as_ptr(), text.cast(), len) };
        }
        Ok(())
    })
}

/// Opens a device.
///
/// # Safety
/// `name` is a zero-terminated string, `device` points to room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_device_open(
    name: *const c_char,
    threads: usize,
    device: *mut *mut ZkloomDevice,
) -> Status {
    guarded(|| {
        // SAFETY: not null after the check, and the caller promises the end.
        let name = unsafe { CStr::from_ptr(reference(name, "name")?) };
        let name = name.to_str().map_err(|_| Failure::argument("`name` is not UTF-8".to_owned()))?;
        if device.is_null() {
            return Err(Failure::argument("`device` is null".to_owned()));
        }
        let opened = device::open(name, (threads > 0).then_some(threads))?;
        // SAFETY: by the caller's promise.
        unsafe { put(device, Box::into_raw(Box::new(ZkloomDevice(opened))), "device") }
    })
}

/// Closes a device; null is ignored.
///
/// # Safety
/// It came from [`zkloom_device_open`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_device_close(device: *mut ZkloomDevice) {
    if !device.is_null() {
        guarded(|| {
            // SAFETY: it came from a box, by the caller's promise.
            drop(unsafe { Box::from_raw(device) });
            Ok(())
        });
    }
}

/// Copies points to a device.
///
/// # Safety
/// `points` points to `8 * count` words, `bases` to room for a pointer; `device` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_bases_upload(
    device: *const ZkloomDevice,
    points: *const u64,
    count: usize,
    form: u32,
    bases: *mut *mut ZkloomBases,
) -> Status {
    guarded(|| {
        // SAFETY: by the caller's promises.
        let (device, points) =
            unsafe { (reference(device, "device")?, slice(points, words(count, 8)?, "points")?) };
        if bases.is_null() {
            return Err(Failure::argument("`bases` is null".to_owned()));
        }
        let made = device.0.upload_bases(&from_points(points, Form::from_code(form)?)?)?;
        // SAFETY: by the caller's promise.
        unsafe { put(bases, Box::into_raw(Box::new(ZkloomBases(made))), "bases") }
    })
}

/// Closes bases; null is ignored.
///
/// # Safety
/// They came from [`zkloom_bases_upload`] and are not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_bases_close(bases: *mut ZkloomBases) {
    if !bases.is_null() {
        guarded(|| {
            // SAFETY: they came from a box, by the caller's promise.
            drop(unsafe { Box::from_raw(bases) });
            Ok(())
        });
    }
}

/// A multi-scalar multiplication.
///
/// # Safety
/// `scalars` points to `4 * count` words, `sum` to room for 8; the handles are open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_msm(
    device: *const ZkloomDevice,
    bases: *const ZkloomBases,
    scalars: *const u64,
    count: usize,
    form: u32,
    sum: *mut [u64; 8],
) -> Status {
    guarded(|| {
        // SAFETY: by the caller's promises.
        let (device, bases, scalars) = unsafe {
            (
                reference(device, "device")?,
                reference(bases, "bases")?,
                slice(scalars, words(count, 4)?, "scalars")?,
            )
        };
        let form = Form::from_code(form)?;
        let total = device.0.msm(&bases.0, &from_scalars(scalars, form)?)?;
        // SAFETY: by the caller's promise.
        unsafe { put(sum, to_point(total.into_affine(), form), "sum") }
    })
}

/// A multi-scalar multiplication by integers.
///
/// # Safety
/// `scalars` points to `count` integers, `sum` to room for 8 words; the handles are open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_msm_integers(
    device: *const ZkloomDevice,
    bases: *const ZkloomBases,
    scalars: *const i64,
    count: usize,
    form: u32,
    sum: *mut [u64; 8],
) -> Status {
    guarded(|| {
        // SAFETY: by the caller's promises.
        let (device, bases, scalars) = unsafe {
            (reference(device, "device")?, reference(bases, "bases")?, slice(scalars, count, "scalars")?)
        };
        let form = Form::from_code(form)?;
        let total = device.0.msm_integers(&bases.0, scalars)?;
        // SAFETY: by the caller's promise.
        unsafe { put(sum, to_point(total.into_affine(), form), "sum") }
    })
}

/// A transform in place.
///
/// # Safety
/// `values` points to `4 * 2^log_size` words that nobody else uses meanwhile, `shift` to 4 or is null; `device` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkloom_ntt(
    device: *const ZkloomDevice,
    values: *mut u64,
    log_size: u32,
    direction: u32,
    shift: *const u64,
    form: u32,
) -> Status {
    guarded(|| {
        let size = 1_usize.checked_shl(log_size).filter(|_| log_size <= 28);
        let size =
            size.ok_or_else(|| Failure::argument(format!("2^{log_size} is too large; at most 2^28")))?;
        let inverse = match direction {
            0 => Inverse::No,
            1 => Inverse::Yes,
            other => return Err(Failure::argument(format!("direction {other}; use 0 or 1"))),
        };
        let form = Form::from_code(form)?;
        // SAFETY: by the caller's promises.
        let (device, read) =
            unsafe { (reference(device, "device")?, slice(values.cast_const(), words(size, 4)?, "values")?) };
        let coset = match shift.is_null() {
            true => None,
            // SAFETY: by the caller's promise.
            false => from_scalars(unsafe { slice(shift, 4, "shift")? }, form)?.first().copied(),
        };
        let transformed = device.0.ntt(&from_scalars(read, form)?, inverse, coset)?;
        let result = to_scalars(&transformed, form);
        // SAFETY: as many words as were read; the slice that was read is no longer used.
        unsafe { core::ptr::copy_nonoverlapping(result.as_ptr(), values, result.len()) };
        Ok(())
    })
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        let status = match error {
            BackendError::Length { .. } | BackendError::Argument { .. } => Status::InvalidArgument,
            BackendError::Unavailable { .. } | BackendError::Unsupported { .. } => Status::Unavailable,
            BackendError::OutOfMemory { .. } => Status::OutOfMemory,
            BackendError::Device { .. } | BackendError::Disagreement { .. } => Status::DeviceFailed,
        };
        Self { status, words: error.to_string() }
    }
}
