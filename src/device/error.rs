//! What can go wrong between here and the phone, each with what to do about it.

use std::path::PathBuf;

/// Why something could not be done on the phone.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no adb.
    #[error("{program}: {reason}; install Android's platform-tools, or set ADB to the program")]
    NoAdb {
        /// What was to be run.
        program: String,
        /// Why it could not be.
        reason: String,
    },
    /// adb sees no phone.
    #[error("no phone: connect one and switch USB debugging on (Settings, Developer options), or `adb connect HOST`")]
    NoDevice,
    /// More than one phone, and none was chosen.
    #[error("several phones: {}; choose one with --serial or ANDROID_SERIAL", .serials.join(", "))]
    Several {
        /// Those that could be meant.
        serials: Vec<String>,
    },
    /// The chosen phone is not there.
    #[error("no phone {serial}{}", among(.known))]
    Unknown {
        /// What was asked for.
        serial: String,
        /// What is there.
        known: Vec<String>,
    },
    /// The phone asks its user whether it may talk to this computer.
    #[error("{serial} is unauthorized: unlock the phone and allow USB debugging for this computer")]
    Unauthorized {
        /// The phone.
        serial: String,
    },
    /// adb knows the phone and can't reach it.
    #[error("{serial} is offline: reconnect the cable, or run `adb reconnect offline`")]
    Offline {
        /// The phone.
        serial: String,
    },
    /// A state in which nothing can be run (recovery, sideload, no permissions …).
    #[error("{serial} can't be used: {state}")]
    Unusable {
        /// The phone.
        serial: String,
        /// As adb calls it.
        state: String,
    },
    /// The connection ended while something was done.
    #[error("the phone is gone: {said}")]
    Gone {
        /// What adb said.
        said: String,
    },
    /// No answer in time.
    #[error("no answer in {seconds} s to `{what}`; is the phone asking something? --timeout gives it longer")]
    TimedOut {
        /// What was run.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A command failed on the phone or in adb.
    #[error("{what} failed: {said}")]
    Refused {
        /// What was to be done.
        what: String,
        /// What was said on it.
        said: String,
    },
    /// Nothing gives root.
    #[error("no root: {}; a rooted phone (Magisk: allow Shell), an emulator, or `adb root` on a debug build is needed", .tries.join("; "))]
    NoRoot {
        /// Each way that was tried, with its answer.
        tries: Vec<String>,
    },
    /// The journal can't be written or read.
    #[error("{}: {reason}", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked for can't be done, or does not make sense.
    #[error("{0}")]
    Unfit(String),
}

fn among(known: &[String]) -> String {
    if known.is_empty() { "; none is connected".to_owned() } else { format!("; connected: {}", known.join(", ")) }
}
