//! Sessions driven by rustls in memory and read passively: the plaintext must come out however the ciphertext is cut,
//! damaged or keyed.

use super::{KeyLog, Output, TlsSession};
use crate::model::{Direction, EncryptedHello, KeySource, OpaqueReason, StreamChunk, Timestamp};
use proptest::prelude::*;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, Mutex};

/// Collects what rustls logs, as text.
#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().expect("no panic while logging").push_str(&line);
    }
}

/// What crossed the wire in one connection, and what it meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Wire {
    pub(super) flights: Vec<(Direction, Vec<u8>)>,
    plain: [Vec<u8>; 2],
}

/// Both ends' settings and their key log.
pub(super) struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
}

/// A connection being driven.
pub(super) struct Link {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
    pub(super) wire: Wire,
}

pub(super) fn ends(suite: SupportedCipherSuite, adjust: impl FnOnce(&mut ClientConfig, &mut ServerConfig)) -> Ends {
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..provider::default_provider() });
    let log = Arc::new(Log::default());
    let issued = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let versions = rustls::ALL_VERSIONS;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions that fit")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server");
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions that fit")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.key_log = Arc::clone(&log) as Arc<dyn rustls::KeyLog>;
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    adjust(&mut client, &mut server);
    Ends { client: Arc::new(client), server: Arc::new(server), log }
}

impl Ends {
    pub(super) fn link(&self) -> Link {
        let name = ServerName::try_from("app.example.com").expect("a name");
        let client = ClientConnection::new(Arc::clone(&self.client), name).expect("a client");
        let server = ServerConnection::new(Arc::clone(&self.server)).expect("a server");
        Link { client, server, wire: Wire::default() }
    }

    pub(super) fn keys(&self) -> Arc<KeyLog> {
        keys_of(&self.log_text())
    }

    pub(super) fn log_text(&self) -> String {
        self.log.0.lock().expect("no panic while logging").clone()
    }
}

fn keys_of(text: &str) -> Arc<KeyLog> {
    let mut keys = KeyLog::new();
    assert_eq!(keys.add_text(KeySource::Keylog, text.as_bytes()), []);
    Arc::new(keys)
}

impl Link {
    /// Moves all that waits on both sides.
    pub(super) fn settle(&mut self) {
        loop {
            let mut sent = Vec::new();
            self.client.write_tls(&mut sent).expect("in memory");
            let mut answered = Vec::new();
            let mut rest = &sent[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).expect("in memory");
                self.server.process_new_packets().expect("a good client");
                drain(&mut self.server.reader(), &mut self.wire.plain[Direction::ToServer.index()]);
            }
            while self.server.wants_write() {
                self.server.write_tls(&mut answered).expect("in memory");
            }
            let mut rest = &answered[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).expect("in memory");
                self.client.process_new_packets().expect("a good server");
                drain(&mut self.client.reader(), &mut self.wire.plain[Direction::ToClient.index()]);
            }
            if sent.is_empty() && answered.is_empty() {
                return;
            }
            for (direction, bytes) in [(Direction::ToServer, sent), (Direction::ToClient, answered)] {
                if !bytes.is_empty() {
                    self.wire.flights.push((direction, bytes));
                }
            }
        }
    }

    pub(super) fn say(&mut self, direction: Direction, bytes: &[u8]) {
        for part in bytes.chunks(16_384) {
            match direction {
                Direction::ToServer => self.client.writer().write_all(part).expect("in memory"),
                Direction::ToClient => self.server.writer().write_all(part).expect("in memory"),
            }
            self.settle();
        }
    }
}

fn drain(reader: &mut dyn Read, into: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = reader.read(&mut buffer) {
        into.extend_from_slice(&buffer[..len]);
    }
}

fn body(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).expect("small") ^ seed).collect()
}

