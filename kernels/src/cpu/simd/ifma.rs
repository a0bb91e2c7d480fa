//! Eight elements in five AVX-512 registers, limbs of 52 bits.
//!
//! IFMA multiplies the lowest 52 bits of two words and adds the product's lower or upper half to a third, one instruction a
//! cycle. A product is made in full (50 of them) and reduced limb by limb from below: the lowest limb `m` goes away
//! by adding `m (2^-52 mod p)` one limb higher, four times, 10 instructions each and no multiplication to find a quotient;
//! the last limb goes with a multiple of p as in Montgomery's own method, so that the value ends below `a b / 2^260 + 2p`.

use core::arch::x86_64::*;
use core::marker::PhantomData;
use core::mem::{offset_of, size_of};

use super::modulus::{LIMB, limbs, multiple};
use super::{Element, LANES, Lanes, Mask, Modulus, Words, each_lane};

/// Eight elements: limb by limb, a lane for each.
pub(crate) struct F8<M> {
    limbs: [__m512i; 5],
    modulus: PhantomData<M>,
}

type Columns = [__m512i; 10];

// Everything that uses an intrinsic is an always-inlined function, never a closure: a closure that is not inlined has no
// target features, and then calls each intrinsic as a function.

#[inline(always)]
unsafe fn left(word: __m512i, bits: u64) -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_sllv_epi64(word, splat(bits)) }
}

#[inline(always)]
unsafe fn right(word: __m512i, bits: u64) -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_srlv_epi64(word, splat(bits)) }
}

/// `(low | high) & mask` in one instruction.
#[inline(always)]
unsafe fn joined(low: __m512i, high: __m512i, mask: __m512i) -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_ternarylogic_epi64::<0xa8>(low, high, mask) }
}

/// Elements at two places, one after the other.
#[inline(always)]
unsafe fn pair(first: *const Words, second: *const Words) -> __m512i {
    // SAFETY: the caller has AVX-512, and four words at each place.
    unsafe {
        let low = _mm512_castsi256_si512(_mm256_loadu_si256(first.cast()));
        _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(second.cast()))
    }
}

/// The inverse of [`pair`].
#[inline(always)]
unsafe fn put(pair: __m512i, first: *mut Words, second: *mut Words) {
    // SAFETY: the caller has AVX-512, and room for four words at each place.
    unsafe {
        _mm256_storeu_si256(first.cast(), _mm512_castsi512_si256(pair));
        _mm256_storeu_si256(second.cast(), _mm512_extracti64x4_epi64::<1>(pair));
    }
}

/// A limb shifted down by four bits, those of the next one moved in.
#[inline(always)]
unsafe fn shifted(low: __m512i, high: __m512i) -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let moved = _mm512_and_si512(_mm512_slli_epi64::<48>(high), splat(LIMB));
        _mm512_or_si512(_mm512_srli_epi64::<4>(low), moved)
    }
}

/// `word` in all lanes.
#[inline(always)]
unsafe fn splat(word: u64) -> __m512i {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_set1_epi64(word as i64) }
}

/// `columns += x * y`, from column `AT` on: ten multiply-adds.
#[inline(always)]
unsafe fn add_row<const AT: usize>(columns: &mut Columns, x: __m512i, y: &[__m512i; 5]) {
    // SAFETY: the caller has IFMA; `AT` is at most 4, so that all columns exist.
    unsafe {
        columns[AT] = _mm512_madd52lo_epu64(columns[AT], x, y[0]);
        columns[AT + 1] = _mm512_madd52lo_epu64(columns[AT + 1], x, y[1]);
        columns[AT + 2] = _mm512_madd52lo_epu64(columns[AT + 2], x, y[2]);
        columns[AT + 3] = _mm512_madd52lo_epu64(columns[AT + 3], x, y[3]);
        columns[AT + 4] = _mm512_madd52lo_epu64(columns[AT + 4], x, y[4]);
        columns[AT + 1] = _mm512_madd52hi_epu64(columns[AT + 1], x, y[0]);
        columns[AT + 2] = _mm512_madd52hi_epu64(columns[AT + 2], x, y[1]);
        columns[AT + 3] = _mm512_madd52hi_epu64(columns[AT + 3], x, y[2]);
        columns[AT + 4] = _mm512_madd52hi_epu64(columns[AT + 4], x, y[3]);
        columns[AT + 5] = _mm512_madd52hi_epu64(columns[AT + 5], x, y[4]);
    }
}

