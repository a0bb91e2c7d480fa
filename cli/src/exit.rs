//! Exit codes, and what an error means for them.

use std::process::ExitCode;

use zkloom::error::Class;

/// The exit codes, as `zkloom --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `verify`: the proof is valid.
    Success = 0,
    /// A proof is not valid.
    Invalid = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The model, the data or an option is unsuitable.
    Input = 3,
    /// A file is missing, damaged, of another kind or of another circuit.
    File = 4,
    /// SRS, memory, disk or device do not suffice.
    Resource = 5,
    /// The program or a device failed.
    Internal = 6,
}

impl Exit {
    /// Name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Invalid => "invalid",
            Self::Usage => "usage",
            Self::Input => "input",
            Self::File => "file",
            Self::Resource => "resource",
            Self::Internal => "internal",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Invalid => Self::Invalid,
            Class::Input => Self::Input,
            Class::File => Self::File,
            Class::Resource => Self::Resource,
            Class::Internal => Self::Internal,
        }
    }
}

/// An error that the command line itself finds.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    exit: Exit,
    code: &'static str,
    message: String,
}

impl Failure {
    /// An unsuitable option.
    pub fn option(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, code: "option", message: message.into() }
    }

    /// Files that can't be used.
    pub fn file(code: &'static str, message: impl Into<String>) -> Self {
        Self { exit: Exit::File, code, message: message.into() }
    }

    /// Memory that does not suffice.
    pub fn memory(message: impl Into<String>) -> Self {
        Self { exit: Exit::Resource, code: "out-of-memory", message: message.into() }
    }

    /// Proofs that are not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { exit: Exit::Invalid, code: "proof-invalid", message: message.into() }
    }

    /// A fault of the program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { exit: Exit::Internal, code: "internal", message: message.into() }
    }

    /// A result that could not be written to stdout.
    pub fn output(error: &std::io::Error) -> Self {
        let message = format!("the result cannot be written to stdout: {error}");
        Self { exit: Exit::Resource, code: "stdout", message }
    }
}

/// Exit code and stable name of an error: those of the first cause that has them.
pub fn classify(error: &anyhow::Error) -> (Exit, &'static str) {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return (failure.exit, failure.code);
        }
        if let Some(error) = cause.downcast_ref::<zkloom::Error>() {
            return (error.class().into(), error.code());
        }
    }
    (Exit::Internal, "internal")
}

/// The error and its causes, without those that a text before them tells already.
pub fn messages(error: &anyhow::Error) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in error.chain().map(ToString::to_string) {
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_first_classified_cause_decides_and_texts_are_told_once() {
        let inner = zkloom::Error::Option("no".to_owned());
        let error = Err::<(), _>(inner).context("reading x").unwrap_err();
        assert_eq!(classify(&error), (Exit::Input, "option"));
        assert_eq!(messages(&error), ["reading x", "no"]);
        let source = std::io::Error::other("broken");
        let error = anyhow::Error::from(zkloom::Error::Io { path: "f".into(), source });
        assert_eq!((classify(&error), messages(&error)), ((Exit::File, "io"), vec!["f: broken".to_owned()]));
        assert_eq!(classify(&anyhow::anyhow!("what")), (Exit::Internal, "internal"));
    }
}
