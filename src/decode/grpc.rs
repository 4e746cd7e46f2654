//! The length-prefixed messages of gRPC, gRPC-Web (also in base64) and Connect streams: flag, length, message. What is
//! in a message is left to the decoders of protocol buffers and JSON.

use super::compressed::Codec;
use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe, gzip, wire, zlib, zstandard};
use crate::model::FieldKind;
use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::ops::Range;

/// Flag and length before a message.
const PREFIX: usize = 5;
/// Flags: the message is compressed; it is the end of a Connect stream; it is the trailers of gRPC-Web.
const COMPRESSED: u8 = 1;
const END_STREAM: u8 = 2;
const TRAILERS: u8 = 0x80;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Grpc;

/// What a content type says of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Content type of each message.
    inner: Option<&'static str>,
    /// The body is base64.
    text: bool,
}

impl Decoder for Grpc {
    fn is_announced(&self, input: &Input<'_>) -> bool {
        kind(input.content_type).is_some_and(|kind| kind.text || envelope(input.bytes(), 0).is_some())
    }

    fn probe(&self, input: &Input<'_>) -> Probe {
        let open = input.content_type.is_none_or(says_nothing);
        if open && input.shape.binary() && is_chain(input.bytes()) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        let kind = kind(input.content_type).unwrap_or(Kind { inner: None, text: false });
        if kind.text {
            let bytes = pieces(input.bytes());
            if bytes.is_empty() {
                return walker.weird("gRPC-Web text that is no base64");
            }
            let content_type = if kind.inner == Some(JSON) { "application/grpc+json" } else { "application/grpc" };
            return walker.step("base64", |walker| walker.decoded_as(&bytes, FieldKind::Whole, Some(content_type)));
        }
        walker.step("grpc", |walker| messages(input, kind, walker));
    }
}

const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

/// Whether a content type leaves open what the bytes are.
fn says_nothing(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().contains("octet-stream")
}

fn kind(content_type: Option<&str>) -> Option<Kind> {
    let base = content_type?.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let rest = base.strip_prefix("application/")?;
    let (framing, codec) = rest.split_once('+').unwrap_or((rest, "proto"));
    let text = match framing {
        "grpc" | "grpc-web" | "connect" => false,
        "grpc-web-text" => true,
        _ => return None,
    };
    let inner = match codec {
        "proto" => Some(PROTOBUF),
        "json" => Some(JSON),
        _ => None,
    };
    Some(Kind { inner, text })
}

/// One message with its prefix.
struct Envelope {
    flag: u8,
    /// Where the message stands, as far as it is there.
    within: Range<usize>,
    whole: bool,
}

fn envelope(bytes: &[u8], at: usize) -> Option<Envelope> {
    let &[flag, a, b, c, d] = bytes.get(at..)?.first_chunk::<PREFIX>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let start = at + PREFIX;
    let end = start.saturating_add(length);
    let known = flag & !(COMPRESSED | END_STREAM | TRAILERS) == 0;
    known.then_some(Envelope { flag, within: start..end.min(bytes.len()), whole: end <= bytes.len() })
}

/// Whether bytes nothing is said of are messages to the very end.
fn is_chain(bytes: &[u8]) -> bool {
    let mut at = 0;
    // An empty message is five zeros, of which there are many in other formats.
    if bytes.len() <= PREFIX || bytes.starts_with(&[0; PREFIX]) {
        return false;
    }
    while at < bytes.len() {
        match envelope(bytes, at) {
            Some(envelope) if envelope.whole && envelope.flag <= COMPRESSED => at = envelope.within.end,
            Some(_) | None => return false,
        }
    }
    true
}

