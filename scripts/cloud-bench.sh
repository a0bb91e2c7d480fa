#!/bin/sh
# Everything that is worth measuring on a rented GPU server, in one command:
#
#   scripts/cloud-bench.sh [--out FOLDER] [--price USD_PER_HOUR] [--minutes 10] [--log-sizes 16,18,20,22,24,26] [--models FOLDER]
#
# Builds a release binary with every device, tests each device that is found by the law suite and by large results beside the
# processor's, measures multi-scalar multiplications, transforms and whole proofs on each, and writes record.json, report.md and
# report.html with plots. Baselines in the same run: an installed ICICLE's devices, which are devices like any other here, and sppark
# where nvcc is installed (scripts/sppark_baseline.py). Needs Rust, a C++ compiler and Python 3.8; without a GPU it measures the
# processor and says so. Step by step, so that what is done is kept if the server goes away; no step begins after the minutes given.
set -eu

cd "$(dirname "$0")/.."
command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or later from https://rustup.rs" >&2; exit 3; }
command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.8 or later" >&2; exit 3; }
exec python3 scripts/cloud_bench.py "$@"
