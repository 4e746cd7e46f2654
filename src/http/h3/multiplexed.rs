//! What the protocols over QUIC streams have in common for whoever feeds them.

use crate::http::Output;
use crate::model::{Direction, StreamChunk, Timestamp, TlsInfo};
use std::sync::Arc;

/// A parser of all streams of a QUIC connection.
pub trait Multiplexed: Send {
    /// Takes the next bytes of a direction of a stream.
    fn chunk(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output);
    /// A direction of a stream ended, after `gap` more bytes that were lost.
    fn end(&mut self, id: u64, direction: Direction, gap: u64, ts: Timestamp, out: &mut Output);
    /// The sender gave a direction of a stream up, or it is not followed any more.
    fn reset(&mut self, id: u64, direction: Direction, ts: Timestamp, out: &mut Output);
    /// The connection ended: gives out what is pending.
    fn finish(&mut self, out: &mut Output);
    /// Bytes kept of what is unfinished.
    fn held(&self) -> usize;
    /// Index for the next exchange of the flow.
    fn next_index(&self) -> u32;
    /// Other parsers of the flow have given out indices up to this one.
    fn set_next_index(&mut self, index: u32);
    /// More is known of the session the bytes travel in.
    fn set_tls(&mut self, tls: &Arc<TlsInfo>);
}
