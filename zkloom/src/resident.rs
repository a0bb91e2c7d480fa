//! Proving: a key made resident on a device, and the proofs that it makes there.

mod memory;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zkloom_backends::{Backend, BackendError, CpuBackend, Meter, with_backend};
use zkloom_plonkish::Fr;
use zkloom_plonkish::circuit::ExternalVector;
use zkloom_plonkish::mock::MockChecker;
use zkloom_prover::prove::fresh_hiding;
use zkloom_prover::{KeyError, ProveError, Prover, ProverInput, Stage, Timing};
use zkloom_verifier::G1Affine;
use zkloom_verifier::group::compressed;

use crate::devices;
use crate::error::{Error, Result};
use crate::openings::{Opening, Openings};
use crate::proof_file::ProofFile;
use crate::session::Keyed;
pub use memory::DeviceMemory;

/// Failures that a diagnosis lists.
const LISTED_FAILURES: usize = 4;

/// How to prove.
#[derive(Clone, Debug, Default)]
pub struct ProveOptions {
    /// Device, as in `--backend`; `auto` if empty.
    pub backend: String,
    /// Processor threads; all by default.
    pub threads: Option<usize>,
    /// Openings of tensors that were committed before; fresh ones are drawn for the others.
    pub openings: Openings,
}

/// A prover on some device.
trait AnyProver {
    fn prove(
        &self,
        input: &ProverInput,
        observer: &mut dyn FnMut(Stage),
    ) -> core::result::Result<zkloom_prover::prove::Proved, ProveError>;

    fn meter(&self) -> &Meter;
}

struct OnDevice<'a, B: Backend> {
    prover: Prover<'a, B>,
    backend: &'a B,
}

impl<B: Backend> AnyProver for OnDevice<'_, B> {
    fn prove(
        &self,
        input: &ProverInput,
        observer: &mut dyn FnMut(Stage),
    ) -> core::result::Result<zkloom_prover::prove::Proved, ProveError> {
        self.prover.prove(input, observer)
    }

    fn meter(&self) -> &Meter {
        self.backend.meter()
    }
}

/// The processor, for the proofs that an accelerator fails to make.
struct Spare<'a> {
    keyed: &'a Keyed,
    backend: CpuBackend,
}

impl Spare<'_> {
    /// Uploads the key for this one proof: rare enough not to keep a second copy of everything in memory.
    fn prove(
        &self,
        input: &ProverInput,
        observer: &mut dyn FnMut(Stage),
    ) -> Result<core::result::Result<zkloom_prover::prove::Proved, ProveError>> {
        let prover = Prover::new(&self.backend, &self.keyed.srs, &self.keyed.key)?;
        Ok(prover.prove(input, observer))
    }
}

/// A key whose points, tables and weights lie on a device, ready for any number of proofs.
///
/// Every proof is verified before it is handed out. If an accelerator makes a wrong one, it is made again once, and then on the
/// processor; an accelerator that fails (lost, out of memory) is replaced by the processor at once. From then on this key
/// leaves the accelerator alone. [`Proved::faults`] tells what happened.
pub struct Resident<'a> {
    keyed: &'a Keyed,
    circuit: zkloom_circuits::Compiled,
    prover: &'a dyn AnyProver,
    /// None where the device is the processor itself.
    spare: Option<Spare<'a>>,
    quarantined: AtomicBool,
    upload_time: Duration,
    device: String,
    /// Why this device.
    reason: String,
}

impl core::fmt::Debug for Resident<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Resident").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Whether a failure is the device's own, so that another device may do better.
fn is_device_fault(error: &BackendError) -> bool {
    match error {
        BackendError::OutOfMemory { .. }
        | BackendError::Device { .. }
        | BackendError::Unsupported { .. }
        | BackendError::Unavailable { .. }
        | BackendError::Disagreement { .. } => true,
        BackendError::Length { .. } | BackendError::Argument { .. } => false,
    }
}