/// A handshake, a few requests and answers, and closure.
fn conversation(ends: &Ends) -> Wire {
    let mut link = ends.link();
    link.settle();
    for (seed, (up, down)) in [(1, (90, 40_000)), (2, (20_000, 10)), (3, (1, 1))] {
        link.say(Direction::ToServer, &body(seed, up));
        link.say(Direction::ToClient, &body(seed, down));
    }
    link.client.send_close_notify();
    link.settle();
    link.wire
}

/// What a passive reader made of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) plain: [Vec<u8>; 2],
    gaps: Vec<(Direction, u64)>,
    names: Vec<String>,
    weirds: Vec<&'static str>,
    closed: Vec<Direction>,
    opaque_bytes: u64,
}

impl Heard {
    fn take(&mut self, out: &mut Output) {
        for chunk in out.plaintext() {
            if chunk.gap > 0 {
                self.gaps.push((chunk.direction, chunk.gap));
            }
            self.plain[chunk.direction.index()].extend_from_slice(chunk.bytes);
        }
        self.names.append(&mut out.names);
        self.weirds.extend(out.weirds.drain(..).map(|weird| weird.reason));
        self.closed.append(&mut out.closed);
        self.opaque_bytes += out.opaque_bytes;
        out.clear();
    }
}

pub(super) fn feed(session: &mut TlsSession, heard: &mut Heard, direction: Direction, gap: u64, bytes: &[u8]) {
    let mut out = Output::new();
    session.chunk(StreamChunk { direction, ts: Timestamp::from_nanos(1), bytes, gap }, &mut out);
    heard.take(&mut out);
}

/// Reads a connection in pieces of the given sizes, again and again.
fn listen(wire: &Wire, keys: Arc<KeyLog>, sizes: &[usize]) -> (TlsSession, Heard) {
    let (mut session, mut heard) = (TlsSession::new(keys), Heard::default());
    let mut sizes = sizes.iter().cycle();
    for (direction, flight) in &wire.flights {
        let mut rest = &flight[..];
        while !rest.is_empty() {
            let size = sizes.next().copied().unwrap_or(usize::MAX);
            let (part, after) = rest.split_at(size.min(rest.len()));
            feed(&mut session, &mut heard, *direction, 0, part);
            rest = after;
        }
    }
    let mut out = Output::new();
    for direction in [Direction::ToServer, Direction::ToClient] {
        session.close(direction, &mut out);
    }
    heard.take(&mut out);
    (session, heard)
}

const SUITES: [SupportedCipherSuite; 9] = [
    provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    // The same over a retried hello and small records.
    provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
];

/// A conversation per suite; the last three with small fragments, of them those of TLS 1.3 with a HelloRetryRequest.
static CONVERSATIONS: LazyLock<Vec<(Ends, Wire)>> = LazyLock::new(|| {
    SUITES
        .iter()
        .enumerate()
        .map(|(at, &suite)| {
            let ends = ends(suite, |client, server| {
                if at >= 6 {
                    client.max_fragment_size = Some(200);
                    server.max_fragment_size = Some(300);
                    let mut retrying = provider::default_provider();
                    retrying.cipher_suites = vec![suite];
                    retrying.kx_groups = vec![provider::kx_group::SECP384R1];
                    let remade = ServerConfig::builder_with_provider(Arc::new(retrying))
                        .with_protocol_versions(rustls::ALL_VERSIONS)
                        .expect("versions that fit")
                        .with_no_client_auth()
                        .with_cert_resolver(Arc::clone(&server.cert_resolver));
                    let kept = std::mem::replace(server, remade);
                    server.alpn_protocols = kept.alpn_protocols;
                    server.max_fragment_size = kept.max_fragment_size;
                }
            });
            let wire = conversation(&ends);
            (ends, wire)
        })
        .collect()
});

