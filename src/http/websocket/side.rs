//! One direction of a WebSocket connection: frames from bytes, messages from frames (RFC 6455 §5.4), and the way back
//! into step after bytes were lost.

use super::Sink;
use super::deflate::{Agreement, Failure, Inflater};
use super::frame::{self, BINARY, CLOSE, CONTINUATION, HEAD_MAX, Head, RSV1, TEXT};
use super::resync::{self, Expected, Found, More};
use crate::http::Digests;
use crate::http::body::BodySink;
use crate::model::{Body, Timestamp};

/// Largest frame believed; a longer one is taken for a loss of step.
pub const FRAME_MAX: u64 = 1 << 30;

/// Who sends in a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// A message, or the payload of a control frame.
#[derive(Debug)]
pub(super) struct Message {
    /// Time of its first byte.
    pub(super) ts: Timestamp,
    /// What it says.
    pub(super) body: Body,
}

/// A message that is being put together.
#[derive(Debug)]
struct Draft {
    ts: Timestamp,
    compressed: bool,
    sink: BodySink,
    whole: bool,
    /// Nothing more of it can be read.
    unreadable: bool,
    /// Bytes of it on the wire.
    wire: u64,
}

/// A frame whose payload is on its way.
#[derive(Debug)]
struct Open {
    head: Head,
    ts: Timestamp,
    /// Bytes of the payload that passed.
    at: u64,
    /// Bytes of it were lost.
    gapped: bool,
}

#[derive(Debug)]
enum Phase {
    Head,
    Payload(Open),
    Lost(Search),
}

/// Bytes among which the next frame is searched.
#[derive(Debug, Default)]
struct Search {
    buf: Vec<u8>,
    /// Bytes of `buf` that are already turned down.
    start: usize,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Side {
    sender: Sender,
    agreement: Agreement,
    phase: Phase,
    head: Vec<u8>,
    head_ts: Timestamp,
    draft: Option<Draft>,
    control: Vec<u8>,
    inflater: Inflater,
    scratch: Vec<u8>,
}

impl Side {
    pub(super) fn new(sender: Sender, agreement: Agreement) -> Self {
        Self {
            sender,
            agreement,
            phase: Phase::Head,
            head: Vec::with_capacity(HEAD_MAX),
            head_ts: Timestamp::default(),
            draft: None,
            control: Vec::new(),
            inflater: Inflater::default(),
            scratch: Vec::new(),
        }
    }

    /// Bytes kept of an unfinished message, with the window of the decompressor.
    pub(super) fn held(&self) -> usize {
        let search = if let Phase::Lost(search) = &self.phase { search.buf.len() } else { 0 };
        let draft = self.draft.as_ref().map_or(0, |draft| draft.sink.kept());
        search + draft + self.control.len() + self.scratch.capacity() + self.inflater.held()
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender
    }

    /// Takes bytes in order.
    pub(super) fn feed(&mut self, bytes: &[u8], ts: Timestamp, sink: &mut Sink<'_>) {
        let mut held;
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match &mut self.phase {
                Phase::Head => self.header(rest, ts, sink),
                Phase::Payload(_) => self.payload(rest, sink),
                Phase::Lost(search) => {
                    search.buf.extend_from_slice(rest);
                    held = self.search(More::Expected, sink);
                    &held
                }
            };
        }
    }

    /// Bytes were lost at this point.
    pub(super) fn lost(&mut self, gap: u64, sink: &mut Sink<'_>) {
        if let Phase::Payload(open) = &mut self.phase {
            let left = open.head.len - open.at;
            open.gapped = true;
            if gap < left {
                open.at += gap;
                self.damaged(sink);
                return;
            }
            self.damaged(sink);
            self.frame_ended(sink);
            if gap == left {
                return;
            }
        }
        self.lose_step(sink);
    }

    /// No more bytes come.
    pub(super) fn close(&mut self, ts: Timestamp, sink: &mut Sink<'_>) {
        if let Phase::Lost(_) = self.phase {
            let held = self.search(More::No, sink);
            self.feed(&held, ts, sink);
        }
        match std::mem::replace(&mut self.phase, Phase::Head) {
            Phase::Payload(open) => {
                sink.weird("WebSocket frame that breaks off");
                self.phase = Phase::Payload(Open { gapped: true, ..open });
                self.damaged(sink);
                self.frame_ended(sink);
            }
            Phase::Head => self.drop_head(sink),
            Phase::Lost(search) => sink.out.skipped_bytes += (search.buf.len() - search.start) as u64,
        }
        self.give_up_draft(sink);
    }

