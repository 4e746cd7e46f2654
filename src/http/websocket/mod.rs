//! Turns the bytes after a WebSocket handshake (RFC 6455, RFC 8441, RFC 9220) into one [`Exchange`] a message: frames put
//! together, unmasked and inflated (RFC 7692). The payloads of control frames, where they have one, are messages too:
//! they leave the phone like any other.
//!
//! A message of the client is a request without a method, with the target and authority of the handshake; one of the
//! server is a response without a status beside a request that has nothing but these.

mod deflate;
mod frame;
mod resync;
mod side;

#[cfg(test)]
mod tests;

pub use deflate::INFLATED_MAX;
pub use resync::begins_client_frames;
pub use side::FRAME_MAX;

use super::{Context, Handoff, Output};
use crate::model::{
    Body, Direction, Exchange, Headers, Layer, Protocol, Request, Response, StreamChunk, Timestamp, Weird,
};
use deflate::Agreement;
use side::{Message, Sender, Side};
use std::sync::Arc;

/// What is known of the handshake.
#[derive(Debug, Default)]
pub struct Opening {
    /// Head of the request; none where it was not captured.
    pub request: Option<Request>,
    /// Header fields of the answer; none where it was not captured.
    pub answer: Option<Headers>,
    /// Whether the client's messages travel in the flow's `ToClient` direction.
    pub swapped: bool,
}

impl From<&mut Handoff> for Opening {
    /// Takes the handshake out of a handoff.
    fn from(handoff: &mut Handoff) -> Self {
        let answer = std::mem::take(&mut handoff.response_headers);
        let answer = (!answer.is_empty()).then_some(answer);
        Self { request: handoff.request.take(), answer, swapped: handoff.swapped }
    }
}

/// One WebSocket connection.
#[derive(Debug)]
pub struct WebSocket {
    context: Context,
    swapped: bool,
    /// Target and authority, without method, header fields and body.
    place: Arc<Request>,
    sides: [Side; 2],
    reported: Vec<&'static str>,
    ready: Vec<Message>,
}

impl WebSocket {
    /// A reader of what follows a handshake.
    #[must_use]
    pub fn new(context: Context, opening: Opening) -> Self {
        let agreement = Agreement::of(opening.answer.as_ref());
        let request = opening.request.unwrap_or_default();
        let place = Request { target: request.target, authority: request.authority, ..Request::default() };
        let sender = |client| if client { Sender::Client } else { Sender::Server };
        let side = |client| Side::new(sender(client), agreement);
        Self {
            context,
            swapped: opening.swapped,
            place: Arc::new(place),
            sides: [side(!opening.swapped), side(opening.swapped)],
            reported: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Takes bytes in order. Messages take their indices from `next_index` as they end.
    pub fn chunk(&mut self, chunk: StreamChunk<'_>, next_index: &mut u32, out: &mut Output) {
        self.with_side(chunk.direction, next_index, out, |side, sink| {
            if chunk.gap > 0 {
                side.lost(chunk.gap, sink);
            }
            side.feed(chunk.bytes, chunk.ts, sink);
        });
    }

    /// One direction ended: what is unfinished of it leaves.
    pub fn close(&mut self, direction: Direction, ts: Timestamp, next_index: &mut u32, out: &mut Output) {
        self.with_side(direction, next_index, out, |side, sink| side.close(ts, sink));
    }

    /// The stream ended.
    pub fn finish(&mut self, ts: Timestamp, next_index: &mut u32, out: &mut Output) {
        self.close(Direction::ToServer, ts, next_index, out);
        self.close(Direction::ToClient, ts, next_index, out);
    }

    /// Bytes kept of what is unfinished, with the windows of the decompressors.
    #[must_use]
    pub fn held(&self) -> usize {
        self.sides.iter().map(Side::held).sum()
    }

    fn with_side(
        &mut self,
        direction: Direction,
        next_index: &mut u32,
        out: &mut Output,
        run: impl FnOnce(&mut Side, &mut Sink<'_>),
    ) {
        let mut sink = Sink {
            messages: &mut self.ready,
            reported: &mut self.reported,
            weird: Weird { flow: Some(self.context.flow), ..Weird::new(Layer::Http, "") },
            out,
        };
        let side = &mut self.sides[direction.index()];
        run(side, &mut sink);
        let sender = side.sender();
        for message in std::mem::take(&mut self.ready) {
            let Message { ts, body } = message;
            let exchange = self.exchange(sender, ts, body, *next_index);
            *next_index = next_index.wrapping_add(1);
            if sender == Sender::Client {
                out.asked.push(exchange.clone());
            }
            out.exchanges.push(exchange);
        }
    }

    fn exchange(&self, sender: Sender, ts: Timestamp, body: Body, index: u32) -> Exchange {
        let (request, response) = match sender {
            Sender::Client => (Arc::new(Request { body, ..Request::clone(&self.place) }), None),
            Sender::Server => (Arc::clone(&self.place), Some(Response { body, ..Response::default() })),
        };
        let exchange = self.context.exchange(self.swapped, index, ts, Protocol::WebSocket);
        Exchange { request: Some(request), response, ..exchange }
    }
}

/// What a side gives while it reads.
struct Sink<'a> {
    messages: &'a mut Vec<Message>,
    reported: &'a mut Vec<&'static str>,
    weird: Weird,
    out: &'a mut Output,
}

impl Sink<'_> {
    fn weird(&mut self, reason: &'static str) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            self.out.weirds.push(Weird { reason, ..self.weird.clone() });
        }
    }
}
