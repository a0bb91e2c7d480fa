//! Strided index sets in mixed radix: which axis of a correspondence runs along which dimension of a tensor.

/// A loop: `count` steps, each `stride` elements of the tensor that is taken apart and `other` elements of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Number of steps.
    pub count: u64,
    /// Elements of the tensor from one step to the next.
    pub stride: u64,
    /// Elements of the other side from one step to the next.
    pub other: u64,
}

/// What runs along one dimension: coordinate `start + sum_i step_i j_i`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Coordinate of the first element.
    pub start: u64,
    /// The loops; `stride` counts coordinates.
    pub loops: Vec<Loop>,
}

/// An index set taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// One for each dimension.
    pub dimensions: Vec<Placement>,
    /// Loops that stay on one element of the tensor.
    pub free: Vec<Loop>,
}

/// Takes the set `start + sum_i stride_i j_i` of a row-major tensor apart into its dimensions, so that no step carries from one
/// dimension into the next. A loop that runs over several whole dimensions is split; nothing if a step carries otherwise.
pub fn place(start: u64, loops: impl IntoIterator<Item = Loop>, sizes: &[u32]) -> Option<Placed> {
    let strides = strides(sizes);
    let mut rest = start;
    let mut dimensions = Vec::with_capacity(sizes.len());
    for stride in &strides {
        dimensions.push(Placement { start: rest / stride, loops: Vec::new() });
        rest %= stride;
    }
    let mut placed = Placed { dimensions, free: Vec::new() };
    let mut pending: Vec<Loop> = loops.into_iter().filter(|axis| axis.count != 1).collect();
    while let Some(axis) = pending.pop() {
        if axis.stride == 0 {
            placed.free.push(axis);
            continue;
        }
        let along = |index: &usize| {
            let (stride, size) = (strides[*index], u64::from(sizes[*index]));
            axis.stride.is_multiple_of(stride) && axis.stride < stride * size
        };
        let index = (0..sizes.len()).find(along)?;
        let (step, size) = (axis.stride / strides[index], u64::from(sizes[index]));
        let dimension = placed.dimensions.get_mut(index)?;
        if dimension.start + step.checked_mul(axis.count.checked_sub(1)?)? < size {
            dimension.loops.push(Loop { stride: step, ..axis });
            continue;
        }
        let inner = size.checked_div(step).filter(|_| size.is_multiple_of(step) && dimension.start < step)?;
        if inner <= 1 || !axis.count.is_multiple_of(inner) {
            return None;
        }
        dimension.loops.push(Loop { count: inner, stride: step, other: axis.other });
        let (stride, other) = (axis.stride.checked_mul(inner)?, axis.other.checked_mul(inner)?);
        pending.push(Loop { count: axis.count / inner, stride, other });
    }
    let inside = |(dimension, size): (&Placement, &u32)| {
        let reach = dimension.loops.iter().try_fold(dimension.start, |reach, axis| {
            reach.checked_add(axis.stride.checked_mul(axis.count.checked_sub(1)?)?)
        });
        reach.is_some_and(|reach| reach < u64::from(*size))
    };
    let fits = placed.dimensions.iter().zip(sizes).all(inside);
    placed.dimensions.iter_mut().for_each(|dimension| dimension.loops.reverse());
    fits.then_some(placed)
}

/// Elements from one index of each dimension to the next.
pub fn strides(sizes: &[u32]) -> Vec<u64> {
    let mut strides = vec![1_u64; sizes.len()];
    for index in (1..sizes.len()).rev() {
        strides[index - 1] = strides[index].saturating_mul(u64::from(sizes[index]).max(1));
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(count: u64, stride: u64, other: u64) -> Loop {
        Loop { count, stride, other }
    }

    /// Pairs of element and other side.
    fn pairs(start: u64, loops: &[Loop]) -> Vec<(u64, u64)> {
        let mut pairs = vec![(start, 0)];
        for axis in loops {
            let steps = |(at, other): (u64, u64)| {
                (0..axis.count).map(move |j| (at + j * axis.stride, other + j * axis.other))
            };
            pairs = pairs.into_iter().flat_map(steps).collect();
        }
        pairs.sort_unstable();
        pairs
    }

    fn rebuilt(placed: &Placed, sizes: &[u32]) -> Vec<(u64, u64)> {
        let strides = strides(sizes);
        let (mut start, mut loops) = (0, placed.free.clone());
        for (dimension, stride) in placed.dimensions.iter().zip(strides) {
            start += dimension.start * stride;
            loops.extend(dimension.loops.iter().map(|l| Loop { stride: l.stride * stride, ..*l }));
        }
        pairs(start, &loops)
    }

    #[test]
    fn whole_tensors_rows_slices_and_broadcasts() {
        let sizes = [3, 4, 5];
        let cases: [(u64, Vec<Loop>); 7] = [
            (0, vec![axis(60, 1, 1)]),
            (0, vec![axis(12, 5, 1)]),
            (20, vec![axis(20, 1, 7)]),
            (6, vec![axis(3, 20, 4), axis(3, 1, 1)]),
            (0, vec![axis(5, 1, 12), axis(4, 5, 3), axis(3, 20, 1)]),
            (2, vec![axis(7, 0, 1), axis(2, 2, 5)]),
            (59, vec![]),
        ];
        for (start, loops) in cases {
            let placed = place(start, loops.clone(), &sizes).expect("fits");
            assert_eq!(rebuilt(&placed, &sizes), pairs(start, &loops), "{start} {loops:?}");
        }
    }

    #[test]
    fn carries_are_refused() {
        let sizes = [3, 4, 5];
        assert_eq!(place(0, [axis(6, 1, 1)], &sizes), None);
        assert_eq!(place(1, [axis(20, 1, 1)], &sizes), None);
        assert_eq!(place(0, [axis(3, 2, 1), axis(2, 3, 1)], &sizes), None);
        assert_eq!(place(0, [axis(4, 20, 1)], &sizes), None);
        assert_eq!(place(0, [axis(2, u64::MAX, 1)], &sizes), None);
    }
}
