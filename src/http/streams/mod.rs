//! The request/response streams of HTTP/2 and HTTP/3: field sections and DATA of each stream in, exchanges out.
//!
//! Frames, their order on the wire and header compression are their callers'; what a request, its response, trailers,
//! a gRPC call or a tunnel is, when a request counts as asked and an exchange as ended, is said here once for both.

mod fields;
mod grpc;
mod stream;
mod tunnel;

#[cfg(test)]
mod tests;

pub(super) use fields::FieldSection;
pub use fields::SECTION_MAX;

use super::exchanges::OVERFULL;
use super::{Context, Output};
use crate::model::{Exchange, ExchangeId, Layer, Protocol, Timestamp, TlsInfo, Weird};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stream::{Opening, State, Stream};
use tunnel::{MANY, Tunnel};

/// Most streams of one connection that are open at once.
pub const STREAMS_MAX: usize = 1024;
/// Most bytes of heads and bodies kept in the open streams of one connection.
pub const STREAM_BYTES_MAX: usize = 64 << 20;
/// Most tunnels of one connection that are open at once.
pub const TUNNELS_MAX: usize = 256;
/// Most ended streams that are remembered, so that what comes late for one is not taken for a new one.
const ENDED_MAX: usize = 1024;
/// How many of the oldest streams are looked at to find one that only waits.
const VICTIMS_MAX: usize = 32;

/// Which of its two messages a stream carries in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Request,
    Response,
}

/// The open streams of one connection, by stream id.
#[derive(Debug)]
pub(super) struct Streams {
    context: Context,
    protocol: Protocol,
    /// Whether requests come from the flow's `ToClient` direction.
    pub(super) swapped: bool,
    /// Index for the next exchange of the flow.
    pub(super) next_index: u32,
    open: BTreeMap<u64, Box<Stream>>,
    tunnels: BTreeMap<u64, Tunnel>,
    ended: BTreeSet<u64>,
    /// Streams up to this one have ended, if they are not open.
    ended_floor: Option<u64>,
    latest_request: Option<u64>,
    kept: usize,
    reported: Vec<&'static str>,
}

impl Streams {
    /// No streams yet; exchanges of `protocol` count from `first_index`.
    pub(super) fn new(context: Context, protocol: Protocol, first_index: u32) -> Self {
        Self {
            context,
            protocol,
            swapped: false,
            next_index: first_index,
            open: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            ended: BTreeSet::new(),
            ended_floor: None,
            latest_request: None,
            kept: 0,
            reported: Vec::new(),
        }
    }

    /// More is known of the session the streams travel in.
    pub(super) fn set_tls(&mut self, tls: &Arc<TlsInfo>) {
        self.context.tls = Some(Arc::clone(tls));
    }

    /// Bytes kept of streams that are not finished, and what the streams themselves take.
    pub(super) fn held(&self) -> usize {
        let streams: usize = self.open.values().map(|stream| size_of::<Stream>() + stream.kept()).sum();
        streams + self.tunnels.values().map(Tunnel::held).sum::<usize>()
    }

