//! Eight field elements at a time.
//!
//! Kernels are written once, over `Lanes`, as always-inlined functions; for each tier a thin function calls them, which for
//! [`Tier::Ifma`] carries `ifma_kernel!`'s target features. The instructions are chosen at run time ([`Tier`]), never by
//! build flags. `Portable` does the same with `ark-ff`; `F8` uses limbs of 52 bits and AVX-512's multiply-add.
//!
//! Kernels contain no closures over vectors, and so no `map` or `from_fn` of them: a closure does not inherit the target
//! features, and every instruction in it becomes a call.
//!
//! # Forms and bounds
//!
//! Values are kept modulo p, up to some multiple of p which each function's documentation names ("below 2p"); the caller
//! keeps the books. `2^260` is between 84p and 85p, `2^256` between 5.2p and 5.3p. `Portable` is canonical at all times,
//! so bounds mean nothing there, and the same code is right for both.
//!
//! A field element `x` is kept as `x 2^260`. `ark-ff` keeps `x 2^256`, four bits less: loading shifts, storing divides by 16
//! exactly, neither costs a multiplication. What is linear in its data (a transform) may load and store words as
//! they are and never shift.
//!
//! All of it is variable time in the data of exceptional cases, and constant time otherwise.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod inverse;
mod modulus;
mod portable;
#[cfg(test)]
mod tests;
mod tier;

#[cfg(target_arch = "x86_64")]
pub(crate) use ifma::F8;
pub(crate) use inverse::inverse;
pub(crate) use modulus::{Element, Modulus, multiple_words};
pub(crate) use portable::Portable;
pub use tier::{Ifma, TIER_VARIABLE, Tier, TierError};

/// Number of lanes.
pub(crate) const LANES: usize = 8;

/// The words of a field element as they lie in memory, 32 bytes.
pub(crate) type Words = [u64; 4];

/// One bit for each lane, the first lane's the lowest.
pub(crate) type Mask = u8;

/// Eight elements of a prime field, one in each lane.
///
/// A value is *carried* (its limbs are below 2^52) or *loose* (limbs are signed and wider, the value itself is not
/// negative). Functions take and give carried values unless they say otherwise.
///
/// # Safety
///
/// Every method needs the processor to have the implementor's instructions, which [`Tier`] proves, and must be inlined
/// into a function with those target features. Methods with pointers need these to be valid for reading or writing the
/// entries that they name; there is no demand on alignment beyond that of the words.
pub(crate) trait Lanes: Copy {
    /// The field.
    type Modulus: Modulus;

    /// Zero everywhere.
    unsafe fn zero() -> Self;

    /// One everywhere, below p.
    unsafe fn one() -> Self;

    /// The element everywhere, below 16p.
    unsafe fn broadcast(element: &Element<Self::Modulus>) -> Self;

    /// Eight consecutive elements, below 16p.
    unsafe fn load(from: *const Element<Self::Modulus>) -> Self;

    /// Eight elements from anywhere, below 16p.
    unsafe fn gather(from: [*const Element<Self::Modulus>; LANES]) -> Self;

    /// To eight consecutive elements, from a value below 16p.
    unsafe fn store(self, to: *mut Element<Self::Modulus>);

    /// Eight consecutive elements in the tier's own form, below 2^256: what [`Lanes::store_words`] wrote.
    ///
    /// Words of an `ark-ff` element give a value below p that is 16 times too small, a factor that linear maps carry through.
    unsafe fn load_words(from: *const Words) -> Self;

    /// Eight elements in the tier's own form from anywhere.
    unsafe fn gather_words(from: [*const Words; LANES]) -> Self;

    /// To eight consecutive places in the tier's own form, from a value below 2^256.
    unsafe fn store_words(self, to: *mut Words);

    /// To eight places anywhere in the tier's own form, from a value below 2^256.
    unsafe fn scatter_words(self, to: [*mut Words; LANES]);

    /// Product: below `a b / 84 + 2.01` times p for factors below a p and b p.
    unsafe fn multiply(self, other: Self) -> Self;

    /// Square: below `a^2 / 84 + 2.01` times p.
    unsafe fn square(self) -> Self;

