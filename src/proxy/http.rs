//! As much of HTTP/1.1 as an HTTP proxy has to understand: the head of a request, and where a message ends.

use std::ops::Range;

/// Most bytes of a head.
pub(super) const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 256;

/// The head of a request, by its places in the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: u8,
    /// Bytes up to the empty line, which included.
    pub(super) len: usize,
    host: Option<String>,
    authorization: Option<String>,
    accept_language: Option<String>,
    /// Lines that are for the proxy alone.
    proxy_lines: Vec<Range<usize>>,
    body: Body,
    /// Whether another protocol may follow.
    pub(super) upgrade: bool,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    UntilEnd,
}

/// What reading a head came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<T> {
    Whole(T),
    More,
    /// It is none.
    Wrong(&'static str),
}

/// Reads the head of a request.
pub(super) fn request(bytes: &[u8]) -> Parsed<RequestHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_MAX => return Parsed::Wrong("head too long"),
        Ok(httparse::Status::Partial) => return Parsed::More,
        Err(_) => return Parsed::Wrong("no HTTP request"),
    };
    let named = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let Some(body) = body_of(parsed.headers, Body::Length(0)) else {
        return Parsed::Wrong("length of the body unclear");
    };
    let for_proxy = ["proxy-authorization", "proxy-connection"];
    let head = RequestHead {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        version: parsed.version.unwrap_or(1),
        len,
        host: named("host"),
        authorization: named("proxy-authorization"),
        accept_language: named("accept-language"),
        proxy_lines: lines(&bytes[..len], |name| for_proxy.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()))),
        body,
        upgrade: named("upgrade").is_some(),
    };
    Parsed::Whole(head)
}

impl RequestHead {
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    pub(super) fn accept_language(&self) -> Option<&str> {
        self.accept_language.as_deref()
    }

    /// Where the body ends.
    pub(super) fn body(&self) -> Framer {
        Framer::of(self.body)
    }

    /// The authority and the rest of a target in absolute form (RFC 9112 §3.2.2) of scheme http.
    pub(super) fn absolute(&self) -> Option<(&str, &str)> {
        let scheme = self.target.get(..7)?;
        if !scheme.eq_ignore_ascii_case("http://") {
            return None;
        }
        let rest = &self.target[7..];
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        Some((authority.rsplit_once('@').map_or(authority, |(_, host)| host), path))
    }

    /// The head as the origin gets it: the target in origin form, all else as it was, but for what is the proxy's alone.
    pub(super) fn in_origin_form(&self, bytes: &[u8], path: &str) -> Vec<u8> {
        let path = path.split('#').next().unwrap_or_default();
        let path = match path {
            "" if self.method == "OPTIONS" => "*".to_owned(),
            _ if path.starts_with('/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        let head = &bytes[..self.len];
        let line_end = memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1);
        let mut out = Vec::with_capacity(head.len());
        out.extend_from_slice(format!("{} {path} HTTP/1.{}\r\n", self.method, self.version).as_bytes());
        let mut at = line_end;
        for line in &self.proxy_lines {
            out.extend_from_slice(&head[at..line.start.max(at)]);
            at = line.end;
        }
        out.extend_from_slice(&head[at..]);
        out
    }
}

/// Lines of a head whose names fit, folded ones with what belongs to them.
fn lines(head: &[u8], fits: impl Fn(&[u8]) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let (mut at, mut within) = (0, false);
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let end = at + line.len();
        let folded = matches!(line.first(), Some(b' ' | b'\t')) && at > 0;
        within = if folded {
            within
        } else {
            line.iter().position(|&b| b == b':').is_some_and(|colon| fits(&line[..colon]))
        };
        if within {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// How long the body is that these headers announce; `None` where they contradict each other (RFC 9112 §6.3).
fn body_of(headers: &[httparse::Header<'_>], silent: Body) -> Option<Body> {
    let mut length = None;
    let mut chunked = false;
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = header.value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
            chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !chunked {
                return Some(Body::UntilEnd);
            }
        } else if header.name.eq_ignore_ascii_case("content-length") {
            for value in header.value.split(|&byte| byte == b',') {
                let value: u64 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
                if length.is_some_and(|length| length != value) {
                    return None;
                }
                length = Some(value);
            }
        }
    }
    Some(if chunked { Body::Chunked } else { length.map_or(silent, Body::Length) })
}

/// What a response's head says of what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) len: usize,
    /// Whether the connection ends with it.
    pub(super) last: bool,
    body: Body,
}

impl ResponseHead {
    pub(super) fn body(&self) -> Framer {
        Framer::of(self.body)
    }
}

/// Reads the head of a response to a request of that method.
pub(super) fn response(bytes: &[u8], method: &str) -> Parsed<ResponseHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_MAX => return Parsed::Wrong("head too long"),
        Ok(httparse::Status::Partial) => return Parsed::More,
        Err(_) => return Parsed::Wrong("no HTTP response"),
    };
    let status = parsed.code.unwrap_or(0);
    let says = |name: &str, word: &[u8]| {
        let named = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named
            .flat_map(|header| header.value.split(|&byte| byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
    };
    let close = says("connection", b"close") || (parsed.version == Some(0) && !says("connection", b"keep-alive"));
    let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    let body = if bodiless {
        Body::Length(0)
    } else {
        match body_of(parsed.headers, Body::UntilEnd) {
            Some(body) => body,
            None => return Parsed::Wrong("length of the body unclear"),
        }
    };
    Parsed::Whole(ResponseHead { status, len, last: close || body == Body::UntilEnd, body })
}

/// Finds where a body ends, without keeping any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Framer {
    Length(u64),
    UntilEnd,
    /// In the line that says how long a chunk is: its length so far, and whether its digits are over.
    ChunkLine(u64, bool),
    /// In a chunk, line end included.
    Chunk(u64),
    /// In the lines behind the last chunk; whether the current one has anything in it.
    Trailer(bool),
    Done,
}

