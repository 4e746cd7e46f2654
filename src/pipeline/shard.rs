//! A shard follows its share of the flows: reassembly, TLS, HTTP, DNS, and the detection in each exchange. Shards
//! share nothing but the read-only settings, so their number changes nothing in what comes out.

use super::Exchanges;
use super::budget::{self, Account};
use super::collected::{Collected, host_of};
use super::connection::{LateKeys, Shared, Stack};
use super::event::{Event, Events, FlowSummary};
use super::intake::{Item, ItemKind, PacketItem};
use super::observe::Observer;
use super::paths::Paths;
use super::quic_layer::QuicLayer;
use super::ready::ReadyItem;
use super::tcp_flow::TcpState;
use super::tls_layer::NO_LONGER_HELD;
use super::udp::{Extent, UdpFlow};
use super::unknown::Unknown;
use crate::http::Digests;
use crate::model::{FlowId, Layer, NameSource, OpaqueReason, Timestamp, TlsInfo, TransportProtocol, Weird};
use crate::quic;
use crate::tls::KeyLog;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Turns an exchange into bytes where nothing else is wanted of it.
pub type Renderer = Arc<dyn Fn(&crate::model::Exchange, &mut Vec<u8>) + Send + Sync>;

/// Nanoseconds of the capture between two looks at a flow that is open.
const TOLD_EVERY: i64 = 1_000_000_000;

/// The flows of one shard.
pub(super) struct Shard {
    flows: FxHashMap<FlowId, FlowState>,
    paths: Paths,
    keys: Arc<KeyLog>,
    late_keys: LateKeys,
    /// Flows that hold what keys may open that come later.
    waiting: BTreeSet<FlowId>,
    output: Emitting,
}

/// What turns the findings of a flow into events.
struct Emitting {
    observer: Option<Observer>,
    exchanges: Exchanges,
    collected: Collected,
}

struct FlowState {
    shared: Shared,
    first_ts: Timestamp,
    last_ts: Timestamp,
    bytes: u64,
    opaque_bytes: u64,
    opaque_reason: Option<OpaqueReason>,
    /// Some of it was text of no known protocol.
    text: bool,
    host: Option<(Arc<str>, NameSource)>,
    exchanges: u32,
    /// Whether it goes on with the connections of another flow, which knows what was read.
    follows: bool,
    /// When it was last told how it stands, and why it was closed then.
    told: Option<(Timestamp, Option<OpaqueReason>)>,
    content: Content,
}

enum Content {
    Tcp(Box<TcpState>),
    Udp(UdpFlow),
    /// Exchanges that need no reading; the TLS session of the first.
    Ready(Option<Arc<TlsInfo>>),
}

impl Shard {
    pub(super) fn new(
        keys: Arc<KeyLog>,
        late_keys: LateKeys,
        observer: Option<Observer>,
        exchanges: Exchanges,
    ) -> Self {
        let collected = Collected::new(observer.is_some());
        let output = Emitting { observer, exchanges, collected };
        Self { flows: FxHashMap::default(), paths: Paths::default(), keys, late_keys, waiting: BTreeSet::new(), output }
    }

