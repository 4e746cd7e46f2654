//! Percent-escapes (RFC 3986 §2.1) in a value that is nothing else.

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};
use std::borrow::Cow;

pub(super) struct Percent;

impl Decoder for Percent {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if input.shape.percent() && !input.shape.binary() { Probe::Unsure } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        if let Cow::Owned(text) = undo(input.bytes()) {
            walker.step("percent", |walker| walker.decoded(&text, input.kind));
        }
    }
}

/// The bytes with every valid escape undone; borrowed if there is none.
pub(super) fn undo(bytes: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(bytes).into()
}

/// A value of a form or query: escapes undone and `+` as a space. Tells whether there were escapes.
pub(super) fn undo_form(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    if memchr::memchr2(b'%', b'+', bytes).is_none() {
        return (Cow::Borrowed(bytes), false);
    }
    let spaced: Vec<u8> = bytes.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let undone = match undo(&spaced) {
        Cow::Owned(undone) => Some(undone),
        Cow::Borrowed(_) => None,
    };
    match undone {
        Some(undone) => (Cow::Owned(undone), true),
        None => (Cow::Owned(spaced), false),
    }
}
