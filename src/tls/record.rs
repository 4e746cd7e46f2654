//! The record layer: ciphertext of one direction to whole records (RFC 8446 §5.1). Records that lie whole in a chunk
//! are used where they are; only a partial one is kept. After a loss it finds the next record, exactly where the loss
//! stayed within one record, else by looking for a header and having `session` confirm it.

use std::ops::Range;

/// Longest record body taken (RFC 5246 §6.2.3; TLS 1.3 allows less).
pub const RECORD_BODY_MAX: usize = (1 << 14) + 2048;
/// Longest record taken, with its header: the most that is kept of a partial one.
pub const RECORD_MAX: usize = RECORD_BODY_MAX + HEADER_LEN;
/// Most bytes kept while looking for the next record after a loss.
pub const RECORD_SCAN_MAX: usize = 2 * RECORD_MAX;
/// Room a direction keeps for partial records while it has none.
const KEPT_IDLE_MAX: usize = 2048;
/// Bytes of a record header.
pub(super) const HEADER_LEN: usize = 5;

/// Content types of records.
pub(super) mod content {
    pub(in crate::tls) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in crate::tls) const ALERT: u8 = 21;
    pub(in crate::tls) const HANDSHAKE: u8 = 22;
    pub(in crate::tls) const APPLICATION_DATA: u8 = 23;
}

/// A record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: u8,
    pub(super) version: [u8; 2],
    pub(super) len: u16,
}

impl RecordHeader {
    /// The header at the beginning of `bytes`, if there can be one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[kind, major, minor, a, b] = bytes.first_chunk::<HEADER_LEN>()?;
        let len = u16::from_be_bytes([a, b]);
        let plausible =
            matches!(kind, 20..=24) && major == 3 && minor <= 4 && (1..=RECORD_BODY_MAX).contains(&len.into());
        plausible.then_some(Self { kind, version: [major, minor], len })
    }

    pub(super) const fn bytes(self) -> [u8; HEADER_LEN] {
        let [a, b] = self.len.to_be_bytes();
        [self.kind, self.version[0], self.version[1], a, b]
    }

    fn body_len(self) -> usize {
        usize::from(self.len)
    }

    fn total(self) -> usize {
        HEADER_LEN + self.body_len()
    }
}

/// Where a whole record lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its body, in the chunk.
    Chunk(Range<usize>),
    /// In the kept bytes: see [`Deframer::kept_body`].
    Kept,
}

/// A record that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) header: RecordHeader,
    pub(super) place: Place,
    /// Stream offset of its header.
    pub(super) offset: u64,
}

/// How a loss met the records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It lies within the record of this header; the next record's place is known.
    Within(RecordHeader),
    /// It lies within a record already told to be damaged.
    Same,
    /// It goes over record boundaries.
    Across,
}

/// Finds the records of one direction.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    kept: Vec<u8>,
    /// Bytes of `kept` already used.
    head: usize,
    /// Stream offset of the next byte to use.
    offset: u64,
    /// Body bytes of a damaged record still to be passed over.
    skip: u64,
    scanning: bool,
}

impl Deframer {
    /// The next whole record of the kept bytes and `chunk[*at..]`; moves `at`. Follow it with [`Self::resolve`].
    pub(super) fn next(&mut self, chunk: &[u8], at: &mut usize) -> Option<Found> {
        self.pass_over(chunk, at);
        loop {
            if self.scanning {
                return self.next_scanning(chunk, at);
            }
            if self.kept.is_empty() {
                let rest = chunk.get(*at..).unwrap_or_default();
                let Some(header) = RecordHeader::read(rest) else {
                    if rest.len() >= HEADER_LEN {
                        self.scanning = true;
                        continue;
                    }
                    self.keep(chunk, at, HEADER_LEN);
                    return None;
                };
                if header.total() > rest.len() {
                    self.keep(chunk, at, header.total());
                    return None;
                }
                let body = *at + HEADER_LEN..*at + header.total();
                *at = body.end;
                return Some(Found { header, place: Place::Chunk(body), offset: self.offset });
            }
            self.keep(chunk, at, HEADER_LEN);
            let Some(header) = RecordHeader::read(self.unused()) else {
                if self.unused().len() >= HEADER_LEN {
                    self.scanning = true;
                    continue;
                }
                return None;
            };
            self.keep(chunk, at, header.total());
            let whole = self.unused().len() >= header.total();
            return whole.then_some(Found { header, place: Place::Kept, offset: self.offset });
        }
    }