    /// Sessions that begin from now on look their keys up here, and closed ones that wait for theirs are tried again.
    pub(super) fn set_keys(&mut self, first_order: u64, keys: &Arc<KeyLog>, events: &mut Events) {
        let forgot = self.keys.generation() != keys.generation();
        self.keys = Arc::clone(keys);
        for id in self.waiting.iter().copied().collect::<Vec<_>>() {
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.set_keys(keys, &mut self.output.collected);
                self.output.emit(first_order + id.0, flow, events);
            }
            self.note_waiting(id);
        }
        if forgot {
            // Those that wait have the new keys. The others would keep alive what was forgotten, and need no new ones.
            for flow in self.flows.values_mut().filter(|flow| matches!(flow.content, Content::Tcp(_))) {
                flow.shared.keys = Arc::clone(keys);
            }
        }
    }

    /// Remembers whether keys that come have to be told to a flow; to others they are told with their next packet.
    fn note_waiting(&mut self, id: FlowId) {
        if self.late_keys == LateKeys::Never {
            return;
        }
        if self.flows.get(&id).is_some_and(FlowState::is_waiting) {
            self.waiting.insert(id);
        } else {
            self.waiting.remove(&id);
        }
    }

    /// What the flows hold for what is still to come.
    pub(super) fn account(&self) -> Account {
        let mut account = Account::default();
        for (&id, flow) in &self.flows {
            account.add(id, flow.held());
        }
        account
    }

    /// Takes an item; appends the events it leads to.
    pub(super) fn item(&mut self, item: Item<'_>, events: &mut Events) {
        let (id, order) = (item.flow, item.order);
        self.take(item, events);
        self.note_waiting(id);
        if self.late_keys == LateKeys::Possible
            && let Some(flow) = self.flows.get_mut(&id)
            && let Some(so_far) = flow.so_far()
        {
            events.push((order, Event::Open(Box::new(so_far))));
        }
    }

    fn take(&mut self, item: Item<'_>, events: &mut Events) {
        let Self { flows, paths, keys, late_keys, output, .. } = self;
        let (order, ts) = (item.order, item.ts);
        match item.kind {
            ItemKind::End => {
                let mut next = Some(item.flow).filter(|&flow| !paths.must_stay(flow));
                while let Some(mut flow) = next.take().and_then(|flow| flows.remove(&flow)) {
                    self.waiting.remove(&flow.shared.flow);
                    flow.finish(&mut output.collected);
                    output.emit(order, &mut flow, events);
                    events.push((order, Event::Flow(Box::new(flow.summary()))));
                    next = paths.remove(flow.shared.key.server.ip(), flow.shared.flow);
                }
            }
            ItemKind::StopWaiting => {
                if let Some(flow) = flows.get_mut(&item.flow) {
                    flow.stop_waiting(&mut output.collected);
                    output.emit(order, flow, events);
                }
            }
            ItemKind::Cut => {
                if let Some(flow) = flows.get_mut(&item.flow) {
                    flow.cut(&mut output.collected);
                    output.emit(order, flow, events);
                }
            }
            ItemKind::Ready(ready) => {
                let flow = match flows.entry(item.flow) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => match FlowState::open_ready(&ready, ts, keys) {
                        Some(flow) => entry.insert(flow),
                        None => return,
                    },
                };
                flow.first_ts = flow.first_ts.min(ts);
                flow.last_ts = flow.last_ts.max(ts);
                flow.bytes += ready.deliver(&mut output.collected);
                output.emit(order, flow, events);
            }
            ItemKind::Packet(packet) => {
                let flow = match flows.entry(item.flow) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        match FlowState::open(item.flow, &packet, ts, keys, *late_keys, output.digests()) {
                            Some(flow) => entry.insert(flow),
                            None => return,
                        }
                    }
                };
                flow.use_keys(keys, &mut output.collected);
                if matches!(flow.content, Content::Udp(_)) {
                    self.datagram(item.flow, packet, order, ts, events);
                } else {
                    flow.packet(packet, ts, &mut output.collected);
                    output.emit(order, flow, events);
                }
            }
        }
    }

    /// Takes a datagram; one of a connection that began in another flow is read there.
    fn datagram(&mut self, id: FlowId, packet: PacketItem<'_>, order: u64, ts: Timestamp, events: &mut Events) {
        let Self { flows, paths, output, keys, .. } = self;
        let origin = origin_of(flows, paths, id, &packet);
        let Some([flow, origin]) = origin.and_then(|origin| two(flows, id, origin)) else {
            let Some(flow) = flows.get_mut(&id) else { return };
            flow.packet(packet, ts, &mut output.collected);
            if flow.quic().is_some() {
                paths.add(flow.shared.key.server.ip(), id);
            }
            output.emit(order, flow, events);
            return;
        };
        let bytes = packet.payload.len() as u64;
        flow.last_ts = flow.last_ts.max(ts);
        flow.bytes += bytes;
        if flow.shared.app.is_none() {
            flow.shared.app.clone_from(&packet.app);
        }
        let (before, origin_id) = (origin.bytes, origin.shared.flow);
        origin.use_keys(keys, &mut output.collected);
        origin.packet(packet, ts, &mut output.collected);
        origin.bytes = before;
        // What stayed closed belongs to where it was sent; the rest to where the connection began.
        flow.opaque_bytes += std::mem::take(&mut output.collected.opaque_bytes).min(bytes);
        if let Some(reason) = output.collected.opaque_reason.take() {
            flow.opaque_reason = Some(reason);
        }
        output.emit(order, origin, events);
        flow.follows = true;
        let sni =
            || origin.quic().and_then(QuicLayer::tls).and_then(|tls| tls.sni.as_deref().map(str::to_ascii_lowercase));
        flow.host = origin.host.clone().or_else(|| Some((Arc::from(sni()?), NameSource::Sni)));
        self.note_waiting(origin_id);
    }
}

