//! Lines of JSON; the pointer of a leaf starts with the line's index, `$[3].event`.

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe, json};

pub(super) struct Ndjson;

impl Decoder for Ndjson {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if looks_like(input) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.step("ndjson", |walker| {
            let bytes = input.bytes();
            let root = walker.mark();
            let mut start = 0;
            for (index, end) in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]).enumerate() {
                if walker.full() {
                    break;
                }
                walker.push_index(index);
                json::leaves(input.doc, start..end, walker);
                walker.reset(root);
                start = end + 1;
            }
        });
    }
}

/// Whether bytes are objects on lines of their own: the first line is one, and the next begins one.
pub(super) fn looks_like(input: &Input<'_>) -> bool {
    let text = input.bytes().trim_ascii();
    if text.first() != Some(&b'{') {
        return false;
    }
    let Some(line_end) = memchr::memchr(b'\n', text) else { return false };
    text[..line_end].trim_ascii_end().last() == Some(&b'}')
        && text[line_end..].trim_ascii_start().first() == Some(&b'{')
}
