//! How tensors lie in cells: a tensor is a sum of patches, each a strided part of a block's cells with a factor.
//!
//! A tensor that is computed lies in its own block, one patch. One that only moves, adds or repeats other tensors has no cells:
//! it is described by theirs, and whoever reads it reads them.

use zkloom_model::access::Access;

use crate::radix::{Loop, Placement, place};

/// Which columns of a block hold a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The accumulator columns.
    Accumulator,
    /// The activation columns.
    Activation,
}

/// One loop of a [`Patch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchAxis {
    /// Number of steps.
    pub count: u32,
    /// Elements of the tensor from one step to the next; 0 sums.
    pub tensor_stride: u32,
    /// Cells of the block from one step to the next; 0 repeats.
    pub cell_stride: u32,
}

/// Cells that are added, times a factor, to elements of a tensor: for every index vector below the counts, the cell
/// `cell_start + sum_i cell_stride_i j_i` to the element `tensor_start + sum_i tensor_stride_i j_i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The block.
    pub block: u32,
    /// Which of its columns.
    pub part: Part,
    /// The factor.
    pub coefficient: i64,
    /// Element of the first index vector.
    pub tensor_start: u32,
    /// Cell of the first index vector.
    pub cell_start: u32,
    /// The loops.
    pub axes: Vec<PatchAxis>,
}

impl Patch {
    /// All cells of a block, in order.
    pub fn whole(block: u32, part: Part, cells: u32) -> Self {
        let axes = vec![PatchAxis { count: cells, tensor_stride: 1, cell_stride: 1 }];
        Self { block, part, coefficient: 1, tensor_start: 0, cell_start: 0, axes }
    }

    /// Whether it is all of a block's `cells`, in order, with factor one.
    pub fn is_whole(&self, cells: u32) -> bool {
        *self == Self::whole(self.block, self.part, cells)
    }

    /// Calls `visit(element, cell)` for every pair.
    pub fn for_each(&self, visit: impl FnMut(usize, usize)) {
        self.access().for_each(visit);
    }

    fn access(&self) -> Access {
        let axis = |axis: &PatchAxis| zkloom_model::access::AccessAxis {
            count: axis.count as usize,
            output_stride: axis.tensor_stride as usize,
            input_stride: axis.cell_stride as usize,
        };
        Access {
            output_start: self.tensor_start as usize,
            input_start: self.cell_start as usize,
            axes: self.axes.iter().map(axis).collect(),
        }
    }

    /// With another factor; nothing if the product does not fit 64 bits.
    pub fn scaled(&self, factor: i64) -> Option<Self> {
        let coefficient = self.coefficient.checked_mul(factor)?;
        // Its negative stands in claims.
        coefficient.checked_neg()?;
        Some(Self { coefficient, ..self.clone() })
    }

    /// What a whole patch gives to a tensor that reads it by `access`: the access itself.
    fn accessed(&self, access: &Access) -> Option<Self> {
        let axis = |axis: &zkloom_model::access::AccessAxis| {
            Some(PatchAxis {
                count: u32::try_from(axis.count).ok()?,
                tensor_stride: u32::try_from(axis.output_stride).ok()?,
                cell_stride: u32::try_from(axis.input_stride).ok()?,
            })
        };
        let axes: Option<Vec<PatchAxis>> = access.axes.iter().map(axis).collect();
        let tensor_start = u32::try_from(access.output_start).ok()?;
        let cell_start = u32::try_from(access.input_start).ok()?;
        Some(Self { tensor_start, cell_start, axes: merged(axes?), ..*self })
    }

    /// What the patch gives to a second tensor that reads the first, of shape `sizes`, by `access`: a patch of the second;
    /// `Some(None)` if they do not meet; nothing if the combination is no patch.
    #[allow(clippy::option_option)]
    pub fn through(&self, access: &Access, sizes: &[u32]) -> Option<Option<Self>> {
        let elements = sizes.iter().fold(1, |product: u32, size| product.saturating_mul(*size));
        let unit = Self { coefficient: 1, ..self.clone() };
        if unit.is_whole(elements) {
            return self.accessed(access).map(Some);
        }
        let own = self.axes.iter().map(|axis| Loop {
            count: u64::from(axis.count),
            stride: u64::from(axis.tensor_stride),
            other: u64::from(axis.cell_stride),
        });
        let reader = access.axes.iter().map(|axis| Loop {
            count: axis.count as u64,
            stride: axis.input_stride as u64,
            other: axis.output_stride as u64,
        });
        let own = place(u64::from(self.tensor_start), own, sizes)?;
        let reader = place(access.input_start as u64, reader, sizes)?;
        let mut meeting = Meeting {
            cell: u64::from(self.cell_start),
            element: access.output_start as u64,
            axes: Vec::new(),
        };
        meeting.axes.extend(own.free.iter().map(|sum| (sum.count, 0, sum.other)));
        meeting.axes.extend(reader.free.iter().map(|repeat| (repeat.count, repeat.other, 0)));
        for (own, reader) in own.dimensions.iter().zip(&reader.dimensions) {
            if !meeting.along(own, reader)? {
                return Some(None);
            }
        }
        let axis = |(count, element, cell): (u64, u64, u64)| {
            let (count, tensor_stride) = (u32::try_from(count).ok()?, u32::try_from(element).ok()?);
            Some(PatchAxis { count, tensor_stride, cell_stride: u32::try_from(cell).ok()? })
        };
        let axes: Option<Vec<PatchAxis>> = meeting.axes.into_iter().map(axis).collect();
        let (tensor_start, cell_start) =
            (u32::try_from(meeting.element).ok()?, u32::try_from(meeting.cell).ok()?);
        Some(Some(Self { tensor_start, cell_start, axes: merged(axes?), ..*self }))
    }
}