/// The flow in which the connection began that a datagram belongs to, if that is another.
fn origin_of(
    flows: &FxHashMap<FlowId, FlowState>,
    paths: &mut Paths,
    id: FlowId,
    packet: &PacketItem<'_>,
) -> Option<FlowId> {
    let flow = flows.get(&id)?;
    let (direction, payload) = (packet.direction, &packet.payload[..]);
    let knows = |flow: FlowId| {
        let quic = flows.get(&flow).and_then(FlowState::quic);
        quic.is_some_and(|quic| quic.knows(direction, payload))
    };
    match (paths.origin(id), flow.quic()) {
        (Some(origin), None) => {
            let quic = flows.get(&origin).and_then(FlowState::quic)?;
            quic.may_take(direction, payload).then_some(origin)
        }
        (Some(origin), Some(own)) => (!own.knows(direction, payload) && knows(origin)).then_some(origin),
        (None, Some(_)) => None,
        (None, None) if quic::probe(payload) == quic::Probe::No => None,
        (None, None) => paths.find(flow.shared.key.server.ip(), id, knows),
    }
}

/// Two flows at once.
fn two(flows: &mut FxHashMap<FlowId, FlowState>, one: FlowId, other: FlowId) -> Option<[&mut FlowState; 2]> {
    match flows.get_disjoint_mut([&one, &other]) {
        [Some(one), Some(other)] => Some([one, other]),
        _ => None,
    }
}

impl Emitting {
    /// Exchanges that are dropped are shown to nobody.
    fn digests(&self) -> Digests {
        match self.exchanges {
            Exchanges::Dropped => Digests::Unwanted,
            Exchanges::Kept | Exchanges::Rendered(_) => Digests::Wanted,
        }
    }

    /// Turns what was collected into events.
    fn emit(&mut self, order: u64, flow: &mut FlowState, events: &mut Events) {
        let Self { observer, exchanges, collected } = self;
        flow.opaque_bytes += std::mem::take(&mut collected.opaque_bytes);
        flow.text |= std::mem::take(&mut collected.text_bytes) > 0;
        if let Some(reason) = collected.opaque_reason.take() {
            flow.opaque_reason = Some(reason);
        }
        for name in collected.names.drain(..) {
            events.push((order, Event::Name(name)));
        }
        for exchange in collected.asked.drain(..) {
            if flow.host.is_none() {
                flow.host = host_of(&exchange);
            }
            let observed = match observer {
                Some(observer) => observer.observe(&exchange, &mut collected.weirds),
                None => Vec::new(),
            };
            match exchanges {
                Exchanges::Kept => events.push((order, Event::Asked(Box::new(exchange), observed))),
                Exchanges::Dropped if !observed.is_empty() => events.push((order, Event::Observed(observed))),
                Exchanges::Dropped | Exchanges::Rendered(_) => {}
            }
        }
        for piece in collected.pieces.drain(..) {
            if let Some(observer) = observer {
                let observed = observer.observe_piece(piece, &mut collected.weirds);
                if !observed.is_empty() {
                    events.push((order, Event::Observed(observed)));
                }
            }
        }
        for exchange in collected.exchanges.drain(..) {
            flow.exchanges += 1;
            let event = match exchanges {
                Exchanges::Kept => Event::Exchange(Box::new(exchange)),
                Exchanges::Dropped => Event::Ended,
                Exchanges::Rendered(render) => {
                    let start = events.rendered.len();
                    render(&exchange, &mut events.rendered);
                    Event::Rendered(start..events.rendered.len())
                }
            };
            events.push((order, event));
        }
        for weird in collected.weirds.drain(..) {
            events.push((order, Event::Weird(weird)));
        }
    }
}

