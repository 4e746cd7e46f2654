//! Collects a message body: its length, SHA-256 and the bytes kept, and follows how it is delimited.

use super::Digests;
use super::chunked::Chunks;
use super::head::{Fields, Framing};
use crate::model::Body;
use sha2::{Digest, Sha256};

/// Most bytes reserved at once on the word of a `Content-Length`.
const RESERVE_MAX: usize = 1 << 20;

/// Body bytes as they come.
#[derive(Debug, Default)]
pub(super) struct BodySink {
    /// None where it is not wanted.
    hash: Option<Sha256>,
    bytes: u64,
    data: Vec<u8>,
    reserve: usize,
    keep: usize,
}

impl BodySink {
    /// A sink that keeps the first `keep` bytes and expects so many.
    pub(super) fn new(length_hint: usize, keep: usize, digests: Digests) -> Self {
        let hash = (digests == Digests::Wanted).then(Sha256::new);
        Self { hash, reserve: length_hint.min(RESERVE_MAX).min(keep), keep, ..Self::default() }
    }

    /// Whether what comes is hashed.
    pub(super) fn digests(&self) -> Digests {
        if self.hash.is_some() { Digests::Wanted } else { Digests::Unwanted }
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.data.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        let room = self.keep - self.data.len();
        if self.data.is_empty() {
            self.data.reserve(self.reserve);
        }
        self.data.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The body that came.
    pub(super) fn into_body(self, content_type: Option<String>, encodings: Vec<String>, complete: bool) -> Body {
        let sha256 = self.hash.filter(|_| self.bytes > 0).map(|hash| hash.finalize().into());
        Body { bytes: self.bytes, sha256, content_type, encodings, complete, data: self.data }
    }
}

/// What became of a body after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    More,
    /// It ended.
    Done,
    /// It cannot be followed any further; the flag says whether the next byte may begin a line.
    Lost {
        /// Whether the next byte may begin a line.
        line_start: bool,
    },
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct BodyReader {
    sink: BodySink,
    framing: Follow,
    /// Bytes of it were lost.
    gapped: bool,
}

#[derive(Debug)]
enum Follow {
    Length { left: u64 },
    Chunked(Chunks),
    UntilClose,
}

impl BodyReader {
    /// A reader of a body that has bytes to come, of which the first `keep` are kept; none where there are none.
    pub(super) fn new(framing: Framing, length_hint: usize, keep: usize, digests: Digests) -> Option<Self> {
        let follow = match framing {
            Framing::Empty | Framing::Length(0) => return None,
            Framing::Length(left) => Follow::Length { left },
            Framing::Chunked => Follow::Chunked(Chunks::default()),
            Framing::UntilClose => Follow::UntilClose,
        };
        Some(Self { sink: BodySink::new(length_hint, keep, digests), framing: follow, gapped: false })
    }

    /// Whether no byte of it has come yet, nor was lost.
    pub(super) fn is_untouched(&self) -> bool {
        self.sink.bytes == 0 && !self.gapped
    }

    /// Bytes kept of it.
    pub(super) fn held(&self) -> usize {
        self.sink.kept()
    }

    /// Whether only the end of the connection ends it.
    pub(super) fn is_until_close(&self) -> bool {
        matches!(self.framing, Follow::UntilClose)
    }

    /// Takes bytes; gives how many belong to the body.
    pub(super) fn feed(&mut self, input: &[u8]) -> (usize, Progress) {
        match &mut self.framing {
            Follow::UntilClose => {
                self.sink.push(input);
                (input.len(), Progress::More)
            }
            Follow::Length { left } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                self.sink.push(&input[..taken]);
                *left -= taken as u64;
                (taken, if *left == 0 { Progress::Done } else { Progress::More })
            }
            Follow::Chunked(chunks) => chunks.feed(input, &mut self.sink),
        }
    }

    /// Bytes were lost at this point.
    pub(super) fn lost(&mut self, gap: u64) -> Progress {
        self.gapped = true;
        match &mut self.framing {
            Follow::UntilClose => Progress::More,
            Follow::Length { left } if gap < *left => {
                *left -= gap;
                Progress::More
            }
            Follow::Length { left } if gap == *left => Progress::Done,
            Follow::Length { .. } => Progress::Lost { line_start: true },
            Follow::Chunked(chunks) => chunks.lost(gap),
        }
    }

    /// The body, `ended` where its delimiter was seen; trailers go to `fields`.
    pub(super) fn finish(self, fields: &mut Fields, ended: bool) -> Body {
        if let Follow::Chunked(chunks) = &self.framing {
            fields.add_lines(chunks.trailers());
        }
        let (content_type, encodings) = (fields.content_type.take(), std::mem::take(&mut fields.encodings));
        self.sink.into_body(content_type, encodings, ended && !self.gapped)
    }
}

/// The body of a message that has none.
pub(super) fn empty_body(fields: &mut Fields, complete: bool) -> Body {
    let (content_type, encodings) = (fields.content_type.take(), std::mem::take(&mut fields.encodings));
    Body { content_type, encodings, complete, ..Body::default() }
}
