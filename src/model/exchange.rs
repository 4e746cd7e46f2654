//! A request with its response, whatever protocol carried them.

use super::{App, FlowId, NameSource, Timestamp, TlsInfo};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Names an exchange: the flow and the exchange's place in it, from 0. Displays as `12.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId {
    /// The flow.
    pub flow: FlowId,
    /// Place within the flow.
    pub index: u32,
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.flow, self.index)
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The application protocol of an exchange, named as in `divulge.exchange/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Protocol {
    /// HTTP/1.0 (RFC 1945), also HTTP/0.9.
    #[serde(rename = "http/1.0")]
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[serde(rename = "http/1.1")]
    Http11,
    /// HTTP/2 (RFC 9113).
    #[serde(rename = "h2")]
    H2,
    /// HTTP/3 (RFC 9114).
    #[serde(rename = "h3")]
    H3,
    /// A WebSocket message (RFC 6455).
    #[serde(rename = "websocket")]
    WebSocket,
    /// A gRPC message.
    #[serde(rename = "grpc")]
    Grpc,
}

impl Protocol {
    /// The name used in `divulge.exchange/1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "http/1.0",
            Self::Http11 => "http/1.1",
            Self::H2 => "h2",
            Self::H3 => "h3",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
        }
    }
}

/// One request and its response, as far as each was seen.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its name.
    pub id: ExchangeId,
    /// Capture time of the first byte seen of it.
    pub ts: Timestamp,
    /// The application protocol.
    pub protocol: Protocol,
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub server: SocketAddr,
    /// The app, where the capture names it.
    pub app: Option<Arc<App>>,
    /// The TLS session it travelled in; none in clear text.
    pub tls: Option<Arc<TlsInfo>>,
    /// The request; none where only the response was captured. Shared, because it is searched before its answer ends
    /// the exchange.
    pub request: Option<Arc<Request>>,
    /// The response; none where it was not captured.
    pub response: Option<Response>,
}

impl Exchange {
    /// `https` inside TLS or QUIC, else `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The host the request was meant for, as [`Self::named_host`] has it.
    #[must_use]
    pub fn host(&self) -> String {
        self.named_host().0
    }

    /// The host the request was meant for: its authority without userinfo and port, else the SNI, else what the
    /// certificate says, else the server's address; an authority that is an address is passed over where a name is
    /// known. Lower case, without a final dot; IPv6 without brackets.
    #[must_use]
    pub fn named_host(&self) -> (String, NameSource) {
        let authority = self.request.as_ref().and_then(|request| request.authority.as_deref());
        let authority =
            authority.map(|authority| host_of_authority(authority).trim_end_matches('.').to_ascii_lowercase());
        let authority = authority.filter(|host| !host.is_empty());
        match authority {
            Some(name) if name.parse::<IpAddr>().is_err() => (name, NameSource::Http),
            address => self
                .tls
                .as_ref()
                .and_then(|tls| tls.server_name())
                .unwrap_or_else(|| (address.unwrap_or_else(|| self.server.ip().to_string()), NameSource::Address)),
        }
    }
}

/// The host part of `userinfo@host:port` or `[v6]:port` (RFC 3986 §3.2.2).
#[must_use]
pub fn host_of_authority(authority: &str) -> &str {
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    if let Some(rest) = host_port.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host_port.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        Some(_) | None => host_port,
    }
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method as sent.
    pub method: String,
    /// The request target as sent (path and query, absolute form or authority form).
    pub target: Box<[u8]>,
    /// `:authority`, or `Host`, or the absolute target's authority.
    pub authority: Option<String>,
    /// The header fields in order (without pseudo fields), trailers last.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Request {
    /// Bytes that it keeps in memory.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.target.len() + self.headers.bytes() + self.body.data.len()
    }

    /// The target as text: UTF-8 if it is, else each byte as its Latin-1 character.
    #[must_use]
    pub fn target_text(&self) -> Cow<'_, str> {
        text_of(&self.target)
    }
}

/// A response.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// The header fields in order (without pseudo fields), trailers last.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Response {
    /// Bytes that it keeps in memory.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.headers.bytes() + self.body.data.len()
    }
}

/// A body after transfer decoding and before content decoding.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Bytes it had on the wire (gaps not counted).
    pub bytes: u64,
    /// SHA-256 of those bytes; none where there are none.
    pub sha256: Option<[u8; 32]>,
    /// `Content-Type` as sent.
    pub content_type: Option<String>,
    /// `Content-Encoding`, in order of application, lower case.
    pub encodings: Vec<String>,
    /// Whether all of it was captured.
    pub complete: bool,
    /// The bytes kept for detection: all, or the first [`Body::KEEP_MAX`] ([`Body::RESPONSE_KEEP_MAX`]).
    pub data: Vec<u8>,
}

impl Body {
    /// Most bytes of a request body that are kept for detection (the hash and length cover all of it).
    pub const KEEP_MAX: usize = 16 << 20;
    /// Most bytes of a response body that are kept: identifiers are handed out in small answers, while large ones are
    /// media, of which many may be on their way at a time.
    pub const RESPONSE_KEEP_MAX: usize = 2 << 20;

    /// Whether `data` is shorter than the body was.
    #[must_use]
    pub fn cut(&self) -> bool {
        (self.data.len() as u64) < self.bytes
    }
}

/// Header fields in the order and case they were sent, in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    raw: Vec<u8>,
    /// Ends of name and value of each field in `raw`; a name starts where the value before it ends.
    ends: Vec<(u32, u32)>,
}

impl Headers {
    /// No fields, with room for so many of so many bytes of names and values together.
    #[must_use]
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { raw: Vec::with_capacity(bytes), ends: Vec::with_capacity(fields) }
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.raw.extend_from_slice(name);
        let name_end = self.raw.len();
        self.raw.extend_from_slice(value);
        // Heads are capped far below 4 GiB by every parser; a larger one would only lose its last fields.
        if let (Ok(name_end), Ok(end)) = (u32::try_from(name_end), u32::try_from(self.raw.len())) {
            self.ends.push((name_end, end));
        }
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0usize;
        self.ends.iter().map(move |&(name_end, end)| {
            let (name_end, end) = (name_end as usize, end as usize);
            let field = (&self.raw[start..name_end], &self.raw[name_end..end]);
            start = end;
            field
        })
    }

    /// The first value of a field; names compare without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Bytes as text: UTF-8 if they are, else each byte as its Latin-1 character.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, host_of_authority};

    #[test]
    fn headers_keep_order_case_and_repeats() {
        let mut headers = Headers::default();
        headers.push(b"Host", b"a.example");
        headers.push(b"X-A", b"");
        headers.push(b"x-a", b"2");
        let fields: Vec<_> = headers.iter().collect();
        assert_eq!(fields, [(&b"Host"[..], &b"a.example"[..]), (b"X-A", b""), (b"x-a", b"2")]);
        assert_eq!(headers.get("HOST"), Some(&b"a.example"[..]));
    }

    #[test]
    fn an_authority_gives_its_host() {
        for (authority, host) in [
            ("a.example:8080", "a.example"),
            ("u:p@a.example", "a.example"),
            ("[::1]:443", "::1"),
            ("fe80::1", "fe80::1"),
        ] {
            assert_eq!(host_of_authority(authority), host);
        }
    }
}
