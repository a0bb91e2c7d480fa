#!/bin/sh
# Everything that has to pass before a change lands: scripts/test.sh
#
# Needs Rust and a C compiler. Tests of the wgpu backend need a Vulkan driver (Debian: mesa-vulkan-drivers), those of the emulated CUDA
# device a C++ compiler; without them they say that they are skipped. rustfmt, clippy and Python 3.8 or later serve the steps that use them; without one of them its steps
# are skipped and named at the end.
set -u

cd "$(dirname "$0")/.." || exit 1
. scripts/steps.sh

if python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    step "architecture self-test" python3 scripts/check_architecture.py --self-test
    step "architecture" python3 scripts/check_architecture.py
    step "licences self-test" python3 scripts/check_licences.py --self-test
    step "licences" python3 scripts/check_licences.py
    step "fixtures" python3 scripts/check_fixtures.py
    step "powers-of-tau fixtures" python3 scripts/check_ptau.py fixtures/snarkjs-p8.ptau fixtures/snarkjs-p8-phase2.ptau
    python=yes
else
    skip "architecture, licences, fixtures" "Python 3.8 or later is missing"
    python=no
fi

if cargo fmt --version >/dev/null 2>&1; then
    step "format" cargo fmt --all --check
else
    skip "format" "rustfmt is missing (rustup component add rustfmt)"
fi

if cargo clippy --version >/dev/null 2>&1; then
    step "lints" cargo clippy --locked --workspace --all-features --all-targets -- -D warnings
else
    skip "lints" "clippy is missing (rustup component add clippy)"
fi

step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --all-features --no-deps
step "tests" cargo test --locked --workspace --all-features

if [ -f scripts/verify_proof.py ]; then
    if [ "$python" = yes ]; then
        step "independent verifier" python3 scripts/verify_proof.py --self-test
    else
        skip "independent verifier" "Python 3.8 or later is missing"
    fi
fi

finish
