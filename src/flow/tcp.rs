//! One direction of a TCP connection → its bytes in order (RFC 9293 §3.4). Segments that come in order are handed on
//! as they are, without a copy. Where copies of a byte differ, the first one seen wins. Bytes that were acknowledged
//! but never captured, or that outlast the buffer, become a gap. What one direction has to wait for in the other is
//! known to `conversation`.

use crate::model::Timestamp;
use std::collections::BTreeMap;

/// Most bytes of one direction that wait for a missing segment.
pub const PENDING_MAX: usize = 4 << 20;
/// Most pieces they may be in.
const PIECES_MAX: usize = 8_192;
/// Acknowledgements beyond a hole after which its bytes are taken as lost by the capture: captures of several queues
/// can show an acknowledgement some packets before the data.
const HOLE_ACKS: u32 = 32;
/// The same, in time: no capture shows packets in an order that is wrong by more.
const HOLE_NS: i64 = 200_000_000;
/// Packets with data after which the first bytes of a direction whose SYN was not seen are taken as its beginning …
const OPENING_PACKETS: u32 = 8;
/// … or so much time after the first of them, if the other side acknowledges nothing of it before.
const OPENING_NS: i64 = 100_000_000;
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
    /// What its sender had seen of the other direction.
    ack: Option<u32>,
}

/// How far the other direction has been handed on: bytes that acknowledge more than that wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    /// Position of its next byte; none where it is not known, and nothing waits.
    next: Option<u64>,
}

impl Reached {
    /// Whether all before `ack` has been handed on.
    fn includes(self, ack: Option<u32>) -> bool {
        match (self.next, ack) {
            (Some(next), Some(ack)) => position(next, ack).is_none_or(|ack| ack <= next),
            _ => true,
        }
    }
}

/// Reassembly of one direction.
#[derive(Default)]
pub struct TcpStream {
    /// Position of the first segment seen, whatever its place in the stream.
    anchor: Option<u64>,
    /// Position of the next byte to hand on; none until it is known where the stream begins.
    next: Option<u64>,
    opening: Opening,
    pending: BTreeMap<u64, Piece>,
    pending_bytes: usize,
    /// Bytes lost since the last delivery.
    gap: u64,
    end: Option<End>,
    ended: bool,
    hole_acks: u32,
    hole_since: Option<Timestamp>,
    /// Bytes that were acknowledged never came: nothing waits for this direction until some of it comes.
    absent: bool,
    last_ts: Timestamp,
}

/// What tells where a direction begins whose SYN was not seen.
#[derive(Default)]
struct Opening {
    /// Highest acknowledgement of the other side.
    ack: Option<u32>,
    /// Sequence number of the first segment without data: its sender had sent nothing beyond.
    idle: Option<u32>,
    /// Packets with data.
    packets: u32,
    since: Timestamp,
}

#[derive(Clone, Copy)]
struct End {
    at: u64,
    ack: Option<u32>,
}