    /// The product as [`Lanes::multiply`] makes it, but loose.
    unsafe fn multiply_loose(self, other: Self) -> Self;

    /// The square as [`Lanes::square`] makes it, but loose.
    unsafe fn square_loose(self) -> Self;

    /// Sum: below a + b, which must be at most 84.
    unsafe fn add(self, other: Self) -> Self;

    /// Difference: below a + K, which must be at most 84, for a subtrahend of at most K p.
    unsafe fn subtract<const K: u64>(self, other: Self) -> Self;

    /// Loose sum of two values, carried or loose.
    unsafe fn plus(self, other: Self) -> Self;

    /// Loose difference, with `K p` added: the sum of all such offsets has to keep the value from being negative.
    unsafe fn minus<const K: u64>(self, other: Self) -> Self;

    /// Loose: `K p` minus the value in the lanes of the mask, and the value itself in the others.
    unsafe fn negate_where<const K: u64>(self, mask: Mask) -> Self;

    /// The carried form of a loose value below 84p.
    unsafe fn carry(self) -> Self;

    /// The carried form, below 2.3p, of a loose value between p / 1000 and 10.5p.
    unsafe fn settle(self) -> Self;

    /// Below 1.7p, from any carried value.
    unsafe fn reduce(self) -> Self;

    /// Below p, from any carried value.
    unsafe fn canonical(self) -> Self;

    /// The lanes that are zero modulo p.
    unsafe fn zero_lanes(self) -> Mask;

    /// The lanes whose words, and so all limbs, are zero; a multiple of p that is not zero does not count.
    unsafe fn empty_lanes(self) -> Mask;

    /// The lanes whose number among these is odd.
    unsafe fn odd_lanes(numbers: &[u32; LANES]) -> Mask;

    /// The other value in the lanes of the mask, this one elsewhere; both carried or loose.
    unsafe fn select(self, mask: Mask, other: Self) -> Self;

    /// Every lane's value moved to the lane whose number differs in these bits, `DISTANCE` below 8.
    unsafe fn swapped<const DISTANCE: usize>(self) -> Self;

    /// Lane `i` of vector `j` becomes lane `j` of vector `i`; values carried or loose.
    unsafe fn transpose(vectors: &mut [Self; LANES]);

    /// The elements, from a value below 16p.
    #[inline(always)]
    unsafe fn elements(self) -> [Element<Self::Modulus>; LANES] {
        let mut elements = [Element::<Self::Modulus>::default(); LANES];
        // SAFETY: the array has room for all lanes; the caller answers for the instructions.
        unsafe { self.store(elements.as_mut_ptr()) };
        elements
    }
}

/// An array with an expression for each lane, its number being a constant. In kernels closures won't do: they would be
/// compiled for themselves, without the vector instructions, and called.
macro_rules! each_lane {
    ($lane:ident => $expression:expr) => {
        [
            {
                const $lane: usize = 0;
                $expression
            },
            {
                const $lane: usize = 1;
                $expression
            },
            {
                const $lane: usize = 2;
                $expression
            },
            {
                const $lane: usize = 3;
                $expression
            },
            {
                const $lane: usize = 4;
                $expression
            },
            {
                const $lane: usize = 5;
                $expression
            },
            {
                const $lane: usize = 6;
                $expression
            },
            {
                const $lane: usize = 7;
                $expression
            },
        ]
    };
}
pub(crate) use each_lane;

/// Defines functions that run with the instructions of [`Tier::Ifma`]; they take the proof as their first argument.
///
/// ```text
/// ifma_kernel! { fn name(proof, argument: Type) -> Type { unsafe { generic::<F8<FrConfig>>(argument) } } }
/// ```
#[allow(unused_macros)]
macro_rules! ifma_kernel {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[cfg(target_arch = "x86_64")]
        $visibility fn $name(_: $crate::cpu::simd::Ifma, $($argument: $type),*) $(-> $result)? {
            #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl,avx512bw")]
            fn kernel($($argument: $type),*) $(-> $result)? $body
            // SAFETY: the proof says that the processor has these features.
            unsafe { kernel($($argument),*) }
        }
    };
}
#[allow(unused_imports)]
pub(crate) use ifma_kernel;
