//! Reads message heads (RFC 9112 §2–§6): finds their end, cuts fields, and derives how the body is framed.
//!
//! One tolerant reader serves all heads, so that the same bytes give the same exchange however they arrive: bare LF,
//! folded lines, odd bytes and lines without a colon are taken as far as they make sense, and what was odd is noted.

use super::probe::RequestLine;
use crate::model::{Headers, Protocol, text_of};
use memchr::memchr;

/// Finds the empty line that ends a head, over any number of pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HeadScan {
    /// Nothing of the current line has been seen.
    #[default]
    LineStart,
    /// Only a carriage return has.
    Return,
    /// Text has.
    Text,
}

impl HeadScan {
    /// Takes the next piece; gives the length up to and including the empty line.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &piece[at..];
            let Some(line) = memchr(b'\n', rest) else {
                *self = match (*self, rest) {
                    (state, []) => state,
                    (Self::LineStart, [b'\r']) => Self::Return,
                    _ => Self::Text,
                };
                return None;
            };
            let empty = match self {
                Self::LineStart => line == 0 || (line == 1 && rest[0] == b'\r'),
                Self::Return => line == 0,
                Self::Text => false,
            };
            at += line + 1;
            *self = Self::LineStart;
            if empty {
                return Some(at);
            }
        }
    }
}

/// How the bytes after a head are delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There are none.
    Empty,
    /// So many.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All up to the end of the connection.
    UntilClose,
}

/// What the fields of a head say about the message.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) headers: Headers,
    pub(super) host: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) encodings: Vec<String>,
    pub(super) upgrade: Option<String>,
    pub(super) expects_continue: bool,
    content_length: Option<u64>,
    transfer_encoding: bool,
    chunked: bool,
    /// What was odd.
    pub(super) odd: Vec<&'static str>,
}

/// A request head.
#[derive(Debug, Clone)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: Box<[u8]>,
    pub(super) protocol: Protocol,
    pub(super) authority: Option<String>,
    pub(super) fields: Fields,
}

/// A response head.
#[derive(Debug, Clone)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) protocol: Protocol,
    pub(super) fields: Fields,
}

/// Reads a request head whose request line was probed.
pub(super) fn request(bytes: &[u8]) -> RequestHead {
    let (line, rest) = split_line(bytes);
    let line = RequestLine::cut(line);
    let mut fields = Fields::read(rest);
    RequestHead {
        method: text_of(line.method).into_owned(),
        target: line.target.into(),
        protocol: protocol(line.version),
        authority: fields.host.take().or_else(|| target_authority(line)),
        fields,
    }
}

/// Reads a response head whose status line was probed.
pub(super) fn response(bytes: &[u8]) -> ResponseHead {
    let (line, rest) = split_line(bytes);
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let version = parts.next().unwrap_or_default();
    let digits = parts.next().unwrap_or_default().iter().take(3);
    let status = digits.fold(0, |code: u16, &digit| code * 10 + u16::from(digit.wrapping_sub(b'0') % 10));
    ResponseHead { status, protocol: protocol(version), fields: Fields::read(rest) }
}

fn protocol(version: &[u8]) -> Protocol {
    match version {
        b"" | b"HTTP/1.0" | b"HTTP/0.9" | b"ICY" => Protocol::Http10,
        _ => Protocol::Http11,
    }
}

/// The authority of an absolute-form target, or the whole authority-form one (RFC 9112 §3.2).
fn target_authority(line: RequestLine<'_>) -> Option<String> {
    if line.method == b"CONNECT" {
        return (!line.target.is_empty()).then(|| text_of(line.target).into_owned());
    }
    let scheme_end = memchr::memmem::find(line.target, b"://")?;
    let scheme = &line.target[..scheme_end];
    let named = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if !named || !scheme.first()?.is_ascii_alphabetic() {
        return None;
    }
    let rest = &line.target[scheme_end + 3..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    (end > 0).then(|| text_of(&rest[..end]).into_owned())
}

/// The first line without its end, and what follows it.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', bytes) {
        Some(end) => (bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]), &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