/// `columns += x * y`, both halves, at one column.
#[inline(always)]
unsafe fn add_product<const AT: usize>(columns: &mut Columns, x: __m512i, y: __m512i) {
    // SAFETY: the caller has IFMA; `AT` is at most 8.
    unsafe {
        columns[AT] = _mm512_madd52lo_epu64(columns[AT], x, y);
        columns[AT + 1] = _mm512_madd52hi_epu64(columns[AT + 1], x, y);
    }
}

/// Four registers with two elements each, as words of all eight.
#[inline(always)]
unsafe fn words_of_elements(pairs: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let low = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
        let high = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
        let first_low = _mm512_permutex2var_epi64(pairs[0], low, pairs[1]);
        let first_high = _mm512_permutex2var_epi64(pairs[0], high, pairs[1]);
        let second_low = _mm512_permutex2var_epi64(pairs[2], low, pairs[3]);
        let second_high = _mm512_permutex2var_epi64(pairs[2], high, pairs[3]);
        [
            _mm512_shuffle_i64x2::<0x44>(first_low, second_low),
            _mm512_shuffle_i64x2::<0xee>(first_low, second_low),
            _mm512_shuffle_i64x2::<0x44>(first_high, second_high),
            _mm512_shuffle_i64x2::<0xee>(first_high, second_high),
        ]
    }
}

/// The inverse of [`words_of_elements`].
#[inline(always)]
unsafe fn elements_of_words(words: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
        let second = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
        let low_front = _mm512_shuffle_i64x2::<0x44>(words[0], words[1]);
        let high_front = _mm512_shuffle_i64x2::<0x44>(words[2], words[3]);
        let low_back = _mm512_shuffle_i64x2::<0xee>(words[0], words[1]);
        let high_back = _mm512_shuffle_i64x2::<0xee>(words[2], words[3]);
        [
            _mm512_permutex2var_epi64(low_front, first, high_front),
            _mm512_permutex2var_epi64(low_front, second, high_front),
            _mm512_permutex2var_epi64(low_back, first, high_back),
            _mm512_permutex2var_epi64(low_back, second, high_back),
        ]
    }
}

/// Pairs of words: of a, b, c, d the first and third quarters, then the second and fourth.
#[inline(always)]
unsafe fn quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let front = _mm512_shuffle_i64x2::<0x88>(a, b);
        let front_after = _mm512_shuffle_i64x2::<0x88>(c, d);
        let back = _mm512_shuffle_i64x2::<0xdd>(a, b);
        let back_after = _mm512_shuffle_i64x2::<0xdd>(c, d);
        [
            _mm512_shuffle_i64x2::<0x88>(front, front_after),
            _mm512_shuffle_i64x2::<0x88>(back, back_after),
            _mm512_shuffle_i64x2::<0xdd>(front, front_after),
            _mm512_shuffle_i64x2::<0xdd>(back, back_after),
        ]
    }
}

/// Eight rows of eight words, transposed.
#[inline(always)]
unsafe fn transposed(rows: [__m512i; 8]) -> [__m512i; 8] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
        let (even01, odd01) = (_mm512_unpacklo_epi64(r0, r1), _mm512_unpackhi_epi64(r0, r1));
        let (even23, odd23) = (_mm512_unpacklo_epi64(r2, r3), _mm512_unpackhi_epi64(r2, r3));
        let (even45, odd45) = (_mm512_unpacklo_epi64(r4, r5), _mm512_unpackhi_epi64(r4, r5));
        let (even67, odd67) = (_mm512_unpacklo_epi64(r6, r7), _mm512_unpackhi_epi64(r6, r7));
        let [c0, c2, c4, c6] = quarters(even01, even23, even45, even67);
        let [c1, c3, c5, c7] = quarters(odd01, odd23, odd45, odd67);
        [c0, c1, c2, c3, c4, c5, c6, c7]
    }
}

