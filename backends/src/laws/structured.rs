//! Laws of geometric boxes and integer matrices.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};

use super::sample::Sampler;
use super::{Ground, Outcome, done, refuses_length, same};
use crate::backend::{Backend, GeometricBox, Segment};

/// All entries of a box as (position, output index, factor), as the definition says.
fn entries(geometric: &GeometricBox) -> Vec<(usize, usize, Fr)> {
    let mut list = vec![(geometric.offset, geometric.output_offset, geometric.scale)];
    for axis in &geometric.axes {
        let mut longer = Vec::new();
        for &(position, output, factor) in &list {
            for segment in axis {
                for index in 0..segment.count {
                    longer.push((
                        position + segment.start + index * segment.step,
                        output + segment.output_start + index * segment.output_step,
                        factor * segment.scale * segment.ratio.pow([index as u64]),
                    ));
                }
            }
        }
        list = longer;
    }
    list
}

fn segment(
    sampler: &mut Sampler,
    [start, count, step]: [usize; 3],
    [output_start, output_step]: [usize; 2],
) -> Segment {
    let ratio = match sampler.below(4) {
        0 => Fr::one(),
        1 => Fr::zero(),
        _ => sampler.element(),
    };
    let scale = if sampler.below(8) == 0 { Fr::zero() } else { sampler.element() };
    Segment { start, count, step, output_start, output_step, ratio, scale }
}

/// Boxes that fit `size` positions and `size` outputs: a point, lines, planes with several segments, sums to one output,
/// equal positions, empty axes, random ones.
fn boxes(sampler: &mut Sampler, size: usize) -> Vec<GeometricBox> {
    let mut list = Vec::new();
    if size == 0 {
        return list;
    }
    let mut push = |axes: Vec<Vec<Segment>>, sampler: &mut Sampler| {
        let mut geometric = GeometricBox { offset: 0, output_offset: 0, scale: sampler.element(), axes };
        let all = entries(&geometric);
        let position = all.iter().map(|entry| entry.0).max().unwrap_or(0);
        let output = all.iter().map(|entry| entry.1).max().unwrap_or(0);
        if position < size && output < size {
            geometric.offset = sampler.below(size - position);
            geometric.output_offset = sampler.below(size - output);
            list.push(geometric);
        }
    };
    push(vec![], sampler);
    push(vec![vec![]], sampler);
    for (step, output_step) in [(1, 1), (1, 0), (0, 1), (2, 0), (0, 0), (3, 2)] {
        let line = segment(sampler, [0, size.div_ceil(step.max(output_step).max(1)), step], [0, output_step]);
        push(vec![vec![line]], sampler);
    }
    let side = size.isqrt();
    for [rows, columns] in [[side, side], [side, 1], [1, side], [side / 2, side / 2]] {
        for output_steps in [[side, 1], [1, 0], [0, 1], [0, 0], [1, side]] {
            let outer = segment(sampler, [0, rows, side], [0, output_steps[0]]);
            let inner = segment(sampler, [0, columns, 1], [0, output_steps[1]]);
            push(vec![vec![outer], vec![inner]], sampler);
        }
    }
    for _ in 0..8 {
        let random = random_box(sampler, size);
        push(random, sampler);
    }
    list
}

fn random_box(sampler: &mut Sampler, size: usize) -> Vec<Vec<Segment>> {
    let room = size / 8 + 1;
    let axes = 1 + sampler.below(4);
    let axis = |sampler: &mut Sampler| {
        let segments = 1 + sampler.below(3);
        let one = |sampler: &mut Sampler| {
            let place = [sampler.below(room), sampler.below(6), sampler.below(room)];
            let output = [sampler.below(room), sampler.below(3)];
            segment(sampler, place, output)
        };
        (0..segments).map(|_| one(sampler)).collect()
    };
    (0..axes).map(|_| axis(sampler)).collect()
}

/// A line of three that ends one past `size`.
fn too_long(size: usize) -> GeometricBox {
    let line = Segment {
        start: 0,
        count: 3,
        step: 1,
        output_start: 0,
        output_step: 1,
        ratio: Fr::one(),
        scale: Fr::one(),
    };
    let offset = (size + 1).saturating_sub(3);
    GeometricBox { offset, output_offset: offset, scale: Fr::one(), axes: vec![vec![line]] }
}

/// Boxes whose ends do not fit a machine word.
fn endless() -> Vec<GeometricBox> {
    let line = Segment { count: usize::MAX, step: 3, output_step: 3, ..too_long(0).axes[0][0] };
    let square = vec![vec![line], vec![line]];
    vec![
        GeometricBox { offset: usize::MAX, output_offset: usize::MAX, scale: Fr::one(), axes: vec![] },
        GeometricBox { offset: 0, output_offset: 0, scale: Fr::one(), axes: square },
    ]
}

