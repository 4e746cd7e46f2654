//! `multipart/*` (RFC 2046 §5.1, RFC 7578): each part's body under its form name, file names and part headers too.

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};
use crate::model::text_of;
use std::ops::Range;

/// Longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;
/// Longest head of one part.
const HEAD_MAX: usize = 16 << 10;

pub(super) struct Multipart;

impl Decoder for Multipart {
    fn probe(&self, input: &Input<'_>) -> Probe {
        let named = input.content_type.is_some_and(|kind| starts_with_case(kind.as_bytes(), b"multipart/"));
        let sniffed = || input.bytes().starts_with(b"--") && sniff(input.bytes()).is_some();
        if (named && boundary(input).is_some()) || sniffed() { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        let Some(boundary) = boundary(input).or_else(|| sniff(input.bytes())) else { return };
        walker.step("multipart", |walker| {
            let root = walker.mark();
            for part in parts(input.bytes(), &boundary) {
                if walker.full() {
                    break;
                }
                self::part(input, part, walker);
                walker.reset(root);
            }
        });
    }
}

fn starts_with_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The boundary the content type gives, with the dashes before it.
fn boundary(input: &Input<'_>) -> Option<Vec<u8>> {
    let value = parameter(input.content_type?.as_bytes(), b"boundary")?;
    (!value.is_empty() && value.len() <= BOUNDARY_MAX).then(|| [b"--", value].concat())
}

/// The boundary of a body that starts with one, followed by a part's head.
fn sniff(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(BOUNDARY_MAX + 4)])?;
    let line = bytes[..end].trim_ascii_end();
    let after = &bytes[end + 1..];
    (line.len() > 2 && starts_with_case(after, b"content-")).then(|| line.to_vec())
}

/// The ranges between boundary lines.
fn parts<'a>(bytes: &'a [u8], boundary: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    let finder = memchr::memmem::Finder::new(boundary).into_owned();
    let mut start = finder.find(bytes).map(|at| at + boundary.len());
    std::iter::from_fn(move || {
        let from = start?;
        if bytes[from..].starts_with(b"--") {
            return None;
        }
        let from = from + memchr::memchr(b'\n', &bytes[from..])? + 1;
        let next = finder.find(&bytes[from..]).map(|at| from + at);
        start = next.map(|at| at + boundary.len());
        let end = next.unwrap_or(bytes.len());
        let body = &bytes[from..end];
        let cut = if next.is_none() {
            0
        } else if body.ends_with(b"\r\n") {
            2
        } else {
            usize::from(body.ends_with(b"\n"))
        };
        Some(from..end - cut)
    })
}

fn part(input: &Input<'_>, range: Range<usize>, walker: &mut Walker<'_>) {
    let bytes = input.bytes();
    let (head, body) = split_head(&bytes[range.clone()]);
    let body = range.start + body..range.end;
    let mut name = None;
    let mut file = None;
    let mut content_type = None;
    for line in head.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        if starts_with_case(line, b"content-disposition:") {
            name = parameter(line, b"name");
            file = parameter(line, b"filename").or_else(|| parameter(line, b"filename*"));
        } else if starts_with_case(line, b"content-type:") {
            content_type = Some(text_of(line[13..].trim_ascii()));
        }
    }
    if let Some(name) = name {
        walker.push_key(name);
    }
    let named = walker.mark();
    if let Some(file) = file {
        let at = file.as_ptr() as usize - bytes.as_ptr() as usize;
        walker.push_key(b"filename");
        walker.leaf(input.doc, at..at + file.len(), file, None);
        walker.reset(named);
    }
    walker.leaf(input.doc, body.clone(), &bytes[body], content_type.as_deref());
}

/// A part's head, and where its body begins.
fn split_head(part: &[u8]) -> (&[u8], usize) {
    if part.starts_with(b"\r\n") {
        return (&[], 2);
    }
    let look = &part[..part.len().min(HEAD_MAX)];
    let crlf = memchr::memmem::find(look, b"\r\n\r\n").map(|at| (at, at + 4));
    let lf = || memchr::memmem::find(look, b"\n\n").map(|at| (at, at + 2));
    crlf.or_else(lf).map_or((&[], 0), |(head, body)| (&part[..head], body))
}

/// A parameter of a header value, unquoted.
fn parameter<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|&byte| byte == b';').skip(1).find_map(|piece| {
        let piece = piece.trim_ascii();
        let equals = memchr::memchr(b'=', piece)?;
        if !piece[..equals].trim_ascii().eq_ignore_ascii_case(name) {
            return None;
        }
        let value = piece[equals + 1..].trim_ascii();
        Some(value.strip_prefix(b"\"").map_or(value, |value| value.strip_suffix(b"\"").unwrap_or(value)))
    })
}
