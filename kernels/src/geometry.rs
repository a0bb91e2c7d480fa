//! Outer products of geometric progressions, laid out in a vector.

use ark_bn254::Fr;
use ark_ff::Field;

/// One run of a geometric progression along an axis of a [`GeometricBox`]: for `i < count`, position
/// `start + i * step` has the factor `scale * ratio^i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First position.
    pub start: usize,
    /// Number of positions.
    pub count: usize,
    /// Distance of neighbours.
    pub step: usize,
    /// In a contraction, the output index of the first position; unused when a box is expanded.
    pub output_start: usize,
    /// In a contraction, the distance of neighbours' output indices; unused when a box is expanded.
    pub output_step: usize,
    /// Factor from a position to the next.
    pub ratio: Fr,
    /// Factor of the first position.
    pub scale: Fr,
}

/// An outer product of geometric progressions laid out in a vector: choosing one entry of one segment of each axis gives
/// position `offset + sum of the axes' positions` and factor `scale * product of the axes' factors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeometricBox {
    /// Position of the box's origin in the vector.
    pub offset: usize,
    /// In a contraction, the output index of the origin.
    pub output_offset: usize,
    /// Factor of the whole box.
    pub scale: Fr,
    /// Axes, each a list of segments. No axis at all means the single position `offset`.
    pub axes: Vec<Vec<Segment>>,
}

/// Which of a box's two index functions is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinate {
    /// Position in the vector.
    Position,
    /// Output index of a contraction.
    Output,
}

impl Segment {
    /// First value and step of a coordinate along this segment.
    pub fn line(&self, coordinate: Coordinate) -> (usize, usize) {
        match coordinate {
            Coordinate::Position => (self.start, self.step),
            Coordinate::Output => (self.output_start, self.output_step),
        }
    }
}

impl GeometricBox {
    /// The origin's value of a coordinate.
    pub fn origin(&self, coordinate: Coordinate) -> usize {
        match coordinate {
            Coordinate::Position => self.offset,
            Coordinate::Output => self.output_offset,
        }
    }

    /// Smallest and largest value of a coordinate over all entries (the largest saturates at `usize::MAX`), or nothing for
    /// a box without entries.
    pub fn extent(&self, coordinate: Coordinate) -> Option<(usize, usize)> {
        let mut lowest = self.origin(coordinate);
        let mut highest = lowest;
        for axis in &self.axes {
            let (low, high) = axis_extent(axis, coordinate)?;
            lowest = lowest.saturating_add(low);
            highest = highest.saturating_add(high);
        }
        Some((lowest, highest))
    }

    /// The box in two parts: its longest axis is cut in the middle. For a box that is too long for one table.
    pub fn halves(&self) -> [Self; 2] {
        let mut parts = [self.clone(), self.clone()];
        let longest = self.axes.iter().enumerate().max_by_key(|(_, axis)| entries(axis));
        let Some((index, axis)) = longest else { return parts };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut left = entries(axis) / 2;
        for segment in axis {
            let before = segment.count.min(left);
            left -= before;
            first.push(Segment { count: before, ..*segment });
            if before < segment.count {
                second.push(Segment {
                    start: segment.start + before * segment.step,
                    output_start: segment
                        .output_start
                        .saturating_add(before.saturating_mul(segment.output_step)),
                    count: segment.count - before,
                    scale: segment.scale * segment.ratio.pow([before as u64]),
                    ..*segment
                });
            }
        }
        parts[0].axes[index] = first;
        parts[1].axes[index] = second;
        parts
    }

    /// Number of entries (saturating).
    pub fn volume(&self) -> usize {
        self.axes.iter().map(|axis| entries(axis)).fold(1usize, usize::saturating_mul)
    }
}

/// Smallest and largest value of a coordinate along an axis (saturating), or nothing for an axis without entries.
pub fn axis_extent(axis: &[Segment], coordinate: Coordinate) -> Option<(usize, usize)> {
    let filled = axis.iter().filter(|segment| segment.count > 0);
    filled.fold(None, |extent, segment| {
        let (start, step) = segment.line(coordinate);
        let end = start.saturating_add((segment.count - 1).saturating_mul(step));
        Some(match extent {
            None => (start, end),
            Some((low, high)) => (start.min(low), end.max(high)),
        })
    })
}

/// Number of an axis' entries (saturating).
pub fn entries(axis: &[Segment]) -> usize {
    axis.iter().fold(0, |sum, segment| sum.saturating_add(segment.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::boxes::expand;
    use crate::cpu::simd::Tier;

    #[test]
    fn halves_make_the_whole() {
        let segment = |start: usize, count: usize, step: usize, ratio: u64| Segment {
            start,
            count,
            step,
            output_start: 0,
            output_step: 1,
            ratio: Fr::from(ratio),
            scale: Fr::from(ratio + 1),
        };
        let axes = vec![vec![segment(0, 2, 1, 3)], vec![segment(5, 3, 10, 2), segment(40, 4, 10, 7)]];
        let whole = GeometricBox { offset: 1, output_offset: 0, scale: Fr::from(5), axes };
        let halves = whole.halves();
        assert_eq!(halves.iter().map(GeometricBox::volume).collect::<Vec<_>>(), [6, 8]);
        let mut sums = [vec![Fr::from(0); 100], vec![Fr::from(0); 100]];
        expand(Tier::Portable, &mut sums[0], &[whole]).unwrap();
        expand(Tier::Portable, &mut sums[1], &halves).unwrap();
        assert_eq!(sums[0], sums[1]);
    }
}
