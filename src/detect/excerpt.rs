//! The bytes around a match as text for people: the leaf's own, and those of the document around the leaf.

use crate::model::{Excerpt, Field, text_of};
use std::ops::Range;

/// Most characters before and after a match.
const AROUND_MAX: usize = 40;
/// Most characters of the match itself.
const MATCHED_MAX: usize = 256;

/// The excerpt for `range` of a field's value.
pub(super) fn excerpt(field: &Field<'_>, range: Range<usize>) -> Excerpt {
    let document = field.document.bytes;
    let outer_before = document.get(..field.within.start).unwrap_or_default();
    let outer_after = document.get(field.within.end..).unwrap_or_default();
    let (inner_before, inner_after) = (&field.value[..range.start], &field.value[range.end..]);
    let matched = &field.value[range.clone()];
    if let (Some(before), Some(matched), Some(after)) = (
        plain(end_of(outer_before, AROUND_MAX - inner_before.len().min(AROUND_MAX)), end_of(inner_before, AROUND_MAX)),
        plain(&matched[..matched.len().min(MATCHED_MAX)], &[]),
        plain(start_of(inner_after, AROUND_MAX), start_of(outer_after, AROUND_MAX - inner_after.len().min(AROUND_MAX))),
    ) {
        return Excerpt { before, matched, after };
    }
    Excerpt {
        before: last(&[tail(outer_before), tail(inner_before)].concat(), AROUND_MAX),
        matched: first(&head(&field.value[range], MATCHED_MAX), MATCHED_MAX),
        after: first(&[head(inner_after, AROUND_MAX), head(outer_after, AROUND_MAX)].concat(), AROUND_MAX),
    }
}

fn start_of(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[..bytes.len().min(count)]
}

fn end_of(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}

/// Two pieces of ASCII, which nearly all traffic is, as one text.
fn plain(first: &[u8], second: &[u8]) -> Option<String> {
    if !first.is_ascii() || !second.is_ascii() {
        return None;
    }
    let mut text = String::with_capacity(first.len() + second.len());
    for piece in [first, second] {
        text.push_str(std::str::from_utf8(piece).ok()?);
    }
    Some(text)
}

fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

fn last(text: &str, count: usize) -> String {
    let skip = text.chars().count().saturating_sub(count);
    text.chars().skip(skip).collect()
}

/// The end of some bytes as text, not beginning inside a character.
fn tail(bytes: &[u8]) -> String {
    let mut start = bytes.len().saturating_sub(AROUND_MAX * 4);
    while start > 0 && start < bytes.len() && bytes[start] & 0xc0 == 0x80 {
        start += 1;
    }
    text_of(&bytes[start..]).into_owned()
}

/// The beginning of some bytes as text, not ending inside a character.
fn head(bytes: &[u8], count: usize) -> String {
    let cut = &bytes[..bytes.len().min(count * 4)];
    match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => text_of(&cut[..error.valid_up_to()]).into_owned(),
        Ok(_) | Err(_) => text_of(cut).into_owned(),
    }
}
