//! Geometric boxes: written out into a vector, and as weights of a contraction.
//!
//! A box is walked axis by axis. Work is shared out by ranges of a coordinate: a walk is told which positions (or which
//! output indices) it may touch and skips, by arithmetic, all runs that lie outside, so that no two tasks write the same
//! entry.

#[cfg(target_arch = "x86_64")]
mod lanes;

use core::ops::Range;

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use self::lanes::{Line, Powers};
#[cfg(target_arch = "x86_64")]
use super::polynomial::lanes::evaluate;
use super::simd::Tier;
use super::{GRAIN, piece_length};
use crate::geometry::{Coordinate, GeometricBox, Segment, axis_extent, entries};
use crate::shape::{self, Result};

/// Sums of neighbours from this length on are done in two chains of lanes.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 128;

/// Adds boxes, written out, to a vector.
///
/// # Errors
/// If a position lies outside the target.
pub fn expand(tier: Tier, target: &mut [Fr], boxes: &[GeometricBox]) -> Result<()> {
    shape::boxes("expand_boxes", boxes, Coordinate::Position, target.len())?;
    let boxes: Vec<Walk> = boxes.iter().filter_map(|geometric| Walk::new(tier, geometric, false)).collect();
    let Some((low, high)) = extent(&boxes, Coordinate::Position) else {
        return Ok(());
    };
    let piece = piece_length(high + 1 - low, 2, GRAIN);
    target[low..=high].par_chunks_mut(piece).enumerate().for_each(|(index, part)| {
        let start = low + index * piece;
        for walk in &boxes {
            walk.visit(Coordinate::Position, start..start + part.len(), &mut |run| {
                expand_run(tier, part, start, &run);
            });
        }
    });
    Ok(())
}

fn expand_run(tier: Tier, target: &mut [Fr], start: usize, run: &Run<'_>) {
    #[cfg(target_arch = "x86_64")]
    if let (Tier::Ifma(proof), Some(powers), 1..) = (tier, run.powers, run.position_step) {
        let target = Line { entries: &mut target[run.position - start..], step: run.position_step };
        return lanes::add_run(proof, target, run.count, (&run.factor, powers), None);
    }
    let mut factor = run.factor;
    for entry in 0..run.count {
        target[run.position + entry * run.position_step - start] += factor;
        if !run.ratio.is_one() {
            factor *= run.ratio;
        }
    }
}

/// For every position of every box: `target[output index] += factor * source[position]`.
///
/// # Errors
/// If a position lies outside the source or an output index outside the target.
pub fn contract(tier: Tier, target: &mut [Fr], source: &[Fr], boxes: &[GeometricBox]) -> Result<()> {
    shape::boxes("contract_boxes", boxes, Coordinate::Position, source.len())?;
    shape::boxes("contract_boxes", boxes, Coordinate::Output, target.len())?;
    let volume = boxes.iter().fold(0usize, |sum, geometric| sum.saturating_add(geometric.volume()));
    let boxes: Vec<Walk> = boxes.iter().filter_map(|geometric| Walk::new(tier, geometric, true)).collect();
    let (Some((low, high)), Some((first, last))) =
        (extent(&boxes, Coordinate::Output), extent(&boxes, Coordinate::Position))
    else {
        return Ok(());
    };
    let target = &mut target[low..=high];
    let source = Source { tier, values: source };
    let threads = rayon::current_num_threads();
    if threads == 1 || volume < GRAIN {
        contract_part(target, low, &source, &boxes, (Coordinate::Output, low..high + 1));
    } else if target.len().saturating_mul(4 * threads) <= volume {
        // Few outputs: each task takes a range of the source and sums into a vector of its own.
        let piece = piece_length(last + 1 - first, 2, GRAIN);
        let starts: Vec<usize> = (first..=last).step_by(piece).collect();
        let sums = starts.into_par_iter().map(|start| {
            let mut sum = vec![Fr::zero(); target.len()];
            contract_part(&mut sum, low, &source, &boxes, (Coordinate::Position, start..start + piece));
            sum
        });
        for sum in sums.collect::<Vec<_>>() {
            target.iter_mut().zip(&sum).for_each(|(total, value)| *total += value);
        }
    } else {
        let piece = piece_length(target.len(), 4, 1);
        target.par_chunks_mut(piece).enumerate().for_each(|(index, part)| {
            let start = low + index * piece;
            let range = start..start + part.len();
            contract_part(part, start, &source, &boxes, (Coordinate::Output, range));
        });
    }
    Ok(())
}

