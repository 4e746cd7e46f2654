//! The layers of one TCP connection, found by probing and never by port: SOCKS, TLS, HTTP, or nothing known. Layers
//! nest: HTTP inside TLS, TLS inside a CONNECT tunnel.

use super::collected::Collected;
use super::http2_layer::Http2Layer;
use super::tls_layer::TlsLayer;
use super::unknown::Unknown;
use crate::dns::{self, DnsStream};
use crate::http::websocket::Opening;
use crate::http::{self, Http1, Switch, WebSocket};
use crate::model::{App, Direction, FlowId, FlowKey, OpaqueReason, StreamChunk, Timestamp, TlsInfo};
use crate::socks::{self, Handshake, Progress};
use crate::tls::{self, KeyLog};
use std::sync::Arc;

/// Most bytes of one direction kept while it is unclear what they are.
const PROBE_MAX: usize = 4_096;
/// Most layers inside each other (TLS in CONNECT in TLS …).
pub(super) const LAYERS_MAX: u32 = 6;

/// Whether keys may come after the traffic they open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateKeys {
    /// All keys are known from the start.
    #[default]
    Never,
    /// They may: closed sessions are kept, up to a cap, to be tried again.
    Possible,
}

/// What all layers of a connection share.
pub(super) struct Shared {
    pub(super) flow: FlowId,
    pub(super) key: FlowKey,
    pub(super) app: Option<Arc<App>>,
    /// Whether bodies are hashed.
    pub(super) digests: http::Digests,
    pub(super) keys: Arc<KeyLog>,
    /// Whether keys may still come after the traffic they open.
    pub(super) late_keys: LateKeys,
    /// Index of the next exchange.
    pub(super) next_index: u32,
    /// Whether the capture shows how the connection began.
    pub(super) from_start: bool,
    /// The host that was asked last, and whether in clear text.
    pub(super) host: Option<(Arc<str>, bool)>,
    /// What parsers of HTTP could make no sense of.
    pub(super) skipped: Unknown,
}

impl Shared {
    /// Bytes that parsers skipped and that are held leave.
    pub(super) fn flush_skipped(&mut self, out: &mut Collected) {
        let mut skipped = std::mem::take(&mut self.skipped);
        skipped.flush(self, out);
        self.skipped = skipped;
    }
}

/// One layer and what is inside it.
pub(super) enum Stack {
    Probing(Probing),
    Tls(Box<TlsLayer>),
    Http1(Box<HttpLayer>),
    Http2(Box<Http2Layer>),
    /// What follows a WebSocket handshake.
    WebSocket(Box<WebSocket>),
    /// DNS over TCP (RFC 7766).
    Dns(Box<[DnsStream; 2]>),
    /// The handshake of a SOCKS proxy.
    Socks(Box<SocksLayer>),
    /// No known protocol.
    Unknown(Box<Unknown>),
}

/// Bytes of a connection nobody has recognised yet.
#[derive(Default)]
pub(super) struct Probing {
    held: [Held; 2],
    tls: Option<Arc<TlsInfo>>,
    depth: u32,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    gap: u64,
    ts: Timestamp,
    closed: bool,
}

/// A SOCKS handshake and how deep it stands.
pub(super) struct SocksLayer {
    handshake: Handshake,
    depth: u32,
}

/// HTTP/1 and what it stands in.
pub(super) struct HttpLayer {
    http: Http1,
    tls: Option<Arc<TlsInfo>>,
    depth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Tls,
    Http1,
    Http2,
    Socks,
    /// A header of so many bytes that a proxy put before the connection.
    Proxied(usize),
    /// More bytes will tell.
    Unsure,
    /// So far it can only be HTTP/1.
    MaybeHttp1,
    Unknown,
}

impl Stack {
    pub(super) fn new() -> Self {
        Self::Probing(Probing::default())
    }

