//! QUIC: datagrams of both directions as they are in the input, or with the input behind the packet protection: as the
//! frames of Initial packets, whose keys anybody can derive (RFC 9001 §5.2), as those of all levels of a connection whose
//! secrets are in the key log, and as the way a known stream is cut into frames and packets: what is delivered is it.

use crate::packets::{Level, Peer};
use crate::pieces::{Piece, pieces};
use divulge::model::{Direction, KeySource, Timestamp};
use divulge::quic::{Connection, LateKeys, Output, StreamEventKind, probe};
use divulge::tls::KeyLog;
use std::sync::Arc;

/// Reads one input; its first byte chooses how.
pub fn target(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let peer = Peer::new([1, 0x6b33_43cf, 0xff00_001d][usize::from(choice >> 4) % 3]);
    match choice & 3 {
        0 => raw(choice, rest),
        1 => sealed(&peer, choice, &pieces(rest), Level::Initial),
        2 => sealed(&peer, choice, &pieces(rest), Level::Application),
        _ => known_stream(&peer, rest),
    }
}

fn keys() -> Arc<KeyLog> {
    let mut keys = KeyLog::new();
    keys.add_text(KeySource::Keylog, Peer::key_log().as_bytes());
    Arc::new(keys)
}

fn connection(choice: u8) -> Connection {
    let late = if choice & 4 == 0 { LateKeys::Never } else { LateKeys::Possible };
    Connection::new(if choice & 8 == 0 { keys() } else { Arc::new(KeyLog::new()) }, late)
}

/// What was handed on so far lies inside the buffer, and the room is used again.
fn look(out: &mut Output) {
    for event in &out.streams {
        if let StreamEventKind::Bytes { range, .. } = &event.kind {
            assert_eq!(out.bytes(range).len(), range.len());
        }
    }
    out.clear();
}

fn raw(choice: u8, data: &[u8]) {
    let (mut connection, mut out) = (connection(choice), Output::new());
    for piece in pieces(data) {
        let _ = probe(piece.bytes);
        let _ = connection.claims(piece.direction, piece.bytes);
        connection.datagram(piece.direction, Timestamp::from_nanos(0), piece.bytes, &mut out);
        look(&mut out);
    }
    end(connection, choice, &mut out);
}

fn end(mut connection: Connection, choice: u8, out: &mut Output) {
    if choice & 8 != 0 {
        connection.set_keys(keys(), out);
    }
    connection.stop_waiting(out);
    connection.finish(out);
    look(out);
}

/// Each piece is the payload of a packet; its first byte says how far the packet's number jumps and, where the level is
/// not fixed, at which level it goes.
fn sealed(peer: &Peer, choice: u8, pieces: &[Piece<'_>], most: Level) {
    let (mut connection, mut out) = (connection(choice), Output::new());
    let ts = Timestamp::from_nanos(0);
    if most == Level::Application {
        for (direction, datagram) in peer.handshake() {
            connection.datagram(direction, ts, &datagram, &mut out);
        }
    }
    let mut numbers = [10_u64; 2];
    let mut datagram = Vec::new();
    for piece in pieces {
        let Some((&how, frames)) = piece.bytes.split_first() else { continue };
        let level = match how & 3 {
            _ if most == Level::Initial => Level::Initial,
            0 => Level::Initial,
            1 => Level::Handshake,
            _ => Level::Application,
        };
        let number = &mut numbers[piece.direction.index()];
        *number = match how >> 2 & 7 {
            0 => number.saturating_sub(1),
            7 => *number + 1_000,
            jump => *number + u64::from(jump),
        };
        datagram.extend(peer.seal(level, piece.direction, *number, how & 0x20 != 0, frames));
        // Packets are coalesced where the bit says so.
        if how & 0x40 == 0 {
            connection.datagram(piece.direction, ts, &std::mem::take(&mut datagram), &mut out);
            look(&mut out);
        }
    }
    end(connection, choice, &mut out);
}

/// Pieces of a stream in any order and any often: what is delivered are its bytes at their places.
fn known_stream(peer: &Peer, data: &[u8]) {
    const LEN: usize = 4_096;
    let bytes: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
    let (mut connection, mut out) = (Connection::new(keys(), LateKeys::Never), Output::new());
    let ts = Timestamp::from_nanos(0);
    for (direction, datagram) in peer.handshake() {
        connection.datagram(direction, ts, &datagram, &mut out);
    }
    let mut number = 10;
    let mut send = |at: usize, len: usize, connection: &mut Connection, out: &mut Output| {
        let mut frame =
            vec![0x0e, 0, 0x40 | (at >> 8) as u8, (at & 0xff) as u8, 0x40 | (len >> 8) as u8, (len & 0xff) as u8];
        frame.extend_from_slice(&bytes[at..at + len]);
        let packet = peer.seal(Level::Application, Direction::ToServer, number, false, &frame);
        number += 1;
        connection.datagram(Direction::ToServer, ts, &packet, out);
    };
    for piece in data.chunks_exact(3) {
        let at = (usize::from(piece[0]) << 8 | usize::from(piece[1])) % LEN;
        send(at, usize::from(piece[2]).min(LEN - at), &mut connection, &mut out);
    }
    let whole = data.len() % 3 == 0;
    if whole {
        for at in (0..LEN).step_by(512).rev() {
            send(at, 512, &mut connection, &mut out);
        }
    }
    connection.finish(&mut out);
    let mut at = 0;
    for event in &out.streams {
        if let StreamEventKind::Bytes { gap, range } = &event.kind {
            at += usize::try_from(*gap).expect("small");
            assert_eq!(out.bytes(range), &bytes[at..at + range.len()], "at {at}");
            assert!(!whole || *gap == 0);
            at += range.len();
        }
    }
    assert!(!whole || at == LEN, "{at} of {LEN} bytes, {:?}", connection.opaque_reason());
}
