//! `divulge proxy`: the traffic of a phone that goes through us; all else is as in a live capture.

use super::args::{Proxy as Arguments, ProxyMode};
use super::output::spare_inputs;
use super::replay::{Extent, audit, load};
use super::{Exit, Failure, note, warn};
use crate::capture::{RecordLimits, Recorder};
use crate::device::{Adb, Apps, Phone, Watch};
use crate::proxy::{AppOf, Authority, Config, CreateOptions, Mode, Proxy, portal_url, qr};
use crate::session::{Inspection, Recording, Source, Tapped};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer of adb.
const ADB_WAIT: Duration = Duration::from_secs(20);

pub(super) fn run(args: &Arguments) -> Result<Exit, Failure> {
    spare_inputs(&args.run, &[], args.record.as_deref())?;
    let mut case = load(&args.run, &[], &args.run.first_party, Extent::AndLive)?;
    let authority = authority(args)?;
    let mut config = config(args);
    let port = args.listen.first().map(std::net::SocketAddr::port);
    config.app_of = args.device.as_deref().map(|serial| apps(serial, port)).transpose()?;
    let files = raise_file_limit();
    // Two descriptors a connection, and some for all else.
    if let Some(files) = files.filter(|&files| files < 2 * config.connections_max as u64 + 64) {
        note(&format!(
            "the system allows {files} open files, so about {} connections at a time (see ulimit -n)",
            files.saturating_sub(64) / 2
        ));
    }
    let recording = match &args.record {
        Some(path) => {
            let failed = |error| Failure::Said(format!("{}: {error}", path.display()));
            Recording::new(Recorder::create(path).map_err(failed)?.with_limits(limits(args)))
        }
        None => Recording::default(),
    };
    case.recording = Some(recording.clone());
    let open: Vec<_> = config.listen.iter().filter(|at| !at.ip().to_canonical().is_loopback()).copied().collect();
    let proxy = Proxy::start(config, authority).map_err(|error| Failure::Said(error.to_string()))?;
    for address in proxy.addresses() {
        note(&format!("proxy on {address}; Ctrl-C ends it with the report"));
    }
    if args.qr {
        show_code(proxy.addresses()[0])?;
    }
    if !open.is_empty() {
        warn("others can reach the proxy: it sees what they send, and they what you let them");
    }
    let inspection = if args.no_inspect { Inspection::Off } else { Inspection::On };
    case.sources.push(Source::Coming(Box::new(Tapped::new(proxy, recording, inspection))));
    audit(&args.run, case)
}

/// Watches a phone for whose its connections are.
fn apps(serial: &str, proxy_port: Option<u16>) -> Result<AppOf, Failure> {
    let wanted = Some(serial).filter(|serial| !serial.is_empty()).map(str::to_owned);
    let wanted = wanted.or_else(|| std::env::var("ANDROID_SERIAL").ok().filter(|serial| !serial.is_empty()));
    let phone = Phone::connect(&Adb::new(ADB_WAIT), wanted.as_deref())?;
    let apps = Apps::watch(&phone, Watch { proxy_port, ..Watch::default() })?;
    Ok(Arc::new(move |client| apps.app_of(client)))
}

fn limits(args: &Arguments) -> RecordLimits {
    RecordLimits {
        max_bytes: args.record_size.map(|mebibytes| mebibytes << 20),
        max_age: args.record_every.map(Duration::from_secs),
    }
}

fn authority(args: &Arguments) -> Result<Arc<Authority>, Failure> {
    let said = |error: crate::proxy::AuthorityError| Failure::Said(error.to_string());
    let authority = match (&args.ca, &args.ca_key) {
        (Some(certificate), Some(key)) => Authority::load(certificate, key).map_err(said)?,
        _ => {
            let folder = Authority::default_folder().map_err(said)?;
            if Authority::certificate_file(&folder).exists() {
                Authority::open(&folder).map_err(said)?
            } else {
                let made = Authority::create(&folder, &CreateOptions::default()).map_err(said)?;
                note(&format!(
                    "made a certificate authority, {}; phones have to trust it ({})",
                    Authority::certificate_file(&folder).display(),
                    portal_url()
                ));
                made
            }
        }
    };
    for warning in authority.warnings() {
        warn(warning);
    }
    note(&format!("certificate authority: SHA-256 {}", authority.fingerprint()));
    Ok(Arc::new(authority))
}

/// Shows where the set-up page is, for the camera of the phone.
fn show_code(address: SocketAddr) -> Result<(), Failure> {
    // Of all own addresses, the one that leads out is most likely the one the phone can reach.
    let ip = if address.ip().is_unspecified() { own_address().unwrap_or(address.ip()) } else { address.ip() };
    let url = format!("http://{}/", SocketAddr::new(ip, address.port()));
    let code = qr(&url).ok_or_else(|| Failure::Said(format!("{url}: does not fit into a QR code")))?;
    let mut stderr = io::stderr().lock();
    writeln!(stderr, "{code}{url}  (proxy {} port {})", ip, address.port())?;
    Ok(())
}

/// The address packets to the outside would have; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn config(args: &Arguments) -> Config {
    let mode = |mode: &ProxyMode| match mode {
        ProxyMode::Regular => Mode::Regular,
        ProxyMode::Socks5 => Mode::Socks5,
        ProxyMode::Transparent => Mode::Transparent,
        ProxyMode::Tproxy => Mode::Tproxy,
    };
    Config {
        listen: args.listen.clone(),
        modes: args.mode.iter().map(mode).collect(),
        auth: args.auth.clone(),
        allow: args.allow.clone(),
        allow_local: args.allow_local,
        upstream: args.upstream.clone(),
        resolve: args.resolve.clone(),
        upstream_ca: args.upstream_ca.clone(),
        insecure: args.insecure_upstream.clone(),
        client_certificates: args.client_cert.clone(),
        passthrough: args.passthrough.clone(),
        mark: args.mark,
        connections_max: args.max_connections,
        connections_per_client_max: args.max_per_client,
        idle: Duration::from_secs(args.idle_timeout),
        tap: !args.no_inspect || args.record.is_some(),
        app_of: None,
    }
}

/// Asks the system for as many open files as it grants; gives how many those are.
#[cfg(unix)]
fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    // Where it is not granted, the limit stays what it was.
    match setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum }) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    }
}

#[cfg(not(unix))]
fn raise_file_limit() -> Option<u64> {
    None
}
