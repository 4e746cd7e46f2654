//! Frame headers (RFC 9113 §4.1), and whether bytes look like frames: the verdict on first bytes, and the way back to a
//! frame boundary after a loss.

use super::super::probe::Probe;
use super::hpack::{Likeness, likeness};

/// What a client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
pub(super) const HEADER: usize = 9;
/// Longest frame taken where it is open whether it is one: nobody has to send longer ones, and few do.
const LENGTH_LIKELY: usize = 16_384;
/// Weight from which on bytes of an unknown stream are taken for frames.
const WEIGHT_COLD: u32 = 4;
/// Weight from which on they are where frames are expected.
const WEIGHT_EXPECTED: u32 = 2;

/// What a frame carries (RFC 9113 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// An extension.
    Other(u8),
}

/// `END_STREAM`; of SETTINGS and PING, `ACK`.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) reserved: bool,
}

impl Header {
    pub(super) fn read(bytes: [u8; HEADER]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::ResetStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            other => Kind::Other(other),
        };
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Self { length, kind, flags, stream, reserved: s0 & 0x80 != 0 }
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the fields agree with each other as RFC 9113 §6 demands.
    pub(super) const fn is_possible(&self) -> bool {
        match self.kind {
            Kind::Data | Kind::Headers | Kind::PushPromise | Kind::Continuation => self.stream != 0,
            Kind::Priority => self.stream != 0 && self.length == 5,
            Kind::ResetStream => self.stream != 0 && self.length == 4,
            Kind::Settings if self.has(ACK) => self.stream == 0 && self.length == 0,
            Kind::Settings => self.stream == 0 && self.length.is_multiple_of(6),
            Kind::Ping => self.stream == 0 && self.length == 8,
            Kind::GoAway => self.stream == 0 && self.length >= 8,
            Kind::WindowUpdate => self.length == 4,
            // Extensions are small; this is rather a stream that is none or no longer in step.
            Kind::Other(_) => self.length <= 1 << 16,
        }
    }

    /// Whether it is also as frames mostly are.
    const fn is_likely(&self) -> bool {
        let flags = match self.kind {
            Kind::Data => END_STREAM | PADDED,
            Kind::Headers => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
            Kind::PushPromise => END_HEADERS | PADDED,
            Kind::Continuation => END_HEADERS,
            Kind::Settings | Kind::Ping => ACK,
            Kind::Priority | Kind::ResetStream | Kind::GoAway | Kind::WindowUpdate => 0,
            // ALTSVC, ORIGIN, PRIORITY_UPDATE (RFC 7838, 8336, 9218).
            Kind::Other(0x0a | 0x0c | 0x10) => 0,
            Kind::Other(_) => return false,
        };
        !self.reserved && self.is_possible() && self.length <= LENGTH_LIKELY && self.flags & !flags == 0
    }

    /// How much this frame speaks for frames; none against it, `Err` where its payload must be seen for that.
    fn weight(&self, payload: Option<&[u8]>) -> Result<Option<u32>, NeedMore> {
        let weight = match self.kind {
            Kind::Data | Kind::Continuation | Kind::Other(_) => 1,
            Kind::Priority | Kind::ResetStream | Kind::GoAway => 2,
            Kind::Ping => 3,
            Kind::Settings if self.length == 0 => 2,
            Kind::Settings => {
                let payload = payload.ok_or(NeedMore)?;
                // Registered ones, or those that only keep receivers tolerant.
                let known = |setting: &[u8]| match setting {
                    [0, 1..=0x10, ..] => true,
                    [high, low, ..] => high & 0xf == 0xa && low & 0xf == 0xa,
                    _ => false,
                };
                return Ok(payload.chunks_exact(6).all(known).then_some(4));
            }
            Kind::WindowUpdate => match payload.ok_or(NeedMore)? {
                [0..=0x7f, ..] if payload != Some(&[0; 4]) => 2,
                _ => return Ok(None),
            },
            // A block that goes on in another frame cannot be read alone.
            Kind::Headers | Kind::PushPromise if !self.has(END_HEADERS) => 1,
            Kind::Headers | Kind::PushPromise => {
                let Some(block) = self.block(payload.ok_or(NeedMore)?) else { return Ok(None) };
                return Ok(match likeness(block.fields) {
                    Likeness::Head => Some(4),
                    Likeness::Readable => Some(2),
                    Likeness::None => None,
                });
            }
        };
        Ok(Some(weight))
    }

    /// The part of a header block in the payload of HEADERS, PUSH_PROMISE or CONTINUATION; none where padding or
    /// priority do not fit in.
    pub(super) fn block<'a>(&self, payload: &'a [u8]) -> Option<Block<'a>> {
        let mut fields = payload;
        if self.kind != Kind::Continuation && self.has(PADDED) {
            let (&padding, rest) = fields.split_first()?;
            fields = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
        }
        let mut promised = None;
        match self.kind {
            Kind::Headers if self.has(WITH_PRIORITY) => fields = fields.get(5..)?,
            Kind::PushPromise => {
                let (id, rest) = fields.split_first_chunk::<4>()?;
                promised = Some(u32::from_be_bytes(*id) & 0x7fff_ffff);
                fields = rest;
            }
            _ => {}
        }
        Some(Block { fields, promised })
    }
}

