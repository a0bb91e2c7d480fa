//! ICICLE's C interface for BN254, versions 3.5 to 4.0: our own declarations of what we call.
//!
//! Field elements are 32 bytes, little-endian, canonical unless a flag says Montgomery (radix 2^256, as in `ark-ff`); affine
//! points are `x, y` with the identity as (0, 0); projective points are homogeneous. Functions return 0 or an error code.

#![allow(unsafe_code)]

use core::ffi::{c_char, c_int, c_void};

/// A field element as ICICLE stores it.
pub(super) type Words = [u64; 4];

/// Kind and number of a device.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DeviceId {
    /// Kind, for instance `CUDA`, ended by a zero.
    pub(super) kind: [c_char; 64],
    /// Number among those of its kind.
    pub(super) number: c_int,
}

/// Options of a multi-scalar multiplication.
#[repr(C)]
pub(super) struct MsmConfig {
    pub(super) stream: *mut c_void,
    pub(super) precompute_factor: c_int,
    pub(super) window: c_int,
    /// Bits of the largest scalar; 0 for all that the field has.
    pub(super) bits: c_int,
    pub(super) batch_size: c_int,
    pub(super) points_shared: bool,
    pub(super) scalars_on_device: bool,
    pub(super) scalars_montgomery: bool,
    pub(super) points_on_device: bool,
    pub(super) points_montgomery: bool,
    pub(super) results_on_device: bool,
    pub(super) is_async: bool,
    pub(super) extension: *mut c_void,
}

/// Options of a transform.
#[repr(C)]
pub(super) struct NttConfig {
    pub(super) stream: *mut c_void,
    /// Canonical; one for the subgroup itself.
    pub(super) coset_generator: Words,
    pub(super) batch_size: c_int,
    pub(super) columns_batch: bool,
    /// 0: natural order on both sides.
    pub(super) ordering: c_int,
    pub(super) inputs_on_device: bool,
    pub(super) outputs_on_device: bool,
    pub(super) is_async: bool,
    pub(super) extension: *mut c_void,
}

/// Options of the preparation of transforms.
#[repr(C)]
pub(super) struct DomainConfig {
    pub(super) stream: *mut c_void,
    pub(super) is_async: bool,
    pub(super) extension: *mut c_void,
}

/// Options of a vector operation.
#[repr(C)]
pub(super) struct VectorConfig {
    pub(super) stream: *mut c_void,
    pub(super) first_on_device: bool,
    pub(super) second_on_device: bool,
    pub(super) result_on_device: bool,
    pub(super) is_async: bool,
    pub(super) batch_size: c_int,
    pub(super) columns_batch: bool,
    pub(super) extension: *mut c_void,
}

impl MsmConfig {
    /// One sum over device memory into host memory, canonical points.
    pub(super) fn new(bits: u32, scalars_montgomery: bool) -> Self {
        Self {
            stream: core::ptr::null_mut(),
            precompute_factor: 1,
            window: 0,
            bits: bits as c_int,
            batch_size: 1,
            points_shared: true,
            scalars_on_device: true,
            scalars_montgomery,
            points_on_device: true,
            points_montgomery: false,
            results_on_device: false,
            is_async: false,
            extension: core::ptr::null_mut(),
        }
    }
}

impl NttConfig {
    /// One transform in device memory.
    pub(super) fn new(coset_generator: Words) -> Self {
        Self {
            stream: core::ptr::null_mut(),
            coset_generator,
            batch_size: 1,
            columns_batch: false,
            ordering: 0,
            inputs_on_device: true,
            outputs_on_device: true,
            is_async: false,
            extension: core::ptr::null_mut(),
        }
    }
}

impl DomainConfig {
    /// Finished on return.
    pub(super) fn new() -> Self {
        Self { stream: core::ptr::null_mut(), is_async: false, extension: core::ptr::null_mut() }
    }
}

impl VectorConfig {
    /// One operation in device memory; the first operand may lie on the host.
    pub(super) fn new(first_on_device: bool) -> Self {
        Self {
            stream: core::ptr::null_mut(),
            first_on_device,
            second_on_device: true,
            result_on_device: true,
            is_async: false,
            batch_size: 1,
            columns_batch: false,
            extension: core::ptr::null_mut(),
        }
    }
}

/// Where in the installation a function lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `libicicle_device`.
    Device,
    /// `libicicle_field_bn254`.
    Field,
    /// `libicicle_curve_bn254`.
    Curve,
}

impl Part {
    /// Every part, in the order of loading.
    pub(super) const ALL: [Self; 3] = [Self::Device, Self::Field, Self::Curve];

    /// File name without prefix and ending.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Self::Device => "icicle_device",
            Self::Field => "icicle_field_bn254",
            Self::Curve => "icicle_curve_bn254",
        }
    }
}

