//! The zkloom command line: parse, run, print.
//!
//! Results go to stdout, everything else to stderr. [`exit`] has the exit codes, `commands` a file for each command.

#![deny(unsafe_code)]

mod args;
mod commands;
mod console;
mod exit;
mod logging;
mod machine;
mod text;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::console::Console;
use crate::exit::{Exit, Failure};

/// Mesa's Vulkan layer that reorders devices asks a window system for its opinion and complains on stderr where there is none.
/// All devices are listed here anyway, so the layer is left out, by the variable that it names for this.
#[allow(unsafe_code)]
fn quieten_drivers() {
    const LAYER_OFF: &str = "NODEVICE_SELECT";
    if std::env::var_os(LAYER_OFF).is_none() {
        // SAFETY: the process has no other thread yet.
        unsafe { std::env::set_var(LAYER_OFF, "1") };
    }
}

fn main() -> ExitCode {
    quieten_drivers();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(&cli).into(),
        Err(error) => {
            let json = arguments.iter().any(|argument| argument == "--json");
            console::report_usage(&error, json).into()
        }
    }
}

fn run(cli: &Cli) -> Exit {
    let console = Console::new(&cli.global);
    logging::start(&cli.global);
    let result = catch_unwind(AssertUnwindSafe(|| commands::run(&cli.command, &console)));
    // The panic's own message stands on stderr already.
    let result =
        result.unwrap_or_else(|_| Err(Failure::internal("the program failed; please report it").into()));
    match result.and_then(|outcome| console.print(&outcome).map(|()| outcome.exit)) {
        Ok(exit) => exit,
        Err(error) => console.report(&error),
    }
}
