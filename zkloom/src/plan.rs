//! What proving will need, before any of it starts.

mod probe;
mod rounds;

use serde::Serialize;
use zkloom_backends::with_backend;
use zkloom_circuits::CompileReport;
use zkloom_circuits::cost::shape_of;

use crate::devices;
use crate::error::Result;
use crate::resident::ProveOptions;
use crate::session::{Compiled, Keyed};

pub use probe::Rates;
pub use rounds::{StageEstimate, Work};

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
    /// All measured rates.
    pub rates: Rates,
    /// Time of each stage at these rates, the network's own values first.
    pub stages: Vec<StageEstimate>,
    /// Proving time in seconds: all stages, with the key resident.
    pub proving_seconds: f64,
}

impl Keyed {
    /// Peak memory of a process that proves with this key on the processor, in bytes.
    pub fn proving_memory_bytes(&self) -> u64 {
        shape_of(self.key.verifying().circuit()).memory_bytes() + PROCESS_BYTES
    }

    /// The same for the device that these options choose; nothing where it has memory of its own.
    ///
    /// # Errors
    /// A device that is unknown or fails.
    pub fn memory_on(&self, options: &ProveOptions) -> Result<Option<u64>> {
        let log_rows = self.key.verifying().circuit().log_rows;
        let device = devices::open(&options.backend, options.threads, log_rows)?.backend;
        let is_processor = device.capabilities().name == "cpu";
        Ok(is_processor.then(|| self.proving_memory_bytes()))
    }
}

impl Compiled {
    /// Measures the device for some tenths of a second, and reckons with its rates what each round of a proof takes.
    ///
    /// # Errors
    /// A device that is unknown or fails.
    pub fn estimate(&self, backend: &str, threads: Option<usize>) -> Result<Estimate> {
        let circuit = self.report();
        let device = devices::open(backend, threads, circuit.shape.log_rows)?.backend;
        let rates = with_backend!(&device, device => probe::measure(device, circuit.shape.log_rows))?;
        let stages = Work::of(self.circuit(), self.graph(), circuit.shape, circuit.shift).stages(&rates);
        Ok(Estimate {
            srs_log_size: self.srs_log_size(),
            memory_bytes: circuit.proving_memory_bytes + PROCESS_BYTES,
            proof_bytes: circuit.proof_bytes,
            device: device.capabilities().name,
            entry_nanoseconds: rates.full_entry * 1e9,
            proving_seconds: stages.iter().map(|stage| stage.seconds).sum(),
            rates,
            stages,
            circuit,
        })
    }
}
