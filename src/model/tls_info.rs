//! What is known of a TLS session.

use serde::Serialize;

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
}
