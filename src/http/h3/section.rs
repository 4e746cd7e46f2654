//! Field sections on their way from QPACK to `streams`, and those that wait for instructions of an encoder.

use super::qpack::Awaited;
use super::{Held, Http3, Key, Message};
use crate::http::Output;
use crate::http::streams::{FieldSection, Role};
use crate::model::{Direction, StreamChunk, Timestamp};

/// Most sections of one connection that wait.
pub const BLOCKED_SECTIONS_MAX: usize = 256;
/// Most bytes of one connection that wait: sections, and what stands behind them on their streams.
pub const BLOCKED_BYTES_MAX: usize = 4 << 20;

const OVERFULL: &str = "QPACK instructions were not waited for any longer";

/// A field section.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) bytes: Vec<u8>,
    /// Its end is missing.
    pub(super) cut: bool,
    pub(super) ts: Timestamp,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    /// Messages with a section that waits, in the order they came.
    keys: Vec<Key>,
    pub(super) bytes: usize,
}

#[cfg(test)]
impl Blocked {
    /// How many sections wait.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Http3 {
    /// Takes a section of a message: reads it, or lets it wait.
    pub(super) fn section(&mut self, key: Key, message: &mut Message, section: Section, out: &mut Output) {
        if self.decoders[sender(key.1)].awaits(&section.bytes) == Awaited::Nothing {
            self.fields(key, &section, out);
        } else {
            self.blocked.bytes += section.bytes.len();
            self.blocked.keys.push(key);
            message.waiting = Some(section);
        }
    }

    fn fields(&mut self, (id, role): Key, section: &Section, out: &mut Output) {
        let mut fields = FieldSection::default();
        let (decoder, weirds) = (&self.decoders[sender(role)], &mut self.weirds);
        let mut odd = Vec::new();
        decoder.section(&section.bytes, &mut odd, &mut |field| match (field.name, field.value) {
            (Some(name), Some(value)) => fields.push(name, value),
            (name, value) => fields.push_partial(name, value),
        });
        fields.incomplete |= section.cut;
        weirds.append(&mut odd);
        out.read_bytes += section.bytes.len() as u64;
        if id & 3 != 0 {
            self.streams.promise(id, section.ts);
        }
        self.streams.fields(id, role, fields, section.ts, out);
        if section.cut {
            self.streams.lost(id, role);
        }
        if role == Role::Request {
            self.request_came(id, out);
        }
    }

    /// Reads the sections that wait for nothing any more.
    pub(super) fn release(&mut self, out: &mut Output) {
        for key in self.blocked.keys.clone() {
            let waiting = self.messages.get(&key).and_then(|message| message.waiting.as_ref());
            if waiting.is_some_and(|section| self.decoders[sender(key.1)].awaits(&section.bytes) == Awaited::Nothing) {
                self.go_on(key, out);
            }
        }
    }

    /// Reads the oldest of those that wait with what is known, until the caps hold.
    pub(super) fn release_overfull(&mut self, out: &mut Output) {
        while self.blocked.keys.len() > BLOCKED_SECTIONS_MAX || self.blocked.bytes > BLOCKED_BYTES_MAX {
            let Some(&key) = self.blocked.keys.first() else { return };
            self.weirds.push(OVERFULL);
            self.go_on(key, out);
        }
    }

    /// Reads a message with what is known, whatever it waits for.
    pub(super) fn force(&mut self, key: Key, out: &mut Output) {
        while self.messages.get(&key).is_some_and(|message| message.waiting.is_some()) {
            self.go_on(key, out);
        }
    }

    /// Reads the section that waits, and what came after it up to the next that has to wait.
    fn go_on(&mut self, key: Key, out: &mut Output) {
        let Some(mut message) = self.messages.remove(&key) else { return };
        if let Some(section) = message.waiting.take() {
            self.blocked.bytes -= section.bytes.len();
            self.blocked.keys.retain(|blocked| *blocked != key);
            self.fields(key, &section, out);
        }
        let direction = Direction::ToServer;
        while message.waiting.is_none()
            && let Some(held) = message.held.pop_front()
        {
            match held {
                Held::Bytes { ts, gap, bytes } => {
                    self.blocked.bytes -= bytes.len();
                    let behind = message.held.len();
                    self.run(key, &mut message, StreamChunk { direction, ts, gap, bytes: &bytes }, out);
                    // What could not be read yet stands before what came after it.
                    if message.held.len() > behind
                        && let Some(rest) = message.held.pop_back()
                    {
                        message.held.push_front(rest);
                    }
                }
                Held::End { ts, gap } => self.run_end(key, &mut message, gap, ts, out),
            }
        }
        self.keep(key, message, out);
    }
}

/// Index of the decoder for what the sender of these messages encodes.
const fn sender(role: Role) -> usize {
    match role {
        Role::Request => 0,
        Role::Response => 1,
    }
}
