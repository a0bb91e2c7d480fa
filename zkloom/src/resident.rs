//! Proving: a key made resident on a device, and the proofs that it makes there.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zkloom_backends::{Backend, Meter, with_backend};
use zkloom_plonkish::Fr;
use zkloom_plonkish::circuit::ExternalVector;
use zkloom_plonkish::mock::MockChecker;
use zkloom_prover::prove::fresh_hiding;
use zkloom_prover::{ProveError, Prover, ProverInput, Stage, Timing};
use zkloom_verifier::G1Affine;
use zkloom_verifier::group::compressed;

use crate::devices;
use crate::error::{Error, Result};
use crate::openings::{Opening, Openings};
use crate::proof_file::ProofFile;
use crate::session::Keyed;

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

/// A key whose points, tables and weights lie on a device, ready for any number of proofs.
pub struct Resident<'a> {
    keyed: &'a Keyed,
    circuit: zkloom_circuits::Compiled,
    prover: &'a dyn AnyProver,
    upload_time: Duration,
    device: String,
}

impl core::fmt::Debug for Resident<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Resident").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Keyed {
    /// Makes the key resident on the device that `options` name, and hands it to `work`. The device is given back afterwards.
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
        let name = if options.backend.is_empty() { "auto" } else { &options.backend };
        let backend = devices::open(name, options.threads)?;
        let device = backend.capabilities().name;
        with_backend!(&backend, backend => {
            let start = Instant::now();
            let prover = OnDevice { prover: Prover::new(backend, &self.srs, &self.key)?, backend };
            let upload_time = start.elapsed();
            let circuit = self.circuit();
            work(&Resident { keyed: self, circuit, prover: &prover, upload_time, device })
        })
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
        let proved = self
            .prover
            .prove(&input, observer)
            .map_err(|error| keyed.diagnose(error, &self.circuit, &input))?;
        let opened = keyed.opened(&input.external_hiding, &proved.statement.externals, openings)?;
        let file = ProofFile {
            key: keyed.key.verifying().digest(),
            srs_kind: keyed.srs_kind(),
            statement: proved.statement,
            bytes: proved.proof.to_bytes(),
            place: "the proof".to_owned(),
        };
        let (device, upload_time) = (self.device.clone(), self.upload_time);
        let (timings, transfers) = (proved.timings, Transfers::of(self.prover.meter()));
        Ok(Proved { file, witness_time, upload_time, timings, openings: opened, transfers, device })
    }
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

    /// A proof that fails its own check has a cause in the witness or in the device: the mock checker tells which.
    fn diagnose(&self, error: ProveError, circuit: &zkloom_circuits::Compiled, input: &ProverInput) -> Error {
        if !matches!(error, ProveError::SelfCheck(_)) {
            return Error::Prove(error);
        }
        let checker =
            MockChecker { circuit: &circuit.circuit, fixed: &circuit.fixed, weights: self.key.weights() };
        let failures = checker.check(&input.witness, LISTED_FAILURES);
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
}

impl Transfers {
    fn of(meter: &zkloom_backends::Meter) -> Self {
        Self {
            uploaded: meter.uploaded_bytes(),
            downloaded: meter.downloaded_bytes(),
            launches: meter.launches(),
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
}
