//! Protocol buffers without their schema: every field as a leaf under its number, `$.3.1[2]`. Numbers are shown as
//! decimal text, and what may be read in two ways is shown in both; where nothing says that bytes are a message, they
//! must look like one beyond chance.

use super::shape::{Input, is_whole_text};
use super::walker::{Doc, Walker};
use super::wire::{self, Value, WireField};
use super::{Decoder, PROTOBUF_DEPTH_MAX, Probe};
use std::ops::Range;

/// Numbers in one packed field that are read.
const PACKED_MAX: usize = 4_096;

pub(super) struct Protobuf;

impl Decoder for Protobuf {
    fn is_announced(&self, input: &Input<'_>) -> bool {
        is_named(input.content_type) && wire::parses(input.bytes(), 0..input.bytes().len())
    }

    fn probe(&self, input: &Input<'_>) -> Probe {
        let likely = is_named(input.content_type) || (input.shape.binary() && wire::looks_like(input.bytes()));
        if likely { Probe::Unsure } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        let bytes = input.bytes();
        // What is called a message and breaks off is read as far as it goes, if it goes anywhere.
        if wire::fields(bytes, 0..bytes.len()).next().is_some_and(|first| first.is_ok()) {
            walker.step("protobuf", |walker| message(input.doc, 0..bytes.len(), 0, walker));
        }
    }
}

/// Whether a content type is one of a message: `application/x-protobuf`, `application/proto` …
fn is_named(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return false };
    let base = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    base.contains("proto") && !base.contains("json") && !base.starts_with("text/")
}

fn message(doc: Doc<'_>, range: Range<usize>, depth: usize, walker: &mut Walker<'_>) {
    let root = walker.mark();
    let mut seen = Repeats::of(doc.bytes, range.clone());
    for field in wire::fields(doc.bytes, range) {
        let Ok(field) = field else {
            walker.weird("protobuf message that breaks off");
            break;
        };
        if walker.full() {
            break;
        }
        walker.push_number(field.number);
        if let Some(index) = seen.index(field.number) {
            walker.push_index(index);
        }
        self::field(doc, field, depth, walker);
        walker.reset(root);
    }
}

/// How often each field number of a message comes, and how often it came.
struct Repeats(Vec<(u32, usize, usize)>);

impl Repeats {
    fn of(bytes: &[u8], range: Range<usize>) -> Self {
        let mut numbers: Vec<u32> = wire::fields(bytes, range).flatten().map(|field| field.number).collect();
        numbers.sort_unstable();
        Self(numbers.chunk_by(|a, b| a == b).map(|same| (same[0], same.len(), 0)).collect())
    }

    /// The index of the next field of a number that comes several times.
    fn index(&mut self, number: u32) -> Option<usize> {
        let at = self.0.binary_search_by_key(&number, |entry| entry.0).ok()?;
        let (_, count, seen) = &mut self.0[at];
        *seen += 1;
        (*count > 1).then_some(*seen - 1)
    }
}

fn field(doc: Doc<'_>, field: WireField, depth: usize, walker: &mut Walker<'_>) {
    let WireField { value, within, .. } = field;
    match value {
        Value::Varint(number) => varint(doc, within, number, walker),
        Value::Fixed32(bytes) => fixed32(doc, within, bytes, walker),
        Value::Fixed64(bytes) => fixed64(doc, within, bytes, walker),
        Value::Bytes(range) => blob(doc, range, depth, walker),
        Value::Group => {}
    }
}

fn varint(doc: Doc<'_>, within: Range<usize>, number: u64, walker: &mut Walker<'_>) {
    // Negative numbers of the usual types take ten bytes.
    if number > i64::MAX as u64 {
        walker.number(doc, within.clone(), number.cast_signed().to_string().as_bytes());
    } else {
        walker.number(doc, within.clone(), decimal(number, &mut [0; 20]));
    }
    identifier(doc, within, number, walker);
}

fn fixed32(doc: Doc<'_>, within: Range<usize>, bytes: [u8; 4], walker: &mut Walker<'_>) {
    let float = f32::from_le_bytes(bytes);
    let text = if believable(f64::from(float)) { float.to_string() } else { u32::from_le_bytes(bytes).to_string() };
    walker.number(doc, within, text.as_bytes());
}

