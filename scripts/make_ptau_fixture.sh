#!/bin/sh
# Makes the powers-of-tau fixtures with snarkjs itself: scripts/make_ptau_fixture.sh [POWER]
#
# snarkjs mixes operating-system randomness into every contribution, so each run gives other points: after a run, update the
# digests in fixtures/README.md and run scripts/check_ptau.py. Needs Node.js and npm; snarkjs is installed in a temporary
# folder. It is a tool here, no part of it enters the repository.
set -eu

power="${1:-8}"
root="$(cd "$(dirname "$0")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cd "$work"
npm init -y >/dev/null
npm install --no-fund --no-audit snarkjs@0.7.5
snarkjs="$work/node_modules/.bin/snarkjs"

"$snarkjs" powersoftau new bn128 "$power" start.ptau
"$snarkjs" powersoftau contribute start.ptau contributed.ptau \
    --name="zkLoom test fixture" -e="published entropy of a test fixture, of no use for real proofs"
"$snarkjs" powersoftau verify contributed.ptau
"$snarkjs" powersoftau prepare phase2 contributed.ptau phase2.ptau
"$snarkjs" powersoftau verify phase2.ptau

cp contributed.ptau "$root/fixtures/snarkjs-p$power.ptau"
cp phase2.ptau "$root/fixtures/snarkjs-p$power-phase2.ptau"
cd "$root"
sha256sum "fixtures/snarkjs-p$power.ptau" "fixtures/snarkjs-p$power-phase2.ptau"
