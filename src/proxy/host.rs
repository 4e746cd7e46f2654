//! Names of hosts as users write them in options.

use std::net::IpAddr;
use std::str::FromStr;

/// A host, or hosts: `api.example.com`, `*.example.com` (any depth below it, and not itself), `*`, an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Whether a host is meant.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self.0.strip_prefix('*') {
            Some(rest) => {
                host.len() >= rest.len() && host.is_char_boundary(host.len() - rest.len()) && {
                    let (before, end) = host.split_at(host.len() - rest.len());
                    end.eq_ignore_ascii_case(rest) && (rest.is_empty() || !before.is_empty())
                }
            }
            None => host.eq_ignore_ascii_case(&self.0),
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('.');
        let (star, name) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
        if (name.is_empty() && !star) || !name.chars().all(fits) || (star && !name.is_empty() && !name.starts_with('.'))
        {
            return Err(format!("\"{text}\": expected a host name, an address, *.domain, or *"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// `host:port`, `[v6]:port`, or a host alone with `default`.
pub(super) fn split_authority(authority: &str, default: Option<u16>) -> Option<(String, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<IpAddr>().ok()?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if rest.is_empty() => default?,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
        Some(_) => (authority, default?),
        None => (authority, default?),
    };
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b'?' | b'#' | b'\\');
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(fits)).then(|| (host.to_owned(), port))
}

/// `host:port`, with brackets where the host is an IPv6 address.
pub(super) fn join_authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, join_authority, split_authority};

    #[test]
    fn patterns_mean_one_host_or_all_below_a_domain() {
        let fits = |pattern: &str, host: &str| pattern.parse::<HostPattern>().unwrap().fits(host);
        assert!(fits("api.example.com", "API.example.com."));
        assert!(fits("*.example.com", "a.b.example.com"));
        assert!(!fits("*.example.com", "example.com"));
        assert!(!fits("*.example.com", "badexample.com"));
        assert!(fits("*", "anything") && fits("10.0.0.1", "10.0.0.1"));
        for wrong in ["", "a b", "*example.com", "http://x/"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn authorities_are_split_and_joined() {
        let split = |text: &str| split_authority(text, Some(80));
        assert_eq!(split("example.com:443"), Some(("example.com".to_owned(), 443)));
        assert_eq!(split("example.com"), Some(("example.com".to_owned(), 80)));
        assert_eq!(split("[::1]:443"), Some(("::1".to_owned(), 443)));
        assert_eq!(split("[::1]"), Some(("::1".to_owned(), 80)));
        assert_eq!(split("::1"), Some(("::1".to_owned(), 80)));
        for wrong in ["", ":80", "a:b", "a:70000", "user@host:80", "[x]:1", "a/b:1"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
        assert_eq!(join_authority("::1", 443), "[::1]:443");
    }
}
