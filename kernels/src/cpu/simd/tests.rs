//! Each tier's arithmetic against `ark-ff`, on extreme values above all.

use ark_bn254::{FqConfig, FrConfig};
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField};
use proptest::prelude::*;

use super::modulus::{LIMB, multiple};
use super::*;

/// Five limbs below 2^52, as words and the rest that does not fit them.
type Limbs = [u64; 5];

fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..=LIMB,
        1 => Just(0),
        1 => Just(LIMB),
        1 => (0u32..52).prop_map(|bit| 1 << bit),
        1 => (0u32..52).prop_map(|bit| LIMB ^ (1 << bit))
    ]
}

/// Values up to 2^260 - 1, near multiples of p too. On the heap: dozens of such trees side by side, unboxed, overflow a test's stack.
fn value<M: Modulus>() -> BoxedStrategy<Limbs> {
    let near = (0u64..=84, -2i64..=2).prop_map(|(factor, offset)| {
        let mut limbs = multiple::<M>(factor);
        let (lowest, overflow) = limbs[0].overflowing_add_signed(offset);
        if !overflow && lowest <= LIMB {
            limbs[0] = lowest;
        }
        limbs
    });
    prop_oneof![4 => prop::array::uniform5(limb()), 2 => near, 1 => Just([LIMB; 5]), 1 => Just([0; 5])]
        .boxed()
}

/// The integer, as a field element.
fn integer<M: Modulus>(limbs: Limbs) -> Element<M> {
    let two = Element::<M>::from(2u64);
    limbs
        .iter()
        .rev()
        .fold(Element::<M>::ZERO, |value, limb| value * two.pow([52]) + Element::<M>::from(*limb))
}

/// Value over p, rounded.
fn size<M: Modulus>(limbs: Limbs) -> f64 {
    let float =
        |limbs: Limbs| limbs.iter().rev().fold(0.0, |value, limb| value * 2f64.powi(52) + *limb as f64);
    float(limbs) / float(M::P)
}

fn elements<M: Modulus>() -> impl Strategy<Value = Vec<Element<M>>> {
    let element = prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|bytes| Element::<M>::from_le_bytes_mod_order(&bytes)),
        1 => Just(Element::<M>::ZERO),
        1 => Just(Element::<M>::ONE),
        1 => Just(-Element::<M>::ONE),
        // The largest and the smallest words.
        1 => Just(Element::<M>::new_unchecked(BigInt([1, 0, 0, 0]))),
        1 => Just(-Element::<M>::new_unchecked(BigInt([1, 0, 0, 0]))),
    ];
    prop::collection::vec(element, 3 * LANES)
}

/// What every tier has to satisfy, with field elements going in and out.
#[inline(always)]
unsafe fn obeys_the_laws<L: Lanes>(values: &[Element<L::Modulus>]) {
    // SAFETY: the caller answers for the instructions; every pointer is to eight entries or to one.
    unsafe {
        let (a, b, c) = (L::load(&values[0]), L::load(&values[8]), L::load(&values[16]));
        let [x, y, z]: [[Element<L::Modulus>; LANES]; 3] =
            core::array::from_fn(|part| core::array::from_fn(|lane| values[8 * part + lane]));
        let check = |found: L, wanted: &dyn Fn(usize) -> Element<L::Modulus>, what: &str| {
            assert_eq!(found.elements(), core::array::from_fn(wanted), "{what}");
        };
        check(a, &|i| x[i], "loaded and stored");
        check(L::gather(core::array::from_fn(|i| &raw const values[8 + i])), &|i| y[i], "gathered");
        check(a.multiply(b), &|i| x[i] * y[i], "product");
        check(a.square(), &|i| x[i].square(), "square");
        check(a.add(b).reduce(), &|i| x[i] + y[i], "sum");
        check(a.subtract::<16>(b).reduce(), &|i| x[i] - y[i], "difference");
        check(a.plus(b).minus::<16>(c).carry().reduce(), &|i| x[i] + y[i] - z[i], "loose sum");
        let negated = a.negate_where::<16>(0b1010_0110).carry().reduce();
        check(negated, &|i| if 0b1010_0110 >> i & 1 == 1 { -x[i] } else { x[i] }, "negated");
        let settled = a.canonical().minus::<2>(b.canonical()).plus(c.canonical()).settle();
        check(settled, &|i| x[i] - y[i] + z[i], "settled");
        check(a.canonical(), &|i| x[i], "canonical");
        check(a.select(0b0101_1001, b), &|i| if 0b0101_1001 >> i & 1 == 1 { y[i] } else { x[i] }, "selected");
        check(L::broadcast(&values[5]), &|_| values[5], "broadcast");
        check(L::one(), &|_| Element::<L::Modulus>::ONE, "one");
        check(L::zero(), &|_| Element::<L::Modulus>::ZERO, "zero");
        let mask =
            |condition: &dyn Fn(usize) -> bool| (0..LANES).map(|i| u8::from(condition(i)) << i).sum::<u8>();
        assert_eq!(a.zero_lanes(), mask(&|i| x[i] == Element::<L::Modulus>::ZERO), "zero lanes");
        assert_eq!(a.subtract::<16>(b).zero_lanes(), mask(&|i| x[i] == y[i]), "equal lanes");
        assert_eq!(a.canonical().empty_lanes(), a.zero_lanes(), "empty lanes");
        words_survive::<L>(a.multiply(b), c.reduce());
        let mut square =
            core::array::from_fn(|row| L::gather([&raw const values[(3 * row) % 24]; LANES]).select(1, a));
        let before = square.map(|vector: L| vector.elements());
        L::transpose(&mut square);
        for (lane, column) in square.iter().enumerate() {
            assert_eq!(column.elements(), before.map(|row| row[lane]), "transposed");
        }
    }
}