impl Fields {
    fn read(bytes: &[u8]) -> Self {
        // Most lines of a head are longer than this; a hostile head can make it reserve no more than its own length.
        const LINE_TYPICAL: usize = 24;
        let headers = Headers::with_capacity(bytes.len() / LINE_TYPICAL, bytes.len());
        let mut fields = Self { headers, ..Self::default() };
        fields.add_lines(bytes);
        fields
    }

    /// Reads field lines up to the empty line or the end; trailers are added to the fields of the head this way.
    pub(super) fn add_lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let (line, after) = split_line(rest)
            && !line.is_empty()
        {
            rest = after;
            let Some(colon) = memchr(b':', line) else {
                self.odd("header line without a colon");
                continue;
            };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if !is_folded(rest) {
                self.add(name, value);
                continue;
            }
            let mut joined = value.to_vec();
            while is_folded(rest) {
                let (more, after) = split_line(rest);
                rest = after;
                joined.push(b' ');
                joined.extend_from_slice(more.trim_ascii());
            }
            self.odd("folded header line");
            self.add(name, joined.trim_ascii());
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        self.headers.push(name, value);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is("host") && self.host.is_none() && !value.is_empty() => {
                self.host = Some(text_of(value).into_owned());
            }
            6 if is("expect") => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            7 if is("upgrade") => self.upgrade = words(value).next(),
            12 if is("content-type") => {
                self.content_type.get_or_insert_with(|| text_of(value).into_owned());
            }
            14 if is("content-length") => self.content_length(value),
            16 if is("content-encoding") => {
                self.encodings.extend(words(value).filter(|coding| coding != "identity"));
            }
            17 if is("transfer-encoding") => self.transfer_encoding(value),
            _ => {}
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        for word in text_of(value).split(',').map(str::trim) {
            let length = word.parse::<u64>().ok().filter(|_| word.bytes().all(|byte| byte.is_ascii_digit()));
            match (length, self.content_length) {
                (None, _) => self.odd("invalid Content-Length"),
                (Some(length), Some(before)) if length != before => {
                    self.odd("conflicting Content-Length");
                    self.content_length = Some(length);
                }
                (Some(length), _) => self.content_length = Some(length),
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        for coding in words(value) {
            self.transfer_encoding = true;
            match coding.as_str() {
                "chunked" => self.chunked = true,
                "identity" => {}
                _ => self.odd("transfer coding other than chunked"),
            }
        }
    }

    fn odd(&mut self, reason: &'static str) {
        if !self.odd.contains(&reason) {
            self.odd.push(reason);
        }
    }

    /// How the body is delimited; `rest` says what holds where neither length nor chunks are given.
    pub(super) fn framing(&mut self, rest: Framing) -> Framing {
        if self.chunked {
            if self.content_length.is_some() {
                self.odd("Transfer-Encoding with Content-Length");
            }
            return Framing::Chunked;
        }
        match self.content_length {
            Some(length) => Framing::Length(length),
            None => rest,
        }
    }

    /// The length to expect of the body, as far as it is said.
    pub(super) fn length_hint(&self) -> usize {
        self.content_length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }
}

/// Whether the next line continues the last field (RFC 9112 §5.2).
fn is_folded(rest: &[u8]) -> bool {
    match rest {
        [b' ' | b'\t', ..] => !split_line(rest).0.is_empty(),
        _ => false,
    }
}

/// The elements of a comma-separated list in lower case, without parameters.
pub(super) fn words(value: &[u8]) -> impl Iterator<Item = String> {
    let text = text_of(value).to_ascii_lowercase();
    let words: Vec<String> = text
        .split(',')
        .map(|word| word.split(';').next().unwrap_or_default().trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::{Fields, Framing, HeadScan, request, response};
    use crate::model::Protocol;

    #[test]
    fn the_end_of_a_head_is_found_in_any_pieces() {
        for head in ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n"] {
            let bytes = [head.as_bytes(), b"\r\n\r\nbody"].concat();
            assert_eq!(HeadScan::default().feed(&bytes), Some(head.len()), "{head:?}");
            let mut scan = HeadScan::default();
            let end = bytes.iter().position(|byte| scan.feed(&[*byte]).is_some());
            assert_eq!(end, Some(head.len() - 1), "{head:?}");
        }
    }

    #[test]
    fn fields_keep_their_bytes_and_folds_are_joined() {
        let head =
            request(b"GET / HTTP/1.1\r\nX-A:  b c \r\nno colon here\r\nX-B: one\r\n  two\r\n\tthree\r\nX-C:\r\n\r\n");
        let fields: Vec<_> = head.fields.headers.iter().collect();
        assert_eq!(fields, [(&b"X-A"[..], &b"b c"[..]), (b"X-B", b"one two three"), (b"X-C", b"")]);
        assert_eq!(head.fields.odd, ["header line without a colon", "folded header line"]);
    }

    #[test]
    fn the_authority_is_host_or_that_of_the_target() {
        for (head, authority) in [
            ("GET http://a.example:81/x HTTP/1.1\r\nHost: b.example\r\n\r\n", Some("b.example")),
            ("GET http://a.example:81/x HTTP/1.1\r\nHost:\r\n\r\n", Some("a.example:81")),
            ("GET http://a.example?q HTTP/1.0\r\n\r\n", Some("a.example")),
            ("GET /?u=http://a.example/ HTTP/1.0\r\n\r\n", None),
            ("CONNECT a.example:443 HTTP/1.1\r\n\r\n", Some("a.example:443")),
            ("GET / HTTP/1.1\r\nhOsT:b.example\r\nHost: c.example\r\n\r\n", Some("b.example")),
        ] {
            assert_eq!(request(head.as_bytes()).authority.as_deref(), authority, "{head:?}");
        }
    }

    fn framing(lines: &str) -> (Framing, Vec<&'static str>) {
        let mut fields = Fields::read(lines.as_bytes());
        (fields.framing(Framing::UntilClose), fields.odd)
    }

    #[test]
    fn the_framing_follows_the_fields() {
        assert_eq!(framing("Content-Length: 5\r\n"), (Framing::Length(5), vec![]));
        assert_eq!(framing("Content-Length: 5, 5\r\n"), (Framing::Length(5), vec![]));
        assert_eq!(framing("Transfer-Encoding: gzip, Chunked\r\n").0, Framing::Chunked);
        assert_eq!(framing("Transfer-Encoding: identity\r\n"), (Framing::UntilClose, vec![]));
        assert_eq!(framing("\r\nContent-Length: 5\r\n"), (Framing::UntilClose, vec![]));
    }

    #[test]
    fn conflicting_framing_is_noted() {
        assert_eq!(framing("Content-Length: -1\r\n"), (Framing::UntilClose, vec!["invalid Content-Length"]));
        assert_eq!(framing("Content-Length: +1\r\n"), (Framing::UntilClose, vec!["invalid Content-Length"]));
        let twice = framing("Content-Length: 1\r\nContent-Length: 2\r\n");
        assert_eq!(twice, (Framing::Length(2), vec!["conflicting Content-Length"]));
        let both = framing("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n");
        assert_eq!(both, (Framing::Chunked, vec!["Transfer-Encoding with Content-Length"]));
    }

    #[test]
    fn a_status_line_is_read_with_and_without_its_reason() {
        for (line, status, protocol) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, Protocol::Http11),
            ("HTTP/1.0 404\r\n\r\n", 404, Protocol::Http10),
            ("ICY 200 OK\r\n\r\n", 200, Protocol::Http10),
        ] {
            let head = response(line.as_bytes());
            assert_eq!((head.status, head.protocol), (status, protocol));
        }
    }
}