impl Framer {
    fn of(body: Body) -> Self {
        match body {
            Body::Length(0) => Self::Done,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::ChunkLine(0, false),
            Body::UntilEnd => Self::UntilEnd,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// Takes bytes; gives how many of them belong to the body. `None` where they can't be one.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Self::Done => break,
                Self::UntilEnd => return Some(bytes.len()),
                Self::Length(left) | Self::Chunk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = if matches!(self, Self::Length(_)) { Self::Done } else { Self::ChunkLine(0, false) };
                    }
                }
                Self::ChunkLine(size, over) => {
                    let byte = bytes[at];
                    at += 1;
                    match (byte, char::from(byte).to_digit(16)) {
                        (b'\n', _) => *self = if *size == 0 { Self::Trailer(false) } else { Self::Chunk(*size + 2) },
                        (_, Some(digit)) if !*over => *size = size.checked_mul(16)?.checked_add(digit.into())?,
                        (b'\r' | b' ' | b'\t' | b';', _) => *over = true,
                        _ if *over => {}
                        _ => return None,
                    }
                    if let Self::Chunk(size) = self
                        && *size > u64::MAX / 2
                    {
                        return None;
                    }
                }
                Self::Trailer(any) => {
                    match bytes[at] {
                        b'\n' if !*any => *self = Self::Done,
                        b'\n' => *any = false,
                        b'\r' => {}
                        _ => *any = true,
                    }
                    at += 1;
                }
            }
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, Parsed, RequestHead, request, response};
    use proptest::prelude::*;

    fn head(text: &str) -> RequestHead {
        match request(text.as_bytes()) {
            Parsed::Whole(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_target_and_the_proxys_own_lines_change() {
        let text = "GET http://u@Example.com:8080/a?b#c HTTP/1.1\r\nX-Odd:  value \r\nProxy-Authorization: Basic eA==\r\n\
                    hOST: example.com:8080\r\nProxy-Connection: keep-alive\r\nAccept: */*\r\n\r\n";
        let head = head(text);
        let (authority, path) = head.absolute().unwrap();
        assert_eq!((authority, path), ("Example.com:8080", "/a?b#c"));
        assert_eq!(
            String::from_utf8(head.in_origin_form(text.as_bytes(), path)).unwrap(),
            "GET /a?b HTTP/1.1\r\nX-Odd:  value \r\nhOST: example.com:8080\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(head.authorization(), Some("Basic eA=="));
    }

    #[test]
    fn a_target_without_a_path_gets_one() {
        let of = |line: &str| {
            let text = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
            let head = head(&text);
            let (_, path) = head.absolute().unwrap();
            let out = head.in_origin_form(text.as_bytes(), path);
            String::from_utf8(out).unwrap().lines().next().unwrap().to_owned()
        };
        assert_eq!(of("GET http://x"), "GET / HTTP/1.1");
        assert_eq!(of("GET HTTP://x?q"), "GET /?q HTTP/1.1");
        assert_eq!(of("OPTIONS http://x"), "OPTIONS * HTTP/1.1");
    }

    #[test]
    fn messages_whose_length_is_unclear_are_refused() {
        for lengths in ["Content-Length: 1\r\nContent-Length: 2", "Content-Length: x", "Content-Length: 1, 2"] {
            let text = format!("POST http://x/ HTTP/1.1\r\n{lengths}\r\n\r\n");
            assert!(matches!(request(text.as_bytes()), Parsed::Wrong(_)), "{lengths}");
        }
    }

    #[test]
    fn a_response_ends_where_its_head_says() {
        let of = |head: &str, method: &str| match response(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), method) {
            Parsed::Whole(head) => (head.body(), head.last),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("200 OK\r\nContent-Length: 5", "GET"), (Framer::Length(5), false));
        assert_eq!(of("200 OK\r\nContent-Length: 5", "HEAD"), (Framer::Done, false));
        assert_eq!(of("304 Not Modified\r\nContent-Length: 5", "GET"), (Framer::Done, false));
        assert_eq!(of("200 OK", "GET"), (Framer::UntilEnd, true));
        assert_eq!(of("200 OK\r\nContent-Length: 0\r\nConnection: Close", "GET"), (Framer::Done, true));
        assert_eq!(of("200 OK\r\nTransfer-Encoding: gzip, chunked", "GET"), (Framer::ChunkLine(0, false), false));
    }

    proptest! {
        #[test]
        fn chunks_end_at_the_same_byte_however_they_are_cut(
            sizes in proptest::collection::vec(1usize..300, 0..6),
            trailer in any::<bool>(),
            cuts in proptest::collection::vec(1usize..50, 1..40),
        ) {
            let mut body = Vec::new();
            for size in sizes {
                body.extend(format!("{size:X};x=\"1\"\r\n").into_bytes());
                body.extend(vec![b'\n'; size]);
                body.extend(b"\r\n");
            }
            body.extend(if trailer { &b"0\r\nA: b\r\n\r\n"[..] } else { b"0\r\n\r\n" });
            let whole = body.len();
            body.extend(b"GET next");
            let mut framer = Framer::ChunkLine(0, false);
            let (mut at, mut taken) = (0, 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(body.len());
                taken += framer.feed(&body[at..end]).unwrap();
                at = end;
                if at == body.len() {
                    break;
                }
            }
            prop_assert!(framer.is_done());
            prop_assert_eq!(taken, whole);
        }
    }
}
