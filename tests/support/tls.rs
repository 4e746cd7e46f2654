//! Real TLS sessions between a rustls client and a rustls server in memory, their records sent over a
//! `tcp::Connection` and their secrets kept as a key log (RFC 9850). Nothing touches a socket.

use super::Way;
use super::tcp::Connection;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, KeyLog, RootCertStore, ServerConfig, ServerConnection};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

/// The cipher suites that are to be opened, with the version each belongs to.
pub(crate) const SUITES: &[(SupportedCipherSuite, &SupportedProtocolVersion)] = &[
    (cipher_suite::TLS13_AES_128_GCM_SHA256, &version::TLS13),
    (cipher_suite::TLS13_AES_256_GCM_SHA384, &version::TLS13),
    (cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, &version::TLS13),
    (cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &version::TLS12),
    (cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, &version::TLS12),
    (cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &version::TLS12),
];

/// A certificate authority that both ends of every session trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to refuse");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a P-256 key");
        let certificate = params.self_signed(&key).expect("a valid request");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("a certificate of our own making");
        Self { issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }
}

/// Both ends of one TLS session.
pub(crate) struct Session {
    client: ClientConnection,
    server: ServerConnection,
    keys: Arc<Keys>,
}

impl Session {
    /// Does the whole handshake for `host` over `connection`, with the suite at `suite` of [`SUITES`].
    pub(crate) fn open(authority: &Authority, host: &str, suite: usize, connection: &mut Connection) -> Self {
        let mut session = Self::new(Arc::clone(&authority.roots), authority, host, suite);
        session.exchange_flights(connection);
        assert!(!session.client.is_handshaking() && !session.server.is_handshaking(), "the handshake ended");
        session
    }

    /// Does the handshake up to where the client, who trusts nobody, breaks it off.
    pub(crate) fn refused(host: &str, suite: usize, connection: &mut Connection) -> Self {
        let mut session = Self::new(Arc::new(RootCertStore::empty()), &Authority::new(), host, suite);
        let mut hello = Vec::new();
        session.client.write_tls(&mut hello).expect("memory takes all");
        connection.send(Way::ToServer, &hello);
        session.server.read_tls(&mut &hello[..]).expect("room for a flight");
        session.server.process_new_packets().expect("a valid flight");
        let mut flight = Vec::new();
        while session.server.wants_write() {
            session.server.write_tls(&mut flight).expect("memory takes all");
        }
        connection.send(Way::ToClient, &flight);
        session.client.read_tls(&mut &flight[..]).expect("room for a flight");
        session.client.process_new_packets().expect_err("an unknown issuer");
        let mut alert = Vec::new();
        session.client.write_tls(&mut alert).expect("memory takes all");
        connection.send(Way::ToServer, &alert);
        session
    }

    fn new(trusted: Arc<RootCertStore>, authority: &Authority, host: &str, suite: usize) -> Self {
        let (suite, version) = SUITES[suite];
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![suite];
        let provider = Arc::new(provider);
        let keys = Arc::new(Keys::default());

        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .expect("the suite is of this version")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        client.key_log = Arc::<Keys>::clone(&keys);
        client.alpn_protocols = vec![b"http/1.1".to_vec()];

        let key = KeyPair::generate().expect("a P-256 key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a host name");
        let certificate = params.signed_by(&key, &authority.issuer).expect("a valid request");
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("the suite is of this version")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .expect("the key belongs to the certificate");
        server.alpn_protocols = vec![b"http/1.1".to_vec()];

        let name = ServerName::try_from(host.to_owned()).expect("a host name");
        let client = ClientConnection::new(Arc::new(client), name).expect("a valid configuration");
        let server = ServerConnection::new(Arc::new(server)).expect("a valid configuration");
        let mut session = Self { client, server, keys };
        session.client.set_buffer_limit(None);
        session.server.set_buffer_limit(None);
        session
    }

    /// Encrypts `plaintext`, sends it, and checks that the other end reads it.
    pub(crate) fn send(&mut self, way: Way, plaintext: &[u8], connection: &mut Connection) {
        match way {
            Way::ToServer => self.client.writer().write_all(plaintext),
            Way::ToClient => self.server.writer().write_all(plaintext),
        }
        .expect("the buffer has no limit");
        let received = self.exchange_flights(connection);
        assert!(received == plaintext, "the other end read what was sent");
    }

    /// Sends both `close_notify` alerts.
    pub(crate) fn close(&mut self, connection: &mut Connection) {
        self.client.send_close_notify();
        self.server.send_close_notify();
        self.exchange_flights(connection);
    }

    /// The key log lines of the session.
    pub(crate) fn key_log(&self) -> String {
        self.keys.0.lock().expect("no writer panicked").clone()
    }

    /// Carries bytes both ways until neither end has more to say; gives the plaintext that arrived.
    fn exchange_flights(&mut self, connection: &mut Connection) -> Vec<u8> {
        let mut received = Vec::new();
        while self.client.wants_write() || self.server.wants_write() {
            let mut flight = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut flight).expect("memory takes all");
            }
            connection.send(Way::ToServer, &flight);
            let mut rest = &flight[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).expect("room for a flight");
                let state = self.server.process_new_packets().expect("a valid flight");
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                self.server.reader().read_exact(&mut plain).expect("as much as announced");
                received.extend(plain);
            }
            let mut flight = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut flight).expect("memory takes all");
            }
            connection.send(Way::ToClient, &flight);
            let mut rest = &flight[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).expect("room for a flight");
                let state = self.client.process_new_packets().expect("a valid flight");
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                self.client.reader().read_exact(&mut plain).expect("as much as announced");
                received.extend(plain);
            }
        }
        received
    }
}

/// Collects secrets as key log lines.
#[derive(Debug, Default)]
struct Keys(Mutex<String>);

impl KeyLog for Keys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let mut lines = self.0.lock().expect("no writer panicked");
        writeln!(lines, "{label} {} {}", hex(client_random), hex(secret)).expect("a string takes all");
    }
}
