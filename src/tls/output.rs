//! What a session hands on: decrypted bytes in one reusable buffer, names, and what went wrong.

use crate::model::{Direction, StreamChunk, Timestamp, Weird};
use std::ops::Range;

/// Decrypted bytes of one direction within [`Output`]'s buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    direction: Direction,
    ts: Timestamp,
    gap: u64,
    range: Range<usize>,
}

/// What came of the last calls; clear it and use it again, also for other sessions.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    used: usize,
    pieces: Vec<Piece>,
    /// Host names of ClientHellos, as sent.
    pub names: Vec<String>,
    /// What made no sense; the flow is the caller's to add.
    pub weirds: Vec<Weird>,
    /// Directions that were closed by a close_notify alert.
    pub closed: Vec<Direction>,
    /// Bytes of encrypted records that were not opened.
    pub opaque_bytes: u64,
}

impl Output {
    /// An empty output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all but the room taken.
    pub fn clear(&mut self) {
        self.used = 0;
        self.pieces.clear();
        self.names.clear();
        self.weirds.clear();
        self.closed.clear();
        self.opaque_bytes = 0;
    }

    /// The decrypted application data in order; `gap` is the plaintext estimated lost before a chunk.
    pub fn plaintext(&self) -> impl Iterator<Item = StreamChunk<'_>> {
        self.pieces.iter().map(|piece| StreamChunk {
            direction: piece.direction,
            ts: piece.ts,
            bytes: self.buffer.get(piece.range.clone()).unwrap_or_default(),
            gap: piece.gap,
        })
    }

    /// Room for `len` bytes to decrypt into.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.used + len;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer.get_mut(self.used..end).unwrap_or_default()
    }

    /// Hands on the first `len` bytes of the last [`Self::room`].
    pub(super) fn push_plaintext(&mut self, direction: Direction, ts: Timestamp, gap: u64, len: usize) {
        let range = self.used..self.used + len;
        self.used = range.end;
        match self.pieces.last_mut() {
            Some(last) if gap == 0 && last.direction == direction && last.range.end == range.start => {
                last.range.end = range.end;
                last.ts = ts;
            }
            _ => self.pieces.push(Piece { direction, ts, gap, range }),
        }
    }

    /// Lends the first `len` bytes of the last [`Self::room`] while `self` can be written to.
    pub(super) fn with_room<T>(&mut self, len: usize, use_it: impl FnOnce(&[u8], &mut Self) -> T) -> T {
        let buffer = std::mem::take(&mut self.buffer);
        let value = use_it(buffer.get(self.used..self.used + len).unwrap_or_default(), self);
        self.buffer = buffer;
        value
    }
}
