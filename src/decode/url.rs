//! A URL in a value (a referrer, a landing page, an endpoint): the pairs of its query and fragment, and its path
//! with escapes undone.

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe, form, percent};
use std::borrow::Cow;
use std::ops::Range;

pub(super) struct Url;

impl Decoder for Url {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if input.shape.pair() && query(input).is_some() { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        let Some(range) = query(input) else { return };
        walker.step("url", |walker| {
            let bytes = input.bytes();
            if input.shape.percent()
                && let Cow::Owned(head) = percent::undo(&bytes[..range.start])
            {
                walker.step("percent", |walker| walker.leaf(input.doc, 0..range.start, &head, None));
            }
            let fragment = memchr::memchr(b'#', &bytes[range.clone()]).map(|found| range.start + found);
            form::pairs(input.doc, range.start..fragment.unwrap_or(range.end), walker);
            if let Some(fragment) = fragment {
                form::pairs(input.doc, fragment + 1..range.end, walker);
            }
        });
    }
}

/// Where the query of a value that is a URL, or a path with a query, stands.
fn query(input: &Input<'_>) -> Option<Range<usize>> {
    let bytes = input.bytes();
    let head = &bytes[..bytes.len().min(2048)];
    let question = memchr::memchr2(b'?', b'#', head)?;
    let before = &head[..question];
    let end = before.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte));
    let scheme = end.is_some_and(|end| end > 0 && before[end..].starts_with(b"://"));
    ((scheme || before.first() == Some(&b'/')) && !input.blank() && memchr::memchr(b'=', &bytes[question..]).is_some())
        .then_some(question + 1..bytes.len())
}
