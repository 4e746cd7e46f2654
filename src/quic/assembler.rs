//! Pieces of a byte stream in any order to its bytes in order. What comes in order is handed on without a copy; where
//! copies of a byte differ the first one seen wins. A hole is given up only when told so, and becomes a gap.

use crate::model::Timestamp;
use std::collections::BTreeMap;

/// Most pieces of one stream that wait for what is before them.
pub const PIECES_MAX: usize = 4096;

/// What takes the bytes: the gap before them, the bytes, their time.
pub(super) type Sink<'s> = dyn FnMut(u64, &[u8], Timestamp) + 's;

struct Piece {
    bytes: Vec<u8>,
    ts: Timestamp,
}

/// One direction of a stream.
#[derive(Default)]
pub(super) struct Assembler {
    next: u64,
    pending: BTreeMap<u64, Piece>,
    pending_bytes: usize,
    /// Bytes lost since the last ones handed on.
    gap: u64,
}

impl Assembler {
    /// Where the next byte to hand on is.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Bytes that wait.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether bytes wait for what is before them.
    pub(super) fn has_hole(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether more pieces wait than may.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() > PIECES_MAX
    }

    /// Takes a piece and hands on what is in order now.
    pub(super) fn insert(&mut self, offset: u64, bytes: &[u8], ts: Timestamp, sink: &mut Sink<'_>) {
        let end = offset.saturating_add(bytes.len() as u64);
        if end <= self.next {
            return;
        }
        if offset <= self.next {
            self.deliver(offset, bytes, ts, sink);
        } else {
            self.hold(offset, bytes, ts);
        }
        self.drain(sink);
    }

    /// Gives up the hole before the first piece that waits.
    pub(super) fn skip_hole(&mut self, sink: &mut Sink<'_>) {
        if let Some((&start, _)) = self.pending.first_key_value() {
            self.skip_to(start);
            self.drain(sink);
        }
    }

    /// Hands on all that waits, with its gaps.
    pub(super) fn flush(&mut self, sink: &mut Sink<'_>) {
        while self.has_hole() {
            self.skip_hole(sink);
        }
    }

    /// What is before `offset` is lost, as far as it has not come and nothing waits.
    pub(super) fn skip_to(&mut self, offset: u64) {
        let lost = offset.saturating_sub(self.next);
        self.next += lost;
        self.gap += lost;
    }

    /// Bytes lost since the last ones handed on.
    pub(super) const fn gap(&self) -> u64 {
        self.gap
    }

    fn deliver(&mut self, offset: u64, bytes: &[u8], ts: Timestamp, sink: &mut Sink<'_>) {
        // What waits was seen before, so it wins over the part of `bytes` beyond where it begins.
        let seen = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut rest = bytes.get(seen..).unwrap_or_default();
        while !rest.is_empty() {
            let room = self.pending.first_key_value().map_or(u64::MAX, |(&start, _)| start - self.next);
            let (part, after) = rest.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(rest.len()));
            self.hand_on(part, ts, sink);
            rest = after;
            if rest.is_empty() {
                break;
            }
            let before = self.next;
            self.drain(sink);
            let covered = usize::try_from(self.next - before).unwrap_or(usize::MAX);
            rest = rest.get(covered..).unwrap_or_default();
        }
    }

    fn hand_on(&mut self, bytes: &[u8], ts: Timestamp, sink: &mut Sink<'_>) {
        if !bytes.is_empty() {
            self.next += bytes.len() as u64;
            sink(std::mem::take(&mut self.gap), bytes, ts);
        }
    }

    /// Puts the parts nobody holds yet aside.
    fn hold(&mut self, offset: u64, bytes: &[u8], ts: Timestamp) {
        let (mut at, mut rest) = (offset, bytes);
        if let Some((&before, piece)) = self.pending.range(..=at).next_back() {
            let covered = (before + piece.bytes.len() as u64).saturating_sub(at);
            rest = rest.get(usize::try_from(covered).unwrap_or(usize::MAX)..).unwrap_or_default();
            at += covered;
        }
        while !rest.is_empty() {
            let following = self.pending.range(at..).next().map(|(&start, piece)| (start, piece.bytes.len()));
            let room = following.map_or(u64::MAX, |(start, _)| start - at);
            let (part, after) = rest.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(rest.len()));
            if !part.is_empty() {
                self.pending_bytes += part.len();
                self.pending.insert(at, Piece { bytes: part.to_vec(), ts });
            }
            let Some((start, len)) = following else { break };
            rest = after.get(len..).unwrap_or_default();
            at = start + len as u64;
        }
    }

    fn drain(&mut self, sink: &mut Sink<'_>) {
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() > self.next {
                break;
            }
            let piece = entry.remove();
            self.pending_bytes -= piece.bytes.len();
            self.hand_on(&piece.bytes, piece.ts, sink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Assembler;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn collect(pieces: &[(usize, Vec<u8>)]) -> (Vec<u8>, Assembler) {
        let (mut assembler, mut got) = (Assembler::default(), Vec::new());
        for (offset, bytes) in pieces {
            assembler.insert(*offset as u64, bytes, Timestamp::default(), &mut |gap, bytes, _| {
                assert_eq!(gap, 0);
                got.extend_from_slice(bytes);
            });
        }
        (got, assembler)
    }

    proptest! {
        #[test]
        fn any_order_of_overlapping_pieces_gives_the_same_bytes(
            mut cuts in proptest::collection::vec((0_usize..300, 1_usize..80), 1..40),
            order in any::<u64>(),
        ) {
            let stream: Vec<u8> = (0..400).map(|i| u8::try_from(i % 251).expect("a byte")).collect();
            cuts.extend((0..380).step_by(20).map(|start| (start, 20)));
            cuts.sort_by_key(|&(start, len)| (start as u64 * 7919 + len as u64 * 104_729) ^ order);
            let pieces: Vec<_> =
                cuts.iter().map(|&(start, len)| (start, stream[start..(start + len).min(380)].to_vec())).collect();
            let (got, assembler) = collect(&pieces);
            prop_assert_eq!(got, &stream[..380]);
            prop_assert_eq!((assembler.pending_bytes(), assembler.has_hole()), (0, false));
        }
    }

    #[test]
    fn the_first_copy_of_a_byte_wins() {
        let (got, _) = collect(&[(2, b"CD".to_vec()), (0, b"abcdef".to_vec()), (3, b"xxx!".to_vec())]);
        assert_eq!(got, b"abCDef!");
    }

    #[test]
    fn a_hole_given_up_is_a_gap() {
        let mut assembler = Assembler::default();
        let mut got = Vec::new();
        let mut sink = |gap, bytes: &[u8], _| got.push((gap, bytes.to_vec()));
        assembler.insert(0, b"ab", Timestamp::default(), &mut sink);
        assembler.insert(5, b"f", Timestamp::default(), &mut sink);
        assembler.insert(8, b"i", Timestamp::default(), &mut sink);
        assembler.flush(&mut sink);
        assembler.insert(2, b"late", Timestamp::default(), &mut sink);
        assembler.insert(9, b"j", Timestamp::default(), &mut sink);
        assert_eq!(got, [(0, b"ab".to_vec()), (3, b"f".to_vec()), (2, b"i".to_vec()), (0, b"j".to_vec())]);
    }
}
