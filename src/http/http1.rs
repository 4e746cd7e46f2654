//! HTTP/1 (RFC 9112) as seen from outside: both directions of a stream in, exchanges out.
//!
//! Each direction is a small state machine over bytes in order; in-order bytes are parsed where they stand and only what
//! a later chunk must finish is copied. What makes no sense is skipped up to the next start line and counted.

use super::body::{BodyReader, Progress, empty_body};
use super::exchanges::{EntryId, Exchanges, Method, OVERFULL};
use super::head::{self, Fields, Framing, HeadScan, RequestHead, ResponseHead};
use super::probe::{
    Kind, NAME_MAX, NeedMore, PREFIX_MAX, Place, START_LINE_MAX, empty_lines, is_cut_request, is_request_at_end,
    message_kind, without_cut_version,
};
use super::switching::SWITCHING_PROTOCOLS;
use super::{Context, HeldChunk, Output, Switch};
use crate::model::{Body, Direction, Headers, Layer, Request, Response, StreamChunk, Timestamp, Weird};
use memchr::memchr;

/// Longest message head.
pub const HEAD_MAX: usize = 1 << 20;
/// Head buffers above this size are not kept for the next head.
const BUFFER_KEEP_MAX: usize = 16 << 10;

/// The parser of one connection.
#[derive(Debug)]
pub struct Http1 {
    pub(super) exchanges: Exchanges,
    /// By direction.
    pub(super) sides: [Side; 2],
    /// Whether requests come from `ToClient`; none before the first message.
    pub(super) swapped: Option<bool>,
    /// The request after which requests are held back, by its exchange.
    pub(super) asked: Option<(EntryId, Request)>,
    /// The answer that changes the protocol.
    pub(super) switching: Option<(EntryId, Switch, Headers)>,
    pub(super) held: Vec<HeldChunk>,
    pub(super) held_bytes: usize,
    /// Responses do not come: requests are not held back for them any more.
    pub(super) unanswered: bool,
    pub(super) reported: Vec<&'static str>,
    pub(super) done: bool,
}

#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) state: State,
    /// Bytes of an unfinished start line or head.
    pub(super) buf: Vec<u8>,
    scan: HeadScan,
    /// When the message began.
    pub(super) started: Timestamp,
    /// A message boundary was lost since the last message.
    lost: bool,
    skipping: bool,
    /// The exchange of a request whose response began before its head ended.
    pub(super) early: Option<EntryId>,
    /// In a line too long to be kept.
    pub(super) overlong: bool,
}

#[derive(Debug, Default)]
pub(super) enum State {
    /// A message is due.
    #[default]
    Start,
    /// Looking for the next start line.
    Seek {
        line_start: bool,
    },
    /// In a head whose start line was recognised.
    Head(Kind),
    Body(Box<Message>),
    /// Bytes are kept until it is known whose they are.
    Held,
}

#[derive(Debug)]
pub(super) struct Message {
    entry: EntryId,
    head: Head,
    body: BodyReader,
    /// The client may leave the body out if the response comes before it (RFC 9110 §10.1.1).
    refusable: bool,
}

#[derive(Debug)]
pub(super) enum Head {
    Request(RequestHead),
    Response(ResponseHead),
}

impl Head {
    const fn fields(&mut self) -> &mut Fields {
        match self {
            Self::Request(head) => &mut head.fields,
            Self::Response(head) => &mut head.fields,
        }
    }
}

/// Whether a head was seen to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Cut,
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The sender closed it.
    Closed,
    /// Bytes are missing from here, or the capture ends.
    Unknown,
}

impl Http1 {
    /// A parser for one connection whose exchanges count from `first_index`.
    #[must_use]
    pub fn new(context: Context, first_index: u32) -> Self {
        Self {
            exchanges: Exchanges::new(context, first_index),
            sides: [Side::default(), Side::default()],
            swapped: None,
            asked: None,
            switching: None,
            held: Vec::new(),
            held_bytes: 0,
            unanswered: false,
            reported: Vec::new(),
            done: false,
        }
    }

    /// Takes the next bytes of a direction. After a [`super::Handoff`] nothing more is taken.
    pub fn chunk(&mut self, chunk: StreamChunk<'_>, out: &mut Output) {
        if self.done {
            return;
        }
        let side = chunk.direction.index();
        let held = matches!(self.sides[side].state, State::Held);
        if held {
            self.hold(chunk, out);
        } else {
            if chunk.gap > 0 {
                self.lost(side, chunk.gap, out);
                self.sides[side].skipping = false;
            }
            self.run(side, chunk.bytes, chunk.ts, out);
        }
        self.settle(out);
    }