#[test]
fn every_suite_is_opened_whole() {
    for ((ends, wire), suite) in CONVERSATIONS.iter().zip(SUITES) {
        let (session, heard) = listen(wire, ends.keys(), &[]);
        assert_eq!(heard.weirds, Vec::<&str>::new(), "{suite:?}");
        assert!(heard.plain == wire.plain, "{suite:?}");
        assert_eq!(heard.names, ["app.example.com"]);
        assert_eq!(heard.closed, [Direction::ToServer], "{suite:?}");
        assert_eq!(heard.opaque_bytes, 0, "{suite:?}");
        assert_eq!((session.readable(), session.opaque_reason()), (true, None));
        let info = session.info();
        let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        assert_eq!(info.cipher.as_deref(), Some(&*name));
        let version = if suite.tls13().is_some() { "TLS 1.3" } else { "TLS 1.2" };
        assert_eq!(info.version.as_deref(), Some(version));
        assert_eq!(info.alpn.as_deref(), Some("http/1.1"), "the one agreed on, not the first offer");
        assert_eq!(info.keys, Some(KeySource::Keylog));
        let certificate = info.certificate.as_ref().expect("the server's certificate");
        assert_eq!(certificate.names, ["app.example.com"], "{suite:?}");
        assert_eq!(certificate.host().as_deref(), Some("app.example.com"));
        let ja4 = info.ja4.as_deref().expect("a fingerprint");
        assert!(ja4.starts_with(if suite.tls13().is_some() { "t13d" } else { "t12d" }), "{ja4}");
        assert_eq!(info.ech, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_plaintext_does_not_depend_on_how_the_stream_is_cut(
        which in 0..SUITES.len(),
        sizes in proptest::collection::vec(1_usize..5_000, 1..20),
    ) {
        let (ends, wire) = &CONVERSATIONS[which];
        let (_, heard) = listen(wire, ends.keys(), &sizes);
        prop_assert!(heard.plain == wire.plain);
        prop_assert!(heard.weirds.is_empty());
        prop_assert_eq!(heard.closed, vec![Direction::ToServer]);
    }
}

#[test]
fn without_keys_name_and_offers_are_told_and_all_is_opaque() {
    for ((_, wire), suite) in CONVERSATIONS.iter().zip(SUITES) {
        let (session, heard) = listen(wire, Arc::default(), &[1400]);
        assert_eq!(heard.names, ["app.example.com"]);
        assert!(heard.plain.iter().all(Vec::is_empty));
        assert_eq!(session.opaque_reason(), Some(OpaqueReason::NoKey), "{suite:?}");
        assert!(heard.opaque_bytes > 60_000);
        let alpn = if suite.tls13().is_some() { "h2" } else { "http/1.1" };
        assert_eq!(session.info().alpn.as_deref(), Some(alpn), "the first offer where the answer is encrypted");
    }
}

#[test]
fn wrong_keys_are_told() {
    for (ends, wire) in CONVERSATIONS.iter() {
        let wrong: String = ends
            .log_text()
            .lines()
            .map(|line| {
                let (rest, last) = line.split_at(line.len() - 1);
                format!("{rest}{}\n", if last == "0" { "1" } else { "0" })
            })
            .collect();
        let (session, heard) = listen(wire, keys_of(&wrong), &[1400]);
        assert!(heard.plain.iter().all(Vec::is_empty));
        assert_eq!((session.readable(), session.opaque_reason()), (false, Some(OpaqueReason::WrongKey)));
        assert_eq!(heard.weirds, ["the keys given do not open the TLS session"]);
    }
}

#[test]
fn a_record_cut_at_the_end_is_told() {
    let (ends, wire) = &CONVERSATIONS[0];
    let mut cut = wire.clone();
    cut.flights.truncate(cut.flights.len() - 1);
    let (_, last) = cut.flights.last_mut().expect("a flight");
    last.truncate(last.len() - 1);
    let (session, heard) = listen(&cut, ends.keys(), &[1400]);
    assert_eq!((session.readable(), session.opaque_reason()), (true, Some(OpaqueReason::Truncated)));
    assert_eq!(heard.weirds, ["the stream ends within a TLS record"]);
    assert!(heard.opaque_bytes > 0);
}

#[test]
fn the_right_one_of_contradicting_secrets_is_used() {
    let (ends, wire) = &CONVERSATIONS[1];
    let right = ends.log_text();
    let wrong: String = right.lines().map(|line| format!("{}{}\n", &line[..line.len() - 4], "beef")).collect();
    let (_, heard) = listen(wire, keys_of(&(wrong + &right)), &[]);
    assert!(heard.plain == wire.plain);
}

#[test]
fn a_session_is_opened_by_the_random_of_its_encrypted_hello() {
    for ((ends, wire), suite) in CONVERSATIONS.iter().zip(SUITES).take(3) {
        // As if the hello seen were the outer one: another random, and the extension in the place of an empty one.
        let mut outer = wire.clone();
        let (_, hello) = outer.flights.first_mut().expect("a hello");
        hello[11..43].fill(0x5c);
        let at = hello.windows(4).position(|bytes| bytes == [0, 23, 0, 0]).expect("extended_master_secret");
        hello[at..at + 2].copy_from_slice(&[0xfe, 0x0d]);
        let (session, heard) = listen(&outer, ends.keys(), &[1400]);
        assert!(heard.plain == wire.plain, "{suite:?}");
        assert_eq!(session.info().ech, Some(EncryptedHello::Accepted));
        let (session, heard) = listen(&outer, Arc::default(), &[1400]);
        assert!(heard.plain.iter().all(Vec::is_empty));
        assert_eq!(
            (session.info().ech, session.opaque_reason()),
            (Some(EncryptedHello::Offered), Some(OpaqueReason::NoKey))
        );
        // The key log grows: first by the keys of another session.
        let (mut session, other) =
            (session, keys_of(&format!("CLIENT_RANDOM {} {}\n", "07".repeat(32), "ab".repeat(48))));
        for (keys, found) in [(other, 0), (ends.keys(), ends.log_text().lines().count() - 1)] {
            session.look_for_inner_hello_in(&keys);
            assert_eq!(session.secrets_in(&keys), found);
        }
    }
}

fn only(text: &str, labels: &[&str]) -> Arc<KeyLog> {
    let lines = text.lines().filter(|line| labels.iter().any(|label| line.starts_with(label)));
    keys_of(&lines.fold(String::new(), |all, line| all + line + "\n"))
}

#[test]
fn application_secrets_alone_open_application_data() {
    for (ends, wire) in CONVERSATIONS.iter().filter(|(ends, _)| ends.log_text().contains("TRAFFIC_SECRET_0")) {
        let keys = only(&ends.log_text(), &["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]);
        let (session, heard) = listen(wire, keys, &[1400]);
        assert!(heard.plain == wire.plain);
        assert!(session.readable());
        assert_eq!(heard.weirds, Vec::<&str>::new());
    }
}

#[test]
fn one_direction_alone_is_opened_in_tls_1_3() {
    for ((ends, wire), suite) in CONVERSATIONS.iter().zip(SUITES).filter(|(_, suite)| suite.tls13().is_some()) {
        let mut half = wire.clone();
        half.flights.retain(|(direction, _)| *direction == Direction::ToServer);
        let (session, heard) = listen(&half, ends.keys(), &[1400]);
        assert!(heard.plain[0] == wire.plain[0], "{suite:?}");
        let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        assert_eq!(session.info().cipher.as_deref(), Some(&*name), "by trial");
    }
}

#[test]
fn without_the_client_hello_the_reason_is_the_handshake() {
    for (ends, wire) in CONVERSATIONS.iter() {
        let mut late = wire.clone();
        late.flights.drain(..late.flights.len() - 6);
        let (session, heard) = listen(&late, ends.keys(), &[1400]);
        assert_eq!(session.opaque_reason(), Some(OpaqueReason::NoHandshake));
        assert!(heard.opaque_bytes > 0);
    }
}

#[test]
fn a_cut_client_hello_still_tells_the_name() {
    // A hello that announces 256 bytes of extensions, of which the capture has the first.
    let suites_and_compression = [0, 0, 2, 0x13, 1, 1, 0, 1, 0];
    let name = [&[0, 0, 0, 20, 0, 18, 0, 0, 15][..], b"app.example.com"].concat();
    let body = [&[3, 3][..], &[7; 32], &suites_and_compression, &name].concat();
    let hello = [&[22, 3, 1, 1, 0x2f, 1, 0, 1, 0x2b][..], &body].concat();
    let (mut heard, mut session) = (Heard::default(), TlsSession::new(Arc::default()));
    feed(&mut session, &mut heard, Direction::ToServer, 0, &hello);
    let mut out = Output::new();
    session.close(Direction::ToServer, &mut out);
    heard.take(&mut out);
    assert_eq!(heard.names, ["app.example.com"]);
    assert_eq!(heard.weirds, ["a ClientHello was cut"]);
}

/// The stream of the server with `lost` bytes missing at `at`, in pieces; what was heard of it, and what was said.
fn with_loss(which: usize, at: usize, lost: usize, size: usize) -> (Heard, Vec<u8>) {
    let (ends, wire) = &CONVERSATIONS[which];
    let (mut session, mut heard) = (TlsSession::new(ends.keys()), Heard::default());
    let mut seen = 0;
    let mut gap = 0;
    for (direction, flight) in &wire.flights {
        if *direction == Direction::ToServer {
            feed(&mut session, &mut heard, *direction, 0, flight);
            continue;
        }
        for part in flight.chunks(size) {
            let (from, to) = (seen, seen + part.len());
            seen = to;
            let before = part.get(..at.clamp(from, to) - from).unwrap_or_default();
            let after = part.get((at + lost).clamp(from, to) - from..).unwrap_or_default();
            if !before.is_empty() {
                feed(&mut session, &mut heard, *direction, 0, before);
            }
            gap += part.len() - before.len() - after.len().min(part.len() - before.len());
            if !after.is_empty() && to > at {
                feed(&mut session, &mut heard, *direction, gap as u64, after);
                gap = 0;
            }
        }
    }
    let mut out = Output::new();
    session.close(Direction::ToClient, &mut out);
    heard.take(&mut out);
    (heard, wire.plain[1].clone())
}

#[test]
fn after_a_loss_within_a_record_the_gap_is_exact() {
    for which in 0..6 {
        let (heard, said) = with_loss(which, 10_000, 1_000, 1400);
        let gap: u64 = heard.gaps.iter().map(|(_, gap)| gap).sum();
        assert_eq!(heard.gaps.len(), 1, "{which}");
        assert_eq!(heard.plain[1].len() as u64 + gap, said.len() as u64, "{which}");
        assert!(said.ends_with(&heard.plain[1][heard.plain[1].len() - 20_000..]));
    }
}

#[test]
fn after_a_loss_across_records_the_gap_is_exact() {
    for which in 0..SUITES.len() {
        let (heard, said) = with_loss(which, 10_000, 20_000, 1400);
        let gap: u64 = heard.gaps.iter().map(|(_, gap)| gap).sum();
        assert_eq!(heard.gaps.len(), 1, "{which}: {:?} {}", heard.weirds, heard.plain[1].len());
        assert_eq!(heard.plain[1].len() as u64 + gap, said.len() as u64, "{which}");
        let tail = &heard.plain[1][heard.plain[1].len() - 5_000..];
        assert!(said.ends_with(tail), "{which}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_loss_anywhere_never_yields_bytes_that_were_not_said(
        which in 0..SUITES.len(), at in 0_usize..45_000, lost in 1_usize..20_000, size in 100_usize..3_000,
    ) {
        let (heard, said) = with_loss(which, at, lost, size);
        let common = heard.plain[1].iter().zip(&said).take_while(|(a, b)| a == b).count();
        prop_assert!(said.ends_with(&heard.plain[1][common..]));
    }
}

#[test]
fn key_updates_are_followed() {
    let ends = ends(provider::cipher_suite::TLS13_AES_256_GCM_SHA384, |_, _| {});
    let mut link = ends.link();
    link.settle();
    for round in 0..4 {
        link.say(Direction::ToServer, &body(round, 1000));
        link.client.refresh_traffic_keys().expect("after the handshake");
        link.say(Direction::ToServer, &body(round, 2000));
        link.server.refresh_traffic_keys().expect("after the handshake");
        link.say(Direction::ToClient, &body(round, 3000));
    }
    let (_, heard) = listen(&link.wire, ends.keys(), &[700]);
    assert_eq!(heard.weirds, Vec::<&str>::new());
    assert!(heard.plain == link.wire.plain);
}

#[test]
fn resumed_sessions_and_early_data_are_opened() {
    for suite in SUITES {
        let ends = ends(suite, |client, server| {
            client.enable_early_data = true;
            server.max_early_data_size = 4096;
        });
        conversation(&ends);
        let mut link = ends.link();
        let early = link.client.early_data().map(|mut early| early.write_all(b"early request").expect("room"));
        assert_eq!(early.is_some(), suite.tls13().is_some());
        let mut first = Vec::new();
        link.client.write_tls(&mut first).expect("in memory");
        link.server.read_tls(&mut &first[..]).expect("in memory");
        link.server.process_new_packets().expect("a good client");
        link.wire.flights.push((Direction::ToServer, first));
        if let Some(mut early) = link.server.early_data() {
            drain(&mut early, &mut link.wire.plain[0]);
        }
        link.settle();
        link.say(Direction::ToServer, b"late request");
        link.say(Direction::ToClient, b"answer");
        assert_eq!(link.client.handshake_kind(), Some(rustls::HandshakeKind::Resumed), "{suite:?}");
        let (_, heard) = listen(&link.wire, ends.keys(), &[50]);
        assert_eq!(heard.weirds, Vec::<&str>::new());
        assert_eq!(heard.plain, link.wire.plain, "{suite:?}");
        // A log without the early secret leaves the early data closed, and nothing else.
        if early.is_some() {
            let keys = only(&ends.log_text(), &["CLIENT_HANDSHAKE", "SERVER", "CLIENT_TRAFFIC"]);
            let (session, heard) = listen(&link.wire, keys, &[50]);
            assert_eq!(heard.plain, [b"late request".to_vec(), b"answer".to_vec()], "{suite:?}");
            assert_eq!((heard.weirds, session.opaque_reason()), (Vec::new(), Some(OpaqueReason::NoKey)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_streams_are_taken(
        which in 0..SUITES.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (ends, wire) = &CONVERSATIONS[which];
        let mut wire = wire.clone();
        for (at, value) in damage {
            let flights = wire.flights.len();
            let flight = &mut wire.flights[at.index(flights)].1;
            let byte = at.index(flight.len());
            flight[byte] = value;
        }
        let (_, heard) = listen(&wire, ends.keys(), &[1400]);
        prop_assert!(heard.plain[0].len() <= wire.plain[0].len());
        prop_assert!(heard.plain[1].len() <= wire.plain[1].len());
    }

    #[test]
    fn any_bytes_are_taken_with_little_kept(chunks in proptest::collection::vec(
        (any::<bool>(), 0_u64..3, proptest::collection::vec(
            prop_oneof![Just(0x16_u8), Just(0x17), Just(3), Just(0), Just(1), any::<u8>()], 0..200)), 0..30)) {
        let (mut session, mut heard) = (TlsSession::new(CONVERSATIONS[0].0.keys()), Heard::default());
        for (up, gap, bytes) in chunks {
            let direction = if up { Direction::ToServer } else { Direction::ToClient };
            feed(&mut session, &mut heard, direction, gap, &bytes);
        }
        prop_assert!(heard.plain.iter().all(Vec::is_empty));
    }
}
