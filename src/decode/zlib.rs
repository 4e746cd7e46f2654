//! zlib streams (RFC 1950), and raw deflate (RFC 1951) where a header promised `deflate`.

use super::compressed::{End, Inflated, pull};
use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};

pub(super) struct Zlib;

/// Whether bytes begin with a zlib header: deflate, no dictionary, check bits right.
pub(super) fn magic(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flags, _, _, _, _, _, _, ..]
        if cmf & 0x0f == 8 && cmf >> 4 <= 7 && flags & 0x20 == 0 && (u16::from(*cmf) << 8 | u16::from(*flags)) % 31 == 0)
}

fn inflate(bytes: &[u8], limit: usize) -> Inflated {
    pull(flate2::read::ZlibDecoder::new(bytes), limit)
}

/// `Content-Encoding: deflate`, which means zlib but is often sent raw (RFC 9110 §8.4.1.2).
pub(super) fn inflate_either(bytes: &[u8], limit: usize) -> Inflated {
    if magic(bytes) {
        let inflated = inflate(bytes, limit);
        if inflated.end != End::Broken || !inflated.data.is_empty() {
            return inflated;
        }
    }
    pull(flate2::read::DeflateDecoder::new(bytes), limit)
}

impl Decoder for Zlib {
    fn probe(&self, input: &Input<'_>) -> Probe {
        // Every other window size than 32 KiB is rare, and its header is two letters of plain text.
        let usual = input.bytes().first() == Some(&0x78) || input.shape.binary();
        if usual && magic(input.bytes()) { Probe::Unsure } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.inflate(input, "zlib", inflate);
    }
}
