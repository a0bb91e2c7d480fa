//! Which vector instructions the kernels use.

use core::fmt;
use std::sync::OnceLock;

/// Environment variable that forces a tier, by its name.
pub const TIER_VARIABLE: &str = "ZKLOOM_CPU_TIER";

/// A set of kernels. All tiers give the same results; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Plain Rust over `ark-ff`, for every machine.
    Portable,
    /// AVX-512 with its 52-bit multiply-add: eight field elements at a time.
    Ifma(Ifma),
}

/// Proof that this processor has the instructions of [`Tier::Ifma`]; only detection makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ifma(());

/// A tier was asked for that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TierError {
    /// The processor lacks it.
    #[error(
        "{TIER_VARIABLE}={0} asks for instructions that this processor lacks; unset it, or use {TIER_VARIABLE}=portable"
    )]
    Missing(&'static str),
    /// There is no such tier.
    #[error("{TIER_VARIABLE}={0:?} names no tier; known ones are `portable` and `ifma`")]
    Unknown(String),
}

impl Tier {
    /// The tiers that this processor has, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Some(Self::Portable), Ifma::detect().map(Self::Ifma)].into_iter().flatten()
    }

    /// The tier that [`TIER_VARIABLE`] asks for, or without it the fastest; decided at the first call.
    ///
    /// # Errors
    /// If the variable names a tier that does not exist or that the processor lacks.
    pub fn chosen() -> Result<Self, TierError> {
        static CHOSEN: OnceLock<Result<Tier, TierError>> = OnceLock::new();
        CHOSEN.get_or_init(|| Self::forced(std::env::var_os(TIER_VARIABLE))).clone()
    }

    /// [`Tier::chosen`], and portable where that is an error.
    pub fn current() -> Self {
        Self::chosen().unwrap_or(Self::Portable)
    }

    fn forced(variable: Option<std::ffi::OsString>) -> Result<Self, TierError> {
        let Some(name) = variable else {
            return Ok(Ifma::detect().map_or(Self::Portable, Self::Ifma));
        };
        match name.to_str() {
            Some("portable") => Ok(Self::Portable),
            Some("ifma") => Ifma::detect().map(Self::Ifma).ok_or(TierError::Missing("ifma")),
            _ => Err(TierError::Unknown(name.to_string_lossy().into_owned())),
        }
    }
}

impl fmt::Display for Tier {
    /// The name by which [`TIER_VARIABLE`] knows it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Portable => "portable",
            Self::Ifma(_) => "ifma",
        })
    }
}

impl Ifma {
    #[cfg(target_arch = "x86_64")]
    fn detect() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        let found =
            has!("avx512f") && has!("avx512ifma") && has!("avx512dq") && has!("avx512vl") && has!("avx512bw");
        found.then_some(Self(()))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_forced_by_name() {
        assert_eq!(Tier::forced(Some("portable".into())), Ok(Tier::Portable));
        let unknown = Tier::forced(Some("AVX2".into())).expect_err("no such tier");
        assert!(unknown.to_string().contains("known ones are `portable` and `ifma`"), "{unknown}");
        match Tier::forced(Some("ifma".into())) {
            Ok(tier) => assert_eq!(Tier::available().last(), Some(tier)),
            Err(missing) => {
                assert!(missing.to_string().contains("ZKLOOM_CPU_TIER=ifma"), "{missing}");
                assert!(missing.to_string().contains("this processor lacks"), "{missing}");
            }
        }
        assert_eq!(Tier::forced(None).ok(), Tier::available().last());
    }
}
