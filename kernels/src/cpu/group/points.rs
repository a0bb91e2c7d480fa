//! Points in lanes of eight: Jacobian coordinates, `x / z^2` and `y / z^3`.
//!
//! Scalars are split in two halves of 128 bits by the curve's endomorphism `(x, y) -> (beta x, y)`, which multiplies a point by
//! lambda, and written in signed digits of four bits: a multiple takes 128 doublings and 66 additions of entries of a table,
//! which is made affine with one inversion for all tables of a batch.

use ark_bn254::{Fq, FqConfig, Fr, G1Affine, g1};
use ark_ec::AffineRepr;
use ark_ec::scalar_mul::glv::GLVConfig;
use ark_ff::{PrimeField, Zero};

use super::super::simd::{F8, LANES, Lanes, Mask, ifma_kernel};

/// Eight coordinates.
type Lane = F8<FqConfig>;

/// Digits of half a scalar: 128 bits, and a carry.
const DIGITS: usize = 33;

/// Multiples in a table: digits lie between -8 and 8.
const MULTIPLES: usize = 8;

/// Points whose tables are made together.
pub(super) const BATCH: usize = 16;

/// Eight points, x and y below 1.7p and z below 4.5p; what a lane of the mask holds otherwise does not matter: it is the
/// identity.
#[derive(Clone, Copy)]
pub(super) struct Points {
    x: Lane,
    y: Lane,
    z: Lane,
    identity: Mask,
}

/// A table of affine multiples 1 to 8 of eight points, and of the points' images under the endomorphism.
#[derive(Clone, Copy)]
struct Table {
    x: [[Lane; MULTIPLES]; 2],
    y: [Lane; MULTIPLES],
}

/// A scalar as digits of four bits, lowest first, of both halves.
#[derive(Clone, Debug)]
pub(super) struct Scalar([[i8; DIGITS]; 2]);

impl Scalar {
    pub(super) fn new(scalar: Fr) -> Self {
        let ((first_positive, first), (second_positive, second)) = g1::Config::scalar_decomposition(scalar);
        Self([digits(first, first_positive), digits(second, second_positive)])
    }
}

/// Signed digits of a number below 2^128.
fn digits(half: Fr, positive: bool) -> [i8; DIGITS] {
    let [low, high, ..] = half.into_bigint().0;
    let mut rest = u128::from(low) | u128::from(high) << 64;
    let (mut digits, mut carry) = ([0; DIGITS], 0);
    for digit in &mut digits {
        let value = (rest & 15) as i8 + carry;
        rest >>= 4;
        carry = i8::from(value > 8);
        let value = value - 16 * carry;
        *digit = if positive { value } else { -value };
    }
    digits
}

ifma_kernel! {
    /// Eight affine points; identities past the slice's end.
    pub(super) fn load(from: &[G1Affine]) -> Points {
        let (mut x, mut y, mut identity) = ([Fq::zero(); LANES], [Fq::zero(); LANES], Mask::MAX);
        for (lane, point) in from.iter().enumerate().take(LANES) {
            if let Some(coordinates) = point.xy() {
                (x[lane], y[lane]) = coordinates;
                identity &= !(1 << lane);
            }
        }
        // SAFETY: this function has the instructions; the arrays have eight entries.
        unsafe {
            let (x, y) = (Lane::load(x.as_ptr()).reduce(), Lane::load(y.as_ptr()).reduce());
            Points { x, y, z: Lane::one(), identity }
        }
    }
}

ifma_kernel! {
    /// The points in affine form.
    pub(super) fn affine(points: &[Points]) -> Vec<G1Affine> {
        let mut result = Vec::with_capacity(points.len() * LANES);
        // SAFETY: this function has the instructions.
        unsafe {
            let mut inverses = Vec::with_capacity(points.len());
            for point in points {
                inverses.push(point.z.select(point.identity, Lane::one()));
            }
            invert(&mut inverses);
            for (point, inverse) in points.iter().zip(inverses) {
                let square = inverse.square();
                let x = point.x.multiply(square).elements();
                let y = point.y.multiply(square.multiply(inverse)).elements();
                for lane in 0..LANES {
                    result.push(match point.identity >> lane & 1 {
                        0 => G1Affine::new_unchecked(x[lane], y[lane]),
                        _ => G1Affine::identity(),
                    });
                }
            }
        }
        result
    }
}