    /// A stack for what stands so many layers down, inside this TLS session.
    pub(super) fn inside(tls: Option<Arc<TlsInfo>>, depth: u32) -> Self {
        Self::Probing(Probing { tls, depth, ..Probing::default() })
    }

    /// Takes bytes in order.
    pub(super) fn chunk(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) {
        match self {
            Self::Probing(probing) => {
                if let Some(next) = probing.chunk(shared, chunk, out) {
                    *self = next;
                }
            }
            Self::Unknown(unknown) => {
                // A message may begin with any chunk, and inside one where the capture began in the middle or lost bytes.
                let probing = Probing { tls: unknown.tls.clone(), depth: unknown.depth, ..Probing::default() };
                let start = match probing.verdict(chunk.bytes, chunk.direction) {
                    Verdict::Tls | Verdict::Http1 | Verdict::Http2 => Some(0),
                    Verdict::Unsure if begins_record(chunk.bytes) => Some(0),
                    Verdict::MaybeHttp1 if http::begins_message(chunk.bytes) => Some(0),
                    Verdict::Socks | Verdict::Proxied(_) | Verdict::Unsure | Verdict::MaybeHttp1 | Verdict::Unknown => {
                        probing.find_start(shared, chunk)
                    }
                };
                let Some(start) = start else {
                    if let Some(socket) = probing.websocket(shared, chunk, out) {
                        unknown.flush(shared, out);
                        *self = socket;
                        return self.chunk(shared, StreamChunk { gap: 0, ..chunk }, out);
                    }
                    unknown.chunk(shared, chunk, out);
                    return;
                };
                unknown.chunk(shared, StreamChunk { bytes: &chunk.bytes[..start], ..chunk }, out);
                unknown.flush(shared, out);
                *self = Self::Probing(probing);
                let gap = if start == 0 { chunk.gap } else { 0 };
                self.chunk(shared, StreamChunk { bytes: &chunk.bytes[start..], gap, ..chunk }, out);
            }
            Self::Socks(layer) => {
                let depth = layer.depth;
                match layer.handshake.feed(chunk.direction, chunk.bytes) {
                    Progress::More => {}
                    Progress::Done { to_server, to_client } => {
                        *self = Self::Probing(Probing::at(depth + 1));
                        for (direction, bytes) in [(Direction::ToServer, &to_server), (Direction::ToClient, &to_client)]
                        {
                            if !bytes.is_empty() {
                                self.chunk(shared, StreamChunk { direction, bytes, gap: 0, ..chunk }, out);
                            }
                        }
                    }
                    Progress::Broken => {
                        let mut unknown = Unknown::new(None, depth);
                        layer.give_up(shared, &mut unknown, chunk.ts, out);
                        *self = Self::Unknown(Box::new(unknown));
                    }
                }
            }
            Self::Dns(streams) => {
                let stream = &mut streams[chunk.direction.index()];
                for message in stream.feed(chunk.gap, chunk.bytes) {
                    out.names.extend(message.seen_names(chunk.ts, shared.flow));
                }
                if stream.is_lost() {
                    out.opaque(chunk.bytes.len(), OpaqueReason::UnknownProtocol);
                }
            }
            Self::Tls(layer) => layer.chunk(shared, chunk, out),
            Self::Http1(layer) => {
                layer.http.count_from(shared.next_index);
                layer.http.chunk(chunk, &mut out.http);
                self.after_http(shared, out);
            }
            Self::Http2(layer) => layer.chunk(shared, chunk, out),
            Self::WebSocket(socket) => {
                socket.chunk(chunk, &mut shared.next_index, &mut out.http);
                out.take_http(shared, None);
            }
        }
    }

