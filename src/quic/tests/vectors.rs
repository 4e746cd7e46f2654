//! The test vectors of RFC 9001 appendix A and RFC 9369 appendix A.

use crate::model::{Direction, Timestamp};
use crate::quic::keys::{Keys, retry_is_genuine};
use crate::quic::packet::{long_header, long_packet};
use crate::quic::version::Version;
use crate::quic::{Connection, LateKeys, Output};
use crate::tls::{KeyLog, Suite};
use std::sync::Arc;

const DCID: &str = "8394c8f03e515708";
const CLIENT_CRYPTO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868\
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578\
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba\
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400\
    0d0010000e0403050306030203080408050806002d00020101001c0002400100\
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000\
    75300901100f088394c8f03e51570806048000ffff";

pub(super) fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hex")).collect()
}

/// Opens a long header packet with one of a pair of Initial keys.
fn open_initial(version: Version, role: usize, packet: &[u8]) -> (u64, Vec<u8>) {
    let keys = Keys::initial(version, &hex(DCID)).expect("keys");
    let header = long_header(packet).expect("a header");
    let cut = long_packet(packet, &header, version).expect("a packet");
    let unmasked = keys[role].unmask(cut.bytes, cut.number_at).expect("the right key");
    let number = unmasked.number(None);
    let mut out = vec![0; packet.len()];
    let len = keys[role].packet().open(cut.bytes, cut.number_at, unmasked, number, &mut Vec::new(), &mut out);
    out.truncate(len.expect("the right key"));
    (number, out)
}

#[test]
fn the_client_initial_of_the_standard_opens() {
    // RFC 9001 A.2, sealed by another implementation and compared with what the standard shows of it.
    let mut payload = hex(CLIENT_CRYPTO);
    payload.resize(1162, 0);
    let packet = super::peer::seal_initial(rustls::quic::Version::V1, &hex(DCID), 2, payload.clone());
    assert_eq!(packet[..32], hex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"));
    assert_eq!(packet[1184..], hex("e221af44860018ab0856972e194cd934"));
    assert_eq!(open_initial(Version::V1, 0, &packet), (2, payload));
    let mut connection = Connection::new(Arc::new(KeyLog::new()), LateKeys::Never);
    let mut out = Output::new();
    connection.datagram(Direction::ToServer, Timestamp::default(), &packet, &mut out);
    assert_eq!(out.names, ["example.com"]);
}

#[test]
fn the_server_initials_of_the_standards_open() {
    // RFC 9001 A.3, RFC 9369 A.3.
    let first = hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a\
         5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3\
         dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84\
         022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4\
         2158407dd074ee");
    let second = hex("dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698\
         baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17\
         f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2\
         c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8\
         4bed8521e2e140");
    let payload = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739\
         88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94\
         0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00\
         020304"
        .replace(' ', "");
    assert_eq!(open_initial(Version::V1, 1, &first), (1, hex(&payload)));
    assert_eq!(open_initial(Version::V2, 1, &second), (1, hex(&payload)));
}

#[test]
fn the_retries_of_the_standards_are_genuine() {
    // RFC 9001 A.4, RFC 9369 A.4.
    let mut first = hex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba");
    let second = hex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6");
    assert_eq!(retry_is_genuine(Version::V1, &hex(DCID), &first), Some(true));
    assert_eq!(retry_is_genuine(Version::V2, &hex(DCID), &second), Some(true));
    first[20] ^= 1;
    assert_eq!(retry_is_genuine(Version::V1, &hex(DCID), &first), Some(false));
}

#[test]
fn the_chacha20_short_headers_of_the_standards_open() {
    // RFC 9001 A.5, RFC 9369 A.5: a PING in packet 654360564.
    let secret = hex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
    let suite = Suite::by_id(0x1303).expect("a suite");
    let packets = [
        (Version::V1, "4cfe4189655e5cd55c41f69080575d7999c25a5bfb"),
        (Version::V2, "5558b1c60ae7b6b932bc27d786f4bc2bb20f2162ba"),
    ];
    for (version, packet) in packets {
        let packet = hex(packet);
        let keys = Keys::new(suite, version.labels(), None, &secret).expect("keys");
        let unmasked = keys.unmask(&packet, 1).expect("the right key");
        let number = unmasked.number(Some(654_360_560));
        let mut out = vec![0; packet.len()];
        let len = keys.packet().open(&packet, 1, unmasked, number, &mut Vec::new(), &mut out);
        assert_eq!((number, len, out[0]), (654_360_564, Some(1), 1));
    }
}

#[test]
fn packet_numbers_are_the_nearest_that_fit() {
    // RFC 9000 A.3.
    let keys = Keys::initial(Version::V1, b"").expect("keys");
    let packet = super::peer::seal_initial(rustls::quic::Version::V1, b"", 0x9b32, vec![1; 30]);
    let header = long_header(&packet).expect("a header");
    let cut = long_packet(&packet, &header, Version::V1).expect("a packet");
    let mut unmasked = keys[0].unmask(cut.bytes, cut.number_at).expect("the right key");
    unmasked.first = unmasked.first & !3 | 1;
    unmasked.truncated = 0x9b32;
    assert_eq!(unmasked.number(Some(0xa82f_30ea)), 0xa82f_9b32);
    assert_eq!(unmasked.number(None), 0x9b32 & 0xffff);
}