/// Where a patch and a reader meet: first cell and element, and loops with their steps in elements and cells.
struct Meeting {
    cell: u64,
    element: u64,
    axes: Vec<(u64, u64, u64)>,
}

impl Meeting {
    /// Meets along one dimension; false if nowhere, nothing if it is no product of loops.
    fn along(&mut self, own: &Placement, reader: &Placement) -> Option<bool> {
        match (own.loops.as_slice(), reader.loops.as_slice()) {
            ([], []) => Some(own.start == reader.start),
            // The patch has one coordinate: the reader's step that hits it.
            ([], [axis]) => Some(match step_at(reader.start, axis, own.start) {
                Some(step) => {
                    self.element += step * axis.other;
                    true
                }
                None => false,
            }),
            ([axis], []) => Some(match step_at(own.start, axis, reader.start) {
                Some(step) => {
                    self.cell += step * axis.other;
                    true
                }
                None => false,
            }),
            ([axis], [read]) if axis.stride == 1 => {
                // Coordinates of the reader's steps that lie in the patch.
                let (first, end) = overlap(reader.start, read, own.start, axis.count);
                if first >= end {
                    return Some(false);
                }
                let coordinate = reader.start + first * read.stride;
                self.element += first * read.other;
                self.cell += (coordinate - own.start) * axis.other;
                self.axes.push((end - first, read.other, read.stride * axis.other));
                Some(true)
            }
            ([axis], [read]) if read.stride == 1 => {
                let (first, end) = overlap(own.start, axis, reader.start, read.count);
                if first >= end {
                    return Some(false);
                }
                let coordinate = own.start + first * axis.stride;
                self.cell += first * axis.other;
                self.element += (coordinate - reader.start) * read.other;
                self.axes.push((end - first, axis.stride * read.other, axis.other));
                Some(true)
            }
            ([axis], many) if axis.stride == 1 => self.inside_patch(own.start, axis, (reader.start, many)),
            (many, [read]) if read.stride == 1 => self.inside_reader(reader.start, read, (own.start, many)),
            _ => None,
        }
    }

    /// Several loops of the reader, all inside a dense loop of the patch.
    fn inside_patch(&mut self, first: u64, axis: &Loop, (start, many): (u64, &[Loop])) -> Option<bool> {
        let reach: u64 = many.iter().map(|read| read.stride * (read.count - 1)).sum();
        (first <= start && start + reach < first + axis.count).then(|| {
            self.cell += (start - first) * axis.other;
            self.axes.extend(many.iter().map(|read| (read.count, read.other, read.stride * axis.other)));
            true
        })
    }

    /// Several loops of the patch, all inside a dense loop of the reader.
    fn inside_reader(&mut self, first: u64, read: &Loop, (start, many): (u64, &[Loop])) -> Option<bool> {
        let reach: u64 = many.iter().map(|axis| axis.stride * (axis.count - 1)).sum();
        (first <= start && start + reach < first + read.count).then(|| {
            self.element += (start - first) * read.other;
            self.axes.extend(many.iter().map(|axis| (axis.count, axis.stride * read.other, axis.other)));
            true
        })
    }
}

/// The step of a loop that is at a coordinate.
fn step_at(start: u64, axis: &Loop, coordinate: u64) -> Option<u64> {
    let ahead = coordinate.checked_sub(start)?;
    (ahead.is_multiple_of(axis.stride) && ahead / axis.stride < axis.count).then(|| ahead / axis.stride)
}

/// Steps of a loop whose coordinates lie in `low .. low + count`: first, and behind the last.
fn overlap(start: u64, axis: &Loop, low: u64, count: u64) -> (u64, u64) {
    let behind = |bound: u64| bound.saturating_sub(start).div_ceil(axis.stride).min(axis.count);
    (behind(low), behind(low + count))
}