ifma_kernel! {
    /// Each point times its lane's scalar.
    pub(super) fn multiples(points: &[Points], scalars: &[[&Scalar; LANES]]) -> Vec<Points> {
        let mut products = Vec::with_capacity(points.len());
        // SAFETY: this function has the instructions.
        unsafe {
            for (points, scalars) in points.chunks(BATCH).zip(scalars.chunks(BATCH)) {
                for ((point, table), scalars) in points.iter().zip(tables(points)).zip(scalars) {
                    products.push(table.multiple(point.identity, scalars));
                }
            }
        }
        products
    }
}

ifma_kernel! {
    /// Each pair's sum and difference, in its place.
    pub(super) fn sums_and_differences(first: &mut [Points], second: &mut [Points], products: &[Points]) {
        for ((first, second), product) in first.iter_mut().zip(second).zip(products) {
            // SAFETY: this function has the instructions.
            unsafe { (*first, *second) = first.sum_and_difference(product) }
        }
    }
}

ifma_kernel! {
    /// Lane `i` of vector `j` becomes lane `j` of vector `i`.
    pub(super) fn transpose(points: &mut [Points; LANES]) {
        // SAFETY: this function has the instructions.
        unsafe {
            let (mut x, mut y, mut z) =
                ([points[0].x; LANES], [points[0].y; LANES], [points[0].z; LANES]);
            let mut identity: [Mask; LANES] = [0; LANES];
            for (index, point) in points.iter().enumerate() {
                (x[index], y[index], z[index]) = (point.x, point.y, point.z);
                for (lane, mask) in identity.iter_mut().enumerate() {
                    *mask |= (point.identity >> lane & 1) << index;
                }
            }
            Lane::transpose(&mut x);
            Lane::transpose(&mut y);
            Lane::transpose(&mut z);
            for (index, point) in points.iter_mut().enumerate() {
                *point = Points { x: x[index], y: y[index], z: z[index], identity: identity[index] };
            }
        }
    }
}

/// Inverts all lanes of all vectors, none of which is zero modulo p, to below 2.1p.
#[inline(always)]
unsafe fn invert(vectors: &mut [Lane]) {
    // SAFETY: the caller has the instructions; the array has eight entries.
    unsafe {
        let mut before = Vec::with_capacity(vectors.len());
        let mut product = Lane::one();
        for vector in vectors.iter() {
            before.push(product);
            product = product.multiply(*vector);
        }
        let mut inverses = product.elements();
        ark_ff::batch_inversion(&mut inverses);
        let mut inverse = Lane::load(inverses.as_ptr()).reduce();
        for (vector, before) in vectors.iter_mut().zip(before).rev() {
            let value = *vector;
            *vector = inverse.multiply(before);
            inverse = inverse.multiply(value);
        }
    }
}

/// The tables of a batch.
#[inline(always)]
unsafe fn tables(points: &[Points]) -> Vec<Table> {
    // SAFETY: the caller has the instructions.
    unsafe {
        let beta = Lane::broadcast(&g1::Config::ENDO_COEFFS[0]).reduce();
        let mut multiples = Vec::with_capacity(points.len());
        let mut inverses = Vec::with_capacity(points.len() * MULTIPLES);
        for point in points {
            let mut eight = [*point; MULTIPLES];
            for number in 2..=MULTIPLES {
                eight[number - 1] = match number % 2 {
                    0 => eight[number / 2 - 1].doubled(),
                    _ => eight[number - 2].sum_and_difference(point).0,
                };
            }
            for multiple in &eight {
                inverses.push(multiple.z.select(multiple.identity, Lane::one()));
            }
            multiples.push(eight);
        }
        invert(&mut inverses);
        let mut tables = Vec::with_capacity(points.len());
        for (eight, inverses) in multiples.iter().zip(inverses.chunks_exact(MULTIPLES)) {
            let mut table = Table { x: [[Lane::zero(); MULTIPLES]; 2], y: [Lane::zero(); MULTIPLES] };
            for (number, (multiple, inverse)) in eight.iter().zip(inverses).enumerate() {
                let square = inverse.square();
                table.x[0][number] = multiple.x.multiply(square);
                table.x[1][number] = table.x[0][number].multiply(beta);
                table.y[number] = multiple.y.multiply(square.multiply(*inverse));
            }
            tables.push(table);
        }
        tables
    }
}

