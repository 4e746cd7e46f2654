//! The moment an HTTP/1 connection changes to another protocol: holds bytes back until it is known whose they are, then
//! reads them as HTTP or hands them on.

use super::exchanges::{EntryId, Method};
use super::head::ResponseHead;
use super::http1::{End, Http1, Side, State};
use super::probe::{Kind, Place, START_LINE_MAX, empty_lines, is_cut_request, message_kind};
use super::{Handoff, HeldChunk, Output, Switch};
use crate::model::{Direction, Headers, Protocol, Request, StreamChunk};

/// Most bytes kept while it is open whether the connection changes its protocol.
pub const HELD_MAX: usize = 64 << 10;

/// Status of an answer that accepts an `Upgrade`.
pub(super) const SWITCHING_PROTOCOLS: u16 = 101;

impl Http1 {
    fn asked_for(&self, entry: EntryId) -> Option<&Request> {
        self.asked.as_ref().filter(|(asked, _)| *asked == entry).map(|(_, request)| request)
    }

    pub(super) fn tunnel_to(&self, entry: EntryId) -> String {
        self.asked_for(entry).map(|request| request.target_text().into_owned()).unwrap_or_default()
    }

    pub(super) fn upgrade_to(&self, entry: EntryId, head: &ResponseHead) -> String {
        let offered = || {
            let value = self.asked_for(entry)?.headers.get("upgrade")?;
            Some(String::from_utf8_lossy(value).trim().to_ascii_lowercase())
        };
        head.fields.upgrade.clone().or_else(offered).unwrap_or_default()
    }

    pub(super) fn hold(&mut self, chunk: StreamChunk<'_>, out: &mut Output) {
        self.held_bytes += chunk.bytes.len();
        let StreamChunk { direction, ts, bytes, gap } = chunk;
        self.held.push(HeldChunk { direction, ts, gap, bytes: bytes.to_vec() });
        if self.held_bytes > HELD_MAX {
            match self.switching {
                Some(_) => self.hand_off(out),
                None => self.decide_unanswered(out),
            }
        }
    }

    /// The connection goes on in HTTP: reads what was held back.
    pub(super) fn release(&mut self, out: &mut Output) {
        self.asked = None;
        self.held_bytes = 0;
        let side = self.request_side();
        if matches!(self.sides[side].state, State::Held) {
            self.sides[side].state = State::Start;
        }
        for held in std::mem::take(&mut self.held) {
            self.chunk(held.as_chunk(), out);
        }
    }

    /// No response tells whether the protocol changes: the bytes must.
    pub(super) fn decide_unanswered(&mut self, out: &mut Output) {
        self.weird("no response to a request to change the protocol", out);
        self.unanswered = true;
        let bytes: Vec<u8> =
            self.held.iter().flat_map(|held| held.bytes.iter().copied()).take(START_LINE_MAX).collect();
        let bytes = &bytes[empty_lines(&bytes)..];
        match message_kind(bytes, Some(Kind::Request), Place::Boundary) {
            Ok(Some(_)) => self.release(out),
            _ => self.hand_off(out),
        }
    }

    /// Hands the connection on once both heads are whole.
    pub(super) fn settle(&mut self, out: &mut Output) {
        let Some((entry, ..)) = &self.switching else { return };
        let entry = *entry;
        if !self.done && self.exchanges.is_asked(entry) {
            self.hand_off(out);
        }
    }

    /// A response begins though the head of its request did not end: the rest of that was lost, which will show only
    /// with what comes after it. The request keeps its place.
    pub(super) fn open_early(&mut self, protocol: Protocol) {
        let side = self.request_side();
        let Side { state, buf, started, early, .. } = &mut self.sides[side];
        let begun = match state {
            State::Head(kind) => *kind == Kind::Request,
            State::Start | State::Seek { line_start: true } => is_cut_request(buf),
            State::Seek { line_start: false } | State::Body(_) | State::Held => false,
        };
        if !begun || early.is_some() || self.exchanges.is_waited_for() {
            return;
        }
        let method = match buf.split(|&byte| byte == b' ').next() {
            Some(b"HEAD") => Method::Head,
            Some(b"CONNECT") => Method::Connect,
            Some(_) | None => Method::Other,
        };
        *early = Some(self.exchanges.open_request(*started, protocol, method));
    }

    /// What a response took for the beginning of its request is none.
    pub(super) fn withdraw_early(&mut self, side: usize, out: &mut Output) {
        if let Some(entry) = self.sides[side].early.take() {
            self.exchanges.withdraw(entry, out);
            // If its response changed the protocol, nothing is waited for any more, and what comes is not HTTP.
            if self.switching.as_ref().is_some_and(|&(switching, ..)| switching == entry) {
                self.sides[side].state = State::Held;
            }
        }
    }

    pub(super) fn hand_off(&mut self, out: &mut Output) {
        let side = self.request_side();
        if self.sides[side].early.is_some() {
            self.cut(side, End::Unknown, out);
        }
        let Side { buf, started, .. } = &mut self.sides[side];
        if !buf.is_empty() {
            let direction = if side == 0 { Direction::ToServer } else { Direction::ToClient };
            self.held.push(HeldChunk { direction, ts: *started, gap: 0, bytes: std::mem::take(buf) });
        }
        self.exchanges.flush(out);
        let request = self.asked.take().map(|(_, request)| request);
        let (switch, response_headers) = match self.switching.take() {
            Some((_, switch, headers)) => (switch, headers),
            None => (asked_switch(request.as_ref()), Headers::default()),
        };
        self.done = true;
        let is_h2c = switch == Switch::Upgrade("h2c".to_owned());
        let exchange = out.exchanges.pop_if(|exchange| {
            is_h2c && exchange.response.as_ref().is_some_and(|response| response.status == SWITCHING_PROTOCOLS)
        });
        out.handoff = Some(Handoff {
            switch,
            request,
            response_headers,
            exchange,
            rest: std::mem::take(&mut self.held),
            next_index: self.exchanges.next_index,
            swapped: self.is_swapped(),
        });
    }
}

/// What a request asks to change to.
fn asked_switch(request: Option<&Request>) -> Switch {
    match request {
        Some(request) if request.method == "CONNECT" => Switch::Tunnel(request.target_text().into_owned()),
        request => {
            let value = request.and_then(|request| request.headers.get("upgrade")).unwrap_or_default();
            Switch::Upgrade(String::from_utf8_lossy(value).trim().to_ascii_lowercase())
        }
    }
}