    /// The body of a record found in the kept bytes.
    pub(super) fn kept_body(&self, header: RecordHeader) -> &[u8] {
        self.unused().get(HEADER_LEN..header.total()).unwrap_or_default()
    }

    /// Whether the place of the found record is only a guess.
    pub(super) const fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// Ends the handling of a found record: it was one, or the header was an accident of the bytes.
    pub(super) fn resolve(&mut self, found: &Found, confirmed: bool) {
        let used = if confirmed || !self.scanning { found.header.total() } else { 1 };
        self.offset += used as u64;
        if found.place == Place::Kept {
            self.head += used;
            if self.head >= self.kept.len() {
                self.forget();
            }
        }
        if confirmed {
            self.scanning = false;
        }
    }

    /// `lost` bytes of the stream are missing at this point.
    pub(super) fn lose(&mut self, lost: u64) -> Loss {
        let unused = self.unused().len() as u64;
        let header = RecordHeader::read(self.unused()).filter(|_| !self.scanning);
        self.forget();
        self.offset += unused + lost;
        if self.skip > 0 && lost <= self.skip {
            self.skip -= lost;
            return Loss::Same;
        }
        if let Some(header) = header {
            let missing = (header.total() as u64).saturating_sub(unused);
            if lost <= missing {
                self.skip = missing - lost;
                return Loss::Within(header);
            }
        }
        self.skip = 0;
        self.scanning = true;
        Loss::Across
    }

    /// Whether nothing of the stream was seen yet.
    pub(super) const fn is_at_start(&self) -> bool {
        self.offset == 0 && self.kept.is_empty() && !self.scanning
    }

    /// So many bytes of the stream are no records.
    pub(super) const fn pass(&mut self, len: usize) {
        self.offset += len as u64;
    }

    /// Stream offset of the next byte to use.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is kept of a record that is not whole, without its header.
    pub(super) fn unfinished(&self) -> Option<(RecordHeader, &[u8])> {
        let header = RecordHeader::read(self.unused())?;
        Some((header, self.unused().get(HEADER_LEN..)?))
    }

    /// No more bytes come while a header waits for its body, so that one was an accident: goes on behind it. False where
    /// nothing is left.
    pub(super) fn pass_candidate(&mut self) -> bool {
        if !self.scanning || self.unused().is_empty() {
            return false;
        }
        self.head += 1;
        self.offset += 1;
        true
    }

    /// Drops what is kept, and the room of it: many flows lie idle between records.
    /// Bytes kept of an unfinished record.
    pub(super) const fn held(&self) -> usize {
        self.kept.len()
    }

    fn forget(&mut self) {
        self.head = 0;
        if self.kept.capacity() > KEPT_IDLE_MAX {
            self.kept = Vec::new();
        } else {
            self.kept.clear();
        }
    }

    fn unused(&self) -> &[u8] {
        self.kept.get(self.head..).unwrap_or_default()
    }

    fn pass_over(&mut self, chunk: &[u8], at: &mut usize) {
        let rest = chunk.len().saturating_sub(*at) as u64;
        let passed = self.skip.min(rest);
        self.skip -= passed;
        self.offset += passed;
        *at += usize::try_from(passed).unwrap_or(usize::MAX);
    }

    /// Keeps bytes of the chunk until `upto` unused ones are there.
    fn keep(&mut self, chunk: &[u8], at: &mut usize, upto: usize) {
        let rest = chunk.get(*at..).unwrap_or_default();
        let wanted = upto.saturating_sub(self.unused().len()).min(rest.len());
        if wanted > 0 && self.head > 0 && self.kept.len() + wanted > RECORD_SCAN_MAX {
            self.kept.drain(..self.head);
            self.head = 0;
        }
        self.kept.extend_from_slice(rest.get(..wanted).unwrap_or_default());
        *at += wanted;
    }

