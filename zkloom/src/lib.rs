//! Zero-knowledge proofs of neural network inference: compile, set up, prove, verify.
//!
//! Each stage is a type that the one before makes: [`Imported`] → [`Quantised`] → [`Compiled`] → [`Keyed`] → [`Proved`];
//! whoever only checks proofs needs a [`Verifier`] and a [`ProofFile`]. Every stage that outlives a process is an artifact on
//! disk with a digest, and artifacts that do not belong together are refused by name.
//!
//! ```
//! use zkloom::{CompileOptions, Dataset, Imported, ProveOptions, QuantisationOptions, SetupOptions, Srs};
//! # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
//! # let model = format!("{fixtures}/digits-mlp.onnx");
//! # let digits = format!("{fixtures}/digits-calibration.npz");
//! let calibration = Dataset::load(&digits)?;
//! let quantised = Imported::from_file(&model)?.quantise(&calibration, &QuantisationOptions::default())?;
//! let compiled = quantised.compile(&CompileOptions::default())?;
//!
//! // For development only: whoever makes such an SRS can forge proofs. Import a ceremony's for anything real.
//! let srs = Srs::development(compiled.srs_log_size())?;
//! let keyed = compiled.setup(&srs, &SetupOptions::default())?;
//!
//! let samples = calibration.samples(&keyed.input_shape())?;
//! let digit = samples.get(0).ok_or("no sample")?;
//! let proved = keyed.prove(digit, &ProveOptions::default(), &mut |_| {})?;
//!
//! let outputs = keyed.verifier().verify(proved.file(), &srs.pin())?;
//! println!("the proof binds {outputs:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

pub mod artifact;
pub mod audit;
pub mod bench;
pub mod content;
pub mod devices;
pub mod error;
pub mod files;
pub mod inspect;
pub mod openings;
pub mod optimise;
pub mod plan;
pub mod proof_file;
pub mod report;
pub mod resident;
pub mod session;
pub mod srs;
pub mod store;
pub mod verifier;

pub use artifact::{Artifact, Kind};
pub use audit::{Audited, Description};
pub use error::{Error, Result};
pub use openings::Openings;
pub use optimise::SearchReport;
pub use plan::Estimate;
pub use proof_file::ProofFile;
pub use report::Report;
pub use resident::{ProveOptions, Proved, Resident};
pub use session::{Compiled, Imported, Inference, Keyed, Quantised, SetupOptions};
pub use srs::Srs;
pub use verifier::{BoundTensor, Verifier};

pub use zkloom_backends::registry::DeviceReport;
pub use zkloom_circuits::{CompileOptions, CompileReport, Visibility, WeightVisibility};
pub use zkloom_model::data::Dataset;
pub use zkloom_model::float_graph::{FloatGraph, FloatMatrix};
pub use zkloom_model::onnx::ImportOptions;
pub use zkloom_model::quantise::{
    Calibration, LossMeasure, QuantisationOptions, RangePolicy, SearchOptions, Trial,
};
pub use zkloom_model::report::{Accuracy, QuantisationReport};
pub use zkloom_model::sparsify::{self, SparsifyOptions, SparsityReport};
pub use zkloom_model::teleport::{self, TeleportOptions, TeleportReport};
pub use zkloom_prover::{Stage, Timing};
pub use zkloom_verifier::{HashKind, SrsKind, SrsPin};