    /// One direction ended.
    pub(super) fn close(&mut self, shared: &mut Shared, direction: Direction, ts: Timestamp, out: &mut Collected) {
        match self {
            Self::Probing(probing) => probing.held[direction.index()].closed = true,
            Self::Unknown(unknown) => unknown.flush(shared, out),
            Self::Dns(_) | Self::Socks(_) => {}
            Self::Tls(layer) => layer.close(shared, direction, ts, out),
            Self::Http1(layer) => {
                layer.http.count_from(shared.next_index);
                layer.http.close(direction, ts, &mut out.http);
                self.after_http(shared, out);
            }
            Self::Http2(layer) => layer.close(shared, direction, ts, out),
            Self::WebSocket(socket) => {
                socket.close(direction, ts, &mut shared.next_index, &mut out.http);
                out.take_http(shared, None);
            }
        }
    }

    /// The flow ended; what is still held leaves.
    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        // What is given up can change the protocol once more, and what is held then has to leave too.
        for _ in 0..=LAYERS_MAX {
            match self {
                Self::Probing(probing) => match probing.last_chance(shared, out) {
                    Some(next) => *self = next,
                    None => return,
                },
                Self::Unknown(unknown) => return unknown.flush(shared, out),
                Self::Dns(_) => return,
                Self::Socks(layer) => {
                    let mut unknown = Unknown::new(None, layer.depth);
                    layer.give_up(shared, &mut unknown, ts, out);
                    return unknown.flush(shared, out);
                }
                Self::Tls(layer) => return layer.finish(shared, ts, out),
                Self::Http1(layer) => {
                    layer.http.count_from(shared.next_index);
                    layer.http.finish(&mut out.http);
                    if !self.after_http(shared, out) {
                        return;
                    }
                }
                Self::Http2(layer) => return layer.finish(shared, ts, out),
                Self::WebSocket(socket) => {
                    socket.finish(ts, &mut shared.next_index, &mut out.http);
                    out.take_http(shared, None);
                    return;
                }
            }
        }
    }

    /// Bytes held for what is still to come.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Probing(probing) => probing.held.iter().map(|held| held.bytes.len()).sum(),
            Self::Tls(layer) => layer.held(),
            Self::Http1(layer) => layer.http.held(),
            Self::Http2(layer) => layer.held(),
            Self::WebSocket(messages) => messages.held(),
            Self::Dns(streams) => streams.iter().map(DnsStream::held).sum(),
            Self::Socks(layer) => layer.handshake.held(),
            Self::Unknown(unknown) => unknown.held(),
        }
    }

    /// New keys are known: sessions that stayed closed are tried again.
    pub(super) fn retry(&mut self, shared: &mut Shared, out: &mut Collected) {
        if let Self::Tls(layer) = self {
            layer.retry(shared, out);
        }
    }

    /// Whether a closed session is kept for keys that may come.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Tls(layer) if layer.is_waiting())
    }

    /// Bytes of a session that waits for keys, and why it is closed.
    pub(super) fn closed_so_far(&self) -> Option<(u64, OpaqueReason)> {
        match self {
            Self::Tls(layer) => layer.closed_so_far(),
            _ => None,
        }
    }

    /// Keys that come from now on are too late.
    pub(super) fn stop_waiting(&mut self, shared: &mut Shared, out: &mut Collected) {
        if let Self::Tls(layer) = self {
            layer.stop_waiting(shared, out);
        }
    }

    /// The TLS session nearest to the wire, if there is one.
    pub(super) fn tls(&self) -> Option<Arc<TlsInfo>> {
        match self {
            Self::Tls(layer) => Some(layer.info()),
            Self::Probing(_)
            | Self::Http1(_)
            | Self::Http2(_)
            | Self::WebSocket(_)
            | Self::Dns(_)
            | Self::Socks(_)
            | Self::Unknown(_) => None,
        }
    }

    /// Collects what HTTP gave and follows a change of protocol; whether there was one.
    fn after_http(&mut self, shared: &mut Shared, out: &mut Collected) -> bool {
        let Self::Http1(layer) = self else { return false };
        out.take_http(shared, layer.tls.as_ref());
        let handoff = out.http.handoff.take();
        shared.next_index = layer.http.next_index();
        let Some(mut handoff) = handoff else { return false };
        let (tls, depth) = (layer.tls.take(), layer.depth + 1);
        shared.next_index = handoff.next_index;
        *self = match &handoff.switch {
            Switch::Upgrade(protocol) if protocol == "websocket" => {
                let opening = (&mut handoff).into();
                Self::WebSocket(Box::new(WebSocket::new(context(shared, tls), opening)))
            }
            Switch::Upgrade(protocol) if protocol == "h2c" => {
                let exchange = handoff.exchange.take();
                Self::Http2(Box::new(Http2Layer::upgraded(shared, exchange, handoff.swapped, tls, depth)))
            }
            Switch::Upgrade(_) | Switch::Tunnel(_) => Self::inside(tls, depth),
        };
        for held in &handoff.rest {
            self.chunk(shared, held.as_chunk(), out);
        }
        true
    }
}

