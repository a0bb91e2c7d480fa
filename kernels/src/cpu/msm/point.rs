//! Affine points without a flag, and many additions of them at once.

use core::ops::Neg;

use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field, One, Zero};

/// An affine point. The curve has no point with both coordinates zero: that pair stands for the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: Fq,
    pub(super) y: Fq,
}

impl Point {
    pub(super) const IDENTITY: Self = Self { x: Fq::ZERO, y: Fq::ZERO };

    pub(super) fn is_identity(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }

    pub(super) fn affine(self) -> G1Affine {
        if self.is_identity() { G1Affine::zero() } else { G1Affine::new_unchecked(self.x, self.y) }
    }

    pub(super) fn projective(self) -> G1Projective {
        self.affine().into()
    }
}

impl From<&G1Affine> for Point {
    fn from(point: &G1Affine) -> Self {
        point.xy().map_or(Self::IDENTITY, |(x, y)| Self { x, y })
    }
}

impl Neg for Point {
    type Output = Self;

    fn neg(self) -> Self {
        Self { x: self.x, y: -self.y }
    }
}

/// Two neighbours in a list of points whose sum is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Index of the first; the second follows it.
    pub(super) from: u32,
    /// Index of the sum in the list of results.
    pub(super) to: u32,
}

/// Scratch space of batched additions.
#[derive(Default)]
pub(super) struct Adder {
    denominators: Vec<Fq>,
    products: Vec<Fq>,
}

impl Adder {
    /// `to[pair.to] = from[pair.from] + from[pair.from + 1]` for every pair, with one inversion for all.
    ///
    /// The slope is `(y2 - y1) / (x2 - x1)`, for equal points `3 x^2 / 2 y` (y is not zero, since the group's order is
    /// odd). Sums with an identity, and of opposite points, have no slope; they get the denominator one.
    pub(super) fn add(&mut self, pairs: &[Pair], from: &[Point], to: &mut [Point]) {
        self.denominators.clear();
        self.products.clear();
        let mut product = Fq::one();
        for pair in pairs {
            let [a, b] = neighbours(from, pair);
            let denominator = denominator(a, b);
            self.products.push(product);
            self.denominators.push(denominator);
            product *= denominator;
        }
        // No factor is zero, so the product is not.
        let mut inverse = product.inverse().unwrap_or_default();
        let factors = self.denominators.iter().zip(&self.products);
        for (pair, (denominator, product)) in pairs.iter().zip(factors).rev() {
            let [a, b] = neighbours(from, pair);
            to[pair.to as usize] = sum(a, b, inverse * product);
            inverse *= denominator;
        }
    }
}

fn neighbours<'a>(points: &'a [Point], pair: &Pair) -> [&'a Point; 2] {
    [&points[pair.from as usize], &points[pair.from as usize + 1]]
}

#[inline]
fn denominator(a: &Point, b: &Point) -> Fq {
    let difference = b.x - a.x;
    if a.is_identity() || b.is_identity() {
        Fq::one()
    } else if !difference.is_zero() {
        difference
    } else if a.y == b.y {
        a.y.double()
    } else {
        Fq::one()
    }
}

/// The sum, given the inverse of the slope's denominator.
#[inline]
fn sum(a: &Point, b: &Point, inverse: Fq) -> Point {
    if a.is_identity() {
        return *b;
    }
    if b.is_identity() {
        return *a;
    }
    let numerator = if a.x != b.x {
        b.y - a.y
    } else if a.y == b.y {
        let square = a.x.square();
        square.double() + square
    } else {
        return Point::IDENTITY;
    };
    let slope = numerator * inverse;
    let x = slope.square() - a.x - b.x;
    Point { x, y: slope * (a.x - x) - a.y }
}
