//! Both ends of a connection, by rustls: what they say in the handshake, their keys and their key log; packets are
//! sealed one by one, so that a test can send them as it likes.

use crate::model::{Direction, KeySource};
use crate::tls::KeyLog;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::quic::{
    ClientConnection, Connection, DirectionalKeys, KeyChange, Keys, PacketKey, Secrets, ServerConnection, Version,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, Side, SupportedCipherSuite};
use std::sync::{Arc, Mutex};

pub(crate) use Direction::{ToClient, ToServer};

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

/// Both ends' settings and their key log.
pub(crate) struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
    version: Version,
}

/// An encryption level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Initial,
    Early,
    Handshake,
    App,
}

/// A connection after its handshake, nothing of which has been sent yet.
pub(crate) struct Dialogue {
    pub(crate) version: Version,
    /// The first connection ID the client addresses.
    pub(crate) first_dcid: Vec<u8>,
    /// The IDs packets are addressed by, by direction.
    pub(crate) cids: [Vec<u8>; 2],
    pub(crate) token: Vec<u8>,
    /// CRYPTO streams by direction and level (Initial, Handshake).
    crypto: [[Vec<u8>; 2]; 2],
    early: Option<DirectionalKeys>,
    handshake: [DirectionalKeys; 2],
    app: [DirectionalKeys; 2],
    next: [Secrets; 2],
    /// Packet number spaces by direction.
    pub(crate) numbers: [[u64; 3]; 2],
    /// Key phase by direction.
    phase: [bool; 2],
    log: String,
}

/// Ends that speak HTTP/3.
pub(crate) fn ends(version: Version, suite: SupportedCipherSuite) -> Ends {
    ends_of(version, suite, "h3")
}

/// Ends that agree on this protocol.
pub(crate) fn ends_of(version: Version, suite: SupportedCipherSuite, alpn: &str) -> Ends {
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..provider::default_provider() });
    let log = Arc::new(Log::default());
    let issued = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let versions = &[&rustls::version::TLS13];
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
    client.alpn_protocols = vec![alpn.as_bytes().to_vec(), b"other".to_vec()];
    client.enable_early_data = true;
    server.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    server.max_early_data_size = u32::MAX;
    Ends { client: Arc::new(client), server: Arc::new(server), log, version }
}

/// Both ends with the usual suite and version.
pub(crate) fn usual() -> Dialogue {
    usual_of("h3")
}

/// The same for another protocol.
pub(crate) fn usual_of(alpn: &str) -> Dialogue {
    ends_of(Version::V1, provider::cipher_suite::TLS13_AES_128_GCM_SHA256, alpn).dialogue()
}

impl Ends {
    /// A handshake; a later one of the same ends resumes the earlier one's session.
    pub(crate) fn dialogue(&self) -> Dialogue {
        self.log.0.lock().expect("no panic while logging").clear();
        let name = ServerName::try_from("app.example.com").expect("a name");
        let parameters = vec![0x0f, 0];
        let client = ClientConnection::new(Arc::clone(&self.client), self.version, name, parameters.clone());
        let mut client = Connection::Client(client.expect("a client"));
        let server = ServerConnection::new(Arc::clone(&self.server), self.version, parameters);
        let mut server = Connection::Server(server.expect("a server"));
        let mut crypto: [[Vec<u8>; 2]; 2] = Default::default();
        let (mut handshake, mut app, mut next) = ([None, None], [None, None], [None, None]);
        let mut level = [0; 2];
        let mut early = None;
        loop {
            let mut moved = false;
            for way in [ToServer, ToClient] {
                let at = way.index();
                let (from, to) = if way == ToServer { (&mut client, &mut server) } else { (&mut server, &mut client) };
                let mut bytes = Vec::new();
                let change = from.write_hs(&mut bytes);
                early = early.or_else(|| from.zero_rtt_keys().filter(|_| way == ToServer));
                if !bytes.is_empty() {
                    to.read_hs(&bytes).expect("a good peer");
                    // What comes at the last level, tickets, is of no interest.
                    if let Some(stream) = crypto[at].get_mut(level[at]) {
                        stream.extend_from_slice(&bytes);
                    }
                }
                moved |= change.is_some() || !bytes.is_empty();
                match change {
                    Some(KeyChange::Handshake { keys }) => (handshake[at], level[at]) = (Some(keys.local), 1),
                    Some(KeyChange::OneRtt { keys, next: secrets }) => {
                        (app[at], next[at], level[at]) = (Some(keys.local), Some(secrets), 2);
                    }
                    None => {}
                }
            }
            if !moved {
                break;
            }
        }
        let all = |keys: [Option<DirectionalKeys>; 2]| keys.map(|keys| keys.expect("a whole handshake"));
        Dialogue {
            version: self.version,
            first_dcid: (1..=8).collect(),
            cids: [vec![0xb0; 8], vec![0xa0; 5]],
            token: Vec::new(),
            crypto,
            early,
            handshake: all(handshake),
            app: all(app),
            next: next.map(|secrets| secrets.expect("a whole handshake")),
            numbers: Default::default(),
            phase: [false; 2],
            log: self.log.0.lock().expect("no panic while logging").clone(),
        }
    }
}

