//! What befell a connection of the proxy, so that a report can say by name what was not read and why. A recording keeps
//! it, so that its replay says the same.

use super::Timestamp;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A client refused the certificate we made for the host; its next connections are passed through.
    ClientRefused,
    /// Passed through untouched, because a client refused our certificate for this host before.
    Pinned,
    /// Passed through untouched, because the user said so.
    PassedThrough,
    /// Passed through untouched, because client or origin speak a TLS that we do not.
    NotIntercepted,
    /// The origin's certificate was not accepted, so the client was turned away.
    OriginUntrusted,
    /// The origin's certificate would not have been accepted, but the user said to take it.
    OriginUnverified,
    /// The origin could not be reached, or broke off before anything was relayed.
    OriginFailed,
    /// The proxy turned the client away: not allowed, no such target, too many connections.
    Refused,
    /// The client broke off, stalled or made no sense.
    ClientFailed,
    /// Bytes went by that were not recorded or not inspected.
    Unread,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::ClientRefused,
        Self::Pinned,
        Self::PassedThrough,
        Self::NotIntercepted,
        Self::OriginUntrusted,
        Self::OriginUnverified,
        Self::OriginFailed,
        Self::Refused,
        Self::ClientFailed,
        Self::Unread,
    ];

    /// The name used in recordings and contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientRefused => "client_refused",
            Self::Pinned => "pinned",
            Self::PassedThrough => "passed_through",
            Self::NotIntercepted => "not_intercepted",
            Self::OriginUntrusted => "origin_untrusted",
            Self::OriginUnverified => "origin_unverified",
            Self::OriginFailed => "origin_failed",
            Self::Refused => "refused",
            Self::ClientFailed => "client_failed",
            Self::Unread => "unread",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub ts: Timestamp,
    /// What.
    pub kind: IncidentKind,
    /// The host it is about (a name, or an address), or the client where no host is known.
    pub host: Arc<str>,
    /// The connection it befell, client and server as the frames have them; none where it is about more than one.
    pub connection: Option<(SocketAddr, SocketAddr)>,
    /// In words, one line, without the host.
    pub text: String,
}
