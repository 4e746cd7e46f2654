//! Streams that became a tunnel (CONNECT, RFC 9113 §8.5; extended CONNECT, RFC 8441 and RFC 9220): WebSocket messages
//! are read here, bytes of anything else are handed on.

use super::super::websocket::{Opening, WebSocket};
use super::super::{Context, HeldChunk, Output, Tunnelled};
use super::Role;
use crate::model::{Direction, Exchange, StreamChunk, Timestamp};

/// Bytes lost whose number is not known.
pub(super) const MANY: u64 = u64::MAX >> 1;

#[derive(Debug)]
enum Inside {
    WebSocket(Box<WebSocket>),
    Unknown,
}

/// A tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    id: u64,
    swapped: bool,
    inside: Inside,
    /// Bytes lost since the last ones, by direction.
    gaps: [u64; 2],
    last: Timestamp,
}

impl Tunnel {
    /// The tunnel of stream `id` that this exchange opened.
    pub(super) fn new(id: u64, protocol: Option<&str>, context: Context, exchange: &Exchange, swapped: bool) -> Self {
        let inside = match protocol {
            Some("websocket") => {
                let request = exchange.request.as_deref().cloned();
                let answer = exchange.response.as_ref().map(|response| response.headers.clone());
                Inside::WebSocket(Box::new(WebSocket::new(context, Opening { request, answer, swapped })))
            }
            Some(_) | None => Inside::Unknown,
        };
        Self { id, swapped, inside, gaps: [0; 2], last: exchange.ts }
    }

    /// Bytes kept of what is unfinished.
    pub(super) fn held(&self) -> usize {
        match &self.inside {
            Inside::WebSocket(socket) => socket.held(),
            Inside::Unknown => 0,
        }
    }

    fn direction(&self, role: Role) -> Direction {
        match (role, self.swapped) {
            (Role::Request, false) | (Role::Response, true) => Direction::ToServer,
            (Role::Request, true) | (Role::Response, false) => Direction::ToClient,
        }
    }

    pub(super) fn data(&mut self, role: Role, bytes: &[u8], ts: Timestamp, next_index: &mut u32, out: &mut Output) {
        let direction = self.direction(role);
        let gap = std::mem::take(&mut self.gaps[direction.index()]);
        self.last = ts;
        match &mut self.inside {
            Inside::WebSocket(socket) => socket.chunk(StreamChunk { direction, ts, bytes, gap }, next_index, out),
            Inside::Unknown => {
                let chunk = HeldChunk { direction, ts, gap, bytes: bytes.to_vec() };
                out.tunnelled.push(Tunnelled::Chunk(self.id, chunk));
            }
        }
    }

    pub(super) fn lost(&mut self, role: Role, bytes: u64) {
        let gap = &mut self.gaps[self.direction(role).index()];
        *gap = gap.saturating_add(bytes);
    }

    /// One side sends no more.
    pub(super) fn end(&mut self, role: Role, next_index: &mut u32, out: &mut Output) {
        let direction = self.direction(role);
        match &mut self.inside {
            Inside::WebSocket(socket) => socket.close(direction, self.last, next_index, out),
            Inside::Unknown => out.tunnelled.push(Tunnelled::Closed(self.id, direction, self.last)),
        }
    }

    /// Neither side sends any more.
    pub(super) fn finish(mut self, next_index: &mut u32, out: &mut Output) {
        match &mut self.inside {
            Inside::WebSocket(socket) => socket.finish(self.last, next_index, out),
            Inside::Unknown => out.tunnelled.push(Tunnelled::Finished(self.id, self.last)),
        }
    }
}
