#!/usr/bin/env python3
"""Measures sppark's CUDA kernels beside ours; called by scripts/cloud_bench.py where nvcc is installed.

    scripts/sppark_baseline.py FOLDER LOG_SIZE...

sppark (Apache-2.0, from the Rust registry) is built in a package in FOLDER, which is outside this repository; nothing of it is part
of zkLoom. Prints a line of JSON for each measurement, as the example `sweep` does. NVCC names the compiler if it is not in the path,
ZKLOOM_SM the GPU's compute capability without its point (90), which `nvidia-smi` is asked for otherwise. With `--build-only` nothing
is run.
"""

import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

P = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
R = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
RADIX = 1 << 256
POINTS = 1 << 14

MANIFEST = """[package]
name = "sppark-baseline"
version = "0.0.0"
edition = "2021"
publish = false

[workspace]

[dependencies]
sppark = "=0.1.16"
blst = "0.3"

[build-dependencies]
sppark = { version = "=0.1.16", features = ["build"] }
"""

BUILD = """fn main() {
    println!("cargo:rerun-if-env-changed=ZKLOOM_SM");
    let mut nvcc = sppark::build::ccmd();
    if let Ok(sm) = std::env::var("ZKLOOM_SM") {
        nvcc.flag("-gencode").flag(format!("arch=compute_{sm},code=sm_{sm}"));
    }
    nvcc.file("baseline.cu").compile("baseline");
}
"""

KERNELS = """#include <chrono>
#include <cstring>
#include <ff/alt_bn128.hpp>
#include <ec/jacobian_t.hpp>
#include <ec/xyzz_t.hpp>
typedef jacobian_t<fp_t> point_t;
typedef xyzz_t<fp_t> bucket_t;
typedef bucket_t::affine_t affine_t;
typedef fr_t scalar_t;
#include <msm/pippenger.cuh>
#include <ntt/ntt.cuh>

#ifndef __CUDA_ARCH__
template <class Work> static int timed(double* times, int runs, Work work) {
    try {
        for (int run = -1; run < runs; run++) {
            auto begin = std::chrono::steady_clock::now();
            work();
            std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begin;
            if (run >= 0) times[run] = passed.count();
        }
        return 0;
    } catch (const cuda_error& error) {
        return error.code() ? error.code() : -1;
    } catch (...) {
        return -1;
    }
}

// Points stay on the device; scalars come from the host.
extern "C" int baseline_msm(const affine_t* points, const scalar_t* scalars, size_t count, double* times, int runs) {
    try {
        msm_t<bucket_t, point_t, affine_t, scalar_t> msm{points, count};
        return timed(times, runs, [&] {
            point_t sum;
            RustError error = msm.invoke(sum, slice_t<scalar_t>{scalars, count}, true);
            if (error.code) throw cuda_error(error.code);
        });
    } catch (const cuda_error& error) {
        return error.code() ? error.code() : -1;
    } catch (...) {
        return -1;
    }
}

extern "C" int baseline_ntt(const fr_t* values, unsigned log_size, double* times, int runs) {
    try {
        const gpu_t& gpu = select_gpu();
        dev_ptr_t<fr_t> data{(size_t)1 << log_size, gpu};
        gpu.HtoD(&data[0], values, (size_t)1 << log_size);
        return timed(times, runs, [&] {
            NTT::Base_dev_ptr(gpu[0], &data[0], log_size, NTT::InputOutputOrder::NN, NTT::Direction::forward, NTT::Type::standard);
            gpu[0].sync();
        });
    } catch (const cuda_error& error) {
        return error.code() ? error.code() : -1;
    } catch (...) {
        return -1;
    }
}
#endif
"""

