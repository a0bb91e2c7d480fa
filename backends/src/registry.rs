//! The choice of a device by name, at run time.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::Field;

use crate::backend::{Backend, Capabilities, Direction, Result};
use crate::cpu::CpuBackend;
use crate::error::BackendError;

/// A backend chosen by name. [`with_backend!`](crate::with_backend) runs generic code on it.
#[derive(Debug)]
pub enum AnyBackend {
    /// The host's processor.
    Cpu(CpuBackend),
}

/// Runs an expression, generic over [`Backend`], on whichever backend an [`AnyBackend`] holds.
///
/// ```
/// use zkloom_backends::{Backend, DeviceVector, registry, with_backend};
///
/// fn length<B: Backend>(backend: &B) -> Result<usize, zkloom_backends::BackendError> {
///     Ok(backend.zeros(5)?.len())
/// }
///
/// let any = registry::choose("auto", Some(1))?;
/// assert_eq!(with_backend!(&any, backend => length(backend))?, 5);
/// # Ok::<(), zkloom_backends::BackendError>(())
/// ```
#[macro_export]
macro_rules! with_backend {
    ($any:expr, $backend:ident => $body:expr) => {
        match $any {
            $crate::registry::AnyBackend::Cpu($backend) => $body,
        }
    };
}

impl AnyBackend {
    /// What the chosen device is.
    pub fn capabilities(&self) -> Capabilities {
        with_backend!(self, backend => backend.capabilities())
    }
}

/// What is known of a kind of device on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// Name to choose it by.
    pub name: &'static str,
    /// Whether it can be chosen here; a device that is available has passed its self-test.
    pub available: bool,
    /// The device in words, or why it can't be used and what to do.
    pub description: String,
    /// Memory that it may use, in bytes, where known.
    pub memory: Option<u64>,
}

/// Devices that later versions will know, with the reason why this one can't use them.
const PLANNED: [(&str, &str); 3] = [
    ("cuda", "this build has no CUDA backend; use `cpu`"),
    ("icicle", "this build has no ICICLE backend; use `cpu`"),
    ("wgpu", "this build has no wgpu backend; use `cpu`"),
];

/// Opens a device by name: `auto`, `cpu`, or a planned one (with `:number` for one of several), which is refused with its
/// reason. `auto` takes the fastest kind that works, which is `cpu` as long as there is no other. `threads` is the number
/// of processor threads, all that the process may use by default.
///
/// The device is tested on known answers first, so that a broken one is noticed here and not in a result.
///
/// # Errors
/// [`BackendError::Unavailable`] for an unknown name or a device that can't be used here, [`BackendError::Argument`] for
/// zero threads, [`BackendError::Device`] for a device that fails its test. A named device is never replaced by another.
pub fn choose(name: &str, threads: Option<usize>) -> Result<AnyBackend> {
    let unavailable =
        |reason: &str| BackendError::Unavailable { name: name.to_string(), reason: reason.to_string() };
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number)),
        None => (name, None),
    };
    if let Some((_, reason)) = PLANNED.iter().find(|(planned, _)| *planned == kind) {
        return Err(unavailable(reason));
    }
    match (kind, number) {
        ("auto" | "cpu", None) => {
            let backend = CpuBackend::new(threads)?;
            self_test(&backend)?;
            Ok(AnyBackend::Cpu(backend))
        }
        ("auto" | "cpu", Some(_)) => Err(unavailable("it is only one and takes no number; use `cpu`")),
        _ => Err(unavailable("no such device; known names are `auto`, `cpu`, `cuda`, `icicle` and `wgpu`")),
    }
}

/// A report on every kind of device, for a human who wonders what can be used here.
pub fn list() -> Vec<DeviceReport> {
    let cpu = match choose("cpu", None) {
        Ok(backend) => {
            let Capabilities { description, memory, .. } = backend.capabilities();
            DeviceReport { name: "cpu", available: true, description, memory }
        }
        Err(error) => {
            DeviceReport { name: "cpu", available: false, description: error.to_string(), memory: None }
        }
    };
    let planned = PLANNED.iter().map(|&(name, reason)| DeviceReport {
        name,
        available: false,
        description: reason.to_string(),
        memory: None,
    });
    [cpu].into_iter().chain(planned).collect()
}