impl FlowState {
    fn open(
        id: FlowId,
        packet: &PacketItem<'_>,
        ts: Timestamp,
        keys: &Arc<KeyLog>,
        late_keys: LateKeys,
        digests: Digests,
    ) -> Option<Self> {
        let (key, from_start) = *packet.opened.as_deref()?;
        let content = match key.transport {
            TransportProtocol::Tcp => {
                Content::Tcp(Box::new(TcpState { streams: Default::default(), stack: Stack::new(), over: None }))
            }
            TransportProtocol::Udp => Content::Udp(UdpFlow::default()),
        };
        let shared = Shared {
            flow: id,
            key,
            app: packet.app.clone(),
            digests,
            keys: Arc::clone(keys),
            late_keys,
            next_index: 0,
            from_start,
            host: None,
            skipped: Unknown::skipped(),
        };
        Some(Self::new(shared, ts, content))
    }

    fn open_ready(ready: &ReadyItem, ts: Timestamp, keys: &Arc<KeyLog>) -> Option<Self> {
        let shared = Shared {
            flow: ready.exchange.id.flow,
            key: ready.opened?,
            app: ready.exchange.app.clone(),
            digests: Digests::Wanted,
            keys: Arc::clone(keys),
            late_keys: LateKeys::Never,
            next_index: 0,
            from_start: true,
            host: None,
            skipped: Unknown::skipped(),
        };
        Some(Self::new(shared, ts, Content::Ready(ready.exchange.tls.clone())))
    }

    fn new(shared: Shared, ts: Timestamp, content: Content) -> Self {
        Self {
            shared,
            first_ts: ts,
            last_ts: ts,
            bytes: 0,
            opaque_bytes: 0,
            opaque_reason: None,
            text: false,
            host: None,
            exchanges: 0,
            follows: false,
            told: None,
            content,
        }
    }

    fn packet(&mut self, packet: PacketItem<'_>, ts: Timestamp, out: &mut Collected) {
        self.last_ts = self.last_ts.max(ts);
        if self.shared.app.is_none() {
            self.shared.app.clone_from(&packet.app);
        }
        match (&mut self.content, packet.tcp) {
            (Content::Tcp(tcp), Some(header)) => {
                tcp.packet(&mut self.shared, &packet, header, ts, &mut self.bytes, out);
            }
            (Content::Udp(udp), None) => {
                self.bytes += packet.payload.len() as u64;
                let extent = if packet.missing > 0 { Extent::Cut } else { Extent::Whole };
                udp.datagram(&mut self.shared, (&packet.payload, extent), packet.direction, ts, out);
            }
            // The key says TCP or UDP, so a packet of the other kind is another flow.
            (Content::Tcp(_), None) | (Content::Udp(_), Some(_)) | (Content::Ready(_), _) => {}
        }
    }

    /// Takes keys that became known since it was last looked at.
    fn use_keys(&mut self, keys: &Arc<KeyLog>, out: &mut Collected) {
        if self.shared.late_keys == LateKeys::Possible && !Arc::ptr_eq(&self.shared.keys, keys) {
            self.set_keys(keys, out);
        }
    }

    fn set_keys(&mut self, keys: &Arc<KeyLog>, out: &mut Collected) {
        self.shared.keys = Arc::clone(keys);
        match &mut self.content {
            Content::Tcp(tcp) => tcp.stack.retry(&mut self.shared, out),
            Content::Udp(udp) => {
                if let Some(quic) = udp.quic_mut() {
                    quic.retry(&mut self.shared, self.last_ts, out);
                }
            }
            Content::Ready(_) => {}
        }
    }

    /// Whether it holds what keys may open that come later.
    fn is_waiting(&self) -> bool {
        match &self.content {
            Content::Tcp(tcp) => tcp.stack.is_waiting(),
            Content::Udp(udp) => udp.quic().is_some_and(QuicLayer::is_waiting),
            Content::Ready(_) => false,
        }
    }

    fn stop_waiting(&mut self, out: &mut Collected) {
        let flow = Some(self.shared.flow);
        match &mut self.content {
            Content::Tcp(tcp) if tcp.stack.is_waiting() => {
                out.weird(Weird { layer: Layer::Tls, flow, reason: NO_LONGER_HELD });
                tcp.stack.stop_waiting(&mut self.shared, out);
            }
            Content::Udp(udp) => {
                if let Some(quic) = udp.quic_mut().filter(|quic| quic.is_waiting()) {
                    out.weird(Weird { layer: Layer::Quic, flow, reason: NO_LONGER_HELD });
                    quic.stop_waiting(&mut self.shared, self.last_ts, out);
                }
            }
            Content::Tcp(_) | Content::Ready(_) => {}
        }
    }

