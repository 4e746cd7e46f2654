//! What a passive reader must make of connections: whole, reordered, cut up, and with keys that come late or never.

use super::peer::{Dialogue, Level, ToClient, ToServer, ends, number_of, stream_frame, usual, varint};
use crate::model::{Direction, OpaqueReason, Timestamp};
use crate::quic::{Claim, Connection, LateKeys, Output, StreamEventKind, Version};
use crate::tls::KeyLog;
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::quic::Version as Wire;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came out of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Got {
    /// Bytes by stream and direction; `…` stands for a gap, `.` for the end.
    pub(super) streams: BTreeMap<(u64, Direction), String>,
    pub(super) names: Vec<String>,
    pub(super) weirds: Vec<&'static str>,
    pub(super) opaque: u64,
}

impl Got {
    pub(super) fn take(&mut self, out: &mut Output) {
        for event in &out.streams {
            let text = self.streams.entry((event.id, event.direction)).or_default();
            match &event.kind {
                StreamEventKind::Bytes { gap, range } => {
                    text.push_str(if *gap > 0 { "…" } else { "" });
                    text.push_str(&String::from_utf8_lossy(out.bytes(range)));
                }
                StreamEventKind::End { gap } => text.push_str(if *gap > 0 { "…." } else { "." }),
                StreamEventKind::Reset { .. } => text.push('!'),
                StreamEventKind::Cut => text.push('#'),
            }
        }
        self.names.append(&mut out.names);
        self.weirds.extend(out.weirds.iter().map(|weird| weird.reason));
        self.opaque += out.opaque_bytes;
        out.clear();
    }

    pub(super) fn stream(&self, id: u64, way: Direction) -> &str {
        self.streams.get(&(id, way)).map_or("", String::as_str)
    }
}

pub(super) fn read(keys: Arc<KeyLog>, datagrams: &[(Direction, Vec<u8>)]) -> (Connection, Got) {
    let mut connection = Connection::new(keys, LateKeys::Never);
    let (mut out, mut got) = (Output::new(), Got::default());
    for (way, bytes) in datagrams {
        connection.datagram(*way, Timestamp::default(), bytes, &mut out);
        got.take(&mut out);
    }
    connection.finish(&mut out);
    got.take(&mut out);
    (connection, got)
}

/// A request and its answer, over several packets.
pub(super) fn request(dialogue: &mut Dialogue) -> Vec<(Direction, Vec<u8>)> {
    vec![
        (ToServer, dialogue.stream(ToServer, 0, 0, b"GET ", false)),
        (ToServer, dialogue.stream(ToServer, 0, 4, b"/index", true)),
        (ToClient, dialogue.stream(ToClient, 0, 0, b"hel", false)),
        (ToClient, dialogue.stream(ToClient, 0, 3, b"lo", true)),
    ]
}

fn assert_whole(got: &Got) {
    assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("GET /index.", "hello."), "{got:?}");
    assert_eq!((got.opaque, &got.weirds[..], &got.names[..]), (0, &[][..], &["app.example.com".to_owned()][..]));
}

