//! The choice of a device by name, at run time.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::Field;

use crate::backend::{Backend, Capabilities, Direction, Result};
use crate::cpu::CpuBackend;
use crate::error::BackendError;
use crate::several::Several;

#[cfg(not(feature = "cuda"))]
use crate::absent::Absent as CudaBackend;
#[cfg(not(feature = "icicle"))]
use crate::absent::Absent as IcicleBackend;
#[cfg(not(feature = "wgpu"))]
use crate::absent::Absent as WgpuBackend;
#[cfg(feature = "cuda")]
use crate::cuda::CudaBackend;
#[cfg(feature = "icicle")]
use crate::icicle::IcicleBackend;
#[cfg(feature = "wgpu")]
use crate::wgpu::WgpuBackend;

/// A backend chosen by name. [`with_backend!`](crate::with_backend) runs generic code on it. A kind whose feature is off is
/// there as a variant that has no values.
#[derive(Debug)]
pub enum AnyBackend {
    /// The host's processor.
    Cpu(CpuBackend),
    /// An NVIDIA GPU.
    Cuda(CudaBackend),
    /// Several NVIDIA GPUs.
    SeveralCuda(Several<CudaBackend>),
    /// A device of an installed ICICLE.
    Icicle(IcicleBackend),
    /// A GPU with Vulkan, Metal or DirectX 12.
    Wgpu(WgpuBackend),
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
/// let any = registry::choose("cpu", Some(1))?;
/// assert_eq!(with_backend!(&any, backend => length(backend))?, 5);
/// # Ok::<(), zkloom_backends::BackendError>(())
/// ```
#[macro_export]
macro_rules! with_backend {
    ($any:expr, $backend:ident => $body:expr) => {
        match $any {
            $crate::registry::AnyBackend::Cpu($backend) => $body,
            $crate::registry::AnyBackend::Cuda($backend) => $body,
            $crate::registry::AnyBackend::SeveralCuda($backend) => $body,
            $crate::registry::AnyBackend::Icicle($backend) => $body,
            $crate::registry::AnyBackend::Wgpu($backend) => $body,
        }
    };
}

impl AnyBackend {
    /// What the chosen device is.
    pub fn capabilities(&self) -> Capabilities {
        with_backend!(self, backend => backend.capabilities())
    }
}

/// A device that was found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name to choose it by, for instance `cuda:0`.
    pub name: String,
    /// The device in words.
    pub description: String,
    /// Its memory, in bytes, where known.
    pub memory: Option<u64>,
    /// Whether it is the processor in another guise (a software driver): right for tests, never the fastest.
    pub software: bool,
}

/// What is known of a device, or of a kind of which there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// Name to choose it by.
    pub name: String,
    /// Whether it can be chosen here; a device that is available has passed its self-test.
    pub available: bool,
    /// The device in words, or why it can't be used and what to do.
    pub description: String,
    /// Memory that it may use, in bytes, where known.
    pub memory: Option<u64>,
    /// Whether it is the processor in another guise.
    pub software: bool,
    /// Methods that the processor does for it.
    pub composed: Vec<String>,
}

/// A kind of device.
struct Kind {
    name: &'static str,
    /// Devices of this kind, or why there are none.
    find: fn() -> Result<Vec<Found>>,
    /// Opens one: which, as the name's part after the colon says.
    open: fn(Option<&str>, Option<usize>) -> Result<AnyBackend>,
}

/// Every kind, in the order of a report.
const KINDS: [Kind; 4] = [
    Kind { name: "cpu", find: find_cpu, open: open_cpu },
    Kind { name: "cuda", find: find_cuda, open: open_cuda },
    Kind { name: "icicle", find: find_icicle, open: open_icicle },
    Kind { name: "wgpu", find: find_wgpu, open: open_wgpu },
];

fn unavailable(name: &str, reason: impl Into<String>) -> BackendError {
    BackendError::Unavailable { name: name.to_owned(), reason: reason.into() }
}

/// The `number` of `kind:number`, zero where there is none.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn number(kind: &str, which: Option<&str>) -> Result<usize> {
    let Some(which) = which else { return Ok(0) };
    which.parse().map_err(|_| {
        let reason = format!("`{which}` is no device number; use `{kind}:0` for the first one");
        unavailable(&format!("{kind}:{which}"), reason)
    })
}

