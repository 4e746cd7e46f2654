//! The wire format of protocol buffers: fields of one message, from bytes alone, and how much bytes look like one.

use super::shape::is_text;
use std::ops::Range;

/// Highest field number the format allows.
const NUMBER_MAX: u64 = (1 << 29) - 1;
/// Highest field number believed where nothing says that the bytes are a message.
const NUMBER_LIKELY: u32 = 2_000;
/// Highest number of a first field that is worth a closer look.
const FIRST_LIKELY: u64 = 100;
/// Messages inside each other that are looked into for texts.
const LOOK_DEPTH: u32 = 8;
/// Shortest text that speaks for a message.
const TEXT_MIN: usize = 4;
/// Bytes of text that are wanted in a message nothing announced.
const TEXT_WANTED: usize = 8;

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    /// Text, bytes, a message or packed numbers, at this place.
    Bytes(Range<usize>),
    /// Where a group begins or ends; it has no value of its own.
    Group,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireField {
    pub(super) number: u32,
    pub(super) value: Value,
    /// Where the value stands.
    pub(super) within: Range<usize>,
}

/// A field that is none, or is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of the message at `range`, up to the first that is malformed.
pub(super) fn fields(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Result<WireField, Malformed>> {
    let bytes = &bytes[..range.end];
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let field = field(bytes, &mut at);
        if field.is_none() {
            at = bytes.len();
        }
        Some(field.ok_or(Malformed))
    })
}

fn field(bytes: &[u8], at: &mut usize) -> Option<WireField> {
    let tag = varint(bytes, at)?;
    let number = tag >> 3;
    if number == 0 || number > NUMBER_MAX {
        return None;
    }
    let start = *at;
    let value = match tag & 7 {
        0 => Value::Varint(varint(bytes, at)?),
        1 => Value::Fixed64(*fixed(bytes, at)?),
        2 => {
            let length = usize::try_from(varint(bytes, at)?).ok()?;
            let from = *at;
            let to = from.checked_add(length).filter(|&to| to <= bytes.len())?;
            *at = to;
            return Some(WireField {
                number: u32::try_from(number).ok()?,
                value: Value::Bytes(from..to),
                within: from..to,
            });
        }
        3 | 4 => Value::Group,
        5 => Value::Fixed32(*fixed(bytes, at)?),
        _ => return None,
    };
    Some(WireField { number: u32::try_from(number).ok()?, value, within: start..*at })
}

/// A number in groups of seven bits, of which the last may be needless: some writers leave room for a length. None if it
/// doesn't fit 64 bits.
pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in bytes.get(*at..)?.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            *at += index + 1;
            return Some(value);
        }
    }
    None
}

fn fixed<'a, const N: usize>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8; N]> {
    let value = bytes.get(*at..)?.first_chunk()?;
    *at += N;
    Some(value)
}

/// Whether the range can be read as a message to its end.
pub(super) fn parses(bytes: &[u8], range: Range<usize>) -> bool {
    fields(bytes, range).all(|field| field.is_ok())
}

/// Whether bytes that nothing calls a message are one: they parse to the end, with small field numbers, no groups, and
/// enough text that chance would hardly give it.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    text_in(bytes, 0..bytes.len(), 0).is_some_and(|text| text >= TEXT_WANTED)
}

/// Whether bytes that go on after `start` may be a message; cheap.
pub(super) fn may_begin(start: &[u8]) -> bool {
    let mut at = 0;
    let Some(tag) = varint(start, &mut at) else { return false };
    (1..=FIRST_LIKELY).contains(&(tag >> 3)) && matches!(tag & 7, 0 | 1 | 2 | 5)
}

/// Whether a message that begins with `start`, and has at most `most` bytes in all, may look like one; cheap.
pub(super) fn may_go_on(start: &[u8], most: usize) -> bool {
    let mut at = 0;
    while at < start.len() {
        // A number that is cut says nothing yet.
        let Some(tag) = varint(start, &mut at) else { return start[at..].iter().all(|&byte| byte > 0x7f) };
        let number = tag >> 3;
        if number == 0 || number > NUMBER_LIKELY.into() {
            return false;
        }
        match tag & 7 {
            0 => match varint(start, &mut at) {
                Some(_) => {}
                None => return start.len() - at < 10,
            },
            1 => at += 8,
            2 => match varint(start, &mut at) {
                Some(length) => match usize::try_from(length).ok().and_then(|length| at.checked_add(length)) {
                    Some(end) if end <= most => at = end,
                    _ => return false,
                },
                None => return start.len() - at < 10,
            },
            5 => at += 4,
            _ => return false,
        }
    }
    at <= most
}

