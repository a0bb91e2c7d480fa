//! What a proof needs of a device's memory, before any of it is asked for.
//!
//! The planner counts the vectors that live at each stage of a proof, as the prover makes and drops them. Sums of points and boxes
//! adapt their scratch memory to what is left; the planner counts what they can't do without.

use serde::Serialize;
use zkloom_backends::{Backend, BackendError, with_backend};
use zkloom_plonkish::Circuit;
use zkloom_prover::ProvingKey;

use crate::devices;
use crate::error::Result;
use crate::session::{Compiled, Keyed};

/// Bytes of a field element, and of a point.
const ELEMENT: u64 = 32;
const POINT: u64 = 64;

/// Bytes of a matrix entry where its weights are not at hand: integers of at most 16 bits.
const ENTRY: u64 = 2;

/// Bytes of an integer of the trace at most, except where a network is very wide; integers are dropped after the first stage.
const CELL: u64 = 4;

/// Bytes of tables that programs and boxes bring along, and of the smallest accumulators.
const TABLES: u64 = 8 << 20;

/// Vectors as long as there are rows that a stage makes and drops: results of programs, inverses, what a transform writes to.
const PASSING: u64 = 6;

/// Vectors of the twice extended size that the link of the two forms has at a time.
const EXTENDED: u64 = 6;

/// What the circuit says of a proof's vectors; all counts are of entries.
#[derive(Clone, Copy, Debug)]
struct Vectors {
    rows: u64,
    fixed: u64,
    /// Columns of the trace, multiplicities among them, and those that are tensors.
    columns: u64,
    tensors: u64,
    helpers: u64,
    cosets: u64,
    /// Entries of all folds and contractions.
    folds: u64,
    /// Entries of the longest vector.
    extended: u64,
    powers: u64,
}

impl Vectors {
    fn of(circuit: &Circuit) -> Self {
        let fold_lengths: Vec<u64> =
            circuit.folds().into_iter().map(|kind| circuit.fold_length(kind)).collect();
        let externals: u64 = circuit.externals.iter().map(|external| u64::from(external.length)).sum();
        let contractions: u64 = circuit.matrices.iter().map(|matrix| u64::from(matrix.columns)).sum();
        let longest = fold_lengths.iter().copied().max().unwrap_or(0).max(circuit.srs_length() - 8);
        let rows = circuit.rows() as u64;
        Self {
            rows,
            fixed: circuit.fixed.len() as u64,
            columns: (circuit.advice.len() + circuit.table_sets.len()) as u64,
            tensors: circuit.tensor_columns().count() as u64,
            helpers: circuit.helpers() as u64,
            cosets: u64::from(circuit.max_degree.saturating_sub(1).max(1)),
            folds: fold_lengths.iter().sum::<u64>() + contractions + externals,
            extended: (2 * rows.max(longest)).next_power_of_two(),
            powers: circuit.srs_length(),
        }
    }

    /// Bytes of the key but for its matrices.
    fn key(&self) -> u64 {
        let columns = self.rows.saturating_mul(2 * self.fixed + 3);
        columns.saturating_mul(ELEMENT).saturating_add((self.powers + self.rows).saturating_mul(POINT))
    }

    /// Bytes of a proof's own vectors where there are most.
    fn proof(&self) -> u64 {
        // A helper has one coefficient more than there are rows, and memory is asked for in steps.
        let helpers = self.helpers + self.helpers.div_ceil(8);
        let trace = self.rows * (2 * self.columns + PASSING) * ELEMENT + self.rows * self.columns * CELL;
        let folds = self.rows * (2 * self.columns + helpers + self.helpers + PASSING);
        let link = self.rows * (2 * self.columns + helpers + 3) + EXTENDED * self.extended;
        // Values on a coset of whatever the identities read, and what is kept of the cosets before.
        let opened = self.columns + self.fixed + self.helpers + 4;
        let quotient = self.rows * (self.columns + self.tensors + helpers + 3 + opened + self.cosets + 3);
        let quotient = quotient + self.extended;
        let most = folds.max(link).max(quotient) + self.folds;
        most.saturating_mul(ELEMENT).max(trace)
    }
}

/// What a proof needs of a device's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceMemory {
    /// The device's name.
    pub device: String,
    /// Bytes of the key: points, fixed columns, weights.
    pub key_bytes: u64,
    /// Bytes of a proof's own vectors, where there are most.
    pub proof_bytes: u64,
    /// Bytes of scratch memory that it can't do without; with more it is faster.
    pub scratch_bytes: u64,
    /// Bytes of the device that are free, where it tells.
    pub free_bytes: Option<u64>,
    /// Entries of the longest vector of field elements.
    pub longest_vector: u64,
    /// Entries of the longest vector that the device can hold, where that is bounded.
    pub device_longest_vector: Option<u64>,
}