    /// A direction ended (FIN or RST).
    pub fn close(&mut self, direction: Direction, _ts: Timestamp, out: &mut Output) {
        if !self.done {
            self.cut(direction.index(), End::Closed, out);
            self.settle(out);
        }
    }

    /// The flow ended: gives out what is pending. May give a [`super::Handoff`] with bytes whose protocol stayed open.
    pub fn finish(&mut self, out: &mut Output) {
        for side in [0, 1] {
            if !self.done {
                self.cut(side, End::Unknown, out);
            }
        }
        if !self.done && self.switching.is_some() {
            self.hand_off(out);
        }
        if !self.done && !self.held.is_empty() {
            self.decide_unanswered(out);
            for side in [0, 1] {
                self.cut(side, End::Unknown, out);
            }
        }
        self.exchanges.flush(out);
        self.done = true;
    }

    /// Bytes kept of what is unfinished.
    #[must_use]
    pub fn held(&self) -> usize {
        let of_side = |side: &Side| {
            let body = if let State::Body(message) = &side.state { message.body.held() } else { 0 };
            side.buf.len() + body
        };
        self.sides.iter().map(of_side).sum::<usize>() + self.exchanges.held() + self.held_bytes
    }

    /// Exchanges count at least from here on: others of the flow were numbered elsewhere.
    pub fn count_from(&mut self, index: u32) {
        self.exchanges.next_index = self.exchanges.next_index.max(index);
    }

    /// Index for the next exchange of the flow.
    #[must_use]
    pub fn next_index(&self) -> u32 {
        self.exchanges.next_index
    }

    /// Whether requests come from the flow's `ToClient` direction (the capture began in its middle).
    #[must_use]
    pub fn is_swapped(&self) -> bool {
        self.swapped == Some(true)
    }

