//! Optimal brain surgery, column by column: a weight that goes is made up for by those behind it in its row and by the bias.
//!
//! With `H` the damped Hessian of a group and `H^-1 = U^T U`, `U` upper triangular, row `j` of `U` is, up to its own factor, what
//! removing weight `j` asks of the weights behind it when those before it are settled; removing it costs `(w / U[j][j])^2`.

use rayon::prelude::*;

use super::select::{block_zeros, share, smallest, target};
use super::{Fallback, Pattern};
use crate::float_graph::FloatMatrix;

/// Columns whose zeros are chosen at once.
const BLOCK: usize = 128;

/// Weights and bias of one group's rows, the bias as the last column.
struct Rows {
    values: Vec<f64>,
    /// Columns with the bias.
    width: usize,
    /// Weights that were zero from the start.
    zeros: Vec<bool>,
}

/// Prunes a layer.
///
/// # Errors
/// Why it cannot: then nothing has changed.
pub(super) fn prune(
    (weights, bias): (&mut FloatMatrix, &mut [f32]),
    hessians: &[Vec<f64>],
    pattern: Pattern,
    (sparsity, damping): (f64, f64),
) -> Result<(), Fallback> {
    let (groups, columns) = (hessians.len(), weights.columns);
    let per_group = weights.rows / groups;
    let factors: Vec<Vec<f64>> =
        hessians.iter().map(|hessian| factor(hessian, columns + 1, damping)).collect::<Result<_, _>>()?;
    let total = target(sparsity, weights.values.len());
    for (group, factor) in factors.iter().enumerate() {
        let first = group * per_group;
        let own = &mut weights.values[first * columns..][..per_group * columns];
        let own_bias = &mut bias[first..][..per_group];
        let mut rows = Rows::of(own, own_bias, columns);
        match pattern {
            Pattern::Blocks { zeros, of } => rows.blocks(factor, (zeros, of)),
            _ => rows.any(factor, share(total, group, groups)),
        }
        for (row, values) in rows.values.chunks(columns + 1).enumerate() {
            let kept = own[row * columns..][..columns].iter_mut();
            kept.zip(values).for_each(|(weight, &value)| *weight = value as f32);
            own_bias[row] = values[columns] as f32;
        }
    }
    Ok(())
}

/// `U`, row-major with its lower triangle zero.
fn factor(hessian: &[f64], width: usize, damping: f64) -> Result<Vec<f64>, Fallback> {
    let mean = (0..width - 1).map(|at| hessian[at * width + at]).sum::<f64>() / (width - 1) as f64;
    if mean <= 0.0 {
        return Err(Fallback::NoInput);
    }
    // From the last column to the first: H = R R^T with R upper triangular, as the lower factor of H turned around.
    let mut lower = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..=row {
            let (high, low) = (width - 1 - column, width - 1 - row);
            let own = hessian[high.max(low) * width + high.min(low)];
            let (left, right) = (&lower[row * width..][..column], &lower[column * width..][..column]);
            let inner: f64 = left.iter().zip(right).map(|(left, right)| left * right).sum();
            let rest = own - inner + if row == column { damping * mean } else { 0.0 };
            if row != column {
                lower[row * width + column] = rest / lower[column * width + column];
            } else if rest > 0.0 && rest.is_finite() {
                lower[row * width + row] = rest.sqrt();
            } else {
                return Err(Fallback::Singular);
            }
        }
    }
    // The inverse of the lower factor; turned around it is U.
    let columns: Vec<Vec<f64>> =
        (0..width).into_par_iter().map(|column| solve(&lower, width, column)).collect();
    let mut upper = vec![0.0; width * width];
    for (column, values) in columns.iter().enumerate() {
        for (row, value) in values.iter().enumerate() {
            upper[(width - 1 - row - column) * width + width - 1 - column] = *value;
        }
    }
    Ok(upper)
}

/// Column `column` of the inverse of a lower triangular matrix, from the diagonal down.
fn solve(lower: &[f64], width: usize, column: usize) -> Vec<f64> {
    let mut solution = Vec::with_capacity(width - column);
    for row in column..width {
        let line = &lower[row * width..][..=row];
        let inner: f64 = line[column..row].iter().zip(&solution).map(|(left, right)| left * right).sum();
        let unit = if row == column { 1.0 } else { 0.0 };
        solution.push((unit - inner) / line[row]);
    }
    solution
}

/// For each column what it contributes that the others and the bias cannot make up for: one over the diagonal of the inverse
/// Hessian, all groups' one after the other.
///
/// # Errors
/// Why there is no inverse.
pub(super) fn unique_energy(
    hessians: &[Vec<f64>],
    columns: usize,
    damping: f64,
) -> Result<Vec<f64>, Fallback> {
    let width = columns + 1;
    let mut energies = Vec::with_capacity(hessians.len() * columns);
    for hessian in hessians {
        let upper = factor(hessian, width, damping)?;
        let inverse =
            |column: usize| (0..=column).map(|row| upper[row * width + column].powi(2)).sum::<f64>();
        energies.extend((0..columns).map(|column| 1.0 / inverse(column)));
    }
    Ok(energies)
}

