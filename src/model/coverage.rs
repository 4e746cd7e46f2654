//! What could and could not be read.

use serde::Serialize;

/// Why bytes stayed closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpaqueReason {
    /// Encrypted, and no key for it was given.
    NoKey,
    /// A key was given but did not open it.
    WrongKey,
    /// The handshake was not captured, so keys cannot be matched.
    NoHandshake,
    /// The cipher suite or protocol version is not supported.
    UnsupportedCipher,
    /// No known protocol.
    UnknownProtocol,
    /// QUIC of a version that is not opened: Google's own, an early draft, or one not known.
    Quic,
    /// Bytes were lost or cut in the capture.
    Truncated,
    /// The client refused our certificate.
    Pinned,
}

impl OpaqueReason {
    /// The name used in the JSON contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::WrongKey => "wrong_key",
            Self::NoHandshake => "no_handshake",
            Self::UnsupportedCipher => "unsupported_cipher",
            Self::UnknownProtocol => "unknown_protocol",
            Self::Quic => "quic",
            Self::Truncated => "truncated",
            Self::Pinned => "pinned",
        }
    }
}

/// Totals over a run or a host. Bytes are transport payload bytes, both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// Payload bytes seen.
    pub bytes: u64,
    /// Of them, those whose content was read.
    pub readable_bytes: u64,
    /// Flows seen.
    pub flows: u64,
    /// Of them, those whose content was read.
    pub readable_flows: u64,
}
