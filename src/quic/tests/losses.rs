//! What a passive reader must make of connections of which the capture has lost a part, or joined datagrams.

use super::dialogues::{Got, read, request};
use super::peer::{Dialogue, Level, ToClient, ToServer, usual, varint};
use crate::model::{Direction, OpaqueReason, Timestamp};
use crate::quic::{Connection, HELD_PACKETS_MAX, LateKeys, Output};
use crate::tls::KeyLog;
use std::sync::Arc;

/// An ACK frame of all packets up to `largest`.
fn ack(largest: usize) -> Vec<u8> {
    [&[2][..], &varint(largest), &[0, 0], &varint(largest)].concat()
}

#[test]
fn a_capture_that_begins_in_the_middle_is_read_where_one_session_has_keys() {
    for cid in [vec![], vec![3; 4], vec![5; 20]] {
        let mut dialogue = usual();
        dialogue.cids[0] = cid;
        dialogue.handshake();
        dialogue.numbers = [[0, 0, 70_000], [0, 0, 1_000]];
        let datagrams = request(&mut dialogue);
        let (connection, got) = read(dialogue.keys(), &datagrams);
        assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("GET /index.", "hello."), "{got:?}");
        assert_eq!((connection.client_direction(), got.opaque), (Some(ToServer), 0));
        assert_eq!(connection.info().cipher.as_deref(), Some("TLS_AES_128_GCM_SHA256"));
    }
}

#[test]
fn a_capture_that_begins_after_key_updates_is_read() {
    let mut dialogue = usual();
    dialogue.handshake();
    (0..5).for_each(|_| dialogue.update(ToServer));
    (0..2).for_each(|_| dialogue.update(ToClient));
    let datagrams = request(&mut dialogue);
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("GET /index.", "hello."), "{got:?}");
}

#[test]
fn a_capture_without_handshake_and_keys_says_so() {
    let mut dialogue = usual();
    dialogue.handshake();
    let datagrams = request(&mut dialogue);
    let (connection, got) = read(Arc::new(KeyLog::new()), &datagrams);
    assert_eq!(connection.opaque_reason(), Some(OpaqueReason::NoHandshake));
    assert_eq!(got.opaque, datagrams.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
}

#[test]
fn packet_numbers_far_ahead_are_found() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.push((ToServer, dialogue.stream(ToServer, 0, 0, b"a", false)));
    dialogue.numbers[0][2] += 300_000;
    datagrams.push((ToServer, dialogue.stream(ToServer, 0, 1, b"b", true)));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!(got.stream(0, ToServer), "ab.");
}

#[test]
fn bytes_the_other_side_has_but_the_capture_has_not_become_a_gap() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.push((ToClient, dialogue.stream(ToClient, 0, 0, b"one ", false)));
    dialogue.stream(ToClient, 0, 4, b"two ", false);
    datagrams.push((ToClient, dialogue.stream(ToClient, 0, 8, b"three ", false)));
    let mut connection = Connection::new(dialogue.keys(), LateKeys::Never);
    let (mut out, mut got) = (Output::new(), Got::default());
    let mut send = |connection: &mut Connection, way: Direction, bytes: &[u8], got: &mut Got| {
        connection.datagram(way, Timestamp::default(), bytes, &mut out);
        got.take(&mut out);
    };
    for (way, bytes) in &datagrams {
        send(&mut connection, *way, bytes, &mut got);
    }
    for round in 0..4 {
        assert_eq!(got.stream(0, ToClient), "one ", "round {round}");
        let acked = dialogue.seal(ToServer, Level::App, &ack(2 + round));
        send(&mut connection, ToServer, &acked, &mut got);
        let more = dialogue.stream(ToClient, 4, round, b"x", false);
        send(&mut connection, ToClient, &more, &mut got);
        if got.stream(0, ToClient) != "one " {
            break;
        }
    }
    assert_eq!(got.stream(0, ToClient), "one …three ");
    let last = dialogue.stream(ToClient, 0, 14, b"four", true);
    send(&mut connection, ToClient, &last, &mut got);
    assert_eq!(got.stream(0, ToClient), "one …three four.");
}

#[test]
fn a_hole_stays_open_while_the_bytes_may_be_sent_again() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.push((ToClient, dialogue.stream(ToClient, 0, 4, b"late", true)));
    // All that was seen is acknowledged, and nothing that was not.
    for number in 0..20 {
        datagrams.push((ToServer, dialogue.seal(ToServer, Level::App, &ack(number))));
        datagrams.push((ToClient, dialogue.seal(ToClient, Level::App, &[1])));
    }
    datagrams.push((ToClient, dialogue.stream(ToClient, 0, 0, b"not ", false)));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!(got.stream(0, ToClient), "not late.");
}

#[test]
fn what_waits_at_the_end_leaves_with_its_gap() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    let mut packets = request(&mut dialogue);
    packets.remove(2);
    datagrams.extend(packets);
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("GET /index.", "…lo."));
}

