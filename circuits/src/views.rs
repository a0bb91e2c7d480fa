//! From a contiguous run of a flattened tensor to product views.
//!
//! A lane holds a run of a tensor's cells that may start and end in the middle of a row. A view is a product of axes, so such
//! a run is several of them: the rest of its first row, its full rows, the start of its last row, and the same again in each
//! further dimension.

use zkloom_plonkish::{Axis, Monomial, View};

/// One dimension of a tensor: its size, and the monomial that the index in it is the exponent of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Number of indices, at least one.
    pub size: u32,
    /// Factor from one index to the next.
    pub ratio: Monomial,
}

/// Consecutive cells of a flattened tensor, in consecutive rows of one tensor column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Tensor column, numbered among tensor columns.
    pub column: u32,
    /// Row of the run's first cell.
    pub row: u32,
    /// Row-major index of the run's first cell in the tensor.
    pub start: u32,
    /// Number of cells.
    pub length: u32,
}

/// Views that cover the run's cells once each; the cell with indices `i_d` bears the product of the `ratio_d^(i_d)`, and every
/// cell has the factor `coefficient`. At most `2 * dimensions.len() - 1` views; none for an empty run. The run must lie
/// inside the tensor.
pub fn run_views(dimensions: &[Dimension], run: Run, coefficient: i64) -> Vec<View> {
    let mut views = Vec::new();
    split(dimensions, run, &Monomial::one(), &mut views);
    for view in &mut views {
        view.coefficient = coefficient;
    }
    views
}

fn split(dimensions: &[Dimension], run: Run, scale: &Monomial, views: &mut Vec<View>) {
    if run.length == 0 {
        return;
    }
    let Some((outer, inner)) = dimensions.split_first() else {
        return views.push(single(run, scale, Vec::new()));
    };
    let stride =
        inner.iter().fold(1, |product: u32, dimension| product.saturating_mul(dimension.size)).max(1);
    // The monomial of one index in the outer dimension.
    let at = |index: u32| scale.times(&outer.ratio.raised(index));
    let (first, within) = (run.start / stride, run.start % stride);
    let head = if within == 0 { 0 } else { run.length.min(stride - within) };
    if head > 0 {
        split(inner, Run { start: within, length: head, ..run }, &at(first), views);
    }
    let first_full = first + u32::from(head > 0);
    let (full, tail) = ((run.length - head) / stride, (run.length - head) % stride);
    if full > 0 {
        let axes = axes(dimensions, full);
        views.push(single(Run { row: run.row + head, ..run }, &at(first_full), axes));
    }
    if tail > 0 {
        let row = run.row + head + full * stride;
        split(inner, Run { row, start: 0, length: tail, ..run }, &at(first_full + full), views);
    }
}

/// Axes of `count` full indices in the first dimension.
fn axes(dimensions: &[Dimension], count: u32) -> Vec<Axis> {
    let mut axes = Vec::with_capacity(dimensions.len());
    let mut step = 1_u32;
    for (position, dimension) in dimensions.iter().enumerate().rev() {
        let size = if position == 0 { count } else { dimension.size };
        axes.push(Axis::dense(size, step, dimension.ratio.clone()));
        step = step.saturating_mul(dimension.size);
    }
    axes.reverse();
    axes
}

fn single(run: Run, scale: &Monomial, axes: Vec<Axis>) -> View {
    View { column: run.column, offset: run.row, coefficient: 1, scale: scale.clone(), axes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions(sizes: &[u32]) -> Vec<Dimension> {
        (0..)
            .zip(sizes)
            .map(|(role, size)| Dimension { size: *size, ratio: Monomial::role(role, 1) })
            .collect()
    }

    /// Row and monomial of every cell of the run, straight from the definition.
    fn expected(sizes: &[u32], run: Run) -> Vec<(u64, Monomial)> {
        let cell = |i: u32| {
            let mut index = run.start + i;
            let mut monomial = Monomial::one();
            for (role, size) in (0..sizes.len() as u32).zip(sizes).rev() {
                monomial = monomial.times(&Monomial::role(role, index % size));
                index /= size;
            }
            (u64::from(run.row + i), monomial)
        };
        (0..run.length).map(cell).collect()
    }

    #[test]
    fn every_run_of_small_tensors() {
        for sizes in [&[7][..], &[3, 4], &[1, 5], &[5, 1], &[2, 3, 4], &[2, 1, 3, 2]] {
            let cells: u32 = sizes.iter().product();
            for start in 0..cells {
                for length in 0..=cells - start {
                    let run = Run { column: 3, row: 11, start, length };
                    let views = run_views(&dimensions(sizes), run, -2);
                    assert!(views.len() < 2 * sizes.len());
                    assert!(views.iter().all(|view| view.column == 3 && view.coefficient == -2));
                    let mut found: Vec<_> = views.iter().flat_map(View::cells).collect();
                    found.sort_by_key(|cell| cell.row);
                    let found: Vec<_> = found.into_iter().map(|cell| (cell.row, cell.monomial)).collect();
                    assert_eq!(found, expected(sizes, run), "{sizes:?} from {start}, {length} cells");
                }
            }
        }
    }

    #[test]
    fn full_rows_are_one_view() {
        let run = Run { column: 0, row: 5, start: 0, length: 12 };
        let views = run_views(&dimensions(&[3, 4]), run, 1);
        assert_eq!(views.len(), 1);
        assert_eq!(views[0].axes.len(), 2);
        assert_eq!(views[0].size(), 12);
    }

    #[test]
    fn a_scalar_has_no_axis() {
        let run = Run { column: 0, row: 5, start: 0, length: 1 };
        let views = run_views(&[], run, 4);
        assert_eq!(views.len(), 1);
        assert!(views[0].axes.is_empty());
        assert_eq!(views[0].rows(), [5]);
    }
}
