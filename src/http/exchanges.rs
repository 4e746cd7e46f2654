//! Pairs requests with responses in the order of RFC 9112 §9.3 and gives them out in the order of the requests.

use super::{Context, Output};
use crate::model::{Exchange, Protocol, Request, Response, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most exchanges of one connection that wait for their response.
pub const PENDING_EXCHANGES_MAX: usize = 1024;
/// Most bytes of heads and bodies kept in exchanges of one connection that wait for their response.
pub const PENDING_BYTES_MAX: usize = 64 << 20;

/// What the method means for the response (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    /// Any other, or not known.
    Other,
}

/// Names a pending exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64);

#[derive(Debug)]
enum Slot<T> {
    /// Not begun.
    Awaited,
    /// On its way.
    Begun,
    Done(T),
    /// Not captured.
    Absent,
}

impl<T> Slot<T> {
    const fn is_settled(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Absent)
    }

    fn into_option(self) -> Option<T> {
        match self {
            Self::Done(message) => Some(message),
            Self::Awaited | Self::Begun | Self::Absent => None,
        }
    }
}

#[derive(Debug)]
struct Entry {
    id: EntryId,
    /// Its place in the flow.
    index: u32,
    ts: Timestamp,
    protocol: Protocol,
    method: Method,
    request: Slot<Arc<Request>>,
    response: Slot<Response>,
}

/// The exchanges of one connection that are not finished.
#[derive(Debug)]
pub(super) struct Exchanges {
    pub(super) context: Context,
    /// Whether requests come from the flow's `ToClient` direction.
    pub(super) swapped: bool,
    pub(super) next_index: u32,
    queue: VecDeque<Entry>,
    next_id: u64,
    kept_bytes: usize,
    /// Several requests were seen to wait for responses at once.
    pipelined: bool,
}

/// Why an exchange left the queue before it was finished.
pub(super) const OVERFULL: &str = "more requests wait for responses than are kept";

impl Exchanges {
    pub(super) fn new(context: Context, first_index: u32) -> Self {
        Self {
            context,
            swapped: false,
            next_index: first_index,
            queue: VecDeque::new(),
            next_id: 0,
            kept_bytes: 0,
            pipelined: false,
        }
    }

    fn push(&mut self, entry: impl FnOnce(EntryId, u32) -> Entry) -> EntryId {
        let id = EntryId(self.next_id);
        self.next_id += 1;
        let index = self.next_index;
        self.next_index = self.next_index.wrapping_add(1);
        self.queue.push_back(entry(id, index));
        id
    }

    fn find(&mut self, id: EntryId) -> Option<&mut Entry> {
        let at = self.queue.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.queue.get_mut(at)
    }

    pub(super) fn open_request(&mut self, ts: Timestamp, protocol: Protocol, method: Method) -> EntryId {
        let (request, response) = (Slot::Begun, Slot::Awaited);
        self.push(|id, index| Entry { id, index, ts, protocol, method, request, response })
    }

    /// Whether a request waits for its response.
    pub(super) fn is_waited_for(&self) -> bool {
        self.queue.iter().any(|entry| matches!(entry.response, Slot::Awaited))
    }

    /// What was opened for a request whose head had not ended: now it has.
    pub(super) fn describe(&mut self, id: EntryId, protocol: Protocol, method: Method) {
        if let Some(entry) = self.find(id) {
            (entry.protocol, entry.method) = (protocol, method);
        }
    }

    /// What was opened for a request turned out to be none.
    pub(super) fn withdraw(&mut self, id: EntryId, out: &mut Output) {
        if let Some(entry) = self.find(id) {
            entry.request = Slot::Absent;
        }
        self.emit_finished(out);
    }

