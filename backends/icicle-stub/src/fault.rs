//! Faults on demand.

use core::ffi::c_int;
use std::collections::HashMap;
use std::sync::Mutex;

/// How a call ends.
pub(crate) enum Course {
    /// As it should.
    Sound,
    /// With a success code and a wrong result.
    Wrong,
    /// With this code and no result.
    Refused(c_int),
}

static CALLS: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);

/// What the environment asks of this call of the function.
pub(crate) fn course(function: &'static str) -> Course {
    let Ok(fault) = std::env::var("ZKLOOM_STUB_FAULT") else { return Course::Sound };
    let Some((name, how)) = fault.split_once('=') else { return Course::Sound };
    if name != function {
        return Course::Sound;
    }
    let (how, sound_calls) =
        how.split_once('@').map_or((how, 0), |(how, calls)| (how, calls.parse().unwrap_or(0)));
    let Ok(mut calls) = CALLS.lock() else { return Course::Sound };
    let made = calls.get_or_insert_default().entry(function).or_insert(0);
    *made += 1;
    match how {
        _ if *made <= sound_calls => Course::Sound,
        "wrong" => Course::Wrong,
        code => Course::Refused(code.parse().unwrap_or(14)),
    }
}

/// Ends the process, as an exception that nobody catches does.
pub(crate) fn exception(what: &str) -> ! {
    eprintln!("exception in the stub: {what}");
    std::process::abort()
}
