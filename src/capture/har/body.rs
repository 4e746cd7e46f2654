//! Bodies of HAR entries → the bytes that were sent, as far as the exporter kept them. HAR has no single way of
//! writing bytes that are no text, and request bodies have none at all, so all ways that are met are understood.

use super::json::Node;
use crate::model::{Body, Headers};
use crate::pipeline::undo_encodings;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};

/// What a content encoding is tried on may not grow beyond this while it is found out whether it is still on.
const TRIAL_MAX: usize = 32 << 20;

/// The bytes of a body and what became of them.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// Bytes were replaced by U+FFFD.
    pub(super) lossy: bool,
    /// It was said to be base64 and is not.
    pub(super) odd: Option<&'static str>,
    /// It was put together from the fields of its form, so its length tells nothing.
    pub(super) rebuilt: bool,
}

/// Odd things that are counted in the report.
const BAD_BASE64: &str = "body said to be base64 that is not";

/// The `text` of `postData`, `content` or `_content`, undone as far as the members beside it say. `size` is the
/// body's length where the entry tells it.
pub(super) fn text_of(node: &Node<'_>, size: Option<u64>) -> Option<Content> {
    let text = match node {
        Node::Text(text) => text.bytes(),
        _ => node.get("text").or_else(|| node.get("body")).or_else(|| node.get("data"))?.bytes()?,
    };
    if text.is_empty() {
        return None;
    }
    if is_base64(node) {
        return Some(match undo_base64(&text) {
            Some(bytes) => Content { bytes, ..Content::default() },
            None => Content { bytes: text.into_owned(), odd: Some(BAD_BASE64), ..Content::default() },
        });
    }
    if let Some(bytes) = undo_latin1(&text, size) {
        return Some(Content { bytes, ..Content::default() });
    }
    let lossy = memchr::memmem::find(&text, "\u{fffd}".as_bytes()).is_some();
    Some(Content { bytes: text.into_owned(), lossy, ..Content::default() })
}

fn is_base64(node: &Node<'_>) -> bool {
    let says = |name: &str| node.text_of(name).is_some_and(|text| text.to_ascii_lowercase().contains("base64"));
    ["encoding", "_encoding", "textEncoding", "_textEncoding"].into_iter().any(says)
        || node.text_of("comment").is_some_and(|comment| comment.trim().eq_ignore_ascii_case("base64"))
        || matches!(node.get("_base64").or_else(|| node.get("base64")), Some(Node::Word(b"true")))
}

/// Undoes base64 of either alphabet, padded or not, over lines or not, also in a `data:` URL.
pub(super) fn undo_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = match memchr::memmem::find(text, b";base64,") {
        Some(at) if text.starts_with(b"data:") => &text[at + 8..],
        _ => text,
    };
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let alphabet = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

/// The bytes of a text that has one character a byte: some exporters read what is no text as Latin-1. It is told by
/// the size, which is the number of its characters.
fn undo_latin1(text: &[u8], size: Option<u64>) -> Option<Vec<u8>> {
    if text.is_ascii() || size.is_none_or(|size| size >= text.len() as u64) {
        return None;
    }
    let characters = std::str::from_utf8(text).ok()?.chars();
    let bytes: Vec<u8> = characters.map(|character| u8::try_from(u32::from(character)).ok()).collect::<Option<_>>()?;
    (size == Some(bytes.len() as u64)).then_some(bytes)
}

/// A body as the pipeline takes it, of which `keep` bytes are kept.
pub(super) fn body(bytes: Vec<u8>, headers: &Headers, mime: Option<String>, complete: bool, keep: usize) -> Body {
    let content_type = headers.get("content-type").map(|value| String::from_utf8_lossy(value).into_owned());
    let length = bytes.len() as u64;
    let sha256 = (length > 0).then(|| Sha256::digest(&bytes).into());
    let encodings = encodings_left(&bytes, headers);
    let mut data = bytes;
    data.truncate(keep);
    Body { bytes: length, sha256, content_type: content_type.or(mime), encodings, complete, data }
}

/// The content encodings that are still on the bytes: most exporters undo them and leave the header.
fn encodings_left(bytes: &[u8], headers: &Headers) -> Vec<String> {
    let fields = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding"));
    let tokens = fields.flat_map(|(_, value)| value.split(|&byte| byte == b','));
    let tokens: Vec<String> =
        tokens.map(|token| String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase()).collect();
    let is_text =
        || std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(|c: char| c < ' ' && !c.is_whitespace()));
    if tokens.is_empty() || bytes.is_empty() || is_text() || undo_encodings(bytes, &tokens, TRIAL_MAX).is_none() {
        return Vec::new();
    }
    tokens
}

/// A body of which only the fields of its form are there, put together again so that it is read like any other.
pub(super) fn of_params(params: &[Node<'_>], mime: &str, size: Option<u64>) -> Option<Vec<u8>> {
    if params.is_empty() {
        return None;
    }
    if mime.to_ascii_lowercase().starts_with("multipart/") {
        return Some(multipart(params, mime));
    }
    let fields: Vec<(Vec<u8>, Vec<u8>)> = params
        .iter()
        .map(|param| {
            let part = |name: &str| param.get(name).and_then(Node::bytes).map(Into::into).unwrap_or_default();
            (part("name"), part("value"))
        })
        .collect();
    // As they were sent, where the size shows that they are written here so. A text that is no form at all, sent with
    // a form's content type, is one long name.
    let plain = |equals: fn(&[u8]) -> bool| {
        let mut out = Vec::new();
        for (name, value) in &fields {
            if !out.is_empty() {
                out.push(b'&');
            }
            out.extend_from_slice(name);
            if equals(value) {
                out.push(b'=');
            }
            out.extend_from_slice(value);
        }
        out
    };
    let (with, without) = (plain(|_| true), plain(|value| !value.is_empty()));
    if let Some(exact) = [&with, &without].into_iter().find(|bytes| size == Some(bytes.len() as u64)) {
        return Some(exact.clone());
    }
    let escaped = |bytes: &[u8]| {
        let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"*-._+%~!'()".contains(byte);
        bytes.iter().all(safe) && has_escape(bytes)
    };
    if fields.iter().any(|(name, value)| escaped(name) || escaped(value)) {
        return Some(with);
    }
    let mut out = Vec::new();
    for (name, value) in &fields {
        if !out.is_empty() {
            out.push(b'&');
        }
        escape(name, &mut out);
        out.push(b'=');
        escape(value, &mut out);
    }
    Some(out)
}

fn has_escape(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| three[0] == b'%' && three[1].is_ascii_hexdigit() && three[2].is_ascii_hexdigit())
}