    /// Bytes held.
    fn held(&self) -> usize {
        let content = match &self.content {
            Content::Tcp(tcp) => tcp.streams.pending() + tcp.stack.held(),
            Content::Udp(udp) => udp.held(),
            Content::Ready(_) => 0,
        };
        content + self.shared.skipped.held()
    }

    /// Gives up what is held: what was read of it so far leaves, and what comes is read as if the capture began here.
    fn cut(&mut self, out: &mut Collected) {
        out.weird(Weird { layer: Layer::Flow, flow: Some(self.shared.flow), reason: budget::CUT });
        self.shared.flush_skipped(out);
        match &mut self.content {
            Content::Tcp(tcp) => {
                tcp.flush(&mut self.shared, &mut self.bytes, out);
                tcp.stack.finish(&mut self.shared, self.last_ts, out);
                tcp.stack = Stack::new();
                self.shared.from_start = false;
            }
            Content::Udp(udp) => udp.cut(&mut self.shared, self.last_ts, out),
            Content::Ready(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Collected) {
        self.finish_content(out);
        self.shared.flush_skipped(out);
    }

    fn finish_content(&mut self, out: &mut Collected) {
        match &mut self.content {
            Content::Tcp(tcp) => tcp.finish(&mut self.shared, &mut self.bytes, self.last_ts, out),
            Content::Udp(udp) => {
                if let Some(quic) = udp.quic_mut() {
                    quic.finish(&mut self.shared, self.last_ts, out);
                }
            }
            Content::Ready(_) => {}
        }
    }

    fn quic(&self) -> Option<&QuicLayer> {
        match &self.content {
            Content::Udp(udp) => udp.quic(),
            Content::Tcp(_) | Content::Ready(_) => None,
        }
    }

    /// How the flow stands, where that is worth telling again while it is open.
    fn so_far(&mut self) -> Option<FlowSummary> {
        let quiet = self.told.is_some_and(|(told, _)| self.last_ts.nanos().saturating_sub(told.nanos()) < TOLD_EVERY);
        let closed = match &self.content {
            Content::Tcp(tcp) => tcp.stack.closed_so_far(),
            Content::Udp(udp) => udp.quic().filter(|quic| quic.is_waiting()).map(|_| (self.bytes, OpaqueReason::NoKey)),
            Content::Ready(_) => None,
        };
        let reason = self.opaque_reason.or(closed.map(|(_, reason)| reason));
        if self.bytes == 0 || quiet && self.told.is_some_and(|(_, told)| told == reason) {
            return None;
        }
        self.told = Some((self.last_ts, reason));
        let mut summary = self.summary();
        summary.opaque_reason = reason;
        summary.opaque_bytes = (summary.opaque_bytes + closed.map_or(0, |(bytes, _)| bytes)).min(self.bytes);
        Some(summary)
    }

    fn summary(&self) -> FlowSummary {
        let tls = match &self.content {
            Content::Tcp(tcp) => tcp.over.clone().unwrap_or_else(|| tcp.stack.tls()),
            Content::Udp(udp) => udp.quic().and_then(QuicLayer::tls),
            Content::Ready(tls) => tls.clone(),
        };
        // A session nothing was read of is closed as a whole, its handshake included.
        let closed = self.exchanges == 0 && !self.text && self.opaque_reason.is_some() && !self.follows;
        FlowSummary {
            id: self.shared.flow,
            key: self.shared.key,
            app: self.shared.app.clone(),
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            bytes: self.bytes,
            opaque_bytes: if closed { self.bytes } else { self.opaque_bytes.min(self.bytes) },
            opaque_reason: self.opaque_reason,
            host: self.host.clone(),
            tls,
            exchanges: self.exchanges,
        }
    }
}

/// Which shard of `count` follows the flows of a lane.
pub(super) fn shard_of(lane: u64, count: usize) -> usize {
    usize::try_from(lane % count.max(1) as u64).unwrap_or(0)
}