/// A table of the functions, and how it is filled.
macro_rules! functions {
    ($($field:ident = $part:ident $symbol:literal ($($argument:ty),*);)*) => {
        /// Every function that we call.
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Functions {
            /// Looks all of them up; `find` gets the part, the symbol and a place for the address.
            ///
            /// # Safety
            /// What `find` returns for a symbol must be the address of a function with the signature in this table.
            pub(super) unsafe fn resolve<E>(
                mut find: impl FnMut(Part, &'static str) -> Result<*mut c_void, E>,
            ) -> Result<Self, E> {
                Ok(Self {
                    $($field: {
                        let address = find(Part::$part, $symbol)?;
                        // SAFETY: the caller vouches for the signature; function and data pointers have one size here.
                        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> c_int>(address) }
                    },)*
                })
            }
        }
    };
}

functions! {
    load_backend = Device "icicle_load_backend" (*const c_char, bool);
    registered_devices = Device "icicle_get_registered_devices" (*mut c_char, usize);
    set_device = Device "icicle_set_device" (*const DeviceId);
    device_count = Device "icicle_get_device_count" (*mut c_int);
    available_memory = Device "icicle_get_available_memory" (*mut usize, *mut usize);
    allocate = Device "icicle_malloc" (*mut *mut c_void, usize);
    free = Device "icicle_free" (*mut c_void);
    fill = Device "icicle_memset" (*mut c_void, c_int, usize);
    copy = Device "icicle_copy" (*mut c_void, *const c_void, usize);
    copy_to_host = Device "icicle_copy_to_host" (*mut c_void, *const c_void, usize);
    copy_to_device = Device "icicle_copy_to_device" (*mut c_void, *const c_void, usize);
    init_domain = Field "bn254_ntt_init_domain" (*const Words, *const DomainConfig);
    release_domain = Field "bn254_ntt_release_domain" ();
    ntt = Field "bn254_ntt" (*const Words, c_int, c_int, *const NttConfig, *mut Words);
    add = Field "bn254_vector_add" (*const Words, *const Words, u64, *const VectorConfig, *mut Words);
    subtract = Field "bn254_vector_sub" (*const Words, *const Words, u64, *const VectorConfig, *mut Words);
    multiply = Field "bn254_vector_mul" (*const Words, *const Words, u64, *const VectorConfig, *mut Words);
    invert = Field "bn254_vector_inv" (*const Words, u64, *const VectorConfig, *mut Words);
    scale = Field "bn254_scalar_mul_vec" (*const Words, *const Words, u64, *const VectorConfig, *mut Words);
    shift = Field "bn254_scalar_add_vec" (*const Words, *const Words, u64, *const VectorConfig, *mut Words);
    msm = Curve "bn254_msm" (*const Words, *const [Words; 2], c_int, *const MsmConfig, *mut [Words; 3]);
}

/// ICICLE's words for an error code.
pub(super) fn words(code: c_int) -> &'static str {
    match code {
        1 => "invalid device",
        2 => "out of memory",
        3 => "invalid pointer",
        4 => "allocation failed",
        5 => "release of memory failed",
        6 => "copy failed",
        7 => "synchronisation failed",
        8 | 9 => "stream failed",
        10 => "not implemented on this device",
        11 => "invalid argument",
        12 => "the device's library could not be loaded",
        13 => {
            "licence check failed; set ICICLE_LICENSE as the device's vendor says, or install a build without licences"
        }
        _ => "unknown error",
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn layouts_are_icicles() {
        assert_eq!((size_of::<DeviceId>(), offset_of!(DeviceId, number)), (68, 64));
        assert_eq!((size_of::<MsmConfig>(), offset_of!(MsmConfig, bits)), (40, 16));
        assert_eq!(
            (offset_of!(MsmConfig, points_shared), offset_of!(MsmConfig, scalars_montgomery)),
            (24, 26)
        );
        assert_eq!((offset_of!(MsmConfig, is_async), offset_of!(MsmConfig, extension)), (30, 32));
        assert_eq!((size_of::<NttConfig>(), offset_of!(NttConfig, coset_generator)), (64, 8));
        assert_eq!((offset_of!(NttConfig, batch_size), offset_of!(NttConfig, ordering)), (40, 48));
        assert_eq!((offset_of!(NttConfig, inputs_on_device), offset_of!(NttConfig, extension)), (52, 56));
        assert_eq!((size_of::<DomainConfig>(), offset_of!(DomainConfig, extension)), (24, 16));
        assert_eq!((size_of::<VectorConfig>(), offset_of!(VectorConfig, batch_size)), (32, 12));
        assert_eq!((offset_of!(VectorConfig, is_async), offset_of!(VectorConfig, columns_batch)), (11, 16));
    }
}
