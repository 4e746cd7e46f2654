//! HTTP/3 (RFC 9114) as seen from outside: what the streams of a QUIC connection carry in, exchanges out.
//!
//! Control, encoder and push streams are followed here, messages are put together by `streams`. A field section that
//! needs table entries which have not come yet waits for them, and so does what stands behind it on its stream.

#[cfg(test)]
pub(crate) mod encoder;
mod frames;
mod multiplexed;
pub mod qpack;
mod section;
mod simple;
#[cfg(test)]
mod tests;
mod unidirectional;

pub use multiplexed::Multiplexed;
pub use section::{BLOCKED_BYTES_MAX, BLOCKED_SECTIONS_MAX};
pub use simple::{Http09, REQUEST_LINE_MAX};

use super::streams::{Role, Streams};
use super::{Context, HeldChunk, Output, Tunnelled};
use crate::model::{Direction, Protocol, StreamChunk, Timestamp, TlsInfo};
use frames::{Frames, Part, kind, varint};
use qpack::Decoder;
use section::{Blocked, Section};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use unidirectional::Unidirectional;

/// Most messages of one connection that are on their way.
pub const MESSAGES_MAX: usize = 4_096;
/// Most unidirectional streams of one connection that are followed: three each way and the pushes.
pub const UNIDIRECTIONAL_MAX: usize = 1_024;

const FRAMES_LOST: &str = "HTTP/3 frames were lost";
const TOO_MANY: &str = "more HTTP/3 streams are open than are followed";
const FOREIGN: &str = "HTTP/3 stream of an extension that is not read";

/// The HTTP/3 of one connection.
#[derive(Debug)]
pub struct Http3 {
    streams: Streams,
    /// Which way the client's bytes go.
    client: Direction,
    /// Messages on their way, by stream and role.
    messages: BTreeMap<Key, Message>,
    /// Unidirectional streams, by id.
    unidirectional: BTreeMap<u64, Unidirectional>,
    /// What the client's encoder says, and the server's.
    decoders: [Decoder; 2],
    blocked: Blocked,
    /// Streams whose request came, as far as they are not below `requests_floor`.
    requests: BTreeSet<u64>,
    requests_floor: u64,
    weirds: Vec<&'static str>,
}

/// One message, and what of it waits.
#[derive(Debug)]
struct Message {
    frames: Frames,
    /// A section that needs entries to come.
    waiting: Option<Section>,
    /// What came after it.
    held: VecDeque<Held>,
    /// It ended; only the request of its stream is still to come.
    ended: bool,
}

/// What came on a stream and waits.
#[derive(Debug)]
enum Held {
    Bytes { ts: Timestamp, gap: u64, bytes: Vec<u8> },
    End { ts: Timestamp, gap: u64 },
}

/// A message by its stream and which of the two it is.
type Key = (u64, Role);

impl Http3 {
    /// A parser for one connection whose exchanges count from `first_index`; `client` is the way the bytes of the QUIC
    /// client go.
    #[must_use]
    pub fn new(context: Context, first_index: u32, client: Direction) -> Self {
        let mut streams = Streams::new(context, Protocol::H3, first_index);
        streams.swapped = client == Direction::ToClient;
        Self {
            streams,
            client,
            messages: BTreeMap::new(),
            unidirectional: BTreeMap::new(),
            decoders: Default::default(),
            blocked: Blocked::default(),
            requests: BTreeSet::new(),
            requests_floor: 0,
            weirds: Vec::new(),
        }
    }

    fn role(&self, direction: Direction) -> Role {
        if direction == self.client { Role::Request } else { Role::Response }
    }

    fn report(&mut self, out: &mut Output) {
        for weird in self.weirds.drain(..) {
            self.streams.weird(weird, out);
        }
    }

    /// Bytes that no parser of ours reads.
    fn foreign(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output) {
        self.weirds.push(FOREIGN);
        let StreamChunk { direction, ts, gap, bytes } = chunk;
        out.tunnelled.push(Tunnelled::Chunk(id, HeldChunk { direction, ts, gap, bytes: bytes.to_vec() }));
    }

