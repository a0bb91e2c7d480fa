//! Many additions of affine points at once, with one inversion between them.
//!
//! The slope of `P + Q` is `(y2 - y1) / (x2 - x1)`. A first pass multiplies the denominators up, lane by lane; the products
//! are inverted; a second pass, backwards, splits the inverse up again and finishes the sums. Usual batches know nothing
//! of exceptions: equal and opposite points make the product zero, which is seen once a batch, and the batch is done
//! again by a careful kernel that treats every lane by masks: equal points have the slope `3 x^2 / 2 y`, opposite points give
//! the identity, which is added to nothing.

use ark_bn254::{Fq, FqConfig};
use ark_ff::{AdditiveGroup, One};

use super::point::Point;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::F8;
use crate::cpu::simd::{LANES, Lanes, Mask, Portable, Tier, Words, each_lane, ifma_kernel, inverse};

/// Where a point is: in the lowest bit whether its opposite is meant, in the highest whether it is a sum (or else one of the
/// given points), between them its index.
pub(super) type Handle = u32;

const SUM: Handle = 1 << 31;

/// Largest number of points, or of sums.
pub(super) const MOST: usize = 1 << 30;

/// The handle of a given point.
#[inline(always)]
pub(super) fn given(index: usize, negative: bool) -> Handle {
    (index as u32) << 1 | u32::from(negative)
}

/// The handle of a sum.
#[inline(always)]
pub(super) fn sum(index: usize) -> Handle {
    SUM | (index as u32) << 1
}

/// How many vectors ahead points are asked for from memory.
const AHEAD: usize = 4;

/// What a kernel works on.
#[derive(Clone, Copy)]
struct Task<'a> {
    points: *const Point,
    sums: *mut Point,
    /// Whole vectors of pairs.
    pairs: &'a [[Handle; 2]],
    /// The sum of the first pair goes to this index, the others after it.
    first: usize,
}

/// What comes out of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// No sum is the identity.
    Usual,
    /// The careful kernel made the identity.
    Identities,
    /// Nothing was done: there are exceptional pairs.
    Exceptional,
}

/// For each vector of pairs: the denominators, and the product of all before them.
type Factors<L> = Vec<[L; 2]>;

/// Adds pairs of points; keeps its scratch space and the sums.
pub(super) struct Adder {
    tier: Tier,
    portable: Factors<Portable<FqConfig>>,
    #[cfg(target_arch = "x86_64")]
    ifma: Factors<F8<FqConfig>>,
    /// The first two are distinct points, which fill vectors up.
    sums: Vec<Point>,
    used: usize,
    /// Whether identities may be among the points or sums.
    careful: bool,
}

impl Adder {
    /// An adder for points in a tier's form.
    pub(super) fn new(tier: Tier) -> Self {
        let generator = <ark_bn254::G1Affine as ark_ec::AffineRepr>::generator();
        let twice = ark_ec::CurveGroup::into_affine(generator + generator);
        Self {
            tier,
            portable: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            ifma: Vec::new(),
            sums: super::point::pack(tier, &[generator, twice]),
            used: 2,
            careful: false,
        }
    }

    /// Forgets all sums and makes room for a number of them; `careful` if the identity may be among the points.
    pub(super) fn reset(&mut self, additions: usize, careful: bool) {
        self.used = 2;
        self.careful = careful;
        let room = 2 + additions.next_multiple_of(LANES) + LANES;
        if self.sums.len() < room {
            self.sums.resize(room, Point::IDENTITY);
        }
    }

    /// Index of the next sum.
    pub(super) fn next(&self) -> usize {
        self.used
    }

    /// The point that a handle means.
    pub(super) fn point(&self, points: &[Point], handle: Handle) -> Point {
        let index = ((handle & !SUM) >> 1) as usize;
        let point = if handle & SUM == 0 { &points[index] } else { &self.sums[index] };
        if handle & 1 == 0 { *point } else { point.negated() }
    }

    /// Adds the points of each pair; the sums get the indices from [`Adder::next`] on. The list is filled up to whole vectors.
    ///
    /// Pairs must be of given points or of sums that exist.
    pub(super) fn add(&mut self, points: &[Point], pairs: &mut Vec<[Handle; 2]>) {
        let count = pairs.len();
        pairs.resize(count.next_multiple_of(LANES), [sum(0), sum(1)]);
        if self.sums.len() < self.used + pairs.len() {
            self.sums.resize(self.used + pairs.len(), Point::IDENTITY);
        }
        let in_range = |&handle: &Handle| {
            let index = ((handle & !SUM) >> 1) as usize;
            index < if handle & SUM == 0 { points.len() } else { self.used }
        };
        debug_assert!(pairs.iter().flatten().all(in_range));
        let task = Task { points: points.as_ptr(), sums: self.sums.as_mut_ptr(), pairs, first: self.used };
        let mut outcome = if self.careful { Outcome::Exceptional } else { self.run::<false>(task) };
        if outcome == Outcome::Exceptional {
            outcome = self.run::<true>(task);
        }
        self.careful |= outcome == Outcome::Identities;
        self.used += count;
    }

