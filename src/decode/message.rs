//! The parts of a message: request target, header fields, cookies, and the body with its content encodings undone.

use super::compressed::{End, content_codec};
use super::walker::Walker;
use super::{DECODED_MAX, form, percent};
use crate::model::{Body, Decoding, Exchange, FieldKind, Headers, Part, Protocol, Side, Visit, Weird};
use std::borrow::Cow;

/// Most content encodings of one body that are undone.
const ENCODINGS_MAX: usize = 4;

/// Shows every field of one side of an exchange. What made no sense or went over a cap is added to `weirds`.
pub fn fields(exchange: &Exchange, side: Side, visit: &mut dyn Visit, weirds: &mut Vec<Weird>) {
    let mut walker = Walker::new(side, Some(exchange.id.flow), visit, weirds);
    match side {
        Side::Request => {
            if let Some(request) = &exchange.request {
                // A WebSocket message names the target of its handshake, which was searched with the handshake.
                if exchange.protocol != Protocol::WebSocket {
                    target(&request.target, &mut walker);
                }
                headers(&request.headers, side, &mut walker);
                body(&request.body, &mut walker);
            }
        }
        Side::Response => {
            if let Some(response) = &exchange.response {
                headers(&response.headers, side, &mut walker);
                body(&response.body, &mut walker);
            }
        }
    }
}

/// Path and query of a target in origin or absolute form (RFC 9112 §3.2).
fn target(target: &[u8], walker: &mut Walker<'_>) {
    let start = match memchr::memmem::find(target, b"://") {
        Some(scheme) if !target.starts_with(b"/") => {
            memchr::memchr2(b'/', b'?', &target[scheme + 3..]).map_or(target.len(), |at| scheme + 3 + at)
        }
        Some(_) | None => 0,
    };
    let question = memchr::memchr(b'?', &target[start..]).map_or(target.len(), |at| start + at);
    path(&target[start..question], start, walker);
    if question < target.len() {
        query(&target[question + 1..], question + 1, walker);
    }
}

fn path(path: &[u8], base: usize, walker: &mut Walker<'_>) {
    if path.len() < 2 {
        return;
    }
    let doc = walker.enter(Part::Path, b"", path, base);
    walker.show_whole(doc);
    let root = walker.mark();
    for (index, segment) in path.split(|&byte| byte == b'/').skip(1).enumerate() {
        let from = segment.as_ptr() as usize - path.as_ptr() as usize;
        if !segment.is_empty() {
            walker.push_index(index);
            let within = from..from + segment.len();
            match percent::undo(segment) {
                Cow::Owned(text) => walker.step("percent", |walker| walker.leaf(doc, within, &text, None)),
                Cow::Borrowed(text) => walker.leaf(doc, within, text, None),
            }
            walker.reset(root);
        }
    }
}

fn query(query: &[u8], base: usize, walker: &mut Walker<'_>) {
    let doc = walker.enter(Part::Query, b"", query, base);
    walker.show_whole(doc);
    for (key, value) in form::split(query, 0) {
        let name = key.map(|key| percent::undo_form(&query[key]).0).unwrap_or_default();
        walker.rename(&name);
        form::value(doc, value, walker);
    }
}

fn headers(headers: &Headers, side: Side, walker: &mut Walker<'_>) {
    for (name, value) in headers.iter() {
        if side == Side::Request && name.eq_ignore_ascii_case(b"cookie") {
            for pair in value.split(|&byte| byte == b';') {
                cookie(value, pair, walker);
            }
        } else if side == Side::Response && name.eq_ignore_ascii_case(b"set-cookie") {
            let pair = value.split(|&byte| byte == b';').next().unwrap_or(value);
            cookie(value, pair, walker);
        } else if !value.is_empty() {
            let doc = walker.enter(Part::Header, name, value, 0);
            walker.whole(doc, FieldKind::Leaf, None);
        }
    }
}

/// One `name=value` of a cookie header.
fn cookie(header: &[u8], pair: &[u8], walker: &mut Walker<'_>) {
    let pair = pair.trim_ascii();
    let (name, value) = match memchr::memchr(b'=', pair) {
        Some(equals) => (&pair[..equals], &pair[equals + 1..]),
        None => (&pair[..0], pair),
    };
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    if value.is_empty() {
        return;
    }
    let at = value.as_ptr() as usize - header.as_ptr() as usize;
    let doc = walker.enter(Part::Cookie, name, header, 0);
    let within = at..at + value.len();
    match percent::undo(value) {
        Cow::Owned(text) => walker.step("percent", |walker| walker.leaf(doc, within, &text, None)),
        Cow::Borrowed(text) => walker.leaf(doc, within, text, None),
    }
}

/// `data` with its content encodings, in order of application, undone; none where one of them is unknown, does not
/// fit all of it, or would give more than `most` bytes.
#[must_use]
pub fn undo_encodings(data: &[u8], encodings: &[String], most: usize) -> Option<Vec<u8>> {
    if encodings.len() > ENCODINGS_MAX {
        return None;
    }
    let mut out = Cow::Borrowed(data);
    for token in encodings.iter().rev().filter(|token| !plain(token)) {
        let (_, codec) = content_codec(token)?;
        let inflated = codec(&out, most);
        if inflated.end != End::Complete {
            return None;
        }
        out = Cow::Owned(inflated.data);
    }
    Some(out.into_owned())
}

/// Whether a content encoding leaves the bytes as they are.
fn plain(token: &str) -> bool {
    matches!(token, "identity" | "aws-chunked" | "")
}

/// The body with its content encodings undone, last applied first; as sent where they do not fit it.
fn body(body: &Body, walker: &mut Walker<'_>) {
    if body.data.is_empty() {
        return;
    }
    if body.cut() {
        walker.weird("body over the cap read in part");
    }
    let doc = walker.enter(Part::Body, b"", &body.data, 0);
    let content_type = body.content_type.as_deref();
    let mut chain: Vec<Decoding> = Vec::new();
    let mut data: Cow<'_, [u8]> = Cow::Borrowed(&body.data);
    let tokens = body.encodings.iter().rev().filter(|token| !plain(token));
    for token in tokens.take(ENCODINGS_MAX) {
        let Some((name, codec)) = content_codec(token) else {
            walker.weird("unknown content encoding");
            break;
        };
        let inflated = codec(&data, walker.room(data.len()).min(DECODED_MAX));
        if inflated.data.is_empty() && inflated.end == End::Broken {
            walker.weird("content encoding does not fit the body");
            break;
        }
        walker.report(inflated.end);
        chain.push(Decoding(name));
        data = Cow::Owned(inflated.data);
    }
    match data {
        Cow::Borrowed(_) => walker.whole(doc, FieldKind::Whole, content_type),
        Cow::Owned(data) => walker.content(chain, &data, content_type),
    }
}
