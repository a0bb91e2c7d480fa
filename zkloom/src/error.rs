//! One error type for all stages. Each message says what is wrong and where, and each error has a class that a program can
//! act on.

use std::path::PathBuf;

use crate::artifact::Kind;

/// Result of this crate.
pub type Result<T> = core::result::Result<T, Error>;

/// What a caller can do about an error; the command line's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A proof is not valid.
    Invalid,
    /// The model, the data or an option is unsuitable.
    Input,
    /// A file is missing, damaged, or of another kind or circuit.
    File,
    /// Memory, disk, an SRS or a device does not suffice.
    Resource,
    /// A device or the program itself failed.
    Internal,
}

/// Anything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages are the documentation
pub enum Error {
    #[error("{0}")]
    Import(#[from] zkloom_model::onnx::ImportError),
    #[error("{0}")]
    Data(#[from] zkloom_model::data::DataError),
    #[error("{0}")]
    Quantise(#[from] zkloom_model::quantise::QuantiseError),
    #[error("{0}")]
    NetworkInput(#[from] zkloom_model::input::InputError),
    #[error("{0}")]
    Compile(#[from] zkloom_circuits::CompileError),
    #[error("{0}")]
    Witness(#[from] zkloom_circuits::WitnessError),
    #[error("{0}")]
    Run(#[from] zkloom_model::interpreter::RunError),
    #[error("{0}")]
    Srs(#[from] zkloom_prover::SrsError),
    #[error("{0}")]
    Key(#[from] zkloom_prover::KeyError),
    #[error("{0}")]
    Prove(#[from] zkloom_prover::ProveError),
    #[error("{0}")]
    Backend(#[from] zkloom_backends::BackendError),
    #[error("{0}")]
    Verify(#[from] zkloom_verifier::VerifyError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{place} is not a zkLoom file: it does not begin with the right bytes")]
    NotAnArtifact { place: String },
    #[error(
        "{place} has format version {found}, this program reads version {expected}; make it again or use the matching release"
    )]
    Version { place: String, found: u32, expected: u32 },
    #[error("{place} is {found}, {expected} is needed here")]
    WrongKind { place: String, found: Kind, expected: Kind },
    #[error("{place} is damaged: {reason}. Copy or make it again")]
    Damaged { place: String, reason: String },
    #[error(
        "{first} and {second} do not belong together: {first} was made for {what} {wanted}, {second} is of {found}"
    )]
    Mixed { first: String, second: String, what: &'static str, wanted: String, found: String },
    #[error(
        "the SRS {identity} of {place} is not known here. Give it with --srs FILE, or pin it once with `zkloom srs trust FILE`"
    )]
    UnknownSrs { place: String, identity: String },
    #[error("no home folder for pinned and cached SRS files: set ZKLOOM_HOME")]
    NoHome,
    #[error("{0}")]
    Option(String),
}

impl Error {
    /// What kind of error it is.
    pub fn class(&self) -> Class {
        use zkloom_prover::{KeyError, ProveError, SrsError};
        match self {
            Self::Verify(_) => Class::Invalid,
            Self::Io { .. } | Self::NotAnArtifact { .. } | Self::Version { .. } | Self::WrongKind { .. } => {
                Class::File
            }
            Self::Damaged { .. } | Self::Mixed { .. } | Self::UnknownSrs { .. } => Class::File,
            Self::NoHome | Self::Backend(zkloom_backends::BackendError::Unavailable { .. }) => {
                Class::Resource
            }
            Self::Srs(SrsError::Format(_) | SrsError::Read(_) | SrsError::Inconsistent(_)) => Class::File,
            Self::Srs(_) | Self::Key(KeyError::Srs(_)) => Class::Resource,
            Self::Backend(_) | Self::Key(KeyError::Backend(_)) => Class::Internal,
            Self::Prove(ProveError::Lookup { .. } | ProveError::WitnessShape { .. }) => Class::Input,
            Self::Prove(_) => Class::Internal,
            _ => Class::Input,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