impl DeviceMemory {
    fn of<B: Backend>(circuit: &Circuit, matrix_bytes: u64, backend: &B) -> Result<Self> {
        let vectors = Vectors::of(circuit);
        let scratch = backend.least_scratch(usize::try_from(vectors.powers).unwrap_or(usize::MAX));
        Ok(Self {
            device: backend.capabilities().name,
            key_bytes: vectors.key().saturating_add(matrix_bytes),
            proof_bytes: vectors.proof(),
            scratch_bytes: scratch.saturating_add(TABLES),
            free_bytes: backend.free_memory()?,
            longest_vector: vectors.extended,
            device_longest_vector: backend.longest_vector().map(|entries| entries as u64),
        })
    }

    /// What a key needs on a device.
    pub(super) fn of_key<B: Backend>(key: &ProvingKey, backend: &B) -> Result<Self> {
        let bytes = |entries: &[i64]| {
            let fits = |bits: u32| {
                entries.iter().all(|entry| (-1i64 << (bits - 1)..1 << (bits - 1)).contains(entry))
            };
            let width = [8, 16, 32].into_iter().find(|&bits| fits(bits)).unwrap_or(64) / 8;
            entries.len() as u64 * u64::from(width)
        };
        let matrices = key.weights().iter().map(|matrix| bytes(&matrix.entries)).sum();
        Self::of(key.verifying().circuit(), matrices, backend)
    }

    /// Bytes in all.
    pub fn needed_bytes(&self) -> u64 {
        self.key_bytes.saturating_add(self.proof_bytes).saturating_add(self.scratch_bytes)
    }

    /// Whether the device has what a proof needs, as far as it tells.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] with what is needed, what there is, and what to do.
    pub fn check(&self) -> core::result::Result<(), BackendError> {
        let unavailable = |reason| Err(BackendError::Unavailable { name: self.device.clone(), reason });
        if let Some(most) = self.device_longest_vector.filter(|&most| self.longest_vector > most) {
            return unavailable(format!(
                "a proof has vectors of {} field elements, and the device can hold {most} in one; compile with fewer rows, or use \
                 another device",
                self.longest_vector
            ));
        }
        match self.free_bytes {
            Some(free) if self.needed_bytes() > free => {
                let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
                unavailable(format!(
                    "a proof needs {} MiB of its memory (key {}, vectors {}, scratch {}), and {} MiB are free; use a device with \
                     more memory, several of them together (`cuda:all`), or `cpu`",
                    mebibytes(self.needed_bytes()),
                    mebibytes(self.key_bytes),
                    mebibytes(self.proof_bytes),
                    mebibytes(self.scratch_bytes),
                    free >> 20
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Keyed {
    /// What this key and its proofs need of the memory of a device that is chosen as for proving.
    ///
    /// # Errors
    /// A device that can't be used, or that fails.
    pub fn device_memory(&self, backend: &str, threads: Option<usize>) -> Result<DeviceMemory> {
        let circuit = self.key.verifying().circuit();
        let device = devices::open(backend, threads, circuit.log_rows)?.backend;
        with_backend!(&device, device => DeviceMemory::of_key(&self.key, device))
    }
}

impl Compiled {
    /// What a key of this circuit and its proofs will need of the memory of a device, with weights of at most 16 bits.
    ///
    /// # Errors
    /// A device that can't be used, or that fails.
    pub fn device_memory(&self, backend: &str, threads: Option<usize>) -> Result<DeviceMemory> {
        let circuit = self.circuit();
        let device = devices::open(backend, threads, circuit.log_rows)?.backend;
        let matrices = circuit.cost().matrix_entries.saturating_mul(ENTRY);
        with_backend!(&device, device => DeviceMemory::of(circuit, matrices, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(free_bytes: Option<u64>, device_longest_vector: Option<u64>) -> DeviceMemory {
        DeviceMemory {
            device: "cuda:0".into(),
            key_bytes: 10 << 20,
            proof_bytes: 20 << 20,
            scratch_bytes: 1 << 20,
            free_bytes,
            longest_vector: 1 << 12,
            device_longest_vector,
        }
    }

    #[test]
    fn a_device_without_enough_is_refused_with_the_numbers() {
        assert!(memory(None, None).check().is_ok());
        assert!(memory(Some(31 << 20), Some(1 << 12)).check().is_ok());
        let short = memory(Some((31 << 20) - 1), None).check().unwrap_err().to_string();
        assert!(short.contains("31 MiB") && short.contains("30 MiB are free"), "{short}");
        let long = memory(None, Some(4095)).check().unwrap_err().to_string();
        assert!(long.contains("4096") && long.contains("4095"), "{long}");
    }
}
