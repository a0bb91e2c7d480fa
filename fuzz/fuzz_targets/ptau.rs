//! Any bytes as a powers-of-tau file: what is accepted is consistent.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{PTAU, patched};
use zkloom_prover::srs::ptau;

fuzz_target!(|data: &[u8]| {
    if let Ok(srs) = ptau::import(Cursor::new(patched(PTAU, data)), 6) {
        assert!(srs.pin().is_consistent());
        assert!(srs.powers().len() >= 2 && srs.powers()[0] == srs.pin().one_g1);
    }
});
