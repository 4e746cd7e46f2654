//! The front of the pipeline, in the order of the capture: frames → packets → flows. It decides which packet belongs
//! to which flow and when a flow ends, so that the shards behind it need not know of each other.

use super::connection::LateKeys;
use super::ready::{ReadyItem, Readying};
use crate::flow::FlowTable;
use crate::model::{App, Direction, FlowId, FlowKey, Frame, Layer, ReadyExchange, Timestamp, Transport, Weird};
use crate::packet::Decoder;
use rustc_hash::FxHasher;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// Something that happened to one flow.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Position in the order of all items; events take it over.
    pub(super) order: u64,
    pub(super) flow: FlowId,
    /// Flows that share state have the same; shards are chosen by it.
    pub(super) lane: u64,
    pub(super) ts: Timestamp,
    pub(super) kind: ItemKind<'a>,
}

#[derive(Debug)]
pub(super) enum ItemKind<'a> {
    Packet(PacketItem<'a>),
    /// An exchange that needs no reading.
    Ready(Box<ReadyItem>),
    /// No packet of the flow will come any more.
    End,
    /// Keys that come from now on are too late for the flow.
    StopWaiting,
    /// The flow has to give up what it holds.
    Cut,
}

/// A packet of a flow.
#[derive(Debug)]
pub(super) struct PacketItem<'a> {
    pub(super) direction: Direction,
    /// Set on the first packet of a flow: its key, and whether it was seen from its start.
    pub(super) opened: Option<Box<(FlowKey, bool)>>,
    pub(super) app: Option<Arc<App>>,
    pub(super) tcp: Option<TcpItem>,
    pub(super) payload: Cow<'a, [u8]>,
    pub(super) missing: u32,
}

/// The TCP header as reassembly needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpItem {
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

/// Most flows whose closed TLS sessions wait for keys: those opened last.
pub const WAITING_FLOWS_MAX: u64 = 768;

/// Frames → items.
#[derive(Default)]
pub(super) struct Intake {
    late_keys: LateKeys,
    decoder: Decoder,
    flows: FlowTable,
    ready: Readying,
    order: u64,
    /// Flows that have not ended, with their lanes.
    open: BTreeMap<FlowId, u64>,
    last_ts: Timestamp,
    last_flow: FlowId,
}

impl Intake {
    pub(super) fn new(late_keys: LateKeys) -> Self {
        Self { late_keys, ..Self::default() }
    }

    /// Takes one frame; gives the items it leads to.
    pub(super) fn frame<'a>(
        &mut self,
        frame: &Frame<'a>,
        items: &mut dyn FnMut(Item<'a>),
        weird: &mut dyn FnMut(u64, Weird),
    ) {
        self.order += 1;
        let order = self.order;
        self.last_ts = self.last_ts.max(frame.ts);
        let Some(packet) = self.decoder.decode(frame, &mut |found| weird(order, found)) else { return };
        let Some(seen) = self.flows.packet(&packet) else { return };
        if let Some(old) = seen.replaced {
            self.end(old, frame.ts, items);
        }
        let server = match seen.direction {
            Direction::ToServer => packet.dst,
            Direction::ToClient => packet.src,
        };
        let lane = match packet.transport {
            Transport::Udp(_) => lane_of_server(server),
            Transport::Tcp(_) | Transport::Other(_) => seen.id.0,
        };
        if seen.opened.is_some() {
            self.open.insert(seen.id, lane);
            self.last_flow = self.last_flow.max(seen.id);
            if self.late_keys == LateKeys::Possible && seen.id.0 > WAITING_FLOWS_MAX {
                let flow = FlowId(seen.id.0 - WAITING_FLOWS_MAX);
                self.item(flow, frame.ts, ItemKind::StopWaiting, items);
            }
        }
        let (tcp, payload, missing) = match packet.transport {
            Transport::Tcp(tcp) => {
                let flags = tcp.flags;
                let ack = flags.ack.then_some(tcp.ack);
                let item = TcpItem { seq: tcp.seq, ack, syn: flags.syn, fin: flags.fin, rst: flags.rst };
                (Some(item), tcp.payload, tcp.missing)
            }
            Transport::Udp(udp) => (None, udp.payload, udp.missing),
            Transport::Other(_) => return,
        };
        let opened = seen.opened.map(|key| Box::new((key, seen.from_start)));
        let packet = PacketItem { direction: seen.direction, opened, app: packet.app, tcp, payload, missing };
        self.order += 1;
        items(Item { order: self.order, flow: seen.id, lane, ts: frame.ts, kind: ItemKind::Packet(packet) });
        let (ended, forced) = self.flows.expire(frame.ts);
        for flow in ended {
            self.end(flow, frame.ts, items);
        }
        for _ in 0..forced {
            self.order += 1;
            weird(self.order, Weird::new(Layer::Flow, "flow given up: too many are open"));
        }
    }

    /// Takes an exchange that needs no reading.
    pub(super) fn ready(&mut self, ready: ReadyExchange, items: &mut dyn FnMut(Item<'_>)) {
        let ts = ready.exchange.ts;
        let item = self.ready.number(ready, &mut self.flows);
        let flow = item.exchange.id.flow;
        if item.opened.is_some() {
            self.open.insert(flow, flow.0);
            self.last_flow = self.last_flow.max(flow);
        }
        self.last_ts = self.last_ts.max(ts);
        self.order += 1;
        items(Item { order: self.order, flow, lane: flow.0, ts, kind: ItemKind::Ready(Box::new(item)) });
    }

    /// Tells a flow to give up what it holds.
    pub(super) fn cut<'a>(&mut self, flow: FlowId, items: &mut dyn FnMut(Item<'a>)) {
        self.item(flow, self.last_ts, ItemKind::Cut, items);
    }

    /// Places in the order for something that concerns every flow: each flow's is this plus its id.
    pub(super) fn next_orders(&mut self) -> u64 {
        let first = self.order + 1;
        self.order = first + self.last_flow.0;
        first
    }

    /// Ends all flows that are still open, in the order they were opened.
    pub(super) fn finish<'a>(&mut self, items: &mut dyn FnMut(Item<'a>)) {
        let ts = self.last_ts;
        for (flow, lane) in std::mem::take(&mut self.open) {
            self.order += 1;
            items(Item { order: self.order, flow, lane, ts, kind: ItemKind::End });
        }
    }

    fn end<'a>(&mut self, flow: FlowId, ts: Timestamp, items: &mut dyn FnMut(Item<'a>)) {
        self.item(flow, ts, ItemKind::End, items);
        self.open.remove(&flow);
    }

    /// Something for a flow that is open; nothing happens to one that ended.
    fn item<'a>(&mut self, flow: FlowId, ts: Timestamp, kind: ItemKind<'a>, items: &mut dyn FnMut(Item<'a>)) {
        if let Some(&lane) = self.open.get(&flow) {
            self.order += 1;
            items(Item { order: self.order, flow, lane, ts, kind });
        }
    }
}

/// QUIC connections outlive the five-tuple they began with (RFC 9000 §9), but not the server's address: flows of one
/// server stay together, so that one of them can go on where another ended.
fn lane_of_server(server: IpAddr) -> u64 {
    let mut hasher = FxHasher::default();
    server.hash(&mut hasher);
    hasher.finish()
}
