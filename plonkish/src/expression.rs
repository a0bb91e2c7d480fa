//! Polynomial expressions over leaves: columns at rotations in gates and lookups, opened polynomials in the protocol's
//! identities.

use core::ops::{Add, Mul, Neg, Sub};

use ark_bn254::Fr;
use ark_ff::{One, Zero};

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::{codec_enum, codec_struct};

/// Nested expressions deeper than this are refused when decoding, so that recursion stays bounded.
const MAX_DEPTH: u32 = 64;

/// A column of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Advice column, by index in key order.
    Advice {
        /// Index into [`crate::Circuit::advice`].
        index: u32,
    },
    /// Fixed column, by index in key order.
    Fixed {
        /// Index into [`crate::Circuit::fixed`].
        index: u32,
    },
}
codec_enum!(Column { 0 = Advice { index }, 1 = Fixed { index } });

/// A column read at a row offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Query {
    /// Which column.
    pub column: Column,
    /// Offset from the present row.
    pub rotation: i32,
}
codec_struct!(Query { column, rotation });

impl Query {
    /// An advice column at the present row.
    pub fn advice(index: u32) -> Self {
        Self { column: Column::Advice { index }, rotation: 0 }
    }

    /// A fixed column at the present row.
    pub fn fixed(index: u32) -> Self {
        Self { column: Column::Fixed { index }, rotation: 0 }
    }
}

/// A polynomial in leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<L> {
    /// A field element.
    Constant(Fr),
    /// A variable.
    Leaf(L),
    /// A sum; empty means zero.
    Sum(Vec<Self>),
    /// A product; empty means one.
    Product(Vec<Self>),
}

impl<L> Expression<L> {
    /// The constant zero.
    pub fn zero() -> Self {
        Self::Constant(Fr::zero())
    }

    /// A signed integer constant.
    pub fn integer(value: i64) -> Self {
        Self::Constant(crate::field::from_integer(value))
    }

    /// Degree, with leaves of degree one.
    pub fn degree(&self) -> u32 {
        match self {
            Self::Constant(_) => 0,
            Self::Leaf(_) => 1,
            Self::Sum(terms) => terms.iter().map(Self::degree).max().unwrap_or(0),
            Self::Product(factors) => factors.iter().map(Self::degree).fold(0, u32::saturating_add),
        }
    }

    /// Calls `visit` on each leaf, in order.
    pub fn leaves<'a>(&'a self, visit: &mut impl FnMut(&'a L)) {
        match self {
            Self::Constant(_) => {}
            Self::Leaf(leaf) => visit(leaf),
            Self::Sum(parts) | Self::Product(parts) => parts.iter().for_each(|part| part.leaves(visit)),
        }
    }

    /// Value at an assignment of the leaves; fails where a leaf has no value.
    pub fn evaluate<E>(&self, value: &impl Fn(&L) -> Result<Fr, E>) -> Result<Fr, E> {
        match self {
            Self::Constant(constant) => Ok(*constant),
            Self::Leaf(leaf) => value(leaf),
            Self::Sum(terms) => {
                terms.iter().try_fold(Fr::zero(), |sum, term| Ok(sum + term.evaluate(value)?))
            }
            Self::Product(factors) => {
                factors.iter().try_fold(Fr::one(), |product, factor| Ok(product * factor.evaluate(value)?))
            }
        }
    }

    /// The same expression over other leaves.
    pub fn map<M>(&self, leaf: &impl Fn(&L) -> M) -> Expression<M> {
        match self {
            Self::Constant(constant) => Expression::Constant(*constant),
            Self::Leaf(inner) => Expression::Leaf(leaf(inner)),
            Self::Sum(terms) => Expression::Sum(terms.iter().map(|term| term.map(leaf)).collect()),
            Self::Product(factors) => {
                Expression::Product(factors.iter().map(|factor| factor.map(leaf)).collect())
            }
        }
    }

    /// This expression times a field element.
    pub fn scale(self, factor: Fr) -> Self {
        Self::Product(vec![Self::Constant(factor), self])
    }
}

impl<L> Add for Expression<L> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        match self {
            Self::Sum(mut terms) => {
                terms.push(other);
                Self::Sum(terms)
            }
            first => Self::Sum(vec![first, other]),
        }
    }
}

impl<L> Neg for Expression<L> {
    type Output = Self;
    fn neg(self) -> Self {
        self.scale(-Fr::one())
    }
}

impl<L> Sub for Expression<L> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl<L> Mul for Expression<L> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        match self {
            Self::Product(mut factors) => {
                factors.push(other);
                Self::Product(factors)
            }
            first => Self::Product(vec![first, other]),
        }
    }
}

impl Encode for Expression<Query> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Constant(constant) => {
                0_u8.encode(writer);
                constant.encode(writer);
            }
            Self::Leaf(query) => {
                1_u8.encode(writer);
                query.encode(writer);
            }
            Self::Sum(terms) => {
                2_u8.encode(writer);
                terms.encode(writer);
            }
            Self::Product(factors) => {
                3_u8.encode(writer);
                factors.encode(writer);
            }
        }
    }
}

impl Expression<Query> {
    fn decode_nested(reader: &mut Reader<'_>, depth: u32) -> Result<Self, DecodeError> {
        if depth == 0 {
            return Err(reader.invalid("an expression is nested too deeply"));
        }
        let kind = u8::decode(reader)?;
        match kind {
            0 => Ok(Self::Constant(Fr::decode(reader)?)),
            1 => Ok(Self::Leaf(Query::decode(reader)?)),
            2 | 3 => {
                let count = u32::decode(reader)? as usize;
                if count > reader.remaining() {
                    return Err(reader.invalid("an expression has more parts than the data has bytes"));
                }
                let mut parts = Vec::new();
                for _ in 0..count {
                    parts.push(Self::decode_nested(reader, depth - 1)?);
                }
                Ok(if kind == 2 { Self::Sum(parts) } else { Self::Product(parts) })
            }
            _ => Err(reader.invalid("unknown kind of expression")),
        }
    }
}

impl Decode for Expression<Query> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_nested(reader, MAX_DEPTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Expression<Query> {
        let a = Expression::Leaf(Query::advice(0));
        let b = Expression::Leaf(Query::fixed(1));
        (a.clone() - Expression::integer(3)) * b + a.scale(Fr::from(5))
    }

    #[test]
    fn degree_and_value() {
        let e = sample();
        assert_eq!(e.degree(), 2);
        let value =
            e.evaluate::<()>(&|q| Ok(if *q == Query::advice(0) { Fr::from(10) } else { Fr::from(2) }));
        assert_eq!(value, Ok(Fr::from(64)));
        assert_eq!(e.evaluate(&|_| Err("no value")), Err("no value"));
        let mut count = 0;
        e.leaves(&mut |_| count += 1);
        assert_eq!(count, 3);
    }

    #[test]
    fn encoding() {
        let e = sample();
        assert_eq!(Expression::from_slice(&e.to_vec()).unwrap(), e);
        let mut deep = Expression::<Query>::integer(1);
        for _ in 0..100 {
            deep = Expression::Sum(vec![deep]);
        }
        assert!(matches!(Expression::from_slice(&deep.to_vec()), Err(DecodeError::Invalid { .. })));
        assert!(Expression::from_slice(&[9]).is_err());
    }
}
