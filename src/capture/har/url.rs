//! What an entry says of where and when: its URL, addresses, times and HTTP version, in the spellings of its exporter.

use crate::model::{Protocol, Timestamp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A URL cut apart, each part as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// Lower case; empty where the URL is only a path.
    pub(super) scheme: String,
    /// Userinfo, host and port; empty where there is none.
    pub(super) authority: &'a [u8],
    /// Path and query, without the fragment, which is never sent; `/` where there is no path.
    pub(super) target: Vec<u8>,
}

impl<'a> Url<'a> {
    pub(super) fn parse(url: &'a [u8]) -> Self {
        let (scheme, rest) = match memchr::memmem::find(url, b"://") {
            Some(end) if is_scheme(&url[..end]) => (String::from_utf8_lossy(&url[..end]), &url[end + 3..]),
            _ => return Self::without_authority(url),
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let mut target = tail[..memchr::memchr(b'#', tail).unwrap_or(tail.len())].to_vec();
        if target.first() != Some(&b'/') {
            target.insert(0, b'/');
        }
        Self { scheme: scheme.to_ascii_lowercase(), authority, target }
    }

    fn without_authority(url: &'a [u8]) -> Self {
        let colon = url.iter().position(|byte| matches!(byte, b':' | b'/' | b'?')).filter(|&at| url[at] == b':');
        let scheme = colon.map(|at| &url[..at]).filter(|scheme| is_scheme(scheme));
        Self {
            scheme: scheme.map(|scheme| String::from_utf8_lossy(scheme).to_ascii_lowercase()).unwrap_or_default(),
            authority: &[],
            target: url[..memchr::memchr(b'#', url).unwrap_or(url.len())].to_vec(),
        }
    }

    /// Whether fetching it is traffic: `data:`, `blob:`, `chrome-extension:` and the like are not.
    pub(super) fn is_network(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https" | "ws" | "wss")
            // A bare path, or the host and port of a CONNECT.
            || !matches!(self.scheme.as_str(), "data" | "blob" | "about" | "file" | "javascript" | "filesystem")
                && !self.scheme.ends_with("-extension")
                && !matches!(self.scheme.as_str(), "chrome" | "resource" | "devtools")
    }

    pub(super) fn is_secure(&self) -> bool {
        matches!(self.scheme.as_str(), "https" | "wss")
    }

    /// The port of the authority, else the scheme's.
    pub(super) fn port(&self) -> u16 {
        let host_port = self.authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
        let after_v6 = host_port.rsplit(|&byte| byte == b']').next().unwrap_or_default();
        let port = after_v6.iter().rposition(|&byte| byte == b':').map(|at| &after_v6[at + 1..]);
        let port = port.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        port.unwrap_or(if self.is_secure() { 443 } else { 80 })
    }
}

fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The HTTP version: `HTTP/1.1`, `http/2.0`, `h2`, `HTTP/3`, `h3-29`, `http/2+quic/46` …
pub(super) fn protocol(version: &str) -> Protocol {
    let version = version.trim().to_ascii_lowercase();
    let number = version.strip_prefix("http/").or_else(|| version.strip_prefix('h')).unwrap_or(&version);
    if version.contains("quic") || number.starts_with('3') {
        Protocol::H3
    } else if number.starts_with('2') || version.starts_with("spdy") {
        Protocol::H2
    } else if number == "1.0" || number == "0.9" {
        Protocol::Http10
    } else {
        Protocol::Http11
    }
}

/// An address as exporters write it: bare, in brackets, with a port or a zone. Unspecified where there is none.
pub(super) fn address(text: Option<&str>, port: u16) -> SocketAddr {
    let text = text.unwrap_or_default().trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split('%').next().unwrap_or(bare);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return SocketAddr::new(ip, port);
    }
    text.parse().unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
}

