//! Transforms against `ark-poly`'s, in rounds that alternate, by the processor time of the whole process: medians and ratios
//! on one thread and on two.

use std::time::Instant;

use ark_bn254::Fr;
use ark_ff::Field;
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use zkloom_backends::{Backend, CpuBackend, Direction, Tier};

const LOG_SIZES: [u32; 6] = [12, 14, 16, 18, 20, 22];

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

fn measure(log_size: u32, threads: usize) {
    let size = 1usize << log_size;
    let backend = CpuBackend::new(Some(threads)).expect("threads");
    let portable = CpuBackend::with_tier(Some(threads), Tier::Portable).expect("threads");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let domain = Radix2EvaluationDomain::<Fr>::new(size).expect("a subgroup");
    let values: Vec<Fr> =
        std::iter::successors(Some(Fr::from(5)), |x| Some(x.square() + Fr::from(3))).take(size).collect();
    let mut ours = backend.upload(&values).expect("memory");
    let mut inverted = backend.upload(&values).expect("memory");
    let source = backend.upload(&values).expect("memory");
    let mut plain = portable.upload(&values).expect("memory");
    let mut theirs = values;
    let rounds = if log_size >= 20 { 5 } else { 21 };
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
    println!(
        "2^{log_size}, {threads} threads: ark-poly {:.2} ms of processor time, {:.2} ms wall",
        theirs[0], theirs[1]
    );
    for (name, time) in ["forward", "inverse", "on a coset", "portable tier"].into_iter().zip(&times[1..]) {
        println!(
            "    {name}: {:.3} ms ({:.2} x), wall {:.3} ms ({:.2} x)",
            time[0],
            theirs[0] / time[0],
            time[1],
            theirs[1] / time[1],
        );
    }
}

fn main() {
    println!("tier {}", Tier::current());
    for threads in [1, 2] {
        LOG_SIZES.into_iter().for_each(|log_size| measure(log_size, threads));
    }
}