/// Known answers: a transform and a multi-scalar multiplication whose results follow from a sum.
///
/// # Errors
/// [`BackendError::Device`] for a wrong answer, or the device's own error.
pub fn self_test<B: Backend>(backend: &B) -> Result<()> {
    let wrong = |operation: &'static str, reason: &str| {
        let device = backend.capabilities().name;
        Err(BackendError::Device { device, operation, reason: format!("self-test: {reason}") })
    };
    // f = 1 + 2 X + ... + 64 X^63 has f(1) = 2080 and (X - 1) f = 64 X^64 - (1 + X + ... + X^63), so that at the other
    // points w^i of the subgroup of order 64, where X^64 = 1 and the sum is zero, f(w^i) = 64 / (w^i - 1).
    let coefficients: Vec<Fr> = (1u64..=64).map(Fr::from).collect();
    let mut values = backend.upload(&coefficients)?;
    backend.ntt(&mut values, Direction::Forward)?;
    let root = zkloom_kernels::cpu::ntt::generator(6);
    let expected = |index: u64| match index {
        0 => Fr::from(2080u64),
        _ => Fr::from(64u64) / (root.pow([index]) - Fr::ONE),
    };
    if backend.download(&values)? != (0..64).map(expected).collect::<Vec<_>>() {
        return wrong("ntt", "the values of 1 + 2 X + ... + 64 X^63 are wrong");
    }
    backend.ntt(&mut values, Direction::Inverse)?;
    if backend.download(&values)? != coefficients {
        return wrong("ntt", "the inverse transform does not give the coefficients back");
    }
    // With the generator G as every base, the sum of 1 .. 64 is 2080 G.
    let bases = backend.upload_bases(&[G1Affine::generator(); 64])?;
    let integers = backend.upload_integers(&(1..=64).collect::<Vec<_>>())?;
    let sum = G1Affine::generator() * Fr::from(2080u64);
    if backend.msm(&bases, &[&values])? != [sum] {
        return wrong("msm", "the sum of 1 G to 64 G is not 2080 G");
    }
    if backend.msm_integers(&bases, &[&integers])? != [sum] {
        return wrong("msm_integers", "the sum of 1 G to 64 G is not 2080 G");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::{Faulty, Method};

    fn refusal(name: &str) -> String {
        match choose(name, Some(1)) {
            Err(error @ BackendError::Unavailable { .. }) => error.to_string(),
            other => panic!("`{name}` gives {other:?}"),
        }
    }

    #[test]
    fn names_are_refused_with_a_reason() {
        assert!(refusal("cuda").contains("no CUDA backend"));
        assert!(refusal("cuda:1").contains("cuda:1"));
        assert!(refusal("icicle").contains("ICICLE"));
        assert!(refusal("wgpu").contains("wgpu"));
        assert!(refusal("cpu:1").contains("takes no number"));
        for unknown in ["", "CPU", "gpu", ":", "cpu "] {
            assert!(refusal(unknown).contains("known names"), "{unknown}");
        }
    }

    #[test]
    fn the_processor_is_chosen_with_its_threads() {
        for name in ["auto", "cpu"] {
            let any = choose(name, Some(3)).expect("the processor is always there");
            let capabilities = any.capabilities();
            assert_eq!(capabilities.name, "cpu");
            assert!(capabilities.description.contains("3 threads"), "{}", capabilities.description);
        }
        assert!(matches!(choose("cpu", Some(0)), Err(BackendError::Argument { .. })));
    }

    #[test]
    fn the_list_names_every_kind() {
        let list = list();
        assert_eq!(
            list.iter().map(|report| report.name).collect::<Vec<_>>(),
            ["cpu", "cuda", "icicle", "wgpu"]
        );
        assert!(list[0].available);
        assert!(list[1..].iter().all(|report| !report.available && report.description.contains("use `cpu`")));
    }

    #[test]
    fn the_self_test_notices_faults() {
        let cpu = || CpuBackend::new(Some(1)).expect("one thread can be started");
        assert!(self_test(&cpu()).is_ok());
        for fault in
            [Method::Ntt, Method::Msm, Method::MsmIntegers, Method::UploadBases, Method::UploadIntegers]
        {
            assert!(self_test(&Faulty::new(cpu(), fault)).is_err(), "{fault}");
        }
    }
}
