//! Readings: what a claim makes of a tensor's elements, written as views of the cells that hold them.
//!
//! A reading gives each element a monomial that is a product over the dimensions of the reader's shape. Along a dimension it is
//! geometric (a power for each index), or it is a list of segments, as a convolution's windows are: an index then bears the sum
//! of the segments' monomials. Patches and lanes cut the cells into boxes, each of which is one view.

use zkloom_plonkish::{Axis, Monomial, Segment, View};

use crate::patches::Patch;
use crate::radix::{Loop, Placement, place};

/// What a reading makes of the index along a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Along {
    /// Index i bears the i-th power.
    Geometric(Monomial),
    /// Index `start + k * step` bears `scale * ratio^k`, for each segment.
    Windows(Vec<Segment>),
}

/// One dimension of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadDimension {
    /// Number of indices.
    pub size: u32,
    /// What each bears.
    pub along: Along,
}

/// A reading of a whole tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The dimensions, outermost first; their sizes multiply to the tensor's elements.
    pub dimensions: Vec<ReadDimension>,
    /// Monomial that every element bears besides.
    pub scale: Monomial,
    /// Factor of every element.
    pub coefficient: i64,
    /// Whether each element bears several monomials at once.
    pub repeat: Option<Repeat>,
}

/// Every element bears the sum of its monomial times `ratio^i` for `i < count`: it meets so many columns of a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Number of monomials.
    pub count: u32,
    /// From one to the next.
    pub ratio: Monomial,
}

/// Consecutive cells of a block, in consecutive rows of one tensor column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Tensor column, numbered among tensor columns.
    pub column: u32,
    /// Row of the run's first cell.
    pub row: u32,
    /// Index of the run's first cell in the block.
    pub start: u32,
    /// Number of cells.
    pub length: u32,
}

/// A loop over cells with the monomials that its steps bear.
#[derive(Clone, Debug)]
struct ReadAxis {
    count: u64,
    stride: u64,
    segments: Vec<Step>,
}

/// Steps `start + k * step` of a loop bear `scale * ratio^k`.
#[derive(Clone, Debug)]
struct Step {
    start: u64,
    count: u64,
    step: u64,
    ratio: Monomial,
    scale: Monomial,
}

/// Most times that a window may read a cell along one dimension because the image is enlarged.
const MAX_REPEATS: u64 = 16;

/// First step of a loop, and the one behind the last.
type StepRange = (u64, u64);

/// A patch under a reading: a product of loops over cells, not cut into lanes yet.
#[derive(Clone, Debug)]
pub struct Factored {
    cell: u64,
    coefficient: i64,
    scale: Monomial,
    axes: Vec<ReadAxis>,
}

impl Reading {
    /// The patch's elements under this reading, as a product of loops; nothing if they are none, or a number is too large.
    pub fn factor(&self, patch: &Patch) -> Option<Factored> {
        let sizes: Vec<u32> = self.dimensions.iter().map(|dimension| dimension.size).collect();
        let loops = patch.axes.iter().map(|axis| Loop {
            count: u64::from(axis.count),
            stride: u64::from(axis.tensor_stride),
            other: u64::from(axis.cell_stride),
        });
        let placed = place(u64::from(patch.tensor_start), loops, &sizes)?;
        let mut factored = Factored {
            cell: u64::from(patch.cell_start),
            coefficient: patch.coefficient.checked_mul(self.coefficient)?,
            scale: self.scale.clone(),
            axes: Vec::new(),
        };
        for sum in &placed.free {
            factored.push(sum, dense(sum.count, Monomial::one()));
        }
        if let Some(Repeat { count, ratio }) = &self.repeat {
            let axis = Loop { count: u64::from(*count), stride: 0, other: 0 };
            factored.push(&axis, dense(axis.count, ratio.clone()));
        }
        for (dimension, placement) in self.dimensions.iter().zip(&placed.dimensions) {
            match &dimension.along {
                Along::Geometric(ratio) => {
                    let start = u32::try_from(placement.start).ok()?;
                    factored.scale = factored.scale.times(&ratio.raised(start));
                    for axis in &placement.loops {
                        let ratio = ratio.raised(u32::try_from(axis.stride).ok()?);
                        factored.push(axis, dense(axis.count, ratio));
                    }
                }
                Along::Windows(segments) => factored.windows(segments, placement)?,
            }
        }
        factored.axes.sort_by_key(|axis| core::cmp::Reverse(axis.stride));
        Some(factored)
    }
}