/// Every GPU, and all of them together if there are several.
#[cfg(feature = "cuda")]
fn find_all_cuda() -> Result<Vec<Found>> {
    let mut found = crate::cuda::find()?;
    if found.len() > 1 {
        found.push(Found {
            name: "cuda:all".to_owned(),
            description: format!("all {} of them together", found.len()),
            memory: found.iter().map(|device| device.memory).sum(),
            software: false,
        });
    }
    Ok(found)
}

/// One GPU by its number; several by numbers with commas between them, or `all`.
#[cfg(feature = "cuda")]
fn open_some_cuda(which: Option<&str>) -> Result<AnyBackend> {
    let name = || format!("cuda:{}", which.unwrap_or("0"));
    let numbers: Vec<usize> = match which {
        Some("all") => (0..crate::cuda::find()?.len()).collect(),
        Some(list) if list.contains(',') => {
            list.split(',').map(|one| number("cuda", Some(one))).collect::<Result<_>>()?
        }
        which => vec![number("cuda", which)?],
    };
    let twice = numbers.iter().enumerate().find(|(at, number)| numbers[..*at].contains(number));
    if let Some((_, number)) = twice {
        return Err(unavailable(&name(), format!("device {number} is named twice")));
    }
    match numbers[..] {
        [] => Err(unavailable(&name(), "the driver has no device")),
        [only] => Ok(AnyBackend::Cuda(CudaBackend::open(only)?)),
        _ => {
            let members = numbers.into_iter().map(CudaBackend::open).collect::<Result<_>>()?;
            let several = Several::new(name(), members)?;
            // Whoever puts another driver in the place of NVIDIA's wants to see several devices at work, on whatever few points.
            let emulated = std::env::var_os(crate::cuda::DRIVER_VARIABLE).is_some();
            Ok(AnyBackend::SeveralCuda(if emulated { several.with_least_part(1) } else { several }))
        }
    }
}

fn find_cpu() -> Result<Vec<Found>> {
    let Capabilities { name, description, memory, .. } = CpuBackend::new(None)?.capabilities();
    Ok(vec![Found { name, description, memory, software: false }])
}

fn open_cpu(which: Option<&str>, threads: Option<usize>) -> Result<AnyBackend> {
    match which {
        None => Ok(AnyBackend::Cpu(CpuBackend::new(threads)?)),
        Some(which) => {
            Err(unavailable(&format!("cpu:{which}"), "it is only one and takes no number; use `cpu`"))
        }
    }
}

/// `find` and `open` of a kind that may be left out of the build.
macro_rules! optional_kind {
    ($feature:literal, $words:literal, $find:ident = $found:expr, $open:ident($which:ident, $threads:ident) = $opened:expr) => {
        #[cfg(feature = $feature)]
        fn $find() -> Result<Vec<Found>> {
            $found
        }

        #[cfg(feature = $feature)]
        fn $open($which: Option<&str>, $threads: Option<usize>) -> Result<AnyBackend> {
            let _ = $threads;
            $opened
        }

        #[cfg(not(feature = $feature))]
        fn $find() -> Result<Vec<Found>> {
            Err(left_out($feature, $words))
        }

        #[cfg(not(feature = $feature))]
        fn $open(_: Option<&str>, _: Option<usize>) -> Result<AnyBackend> {
            Err(left_out($feature, $words))
        }
    };
}

#[cfg(not(all(feature = "cuda", feature = "icicle", feature = "wgpu")))]
fn left_out(feature: &str, words: &str) -> BackendError {
    unavailable(
        feature,
        format!("this build has no {words} backend; build with the feature `{feature}`, or use `cpu`"),
    )
}

optional_kind!(
    "cuda",
    "CUDA",
    find_cuda = find_all_cuda(),
    open_cuda(which, threads) = open_some_cuda(which)
);
optional_kind!(
    "icicle",
    "ICICLE",
    find_icicle = crate::icicle::find(),
    open_icicle(which, threads) = Ok(AnyBackend::Icicle(IcicleBackend::open(which)?))
);
optional_kind!(
    "wgpu",
    "wgpu",
    find_wgpu = crate::wgpu::find(),
    open_wgpu(which, threads) = Ok(AnyBackend::Wgpu(WgpuBackend::open(number("wgpu", which)?)?))
);

