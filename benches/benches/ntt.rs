//! Transforms against `ark-poly`'s, in rounds that alternate, by the processor time of the whole process: medians and ratios
//! on one thread and on two.
//!
//! `cargo bench -p zkloom-benches --bench ntt -- [--logs 12,16,20] [--rounds N] [--record FILE]`; by default sizes from 2^12 to 2^22,
//! and 21 rounds, or 5 from 2^20 on.

use std::path::Path;
use std::time::Instant;

use ark_bn254::Fr;
use ark_ff::Field;
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use serde::Serialize;
use zkloom_backends::{Backend, CpuBackend, Direction, Tier};
use zkloom_benches::{Machine, Result, option};

/// A transform's medians, and how many times longer `ark-poly` takes.
#[derive(Serialize)]
struct Line {
    log_size: u32,
    threads: usize,
    transform: &'static str,
    processor_ms: f64,
    wall_ms: f64,
    ark_poly_processor_ms: f64,
    ark_poly_wall_ms: f64,
    ratio: f64,
    /// Processor time for an element and a layer.
    nanoseconds: f64,
}

#[derive(Serialize)]
struct Record {
    machine: Machine,
    tier: String,
    statistic: &'static str,
    lines: Vec<Line>,
}

/// Processor time of all threads of this process so far, in seconds; wall time where the system does not tell.
fn processor_time(start: Instant) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").ok();
    let nanoseconds = tasks.map(|tasks| {
        let lines =
            tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
        lines.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>()
    });
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds as f64 * 1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Median processor and wall times of each task, in milliseconds, over rounds in which all take turns.
fn alternate(rounds: usize, tasks: &mut [&mut dyn FnMut()]) -> Vec<[f64; 2]> {
    let start = Instant::now();
    let mut times = vec![[Vec::new(), Vec::new()]; tasks.len()];
    for _ in 0..rounds {
        for (task, [processor, wall]) in tasks.iter_mut().zip(&mut times) {
            let (before, clock) = (processor_time(start), Instant::now());
            task();
            wall.push(clock.elapsed().as_secs_f64() * 1e3);
            processor.push((processor_time(start) - before) * 1e3);
        }
    }
    times.into_iter().map(|kinds| kinds.map(median)).collect()
}

fn measure(log_size: u32, threads: usize, rounds: Option<usize>) -> Result<Vec<Line>> {
    let size = 1usize << log_size;
    let backend = CpuBackend::new(Some(threads))?;
    let portable = CpuBackend::with_tier(Some(threads), Tier::Portable)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let domain = Radix2EvaluationDomain::<Fr>::new(size).ok_or("no subgroup of this size")?;
    let values: Vec<Fr> =
        std::iter::successors(Some(Fr::from(5)), |x| Some(x.square() + Fr::from(3))).take(size).collect();
    let mut ours = backend.upload(&values)?;
    let mut inverted = backend.upload(&values)?;
    let source = backend.upload(&values)?;
    let mut plain = portable.upload(&values)?;
    let mut theirs = values;
    let rounds = rounds.unwrap_or(if log_size >= 20 { 5 } else { 21 });
    let times = alternate(
        rounds,
        &mut [
            &mut || pool.install(|| domain.fft_in_place(&mut theirs)),
            &mut || backend.ntt(&mut ours, Direction::Forward).expect("a power of two"),
            &mut || backend.ntt(&mut inverted, Direction::Inverse).expect("a power of two"),
            &mut || drop(backend.coset_ntt(&source, log_size, Fr::from(7)).expect("a coset")),
            &mut || portable.ntt(&mut plain, Direction::Forward).expect("a power of two"),
        ],
    );
    let theirs = times[0];
    let line = |(transform, time): (&'static str, &[f64; 2])| Line {
        log_size,
        threads,
        transform,
        processor_ms: time[0],
        wall_ms: time[1],
        ark_poly_processor_ms: theirs[0],
        ark_poly_wall_ms: theirs[1],
        ratio: theirs[0] / time[0],
        nanoseconds: time[0] * 1e6 / (size as f64 * f64::from(log_size)),
    };
    let names = ["forward", "inverse", "on a coset, into a new vector", "portable tier, forward"];
    Ok(names.into_iter().zip(&times[1..]).map(line).collect())
}

fn main() -> Result<()> {
    println!("tier {}", Tier::current());
    let rounds = option("--rounds").map(|rounds| rounds.parse()).transpose()?;
    let logs = option("--logs").unwrap_or("12,14,16,18,20,22".to_owned());
    let logs = logs.split(',').map(str::parse).collect::<std::result::Result<Vec<u32>, _>>()?;
    let mut lines = Vec::new();
    for threads in [1, 2] {
        for log_size in &logs {
            for line in measure(*log_size, threads, rounds)? {
                println!(
                    "2^{log_size}, {threads} threads, {}: {:.3} ms ({:.2} ns for an element and layer), wall {:.3} ms; ark-poly \
                     {:.2} ms, {:.2} times as long",
                    line.transform,
                    line.processor_ms,
                    line.nanoseconds,
                    line.wall_ms,
                    line.ark_poly_processor_ms,
                    line.ratio,
                );
                lines.push(line);
            }
        }
    }
    if let Some(path) = option("--record") {
        let (machine, tier) = (Machine::here(), Tier::current().to_string());
        let record = Record { machine, tier, statistic: "median of rounds that alternate", lines };
        std::fs::write(Path::new(&path), serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