/// Makes up for columns that are to be removed, `gone` for each column of each group; they become zero.
///
/// # Errors
/// Why it cannot: then nothing has changed.
pub(super) fn compensate(
    (weights, bias): (&mut FloatMatrix, &mut [f32]),
    hessians: &[Vec<f64>],
    gone: &[bool],
    damping: f64,
) -> Result<(), Fallback> {
    let (columns, width) = (weights.columns, weights.columns + 1);
    let per_group = weights.rows / hessians.len();
    let mut settled = Vec::with_capacity(hessians.len());
    for (group, (hessian, gone)) in hessians.iter().zip(gone.chunks(columns)).enumerate() {
        // With the columns that go in front, all others make up for them.
        let mut order: Vec<usize> = (0..columns).filter(|&column| gone[column]).collect();
        let count = order.len();
        order.extend((0..columns).filter(|&column| !gone[column]).chain([columns]));
        let mut turned = vec![0.0; width * width];
        for (row, &own) in order.iter().enumerate() {
            for (column, &other) in order.iter().enumerate().take(row + 1) {
                turned[row * width + column] = hessian[own.max(other) * width + own.min(other)];
            }
        }
        let upper = factor(&turned, width, damping)?;
        let first = group * per_group;
        let own = &weights.values[first * columns..][..per_group * columns];
        let mut rows = Rows::of(own, &bias[first..][..per_group], columns);
        for row in rows.values.chunks_mut(width) {
            let values: Vec<f64> = order.iter().map(|&column| row[column]).collect();
            row.copy_from_slice(&values);
        }
        if count > 0 {
            rows.settle(&upper, (0, count), &vec![true; per_group * count]);
        }
        settled.push((order, rows));
    }
    for (group, (order, rows)) in settled.into_iter().enumerate() {
        for (index, values) in rows.values.chunks(width).enumerate() {
            let row = group * per_group + index;
            for (&column, &value) in order.iter().zip(values) {
                let place = if column == columns {
                    &mut bias[row]
                } else {
                    &mut weights.values[row * columns + column]
                };
                *place = value as f32;
            }
        }
    }
    Ok(())
}

impl Rows {
    fn of(weights: &[f32], bias: &[f32], columns: usize) -> Self {
        let rows = weights.chunks(columns).zip(bias);
        let values = rows.flat_map(|(row, &bias)| row.iter().copied().chain([bias]).map(f64::from)).collect();
        Self { values, width: columns + 1, zeros: weights.iter().map(|&weight| weight == 0.0).collect() }
    }

    /// Removes the weights of the columns from `start` on that `gone` names, row after row.
    fn settle(&mut self, upper: &[f64], (start, end): (usize, usize), gone: &[bool]) {
        let (width, length) = (self.width, end - start);
        let rows = self.values.par_chunks_mut(width).zip(gone.par_chunks(length));
        rows.for_each(|(row, gone)| {
            for column in (start..end).filter(|column| gone[column - start]) {
                let line = &upper[column * width + column..][..width - column];
                let error = row[column] / line[0];
                row[column..].iter_mut().zip(line).for_each(|(value, factor)| *value -= error * factor);
                row[column] = 0.0;
            }
        });
    }

    /// What the weights of a row's columns cost, for a choice among them: zeros from the start come first.
    fn costs(&self, upper: &[f64], row: usize, (start, end): (usize, usize)) -> (Vec<f32>, Vec<f64>) {
        let columns = start..end;
        let zero = |column: usize| self.zeros[row * (self.width - 1) + column];
        let marks = columns.clone().map(|column| if zero(column) { 0.0 } else { 1.0 }).collect();
        let cost = |column: usize| {
            let ratio = self.values[row * self.width + column] / upper[column * self.width + column];
            ratio * ratio
        };
        (marks, columns.map(cost).collect())
    }

    /// `total` zeros wherever they cost least, chosen for some columns of all rows at a time.
    fn any(&mut self, upper: &[f64], total: usize) {
        let columns = self.width - 1;
        let rows = self.values.len() / self.width;
        // Zeros from the start are settled; the rest is spread over what is not zero yet.
        let given = self.zeros.iter().filter(|&&zero| zero).count();
        let (open, wanted) = (self.zeros.len() - given, total.saturating_sub(given));
        let mut seen = 0;
        for start in (0..columns).step_by(BLOCK) {
            let end = columns.min(start + BLOCK);
            let (mut marks, mut costs) = (Vec::new(), Vec::new());
            for row in 0..rows {
                let (own_marks, own_costs) = self.costs(upper, row, (start, end));
                marks.extend(own_marks);
                costs.extend(own_costs);
            }
            let fresh = marks.iter().filter(|&&mark| mark != 0.0).count();
            let before = (seen * wanted).checked_div(open).unwrap_or(0);
            seen += fresh;
            let here = (seen * wanted).checked_div(open).unwrap_or(0) - before + marks.len() - fresh;
            let mut gone = vec![false; marks.len()];
            smallest(&marks, |at| costs[at], here).into_iter().for_each(|at| gone[at] = true);
            self.settle(upper, (start, end), &gone);
        }
    }

    /// So many zeros in each block of each row, and all that were there.
    fn blocks(&mut self, upper: &[f64], (zeros, of): (usize, usize)) {
        let columns = self.width - 1;
        let rows = self.values.len() / self.width;
        for start in (0..columns).step_by(of) {
            let end = columns.min(start.saturating_add(of));
            let mut gone = Vec::with_capacity(rows * (end - start));
            for row in 0..rows {
                let (marks, costs) = self.costs(upper, row, (start, end));
                let given = marks.iter().filter(|&&mark| mark == 0.0).count();
                let count = given.max(block_zeros((zeros, of), end - start));
                let mut own = vec![false; marks.len()];
                smallest(&marks, |at| costs[at], count).into_iter().for_each(|at| own[at] = true);
                gone.extend(own);
            }
            self.settle(upper, (start, end), &gone);
        }
    }
}