/// Full datagrams of a stream, and a last one that is shorter.
fn full_datagrams(dialogue: &mut Dialogue, len: usize) -> Vec<Vec<u8>> {
    let data = |letter: u8, len: usize| vec![letter; len];
    let mut offset = 0;
    let mut packets = Vec::new();
    for letter in b'a'..=b'f' {
        let size = if letter == b'f' { 30 } else { len };
        packets.push(dialogue.stream(ToServer, 0, offset, &data(letter, size), letter == b'f'));
        offset += size;
    }
    packets
}

#[test]
fn datagrams_that_were_joined_are_split_again() {
    for len in [1167, 1209, 1350, 1419] {
        let mut dialogue = usual();
        let mut datagrams = dialogue.handshake();
        let first = dialogue.stream(ToServer, 4, 0, b"to prove the keys", true);
        datagrams.push((ToServer, first));
        datagrams.push((ToServer, full_datagrams(&mut dialogue, len).concat()));
        let (_, got) = read(dialogue.keys(), &datagrams);
        assert_eq!(got.stream(0, ToServer).len(), 5 * len + 30 + 1);
        assert_eq!((got.opaque, &got.weirds[..]), (0, &[][..]));
    }
}

#[test]
fn joined_datagrams_that_begin_with_long_headers_are_split_too() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.push((ToServer, dialogue.stream(ToServer, 4, 0, b"to prove the keys", true)));
    // A datagram of a handshake packet and a 1-RTT packet, then one that is full, then the rest.
    let mut joined = dialogue.seal(ToServer, Level::Handshake, &[1]);
    let room = 1252 - joined.len();
    let packets = full_datagrams(&mut dialogue, 1219);
    let overhead = packets[0].len() - 1219;
    let mut probe = dialogue.stream(ToServer, 8, 0, &vec![b'z'; room - overhead], true);
    joined.append(&mut probe);
    assert_eq!((joined.len(), packets[0].len()), (1252, 1252));
    joined.extend(packets.concat());
    datagrams.push((ToServer, joined));
    let (_, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer).len(), got.stream(8, ToServer).len()), (5 * 1219 + 31, room - overhead + 1));
    assert_eq!(got.opaque, 0);
}

#[test]
fn a_hello_of_which_a_part_was_lost_still_names_the_session() {
    let mut dialogue = usual();
    let frames = dialogue.crypto(ToServer, Level::Initial, 120);
    let (last, first) = frames.split_last().expect("several frames");
    dialogue.seal(ToServer, Level::Initial, last);
    let mut datagrams = vec![(ToServer, dialogue.seal(ToServer, Level::Initial, &first.concat()))];
    datagrams
        .extend(dialogue.handshake().into_iter().filter(|(way, packet)| *way == ToClient || packet[0] & 0x30 != 0));
    datagrams.extend(request(&mut dialogue));
    let (connection, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer), got.stream(0, ToClient)), ("GET /index.", "hello."), "{got:?}");
    assert!(connection.client_random().is_some());
    assert_eq!(got.opaque, 0);
}

#[test]
fn a_packet_cut_by_the_capture_is_counted() {
    let mut dialogue = usual();
    let hello = dialogue.crypto(ToServer, Level::Initial, 2000).concat();
    let packet = dialogue.seal(ToServer, Level::Initial, &hello);
    let (connection, got) = read(dialogue.keys(), &[(ToServer, packet[..100].to_vec())]);
    assert_eq!((connection.opaque_reason(), got.opaque), (Some(OpaqueReason::Truncated), 100));
    assert_eq!(got.weirds, ["a QUIC packet is cut by the capture"]);
}

#[test]
fn what_waits_for_keys_is_capped_and_that_is_told() {
    let mut dialogue = usual();
    let mut connection = Connection::new(Arc::new(KeyLog::new()), LateKeys::Possible);
    let mut out = Output::new();
    let mut sent = 0;
    for _ in 0..HELD_PACKETS_MAX + 50 {
        let bytes = dialogue.stream(ToServer, 0, 0, b"x", false);
        sent += bytes.len() as u64;
        connection.datagram(ToServer, Timestamp::default(), &bytes, &mut out);
    }
    assert_eq!(
        out.weirds.iter().map(|weird| weird.reason).collect::<Vec<_>>(),
        ["too many QUIC packets wait for their keys"]
    );
    assert!(out.opaque_bytes > 0 && out.opaque_bytes < sent);
    connection.finish(&mut out);
    assert_eq!(out.opaque_bytes, sent);
}

#[test]
fn a_capture_of_the_client_alone_is_read() {
    let mut dialogue = usual();
    let mut datagrams = dialogue.handshake();
    datagrams.extend(request(&mut dialogue));
    datagrams.retain(|(way, _)| *way == ToServer);
    let hello = datagrams.iter().position(|(_, packet)| packet[0] & 0xf0 != 0xc0);
    datagrams.remove(hello.expect("a handshake packet"));
    let (connection, got) = read(dialogue.keys(), &datagrams);
    assert_eq!((got.stream(0, ToServer), got.opaque), ("GET /index.", 0));
    assert_eq!(connection.info().sni.as_deref(), Some("app.example.com"));
}