fn dense(count: u64, ratio: Monomial) -> Vec<Step> {
    vec![Step { start: 0, count, step: 1, ratio, scale: Monomial::one() }]
}

impl Factored {
    fn push(&mut self, axis: &Loop, segments: Vec<Step>) {
        self.axes.push(ReadAxis { count: axis.count, stride: axis.other, segments });
    }

    /// Segments along a dimension in which the patch has at most one loop over cells. Beside it there may be loops that stay on a
    /// cell, as in an enlarged image: each of their steps reads the cells once more, from another index on.
    fn windows(&mut self, segments: &[Segment], placement: &Placement) -> Option<()> {
        let (still, moving): (Vec<Loop>, Vec<Loop>) =
            placement.loops.iter().partition(|axis| axis.other == 0 && placement.loops.len() > 1);
        let axis = match moving.as_slice() {
            [] => Loop { count: 1, stride: 1, other: 0 },
            [axis] => *axis,
            _ => return None,
        };
        let mut starts = vec![placement.start];
        for repeat in still {
            if repeat.count.saturating_mul(starts.len() as u64) > MAX_REPEATS {
                return None;
            }
            let steps = |start: &u64| (0..repeat.count).map(|step| start + step * repeat.stride).collect();
            starts = starts.iter().flat_map::<Vec<u64>, _>(steps).collect();
        }
        let mut steps = Vec::with_capacity(starts.len() * segments.len());
        for start in starts {
            steps.extend(window_steps(segments, start, &axis)?);
        }
        self.push(&axis, steps);
        Some(())
    }

    /// Adds the views of the part that lies in a run.
    pub fn views(&self, run: &Run, views: &mut Vec<View>) {
        let low = i64::from(run.start) - self.cell as i64;
        let mut ranges = Vec::with_capacity(self.axes.len());
        self.cut(&self.axes, (low, low + i64::from(run.length)), &mut ranges, &mut |ranges| {
            views.extend(self.view(run, ranges));
        });
    }

    /// Calls `found` with boxes of loop ranges that together are the index vectors whose cells lie in `low .. high`.
    fn cut(
        &self,
        axes: &[ReadAxis],
        (low, high): (i64, i64),
        ranges: &mut Vec<(u64, u64)>,
        found: &mut dyn FnMut(&[StepRange]),
    ) {
        let reach: i64 = axes.iter().map(|axis| (axis.stride * (axis.count - 1)) as i64).sum();
        if high <= 0 || low > reach {
            return;
        }
        if low <= 0 && high > reach {
            let depth = ranges.len();
            ranges.extend(axes.iter().map(|axis| (0, axis.count)));
            found(ranges);
            ranges.truncate(depth);
            return;
        }
        let Some((axis, inner)) = axes.split_first() else { return };
        let (stride, count) = (axis.stride as i64, axis.count as i64);
        let inner_reach = reach - stride * (count - 1);
        // Steps whose whole inner range lies inside; stride is positive, since the range depends on this loop or none.
        let (first, behind) = if stride == 0 {
            (0, 0)
        } else {
            let first = low.max(0).div_ceil_positive(stride);
            let behind = if high > inner_reach { (high - 1 - inner_reach) / stride + 1 } else { 0 };
            (first.min(count), behind.clamp(0, count))
        };
        let whole = first..behind.max(first);
        if !whole.is_empty() {
            let depth = ranges.len();
            ranges.push((whole.start as u64, whole.end as u64));
            ranges.extend(inner.iter().map(|axis| (0, axis.count)));
            found(ranges);
            ranges.truncate(depth);
        }
        // Of the other steps, those that reach into the range.
        let (from, to) = if stride == 0 {
            (0, count)
        } else {
            ((low - inner_reach).max(0).div_ceil_positive(stride), ((high - 1) / stride + 1).min(count))
        };
        for step in (from..to).filter(|step| !whole.contains(step)) {
            let at = step * stride;
            ranges.push((step as u64, step as u64 + 1));
            self.cut(inner, (low - at, high - at), ranges, found);
            ranges.pop();
        }
    }

