//! The adb client: one program, one phone, each call with an end and with bounded output. Nothing of it passes a shell
//! on this computer.

use super::error::DeviceError;
use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes kept of what a command prints; what comes after is read and dropped.
const OUTPUT_MAX: usize = 8 << 20;
/// Longest wait for the ends of the pipes once adb itself has ended: a server that it started may hold them open.
const PIPE_GRACE: Duration = Duration::from_millis(300);
/// Between two looks at whether adb has ended.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// Longest part of an answer that is put into a message.
const SAID_MAX: usize = 300;
/// Stands before the exit status of what ran on the phone: adb's own status tells nothing on old phones, and nothing at
/// all of what ran under su.
const EXIT_MARK: &str = "divulge-exit:";

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Exit status of the command on the phone, or of adb where nothing runs on the phone.
    pub status: i32,
    /// Standard output; old phones mix the errors in.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// Whether the command says of itself that it succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == 0
    }

    /// What was said about a failure, in one line that is not too long.
    #[must_use]
    pub fn said(&self) -> String {
        let text = if self.err.trim().is_empty() { &self.out } else { &self.err };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let line = lines.join(", ");
        match line.char_indices().nth(SAID_MAX) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None if line.is_empty() => format!("exit status {}", self.status),
            None => line,
        }
    }

    /// The output of a command that has to succeed.
    ///
    /// # Errors
    /// It did not.
    pub fn into_out(self, what: &str) -> Result<String, DeviceError> {
        if self.succeeded() {
            return Ok(self.out);
        }
        Err(DeviceError::Refused { what: what.to_owned(), said: self.said() })
    }
}

/// The adb program, and the phone it talks to.
#[derive(Debug, Clone)]
pub struct Adb {
    program: OsString,
    serial: Option<String>,
    timeout: Duration,
}

impl Adb {
    /// The program that `ADB` names, else `adb` as `PATH` finds it.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let program = std::env::var_os("ADB").filter(|program| !program.is_empty());
        Self::at(program.unwrap_or_else(|| "adb".into()), timeout)
    }

    /// This very program.
    #[must_use]
    pub fn at(program: OsString, timeout: Duration) -> Self {
        Self { program, serial: None, timeout }
    }

    /// The same, for one phone.
    #[must_use]
    pub fn with_serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }

    /// The same, with another longest wait for an answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Longest wait for an answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The program's name, as it was found.
    #[must_use]
    pub fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Runs adb itself with these arguments.
    ///
    /// # Errors
    /// There is no adb, or it does not end in time.
    pub fn call(&self, args: &[&str]) -> Result<Answer, DeviceError> {
        let mut command = Command::new(&self.program);
        if let Some(serial) = &self.serial {
            command.args(["-s", serial]);
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| DeviceError::NoAdb { program: self.program(), reason: error.to_string() })?;
        let (end, ended) = channel();
        let out = child.stdout.take().map(|pipe| gather(pipe, end.clone()));
        let err = child.stderr.take().map(|pipe| gather(pipe, end));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if started.elapsed() < self.timeout => wait_for_end(&ended),
                _ => {
                    // Whether it could be ended or not, there is no answer.
                    let _ = child.kill().and_then(|()| child.wait());
                    let what = args.join(" ");
                    let what = what.lines().find(|line| line.trim().len() > 2).unwrap_or_default().to_owned();
                    return Err(DeviceError::TimedOut { what, seconds: self.timeout.as_secs() });
                }
            }
        };
        let until = Instant::now() + PIPE_GRACE;
        while !matches!(
            ended.recv_timeout(until.saturating_duration_since(Instant::now())),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
        ) {}
        let text = |kept: Option<Kept>| kept.map(|kept| as_text(&kept)).unwrap_or_default();
        Ok(Answer { status: status.code().unwrap_or(-1), out: text(out), err: text(err) })
    }

    /// Runs a script in the phone's shell, as the user that adb is there.
    ///
    /// # Errors
    /// The phone can't be reached, or gives no answer.
    pub fn shell(&self, script: &str) -> Result<Answer, DeviceError> {
        let answer = self.call(&["shell", &with_exit_mark(script)])?;
        match marked(&answer.out) {
            Some((out, status)) => Ok(Answer { status, out: out.to_owned(), err: answer.err }),
            None => Err(unreached(&answer)),
        }
    }
}

