//! Both ends of a QUIC connection whose secrets are fixed: payloads → protected packets (RFC 9001 §5, RFC 9369), so that
//! an input gets behind the packet protection.

use aws_lc_rs::aead::quic::{AES_128 as HEADER_AES_128, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use divulge::model::Direction;
use divulge::tls::{Hash, expand_label};
use std::fmt::Write;

const V2: u32 = 0x6b33_43cf;
const DRAFT_29: u32 = 0xff00_001d;
/// What the client addresses first, and what each end chooses for itself (by the direction of packets that go there).
const FIRST: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
const IDS: [&[u8]; 2] = [b"server-1", b"client-2"];
/// The random of the client's hello.
const RANDOM: [u8; 32] = [0; 32];

/// An encryption level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    Application,
}

struct Keys {
    packet: LessSafeKey,
    iv: [u8; 12],
    header: HeaderProtectionKey,
}

/// The ends.
pub struct Peer {
    version: u32,
    /// By level and direction.
    keys: [[Keys; 2]; 3],
}

/// The secret of a level and direction in the key log.
fn secret(level: Level, direction: Direction) -> [u8; 32] {
    [0x40 | (level as u8) << 1 | direction.index() as u8; 32]
}

impl Peer {
    /// Ends that speak this version.
    pub fn new(version: u32) -> Self {
        let salt = match version {
            V2 => b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
            DRAFT_29 => b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99",
            _ => b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
        };
        let first = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), FIRST);
        let initial = |label: &[u8]| {
            let mut own = [0; 32];
            expand_label(Hash::Sha256, first.as_ref(), label, &mut own).expect("short");
            keys(version, &own)
        };
        let logged = |level| [Direction::ToServer, Direction::ToClient].map(|way| keys(version, &secret(level, way)));
        let keys =
            [[initial(b"client in"), initial(b"server in")], logged(Level::Handshake), logged(Level::Application)];
        Self { version, keys }
    }

    /// The key log of the connection.
    pub fn key_log() -> String {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("into a string");
                text
            })
        };
        let lines = [
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(Level::Handshake, Direction::ToServer)),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(Level::Handshake, Direction::ToClient)),
            ("CLIENT_TRAFFIC_SECRET_0", secret(Level::Application, Direction::ToServer)),
            ("SERVER_TRAFFIC_SECRET_0", secret(Level::Application, Direction::ToClient)),
        ];
        lines.iter().map(|(label, secret)| format!("{label} {} {}\n", hex(&RANDOM), hex(secret))).collect()
    }

    /// The datagrams up to the server's hello, after which the keys of all levels are known.
    pub fn handshake(&self) -> [(Direction, Vec<u8>); 2] {
        let versions = |list: &[u8]| [&[0, 43, 0, list.len() as u8][..], list].concat();
        let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'3'];
        let hello = [&[3, 3][..], &RANDOM, &[0, 0, 2, 0x13, 1, 1, 0]].concat();
        let client = message(1, &hello, &[&versions(&[2, 3, 4])[..], &alpn].concat());
        let hello = [&[3, 3][..], &[7; 32], &[0, 0x13, 1, 0]].concat();
        let server = message(2, &hello, &versions(&[3, 4]));
        [(Direction::ToServer, client), (Direction::ToClient, server)].map(|(way, message)| {
            let frame =
                [&[6, 0, 0x40 | (message.len() >> 8) as u8, (message.len() & 0xff) as u8][..], &message].concat();
            (way, self.seal(Level::Initial, way, 0, false, &frame))
        })
    }

    /// A packet with these frames.
    pub fn seal(&self, level: Level, direction: Direction, number: u64, phase: bool, frames: &[u8]) -> Vec<u8> {
        let keys = &self.keys[level as usize][direction.index()];
        let mut payload = frames.to_vec();
        // The sample of the header protection needs some bytes; PADDING is a zero.
        payload.resize(payload.len().max(4), 0);
        let mut packet = self.header(level, direction, phase, payload.len() + 2 + 16);
        let number_at = packet.len();
        packet.extend((number as u16).to_be_bytes());
        let mut nonce = keys.iv;
        for (slot, byte) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *slot ^= byte;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        keys.packet.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut payload).expect("short");
        packet.extend(payload);
        let mask = keys.header.new_mask(&packet[number_at + 4..number_at + 20]).expect("a sample");
        packet[0] ^= mask[0] & if level == Level::Application { 0x1f } else { 0x0f };
        packet[number_at] ^= mask[1];
        packet[number_at + 1] ^= mask[2];
        packet
    }

    /// Everything before the packet number, which has two bytes.
    fn header(&self, level: Level, direction: Direction, phase: bool, len: usize) -> Vec<u8> {
        let to: &[u8] = match (level, direction) {
            (Level::Initial, Direction::ToServer) => FIRST,
            _ => IDS[direction.index()],
        };
        if level == Level::Application {
            return [&[0x41 | u8::from(phase) << 2][..], to].concat();
        }
        let kind = if level == Level::Initial { 0 } else { 2 } + u8::from(self.version == V2);
        let from = IDS[direction.reversed().index()];
        let mut header = vec![0xc1 | kind << 4];
        header.extend(self.version.to_be_bytes());
        for id in [to, from] {
            header.push(id.len() as u8);
            header.extend_from_slice(id);
        }
        if level == Level::Initial {
            header.push(0);
        }
        header.extend([0x40 | (len >> 8) as u8, (len & 0xff) as u8]);
        header
    }
}

fn keys(version: u32, secret: &[u8]) -> Keys {
    let label = |name: &str| format!("{} {name}", if version == V2 { "quicv2" } else { "quic" });
    let (mut key, mut iv, mut header) = ([0; 16], [0; 12], [0; 16]);
    for (name, out) in [("key", &mut key[..]), ("iv", &mut iv[..]), ("hp", &mut header[..])] {
        expand_label(Hash::Sha256, secret, label(name).as_bytes(), out).expect("short");
    }
    Keys {
        packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("a key")),
        iv,
        header: HeaderProtectionKey::new(&HEADER_AES_128, &header).expect("a key"),
    }
}

/// A handshake message: what stands before the extensions, and those.
fn message(kind: u8, head: &[u8], extensions: &[u8]) -> Vec<u8> {
    let len = (extensions.len() as u16).to_be_bytes();
    let body = [head, &len[..], extensions].concat();
    [&[kind, 0, (body.len() >> 8) as u8, (body.len() & 0xff) as u8][..], &body].concat()
}