/// Escapes what stands for something else in a form or a query.
pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"*-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn multipart(params: &[Node<'_>], mime: &str) -> Vec<u8> {
    let boundary = mime.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    // Without a boundary in the content type no reader would find the parts, but the bytes are searched all the same.
    let boundary = boundary.unwrap_or_else(|| "boundary".to_owned());
    let mut out = Vec::new();
    for param in params {
        let part = |name: &str| param.get(name).and_then(Node::bytes).unwrap_or_default();
        let quoted =
            |bytes: &[u8]| bytes.iter().copied().filter(|byte| !matches!(byte, b'"' | b'\r' | b'\n')).collect();
        let (name, file): (Vec<u8>, Vec<u8>) = (quoted(&part("name")), quoted(&part("fileName")));
        out.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"").as_bytes());
        out.extend_from_slice(&name);
        if !file.is_empty() {
            out.extend_from_slice(b"\"; filename=\"");
            out.extend_from_slice(&file);
        }
        out.extend_from_slice(b"\"\r\n");
        let kind = part("contentType");
        if !kind.is_empty() {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(&kind);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&part("value"));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::super::json::{Cursor, Node};
    use super::{body, of_params, text_of};
    use crate::model::Headers;

    fn node(json: &str) -> Node<'_> {
        Cursor::new(json.as_bytes(), 0).value().expect("JSON")
    }

    #[test]
    fn base64_is_undone_however_it_is_marked() {
        for json in [
            r#"{"text": "AAECqg==", "encoding": "base64"}"#,
            r#"{"text": "AAECqg", "_encoding": "Base64"}"#,
            r#"{"text": "AAEC\nqg==\n", "comment": "base64"}"#,
            r#"{"text": "data:application/x;base64,AAECqg==", "encoding": "base64"}"#,
            r#"{"body": "AAECqg==", "base64": true}"#,
        ] {
            let content = text_of(&node(json), None).expect("a body");
            assert_eq!((content.bytes.as_slice(), content.odd), (&b"\x00\x01\x02\xaa"[..], None), "{json}");
        }
        let content = text_of(&node(r#"{"text": "{not base64}", "encoding": "base64"}"#), None).expect("a body");
        assert!(content.bytes == b"{not base64}" && content.odd.is_some());
    }

    #[test]
    fn a_text_of_one_character_a_byte_is_bytes_and_a_replaced_one_is_told() {
        let bytes = |json: &'static str, size| text_of(&node(json), size).map(|content| content.bytes);
        assert_eq!(bytes(r#"{"text": "\u001f\u008b\u00ff"}"#, Some(3)), Some(b"\x1f\x8b\xff".to_vec()));
        assert_eq!(bytes(r#"{"text": "café"}"#, Some(5)), Some("café".into()));
        assert_eq!(bytes(r#"{"text": "\u001f\udc8b"}"#, None), Some(b"\x1f\x8b".to_vec()));
        assert!(text_of(&node(r#"{"text": "\u001f\ufffd"}"#), None).is_some_and(|content| content.lossy));
    }

    #[test]
    fn a_body_that_was_decoded_already_is_not_decoded_again() {
        let mut headers = Headers::default();
        headers.push(b"Content-Encoding", b"gzip");
        assert!(body(b"{\"a\":1}".to_vec(), &headers, None, true, 99).encodings.is_empty());
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, b"{\"a\":1}").expect("a vector takes all");
        let packed = packed.finish().expect("a vector takes all");
        assert_eq!(body(packed.clone(), &headers, None, true, 99).encodings, ["gzip"]);
        assert!(body(packed[..9].to_vec(), &headers, None, true, 99).encodings.is_empty());
    }

    #[test]
    fn a_form_is_put_together_again() {
        let form = |json: &'static str, size| {
            let node = node(json);
            let bytes = of_params(node.elements(), "application/x-www-form-urlencoded", size).expect("a body");
            String::from_utf8(bytes).expect("text")
        };
        assert_eq!(
            form(r#"[{"name": "a", "value": "1+2/3="}, {"name": "b", "value": "é&"}]"#, None),
            "a=1%2B2%2F3%3D&b=%C3%A9%26"
        );
        assert_eq!(form(r#"[{"name": "a", "value": "1%2B2"}, {"name": "b", "value": "x+y"}]"#, None), "a=1%2B2&b=x+y");
        assert_eq!(form(r#"[{"name": "{\"op\":1}", "value": ""}]"#, Some(8)), "{\"op\":1}");
        let parts = node(r#"[{"name": "f", "fileName": "x.txt", "contentType": "text/plain", "value": "v"}]"#);
        let bytes = of_params(parts.elements(), "multipart/form-data; boundary=B", None).expect("a body");
        let text = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\nv\r\n--B--\r\n";
        assert_eq!(String::from_utf8(bytes).expect("text"), text);
    }
}