    /// The exchange a response belongs to: the oldest that waits. After bytes of that side were lost, and unless
    /// requests are sent without waiting, it is the newest, and the responses of those before are lost.
    pub(super) fn open_response(&mut self, ts: Timestamp, protocol: Protocol, lost: bool) -> (EntryId, Method) {
        let waiting = |entry: &&mut Entry| matches!(entry.response, Slot::Awaited);
        let count = self.queue.iter_mut().filter(waiting).count();
        if lost && !self.pipelined && count > 1 {
            self.queue.iter_mut().filter(waiting).take(count - 1).for_each(|entry| entry.response = Slot::Absent);
        } else if count > 1 {
            self.pipelined = true;
        }
        if let Some(entry) = self.queue.iter_mut().find(waiting) {
            entry.response = Slot::Begun;
            return (entry.id, entry.method);
        }
        let (method, request, response) = (Method::Other, Slot::Absent, Slot::Begun);
        (self.push(|id, index| Entry { id, index, ts, protocol, method, request, response }), method)
    }

    pub(super) fn close_request(&mut self, id: EntryId, request: Request, out: &mut Output) {
        if let Ok(at) = self.queue.binary_search_by_key(&id, |entry| entry.id) {
            self.kept_bytes += request.kept();
            let request = Arc::new(request);
            let Entry { index, ts, protocol, .. } = self.queue[at];
            out.asked.push(self.exchange(index, ts, protocol, Some(Arc::clone(&request)), None));
            self.queue[at].request = Slot::Done(request);
        }
        self.emit_finished(out);
    }

    pub(super) fn close_response(&mut self, id: EntryId, response: Response, out: &mut Output) {
        self.kept_bytes += response.kept();
        if let Some(entry) = self.find(id) {
            entry.response = Slot::Done(response);
        }
        self.emit_finished(out);
    }

    /// Bytes of heads and bodies kept in exchanges that are not finished.
    pub(super) const fn held(&self) -> usize {
        self.kept_bytes
    }

    /// Whether the request is whole, or was not captured.
    pub(super) fn is_asked(&mut self, id: EntryId) -> bool {
        self.find(id).is_none_or(|entry| entry.request.is_settled())
    }

    /// Whether the final response began.
    pub(super) fn is_answered(&mut self, id: EntryId) -> bool {
        self.find(id).is_none_or(|entry| !matches!(entry.response, Slot::Awaited))
    }

    fn emit_finished(&mut self, out: &mut Output) {
        while self.queue.front().is_some_and(|entry| entry.request.is_settled() && entry.response.is_settled()) {
            self.emit_front(out);
        }
    }

    /// Gives out the oldest exchanges until the caps hold; says whether it had to.
    pub(super) fn enforce_caps(&mut self, out: &mut Output) -> bool {
        let mut forced = false;
        while self.queue.len() > PENDING_EXCHANGES_MAX || (self.kept_bytes > PENDING_BYTES_MAX && self.queue.len() > 1)
        {
            // A request on its way must not be lost; what stands behind it goes first.
            if matches!(self.queue.front(), Some(Entry { request: Slot::Begun, .. })) {
                self.queue.swap(0, 1);
            }
            self.emit_front(out);
            forced = true;
        }
        forced
    }

    /// Gives out all, finished or not.
    pub(super) fn flush(&mut self, out: &mut Output) {
        while !self.queue.is_empty() {
            self.emit_front(out);
        }
    }

    fn emit_front(&mut self, out: &mut Output) {
        let Some(entry) = self.queue.pop_front() else { return };
        let Entry { index, ts, protocol, request, response, .. } = entry;
        let exchange = self.exchange(index, ts, protocol, request.into_option(), response.into_option());
        let request = exchange.request.as_ref().map_or(0, |request| request.kept());
        let data = request + exchange.response.as_ref().map_or(0, Response::kept);
        self.kept_bytes = self.kept_bytes.saturating_sub(data);
        out.exchanges.push(exchange);
    }

    fn exchange(
        &self,
        index: u32,
        ts: Timestamp,
        protocol: Protocol,
        request: Option<Arc<Request>>,
        response: Option<Response>,
    ) -> Exchange {
        Exchange { request, response, ..self.context.exchange(self.swapped, index, ts, protocol) }
    }
}
