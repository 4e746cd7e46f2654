//! Tells whether bytes begin an HTTP/1 message (RFC 9112 §2.1): the request line and the status line.
//!
//! Verdicts are stable: once `Yes` or `No` is said of some bytes, more bytes after them never change it. That is what
//! makes parsing independent of how a stream was cut into segments.

use crate::model::Direction;
use memchr::{memchr, memrchr};

/// A verdict on first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// They are of this protocol.
    Yes,
    /// They are not.
    No,
    /// More bytes are needed.
    Unsure,
}

/// The two kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

/// How sure the caller is that a message begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where a message is due: odd ones are taken too.
    Boundary,
    /// At a line start in unknown bytes: only well-formed ones.
    Anywhere,
}

/// Longest method taken.
const METHOD_MAX: usize = 32;
/// Longest field name looked at to tell a header line.
pub(super) const NAME_MAX: usize = 128;
/// Longest start line.
pub(super) const START_LINE_MAX: usize = 256 << 10;
/// From this length on, only a line end can change a verdict, or up to [`NAME_MAX`] bytes after one.
pub(super) const PREFIX_MAX: usize = 64;

/// Methods that make a request line even without a version: the IANA registry and those of common products.
const METHODS: &str = "ACL BASELINE-CONTROL BCOPY BDELETE BIND BMOVE BPROPFIND BPROPPATCH CCM_POST CHECKIN CHECKOUT \
    CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKWORKSPACE MOVE NOTIFY OPTIONS \
    PATCH POLL POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT RPC_CONNECT RPC_IN_DATA RPC_OUT_DATA SEARCH SUBSCRIBE TRACE UNBIND UNCHECKOUT UNLINK UNLOCK \
    UNSUBSCRIBE UPDATE VERSION-CONTROL";

fn is_known(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"POST") || METHODS.split(' ').any(|known| known.as_bytes() == method)
}

/// Whether the first bytes of a direction begin HTTP/1. A response on the client's side counts too: in captures that
/// start in the middle, the flow layer may have taken the server for the client.
#[must_use]
pub fn probe(direction: Direction, bytes: &[u8]) -> Probe {
    let bytes = &bytes[empty_lines(bytes)..];
    let place = match direction {
        Direction::ToServer => Place::Boundary,
        Direction::ToClient => Place::Anywhere,
    };
    match (request_line(bytes, place), response_line(bytes)) {
        (Probe::Yes, _) | (_, Probe::Yes) => Probe::Yes,
        (Probe::No, Probe::No) => Probe::No,
        _ => Probe::Unsure,
    }
}

/// Where the first well-formed HTTP/1 start line begins, for streams captured from their middle on.
#[must_use]
pub fn find_start(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        if message_kind(rest, None, Place::Anywhere).is_ok_and(|kind| kind.is_some()) {
            return Some(at);
        }
        at += memchr(b'\n', rest)? + 1;
    }
}

/// What begins here, of `wanted` or else of either kind: `Ok(None)` is nothing, `Err` asks for more bytes.
pub(super) fn message_kind(bytes: &[u8], wanted: Option<Kind>, place: Place) -> Result<Option<Kind>, NeedMore> {
    let request = match wanted {
        Some(Kind::Response) => Probe::No,
        Some(Kind::Request) | None => request_line(bytes, place),
    };
    let response = match wanted {
        Some(Kind::Request) => Probe::No,
        Some(Kind::Response) | None => response_line(bytes),
    };
    match (request, response) {
        (_, Probe::Yes) => Ok(Some(Kind::Response)),
        (Probe::Yes, _) => Ok(Some(Kind::Request)),
        (Probe::No, Probe::No) => Ok(None),
        _ => Err(NeedMore),
    }
}

/// The bytes do not yet tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NeedMore;

/// How many bytes of empty lines stand first.
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// A request line cut in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    /// From the first space to the last ` HTTP/`, without white space around it.
    pub(super) target: &'a [u8],
    /// Empty where there is none.
    pub(super) version: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Cuts a line (without its end); the method is what stands before the first space.
    pub(super) fn cut(line: &'a [u8]) -> Self {
        let line = line.trim_ascii_end();
        let method_end = memchr(b' ', line).unwrap_or(line.len());
        let (method, rest) = line.split_at(method_end);
        // A version has no space in it, so it can only stand after the last one; after the only one stands a target.
        let (target, version) = match memrchr(b' ', rest) {
            Some(at) if at > 0 && is_version(&rest[at + 1..]) => (&rest[..at], &rest[at + 1..]),
            Some(_) | None => (rest, &rest[rest.len()..]),
        };
        Self { method, target: target.trim_ascii(), version }
    }
}