impl Dialogue {
    /// The secrets of the session.
    pub(crate) fn keys(&self) -> Arc<KeyLog> {
        let mut keys = KeyLog::new();
        assert_eq!(keys.add_text(KeySource::Keylog, self.log.as_bytes()), []);
        Arc::new(keys)
    }

    /// The secrets of the session as a key log.
    pub(crate) fn key_log(&self) -> &str {
        &self.log
    }

    /// What an end says in the handshake at a level, in CRYPTO frames of so many bytes.
    pub(crate) fn crypto(&self, way: Direction, level: Level, len: usize) -> Vec<Vec<u8>> {
        let stream = &self.crypto[way.index()][usize::from(level == Level::Handshake)];
        let frame = |(at, bytes): (usize, &[u8])| [&[6][..], &varint(at * len), &varint(bytes.len()), bytes].concat();
        stream.chunks(len).enumerate().map(frame).collect()
    }

    /// The next packet of a direction and level.
    pub(crate) fn seal(&mut self, way: Direction, level: Level, payload: &[u8]) -> Vec<u8> {
        let number = &mut self.numbers[way.index()][[0, 2, 1, 2][level as usize]];
        *number += 1;
        let number = *number - 1;
        self.seal_as(way, level, number, payload)
    }

    /// A packet of a certain number.
    pub(crate) fn seal_as(&self, way: Direction, level: Level, number: u64, payload: &[u8]) -> Vec<u8> {
        let (to, from) = (&self.cids[way.index()], &self.cids[way.reversed().index()]);
        let to = if level == Level::Initial && way == ToServer { &self.first_dcid } else { to };
        let initial;
        let keys = match level {
            Level::Initial => {
                initial = initial_keys(self.version, &self.first_dcid, way);
                &initial
            }
            Level::Early => self.early.as_ref().expect("a resumed session"),
            Level::Handshake => &self.handshake[way.index()],
            Level::App => &self.app[way.index()],
        };
        let header = match level {
            Level::App => [&[0x41 | u8::from(self.phase[way.index()]) << 2][..], to].concat(),
            _ => long_header(self.version, level, (to, from), &self.token, payload.len()),
        };
        protect(&*keys.header, &*keys.packet, header, number, payload.to_vec())
    }

    /// A STREAM frame in a 1-RTT packet.
    pub(crate) fn stream(&mut self, way: Direction, id: u8, offset: usize, data: &[u8], fin: bool) -> Vec<u8> {
        self.seal(way, Level::App, &stream_frame(id, offset, data, fin))
    }

    /// The packets of the whole handshake, in order.
    pub(crate) fn handshake(&mut self) -> Vec<(Direction, Vec<u8>)> {
        let mut packets = Vec::new();
        for (way, level) in [
            (ToServer, Level::Initial),
            (ToClient, Level::Initial),
            (ToClient, Level::Handshake),
            (ToServer, Level::Handshake),
        ] {
            for frame in self.crypto(way, level, 400) {
                packets.push((way, self.seal(way, level, &frame)));
            }
        }
        packets
    }