/// Words written in the tier's own form are read as the same values.
#[inline(always)]
unsafe fn words_survive<L: Lanes>(a: L, b: L) {
    // SAFETY: the caller answers for the instructions; every pointer is to eight entries or to one.
    unsafe {
        let mut words = [[0; 4]; 2 * LANES];
        let places = words.as_mut_ptr();
        a.store_words(places);
        b.scatter_words(core::array::from_fn(|i| places.add(15 - i)));
        assert_eq!(L::load_words(places).elements(), a.elements());
        let gathered = L::gather_words(core::array::from_fn(|i| places.add(15 - i).cast_const()));
        assert_eq!(gathered.elements(), b.elements());
    }
}

proptest! {
    #[test]
    fn portable_lanes_obey_the_laws(r in elements::<FrConfig>(), q in elements::<FqConfig>()) {
        // SAFETY: no instructions beyond the usual.
        unsafe {
            obeys_the_laws::<Portable<FrConfig>>(&r);
            obeys_the_laws::<Portable<FqConfig>>(&q);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod ifma {
    use super::*;
    use crate::cpu::simd::F8;

    ifma_kernel! { fn laws_of_fr(values: &[Element<FrConfig>]) {
        // SAFETY: the kernel has the instructions.
        unsafe { obeys_the_laws::<F8<FrConfig>>(values) }
    } }
    ifma_kernel! { fn laws_of_fq(values: &[Element<FqConfig>]) {
        // SAFETY: the kernel has the instructions.
        unsafe { obeys_the_laws::<F8<FqConfig>>(values) }
    } }

    fn proof() -> Option<Ifma> {
        let proof =
            Tier::available().find_map(|tier| if let Tier::Ifma(proof) = tier { Some(proof) } else { None });
        if proof.is_none() {
            eprintln!("skipped: this processor lacks AVX-512 IFMA");
        }
        proof
    }

    /// The results' limbs, for eight pairs of values.
    struct Found {
        products: [Limbs; LANES],
        squares: [Limbs; LANES],
        reduced: [Limbs; LANES],
        canonical: [Limbs; LANES],
        differences: [Limbs; LANES],
        zeros: Mask,
    }

    ifma_kernel! {
        fn extremes_of_fr(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> Found {
            // SAFETY: the kernel has the instructions.
            unsafe { extremes::<FrConfig>(a, b) }
        }
    }
    ifma_kernel! {
        fn extremes_of_fq(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> Found {
            // SAFETY: the kernel has the instructions.
            unsafe { extremes::<FqConfig>(a, b) }
        }
    }
    ifma_kernel! {
        fn settled_fr(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> [Limbs; LANES] {
            // SAFETY: the kernel has the instructions.
            unsafe { settled::<FrConfig>(a, b) }
        }
    }
    ifma_kernel! {
        fn settled_fq(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> [Limbs; LANES] {
            // SAFETY: the kernel has the instructions.
            unsafe { settled::<FqConfig>(a, b) }
        }
    }

    #[inline(always)]
    unsafe fn extremes<M: Modulus>(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> Found {
        // SAFETY: the caller has the instructions.
        unsafe {
            let (a, b) = (F8::<M>::from_limbs(a), F8::<M>::from_limbs(b));
            Found {
                products: a.multiply(b.reduce()).to_limbs(),
                squares: a.square().to_limbs(),
                reduced: a.reduce().to_limbs(),
                canonical: a.canonical().to_limbs(),
                differences: a.reduce().subtract::<2>(b.reduce()).to_limbs(),
                zeros: a.zero_lanes(),
            }
        }
    }

    #[inline(always)]
    unsafe fn settled<M: Modulus>(a: &[Limbs; LANES], b: &[Limbs; LANES]) -> [Limbs; LANES] {
        // SAFETY: the caller has the instructions.
        unsafe { F8::<M>::from_limbs(a).minus::<0>(F8::<M>::from_limbs(b)).settle().to_limbs() }
    }

    fn extreme_values_are_right<M: Modulus>(a: &[Limbs; LANES], b: &[Limbs; LANES], found: &Found) {
        let shift = Element::<M>::from(2u64).pow([260]);
        for lane in 0..LANES {
            let (x, y) = (integer::<M>(a[lane]), integer::<M>(b[lane]));
            let own = size::<M>(a[lane]);
            let check = |limbs: Limbs, wanted: Element<M>, bound: f64, what: &str| {
                assert!(limbs.iter().all(|&limb| limb <= LIMB), "{what}: not carried");
                assert_eq!(integer::<M>(limbs), wanted, "{what}");
                assert!(size::<M>(limbs) < bound, "{what}: {} p", size::<M>(limbs));
            };
            check(found.products[lane], x * y / shift, own * 1.7 / 84.0 + 2.01, "product");
            // The square of a value near 2^260 does not fit in the bound for which squares are meant.
            if own * own / 84.0 + 2.01 < 84.0 {
                check(found.squares[lane], x.square() / shift, own * own / 84.0 + 2.01, "square");
            }
            check(found.reduced[lane], x, 1.7, "reduced");
            check(found.canonical[lane], x, 1.1, "canonical");
            assert!(found.canonical[lane].iter().rev().lt(M::P.iter().rev()), "not canonical");
            check(found.differences[lane], x - y, 3.7, "difference");
            assert_eq!(found.zeros >> lane & 1 == 1, x == Element::<M>::ZERO, "zero");
        }
    }

    /// `a - b`, settled, where that is between p / 1000 and 10.5p.
    fn settled_values_are_right<M: Modulus>(a: &[Limbs; LANES], b: &[Limbs; LANES], found: &[Limbs; LANES]) {
        for lane in 0..LANES {
            let difference = size::<M>(a[lane]) - size::<M>(b[lane]);
            if (0.001..10.5).contains(&difference) {
                assert_eq!(integer::<M>(found[lane]), integer::<M>(a[lane]) - integer::<M>(b[lane]));
                assert!(size::<M>(found[lane]) < 2.3, "{difference} p gives {} p", size::<M>(found[lane]));
            }
        }
    }

    proptest! {
        #[test]
        fn ifma_lanes_obey_the_laws(r in elements::<FrConfig>(), q in elements::<FqConfig>()) {
            if let Some(proof) = proof() {
                laws_of_fr(proof, &r);
                laws_of_fq(proof, &q);
            }
        }

        #[test]
        fn extreme_limbs(
            a in prop::array::uniform8(value::<FrConfig>()), b in prop::array::uniform8(value::<FrConfig>()),
            c in prop::array::uniform8(value::<FqConfig>()), d in prop::array::uniform8(value::<FqConfig>()),
        ) {
            if let Some(proof) = proof() {
                extreme_values_are_right::<FrConfig>(&a, &b, &extremes_of_fr(proof, &a, &b));
                extreme_values_are_right::<FqConfig>(&c, &d, &extremes_of_fq(proof, &c, &d));
            }
        }

        #[test]
        fn settling(
            b in prop::array::uniform8(value::<FrConfig>()),
            steps in prop::array::uniform8((0u64..11, 0u64..LIMB, any::<bool>())),
        ) {
            // b + a few p + something small, so that differences lie where they should.
            let above = |b: Limbs, (factor, more, high): (u64, u64, bool), p: Limbs| {
                let mut carry = if high { 0 } else { more };
                core::array::from_fn(|limb| {
                    let top = if high && limb == 4 { more % p[4] } else { 0 };
                    carry += (b[limb] % (LIMB / 8)) + factor * p[limb] + top;
                    let low = if limb == 4 { carry } else { carry & LIMB };
                    carry >>= 52;
                    low
                })
            };
            let small: [Limbs; LANES] = b.map(|limbs| limbs.map(|limb| limb % (LIMB / 8)));
            if let Some(proof) = proof() {
                let a = core::array::from_fn(|lane| above(b[lane], steps[lane], FrConfig::P));
                settled_values_are_right::<FrConfig>(&a, &small, &settled_fr(proof, &a, &small));
                let a = core::array::from_fn(|lane| above(b[lane], steps[lane], FqConfig::P));
                settled_values_are_right::<FqConfig>(&a, &small, &settled_fq(proof, &a, &small));
            }
        }
    }
}