/// `HTTP/` and a few bytes: digits may be damaged or missing.
fn is_version(version: &[u8]) -> bool {
    version.starts_with(b"HTTP/") && version.len() <= 10
}

fn is_whole_version(version: &[u8]) -> bool {
    matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0' | b'1', b'.', b'0'..=b'9'])
}

/// Whether a request line begins here.
pub(super) fn request_line(bytes: &[u8], place: Place) -> Probe {
    let Some(end) = bytes.iter().take(METHOD_MAX + 1).position(|&byte| !is_token(byte)) else {
        return if bytes.len() > METHOD_MAX { Probe::No } else { Probe::Unsure };
    };
    match bytes[end] {
        b' ' if end > 0 && !is_tail(&bytes[..end]) && !is_glued(&bytes[..end]) => {}
        b'\r' | b'\n' if place == Place::Boundary && is_known(&bytes[..end]) => {}
        _ => return Probe::No,
    }
    let window = &bytes[..bytes.len().min(START_LINE_MAX)];
    let Some(line_end) = memchr(b'\n', window) else {
        return if window.len() == START_LINE_MAX { Probe::No } else { Probe::Unsure };
    };
    let line = RequestLine::cut(&bytes[..line_end]);
    match place {
        Place::Anywhere => well_formed(line),
        Place::Boundary if line.version.is_empty() => without_version(line, &bytes[line_end + 1..]),
        // The HTTP/2 preface (RFC 9113 §3.4) is made to look like a request.
        Place::Boundary if line.method == b"PRI" => Probe::No,
        Place::Boundary => Probe::Yes,
    }
}

fn well_formed(line: RequestLine<'_>) -> Probe {
    let method = line.method.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    if is_whole_version(line.version) && method { Probe::Yes } else { Probe::No }
}

/// `GET /` alone (HTTP/0.9), or a request line that lacks its version or target but has header lines after it.
fn without_version(line: RequestLine<'_>, after: &[u8]) -> Probe {
    let target = line.target;
    let plausible = target.is_empty() || target.starts_with(b"/") || target.starts_with(b"HTTP/");
    if !plausible || !is_known(line.method) {
        return Probe::No;
    }
    match after.iter().take(NAME_MAX).position(|&byte| !is_token(byte)) {
        Some(0) if after[0] == b'\n' || after.starts_with(b"\r\n") => Probe::Yes,
        Some(0) if after == b"\r" => Probe::Unsure,
        Some(0) => Probe::No,
        Some(end) if after[end] == b':' => Probe::Yes,
        None if after.len() < NAME_MAX => Probe::Unsure,
        Some(_) | None => Probe::No,
    }
}

/// Whether a method is only the end of a known one, whose beginning was not captured.
fn is_tail(method: &[u8]) -> bool {
    !is_known(method) && METHODS.split(' ').any(|known| known.as_bytes().ends_with(method))
}

/// Where a known method ends these bytes behind something else, which no method has right before its last word: the
/// end of a body that nobody announced (`a=1&b=2GET`).
fn known_at_end(bytes: &[u8]) -> Option<usize> {
    let start = METHODS.split(' ').filter_map(|known| bytes.strip_suffix(known.as_bytes())).map(<[u8]>::len).min()?;
    let glued = start > 0 && matches!(bytes[start - 1], b'A'..=b'Z' | b'_' | b'-');
    (!glued).then_some(start)
}

/// Where in a line that begins with something else a request line stands that ends it.
pub(super) fn request_inside(line: &[u8]) -> Option<usize> {
    let line = line.trim_ascii_end();
    let RequestLine { version, .. } = RequestLine::cut(line);
    if !is_whole_version(version) {
        return None;
    }
    let starts = memchr::memchr_iter(b' ', line).filter(|&space| {
        let target = &line[space + 1..];
        target.starts_with(b"/") || target.starts_with(b"http://")
    });
    starts.filter_map(|space| known_at_end(&line[..space])).next()
}