impl Probing {
    /// Nothing seen yet, so many layers down.
    pub(super) fn at(depth: u32) -> Self {
        Self { depth, ..Self::default() }
    }

    /// Tells in which TLS session the bytes travel.
    pub(super) fn set_tls(&mut self, tls: Arc<TlsInfo>) {
        self.tls = Some(tls);
    }

    /// Adds bytes; gives the layer they turned out to be.
    fn chunk(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) -> Option<Stack> {
        let waiting = !self.held[0].bytes.is_empty() || !self.held[1].bytes.is_empty();
        if !waiting {
            // The usual case: the first chunk says it, and need not be copied.
            match self.verdict(chunk.bytes, chunk.direction) {
                Verdict::Unsure | Verdict::MaybeHttp1 => {}
                verdict => return Some(self.begin(shared, verdict, Some(chunk), out)),
            }
        }
        let held = &mut self.held[chunk.direction.index()];
        if chunk.gap > 0 && !held.bytes.is_empty() {
            // What stands before a hole is not continued by what stands behind it.
            let verdict = if http::begins_message(&held.bytes) { Verdict::Http1 } else { Verdict::Unknown };
            let mut stack = self.begin(shared, verdict, None, out);
            stack.chunk(shared, chunk, out);
            return Some(stack);
        }
        held.gap += chunk.gap;
        held.ts = chunk.ts;
        held.bytes.extend_from_slice(chunk.bytes);
        let verdict = self.verdict(&self.held[chunk.direction.index()].bytes, chunk.direction);
        let full = self.held.iter().any(|held| held.bytes.len() > PROBE_MAX);
        match verdict {
            Verdict::Unsure | Verdict::MaybeHttp1 if !full => None,
            Verdict::Unsure => Some(self.begin(shared, Verdict::Unknown, None, out)),
            // A request line may be longer than what is held here; the parser has a cap of its own.
            Verdict::MaybeHttp1 => Some(self.begin(shared, Verdict::Http1, None, out)),
            // The answer to a request line that was cut may have lost its beginning.
            Verdict::Unknown if self.held.iter().any(|held| http::begins_message(&held.bytes)) => {
                Some(self.begin(shared, Verdict::Http1, None, out))
            }
            verdict => Some(self.begin(shared, verdict, None, out)),
        }
    }

    /// No more bytes come: what was too short to tell is tried as what it may be.
    fn last_chance(&mut self, shared: &mut Shared, out: &mut Collected) -> Option<Stack> {
        let directions = [Direction::ToServer, Direction::ToClient];
        let maybe = directions.into_iter().zip(&self.held).any(|(direction, held)| {
            !held.bytes.is_empty() && self.verdict(&held.bytes, direction) == Verdict::MaybeHttp1
        });
        if !maybe {
            if self.held.iter().all(|held| held.bytes.is_empty()) {
                return None;
            }
            return Some(self.begin(shared, Verdict::Unknown, None, out));
        }
        Some(self.begin(shared, Verdict::Http1, None, out))
    }