    fn next_scanning(&mut self, chunk: &[u8], at: &mut usize) -> Option<Found> {
        loop {
            self.keep(chunk, at, RECORD_MAX);
            let unused = self.unused();
            let header = (0..unused.len()).find_map(|skipped| {
                RecordHeader::read(unused.get(skipped..)?).filter(|header| header.version[1] > 0).map(|h| (skipped, h))
            });
            let passed = header.map_or(unused.len().saturating_sub(HEADER_LEN - 1), |(skipped, _)| skipped);
            self.head += passed;
            self.offset += passed as u64;
            if let Some((_, header)) = header {
                self.keep(chunk, at, header.total());
                if self.unused().len() >= header.total() {
                    return Some(Found { header, place: Place::Kept, offset: self.offset });
                }
            }
            if *at >= chunk.len() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deframer, Loss, Place, RecordHeader};
    use proptest::prelude::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind, 3, 3], &len[..], body].concat()
    }

    fn read(deframer: &mut Deframer, chunk: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut at = 0;
        let mut records = Vec::new();
        while let Some(found) = deframer.next(chunk, &mut at) {
            let body = match &found.place {
                Place::Chunk(range) => chunk[range.clone()].to_vec(),
                Place::Kept => deframer.kept_body(found.header).to_vec(),
            };
            records.push((found.offset, body));
            deframer.resolve(&found, true);
        }
        records
    }

    proptest! {
        #[test]
        fn records_are_the_same_however_the_stream_is_cut(cuts in proptest::collection::vec(1_usize..60, 0..30)) {
            let stream = [record(22, &[1; 30]), record(23, &[2; 100]), record(23, &[3; 1])].concat();
            let mut deframer = Deframer::default();
            let mut records = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                records.extend(read(&mut deframer, part));
                rest = after;
            }
            records.extend(read(&mut deframer, rest));
            prop_assert_eq!(records, vec![(0, vec![1; 30]), (35, vec![2; 100]), (140, vec![3; 1])]);
        }
    }

    #[test]
    fn a_header_that_was_none_does_not_hide_the_records_behind_it_at_the_end() {
        let accident = [23, 3, 3, 0x40, 0];
        let stream = [&[9; 7][..], &accident, &[8; 9], &record(23, &[2; 10]), &record(23, &[3; 4])].concat();
        let mut deframer = Deframer::default();
        deframer.lose(100);
        assert!(read(&mut deframer, &stream).is_empty());
        let mut records = Vec::new();
        while deframer.pass_candidate() {
            records.extend(read(&mut deframer, &[]));
        }
        assert_eq!(records, [(121, vec![2; 10]), (136, vec![3; 4])]);
    }

    #[test]
    fn a_loss_within_a_record_leaves_the_next_one_in_place() {
        let stream = [record(23, &[0x17; 100]), record(23, &[2; 10])].concat();
        let mut deframer = Deframer::default();
        assert!(read(&mut deframer, &stream[..20]).is_empty());
        let header = RecordHeader { kind: 23, version: [3, 3], len: 100 };
        assert_eq!(deframer.lose(50), Loss::Within(header));
        assert_eq!(read(&mut deframer, &stream[70..]), [(105, vec![2; 10])]);
    }

    #[test]
    fn after_a_loss_across_records_the_next_header_is_looked_for() {
        let stream =
            [record(23, &[1; 100]), record(23, &[2; 100]), record(23, &[3; 10]), record(23, &[4; 10])].concat();
        let mut deframer = Deframer::default();
        assert!(read(&mut deframer, &stream[..50]).is_empty());
        assert_eq!(deframer.lose(100), Loss::Across);
        let mut records = Vec::new();
        for byte in &stream[150..] {
            records.extend(read(&mut deframer, std::slice::from_ref(byte)));
        }
        assert_eq!(records, [(210, vec![3; 10]), (225, vec![4; 10])]);
    }
}
