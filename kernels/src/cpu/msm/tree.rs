//! Sums of many short lists of points, by pairwise affine additions level by level.

use core::cell::RefCell;

use super::adder::{self, Adder, Handle};
use super::point::Point;
use crate::cpu::simd::Tier;

/// Additions that share an inversion, at most: with more, their points leave the cache.
const BATCH: usize = 1024;

/// A list that is being summed.
#[derive(Clone, Copy)]
struct Segment {
    result: u32,
    len: u32,
}

/// Sums lists; keeps its scratch space.
pub(super) struct Summer {
    tier: Tier,
    adder: Adder,
    current: Vec<Handle>,
    following: Vec<Handle>,
    segments: Vec<Segment>,
    pairs: Vec<[Handle; 2]>,
    batch: Vec<[Handle; 2]>,
}

thread_local! {
    static KEPT: RefCell<Option<Summer>> = const { RefCell::new(None) };
}

impl Summer {
    fn new(tier: Tier) -> Self {
        Self {
            tier,
            adder: Adder::new(tier),
            current: Vec::new(),
            following: Vec::new(),
            segments: Vec::new(),
            pairs: Vec::new(),
            batch: Vec::new(),
        }
    }

    /// Lends this thread's summer, whose scratch space is there already.
    pub(super) fn with<T>(tier: Tier, work: impl FnOnce(&mut Self) -> T) -> T {
        let kept = KEPT.take().filter(|summer| summer.tier == tier);
        let mut summer = kept.unwrap_or_else(|| Self::new(tier));
        let result = work(&mut summer);
        KEPT.set(Some(summer));
        result
    }

    /// The sum of two points.
    pub(super) fn pair(&mut self, a: Point, b: Point) -> Point {
        let points = [a, b];
        self.adder.reset(1, a.is_identity() || b.is_identity());
        let sum = adder::sum(self.adder.next());
        self.batch.clear();
        self.batch.push([adder::given(0, false), adder::given(1, false)]);
        self.adder.add(&points, &mut self.batch);
        self.adder.point(&points, sum)
    }

    /// Sums of consecutive lists of entries of these lengths; the identity for an empty list. `careful` if the identity
    /// may be among the points. `fill` writes the entries.
    pub(super) fn sums(
        &mut self,
        points: &[Point],
        careful: bool,
        lengths: &[u32],
        fill: impl FnOnce(&mut Vec<Handle>),
    ) -> Vec<Point> {
        let mut results = vec![Point::IDENTITY; lengths.len()];
        self.current.clear();
        fill(&mut self.current);
        self.adder.reset(self.current.len(), careful);
        let mut segments = core::mem::take(&mut self.segments);
        segments.clear();
        let all = (0u32..).zip(lengths).map(|(result, &len)| Segment { result, len });
        segments.extend(all.filter(|segment| segment.len > 0));
        while !segments.is_empty() {
            self.halve(points, &mut segments, &mut results);
        }
        self.segments = segments;
        results
    }

    /// One level: halves every list, and moves those that are done to their results.
    fn halve(&mut self, points: &[Point], segments: &mut Vec<Segment>, results: &mut [Point]) {
        self.pairs.clear();
        self.following.clear();
        let mut from = 0;
        let mut next = self.adder.next();
        segments.retain_mut(|segment| {
            let list = &self.current[from..from + segment.len as usize];
            from += list.len();
            if let [single] = list {
                results[segment.result as usize] = self.adder.point(points, *single);
                return false;
            }
            let pairs = list.chunks_exact(2);
            let left_over = pairs.remainder();
            self.pairs.extend(pairs.map(|pair| [pair[0], pair[1]]));
            let half = list.len() / 2;
            self.following.extend((next..next + half).map(adder::sum));
            self.following.extend_from_slice(left_over);
            next += half;
            segment.len -= half as u32;
            true
        });
        let batches = self.pairs.len().div_ceil(BATCH).max(1);
        let batch = self.pairs.len().div_ceil(batches).next_multiple_of(8).max(8);
        for pairs in self.pairs.chunks(batch) {
            self.batch.clear();
            self.batch.extend_from_slice(pairs);
            self.adder.add(points, &mut self.batch);
        }
        core::mem::swap(&mut self.current, &mut self.following);
    }
}