    /// Reads a header; gives the bytes after what was taken.
    fn header<'a>(&mut self, bytes: &'a [u8], ts: Timestamp, sink: &mut Sink<'_>) -> &'a [u8] {
        if self.head.is_empty() {
            self.head_ts = ts;
        }
        let held = self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(HEAD_MAX - held)]);
        let Some((head, length)) = frame::head(&self.head) else { return &[] };
        if head.len > FRAME_MAX {
            sink.weird("WebSocket frame too long to be one");
            self.head.truncate(length);
            self.lose_step(sink);
            return &bytes[length - held..];
        }
        self.head.clear();
        sink.out.read_bytes += length as u64;
        self.begin_frame(head, sink);
        self.phase = Phase::Payload(Open { head, ts: self.head_ts, at: 0, gapped: false });
        if head.len == 0 {
            self.frame_ended(sink);
        }
        &bytes[length - held..]
    }

    /// Judges a header and opens or goes on with its message.
    fn begin_frame(&mut self, head: Head, sink: &mut Sink<'_>) {
        if head.mask.is_some() != (self.sender == Sender::Client) {
            sink.weird("WebSocket frame masked by the server or clear from the client");
        }
        if !matches!(head.opcode, CONTINUATION | TEXT | BINARY | CLOSE | frame::PING | frame::PONG) {
            sink.weird("unknown WebSocket opcode");
        }
        if head.is_control() {
            if !head.fin || head.len > 125 {
                sink.weird("WebSocket control frame cut in pieces or too long");
            }
            if head.rsv != 0 {
                sink.weird("reserved bit of a WebSocket frame set");
            }
            self.control.clear();
            return;
        }
        let begins = head.opcode != CONTINUATION;
        let compressed = begins && head.rsv & RSV1 != 0 && self.agreement != Agreement::Refused;
        if head.rsv & !RSV1 != 0 || (head.rsv & RSV1 != 0 && !compressed) {
            sink.weird("reserved bit of a WebSocket frame set");
        }
        if begins && self.draft.is_some() {
            sink.weird("WebSocket message that begins inside another");
            self.give_up_draft(sink);
        }
        if self.draft.is_none() {
            let orphan = !begins;
            if orphan {
                sink.weird("WebSocket message without a beginning");
            }
            self.draft = Some(Draft {
                ts: self.head_ts,
                compressed,
                sink: BodySink::new(0, self.keep(), Digests::Wanted),
                whole: !orphan,
                // It may be compressed, and could then not be read from its middle.
                unreadable: orphan && self.agreement != Agreement::Refused,
                wire: 0,
            });
        }
    }

    const fn keep(&self) -> usize {
        match self.sender {
            Sender::Client => Body::KEEP_MAX,
            Sender::Server => Body::RESPONSE_KEEP_MAX,
        }
    }

    /// Reads payload; gives the bytes after it.
    fn payload<'a>(&mut self, bytes: &'a [u8], sink: &mut Sink<'_>) -> &'a [u8] {
        let Phase::Payload(open) = &mut self.phase else { return bytes };
        let left = usize::try_from(open.head.len - open.at).unwrap_or(usize::MAX);
        let (taken, rest) = bytes.split_at(left.min(bytes.len()));
        let clear = match open.head.mask {
            Some(key) => {
                self.scratch.clear();
                self.scratch.extend_from_slice(taken);
                frame::mask(&mut self.scratch, key, open.at);
                &self.scratch[..]
            }
            None => taken,
        };
        open.at += taken.len() as u64;
        let ended = open.at == open.head.len;
        if open.head.is_control() {
            // Longer ones break the rules; the rest of them says no more.
            let room = CONTROL_MAX - self.control.len().min(CONTROL_MAX);
            self.control.extend_from_slice(&clear[..clear.len().min(room)]);
            sink.out.read_bytes += taken.len() as u64;
        } else if let Some(draft) = &mut self.draft {
            draft.push(clear, &mut self.inflater, sink);
        }
        if ended {
            self.frame_ended(sink);
        }
        rest
    }

    /// Bytes of the frame on its way are missing.
    fn damaged(&mut self, sink: &mut Sink<'_>) {
        let Phase::Payload(open) = &self.phase else { return };
        if open.head.is_control() {
            return;
        }
        if let Some(draft) = &mut self.draft {
            draft.whole = false;
            if draft.compressed && !draft.unreadable {
                draft.unreadable = true;
                self.inflater.reset();
                sink.weird(AFTER_LOSS);
            }
        }
    }

    fn frame_ended(&mut self, sink: &mut Sink<'_>) {
        let Phase::Payload(open) = std::mem::replace(&mut self.phase, Phase::Head) else { return };
        if open.head.is_control() {
            self.control_ended(&open, sink);
        } else if open.head.fin {
            let fresh = matches!(self.agreement, Agreement::Agreed { fresh } if fresh[self.sender as usize]);
            if let Some(mut draft) = self.draft.take() {
                draft.end(fresh, &mut self.inflater, sink);
                draft.emit(sink);
            }
        }
    }

    /// A control frame is a message of its own if it says something.
    fn control_ended(&mut self, open: &Open, sink: &mut Sink<'_>) {
        // The status code of a close frame is no text (RFC 6455 §5.5.1).
        let from = if open.head.opcode == CLOSE { self.control.len().min(2) } else { 0 };
        let text = &self.control[from..];
        if !text.is_empty() {
            let mut body = BodySink::new(0, CONTROL_MAX, Digests::Wanted);
            body.push(text);
            let whole = !open.gapped && open.head.len <= CONTROL_MAX as u64;
            sink.messages.push(Message { ts: open.ts, body: body.into_body(None, Vec::new(), whole) });
        }
        self.control.clear();
    }

    /// It is unknown where the next frame begins.
    fn lose_step(&mut self, sink: &mut Sink<'_>) {
        self.drop_head(sink);
        if let Phase::Lost(search) = &self.phase {
            sink.out.skipped_bytes += (search.buf.len() - search.start) as u64;
        }
        self.give_up_draft(sink);
        self.inflater.reset();
        self.phase = Phase::Lost(Search::default());
    }

    fn drop_head(&mut self, sink: &mut Sink<'_>) {
        sink.out.skipped_bytes += self.head.len() as u64;
        self.head.clear();
    }

    fn give_up_draft(&mut self, sink: &mut Sink<'_>) {
        if let Some(mut draft) = self.draft.take() {
            draft.whole = false;
            if draft.compressed {
                self.inflater.reset();
            }
            draft.emit(sink);
        }
    }

    /// Looks for the next frame in what is held; gives the bytes from there on.
    fn search(&mut self, more: More, sink: &mut Sink<'_>) -> Vec<u8> {
        let masked = self.sender == Sender::Client;
        let expected = Expected { masked, deflate: self.agreement != Agreement::Refused };
        let Phase::Lost(Search { buf, start }) = &mut self.phase else { return Vec::new() };
        match resync::search(&buf[*start..], *start == 0, expected, more) {
            Found::At(at) => {
                sink.out.skipped_bytes += at as u64;
                let found = buf.split_off(*start + at);
                self.phase = Phase::Head;
                found
            }
            Found::NotIn(length) => {
                sink.out.skipped_bytes += length as u64;
                *start += length;
                // The first byte stays, so that what follows isn't taken for the byte after the hole.
                if *start > buf.len() / 2 && *start > 1 {
                    buf.drain(1..*start);
                    *start = 1;
                }
                Vec::new()
            }
        }
    }
}

