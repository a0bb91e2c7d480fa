//! Vectors, transforms and sums of points.

use core::ffi::{c_int, c_void};
use std::sync::Mutex;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ff::{BigInt, Field, One, PrimeField, Zero};
use zkloom_kernels::cpu::msm::{Bases, msm};
use zkloom_kernels::cpu::ntt::{self, Twiddles, generator};
use zkloom_kernels::cpu::simd::Tier;

use crate::fault::{Course, course, exception};
use crate::runtime::argument;

const INVALID_POINTER: c_int = 3;
const INVALID_ARGUMENT: c_int = 11;

type Words = [u64; 4];

/// Options of a sum.
#[repr(C)]
pub struct MsmConfig {
    stream: *mut c_void,
    precompute_factor: c_int,
    window: c_int,
    bits: c_int,
    batch_size: c_int,
    points_shared: bool,
    scalars_on_device: bool,
    scalars_montgomery: bool,
    points_on_device: bool,
    points_montgomery: bool,
    results_on_device: bool,
    is_async: bool,
    extension: *mut c_void,
}

/// Options of a transform.
#[repr(C)]
pub struct NttConfig {
    stream: *mut c_void,
    coset_generator: Words,
    batch_size: c_int,
    columns_batch: bool,
    ordering: c_int,
    inputs_on_device: bool,
    outputs_on_device: bool,
    is_async: bool,
    extension: *mut c_void,
}

/// Options of a vector operation.
#[repr(C)]
pub struct VectorConfig {
    stream: *mut c_void,
    first_on_device: bool,
    second_on_device: bool,
    result_on_device: bool,
    is_async: bool,
    batch_size: c_int,
    columns_batch: bool,
    extension: *mut c_void,
}

/// log2 of the size that transforms are prepared for.
static PREPARED: Mutex<Option<u32>> = Mutex::new(None);

/// Reads elements in canonical form.
///
/// # Safety
/// The address is the host's and has `len` elements.
unsafe fn elements(address: *const Words, len: usize) -> Option<Vec<Fr>> {
    // SAFETY: by the function's contract.
    let words = unsafe { core::slice::from_raw_parts(address, len) };
    words.iter().map(|words| Fr::from_bigint(BigInt::new(*words))).collect()
}

/// Writes elements in canonical form; a wrong result has its last element changed, an unreduced one is above the modulus.
///
/// # Safety
/// The address is the host's and has room for all.
unsafe fn write(function: &'static str, target: *mut Words, values: &[Fr]) -> c_int {
    let course = course(function);
    if let Course::Refused(code) = course {
        return code;
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = matches!(course, Course::Wrong) && index + 1 == values.len();
        let value = if wrong { *value + Fr::one() } else { *value };
        // SAFETY: by the function's contract.
        unsafe { target.add(index).write(value.into_bigint().0) };
    }
    0
}

fn plain(config: &VectorConfig) -> bool {
    config.batch_size == 1 && !config.columns_batch && !config.is_async && config.extension.is_null()
}

/// An operation on two operands, the first of `first_len` elements.
///
/// # Safety
/// As for ICICLE's functions: addresses are as long as said and where the options say.
unsafe fn binary(
    function: &'static str,
    (first, first_len): (*const Words, usize),
    (second, len): (*const Words, usize),
    (config, target): (*const VectorConfig, *mut Words),
    operation: fn(Fr, Fr) -> Fr,
) -> c_int {
    // SAFETY: by the function's contract.
    let config = unsafe { &*config };
    let (Some(first), Some(second), Some(target)) = (
        argument(first, config.first_on_device),
        argument(second, config.second_on_device),
        argument(target, config.result_on_device),
    ) else {
        return INVALID_POINTER;
    };
    // SAFETY: the addresses were checked for their side and are as long as the caller says.
    let (first, second) = unsafe { (elements(first, first_len), elements(second, len)) };
    let (Some(first), Some(second), true) = (first, second, plain(config)) else { return INVALID_ARGUMENT };
    let values: Vec<Fr> =
        second.iter().enumerate().map(|(index, b)| operation(first[index % first_len], *b)).collect();
    // SAFETY: the target has as many elements.
    unsafe { write(function, target, &values) }
}

