//! Views: linear functionals on one tensor column with product structure (protocol, section 4).
//!
//! A view picks cells of a column along axes and weights them with powers of challenges. As a polynomial at a point it
//! costs O(axes) field operations ([`View::at`]); written out it is a vector as long as the column.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};

use crate::field::geometric;
use crate::{codec_enum, codec_struct};

/// A challenge whose powers tell the cells of a claim apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    /// The challenge of an axis role, by index into [`crate::Circuit::roles`].
    Role {
        /// Index of the role.
        index: u32,
    },
    /// The fold's variable: exponents number the entries of a fold. It takes the value beta in the identity.
    Fold {},
    /// The challenge that compares a tensor with public values or an external vector.
    Public {},
}
codec_enum!(Variable { 0 = Role { index }, 1 = Fold {}, 2 = Public {} });

/// A product of powers of variables; no power means one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Monomial {
    /// Variables and their exponents, sorted by variable, each variable once, exponents positive.
    pub powers: Vec<Power>,
}
codec_struct!(Monomial { powers });

/// A power of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Power {
    /// Which challenge.
    pub variable: Variable,
    /// Its exponent, at least one.
    pub exponent: u32,
}
codec_struct!(Power { variable, exponent });

impl Monomial {
    /// The monomial one.
    pub fn one() -> Self {
        Self::default()
    }

    /// A power of one variable; exponent zero gives one.
    pub fn power(variable: Variable, exponent: u32) -> Self {
        if exponent == 0 { Self::one() } else { Self { powers: vec![Power { variable, exponent }] } }
    }

    /// A power of an axis role's challenge.
    pub fn role(index: u32, exponent: u32) -> Self {
        Self::power(Variable::Role { index }, exponent)
    }

    /// A power of the fold's variable.
    pub fn fold(exponent: u32) -> Self {
        Self::power(Variable::Fold {}, exponent)
    }

    /// Product of two monomials (exponents saturate; validation bounds them far below).
    pub fn times(&self, other: &Self) -> Self {
        let mut powers = self.powers.clone();
        for power in &other.powers {
            match powers.iter_mut().find(|p| p.variable == power.variable) {
                Some(found) => found.exponent = found.exponent.saturating_add(power.exponent),
                None => powers.push(*power),
            }
        }
        powers.sort_by_key(|p| p.variable);
        Self { powers }
    }

    /// This monomial to a power (exponents saturate).
    pub fn raised(&self, exponent: u32) -> Self {
        if exponent == 0 {
            return Self::one();
        }
        let powers = self
            .powers
            .iter()
            .map(|p| Power { exponent: p.exponent.saturating_mul(exponent), ..*p })
            .collect();
        Self { powers }
    }

    /// Exponent of a variable in it.
    pub fn exponent(&self, variable: Variable) -> u32 {
        self.powers.iter().find(|p| p.variable == variable).map_or(0, |p| p.exponent)
    }

    /// Without one of its variables.
    pub fn without(&self, variable: Variable) -> Self {
        Self { powers: self.powers.iter().filter(|p| p.variable != variable).copied().collect() }
    }

    /// Whether powers are sorted, distinct and positive.
    pub fn is_canonical(&self) -> bool {
        self.powers.iter().all(|p| p.exponent > 0)
            && self.powers.iter().zip(self.powers.iter().skip(1)).all(|(a, b)| a.variable < b.variable)
    }

    /// Value at the challenges.
    pub fn value(&self, assignment: &Assignment) -> Result<Fr, UnknownVariable> {
        self.powers.iter().try_fold(Fr::one(), |product, power| {
            Ok(product * assignment.get(power.variable)?.pow([u64::from(power.exponent)]))
        })
    }
}

/// Values of the variables.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    /// Challenge of each axis role.
    pub roles: Vec<Fr>,
    /// Value of the fold's variable.
    pub fold: Fr,
    /// Challenge of comparisons with public and external vectors.
    pub public: Fr,
}

/// A view speaks of an axis role that the circuit lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("axis role {index} does not exist")]
pub struct UnknownVariable {
    /// The role's index.
    pub index: u32,
}

impl Assignment {
    /// Value of one variable.
    pub fn get(&self, variable: Variable) -> Result<Fr, UnknownVariable> {
        match variable {
            Variable::Role { index } => {
                self.roles.get(index as usize).copied().ok_or(UnknownVariable { index })
            }
            Variable::Fold {} => Ok(self.fold),
            Variable::Public {} => Ok(self.public),
        }
    }
}

/// A run along an axis: for `i < count`, the cell `start + i * step` with the factor `scale * ratio^i`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// First cell, from the view's offset.
    pub start: u32,
    /// Number of cells.
    pub count: u32,
    /// Distance of neighbouring cells.
    pub step: u32,
    /// Factor from one cell to the next.
    pub ratio: Monomial,
    /// Factor of the first cell.
    pub scale: Monomial,
}
codec_struct!(Segment { start, count, step, ratio, scale });

/// An axis of a view: segments side by side. A dense axis has one, a padded convolution axis one for each kernel offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// The segments.
    pub segments: Vec<Segment>,
}
codec_struct!(Axis { segments });

impl Axis {
    /// One segment from cell 0: `count` cells at distance `step`, the i-th with `ratio^i`.
    pub fn dense(count: u32, step: u32, ratio: Monomial) -> Self {
        Self { segments: vec![Segment { start: 0, count, step, ratio, scale: Monomial::one() }] }
    }

    /// Largest cell offset that it reaches; `None` if it has no cell.
    pub fn reach(&self) -> Option<u64> {
        self.segments
            .iter()
            .filter(|s| s.count > 0)
            .map(|s| u64::from(s.start) + (u64::from(s.count) - 1) * u64::from(s.step))
            .max()
    }

