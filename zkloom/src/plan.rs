//! What proving will need, before any of it starts.

use std::time::Instant;

use serde::Serialize;
use zkloom_backends::{Backend, with_backend};
use zkloom_circuits::CompileReport;

use crate::devices;
use crate::error::Result;
use crate::session::Compiled;
use crate::srs::Srs;

/// Size of the measured multi-scalar multiplication, as log2.
const PROBE_LOG_SIZE: u32 = 13;

/// Memory of the process beside the proof's vectors: the program itself, the key as read, the thread pool.
const PROCESS_BYTES: u64 = 20 << 20;

/// Memory, time and sizes of a proof.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The circuit.
    pub circuit: CompileReport,
    /// Log2 of the powers of tau that keys need.
    pub srs_log_size: u32,
    /// Peak memory of the proving process, in bytes.
    pub memory_bytes: u64,
    /// Bytes of a proof without its public values.
    pub proof_bytes: u64,
    /// Device that was measured.
    pub device: String,
    /// Measured time of one full-width entry of a multi-scalar multiplication, in nanoseconds.
    pub entry_nanoseconds: f64,
    /// Proving time in seconds that follows.
    pub proving_seconds: f64,
}

impl Compiled {
    /// Measures the device for some milliseconds and scales the cost model's work by it.
    pub fn estimate(&self, backend: &str, threads: Option<usize>) -> Result<Estimate> {
        let circuit = self.report();
        let device = devices::open(backend, threads, circuit.shape.log_rows)?.backend;
        let srs = Srs::development(PROBE_LOG_SIZE)?;
        let entry_nanoseconds = with_backend!(&device, device => probe(device, &srs))?;
        Ok(Estimate {
            srs_log_size: self.srs_log_size(),
            memory_bytes: circuit.proving_memory_bytes + PROCESS_BYTES,
            proof_bytes: circuit.proof_bytes,
            device: device.capabilities().name,
            entry_nanoseconds,
            proving_seconds: circuit.work * entry_nanoseconds * 1e-9,
            circuit,
        })
    }
}

/// Time of one entry, the fastest of nine runs.
fn probe<B: Backend>(backend: &B, srs: &Srs) -> Result<f64> {
    let count = 1_usize << PROBE_LOG_SIZE;
    let bases = backend.upload_bases(srs.inner.powers().get(..count).unwrap_or(&[]))?;
    // Full-width scalars that need no randomness: powers of an element of large order.
    let scalars: Vec<_> = zkloom_verifier::linear::powers(-zkloom_plonkish::Fr::from(3), count);
    let scalars = backend.upload(&scalars)?;
    let mut best = f64::INFINITY;
    for _ in 0..9 {
        let start = Instant::now();
        backend.msm(&bases, &[&scalars])?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best * 1e9 / count as f64)
}
