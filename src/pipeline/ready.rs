//! Exchanges that a capture holds as such (HAR) → places in the run: flow, index and what the flow amounts to. They
//! join the events where what was read from packets does, so nothing after here knows the difference.

use super::collected::Collected;
use crate::flow::FlowTable;
use crate::model::{
    Exchange, ExchangeId, FlowId, FlowKey, Layer, OpaqueReason, Protocol, ReadyExchange, TransportProtocol, Weird,
};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// An exchange with its place.
#[derive(Debug)]
pub(super) struct ReadyItem {
    pub(super) exchange: Exchange,
    /// Set on the first exchange of a flow.
    pub(super) opened: Option<FlowKey>,
    missing: u64,
    odd: Vec<&'static str>,
}

/// Gives places: each connection is a flow.
#[derive(Debug, Default)]
pub(super) struct Readying {
    flows: FxHashMap<Arc<str>, (FlowId, u32)>,
}

impl Readying {
    /// Gives an exchange its id.
    pub(super) fn number(&mut self, ready: ReadyExchange, table: &mut FlowTable) -> ReadyItem {
        let ReadyExchange { connection, mut exchange, missing, odd } = ready;
        let mut opened = None;
        let (flow, next) = self.flows.entry(connection).or_insert_with(|| {
            let transport = match exchange.protocol {
                Protocol::H3 => TransportProtocol::Udp,
                Protocol::Http10 | Protocol::Http11 | Protocol::H2 | Protocol::WebSocket | Protocol::Grpc => {
                    TransportProtocol::Tcp
                }
            };
            opened = Some(FlowKey { transport, client: exchange.client, server: exchange.server });
            (table.allot(), 0)
        });
        exchange.id = ExchangeId { flow: *flow, index: *next };
        *next = next.wrapping_add(1);
        ReadyItem { exchange, opened, missing, odd }
    }
}

impl ReadyItem {
    /// Hands the exchange on; gives the bytes it amounts to: heads and bodies as far as they are there, and what is
    /// known to be missing, which counts as unread.
    pub(super) fn deliver(self, out: &mut Collected) -> u64 {
        let Self { exchange, missing, odd, .. } = self;
        let flow = Some(exchange.id.flow);
        for reason in odd {
            out.weird(Weird { layer: Layer::Capture, flow, reason });
        }
        if missing > 0 {
            out.opaque_bytes += missing;
            out.opaque_reason = Some(OpaqueReason::Truncated);
        }
        let bytes = size(&exchange) + missing;
        // A WebSocket message of the server repeats the request it belongs to, which was searched.
        if exchange.request.is_some() && !(exchange.protocol == Protocol::WebSocket && exchange.response.is_some()) {
            out.asked.push(Exchange { response: None, ..exchange.clone() });
        }
        out.exchanges.push(exchange);
        bytes
    }
}

/// Bytes of heads, as HTTP/1 would write them, and bodies. A WebSocket message has no head of its own.
fn size(exchange: &Exchange) -> u64 {
    let fields = |headers: &crate::model::Headers| {
        headers.iter().map(|(name, value)| (name.len() + value.len() + 4) as u64).sum::<u64>()
    };
    let has_heads = exchange.protocol != Protocol::WebSocket;
    let request = exchange.request.as_ref().map_or(0, |request| {
        let line = (request.method.len() + request.target.len()) as u64 + 12;
        request.body.bytes + if has_heads { line + fields(&request.headers) } else { 0 }
    });
    let response = exchange
        .response
        .as_ref()
        .map_or(0, |response| response.body.bytes + if has_heads { 17 + fields(&response.headers) } else { 0 });
    request + response
}