#[test]
fn every_suite_and_version_opens() {
    let suites = [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    for (suite, version) in suites.into_iter().flat_map(|suite| [Wire::V1, Wire::V2, Wire::V1Draft].map(|v| (suite, v)))
    {
        let mut dialogue = ends(version, suite).dialogue();
        let mut datagrams = dialogue.handshake();
        datagrams.extend(request(&mut dialogue));
        let (connection, got) = read(dialogue.keys(), &datagrams);
        assert_whole(&got);
        let info = connection.info();
        assert_eq!((info.version.as_deref(), info.alpn.as_deref()), (Some("TLS 1.3"), Some("h3")));
        assert_eq!(info.cipher.as_ref().map(|name| name.len()), Some(format!("{:?}", suite.suite()).len() - 2));
        assert_eq!(connection.version().map(|version| version.number), Some(number_of(version)));
        assert!(info.certificate.is_some() && connection.readable() && connection.opaque_reason().is_none());
    }
}

#[test]
fn the_order_of_datagrams_does_not_matter() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    let keys = dialogue.keys();
    let strategy = proptest::collection::vec(any::<u32>(), datagrams.len());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&strategy, |order| {
        let mut shuffled: Vec<_> = order.iter().zip(&datagrams).chain(order.iter().rev().zip(&datagrams)).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, datagram)| datagram.clone()).collect();
        let (_, got) = read(Arc::clone(&keys), &shuffled);
        prop_assert_eq!(got.stream(0, ToServer), "GET /index.");
        prop_assert_eq!(got.stream(0, ToClient), "hello.");
        prop_assert_eq!((got.opaque, got.weirds), (0, vec![]));
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn packets_that_share_a_datagram_and_what_pads_it_are_told_apart() {
    let mut dialogue = usual();
    let mut datagrams = Vec::new();
    for way in [ToServer, ToClient] {
        let mut datagram = Vec::new();
        for level in [Level::Initial, Level::Handshake] {
            for frame in dialogue.crypto(way, level, 300) {
                datagram.extend(dialogue.seal(way, level, &frame));
            }
        }
        datagram.extend(dialogue.stream(way, 0, 0, b"first", true));
        datagrams.push((way, datagram));
    }
    let mut padded = dialogue.seal(ToServer, Level::Handshake, &[1]);
    padded.extend([0; 100]);
    datagrams.push((ToServer, padded));
    let mut noise = dialogue.seal(ToServer, Level::Handshake, &[1]);
    noise.extend((0..100_u8).map(|at| at.wrapping_mul(37) | 0x40));
    datagrams.push((ToServer, noise));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("first.", "first."));
    assert_eq!((got.opaque, &got.weirds[..]), (0, &[][..]));
}

#[test]
fn keys_that_change_several_times_are_followed() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    let text = "abcdefghij";
    for (at, letter) in text.bytes().enumerate() {
        let old = dialogue.stream(ToServer, 4, at, &[letter], at == 9);
        datagrams.push((ToServer, dialogue.stream(ToServer, 0, at, &[letter], at == 9)));
        dialogue.update(ToServer);
        datagrams.push((ToServer, dialogue.stream(ToServer, 8, at, &[letter], at == 9)));
        // A packet of the old keys overtaken by one of the new.
        datagrams.push((ToServer, old));
    }
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!([0, 4, 8].map(|id| got.stream(id, ToServer)), ["abcdefghij."; 3]);
    assert_eq!(got.opaque, 0);
}

#[test]
fn after_a_retry_the_keys_are_those_of_its_id() {
    let mut dialogue = usual();
    let hello = dialogue.crypto(ToServer, Level::Initial, 2000).concat();
    let mut datagrams = vec![(ToServer, dialogue.seal(ToServer, Level::Initial, &hello))];
    dialogue.first_dcid = vec![0xcc; 12];
    dialogue.token = vec![7; 40];
    datagrams.extend(dialogue.handshake());
    datagrams.extend(request(&mut dialogue));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_whole(&got);
}

#[test]
fn a_server_that_goes_on_in_another_version_is_followed() {
    let mut dialogue = ends(Wire::V2, cipher_suite::TLS13_AES_128_GCM_SHA256).dialogue();
    dialogue.version = Wire::V1;
    let hello = dialogue.crypto(ToServer, Level::Initial, 2000).concat();
    let mut datagrams = vec![(ToServer, dialogue.seal(ToServer, Level::Initial, &hello))];
    dialogue.version = Wire::V2;
    datagrams.extend(dialogue.handshake().split_off(1));
    datagrams.extend(request(&mut dialogue));
    let (connection, got) = read(dialogue.keys(), &datagrams);
    assert_whole(&got);
    assert_eq!(connection.version(), Some(Version::V2));
}

