//! Zstandard frames (RFC 8878).

use super::compressed::{End, Inflated, pull};
use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};

/// Largest window a frame may ask for: 2^25 bytes.
const WINDOW_LOG_MAX: u32 = 25;

pub(super) struct Zstandard;

/// Whether bytes begin with a frame.
pub(super) fn magic(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

pub(super) fn inflate(bytes: &[u8], limit: usize) -> Inflated {
    let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
        .and_then(|mut decoder| decoder.window_log_max(WINDOW_LOG_MAX).map(|()| decoder));
    match decoder {
        Ok(decoder) => pull(decoder, limit),
        Err(_) => Inflated { data: Vec::new(), end: End::Broken },
    }
}

impl Decoder for Zstandard {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if magic(input.bytes()) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.inflate(input, "zstd", inflate);
    }
}
