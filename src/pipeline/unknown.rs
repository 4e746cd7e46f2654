//! Bytes of no known protocol → pieces for detection, and whether they are clear text. Pieces end where the other side
//! speaks, so that they hold whole messages and do not depend on how the bytes were cut into packets.

use super::collected::Collected;
use super::connection::Shared;
use crate::model::{Direction, ExchangeId, OpaqueReason, StreamChunk, Timestamp, TlsInfo};
use std::sync::Arc;

/// Most bytes of a stream of no known protocol that are searched at a time.
pub const PIECE_MAX: usize = 16 << 10;
/// Bytes of a piece that are searched again with the next, where a message is longer than a piece.
const OVERLAP: usize = 512;
/// Shortest run of readable characters that is no chance.
const RUN_MIN: usize = 4;
/// Share of a piece, in percent, that stands in such runs where it is clear text.
const TEXT_PERCENT: usize = 85;

/// Bytes that went to the server in no known protocol.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) id: ExchangeId,
    pub(super) ts: Timestamp,
    pub(super) host: Arc<str>,
    /// Whether they travelled outside TLS.
    pub(super) cleartext: bool,
    pub(super) bytes: Vec<u8>,
}

/// A stream of no known protocol.
#[derive(Default)]
pub(super) struct Unknown {
    pub(super) tls: Option<Arc<TlsInfo>>,
    pub(super) depth: u32,
    sides: [Side; 2],
    last: Option<Direction>,
    kind: Kind,
    /// Pieces of skipped bytes so far.
    pieces: u32,
}

/// What the bytes of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Nobody knows.
    #[default]
    Open,
    /// Of a protocol that encrypts: what can be read in its handshake are names of algorithms, much like addresses.
    Encrypted,
    /// Bytes a parser could not make sense of, and counted.
    Skipped,
}

/// How streams of SSH begin (RFC 4253 §4.2).
const SSH: &[u8] = b"SSH-";

#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    /// Of them, those that the piece before held already.
    repeated: usize,
    ts: Timestamp,
}

impl Unknown {
    /// A stream inside this session, so many layers down.
    pub(super) fn new(tls: Option<Arc<TlsInfo>>, depth: u32) -> Self {
        Self { tls, depth, ..Self::default() }
    }

    /// Bytes that a parser skipped.
    pub(super) fn skipped() -> Self {
        Self { kind: Kind::Skipped, ..Self::default() }
    }

    pub(super) fn chunk(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) {
        if self.last.is_none() && chunk.bytes.starts_with(SSH) {
            self.kind = Kind::Encrypted;
        }
        if self.last != Some(chunk.direction) || chunk.gap > 0 {
            self.flush(shared, out);
            self.last = Some(chunk.direction);
        }
        let mut bytes = chunk.bytes;
        while !bytes.is_empty() {
            let side = &mut self.sides[chunk.direction.index()];
            if side.bytes.len() == side.repeated {
                side.ts = chunk.ts;
            }
            let taken = bytes.len().min(PIECE_MAX - side.bytes.len());
            side.bytes.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if side.bytes.len() == PIECE_MAX {
                let tail = side.bytes[PIECE_MAX - OVERLAP..].to_vec();
                self.end_piece(shared, chunk.direction, out);
                self.sides[chunk.direction.index()] = Side { repeated: tail.len(), bytes: tail, ts: chunk.ts };
            }
        }
    }

    /// Everything that is held leaves.
    pub(super) fn flush(&mut self, shared: &mut Shared, out: &mut Collected) {
        self.end_piece(shared, Direction::ToServer, out);
        self.end_piece(shared, Direction::ToClient, out);
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.sides.iter().map(|side| side.bytes.len()).sum()
    }

    fn end_piece(&mut self, shared: &mut Shared, direction: Direction, out: &mut Collected) {
        let Side { bytes, repeated, ts } = std::mem::take(&mut self.sides[direction.index()]);
        if bytes.len() > repeated {
            match self.kind {
                Kind::Open => piece(shared, self.tls.as_ref(), direction, ts, &bytes, repeated, out),
                Kind::Encrypted => out.opaque(bytes.len() - repeated, OpaqueReason::UnknownProtocol),
                Kind::Skipped => {
                    // The parser numbers what it finds; these count from the other end.
                    let next_index = std::mem::replace(&mut shared.next_index, u32::MAX - self.pieces);
                    self.pieces += 1;
                    search(shared, self.tls.as_ref(), direction, ts, &bytes, out);
                    shared.next_index = next_index;
                }
            }
        }
    }
}

