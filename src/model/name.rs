//! Host names seen on the wire.

use super::{FlowId, Timestamp};
use serde::Serialize;
use std::net::IpAddr;

/// What told a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NameKind {
    /// Server Name Indication of a ClientHello.
    Sni,
    /// A DNS question, or a name announced over multicast DNS.
    Dns,
}

/// What named a host, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NameSource {
    /// The authority of a request.
    Http,
    /// Server Name Indication.
    Sni,
    /// The server's certificate: its only name, or `*.domain` where it is for that domain as a whole.
    Certificate,
    /// The latest DNS answer with its address.
    Dns,
    /// Nothing: its address stands for it.
    Address,
}

impl NameSource {
    /// Short, for people, where a name is not from the requests themselves; an address says so on its own.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Http | Self::Address => None,
            Self::Sni => Some("SNI"),
            Self::Certificate => Some("cert"),
            Self::Dns => Some("DNS"),
        }
    }

    /// As in the contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sni => "sni",
            Self::Certificate => "certificate",
            Self::Dns => "dns",
            Self::Address => "address",
        }
    }
}

/// What carried a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NameProtocol {
    /// TLS over TCP.
    Tls,
    /// QUIC.
    Quic,
    /// DNS.
    Dns,
    /// Multicast DNS (RFC 6762), within the local network.
    Mdns,
    /// Link-Local Multicast Name Resolution (RFC 4795), within the local network.
    Llmnr,
}

impl NameProtocol {
    /// As in the contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Dns => "dns",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
        }
    }
}

/// A host name that was asked for or announced (`divulge.name/1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenName {
    /// When.
    pub ts: Timestamp,
    /// In which flow.
    pub flow: FlowId,
    /// What told it.
    pub kind: NameKind,
    /// The name as sent, without a final dot; the root of DNS is `<Root>`.
    pub name: String,
    /// What carried it.
    pub protocol: NameProtocol,
    /// Addresses a DNS answer gave for it.
    pub addresses: Vec<IpAddr>,
}
