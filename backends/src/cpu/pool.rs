//! Room of dropped vectors, kept for the next ones: memory from the system has to be cleared page by page first, which costs
//! as much as many an operation on it.

use std::sync::{Mutex, PoisonError};

use ark_bn254::Fr;

/// Shortest vectors that are kept, in entries (128 KiB); shorter ones are the allocator's own business.
const SHORTEST: usize = 1 << 12;

/// Entries of all kept vectors together (256 MiB).
const MOST: usize = 1 << 23;

/// Room that no vector uses.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Vec<Fr>>>);

impl Pool {
    /// The least kept room for `len` entries, unless it is for twice as many and more.
    pub(super) fn take(&self, len: usize) -> Option<Vec<Fr>> {
        if len < SHORTEST {
            return None;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |vector: &Vec<Fr>| (len..2 * len).contains(&vector.capacity());
        let rooms = kept.iter().enumerate().filter(|(_, vector)| fits(vector));
        let (index, _) = rooms.min_by_key(|(_, vector)| vector.capacity())?;
        Some(kept.swap_remove(index))
    }

    /// Keeps a vector's room, in place of what was kept longest where there would be too much.
    pub(super) fn give(&self, vector: Vec<Fr>) {
        if !(SHORTEST..=MOST).contains(&vector.capacity()) {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(vector);
        let mut total: usize = kept.iter().map(Vec::capacity).sum();
        let surplus = kept
            .iter()
            .take_while(|vector| {
                let surplus = total > MOST;
                total -= vector.capacity();
                surplus
            })
            .count();
        let gone: Vec<Vec<Fr>> = kept.drain(..surplus).collect();
        drop(kept);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_within_bounds() {
        let pool = Pool::default();
        let total = || pool.0.lock().unwrap().iter().map(Vec::capacity).sum::<usize>();
        pool.give(Vec::with_capacity(SHORTEST - 1));
        assert_eq!(total(), 0);
        pool.give(Vec::with_capacity(3 * SHORTEST));
        pool.give(Vec::with_capacity(2 * SHORTEST));
        assert!(pool.take(SHORTEST).is_none(), "twice as long");
        assert_eq!(pool.take(2 * SHORTEST - 5).map(|vector| vector.capacity()), Some(2 * SHORTEST));
        assert!(pool.take(4 * SHORTEST).is_none(), "too short");
        assert_eq!(total(), 3 * SHORTEST);
        for _ in 0..20 {
            pool.give(Vec::with_capacity(MOST / 8));
            assert!(total() <= MOST);
        }
        assert_eq!(total(), MOST, "the oldest goes first");
        pool.give(Vec::with_capacity(MOST + 1));
        assert_eq!(total(), MOST);
    }
}