fn fixed64(doc: Doc<'_>, within: Range<usize>, bytes: [u8; 8], walker: &mut Walker<'_>) {
    let (float, number) = (f64::from_le_bytes(bytes), u64::from_le_bytes(bytes));
    if believable(float) {
        return walker.number(doc, within, float.to_string().as_bytes());
    }
    walker.number(doc, within.clone(), decimal(number, &mut [0; 20]));
    identifier(doc, within, number, walker);
}

/// Whether a number is of a size that measurements have.
fn believable(number: f64) -> bool {
    number.is_finite() && (1e-4..1e9).contains(&number.abs())
}

/// A number that uses its 64 bits may be an identifier that is usually written in hexadecimal, as the Android ID.
fn identifier(doc: Doc<'_>, within: Range<usize>, number: u64, walker: &mut Walker<'_>) {
    if !matches!(number >> 52, 0 | 0xfff) {
        walker.step("u64", |walker| walker.number(doc, within, &hexadecimal(number)));
    }
}

/// A number in decimal digits, at the end of a buffer that holds any.
fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = DIGITS[(number % 10) as usize];
        number /= 10;
        if number == 0 || start == 0 {
            return &buffer[start..];
        }
    }
}

/// A number in sixteen hexadecimal digits.
fn hexadecimal(number: u64) -> [u8; 16] {
    std::array::from_fn(|at| DIGITS[(number >> (60 - 4 * at) & 15) as usize])
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Text, a message, packed numbers or bytes: whatever fits, and both where two do.
fn blob(doc: Doc<'_>, range: Range<usize>, depth: usize, walker: &mut Walker<'_>) {
    let bytes = &doc.bytes[range.clone()];
    if bytes.is_empty() {
        return;
    }
    let text = is_whole_text(bytes);
    let nested = if text { wire::looks_like(bytes) } else { wire::parses(doc.bytes, range.clone()) };
    if text || !nested {
        walker.leaf(doc, range.clone(), bytes, None);
    }
    if nested {
        if depth < PROTOBUF_DEPTH_MAX {
            message(doc, range.clone(), depth + 1, walker);
        } else {
            walker.weird("protobuf nested too deeply left unread");
        }
    }
    if !text {
        packed(doc, range, walker);
    }
}

/// Packed floating-point numbers, where all are of a believable size: places are sent so.
fn packed(doc: Doc<'_>, range: Range<usize>, walker: &mut Walker<'_>) {
    let bytes = &doc.bytes[range.clone()];
    let (doubles, rest) = bytes.as_chunks::<8>();
    if doubles.len() > 1 && rest.is_empty() && doubles.iter().all(|&number| believable(f64::from_le_bytes(number))) {
        return numbers(
            doc,
            range.start,
            doubles.iter().map(|&number| f64::from_le_bytes(number).to_string()),
            walker,
            8,
        );
    }
    let (floats, rest) = bytes.as_chunks::<4>();
    let sized = |&number: &[u8; 4]| believable(f32::from_le_bytes(number).into());
    if floats.len() > 1 && rest.is_empty() && floats.iter().all(sized) {
        numbers(doc, range.start, floats.iter().map(|&number| f32::from_le_bytes(number).to_string()), walker, 4);
    }
}

fn numbers(doc: Doc<'_>, start: usize, texts: impl Iterator<Item = String>, walker: &mut Walker<'_>, width: usize) {
    let root = walker.mark();
    for (index, text) in texts.take(PACKED_MAX).enumerate() {
        walker.push_index(index);
        let at = start + index * width;
        walker.number(doc, at..at + width, text.as_bytes());
        walker.reset(root);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Seen, gzip, has, leaves};
    use ::base64::Engine;
    use ::base64::prelude::BASE64_STANDARD;

    const TYPE: &str = "application/x-protobuf";

    fn tag(number: u32, kind: u32) -> Vec<u8> {
        varint(u64::from(number << 3 | kind))
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn number(field: u32, value: u64) -> Vec<u8> {
        [tag(field, 0), varint(value)].concat()
    }

    fn bytes(field: u32, value: &[u8]) -> Vec<u8> {
        [tag(field, 2), varint(value.len() as u64), value.to_vec()].concat()
    }

    fn read(message: &[u8]) -> Vec<Seen> {
        let (seen, weirds) = leaves(TYPE, &[], message);
        assert!(weirds.is_empty(), "{weirds:?}");
        seen
    }

    #[test]
    fn fields_go_by_their_numbers_and_have_no_names() {
        let inner = [bytes(1, "小明".as_bytes()), number(2, 18), bytes(4, b"a"), bytes(4, b"b")].concat();
        let seen = read(&[bytes(3, &inner), number(5, 861_536_030_196_001)].concat());
        has(&seen, "body//$.3.1", "protobuf", "小明");
        has(&seen, "body//$.3.2", "protobuf", "18");
        has(&seen, "body//$.3.4[0]", "protobuf", "a");
        has(&seen, "body//$.3.4[1]", "protobuf", "b");
        has(&seen, "body//$.5", "protobuf", "861536030196001");
    }

    #[test]
    fn numbers_are_shown_as_they_are_meant() {
        let seen = read(
            &[
                number(1, (-5i64).cast_unsigned()),
                [tag(2, 5), 31.298_974_f32.to_le_bytes().to_vec()].concat(),
                [tag(3, 1), 120.585_289_f64.to_le_bytes().to_vec()].concat(),
                [tag(4, 5), 1_700_000_000_u32.to_le_bytes().to_vec()].concat(),
                [tag(5, 1), 0x9774_d56d_682e_549c_u64.to_le_bytes().to_vec()].concat(),
                number(6, 0x9774_d56d_682e_549c),
            ]
            .concat(),
        );
        has(&seen, "body//$.1", "protobuf", "-5");
        has(&seen, "body//$.2", "protobuf", "31.298973");
        has(&seen, "body//$.3", "protobuf", "120.585289");
        has(&seen, "body//$.4", "protobuf", "1700000000");
        has(&seen, "body//$.5", "protobuf", "10913582462901572764");
        has(&seen, "body//$.5", "protobuf>u64", "9774d56d682e549c");
        has(&seen, "body//$.6", "protobuf>u64", "9774d56d682e549c");
    }

    #[test]
    fn packed_places_are_read() {
        let place: Vec<u8> = [31.298_974_f64, 120.585_289].iter().flat_map(|number| number.to_le_bytes()).collect();
        let seen = read(&bytes(7, &place));
        has(&seen, "body//$.7[0]", "protobuf", "31.298974");
        has(&seen, "body//$.7[1]", "protobuf", "120.585289");
    }

    #[test]
    fn what_is_inside_a_field_is_decoded_too() {
        let packed = gzip(br#"{"imei":"861536030196001"}"#);
        let seen = read(&[bytes(1, br#"{"a":"text"}"#), bytes(2, &packed)].concat());
        has(&seen, "body/a/$.1.a", "protobuf>json", "text");
        has(&seen, "body/imei/$.2.imei", "protobuf>gzip>json", "861536030196001");
    }

    #[test]
    fn a_message_is_recognised_without_a_type_and_in_base64() {
        let message = [bytes(1, b"9774d56d682e549c"), number(2, 7), bytes(3, &[0xff, 0, 1])].concat();
        let (seen, _) = leaves("application/octet-stream", &[], &message);
        has(&seen, "body//$.1", "protobuf", "9774d56d682e549c");
        let form = format!("d={}", BASE64_STANDARD.encode(&message).replace('+', "%2B").replace('=', "%3D"));
        let (seen, _) = leaves("application/x-www-form-urlencoded", &[], form.as_bytes());
        assert!(
            seen.iter().any(|(place, chain, value, _)| {
                place == "body//$.d.1" && chain.ends_with("base64>protobuf") && value == "9774d56d682e549c"
            }),
            "{seen:?}"
        );
    }

    #[test]
    fn a_message_that_breaks_off_gives_what_is_there() {
        let message = [bytes(1, b"whole"), bytes(2, b"cut off here")].concat();
        let (seen, weirds) = leaves(TYPE, &[], &message[..message.len() - 3]);
        has(&seen, "body//$.1", "protobuf", "whole");
        assert_eq!(weirds[0].reason, "protobuf message that breaks off");
    }

    #[test]
    fn nesting_stops_at_its_cap() {
        let mut message = number(1, 1);
        for _ in 0..super::PROTOBUF_DEPTH_MAX + 2 {
            message = bytes(1, &message);
        }
        let (_, weirds) = leaves(TYPE, &[], &message);
        assert_eq!(weirds[0].reason, "protobuf nested too deeply left unread");
    }

    #[test]
    fn random_bytes_are_no_message() {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut read = 0;
        for length in 8..512 {
            for _ in 0..40 {
                let noise: Vec<u8> = (0..length).map(|_| next()).collect();
                let (seen, _) = leaves("application/octet-stream", &[], &noise);
                read += usize::from(seen.iter().any(|(_, chain, ..)| chain.contains("protobuf")));
            }
        }
        assert_eq!(read, 0, "of 20160");
    }
}