macro_rules! binary_functions {
    ($($name:ident($words:literal, $whole:literal) = $operation:expr;)*) => {$(
        #[doc = $words]
        ///
        /// # Safety
        /// As for ICICLE's function: the pointers are as long as said and where the options say.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            first: *const Words,
            second: *const Words,
            len: u64,
            config: *const VectorConfig,
            target: *mut Words,
        ) -> c_int {
            let len = len as usize;
            let first_len = if $whole { len } else { 1 };
            // SAFETY: by the function's contract.
            unsafe { binary(stringify!($name), (first, first_len), (second, len), (config, target), $operation) }
        }
    )*};
}

binary_functions! {
    bn254_vector_add("Sums of entries.", true) = |a, b| a + b;
    bn254_vector_sub("Differences of entries.", true) = |a, b| a - b;
    bn254_vector_mul("Products of entries.", true) = |a, b| a * b;
    bn254_scalar_mul_vec("Products of a scalar with entries.", false) = |a, b| a * b;
    bn254_scalar_add_vec("Sums of a scalar with entries.", false) = |a, b| a + b;
}

/// Inverses of entries, zero for zero.
///
/// # Safety
/// As for ICICLE's function: the pointers are as long as said and where the options say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bn254_vector_inv(
    source: *const Words,
    len: u64,
    config: *const VectorConfig,
    target: *mut Words,
) -> c_int {
    let operation = |_: Fr, value: Fr| value.inverse().unwrap_or_default();
    let len = len as usize;
    // SAFETY: by the function's contract.
    unsafe { binary("bn254_vector_inv", (source, len), (source, len), (config, target), operation) }
}

/// Prepares transforms; the first preparation stays until it is released.
///
/// # Safety
/// The root is an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bn254_ntt_init_domain(root: *const Words, _config: *const c_void) -> c_int {
    if let Course::Refused(code) = course("bn254_ntt_init_domain") {
        return code;
    }
    // SAFETY: by the function's contract.
    let Some(root) = Fr::from_bigint(BigInt::new(unsafe { *root })) else { return INVALID_ARGUMENT };
    let Some(log_size) = (0..=28).find(|&log_size| generator(log_size) == root) else {
        exception("no root of unity")
    };
    if let Ok(mut prepared) = PREPARED.lock() {
        prepared.get_or_insert(log_size);
    }
    0
}

/// Releases what transforms need.
#[unsafe(no_mangle)]
pub extern "C" fn bn254_ntt_release_domain() -> c_int {
    if let Ok(mut prepared) = PREPARED.lock() {
        *prepared = None;
    }
    0
}

/// A transform; throws where it is not prepared for the size.
///
/// # Safety
/// As for ICICLE's function: the pointers are as long as said and where the options say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bn254_ntt(
    source: *const Words,
    size: c_int,
    direction: c_int,
    config: *const NttConfig,
    target: *mut Words,
) -> c_int {
    // SAFETY: by the function's contract.
    let config = unsafe { &*config };
    let size = usize::try_from(size).unwrap_or(0);
    let prepared = PREPARED.lock().ok().and_then(|prepared| *prepared);
    if !size.is_power_of_two() || prepared.is_none_or(|prepared| prepared < size.ilog2()) {
        exception("a transform that is not prepared");
    }
    let (Some(source), Some(target)) =
        (argument(source, config.inputs_on_device), argument(target, config.outputs_on_device))
    else {
        return INVALID_POINTER;
    };
    let simple = config.batch_size == 1 && config.ordering == 0 && !config.columns_batch && !config.is_async;
    // SAFETY: the address was checked for its side and is as long as the caller says.
    let values = unsafe { elements(source, size) };
    let shift = Fr::from_bigint(BigInt::new(config.coset_generator)).filter(|shift| !shift.is_zero());
    let (Some(mut values), Some(shift), true) = (values, shift, simple) else { return INVALID_ARGUMENT };
    let twiddles = Twiddles::new(size.ilog2(), Tier::Portable);
    let done = match direction {
        0 => ntt::coset_forward(&values, size.ilog2(), shift, &twiddles).map(|result| values = result),
        1 => ntt::coset_inverse(&mut values, shift, &twiddles),
        _ => return INVALID_ARGUMENT,
    };
    if done.is_err() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: the target has as many elements.
    unsafe { write("bn254_ntt", target, &values) }
}

