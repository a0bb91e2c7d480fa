//! Insecure structured reference strings for tests and development: tau is known while they are made.

use ark_bn254::{Fr, G1Affine, G1Projective, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, One};
use rayon::prelude::*;
use zkloom_plonkish::field::{batch_invert, root_of_unity};
use zkloom_verifier::{SrsKind, SrsPin};

use super::{Srs, SrsError};
use crate::randomness::Blinding;

/// Powers beyond `2^log_size`, for the mask and blinding of polynomials as long as the rows.
pub const SLACK: u64 = 8;
/// Smallest row count, as log2, whose Lagrange points are made.
const MIN_LOG_ROWS: u32 = 3;
/// Largest supported size.
const MAX_LOG_SIZE: u32 = 26;

/// Makes one with `2^log_size` powers and some slack, and Lagrange points for every size up to that.
pub fn generate(log_size: u32) -> Result<Srs, SrsError> {
    let mut random =
        Blinding::for_key(b"development SRS").map_err(|error| SrsError::Randomness(error.to_string()))?;
    from_secrets(log_size, random.scalar(), random.scalar())
}

fn from_secrets(log_size: u32, tau: Fr, gamma: Fr) -> Result<Srs, SrsError> {
    if !(MIN_LOG_ROWS..=MAX_LOG_SIZE).contains(&log_size) {
        return Err(SrsError::Size { found: log_size, min: MIN_LOG_ROWS, max: MAX_LOG_SIZE });
    }
    let count = (1_usize << log_size) + SLACK as usize;
    let table = BatchMulPreprocessing::new(G1Projective::generator(), count);
    let powers = multiples(&table, &geometric_powers(tau, count));
    let g2 = G2Projective::generator();
    let pin = SrsPin {
        kind: SrsKind::Development,
        one_g1: powers[0],
        tau_g1: powers[1],
        gamma_g1: (G1Projective::generator() * gamma).into_affine(),
        one_g2: g2.into_affine(),
        tau_g2: (g2 * tau).into_affine(),
        gamma_g2: (g2 * gamma).into_affine(),
    };
    let mut srs = Srs::new(pin, powers);
    for log_rows in MIN_LOG_ROWS..=log_size {
        srs.insert_lagrange(log_rows, multiples(&table, &lagrange_values(tau, log_rows)));
    }
    Ok(srs)
}

fn geometric_powers(base: Fr, count: usize) -> Vec<Fr> {
    core::iter::successors(Some(Fr::one()), |power| Some(*power * base)).take(count).collect()
}

fn multiples(table: &BatchMulPreprocessing<G1Projective>, scalars: &[Fr]) -> Vec<G1Affine> {
    scalars.par_chunks(1 << 12).flat_map_iter(|chunk| table.batch_mul(chunk)).collect()
}

/// `L_i(tau) = (tau^N - 1) / N * w^i / (tau - w^i)`
fn lagrange_values(tau: Fr, log_rows: u32) -> Vec<Fr> {
    let rows = 1_u64 << log_rows;
    let root = root_of_unity(log_rows).unwrap_or(Fr::ONE);
    let roots = geometric_powers(root, rows as usize);
    let mut values: Vec<Fr> = roots.iter().map(|w| (tau - w) * Fr::from(rows)).collect();
    batch_invert(&mut values);
    let scale = tau.pow([rows]) - Fr::one();
    values.iter().zip(roots).map(|(inverse, w)| scale * w * inverse).collect()
}

/// A fixed one, in this crate's tests only.
#[cfg(test)]
pub(crate) fn for_tests(log_size: u32) -> Srs {
    from_secrets(log_size, Fr::from(987_654_321_123_456_789_u64), Fr::from(192_837_465_564_738_291_u64))
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkloom_plonkish::{Decode, Encode};

    #[test]
    fn lagrange_points_agree_with_the_transform_of_powers() {
        let srs = for_tests(5);
        assert!(srs.pin().is_consistent());
        let made = |log_rows| super::super::lagrange::from_powers(srs.powers(), log_rows);
        assert_eq!(made(5).unwrap(), srs.lagrange(5).unwrap());
        assert_eq!(made(3).unwrap(), srs.lagrange(3).unwrap());
        assert!(matches!(made(6), Err(zkloom_backends::BackendError::Length { .. })));
        assert!(matches!(generate(2), Err(SrsError::Size { .. })));
        assert!(matches!(srs.check_length(100), Err(SrsError::TooSmall { log_size: 7, .. })));
        let again = Srs::from_slice(&srs.to_vec()).unwrap();
        assert_eq!(again.powers(), srs.powers());
        assert_eq!(again.pin(), srs.pin());
    }
}
