//! What the pipeline yields.

use crate::model::{
    App, Exchange, FlowId, FlowKey, NameSource, Observation, OpaqueReason, SeenName, Timestamp, TlsInfo, Weird,
};
use std::ops::Range;
use std::sync::Arc;

/// One event with the order of the item it came of.
pub(super) type Ordered = (u64, Event);

/// Events on their way out, in their order, and the bytes of exchanges that were rendered. Used again and again, so
/// that a thread which hands it to another need not have the other free its memory.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) list: Vec<Ordered>,
    pub(super) rendered: Vec<u8>,
}

impl Events {
    pub(super) fn push(&mut self, event: Ordered) {
        self.list.push(event);
    }
}

/// Something that happened, in the order of the frames that showed it.
#[derive(Debug)]
pub enum Event {
    /// A request is complete, and its answer still to come; with what was found in it.
    Asked(Box<Exchange>, Vec<Observation>),
    /// Personal data was found where only that is wanted.
    Observed(Vec<Observation>),
    /// An exchange ended.
    Exchange(Box<Exchange>),
    /// An exchange ended that nobody wants to see.
    Ended,
    /// An exchange ended and was rendered as bytes instead ([`super::Renderer`]): where these are in
    /// [`super::Pipeline::rendered`]. [`super::Feed::rendered`] gets the bytes in its place.
    Rendered(Range<usize>),
    /// A host name was seen.
    Name(SeenName),
    /// Traffic that made no sense.
    Weird(Weird),
    /// How a flow that is open stands, from time to time; only where the capture is still coming in.
    Open(Box<FlowSummary>),
    /// A flow ended.
    Flow(Box<FlowSummary>),
}

/// A flow as a whole.
#[derive(Debug, Clone)]
pub struct FlowSummary {
    /// The flow.
    pub id: FlowId,
    /// Its ends, the client as the content showed it.
    pub key: FlowKey,
    /// The app, where the capture names it.
    pub app: Option<Arc<App>>,
    /// Time of its first packet.
    pub first_ts: Timestamp,
    /// Time of its last packet.
    pub last_ts: Timestamp,
    /// Transport payload bytes, both directions, retransmissions not counted.
    pub bytes: u64,
    /// Of them, those whose content stayed closed.
    pub opaque_bytes: u64,
    /// Why they did.
    pub opaque_reason: Option<OpaqueReason>,
    /// The host of its first request, and what told it.
    pub host: Option<(Arc<str>, NameSource)>,
    /// The TLS session.
    pub tls: Option<Arc<TlsInfo>>,
    /// Exchanges read in it.
    pub exchanges: u32,
}