    fn message_chunk(&mut self, key: Key, chunk: StreamChunk<'_>, out: &mut Output) {
        let mut message = self.messages.remove(&key).unwrap_or_else(Message::new);
        let StreamChunk { ts, gap, bytes, .. } = chunk;
        if message.waiting.is_some() {
            self.blocked.bytes += bytes.len();
            message.held.push_back(Held::Bytes { ts, gap, bytes: bytes.to_vec() });
        } else if !message.ended {
            self.run(key, &mut message, chunk, out);
        }
        self.messages.insert(key, message);
        self.enforce_caps(out);
    }

    fn message_end(&mut self, key: Key, gap: u64, ts: Timestamp, out: &mut Output) {
        let mut message = self.messages.remove(&key).unwrap_or_else(Message::new);
        if message.waiting.is_some() {
            message.held.push_back(Held::End { ts, gap });
        } else {
            self.run_end(key, &mut message, gap, ts, out);
        }
        self.keep(key, message, out);
    }

    /// Puts a message back, unless it is over.
    fn keep(&mut self, key: Key, message: Message, out: &mut Output) {
        if message.ended && message.waiting.is_none() && !self.lacks_request(key) {
            self.settle(key, &message, out);
        } else {
            self.messages.insert(key, message);
        }
    }

    /// Reads frames until a section has to wait.
    fn run(&mut self, key: Key, message: &mut Message, chunk: StreamChunk<'_>, out: &mut Output) {
        let StreamChunk { ts, gap, mut bytes, .. } = chunk;
        if gap > 0
            && let Some(part) = message.frames.lose(gap)
        {
            self.part(key, message, part, ts, out);
        }
        while message.waiting.is_none()
            && let Some(part) = message.frames.next(&mut bytes)
        {
            self.part(key, message, part, ts, out);
        }
        if !bytes.is_empty() {
            self.blocked.bytes += bytes.len();
            message.held.push_back(Held::Bytes { ts, gap: 0, bytes: bytes.to_vec() });
        }
    }

    fn run_end(&mut self, key: Key, message: &mut Message, gap: u64, ts: Timestamp, out: &mut Output) {
        let part = if gap > 0 { message.frames.lose(gap) } else { message.frames.end() };
        if let Some(part) = part {
            self.part(key, message, part, ts, out);
        }
        message.ended = true;
        if key.1 == Role::Request {
            self.request_came(key.0, out);
        }
    }

    fn part(&mut self, key: Key, message: &mut Message, part: Part<'_>, ts: Timestamp, out: &mut Output) {
        let (id, role) = key;
        match part {
            Part::Data { gap, bytes } => {
                if gap > 0 {
                    self.streams.lost_bytes(id, role, gap);
                }
                self.streams.data(id, role, bytes, ts, out);
                out.read_bytes += bytes.len() as u64;
            }
            Part::Whole { kind: kind::HEADERS, payload } => {
                self.section(key, message, Section { bytes: payload.into_owned(), cut: false, ts }, out);
            }
            Part::Cut { kind: kind::HEADERS, payload } => {
                self.section(key, message, Section { bytes: payload, cut: true, ts }, out);
            }
            // Settings belong on another stream. What is promised is no request of the client.
            Part::Whole { .. } | Part::Cut { .. } => {}
            Part::Foreign { gap, bytes } => {
                let direction = if role == Role::Request { self.client } else { self.client.reversed() };
                self.foreign(id, StreamChunk { direction, ts, gap, bytes }, out);
            }
            Part::Skipped(bytes) => {
                self.weirds.push(FRAMES_LOST);
                self.streams.lost(id, role);
                out.skipped_bytes += bytes as u64;
            }
        }
    }

    fn settle(&mut self, (id, role): Key, message: &Message, out: &mut Output) {
        if message.frames.is_damaged() {
            self.streams.lost(id, role);
        }
        self.streams.end(id, role, out);
    }

