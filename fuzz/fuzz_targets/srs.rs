//! Any bytes as a structured reference string.

#![no_main]

use std::io::Cursor;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{PTAU, decode, patched};
use zkloom_plonkish::Encode;
use zkloom_prover::Srs;
use zkloom_prover::srs::ptau;

fuzz_target!(|data: &[u8]| {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let mut srs = ptau::import(Cursor::new(PTAU), 4).expect("the fixture is valid");
        srs.ensure_lagrange(3).expect("it has enough powers");
        srs.to_vec()
    });
    let Some(srs) = decode::<Srs>(&patched(base, data)) else { return };
    for log_rows in srs.lagrange_sizes() {
        assert_eq!(srs.lagrange(log_rows).map(<[_]>::len), Some(1 << log_rows));
    }
    let _ = srs.check_length(u64::from(data.len() as u32));
});
