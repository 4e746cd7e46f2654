//! The QUIC connections of a UDP flow and what their streams carry: HTTP/3, HTTP/0.9, DNS, or no known protocol.

use super::collected::Collected;
use super::connection::{LateKeys, Shared};
use super::questions::DnsQuestions;
use super::tunnels::Tunnels;
use super::udp::Extent;
use super::unknown::Unknown;
use crate::dns::DnsStream;
use crate::http::h3::{self, Http3, Http09, Multiplexed};
use crate::http::{self, Context};
use crate::model::{Direction, NameProtocol, OpaqueReason, StreamChunk, Timestamp, TlsInfo, Weird};
use crate::quic::{self, Claim, Connection, StreamEvent, StreamEventKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most QUIC connections of one five-tuple that are followed at a time; then the oldest is given up.
pub const QUIC_CONNECTIONS_MAX: usize = 16;
/// Most streams of one connection that are followed where their protocol is not HTTP.
pub const QUIC_STREAMS_MAX: usize = 512;

/// The QUIC connections of one flow.
#[derive(Default)]
pub(super) struct QuicLayer {
    /// In the order they began.
    connections: Vec<QuicConnection>,
}

struct QuicConnection {
    connection: Connection,
    inner: Inner,
    /// What `inner` knows of the session.
    tls: Arc<TlsInfo>,
}

/// What the streams of a connection carry.
enum Inner {
    /// No stream has told yet.
    Undecided,
    Http(Box<dyn Multiplexed>, Tunnels),
    /// DNS over QUIC (RFC 9250).
    Dns(DnsStreams),
    Unknown(BTreeMap<u64, Unknown>),
}

/// The streams of DNS over QUIC, each of one question and its answers, and what was asked.
#[derive(Default)]
struct DnsStreams {
    streams: BTreeMap<(u64, Direction), DnsStream>,
    questions: DnsQuestions,
}

impl QuicLayer {
    /// Takes a datagram.
    pub(super) fn datagram(
        &mut self,
        shared: &mut Shared,
        (payload, extent): (&[u8], Extent),
        direction: Direction,
        ts: Timestamp,
        out: &mut Collected,
    ) {
        let at = self.connection_of(direction, payload).unwrap_or_else(|| self.begin(shared, ts, out));
        if let Some(connection) = self.connections.get_mut(at) {
            connection.run(shared, ts, out, |connection, output| match extent {
                Extent::Whole => connection.datagram(direction, ts, payload, output),
                Extent::Cut => connection.cut_datagram(direction, ts, payload, output),
            });
        }
    }

    /// Bytes held for what is still to come.
    pub(super) fn held(&self) -> usize {
        self.connections.iter().map(QuicConnection::held).sum()
    }

    /// Whether a datagram is addressed to one of the connections.
    pub(super) fn knows(&self, direction: Direction, payload: &[u8]) -> bool {
        self.connections.iter().any(|known| known.connection.claims(direction, payload) == Claim::Certain)
    }

    /// Whether a datagram may belong to one of the connections.
    pub(super) fn may_take(&self, direction: Direction, payload: &[u8]) -> bool {
        self.connection_of(direction, payload).is_some()
    }

    /// What is known of the session: that of the first connection which asked for a name.
    pub(super) fn tls(&self) -> Option<Arc<TlsInfo>> {
        let mut infos = self.connections.iter().map(|known| known.connection.info());
        let first = infos.next()?;
        Some(if first.sni.is_some() { first } else { infos.find(|info| info.sni.is_some()).unwrap_or(first) })
    }

    /// New keys are known: packets that stayed closed are tried again.
    pub(super) fn retry(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        let keys = Arc::clone(&shared.keys);
        for connection in &mut self.connections {
            connection.run(shared, ts, out, |connection, output| connection.set_keys(Arc::clone(&keys), output));
        }
    }

    /// Whether packets are kept for keys that may come.
    pub(super) fn is_waiting(&self) -> bool {
        self.connections.iter().any(|known| known.connection.is_waiting())
    }

    /// Keys that come from now on are too late.
    pub(super) fn stop_waiting(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        for connection in &mut self.connections {
            connection.run(shared, ts, out, Connection::stop_waiting);
        }
    }

    /// The flow ended.
    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        for connection in &mut self.connections {
            connection.finish(shared, ts, out);
        }
    }

    /// The connection a datagram belongs to: the newest where several may be meant.
    fn connection_of(&self, direction: Direction, payload: &[u8]) -> Option<usize> {
        let mut possible = None;
        for (at, known) in self.connections.iter().enumerate().rev() {
            match known.connection.claims(direction, payload) {
                Claim::Certain => return Some(at),
                Claim::Possible => possible = possible.or(Some(at)),
                Claim::No => {}
            }
        }
        possible
    }

    fn begin(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) -> usize {
        if self.connections.len() == QUIC_CONNECTIONS_MAX {
            self.connections.remove(0).finish(shared, ts, out);
        }
        let late_keys = match shared.late_keys {
            LateKeys::Never => quic::LateKeys::Never,
            LateKeys::Possible => quic::LateKeys::Possible,
        };
        let connection = Connection::new(Arc::clone(&shared.keys), late_keys);
        self.connections.push(QuicConnection { connection, inner: Inner::Undecided, tls: Arc::default() });
        self.connections.len() - 1
    }
}

