//! What is written where: one result on stdout, warnings, notes and errors on stderr.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use clap::error::ErrorKind as ClapErrorKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::Global;
use crate::exit::{Exit, Failure, classify, messages};
use crate::text::printable;

/// A command's result.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs, one object.
    pub json: Value,
    /// How the program exits.
    pub exit: Exit,
}

impl Outcome {
    /// A result of a command that did what it should.
    pub fn success(text: String, json: Value) -> Self {
        Self { text, json, exit: Exit::Success }
    }
}

/// Where output goes.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    json: bool,
    quiet: bool,
}

impl Console {
    /// A console as the global options ask for it.
    pub fn new(global: &Global) -> Self {
        Self { json: global.json, quiet: global.quiet }
    }

    /// Tells what is going on, unless the user wants silence or a program listens.
    pub fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            eprintln!("{}", printable(text));
        }
    }

    /// Tells what must not be overlooked.
    pub fn warn(&self, text: &str) {
        eprintln!("WARNING: {}", printable(text));
    }

    /// A bar of so many steps on stderr, hidden where nobody sees it.
    pub fn progress(&self, steps: u64) -> ProgressBar {
        if self.json || self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {pos}/{len} {msg} ({elapsed_precise})") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Prints a command's result to stdout.
    pub fn print(&self, outcome: &Outcome) -> anyhow::Result<()> {
        if self.json {
            write_stdout(&outcome.json.to_string())
        } else {
            write_stdout(&printable(&outcome.text))
        }
    }

    /// Reports an error, as text on stderr and, for programs, as an object on stdout.
    pub fn report(&self, error: &anyhow::Error) -> Exit {
        let ((exit, code), texts) = (classify(error), messages(error));
        eprintln!("error: {}", printable(&texts.join(": ")));
        if self.json {
            let causes = texts.get(1..).unwrap_or(&[]);
            print_error(exit, code, &texts.join(": "), causes);
        }
        exit
    }
}

/// Reports a wrong command line, or prints the help or version that was asked for.
pub fn report_usage(error: &clap::Error, json: bool) -> Exit {
    if matches!(error.kind(), ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion) {
        // A reader that has seen enough may close the pipe.
        let _ = error.print();
        return Exit::Success;
    }
    eprint!("{}", error.render());
    if json {
        print_error(Exit::Usage, "usage", error.render().to_string().trim_end(), &[]);
    }
    Exit::Usage
}

fn print_error(exit: Exit, code: &str, message: &str, causes: &[String]) {
    let error = json!({ "class": exit.name(), "code": code, "message": message, "causes": causes });
    // Where stdout can't be written, stderr has told the error.
    let _ = write_stdout(&json!({ "error": error }).to_string());
}

/// Writes a line. A closed pipe is the reader's choice and no error.
fn write_stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match stdout.write_all(format!("{text}{newline}").as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::output(&error).into()),
        _ => Ok(()),
    }
}