/// The script in a subshell, and its exit status after it.
pub(super) fn with_exit_mark(script: &str) -> String {
    format!("(\n{script}\n); r=$?; echo; echo {EXIT_MARK}$r")
}

/// What was printed before the mark, and the exit status in it.
pub(super) fn marked(out: &str) -> Option<(&str, i32)> {
    let at = out.rfind(EXIT_MARK)?;
    let before = &out[..at];
    let status = out[at + EXIT_MARK.len()..].trim().parse().ok()?;
    Some((before.strip_suffix('\n').unwrap_or(before), status))
}

/// Why the phone's shell did not even come to the mark.
fn unreached(answer: &Answer) -> DeviceError {
    let said = answer.said();
    let words = ["not found", "offline", "unauthorized", "no devices", "closed", "more than one", "disconnected"];
    if answer.succeeded() || words.iter().any(|word| said.contains(word)) {
        let said = if answer.succeeded() { "the connection ended before the answer".to_owned() } else { said };
        return DeviceError::Gone { said: said.trim_start_matches("error: ").trim_start_matches("adb: ").to_owned() };
    }
    DeviceError::Refused { what: "adb shell".to_owned(), said }
}

/// Bytes as they come in from another thread.
type Kept = Arc<Mutex<Vec<u8>>>;

/// Reads a pipe to its end in a thread of its own, so that a full pipe stops nobody.
fn gather(mut pipe: impl Read + Send + 'static, end: Sender<()>) -> Kept {
    let kept = Kept::default();
    let into = Arc::clone(&kept);
    thread::spawn(move || {
        let mut chunk = [0; 16 << 10];
        while let Ok(read) = pipe.read(&mut chunk) {
            if read == 0 {
                break;
            }
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            let room = OUTPUT_MAX.saturating_sub(into.len());
            into.extend_from_slice(&chunk[..read.min(room)]);
        }
        // Whoever waited may have gone.
        let _ = end.send(());
    });
    kept
}

/// Waits a little; where the pipes have ended there is nothing to be woken by.
fn wait_for_end(ended: &Receiver<()>) {
    if ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected) {
        thread::sleep(LOOK_EVERY);
    }
}

/// As text; old phones end lines as a terminal does.
fn as_text(kept: &Kept) -> String {
    let bytes = kept.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).replace("\r\r\n", "\n").replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_stands_behind_the_last_mark() {
        assert_eq!(marked("a\nb\n\ndivulge-exit:0\n"), Some(("a\nb\n", 0)));
        assert_eq!(marked("no end of line\ndivulge-exit:13"), Some(("no end of line", 13)));
        assert_eq!(marked("divulge-exit:1\n\ndivulge-exit:2\n"), Some(("divulge-exit:1\n", 2)));
        assert_eq!(marked("\ndivulge-exit:0\n"), Some(("", 0)));
        assert_eq!(marked("nothing"), None);
        assert_eq!(marked("divulge-exit:"), None);
    }

    #[test]
    fn a_lost_phone_is_told_from_a_failed_command() {
        let answer = |status, err: &str| Answer { status, out: String::new(), err: err.to_owned() };
        for err in ["error: device 'R58M' not found\n", "adb: device offline\n", "error: closed\n"] {
            assert!(matches!(unreached(&answer(1, err)), DeviceError::Gone { .. }), "{err}");
        }
        assert!(matches!(unreached(&answer(0, "")), DeviceError::Gone { .. }));
        assert!(matches!(unreached(&answer(1, "syntax error\n")), DeviceError::Refused { .. }));
    }

    #[test]
    fn what_was_said_is_one_short_line() {
        let answer = Answer { status: 3, out: "x".to_owned(), err: " a \n\nb\n".to_owned() };
        assert_eq!(answer.said(), "a, b");
        assert_eq!(Answer { err: String::new(), ..answer.clone() }.said(), "x");
        assert_eq!(Answer { err: "\n".to_owned(), out: String::new(), ..answer.clone() }.said(), "exit status 3");
        assert_eq!(Answer { err: "é".repeat(1_000), ..answer }.said().chars().count(), SAID_MAX + 1);
    }

    #[test]
    fn a_missing_program_is_told_by_name() {
        let adb = Adb { program: "no-such-adb".into(), serial: None, timeout: Duration::from_secs(1) };
        let error = adb.call(&["version"]).expect_err("there is none").to_string();
        assert!(error.starts_with("no-such-adb: ") && error.contains("platform-tools"), "{error}");
    }
}
