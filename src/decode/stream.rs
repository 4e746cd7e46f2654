//! The bytes of a stream of no known protocol: shown as they are, and the JSON texts and gzip members that stand in
//! them, behind whatever framing there is, opened.

use super::gzip;
use super::walker::Walker;
use crate::model::{FieldKind, FlowId, Part, Side, Visit, Weird};
use memchr::memchr2_iter;
use std::ops::Range;

/// Most texts and members opened in one piece of a stream.
pub const EMBEDDED_MAX: usize = 256;
/// Longest first key that shows a brace to begin a JSON object.
const KEY_MAX: usize = 64;

/// Shows every field of a piece of one direction of a stream of no known protocol. What made no sense or went over a cap
/// is added to `weirds`.
pub fn stream_fields(flow: FlowId, bytes: &[u8], side: Side, visit: &mut dyn Visit, weirds: &mut Vec<Weird>) {
    let mut walker = Walker::new(side, Some(flow), visit, weirds);
    let doc = walker.enter(Part::Stream, b"", bytes, 0);
    let inner = embedded(bytes);
    // What is nothing but one text is a whole, with all that any decoder can do.
    if inner.is_empty() || inner.first().is_some_and(|first| *first == (0..bytes.len())) {
        walker.whole(doc, FieldKind::Whole, None);
        return;
    }
    walker.show_whole(doc);
    for range in inner {
        walker.leaf(doc, range.clone(), &bytes[range], None);
    }
}

/// Where JSON objects and gzip members stand, in order and apart.
pub(super) fn embedded(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut end = 0;
    for at in memchr2_iter(b'{', 0x1f, bytes) {
        if at < end {
            continue;
        }
        let rest = &bytes[at..];
        let len = if begins_object(rest) {
            object_len(rest)
        } else if gzip::magic(rest) {
            // Where a member ends only inflating tells, and what stands behind it is no part of it.
            rest.len()
        } else {
            continue;
        };
        if found.len() == EMBEDDED_MAX {
            break;
        }
        end = at + len;
        found.push(at..end);
    }
    found
}

/// Whether bytes begin with a brace, a quoted key and a colon.
fn begins_object(bytes: &[u8]) -> bool {
    let Some(key) = bytes[1..].trim_ascii_start().strip_prefix(b"\"") else { return false };
    let look = &key[..key.len().min(KEY_MAX)];
    let Some(quote) = memchr::memchr(b'"', look) else { return false };
    !look[..quote].iter().any(u8::is_ascii_control) && key[quote + 1..].trim_ascii_start().first() == Some(&b':')
}

/// Length of the object that bytes begin with; all of them where it does not end.
fn object_len(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => at += string_len(&bytes[at + 1..]),
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Length of the rest of a JSON string with its closing quote.
fn string_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(step) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += step;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at = (at + 2).min(bytes.len());
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Field, text_of};
    use std::io::Write;

    fn leaves(bytes: &[u8]) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        let mut weirds = Vec::new();
        let mut visit = |field: &Field<'_>| {
            if field.kind == FieldKind::Leaf {
                seen.push((text_of(field.key).into_owned(), String::from_utf8_lossy(field.value).into_owned()));
            }
        };
        stream_fields(FlowId(1), bytes, Side::Request, &mut visit, &mut weirds);
        seen
    }

    #[test]
    fn json_behind_binary_framing_is_opened() {
        let seen = leaves(
            b"\x30\x21\x00\x05topic{\"imei\":\"861536030196001\",\"a\":{\"b\":\"}\\\"\"}}\x00\x07{\"n\": 1}\xff",
        );
        for expected in [("imei", "861536030196001"), ("b", "}\""), ("n", "1")] {
            assert!(seen.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{expected:?} in {seen:?}");
        }
    }

    #[test]
    fn gzip_behind_binary_framing_is_opened() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"{\"oaid\":\"3f2a9c417d5e\"}").unwrap();
        let bytes = [&b"\x00\x00\x01\x02"[..], &gzip.finish().unwrap()].concat();
        assert!(leaves(&bytes).contains(&("oaid".to_owned(), "3f2a9c417d5e".to_owned())));
    }

    #[test]
    fn a_text_that_is_all_of_the_piece_is_opened_once() {
        let seen = leaves(b"{\"a\":\"value-of-a\"}");
        assert_eq!(seen, [("a".to_owned(), "value-of-a".to_owned())]);
    }

    #[test]
    fn braces_without_end_cost_no_more_than_their_length() {
        let bytes = b"{\"a\":".repeat(200_000);
        assert_eq!(embedded(&bytes).first(), Some(&(0..bytes.len())));
    }
}