impl<M: Modulus> Clone for F8<M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Modulus> Copy for F8<M> {}

impl<M: Modulus> F8<M> {
    #[inline(always)]
    fn new(limbs: [__m512i; 5]) -> Self {
        Self { limbs, modulus: PhantomData }
    }

    #[inline(always)]
    unsafe fn constant(limbs: [u64; 5]) -> [__m512i; 5] {
        let [l0, l1, l2, l3, l4] = limbs;
        // SAFETY: the caller has AVX-512.
        unsafe { [splat(l0), splat(l1), splat(l2), splat(l3), splat(l4)] }
    }

    /// Words times 2^SHIFT, SHIFT at most 4.
    #[inline(always)]
    unsafe fn from_words<const SHIFT: u32>(words: [__m512i; 4]) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let mask = splat(LIMB);
            let [w0, w1, w2, w3] = words;
            let shift = u64::from(SHIFT);
            Self::new([
                _mm512_and_si512(left(w0, shift), mask),
                joined(right(w0, 52 - shift), left(w1, 12 + shift), mask),
                joined(right(w1, 40 - shift), left(w2, 24 + shift), mask),
                joined(right(w2, 28 - shift), left(w3, 36 + shift), mask),
                right(w3, 16 - shift),
            ])
        }
    }

    /// The words of a value below 2^256, or of a carried negative one in two's complement.
    #[inline(always)]
    unsafe fn words(self) -> [__m512i; 4] {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let [l0, l1, l2, l3, l4] = self.limbs;
            [
                _mm512_or_si512(l0, _mm512_slli_epi64::<52>(l1)),
                _mm512_or_si512(_mm512_srli_epi64::<12>(l1), _mm512_slli_epi64::<40>(l2)),
                _mm512_or_si512(_mm512_srli_epi64::<24>(l2), _mm512_slli_epi64::<28>(l3)),
                _mm512_or_si512(_mm512_srli_epi64::<36>(l3), _mm512_slli_epi64::<16>(l4)),
            ]
        }
    }

    /// Of canonical values, those next to zero among the numbers congruent to them, in two's complement of 256 bits: their
    /// words, lowest first, each to its row of eight. The words of their absolute values are joined to `magnitudes`.
    #[inline(always)]
    pub(crate) unsafe fn store_signed(self, rows: [*mut u64; 4], magnitudes: &mut [[u64; LANES]; 4]) {
        // SAFETY: the caller has AVX-512, and room for eight words in each row.
        unsafe {
            let less = self.minus_constant(M::P);
            // x or x - p, depending on which of them is the larger.
            let small = _mm512_movepi64_mask(self.plus(less).carry().limbs[4]);
            let less = less.carry();
            let opposite = Self::new([splat(0); 5]).minus_limbs(less.limbs).carry();
            let (signed, absolute) = (less.select(small, self).words(), opposite.select(small, self).words());
            for (((row, joined), signed), absolute) in
                rows.into_iter().zip(magnitudes).zip(signed).zip(absolute)
            {
                _mm512_storeu_si512(row.cast(), signed);
                let all = _mm512_or_si512(_mm512_loadu_si512(joined.as_ptr().cast()), absolute);
                _mm512_storeu_si512(joined.as_mut_ptr().cast(), all);
            }
        }
    }

    /// Loose, and possibly negative.
    #[inline(always)]
    unsafe fn minus_constant(self, subtrahend: [u64; 5]) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { self.minus_limbs(Self::constant(subtrahend)) }
    }

    /// Loose, and possibly negative.
    #[inline(always)]
    unsafe fn minus_limbs(self, subtrahend: [__m512i; 5]) -> Self {
        let mut limbs = self.limbs;
        for (limb, subtrahend) in limbs.iter_mut().zip(subtrahend) {
            // SAFETY: the caller has AVX-512.
            *limb = unsafe { _mm512_sub_epi64(*limb, subtrahend) };
        }
        Self::new(limbs)
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const Words) -> [__m512i; 4] {
        // SAFETY: the caller has eight entries of four words there.
        unsafe {
            words_of_elements([
                _mm512_loadu_si512(from.cast()),
                _mm512_loadu_si512(from.add(2).cast()),
                _mm512_loadu_si512(from.add(4).cast()),
                _mm512_loadu_si512(from.add(6).cast()),
            ])
        }
    }

    #[inline(always)]
    unsafe fn gather_pairs(from: [*const Words; LANES]) -> [__m512i; 4] {
        // SAFETY: the caller has four words at each place.
        unsafe {
            words_of_elements([
                pair(from[0], from[1]),
                pair(from[2], from[3]),
                pair(from[4], from[5]),
                pair(from[6], from[7]),
            ])
        }
    }

    #[cfg(test)]
    pub(super) unsafe fn from_limbs(lanes: &[[u64; 5]; LANES]) -> Self {
        // SAFETY: the caller has AVX-512; each array has eight words.
        Self::new(core::array::from_fn(|limb| unsafe {
            _mm512_loadu_si512(lanes.map(|lane| lane[limb]).as_ptr().cast())
        }))
    }

    #[cfg(test)]
    pub(super) unsafe fn to_limbs(self) -> [[u64; 5]; LANES] {
        let mut limbs = [[0u64; LANES]; 5];
        for (words, limb) in limbs.iter_mut().zip(self.limbs) {
            // SAFETY: the caller has AVX-512; the array has eight words.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), limb) };
        }
        core::array::from_fn(|lane| limbs.map(|words| words[lane]))
    }

    /// The value divided by 16 modulo p: below `a / 16 + 15 / 16` times p for a value below a p, a at most 16.
    #[inline(always)]
    unsafe fn sixteenth(self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe {
            // Adding q p, q below 16, makes the lowest four bits zero; the sum is below 31p and fits.
            let quotient = _mm512_madd52lo_epu64(splat(0), self.limbs[0], splat(M::NEGATIVE_INVERSE & 15));
            let quotient = _mm512_and_si512(quotient, splat(15));
            let [l0, l1, l2, l3, l4] = self.limbs;
            let mut columns = [splat(0); 10];
            (columns[0], columns[1], columns[2], columns[3], columns[4]) = (l0, l1, l2, l3, l4);
            add_row::<0>(&mut columns, quotient, &Self::constant(M::P));
            let [l0, l1, l2, l3, l4] =
                Self::new([columns[0], columns[1], columns[2], columns[3], columns[4]]).carry().limbs;
            Self::new([
                shifted(l0, l1),
                shifted(l1, l2),
                shifted(l2, l3),
                shifted(l3, l4),
                _mm512_srli_epi64::<4>(l4),
            ])
        }
    }

    /// Less p if that is not negative: below p, from a carried value below 2p.
    #[inline(always)]
    unsafe fn less_modulus(self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let difference = self.minus_constant(M::P).carry();
            let negative = _mm512_movepi64_mask(difference.limbs[4]);
            difference.select(negative, self)
        }
    }

    /// Loose.
    #[inline(always)]
    unsafe fn reduced(mut columns: Columns) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA. Columns stay below 2^60: each is a sum of at most 20 halves below 2^52,
        // twice as much in a square, and a carry.
        unsafe {
            let fold = Self::constant(M::FOLD);
            columns[1] = _mm512_add_epi64(columns[1], _mm512_srli_epi64::<52>(columns[0]));
            let lowest = columns[0];
            add_row::<1>(&mut columns, lowest, &fold);
            columns[2] = _mm512_add_epi64(columns[2], _mm512_srli_epi64::<52>(columns[1]));
            let lowest = columns[1];
            add_row::<2>(&mut columns, lowest, &fold);
            columns[3] = _mm512_add_epi64(columns[3], _mm512_srli_epi64::<52>(columns[2]));
            let lowest = columns[2];
            add_row::<3>(&mut columns, lowest, &fold);
            columns[4] = _mm512_add_epi64(columns[4], _mm512_srli_epi64::<52>(columns[3]));
            let lowest = columns[3];
            add_row::<4>(&mut columns, lowest, &fold);
            let quotient = _mm512_madd52lo_epu64(splat(0), columns[4], splat(M::NEGATIVE_INVERSE));
            add_row::<4>(&mut columns, quotient, &Self::constant(M::P));
            columns[5] = _mm512_add_epi64(columns[5], _mm512_srli_epi64::<52>(columns[4]));
            let [_, _, _, _, _, l0, l1, l2, l3, l4] = columns;
            Self::new([l0, l1, l2, l3, l4])
        }
    }
}