impl Keyed {
    /// Makes the key resident on the device that `options` name, and hands it to `work`. The device is given back afterwards.
    /// If `auto` chose a device that can't hold the key, the processor takes its place. What a proof will need of the device's memory
    /// is known before anything is sent there, and a device with less is refused with the numbers.
    ///
    /// ```no_run
    /// # fn inputs() -> Vec<Vec<f32>> { Vec::new() }
    /// let keyed = zkloom::Keyed::load("keys/proving.key".as_ref())?;
    /// keyed.resident(&zkloom::ProveOptions::default(), |key| {
    ///     for (number, input) in inputs().iter().enumerate() {
    ///         let proved = key.prove(input, &zkloom::Openings::default(), &mut |_| {})?;
    ///         proved.file().save(format!("{number}.proof").as_ref())?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), zkloom::Error>(())
    /// ```
    pub fn resident<T>(
        &self,
        options: &ProveOptions,
        work: impl FnOnce(&Resident<'_>) -> Result<T>,
    ) -> Result<T> {
        let name = options.backend.as_str();
        let log_rows = self.key.verifying().circuit().log_rows;
        let chosen = devices::open(name, options.threads, log_rows)?;
        let device = chosen.backend.capabilities().name;
        tracing::info!("device {device}: {}", chosen.reason);
        let tried = with_backend!(&chosen.backend, backend => {
            self.try_resident((backend, &chosen.reason), options.threads, work)
        })?;
        match tried {
            Tried::Refused(KeyError::Backend(error), work)
                if matches!(name, "" | "auto") && device != "cpu" && is_device_fault(&error) =>
            {
                tracing::warn!("{error}; the processor is used instead");
                let processor = CpuBackend::new(options.threads)?;
                let reason = format!("{device} can't hold the key");
                self.try_resident((&processor, &reason), options.threads, work)?.value()
            }
            tried => tried.value(),
        }
    }

    /// Makes the key resident on a device of the caller's, and hands it to `work`. `threads` are for the processor, in case that
    /// it has to make a proof that the device fails to make.
    pub fn resident_on<B: Backend, T>(
        &self,
        backend: &B,
        threads: Option<usize>,
        work: impl FnOnce(&Resident<'_>) -> Result<T>,
    ) -> Result<T> {
        self.try_resident((backend, "given"), threads, work)?.value()
    }

    /// Does `work`, or gives it back if the device refuses the key.
    fn try_resident<B: Backend, T, W: FnOnce(&Resident<'_>) -> Result<T>>(
        &self,
        (backend, reason): (&B, &str),
        threads: Option<usize>,
        work: W,
    ) -> Result<Tried<T, W>> {
        let start = Instant::now();
        let memory = DeviceMemory::of_key(&self.key, backend)?;
        if let Err(error) = memory.check() {
            return Ok(Tried::Refused(KeyError::Backend(error), work));
        }
        backend.expect(memory.needed_bytes());
        let prover = match Prover::new(backend, &self.srs, &self.key) {
            Ok(prover) => OnDevice { prover, backend },
            Err(error) => return Ok(Tried::Refused(error, work)),
        };
        let upload_time = start.elapsed();
        let device = backend.capabilities().name;
        let spare = match device.as_str() {
            "cpu" => None,
            _ => Some(Spare { keyed: self, backend: CpuBackend::new(threads)? }),
        };
        let resident = Resident {
            keyed: self,
            circuit: self.circuit(),
            prover: &prover,
            spare,
            quarantined: AtomicBool::new(false),
            upload_time,
            device,
            reason: reason.to_owned(),
        };
        Ok(Tried::Done(work(&resident)?))
    }
}

/// Outcome of making a key resident.
enum Tried<T, W> {
    Done(T),
    Refused(KeyError, W),
}

impl<T, W> Tried<T, W> {
    fn value(self) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(error, _) => Err(error.into()),
        }
    }
}

