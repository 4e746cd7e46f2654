//! The bytes of a datagram to the headers of its packets before header protection is taken off (RFC 9000 §17). Keys
//! are left to `keys`, which packet comes next to `connection`.

use super::version::{LongType, Version};
use crate::tls::Reader;

/// Longest connection ID (RFC 9000 §17.2).
pub const CID_LEN_MAX: usize = 20;
/// Bytes of the tag of Retry packets.
pub(super) const RETRY_TAG_LEN: usize = 16;

/// A connection ID of at most [`CID_LEN_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; CID_LEN_MAX],
}

impl ConnectionId {
    /// A connection ID; none where `bytes` are too many.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut cid = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; CID_LEN_MAX] };
        cid.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(cid)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What all versions have in common of a long header (RFC 8999 §5.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct LongHeader<'a> {
    pub(super) first: u8,
    pub(super) version: u32,
    pub(super) dcid: ConnectionId,
    pub(super) scid: ConnectionId,
    /// What follows the connection IDs.
    pub(super) rest: &'a [u8],
}

/// A long header packet with a packet number, cut out of its datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct LongPacket<'a> {
    pub(super) kind: LongType,
    pub(super) dcid: ConnectionId,
    /// The packet from its first byte to its last.
    pub(super) bytes: &'a [u8],
    /// Where the packet number is in it.
    pub(super) number_at: usize,
    /// Bytes of it that were not captured.
    pub(super) missing: usize,
}

/// Whether a packet has a long header.
pub(super) fn is_long(first: u8) -> bool {
    first & 0x80 != 0
}

/// The version a long header names; that is where it is in all versions, unlike what follows in early drafts.
pub(super) fn long_version(bytes: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(bytes);
    reader.u8().filter(|&first| is_long(first))?;
    reader.array().map(u32::from_be_bytes)
}

/// Reads the invariant part of a long header; none where it is cut or a connection ID too long.
pub(super) fn long_header(bytes: &[u8]) -> Option<LongHeader<'_>> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8().filter(|&first| is_long(first))?;
    let version = reader.array().map(u32::from_be_bytes)?;
    let dcid = ConnectionId::new(reader.sub8()?.rest())?;
    let scid = ConnectionId::new(reader.sub8()?.rest())?;
    Some(LongHeader { first, version, dcid, scid, rest: reader.rest() })
}

/// Cuts a packet with a packet number from `bytes`, which begin with `header`; none where it makes no sense.
pub(super) fn long_packet<'a>(bytes: &'a [u8], header: &LongHeader<'a>, version: Version) -> Option<LongPacket<'a>> {
    let kind = version.long_type(header.first);
    let mut reader = Reader::new(header.rest);
    if kind == LongType::Initial {
        let token_len = usize::try_from(varint(&mut reader)?).ok()?;
        reader.take(token_len)?;
    }
    let len = usize::try_from(varint(&mut reader)?).ok()?;
    let number_at = bytes.len() - reader.rest().len();
    let end = number_at.checked_add(len)?;
    let missing = end.saturating_sub(bytes.len());
    // No datagram is that long: the length is none.
    if missing > usize::from(u16::MAX) {
        return None;
    }
    let bytes = bytes.get(..end).unwrap_or(bytes);
    Some(LongPacket { kind, dcid: header.dcid, bytes, number_at, missing })
}

/// A variable-length integer (RFC 9000 §16).
pub(super) fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let first = *reader.rest().first()?;
    let len = 1_usize << (first >> 6);
    let mut value = u64::from(first & 0x3f);
    for &byte in reader.take(len)?.iter().skip(1) {
        value = value << 8 | u64::from(byte);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{long_header, long_packet, varint};
    use crate::quic::Version;
    use crate::tls::Reader;

    #[test]
    fn integers_of_every_length_are_read() {
        // RFC 9000 appendix A.1.
        let read = |bytes: &[u8]| varint(&mut Reader::new(bytes));
        assert_eq!(read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]), Some(151_288_809_941_952_652));
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Some(494_878_333));
        assert_eq!(read(&[0x7b, 0xbd]), Some(15_293));
        assert_eq!(read(&[0x25]), Some(37));
        assert_eq!(read(&[0x40, 0x25]), Some(37));
        assert_eq!(read(&[0x7b]), None);
    }

    #[test]
    fn a_packet_ends_where_its_length_says() {
        let bytes = [&[0xe0, 0, 0, 0, 1, 2, 7, 7, 1, 9, 4, 1, 2, 3, 4][..], &[0x40; 9]].concat();
        let header = long_header(&bytes).expect("a header");
        assert_eq!((header.dcid.as_bytes(), header.scid.as_bytes()), (&[7, 7][..], &[9][..]));
        let packet = long_packet(&bytes, &header, Version::V1).expect("a packet");
        assert_eq!((packet.bytes.len(), packet.number_at, packet.missing), (15, 11, 0));
        let cut = long_packet(&bytes[..13], &long_header(&bytes[..13]).expect("a header"), Version::V1);
        assert_eq!(cut.map(|packet| packet.missing), Some(2));
    }
}