/// Elements lie one after the other, each as its four words.
const fn layout<M: Modulus>() {
    assert!(size_of::<Element<M>>() == size_of::<Words>() && offset_of!(Element<M>, 0) == 0);
}

#[inline(always)]
fn words_at<M: Modulus>(element: *const Element<M>) -> *const Words {
    const { layout::<M>() };
    element.cast()
}

#[inline(always)]
fn words_at_mut<M: Modulus>(element: *mut Element<M>) -> *mut Words {
    const { layout::<M>() };
    element.cast()
}

impl<M: Modulus> Lanes for F8<M> {
    type Modulus = M;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Self::new([splat(0); 5]) }
    }

    #[inline(always)]
    unsafe fn one() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Self::new(Self::constant(const { limbs(M::ONE.0) })) }
    }

    #[inline(always)]
    unsafe fn broadcast(element: &Element<M>) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let [w0, w1, w2, w3] = element.0.0;
            Self::from_words::<4>([splat(w0), splat(w1), splat(w2), splat(w3)])
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const Element<M>) -> Self {
        // SAFETY: as the caller says; an element is four words.
        unsafe { Self::from_words::<4>(Self::load_pairs(words_at(from))) }
    }

    #[inline(always)]
    unsafe fn gather(from: [*const Element<M>; LANES]) -> Self {
        // SAFETY: as the caller says; an element is four words.
        unsafe { Self::from_words::<4>(Self::gather_pairs(from.map(words_at))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Element<M>) {
        // SAFETY: as the caller says. A sixteenth of a value below 16p is below 2p, and then canonical.
        unsafe { self.sixteenth().less_modulus().store_words(words_at_mut(to)) }
    }

    #[inline(always)]
    unsafe fn load_words(from: *const Words) -> Self {
        // SAFETY: as the caller says.
        unsafe { Self::from_words::<0>(Self::load_pairs(from)) }
    }

    #[inline(always)]
    unsafe fn gather_words(from: [*const Words; LANES]) -> Self {
        // SAFETY: as the caller says.
        unsafe { Self::from_words::<0>(Self::gather_pairs(from)) }
    }

    #[inline(always)]
    unsafe fn store_words(self, to: *mut Words) {
        // SAFETY: the caller has room for eight entries of four words there.
        unsafe {
            let pairs = elements_of_words(self.words());
            _mm512_storeu_si512(to.cast(), pairs[0]);
            _mm512_storeu_si512(to.add(2).cast(), pairs[1]);
            _mm512_storeu_si512(to.add(4).cast(), pairs[2]);
            _mm512_storeu_si512(to.add(6).cast(), pairs[3]);
        }
    }

    #[inline(always)]
    unsafe fn scatter_words(self, to: [*mut Words; LANES]) {
        // SAFETY: the caller has room for four words at each place.
        unsafe {
            let pairs = elements_of_words(self.words());
            put(pairs[0], to[0], to[1]);
            put(pairs[1], to[2], to[3]);
            put(pairs[2], to[4], to[5]);
            put(pairs[3], to[6], to[7]);
        }
    }

    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe { self.multiply_loose(other).carry() }
    }

    #[inline(always)]
    unsafe fn square(self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe { self.square_loose().carry() }
    }

    #[inline(always)]
    unsafe fn multiply_loose(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe {
            let mut columns = [splat(0); 10];
            add_row::<0>(&mut columns, self.limbs[0], &other.limbs);
            add_row::<1>(&mut columns, self.limbs[1], &other.limbs);
            add_row::<2>(&mut columns, self.limbs[2], &other.limbs);
            add_row::<3>(&mut columns, self.limbs[3], &other.limbs);
            add_row::<4>(&mut columns, self.limbs[4], &other.limbs);
            Self::reduced(columns)
        }
    }

    #[inline(always)]
    unsafe fn square_loose(self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe {
            let [l0, l1, l2, l3, l4] = self.limbs;
            let mut columns = [splat(0); 10];
            add_product::<1>(&mut columns, l0, l1);
            add_product::<2>(&mut columns, l0, l2);
            add_product::<3>(&mut columns, l0, l3);
            add_product::<3>(&mut columns, l1, l2);
            add_product::<4>(&mut columns, l0, l4);
            add_product::<4>(&mut columns, l1, l3);
            add_product::<5>(&mut columns, l1, l4);
            add_product::<5>(&mut columns, l2, l3);
            add_product::<6>(&mut columns, l2, l4);
            add_product::<7>(&mut columns, l3, l4);
            for column in &mut columns {
                *column = _mm512_add_epi64(*column, *column);
            }
            add_product::<0>(&mut columns, l0, l0);
            add_product::<2>(&mut columns, l1, l1);
            add_product::<4>(&mut columns, l2, l2);
            add_product::<6>(&mut columns, l3, l3);
            add_product::<8>(&mut columns, l4, l4);
            Self::reduced(columns)
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { self.plus(other).carry() }
    }

    #[inline(always)]
    unsafe fn subtract<const K: u64>(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { self.minus::<K>(other).carry() }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        let mut limbs = self.limbs;
        for (limb, other) in limbs.iter_mut().zip(other.limbs) {
            // SAFETY: the caller has AVX-512.
            *limb = unsafe { _mm512_add_epi64(*limb, other) };
        }
        Self::new(limbs)
    }

    #[inline(always)]
    unsafe fn minus<const K: u64>(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let offset = Self::constant(const { multiple::<M>(K) });
            let mut limbs = self.limbs;
            for limb in 0..5 {
                limbs[limb] =
                    _mm512_add_epi64(_mm512_sub_epi64(limbs[limb], other.limbs[limb]), offset[limb]);
            }
            Self::new(limbs)
        }
    }

    #[inline(always)]
    unsafe fn negate_where<const K: u64>(self, mask: Mask) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let offset = Self::constant(const { multiple::<M>(K) });
            let mut limbs = self.limbs;
            for limb in 0..5 {
                limbs[limb] = _mm512_mask_sub_epi64(limbs[limb], mask, offset[limb], limbs[limb]);
            }
            Self::new(limbs)
        }
    }

    #[inline(always)]
    unsafe fn carry(self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let mask = splat(LIMB);
            let [l0, l1, l2, l3, l4] = self.limbs;
            let l1 = _mm512_add_epi64(l1, _mm512_srai_epi64::<52>(l0));
            let l2 = _mm512_add_epi64(l2, _mm512_srai_epi64::<52>(l1));
            let l3 = _mm512_add_epi64(l3, _mm512_srai_epi64::<52>(l2));
            let l4 = _mm512_add_epi64(l4, _mm512_srai_epi64::<52>(l3));
            let (l0, l1) = (_mm512_and_si512(l0, mask), _mm512_and_si512(l1, mask));
            let (l2, l3) = (_mm512_and_si512(l2, mask), _mm512_and_si512(l3, mask));
            Self::new([l0, l1, l2, l3, l4])
        }
    }

    #[inline(always)]
    unsafe fn settle(self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            // The top limb of a loose value is off by a few units of 2^208 at most; each entry has p / 4 to spare.
            let index = _mm512_srli_epi64::<46>(self.limbs[4]);
            let mut limbs = self.limbs;
            for (limb, steps) in limbs.iter_mut().zip(&M::STEPS) {
                let steps = _mm512_loadu_si512(steps.as_ptr().cast());
                *limb = _mm512_sub_epi64(*limb, _mm512_permutexvar_epi64(index, steps));
            }
            Self::new(limbs).carry()
        }
    }

    #[inline(always)]
    unsafe fn reduce(self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe {
            // With x = value / p, this is at most x and above x (84 / 84.7) - 1.01. Subtracting q p is adding q (2^260 - p),
            // less what goes beyond 2^260.
            let quotient = _mm512_madd52hi_epu64(splat(0), self.limbs[4], splat(84));
            let [l0, l1, l2, l3, l4] = self.limbs;
            let mut columns = [splat(0); 10];
            (columns[0], columns[1], columns[2], columns[3], columns[4]) = (l0, l1, l2, l3, l4);
            add_row::<0>(&mut columns, quotient, &Self::constant(M::COMPLEMENT));
            let mut value = Self::new([columns[0], columns[1], columns[2], columns[3], columns[4]]).carry();
            value.limbs[4] = _mm512_and_si512(value.limbs[4], splat(LIMB));
            value
        }
    }

    #[inline(always)]
    unsafe fn canonical(self) -> Self {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe { self.reduce().less_modulus() }
    }

    #[inline(always)]
    unsafe fn zero_lanes(self) -> Mask {
        // SAFETY: the caller has AVX-512 and IFMA.
        unsafe { self.canonical().empty_lanes() }
    }

    #[inline(always)]
    unsafe fn empty_lanes(self) -> Mask {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let [l0, l1, l2, l3, l4] = self.limbs;
            let any = _mm512_ternarylogic_epi64::<0xfe>(l0, l1, l2);
            let any = _mm512_ternarylogic_epi64::<0xfe>(any, l3, l4);
            _mm512_testn_epi64_mask(any, any)
        }
    }

    #[inline(always)]
    unsafe fn odd_lanes(numbers: &[u32; LANES]) -> Mask {
        // SAFETY: the caller has AVX-512; there are eight numbers.
        unsafe { _mm256_test_epi32_mask(_mm256_loadu_si256(numbers.as_ptr().cast()), _mm256_set1_epi32(1)) }
    }

    #[inline(always)]
    unsafe fn select(self, mask: Mask, other: Self) -> Self {
        let mut limbs = self.limbs;
        for (limb, other) in limbs.iter_mut().zip(other.limbs) {
            // SAFETY: the caller has AVX-512.
            *limb = unsafe { _mm512_mask_blend_epi64(mask, *limb, other) };
        }
        Self::new(limbs)
    }

    #[inline(always)]
    unsafe fn swapped<const DISTANCE: usize>(self) -> Self {
        // SAFETY: the caller has AVX-512; the array has eight words.
        unsafe {
            let lanes = each_lane!(LANE => (LANE ^ DISTANCE) as u64);
            let lanes = _mm512_loadu_si512(lanes.as_ptr().cast());
            let mut limbs = self.limbs;
            for limb in &mut limbs {
                *limb = _mm512_permutexvar_epi64(lanes, *limb);
            }
            Self::new(limbs)
        }
    }

    #[inline(always)]
    unsafe fn transpose(vectors: &mut [Self; LANES]) {
        for limb in 0..5 {
            // SAFETY: the caller has AVX-512.
            let rows = unsafe {
                transposed([
                    vectors[0].limbs[limb],
                    vectors[1].limbs[limb],
                    vectors[2].limbs[limb],
                    vectors[3].limbs[limb],
                    vectors[4].limbs[limb],
                    vectors[5].limbs[limb],
                    vectors[6].limbs[limb],
                    vectors[7].limbs[limb],
                ])
            };
            for (vector, row) in vectors.iter_mut().zip(rows) {
                vector.limbs[limb] = row;
            }
        }
    }
}
