//! How fast devices are, by a short measurement.
//!
//! A device has a cost for each call, the processor has not, so which is faster depends on the size of the work. The probe does
//! what a prover does most (a multi-scalar multiplication, coset transforms, an inversion) at a few sizes.

use std::time::Instant;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::AdditiveGroup;

use crate::backend::{Backend, Result};
use crate::registry::{self, Found};
use crate::with_backend;

/// Sizes of the probe, as log2 of the number of rows, in rising order.
pub const PROBE_LOG_SIZES: [u32; 3] = [10, 13, 16];

/// What the probe of one device gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Name to choose the device by.
    pub name: String,
    /// Milliseconds of the probe at each of [`PROBE_LOG_SIZES`].
    pub milliseconds: Vec<f64>,
}

/// Measures one device: the faster of two runs at each size, after one that warms up.
///
/// # Errors
/// Those of the device.
pub fn probe<B: Backend>(backend: &B) -> Result<Vec<f64>> {
    let largest = PROBE_LOG_SIZES.iter().copied().max().unwrap_or(0);
    let bases = backend.upload_bases(&points(1 << largest))?;
    let ratio = -Fr::from(3u64);
    let values: Vec<Fr> =
        std::iter::successors(Some(ratio), |value| Some(*value * ratio)).take(1 << largest).collect();
    let mut times = Vec::with_capacity(PROBE_LOG_SIZES.len());
    for log_size in PROBE_LOG_SIZES {
        let scalars = backend.upload(values.get(..1 << log_size).unwrap_or(&values))?;
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            backend.msm(&bases, &[&scalars])?;
            let mut extended = backend.coset_ntt(&scalars, log_size + 1, Fr::from(7u64))?;
            backend.batch_invert(&mut extended)?;
            backend.inverse_coset_ntt(&mut extended, Fr::from(7u64))?;
            // Only a result tells that a device with a queue is done.
            backend.read(&extended, 0, 1)?;
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
        times.push(best);
    }
    Ok(times)
}

/// Different points, cheaply: each is twice the one before plus a fixed one.
fn points(count: usize) -> Vec<G1Affine> {
    let step = G1Projective::generator() * Fr::from(0x5eed_u64);
    let chain = std::iter::successors(Some(G1Projective::generator()), |point| Some(point.double() + step));
    G1Projective::normalize_batch(&chain.take(count).collect::<Vec<_>>())
}

/// Opens and measures each device. One that can't be opened or fails is left out, with its error beside the speeds.
pub fn measure(devices: &[Found], threads: Option<usize>) -> (Vec<Speed>, Vec<crate::BackendError>) {
    let (mut speeds, mut failures) = (Vec::new(), Vec::new());
    for device in devices {
        let measured = registry::choose(&device.name, threads)
            .and_then(|backend| with_backend!(&backend, backend => probe(backend)));
        match measured {
            Ok(milliseconds) => speeds.push(Speed { name: device.name.clone(), milliseconds }),
            Err(error) => failures.push(error),
        }
    }
    (speeds, failures)
}

/// The fastest device for work of this many rows: by the probe of the nearest size, the first where two are equal. Nothing
/// without devices.
pub fn fastest(speeds: &[Speed], log_rows: u32) -> Option<&Speed> {
    let nearest =
        (0..PROBE_LOG_SIZES.len()).min_by_key(|&index| PROBE_LOG_SIZES[index].abs_diff(log_rows))?;
    let time = |speed: &Speed| speed.milliseconds.get(nearest).copied().unwrap_or(f64::INFINITY);
    speeds.iter().min_by(|first, second| time(first).total_cmp(&time(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(name: &str, milliseconds: [f64; 3]) -> Speed {
        Speed { name: name.to_owned(), milliseconds: milliseconds.to_vec() }
    }

    #[test]
    fn small_work_goes_to_the_device_that_is_fast_for_it() {
        let speeds = [speed("cpu", [1.0, 8.0, 64.0]), speed("cuda:0", [4.0, 5.0, 6.0])];
        let chosen = |log_rows| fastest(&speeds, log_rows).map(|speed| speed.name.as_str());
        assert_eq!(
            [chosen(4), chosen(11), chosen(12), chosen(20)].map(Option::unwrap),
            ["cpu", "cpu", "cuda:0", "cuda:0"]
        );
        assert_eq!(fastest(&[], 12), None);
        let equal = [speed("cpu", [1.0; 3]), speed("wgpu:0", [1.0; 3])];
        assert_eq!(fastest(&equal, 16).unwrap().name, "cpu");
    }

    #[test]
    fn the_processor_is_measured_and_an_unknown_device_is_named() {
        let device = |name: &str| Found {
            name: name.to_owned(),
            description: String::new(),
            memory: None,
            software: false,
        };
        let (speeds, failures) = measure(&[device("cpu"), device("abacus")], Some(1));
        assert_eq!(speeds.len(), 1);
        assert_eq!(speeds[0].milliseconds.len(), PROBE_LOG_SIZES.len());
        assert!(speeds[0].milliseconds.windows(2).all(|pair| pair[0] < pair[1]), "{speeds:?}");
        assert_eq!(failures.len(), 1);
        assert!(failures[0].to_string().contains("abacus"));
    }
}