impl Table {
    /// The points that the table is of, times their lanes' scalars.
    #[inline(always)]
    unsafe fn multiple(&self, identity: Mask, scalars: &[&Scalar; LANES]) -> Points {
        // SAFETY: the caller has the instructions.
        unsafe {
            let mut sum = Points { x: Lane::zero(), y: Lane::zero(), z: Lane::zero(), identity: Mask::MAX };
            for place in (0..DIGITS).rev() {
                if sum.identity != Mask::MAX {
                    sum = sum.doubled().doubled().doubled().doubled();
                }
                for half in 0..2 {
                    let (mut of, mut negative): ([Mask; MULTIPLES + 1], Mask) = ([0; MULTIPLES + 1], 0);
                    for (lane, scalar) in scalars.iter().enumerate() {
                        let digit = scalar.0[half][place];
                        of[usize::from(digit.unsigned_abs())] |= 1 << lane;
                        negative |= Mask::from(digit < 0) << lane;
                    }
                    let [none, _, others @ ..] = of;
                    let (mut x, mut y) = (self.x[half][0], self.y[0]);
                    for (number, mask) in others.into_iter().enumerate() {
                        x = x.select(mask, self.x[half][number + 1]);
                        y = y.select(mask, self.y[number + 1]);
                    }
                    let y = y.negate_where::<3>(negative).carry();
                    sum = sum.plus_affine(x, y, !(none | identity));
                }
            }
            sum
        }
    }
}

impl Points {
    /// Twice the points: 3M + 4S.
    #[inline(always)]
    unsafe fn doubled(&self) -> Self {
        // SAFETY: the caller has the instructions. Bounds are in units of p.
        unsafe {
            let square = self.x.square(); // 2.05
            let y_square = self.y.square(); // 2.05
            let fourth = y_square.square(); // 2.07
            let d = self.x.multiply(y_square); // 2.06
            let twice = d.plus(d);
            let d = twice.plus(twice).carry(); // 8.3
            let slope = square.plus(square).plus(square).carry(); // 6.2
            let x = slope.square().minus::<17>(d.plus(d)).carry().reduce(); // 1.7
            let twice = fourth.plus(fourth);
            let four = twice.plus(twice);
            let y = slope.multiply(d.minus::<2>(x).carry()).minus::<17>(four.plus(four)).carry().reduce();
            let z = self.y.multiply(self.z); // 2.2
            Self { x, y, z: z.plus(z).carry(), identity: self.identity }
        }
    }

    /// The sums with affine points, x below 2.1p and y below 3.1p, in the lanes of the mask: 8M + 3S.
    #[inline(always)]
    unsafe fn plus_affine(&self, x: Lane, y: Lane, active: Mask) -> Self {
        // SAFETY: the caller has the instructions. Bounds are in units of p.
        unsafe {
            let z_square = self.z.square(); // 2.3
            let h = x.multiply(z_square).subtract::<2>(self.x); // 4.1
            let slope = y.multiply(z_square.multiply(self.z)).subtract::<2>(self.y); // 4.1
            let h_square = h.square(); // 2.3
            let h_cube = h_square.multiply(h); // 2.2
            let v = self.x.multiply(h_square); // 2.1
            let sum_x = slope.square().minus::<3>(h_cube).minus::<5>(v.plus(v)).carry().reduce();
            let sum_y = slope.multiply(v.minus::<2>(sum_x).carry());
            let sum_y = sum_y.minus::<3>(self.y.multiply(h_cube)).carry().reduce();
            let mut sum = Self { x: sum_x, y: sum_y, z: self.z.multiply(h), identity: 0 };
            let same_x = h.zero_lanes() & active & !self.identity;
            if same_x != 0 {
                let equal = same_x & slope.zero_lanes();
                sum = sum.select(equal, &self.doubled());
                sum.identity = same_x & !equal;
            }
            let fresh = self.identity & active;
            if fresh != 0 {
                let affine = Self { x: x.reduce(), y: y.reduce(), z: Lane::one(), identity: 0 };
                sum = sum.select(fresh, &affine);
            }
            self.select(active, &sum)
        }
    }

