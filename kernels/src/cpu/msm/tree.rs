//! Sums of many lists of points, by pairwise affine additions level by level.
//!
//! Lists of equal length are put side by side into the lanes of vectors, so that after the first addition, which gathers
//! given points, sums are added where they are, without a shuffle. Long lists are cut into pieces, whose sums are lists again.

use core::cell::RefCell;

use ark_bn254::FqConfig;
use rayon::prelude::*;

use super::adder::{
    ALL, Eight, Given, GivenPairs, Handle, KeptPairs, Kernels, Outcome, Products, given, meaning,
};
use super::point::Point;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::F8;
use crate::cpu::simd::{LANES, Mask, Portable, Tier};

/// Vectors of given points whose additions share an inversion, at most: with more, their points leave the cache.
const GIVEN_BATCH: usize = 128;

/// Vectors of sums whose additions share an inversion, at most.
const KEPT_BATCH: usize = 256;

/// Entries of a block, which one task sums, at most: its sums take half a megabyte.
const LARGEST_BLOCK: usize = 1 << 14;

/// Entries of a block at least, so that its inversions are well shared.
const SMALLEST_BLOCK: usize = 1 << 11;

/// Entries of a piece of a list at most.
const LONGEST_PIECE: usize = 128;

/// Entries of lists, one list after the other.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) entries: &'a [Handle],
    /// For each list its first entry, and the end of the last.
    pub(super) starts: &'a [u32],
}

/// The sum of each list, the identity for an empty one; `careful` if the identity may be among the points.
pub(super) fn sums(tier: Tier, points: &[Point], careful: bool, lists: Lists<'_>) -> Vec<Point> {
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) => rounds::<F8<FqConfig>>(proof, points, careful, lists),
        _ => rounds::<Portable<FqConfig>>((), points, careful, lists),
    }
}

fn rounds<S: Summing>(proof: S::Proof, points: &[Point], careful: bool, lists: Lists<'_>) -> Vec<Point> {
    let mut pieces = Pieces::new(lists);
    let mut sums = pieces.sums::<S>(proof, points, careful, lists.entries);
    while pieces.several {
        let careful = careful || sums.par_iter().with_min_len(1024).any(Point::is_identity);
        let entries: Vec<Handle> = (0..sums.len()).map(|index| given(index, false)).collect();
        let starts = core::mem::take(&mut pieces.of_list);
        pieces = Pieces::new(Lists { entries: &entries, starts: &starts });
        sums = pieces.sums::<S>(proof, &sums, careful, &entries);
    }
    let sum = |list: &[u32]| if list[0] < list[1] { sums[list[0] as usize] } else { Point::IDENTITY };
    pieces.of_list.windows(2).map(sum).collect()
}

/// Lists cut into pieces.
struct Pieces {
    /// For each piece its first entry, and the end.
    starts: Vec<u32>,
    /// For each list its first piece, and the end.
    of_list: Vec<u32>,
    /// Whether there is a list of several pieces.
    several: bool,
    /// For each block its first piece, and the end.
    blocks: Vec<usize>,
}

impl Pieces {
    fn new(lists: Lists<'_>) -> Self {
        let entries = lists.entries.len();
        // Few entries are cut shorter, so that they fill all lanes.
        let longest = (entries / (8 * LANES)).clamp(LANES, LONGEST_PIECE.min(LONGEST_PIECE));
        let share = entries.div_ceil(2 * rayon::current_num_threads());
        let block = share.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
        let mut pieces = Self {
            starts: Vec::with_capacity(lists.starts.len()),
            of_list: Vec::with_capacity(lists.starts.len()),
            several: false,
            blocks: vec![0],
        };
        let mut begin = lists.starts.first().copied().unwrap_or(0) as usize;
        for list in lists.starts.windows(2) {
            pieces.of_list.push(pieces.starts.len() as u32);
            let (start, end) = (list[0] as usize, list[1] as usize);
            let count = if end - start <= longest {
                usize::from(end > start)
            } else {
                (end - start).div_ceil(longest)
            };
            pieces.several |= count > 1;
            for piece in 0..count {
                let start = start + piece * (end - start) / count;
                if start - begin >= block {
                    pieces.blocks.push(pieces.starts.len());
                    begin = start;
                }
                pieces.starts.push(start as u32);
            }
        }
        pieces.of_list.push(pieces.starts.len() as u32);
        pieces.blocks.push(pieces.starts.len());
        pieces.starts.push(lists.starts.last().copied().unwrap_or(0));
        pieces
    }

