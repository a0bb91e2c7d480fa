//! One error type for all stages. Each message says what is wrong and where, and each error has a class that a program can
//! act on.

use std::path::PathBuf;

use zkloom_backends::BackendError;
use zkloom_model::data::DataError;
use zkloom_model::input::InputError;
use zkloom_model::onnx::ImportError;
use zkloom_prover::{AuditError, KeyError, ProveError, SrsError};
use zkloom_verifier::VerifyError;

use crate::artifact::Kind;

/// Result of this crate.
pub type Result<T> = core::result::Result<T, Error>;

/// What a caller can do about an error; the command line's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A proof is not valid, or a key does not pass an audit.
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
    Teleport(#[from] zkloom_model::teleport::TeleportError),
    #[error("{0}")]
    Sparsify(#[from] zkloom_model::sparsify::SparsifyError),
    #[error("{0}")]
    Export(#[from] zkloom_model::onnx::WriteError),
    #[error("{0}")]
    Search(#[from] zkloom_model::quantise::SearchError),
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
    #[error("the key does not pass: {0}")]
    Audit(#[from] zkloom_prover::AuditError),
    #[error("{place} is not what the compiler makes of any network: {source}")]
    Description { place: String, source: zkloom_circuits::AuditError },
    #[error(
        "{place} labels tensor {identifier} as {found}, the audited architecture has {wanted}: the numbers that it shows to people \
         are not the network's"
    )]
    Label { place: String, identifier: u32, wanted: String, found: String },
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
    #[error(
        "the openings hold a scalar that hid other values of `{tensor}`, or the same under another SRS. With one scalar for \
         both, the two commitments would show how the values differ; give a fresh openings file"
    )]
    OtherValues { tensor: String },
    #[error("no home folder for pinned and cached SRS files: set ZKLOOM_HOME")]
    NoHome,
    #[error("{0}")]
    Option(String),
}

/// Whether the system ran out of room, rather than out of files.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | OutOfMemory)
}

impl Error {
    /// What kind of error it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Verify(VerifyError::OtherSrs { .. }) => Class::File,
            Self::Verify(_) => Class::Invalid,
            Self::Io { source, .. } if is_full(source) => Class::Resource,
            Self::Io { .. } | Self::NotAnArtifact { .. } | Self::Version { .. } => Class::File,
            Self::WrongKind { .. } | Self::Damaged { .. } | Self::Mixed { .. } | Self::UnknownSrs { .. } => {
                Class::File
            }
            Self::Import(ImportError::Unreadable { .. } | ImportError::NotOnnx { .. }) => Class::File,
            Self::Import(ImportError::Truncated { .. } | ImportError::Incomplete { .. }) => Class::File,
            Self::Data(DataError::Unreadable { .. } | DataError::Malformed { .. }) => Class::File,
            Self::Data(DataError::Truncated { .. }) => Class::File,
            Self::NoHome => Class::Resource,
            Self::Srs(error) | Self::Key(KeyError::Srs(error)) => srs_class(error),
            Self::Backend(error) | Self::Key(KeyError::Backend(error)) => device_class(error),
            Self::Prove(ProveError::Backend(error)) => device_class(error),
            Self::Audit(AuditError::OtherSrs { .. }) => Class::File,
            Self::Audit(AuditError::Key(KeyError::Srs(error))) => srs_class(error),
            Self::Audit(AuditError::Key(KeyError::Backend(error))) => device_class(error),
            Self::Audit(_) | Self::Description { .. } | Self::Label { .. } => Class::Invalid,
            Self::Key(_) => Class::Internal,
            Self::Prove(
                ProveError::Lookup { .. } | ProveError::WitnessShape { .. } | ProveError::Statement(_),
            ) => Class::Input,
            Self::Prove(_) => Class::Internal,
            _ => Class::Input,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Import(ImportError::UnsupportedOperators { .. }) => "unsupported-operators",
            Self::Import(_) => "import",
            Self::Data(_) => "data",
            Self::Quantise(_) | Self::Search(_) => "quantise",
            Self::Teleport(_) | Self::Sparsify(_) | Self::Export(_) => "optimise",
            Self::NetworkInput(InputError::OutOfRange { .. }) => "input-out-of-range",
            Self::NetworkInput(_) => "network-input",
            Self::Compile(_) => "compile",
            Self::Witness(_) | Self::Run(_) => "witness",
            Self::Srs(SrsError::TooSmall { .. }) | Self::Key(KeyError::Srs(SrsError::TooSmall { .. })) => {
                "srs-too-small"
            }
            Self::Srs(_) | Self::Key(KeyError::Srs(_)) => "srs",
            Self::Audit(AuditError::OtherSrs { .. }) => "other-srs",
            Self::Audit(AuditError::Key(KeyError::Srs(_))) => "srs",
            Self::Audit(AuditError::Key(KeyError::Backend(_))) => "backend",
            Self::Audit(_) | Self::Description { .. } | Self::Label { .. } => "audit-failed",
            Self::Key(_) => "key",
            Self::Prove(_) => "prove",
            Self::Backend(BackendError::Unavailable { .. }) => "backend-unavailable",
            Self::Backend(_) => "backend",
            Self::Verify(VerifyError::OtherSrs { .. }) => "other-srs",
            Self::Verify(_) => "proof-invalid",
            Self::Io { source, .. } if is_full(source) => "disk-full",
            Self::Io { .. } => "io",
            Self::NotAnArtifact { .. } => "not-an-artifact",
            Self::Version { .. } => "format-version",
            Self::WrongKind { .. } => "wrong-kind",
            Self::Damaged { .. } => "damaged",
            Self::Mixed { .. } => "mixed",
            Self::UnknownSrs { .. } => "unknown-srs",
            Self::OtherValues { .. } => "openings-of-other-values",
            Self::NoHome => "no-home",
            Self::Option(_) => "option",
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

fn srs_class(error: &SrsError) -> Class {
    match error {
        SrsError::Format(_) | SrsError::Read(_) | SrsError::Inconsistent(_) => Class::File,
        SrsError::Size { .. } => Class::Input,
        SrsError::TooSmall { .. } => Class::Resource,
        SrsError::Randomness(_) => Class::Internal,
        SrsError::Backend(error) => device_class(error),
    }
}

fn device_class(error: &BackendError) -> Class {
    match error {
        BackendError::Unavailable { .. } | BackendError::OutOfMemory { .. } => Class::Resource,
        BackendError::Unsupported { .. } => Class::Resource,
        _ => Class::Internal,
    }
}