    fn run<const CAREFUL: bool>(&mut self, task: Task<'_>) -> Outcome {
        match self.tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) if CAREFUL => ifma_careful(proof, &mut self.ifma, task),
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => ifma_usual(proof, &mut self.ifma, task),
            // SAFETY: no instructions beyond the usual; `add` has checked the task.
            _ => unsafe { batch::<Portable<FqConfig>, CAREFUL>(&mut self.portable, task) },
        }
    }
}

ifma_kernel! {
    fn ifma_usual(factors: &mut Factors<F8<FqConfig>>, task: Task<'_>) -> Outcome {
        // SAFETY: the kernel has the instructions; `add` has checked the task.
        unsafe { batch::<F8<FqConfig>, false>(factors, task) }
    }
}

ifma_kernel! {
    fn ifma_careful(factors: &mut Factors<F8<FqConfig>>, task: Task<'_>) -> Outcome {
        // SAFETY: the kernel has the instructions; `add` has checked the task.
        unsafe { batch::<F8<FqConfig>, true>(factors, task) }
    }
}

/// Places of one operand's points, for eight pairs, and which are negative.
struct Places {
    points: [*const Point; LANES],
    negative: Mask,
}

impl Task<'_> {
    #[inline(always)]
    unsafe fn place(&self, handle: Handle) -> *const Point {
        let base = if handle & SUM == 0 { self.points } else { self.sums.cast_const() };
        // SAFETY: a handle's index is within its list.
        unsafe { base.byte_add(((handle & !SUM & !1) as usize) << 5) }
    }

    #[inline(always)]
    unsafe fn places(&self, vector: usize, operand: usize) -> Places {
        // SAFETY: the vector is within the list of pairs, whose handles exist.
        unsafe {
            let pairs = self.pairs.as_ptr().add(LANES * vector);
            let handles = each_lane!(LANE => (*pairs.add(LANE))[operand]);
            let points = each_lane!(LANE => self.place(handles[LANE]));
            let negative = each_lane!(LANE => (handles[LANE] as Mask & 1) << LANE);
            let [n0, n1, n2, n3, n4, n5, n6, n7] = negative;
            let negative = n0 | n1 | n2 | n3 | n4 | n5 | n6 | n7;
            Places { points, negative }
        }
    }

    /// Asks for the points of a vector of pairs.
    #[inline(always)]
    unsafe fn prefetch(&self, vector: usize) {
        #[cfg(target_arch = "x86_64")]
        if (vector + 1) * LANES <= self.pairs.len() {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            for pair in &self.pairs[LANES * vector..LANES * (vector + 1)] {
                for &handle in pair {
                    // SAFETY: a handle's index is within its list; every x86-64 processor has the instruction.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(self.place(handle).cast()) };
                }
            }
        }
    }
}

impl Places {
    #[inline(always)]
    unsafe fn x<L: Lanes<Modulus = FqConfig>>(&self) -> L {
        // SAFETY: the places are those of points; the caller has the instructions.
        unsafe { L::gather_words(each_lane!(LANE => (&raw const (*self.points[LANE]).x).cast::<Words>())) }
    }

    /// y without its sign.
    #[inline(always)]
    unsafe fn y<L: Lanes<Modulus = FqConfig>>(&self) -> L {
        // SAFETY: the places are those of points; the caller has the instructions.
        unsafe { L::gather_words(each_lane!(LANE => (&raw const (*self.points[LANE]).y).cast::<Words>())) }
    }
}

/// Lanes of exceptional pairs.
#[derive(Clone, Copy)]
struct Exceptions {
    first_identity: Mask,
    second_identity: Mask,
    equal: Mask,
    opposite: Mask,
}

