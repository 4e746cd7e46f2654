//! Runs the built program and reads what it says.

use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// `METHOD authority path status` of each exchange.
pub(crate) fn summary(exchanges: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let one = |exchange: &Value| ["method", "authority", "path", "status"].map(|key| text(&exchange[key])).join(" ");
    exchanges.iter().map(one).collect()
}

pub(crate) fn bodies(exchanges: &[Value]) -> Vec<[Value; 2]> {
    exchanges.iter().map(|one| [one["request"]["body"].clone(), one["response"]["body"].clone()]).collect()
}

pub(crate) fn exchanges(args: &[&str]) -> Vec<Value> {
    let mut all = vec!["replay"];
    all.extend(args);
    all.extend(["--emit", "exchanges", "--format", "ndjson"]);
    let output = divulge(&all);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    ndjson(&output)
}

pub(crate) fn ndjson(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

pub(crate) fn report(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).expect("a JSON document")
}

/// One line on standard error, which holds all of `words`.
pub(crate) fn assert_one_line(output: &Output, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "no {word} in: {text}");
    }
}

pub(crate) fn divulge(args: &[&str]) -> Output {
    divulge_with_input(args, b"")
}

pub(crate) fn divulge_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_divulge"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A program that ends early closes the pipe; that is its right.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer does not panic");
    output
}

pub(crate) fn status(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

/// Path of a file of the shipped demo.
pub(crate) fn shipped(name: &str) -> String {
    format!("{}/captures/demo/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A folder for the files of one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("room for a file");
        path
    }
}
