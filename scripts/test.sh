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

# Whole proofs on devices that are not there: our CUDA kernels on a driver that runs them on the processor, and the stub of ICICLE.
emulated_proofs() {
    emulated=$(mktemp -d) || return 1
    mkdir -p "$emulated/lib"
    outcome=1
    if "${CXX:-c++}" -std=c++17 -O2 -shared -fPIC kernels/cuda/host/driver.cpp -o "$emulated/driver.so" &&
        cargo build --locked -p zkloom-icicle-stub; then
        for part in device field_bn254 curve_bn254; do
            cp "${CARGO_TARGET_DIR:-target}/debug/libzkloom_icicle_stub.so" "$emulated/lib/libicicle_$part.so" || break
        done
        ZKLOOM_CUDA_DRIVER="$emulated/driver.so" ZKLOOM_EMULATED_DEVICES=2 \
            ICICLE_INSTALL_DIR="$emulated" ZKLOOM_REQUIRE_DEVICES=cuda:all,icicle \
            cargo test --locked --workspace --all-features one_seed_gives_the_same_bytes_on_every_device
        outcome=$?
    fi
    rm -rf "$emulated"
    return $outcome
}
if [ "$(uname -s)" != Linux ]; then
    skip_optional "proofs on emulated devices" "they are made for Linux"
elif "${CXX:-c++}" --version >/dev/null 2>&1; then
    step "proofs on emulated devices" emulated_proofs
else
    skip "proofs on emulated devices" "a C++ compiler is missing"
fi

if [ -f scripts/verify_proof.py ]; then
    if [ "$python" = yes ]; then
        step "independent verifier" python3 scripts/verify_proof.py --self-test
    else
        skip "independent verifier" "Python 3.8 or later is missing"
    fi
fi

finish
