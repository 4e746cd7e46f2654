//! gzip members (RFC 1952), one or several.

use super::compressed::{Inflated, pull};
use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};

pub(super) struct Gzip;

/// Whether bytes begin with a gzip header.
pub(super) fn magic(bytes: &[u8]) -> bool {
    bytes.len() >= 18 && bytes.starts_with(&[0x1f, 0x8b, 8]) && bytes[3] & 0xe0 == 0
}

pub(super) fn inflate(bytes: &[u8], limit: usize) -> Inflated {
    pull(flate2::bufread::MultiGzDecoder::new(bytes), limit)
}

impl Decoder for Gzip {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if magic(input.bytes()) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.inflate(input, "gzip", inflate);
    }
}
