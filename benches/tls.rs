//! Decryption speed: a recorded TLS session, in the segments a capture has, to plaintext.

use divan::Bencher;
use divan::counter::BytesCount;
use divulge::model::{Direction, KeySource, StreamChunk, Timestamp};
use divulge::tls::{KeyLog, Output, TlsSession};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

fn main() {
    divan::main();
}

/// Bytes the server says.
const BODY: usize = 16 << 20;

#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().expect("no panic while logging").push_str(&line);
    }
}

/// A session as it crossed the wire, and its keys.
struct Recording {
    flights: Vec<(Direction, Vec<u8>)>,
    keys: Arc<KeyLog>,
}

fn pass(flights: &mut Vec<(Direction, Vec<u8>)>, client: &mut ClientConnection, server: &mut ServerConnection) {
    while client.wants_write() || server.wants_write() {
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut sent).expect("in memory");
        }
        let mut rest = &sent[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("in memory");
            server.process_new_packets().expect("a good client");
        }
        while server.wants_write() {
            server.write_tls(&mut answered).expect("in memory");
        }
        let mut rest = &answered[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("in memory");
            client.process_new_packets().expect("a good server");
            let mut buffer = [0; 16_384];
            while let Ok(1..) = client.reader().read(&mut buffer) {}
        }
        flights.extend([(Direction::ToServer, sent), (Direction::ToClient, answered)]);
    }
}

fn record(suite: SupportedCipherSuite) -> Recording {
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..provider::default_provider() });
    let log = Arc::new(Log::default());
    let issued = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions that fit")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server");
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions that fit")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.key_log = Arc::clone(&log) as Arc<dyn rustls::KeyLog>;
    let name = ServerName::try_from("app.example.com").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let mut flights = Vec::new();
    pass(&mut flights, &mut client, &mut server);
    let part = vec![0x5a; 16_384];
    for _ in 0..BODY / part.len() {
        server.writer().write_all(&part).expect("in memory");
        pass(&mut flights, &mut client, &mut server);
    }
    let mut keys = KeyLog::new();
    let text = log.0.lock().expect("no panic while logging").clone();
    assert_eq!(keys.add_text(KeySource::Keylog, text.as_bytes()), []);
    Recording { flights, keys: Arc::new(keys) }
}

fn listen(recording: &Recording, segment: usize) -> usize {
    let mut session = TlsSession::new(Arc::clone(&recording.keys));
    let mut out = Output::new();
    let mut plain = 0;
    for (direction, flight) in &recording.flights {
        for bytes in flight.chunks(segment) {
            let chunk = StreamChunk { direction: *direction, ts: Timestamp::default(), bytes, gap: 0 };
            session.chunk(chunk, &mut out);
            plain += out.plaintext().map(|chunk| chunk.bytes.len()).sum::<usize>();
            out.clear();
        }
    }
    assert_eq!(plain, BODY);
    plain
}

fn suite(name: &str) -> SupportedCipherSuite {
    let suites = provider::ALL_CIPHER_SUITES.iter();
    *suites.clone().find(|suite| format!("{:?}", suite.suite()) == name).expect("a suite of rustls")
}

#[divan::bench(args = [
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
], consts = [1448, 65_536], sample_count = 20)]
fn decrypt<const SEGMENT: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let recording = record(suite(name));
    bencher.counter(BytesCount::new(BODY)).bench_local(|| listen(&recording, SEGMENT));
}

#[divan::bench(sample_count = 20)]
fn read_a_key_log_of_ten_thousand_sessions(bencher: Bencher<'_, '_>) {
    let labels = ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"];
    let mut text = String::new();
    for session in 0..10_000 {
        for label in labels {
            text += &format!("{label} {session:064x} {:064x}\n", session + 1);
        }
    }
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let mut keys = KeyLog::new();
        assert_eq!(keys.add_text(KeySource::Keylog, text.as_bytes()), []);
        keys.sessions()
    });
}
