//! What the tests of several kernels share.

use zkloom_kernels::cpu::simd::Tier;

/// The tiers that this processor has; says so where the vector tier is missing.
pub fn tiers() -> Vec<Tier> {
    let tiers: Vec<Tier> = Tier::available().collect();
    if tiers.len() == 1 {
        eprintln!("skipped at the vector tier: this processor lacks AVX-512 IFMA");
    }
    tiers
}

/// A pool of so many threads.
pub fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}
