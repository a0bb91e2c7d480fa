//! Many additions of affine points at once, eight in the lanes of a vector, with one inversion between them.
//!
//! The slope of `P + Q` is `(y2 - y1) / (x2 - x1)`. A first pass multiplies the denominators up, lane by lane, in two chains
//! that take turns, so that no product waits for the one before it; the products are inverted; a second pass, backwards,
//! splits the inverse up again and finishes the sums. The second pass goes in short sweeps over a few vectors, one
//! multiplication each: what follows one another in the processor's queue is then independent.
//!
//! Usual batches know nothing of exceptions: equal and opposite points make the product zero, which is seen once a batch, and
//! the batch is done again by a careful kernel that treats every lane by masks: equal points have the slope `3 x^2 / 2 y`,
//! opposite points give the identity, which is added to nothing.

use core::mem::MaybeUninit;

use ark_bn254::FqConfig;

use super::point::Point;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::F8;
use crate::cpu::simd::{Element, Ifma, LANES, Lanes, Mask, Portable, Words, each_lane, ifma_kernel, inverse};

/// Where a given point is: in the lowest bit whether its opposite is meant, above it the index.
pub(super) type Handle = u32;

/// Largest number of points.
pub(super) const MOST: usize = 1 << 30;

/// All lanes.
pub(super) const ALL: Mask = Mask::MAX;

/// The handle of a given point.
#[inline(always)]
pub(super) fn given(index: usize, negative: bool) -> Handle {
    (index as u32) << 1 | u32::from(negative)
}

/// Index of the point that is meant, and whether its opposite is.
pub(super) fn meaning(handle: Handle) -> (usize, bool) {
    ((handle >> 1) as usize, handle & 1 == 1)
}

/// How many vectors ahead points are asked for from memory, within a batch.
const AHEAD: usize = 4;

/// Vectors that a sweep handles: what it touches stays in the nearest cache.
const SWEEP: usize = 8;

/// Eight points, one in each lane: coordinates x and y below 2.3p.
pub(super) type Eight<L> = [L; 2];

/// Eight pairs of given points.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct GivenPairs {
    pub(super) first: [Handle; LANES],
    pub(super) second: [Handle; LANES],
}

/// Two vectors to add, by index.
#[derive(Clone, Copy)]
pub(super) struct KeptPairs {
    /// The sums take its place.
    pub(super) first: u32,
    pub(super) second: u32,
    /// The lanes in which there is a second point; in the others the first stays.
    pub(super) added: Mask,
}

/// Additions of given points.
pub(super) struct Given<'a> {
    pub(super) points: &'a [Point],
    pub(super) pairs: &'a [GivenPairs],
    /// For each vector the lanes in which there is a second point; in the others the first is the sum.
    pub(super) added: &'a [Mask],
    /// What is added next: these points are asked for from memory.
    pub(super) following: &'a [GivenPairs],
}

/// What comes out of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// No sum is the identity.
    Usual,
    /// The careful kernel made the identity.
    Identities,
    /// Nothing was done: there are exceptional pairs.
    Exceptional,
}

/// For each vector of pairs, the product of the chain's denominators before it.
pub(super) type Products<L> = Vec<L>;

/// Lanes for which the kernels of this module are compiled.
///
/// Every handle and index must be that of an existing point or vector; debug builds check it.
pub(super) trait Kernels: Lanes<Modulus = FqConfig> + Send + 'static {
    /// What proves that the processor has the instructions.
    type Proof: Copy + Send + Sync;

    /// Sums of given points to as many vectors.
    fn add_given<const CAREFUL: bool>(
        proof: Self::Proof,
        products: &mut Products<Self>,
        task: &Given<'_>,
        sums: &mut [Eight<Self>],
    ) -> Outcome;

    /// Sums of vectors in the place of the first ones. No index is met twice.
    fn add_kept<const CAREFUL: bool>(
        proof: Self::Proof,
        products: &mut Products<Self>,
        vectors: &mut [Eight<Self>],
        pairs: &[KeptPairs],
    ) -> Outcome;

    /// Given points as a vector.
    fn load(proof: Self::Proof, points: &[Point], handles: &[Handle; LANES]) -> Eight<Self>;

    /// A vector's points.
    fn store(proof: Self::Proof, vector: &Eight<Self>) -> [Point; LANES];
}

