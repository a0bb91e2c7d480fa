//! Values of many views at one point. Layers repeat their axes (the same image rows, the same kernel, lane after lane), so an
//! axis is evaluated once, and powers come from tables of squares.

use std::collections::HashMap;

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};

use crate::field::{from_integer, geometric};
use crate::view::{Assignment, Axis, Monomial, UnknownVariable, Variable, View};

/// Squares of a base: its powers cost one multiplication for each bit that is set.
#[derive(Clone, Debug)]
struct PowerTable {
    squares: Vec<Fr>,
}

impl PowerTable {
    fn new(base: Fr) -> Self {
        Self { squares: vec![base] }
    }

    fn power(&mut self, exponent: u32) -> Fr {
        let mut product = Fr::one();
        for bit in 0..u32::BITS - exponent.leading_zeros() {
            while self.squares.len() <= bit as usize {
                let last = self.squares.last().copied().unwrap_or_else(Fr::one);
                self.squares.push(last.square());
            }
            if exponent >> bit & 1 == 1 {
                product *= self.squares.get(bit as usize).copied().unwrap_or_else(Fr::one);
            }
        }
        product
    }
}

/// Evaluates views at one point.
#[derive(Clone, Debug)]
pub struct ViewEvaluator<'a> {
    assignment: &'a Assignment,
    point: PowerTable,
    variables: HashMap<Variable, PowerTable>,
    axes: HashMap<&'a Axis, Fr>,
}

impl<'a> ViewEvaluator<'a> {
    /// An evaluator at `point`.
    pub fn new(assignment: &'a Assignment, point: Fr) -> Self {
        let (variables, axes) = (HashMap::new(), HashMap::new());
        Self { assignment, point: PowerTable::new(point), variables, axes }
    }

    /// The same as [`View::at`].
    ///
    /// # Errors
    /// [`UnknownVariable`] for an axis role that the assignment lacks.
    pub fn view(&mut self, view: &'a View) -> Result<Fr, UnknownVariable> {
        let mut value = from_integer(view.coefficient) * self.point.power(view.offset);
        if !view.scale.powers.is_empty() {
            value *= self.monomial(&view.scale)?;
        }
        for axis in &view.axes {
            value *= self.axis(axis)?;
        }
        Ok(value)
    }

    fn axis(&mut self, axis: &'a Axis) -> Result<Fr, UnknownVariable> {
        if let Some(value) = self.axes.get(axis) {
            return Ok(*value);
        }
        let mut sum = Fr::zero();
        for segment in &axis.segments {
            let ratio = self.monomial(&segment.ratio)? * self.point.power(segment.step);
            let first = self.monomial(&segment.scale)? * self.point.power(segment.start);
            sum += first * geometric(ratio, u64::from(segment.count));
        }
        self.axes.insert(axis, sum);
        Ok(sum)
    }

    /// Value of a monomial.
    ///
    /// # Errors
    /// [`UnknownVariable`] for an axis role that the assignment lacks.
    pub fn monomial(&mut self, monomial: &Monomial) -> Result<Fr, UnknownVariable> {
        let mut product = Fr::one();
        for power in &monomial.powers {
            let table = match self.variables.entry(power.variable) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(PowerTable::new(self.assignment.get(power.variable)?))
                }
            };
            product *= table.power(power.exponent);
        }
        Ok(product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Segment;

    #[test]
    fn the_same_values_as_one_by_one() {
        let assignment =
            Assignment { roles: vec![Fr::from(3), -Fr::from(11)], fold: Fr::from(7), public: Fr::from(9) };
        let segment = |start, count, step, role, fold| Segment {
            start,
            count,
            step,
            ratio: Monomial::role(role, 1),
            scale: Monomial::fold(fold).times(&Monomial::role(1 - role, 5)),
        };
        let shared = Axis { segments: vec![segment(0, 7, 2, 0, 0), segment(1, 6, 2, 0, 3)] };
        let views: Vec<View> = (0..5)
            .map(|index| View {
                column: 0,
                offset: index * 1000,
                coefficient: i64::from(index) - 2,
                scale: Monomial::role(index % 2, index),
                axes: vec![shared.clone(), Axis { segments: vec![segment(0, index, 40, 1, 1)] }],
            })
            .collect();
        let point = Fr::from(123_456_789_u64);
        let mut evaluator = ViewEvaluator::new(&assignment, point);
        for view in &views {
            assert_eq!(evaluator.view(view), view.at(point, &assignment));
        }
        assert_eq!(evaluator.monomial(&Monomial::role(2, 1)), Err(UnknownVariable { index: 2 }));
        assert_eq!(
            evaluator.monomial(&Monomial::fold(u32::MAX)),
            Monomial::fold(u32::MAX).value(&assignment)
        );
    }
}
