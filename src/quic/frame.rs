//! The payload of a packet to its frames (RFC 9000 §19 and the extensions that are in use). At a frame of an unknown
//! type reading has to stop, for nothing tells its length; what was before it counts.

use super::packet::{ConnectionId, varint};
use crate::tls::Reader;
use std::ops::RangeInclusive;

/// A frame a passive reader looks at; all others are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// ACK: packets of the other side that arrived.
    Ack(Ack<'a>),
    /// RESET_STREAM, and RESET_STREAM_AT with the bytes that are still to be delivered.
    ResetStream { id: u64, code: u64, reliable: u64 },
    /// CRYPTO.
    Crypto { offset: u64, data: &'a [u8] },
    /// STREAM.
    Stream { id: u64, offset: u64, fin: bool, data: &'a [u8] },
    /// NEW_CONNECTION_ID: its ID and the token of a stateless reset.
    NewConnectionId { cid: ConnectionId, reset_token: [u8; 16] },
    /// CONNECTION_CLOSE of the transport or of the application.
    Close { code: u64, application: bool },
    /// DATAGRAM (RFC 9221).
    Datagram { data: &'a [u8] },
    /// Anything else, whole.
    Other,
}

/// The ranges of an ACK frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack<'a> {
    /// Largest packet number acknowledged.
    pub(super) largest: u64,
    first_range: u64,
    count: u64,
    ranges: &'a [u8],
}

impl Ack<'_> {
    /// The ranges acknowledged, from the largest down; as many as make sense.
    pub(super) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let mut reader = Reader::new(self.ranges);
        let mut low = self.largest.checked_sub(self.first_range);
        let first = low.map(|low| low..=self.largest);
        let rest = (0..self.count).map_while(move |_| {
            let (gap, len) = (varint(&mut reader)?, varint(&mut reader)?);
            let high = low?.checked_sub(gap)?.checked_sub(2)?;
            low = high.checked_sub(len);
            Some(low?..=high)
        });
        first.into_iter().chain(rest)
    }
}

/// Why the rest of a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A frame type that is not known.
    Unknown,
    /// A frame that is cut or contradicts itself.
    Malformed,
}

/// Walks over the frames of a payload.
pub(super) struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload) }
    }

    /// The next frame; none at the end.
    pub(super) fn next(&mut self) -> Option<Result<Frame<'a>, Problem>> {
        // Padding comes in runs of hundreds.
        let rest = self.reader.rest();
        let padding = rest.iter().take_while(|&&byte| byte == 0).count();
        self.reader = Reader::new(rest.get(padding..)?);
        if self.reader.is_empty() {
            return None;
        }
        let kind = varint(&mut self.reader);
        let frame = kind.ok_or(Problem::Malformed).and_then(|kind| {
            if is_known(kind) { read(kind, &mut self.reader).ok_or(Problem::Malformed) } else { Err(Problem::Unknown) }
        });
        if frame.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(frame)
    }
}

const ACK_FREQUENCY: u64 = 0xaf;
const TIMESTAMP: u64 = 0x02f5;

const fn is_known(kind: u64) -> bool {
    matches!(kind, 0x01..=0x1f | 0x24 | 0x30 | 0x31 | ACK_FREQUENCY | TIMESTAMP)
}

/// Reads the body of a frame of a known type; none where it is cut.
fn read<'a>(kind: u64, reader: &mut Reader<'a>) -> Option<Frame<'a>> {
    Some(match kind {
        0x02 | 0x03 => Frame::Ack(ack(kind, reader)?),
        0x04 | 0x24 => {
            let (id, code, size) = (varint(reader)?, varint(reader)?, varint(reader)?);
            let reliable = if kind == 0x24 { varint(reader)?.min(size) } else { 0 };
            Frame::ResetStream { id, code, reliable }
        }
        0x06 => {
            let offset = varint(reader)?;
            Frame::Crypto { offset, data: counted(reader)? }
        }
        // NEW_TOKEN.
        0x07 => {
            counted(reader)?;
            Frame::Other
        }
        0x08..=0x0f => {
            let id = varint(reader)?;
            let offset = if kind & 0x04 != 0 { varint(reader)? } else { 0 };
            let data = if kind & 0x02 != 0 { counted(reader)? } else { reader.take(reader.rest().len())? };
            offset.checked_add(data.len() as u64).filter(|&end| end < 1 << 62)?;
            Frame::Stream { id, offset, fin: kind & 0x01 != 0, data }
        }
        0x18 => {
            let (_sequence, _retire_prior_to) = (varint(reader)?, varint(reader)?);
            let cid = ConnectionId::new(reader.sub8()?.rest())?;
            Frame::NewConnectionId { cid, reset_token: reader.array()? }
        }
        0x1c | 0x1d => {
            let code = varint(reader)?;
            if kind == 0x1c {
                varint(reader)?;
            }
            counted(reader)?;
            Frame::Close { code, application: kind == 0x1d }
        }
        0x30 => Frame::Datagram { data: reader.take(reader.rest().len())? },
        0x31 => Frame::Datagram { data: counted(reader)? },
        _ => {
            skip(kind, reader)?;
            Frame::Other
        }
    })
}