pub(super) fn expand_boxes<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let list = boxes(&mut sampler, size);
        let groups = list.iter().map(core::slice::from_ref).chain([&list[..], &[]]);
        for (number, group) in groups.enumerate() {
            let input = format!("{size} entries, box group {number}: {group:?}");
            let mut target = sampler.elements(size);
            let mut vector = done(ground.backend.upload(&target), &input)?;
            done(ground.backend.expand_boxes(&mut vector, group), &input)?;
            for (position, _, factor) in group.iter().flat_map(entries) {
                target[position] += factor;
            }
            same(&done(ground.backend.download(&vector), &input)?, &target, &input)?;
        }
        for bad in endless().into_iter().chain([too_long(size)]) {
            let mut vector = done(ground.backend.zeros(size), size)?;
            let result = ground.backend.expand_boxes(&mut vector, core::slice::from_ref(&bad));
            refuses_length(result, format_args!("{size} entries, {bad:?}"))?;
        }
    }
    Ok(())
}

pub(super) fn contract_boxes<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let list = boxes(&mut sampler, size);
        let groups = list.iter().map(core::slice::from_ref).chain([&list[..], &[]]);
        let source = sampler.elements(size);
        let uploaded = done(ground.backend.upload(&source), size)?;
        for (number, group) in groups.enumerate() {
            let input = format!("{size} entries, box group {number}: {group:?}");
            let mut target = sampler.elements(size);
            let mut vector = done(ground.backend.upload(&target), &input)?;
            done(ground.backend.contract_boxes(&mut vector, &uploaded, group), &input)?;
            for (position, output, factor) in group.iter().flat_map(entries) {
                target[output] += factor * source[position];
            }
            same(&done(ground.backend.download(&vector), &input)?, &target, &input)?;
        }
        for bad in endless().into_iter().chain([too_long(size)]) {
            for (targets, sources) in [(size, size + 3), (size + 3, size)] {
                let mut vector = done(ground.backend.zeros(targets), targets)?;
                let uploaded = done(ground.backend.zeros(sources), sources)?;
                let result =
                    ground.backend.contract_boxes(&mut vector, &uploaded, core::slice::from_ref(&bad));
                refuses_length(result, format_args!("{sources} entries to {targets}, {bad:?}"))?;
            }
        }
    }
    Ok(())
}

pub(super) fn combine_rows<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for width in [1, 3, size / 2, size, 2 * size].into_iter().filter(|&width| width > 0) {
            let rows = size / width;
            for (name, matrix) in sampler.integers(rows * width) {
                let input = format!("{rows} x {width} matrix, {name}");
                let offset = sampler.below(3);
                let mut target = sampler.elements(offset + width + 1);
                let mut weights = sampler.elements(rows);
                weights.iter_mut().step_by(5).for_each(|weight| *weight = -Fr::one());
                let mut vector = done(ground.backend.upload(&target), &input)?;
                let uploaded = done(ground.backend.upload_integers(&matrix), &input)?;
                done(ground.backend.combine_rows(&mut vector, offset, &uploaded, width, &weights), &input)?;
                for (row, weight) in weights.iter().enumerate() {
                    for column in 0..width {
                        target[offset + column] += *weight * Fr::from(matrix[row * width + column]);
                    }
                }
                same(&done(ground.backend.download(&vector), &input)?, &target, &input)?;
            }
        }
    }
    combine_rows_refusals(ground)
}

fn combine_rows_refusals<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let matrix = done(ground.backend.upload_integers(&[1; 12]), "12 integers")?;
    let weights = [Fr::one(); 4];
    let mut target = done(ground.backend.zeros(5), "5 entries")?;
    let mut attempt = |offset, width, weights: &[Fr]| {
        ground.backend.combine_rows(&mut target, offset, &matrix, width, weights)
    };
    refuses_length(attempt(0, 4, &weights), "4 x 4 weights on 12 entries")?;
    refuses_length(attempt(0, 3, &weights[..3]), "a weight too few")?;
    refuses_length(attempt(0, 0, &weights), "width zero on 12 entries")?;
    refuses_length(attempt(3, 3, &weights), "a row past the target's end")?;
    refuses_length(attempt(usize::MAX, 3, &weights), "an offset past every end")?;
    refuses_length(attempt(0, usize::MAX, &weights), "a width past every end")?;
    done(attempt(2, 3, &weights), "the last place that fits")?;
    let sum = done(ground.backend.download(&target), "5 entries")?;
    same(&sum, &[0u64, 0, 4, 4, 4].map(Fr::from), "4 x 3 ones at 2")?;
    let nothing = done(ground.backend.upload_integers(&[]), "no integers")?;
    done(ground.backend.combine_rows(&mut target, 5, &nothing, 0, &weights), "width zero")?;
    done(ground.backend.combine_rows(&mut target, 0, &nothing, 5, &[]), "no rows")?;
    let zero = Fr::zero();
    let four = Fr::from(4u64);
    same(
        &done(ground.backend.download(&target), "5 entries")?,
        &[zero, zero, four, four, four],
        "empty matrices",
    )
}
