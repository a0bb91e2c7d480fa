//! Multiples of bases by the windows' weights, kept on the device where there is memory for them.
//!
//! With them all windows of a sum share the buckets of one, which can then be larger, so that there are fewer windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::device::{Buffer, Device};
use super::driver::Arguments;
use super::msm::{AFFINE, MOST_SCRATCH, POINT, work};
use super::vectors::FEWER_THREADS;
use crate::backend::Result;
use crate::error::BackendError;

/// The environment variable that says when multiples are made: `never`, `always` or `auto`.
pub const MULTIPLES_VARIABLE: &str = "ZKLOOM_CUDA_MULTIPLES";

/// Points that are multiplied at a time.
const TOGETHER: usize = 1 << 18;

/// Points that one thread frees of denominators; the kernel has the same.
const FLATTENED: usize = 16;

/// Fewest bases that multiples are made for: sums over fewer are quick, and mostly waiting.
const LEAST_BASES: usize = 1 << 10;

/// Bits of a shared window.
const WINDOW_BITS: core::ops::RangeInclusive<u32> = 8..=20;

/// Bits of scalars, with room for signed digits.
const SCALAR_BITS: u32 = 255;

/// When multiples of bases are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Multiples {
    /// Where memory is left when all that a prover told to expect is subtracted; a quarter of what is free if it told nothing.
    #[default]
    Automatic,
    /// Never.
    Never,
    /// Wherever they fit.
    Always,
}

impl Multiples {
    /// What the environment asks for; anything unknown is automatic.
    pub fn from_environment() -> Self {
        match std::env::var(MULTIPLES_VARIABLE).as_deref() {
            Ok("never") => Self::Never,
            Ok("always") => Self::Always,
            _ => Self::Automatic,
        }
    }
}

/// How much memory multiples may take.
#[derive(Debug)]
pub struct Allowance {
    when: AtomicU8,
    /// Bytes left for multiples; `u64::MAX` where nobody told what else is needed.
    left: AtomicU64,
}

impl Allowance {
    pub fn new(when: Multiples) -> Self {
        Self { when: AtomicU8::new(when as u8), left: AtomicU64::new(u64::MAX) }
    }

    pub fn set(&self, when: Multiples) {
        self.when.store(when as u8, Ordering::Relaxed);
    }

    /// Of so many free bytes, some are going to be used for other things, and sums need room for scratch.
    pub fn expect(&self, free: u64, expected: u64) {
        let scratch = (free / 8).min(MOST_SCRATCH);
        self.left.store(free.saturating_sub(expected).saturating_sub(scratch), Ordering::Relaxed);
    }

    /// Bytes that multiples may take of those that are free.
    fn room(&self, free: u64) -> u64 {
        match self.when.load(Ordering::Relaxed) {
            when if when == Multiples::Never as u8 => 0,
            when if when == Multiples::Always as u8 => free,
            _ => match self.left.load(Ordering::Relaxed) {
                u64::MAX => free / 4,
                left => left.min(free),
            },
        }
    }

    fn take(&self, bytes: u64) {
        // An allowance that nobody set is a share of what is free, which shrinks by itself.
        let less = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(bytes));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The levels of multiples of some bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Level `l` holds `2^(l * window_bits)` times the bases.
    pub count: u32,
    pub window_bits: u32,
}

impl Levels {
    /// The bases alone.
    pub const ONE: Self = Self { count: 1, window_bits: SCALAR_BITS };

    /// The levels with which sums over so many bases cost least, if multiples fit `room` bytes and are worth it.
    pub fn new(len: usize, room: u64) -> Self {
        let levels = |window_bits: u32| Self { count: SCALAR_BITS.div_ceil(window_bits), window_bits };
        let fits = |levels: &Self| {
            let points = u64::from(levels.count) * len as u64;
            points < 1 << 31 && levels.extra_bytes(len) <= room
        };
        let cost = |levels: &Self| work(u64::from(levels.count) * len as u64, 1, levels.window_bits);
        match WINDOW_BITS.map(levels).filter(fits).min_by_key(cost) {
            Some(levels) if len >= LEAST_BASES => levels,
            _ => Self::ONE,
        }
    }

