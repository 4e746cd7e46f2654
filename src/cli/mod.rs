//! The command line: arguments → a run, its output, and the exit code. `--help` is the manual.

mod args;
mod ca;
mod demo;
mod device;
mod emit;
mod explain;
mod har;
mod live;
mod output;
mod policy;
mod proxy;
mod replay;
mod rules;
mod screen;
mod signals;

use args::{Cli, Command};
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ended (DESIGN: exit codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing at or above `--fail-on`.
    Fine,
    /// Findings at or above it.
    Findings,
    /// The command itself failed.
    Failed,
    /// Less than `--min-coverage` could be read.
    Coverage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Findings => 1,
            Exit::Failed => 2,
            Exit::Coverage => 3,
        })
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let exit = if error.use_stderr() { Exit::Failed } else { Exit::Fine };
            return match error.print() {
                Ok(()) => exit.into(),
                Err(_) => Exit::Failed.into(),
            };
        }
    };
    let ended = match &cli.command {
        Command::Demo(demo) => demo::run(demo),
        Command::Replay(replay) => replay::run(replay),
        Command::Live(live) => live::run(live),
        Command::Ca(ca) => ca::run(ca),
        Command::Proxy(args) => proxy::run(args),
        Command::Device(device) => device::run(device),
        Command::Policy(policy) => policy::run(policy),
        Command::Rules(rules) => rules::run(rules),
        Command::Explain { code } => explain::run(code),
    };
    match ended {
        Ok(exit) => exit.into(),
        // A reader that has seen enough (`| head`) is no failure of ours.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine.into(),
        Err(failure) => {
            complain(&failure.to_string());
            Exit::Failed.into()
        }
    }
}

/// Why a command gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file that can't be used.
    #[error("{0}")]
    Load(#[from] crate::session::LoadError),
    /// Output that can't be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Anything else that is said in one line.
    #[error("{0}")]
    Said(String),
}

/// One message a line on standard error, what the traffic or a file said made harmless for the terminal.
pub(crate) fn complain(message: &str) {
    say("error", message);
}

/// As [`complain`], for what is no failure.
pub(crate) fn warn(message: &str) {
    say("warning", message);
}

/// As [`complain`], for what is good to know before a long run.
pub(crate) fn note(message: &str) {
    say("note", message);
}

fn say(kind: &str, message: &str) {
    let mut stderr = io::stderr().lock();
    for line in message.lines() {
        // Nothing can be done where standard error itself is closed.
        if writeln!(stderr, "divulge: {kind}: {}", crate::report::neutral(line)).is_err() {
            return;
        }
    }
}