impl TcpStream {
    /// Takes a segment and hands on what is in order now. False where it lies so far off that it can't belong here.
    pub fn segment(&mut self, segment: &Segment<'_>, sink: &mut dyn FnMut(Delivery<'_>)) -> bool {
        let fits = self.take(segment, None, Reached::default(), sink);
        self.drain(Reached::default(), sink);
        while self.is_over_cap() {
            self.give_up();
            self.drain(Reached::default(), sink);
        }
        fits
    }

    /// The other side acknowledged all before `ack`.
    pub fn acknowledged(&mut self, ack: u32, sink: &mut dyn FnMut(Delivery<'_>)) {
        self.note_ack(ack, self.last_ts);
        self.drain(Reached::default(), sink);
    }

    /// As [`Self::segment`], but bytes whose sender had seen more of the other direction than was handed on are held,
    /// and nothing that was held is handed on yet.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        ack: Option<u32>,
        other: Reached,
        sink: &mut dyn FnMut(Delivery<'_>),
    ) -> bool {
        let first = segment.seq.wrapping_add(u32::from(segment.syn));
        let near = self.next.unwrap_or(*self.anchor.get_or_insert(ORIGIN + u64::from(first)));
        let Some(start) = position(near, first) else { return false };
        let end = start + segment.payload.len() as u64;
        let missing = u64::from(segment.missing);
        self.last_ts = self.last_ts.max(segment.ts);
        if segment.fin && self.end.is_none() {
            self.end = Some(End { at: end + missing, ack });
        }
        if segment.syn && self.next.is_none() {
            self.next = Some(start);
        }
        let empty = segment.payload.is_empty() && missing == 0;
        let Some(next) = self.next else {
            self.open(start, segment, ack, empty);
            return true;
        };
        if start > next || !other.includes(ack) {
            if !empty && end + missing > next {
                self.hold(start, segment, ack);
            }
        } else if end + missing > next {
            let seen = usize::try_from(next - start).unwrap_or(usize::MAX);
            self.deliver(segment.payload.get(seen..).unwrap_or_default(), segment.ts, sink);
            let lost = end + missing - self.next.unwrap_or(next).max(end);
            self.lose(if segment.missing > 0 { lost } else { 0 });
        }
        true
    }

    /// Takes a segment of a direction of which it is not known where it begins.
    fn open(&mut self, start: u64, segment: &Segment<'_>, ack: Option<u32>, empty: bool) {
        if empty {
            self.opening.idle.get_or_insert(segment.seq);
            // A FIN alone says that all before it was sent.
            if segment.fin && self.pending.is_empty() {
                self.next = Some(start);
            }
            return;
        }
        // A keep-alive repeats the last byte before the next one, or a byte that never was (RFC 9293 §3.8.4).
        let is_probe = segment.payload.len() == 1
            && self.opening.ack.is_some_and(|ack| position(start, ack).is_some_and(|ack| ack == start + 1));
        if is_probe {
            self.next = Some(start + 1);
            return;
        }
        if self.opening.packets == 0 {
            self.opening.since = segment.ts;
        }
        self.opening.packets += 1;
        self.hold(start, segment, ack);
        let waited = segment.ts.nanos().saturating_sub(self.opening.since.nanos());
        if self.opening.packets >= OPENING_PACKETS || waited >= OPENING_NS {
            self.begin();
        } else {
            self.begin_if_known();
        }
    }

    /// Begins where something says that nothing is missing before the first bytes that wait.
    fn begin_if_known(&mut self) {
        let Some((&lowest, _)) = self.pending.first_key_value() else { return };
        let acked = self.opening.ack.and_then(|ack| position(lowest, ack)).is_some_and(|ack| ack >= lowest);
        let idle = self.opening.idle.and_then(|seq| position(lowest, seq)).is_some_and(|seq| seq == lowest);
        if acked || idle {
            self.begin();
        }
    }

    /// Begins with the first bytes that wait.
    fn begin(&mut self) {
        if let (Some((&lowest, piece)), None) = (self.pending.first_key_value(), self.next) {
            let is_probe = piece.bytes == [0] && piece.missing == 0;
            self.next = Some(lowest + u64::from(is_probe));
        }
    }

    /// The other side acknowledged all before `ack` in a packet captured at `ts`. What it says to be there and is not
    /// is given up after some such packets.
    pub(super) fn note_ack(&mut self, ack: u32, ts: Timestamp) {
        let Some(next) = self.next else {
            self.opening.ack = Some(match self.opening.ack {
                Some(known) if known.wrapping_sub(ack).cast_signed() > 0 => known,
                Some(_) | None => ack,
            });
            self.begin_if_known();
            return;
        };
        let Some(ack) = position(next, ack) else { return };
        let ack = self.end.map_or(ack, |end| ack.min(end.at.max(next)));
        if ack <= next || (self.absent && self.pending.is_empty()) {
            return;
        }
        self.hole_acks += 1;
        let since = *self.hole_since.get_or_insert(ts);
        if self.hole_acks >= HOLE_ACKS || ts.nanos().saturating_sub(since.nanos()) >= HOLE_NS {
            self.lose_until(ack);
        }
    }

    /// Waits no longer for what is missing before `ack`. Where nothing came after it, it may still come (the directions
    /// of a connection may stand one after the other in a capture), but nothing waits for it any more.
    fn lose_until(&mut self, ack: u64) {
        let Some(next) = self.next else { return };
        (self.hole_acks, self.hole_since) = (0, None);
        match self.pending.first_entry() {
            // Ready, but each direction waits for the other: that can't have been.
            Some(mut entry) if *entry.key() <= next => entry.get_mut().ack = None,
            Some(entry) if *entry.key() <= ack => {
                let start = *entry.key();
                self.lose(start - next);
            }
            Some(_) | None => self.absent = true,
        }
    }

    /// No byte from `seq` on was sent. Whether all before it has been handed on.
    pub(super) fn end_at(&mut self, seq: u32) -> bool {
        let Some(next) = self.next else { return self.pending.is_empty() };
        // A number that can't be is that of a reset by somebody else, or of a careless sender.
        let Some(at) = position(next, seq).filter(|&at| at > next) else { return true };
        self.end.get_or_insert(End { at, ack: None });
        false
    }

    /// How far it has been handed on, for the other direction to wait for.
    pub(super) fn reached(&self) -> Reached {
        Reached { next: self.next.filter(|_| !self.absent && !self.ended) }
    }

    /// Whether more waits than may.
    pub(super) fn is_over_cap(&self) -> bool {
        self.pending_bytes > PENDING_MAX || self.pending.len() > PIECES_MAX
    }

    /// What the first bytes that wait have to wait for.
    pub(super) fn obstacle(&self, other: Reached) -> Obstacle {
        let (Some((&start, piece)), Some(next)) = (self.pending.first_key_value(), self.next) else {
            return match (self.pending.is_empty(), self.end) {
                (false, _) => Obstacle::Beginning,
                (true, Some(End { ack: Some(ack), .. })) if !self.ended && !other.includes(Some(ack)) => {
                    Obstacle::Other(ack)
                }
                (true, _) => Obstacle::None,
            };
        };
        match piece.ack {
            _ if start > next => Obstacle::Hole,
            Some(ack) if !other.includes(Some(ack)) => Obstacle::Other(ack),
            _ => Obstacle::None,
        }
    }

    /// Waits no longer for what is before the first bytes that wait, in this direction.
    pub(super) fn give_up(&mut self) {
        self.begin();
        self.skip_hole();
    }

    /// Waits no longer for what the other side acknowledged, so that the other direction can go on.
    pub(super) fn give_up_until(&mut self, ack: u32) {
        self.begin();
        if let Some(ack) = self.next.and_then(|next| position(next, ack)) {
            self.lose_until(ack);
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
            self.give_up();
            self.drain(Reached::default(), sink);
        }
    }

    fn deliver(&mut self, bytes: &[u8], ts: Timestamp, sink: &mut dyn FnMut(Delivery<'_>)) {
        if bytes.is_empty() {
            return;
        }
        if let Some(next) = &mut self.next {
            *next += bytes.len() as u64;
        }
        (self.hole_acks, self.hole_since, self.absent) = (0, None, false);
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
    fn hold(&mut self, start: u64, segment: &Segment<'_>, ack: Option<u32>) {
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
                let missing = if last { missing } else { 0 };
                let piece = Piece { bytes: rest[..own].to_vec(), missing, ts: segment.ts, ack };
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
        (self.hole_acks, self.hole_since) = (0, None);
    }

    /// Hands on the pieces that are in order now, and the end once it is reached. Whether anything was.
    pub(super) fn drain(&mut self, other: Reached, sink: &mut dyn FnMut(Delivery<'_>)) -> bool {
        let mut any = false;
        while let (Some(entry), Some(next)) = (self.pending.first_entry(), self.next) {
            if *entry.key() > next || !other.includes(entry.get().ack) {
                break;
            }
            any = true;
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
            && next >= end.at
            && other.includes(end.ack)
        {
            (self.ended, any) = (true, true);
            sink(Delivery::End { ts: self.last_ts });
        }
        any
    }
}

/// What the first bytes of a direction that wait have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Nothing.
    None,
    /// It is not known where the direction begins.
    Beginning,
    /// Bytes before them.
    Hole,
    /// Bytes of the other direction, up to this acknowledgement.
    Other(u32),
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
