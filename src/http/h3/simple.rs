//! HTTP/0.9 over QUIC streams ("hq-interop", "hq-29"): `GET /path` up to the end of a line or of the stream, answered
//! by the body alone.

use super::Multiplexed;
use crate::http::streams::{FieldSection, Role, Streams};
use crate::http::{Context, Output};
use crate::model::{Direction, Protocol, StreamChunk, Timestamp, TlsInfo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest request line.
pub const REQUEST_LINE_MAX: usize = 64 << 10;
/// Most streams that are open at once.
const STREAMS_MAX: usize = 1_024;

const NO_REQUEST: &str = "HTTP/0.9 request line does not make sense";

/// The HTTP/0.9 of one connection.
#[derive(Debug)]
pub struct Http09 {
    streams: Streams,
    /// Which way the client's bytes go.
    client: Direction,
    /// Streams of which an end is still to come.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The request line as far as it came.
    line: Vec<u8>,
    /// It is whole, or can't become it any more.
    asked: bool,
    /// Something of the response came.
    answering: bool,
    /// All of it did.
    answered: bool,
}

impl Http09 {
    /// A parser for one connection whose exchanges count from `first_index`; `client` is the way the bytes of the QUIC
    /// client go.
    #[must_use]
    pub fn new(context: Context, first_index: u32, client: Direction) -> Self {
        let mut streams = Streams::new(context, Protocol::Http10, first_index);
        streams.swapped = client == Direction::ToClient;
        Self { streams, client, open: BTreeMap::new() }
    }

    fn role(&self, direction: Direction) -> Role {
        if direction == self.client { Role::Request } else { Role::Response }
    }

    fn request(&mut self, id: u64, open: &mut Open, chunk: StreamChunk<'_>, out: &mut Output) {
        if open.asked {
            out.skipped_bytes += chunk.bytes.len() as u64;
            return;
        }
        let end = memchr::memchr(b'\n', chunk.bytes);
        let room = REQUEST_LINE_MAX - open.line.len();
        let piece = &chunk.bytes[..end.unwrap_or(chunk.bytes.len()).min(room)];
        open.line.extend_from_slice(piece);
        let cut = chunk.gap > 0 || open.line.len() == REQUEST_LINE_MAX;
        if cut || end.is_some() {
            self.ask(id, open, cut, chunk.ts, out);
        }
    }

    /// The request line is all that it will be.
    fn ask(&mut self, id: u64, open: &mut Open, cut: bool, ts: Timestamp, out: &mut Output) {
        if open.asked {
            return;
        }
        open.asked = true;
        let line = std::mem::take(&mut open.line);
        let line = line.trim_ascii();
        let (method, target) = line.split_at(memchr::memchr(b' ', line).unwrap_or(line.len()));
        let mut fields = FieldSection::default();
        fields.incomplete = cut;
        // What is left of a line whose beginning is missing is no method.
        if !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) {
            fields.push(b":method", method);
            fields.push(b":path", target.trim_ascii());
        } else if cut && !line.is_empty() {
            fields.push(b":path", line);
        } else {
            self.streams.weird(NO_REQUEST, out);
            out.skip(StreamChunk { direction: self.client, ts, bytes: line, gap: 1 });
            return;
        }
        out.read_bytes += line.len() as u64;
        self.streams.fields(id, Role::Request, fields, ts, out);
        if cut {
            self.streams.lost(id, Role::Request);
        }
        self.streams.end(id, Role::Request, out);
    }

    fn response(&mut self, id: u64, open: &mut Open, chunk: StreamChunk<'_>, out: &mut Output) {
        if !std::mem::replace(&mut open.answering, true) {
            // There is no status.
            let mut fields = FieldSection::default();
            fields.status = Some(0);
            self.streams.fields(id, Role::Response, fields, chunk.ts, out);
        }
        if chunk.gap > 0 {
            self.streams.lost(id, Role::Response);
        }
        self.streams.data(id, Role::Response, chunk.bytes, chunk.ts, out);
        out.read_bytes += chunk.bytes.len() as u64;
    }

    /// Puts a stream back, unless it is over. A response waits for its request, as packets may have been captured in
    /// another order.
    fn keep(&mut self, id: u64, open: Open, out: &mut Output) {
        if !(open.asked && open.answered) {
            self.open.insert(id, open);
        } else if open.answering {
            self.streams.end(id, Role::Response, out);
        }
        while self.open.len() > STREAMS_MAX {
            let Some((id, open)) = self.open.pop_first() else { return };
            self.give_up(id, open, out);
        }
    }

    fn give_up(&mut self, id: u64, mut open: Open, out: &mut Output) {
        if !open.line.is_empty() {
            self.ask(id, &mut open, true, Timestamp::default(), out);
        }
        if !open.answered {
            self.streams.lost(id, Role::Response);
        }
        self.streams.end(id, Role::Response, out);
    }
}

impl Multiplexed for Http09 {
    fn chunk(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output) {
        if id & 3 != 0 {
            out.skipped_bytes += chunk.bytes.len() as u64;
            return;
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        match self.role(chunk.direction) {
            Role::Request => self.request(id, &mut open, chunk, out),
            Role::Response => self.response(id, &mut open, chunk, out),
        }
        self.keep(id, open, out);
    }

    fn end(&mut self, id: u64, direction: Direction, gap: u64, ts: Timestamp, out: &mut Output) {
        if id & 3 != 0 {
            return;
        }
        let mut open = self.open.remove(&id).unwrap_or_default();
        let role = self.role(direction);
        match role {
            Role::Request => self.ask(id, &mut open, gap > 0, ts, out),
            Role::Response => {
                if gap > 0 {
                    self.streams.lost(id, role);
                }
                open.answered = true;
            }
        }
        self.keep(id, open, out);
    }

    fn reset(&mut self, id: u64, direction: Direction, ts: Timestamp, out: &mut Output) {
        self.end(id, direction, u64::MAX, ts, out);
    }

    fn finish(&mut self, out: &mut Output) {
        while let Some((id, open)) = self.open.pop_first() {
            self.give_up(id, open, out);
        }
        self.streams.finish(out);
    }

    fn held(&self) -> usize {
        self.streams.held()
    }

    fn next_index(&self) -> u32 {
        self.streams.next_index
    }

    fn set_next_index(&mut self, index: u32) {
        self.streams.next_index = index;
    }

    fn set_tls(&mut self, tls: &Arc<TlsInfo>) {
        self.streams.set_tls(tls);
    }
}