    /// The view of a box of loop ranges; nothing if no cell of it bears anything.
    fn view(&self, run: &Run, ranges: &[(u64, u64)]) -> Option<View> {
        let (mut cell, mut scale) = (self.cell, self.scale.clone());
        let mut axes = Vec::with_capacity(self.axes.len());
        for (axis, &(first, behind)) in self.axes.iter().zip(ranges) {
            cell += axis.stride * first;
            let mut segments: Vec<Segment> = axis
                .segments
                .iter()
                .filter_map(|step| restricted(step, (first, behind), axis.stride))
                .collect();
            match segments.as_mut_slice() {
                [] => return None,
                [only] => {
                    scale = scale.times(&only.scale);
                    only.scale = Monomial::one();
                    cell += u64::from(only.start);
                    only.start = 0;
                    if only.count == 1 {
                        continue;
                    }
                }
                _ => {}
            }
            axes.push(Axis { segments });
        }
        let offset = u64::from(run.row) + cell - u64::from(run.start);
        Some(View { column: run.column, offset: offset as u32, coefficient: self.coefficient, scale, axes })
    }
}

/// The steps of a loop from index `low` on that segments reach; nothing if these are no segments.
fn window_steps(segments: &[Segment], low: u64, axis: &Loop) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(segments.len());
    for segment in segments.iter().filter(|segment| segment.count > 0) {
        let (start, step) = (u64::from(segment.start), u64::from(segment.step).max(1));
        let (stride, count) = (axis.stride, u64::from(segment.count));
        // Where the strides do not divide one another, what loop and segment share is no progression of both.
        if step.is_multiple_of(stride) {
            if !start.abs_diff(low).is_multiple_of(stride) {
                continue;
            }
            // Indices of the segment that the loop reaches.
            let end = low + stride * (axis.count - 1) + 1;
            let first = low.saturating_sub(start).div_ceil(step);
            let behind = end.saturating_sub(start).div_ceil(step).min(count);
            if first < behind {
                let scale = segment.scale.times(&segment.ratio.raised(u32::try_from(first).ok()?));
                let (start, step) = ((start + first * step - low) / stride, step / stride);
                steps.push(Step { start, count: behind - first, step, ratio: segment.ratio.clone(), scale });
            }
        } else if stride.is_multiple_of(step) {
            if !start.abs_diff(low).is_multiple_of(step) {
                continue;
            }
            // Steps of the loop that the segment reaches.
            let first = start.saturating_sub(low).div_ceil(stride);
            let end = start + step * (count - 1) + 1;
            let behind = end.saturating_sub(low).div_ceil(stride).min(axis.count);
            if first < behind {
                let ahead = u32::try_from((low + first * stride - start) / step).ok()?;
                let ratio = segment.ratio.raised(u32::try_from(stride / step).ok()?);
                let scale = segment.scale.times(&segment.ratio.raised(ahead));
                steps.push(Step { start: first, count: behind - first, step: 1, ratio, scale });
            }
        } else {
            return None;
        }
    }
    Some(steps)
}

/// The part of a segment that lies in a range of steps, in cells from the range's first.
fn restricted(step: &Step, (first, behind): (u64, u64), stride: u64) -> Option<Segment> {
    let from = first.saturating_sub(step.start).div_ceil(step.step);
    let to = behind.saturating_sub(step.start).div_ceil(step.step).min(step.count);
    let start = step.start + from * step.step;
    (from < to).then(|| Segment {
        start: ((start - first) * stride) as u32,
        count: (to - from) as u32,
        step: (step.step * stride) as u32,
        ratio: step.ratio.clone(),
        scale: step.scale.times(&step.ratio.raised(from as u32)),
    })
}

