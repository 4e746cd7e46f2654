//! What the decompressors share: reading a decoder to its end, its error, or a cap, and keeping what came out.

use super::shape::{Input, is_text};
use super::walker::Walker;
use crate::model::FieldKind;
use std::io::Read;

/// How decompression ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All of it came out.
    Complete,
    /// The data stopped early or was damaged.
    Broken,
    /// More than allowed would have come out.
    Capped,
}

/// What came out and how it ended.
pub(super) struct Inflated {
    pub(super) data: Vec<u8>,
    pub(super) end: End,
}

/// Reads `reader` until its end, an error or `limit` bytes.
pub(super) fn pull(mut reader: impl Read, limit: usize) -> Inflated {
    let mut data = Vec::new();
    let mut filled = 0;
    loop {
        if filled == data.len() {
            if filled >= limit {
                let end = if matches!(reader.read(&mut [0]), Ok(0)) { End::Complete } else { End::Capped };
                return Inflated { data, end };
            }
            data.resize((filled * 2).clamp(16 << 10, limit.max(1)), 0);
        }
        match reader.read(&mut data[filled..]) {
            Ok(0) => {
                data.truncate(filled);
                return Inflated { data, end: End::Complete };
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => {
                data.truncate(filled);
                return Inflated { data, end: End::Broken };
            }
        }
    }
}

/// A decompressor: bytes and the most that may come out.
pub(super) type Codec = fn(&[u8], usize) -> Inflated;

/// The codec of a `Content-Encoding` token, with the name shown in chains.
pub(super) fn content_codec(token: &str) -> Option<(&'static str, Codec)> {
    Some(match token {
        "gzip" | "x-gzip" => ("gzip", super::gzip::inflate),
        "deflate" | "zlib" | "x-deflate" => ("deflate", super::zlib::inflate_either),
        "br" => ("br", brotli),
        "zstd" => ("zstd", super::zstandard::inflate),
        _ => return None,
    })
}

fn brotli(bytes: &[u8], limit: usize) -> Inflated {
    pull(brotli_decompressor::Decompressor::new(bytes, 4 << 10), limit)
}

impl Walker<'_> {
    /// Undoes a compression that was recognised by its first bytes, if what comes out is believable.
    pub(super) fn inflate(&mut self, input: &Input<'_>, name: &'static str, codec: Codec) {
        let inflated = codec(input.bytes(), self.room(input.bytes().len()));
        let believable = match inflated.end {
            End::Complete | End::Capped => !inflated.data.is_empty(),
            End::Broken => inflated.data.len() >= 16 || (!inflated.data.is_empty() && is_text(&inflated.data)),
        };
        if !believable {
            return;
        }
        self.report(inflated.end);
        self.step(name, |walker| walker.decoded(&inflated.data, FieldKind::Whole));
    }

    /// Reports a decompression that did not give all.
    pub(super) fn report(&mut self, end: End) {
        match end {
            End::Complete => {}
            End::Broken => self.weird("compressed data cut short or damaged"),
            End::Capped => self.weird("compressed data inflates beyond the cap"),
        }
    }
}
