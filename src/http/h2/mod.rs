//! HTTP/2 (RFC 9113) as seen from outside: both directions of a stream in, exchanges out.
//!
//! Frames are read where they stand; DATA goes on as it comes, header blocks are put together first. Nothing a receiver
//! would enforce (flow control, settings, stream states) is asked for. After a loss the next frames are looked for, and
//! what a header block before the loss defined is unknown from then on.

mod frame;
mod hpack;
mod side;

#[cfg(test)]
mod tests;

pub use frame::probe;
pub use hpack::DYNAMIC_TABLE_MAX;
pub use side::{HEADER_BLOCK_MAX, SEEK_MAX};

use super::streams::{FieldSection, Role, Streams};
use super::{Context, Output};
use crate::model::{Direction, Exchange, Protocol, StreamChunk, Timestamp};
use side::{Piece, Side};

/// `SETTINGS_HEADER_TABLE_SIZE` (RFC 9113 §6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;

/// The parser of one connection.
#[derive(Debug)]
pub struct Http2 {
    streams: Streams,
    /// By direction.
    sides: [Side; 2],
    /// The direction that requests come from, once something shows it; the flow's own until then.
    request_side: Option<usize>,
    /// By direction: whether what came last was skipped.
    skipping: [bool; 2],
}

impl Http2 {
    /// A parser for one connection whose exchanges count from `first_index`.
    #[must_use]
    pub fn new(context: Context, first_index: u32) -> Self {
        let streams = Streams::new(context, Protocol::H2, first_index);
        Self { streams, sides: [Side::default(), Side::default()], request_side: None, skipping: [false; 2] }
    }

    /// A parser for a connection that changed from HTTP/1.1 (RFC 7540 §3.2): the request that asked for it is answered
    /// as the first stream.
    #[must_use]
    pub fn upgraded(context: Context, first_index: u32, exchange: Option<Exchange>, swapped: bool) -> Self {
        let mut http = Self::new(context, first_index);
        http.request_side = Some(usize::from(swapped));
        http.streams.swapped = swapped;
        if let Some(exchange) = exchange {
            http.streams.adopt(1, exchange);
        }
        http
    }

    /// Takes the next bytes of a direction.
    pub fn chunk(&mut self, chunk: StreamChunk<'_>, out: &mut Output) {
        let at = chunk.direction.index();
        let mut side = std::mem::take(&mut self.sides[at]);
        let mut reader = Reader { http: self, at, ts: chunk.ts, out };
        if chunk.gap > 0 {
            side.lost(chunk.gap, &mut reader);
            reader.http.skipping[at] = false;
        }
        side.feed(chunk.bytes, &mut reader);
        self.sides[at] = side;
    }

    /// A direction ended (FIN or RST).
    pub fn close(&mut self, direction: Direction, ts: Timestamp, out: &mut Output) {
        self.end_side(direction.index(), ts, out);
        let role = self.role(direction.index());
        self.streams.close(role, out);
    }

    /// The flow ended: gives out what is pending.
    pub fn finish(&mut self, ts: Timestamp, out: &mut Output) {
        for at in [0, 1] {
            self.end_side(at, ts, out);
        }
        self.streams.finish(out);
    }

    /// Whether requests come from the flow's `ToClient` direction (the capture began in its middle).
    #[must_use]
    pub fn is_swapped(&self) -> bool {
        self.streams.swapped
    }

    /// Bytes kept of what is unfinished, with the header tables.
    #[must_use]
    pub fn held(&self) -> usize {
        self.sides.iter().map(Side::held).sum::<usize>() + self.streams.held()
    }

    /// Exchanges count at least from here on: others of the flow were numbered elsewhere.
    pub fn count_from(&mut self, index: u32) {
        self.streams.next_index = self.streams.next_index.max(index);
    }

    /// Index for the next exchange of the flow.
    #[must_use]
    pub fn next_index(&self) -> u32 {
        self.streams.next_index
    }

    fn end_side(&mut self, at: usize, ts: Timestamp, out: &mut Output) {
        let mut side = std::mem::take(&mut self.sides[at]);
        side.end(&mut Reader { http: self, at, ts, out });
        self.sides[at] = side;
    }

    fn role(&self, at: usize) -> Role {
        if self.request_side.unwrap_or(0) == at { Role::Request } else { Role::Response }
    }

    /// Something shows who the client is.
    fn learn_roles(&mut self, at: usize, role: Role, out: &mut Output) {
        if self.request_side.is_some() {
            return;
        }
        let request_side = if role == Role::Request { at } else { 1 - at };
        self.request_side = Some(request_side);
        if request_side == 1 {
            self.streams.weird("client and server change places", out);
            self.streams.swap(out);
        }
    }
}

/// A side at work: what its frames do to the connection.
struct Reader<'a> {
    http: &'a mut Http2,
    /// The side's direction.
    at: usize,
    ts: Timestamp,
    out: &'a mut Output,
}

impl Reader<'_> {
    fn weird(&mut self, reason: &'static str) {
        self.http.streams.weird(reason, self.out);
    }

    fn read(&mut self, bytes: usize) {
        self.http.skipping[self.at] = false;
        self.out.read_bytes += bytes as u64;
    }

    fn skipped(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let gap = u64::from(!std::mem::replace(&mut self.http.skipping[self.at], true));
        let direction = if self.at == 0 { Direction::ToServer } else { Direction::ToClient };
        self.out.skip(StreamChunk { direction, ts: self.ts, bytes, gap });
    }

    /// The client's preface came.
    fn preface(&mut self) {
        self.http.learn_roles(self.at, Role::Request, self.out);
    }

    /// A header block, whole or as far as it came.
    fn fields(&mut self, piece: Piece, section: FieldSection) {
        let Piece { stream, promised, end_stream } = piece;
        if section.is_response() {
            self.http.learn_roles(self.at, Role::Response, self.out);
        } else if section.is_request() {
            let role = if promised.is_some() { Role::Response } else { Role::Request };
            self.http.learn_roles(self.at, role, self.out);
        }
        let streams = &mut self.http.streams;
        if let Some(promised) = promised {
            streams.promise(promised.into(), self.ts);
            return;
        }
        let role = self.http.role(self.at);
        self.http.streams.fields(stream.into(), role, section, self.ts, self.out);
        if end_stream {
            self.http.streams.end(stream.into(), role, self.out);
        }
    }

    fn data(&mut self, stream: u32, bytes: &[u8]) {
        let role = self.http.role(self.at);
        self.http.streams.data(stream.into(), role, bytes, self.ts, self.out);
    }

    fn end(&mut self, stream: u32) {
        let role = self.http.role(self.at);
        self.http.streams.end(stream.into(), role, self.out);
    }

    fn reset(&mut self, stream: u32) {
        self.http.streams.reset(stream.into(), self.out);
    }

    /// So many bytes of this stream's DATA were lost.
    fn lost(&mut self, stream: u32, bytes: usize) {
        let role = self.http.role(self.at);
        self.http.streams.lost_bytes(stream.into(), role, bytes as u64);
    }

    /// Frames were lost, nobody knows whose.
    fn lost_frames(&mut self) {
        let role = self.http.role(self.at);
        self.http.streams.lost_all(role);
    }

    fn settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let [k0, k1, v0, v1, v2, v3] = *setting else { continue };
            if u16::from_be_bytes([k0, k1]) == HEADER_TABLE_SIZE {
                self.http.sides[1 - self.at].allow_table(u32::from_be_bytes([v0, v1, v2, v3]));
            }
        }
    }
}