/// A datagram of no known protocol.
pub(super) fn datagram(shared: &mut Shared, payload: &[u8], direction: Direction, ts: Timestamp, out: &mut Collected) {
    piece(shared, None, direction, ts, payload, 0, out);
}

/// A datagram whose protocol is known and clear: only what identifies a device in it is still to be found.
pub(super) fn understood(
    shared: &mut Shared,
    payload: &[u8],
    direction: Direction,
    ts: Timestamp,
    out: &mut Collected,
) {
    search(shared, None, direction, ts, payload, out);
}

fn piece(
    shared: &mut Shared,
    tls: Option<&Arc<TlsInfo>>,
    direction: Direction,
    ts: Timestamp,
    bytes: &[u8],
    repeated: usize,
    out: &mut Collected,
) {
    if is_clear_text(bytes) {
        out.text_bytes += (bytes.len() - repeated) as u64;
    } else {
        out.opaque(bytes.len() - repeated, OpaqueReason::UnknownProtocol);
    }
    search(shared, tls, direction, ts, bytes, out);
}

fn search(
    shared: &mut Shared,
    tls: Option<&Arc<TlsInfo>>,
    direction: Direction,
    ts: Timestamp,
    bytes: &[u8],
    out: &mut Collected,
) {
    // What a server sends to the phone is no data flow to it.
    if direction == Direction::ToClient || !out.wants_pieces {
        return;
    }
    let named = || tls.and_then(|tls| tls.server_name()).map(|(name, _)| name);
    // What requests before named is nearer than the session around them, unless that stands inside a tunnel they opened.
    let asked = shared.host.as_ref();
    let host = match asked.filter(|(_, cleartext)| *cleartext == tls.is_none()) {
        Some((host, _)) => Arc::clone(host),
        None => named()
            .map(Arc::from)
            .or_else(|| asked.map(|(host, _)| Arc::clone(host)))
            .unwrap_or_else(|| Arc::from(shared.key.server.ip().to_string())),
    };
    let id = ExchangeId { flow: shared.flow, index: shared.next_index };
    shared.next_index = shared.next_index.wrapping_add(1);
    out.pieces.push(Piece { id, ts, host, cleartext: tls.is_none(), bytes: bytes.to_vec() });
}

/// Whether nearly all of some bytes is text in runs too long for chance.
fn is_clear_text(bytes: &[u8]) -> bool {
    let (mut text, mut run, mut run_bytes) = (0, 0, 0);
    let mut end_run = |run: &mut usize, run_bytes: &mut usize| {
        if *run >= RUN_MIN {
            text += *run_bytes;
        }
        (*run, *run_bytes) = (0, 0);
    };
    for part in bytes.utf8_chunks() {
        for character in part.valid().chars() {
            if character.is_control() && !matches!(character, '\t' | '\r' | '\n') {
                end_run(&mut run, &mut run_bytes);
            } else {
                run += 1;
                run_bytes += character.len_utf8();
            }
        }
        if !part.invalid().is_empty() {
            end_run(&mut run, &mut run_bytes);
        }
    }
    end_run(&mut run, &mut run_bytes);
    text * 100 >= bytes.len() * TEXT_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_behind_a_short_binary_head_is_clear() {
        for text in [
            &b"EHLO phone\r\n"[..],
            "用户 张三 登录\r\n".as_bytes(),
            b"\x30\x2a\x00\x04{\"imei\":\"861536030196001\",\"model\":\"M2102\"}",
        ] {
            assert!(is_clear_text(text), "{text:?}");
        }
    }

    #[test]
    fn random_bytes_are_not_clear() {
        let mut state = 1u32;
        let bytes: Vec<u8> = (0..4_096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert!(!is_clear_text(&bytes));
        for short in bytes.chunks(16) {
            assert!(!is_clear_text(short), "{short:?}");
        }
        assert!(!is_clear_text(b"\x00\x01"));
    }
}