/// Passes over frames that are nothing but numbers.
fn skip(kind: u64, reader: &mut Reader<'_>) -> Option<()> {
    let numbers = match kind {
        // PING, HANDSHAKE_DONE, IMMEDIATE_ACK.
        0x01 | 0x1e | 0x1f => 0,
        // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED, RETIRE_CONNECTION_ID.
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 | TIMESTAMP => 1,
        // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED.
        0x05 | 0x11 | 0x15 => 2,
        ACK_FREQUENCY => 4,
        // PATH_CHALLENGE, PATH_RESPONSE.
        0x1a | 0x1b => return reader.take(8).map(drop),
        _ => return None,
    };
    for _ in 0..numbers {
        varint(reader)?;
    }
    Some(())
}

fn ack<'a>(kind: u64, reader: &mut Reader<'a>) -> Option<Ack<'a>> {
    let (largest, _delay, count, first_range) = (varint(reader)?, varint(reader)?, varint(reader)?, varint(reader)?);
    let ranges = reader.rest();
    for _ in 0..count {
        varint(reader)?;
        varint(reader)?;
    }
    let ranges = ranges.get(..ranges.len() - reader.rest().len())?;
    // The second kind counts congestion marks too.
    if kind == 0x03 {
        for _ in 0..3 {
            varint(reader)?;
        }
    }
    Some(Ack { largest, first_range, count, ranges })
}

fn counted<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(reader)?).ok()?;
    reader.take(len)
}

#[cfg(test)]
mod tests {
    use super::{Frame, Frames, Problem};
    use proptest::prelude::*;

    fn all(payload: &[u8]) -> Vec<Result<Frame<'_>, Problem>> {
        let mut frames = Frames::new(payload);
        std::iter::from_fn(|| frames.next()).collect()
    }

    #[test]
    fn frames_are_told_apart_and_padding_is_passed_over() {
        let payload = [
            &[0, 0, 0, 1][..],
            &[6, 0x40, 5, 2, b'h', b'i'],
            &[0x1f],
            &[0x40, 0xaf, 1, 2, 3, 4],
            &[0x0b, 4, 1, b'x'],
            &[0x24, 8, 0, 9, 3],
            &[0x1d, 0x41, 0, 0],
            &[0x0c, 8, 7, b'y', 0],
        ]
        .concat();
        assert_eq!(
            all(&payload),
            [
                Ok(Frame::Other),
                Ok(Frame::Crypto { offset: 5, data: b"hi" }),
                Ok(Frame::Other),
                Ok(Frame::Other),
                Ok(Frame::Stream { id: 4, offset: 0, fin: true, data: b"x" }),
                Ok(Frame::ResetStream { id: 8, code: 0, reliable: 3 }),
                Ok(Frame::Close { code: 0x100, application: true }),
                Ok(Frame::Stream { id: 8, offset: 7, fin: false, data: b"y\0" }),
            ]
        );
    }

    #[test]
    fn what_stands_before_an_unknown_frame_counts() {
        assert_eq!(
            all(&[0x31, 1, 7, 0x40, 0x52, 1, 1, 1]),
            [Ok(Frame::Datagram { data: &[7] }), Err(Problem::Unknown)]
        );
        assert_eq!(all(&[1, 6, 0, 9, 1]), [Ok(Frame::Other), Err(Problem::Malformed)]);
    }

    #[test]
    fn acknowledged_ranges_come_from_the_top() {
        // 20..=25, then 2 not acknowledged, 15..=17.
        let frames = all(&[2, 25, 0, 1, 5, 1, 2]);
        let [Ok(Frame::Ack(ack))] = frames[..] else { panic!("{frames:?}") };
        assert_eq!(ack.ranges().collect::<Vec<_>>(), [20..=25, 15..=17]);
        let impossible = all(&[2, 3, 0, 1, 5, 1, 2]);
        let [Ok(Frame::Ack(ack))] = impossible[..] else { panic!("{impossible:?}") };
        assert_eq!(ack.ranges().count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(all(&payload).len() <= payload.len());
        }
    }
}
