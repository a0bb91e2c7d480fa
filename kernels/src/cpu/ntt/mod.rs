//! Number-theoretic transforms, natural order in and out.
//!
//! The forward transform takes `f mod (X^(2m) - c^2)` to `f mod (X^m - c)` and `f mod (X^m + c)`, layer by layer, so that
//! a block of a layer has a single twiddle `c`, and a table of twiddles in bit-reversed order serves every layer of every
//! size, at every tier.

#[cfg(target_arch = "x86_64")]
mod lanes;
mod portable;

pub(super) use portable::inverse_of_size;

use ark_bn254::Fr;
use ark_ff::{FftField, Field, One, Zero};
use rayon::prelude::*;

use super::simd::Tier;
use super::{GRAIN, huge};
use crate::shape::{self, MAX_LOG_SIZE, Result};

/// The twiddle table holds at most this many entries (8 MiB), as log2; further twiddles cost one multiplication.
const TABLE_LOG: u32 = 18;

/// The generator of the subgroup of order `2^log_size`: `TWO_ADIC_ROOT_OF_UNITY ^ (2^28 / 2^log_size)`. Sizes above
/// `2^28` do not exist; they give the generator of order `2^28`.
pub fn generator(log_size: u32) -> Fr {
    (log_size..MAX_LOG_SIZE).fold(Fr::TWO_ADIC_ROOT_OF_UNITY, |root, _| root.square())
}

/// Twiddles for transforms up to some size. With `k` written in `s` bits, twiddle `k` is the primitive root of order
/// `2^(s + 1)` to the power of `k` with its bits reversed.
#[derive(Debug)]
pub struct Twiddles {
    tier: Tier,
    log_size: u32,
    low: Vec<Fr>,
    high: Vec<Fr>,
    #[cfg(target_arch = "x86_64")]
    arena: lanes::Arena,
}

impl Twiddles {
    /// Twiddles for transforms of size up to `2^log_size`, at most `2^28`, which will run at this tier. Scratch space of
    /// transforms is kept with them, some 40 MiB for each thread at most.
    pub fn new(log_size: u32, tier: Tier) -> Self {
        let log_size = log_size.min(MAX_LOG_SIZE);
        let depth = log_size.saturating_sub(1);
        let table_log = depth.min(TABLE_LOG);
        let low = doubled(0, table_log);
        let high = doubled(table_log, depth);
        Self {
            tier,
            log_size,
            low,
            high,
            #[cfg(target_arch = "x86_64")]
            arena: lanes::Arena::default(),
        }
    }

    /// Log2 of the largest transform that these twiddles serve.
    pub fn log_size(&self) -> u32 {
        self.log_size
    }

    #[inline]
    fn get(&self, index: usize) -> Fr {
        match self.low.get(index) {
            Some(twiddle) => *twiddle,
            None => self.low[index % self.low.len()] * self.high[index / self.low.len()],
        }
    }
}

/// Twiddles number `k * 2^from` for `k < 2^(to - from)`.
fn doubled(from: u32, to: u32) -> Vec<Fr> {
    let mut table = Vec::with_capacity(1 << (to - from));
    table.push(Fr::one());
    for bit in from..to {
        let root = generator(bit + 2);
        let next: Vec<Fr> = table.par_iter().with_min_len(GRAIN).map(|twiddle| *twiddle * root).collect();
        table.extend(next);
    }
    table
}

/// Values at the subgroup's elements, from coefficients.
///
/// # Errors
/// If the length is not a power of two up to 2^28 or the twiddles are for smaller sizes.
pub fn forward(values: &mut Vec<Fr>, twiddles: &Twiddles) -> Result<()> {
    let log_size = checked("ntt", values.len(), twiddles)?;
    if !twiddles.in_lanes(values, log_size, false) {
        portable::forward(values, twiddles);
    }
    Ok(())
}

/// Coefficients, from values at the subgroup's elements.
///
/// # Errors
/// If the length is not a power of two up to 2^28 or the twiddles are for smaller sizes.
pub fn inverse(values: &mut Vec<Fr>, twiddles: &Twiddles) -> Result<()> {
    let log_size = checked("ntt", values.len(), twiddles)?;
    if !twiddles.in_lanes(values, log_size, true) {
        portable::inverse(values, twiddles);
    }
    Ok(())
}