    /// Whether a connection is to a port of DNS, or to that of DNS over TLS (RFC 7858), or says so in the handshake: its
    /// messages have no mark to probe for but their length.
    fn is_dns_port(&self, shared: &Shared) -> bool {
        let ports = [shared.key.server.port(), shared.key.client.port()];
        let over_tls = self.tls.as_ref().is_some_and(|tls| ports.contains(&853) || tls.alpn.as_deref() == Some("dot"));
        over_tls || ports.contains(&53)
    }

    /// Where in bytes of no known protocol a known one begins.
    fn find_start(&self, shared: &Shared, chunk: StreamChunk<'_>) -> Option<usize> {
        let hello = if self.depth < LAYERS_MAX { tls::find_hello(chunk.bytes) } else { None };
        let whole = shared.from_start && chunk.gap == 0;
        hello.or_else(|| if whole { None } else { http::find_start(chunk.bytes) })
    }

    /// A WebSocket whose handshake was not captured, if its client's frames begin here.
    fn websocket(&self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) -> Option<Stack> {
        if shared.from_start && chunk.gap == 0 || !http::websocket::begins_client_frames(chunk.bytes) {
            return None;
        }
        let opening = Opening { swapped: chunk.direction == Direction::ToClient, ..Opening::default() };
        let mut socket = WebSocket::new(context(shared, self.tls.clone()), opening);
        // The other side may be in the middle of a frame.
        let other = StreamChunk { direction: chunk.direction.reversed(), bytes: &[], gap: 1, ..chunk };
        socket.chunk(other, &mut shared.next_index, &mut out.http);
        Some(Stack::WebSocket(Box::new(socket)))
    }

    fn verdict(&self, bytes: &[u8], direction: Direction) -> Verdict {
        if self.depth < LAYERS_MAX && direction == Direction::ToServer {
            match socks::proxy_header(bytes) {
                Ok(len) => return Verdict::Proxied(len),
                Err(socks::Probe::Unsure) if bytes.len() > 2 => return Verdict::Unsure,
                Err(_) => {}
            }
        }
        if self.depth < LAYERS_MAX {
            match tls::probe(bytes) {
                tls::Probe::Yes => return Verdict::Tls,
                tls::Probe::Unsure => return Verdict::Unsure,
                tls::Probe::No => {}
            }
        }
        let http2 = http::h2::probe(bytes);
        if http2 == http::Probe::Yes {
            return Verdict::Http2;
        }
        // Which side is the client may have been guessed wrong, so either kind of message counts in either direction.
        match (http::probe(direction, bytes), http::probe(direction.reversed(), bytes)) {
            (http::Probe::Yes, _) | (_, http::Probe::Yes) => Verdict::Http1,
            (http::Probe::Unsure, _) | (_, http::Probe::Unsure) => Verdict::MaybeHttp1,
            (http::Probe::No, http::Probe::No) if http2 == http::Probe::Unsure => Verdict::Unsure,
            (http::Probe::No, http::Probe::No) if self.depth < LAYERS_MAX => match socks::probe(direction, bytes) {
                socks::Probe::Yes => Verdict::Socks,
                socks::Probe::Unsure => Verdict::Unsure,
                socks::Probe::No => Verdict::Unknown,
            },
            (http::Probe::No, http::Probe::No) => Verdict::Unknown,
        }
    }

