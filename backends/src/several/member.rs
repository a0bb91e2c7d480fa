//! What a device needs beyond [`Backend`] to work with others of its kind.

use ark_bn254::Fr;
use ark_ff::{BigInt, PrimeField};

use crate::backend::{Backend, Result};
use crate::error::BackendError;

/// A device that can take vectors from others of its kind. By default they go through the host.
///
/// `ntt`, `inverse_coset_ntt` and `batch_invert` of a member leave the vector as it was where they return
/// [`BackendError::OutOfMemory`].
pub trait Member: Backend {
    /// A copy of `len` entries, from `start` on, of another device's vector; the range lies within the vector.
    ///
    /// # Errors
    /// Those of either device.
    fn take(&self, from: &Self, values: &Self::Scalars, start: usize, len: usize) -> Result<Self::Scalars> {
        self.upload(&from.read(values, start, len)?)
    }

    /// The same for integers.
    ///
    /// # Errors
    /// Those of either device.
    fn take_integers(
        &self,
        from: &Self,
        values: &Self::Integers,
        start: usize,
        len: usize,
    ) -> Result<Self::Integers> {
        let elements = from.read(&from.widen(values)?, start, len)?;
        let integers: Option<Vec<i64>> = elements.iter().map(integer).collect();
        let integers = integers.ok_or_else(|| BackendError::Device {
            device: from.capabilities().name,
            operation: "widen",
            reason: "it made no integers of 64 bits".into(),
        })?;
        self.upload_integers(&integers)
    }

    /// Bytes of a vector of integers, for an estimate of what a device holds.
    fn integer_bytes(values: &Self::Integers) -> u64 {
        use crate::backend::DeviceVector;
        8 * values.len() as u64
    }
}

/// An integer of 64 bits from its field element.
fn integer(value: &Fr) -> Option<i64> {
    let word = |value: Fr| match value.into_bigint() {
        BigInt([word, 0, 0, 0]) => Some(word),
        _ => None,
    };
    match word(*value) {
        Some(word) => i64::try_from(word).ok(),
        None => word(-*value).and_then(|word| 0i64.checked_sub_unsigned(word)),
    }
}

impl Member for crate::cpu::CpuBackend {}
impl<B: Member> Member for crate::laws::Faulty<B> {}
impl Member for crate::absent::Absent {}

#[cfg(feature = "cuda")]
impl Member for crate::cuda::CudaBackend {
    fn take(&self, from: &Self, values: &Self::Scalars, start: usize, len: usize) -> Result<Self::Scalars> {
        self.take_scalars(from, values, start, len)
    }

    fn take_integers(
        &self,
        from: &Self,
        values: &Self::Integers,
        start: usize,
        len: usize,
    ) -> Result<Self::Integers> {
        self.take_some_integers(from, values, start, len)
    }

    fn integer_bytes(values: &Self::Integers) -> u64 {
        values.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_from_field_elements() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1, 1 << 40] {
            assert_eq!(integer(&Fr::from(value)), Some(value));
        }
        for value in [Fr::from(1u64 << 63), Fr::from(i64::MIN) - Fr::from(1u64), Fr::from(1u128 << 64)] {
            assert_eq!(integer(&value), None, "{value}");
        }
    }
}
