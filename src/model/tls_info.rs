//! What is known of a TLS session.

use super::NameSource;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the keys that opened a session came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// A key log file (RFC 9850).
    Keylog,
    /// A Decryption Secrets Block of the pcapng file.
    Dsb,
    /// Our own proxy ended the session.
    Proxy,
}

/// What is known of an encrypted ClientHello (RFC 9849).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EncryptedHello {
    /// The client sent the extension. The name seen is that of the outer hello and need not be the one asked for; a
    /// client that only pretends (GREASE) looks the same.
    Offered,
    /// The server took it: the name seen is not the one asked for.
    Accepted,
    /// The server turned it down or could not read it, and answered with keys of its own: the outer name is the one
    /// that counts.
    Rejected,
}

impl EncryptedHello {
    /// As in the contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// Names of a server's own (leaf) certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Certificate {
    /// Common name of the subject.
    pub subject: Option<String>,
    /// Organisation of the subject, which a certificate authority may have checked.
    pub organisation: Option<String>,
    /// DNS names it is for (subjectAltName), as written, wildcards included.
    pub names: Vec<String>,
    /// Addresses it is for.
    pub addresses: Vec<IpAddr>,
    /// Common name of the issuer.
    pub issuer: Option<String>,
    /// Organisation of the issuer.
    pub issuer_organisation: Option<String>,
}

impl Certificate {
    /// The one host the certificate speaks for, in lower case: its only name; or `*.domain` where all its names are
    /// that domain or under it, which host of them is then not known. None where it names unrelated hosts, or none.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let mut names: Vec<String> = self.names.iter().map(|name| name.to_ascii_lowercase()).collect();
        if names.is_empty() && self.addresses.is_empty() {
            names.extend(self.subject.iter().map(|name| name.to_ascii_lowercase()));
        }
        names.retain(|name| is_host_name(name));
        names.sort_unstable();
        names.dedup();
        if let [only] = names.as_slice() {
            return Some(only.clone());
        }
        let base = |name: &str| name.strip_prefix("*.").unwrap_or(name).to_owned();
        let domain = names.iter().map(|name| base(name)).min_by_key(|name| (name.len(), name.clone()))?;
        let under = |name: &String| base(name).strip_suffix(&domain).is_some_and(|s| s.is_empty() || s.ends_with('.'));
        names.iter().all(under).then(|| format!("*.{domain}"))
    }
}

/// Whether a name of a certificate can be a host of the public net: two labels at least, and of the usual characters.
fn is_host_name(name: &str) -> bool {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    bare.contains('.')
        && bare.split('.').all(|label| !label.is_empty() && label.bytes().all(fits))
        && bare.parse::<IpAddr>().is_err()
}

/// A TLS session as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TlsInfo {
    /// `TLS 1.3`, `TLS 1.2` …
    pub version: Option<String>,
    /// IANA name of the cipher suite.
    pub cipher: Option<String>,
    /// Host name the client asked for.
    pub sni: Option<String>,
    /// The protocol agreed on, else the client's first offer where the answer is encrypted.
    pub alpn: Option<String>,
    /// Where the keys came from; none where the session stayed closed.
    pub keys: Option<KeySource>,
    /// JA4 fingerprint of the ClientHello.
    pub ja4: Option<String>,
    /// Whether an encrypted hello was sent along.
    pub ech: Option<EncryptedHello>,
    /// The server's certificate; of TLS 1.3 only where keys opened the handshake.
    pub certificate: Option<Arc<Certificate>>,
}

impl TlsInfo {
    /// The host the session was with, in lower case: the name the client asked for, else what the certificate says.
    #[must_use]
    pub fn server_name(&self) -> Option<(String, NameSource)> {
        let real = self.sni.as_deref().filter(|_| self.ech != Some(EncryptedHello::Accepted));
        let asked = real.map(|sni| sni.trim_end_matches('.').to_ascii_lowercase());
        let asked = asked.filter(|sni| !sni.is_empty() && sni.parse::<IpAddr>().is_err());
        let certified = || Some((self.certificate.as_ref()?.host()?, NameSource::Certificate));
        asked.map(|sni| (sni, NameSource::Sni)).or_else(certified)
    }
}

#[cfg(test)]
mod tests {
    use super::Certificate;

    fn host(subject: Option<&str>, names: &[&str]) -> Option<String> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Certificate { subject: subject.map(str::to_owned), names, ..Certificate::default() }.host()
    }

    #[test]
    fn a_certificate_speaks_for_its_only_name_or_for_the_domain_of_all() {
        assert_eq!(host(Some("other"), &["Api.Example.com"]).as_deref(), Some("api.example.com"));
        assert_eq!(host(Some("api.example.com"), &[]).as_deref(), Some("api.example.com"));
        assert_eq!(host(None, &["*.example.com"]).as_deref(), Some("*.example.com"));
        assert_eq!(host(None, &["*.example.com", "example.com"]).as_deref(), Some("*.example.com"));
        assert_eq!(host(None, &["example.com", "www.example.com"]).as_deref(), Some("*.example.com"));
    }

    #[test]
    fn a_certificate_of_unrelated_or_odd_names_names_no_host() {
        assert_eq!(host(Some("a.example.com"), &["a.example.com", "b.example.org"]), None);
        assert_eq!(host(None, &["a.example.com", "b.example.com"]), None, "which domain is theirs is not said");
        assert_eq!(host(Some("Example Root CA"), &[]), None);
        assert_eq!(host(Some("localhost"), &[]), None);
        assert_eq!(host(Some("192.0.2.1"), &[]), None);
        assert_eq!(host(Some("badexample.com"), &["example.com", "badexample.com"]), None);
    }
}
