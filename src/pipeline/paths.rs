//! The five-tuples that one QUIC connection uses after another, as its client moves or its address is translated anew
//! (RFC 9000 §9): which flow goes on with the connections of which.

use crate::model::FlowId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Most flows of one server among which the connection of a new five-tuple is looked for: those that began last.
pub const PATH_CANDIDATES_MAX: usize = 256;

/// The flows of a shard that share connections.
#[derive(Default)]
pub(super) struct Paths {
    /// Flows with QUIC connections, by server, in the order they began.
    by_server: FxHashMap<IpAddr, VecDeque<FlowId>>,
    /// The flow in which the connections of a flow began.
    origins: FxHashMap<FlowId, FlowId>,
    /// How many flows go on with the connections of one.
    followers: FxHashMap<FlowId, u32>,
    /// Flows that have ended but for those that go on with their connections.
    ended: FxHashSet<FlowId>,
}

impl Paths {
    /// A flow has QUIC connections.
    pub(super) fn add(&mut self, server: IpAddr, flow: FlowId) {
        let flows = self.by_server.entry(server).or_default();
        if flows.back() != Some(&flow) {
            flows.push_back(flow);
            if flows.len() > PATH_CANDIDATES_MAX {
                flows.pop_front();
            }
        }
    }

    /// The flow whose connections this one goes on with.
    pub(super) fn origin(&self, flow: FlowId) -> Option<FlowId> {
        self.origins.get(&flow).copied()
    }

    /// Looks for the flow whose connections a new one goes on with, the newest first.
    pub(super) fn find(&mut self, server: IpAddr, flow: FlowId, known: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let flows = self.by_server.get(&server)?;
        let origin = flows.iter().rev().copied().find(|&origin| origin != flow && known(origin))?;
        self.origins.insert(flow, origin);
        *self.followers.entry(origin).or_default() += 1;
        Some(origin)
    }

    /// No packet of a flow comes any more; whether it has to stay for others that go on with its connections.
    pub(super) fn must_stay(&mut self, flow: FlowId) -> bool {
        self.followers.contains_key(&flow) && self.ended.insert(flow)
    }

    /// A flow is over; gives the one that stayed for it alone.
    pub(super) fn remove(&mut self, server: IpAddr, flow: FlowId) -> Option<FlowId> {
        if let Some(flows) = self.by_server.get_mut(&server) {
            flows.retain(|&known| known != flow);
            if flows.is_empty() {
                self.by_server.remove(&server);
            }
        }
        let origin = self.origins.remove(&flow)?;
        let followers = self.followers.get_mut(&origin)?;
        *followers -= 1;
        if *followers > 0 {
            return None;
        }
        self.followers.remove(&origin);
        self.ended.remove(&origin).then_some(origin)
    }
}
