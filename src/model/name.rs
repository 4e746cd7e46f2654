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
    /// A DNS question.
    Dns,
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
}

/// A host name that was asked for (`divulge.name/1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenName {
    /// When.
    pub ts: Timestamp,
    /// In which flow.
    pub flow: FlowId,
    /// What told it.
    pub kind: NameKind,
    /// The name as sent, without a final dot.
    pub name: String,
    /// What carried it.
    pub protocol: NameProtocol,
    /// Addresses a DNS answer gave for it.
    pub addresses: Vec<IpAddr>,
}