impl Resident<'_> {
    /// Wall time of making the key resident.
    pub fn upload_time(&self) -> Duration {
        self.upload_time
    }

    /// Proves one inference. `observer` hears of each stage when it begins.
    pub fn prove(
        &self,
        input: &[f32],
        openings: &Openings,
        observer: &mut dyn FnMut(Stage),
    ) -> Result<Proved> {
        let integers = self.keyed.graph.quantise_input(input)?;
        self.prove_integers(&integers, openings, observer)
    }

    /// Proves one inference on an input that is quantised already.
    pub fn prove_integers(
        &self,
        input: &[i64],
        openings: &Openings,
        observer: &mut dyn FnMut(Stage),
    ) -> Result<Proved> {
        let keyed = self.keyed;
        let start = Instant::now();
        let witness = self.circuit.witness(&keyed.graph, input)?;
        let witness_time = start.elapsed();
        let external_hiding = keyed.hiding(openings, &witness.externals)?;
        let input = ProverInput { witness, external_hiding };
        let made = self.make(&input, observer)?;
        let proved = made.proved;
        let opened = keyed.opened(&input.external_hiding, &proved.statement.externals, openings)?;
        let file = ProofFile {
            key: keyed.key.verifying().digest(),
            srs_kind: keyed.srs_kind(),
            statement: proved.statement,
            bytes: proved.proof.to_bytes(),
            place: "the proof".to_owned(),
        };
        let (timings, upload_time) = (proved.timings, self.upload_time);
        let transfers = Transfers::of(self.prover.meter());
        let (device, faults, reason) = (made.device, made.faults, self.reason.clone());
        let openings = opened;
        Ok(Proved { file, witness_time, upload_time, timings, openings, transfers, device, reason, faults })
    }

    /// A proof from the device, or from the processor if the device fails.
    fn make(&self, input: &ProverInput, observer: &mut dyn FnMut(Stage)) -> Result<Made> {
        let mut faults = Vec::new();
        while !self.quarantined.load(Ordering::Relaxed) {
            let error = match self.prover.prove(input, observer) {
                Ok(proved) => return Ok(Made { proved, device: self.device.clone(), faults }),
                Err(error) => error,
            };
            let faulty = match &error {
                ProveError::Backend(error) => is_device_fault(error),
                ProveError::SelfCheck(_) => self.keyed.failures(&self.circuit, input).is_empty(),
                _ => false,
            };
            if !faulty || self.spare.is_none() {
                return Err(self.keyed.diagnose(error, &self.circuit, input));
            }
            tracing::warn!("device {}: {error}", self.device);
            // A wrong proof may be a passing fault; a lost device or too little memory is not.
            let again = matches!(error, ProveError::SelfCheck(_)) && faults.is_empty();
            faults.push(format!("{}: {error}", self.device));
            if !again {
                self.quarantined.store(true, Ordering::Relaxed);
            }
        }
        let Some(spare) = &self.spare else {
            return Err(Error::Prove(ProveError::Backend(BackendError::Unavailable {
                name: self.device.clone(),
                reason: "it failed before".to_owned(),
            })));
        };
        tracing::warn!("device {} has failed; the processor makes this proof", self.device);
        let proved = spare
            .prove(input, observer)?
            .map_err(|error| self.keyed.diagnose(error, &self.circuit, input))?;
        Ok(Made { proved, device: "cpu".to_owned(), faults })
    }
}

/// A proof, the device that made it, and what went wrong before.
struct Made {
    proved: zkloom_prover::prove::Proved,
    device: String,
    faults: Vec<String>,
}

impl Keyed {
    /// Hiding scalars in key order: given ones first, fresh ones for the rest.
    fn hiding(&self, given: &Openings, vectors: &[Vec<Fr>]) -> Result<Vec<Fr>> {
        let externals = self.key.verifying().circuit().externals.iter();
        let scalar = |(external, vector): (&ExternalVector, &Vec<Fr>)| match given.of(external.identifier) {
            Some(opening) => Ok(opening.hiding),
            None => Ok(fresh_hiding(vector)?),
        };
        externals.zip(vectors).map(scalar).collect()
    }