/// Opens a device by name: `auto`, or a kind (`cpu`, `cuda`, `icicle`, `wgpu`), with `:number` (of ICICLE, `:CUDA`) for one of
/// several; `cuda:0,1` and `cuda:all` are several together. `auto` is the processor here: which device is fastest depends on the work, and [`rank`](crate::rank) measures it. `threads` is the number of processor
/// threads, all that the process may use by default.
///
/// The device is tested on known answers first, so that a broken one is noticed here and not in a result.
///
/// # Errors
/// [`BackendError::Unavailable`] for an unknown name or a device that can't be used here, [`BackendError::Argument`] for
/// zero threads, [`BackendError::Device`] for a device that fails its test. A named device is never replaced by another.
pub fn choose(name: &str, threads: Option<usize>) -> Result<AnyBackend> {
    let (kind, which) = match name.split_once(':') {
        Some((kind, which)) => (kind, Some(which)),
        None if name == "auto" => ("cpu", None),
        None => (name, None),
    };
    let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
        let reason = "no such device; known names are `auto`, `cpu`, `cuda`, `icicle` and `wgpu`";
        return Err(unavailable(name, reason));
    };
    let backend = (kind.open)(which, threads)?;
    with_backend!(&backend, backend => self_test(backend))?;
    Ok(backend)
}

/// Every device that was found here, tested or not.
pub fn found() -> Vec<Found> {
    found_of(&kinds())
}

/// The devices of these kinds that were found here; other kinds' libraries are not even loaded.
pub fn found_of(kinds: &[&str]) -> Vec<Found> {
    let asked = KINDS.iter().filter(|kind| kinds.contains(&kind.name));
    asked.flat_map(|kind| (kind.find)().unwrap_or_default()).collect()
}

/// Names of all kinds, in the order of a report.
pub fn kinds() -> [&'static str; 4] {
    KINDS.map(|kind| kind.name)
}

/// A report on every device, and on every kind without one, for a human who wonders what can be used here. Devices are opened
/// and tested for it.
pub fn list() -> Vec<DeviceReport> {
    list_of(&kinds())
}

/// The same for these kinds; other kinds' libraries are not even loaded.
pub fn list_of(kinds: &[&str]) -> Vec<DeviceReport> {
    let refused = |name: String, description: String| DeviceReport {
        name,
        available: false,
        description,
        memory: None,
        software: false,
        composed: Vec::new(),
    };
    let tested = |found: Found| match choose(&found.name, None) {
        Ok(backend) => DeviceReport {
            name: found.name,
            available: true,
            description: found.description,
            memory: found.memory,
            software: found.software,
            composed: backend.capabilities().composed.into_iter().map(str::to_owned).collect(),
        },
        Err(error) => refused(found.name, error.to_string()),
    };
    let of_kind = |kind: &Kind| match (kind.find)() {
        Ok(found) if found.is_empty() => vec![refused(kind.name.to_owned(), "none was found".to_owned())],
        Ok(found) => found.into_iter().map(tested).collect(),
        Err(error) => vec![refused(kind.name.to_owned(), error.to_string())],
    };
    KINDS.iter().filter(|kind| kinds.contains(&kind.name)).flat_map(of_kind).collect()
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
        assert!(refusal("cpu:1").contains("takes no number"));
        for unknown in ["", "CPU", "gpu", ":", "cpu "] {
            assert!(refusal(unknown).contains("known names"), "{unknown}");
        }
        for (kind, absent) in [
            ("cuda", cfg!(not(feature = "cuda"))),
            ("icicle", cfg!(not(feature = "icicle"))),
            ("wgpu", cfg!(not(feature = "wgpu"))),
        ] {
            if absent {
                assert!(refusal(kind).contains(&format!("the feature `{kind}`")), "{kind}");
                assert!(refusal(&format!("{kind}:1")).contains(kind));
            } else if kind != "icicle" {
                assert!(refusal(&format!("{kind}:first")).contains("no device number"), "{kind}");
            }
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
        for kind in ["cpu", "cuda", "icicle", "wgpu"] {
            let mut of_kind = list.iter().filter(|report| report.name.split(':').next() == Some(kind));
            assert!(of_kind.next().is_some(), "{kind}");
        }
        assert!(list[0].available && list[0].name == "cpu");
        let unavailable = list.iter().filter(|report| !report.available);
        assert!(unavailable.into_iter().all(|report| report.description.len() > 10));
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