/// Whether a method drags something else along.
fn is_glued(method: &[u8]) -> bool {
    !is_known(method) && known_at_end(method).is_some_and(|start| start > 0)
}

/// Whether bytes begin with a known method and the beginning of a target, or with a version: an HTTP/1 message it is,
/// though its first line has no end yet.
#[must_use]
pub fn begins_message(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.") || is_cut_request(bytes)
}

/// Whether bytes are a request line of which only the end is missing: what it has of a target is no less true.
pub(super) fn is_cut_request(bytes: &[u8]) -> bool {
    let Some(space) = memchr(b' ', &bytes[..bytes.len().min(METHOD_MAX)]) else { return false };
    let (method, target) = (&bytes[..space], &bytes[space + 1..]);
    let named = [&b"/"[..], b"http://", b"https://"].iter().any(|start| target.starts_with(start));
    named && is_known(method) && !target.iter().any(u8::is_ascii_control)
}

/// A request line that was cut, without what there is of its version.
pub(super) fn without_cut_version(line: &[u8]) -> &[u8] {
    match memrchr(b' ', line) {
        Some(space) if b"HTTP/1.1".starts_with(&line[space + 1..]) => &line[..space],
        Some(_) | None => line,
    }
}

/// Whether a line cut off by the end of the stream is a whole request line all the same.
pub(super) fn is_request_at_end(bytes: &[u8]) -> bool {
    let line_end = memchr(b'\n', bytes);
    let line = RequestLine::cut(&bytes[..line_end.unwrap_or(bytes.len())]);
    let old = line_end.is_some() && line.target.starts_with(b"/") && is_known(line.method);
    !line.method.is_empty()
        && line.method.iter().all(|&byte| is_token(byte))
        && (well_formed(line) == Probe::Yes || old)
}

/// Whether a status line begins here: `HTTP/x.y 200`, or SHOUTcast's `ICY 200`.
pub(super) fn response_line(bytes: &[u8]) -> Probe {
    let rest = match (starts(bytes, b"HTTP/"), starts(bytes, b"ICY")) {
        (Probe::Yes, _) => &bytes[5..],
        (_, Probe::Yes) => &bytes[3..],
        (Probe::No, Probe::No) => return Probe::No,
        _ => return Probe::Unsure,
    };
    const VERSION_MAX: usize = 5;
    let space = match rest.iter().take(VERSION_MAX + 1).position(|byte| !byte.is_ascii_graphic()) {
        Some(end) if rest[end] == b' ' => end,
        None if rest.len() <= VERSION_MAX => return Probe::Unsure,
        Some(_) | None => return Probe::No,
    };
    let code = &rest[space + 1..];
    if !code.iter().take(3).all(u8::is_ascii_digit) {
        return Probe::No;
    }
    match code.get(3) {
        Some(b' ' | b'\r' | b'\n') => Probe::Yes,
        Some(_) => Probe::No,
        None => Probe::Unsure,
    }
}

fn starts(bytes: &[u8], prefix: &[u8]) -> Probe {
    let known = bytes.len().min(prefix.len());
    match bytes[..known] == prefix[..known] {
        false => Probe::No,
        true if known == prefix.len() => Probe::Yes,
        true => Probe::Unsure,
    }
}

