//! One direction of a TCP connection → its bytes in order (RFC 9293 §3.4). Segments that come in order are handed on
//! as they are, without a copy. Where copies of a byte differ, the first one seen wins. Bytes that were acknowledged
//! but never captured, or that outlast the buffer, become a gap.

use crate::model::Timestamp;
use std::collections::BTreeMap;

/// Most bytes of one direction that wait for a missing segment.
pub const PENDING_MAX: usize = 4 << 20;
/// Most pieces they may be in.
const PIECES_MAX: usize = 8_192;
/// Acknowledgements beyond a hole after which its bytes are taken as lost by the capture: captures of several queues
/// can show an acknowledgement some packets before the data.
const HOLE_ACKS: u32 = 32;
/// Largest distance from the expected byte that is believed (RFC 7323 §2.3: windows are below 2^30).
const WINDOW_MAX: u64 = 1 << 30;
/// Position of the first byte, so that earlier ones have one too.
const ORIGIN: u64 = 1 << 33;

/// A segment as reassembly sees it.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// SYN is set.
    pub syn: bool,
    /// FIN is set.
    pub fin: bool,
    /// Payload.
    pub payload: &'a [u8],
    /// Payload bytes after it that were not captured.
    pub missing: u32,
    /// Capture time.
    pub ts: Timestamp,
}

/// What reassembly hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// The next bytes, after a gap of so many lost ones.
    Bytes {
        /// The bytes; never empty.
        bytes: &'a [u8],
        /// Bytes lost right before them.
        gap: u64,
        /// When they were captured.
        ts: Timestamp,
    },
    /// No more bytes come: FIN was reached.
    End {
        /// When.
        ts: Timestamp,
    },
}

struct Piece {
    bytes: Vec<u8>,
    missing: u64,
    ts: Timestamp,
}

/// Reassembly of one direction.
#[derive(Default)]
pub struct TcpStream {
    /// Position of the next byte to hand on; none before the first segment.
    next: Option<u64>,
    pending: BTreeMap<u64, Piece>,
    pending_bytes: usize,
    /// Bytes lost since the last delivery.
    gap: u64,
    end: Option<u64>,
    ended: bool,
    hole_acks: u32,
    last_ts: Timestamp,
}

