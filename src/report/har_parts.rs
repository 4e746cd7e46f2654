//! The lists of a HAR message: header fields, cookies and the pairs of the query, as HAR 1.2 names them.

use super::escape::push_json_bytes;
use super::har::put;
use crate::model::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Bytes as text if they are, else as base64. A text that holds U+FFFD is written as base64, because it would be taken
/// for one whose bytes were lost.
pub(super) fn text_or_base64(data: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(data) {
        Ok(text) if !text.contains(char::REPLACEMENT_CHARACTER) => (Cow::Borrowed(text), false),
        Ok(_) | Err(_) => (Cow::Owned(STANDARD.encode(data)), true),
    }
}

/// All fields, in order.
pub(super) fn put_fields(headers: &Headers, out: &mut Vec<u8>) {
    let mut list = List::begin(out);
    for (name, value) in headers.iter() {
        list.pair(name, value);
        list.out.push(b'}');
    }
    list.end();
}

/// The cookies of a request.
pub(super) fn put_cookies(headers: &Headers, out: &mut Vec<u8>) {
    let mut list = List::begin(out);
    let fields = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    for pair in fields.flat_map(|(_, value)| value.split(|&byte| byte == b';')) {
        let (name, value) = cut(pair.trim_ascii());
        if !pair.trim_ascii().is_empty() {
            list.pair(name, value);
            list.out.push(b'}');
        }
    }
    list.end();
}

/// The cookies an answer sets (RFC 6265 §4.1.1); of `Expires` there is nothing, as HAR wants another form of date.
pub(super) fn put_set_cookies(headers: &Headers, out: &mut Vec<u8>) {
    let mut list = List::begin(out);
    for (_, field) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie")) {
        let mut parts = field.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let (name, value) = cut(parts.next().unwrap_or_default());
        list.pair(name, value);
        for (key, value) in parts.map(cut) {
            let (member, is_flag) = match key.to_ascii_lowercase().as_slice() {
                b"path" => (",\"path\":", false),
                b"domain" => (",\"domain\":", false),
                b"httponly" => (",\"httpOnly\":", true),
                b"secure" => (",\"secure\":", true),
                _ => continue,
            };
            put(list.out, member);
            if is_flag {
                put(list.out, "true");
            } else {
                push_json_bytes(list.out, value);
            }
        }
        list.out.push(b'}');
    }
    list.end();
}

/// The pairs of the query, unescaped as a form is.
pub(super) fn put_query(target: &[u8], out: &mut Vec<u8>) {
    let mut list = List::begin(out);
    let query = target.iter().position(|&byte| byte == b'?').map(|at| &target[at + 1..]).unwrap_or_default();
    for pair in query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = cut(pair);
        list.pair(&unescape(name), &unescape(value));
        list.out.push(b'}');
    }
    list.end();
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// Name and value around the first equals sign.
fn cut(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

struct List<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> List<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// Begins an object of a name and a value.
    fn pair(&mut self, name: &[u8], value: &[u8]) {
        put(self.out, if std::mem::take(&mut self.empty) { "{\"name\":" } else { ",{\"name\":" });
        push_json_bytes(self.out, name);
        put(self.out, ",\"value\":");
        push_json_bytes(self.out, value);
    }

    fn end(self) {
        self.out.push(b']');
    }
}