impl Kernels for Portable<FqConfig> {
    type Proof = ();

    fn add_given<const CAREFUL: bool>(
        _: (),
        products: &mut Products<Self>,
        task: &Given<'_>,
        sums: &mut [Eight<Self>],
    ) -> Outcome {
        // SAFETY: no instructions beyond the usual; the caller answers for the handles.
        unsafe { batch::<Self, _, CAREFUL>(products, GivenOperands::new(task, sums)) }
    }

    fn add_kept<const CAREFUL: bool>(
        _: (),
        products: &mut Products<Self>,
        vectors: &mut [Eight<Self>],
        pairs: &[KeptPairs],
    ) -> Outcome {
        // SAFETY: no instructions beyond the usual; the caller answers for the indices.
        unsafe { batch::<Self, _, CAREFUL>(products, KeptOperands::new(vectors, pairs)) }
    }

    fn load(_: (), points: &[Point], handles: &[Handle; LANES]) -> Eight<Self> {
        // SAFETY: no instructions beyond the usual; the caller answers for the handles.
        unsafe { loaded(points, handles) }
    }

    fn store(_: (), vector: &Eight<Self>) -> [Point; LANES] {
        // SAFETY: no instructions beyond the usual.
        unsafe { stored(vector) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernels for F8<FqConfig> {
    type Proof = Ifma;

    fn add_given<const CAREFUL: bool>(
        proof: Ifma,
        products: &mut Products<Self>,
        task: &Given<'_>,
        sums: &mut [Eight<Self>],
    ) -> Outcome {
        let operands = GivenOperands::new(task, sums);
        if CAREFUL {
            ifma_given_careful(proof, products, operands)
        } else {
            ifma_given(proof, products, operands)
        }
    }

    fn add_kept<const CAREFUL: bool>(
        proof: Ifma,
        products: &mut Products<Self>,
        vectors: &mut [Eight<Self>],
        pairs: &[KeptPairs],
    ) -> Outcome {
        let operands = KeptOperands::new(vectors, pairs);
        if CAREFUL {
            ifma_kept_careful(proof, products, operands)
        } else {
            ifma_kept(proof, products, operands)
        }
    }

    fn load(proof: Ifma, points: &[Point], handles: &[Handle; LANES]) -> Eight<Self> {
        ifma_load(proof, points, handles)
    }

    fn store(proof: Ifma, vector: &Eight<Self>) -> [Point; LANES] {
        ifma_store(proof, vector)
    }
}

ifma_kernel! {
    fn ifma_given(products: &mut Products<F8<FqConfig>>, operands: GivenOperands<'_, F8<FqConfig>>) -> Outcome {
        // SAFETY: the kernel has the instructions; its caller answers for the handles.
        unsafe { batch::<F8<FqConfig>, _, false>(products, operands) }
    }
}

ifma_kernel! {
    fn ifma_given_careful(products: &mut Products<F8<FqConfig>>, operands: GivenOperands<'_, F8<FqConfig>>) -> Outcome {
        // SAFETY: the kernel has the instructions; its caller answers for the handles.
        unsafe { batch::<F8<FqConfig>, _, true>(products, operands) }
    }
}

ifma_kernel! {
    fn ifma_kept(products: &mut Products<F8<FqConfig>>, operands: KeptOperands<'_, F8<FqConfig>>) -> Outcome {
        // SAFETY: the kernel has the instructions; its caller answers for the indices.
        unsafe { batch::<F8<FqConfig>, _, false>(products, operands) }
    }
}

ifma_kernel! {
    fn ifma_kept_careful(products: &mut Products<F8<FqConfig>>, operands: KeptOperands<'_, F8<FqConfig>>) -> Outcome {
        // SAFETY: the kernel has the instructions; its caller answers for the indices.
        unsafe { batch::<F8<FqConfig>, _, true>(products, operands) }
    }
}

ifma_kernel! {
    fn ifma_load(points: &[Point], handles: &[Handle; LANES]) -> Eight<F8<FqConfig>> {
        // SAFETY: the kernel has the instructions; its caller answers for the handles.
        unsafe { loaded(points, handles) }
    }
}

ifma_kernel! {
    fn ifma_store(vector: &Eight<F8<FqConfig>>) -> [Point; LANES] {
        // SAFETY: the kernel has the instructions.
        unsafe { stored(vector) }
    }
}

/// Room for a pair.
type Scratch<L> = [MaybeUninit<Eight<L>>; 2];

/// Where a batch's operands come from and where its sums go.
///
/// # Safety
///
/// Methods need the lanes' instructions, and a number below `len`.
trait Operands<L>: Copy {
    fn len(self) -> usize;

    /// The lanes in which two points are added.
    unsafe fn added(self, at: usize) -> Mask;

    /// Both x.
    unsafe fn x(self, at: usize) -> [L; 2];

    /// Places of both points, which may be in the scratch space; y may be loose, below 3p.
    unsafe fn pair(self, at: usize, scratch: &mut Scratch<L>) -> [*const Eight<L>; 2];

    /// Where the sum goes, possibly the first point's own place.
    unsafe fn target(self, at: usize) -> *mut Eight<L>;

    /// Asks for operands of this batch from memory.
    unsafe fn prefetch(self, at: usize);

    /// Asks for a quarter of some operands of the next batch from memory.
    unsafe fn prefetch_following<const QUARTER: usize>(self, at: usize);
}

struct GivenOperands<'a, L> {
    points: *const Point,
    pairs: &'a [GivenPairs],
    added: &'a [Mask],
    following: &'a [GivenPairs],
    sums: *mut Eight<L>,
}

impl<L> Clone for GivenOperands<'_, L> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for GivenOperands<'_, L> {}

impl<'a, L> GivenOperands<'a, L> {
    fn new(task: &Given<'a>, sums: &mut [Eight<L>]) -> Self {
        let Given { points, pairs, added, following } = *task;
        assert!(pairs.len() == added.len() && pairs.len() == sums.len());
        let handles = |pairs: &GivenPairs| pairs.first.into_iter().chain(pairs.second);
        debug_assert!(pairs.iter().flat_map(handles).all(|handle| meaning(handle).0 < points.len()));
        debug_assert!(following.iter().flat_map(handles).all(|handle| meaning(handle).0 < points.len()));
        Self { points: points.as_ptr(), pairs, added, following, sums: sums.as_mut_ptr() }
    }
}

struct KeptOperands<'a, L> {
    vectors: *mut Eight<L>,
    pairs: &'a [KeptPairs],
}

impl<L> Clone for KeptOperands<'_, L> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for KeptOperands<'_, L> {}

impl<'a, L> KeptOperands<'a, L> {
    fn new(vectors: &mut [Eight<L>], pairs: &'a [KeptPairs]) -> Self {
        let in_range = |index: u32| (index as usize) < vectors.len();
        debug_assert!(pairs.iter().all(|pairs| in_range(pairs.first) && in_range(pairs.second)));
        Self { vectors: vectors.as_mut_ptr(), pairs }
    }
}

/// Places of the points that handles mean.
#[inline(always)]
unsafe fn places(points: *const Point, handles: &[Handle; LANES]) -> [*const Point; LANES] {
    // SAFETY: a handle's index is that of a point, 64 bytes each. The volatile reads keep the compiler from computing addresses in
    // a vector, from which it takes longer to extract them.
    unsafe {
        each_lane!(LANE => points.byte_add((((&raw const handles[LANE]).read_volatile() & !1) as usize) << 5))
    }
}

#[inline(always)]
unsafe fn x_of<L: Lanes<Modulus = FqConfig>>(places: &[*const Point; LANES]) -> L {
    // SAFETY: the places are those of points; the caller has the instructions.
    unsafe { L::gather_words(each_lane!(LANE => (&raw const (*places[LANE]).x).cast::<Words>())) }
}

/// Loose, below 3p, with the handles' signs; zero for the identity.
#[inline(always)]
unsafe fn y_of<L: Lanes<Modulus = FqConfig>>(places: &[*const Point; LANES], handles: &[Handle; LANES]) -> L {
    // SAFETY: the places are those of points; the caller has the instructions.
    unsafe {
        let y = L::gather_words(each_lane!(LANE => (&raw const (*places[LANE]).y).cast::<Words>()));
        y.negate_where::<3>(L::odd_lanes(handles) & !y.empty_lanes())
    }
}

/// Asks for points from memory, into the nearest cache.
#[inline(always)]
unsafe fn ask(points: *const Point, handles: &[Handle; LANES]) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a handle's index is that of a point; every x86-64 processor has the instruction.
        unsafe {
            let places = places(points, handles);
            let _: [(); LANES] = each_lane!(LANE => _mm_prefetch::<_MM_HINT_T0>(places[LANE].cast()));
        }
    }
}

