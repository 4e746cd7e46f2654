//! STREAM frames of a connection to the bytes of its streams in order, with gaps where bytes are lost (RFC 9000 §2,
//! §3). What is in the streams is left to `http`.

use super::assembler::{Assembler, Sink};
use super::output::{Output, StreamEvent, StreamEventKind};
use super::ranges::Ranges;
use super::space::Space;
use crate::model::{Direction, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes of one direction of a stream that wait for what is before them.
pub const STREAM_PENDING_MAX: usize = 4 << 20;
/// Most bytes of all streams of a connection that wait.
pub const CONNECTION_PENDING_MAX: usize = 16 << 20;
/// Most directions of streams of a connection that are open at a time; the oldest is then cut.
pub const STREAMS_MAX: usize = 4096;

pub(super) const PENDING_WEIRD: &str = "too many bytes of a QUIC stream wait for missing ones";
pub(super) const STREAMS_WEIRD: &str = "too many QUIC streams are open";

/// A stream and which way.
type Key = (u64, Direction);

/// What a STREAM frame says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) id: u64,
    pub(super) direction: Direction,
    pub(super) ts: Timestamp,
    pub(super) offset: u64,
    pub(super) fin: bool,
    pub(super) data: &'a [u8],
}

#[derive(Default)]
struct Stream {
    assembler: Assembler,
    end: Option<u64>,
    /// Code of a reset, and the bytes still to be delivered before it.
    reset: Option<(u64, u64)>,
    /// The round of acknowledgements in which the hole was noticed, and where it is.
    hole: Option<(u32, u64)>,
}

/// The streams of a connection.
#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<Key, Stream>,
    holes: BTreeSet<Key>,
    /// Numbers of the streams that ended, by type and direction.
    done: [Ranges; 8],
    pending: usize,
}

impl Streams {
    /// Bytes that wait for others before them.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// Takes a STREAM frame; `round` is that of its packet number space. Gives what is weird about it.
    pub(super) fn piece(&mut self, piece: &Piece<'_>, round: u32, out: &mut Output) -> Option<&'static str> {
        let mut weird = self.make_room((piece.id, piece.direction), piece.ts, out)?;
        let key = (piece.id, piece.direction);
        let end = piece.offset.saturating_add(piece.data.len() as u64);
        self.change(key, piece.ts, round, out, |stream, sink| {
            if piece.fin {
                stream.end.get_or_insert(end);
            }
            stream.assembler.insert(piece.offset, piece.data, piece.ts, sink);
            if stream.assembler.pending_bytes() > STREAM_PENDING_MAX || stream.assembler.is_full() {
                stream.assembler.skip_hole(sink);
                weird = PENDING_WEIRD;
            }
        });
        while self.pending > CONNECTION_PENDING_MAX {
            let most = self.holes.iter().max_by_key(|key| self.open.get(key).map(|s| s.assembler.pending_bytes()));
            let Some(&most) = most else { break };
            self.change(most, piece.ts, round, out, |stream, sink| stream.assembler.skip_hole(sink));
            weird = PENDING_WEIRD;
        }
        (!weird.is_empty()).then_some(weird)
    }

    /// The sender gave a stream up; the first `reliable` bytes still count (RESET_STREAM_AT).
    pub(super) fn reset(
        &mut self,
        key: Key,
        ts: Timestamp,
        (code, reliable): (u64, u64),
        round: u32,
        out: &mut Output,
    ) -> Option<&'static str> {
        let weird = self.make_room(key, ts, out)?;
        self.change(key, ts, round, out, |stream, sink| {
            stream.reset.get_or_insert((code, reliable));
            if stream.assembler.next() >= reliable {
                stream.assembler.flush(sink);
            }
        });
        (!weird.is_empty()).then_some(weird)
    }

    /// A round of acknowledgements ended: holes nobody will fill any more are given up.
    pub(super) fn round(&mut self, direction: Direction, space: &Space, ts: Timestamp, out: &mut Output) {
        let holes = self.holes.iter().filter(|key| key.1 == direction);
        let lost = holes.filter(|key| {
            self.open.get(key).and_then(|stream| stream.hole).is_some_and(|(round, _)| space.is_lost(round))
        });
        for key in lost.copied().collect::<Vec<_>>() {
            self.change(key, ts, space.round(), out, |stream, sink| {
                stream.assembler.skip_hole(sink);
                if !stream.assembler.has_hole()
                    && let Some(end) = stream.end
                {
                    stream.assembler.skip_to(end);
                }
            });
        }
    }

    /// Nothing comes any more: what waits is handed on with its gaps.
    pub(super) fn flush(&mut self, ts: Timestamp, out: &mut Output) {
        for key in std::mem::take(&mut self.holes) {
            self.change(key, ts, 0, out, |stream, sink| {
                stream.assembler.flush(sink);
                if let Some(end) = stream.end {
                    stream.assembler.skip_to(end);
                }
            });
        }
    }

