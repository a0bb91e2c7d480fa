//! Multi-scalar multiplication beside halo2curves and ark-ec: alternating rounds in one process, medians, ratios.
//!
//! `cargo bench -p zkloom-benches --bench msm -- [--rounds N] [--logs 16,18,20] [--threads 1,2] [--record FILE]`. With one thread
//! the figure is the process's CPU time, so that other work on the machine disturbs it less; with more it is wall time.

use std::time::Instant;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{BigInteger, Field, PrimeField};
use halo2curves::bn256;
use halo2curves::ff::PrimeField as _;
use rayon::ThreadPoolBuilder;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use zkloom_kernels::cpu::integers::magnitude;
use zkloom_kernels::cpu::msm::{Bases, msm, msm_integers};
use zkloom_kernels::cpu::simd::Tier;

/// One line of the table: medians in milliseconds.
#[derive(Serialize)]
struct Line {
    scalars: &'static str,
    log_size: u32,
    threads: usize,
    clock: &'static str,
    milliseconds: Vec<(String, f64)>,
    /// How many times longer than the fastest tier each takes.
    ratios: Vec<(String, f64)>,
}

#[derive(Serialize)]
struct Record {
    machine: String,
    commit: String,
    command: String,
    note: String,
    rounds: usize,
    lines: Vec<Line>,
}

/// Points without a pattern that addition formulas could trip over: P becomes 2P + D.
fn points(count: usize) -> Vec<G1Affine> {
    let offset = G1Projective::generator() * Fr::from(0x1234_5678_9abc_u64);
    let chain = std::iter::successors(Some(G1Projective::generator()), |p| Some(*p + p + offset));
    G1Projective::normalize_batch(&chain.take(count).collect::<Vec<_>>())
}

fn scalars(count: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::from(5)), |value| Some(value.square() + Fr::ONE)).take(count).collect()
}

fn theirs(scalars: &[Fr]) -> Vec<bn256::Fr> {
    let convert = |scalar: &Fr| {
        let bytes: [u8; 32] = scalar.into_bigint().to_bytes_le().try_into().expect("32 bytes");
        bn256::Fr::from_repr(bytes.into()).expect("below the modulus")
    };
    scalars.iter().map(convert).collect()
}

fn their_points(points: &[G1Affine]) -> Vec<bn256::G1Affine> {
    let coordinate = |value: ark_bn254::Fq| {
        let bytes: [u8; 32] = value.into_bigint().to_bytes_le().try_into().expect("32 bytes");
        bn256::Fq::from_repr(bytes.into()).expect("below the modulus")
    };
    let convert = |point: &G1Affine| {
        let (x, y) = point.xy().expect("not the identity");
        bn256::G1Affine { x: coordinate(x), y: coordinate(y) }
    };
    points.iter().map(convert).collect()
}

fn same(ours: G1Projective, theirs: bn256::G1) -> bool {
    let theirs = bn256::G1Affine::from(theirs);
    their_points(&[ours.into_affine()])[0] == theirs
}

fn cpu_milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

type Contender<'a> = (String, Box<dyn Fn() + Sync + 'a>);

