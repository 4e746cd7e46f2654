//! Turns the ordered bytes of a TCP or TLS stream into [`Exchange`]s.
//!
//! One file for each protocol; every parser is sans-IO and fed by the pipeline, which also probes, decrypts and
//! moves a connection that changes protocol ([`Handoff`]) to the next parser. Content decoding is left to `decode`.

mod body;
mod chunked;
mod exchanges;
mod field_coding;
pub mod h2;
pub mod h3;
mod head;
mod http1;
mod huffman;
mod probe;
mod resync;
mod streams;
mod switching;
pub mod websocket;

#[cfg(test)]
mod tests;

pub use exchanges::{PENDING_BYTES_MAX, PENDING_EXCHANGES_MAX};
pub use h2::Http2;
pub use http1::{HEAD_MAX, Http1};
pub use probe::{Probe, begins_message, find_start, probe};
pub use streams::{SECTION_MAX, STREAM_BYTES_MAX, STREAMS_MAX, TUNNELS_MAX};
pub use switching::HELD_MAX;
pub use websocket::WebSocket;

use crate::model::{
    App, Direction, Exchange, ExchangeId, FlowId, Headers, Protocol, Request, StreamChunk, Timestamp, TlsInfo, Weird,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a parser must know of the stream it reads.
#[derive(Debug, Clone)]
pub struct Context {
    /// The flow.
    pub flow: FlowId,
    /// Who opened it, as far as the flow shows.
    pub client: SocketAddr,
    /// The other side.
    pub server: SocketAddr,
    /// The app, where the capture names it.
    pub app: Option<Arc<App>>,
    /// The TLS session the bytes were taken from; none in clear text.
    pub tls: Option<Arc<TlsInfo>>,
    /// Whether bodies are hashed.
    pub digests: Digests,
}

/// Whether the SHA-256 of bodies is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digests {
    /// It is.
    #[default]
    Wanted,
    /// Nobody looks at it.
    Unwanted,
}

impl Context {
    /// An exchange of the flow, still without its messages; `swapped` where requests come from the flow's `ToClient`
    /// direction.
    fn exchange(&self, swapped: bool, index: u32, ts: Timestamp, protocol: Protocol) -> Exchange {
        let (client, server) = if swapped { (self.server, self.client) } else { (self.client, self.server) };
        let id = ExchangeId { flow: self.flow, index };
        let (app, tls) = (self.app.clone(), self.tls.clone());
        Exchange { id, ts, protocol, client, server, app, tls, request: None, response: None }
    }
}

/// What a parser gives; the caller drains it after each call and may use it again.
#[derive(Debug, Default)]
pub struct Output {
    /// Requests that are complete, or were given up: exchanges whose response is still none. Each request comes here
    /// once, before the exchange ends, so that what is in it need not wait for the answer.
    pub asked: Vec<Exchange>,
    /// Exchanges that ended, each once.
    pub exchanges: Vec<Exchange>,
    /// What made no sense, each reason once a flow.
    pub weirds: Vec<Weird>,
    /// Bytes of tunnels inside the connection, and of streams of extensions, in order.
    pub tunnelled: Vec<Tunnelled>,
    /// The connection goes on in another protocol; the parser takes no more bytes.
    pub handoff: Option<Handoff>,
    /// Bytes understood since the last drain.
    pub read_bytes: u64,
    /// Bytes skipped since the last drain because no message could be found in them.
    pub skipped_bytes: u64,
    /// Those of them that went to the server, so that they can be searched all the same: one piece for each run, whose
    /// `gap` is 0 where it goes on with the run before.
    pub skipped: Vec<HeldChunk>,
}

impl Output {
    /// Skips bytes; a `gap` tells that they do not go on with those skipped before.
    fn skip(&mut self, chunk: StreamChunk<'_>) {
        self.skipped_bytes += chunk.bytes.len() as u64;
        if chunk.direction == Direction::ToClient || chunk.bytes.is_empty() {
            return;
        }
        match self.skipped.last_mut().filter(|_| chunk.gap == 0) {
            Some(last) => last.bytes.extend_from_slice(chunk.bytes),
            None => {
                let StreamChunk { direction, ts, bytes, gap } = chunk;
                self.skipped.push(HeldChunk { direction, ts, gap, bytes: bytes.to_vec() });
            }
        }
    }
}

/// What a connection changes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// A tunnel opened by `CONNECT` (RFC 9110 §9.3.6) to this authority.
    Tunnel(String),
    /// `Upgrade` (RFC 9110 §7.8) to this protocol, lower case: `websocket`, `h2c`, `tcp` …
    Upgrade(String),
}

/// A connection that goes on in another protocol after an exchange.
#[derive(Debug)]
pub struct Handoff {
    /// What it changes to.
    pub switch: Switch,
    /// Head of the request that asked for it; none where it was not captured.
    pub request: Option<Request>,
    /// Header fields of the answer; empty where it was not captured.
    pub response_headers: Headers,
    /// The exchange itself, where the answer to its request comes in the new protocol (`h2c`). It was asked, but who
    /// takes the handoff has to give it out.
    pub exchange: Option<Exchange>,
    /// The bytes after the heads that were already taken in, in order; they belong to the new protocol.
    pub rest: Vec<HeldChunk>,
    /// Index for the next exchange of this flow.
    pub next_index: u32,
    /// Whether requests came from the flow's `ToClient` direction.
    pub swapped: bool,
}

/// What came of a tunnel that is one stream of many (RFC 9113 §8.5), named by the stream's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tunnelled {
    /// Bytes.
    Chunk(u64, HeldChunk),
    /// A direction ended.
    Closed(u64, Direction, Timestamp),
    /// Both did.
    Finished(u64, Timestamp),
}

/// A [`StreamChunk`] that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldChunk {
    /// Which way.
    pub direction: Direction,
    /// When.
    pub ts: Timestamp,
    /// Bytes lost before.
    pub gap: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl HeldChunk {
    /// The chunk as parsers take it.
    #[must_use]
    pub fn as_chunk(&self) -> StreamChunk<'_> {
        StreamChunk { direction: self.direction, ts: self.ts, bytes: &self.bytes, gap: self.gap }
    }
}
