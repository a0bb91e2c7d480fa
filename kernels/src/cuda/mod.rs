//! Kernels in CUDA C++ (`kernels/cuda/`), compiled for NVIDIA's GPUs.
//!
//! The compiled kernels are kept in the repository, so that no build needs NVIDIA's compiler; `scripts/build_cuda.py` makes them
//! anew, and a test tells when they are older than their sources.

/// Every kernel by its name.
pub const KERNELS: [&str; 29] = [
    "accumulate_boxes",
    "add_scaled",
    "check_field",
    "check_points",
    "combine",
    "combine_rows",
    "count_digits",
    "double_points",
    "double_table",
    "evaluate_strands",
    "flatten_points",
    "fold_blocks",
    "fold_counts",
    "fold_powers",
    "invert",
    "reorder",
    "run_few",
    "run_many",
    "scan_blocks",
    "scan_counts",
    "settle",
    "sort_digits",
    "sum_entries",
    "sum_sorted",
    "sum_strips",
    "transform_layers",
    "weigh_buckets",
    "widen",
    "write_tables",
];

/// The kernels for compute capabilities 8.0, 8.6, 8.9, 9.0, 10.0 and 12.0 as machine code, and as PTX for any other.
pub static FATBIN: &[u8] = &IMAGE.0;

/// Bytes at an address that drivers may read words from.
#[repr(C, align(64))]
struct Aligned<B: ?Sized>(B);

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../cuda/zkloom.fatbin"));

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources in the order in which the build script hashes them.
    const SOURCES: [&str; 14] = [
        include_str!("../../cuda/boxes.cuh"),
        include_str!("../../cuda/checks.cuh"),
        include_str!("../../cuda/device.cuh"),
        include_str!("../../cuda/digits.cuh"),
        include_str!("../../cuda/field.cuh"),
        include_str!("../../cuda/interpreter.cuh"),
        include_str!("../../cuda/kernels.cu"),
        include_str!("../../cuda/multiples.cuh"),
        include_str!("../../cuda/point.cuh"),
        include_str!("../../cuda/rows.cuh"),
        include_str!("../../cuda/scan.cuh"),
        include_str!("../../cuda/sums.cuh"),
        include_str!("../../cuda/transform.cuh"),
        include_str!("../../cuda/vectors.cuh"),
    ];

    /// FNV-1a over all sources, each followed by a zero; it notices forgetfulness, which is all that it is for.
    fn hash() -> String {
        let bytes = SOURCES.iter().flat_map(|source| source.bytes().chain([0]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    #[test]
    fn the_compiled_kernels_are_those_of_the_sources() {
        let built = include_str!("../../cuda/zkloom.hash").trim();
        assert_eq!(
            built,
            hash(),
            "run scripts/build_cuda.py: the sources have changed since the kernels were compiled"
        );
    }

    #[test]
    fn every_kernel_is_in_the_sources() {
        let all = SOURCES.concat();
        let declared = all.matches("\nKERNEL(").count();
        assert_eq!(declared, KERNELS.len());
        for name in KERNELS {
            assert!(all.contains(&format!(" void {name}(")), "{name}");
        }
    }
}
