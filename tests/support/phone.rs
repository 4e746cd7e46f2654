//! A phone that is none: `adb.py` plays adb and what is behind it, in a folder whose files are the phone's state.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What keeps a count, and so changes with each call.
const COUNTS: [&str; 3] = ["vanish_after", "iptables_fails_at", "devices"];

/// A phone, its adb, and a state folder for the journal.
pub(crate) struct Phone {
    folder: TempDir,
}

impl Phone {
    /// One of the kinds that `adb.py` knows.
    pub(crate) fn new(kind: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let phone = Self { folder };
        run(Command::new("python3").arg(script()).arg("make").arg(kind).arg(phone.at("phone")));
        phone
    }

    /// The same, with its state changed.
    pub(crate) fn with(kind: &str, change: impl FnOnce(&mut Value)) -> Self {
        let phone = Self::new(kind);
        phone.change(change);
        phone
    }

    /// A path in the folder of the test.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The adb of this phone.
    pub(crate) fn adb(&self) -> PathBuf {
        self.at("phone/adb")
    }

    pub(crate) fn state(&self) -> Value {
        let text = fs::read_to_string(self.at("phone/state.json")).expect("the state");
        serde_json::from_str(&text).expect("the state is JSON")
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        fs::write(self.at("phone/state.json"), state.to_string()).expect("the state is written");
    }

    /// A file of the phone.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.at("phone/files").join(path.trim_start_matches('/'))
    }

    /// All that a set-up may change: the state but for its counts, and every file.
    pub(crate) fn everything(&self) -> (Value, BTreeMap<PathBuf, String>) {
        let mut state = self.state();
        for count in COUNTS {
            state.as_object_mut().expect("an object").remove(count);
        }
        let mut files = BTreeMap::new();
        let mut open = vec![self.at("phone/files")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    files.insert(path.join(""), String::new());
                    open.push(path);
                } else {
                    files.insert(path.clone(), fs::read_to_string(&path).expect("text"));
                }
            }
        }
        (state, files)
    }

    /// Starts the phone anew.
    pub(crate) fn reboot(&self) {
        run(Command::new("python3").arg(script()).arg("reboot").arg(self.at("phone")));
    }

    /// `divulge device` with these arguments.
    pub(crate) fn device(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program runs")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_divulge"));
        command.arg("device").args(args).stdin(Stdio::null()).current_dir(self.folder.path());
        command.env("ADB", self.adb()).env_remove("ANDROID_SERIAL");
        command.env("XDG_STATE_HOME", self.at("state")).env("XDG_DATA_HOME", self.at("data"));
        command
    }

    /// The journals that are there, and what is in them.
    pub(crate) fn journals(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at("state/divulge")) else { return Vec::new() };
        entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
    }
}

/// The certificate that tests have trusted.
pub(crate) fn authority() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/authority.pem")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/adb.py")
}

fn run(command: &mut Command) {
    let output = command.output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