/// A part of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) fields: &'a [u8],
    /// The stream a PUSH_PROMISE announces.
    pub(super) promised: Option<u32>,
}

struct NeedMore;

/// Whether the first bytes of a direction begin HTTP/2: the client's preface, or frames, as a server sends them first
/// and as they stand in the middle of a connection. A verdict never changes with more bytes.
#[must_use]
pub fn probe(bytes: &[u8]) -> Probe {
    let known = bytes.len().min(PREFACE.len());
    if bytes[..known] == PREFACE[..known] {
        return if known == PREFACE.len() { Probe::Yes } else { Probe::Unsure };
    }
    frames(bytes, WEIGHT_COLD)
}

/// Whether a frame begins here, on a connection that is HTTP/2.
pub(super) fn resume(bytes: &[u8]) -> Probe {
    frames(bytes, WEIGHT_EXPECTED)
}

/// Whether one frame follows the other here, until there are enough of them.
fn frames(bytes: &[u8], enough: u32) -> Probe {
    let mut rest = bytes;
    let mut weight = 0;
    let mut block_of = None;
    loop {
        let Some((header, after)) = rest.split_first_chunk::<HEADER>() else {
            return if can_begin(rest) { Probe::Unsure } else { Probe::No };
        };
        let header = Header::read(*header);
        let continues = header.kind == Kind::Continuation && block_of == Some(header.stream);
        if !header.is_likely() || continues != (block_of.is_some() || header.kind == Kind::Continuation) {
            return Probe::No;
        }
        match header.weight(after.get(..header.length)) {
            Ok(Some(more)) => weight += more,
            Ok(None) => return Probe::No,
            Err(NeedMore) => return Probe::Unsure,
        }
        if weight >= enough {
            return Probe::Yes;
        }
        let opens = matches!(header.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation);
        block_of = (opens && !header.has(END_HEADERS)).then_some(header.stream);
        match after.get(header.length..) {
            Some(next) => rest = next,
            None => return Probe::Unsure,
        }
    }
}

/// Whether so few bytes can begin a likely frame header.
fn can_begin(bytes: &[u8]) -> bool {
    let mut padded = [0; HEADER];
    padded[..bytes.len()].copy_from_slice(bytes);
    let length = usize::from(padded[0]) << 16 | usize::from(padded[1]) << 8;
    let kind = Header::read(padded).kind;
    length <= LENGTH_LIKELY && !matches!(kind, Kind::Other(other) if !matches!(other, 0x0a | 0x0c | 0x10))
}

#[cfg(test)]
mod tests {
    use super::super::super::probe::Probe;
    use super::{PREFACE, probe, resume};
    use proptest::prelude::*;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const WINDOW_UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\x0f\0\x01";
    const REQUEST: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x07\x82\x87\xbe";
    const DATA: &[u8] = b"\0\0\x03\0\0\0\0\0\x07abc";

    #[test]
    fn connections_are_known_by_their_first_bytes() {
        for bytes in [
            PREFACE.to_vec(),
            SETTINGS.to_vec(),
            [EMPTY_SETTINGS, WINDOW_UPDATE].concat(),
            REQUEST.to_vec(),
            [DATA, REQUEST].concat(),
            [DATA, DATA, DATA, DATA].concat(),
        ] {
            assert_eq!(probe(&bytes), Probe::Yes, "{bytes:?}");
        }
        for bytes in [&b""[..], b"PRI * ", EMPTY_SETTINGS, DATA, &REQUEST[..10]] {
            assert_eq!(probe(bytes), Probe::Unsure, "{bytes:?}");
        }
        assert_eq!(resume(&[DATA, DATA].concat()), Probe::Yes);
    }

    #[test]
    fn other_protocols_are_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/1.1\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            b"\0\x1d\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x03www",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\x04\0\0\0\0\x01\0\0\0",
            b"\0\0\x05\x01\x04\0\0\0\x01hello",
            b"\x81\x05hello",
        ] {
            assert_eq!(probe(bytes), Probe::No, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_verdict_never_changes_with_more_bytes(
            pieces in proptest::collection::vec(prop_oneof![
                Just(SETTINGS.to_vec()), Just(EMPTY_SETTINGS.to_vec()), Just(WINDOW_UPDATE.to_vec()), Just(REQUEST.to_vec()),
                Just(DATA.to_vec()), Just(PREFACE[..9].to_vec()), proptest::collection::vec(any::<u8>(), 0..4),
                proptest::collection::vec(0u8..10, 0..12),
            ], 0..5),
        ) {
            let bytes = pieces.concat();
            for verdict_on in [probe, resume] {
                let mut verdict = Probe::Unsure;
                for end in 0..=bytes.len() {
                    let now = verdict_on(&bytes[..end]);
                    prop_assert!(verdict == Probe::Unsure || verdict == now, "{:?} at {end}", bytes);
                    verdict = now;
                }
            }
        }
    }
}