    pub(super) fn weird(&mut self, reason: &'static str, out: &mut Output) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            out.weirds.push(Weird { flow: Some(self.exchanges.context.flow), ..Weird::new(Layer::Http, reason) });
        }
    }

    fn report_odd(&mut self, fields: &mut Fields, out: &mut Output) {
        for reason in std::mem::take(&mut fields.odd) {
            self.weird(reason, out);
        }
    }

    /// The kind of message a side carries, once known.
    pub(super) fn wanted(&self, side: usize) -> Option<Kind> {
        self.swapped.map(|swapped| if (side == 1) == swapped { Kind::Request } else { Kind::Response })
    }

    pub(super) const fn request_side(&self) -> usize {
        matches!(self.swapped, Some(true)) as usize
    }

    pub(super) fn run(&mut self, side: usize, mut input: &[u8], ts: Timestamp, out: &mut Output) {
        while !input.is_empty() && !self.done {
            let taken = match &self.sides[side].state {
                State::Start => self.at_start(side, input, ts, out),
                State::Seek { line_start: true } => self.at_line(side, input, ts, out),
                State::Seek { line_start: false } => self.skip_line(side, input, ts, out),
                State::Head(kind) => {
                    let kind = *kind;
                    self.in_head(side, kind, input, out)
                }
                State::Body(_) => self.in_body(side, input, ts, out),
                State::Held => {
                    let direction = if side == 0 { Direction::ToServer } else { Direction::ToClient };
                    self.hold(StreamChunk { direction, ts, bytes: input, gap: 0 }, out);
                    input.len()
                }
            };
            input = &input[taken..];
        }
    }

    /// Where a message is due.
    fn at_start(&mut self, side: usize, input: &[u8], ts: Timestamp, out: &mut Output) -> usize {
        let empty = if self.sides[side].buf.is_empty() { empty_lines(input) } else { 0 };
        if empty > 0 {
            out.read_bytes += empty as u64;
            return empty;
        }
        let (taken, verdict) = self.look(side, input, ts, Place::Boundary);
        match verdict {
            Err(NeedMore) => {}
            Ok(Some(kind)) => self.begin_head(side, kind, out),
            Ok(None) => {
                // After a loss it is no wonder.
                if !self.sides[side].lost {
                    self.weird("bytes that are no HTTP message", out);
                }
                self.lose_sync(side, true);
                self.withdraw_early(side, out);
                // No start line begins here; the rest is looked through line by line.
                let seen = std::mem::take(&mut self.sides[side].buf);
                let started = self.sides[side].started;
                self.run(side, &seen, started, out);
            }
        }
        taken
    }

    pub(super) fn skip(&mut self, side: usize, bytes: &[u8], out: &mut Output) {
        let direction = if side == 0 { Direction::ToServer } else { Direction::ToClient };
        let gap = u64::from(!std::mem::replace(&mut self.sides[side].skipping, true));
        out.skip(StreamChunk { direction, ts: self.sides[side].started, bytes, gap });
    }

    /// Looks whether a message begins at what is buffered and `input`, buffering of it what it must.
    pub(super) fn look(
        &mut self,
        side: usize,
        input: &[u8],
        ts: Timestamp,
        place: Place,
    ) -> (usize, Result<Option<Kind>, NeedMore>) {
        let wanted = self.wanted(side);
        let Side { buf, started, .. } = &mut self.sides[side];
        if buf.is_empty() {
            *started = ts;
            let verdict = message_kind(input, wanted, place);
            if verdict.is_err() {
                buf.extend_from_slice(input);
                return (input.len(), verdict);
            }
            return (0, verdict);
        }
        let line_end = memchr(b'\n', input);
        let taken = line_end.map_or(input.len(), |end| end + 1);
        // What was buffered before did not tell; beyond the prefix only a line end can, and soon after one what follows it.
        let tail = &buf[buf.len().saturating_sub(NAME_MAX + 2)..];
        let decides = line_end.is_some()
            || buf.len() <= PREFIX_MAX
            || buf.len() + taken >= START_LINE_MAX
            || memchr(b'\n', tail).is_some();
        buf.extend_from_slice(&input[..taken]);
        (taken, if decides { message_kind(buf, wanted, place) } else { Err(NeedMore) })
    }

    /// A start line was recognised; the buffer holds what was read of the head.
    pub(super) fn begin_head(&mut self, side: usize, kind: Kind, out: &mut Output) {
        if self.swapped.is_none() {
            let swapped = (kind == Kind::Request) == (side == 1);
            self.swapped = Some(swapped);
            self.exchanges.swapped = swapped;
            if swapped {
                self.weird("client and server change places", out);
            }
        }
        self.sides[side].state = State::Head(kind);
        self.sides[side].skipping = false;
        let buf = std::mem::take(&mut self.sides[side].buf);
        if !buf.is_empty() {
            let started = self.sides[side].started;
            self.run(side, &buf, started, out);
        }
    }

    fn in_head(&mut self, side: usize, kind: Kind, input: &[u8], out: &mut Output) -> usize {
        let Side { buf, scan, .. } = &mut self.sides[side];
        let window = &input[..input.len().min(HEAD_MAX - buf.len())];
        let Some(end) = scan.feed(window) else {
            buf.extend_from_slice(window);
            if buf.len() == HEAD_MAX {
                self.weird("message head longer than is kept", out);
                self.cut(side, End::Unknown, out);
                self.lose_sync(side, false);
            }
            return window.len();
        };
        if buf.is_empty() {
            self.head(side, kind, &input[..end], Extent::Whole, out);
            return end;
        }
        buf.extend_from_slice(&input[..end]);
        let mut head = std::mem::take(buf);
        self.head(side, kind, &head, Extent::Whole, out);
        if head.capacity() <= BUFFER_KEEP_MAX && self.sides[side].buf.capacity() == 0 {
            head.clear();
            self.sides[side].buf = head;
        }
        end
    }

    fn in_body(&mut self, side: usize, input: &[u8], ts: Timestamp, out: &mut Output) -> usize {
        let State::Body(message) = &mut self.sides[side].state else { return 0 };
        if message.refusable && message.body.is_untouched() && self.exchanges.is_answered(message.entry) {
            return self.in_refused_body(side, input, ts, out);
        }
        let (taken, progress) = message.body.feed(input);
        out.read_bytes += taken as u64;
        self.after_body(side, progress, out);
        taken
    }

    /// The response came before any byte of the body: what comes is either the body or the next request.
    fn in_refused_body(&mut self, side: usize, input: &[u8], ts: Timestamp, out: &mut Output) -> usize {
        let (taken, verdict) = self.look(side, input, ts, Place::Anywhere);
        match verdict {
            Err(NeedMore) => {}
            Ok(Some(kind)) => {
                self.end_body(side, false, out);
                if matches!(self.sides[side].state, State::Held) {
                    let seen = std::mem::take(&mut self.sides[side].buf);
                    self.run(side, &seen, ts, out);
                } else {
                    self.begin_head(side, kind, out);
                }
            }
            Ok(None) => self.accept_body(side, out),
        }
        taken
    }

    /// What is buffered belongs to the body after all.
    fn accept_body(&mut self, side: usize, out: &mut Output) {
        if let Side { state: State::Body(message), buf, started, .. } = &mut self.sides[side] {
            message.refusable = false;
            let (seen, started) = (std::mem::take(buf), *started);
            self.run(side, &seen, started, out);
        }
    }

    fn after_body(&mut self, side: usize, progress: Progress, out: &mut Output) {
        match progress {
            Progress::More => {}
            Progress::Done => self.end_body(side, true, out),
            Progress::Lost { line_start } => {
                self.weird("body that breaks off", out);
                self.end_body(side, false, out);
                self.lose_sync(side, line_start);
            }
        }
    }

    /// Bytes of a side were lost at this point.
    fn lost(&mut self, side: usize, gap: u64, out: &mut Output) {
        self.accept_body(side, out);
        if let State::Body(message) = &mut self.sides[side].state {
            let progress = message.body.lost(gap);
            self.after_body(side, progress, out);
            return;
        }
        let between = matches!(self.sides[side].state, State::Start) && self.sides[side].buf.is_empty();
        self.cut(side, End::Unknown, out);
        self.lose_sync(side, true);
        // Where the loss began between messages it mostly ends there too.
        if between {
            self.sides[side].state = State::Start;
        }
    }

    fn lose_sync(&mut self, side: usize, line_start: bool) {
        let side = &mut self.sides[side];
        // A side that is held back stays so: whose bytes come next is not its to say.
        if !matches!(side.state, State::Held) {
            side.state = State::Seek { line_start };
        }
        (side.lost, side.overlong) = (true, false);
    }

    /// Ends what a side is in the middle of.
    pub(super) fn cut(&mut self, side: usize, end: End, out: &mut Output) {
        self.accept_body(side, out);
        let wanted = self.wanted(side);
        let Side { state, buf, scan, .. } = &mut self.sides[side];
        let bytes = std::mem::take(buf);
        *scan = HeadScan::default();
        let in_line = matches!(state, State::Seek { line_start: false });
        let cut = wanted != Some(Kind::Response) && is_cut_request(&bytes);
        let kind = match state {
            State::Held => return,
            State::Body(message) => {
                let ended = end == End::Closed && message.body.is_until_close();
                self.end_body(side, ended, out);
                return;
            }
            State::Head(kind) => Some(*kind),
            State::Start => match message_kind(&bytes, wanted, Place::Boundary) {
                Ok(kind) => kind,
                Err(NeedMore) if wanted != Some(Kind::Response) && is_request_at_end(&bytes) => Some(Kind::Request),
                Err(NeedMore) => cut.then_some(Kind::Request),
            },
            State::Seek { line_start } => (*line_start && cut).then_some(Kind::Request),
        };
        *state = State::Start;
        match kind {
            _ if bytes.is_empty() => {}
            Some(kind) => {
                self.begin_head(side, kind, out);
                self.head(side, kind, &bytes, Extent::Cut, out);
            }
            None => {
                self.skip(side, &bytes, out);
                if !in_line {
                    self.weird("start line that breaks off", out);
                }
                self.withdraw_early(side, out);
            }
        }
    }

    fn head(&mut self, side: usize, kind: Kind, bytes: &[u8], extent: Extent, out: &mut Output) {
        out.read_bytes += bytes.len() as u64;
        self.sides[side].state = State::Start;
        // The last line of a head that was cut may be cut too.
        let bytes = match (extent, memchr::memrchr(b'\n', bytes)) {
            (Extent::Whole, _) => bytes,
            (Extent::Cut, Some(end)) => &bytes[..=end],
            (Extent::Cut, None) if kind == Kind::Request => without_cut_version(bytes),
            (Extent::Cut, None) => bytes,
        };
        match kind {
            Kind::Request => self.begin_request(side, head::request(bytes), extent, out),
            Kind::Response => self.begin_response(side, head::response(bytes), extent, out),
        }
        if self.exchanges.enforce_caps(out) {
            self.weird(OVERFULL, out);
        }
    }

    fn begin_request(&mut self, side: usize, mut head: RequestHead, extent: Extent, out: &mut Output) {
        let framing = head.fields.framing(Framing::Empty);
        self.report_odd(&mut head.fields, out);
        let method = match head.method.as_str() {
            "HEAD" => Method::Head,
            "CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        let entry = match self.sides[side].early.take() {
            Some(entry) => {
                self.exchanges.describe(entry, head.protocol, method);
                entry
            }
            None => self.exchanges.open_request(self.sides[side].started, head.protocol, method),
        };
        let digests = self.exchanges.context.digests;
        match BodyReader::new(framing, head.fields.length_hint(), Body::KEEP_MAX, digests) {
            Some(body) if extent == Extent::Whole => {
                let refusable = head.fields.expects_continue;
                let message = Message { entry, head: Head::Request(head), body, refusable };
                self.sides[side].state = State::Body(Box::new(message));
            }
            Some(_) | None => {
                let body = empty_body(&mut head.fields, extent == Extent::Whole);
                self.end_request(side, entry, head, body, out);
            }
        }
    }

    fn begin_response(&mut self, side: usize, mut head: ResponseHead, extent: Extent, out: &mut Output) {
        if (100..200).contains(&head.status) && head.status != SWITCHING_PROTOCOLS {
            return;
        }
        let Side { started, lost, .. } = &mut self.sides[side];
        let (started, lost) = (*started, std::mem::take(lost));
        self.open_early(head.protocol);
        let (entry, method) = self.exchanges.open_response(started, head.protocol, lost);
        let switch = match (head.status, method) {
            (SWITCHING_PROTOCOLS, _) => Some(Switch::Upgrade(self.upgrade_to(entry, &head))),
            (200..=299, Method::Connect) => Some(Switch::Tunnel(self.tunnel_to(entry))),
            _ => None,
        };
        if let Some(switch) = switch {
            self.switching = Some((entry, switch, head.fields.headers.clone()));
            let body = empty_body(&mut head.fields, extent == Extent::Whole);
            self.end_response(entry, head, body, out);
            self.sides[side].state = State::Held;
            return;
        }
        let framing = match (head.status, method) {
            (204 | 304, _) | (_, Method::Head) => Framing::Empty,
            _ => head.fields.framing(Framing::UntilClose),
        };
        self.report_odd(&mut head.fields, out);
        let digests = self.exchanges.context.digests;
        match BodyReader::new(framing, head.fields.length_hint(), Body::RESPONSE_KEEP_MAX, digests) {
            Some(body) if extent == Extent::Whole => {
                let message = Message { entry, head: Head::Response(head), body, refusable: false };
                self.sides[side].state = State::Body(Box::new(message));
            }
            Some(_) | None => {
                let body = empty_body(&mut head.fields, extent == Extent::Whole);
                self.end_response(entry, head, body, out);
            }
        }
        if self.asked.as_ref().is_some_and(|(asked, _)| *asked == entry) {
            self.release(out);
        }
    }

    fn end_body(&mut self, side: usize, ended: bool, out: &mut Output) {
        let State::Body(message) = std::mem::take(&mut self.sides[side].state) else { return };
        let Message { entry, mut head, body, .. } = *message;
        let body = body.finish(head.fields(), ended);
        match head {
            Head::Request(head) => self.end_request(side, entry, head, body, out),
            Head::Response(head) => self.end_response(entry, head, body, out),
        }
    }

    fn end_request(&mut self, side: usize, entry: EntryId, head: RequestHead, body: Body, out: &mut Output) {
        let RequestHead { method, target, authority, fields, .. } = head;
        let may_switch = method == "CONNECT" || fields.upgrade.is_some();
        let request = Request { method, target, authority, headers: fields.headers, body };
        if let Some((switching, ..)) = &self.switching {
            if *switching == entry {
                self.asked = Some((entry, Request { body: Body::default(), ..request.clone() }));
            }
            self.sides[side].state = State::Held;
        } else if may_switch && !self.unanswered && !self.exchanges.is_answered(entry) {
            let head = Request { body: Body::default(), ..request.clone() };
            self.asked = Some((entry, head));
            self.sides[side].state = State::Held;
        }
        self.exchanges.close_request(entry, request, out);
    }

    fn end_response(&mut self, entry: EntryId, head: ResponseHead, body: Body, out: &mut Output) {
        let response = Response { status: head.status, headers: head.fields.headers, body };
        self.exchanges.close_response(entry, response, out);
    }
}
