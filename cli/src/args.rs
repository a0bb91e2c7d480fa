//! The command line's grammar.

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    audit, bench, compile, demo, inspect, optimise, plan, prove, report, run, setup, srs, verify,
};

const AFTER_HELP: &str = "\
Exit codes:
  0  done; for verify: every proof is valid
  1  a proof is not valid; for audit: the key does not pass
  2  the command line is wrong
  3  the model, the data or an option is unsuitable
  4  a file is missing, damaged, of another kind or of another circuit
  5  SRS, memory, disk or device do not suffice
  6  the program or a device failed

Results go to stdout, progress, warnings and logs to stderr. With --json the result, or the error, is one JSON object on stdout.
Pinned SRSs and caches are kept in $ZKLOOM_HOME, else $XDG_DATA_HOME/zkloom, else ~/.local/share/zkloom.

Example: zkloom demo";

/// Zero-knowledge proofs of neural network inference
#[derive(Debug, Parser)]
#[command(name = "zkloom", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no notes; warnings and errors remain
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More logs on stderr; twice or thrice for even more (RUST_LOG decides if set)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn an ONNX network into a circuit
    Compile(compile::Arguments),
    /// Make a network cheaper to prove: prune it, change its scale; ONNX in, ONNX out
    Optimise(optimise::Arguments),
    /// Tell what a network costs and keeps of its accuracy, layer by layer, alone or before and after; HTML or Markdown
    Report(report::Arguments),
    /// Run a network in integers on one input, without a proof
    Run(run::Arguments),
    /// Import, make, describe or trust a structured reference string
    #[command(subcommand)]
    Srs(srs::Command),
    /// Make the proving and the verification key of a circuit
    Setup(setup::Arguments),
    /// Prove one inference
    Prove(prove::Arguments),
    /// Check proofs and print what they bind
    Verify(verify::Arguments),
    /// Check what a verification key's fixed columns say, without knowing its weights
    Audit(audit::Arguments),
    /// Describe any file that zkloom writes
    Inspect(inspect::Arguments),
    /// Estimate rows, memory and time of a proof before any work starts
    Plan(plan::Arguments),
    /// Measure this machine: multi-scalar multiplications, transforms, a whole proof
    Bench(bench::Arguments),
    /// Tell what this machine offers, and test it
    #[command(after_help = "Example:\n  zkloom doctor")]
    Doctor,
    /// Take the bundled digit recogniser through every stage
    Demo(demo::Arguments),
}

/// Which device works, and with how many threads.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// Device: auto, cpu, cuda, icicle or wgpu (`zkloom doctor` lists them); one that can't be used is an error, never replaced
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub backend: String,
    /// Processor threads; all by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

impl Device {
    /// The number of threads as the library takes it.
    pub fn threads(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}