    /// Generating function at `z`: the sum over its cells of factor times `z^cell`.
    fn at(&self, z: Fr, assignment: &Assignment) -> Result<Fr, UnknownVariable> {
        self.segments.iter().try_fold(Fr::zero(), |sum, s| {
            let ratio = s.ratio.value(assignment)? * z.pow([u64::from(s.step)]);
            let first = s.scale.value(assignment)? * z.pow([u64::from(s.start)]);
            Ok(sum + first * geometric(ratio, u64::from(s.count)))
        })
    }
}

/// A linear functional on one column: the sum, over one cell of each axis, of the factors' product times the cell at
/// `offset` plus the axes' cells, all times `coefficient * scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Tensor column, numbered among tensor columns in key order.
    pub column: u32,
    /// Cell of the view's origin.
    pub offset: u32,
    /// Integer factor.
    pub coefficient: i64,
    /// Monomial factor.
    pub scale: Monomial,
    /// The axes.
    pub axes: Vec<Axis>,
}
codec_struct!(View { column, offset, coefficient, scale, axes });

/// A cell that a view touches, with its monomial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewCell {
    /// Row of the column.
    pub row: u64,
    /// Product of the scales and ratios that lead to it.
    pub monomial: Monomial,
}

impl View {
    /// Value of its polynomial at `z`: `coefficient * scale * z^offset * product of the axes`.
    pub fn at(&self, z: Fr, assignment: &Assignment) -> Result<Fr, UnknownVariable> {
        let first = crate::field::from_integer(self.coefficient)
            * self.scale.value(assignment)?
            * z.pow([u64::from(self.offset)]);
        self.axes.iter().try_fold(first, |product, axis| Ok(product * axis.at(z, assignment)?))
    }

    /// Largest row that it touches; `None` if it touches none.
    pub fn reach(&self) -> Option<u64> {
        self.axes.iter().try_fold(u64::from(self.offset), |row, axis| Some(row.saturating_add(axis.reach()?)))
    }

    /// Number of cells (with repetitions), saturating.
    pub fn size(&self) -> u64 {
        self.axes.iter().fold(1, |product, axis| {
            product
                .saturating_mul(axis.segments.iter().map(|s| u64::from(s.count)).fold(0, u64::saturating_add))
        })
    }

    /// Every row that it touches, first axis outermost.
    pub fn rows(&self) -> Vec<u64> {
        let mut rows = vec![u64::from(self.offset)];
        for axis in &self.axes {
            let runs = |base: u64| {
                axis.segments.iter().flat_map(move |s| {
                    (0..u64::from(s.count)).map(move |i| base + u64::from(s.start) + i * u64::from(s.step))
                })
            };
            rows = rows.into_iter().flat_map(runs).collect();
        }
        rows
    }

    /// Every cell with its monomial, first axis outermost. For checks; the provers never write monomials out.
    pub fn cells(&self) -> Vec<ViewCell> {
        let mut cells = vec![ViewCell { row: u64::from(self.offset), monomial: self.scale.clone() }];
        for axis in &self.axes {
            let mut next = Vec::new();
            for cell in &cells {
                for segment in &axis.segments {
                    let mut monomial = cell.monomial.times(&segment.scale);
                    for i in 0..u64::from(segment.count) {
                        let row = cell.row + u64::from(segment.start) + i * u64::from(segment.step);
                        next.push(ViewCell { row, monomial: monomial.clone() });
                        monomial = monomial.times(&segment.ratio);
                    }
                }
            }
            cells = next;
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_agree() {
        let view = View {
            column: 0,
            offset: 3,
            coefficient: -2,
            scale: Monomial::role(1, 4),
            axes: vec![
                Axis {
                    segments: vec![
                        Segment {
                            start: 1,
                            count: 3,
                            step: 5,
                            ratio: Monomial::role(0, 2),
                            scale: Monomial::fold(1),
                        },
                        Segment {
                            start: 0,
                            count: 2,
                            step: 7,
                            ratio: Monomial::one(),
                            scale: Monomial::one(),
                        },
                    ],
                },
                Axis::dense(4, 1, Monomial::role(1, 1)),
            ],
        };
        let assignment =
            Assignment { roles: vec![Fr::from(3), Fr::from(11)], fold: Fr::from(7), public: Fr::from(9) };
        let z = Fr::from(1234567);
        let written: Fr = view
            .cells()
            .iter()
            .map(|c| Fr::from(-2) * c.monomial.value(&assignment).unwrap() * z.pow([c.row]))
            .sum();
        assert_eq!(view.at(z, &assignment).unwrap(), written);
        assert_eq!(view.size(), 20);
        assert_eq!(view.reach(), view.cells().iter().map(|c| c.row).max());
        assert_eq!(Monomial::role(5, 1).value(&assignment), Err(UnknownVariable { index: 5 }));
    }

    #[test]
    fn monomials() {
        let m = Monomial::role(2, 3).times(&Monomial::fold(1)).times(&Monomial::role(0, 1));
        assert!(m.is_canonical());
        assert_eq!(m.exponent(Variable::Role { index: 2 }), 3);
        assert_eq!(m.raised(2).exponent(Variable::Fold {}), 2);
        assert_eq!(m.raised(0), Monomial::one());
        assert_eq!(m.without(Variable::Fold {}).exponent(Variable::Fold {}), 0);
        let bad = Monomial { powers: vec![Power { variable: Variable::Fold {}, exponent: 0 }] };
        assert!(!bad.is_canonical());
    }
}
