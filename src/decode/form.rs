//! `application/x-www-form-urlencoded` (WHATWG URL §5.1): pairs joined by `&`, in a body or in any value.

use super::shape::Input;
use super::walker::{Doc, Walker};
use super::{Decoder, Probe, percent};
use std::ops::Range;

/// Longest key that is believed without a content type.
const KEY_MAX: usize = 128;
/// Pairs looked at before a value is believed to be a form.
const PAIRS_LOOK: usize = 8;

pub(super) struct Form;

impl Decoder for Form {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if !input.shape.pair() || input.shape.binary() {
            return Probe::No;
        }
        let named = input.content_type.is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
        let bracket = matches!(input.bytes().trim_ascii_start().first(), Some(b'{' | b'[' | b'<' | b'"'));
        if !bracket && (named || looks_like(input.bytes())) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.step("form", |walker| pairs(input.doc, 0..input.bytes().len(), walker));
    }
}

/// Whether the first pairs all have believable keys, and a value among them isn't empty.
fn looks_like(bytes: &[u8]) -> bool {
    let mut valued = false;
    let mut keyed = 0;
    for pair in bytes.split(|&byte| byte == b'&').take(PAIRS_LOOK) {
        let equals = memchr::memchr(b'=', &pair[..pair.len().min(KEY_MAX + 1)]);
        let Some(equals) = equals else {
            // The last one looked at may be a bare word, the first may not.
            if keyed == 0 || pair.len() > KEY_MAX {
                return false;
            }
            continue;
        };
        let (key, value) = (&pair[..equals], &pair[equals + 1..]);
        let sane = |&byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'$' | b'%' | b':' | b'@' | b'+')
        };
        if key.is_empty() || !key.iter().all(sane) {
            return false;
        }
        keyed += 1;
        valued |= value.iter().any(|&byte| byte != b'=');
    }
    valued
}

/// Shows the pairs at `range` of `doc` as members.
pub(super) fn pairs(doc: Doc<'_>, range: Range<usize>, walker: &mut Walker<'_>) {
    let root = walker.mark();
    for (key, value) in split(&doc.bytes[range.clone()], range.start) {
        if walker.full() {
            break;
        }
        if let Some(key) = key {
            walker.push_key(&*percent::undo_form(&doc.bytes[key]).0);
        }
        self::value(doc, value, walker);
        walker.reset(root);
    }
}

/// Shows one value of a form or query.
pub(super) fn value(doc: Doc<'_>, range: Range<usize>, walker: &mut Walker<'_>) {
    let raw = &doc.bytes[range.clone()];
    if raw.is_empty() {
        return;
    }
    let (text, escaped) = percent::undo_form(raw);
    if escaped {
        walker.step("percent", |walker| walker.leaf(doc, range, &text, None));
    } else {
        walker.leaf(doc, range, &text, None);
    }
}

/// The pairs of a query or form as ranges, `offset` added; a piece without `=` is a value without a key.
pub(super) fn split(bytes: &[u8], offset: usize) -> impl Iterator<Item = (Option<Range<usize>>, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = bytes.get(start..)?;
        let end = start + memchr::memchr(b'&', rest).unwrap_or(rest.len());
        at = end + 1;
        Some(match memchr::memchr(b'=', &bytes[start..end]) {
            Some(equals) => (Some(offset + start..offset + start + equals), offset + start + equals + 1..offset + end),
            None => (None, offset + start..offset + end),
        })
    })
}