/// A point in time: ISO 8601 with any offset (UTC where none is given), or seconds or milliseconds since the epoch.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number);
    }
    let mut text = text.replacen(' ', "T", 1);
    let zone = text.len().checked_sub(5).map(|at| &text.as_bytes()[at..]);
    if matches!(zone, Some([b'+' | b'-', digits @ ..]) if digits.iter().all(u8::is_ascii_digit)) && text.contains('T') {
        text.insert(text.len() - 2, ':');
    }
    let parsed = Timestamp::parse(&text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
    parsed.ok()
}

/// Seconds since the epoch, or milliseconds where seconds would be too far ahead.
pub(super) fn epoch(number: f64) -> Option<Timestamp> {
    /// In seconds the year 5138, in milliseconds 1973.
    const MILLISECONDS_FROM: f64 = 1e11;
    if !number.is_finite() || number <= 0.0 {
        return None;
    }
    let seconds = if number >= MILLISECONDS_FROM { number / 1e3 } else { number };
    // Microseconds: what a double can hold of a time of these years.
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let micros = (seconds * 1e6).round() as i64;
    Some(Timestamp::from_nanos(micros.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests {
    use super::{Url, address, protocol, time};
    use crate::model::Protocol;

    #[test]
    fn a_url_is_cut_apart_and_its_escapes_stay() {
        let cut = |url: &'static str| {
            let url = Url::parse(url.as_bytes());
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (url.scheme.clone(), text(url.authority), text(&url.target), url.port())
        };
        let parts = |scheme: &str, authority: &str, target: &str, port| {
            (scheme.to_owned(), authority.to_owned(), target.to_owned(), port)
        };
        assert_eq!(cut("HTTPS://a.example/%7Ex?q=%41#top"), parts("https", "a.example", "/%7Ex?q=%41", 443));
        assert_eq!(cut("http://u:p@[::1]:81?x=1"), parts("http", "u:p@[::1]:81", "/?x=1", 81));
        assert_eq!(cut("wss://a.example:8443"), parts("wss", "a.example:8443", "/", 8443));
        assert_eq!(cut("/p?u=http://b.example/"), parts("", "", "/p?u=http://b.example/", 80));
        assert!(!Url::parse(b"data:text/plain,x").is_network());
        assert!(!Url::parse(b"chrome-extension://abc/x.js").is_network());
        assert!(Url::parse(b"a.example:443").is_network());
    }

    #[test]
    fn versions_have_many_spellings() {
        for (text, version) in [
            ("HTTP/1.1", Protocol::Http11),
            ("http/1.1", Protocol::Http11),
            ("", Protocol::Http11),
            ("unknown", Protocol::Http11),
            ("HTTP/1.0", Protocol::Http10),
            ("h2", Protocol::H2),
            ("http/2.0", Protocol::H2),
            ("HTTP/2", Protocol::H2),
            ("2", Protocol::H2),
            ("spdy/3.1", Protocol::H2),
            ("h3", Protocol::H3),
            ("h3-29", Protocol::H3),
            ("HTTP/3", Protocol::H3),
            ("http/2+quic/46", Protocol::H3),
        ] {
            assert_eq!(protocol(text), version, "{text}");
        }
    }

    #[test]
    fn addresses_come_with_brackets_ports_zones_or_not_at_all() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("2001:db8::1", "[2001:db8::1]:443"),
            ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
            ("192.0.2.1:8443", "192.0.2.1:8443"),
            ("fe80::1%wlan0", "[fe80::1]:443"),
            ("", "0.0.0.0:443"),
            ("a.example", "0.0.0.0:443"),
        ] {
            assert_eq!(address(Some(text), 443).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn times_have_any_offset_or_none() {
        for text in [
            "2024-05-06T07:08:09.123Z",
            "2024-05-06T15:08:09.123+08:00",
            "2024-05-06T15:08:09.1230000+0800",
            "2024-05-06 07:08:09.123",
            "1714979289123",
            "1714979289.123",
        ] {
            assert_eq!(time(text).map(|t| t.to_string()).as_deref(), Some("2024-05-06T07:08:09.123000Z"), "{text}");
        }
        assert_eq!(time("yesterday"), None);
    }
}
