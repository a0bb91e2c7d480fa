//! Long vectors in large pages, so that reading them in any order costs few page walks.

use ark_bn254::Fr;
use ark_ff::Zero;

/// Vectors from this many bytes on ask for large pages.
const LARGE: usize = 1 << 22;

/// An empty vector with room for this many entries; a long one asks the system for large pages, where there are any.
pub(crate) fn vector<T>(len: usize) -> Vec<T> {
    let vector = Vec::with_capacity(len);
    prefer(&vector);
    vector
}

/// That many zeros; see [`vector`].
pub(crate) fn zeros(len: usize) -> Vec<Fr> {
    let mut zeros = vector(len);
    zeros.resize(len, Fr::zero());
    zeros
}

/// Asks for large pages for a vector's room, if it is long. Best before it is written to.
pub fn prefer<T>(vector: &Vec<T>) {
    advise(vector.as_ptr() as usize, vector.capacity() * size_of::<T>());
}

/// Asks for large pages on the whole pages between two addresses; a refusal changes nothing but the speed.
#[cfg(target_os = "linux")]
fn advise(start: usize, bytes: usize) {
    const PAGE: usize = 1 << 12;
    if bytes < LARGE {
        return;
    }
    let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) / PAGE * PAGE);
    // SAFETY: the pages lie within an allocation of this process; the advice does not change what they hold.
    unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: usize, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_vectors_have_their_room() {
        for len in [0, 1, 1000, LARGE / 8, LARGE / 8 + 513, 3 * LARGE] {
            let mut vector = vector::<u64>(len);
            vector.resize(len, 7);
            assert!(vector.capacity() >= len && vector.iter().all(|&entry| entry == 7));
        }
    }
}