/// Asks for a point from memory, into the second cache.
#[inline(always)]
unsafe fn ask_early(points: *const Point, handle: Handle) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a handle's index is that of a point; every x86-64 processor has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(points.byte_add(((handle & !1) as usize) << 5).cast()) };
    }
}

impl<L: Lanes<Modulus = FqConfig>> Operands<L> for GivenOperands<'_, L> {
    #[inline(always)]
    fn len(self) -> usize {
        self.pairs.len()
    }

    #[inline(always)]
    unsafe fn added(self, at: usize) -> Mask {
        // SAFETY: there is a mask for each vector.
        unsafe { *self.added.get_unchecked(at) }
    }

    #[inline(always)]
    unsafe fn x(self, at: usize) -> [L; 2] {
        // SAFETY: the handles are those of points; the caller has the instructions.
        unsafe {
            let GivenPairs { first, second } = self.pairs.get_unchecked(at);
            [x_of(&places(self.points, first)), x_of(&places(self.points, second))]
        }
    }

    #[inline(always)]
    unsafe fn pair(self, at: usize, scratch: &mut Scratch<L>) -> [*const Eight<L>; 2] {
        // SAFETY: the handles are those of points; the caller has the instructions.
        unsafe {
            let GivenPairs { first, second } = self.pairs.get_unchecked(at);
            let (a, b) = (places(self.points, first), places(self.points, second));
            scratch[0].write([x_of(&a), y_of(&a, first)]);
            scratch[1].write([x_of(&b), y_of(&b, second)]);
        }
        [scratch[0].as_ptr(), scratch[1].as_ptr()]
    }

    #[inline(always)]
    unsafe fn target(self, at: usize) -> *mut Eight<L> {
        // SAFETY: there is room for as many sums as there are pairs.
        unsafe { self.sums.add(at) }
    }

    #[inline(always)]
    unsafe fn prefetch(self, at: usize) {
        if let Some(pairs) = self.pairs.get(at + AHEAD) {
            // SAFETY: the handles are those of points.
            unsafe {
                ask(self.points, &pairs.first);
                ask(self.points, &pairs.second);
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch_following<const QUARTER: usize>(self, at: usize) {
        if let Some(pairs) = self.following.get(at) {
            for lane in 2 * QUARTER..2 * QUARTER + 2 {
                // SAFETY: the handles are those of points.
                unsafe {
                    ask_early(self.points, pairs.first[lane]);
                    ask_early(self.points, pairs.second[lane]);
                }
            }
        }
    }
}

impl<L: Lanes<Modulus = FqConfig>> Operands<L> for KeptOperands<'_, L> {
    #[inline(always)]
    fn len(self) -> usize {
        self.pairs.len()
    }

    #[inline(always)]
    unsafe fn added(self, at: usize) -> Mask {
        // SAFETY: the caller's number is in range.
        unsafe { self.pairs.get_unchecked(at).added }
    }

    #[inline(always)]
    unsafe fn x(self, at: usize) -> [L; 2] {
        // SAFETY: the indices are those of vectors.
        unsafe {
            let pairs = self.pairs.get_unchecked(at);
            [(*self.vectors.add(pairs.first as usize))[0], (*self.vectors.add(pairs.second as usize))[0]]
        }
    }

    #[inline(always)]
    unsafe fn pair(self, at: usize, _: &mut Scratch<L>) -> [*const Eight<L>; 2] {
        // SAFETY: the indices are those of vectors.
        unsafe {
            let pairs = self.pairs.get_unchecked(at);
            let (first, second) =
                (self.vectors.add(pairs.first as usize), self.vectors.add(pairs.second as usize));
            [first.cast_const(), second.cast_const()]
        }
    }

    #[inline(always)]
    unsafe fn target(self, at: usize) -> *mut Eight<L> {
        // SAFETY: the indices are those of vectors.
        unsafe { self.vectors.add(self.pairs.get_unchecked(at).first as usize) }
    }

    #[inline(always)]
    unsafe fn prefetch(self, _: usize) {}

    #[inline(always)]
    unsafe fn prefetch_following<const QUARTER: usize>(self, _: usize) {}
}

/// Both passes. All bounds are in units of p: points below 2.3, with a sign at most 3.
#[inline(always)]
unsafe fn batch<L: Lanes<Modulus = FqConfig>, O: Operands<L>, const CAREFUL: bool>(
    products: &mut Products<L>,
    operands: O,
) -> Outcome {
    let count = operands.len();
    products.clear();
    products.reserve(count);
    // SAFETY: the caller has the instructions, and answers for the operands.
    unsafe {
        let mut scratch = [const { MaybeUninit::uninit() }; 2];
        // Denominators are below 5.3 (careful: 6), products below 2.3.
        let (mut product, mut other) = (L::one(), L::one());
        for at in 0..count {
            operands.prefetch(at);
            let added = operands.added(at);
            let denominator = if CAREFUL {
                let [a, b] = operands.pair(at, &mut scratch);
                where_added(added, careful_denominator(&*a, &*b).0)
            } else {
                let [x1, x2] = operands.x(at);
                where_added(added, x2.subtract::<3>(x1))
            };
            products.push(product);
            (product, other) = (other, product.multiply(denominator));
        }
        let all = product.multiply(other);
        if !CAREFUL && all.zero_lanes() != 0 {
            return Outcome::Exceptional;
        }
        let inverse = inverse_lanes(all);
        let mut inverses = [inverse.multiply(product), inverse.multiply(other)];
        let (mut end, mut identities) = (count, 0);
        while end > 0 {
            let start = end.saturating_sub(SWEEP);
            let before = products.get_unchecked(start..end);
            if CAREFUL {
                identities |= finish_carefully(before, operands, start, &mut inverses);
            } else {
                finish(before, operands, start, &mut inverses);
            }
            end = start;
        }
        if identities == 0 { Outcome::Usual } else { Outcome::Identities }
    }
}

/// The denominator where two points are added, and one elsewhere.
#[inline(always)]
unsafe fn where_added<L: Lanes<Modulus = FqConfig>>(added: Mask, denominator: L) -> L {
    if added == ALL {
        return denominator;
    }
    // SAFETY: the caller has the instructions.
    unsafe { denominator.select(!added, L::one()) }
}

/// The inverse of a denominator, below 2.3, given the product of those before it; the chain that it belongs to is the first of
/// both inverses, from which it is removed, and then their turn changes.
#[inline(always)]
unsafe fn split<L: Lanes<Modulus = FqConfig>>(inverses: &mut [L; 2], before: L, denominator: L) -> L {
    // SAFETY: the caller has the instructions.
    unsafe {
        let [own, other] = *inverses;
        *inverses = [other, own.multiply(denominator)];
        own.multiply(before)
    }
}

/// The sums of a few vectors from `start` on, `SWEEP` at most, given the products before them.
#[inline(always)]
unsafe fn finish<L: Lanes<Modulus = FqConfig>, O: Operands<L>>(
    before: &[L],
    operands: O,
    start: usize,
    inverses: &mut [L; 2],
) {
    let mut scratch = [const { [const { MaybeUninit::uninit() }; 2] }; SWEEP];
    let mut places = [[core::ptr::null::<Eight<L>>(); 2]; SWEEP];
    let count = before.len().min(SWEEP);
    // SAFETY: the caller has the instructions, and answers for the operands.
    unsafe {
        // Each sweep writes what the next one reads.
        let (mut slopes, mut differences) =
            ([const { MaybeUninit::<L>::uninit() }; SWEEP], [const { MaybeUninit::<L>::uninit() }; SWEEP]);
        for at in 0..count {
            *places.get_unchecked_mut(at) = operands.pair(start + at, scratch.get_unchecked_mut(at));
        }
        for at in (0..count).rev() {
            operands.prefetch_following::<0>(start + at);
            let [a, b] = *places.get_unchecked(at);
            let denominator = where_added(operands.added(start + at), (*b)[0].subtract::<3>((*a)[0]));
            slopes.get_unchecked_mut(at).write(split(inverses, *before.get_unchecked(at), denominator));
        }
        // The slopes, below 2.3.
        for at in 0..count {
            operands.prefetch_following::<1>(start + at);
            let [a, b] = *places.get_unchecked(at);
            let slope = slopes.get_unchecked_mut(at);
            slope.write((*b)[1].minus::<3>((*a)[1]).carry().multiply(slope.assume_init_read()));
        }
        for at in 0..count {
            operands.prefetch_following::<2>(start + at);
            let [a, b] = *places.get_unchecked(at);
            let (x1, added) = ((*a)[0], operands.added(start + at));
            let x = finished_x(slopes.get_unchecked(at).assume_init_ref(), x1, (*b)[0], added);
            differences.get_unchecked_mut(at).write(x1.subtract::<3>(x));
            (*operands.target(start + at))[0] = x;
        }
        for at in 0..count {
            operands.prefetch_following::<3>(start + at);
            let [a, _] = *places.get_unchecked(at);
            let (slope, difference) = (slopes.get_unchecked(at), differences.get_unchecked(at));
            let y1 = (*a)[1];
            let y = finished_y(
                slope.assume_init_ref(),
                difference.assume_init_ref(),
                y1,
                operands.added(start + at),
            );
            (*operands.target(start + at))[1] = y;
        }
    }
}

/// The sum's x: the slope's square is below 2.1, so it is between 6 - 4.6 and 8.1 before it is settled. Where nothing is added, the
/// first point's.
#[inline(always)]
unsafe fn finished_x<L: Lanes<Modulus = FqConfig>>(slope: &L, x1: L, x2: L, added: Mask) -> L {
    // SAFETY: the caller has the instructions.
    unsafe {
        let x = slope.square_loose().minus::<6>(x1).minus::<0>(x2).settle();
        if added == ALL { x } else { x.select(!added, x1) }
    }
}

/// The sum's y: the slope times `x1 - x`, a product below 2.2, less at most 3. Where nothing is added, the first point's.
#[inline(always)]
unsafe fn finished_y<L: Lanes<Modulus = FqConfig>>(slope: &L, difference: &L, y1: L, added: Mask) -> L {
    // SAFETY: the caller has the instructions.
    unsafe {
        let y = slope.multiply_loose(*difference).minus::<4>(y1).settle();
        if added == ALL { y } else { y.select(!added, y1.carry().reduce()) }
    }
}

/// [`finish`], with exceptions; gives the lanes in which some sum is the identity.
#[inline(always)]
unsafe fn finish_carefully<L: Lanes<Modulus = FqConfig>, O: Operands<L>>(
    before: &[L],
    operands: O,
    start: usize,
    inverses: &mut [L; 2],
) -> Mask {
    let mut identities = 0;
    let mut scratch = [const { MaybeUninit::uninit() }; 2];
    for (at, before) in before.iter().enumerate().rev() {
        // SAFETY: the caller has the instructions, and answers for the operands.
        unsafe {
            let [a, b] = operands.pair(start + at, &mut scratch);
            let (a, b, added) = (*a, *b, operands.added(start + at));
            let denominator = where_added(added, careful_denominator(&a, &b).0);
            let one_over = split(inverses, *before, denominator);
            let (sum, none) = careful_sum(&a, &b, one_over);
            identities |= none & added;
            let first = [a[0], a[1].carry().reduce()];
            *operands.target(start + at) = [sum[0].select(!added, first[0]), sum[1].select(!added, first[1])];
        }
    }
    identities
}

/// Lanes of exceptional pairs.
#[derive(Clone, Copy)]
struct Exceptions {
    first_identity: Mask,
    second_identity: Mask,
    equal: Mask,
    opposite: Mask,
}

/// The slope's denominator, never zero; below 6.
#[inline(always)]
unsafe fn careful_denominator<L: Lanes<Modulus = FqConfig>>(a: &Eight<L>, b: &Eight<L>) -> (L, Exceptions) {
    let ([x1, y1], [x2, y2]) = (a, b);
    // SAFETY: the caller has the instructions.
    unsafe {
        let (first_identity, second_identity) = (y1.empty_lanes(), y2.empty_lanes());
        let usual = !(first_identity | second_identity);
        let difference = x2.subtract::<3>(*x1);
        let same_x = difference.zero_lanes() & usual;
        let equal = y2.minus::<3>(*y1).carry().zero_lanes() & same_x;
        let opposite = same_x & !equal;
        let denominator = difference.select(equal, y1.plus(*y1).carry());
        let exceptions = Exceptions { first_identity, second_identity, equal, opposite };
        (denominator.select(!usual | opposite, L::one()), exceptions)
    }
}

/// The sum, given the inverse of the slope's denominator, below 2.3; and in which lanes it is the identity.
#[inline(always)]
unsafe fn careful_sum<L: Lanes<Modulus = FqConfig>>(
    a: &Eight<L>,
    b: &Eight<L>,
    one_over: L,
) -> (Eight<L>, Mask) {
    let ([x1, y1], [x2, y2]) = (*a, *b);
    // SAFETY: the caller has the instructions.
    unsafe {
        let found = careful_denominator(a, b).1;
        let Exceptions { first_identity, second_identity, equal, opposite } = found;
        let square = x1.square();
        let tripled = square.plus(square).plus(square).carry();
        // Below 7.
        let numerator = y2.minus::<3>(y1).carry().select(equal, tripled);
        let slope = numerator.multiply(one_over);
        let x = slope.square().minus::<6>(x1).minus::<0>(x2).settle();
        let y = slope.multiply(x1.subtract::<3>(x)).minus::<4>(y1).settle();
        let none = opposite | (first_identity & second_identity);
        let x = x.select(first_identity, x2).select(second_identity, x1).select(none, L::zero());
        let (y1, y2) = (y1.carry().reduce(), y2.carry().reduce());
        let y = y.select(first_identity, y2).select(second_identity, y1).select(none, L::zero());
        ([x, y], none)
    }
}

/// Inverses of the lanes, none of which is zero, below 2.3: one inversion for all.
#[inline(always)]
unsafe fn inverse_lanes<L: Lanes<Modulus = FqConfig>>(values: L) -> L {
    // SAFETY: the caller has the instructions.
    unsafe {
        // Products of two, of four, of all lanes, in each of them.
        let others = values.swapped::<1>();
        let two = values.multiply(others);
        let other_two = two.swapped::<2>();
        let four = two.multiply(other_two);
        let other_four = four.swapped::<4>();
        let [all, ..] = four.multiply(other_four).elements();
        let one_over = L::broadcast(&inverted(&all));
        one_over.multiply(other_four).multiply(other_two).multiply(others)
    }
}

/// Out of line: it needs none of the kernel's registers.
#[inline(never)]
fn inverted(element: &Element<FqConfig>) -> Element<FqConfig> {
    inverse(element).unwrap_or_default()
}

/// Given points as a vector.
#[inline(always)]
unsafe fn loaded<L: Lanes<Modulus = FqConfig>>(points: &[Point], handles: &[Handle; LANES]) -> Eight<L> {
    debug_assert!(handles.iter().all(|&handle| meaning(handle).0 < points.len()));
    // SAFETY: the caller has the instructions, and answers for the handles.
    unsafe {
        let places = places(points.as_ptr(), handles);
        [x_of(&places), y_of::<L>(&places, handles).carry().reduce()]
    }
}

/// A vector's points.
#[inline(always)]
unsafe fn stored<L: Lanes<Modulus = FqConfig>>(vector: &Eight<L>) -> [Point; LANES] {
    let mut points = [Point::IDENTITY; LANES];
    let to = points.as_mut_ptr();
    // SAFETY: the caller has the instructions; there is room for eight points.
    unsafe {
        vector[0].scatter_words(each_lane!(LANE => (&raw mut (*to.add(LANE)).x).cast()));
        vector[1].scatter_words(each_lane!(LANE => (&raw mut (*to.add(LANE)).y).cast()));
    }
    points
}
