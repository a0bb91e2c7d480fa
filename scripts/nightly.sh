#!/bin/sh
# The long checks: scripts/nightly.sh [SECONDS_FOR_EACH_FUZZ_TARGET]
#
# Runs the tests marked #[ignore] and the demo, and, where the tools are there, cargo-deny, a build of the verifier for wasm32 and each
# fuzz target for some time (180 s unless told otherwise). Allow an hour on two cores.
set -u

cd "$(dirname "$0")/.." || exit 1
. scripts/steps.sh
fuzz_seconds="${1:-180}"

# Not the documentation's examples: there `ignore` means that a block is no program. Nor the test that writes fixtures anew.
step "long tests" cargo test --locked --release --workspace --lib --bins --tests -- --ignored \
    --skip fixtures_for_the_independent_verifier
step "demo" cargo run --locked --release --bin zkloom -- demo

# The networks are made anew: a minute, and some 130 MB.
if python3 -c 'import numpy, onnx' 2>/dev/null; then
    ladder="$(mktemp -d)"
    step "ladder of networks" python3 scripts/ladder.py "$ladder"
    step "ladder's proofs" cargo bench --locked -p zkloom-benches --bench ladder -- --models "$ladder" --repetitions 1
    rm -rf "$ladder"
    if [ -d "$(python3 -c 'import onnx.backend.test as t, os; print(os.path.dirname(t.__file__))')/data/node" ]; then
        step "ONNX's node tests" python3 scripts/onnx_node_tests.py --zkloom "${CARGO_TARGET_DIR:-target}/release/zkloom" \
            --markdown /dev/null
    else
        skip_optional "ONNX's node tests" "this onnx ships none (pip install onnx==1.17.0)"
    fi
else
    skip_optional "ladder of networks, ONNX's node tests" "Python's numpy or onnx is missing"
fi

if cargo deny --version >/dev/null 2>&1; then
    step "cargo-deny" cargo deny check
else
    skip_optional "cargo-deny" "not installed"
fi

if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    step "verifier for wasm32" cargo build --locked --release -p zkloom-verifier --target wasm32-unknown-unknown
else
    skip_optional "verifier for wasm32" "target missing (rustup target add wasm32-unknown-unknown)"
fi

# The kernels' unsafe code under AddressSanitizer. It watches our own crates and their dependencies; the standard library comes as it is.
host="$(rustc -vV | sed -n 's/^host: //p')"
runtime="$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/$host/lib/librustc-nightly_rt.asan.a"
if [ -f "$runtime" ]; then
    step "kernels under AddressSanitizer" env RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan" \
        cargo +nightly test --locked --release --target "$host" -p zkloom-kernels --lib --tests
else
    skip_optional "kernels under AddressSanitizer" "no nightly toolchain with the sanitizer's runtime for $host"
fi

# Miri knows no vector instructions: it runs small tests of what the portable tier shares with the others.
if cargo +nightly miri --version >/dev/null 2>&1; then
    step "kernels under Miri" env ZKLOOM_CPU_TIER=portable MIRIFLAGS=-Zmiri-permissive-provenance \
        cargo +nightly miri test --locked -p zkloom-kernels --lib -- huge:: halves_make_the_whole
else
    skip_optional "kernels under Miri" "Miri is not installed (rustup +nightly component add miri)"
fi

if [ ! -f fuzz/Cargo.toml ]; then
    skip_optional "fuzz" "fuzz/Cargo.toml is missing"
elif cargo +nightly fuzz --version >/dev/null 2>&1; then
    for target in $(cargo +nightly fuzz list); do
        step "fuzz $target" cargo +nightly fuzz run "$target" -- -max_total_time="$fuzz_seconds"
    done
else
    skip_optional "fuzz" "cargo-fuzz or the nightly toolchain is missing"
fi

finish