/// What is contracted, and at which tier.
struct Source<'a> {
    tier: Tier,
    values: &'a [Fr],
}

/// The contraction over one range of a coordinate; `target` starts at output index `start`.
fn contract_part(
    target: &mut [Fr],
    start: usize,
    source: &Source<'_>,
    boxes: &[Walk],
    (coordinate, range): (Coordinate, Range<usize>),
) {
    for walk in boxes {
        walk.visit(coordinate, range.clone(), &mut |run| contract_run(target, start, source, &run));
    }
}

fn contract_run(target: &mut [Fr], start: usize, source: &Source<'_>, run: &Run<'_>) {
    #[cfg(target_arch = "x86_64")]
    if let (Tier::Ifma(proof), Some(powers)) = (source.tier, run.powers) {
        let entries = Line { entries: &source.values[run.position..], step: run.position_step };
        let target = &mut target[run.output - start..];
        if run.output_step > 0 {
            let target = Line { entries: target, step: run.output_step };
            lanes::add_run(proof, target, run.count, (&run.factor, powers), Some(entries));
        } else if run.position_step == 1 && run.count >= LONG {
            target[0] += run.factor * evaluate(proof, &entries.entries[..run.count], run.ratio);
        } else {
            target[0] += run.factor * lanes::weighted_sum(proof, entries, run.count, powers);
        }
        return;
    }
    let read = |entry: usize| source.values[run.position + entry * run.position_step];
    if run.output_step == 0 {
        let sum = if run.ratio.is_one() {
            (0..run.count).map(read).sum::<Fr>()
        } else {
            (0..run.count).rev().fold(Fr::zero(), |sum, entry| sum * run.ratio + read(entry))
        };
        target[run.output - start] += run.factor * sum;
        return;
    }
    let mut factor = run.factor;
    for entry in 0..run.count {
        target[run.output + entry * run.output_step - start] += factor * read(entry);
        if !run.ratio.is_one() {
            factor *= run.ratio;
        }
    }
}

fn extent(boxes: &[Walk], coordinate: Coordinate) -> Option<(usize, usize)> {
    let extents = boxes.iter().filter_map(|walk| walk.geometric.extent(coordinate));
    extents.reduce(|(low, high), (other_low, other_high)| (low.min(other_low), high.max(other_high)))
}

/// A part of a segment of the innermost axis, with all outer axes' entries chosen.
struct Run<'a> {
    position: usize,
    position_step: usize,
    output: usize,
    output_step: usize,
    count: usize,
    factor: Fr,
    ratio: Fr,
    /// First powers of the ratio, where the run is to be done in lanes.
    #[cfg(target_arch = "x86_64")]
    powers: Option<&'a Powers>,
    #[cfg(not(target_arch = "x86_64"))]
    powers: core::marker::PhantomData<&'a ()>,
}

/// A box with its axes in the order in which they are walked.
struct Walk<'a> {
    geometric: &'a GeometricBox,
    axes: Vec<&'a [Segment]>,
    /// For each segment of the innermost axis, in a vector tier.
    #[cfg(target_arch = "x86_64")]
    powers: Vec<Powers>,
}

/// What a walk may touch.
struct Bounds {
    coordinate: Coordinate,
    range: Range<usize>,
    /// For each axis, the extent of all axes inside it, in the coordinate.
    inner: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    /// Nothing for a box that has no entries or only zeros.
    fn new(tier: Tier, geometric: &'a GeometricBox, contraction: bool) -> Option<Self> {
        geometric.extent(Coordinate::Position)?;
        if geometric.scale.is_zero() {
            return None;
        }
        let mut axes: Vec<&[Segment]> = geometric.axes.iter().map(Vec::as_slice).collect();
        axes.sort_by_key(|axis| core::cmp::Reverse(cost_of_innermost(tier, axis, contraction)));
        Some(Self {
            geometric,
            #[cfg(target_arch = "x86_64")]
            powers: match axes.last() {
                Some(axis) if tier != Tier::Portable => {
                    axis.iter().map(|segment| Powers::new(segment.ratio)).collect()
                }
                _ => Vec::new(),
            },
            axes,
        })
    }

