//! Devices of a kind, looked for in a process of its own.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zkloom::{DeviceReport, devices};

use super::{device_from, device_json};
use crate::console::Outcome;

/// Set in the process that looks for devices of one kind, to the kind.
const KIND_VARIABLE: &str = "ZKLOOM_DOCTOR_KIND";

/// What stands before the findings in its output, which libraries write into as well.
const MARK: &str = "zkloom-doctor-devices:";

/// How long a kind may take: drivers compile what they run when it is new to them.
const LIMIT: Duration = Duration::from_secs(120);

/// How often the process is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Last characters of what a process that died said.
const LAST_WORDS: usize = 300;

/// The findings of this process, if it was started to look for one kind.
pub(super) fn asked_for() -> Option<Outcome> {
    let kind = std::env::var(KIND_VARIABLE).ok()?;
    let found: Vec<Value> = devices::list_of(&[kind.as_str()]).iter().map(device_json).collect();
    let json = json!({ "mark": MARK, "devices": found });
    Some(Outcome::success(format!("{MARK}{}", json!(found)), json))
}

/// What there is of a kind; also why it is not known.
pub(super) fn kind(kind: &str) -> Vec<DeviceReport> {
    if kind == "cpu" {
        return devices::list_of(&[kind]);
    }
    let unknown = |description: String| {
        let (name, composed) = (kind.to_owned(), Vec::new());
        vec![DeviceReport { name, available: false, description, memory: None, software: false, composed }]
    };
    let mut command = match std::env::current_exe() {
        Ok(program) => Command::new(program),
        Err(error) => return unknown(format!("this program can't be started again to look for it: {error}")),
    };
    command.arg("doctor").env(KIND_VARIABLE, kind);
    match run(&mut command, LIMIT) {
        Ok(output) => found_in(&output).unwrap_or_else(|| {
            unknown(format!(
                "the process that looked for it told nothing; last words: {}",
                last_words(&output)
            ))
        }),
        Err(reason) => unknown(reason),
    }
}

/// The devices in a process' output.
fn found_in(output: &str) -> Option<Vec<DeviceReport>> {
    let after = &output[output.rfind(MARK)? + MARK.len()..];
    let list: Value = serde_json::from_str(after.lines().next()?).ok()?;
    list.as_array()?.iter().map(device_from).collect()
}

fn last_words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = line.char_indices().rev().nth(LAST_WORDS).map_or(0, |(index, _)| index);
    line[start..].to_owned()
}

/// Everything that comes from a pipe, read beside so that the process never waits for us.
fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is all there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a program to its end; gives what it wrote to stdout, or says how it died.
fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| format!("no process can be started to look for it: {error}"))?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, limit);
    // Its own children may hold the pipes open, so that of a process that was ended nothing is read.
    let status = status.ok_or_else(|| {
        format!(
            "its libraries did not answer in {} seconds; the process that tried them was ended",
            limit.as_secs()
        )
    })?;
    let text = |thread: JoinHandle<String>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() {
        return Ok(stdout);
    }
    let words = match last_words(&stderr) {
        none if none.is_empty() => String::new(),
        words => format!("; last words: {words}"),
    };
    Err(format!(
        "its libraries ended the process that tried them ({status}){words}; install them anew, in versions that fit the driver"
    ))
}

/// The process' end, or nothing if it was ended for taking too long.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    // It may just have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_process_ends_well_badly_or_not_at_all() {
        assert_eq!(run(&mut shell("echo yes; echo no >&2"), LIMIT).as_deref(), Ok("yes\n"));
        let died = run(&mut shell("echo some library >&2; kill -ABRT $$"), LIMIT).unwrap_err();
        assert!(died.contains("signal: 6") && died.contains("some library"), "{died}");
        let failed = run(&mut shell("exit 3"), LIMIT).unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        let late = run(&mut shell("exec sleep 60"), Duration::from_millis(100)).unwrap_err();
        assert!(late.contains("did not answer"), "{late}");
    }

    #[test]
    fn findings_are_found_among_what_libraries_write() {
        let device = DeviceReport {
            name: "icicle:CUDA".into(),
            available: true,
            description: "a \"device\"".into(),
            memory: Some(5),
            software: false,
            composed: vec!["msm".into()],
        };
        let output = format!("noise {MARK} no{MARK}{}\nnoise", json!([device_json(&device)]));
        assert_eq!(found_in(&output), Some(vec![device]));
        for damaged in ["", "noise", MARK, &format!("{MARK}[{{}}]")] {
            assert_eq!(found_in(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn last_words_are_short_and_whole_characters() {
        assert_eq!(last_words(" a\n b "), "a b");
        let long = "\u{e4}".repeat(1000);
        assert!(last_words(&long).chars().count() <= LAST_WORDS + 1);
    }
}
