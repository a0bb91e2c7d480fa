//! The zkloom command line: parse, run, print.
//!
//! Results go to stdout, everything else to stderr. [`exit`] has the exit codes, `commands` a file for each command.

#![forbid(unsafe_code)]

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

fn main() -> ExitCode {
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