#[test]
fn early_data_opens_even_before_its_hello() {
    let ends = ends(Wire::V1, cipher_suite::TLS13_AES_128_GCM_SHA256);
    ends.dialogue();
    let mut dialogue = ends.dialogue();
    let early = dialogue.seal(ToServer, Level::Early, &stream_frame(0, 0, b"GET ", false));
    let mut datagrams = vec![(ToServer, early)];
    datagrams.extend(dialogue.handshake());
    datagrams.extend(request(&mut dialogue).split_off(1));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_whole(&got);
}

#[test]
fn without_keys_names_are_told_and_the_rest_is_counted() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    let (connection, got) = read(Arc::new(KeyLog::new()), &datagrams);
    assert_eq!(got.names, ["app.example.com"]);
    assert_eq!(connection.opaque_reason(), Some(OpaqueReason::NoKey));
    let sealed = datagrams.iter().filter(|(_, packet)| packet[0] & 0xf0 != 0xc0).map(|(_, packet)| packet.len());
    assert_eq!(got.opaque, sealed.sum::<usize>() as u64);
    let info = connection.info();
    assert_eq!((info.alpn.as_deref(), info.cipher.as_deref()), (Some("h3"), Some("TLS_AES_128_GCM_SHA256")));
    assert!(!connection.readable() && got.streams.is_empty());
}

#[test]
fn keys_that_come_later_open_what_was_kept() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    let mut connection = Connection::new(Arc::new(KeyLog::new()), LateKeys::Possible);
    let (mut out, mut got) = (Output::new(), Got::default());
    for (way, bytes) in &datagrams {
        connection.datagram(*way, Timestamp::default(), bytes, &mut out);
    }
    assert!(out.streams.is_empty() && out.opaque_bytes == 0 && connection.is_waiting());
    connection.set_keys(dialogue.keys(), &mut out);
    got.take(&mut out);
    assert_whole(&got);
    assert!(!connection.is_waiting());
}

#[test]
fn new_connection_ids_are_known_and_no_others() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    let next = [0xd1; 11];
    let frame = [&[0x18, 1, 0, 11][..], &next, &[9; 16]].concat();
    datagrams.push((ToClient, dialogue.seal(ToClient, Level::App, &frame)));
    let (mut connection, _) = read(dialogue.keys(), &datagrams);
    dialogue.cids[0] = next.to_vec();
    let packet = dialogue.stream(ToServer, 0, 0, b"moved", true);
    assert!(connection.issued_cids(ToServer).any(|cid| cid.as_bytes() == next));
    assert_eq!(connection.claims(ToServer, &packet), Claim::Certain);
    let (mut out, mut got) = (Output::new(), Got::default());
    connection.datagram(ToServer, Timestamp::default(), &packet, &mut out);
    got.take(&mut out);
    assert_eq!(got.stream(0, ToServer), "moved.");
    let mut other = usual();
    other.first_dcid = vec![0x77; 8];
    other.cids = [vec![0x66; 8], vec![0x55; 5]];
    let hello = other.crypto(ToServer, Level::Initial, 2000).concat();
    let begins = other.seal(ToServer, Level::Initial, &hello);
    assert_eq!(connection.claims(ToServer, &begins), Claim::No);
    other.first_dcid.clone_from(&dialogue.first_dcid);
    let again = dialogue.seal(ToServer, Level::Initial, &[1]);
    assert_eq!(connection.claims(ToServer, &again), Claim::Certain);
}

#[test]
fn frames_before_one_of_an_unknown_type_count() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    let frames = [stream_frame(0, 0, b"known", true), varint(0x3abc), vec![1, 2, 3]].concat();
    datagrams.push((ToServer, dialogue.seal(ToServer, Level::App, &frames)));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!(got.stream(0, ToServer), "known.");
    assert_eq!(got.weirds, ["a QUIC frame is of an unknown type"]);
}

#[test]
fn a_flow_whose_first_datagram_came_from_the_server_is_turned_round() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    datagrams.swap(0, 1);
    let turned: Vec<_> = datagrams.into_iter().map(|(way, bytes)| (way.reversed(), bytes)).collect();
    let (connection, got) = read(dialogue.keys(), &turned);
    assert_eq!((got.stream(0, ToClient), got.stream(0, ToServer)), ("GET /index.", "hello."));
    assert_eq!((connection.client_direction(), got.opaque), (Some(ToClient), 0));
}