/// `tchar` of RFC 9110 §5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{
        Kind, Place, Probe, RequestLine, begins_message, find_start, message_kind, probe, without_cut_version,
    };
    use crate::model::Direction::{ToClient, ToServer};
    use proptest::prelude::*;

    #[test]
    fn requests_with_any_method_are_recognised() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "\r\nPOST /a b?c HTTP/1.0\r\n",
            "get /x HTTP/1.1\n",
            "CCM_POST / HTTP/1.\n",
            "BITS_POST / HTTP/1.1\n",
            "ORDERPATCH / HTTP/1.1\n",
            "M-SEARCH * HTTP/1.1\r\n",
            "NOTIFY * HTTP/1.1\r\n",
            "GET / HTTP/d.1\r\n",
            "GET /HTTP/1.1\nHost: a\n",
            "OPTIONS\nHost: a\n",
            "GET /\r\n\r\n",
            "GET   /spaces HTTP/1.1\r\n",
            "CONNECT a:443 HTTP/1.1\r\n",
        ] {
            assert_eq!(probe(ToServer, line.as_bytes()), Probe::Yes, "{line:?}");
        }
    }

    #[test]
    fn other_protocols_are_refused() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"SSH-2.0-OpenSSH_9\r\n",
            b"EHLO example.com\r\n",
            b"GET/ HTTP/1.1\r\n",
            b"OPTIONS sip:a@b SIP/2.0\r\n",
            b"\0\0\0\x01GET / HTTP/1.1\r\n",
            b"DELETE FROM t\r\nWHERE a",
            b"OPTIONSHTTP/1.1\nHost: a\n",
            b"HTTP/1.1 abc",
            b"T / HTTP/1.1\r\n",
            b"abcGET / HTTP/1.1\r\n",
            b"12PUT / HTTP/1.1\r\n",
            b"220 ready\r\n",
        ] {
            assert_eq!(probe(ToServer, bytes), Probe::No, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn part_of_a_start_line_is_not_enough() {
        for bytes in ["", "\r\n", "G", "GET", "GET /index", "HTTP", "HTTP/1.1 20", "GET /\r\n", "GET /\r\nHost"] {
            assert_eq!(probe(ToServer, bytes.as_bytes()), Probe::Unsure, "{bytes:?}");
        }
    }

    #[test]
    fn status_lines_are_recognised_on_either_side() {
        for direction in [ToServer, ToClient] {
            assert_eq!(probe(direction, b"HTTP/1.1 200 OK\r\n"), Probe::Yes);
            assert_eq!(probe(direction, b"HTTP/1.0 404\r\n"), Probe::Yes);
            assert_eq!(probe(direction, b"ICY 200 OK\r\n"), Probe::Yes);
        }
    }

    #[test]
    fn a_target_reaches_to_the_last_version() {
        let line = RequestLine::cut(b"GET /a HTTP/1.0 b HTTP/1.1");
        assert_eq!((line.method, line.target, line.version), (&b"GET"[..], &b"/a HTTP/1.0 b"[..], &b"HTTP/1.1"[..]));
        let line = RequestLine::cut(b"OPTIONS HTTP/1.1");
        assert_eq!((line.target, line.version), (&b"HTTP/1.1"[..], &b""[..]));
        let line = RequestLine::cut(b"GET  HTTP/1.0");
        assert_eq!((line.target, line.version), (&b""[..], &b"HTTP/1.0"[..]));
    }

    #[test]
    fn a_request_line_is_known_by_its_method_and_target_before_it_ends() {
        for line in ["GET /a", "POST https://a", "HTTP/1.1", "GET /a b?imei=861536030196001 HT"] {
            assert!(begins_message(line.as_bytes()), "{line:?}");
        }
        for line in ["GET", "GET ", "GET key", "ET /a", "EHLO /a", "GET /a\r\n", "HTTP", ""] {
            assert!(!begins_message(line.as_bytes()), "{line:?}");
        }
        assert_eq!(without_cut_version(b"GET /a b HTT"), b"GET /a b");
        assert_eq!(without_cut_version(b"GET /a b"), b"GET /a b");
    }

    #[test]
    fn a_message_is_found_in_the_middle_of_a_stream() {
        assert_eq!(find_start(b"tail of a body\nHTTP/1.1 200 OK\r\n"), Some(15));
        assert_eq!(find_start(b"nothing\nhere\n"), None);
    }

    fn message_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"GET ".to_vec()),
            Just(b"HTTP/1.1".to_vec()),
            Just(b" HTTP/1.1\r\n".to_vec()),
            Just(b"/".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b" 200 ".to_vec()),
            Just(b"Host: a".to_vec()),
            Just(b"ICY".to_vec()),
            Just(b"OPTIONS".to_vec()),
            Just(b"PRI * HTTP/2.0".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_verdict_never_changes_with_more_bytes(bytes in message_like(), strict: bool) {
            let place = if strict { Place::Anywhere } else { Place::Boundary };
            for wanted in [None, Some(Kind::Request), Some(Kind::Response)] {
                let mut verdict = None;
                for end in 0..=bytes.len() {
                    let now = message_kind(&bytes[..end], wanted, place).ok();
                    prop_assert!(verdict.is_none() || verdict == now, "{:?} at {end}", bytes);
                    verdict = now;
                }
            }
        }
    }
}
