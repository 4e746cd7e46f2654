//! The built program: a recording replays to the same report, and survives whatever ends the program.

use crate::origin::{World, client, serve_tls, server};
use crate::setting::{PATIENCE, tls};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The proxy as a program.
struct Program {
    child: Child,
    address: SocketAddr,
    said: Receiver<String>,
}

impl Program {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_divulge"))
            .args([
                "proxy",
                "--listen",
                "127.0.0.1:0",
                "--allow-local",
                "--resolve",
                "origin.test:127.0.0.1",
                "--tui",
                "never",
            ])
            .args(args)
            .env("XDG_DATA_HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (to, said) = channel();
        thread::spawn(move || errors.lines().map_while(Result::ok).for_each(|line| drop(to.send(line))));
        let address = loop {
            let line = said.recv_timeout(PATIENCE).expect("it says where it listens");
            if let Some(rest) = line.strip_prefix("divulge: note: proxy on ") {
                break rest.split(';').next().unwrap().parse().unwrap();
            }
        };
        Self { child, address, said }
    }

    /// Ends it as Ctrl-C does; gives its exit code and what else it said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.said.iter().collect())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn divulge(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_divulge")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with what the program needs, and a server that answers each request.
fn scene() -> (tempfile::TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    std::fs::write(folder.path().join("world.pem"), &world.pem).unwrap();
    std::fs::write(folder.path().join("device.toml"), "imei = [\"861536030196001\"]\n").unwrap();
    let identity = world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &["http/1.1"]), |stream| {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer) {
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    })
    .port();
    (folder, port)
}

/// Sends requests through the proxy over one connection.
fn send(program: &Program, folder: &Path, port: u16, count: usize) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("divulge/ca.pem")).unwrap()).unwrap();
    let mut socket = TcpStream::connect(program.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "CONNECT origin.test:{port} HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 39];
    socket.read_exact(&mut answer).unwrap();
    let mut client = tls(&client(roots, &["http/1.1"]), "origin.test", socket);
    for number in 0..count {
        let body = format!("{{\"n\":{number},\"imei\":\"861536030196001\"}}");
        let request =
            format!("POST /{number} HTTP/1.1\r\nHost: origin.test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        client.write_all(request.as_bytes()).unwrap();
        client.read_exact(&mut [0; 40]).unwrap();
    }
}

fn exchanges(recording: &Path) -> usize {
    let lines = divulge(&["replay", recording.to_str().unwrap(), "--emit", "exchanges", "--format", "ndjson"]);
    lines.lines().filter(|line| line.contains("\"method\":\"POST\"")).count()
}

#[test]
fn a_recording_replays_to_the_report_of_the_live_run() {
    let (folder, port) = scene();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let marks = file("marks.jsonl");
    std::fs::write(&marks, "{\"ts\":\"2200-01-01T00:00:00Z\",\"mark\":\"agree\"}\n").unwrap();
    let (world, profile) = (file("world.pem"), file("device.toml"));
    let (recording, live, again) = (file("out.pcapng"), file("live.json"), file("again.json"));
    let common = ["--profile", &profile, "--format", "json", "-o"];
    let program = Program::start(
        folder.path(),
        &[&["--upstream-ca", &world, "--record", &recording, "--marks", &marks], &common[..], &[&live]].concat(),
    );
    send(&program, folder.path(), port, 5);
    // A client that trusts nobody, twice: the second time it is passed through.
    for _ in 0..2 {
        let mut socket = TcpStream::connect(program.address).unwrap();
        write!(socket, "CONNECT origin.test:{port} HTTP/1.1\r\n\r\n").unwrap();
        socket.read_exact(&mut [0; 39]).unwrap();
        let mut client = tls(&client(RootCertStore::empty(), &[]), "origin.test", socket);
        assert!(client.write_all(b"x").and_then(|()| client.flush()).and_then(|()| client.read(&mut [0])).is_err());
        thread::sleep(Duration::from_millis(200));
    }
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said:?}");
    assert!(said.iter().any(|line| line.contains("origin.test: client refused our certificate")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("origin.test: pinned")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("PRIVATE") || line.contains("TRAFFIC_SECRET")), "{said:?}");
    divulge(&[&["replay", &recording], &common[..], &[&again]].concat());
    let report = |path: &str| -> serde_json::Value {
        let mut report: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        report["run"]["inputs"].take();
        report
    };
    let (live, again) = (report(&live), report(&again));
    assert_eq!(live, again);
    assert_eq!(live["data_flows"][0]["data_type"], "imei");
    assert_eq!(live["data_flows"][0]["observations"], 5);
    assert_eq!(live["data_flows"][0]["before_consent"], true, "the marks came with the recording");
    let host = live["hosts"].as_array().unwrap().iter().find(|host| host["host"] == "origin.test").unwrap();
    assert_eq!(host["opaque_reason"], "pinned");
}

#[test]
fn a_recording_is_whole_however_the_program_ends() {
    let (folder, port) = scene();
    let (world, recording) = (folder.path().join("world.pem"), folder.path().join("out.pcapng"));
    let args = ["--upstream-ca", world.to_str().unwrap(), "--record", recording.to_str().unwrap(), "--no-inspect"];
    let program = Program::start(folder.path(), &args);
    send(&program, folder.path(), port, 20);
    let began = Instant::now();
    while exchanges(&recording) < 20 {
        assert!(began.elapsed() < Duration::from_secs(1), "what came a second ago is in the file");
    }
    program.kill();
    assert_eq!(exchanges(&recording), 20);
}

#[test]
fn a_recording_that_cannot_begin_is_told_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_divulge"))
        .args(["proxy", "--listen", "127.0.0.1:0", "--record", "/dev/full", "--tui", "never"])
        .env("XDG_DATA_HOME", folder.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/dev/full: No space left"), "{refused:?}");
}

#[test]
fn an_open_proxy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, said) in [
        (&["--listen", "0.0.0.0:0"][..], "--allow CIDR or --auth"),
        (&["--listen", "0.0.0.0:0", "--mode", "transparent", "--auth", "a:b"], "can't give a password"),
        (&["--listen", "127.0.0.1:0", "--ca", "nowhere.pem", "--ca-key", "nowhere.key"], "nowhere.pem: No such file"),
        (&["--listen", "192.0.2.1:8080", "--auth", "a:b"], "192.0.2.1:8080: Cannot assign"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_divulge"))
            .arg("proxy")
            .args(args)
            .env("XDG_DATA_HOME", folder.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && errors.contains(said), "{args:?}: {errors}");
    }
}