    /// Bytes of all levels but the first, and of the work to make them.
    fn extra_bytes(&self, len: usize) -> u64 {
        u64::from(self.count - 1) * (len * AFFINE) as u64 + (len.min(TOGETHER) * POINT) as u64
    }
}

impl Device {
    /// The levels that memory allows for so many bases, which are not on the device yet.
    pub fn levels(&self, operation: &'static str, len: usize) -> Result<Levels> {
        if len < LEAST_BASES {
            return Ok(Levels::ONE);
        }
        let free = self.free_memory(operation)?.saturating_sub((len * AFFINE) as u64);
        Ok(Levels::new(len, self.allowance.room(free)))
    }

    /// Room for all levels; for the bases alone if there is not enough, whatever the plan was.
    pub fn room_for_levels(
        self: &Arc<Self>,
        operation: &'static str,
        len: usize,
        levels: Levels,
    ) -> Result<(Buffer, Levels)> {
        match self.allocate(operation, len * levels.count as usize, AFFINE) {
            Ok(buffer) => {
                self.allowance.take(u64::from(levels.count - 1) * (len * AFFINE) as u64);
                Ok((buffer, levels))
            }
            Err(BackendError::OutOfMemory { .. }) if levels.count > 1 => {
                Ok((self.allocate(operation, len, AFFINE)?, Levels::ONE))
            }
            Err(error) => Err(error),
        }
    }

    /// Fills all levels above the first.
    pub fn fill_levels(
        self: &Arc<Self>,
        operation: &'static str,
        bases: &Buffer,
        len: usize,
        levels: Levels,
    ) -> Result<()> {
        if levels.count == 1 || len == 0 {
            return Ok(());
        }
        // A part reads what parts before it wrote, as it is no longer than a level.
        let part = len.min(TOGETHER);
        let points = self.allocate(operation, part, POINT)?;
        let rows = len * (levels.count as usize - 1);
        for first in (0..rows).step_by(part) {
            let now = part.min(rows - first);
            self.fill_part(operation, (bases, &points), (first, len, now), levels.window_bits)?;
        }
        Ok(())
    }

    fn fill_part(
        self: &Arc<Self>,
        operation: &'static str,
        (bases, points): (&Buffer, &Buffer),
        (first, stride, len): (usize, usize, usize),
        window_bits: u32,
    ) -> Result<()> {
        let source = bases.address() + (first * AFFINE) as u64;
        let arguments = Arguments::default()
            .word(points.address())
            .word(source)
            .word(len as u64)
            .word(window_bits.into());
        self.launch(operation, "double_points", (len, FEWER_THREADS), &arguments)?;
        let target = source + (stride * AFFINE) as u64;
        let arguments = Arguments::default().word(target).word(points.address()).word(len as u64);
        self.launch(operation, "flatten_points", (len.div_ceil(FLATTENED), FEWER_THREADS), &arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_room() {
        for log_len in [10, 14, 20, 24, 26] {
            let len = 1usize << log_len;
            let all = Levels::new(len, u64::MAX);
            assert!(all.count > 1 && all.count * all.window_bits >= SCALAR_BITS, "2^{log_len}: {all:?}");
            assert!((all.count as usize) << log_len < 1 << 31);
            assert_eq!(Levels::new(len, 0), Levels::ONE);
            let fewer = Levels::new(len, all.extra_bytes(len) - 1);
            assert!(fewer == Levels::ONE || fewer.extra_bytes(len) < all.extra_bytes(len));
        }
        assert_eq!(Levels::new(100, u64::MAX), Levels::ONE);
        assert_eq!(Levels::new(1 << 28, u64::MAX), Levels::ONE, "no word has room for their numbers");
    }

    #[test]
    fn an_allowance_is_used_up() {
        let allowance = Allowance::new(Multiples::Automatic);
        assert_eq!(allowance.room(800), 200);
        allowance.expect(800, 500);
        assert_eq!(allowance.room(800), 200);
        allowance.take(150);
        assert_eq!((allowance.room(800), allowance.room(20)), (50, 20));
        allowance.take(150);
        assert_eq!(allowance.room(800), 0);
        allowance.set(Multiples::Always);
        assert_eq!(allowance.room(800), 800);
        allowance.set(Multiples::Never);
        assert_eq!(allowance.room(800), 0);
    }
}