fn messages(input: &Input<'_>, kind: Kind, walker: &mut Walker<'_>) {
    let bytes = input.bytes();
    let several = envelope(bytes, 0)
        .is_some_and(|first| envelope(bytes, first.within.end).is_some_and(|second| second.flag & TRAILERS == 0));
    let root = walker.mark();
    let (mut at, mut index) = (0, 0);
    while at < bytes.len() && !walker.full() {
        let Some(envelope) = envelope(bytes, at) else {
            walker.weird("gRPC message that breaks off");
            break;
        };
        if !envelope.whole {
            walker.weird("gRPC message that breaks off");
        }
        at = envelope.within.end;
        if several && envelope.flag & TRAILERS == 0 {
            walker.push_index(index);
        }
        message(input, &envelope, kind, walker);
        walker.reset(root);
        index += 1;
    }
}

fn message(input: &Input<'_>, envelope: &Envelope, kind: Kind, walker: &mut Walker<'_>) {
    let Envelope { flag, within, .. } = envelope;
    let bytes = &input.bytes()[within.clone()];
    // The end of a Connect stream is JSON whatever the messages are.
    let inner = match kind.inner {
        _ if flag & END_STREAM != 0 => Some(JSON),
        None => wire::parses(bytes, 0..bytes.len()).then_some(PROTOBUF),
        inner => inner,
    };
    if bytes.is_empty() {
        return;
    }
    if flag & COMPRESSED == 0 {
        if flag & TRAILERS != 0 {
            return trailers(input, within.clone(), walker);
        }
        return walker.piece(input.doc, within.clone(), inner);
    }
    // `grpc-encoding` says how, but may not have been captured; the bytes say it too.
    let Some((name, codec)) = codec(bytes) else {
        walker.weird("gRPC message in an unknown compression");
        return walker.piece(input.doc, within.clone(), None);
    };
    let inflated = codec(bytes, walker.room(bytes.len()));
    walker.report(inflated.end);
    walker.step(name, |walker| walker.decoded_as(&inflated.data, FieldKind::Whole, inner));
}

fn codec(bytes: &[u8]) -> Option<(&'static str, Codec)> {
    if gzip::magic(bytes) {
        Some(("gzip", gzip::inflate))
    } else if zstandard::magic(bytes) {
        Some(("zstd", zstandard::inflate))
    } else if zlib::magic(bytes) {
        Some(("deflate", zlib::inflate_either))
    } else {
        None
    }
}

/// The trailers of gRPC-Web: header lines.
fn trailers(input: &Input<'_>, within: Range<usize>, walker: &mut Walker<'_>) {
    let root = walker.mark();
    let bytes = &input.bytes()[within.clone()];
    let mut start = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let at = within.start + start;
        start += line.len();
        let line = line.trim_ascii_end();
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let value = line[colon + 1..].trim_ascii_start();
        if !value.is_empty() {
            walker.push_key(&line[..colon]);
            let end = at + line.len();
            walker.leaf(input.doc, end - value.len()..end, value, None);
            walker.reset(root);
        }
    }
}