    /// Whether a response has to wait for its request: packets may have been captured in another order, and a section
    /// may wait.
    fn lacks_request(&self, (id, role): Key) -> bool {
        role == Role::Response && id & 3 == 0 && id >= self.requests_floor && !self.requests.contains(&id)
    }

    /// The request of a stream, or what there is of it, came.
    fn request_came(&mut self, id: u64, out: &mut Output) {
        if id < self.requests_floor || !self.requests.insert(id) {
            return;
        }
        while self.requests.remove(&self.requests_floor) {
            self.requests_floor += 4;
        }
        if self.requests.len() > MESSAGES_MAX {
            self.requests_floor = self.requests.pop_first().map_or(self.requests_floor, |first| first + 4);
        }
        let key = (id, Role::Response);
        if self.messages.get(&key).is_some_and(|answer| answer.ended && answer.waiting.is_none())
            && let Some(answer) = self.messages.remove(&key)
        {
            self.settle(key, &answer, out);
        }
    }

    fn enforce_caps(&mut self, out: &mut Output) {
        while self.messages.len() > MESSAGES_MAX {
            self.weirds.push(TOO_MANY);
            let Some((&key, _)) = self.messages.first_key_value() else { break };
            self.give_up(key, out);
        }
        self.release_overfull(out);
    }

    /// Gives out what there is of a message.
    fn give_up(&mut self, key: Key, out: &mut Output) {
        self.force(key, out);
        if self.messages.get(&key).is_some_and(|message| !message.ended) {
            self.message_end(key, u64::MAX, Timestamp::default(), out);
            self.force(key, out);
        }
        if let Some(message) = self.messages.remove(&key) {
            self.settle(key, &message, out);
        }
    }
}

impl Multiplexed for Http3 {
    fn chunk(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output) {
        match id & 3 {
            0 => self.message_chunk((id, self.role(chunk.direction)), chunk, out),
            // Only extensions let a server open streams that go both ways (RFC 9114 §6.1).
            1 => self.foreign(id, chunk, out),
            _ => self.unidirectional_chunk(id, chunk, out),
        }
        self.report(out);
    }

    fn end(&mut self, id: u64, direction: Direction, gap: u64, ts: Timestamp, out: &mut Output) {
        match id & 3 {
            0 => self.message_end((id, self.role(direction)), gap, ts, out),
            1 => out.tunnelled.push(Tunnelled::Closed(id, direction, ts)),
            _ => self.unidirectional_end(id, gap, ts, out),
        }
        self.report(out);
    }

    fn reset(&mut self, id: u64, direction: Direction, ts: Timestamp, out: &mut Output) {
        // What came before it on the stream counts; more than is told is missing.
        self.end(id, direction, u64::MAX, ts, out);
    }

    fn finish(&mut self, out: &mut Output) {
        while let Some((&key, _)) = self.messages.first_key_value() {
            self.give_up(key, out);
        }
        self.streams.finish(out);
        self.report(out);
    }

    fn held(&self) -> usize {
        self.streams.held() + self.messages.len() * size_of::<Message>() + self.blocked.bytes
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

/// Whether a connection whose protocol nobody names is HTTP/3, by the first bytes of a stream: the client's control
/// stream begins with its settings, a request with a section that names a method.
#[must_use]
pub fn probe(id: u64, bytes: &[u8]) -> bool {
    if id & 3 != 0 {
        let settings = |rest: &[u8]| varint(rest).is_none_or(|(number, _)| number == kind::SETTINGS);
        return id & 2 != 0 && matches!(bytes, [0, rest @ ..] if settings(rest));
    }
    let mut frames = Frames::new();
    let mut rest = bytes;
    let Some(Part::Whole { kind: kind::HEADERS, payload }) = frames.next(&mut rest) else { return false };
    let mut named = false;
    let mut weirds = Vec::new();
    Decoder::default().section(&payload, &mut weirds, &mut |field| named |= field.name == Some(b":method"));
    named
}

impl Message {
    fn new() -> Self {
        Self { frames: Frames::new(), waiting: None, held: VecDeque::new(), ended: false }
    }
}
