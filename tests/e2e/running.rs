//! The built program while it runs: input is written bit by bit, and each line it prints is taken with its time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything that is to happen; far above what the tests ask for, so that a busy machine fails none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// divulge, running.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<(Instant, String)>,
    errors: thread::JoinHandle<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_divulge"));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut err = child.stderr.take().expect("piped");
        let (to, lines) = channel();
        thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                if to.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).expect("messages are UTF-8");
            text
        });
        let input = child.stdin.take();
        Self { child, input, lines, errors }
    }

    /// Writes to standard input; gives the time after it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Instant {
        let input = self.input.as_mut().expect("not closed");
        input.write_all(bytes).expect("the program reads");
        input.flush().expect("the program reads");
        Instant::now()
    }

    /// The next line, and when it came.
    pub(crate) fn line(&self) -> (Instant, String) {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// The next line, and when it came, if one comes in time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<(Instant, String)> {
        self.lines.recv_timeout(time).ok()
    }

    /// Whether nothing is printed for a while.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        matches!(self.lines.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Waits until the program handles signals: SIGHUP is the last it asks for.
    pub(crate) fn await_handlers(&self) {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())) else {
                // Not Linux.
                thread::sleep(Duration::from_secs(1));
                return;
            };
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).expect("a mask of signals");
            if caught & 1 == 1 {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("it handles no signals");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Closes standard input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Whether it ends within [`PATIENCE`], standard input still open.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.child.kill().expect("it still runs");
        panic!("it did not end");
    }

    /// What was printed and not yet taken, and what was said on standard error; the program has ended.
    pub(crate) fn rest(self) -> (String, String) {
        let lines: Vec<String> = self.lines.iter().map(|(_, line)| line).collect();
        (lines.join("\n"), self.errors.join().expect("the reader does not panic"))
    }
}