impl TcpStream {
    /// Takes a segment and hands on what is in order now. False where it lies so far off that it can't belong here.
    pub fn segment(&mut self, segment: &Segment<'_>, sink: &mut dyn FnMut(Delivery<'_>)) -> bool {
        let first = segment.seq.wrapping_add(u32::from(segment.syn));
        let next = *self.next.get_or_insert(ORIGIN + u64::from(first));
        let Some(start) = position(next, first) else { return false };
        let end = start + segment.payload.len() as u64;
        let missing = u64::from(segment.missing);
        self.last_ts = self.last_ts.max(segment.ts);
        if segment.fin && self.end.is_none() {
            self.end = Some(end + missing);
        }
        if start > next {
            if !segment.payload.is_empty() || missing > 0 {
                self.hold(start, segment);
            }
            if self.pending_bytes > PENDING_MAX || self.pending.len() > PIECES_MAX {
                self.skip_hole();
            }
        } else if end + missing > next {
            let seen = usize::try_from(next - start).unwrap_or(usize::MAX);
            self.deliver(segment.payload.get(seen..).unwrap_or_default(), segment.ts, sink);
            let lost = end + missing - self.next.unwrap_or(next).max(end);
            self.lose(if segment.missing > 0 { lost } else { 0 });
        }
        self.drain(sink);
        true
    }

    /// The other side acknowledged all before `ack`.
    pub fn acknowledged(&mut self, ack: u32, sink: &mut dyn FnMut(Delivery<'_>)) {
        if self.pending.is_empty() {
            return;
        }
        let Some(next) = self.next else { return };
        if position(next, ack).is_some_and(|ack| ack > next) {
            self.hole_acks += 1;
            if self.hole_acks >= HOLE_ACKS {
                self.skip_hole();
                self.drain(sink);
            }
        }
    }

    /// Whether all bytes up to FIN have been handed on.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes held back.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending_bytes
    }

    /// Hands on all that waits, with its gaps: no segment will fill them any more.
    pub fn flush(&mut self, sink: &mut dyn FnMut(Delivery<'_>)) {
        while !self.pending.is_empty() {
            self.skip_hole();
            self.drain(sink);
        }
    }

    fn deliver(&mut self, bytes: &[u8], ts: Timestamp, sink: &mut dyn FnMut(Delivery<'_>)) {
        if bytes.is_empty() {
            return;
        }
        if let Some(next) = &mut self.next {
            *next += bytes.len() as u64;
        }
        let gap = std::mem::take(&mut self.gap);
        sink(Delivery::Bytes { bytes, gap, ts });
    }

    fn lose(&mut self, count: u64) {
        if let Some(next) = &mut self.next {
            *next += count;
        }
        self.gap += count;
    }

    /// Puts the parts of a segment that nobody holds yet aside.
    fn hold(&mut self, start: u64, segment: &Segment<'_>) {
        let (mut at, mut rest) = (start, segment.payload);
        let mut missing = u64::from(segment.missing);
        // A piece that begins before and reaches into the segment.
        if let Some((&before, piece)) = self.pending.range(..=at).next_back() {
            let covered = (before + piece.bytes.len() as u64).saturating_sub(at);
            let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(rest.len());
            (at, rest) = (at + covered as u64, &rest[covered..]);
        }
        while !rest.is_empty() || missing > 0 {
            // A piece none of whose bytes were captured gives way: it would hold its place for ever.
            if let Some(cut) = self.pending.get(&at).filter(|piece| piece.bytes.is_empty()) {
                missing = missing.max(cut.missing.saturating_sub(rest.len() as u64));
                self.pending.remove(&at);
            }
            let following = self.pending.range(at..).next().map(|(&start, piece)| (start, piece.bytes.len()));
            let room = following.map_or(usize::MAX, |(start, _)| usize::try_from(start - at).unwrap_or(usize::MAX));
            let own = rest.len().min(room);
            let last = following.is_none() || room >= rest.len();
            if own > 0 || (last && missing > 0 && room > 0) {
                let piece =
                    Piece { bytes: rest[..own].to_vec(), missing: if last { missing } else { 0 }, ts: segment.ts };
                self.pending_bytes += own;
                self.pending.insert(at, piece);
            }
            if last {
                break;
            }
            let Some((start, len)) = following else { break };
            let skip = (own + len).min(rest.len());
            (at, rest) = (start + len as u64, &rest[skip..]);
            if rest.is_empty() {
                missing = 0;
            }
        }
    }

    /// Gives up the bytes before the first piece that waits.
    fn skip_hole(&mut self) {
        if let (Some((&start, _)), Some(next)) = (self.pending.first_key_value(), self.next) {
            self.lose(start.saturating_sub(next));
        }
        self.hole_acks = 0;
    }

    /// Hands on the pieces that are in order now, and the end once it is reached.
    fn drain(&mut self, sink: &mut dyn FnMut(Delivery<'_>)) {
        while let (Some(entry), Some(next)) = (self.pending.first_entry(), self.next) {
            if *entry.key() > next {
                break;
            }
            let (start, piece) = entry.remove_entry();
            self.pending_bytes -= piece.bytes.len();
            self.hole_acks = 0;
            let end = start + piece.bytes.len() as u64;
            let seen = usize::try_from(next - start).unwrap_or(usize::MAX);
            self.deliver(piece.bytes.get(seen..).unwrap_or_default(), piece.ts, sink);
            let next = self.next.unwrap_or(next);
            self.lose((end + piece.missing).saturating_sub(next.max(end)).min(piece.missing));
        }
        if let (Some(end), Some(next), false) = (self.end, self.next, self.ended)
            && next >= end
        {
            self.ended = true;
            sink(Delivery::End { ts: self.last_ts });
        }
    }
}

/// The position of a sequence number near `next`; none where it is too far off.
fn position(next: u64, seq: u32) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are positions modulo 2^32")]
    let distance = i64::from(seq.wrapping_sub(next as u32).cast_signed());
    (distance.unsigned_abs() <= WINDOW_MAX).then(|| next.saturating_add_signed(distance))
}

#[cfg(test)]
mod tests {
    use super::{Delivery, Segment, TcpStream};
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn segment(seq: u32, payload: &[u8]) -> Segment<'_> {
        Segment { seq, syn: false, fin: false, payload, missing: 0, ts: Timestamp::default() }
    }

    /// Runs segments and writes what is handed on, a gap as `[n]`, the end as `$`.
    fn run(segments: &[Segment<'_>]) -> String {
        let mut out = String::new();
        let mut stream = TcpStream::default();
        let mut sink = |delivery: Delivery<'_>| match delivery {
            Delivery::Bytes { bytes, gap, .. } => {
                if gap > 0 {
                    out.push_str(&format!("[{gap}]"));
                }
                out.push_str(std::str::from_utf8(bytes).unwrap());
            }
            Delivery::End { .. } => out.push('$'),
        };
        for segment in segments {
            assert!(stream.segment(segment, &mut sink));
        }
        stream.flush(&mut sink);
        out
    }

    const SYN: Segment<'_> =
        Segment { seq: 99, syn: true, fin: false, payload: b"", missing: 0, ts: Timestamp::from_nanos(0) };

    #[test]
    fn order_repeats_overlaps_and_gaps() {
        let s = segment;
        assert_eq!(run(&[SYN, s(100, b"ab"), s(102, b"cd")]), "abcd");
        assert_eq!(run(&[SYN, s(102, b"cd"), s(100, b"ab")]), "abcd");
        assert_eq!(run(&[SYN, s(100, b"ab"), s(100, b"ab"), s(101, b"bcd")]), "abcd");
        assert_eq!(run(&[SYN, s(100, b"ab"), s(104, b"ef")]), "ab[2]ef");
        assert_eq!(run(&[SYN, s(104, b"ef"), s(102, b"CDEF"), s(100, b"ab")]), "abCDef");
        assert_eq!(run(&[SYN, s(102, b"c"), s(104, b"e"), s(100, b"ABCDEF")]), "ABCDEF");
        assert_eq!(run(&[SYN, s(103, b"d"), s(102, b"CDEF"), s(100, b"ab")]), "abCdEF");
        assert_eq!(run(&[s(5, b"mid"), s(8, b"dle")]), "middle");
        assert_eq!(run(&[SYN, s(100, b"ab"), s(101, b"")]), "ab");
    }

    #[test]
    fn a_fin_ends_the_stream_once_all_before_it_is_there() {
        let fin = Segment { fin: true, ..segment(102, b"cd") };
        assert_eq!(run(&[SYN, fin, segment(100, b"ab")]), "abcd$");
    }

    #[test]
    fn bytes_cut_by_the_snap_length_are_a_gap() {
        let cut = Segment { missing: 3, ..segment(100, b"ab") };
        assert_eq!(run(&[SYN, cut, segment(105, b"f")]), "ab[3]f");
        assert_eq!(run(&[SYN, segment(105, b"f"), cut]), "ab[3]f");
        let all_cut = Segment { missing: 3, ..segment(102, b"") };
        assert_eq!(run(&[SYN, all_cut, segment(102, b"cde"), segment(100, b"ab")]), "abcde");
        assert_eq!(run(&[SYN, all_cut, segment(102, b"c"), segment(100, b"ab"), segment(105, b"f")]), "abc[2]f");
        assert_eq!(run(&[SYN, all_cut, segment(101, b"bcdefg"), segment(100, b"a")]), "abcdefg");
    }

    #[test]
    fn a_hole_that_was_acknowledged_is_given_up() {
        let (mut stream, mut out) = (TcpStream::default(), Vec::new());
        let mut sink = |delivery: Delivery<'_>| {
            if let Delivery::Bytes { bytes, gap, .. } = delivery {
                out.push((gap, bytes.to_vec()));
            }
        };
        stream.segment(&SYN, &mut sink);
        stream.segment(&segment(102, b"cd"), &mut sink);
        for _ in 0..super::HOLE_ACKS {
            stream.acknowledged(104, &mut sink);
        }
        assert_eq!(out, [(2, b"cd".to_vec())]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let start = u32::MAX - 1;
        let syn = Segment { seq: start.wrapping_sub(1), ..SYN };
        assert_eq!(run(&[syn, segment(start.wrapping_add(2), b"cd"), segment(start, b"ab")]), "abcd");
    }

    proptest! {
        #[test]
        fn any_order_and_any_overlap_give_the_same_bytes(
            cuts in proptest::collection::vec((0usize..400, 1usize..60), 1..60), order in any::<u64>()
        ) {
            let text: Vec<u8> = (0..400u32).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
            let mut pieces: Vec<(usize, usize)> = cuts.iter().map(|&(at, len)| (at, (at + len).min(400))).collect();
            pieces.extend((0..400).step_by(20).map(|at| (at, at + 20)));
            let mut state = order | 1;
            for at in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let other = usize::try_from(state >> 33).unwrap() % (at + 1);
                pieces.swap(at, other);
            }
            let seqs: Vec<u32> = pieces.iter().map(|&(at, _)| 100 + u32::try_from(at).unwrap()).collect();
            let mut segments = vec![SYN];
            segments.extend(pieces.iter().zip(&seqs).map(|(&(from, to), &seq)| segment(seq, &text[from..to])));
            prop_assert_eq!(run(&segments), String::from_utf8(text.clone()).unwrap());
        }
    }
}