/// Division of numbers that are not negative, rounded up.
trait DivideUp {
    fn div_ceil_positive(self, by: Self) -> Self;
}

impl DivideUp for i64 {
    fn div_ceil_positive(self, by: i64) -> i64 {
        (self + by - 1) / by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patches::{Part, PatchAxis};
    use std::collections::BTreeMap;

    type Cells = BTreeMap<u64, Vec<(i64, Vec<u32>)>>;

    const ROLES: [u32; 3] = [0, 1, 2];

    fn exponents(monomial: &Monomial) -> Vec<u32> {
        let role = |index: &u32| monomial.exponent(zkloom_plonkish::Variable::Role { index: *index });
        ROLES.iter().map(role).chain([monomial.exponent(zkloom_plonkish::Variable::Fold {})]).collect()
    }

    fn add(cells: &mut Cells, row: u64, coefficient: i64, monomial: &Monomial) {
        cells.entry(row).or_default().push((coefficient, exponents(monomial)));
    }

    fn sorted(mut cells: Cells) -> Cells {
        cells.values_mut().for_each(|list| list.sort());
        cells
    }

    /// Monomials of an index along a dimension, from the definition.
    fn along(dimension: &ReadDimension, index: u32) -> Vec<Monomial> {
        match &dimension.along {
            Along::Geometric(ratio) => vec![ratio.raised(index)],
            Along::Windows(segments) => {
                let of = |s: &Segment| {
                    let ahead = index.checked_sub(s.start)?;
                    let k = ahead / s.step.max(1);
                    (ahead.is_multiple_of(s.step.max(1)) && k < s.count)
                        .then(|| s.scale.times(&s.ratio.raised(k)))
                };
                segments.iter().filter_map(of).collect()
            }
        }
    }

    fn expected(reading: &Reading, patch: &Patch, runs: &[Run]) -> Cells {
        let mut cells = Cells::new();
        patch.for_each(|element, cell| {
            let mut monomials = vec![reading.scale.clone()];
            let mut rest = element as u32;
            for dimension in reading.dimensions.iter().rev() {
                let found = along(dimension, rest % dimension.size);
                monomials = monomials.iter().flat_map(|m| found.iter().map(|f| m.times(f))).collect();
                rest /= dimension.size;
            }
            for run in runs.iter().filter(|run| (run.start..run.start + run.length).contains(&(cell as u32)))
            {
                let row = u64::from(run.column) * 1_000_000 + u64::from(run.row + cell as u32 - run.start);
                monomials
                    .iter()
                    .for_each(|m| add(&mut cells, row, patch.coefficient * reading.coefficient, m));
            }
        });
        sorted(cells)
    }

    fn found(factored: &Factored, runs: &[Run]) -> (Cells, usize) {
        let (mut cells, mut count) = (Cells::new(), 0);
        for run in runs {
            let mut views = Vec::new();
            factored.views(run, &mut views);
            count += views.len();
            for view in &views {
                assert!(view.offset >= run.row && view.reach().unwrap() < u64::from(run.row + run.length));
                for cell in view.cells() {
                    add(
                        &mut cells,
                        u64::from(view.column) * 1_000_000 + cell.row,
                        view.coefficient,
                        &cell.monomial,
                    );
                }
            }
        }
        (sorted(cells), count)
    }

    fn runs(cells: u32, height: u32) -> Vec<Run> {
        let run = |lane: u32| Run {
            column: 2 * lane,
            row: 100,
            start: lane * height,
            length: height.min(cells.saturating_sub(lane * height)),
        };
        (0..cells.div_ceil(height)).map(run).collect()
    }

    fn geometric(size: u32, ratio: Monomial) -> ReadDimension {
        ReadDimension { size, along: Along::Geometric(ratio) }
    }

    fn windows(size: u32, kernel: u32, stride: u32, padding: u32, role: u32) -> ReadDimension {
        let window = zkloom_model::convolution::Window {
            kernel: kernel as usize,
            stride: stride as usize,
            dilation: 1,
            pad_begin: padding as usize,
            pad_end: padding as usize,
        };
        let segment = |offset: u32| {
            let tap = window.tap(offset as usize, size as usize);
            Segment {
                start: tap.input as u32,
                count: tap.count as u32,
                step: stride,
                ratio: Monomial::role(role, 1),
                scale: Monomial::role(role, tap.output as u32).times(&Monomial::fold(offset)),
            }
        };
        ReadDimension { size, along: Along::Windows((0..kernel).map(segment).collect()) }
    }

    #[test]
    fn every_cell_bears_what_the_reading_says() {
        let axis = |count, tensor_stride, cell_stride| PatchAxis { count, tensor_stride, cell_stride };
        let patch = |tensor_start, cell_start, axes: Vec<PatchAxis>| Patch {
            block: 0,
            part: Part::Activation,
            coefficient: 3,
            tensor_start,
            cell_start,
            axes,
        };
        let patches = [
            Patch::whole(0, Part::Activation, 210),
            patch(0, 0, vec![axis(42, 5, 1), axis(5, 1, 42)]),
            patch(35, 7, vec![axis(5, 35, 35), axis(35, 1, 1)]),
            patch(1, 1, vec![axis(6, 35, 35), axis(7, 5, 5), axis(2, 2, 2)]),
            patch(0, 3, vec![axis(3, 0, 60), axis(6, 35, 10), axis(7, 5, 0), axis(5, 1, 2)]),
            // Four rows of an image, each twice but for the last, and each pixel of a row three times.
            patch(0, 0, vec![axis(6, 35, 35), axis(3, 10, 7), axis(2, 5, 0), axis(5, 1, 1)]),
            patch(30, 21, vec![axis(5, 35, 35), axis(2, 1, 1), axis(2, 2, 0)]),
        ];
        let readings = [
            vec![geometric(210, Monomial::role(0, 1))],
            vec![geometric(6, Monomial::fold(9)), windows(7, 3, 1, 1, 1), windows(5, 3, 1, 1, 2)],
            vec![geometric(6, Monomial::fold(4)), windows(7, 2, 2, 0, 1), windows(5, 1, 2, 0, 2)],
            vec![
                geometric(2, Monomial::role(0, 1).times(&Monomial::fold(27))),
                geometric(3, Monomial::fold(9)),
                windows(7, 5, 3, 4, 1),
                geometric(5, Monomial::role(2, 1)),
            ],
        ];
        let mut checked = 0;
        for dimensions in readings {
            let reading = Reading { dimensions, scale: Monomial::fold(2), coefficient: -1, repeat: None };
            for patch in &patches {
                let Some(factored) = reading.factor(patch) else { continue };
                for height in [210, 105, 70, 53, 35, 27, 1] {
                    let runs = runs(210, height);
                    let (cells, count) = found(&factored, &runs);
                    assert_eq!(cells, expected(&reading, patch, &runs), "{reading:?} {patch:?} {height}");
                    assert_eq!(count == 0, cells.is_empty());
                    checked += count.min(1);
                }
            }
        }
        assert!(checked >= 100, "{checked}");
    }

    #[test]
    fn lanes_of_whole_rows_are_one_view_each() {
        let dimensions =
            vec![geometric(6, Monomial::fold(9)), windows(7, 3, 1, 1, 1), windows(5, 3, 1, 1, 2)];
        let reading = Reading { dimensions, scale: Monomial::one(), coefficient: 1, repeat: None };
        let factored = reading.factor(&Patch::whole(0, Part::Activation, 210)).unwrap();
        assert_eq!(found(&factored, &runs(210, 105)).1, 2);
        assert_eq!(found(&factored, &runs(210, 35)).1, 6);
    }
}