/// Loops with neighbours merged where one continues the other, outermost in cells first.
fn merged(mut axes: Vec<PatchAxis>) -> Vec<PatchAxis> {
    axes.retain(|axis| axis.count != 1);
    axes.sort_by_key(|axis| core::cmp::Reverse((axis.cell_stride, axis.tensor_stride)));
    let mut merged: Vec<PatchAxis> = Vec::with_capacity(axes.len());
    for axis in axes {
        match merged.last_mut() {
            Some(outer)
                if axis.tensor_stride.checked_mul(axis.count) == Some(outer.tensor_stride)
                    && axis.cell_stride.checked_mul(axis.count) == Some(outer.cell_stride) =>
            {
                *outer = PatchAxis { count: outer.count.saturating_mul(axis.count), ..axis };
            }
            _ => merged.push(axis),
        }
    }
    if merged.is_empty() {
        // One pair: a loop of one step, so that a whole tensor of one element looks like any other.
        merged.push(PatchAxis { count: 1, tensor_stride: 1, cell_stride: 1 });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkloom_model::access::AccessAxis;

    fn pairs(patch: &Patch) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        patch.for_each(|element, cell| pairs.push((element, cell)));
        pairs.sort_unstable();
        pairs
    }

    fn access(output_start: usize, input_start: usize, axes: &[(usize, usize, usize)]) -> Access {
        let axis = |&(count, output_stride, input_stride): &(usize, usize, usize)| AccessAxis {
            count,
            output_stride,
            input_stride,
        };
        Access { output_start, input_start, axes: axes.iter().map(axis).collect() }
    }

    /// What the definition says: every pair of the access whose middle element the patch gives.
    fn joined(patch: &Patch, access: &Access) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        access.for_each(|to, middle| {
            patch.for_each(|element, cell| {
                if element == middle {
                    found.push((to, cell));
                }
            });
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn readers_of_all_kinds_through_patches_of_all_kinds() {
        let sizes = [4_u32, 3, 6];
        let accesses = [
            access(0, 0, &[(72, 1, 1)]),
            access(0, 0, &[(4, 1, 18), (18, 4, 1)]),
            access(3, 18, &[(2, 18, 18), (3, 6, 6), (6, 1, 1)]),
            access(0, 1, &[(4, 9, 18), (3, 3, 6), (3, 1, 2)]),
            access(0, 0, &[(4, 1, 18), (18, 0, 1)]),
            access(0, 7, &[(5, 1, 0)]),
            access(2, 6, &[(4, 6, 18), (6, 1, 1)]),
        ];
        let patch = |tensor_start, cell_start, axes: &[(u32, u32, u32)]| Patch {
            block: 3,
            part: Part::Activation,
            coefficient: -2,
            tensor_start,
            cell_start,
            axes: axes
                .iter()
                .map(|&(count, tensor_stride, cell_stride)| PatchAxis { count, tensor_stride, cell_stride })
                .collect(),
        };
        let patches = [
            Patch::whole(3, Part::Activation, 72),
            patch(0, 5, &[(18, 1, 4), (4, 18, 1)]),
            patch(18, 0, &[(36, 1, 1)]),
            patch(1, 2, &[(4, 18, 9), (3, 6, 3), (3, 2, 1)]),
            patch(0, 0, &[(5, 0, 4), (72, 1, 0)]),
            patch(6, 0, &[(4, 18, 6), (6, 1, 1)]),
        ];
        let (mut met, mut apart) = (0, 0);
        for patch in &patches {
            for access in &accesses {
                match patch.through(access, &sizes) {
                    Some(Some(through)) => {
                        met += 1;
                        assert_eq!(pairs(&through), joined(patch, access), "{patch:?} {access:?}");
                        assert_eq!((through.block, through.coefficient), (3, patch.coefficient));
                    }
                    Some(None) => {
                        apart += 1;
                        assert_eq!(joined(patch, access), []);
                    }
                    None => {}
                }
            }
        }
        assert!(met > 25 && apart > 0, "{met} {apart}");
    }

    #[test]
    fn the_identity_stays_whole() {
        let whole = Patch::whole(0, Part::Accumulator, 24);
        let through = whole.through(&access(0, 0, &[(2, 12, 12), (12, 1, 1)]), &[2, 3, 4]);
        assert_eq!(through, Some(Some(whole.clone())));
        assert!(whole.is_whole(24) && !whole.is_whole(23));
        let one = Patch::whole(0, Part::Accumulator, 1);
        assert_eq!(one.through(&Access::identity(1), &[1]), Some(Some(one.clone())));
        assert_eq!(whole.scaled(i64::MIN), None);
        assert_eq!(whole.scaled(-7).map(|patch| patch.coefficient), Some(-7));
    }
}