    fn begin(
        &mut self,
        shared: &mut Shared,
        verdict: Verdict,
        chunk: Option<StreamChunk<'_>>,
        out: &mut Collected,
    ) -> Stack {
        let mut held = std::mem::take(&mut self.held);
        let mut chunk = chunk;
        let mut stack = match verdict {
            Verdict::Proxied(len) => {
                match &mut chunk {
                    Some(chunk) => chunk.bytes = chunk.bytes.get(len..).unwrap_or_default(),
                    None => drop(held[Direction::ToServer.index()].bytes.drain(..len)),
                }
                Stack::Probing(Self { tls: self.tls.clone(), ..Self::at(self.depth + 1) })
            }
            Verdict::Tls => Stack::Tls(Box::new(TlsLayer::new(shared, self.depth + 1))),
            Verdict::Socks => Stack::Socks(Box::new(SocksLayer { handshake: Handshake::default(), depth: self.depth })),
            Verdict::Http1 => Stack::Http1(Box::new(HttpLayer::new(shared, self.tls.clone(), self.depth))),
            Verdict::Http2 => Stack::Http2(Box::new(Http2Layer::new(shared, self.tls.clone(), self.depth))),
            Verdict::Unsure | Verdict::MaybeHttp1 | Verdict::Unknown
                if self.is_dns_port(shared)
                    || held.iter().any(|held| dns::probe_stream(&held.bytes))
                    || chunk.is_some_and(|chunk| dns::probe_stream(chunk.bytes)) =>
            {
                Stack::Dns(Box::default())
            }
            Verdict::Unsure | Verdict::MaybeHttp1 | Verdict::Unknown => {
                let socket = chunk.and_then(|chunk| self.websocket(shared, chunk, out));
                socket.unwrap_or_else(|| Stack::Unknown(Box::new(Unknown::new(self.tls.clone(), self.depth))))
            }
        };
        for (direction, held) in [Direction::ToServer, Direction::ToClient].into_iter().zip(&held) {
            if !held.bytes.is_empty() {
                let chunk = StreamChunk { direction, ts: held.ts, bytes: &held.bytes, gap: held.gap };
                stack.chunk_after_probe(shared, chunk, out);
            }
        }
        if let Some(chunk) = chunk.filter(|chunk| !chunk.bytes.is_empty()) {
            stack.chunk_after_probe(shared, chunk, out);
        }
        for (direction, held) in [Direction::ToServer, Direction::ToClient].into_iter().zip(&held) {
            if held.closed {
                stack.close(shared, direction, held.ts, out);
            }
        }
        stack
    }
}

impl Stack {
    /// As [`Stack::chunk`], but bytes that were just found to be unknown are not probed again.
    fn chunk_after_probe(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) {
        match self {
            Self::Unknown(unknown) if unknown.depth >= LAYERS_MAX || tls::find_hello(chunk.bytes).is_none() => {
                unknown.chunk(shared, chunk, out);
            }
            _ => self.chunk(shared, chunk, out),
        }
    }
}

impl SocksLayer {
    /// What was held of a handshake that is none, or stays unfinished, is searched like any unknown bytes.
    fn give_up(&mut self, shared: &mut Shared, unknown: &mut Unknown, ts: Timestamp, out: &mut Collected) {
        for (direction, bytes) in [Direction::ToServer, Direction::ToClient].into_iter().zip(self.handshake.take()) {
            if !bytes.is_empty() {
                unknown.chunk(shared, StreamChunk { direction, ts, bytes: &bytes, gap: 0 }, out);
            }
        }
    }
}

impl HttpLayer {
    fn new(shared: &Shared, tls: Option<Arc<TlsInfo>>, depth: u32) -> Self {
        Self { http: Http1::new(context(shared, tls.clone()), shared.next_index), tls, depth }
    }
}

/// What parsers of HTTP must know of the connection.
pub(super) fn context(shared: &Shared, tls: Option<Arc<TlsInfo>>) -> http::Context {
    let FlowKey { client, server, .. } = shared.key;
    http::Context { flow: shared.flow, client, server, app: shared.app.clone(), tls, digests: shared.digests }
}

/// Whether bytes are the beginning of a TLS handshake record, cut before they could tell.
fn begins_record(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x16, 3]) && tls::probe(bytes) == tls::Probe::Unsure
}
