//! Lagrange points from powers of tau, by an inverse transform over the group: the portable way (`ark-ec`, one point at a time)
//! against lanes of eight.
//!
//! `cargo bench -p zkloom-benches --bench lagrange -- [--logs 14,16,18] [--record FILE]`

use std::path::Path;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use zkloom_backends::{CpuBackend, Tier};
use zkloom_benches::{Machine, Result, option};

/// Seconds of processor time, one run each.
#[derive(Serialize)]
struct Line {
    log_size: u32,
    portable_seconds: f64,
    vector_seconds: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Record {
    machine: Machine,
    tier: String,
    lines: Vec<Line>,
}

fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Points without a pattern that addition formulas could trip over: P becomes 2P + D.
fn points(count: usize) -> Vec<G1Affine> {
    let offset = G1Projective::generator() * Fr::from(0x1234_5678_9abc_u64);
    let chain = std::iter::successors(Some(G1Projective::generator()), |p| Some(*p + p + offset));
    G1Projective::normalize_batch(&chain.take(count).collect::<Vec<_>>())
}

fn main() -> Result<()> {
    let logs = option("--logs").unwrap_or("14,16".to_owned());
    let (fast, portable) = (CpuBackend::new(None)?, CpuBackend::with_tier(None, Tier::Portable)?);
    let mut lines = Vec::new();
    for log_size in logs.split(',') {
        let log_size: u32 = log_size.parse()?;
        let points = points(1_usize << log_size);
        let start = processor_time();
        let found = fast.inverse_group_transform(&points)?;
        let middle = processor_time();
        if portable.inverse_group_transform(&points)? != found {
            return Err("the tiers disagree".into());
        }
        let (vector_seconds, portable_seconds) = (middle - start, processor_time() - middle);
        let ratio = portable_seconds / vector_seconds;
        println!(
            "2^{log_size}: portable {portable_seconds:.2} s, {vector_seconds:.2} s in lanes, {ratio:.1} times"
        );
        lines.push(Line { log_size, portable_seconds, vector_seconds, ratio });
    }
    if let Some(path) = option("--record") {
        let record = Record { machine: Machine::here(), tier: Tier::current().to_string(), lines };
        std::fs::write(Path::new(&path), serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
