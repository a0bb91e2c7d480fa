//! Long vectors in large pages, so that reading them in any order costs few page walks.

use std::alloc::{Layout, alloc_zeroed};

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

/// That many zeros, in large pages where there are many. The system's pages are zero already, so nothing is written here.
pub fn zeros(len: usize) -> Vec<Fr> {
    try_zeros(len).unwrap_or_else(|| vec![Fr::zero(); len])
}

/// That many zeros; nothing where there is no room for them.
pub fn try_zeros(len: usize) -> Option<Vec<Fr>> {
    let layout = Layout::array::<Fr>(len).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout is not empty.
    let first = unsafe { alloc_zeroed(layout) }.cast::<Fr>();
    if first.is_null() {
        return None;
    }
    // SAFETY: the allocator gave room for so many elements, and four words that are zero are the element zero.
    let zeros = unsafe { Vec::from_raw_parts(first, len, len) };
    prefer(&zeros);
    Some(zeros)
}

/// Makes a vector this long, which need not grow if it was long enough before. What it holds afterwards is anything.
pub(crate) fn reuse(vector: &mut Vec<Fr>, len: usize) {
    if vector.capacity() < len {
        *vector = Vec::new();
        *vector = zeros(len);
    }
    vector.resize(len, Fr::zero());
}

/// Asks for large pages for a vector's room, if it is long. Best before it is written to.
pub fn prefer<T>(vector: &Vec<T>) {
    advise(vector.as_ptr() as usize, vector.capacity() * size_of::<T>());
}

/// Asks for large pages on the whole pages between two addresses; a refusal changes nothing but the speed.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(start: usize, bytes: usize) {
    const PAGE: usize = 1 << 12;
    if bytes < LARGE {
        return;
    }
    let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) / PAGE * PAGE);
    // SAFETY: the pages lie within an allocation of this process; the advice does not change what they hold.
    unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise(_: usize, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_vectors_have_their_room() {
        // Miri is too slow for the long ones.
        let long = if cfg!(miri) { 0 } else { LARGE };
        for len in [0, 1, 1000, long / 8, long / 8 + 513, 3 * long] {
            let mut vector = vector::<u64>(len);
            vector.resize(len, 7);
            assert!(vector.capacity() >= len && vector.iter().all(|&entry| entry == 7));
            let mut elements = zeros(len);
            assert!(elements.len() == len && elements.iter().all(Fr::is_zero));
            reuse(&mut elements, len / 2 + 3);
            assert_eq!(elements.len(), len / 2 + 3);
        }
    }
}