    /// One side goes on to its next keys.
    pub(crate) fn update(&mut self, way: Direction) {
        let at = way.index();
        self.app[at].packet = self.next[at].next_packet_keys().local;
        self.phase[at] = !self.phase[at];
    }
}

pub(crate) fn stream_frame(id: u8, offset: usize, data: &[u8], fin: bool) -> Vec<u8> {
    [&[0x0e | u8::from(fin), id][..], &varint(offset), &varint(data.len()), data].concat()
}

/// A number of two bytes, or four.
pub(crate) fn varint(value: usize) -> Vec<u8> {
    match u16::try_from(value) {
        Ok(value) if value < 1 << 14 => (value | 0x4000).to_be_bytes().to_vec(),
        _ => (u32::try_from(value).expect("short") | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

/// The client's Initial packet of a certain number, with four bytes for it and no ID of its own.
pub(crate) fn seal_initial(version: Version, dcid: &[u8], number: u64, payload: Vec<u8>) -> Vec<u8> {
    let keys = initial_keys(version, dcid, ToServer);
    let mut header = long_header(version, Level::Initial, (dcid, &[]), &[], payload.len() + 2);
    header[0] |= 3;
    protect(&*keys.header, &*keys.packet, header, number, payload)
}

/// The client's first Initial packet under a version number reserved for greasing, else as in the first version.
pub(crate) fn seal_greased(dcid: &[u8], payload: &[u8]) -> Vec<u8> {
    let keys = initial_keys(Version::V1, dcid, ToServer);
    let mut header = long_header(Version::V1, Level::Initial, (dcid, &[]), &[], payload.len());
    header[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
    protect(&*keys.header, &*keys.packet, header, 0, payload.to_vec())
}

pub(crate) fn number_of(version: Version) -> u32 {
    match version {
        Version::V2 => 0x6b33_43cf,
        Version::V1Draft => 0xff00_001d,
        _ => 1,
    }
}

fn initial_keys(version: Version, dcid: &[u8], way: Direction) -> DirectionalKeys {
    let suite = provider::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3");
    let side = if way == ToServer { Side::Client } else { Side::Server };
    Keys::initial(version, suite, suite.quic.expect("for QUIC"), dcid, side).local
}

/// A long header up to where the packet number of two bytes begins.
fn long_header(version: Version, level: Level, cids: (&[u8], &[u8]), token: &[u8], len: usize) -> Vec<u8> {
    let mut kind = [0, 1, 2][level as usize];
    if matches!(version, Version::V2) {
        kind = (kind + 1) % 4;
    }
    let mut header = vec![0xc1 | kind << 4];
    header.extend(number_of(version).to_be_bytes());
    for cid in [cids.0, cids.1] {
        header.push(u8::try_from(cid.len()).expect("short"));
        header.extend_from_slice(cid);
    }
    if level == Level::Initial && token.is_empty() {
        header.push(0);
    } else if level == Level::Initial {
        header.extend(varint(token.len()));
        header.extend_from_slice(token);
    }
    header.extend(varint(2 + len.max(4) + 16));
    header
}

/// Adds the packet number, seals, and masks the header (RFC 9001 §5).
fn protect(
    header_key: &dyn rustls::quic::HeaderProtectionKey,
    packet_key: &dyn PacketKey,
    mut header: Vec<u8>,
    number: u64,
    mut payload: Vec<u8>,
) -> Vec<u8> {
    let number_at = header.len();
    let number_len = usize::from(header[0] & 3) + 1;
    header.extend_from_slice(&number.to_be_bytes()[8 - number_len..]);
    payload.resize(payload.len().max(4), 0);
    let tag = packet_key.encrypt_in_place(number, &header, &mut payload).expect("sealed");
    let mut packet = [&header[..], &payload, tag.as_ref()].concat();
    let (head, sample) = packet.split_at_mut(number_at + 4);
    let (first, rest) = head.split_at_mut(1);
    let field = &mut rest[number_at - 1..][..number_len];
    header_key.encrypt_in_place(&sample[..16], &mut first[0], field).expect("masked");
    packet
}