impl QuicConnection {
    /// Lets the connection work, and passes on what that gave.
    fn run(
        &mut self,
        shared: &mut Shared,
        ts: Timestamp,
        out: &mut Collected,
        work: impl FnOnce(&mut Connection, &mut quic::Output),
    ) {
        let mut output = std::mem::take(&mut out.quic);
        output.clear();
        work(&mut self.connection, &mut output);
        for name in &output.names {
            out.sni(shared.flow, ts, name, NameProtocol::Quic);
        }
        for weird in &output.weirds {
            out.weird(Weird { flow: Some(shared.flow), ..weird.clone() });
        }
        if output.opaque_bytes > 0 {
            let reason = self.connection.opaque_reason().unwrap_or(OpaqueReason::NoKey);
            out.opaque(usize::try_from(output.opaque_bytes).unwrap_or(usize::MAX), reason);
        }
        self.learn();
        for event in &output.streams {
            self.event(shared, event, &output, out);
        }
        for (direction, ts, range) in &output.datagrams {
            let chunk = StreamChunk { direction: *direction, ts: *ts, bytes: output.bytes(range), gap: 0 };
            let mut unknown = Unknown::new(Some(Arc::clone(&self.tls)), 0);
            unknown.chunk(shared, chunk, out);
            unknown.flush(shared, out);
        }
        out.quic = output;
    }

    fn held(&self) -> usize {
        let inner = match &self.inner {
            Inner::Undecided => 0,
            Inner::Http(http, tunnels) => http.held() + tunnels.held(),
            Inner::Dns(dns) => dns.streams.values().map(DnsStream::held).sum(),
            Inner::Unknown(streams) => streams.values().map(Unknown::held).sum(),
        };
        self.connection.held() + inner
    }

    fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        self.run(shared, ts, out, Connection::finish);
        match &mut self.inner {
            Inner::Undecided | Inner::Dns(_) => {}
            Inner::Http(http, tunnels) => {
                with_http((http.as_mut(), tunnels), &self.tls, shared, out, |http, out| http.finish(out));
                tunnels.finish(shared, ts, out);
            }
            Inner::Unknown(streams) => flush(streams, shared, out),
        }
        if let Some(reason) = self.connection.opaque_reason() {
            out.opaque(0, reason);
        }
    }

    /// Tells what is inside when more is known of the session.
    fn learn(&mut self) {
        let info = self.connection.info();
        if !Arc::ptr_eq(&self.tls, &info) {
            self.tls = info;
            if let Inner::Http(http, _) = &mut self.inner {
                http.set_tls(&self.tls);
            }
        }
    }

    fn event(&mut self, shared: &mut Shared, event: &StreamEvent, output: &quic::Output, out: &mut Collected) {
        let StreamEvent { id, direction, ts, .. } = *event;
        let chunk = match &event.kind {
            StreamEventKind::Bytes { gap, range } => {
                Some(StreamChunk { direction, ts, bytes: output.bytes(range), gap: *gap })
            }
            StreamEventKind::End { .. } | StreamEventKind::Reset { .. } | StreamEventKind::Cut => None,
        };
        self.decide(shared, id, chunk, out);
        match &mut self.inner {
            Inner::Undecided => {}
            Inner::Http(http, tunnels) => {
                with_http((http.as_mut(), tunnels), &self.tls, shared, out, |http, out| match (&event.kind, chunk) {
                    (_, Some(chunk)) => http.chunk(id, chunk, out),
                    (StreamEventKind::End { gap }, None) => http.end(id, direction, *gap, ts, out),
                    (_, None) => http.reset(id, direction, ts, out),
                })
            }
            Inner::Dns(dns) => dns.event(shared, id, direction, chunk, out),
            Inner::Unknown(streams) => {
                let unknown = streams.entry(id).or_insert_with(|| Unknown::new(Some(Arc::clone(&self.tls)), 0));
                match chunk {
                    Some(chunk) => unknown.chunk(shared, chunk, out),
                    None => unknown.flush(shared, out),
                }
                if streams.len() > QUIC_STREAMS_MAX
                    && let Some((_, mut oldest)) = streams.pop_first()
                {
                    oldest.flush(shared, out);
                }
            }
        }
    }

    /// Finds out what the streams carry: what the two sides agreed on, else what the streams look like.
    fn decide(&mut self, shared: &mut Shared, id: u64, chunk: Option<StreamChunk<'_>>, out: &mut Collected) {
        let new = match &self.inner {
            Inner::Undecided => true,
            Inner::Http(..) | Inner::Dns(_) => return,
            Inner::Unknown(streams) => !streams.contains_key(&id),
        };
        let client = self.connection.client_direction().unwrap_or(Direction::ToServer);
        let alpn = self.tls.alpn.as_deref().unwrap_or_default();
        let start = chunk.filter(|chunk| new && chunk.gap == 0 && chunk.direction == client);
        let context = Context {
            flow: shared.flow,
            client: shared.key.client,
            server: shared.key.server,
            app: shared.app.clone(),
            tls: Some(Arc::clone(&self.tls)),
            digests: shared.digests,
        };
        let index = shared.next_index;
        let inner = if alpn == "h3" || alpn.starts_with("h3-") {
            Inner::Http(Box::new(Http3::new(context, index, client)), Tunnels::default())
        } else if alpn.starts_with("hq") || alpn == "http/0.9" {
            Inner::Http(Box::new(Http09::new(context, index, client)), Tunnels::default())
        } else if alpn.starts_with("doq") {
            Inner::Dns(DnsStreams::default())
        } else if start.is_some_and(|chunk| h3::probe(id, chunk.bytes)) {
            Inner::Http(Box::new(Http3::new(context, index, client)), Tunnels::default())
        } else if start.is_some_and(|chunk| http::probe(Direction::ToServer, chunk.bytes) == http::Probe::Yes) {
            Inner::Http(Box::new(Http09::new(context, index, client)), Tunnels::default())
        } else if matches!(self.inner, Inner::Undecided) {
            Inner::Unknown(BTreeMap::new())
        } else {
            return;
        };
        if let Inner::Unknown(mut streams) = std::mem::replace(&mut self.inner, inner) {
            flush(&mut streams, shared, out);
        }
    }
}

/// Lets HTTP work; several connections of a flow count their exchanges together.
fn with_http(
    (http, tunnels): (&mut dyn Multiplexed, &mut Tunnels),
    tls: &Arc<TlsInfo>,
    shared: &mut Shared,
    out: &mut Collected,
    work: impl FnOnce(&mut dyn Multiplexed, &mut http::Output),
) {
    http.set_next_index(shared.next_index);
    work(http, &mut out.http);
    let tunnelled = std::mem::take(&mut out.http.tunnelled);
    out.take_http(shared, Some(tls));
    shared.next_index = shared.next_index.max(http.next_index());
    tunnels.pass_on(shared, tunnelled, Some(tls), 1, out);
}

fn flush(streams: &mut BTreeMap<u64, Unknown>, shared: &mut Shared, out: &mut Collected) {
    for stream in streams.values_mut() {
        stream.flush(shared, out);
    }
}

impl DnsStreams {
    fn event(
        &mut self,
        shared: &mut Shared,
        id: u64,
        direction: Direction,
        chunk: Option<StreamChunk<'_>>,
        out: &mut Collected,
    ) {
        let Some(chunk) = chunk else {
            self.streams.remove(&(id, direction));
            return;
        };
        let stream = self.streams.entry((id, direction)).or_default();
        for message in stream.feed(chunk.gap, chunk.bytes) {
            // All messages have the number 0 (RFC 9250 §4.2.1): their streams tell them apart.
            self.questions.tell((id, &message), NameProtocol::Dns, shared.flow, chunk.ts, out);
        }
        if stream.is_lost() {
            out.opaque(chunk.bytes.len(), OpaqueReason::UnknownProtocol);
        }
        if self.streams.len() > QUIC_STREAMS_MAX {
            self.streams.pop_first();
        }
    }
}
