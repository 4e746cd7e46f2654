//! Passive QUIC: the datagrams of both directions of a connection to the bytes of its streams in order, with the
//! secrets of key logs, and without them to the names and protocols of the client's hello (RFC 9000, 9001, 9369, the
//! late drafts). What the streams mean is left to `http`, which flow a datagram belongs to to `pipeline`. Sans-IO.

mod assembler;
mod connection;
mod frame;
mod gquic;
mod keys;
mod output;
mod packet;
mod probe;
mod ranges;
mod space;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod version;

pub use assembler::PIECES_MAX;
pub use connection::{
    CRYPTO_PENDING_MAX, Claim, Connection, GENERATIONS_MAX, HELD_BYTES_MAX, HELD_PACKETS_MAX, INNER_SESSIONS_MAX,
    LateKeys, ORPHAN_BYTES_MAX, ORPHAN_SESSIONS_MAX, TRIAL_BYTES_MAX,
};
pub use output::{Close, Output, StreamEvent, StreamEventKind};
pub use packet::{CID_LEN_MAX, ConnectionId};
pub use probe::{Probe, probe};
pub use ranges::RANGES_MAX;
pub use streams::{CONNECTION_PENDING_MAX, STREAM_PENDING_MAX, STREAMS_MAX};
pub use version::Version;