    /// The sum of each piece.
    fn sums<S: Summing>(
        &self,
        proof: S::Proof,
        points: &[Point],
        careful: bool,
        entries: &[Handle],
    ) -> Vec<Point> {
        let mut sums = vec![Point::IDENTITY; self.starts.len() - 1];
        let mut rest = sums.as_mut_slice();
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for range in self.blocks.windows(2) {
            let (own, after) = rest.split_at_mut(range[1] - range[0]);
            blocks.push((&self.starts[range[0]..=range[1]], own));
            rest = after;
        }
        blocks.into_par_iter().with_max_len(1).for_each(|(starts, sums)| {
            S::with_scratch(|scratch| scratch.sum(proof, points, careful, Lists { entries, starts }, sums));
        });
        sums
    }
}

/// Lists side by side, the longest first.
struct Group {
    /// Their numbers; fewer than eight in the last group.
    lists: [u32; LANES],
    /// Their lengths at the present level.
    lengths: [u32; LANES],
    /// The vectors of the present level.
    height: u32,
}

impl Group {
    /// The lanes that have a second point in a pair of vectors.
    fn added(&self, pair: u32) -> Mask {
        if self.lengths[LANES - 1] == self.height {
            return ALL;
        }
        self.having(2 * pair + 1)
    }

    /// The lanes whose list has an entry of this number.
    fn having(&self, entry: u32) -> Mask {
        self.lengths.iter().rev().fold(0, |mask, &length| mask << 1 | Mask::from(entry < length))
    }

    fn halve(&mut self) {
        self.height = self.height.div_ceil(2);
        for length in &mut self.lengths {
            *length = length.div_ceil(2);
        }
    }
}

/// What one thread needs to sum lists.
pub(super) struct Scratch<L> {
    vectors: Vec<Eight<L>>,
    products: Products<L>,
    groups: Vec<Group>,
    order: Vec<u32>,
    pairs: Vec<GivenPairs>,
    added: Vec<Mask>,
    single: Vec<[Handle; LANES]>,
    current: Vec<u32>,
    following: Vec<u32>,
    kept: Vec<KeptPairs>,
}

/// Kernels with scratch space that each thread keeps.
trait Summing: Kernels {
    fn with_scratch<T>(work: impl FnOnce(&mut Scratch<Self>) -> T) -> T;
}

macro_rules! keeps_scratch {
    ($lanes:ty) => {
        impl Summing for $lanes {
            fn with_scratch<T>(work: impl FnOnce(&mut Scratch<Self>) -> T) -> T {
                thread_local! {
                    static KEPT: RefCell<Option<Scratch<$lanes>>> = const { RefCell::new(None) };
                }
                let mut scratch = KEPT.take().unwrap_or_else(Scratch::new);
                let result = work(&mut scratch);
                KEPT.set(Some(scratch));
                result
            }
        }
    };
}

keeps_scratch!(Portable<FqConfig>);
#[cfg(target_arch = "x86_64")]
keeps_scratch!(F8<FqConfig>);