    /// Reports a reason once.
    pub(super) fn weird(&mut self, reason: &'static str, out: &mut Output) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            out.weirds.push(Weird { flow: Some(self.context.flow), ..Weird::new(Layer::Http, reason) });
        }
    }

    /// A field section came: the head of a message, or its trailers.
    pub(super) fn fields(&mut self, id: u64, role: Role, section: FieldSection, ts: Timestamp, out: &mut Output) {
        if section.overfull {
            self.weird("header fields above the cap", out);
        }
        if role == Role::Response && matches!(section.status, Some(100..=199)) {
            return;
        }
        if role == Role::Request {
            self.latest_request = self.latest_request.max(Some(id));
        }
        let Some(stream) = self.stream(id, role, ts) else { return };
        stream.fields(role, section);
        let kept = stream.kept();
        let before = std::mem::replace(&mut stream.counted, kept);
        self.kept = self.kept + kept - before;
        self.settle(id, out);
        self.enforce_caps(out);
    }

    /// Bytes of a message body came.
    pub(super) fn data(&mut self, id: u64, role: Role, bytes: &[u8], ts: Timestamp, out: &mut Output) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            return tunnel.data(role, bytes, ts, &mut self.next_index, out);
        }
        let Some(stream) = self.stream(id, role, ts) else { return };
        let messages = stream.data(role, bytes);
        let kept = stream.kept();
        let before = std::mem::replace(&mut stream.counted, kept);
        let given = messages.map(|messages| (stream.index, stream.ts, messages));
        self.kept = self.kept + kept - before;
        if let Some((index, ts, messages)) = given {
            for request in messages {
                out.asked.push(self.exchange(index, ts, Protocol::Grpc, Some(Arc::new(request)), None));
            }
        }
        if self.kept > STREAM_BYTES_MAX {
            self.enforce_caps(out);
        }
    }

    /// Bytes of a message were lost.
    pub(super) fn lost(&mut self, id: u64, role: Role) {
        self.lost_bytes(id, role, MANY);
    }

    /// So many bytes of a message were lost.
    pub(super) fn lost_bytes(&mut self, id: u64, role: Role, bytes: u64) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.lost(role);
        }
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.lost(role, bytes);
        }
    }

    /// Bytes were lost that may belong to any of these messages.
    pub(super) fn lost_all(&mut self, role: Role) {
        self.open.values_mut().for_each(|stream| stream.lost(role));
        self.tunnels.values_mut().for_each(|tunnel| tunnel.lost(role, MANY));
    }

    /// Client and server are the other way round; what was read until now was taken for what it is not. What was asked
    /// already ends.
    pub(super) fn swap(&mut self, out: &mut Output) {
        let asked = self.open.iter().filter(|(_, stream)| stream.is_asked());
        for id in asked.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.give_out(id, out);
            self.ended.remove(&id);
        }
        self.swapped = !self.swapped;
        self.open.clear();
        self.tunnels.clear();
        self.kept = 0;
    }

    /// A message ended as it should.
    pub(super) fn end(&mut self, id: u64, role: Role, out: &mut Output) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.end(role, &mut self.next_index, out);
        } else if let Some(stream) = self.open.get_mut(&id) {
            stream.end(role);
            self.settle(id, out);
        }
    }

    /// The stream was given up by either side.
    pub(super) fn reset(&mut self, id: u64, out: &mut Output) {
        if let Some(tunnel) = self.tunnels.remove(&id) {
            tunnel.finish(&mut self.next_index, out);
        } else if let Some(stream) = self.open.get_mut(&id) {
            stream.cut(Role::Request);
            stream.cut(Role::Response);
            self.settle(id, out);
        }
    }

    /// No more bytes come from the sender of these messages.
    pub(super) fn close(&mut self, role: Role, out: &mut Output) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.open.get_mut(&id) {
                stream.cut(role);
                self.settle(id, out);
            }
        }
        for tunnel in self.tunnels.values_mut() {
            tunnel.end(role, &mut self.next_index, out);
        }
    }

    /// The connection ended: gives out what is pending.
    pub(super) fn finish(&mut self, out: &mut Output) {
        self.close(Role::Request, out);
        self.close(Role::Response, out);
        for tunnel in std::mem::take(&mut self.tunnels).into_values() {
            tunnel.finish(&mut self.next_index, out);
        }
    }

    /// The server announced an answer to a request that it makes up itself (RFC 9113 §8.4, RFC 9114 §4.6). The client
    /// sent no such request, so the exchange has none.
    pub(super) fn promise(&mut self, id: u64, ts: Timestamp) {
        if !self.open.contains_key(&id) {
            let mut stream = self.new_stream(ts);
            stream.request.state = State::Absent;
            self.open.insert(id, Box::new(stream));
        }
    }

    /// The exchange that changed the protocol goes on as this stream: its request is asked already, its response comes
    /// here (RFC 7540 §3.2); if none does, it keeps the one it has.
    pub(super) fn adopt(&mut self, id: u64, exchange: Exchange) {
        let Exchange { id: ExchangeId { index, .. }, ts, protocol, request, response, .. } = exchange;
        self.next_index = self.next_index.max(index.wrapping_add(1));
        self.latest_request = self.latest_request.max(Some(id));
        self.open.insert(id, Box::new(Stream::adopted(index, ts, protocol, self.context.digests, request, response)));
    }

    fn new_stream(&mut self, ts: Timestamp) -> Stream {
        let index = self.next_index;
        self.next_index = self.next_index.wrapping_add(1);
        Stream::new(index, ts, self.protocol, self.context.digests)
    }

    /// The stream, which is new if it was not seen before; none if it has ended.
    fn stream(&mut self, id: u64, role: Role, ts: Timestamp) -> Option<&mut Stream> {
        if !self.open.contains_key(&id) {
            if self.ended.contains(&id) || self.ended_floor.is_some_and(|floor| id <= floor) {
                return None;
            }
            let stream = self.new_stream(ts);
            self.open.insert(id, Box::new(stream));
        }
        let stream = self.open.get_mut(&id)?;
        stream.begin(role);
        Some(stream)
    }

    /// Gives out what a stream has ready, and the stream if it ended.
    fn settle(&mut self, id: u64, out: &mut Output) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        if let Some(request) = stream.take_asked() {
            let (index, ts, protocol) = (stream.index, stream.ts, stream.protocol);
            out.asked.push(self.exchange(index, ts, protocol, Some(request), None));
        }
        let Some(stream) = self.open.get(&id) else { return };
        // Requests come in the order of their ids: one that was overtaken was not captured.
        let overtaken = stream.request.state == State::Awaited && self.latest_request > Some(id);
        if stream.response.is_settled() && (stream.request.is_settled() || overtaken) {
            self.give_out(id, out);
        }
    }

    fn give_out(&mut self, id: u64, out: &mut Output) {
        let Some(stream) = self.open.remove(&id) else { return };
        self.kept -= stream.counted;
        self.ended.insert(id);
        if self.ended.len() > ENDED_MAX {
            self.ended_floor = self.ended_floor.max(self.ended.pop_first());
        }
        let mut stream = stream;
        let (index, ts, protocol, opening) = (stream.index, stream.ts, stream.protocol, stream.tunnel.take());
        let (request, response) = stream.into_messages();
        if request.is_none() && response.is_none() {
            return;
        }
        let exchange = self.exchange(index, ts, protocol, request, response);
        match opening {
            Some(opening) if exchange.response.is_some() || !opening.early.is_empty() => {
                self.open_tunnel(id, &opening, exchange, out)
            }
            Some(_) | None => out.exchanges.push(exchange),
        }
    }

    fn open_tunnel(&mut self, id: u64, opening: &Opening, exchange: Exchange, out: &mut Output) {
        let (protocol, context) = (opening.protocol.as_deref(), self.context.clone());
        let mut tunnel = Tunnel::new(id, protocol, context, &exchange, self.swapped);
        let ts = exchange.ts;
        out.exchanges.push(exchange);
        if !opening.early.is_empty() {
            tunnel.data(Role::Request, &opening.early, ts, &mut self.next_index, out);
        }
        if self.tunnels.len() < TUNNELS_MAX {
            self.tunnels.insert(id, tunnel);
        } else {
            self.weird("more tunnels than are followed", out);
        }
    }

    /// Gives up the oldest streams until the caps hold; those that only wait for the server go first.
    fn enforce_caps(&mut self, out: &mut Output) {
        while self.open.len() > STREAMS_MAX || (self.kept > STREAM_BYTES_MAX && self.open.len() > 1) {
            self.weird(OVERFULL, out);
            let mut oldest = self.open.iter().take(VICTIMS_MAX);
            let waiting = oldest.find(|(_, stream)| stream.request.is_settled()).map(|(&id, _)| id);
            let Some(id) = waiting.or_else(|| self.open.keys().next().copied()) else { return };
            self.reset(id, out);
            // A stream without either message settles nowhere else.
            self.give_out(id, out);
        }
    }

    fn exchange(
        &self,
        index: u32,
        ts: Timestamp,
        protocol: Protocol,
        request: Option<Arc<crate::model::Request>>,
        response: Option<crate::model::Response>,
    ) -> Exchange {
        Exchange { request, response, ..self.context.exchange(self.swapped, index, ts, protocol) }
    }
}
