//! Conversations: their keys, directions and ordered bytes.

use super::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::SocketAddr;

/// Our sequential number of a flow, from 1 in order of first packets. Five-tuples are used again; this is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for FlowId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// The transport protocol of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransportProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A five-tuple seen from the side that opened the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// TCP or UDP.
    pub transport: TransportProtocol,
    /// Who opened it, as far as the capture shows.
    pub client: SocketAddr,
    /// The other side.
    pub server: SocketAddr,
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the side that opened the flow.
    ToServer,
    /// Back to it.
    ToClient,
}

impl Direction {
    /// The opposite direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 for `ToServer`, 1 for `ToClient`: an index into per-direction state.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

/// Ordered bytes of one direction of a flow.
#[derive(Debug, Clone, Copy)]
pub struct StreamChunk<'a> {
    /// Which way they went.
    pub direction: Direction,
    /// When the last of them was captured.
    pub ts: Timestamp,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Bytes lost right before `bytes`; 0 where the stream is whole.
    pub gap: u64,
}