impl<L: Kernels> Scratch<L> {
    fn new() -> Self {
        Self {
            vectors: Vec::new(),
            products: Vec::new(),
            groups: Vec::new(),
            order: Vec::new(),
            pairs: Vec::new(),
            added: Vec::new(),
            single: Vec::new(),
            current: Vec::new(),
            following: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The sum of each list, none of which is empty.
    fn sum(
        &mut self,
        proof: L::Proof,
        points: &[Point],
        careful: bool,
        lists: Lists<'_>,
        sums: &mut [Point],
    ) {
        for (sum, list) in sums.iter_mut().zip(lists.starts.windows(2)) {
            if list[1] - list[0] == 1 {
                let (index, negative) = meaning(lists.entries[list[0] as usize]);
                *sum = if negative { points[index].negated() } else { points[index] };
            }
        }
        self.group(lists);
        self.gather(lists);
        let mut careful = careful;
        self.add_given(proof, points, &mut careful);
        loop {
            self.finish(proof, sums);
            if self.groups.is_empty() {
                return;
            }
            self.add_kept(proof, &mut careful);
        }
    }

    /// Puts lists of two entries or more side by side, sorted by length.
    fn group(&mut self, lists: Lists<'_>) {
        let mut places = [0u32; LONGEST_PIECE + 2];
        let lengths = || lists.starts.windows(2).map(|list| (list[1] - list[0]) as usize);
        for length in lengths().filter(|&length| length > 1) {
            places[LONGEST_PIECE - length + 1] += 1;
        }
        for index in 1..places.len() {
            places[index] += places[index - 1];
        }
        self.order.clear();
        self.order.resize(places[LONGEST_PIECE + 1] as usize, 0);
        for (list, length) in (0..).zip(lengths()).filter(|(_, length)| *length > 1) {
            let place = &mut places[LONGEST_PIECE - length];
            self.order[*place as usize] = list;
            *place += 1;
        }
        self.groups.clear();
        self.groups.extend(self.order.chunks(LANES).map(|chunk| {
            let mut group = Group { lists: [0; LANES], lengths: [0; LANES], height: 0 };
            for (lane, &list) in chunk.iter().enumerate() {
                group.lists[lane] = list;
                group.lengths[lane] = lists.starts[list as usize + 1] - lists.starts[list as usize];
            }
            group.height = group.lengths[0];
            group
        }));
    }

    /// The first level's pairs and the entries without a partner, eight lists at a time. The sums of pairs come first among the
    /// vectors, then what has no partner.
    fn gather(&mut self, lists: Lists<'_>) {
        self.pairs.clear();
        self.added.clear();
        self.single.clear();
        self.current.clear();
        let all_pairs: u32 = self.groups.iter().map(|group| group.height / 2).sum();
        for group in &mut self.groups {
            // Lanes without an entry take part with the first entry of the group's longest list; nobody reads the result.
            let first = lists.starts[group.lists[0] as usize];
            let own = |lane: usize| match group.lengths[lane] {
                0 => &lists.entries[first as usize..][..1],
                length => {
                    &lists.entries[lists.starts[group.lists[lane] as usize] as usize..][..length as usize]
                }
            };
            let own: [&[Handle]; LANES] = core::array::from_fn(own);
            let pairs = group.height / 2;
            let start = self.pairs.len();
            self.current.extend(start as u32..start as u32 + pairs);
            self.added.extend((0..pairs).map(|pair| group.added(pair)));
            self.pairs.resize(start + pairs as usize, GivenPairs { first: [0; LANES], second: [0; LANES] });
            for (lane, own) in own.iter().enumerate() {
                let (full, rest) = self.pairs[start..].split_at_mut(own.len() / 2);
                for (pair, two) in full.iter_mut().zip(own.chunks_exact(2)) {
                    (pair.first[lane], pair.second[lane]) = (two[0], two[1]);
                }
                let mut last = own.chunks_exact(2).remainder().first();
                for pair in rest {
                    (pair.first[lane], pair.second[lane]) = (*last.take().unwrap_or(&own[0]), own[0]);
                }
            }
            if group.height % 2 == 1 {
                self.current.push(all_pairs + self.single.len() as u32);
                let number = group.height as usize - 1;
                self.single
                    .push(core::array::from_fn(|lane| *own[lane].get(number).unwrap_or(&own[lane][0])));
            }
            group.halve();
        }
    }

    fn add_given(&mut self, proof: L::Proof, points: &[Point], careful: &mut bool) {
        let count = self.pairs.len();
        let Some(some) = self.pairs.first().map(|pairs| &pairs.first) else { return };
        if self.vectors.len() < count + self.single.len() {
            self.vectors.resize(count + self.single.len(), <L as Kernels>::load(proof, points, some));
        }
        let (sums, single) = self.vectors.split_at_mut(count);
        let length = batch_length(count, GIVEN_BATCH);
        for (number, sums) in sums.chunks_mut(length).enumerate() {
            let start = number * length;
            let end = start + sums.len();
            let following = &self.pairs[end..count.min(end + length)];
            let (pairs, added) = (&self.pairs[start..end], &self.added[start..end]);
            let task = Given { points, pairs, added, following };
            let mut add = |careful| match careful {
                false => L::add_given::<false>(proof, &mut self.products, &task, sums),
                true => L::add_given::<true>(proof, &mut self.products, &task, sums),
            };
            with_care(careful, &mut add);
        }
        for (vector, handles) in single.iter_mut().zip(&self.single) {
            *vector = <L as Kernels>::load(proof, points, handles);
        }
    }

    /// Adds the vectors of all groups, pair by pair.
    fn add_kept(&mut self, proof: L::Proof, careful: &mut bool) {
        self.kept.clear();
        self.following.clear();
        let mut from = 0;
        for group in &mut self.groups {
            let vectors = &self.current[from..from + group.height as usize];
            from += vectors.len();
            let pairs = vectors.chunks_exact(2);
            let left_over = pairs.remainder();
            self.kept.extend((0..).zip(pairs).map(|(pair, vectors)| KeptPairs {
                first: vectors[0],
                second: vectors[1],
                added: group.added(pair),
            }));
            self.following.extend(vectors.chunks_exact(2).map(|vectors| vectors[0]));
            self.following.extend_from_slice(left_over);
            group.halve();
        }
        for pairs in self.kept.chunks(batch_length(self.kept.len(), KEPT_BATCH)) {
            let mut add = |careful| match careful {
                false => L::add_kept::<false>(proof, &mut self.products, &mut self.vectors, pairs),
                true => L::add_kept::<true>(proof, &mut self.products, &mut self.vectors, pairs),
            };
            with_care(careful, &mut add);
        }
        core::mem::swap(&mut self.current, &mut self.following);
    }

    /// Writes the sums of the groups that are done, and forgets these groups.
    fn finish(&mut self, proof: L::Proof, sums: &mut [Point]) {
        let mut from = 0;
        self.following.clear();
        self.groups.retain(|group| {
            let vectors = &self.current[from..from + group.height as usize];
            from += vectors.len();
            let [vector] = vectors else {
                self.following.extend_from_slice(vectors);
                return true;
            };
            let points = <L as Kernels>::store(proof, &self.vectors[*vector as usize]);
            for lane in 0..LANES {
                if group.lengths[lane] > 0 {
                    sums[group.lists[lane] as usize] = points[lane];
                }
            }
            false
        });
        core::mem::swap(&mut self.current, &mut self.following);
    }
}

/// Vectors of a batch, for this many vectors in batches of about one size.
fn batch_length(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1)).max(1)
}

/// Adds a batch; `careful` says whether identities may be among the operands, and then whether among the sums.
fn with_care(careful: &mut bool, add: &mut impl FnMut(bool) -> Outcome) {
    let mut outcome = if *careful { Outcome::Exceptional } else { add(false) };
    if outcome == Outcome::Exceptional {
        outcome = add(true);
    }
    *careful |= outcome == Outcome::Identities;
}