    /// Opens a stream if it is new; none if it has ended, else what is weird or nothing.
    fn make_room(&mut self, key: Key, ts: Timestamp, out: &mut Output) -> Option<&'static str> {
        if self.open.contains_key(&key) {
            return Some("");
        }
        if self.done(key).contains(key.0 >> 2) {
            return None;
        }
        self.open.insert(key, Stream::default());
        if self.open.len() <= STREAMS_MAX {
            return Some("");
        }
        let oldest = self.open.keys().find(|&&old| old != key).copied();
        if let Some(old) = oldest {
            self.change(old, ts, 0, out, |stream, sink| stream.assembler.flush(sink));
            if self.open.contains_key(&old) {
                self.end(old, ts, StreamEventKind::Cut, out);
            }
        }
        Some(STREAMS_WEIRD)
    }

    /// Changes a stream, and tells what that gives.
    fn change(
        &mut self,
        key: Key,
        ts: Timestamp,
        round: u32,
        out: &mut Output,
        with: impl FnOnce(&mut Stream, &mut Sink<'_>),
    ) {
        let Some(stream) = self.open.get_mut(&key) else { return };
        let before = stream.assembler.pending_bytes();
        with(stream, &mut |gap, bytes, ts| out.push_stream(key.0, key.1, ts, gap, bytes));
        self.pending = (self.pending + stream.assembler.pending_bytes()).saturating_sub(before);
        let next = stream.assembler.next();
        if !stream.assembler.has_hole() && stream.end.is_none_or(|end| end <= next) {
            stream.hole = None;
            self.holes.remove(&key);
        } else if stream.hole.is_none_or(|(_, at)| at != next) {
            stream.hole = Some((round, next));
            self.holes.insert(key);
        }
        let kind = match (stream.reset, stream.end) {
            (_, Some(end)) if next >= end => StreamEventKind::End { gap: stream.assembler.gap() },
            (Some((code, reliable)), _) if next >= reliable => StreamEventKind::Reset { code },
            _ => return,
        };
        self.end(key, ts, kind, out);
    }

    fn end(&mut self, key: Key, ts: Timestamp, kind: StreamEventKind, out: &mut Output) {
        if let Some(stream) = self.open.remove(&key) {
            self.pending = self.pending.saturating_sub(stream.assembler.pending_bytes());
        }
        self.holes.remove(&key);
        self.done(key).insert(key.0 >> 2..=key.0 >> 2);
        out.streams.push(StreamEvent { id: key.0, direction: key.1, ts, kind });
    }

    fn done(&mut self, key: Key) -> &mut Ranges {
        let at = (key.0 & 3) as usize * 2 + key.1.index();
        &mut self.done[at]
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, STREAM_PENDING_MAX, STREAMS_MAX, STREAMS_WEIRD, Streams};
    use crate::model::{Direction, Timestamp};
    use crate::quic::{Output, StreamEventKind};

    fn piece(id: u64, offset: u64, data: &[u8], fin: bool) -> Piece<'_> {
        Piece { id, direction: Direction::ToServer, ts: Timestamp::default(), offset, fin, data }
    }

    fn told(out: &Output) -> Vec<String> {
        let tell = |event: &crate::quic::StreamEvent| match &event.kind {
            StreamEventKind::Bytes { gap, range } => {
                format!("{} +{gap} {}", event.id, String::from_utf8_lossy(out.bytes(range)))
            }
            StreamEventKind::End { gap } => format!("{} +{gap} end", event.id),
            StreamEventKind::Reset { code } => format!("{} reset {code}", event.id),
            StreamEventKind::Cut => format!("{} cut", event.id),
        };
        out.streams.iter().map(tell).collect()
    }

    #[test]
    fn a_stream_ends_once_its_last_byte_has_come() {
        let (mut streams, mut out) = (Streams::default(), Output::new());
        for piece in [piece(4, 3, b"def", true), piece(4, 0, b"abc", false), piece(4, 0, b"abc", false)] {
            assert_eq!(streams.piece(&piece, 0, &mut out), None);
        }
        assert_eq!(told(&out), ["4 +0 abcdef", "4 +0 end"]);
    }

    #[test]
    fn a_reset_stream_gives_what_was_promised_first() {
        let (mut streams, mut out) = (Streams::default(), Output::new());
        let key = (0, Direction::ToServer);
        streams.reset(key, Timestamp::default(), (7, 3), 0, &mut out);
        assert!(out.streams.is_empty());
        streams.piece(&piece(0, 0, b"abc", false), 0, &mut out);
        streams.piece(&piece(0, 3, b"late", false), 0, &mut out);
        assert_eq!(told(&out), ["0 +0 abc", "0 reset 7"]);
    }

    #[test]
    fn what_waits_leaves_with_its_gaps_at_the_end() {
        let (mut streams, mut out) = (Streams::default(), Output::new());
        streams.piece(&piece(0, 2, b"c", false), 0, &mut out);
        streams.piece(&piece(4, 0, b"x", false), 0, &mut out);
        streams.piece(&piece(4, 5, b"", true), 0, &mut out);
        streams.flush(Timestamp::default(), &mut out);
        assert_eq!(told(&out), ["4 +0 x", "0 +2 c", "4 +4 end"]);
    }

    #[test]
    fn a_hole_before_too_many_bytes_is_given_up() {
        let (mut streams, mut out) = (Streams::default(), Output::new());
        let data = vec![0; STREAM_PENDING_MAX + 1];
        assert!(streams.piece(&piece(0, 9, &data, false), 0, &mut out).is_some());
        assert_eq!(streams.pending, 0);
        assert!(matches!(out.streams[0].kind, StreamEventKind::Bytes { gap: 9, .. }));
    }

    #[test]
    fn the_oldest_of_too_many_streams_is_cut() {
        let (mut streams, mut out) = (Streams::default(), Output::new());
        for number in 0..=STREAMS_MAX as u64 {
            let weird = streams.piece(&piece(number * 4, 1, b"z", false), 0, &mut out);
            assert_eq!(weird, (number == STREAMS_MAX as u64).then_some(STREAMS_WEIRD));
        }
        assert_eq!(told(&out), ["0 +1 z", "0 cut"]);
        assert_eq!(streams.open.len(), STREAMS_MAX);
    }
}
