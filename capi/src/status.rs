//! Outcomes of calls, and their words.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// `zkloom_status` of the header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// An argument is unsuitable.
    InvalidArgument = 1,
    /// No such device, or it can't be used.
    Unavailable = 2,
    /// The device has too little memory.
    OutOfMemory = 3,
    /// The device failed.
    DeviceFailed = 4,
    /// A defect in the library.
    Internal = 5,
}

/// A call that failed.
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) words: String,
}

impl Failure {
    pub(crate) fn argument(words: String) -> Self {
        Self { status: Status::InvalidArgument, words }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

fn note(words: String) {
    // A message with a zero in it would end there; none of ours has one.
    let words = CString::new(words.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = words);
}

/// The words of the last failure on this thread.
pub(crate) fn last_error() -> *const c_char {
    LAST.with(|last| last.borrow().as_ptr())
}

/// Runs a call: failures and panics become a status with words.
pub(crate) fn guarded(call: impl FnOnce() -> Result<(), Failure>) -> Status {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(failure)) => {
            note(failure.words);
            failure.status
        }
        Err(_) => {
            note("a defect in the library; please report it".to_owned());
            Status::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guarded(|| panic!("on purpose")), Status::Internal);
        assert_eq!(guarded(|| Err(Failure::argument("a\0b".to_owned()))), Status::InvalidArgument);
        // SAFETY: the words live until the next call on this thread.
        assert_eq!(unsafe { std::ffi::CStr::from_ptr(last_error()) }.to_str(), Ok("a b"));
        assert_eq!(guarded(|| Ok(())), Status::Ok);
    }
}