/// Both passes. All bounds are in units of p: points below 2.3, with a sign at most 3.
#[inline(always)]
unsafe fn batch<L: Lanes<Modulus = FqConfig>, const CAREFUL: bool>(
    factors: &mut Factors<L>,
    task: Task<'_>,
) -> Outcome {
    let vectors = task.pairs.len() / LANES;
    factors.clear();
    factors.reserve(vectors);
    // SAFETY: the caller has the instructions, and every handle exists; there is room for all sums.
    unsafe {
        // Factors are below 5.3 (careful: 6), products below 2.3.
        let mut product = L::one();
        for vector in 0..vectors {
            task.prefetch(vector + AHEAD);
            let (a, b) = (task.places(vector, 0), task.places(vector, 1));
            let mut denominator = b.x::<L>().subtract::<3>(a.x());
            if CAREFUL {
                denominator = careful_denominator(&a, &b, denominator).0;
            }
            factors.push([denominator, product]);
            product = product.multiply(denominator);
        }
        if !CAREFUL && product.zero_lanes() != 0 {
            return Outcome::Exceptional;
        }
        let mut inverse = inverse_lanes(product);
        let mut identities = 0;
        for vector in (0..vectors).rev() {
            let [denominator, product] = factors[vector];
            let one_over = inverse.multiply(product);
            inverse = inverse.multiply(denominator);
            let (a, b) = (task.places(vector, 0), task.places(vector, 1));
            let (sum, found) = sums::<L, CAREFUL>(&a, &b, one_over);
            identities |= found;
            let to = task.sums.add(task.first + LANES * vector);
            let [x, y] = sum;
            x.scatter_words(each_lane!(LANE => (&raw mut (*to.add(LANE)).x).cast()));
            y.scatter_words(each_lane!(LANE => (&raw mut (*to.add(LANE)).y).cast()));
        }
        if identities == 0 { Outcome::Usual } else { Outcome::Identities }
    }
}

/// The slope's denominator, never zero; below 6.
#[inline(always)]
unsafe fn careful_denominator<L: Lanes<Modulus = FqConfig>>(
    a: &Places,
    b: &Places,
    difference: L,
) -> (L, Exceptions) {
    // SAFETY: the places are those of points; the caller has the instructions.
    unsafe {
        let (first, second) = (a.y::<L>(), b.y::<L>());
        let (first_identity, second_identity) = (first.empty_lanes(), second.empty_lanes());
        let usual = !(first_identity | second_identity);
        let (first, second) = (first.negate_where::<3>(a.negative), second.negate_where::<3>(b.negative));
        let same_x = difference.zero_lanes() & usual;
        let equal = second.minus::<3>(first).carry().zero_lanes() & same_x;
        let opposite = same_x & !equal;
        let denominator = difference.select(equal, first.plus(first).carry());
        let exceptions = Exceptions { first_identity, second_identity, equal, opposite };
        (denominator.select(!usual | opposite, L::one()), exceptions)
    }
}

/// The sums' coordinates, below 2.3, given the inverse of the slope's denominator, below 2.5; and which are the identity.
#[inline(always)]
unsafe fn sums<L: Lanes<Modulus = FqConfig>, const CAREFUL: bool>(
    a: &Places,
    b: &Places,
    one_over: L,
) -> ([L; 2], Mask) {
    // SAFETY: the places are those of points; the caller has the instructions.
    unsafe {
        let (x1, x2) = (a.x::<L>(), b.x::<L>());
        let y1 = a.y::<L>().negate_where::<3>(a.negative);
        let y2 = b.y::<L>().negate_where::<3>(b.negative);
        // Below 6.
        let mut numerator = y2.minus::<3>(y1).carry();
        let mut exceptions = None;
        if CAREFUL {
            let found = careful_denominator(a, b, x2.subtract::<3>(x1)).1;
            let square = x1.square();
            numerator = numerator.select(found.equal, square.plus(square).plus(square).carry());
            exceptions = Some(found);
        }
        // The slope is below 2.3, its square below 2.1.
        let slope = numerator.multiply(one_over);
        // Between 6 - 4.6 and 8.1.
        let x = slope.square().minus::<6>(x1).minus::<0>(x2).settle();
        // A product below 2.2, less at most 3.
        let y = slope.multiply(x1.subtract::<3>(x)).minus::<4>(y1).settle();
        let Some(Exceptions { first_identity, second_identity, opposite, .. }) = exceptions else {
            return ([x, y], 0);
        };
        let none = opposite | (first_identity & second_identity);
        let x = x.select(first_identity, x2).select(second_identity, x1).select(none, L::zero());
        let (y1, y2) = (y1.carry().reduce(), y2.carry().reduce());
        let y = y.select(first_identity, y2).select(second_identity, y1).select(none, L::zero());
        ([x, y], none)
    }
}

/// Inverses of the lanes, none of which is zero: one inversion for all. Below 16.
#[inline(always)]
unsafe fn inverse_lanes<L: Lanes<Modulus = FqConfig>>(values: L) -> L {
    // SAFETY: the caller has the instructions; the array has eight elements.
    unsafe {
        let mut elements = values.elements();
        invert_eight(&mut elements);
        L::load(elements.as_ptr())
    }
}

#[inline(never)]
fn invert_eight(elements: &mut [Fq; LANES]) {
    let mut products = [Fq::one(); LANES];
    let mut product = Fq::one();
    for (before, element) in products.iter_mut().zip(elements.iter()) {
        *before = product;
        product *= element;
    }
    let mut rest = inverse(&product).unwrap_or(Fq::ZERO);
    for (before, element) in products.iter().zip(elements.iter_mut()).rev() {
        let own = rest * before;
        rest *= *element;
        *element = own;
    }
}
