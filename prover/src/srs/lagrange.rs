//! Lagrange points from powers of tau: an inverse transform over the group.

use ark_bn254::G1Affine;
use zkloom_backends::{BackendError, CpuBackend};

/// `[L_i(tau)]_1 = 1/N sum_j w^(-ij) [tau^j]_1`, from the first `2^log_rows` powers, on all processors.
///
/// # Errors
/// [`BackendError::Length`] if there are fewer powers, and whatever hinders the processor's threads from being started.
pub fn from_powers(powers: &[G1Affine], log_rows: u32) -> Result<Vec<G1Affine>, BackendError> {
    let rows = 1_usize.checked_shl(log_rows).unwrap_or(usize::MAX);
    let first = powers.get(..rows).unwrap_or(powers);
    if first.len() < rows {
        let (operation, expected) = ("lagrange", format!("at least 2^{log_rows} powers"));
        return Err(BackendError::Length { operation, expected, found: powers.len() });
    }
    CpuBackend::new(None)?.inverse_group_transform(first)
}
