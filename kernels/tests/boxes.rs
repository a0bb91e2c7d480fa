//! Boxes, written out and contracted, against their definition, at every tier.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use proptest::prelude::*;
use zkloom_kernels::cpu::boxes::{contract, expand};
use zkloom_kernels::geometry::{GeometricBox, Segment};

mod common;

use common::{pool, tiers};

/// Position, output index and factor of every entry.
fn entries(geometric: &GeometricBox) -> Vec<(usize, usize, Fr)> {
    let mut entries = vec![(geometric.offset, geometric.output_offset, geometric.scale)];
    for axis in &geometric.axes {
        let mut next = Vec::new();
        for (position, output, factor) in &entries {
            for segment in axis {
                let mut own = *factor * segment.scale;
                for i in 0..segment.count {
                    let place = position + segment.start + i * segment.step;
                    next.push((place, output + segment.output_start + i * segment.output_step, own));
                    own *= segment.ratio;
                }
            }
        }
        entries = next;
    }
    entries
}

fn scalar() -> impl Strategy<Value = Fr> {
    prop_oneof![
        Just(Fr::ONE),
        Just(-Fr::ONE),
        Just(Fr::ZERO),
        any::<u64>().prop_map(|x| Fr::from(x).square())
    ]
}

fn segment(longest: usize) -> impl Strategy<Value = Segment> {
    let places = (0usize..40, 0..longest, prop_oneof![4 => Just(1usize), 1 => 1usize..4]);
    (places, (0usize..40, 0usize..3), (scalar(), scalar())).prop_map(
        |((start, count, step), (output_start, output_step), (ratio, scale))| Segment {
            start,
            count,
            step,
            output_start,
            output_step,
            ratio,
            scale,
        },
    )
}

/// A long axis of up to three segments, and a short one.
fn geometric() -> impl Strategy<Value = GeometricBox> {
    let long = prop::collection::vec(segment(200), 1..4);
    let short = prop::collection::vec(segment(6), 1..3);
    (long, short, any::<bool>(), (0usize..20, 0usize..20, scalar())).prop_map(|(long, short, both, at)| {
        let axes = if both { vec![short, long] } else { vec![long] };
        GeometricBox { offset: at.0, output_offset: at.1, scale: at.2, axes }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn boxes_follow_their_definition(boxes in prop::collection::vec(geometric(), 0..3), seed in scalar()) {
        let len = 1024;
        let source: Vec<Fr> =
            core::iter::successors(Some(seed), |x| Some(x.square() - Fr::ONE)).take(len).collect();
        let (mut written, mut contracted) = (source.clone(), source.clone());
        for (position, output, factor) in boxes.iter().flat_map(entries) {
            written[position] += factor;
            contracted[output] += factor * source[position];
        }
        for tier in tiers() {
            for threads in [1, 3] {
                let (mut one, mut other) = (source.clone(), source.clone());
                pool(threads).install(|| {
                    expand(tier, &mut one, &boxes).expect("within the vector");
                    contract(tier, &mut other, &source, &boxes).expect("within the vectors");
                });
                prop_assert!(one == written, "expanded, {tier}, {threads} threads");
                prop_assert!(other == contracted, "contracted, {tier}, {threads} threads");
            }
        }
    }
}