#[test]
fn after_version_negotiation_the_client_begins_anew() {
    let mut refused = ends(Wire::V2, cipher_suite::TLS13_AES_128_GCM_SHA256).dialogue();
    let hello = refused.crypto(ToServer, Level::Initial, 2000).concat();
    let mut datagrams = vec![(ToServer, refused.seal(ToServer, Level::Initial, &hello))];
    let mut dialogue = usual();
    let negotiation = [&[0x8a, 0, 0, 0, 0, 5][..], &dialogue.cids[1], &[8], &dialogue.first_dcid, &[0, 0, 0, 1]];
    datagrams.push((ToClient, negotiation.concat()));
    datagrams.extend(dialogue.handshake());
    datagrams.extend(request(&mut dialogue));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_whole(&got);
}

#[test]
fn a_version_of_a_greased_number_is_read_as_what_it_is_like() {
    let dialogue = usual();
    let hello = dialogue.crypto(ToServer, Level::Initial, 2000).concat();
    let mut packet = super::peer::seal_greased(&dialogue.first_dcid, &hello);
    let (connection, got) = read(Arc::new(KeyLog::new()), &[(ToServer, packet.clone())]);
    assert_eq!((&got.names[..], got.opaque), (&["app.example.com".to_owned()][..], 0));
    assert!(connection.info().ja4.as_ref().is_some_and(|print| print.starts_with('q')));
    packet[40] ^= 1;
    let (connection, got) = read(Arc::new(KeyLog::new()), &[(ToServer, packet.clone())]);
    assert_eq!((connection.opaque_reason(), got.opaque), (Some(OpaqueReason::Quic), packet.len() as u64));
}

#[test]
fn keys_of_other_sessions_do_not_open_it() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    let (connection, got) = read(usual().keys(), &datagrams);
    assert_eq!(connection.opaque_reason(), Some(OpaqueReason::NoKey));
    assert!(got.streams.is_empty() && got.opaque > 0);
}

#[test]
fn datagrams_of_googles_quic_are_counted_as_such() {
    let hello = b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q043\x01\xa0\x01CHLO\x01\0\0\0SNI\0\x05\0\0\0a.com";
    let later = [&[0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[0x55; 40]].concat();
    let (connection, got) = read(Arc::new(KeyLog::new()), &[(ToServer, hello.to_vec()), (ToServer, later.clone())]);
    assert_eq!((&got.names[..], connection.opaque_reason()), (&["a.com".to_owned()][..], Some(OpaqueReason::Quic)));
    assert_eq!(got.opaque, (hello.len() + later.len()) as u64);
    assert_eq!(connection.claims(ToClient, &[0x00; 30]), Claim::Certain);
    let long = b"\xc3Q046\x50\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x01\xa0\x01CHLO\x01\0\0\0SNI\0\x05\0\0\0b.org";
    let (connection, got) = read(Arc::new(KeyLog::new()), &[(ToServer, long.to_vec())]);
    assert_eq!((&got.names[..], connection.opaque_reason()), (&["b.org".to_owned()][..], Some(OpaqueReason::Quic)));
}

proptest! {
    #[test]
    fn any_datagrams_are_taken(
        datagrams in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..20),
        long in any::<bool>(),
    ) {
        let datagrams: Vec<_> = datagrams
            .into_iter()
            .map(|(forth, bytes)| {
                let head = if long { &[0xc0, 0, 0, 0, 1][..] } else { &[] };
                (if forth { ToServer } else { ToClient }, [head, &bytes].concat())
            })
            .collect();
        let (_, got) = read(Arc::new(KeyLog::new()), &datagrams);
        prop_assert!(got.streams.is_empty() && got.names.is_empty());
        prop_assert!(got.opaque <= datagrams.iter().map(|(_, bytes)| bytes.len() as u64).sum());
    }
}