/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_MAX: usize = 125;
const AFTER_LOSS: &str = "compressed WebSocket message that refers to lost bytes";

impl Draft {
    /// Takes unmasked payload.
    fn push(&mut self, bytes: &[u8], inflater: &mut Inflater, sink: &mut Sink<'_>) {
        self.wire += bytes.len() as u64;
        if self.unreadable {
            return;
        }
        if self.compressed {
            let result = inflater.feed(bytes, &mut |piece| self.sink.push(piece));
            self.judge(result, sink);
        } else {
            self.sink.push(bytes);
        }
    }

    fn end(&mut self, fresh: bool, inflater: &mut Inflater, sink: &mut Sink<'_>) {
        if self.compressed && !self.unreadable {
            let result = inflater.end(fresh, &mut |piece| self.sink.push(piece));
            self.judge(result, sink);
        }
    }

    fn judge(&mut self, result: Result<(), Failure>, sink: &mut Sink<'_>) {
        let Err(failure) = result else { return };
        self.unreadable = true;
        self.whole = false;
        sink.weird(match failure {
            Failure::Broken => AFTER_LOSS,
            Failure::Capped => "WebSocket message inflates beyond the cap",
        });
    }

    /// Gives the message out, unless nothing of it could be read. One that was read in part counts as not read.
    fn emit(self, sink: &mut Sink<'_>) {
        match self.unreadable {
            true => sink.out.skipped_bytes += self.wire,
            false => sink.out.read_bytes += self.wire,
        }
        let body = self.sink.into_body(None, Vec::new(), self.whole);
        if self.whole || body.bytes > 0 {
            sink.messages.push(Message { ts: self.ts, body });
        }
    }
}