    /// The sums with other points, and the differences: 14M + 6S.
    #[inline(always)]
    unsafe fn sum_and_difference(&self, other: &Self) -> (Self, Self) {
        // SAFETY: the caller has the instructions. Bounds are in units of p.
        unsafe {
            let (z_square, other_square) = (self.z.square(), other.z.square()); // 2.3
            let u = self.x.multiply(other_square); // 2.1
            let s = self.y.multiply(other_square.multiply(other.z)); // 2.1
            let other_s = other.y.multiply(z_square.multiply(self.z)); // 2.1
            let h = other.x.multiply(z_square).subtract::<3>(u); // 5.1
            let h_square = h.square(); // 2.4
            let h_cube = h_square.multiply(h); // 2.2
            let v = u.multiply(h_square); // 2.1
            let s_cube = s.multiply(h_cube); // 2.1
            let z = self.z.multiply(other.z).multiply(h); // 2.2
            // The difference's slope is minus the sum of both s, and so its y is the negative of what follows from that sum.
            let (slope, other_slope) = (other_s.subtract::<3>(s), other_s.add(s)); // 5.1
            let x = slope.square().minus::<3>(h_cube).minus::<5>(v.plus(v)).carry().reduce();
            let y = slope.multiply(v.minus::<2>(x).carry()).minus::<3>(s_cube).carry().reduce();
            let difference_x = other_slope.square().minus::<3>(h_cube).minus::<5>(v.plus(v)).carry().reduce();
            let difference_y = other_slope.multiply(v.minus::<2>(difference_x).carry()).plus(s_cube);
            let difference_y = Lane::zero().minus::<6>(difference_y).carry().reduce();
            let mut sum = Self { x, y, z, identity: 0 };
            let mut difference = Self { x: difference_x, y: difference_y, z, identity: 0 };
            let same_x = h.zero_lanes() & !self.identity & !other.identity;
            if same_x != 0 {
                let equal = same_x & slope.zero_lanes();
                let opposite = same_x & !equal;
                let doubled = self.doubled();
                sum = sum.select(equal, &doubled);
                difference = difference.select(opposite, &doubled);
                (sum.identity, difference.identity) = (opposite, equal);
            }
            if self.identity | other.identity != 0 {
                let negated = Self { y: other.y.negate_where::<2>(Mask::MAX).carry(), ..*other };
                sum = sum.select(self.identity, other).select(other.identity, self);
                difference = difference.select(self.identity, &negated).select(other.identity, self);
            }
            (sum, difference)
        }
    }

    /// The other points in the lanes of the mask.
    #[inline(always)]
    unsafe fn select(&self, mask: Mask, other: &Self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            Self {
                x: self.x.select(mask, other.x),
                y: self.y.select(mask, other.y),
                z: self.z.select(mask, other.z),
                identity: self.identity & !mask | other.identity & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::{Field, One};

    use super::*;

    #[test]
    fn digits_make_the_scalar() {
        let third = Fr::from(3).inverse().unwrap();
        let small = [0, 1, 8, 9, u64::MAX].map(Fr::from);
        for scalar in small.into_iter().chain([-Fr::one(), third, -third, third.pow([77])]) {
            let Scalar(halves) = Scalar::new(scalar);
            let value = |digits: &[i8; DIGITS]| {
                let next = |sum: Fr, digit: &i8| sum * Fr::from(16) + Fr::from(i64::from(*digit));
                digits.iter().rev().fold(Fr::zero(), next)
            };
            assert!(halves.iter().flatten().all(|digit| digit.unsigned_abs() <= 8));
            assert_eq!(value(&halves[0]) + g1::Config::LAMBDA * value(&halves[1]), scalar);
        }
    }
}
