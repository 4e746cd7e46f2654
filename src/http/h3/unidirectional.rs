//! Unidirectional streams (RFC 9114 §6.2): settings and instructions are taken from them, pushes are messages, those of
//! reserved types say nothing.

use super::frames::{Frames, Part, kind, varint};
use super::{Http3, TOO_MANY, UNIDIRECTIONAL_MAX};
use crate::http::Output;
use crate::http::streams::Role;
use crate::model::{StreamChunk, Timestamp};

/// Stream types (RFC 9114 §11.2.4, RFC 9204 §8.2).
mod stream_type {
    pub(super) const CONTROL: u64 = 0x00;
    pub(super) const PUSH: u64 = 0x01;
    pub(super) const ENCODER: u64 = 0x02;
    /// A stream of WebTransport (draft-ietf-webtrans-http3 §4.2).
    pub(super) const WEBTRANSPORT: u64 = 0x54;
}

/// SETTINGS_QPACK_MAX_TABLE_CAPACITY (RFC 9204 §5).
const MAX_TABLE_CAPACITY: u64 = 0x01;

/// What a unidirectional stream turned out to be.
#[derive(Debug)]
pub(super) enum Unidirectional {
    /// Its type has not come in full.
    Unknown(Vec<u8>),
    Control(Frames),
    Encoder,
    Push,
    Foreign,
    /// Nothing is to be learnt from it.
    Idle,
}

impl Http3 {
    pub(super) fn unidirectional_chunk(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output) {
        let mut stream = self.unidirectional.remove(&id).unwrap_or_else(|| Unidirectional::Unknown(Vec::new()));
        let mut rest = chunk;
        if let Unidirectional::Unknown(start) = &mut stream {
            if chunk.gap > 0 {
                stream = Unidirectional::Idle;
            } else {
                let before = start.len();
                start.extend_from_slice(chunk.bytes);
                if let Some((known, len)) = recognise(start) {
                    rest.bytes = chunk.bytes.get(len - before.min(len)..).unwrap_or_default();
                    stream = known;
                }
            }
        }
        match &mut stream {
            Unidirectional::Unknown(_) | Unidirectional::Idle => {}
            Unidirectional::Control(frames) => self.control(id, frames, rest, out),
            Unidirectional::Encoder => self.instructions(id, rest, out),
            Unidirectional::Push => self.message_chunk((id, Role::Response), rest, out),
            Unidirectional::Foreign => self.foreign(id, rest, out),
        }
        self.unidirectional.insert(id, stream);
        if self.unidirectional.len() > UNIDIRECTIONAL_MAX {
            self.weirds.push(TOO_MANY);
            // The first of them carry settings and instructions.
            self.unidirectional.pop_last();
        }
    }

    pub(super) fn unidirectional_end(&mut self, id: u64, gap: u64, ts: Timestamp, out: &mut Output) {
        if let Some(Unidirectional::Push) = self.unidirectional.remove(&id) {
            self.message_end((id, Role::Response), gap, ts, out);
        }
    }

    fn control(&mut self, id: u64, frames: &mut Frames, chunk: StreamChunk<'_>, out: &mut Output) {
        let mut rest = chunk.bytes;
        if chunk.gap > 0 {
            frames.lose(chunk.gap);
        }
        while let Some(part) = frames.next(&mut rest) {
            if let Part::Whole { kind: kind::SETTINGS, payload } = part {
                // What one side allows is for the other's encoder.
                self.decoders[opener(id) ^ 1].set_max_capacity(max_table_capacity(&payload));
                self.release(out);
            }
        }
        out.read_bytes += chunk.bytes.len() as u64;
    }

    fn instructions(&mut self, id: u64, chunk: StreamChunk<'_>, out: &mut Output) {
        let decoder = &mut self.decoders[opener(id)];
        if chunk.gap > 0 {
            decoder.lose(chunk.gap, &mut self.weirds);
            self.release(out);
        }
        let unread = self.decoders[opener(id)].instructions(chunk.bytes, &mut self.weirds);
        out.read_bytes += chunk.bytes.len() as u64;
        self.release(out);
        if unread > 0 {
            self.decoders[opener(id)].lose(unread, &mut self.weirds);
        }
    }
}

/// Index of who opened a stream (RFC 9000 §2.1): 0 the client, 1 the server.
const fn opener(id: u64) -> usize {
    (id & 1) as usize
}

/// What a stream is that begins so, and how long its header is.
fn recognise(start: &[u8]) -> Option<(Unidirectional, usize)> {
    let (number, rest) = varint(start)?;
    let (stream, rest) = match number {
        stream_type::CONTROL => (Unidirectional::Control(Frames::new()), rest),
        stream_type::ENCODER => (Unidirectional::Encoder, rest),
        stream_type::PUSH => (Unidirectional::Push, varint(rest)?.1),
        stream_type::WEBTRANSPORT => (Unidirectional::Foreign, rest),
        _ => (Unidirectional::Idle, rest),
    };
    Some((stream, start.len() - rest.len()))
}

/// The capacity that SETTINGS allow the other side's encoder.
fn max_table_capacity(mut settings: &[u8]) -> u64 {
    while let Some((identifier, rest)) = varint(settings)
        && let Some((value, rest)) = varint(rest)
    {
        if identifier == MAX_TABLE_CAPACITY {
            return value;
        }
        settings = rest;
    }
    0
}