/// Base64 that may be several padded pieces one after the other.
fn pieces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut at = 0;
    while at < text.len() {
        let padding = memchr::memchr(b'=', &text[at..]).map_or(text.len(), |found| at + found);
        let end = padding + text[padding..].iter().take_while(|&&byte| byte == b'=').count();
        match ENGINE.decode(&text[at..end]) {
            Ok(bytes) => out.extend(bytes),
            Err(_) => break,
        }
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gzip, has, leaves, zlib};
    use super::pieces;
    use ::base64::Engine;
    use ::base64::prelude::BASE64_STANDARD;

    const PERSON: &[u8] = b"\x0a\x07Xiao Li\x10\x2a";

    fn enveloped(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        [&[flag][..], &length, message].concat()
    }

    #[test]
    fn each_message_is_read() {
        let body = [enveloped(0, PERSON), enveloped(0, PERSON)].concat();
        let (seen, weirds) = leaves("application/grpc", &[], &body);
        has(&seen, "body//$[0].1", "grpc>protobuf", "Xiao Li");
        has(&seen, "body//$[1].2", "grpc>protobuf", "42");
        assert!(weirds.is_empty(), "{weirds:?}");
        let (seen, _) = leaves("application/grpc+proto", &[], &enveloped(0, PERSON));
        has(&seen, "body//$.1", "grpc>protobuf", "Xiao Li");
        assert_eq!(seen.iter().find(|(_, _, value, _)| value == "Xiao Li").expect("the name").3, 7..14);
    }

    #[test]
    fn messages_of_any_known_compression_are_inflated() {
        for (compressed, name) in [(gzip(PERSON), "gzip"), (zlib(PERSON), "deflate")] {
            let (seen, weirds) = leaves("application/grpc", &[], &enveloped(1, &compressed));
            has(&seen, "body//$.1", &format!("grpc>{name}>protobuf"), "Xiao Li");
            assert!(weirds.is_empty(), "{weirds:?}");
        }
        let snappy = enveloped(1, b"\x0d\x30\x0a\x07Xiao Li\x10\x2a");
        let (_, weirds) = leaves("application/grpc", &[], &snappy);
        assert_eq!(weirds[0].reason, "gRPC message in an unknown compression");
    }

    #[test]
    fn messages_may_be_json() {
        let body = enveloped(0, br#"{"name":"Xiao Li"}"#);
        for content_type in ["application/grpc+json", "application/connect+json; charset=utf-8"] {
            let (seen, _) = leaves(content_type, &[], &body);
            has(&seen, "body/name/$.name", "grpc>json", "Xiao Li");
        }
        let body = [enveloped(0, PERSON), enveloped(2, br#"{"metadata":{"a":["b"]}}"#)].concat();
        let (seen, _) = leaves("application/connect+proto", &[], &body);
        has(&seen, "body/a/$[1].metadata.a[0]", "grpc>json", "b");
    }

    #[test]
    fn the_trailers_and_the_text_form_of_grpc_web_are_read() {
        let (message, trailers) = (enveloped(0, PERSON), enveloped(0x80, b"grpc-status:0\r\nx-who: Xiao\r\n"));
        let (seen, weirds) = leaves("application/grpc-web+proto", &[], &[&message[..], &trailers].concat());
        has(&seen, "body//$.1", "grpc>protobuf", "Xiao Li");
        has(&seen, "body/x-who/$.x-who", "grpc", "Xiao");
        assert!(weirds.is_empty(), "{weirds:?}");
        let text = BASE64_STANDARD.encode(&message) + &BASE64_STANDARD.encode(&trailers);
        let (seen, weirds) = leaves("application/grpc-web-text", &[], text.as_bytes());
        has(&seen, "body//$.1", "base64>grpc>protobuf", "Xiao Li");
        has(&seen, "body/x-who/$.x-who", "base64>grpc", "Xiao");
        assert!(weirds.is_empty(), "{weirds:?}");
    }

    #[test]
    fn base64_in_pieces_is_joined() {
        assert_eq!(pieces(b"YQ==Yg==Y2Rl\r\nZg"), b"abcdef");
        assert_eq!(pieces(b"YQ==!!"), b"a");
    }

    #[test]
    fn a_message_that_breaks_off_gives_what_is_there() {
        let body = enveloped(0, PERSON);
        let (seen, weirds) = leaves("application/grpc", &[], &body[..body.len() - 1]);
        has(&seen, "body//$.1", "grpc>protobuf", "Xiao Li");
        assert_eq!(weirds[0].reason, "gRPC message that breaks off");
    }

    #[test]
    fn an_unannounced_chain_of_messages_is_recognised_by_its_lengths() {
        let body = [enveloped(0, PERSON), enveloped(0, PERSON)].concat();
        let (seen, _) =
            leaves("application/octet-stream", &[], &[&body[..], b"\0\0\0\0\x0b\x0a\x09some text"].concat());
        has(&seen, "body//$[2].1", "grpc>protobuf", "some text");
        let (seen, _) = leaves("application/octet-stream", &[], &body[..body.len() - 1]);
        assert!(seen.iter().all(|(_, chain, ..)| chain.is_empty()), "{seen:?}");
    }
}
