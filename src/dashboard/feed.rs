//! What the engine tells the dashboard, in model types alone. Exchanges come as summaries of bounded size, so that
//! a window of them has a bound too; whoever reads the capture decides how often to send a new report.

use crate::model::{Exchange, ExchangeId, Headers, Protocol, Report, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;

/// One message to the dashboard.
#[derive(Debug)]
pub enum Feed {
    /// A new snapshot of everything found so far; it takes the place of the one before.
    Report(Arc<Report>),
    /// An exchange was read.
    Exchange(Box<ExchangeSummary>),
    /// How far the input has been read.
    Progress {
        /// Bytes of the input read so far.
        bytes: u64,
        /// Bytes of the input; 0 where it has no known end.
        total: u64,
    },
    /// The input ended; no more messages follow.
    Done,
    /// Reading ended early, with the reason.
    Failed(String),
}

/// What the dashboard keeps of one exchange: every text is capped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeSummary {
    /// Its name.
    pub id: ExchangeId,
    /// Capture time of its first byte.
    pub ts: Timestamp,
    /// The application protocol.
    pub protocol: Protocol,
    /// Who was asked.
    pub server: SocketAddr,
    /// The host it was meant for.
    pub host: String,
    /// The app, where the capture names it.
    pub app: Option<String>,
    /// Version of TLS; none in clear text.
    pub tls: Option<String>,
    /// Method and target; none where only the response was captured. The target is cut at
    /// [`ExchangeSummary::TARGET_MAX`].
    pub request: Option<(String, String)>,
    /// Status of the response, if seen.
    pub status: Option<u16>,
    /// The request's header fields as `Name: value` lines, cut at [`ExchangeSummary::HEADERS_MAX`].
    pub headers: String,
    /// The start of the request's body, cut at [`ExchangeSummary::BODY_MAX`]; bytes that are no text are escaped.
    pub body: String,
    /// `Content-Type` and encodings of the request's body.
    pub body_kind: String,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
}

impl ExchangeSummary {
    /// Most bytes kept of a request target.
    pub const TARGET_MAX: usize = 1024;
    /// Most bytes kept of the request's header fields.
    pub const HEADERS_MAX: usize = 2048;
    /// Most bytes kept of the request's body.
    pub const BODY_MAX: usize = 1024;
    /// Most bytes kept of a host, method or app name.
    pub const NAME_MAX: usize = 256;

    /// The summary of an exchange.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Self {
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        let app = exchange.app.as_ref().and_then(|app| app.package.as_deref().or(app.name.as_deref()));
        Self {
            id: exchange.id,
            ts: exchange.ts,
            protocol: exchange.protocol,
            server: exchange.server,
            host: cut(&exchange.host(), Self::NAME_MAX),
            app: app.map(|app| cut(app, Self::NAME_MAX)),
            tls: exchange.tls.as_ref().map(|tls| cut(tls.version.as_deref().unwrap_or("TLS"), Self::NAME_MAX)),
            request: request.map(|request| {
                (cut(&request.method, Self::NAME_MAX), bytes_as_text(&request.target, Self::TARGET_MAX))
            }),
            status: response.map(|response| response.status),
            headers: request.map_or_else(String::new, |request| header_lines(&request.headers)),
            body: request.map_or_else(String::new, |request| bytes_as_text(&request.body.data, Self::BODY_MAX)),
            body_kind: request.map_or_else(String::new, |request| {
                let kind = request.body.content_type.as_deref().unwrap_or_default();
                let kinds = [kind].into_iter().chain(request.body.encodings.iter().map(String::as_str));
                let kinds: Vec<_> = kinds.filter(|kind| !kind.is_empty()).collect();
                cut(&kinds.join(", "), Self::NAME_MAX)
            }),
            request_bytes: request.map_or(0, |request| request.body.bytes),
            response_bytes: response.map_or(0, |response| response.body.bytes),
        }
    }
}

/// The header fields as lines.
fn header_lines(headers: &Headers) -> String {
    let mut lines = String::new();
    for (name, value) in headers.iter() {
        let left = ExchangeSummary::HEADERS_MAX.saturating_sub(lines.len());
        if left == 0 {
            break;
        }
        lines.push_str(&bytes_as_text(name, left));
        lines.push_str(": ");
        lines.push_str(&bytes_as_text(value, left));
        lines.push('\n');
    }
    cut(&lines, ExchangeSummary::HEADERS_MAX)
}

/// UTF-8 as it is, any other byte as `\xNN`; a text that was cut ends in `…`.
fn bytes_as_text(bytes: &[u8], max: usize) -> String {
    // A character cut in two at `max` would show as an escape, so the cut moves back to a boundary.
    let end = (max.saturating_sub(3)..=max)
        .rev()
        .find(|&end| end >= bytes.len() || bytes.get(end).is_some_and(|byte| byte & 0xC0 != 0x80));
    let kept = &bytes[..end.unwrap_or(max).min(bytes.len())];
    let mut text = String::with_capacity(kept.len());
    for chunk in kept.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if kept.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// At most `max` bytes of a text; one that was cut ends in `…`.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(max)])
}

#[cfg(test)]
mod tests {
    use super::{bytes_as_text, cut};

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(bytes_as_text(b"a\xff\x00b", 10), "a\\xff\0b");
        assert_eq!(bytes_as_text("设备".as_bytes(), 10), "设备");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(bytes_as_text("设备信息".as_bytes(), 7), "设备…");
        assert_eq!(cut("设备信息", 7), "设备…");
        assert_eq!(cut("short", 7), "short");
    }
}