/// A sum of multiples of points. Bits of the scalars past the bound are ignored.
///
/// # Safety
/// As for ICICLE's function: the pointers are as long as said and where the options say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bn254_msm(
    scalars: *const Words,
    bases: *const [Words; 2],
    len: c_int,
    config: *const MsmConfig,
    target: *mut [Words; 3],
) -> c_int {
    // SAFETY: by the function's contract.
    let config = unsafe { &*config };
    let (Some(scalars), Some(bases), Some(target)) = (
        argument(scalars, config.scalars_on_device),
        argument(bases, config.points_on_device),
        argument(target, config.results_on_device),
    ) else {
        return INVALID_POINTER;
    };
    let simple = config.batch_size == 1
        && config.precompute_factor == 1
        && !config.points_montgomery
        && !config.is_async;
    let (Ok(len), true) = (usize::try_from(len), simple) else { return INVALID_ARGUMENT };
    // SAFETY: the addresses were checked for their side and are as long as the caller says.
    let (scalars, bases) = unsafe { (elements(scalars, len), core::slice::from_raw_parts(bases, len)) };
    let Some(mut scalars) = scalars else { exception("a scalar that is not reduced") };
    for scalar in &mut scalars {
        let mut integer = scalar.into_bigint();
        if config.scalars_montgomery {
            *scalar = Fr::new_unchecked(integer);
        } else if config.bits > 0 {
            integer.0.iter_mut().enumerate().for_each(|(limb, words)| {
                let kept = (config.bits as u32).saturating_sub(64 * limb as u32).min(64);
                *words = if kept == 64 { *words } else { *words & ((1 << kept) - 1) };
            });
            *scalar = Fr::from(integer);
        }
    }
    let coordinate = |words: Words| Fq::from_bigint(BigInt::new(words)).unwrap_or_default();
    let point = |[x, y]: &[Words; 2]| match (x, y) {
        ([0, 0, 0, 0], [0, 0, 0, 0]) => G1Affine::identity(),
        _ => G1Affine::new_unchecked(coordinate(*x), coordinate(*y)),
    };
    let bases: Vec<G1Affine> = bases.iter().map(point).collect();
    let Ok(sum) = msm(&Bases::for_tier(Tier::Portable, &bases), &scalars) else { return INVALID_ARGUMENT };
    // SAFETY: the target is one projective point.
    unsafe { write_point(target, sum) }
}

/// Writes homogeneous coordinates, with a last one that is not one.
///
/// # Safety
/// The address is the host's and has room for a point.
unsafe fn write_point(target: *mut [Words; 3], sum: G1Projective) -> c_int {
    let sum = match course("bn254_msm") {
        Course::Refused(code) => return code,
        Course::Wrong if sum.is_zero() => G1Projective::new_unchecked(Fq::one(), Fq::one(), Fq::one()),
        Course::Wrong => G1Projective::new_unchecked(sum.x, sum.y + Fq::one(), sum.z),
        Course::Sound => sum,
    };
    let coordinates = if sum.is_zero() {
        [Fq::zero(), Fq::one(), Fq::zero()]
    } else {
        let (inverse, z) = (sum.z.inverse().unwrap_or_default(), Fq::from(3u64));
        let square = inverse.square();
        [sum.x * square * z, sum.y * square * inverse * z, z]
    };
    // SAFETY: by the function's contract.
    unsafe { target.write(coordinates.map(|coordinate| coordinate.into_bigint().0)) };
    0
}
