//! Logs on stderr.

use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// Starts logging: warnings, with `-v` what happens, with `-vv` details, with `-vvv` everything; `RUST_LOG` decides if set.
pub fn start(global: &Global) {
    let level = match global.verbose {
        _ if global.quiet => "error",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if let Err(error) = started {
        eprintln!("no logs: {error}");
    }
}