    /// Calls `act` with every run, or the part of it, that lies in the range of the coordinate.
    fn visit(&self, coordinate: Coordinate, range: Range<usize>, act: &mut impl FnMut(Run<'_>)) {
        let mut inner = vec![(0, 0); self.axes.len()];
        for index in (1..self.axes.len()).rev() {
            let Some((low, high)) = axis_extent(self.axes[index], coordinate) else {
                return;
            };
            inner[index - 1] = (inner[index].0 + low, inner[index].1 + high);
        }
        let bounds = Bounds { coordinate, range, inner };
        let geometric = self.geometric;
        let root = Run {
            position: geometric.offset,
            position_step: 0,
            output: geometric.output_offset,
            output_step: 0,
            count: 1,
            factor: geometric.scale,
            ratio: Fr::one(),
            powers: Default::default(),
        };
        if !self.axes.is_empty() {
            self.descend(0, &root, &bounds, act);
        } else if bounds.range.contains(&geometric.origin(coordinate)) {
            act(root);
        }
    }

    fn descend(&self, depth: usize, outer: &Run<'_>, bounds: &Bounds, act: &mut impl FnMut(Run<'_>)) {
        for (index, segment) in self.axes[depth].iter().enumerate() {
            let entries = bounds.clip(depth, outer, segment);
            if entries.is_empty() || segment.scale.is_zero() {
                continue;
            }
            let mut run = Run {
                position: outer.position + segment.start + entries.start * segment.step,
                position_step: segment.step,
                output: outer.output + segment.output_start + entries.start * segment.output_step,
                output_step: segment.output_step,
                count: entries.len(),
                factor: outer.factor * segment.scale,
                ratio: segment.ratio,
                powers: Default::default(),
            };
            if entries.start > 0 && !segment.ratio.is_one() {
                run.factor *= segment.ratio.pow([entries.start as u64]);
            }
            if depth + 1 == self.axes.len() {
                #[cfg(target_arch = "x86_64")]
                {
                    run.powers = self.powers.get(index).filter(|_| run.count >= lanes::SHORTEST);
                }
                act(run);
                continue;
            }
            for _ in entries {
                self.descend(depth + 1, &run, bounds, act);
                run.position += run.position_step;
                run.output += run.output_step;
                run.factor *= run.ratio;
            }
        }
    }
}

/// What an entry costs with this axis as the innermost one, in thousandths of a nanosecond or so.
fn cost_of_innermost(tier: Tier, axis: &[Segment], contraction: bool) -> usize {
    let count = entries(axis);
    let runs = axis.iter().map(|segment| {
        let sum = contraction && segment.output_step == 0;
        match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(_) => lanes::cost(segment.count, segment.step, sum),
            _ if sum => 25_usize.saturating_mul(segment.count).saturating_add(60),
            _ => 45_usize.saturating_mul(segment.count).saturating_add(30 + segment.step.min(64)),
        }
    });
    runs.fold(0, usize::saturating_add).saturating_mul(1000) / count.max(1)
}

impl Bounds {
    /// The segment's entries from which something in the range can be reached.
    fn clip(&self, depth: usize, outer: &Run<'_>, segment: &Segment) -> Range<usize> {
        let (start, step) = segment.line(self.coordinate);
        let base = start
            + match self.coordinate {
                Coordinate::Position => outer.position,
                Coordinate::Output => outer.output,
            };
        let (low, high) = self.inner[depth];
        // Entry i reaches from base + i * step + low to base + i * step + high.
        let first_with = |bound: usize, reach: usize| match (bound.saturating_sub(base + reach), step) {
            (0, _) => 0,
            (_, 0) => segment.count,
            (distance, step) => distance.div_ceil(step),
        };
        let first = first_with(self.range.start, high);
        let end = first_with(self.range.end, low).min(segment.count);
        first..end.max(first)
    }
}