/// The transform of a vector, forward or inverse, into another one, whose room is used again where there is enough.
///
/// # Errors
/// If the length is not a power of two up to 2^28 or the twiddles are for smaller sizes.
pub fn transformed(values: &[Fr], inverse: bool, twiddles: &Twiddles, into: &mut Vec<Fr>) -> Result<()> {
    let log_size = checked("ntt", values.len(), twiddles)?;
    huge::reuse(into, values.len());
    #[cfg(target_arch = "x86_64")]
    if let (Tier::Ifma(proof), true) = (twiddles.tier, log_size >= lanes::SMALLEST_LOG) {
        lanes::Transform::new(proof, twiddles, log_size, None, inverse).values(values, Fr::one(), into);
        return Ok(());
    }
    into.copy_from_slice(values);
    if inverse {
        portable::inverse(into, twiddles)
    } else {
        portable::forward(into, twiddles)
    }
    Ok(())
}

/// Values of a polynomial, given by any number of coefficients, on the coset `shift * H` with `|H| = 2^log_size`.
///
/// # Errors
/// If the size is above 2^28, the shift is zero, or the twiddles are for smaller sizes.
pub fn coset_forward(coefficients: &[Fr], log_size: u32, shift: Fr, twiddles: &Twiddles) -> Result<Vec<Fr>> {
    let mut values = Vec::new();
    coset_forward_into(coefficients, (log_size, shift), twiddles, &mut values)?;
    Ok(values)
}

/// The same into a vector, whose room is used again where there is enough.
///
/// # Errors
/// As for [`coset_forward`].
pub fn coset_forward_into(
    coefficients: &[Fr],
    (log_size, shift): (u32, Fr),
    twiddles: &Twiddles,
    into: &mut Vec<Fr>,
) -> Result<()> {
    shape::coset("coset_ntt", log_size, shift.is_zero())?;
    checked("coset_ntt", 1 << log_size, twiddles)?;
    #[cfg(target_arch = "x86_64")]
    if let (Tier::Ifma(proof), true) = (twiddles.tier, log_size >= lanes::SMALLEST_LOG) {
        huge::reuse(into, 1 << log_size);
        let shift_or_none = Some(shift).filter(|shift| !shift.is_one());
        let transform = lanes::Transform::new(proof, twiddles, log_size, shift_or_none, false);
        transform.values(coefficients, shift, into);
        return Ok(());
    }
    *into = portable::coset_forward(coefficients, log_size, shift, twiddles);
    Ok(())
}

/// Coefficients of the polynomial with these values on the coset `shift * H`.
///
/// # Errors
/// If the length is not a power of two up to 2^28, the shift is zero, or the twiddles are for smaller sizes.
pub fn coset_inverse(values: &mut Vec<Fr>, shift: Fr, twiddles: &Twiddles) -> Result<()> {
    let log_size = checked("inverse_coset_ntt", values.len(), twiddles)?;
    shape::coset("inverse_coset_ntt", log_size, shift.is_zero())?;
    if !twiddles.in_lanes(values, log_size, true) {
        portable::inverse(values, twiddles);
    }
    let step = shift.inverse().unwrap_or_default();
    super::polynomial::scale_by_powers(twiddles.tier, values, step);
    Ok(())
}

impl Twiddles {
    /// Transforms over the subgroup in place, or says that it is for the portable tier to do.
    #[cfg(target_arch = "x86_64")]
    fn in_lanes(&self, values: &mut [Fr], log_size: u32, inverse: bool) -> bool {
        let (Tier::Ifma(proof), true) = (self.tier, log_size >= lanes::SMALLEST_LOG) else {
            return false;
        };
        lanes::Transform::new(proof, self, log_size, None, inverse).in_place(values);
        true
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn in_lanes(&self, _: &mut [Fr], _: u32, _: bool) -> bool {
        false
    }
}

fn checked(operation: &'static str, len: usize, twiddles: &Twiddles) -> Result<u32> {
    let log_size = shape::transform(operation, len)?;
    shape::at_most(operation, len, 1 << twiddles.log_size)?;
    Ok(log_size)
}