/// Rounds of all contenders in turn, after one to warm up.
fn measure(threads: usize, rounds: usize, contenders: &[Contender<'_>]) -> Vec<(String, f64)> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for ((_, work), times) in contenders.iter().zip(&mut times) {
            let (wall, cpu) = (Instant::now(), cpu_milliseconds());
            pool.install(work);
            let cpu = cpu_milliseconds() - cpu;
            if round > 0 {
                times.push(if threads == 1 { cpu } else { wall.elapsed().as_secs_f64() * 1e3 });
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    contenders.iter().zip(&mut times).map(|((name, _), times)| (name.clone(), median(times))).collect()
}

fn line(
    kind: &'static str,
    log_size: u32,
    threads: usize,
    rounds: usize,
    contenders: &[Contender<'_>],
) -> Line {
    let milliseconds = measure(threads, rounds, contenders);
    let best = milliseconds[0].1;
    let ratios: Vec<(String, f64)> =
        milliseconds.iter().map(|(name, time)| (name.clone(), time / best)).collect();
    let columns = milliseconds
        .iter()
        .zip(&ratios)
        .map(|((name, time), (_, ratio))| format!("{name} {time:.1} ms ({ratio:.2}x)"));
    println!("2^{log_size} {kind}, {threads} threads: {}", columns.collect::<Vec<_>>().join(", "));
    let clock = if threads == 1 { "process CPU" } else { "wall" };
    Line { scalars: kind, log_size, threads, clock, milliseconds, ratios }
}

/// Our tiers, the fastest first, with their bases.
fn tiers(points: &[G1Affine]) -> Vec<Bases> {
    let mut bases: Vec<Bases> = Tier::available().map(|tier| Bases::for_tier(tier, points)).collect();
    bases.reverse();
    bases
}

fn full(points: &[G1Affine], threads: &[usize], rounds: usize) -> Vec<Line> {
    let scalars = scalars(points.len());
    let (their_points, theirs) = (their_points(points), theirs(&scalars));
    let bases = tiers(points);
    let found = msm(&bases[0], &scalars).expect("equal lengths");
    assert!(same(found, halo2curves::msm::msm_best(&theirs, &their_points)), "the sums differ");
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for bases in &bases {
        let scalars = &scalars;
        contenders.push((bases.tier().to_string(), Box::new(move || drop(msm(bases, scalars)))));
    }
    contenders.push((
        "halo2curves".into(),
        Box::new(|| {
            let _ = std::hint::black_box(halo2curves::msm::msm_best(&theirs, &their_points));
        }),
    ));
    contenders.push((
        "ark-ec".into(),
        Box::new(|| {
            let _ = std::hint::black_box(G1Projective::msm_unchecked(points, &scalars));
        }),
    ));
    threads.iter().map(|&threads| line("full", points.len().ilog2(), threads, rounds, &contenders)).collect()
}

fn small(points: &[G1Affine], threads: &[usize], rounds: usize) -> Vec<Line> {
    let random: Vec<u64> = scalars(points.len()).iter().map(|scalar| scalar.into_bigint().0[0]).collect();
    let bytes: Vec<u8> = random.iter().map(|&value| value as u8).collect();
    let shorts: Vec<i16> = random.iter().map(|&value| value as i16).collect();
    let field: Vec<Fr> = shorts.iter().map(|&value| Fr::from(value)).collect();
    let all = tiers(points);
    let (bases, portable) = (&all[0], all.last().expect("the portable tier"));
    let sum = msm_integers(bases, &bytes, magnitude(&bytes)).expect("a bound");
    assert_eq!(sum, G1Projective::msm_u8(points, &bytes), "the sums differ");
    let of_bytes: Vec<Contender<'_>> = vec![
        (bases.tier().to_string(), Box::new(|| drop(msm_integers(bases, &bytes, 255)))),
        (portable.tier().to_string(), Box::new(|| drop(msm_integers(portable, &bytes, 255)))),
        (
            "ark-ec msm_u8".into(),
            Box::new(|| {
                let _ = std::hint::black_box(G1Projective::msm_u8(points, &bytes));
            }),
        ),
    ];
    let of_shorts: Vec<Contender<'_>> = vec![
        (bases.tier().to_string(), Box::new(|| drop(msm_integers(bases, &shorts, 1 << 15)))),
        (portable.tier().to_string(), Box::new(|| drop(msm_integers(portable, &shorts, 1 << 15)))),
        (
            "ark-ec".into(),
            Box::new(|| {
                let _ = std::hint::black_box(G1Projective::msm_unchecked(points, &field));
            }),
        ),
    ];
    let log_size = points.len().ilog2();
    let lines = threads.iter().flat_map(|&threads| {
        [line("u8", log_size, threads, rounds, &of_bytes), line("i16", log_size, threads, rounds, &of_shorts)]
    });
    lines.collect()
}

/// The value after a flag.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn numbers(name: &str, default: &str) -> Vec<usize> {
    let text = option(name).unwrap_or(default.into());
    text.split(',').map(|number| number.parse().expect("a list of numbers")).collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default()
}

fn main() {
    let rounds = numbers("--rounds", "3")[0].max(1);
    let threads = numbers("--threads", "1,2");
    let logs = numbers("--logs", "16,18,20");
    let largest = logs.iter().max().copied().unwrap_or(16);
    let points = points(1 << largest);
    let mut lines: Vec<Line> =
        logs.iter().flat_map(|&log_size| full(&points[..1 << log_size], &threads, rounds)).collect();
    lines.extend(small(&points, &threads, rounds));
    let Some(path) = option("--record") else { return };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let record = Record {
        machine: format!("{model}, {cores} processors"),
        commit: output("git", &["rev-parse", "HEAD"]),
        command: format!(
            "cargo bench -p zkloom-benches --bench msm -- {}",
            std::env::args().skip(1).filter(|a| a != "--bench").collect::<Vec<_>>().join(" ")
        ),
        note: option("--note").unwrap_or_default(),
        rounds,
        lines,
    };
    std::fs::write(path, serde_json::to_string_pretty(&record).expect("plain data"))
        .expect("the record's file");
}