    /// The openings of a proof's commitments. A given scalar must have opened the same commitment before: under one scalar
    /// the difference of two commitments is a commitment to the values' difference without hiding.
    fn opened(&self, hiding: &[Fr], points: &[G1Affine], given: &Openings) -> Result<Openings> {
        let externals = &self.key.verifying().circuit().externals;
        let mut openings = Openings::default();
        for ((external, hiding), point) in externals.iter().zip(hiding).zip(points) {
            let (identifier, commitment) = (external.identifier, compressed(point).to_vec());
            if given.of(identifier).is_some_and(|known| known.commitment != commitment) {
                return Err(Error::OtherValues { tensor: external.name.clone() });
            }
            openings.entries.push(Opening { identifier, hiding: *hiding, commitment });
        }
        Ok(openings)
    }

    /// What the mock checker finds wrong with a witness.
    fn failures(
        &self,
        circuit: &zkloom_circuits::Compiled,
        input: &ProverInput,
    ) -> Vec<zkloom_plonkish::mock::Failure> {
        let checker =
            MockChecker { circuit: &circuit.circuit, fixed: &circuit.fixed, weights: self.key.weights() };
        checker.check(&input.witness, LISTED_FAILURES)
    }

    /// A proof that fails its own check has a cause in the witness or in the device: the mock checker tells which.
    fn diagnose(&self, error: ProveError, circuit: &zkloom_circuits::Compiled, input: &ProverInput) -> Error {
        if !matches!(error, ProveError::SelfCheck(_)) {
            return Error::Prove(error);
        }
        let failures = self.failures(circuit, input);
        if failures.is_empty() {
            return Error::Prove(error);
        }
        let list: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let reason = format!("its values violate the circuit: {}", list.join("; "));
        Error::Damaged { place: self.place.clone(), reason }
    }
}

/// What crossed the border to the device since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfers {
    /// Bytes sent to the device.
    pub uploaded: u64,
    /// Bytes fetched from it.
    pub downloaded: u64,
    /// Operations started.
    pub launches: u64,
    /// Operations that the device lacks and the processor did for it.
    pub composed: u64,
    /// Bytes that went from device to device, where several work together.
    #[serde(default)]
    pub moved: u64,
}

impl Transfers {
    fn of(meter: &zkloom_backends::Meter) -> Self {
        Self {
            uploaded: meter.uploaded_bytes(),
            downloaded: meter.downloaded_bytes(),
            launches: meter.launches(),
            composed: meter.composed(),
            moved: meter.moved_bytes(),
        }
    }
}

/// A proof, verified by its prover, and what it cost.
#[derive(Clone, Debug)]
pub struct Proved {
    file: ProofFile,
    witness_time: Duration,
    upload_time: Duration,
    timings: Vec<Timing>,
    openings: Openings,
    transfers: Transfers,
    device: String,
    reason: String,
    faults: Vec<String>,
}

impl Proved {
    /// The proof with its statement.
    pub fn file(&self) -> &ProofFile {
        &self.file
    }

    /// Wall time of running the network and filling the trace.
    pub fn witness_time(&self) -> Duration {
        self.witness_time
    }

    /// Wall time of making the key resident on the device.
    pub fn upload_time(&self) -> Duration {
        self.upload_time
    }

    /// Wall time of all of it: witness, upload, every stage.
    pub fn total_time(&self) -> Duration {
        self.witness_time
            + self.upload_time
            + self.timings.iter().map(|timing| timing.duration).sum::<Duration>()
    }

    /// Wall time by stage.
    pub fn timings(&self) -> &[Timing] {
        &self.timings
    }

    /// Openings of committed tensors: secret.
    pub fn openings(&self) -> &Openings {
        &self.openings
    }

    /// Bytes and operations that the device saw.
    pub fn transfers(&self) -> Transfers {
        self.transfers
    }

    /// Name of the device that made it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Why the key was put on the device that it was put on, in words.
    pub fn device_reason(&self) -> &str {
        &self.reason
    }

    /// What went wrong on the chosen device before this proof was made: empty, unless an accelerator failed.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}
