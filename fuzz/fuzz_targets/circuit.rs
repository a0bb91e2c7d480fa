//! Any bytes as a circuit: decoding ends, and a valid circuit answers every question about its shape.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{Fixture, decode, patched};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{Circuit, Encode, FixedValues};
use zkloom_verifier::rounds::evaluations::EvaluationPlan;

/// Origins are checked row by row, so only for circuits of a moderate size.
const MOST_CELLS: u64 = 1 << 16;

fuzz_target!(|data: &[u8]| {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let base = BASE.get_or_init(|| Fixture::get().key.circuit().to_vec());
    let Some(circuit) = decode::<Circuit>(&patched(base, data)) else { return };
    if circuit.validate().is_err() {
        return;
    }
    let _ = (circuit.digest(), circuit.srs_length(), circuit.helpers(), circuit.fold_segments());
    let _ = (EvaluationPlan::new(&circuit), circuit.opened_rotations());
    let cells = |views: &[zkloom_plonkish::View]| views.iter().map(|view| view.size()).sum::<u64>();
    if circuit.log_rows <= 16
        && circuit.claims.iter().map(|claim| cells(&claim.output)).sum::<u64>() < MOST_CELLS
    {
        let fixed = FixedValues { columns: vec![vec![1; 8]; circuit.fixed.len()] };
        let _ = check_origins(&circuit, &fixed, &[]);
    }
});