/// Bytes of text in the fields of a likely message; none if it isn't one.
fn text_in(bytes: &[u8], range: Range<usize>, depth: u32) -> Option<usize> {
    let mut total = 0;
    for field in fields(bytes, range) {
        let field = field.ok().filter(|field| field.number <= NUMBER_LIKELY)?;
        match field.value {
            Value::Bytes(inner) if inner.len() >= TEXT_MIN => {
                if is_text(&bytes[inner.clone()]) {
                    total += inner.len();
                } else if depth < LOOK_DEPTH {
                    total += text_in(bytes, inner, depth + 1).unwrap_or(0);
                }
            }
            Value::Group => return None,
            Value::Bytes(_) | Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => {}
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Value, WireField, fields, looks_like, may_go_on, varint};

    /// The examples of the encoding's specification.
    #[test]
    fn the_examples_of_the_specification_are_read() {
        let read = |bytes: &[u8]| fields(bytes, 0..bytes.len()).collect::<Vec<_>>();
        let varint_150 = WireField { number: 1, value: Value::Varint(150), within: 1..3 };
        assert_eq!(read(&[0x08, 0x96, 0x01]), [Ok(varint_150)]);
        let testing = WireField { number: 2, value: Value::Bytes(2..9), within: 2..9 };
        assert_eq!(read(b"\x12\x07testing"), [Ok(testing)]);
        let nested = WireField { number: 3, value: Value::Bytes(2..5), within: 2..5 };
        assert_eq!(read(&[0x1a, 0x03, 0x08, 0x96, 0x01]), [Ok(nested)]);
        let fixed = WireField { number: 1, value: Value::Fixed32([1, 0, 0, 0]), within: 1..5 };
        assert_eq!(read(&[0x0d, 1, 0, 0, 0, 0x0f]), [Ok(fixed), Err(Malformed)]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_none() {
        for (bytes, expected) in [
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], Some(u64::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], None),
            (&[0x80, 0x80, 0x00], Some(0)),
            (&[0x00], Some(0)),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(varint(bytes, &mut 0), expected, "{bytes:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_beginning_of_what_looks_like_a_message_is_turned_down(
            bytes in proptest::collection::vec(0u8..=255, 0..12),
            fields in proptest::collection::vec((1u8..16, 0u8..6, "[a-z]{0,12}", 0u64..=u64::MAX), 0..4),
            cut in 0usize..16,
        ) {
            let mut message = Vec::new();
            for (number, kind, text, value) in fields {
                message.push(number << 3 | kind);
                match kind {
                    0 => {
                        let mut value = value;
                        while value > 0x7f {
                            message.push(value as u8 | 0x80);
                            value >>= 7;
                        }
                        message.push(value as u8);
                    }
                    1 => message.extend_from_slice(&value.to_le_bytes()),
                    2 => {
                        message.push(text.len() as u8);
                        message.extend_from_slice(text.as_bytes());
                    }
                    _ => message.extend_from_slice(&value.to_le_bytes()[..4]),
                }
            }
            for bytes in [&message[..], &[&message[..], &bytes].concat(), &bytes] {
                let start = &bytes[..bytes.len().min(cut)];
                proptest::prop_assert!(!looks_like(bytes) || may_go_on(start, bytes.len()), "{bytes:x?} {cut}");
            }
        }
    }

    #[test]
    fn a_message_needs_some_text_to_be_believed() {
        assert!(looks_like(b"\x08\x01\x12\x08a string"));
        assert!(looks_like(b"\x0a\x0c\x12\x0aa name here\x08\x01".get(..14).expect("fourteen bytes")));
        assert!(!looks_like(b"\x08\x01\x10\x02"));
        assert!(!looks_like(b"\x08\x01\x12\x09a string"), "cut off");
        assert!(!looks_like(b""));
    }
}