PROGRAM = r"""use sppark as _;
use blst as _;

const RUNS: usize = 7;

extern "C" {
    fn baseline_msm(points: *const u8, scalars: *const u8, count: usize, times: *mut f64, runs: i32) -> i32;
    fn baseline_ntt(values: *const u8, log_size: u32, times: *mut f64, runs: i32) -> i32;
}

fn tiled(file: &str, entry: usize, count: usize) -> Vec<u64> {
    let bytes = std::fs::read(file).expect("the script wrote it");
    let words: Vec<u64> = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    words.into_iter().cycle().take(count * entry / 8).collect()
}

fn report(operation: &str, log_size: u32, code: i32, mut times: Vec<f64>) {
    if code != 0 {
        eprintln!("{operation} of 2^{log_size}: error {code}");
        return;
    }
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[RUNS / 2]);
    println!(r#"{{"operation": "{operation}", "log_size": {log_size}, "milliseconds": {median}, "least": {least}, "runs": {RUNS}}}"#);
}

fn main() {
    for size in std::env::args().skip(1) {
        let log_size: u32 = size.parse().expect("a size");
        let count = 1usize << log_size;
        let (points, scalars) = (tiled("points.bin", 64, count), tiled("scalars.bin", 32, count));
        let mut times = vec![0.0; RUNS];
        // SAFETY: the lists have as many entries as is said.
        let code = unsafe {
            baseline_msm(points.as_ptr().cast(), scalars.as_ptr().cast(), count, times.as_mut_ptr(), RUNS as i32)
        };
        report("MSM, full scalars", log_size, code, times.clone());
        // SAFETY: as above.
        let code = unsafe { baseline_ntt(scalars.as_ptr().cast(), log_size, times.as_mut_ptr(), RUNS as i32) };
        report("NTT", log_size, code, times);
    }
}
"""


def words(value):
    return struct.pack("<4Q", *(value >> shift & (1 << 64) - 1 for shift in range(0, 256, 64)))


def points():
    """Multiples of the generator (1, 2), from 3 times it on, each with coordinates in Montgomery form."""
    step = (1, 2)
    slope = 3 * pow(4, -1, P) % P
    x = (slope * slope - 2) % P
    point = (x, (slope * (1 - x) - 2) % P)
    for _ in range(POINTS):
        slope = (point[1] - step[1]) * pow(point[0] - step[0], -1, P) % P
        x = (slope * slope - point[0] - step[0]) % P
        point = (x, (slope * (step[0] - x) - step[1]) % P)
        assert (point[1] ** 2 - point[0] ** 3 - 3) % P == 0
        yield words(point[0] * RADIX % P) + words(point[1] * RADIX % P)


def capability():
    """The first GPU's compute capability without its point, or nothing."""
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0].replace(".", "") if done.returncode == 0 and lines else None


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--build-only"]
    if not arguments:
        sys.exit(__doc__)
    folder, sizes = Path(arguments[0]), arguments[1:]
    environment = dict(os.environ)
    nvcc = environment.get("NVCC") or shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if not nvcc:
        sys.exit("nvcc is missing: install the CUDA toolkit, or name the compiler in NVCC")
    environment["NVCC"] = nvcc
    environment["PATH"] = f"{Path(nvcc).parent}{os.pathsep}{environment.get('PATH', '')}"
    if "ZKLOOM_SM" not in environment and (sm := capability()):
        environment["ZKLOOM_SM"] = sm
    (folder / "src").mkdir(parents=True, exist_ok=True)
    for name, text in (("Cargo.toml", MANIFEST), ("build.rs", BUILD), ("baseline.cu", KERNELS), ("src/main.rs", PROGRAM)):
        (folder / name).write_text(text)
    (folder / "points.bin").write_bytes(b"".join(points()))
    draw = random.Random(7)
    (folder / "scalars.bin").write_bytes(b"".join(words(draw.randrange(R)) for _ in range(POINTS)))
    environment["CARGO_TARGET_DIR"] = str((folder / "target").resolve())
    subprocess.run(["cargo", "build", "--release"], cwd=folder, env=environment, check=True, stdout=sys.stderr)
    if "--build-only" not in sys.argv:
        subprocess.run(["target/release/sppark-baseline", *sizes], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
