//! Walks over the packets of a datagram (RFC 9000 §12.2), tells them apart, and keeps those that can't be opened yet.

use super::super::gquic;
use super::super::keys::retry_is_genuine;
use super::super::output::Output;
use super::super::packet::{LongHeader, LongPacket, is_long, long_header, long_packet, long_version};
use super::super::version::{LongType, Version};
use super::opening::{Effort, Sealed};
use super::{Connection, LateKeys, Level};
use crate::model::{Direction, OpaqueReason, Timestamp};
use std::collections::VecDeque;

/// Most packets of a connection kept until they can be opened.
pub const HELD_PACKETS_MAX: usize = 512;
/// Most bytes of them.
pub const HELD_BYTES_MAX: usize = 256 << 10;

/// Shortest packet with a short header that carries anything (RFC 9001 §5.4.2).
const SHORT_MIN: usize = 21;
/// Longest datagram of the usual networks; what is longer was several when it was sent.
const DATAGRAM_USUAL_MAX: usize = 1500;
/// Shortest full datagram (RFC 9000 §14).
const DATAGRAM_FULL_MIN: usize = 1200;
/// Lengths of full datagrams in wide use.
const USUAL_SIZES: [usize; 9] = [1200, 1252, 1350, 1357, 1370, 1392, 1440, 1452, 1472];
/// How many lengths of datagrams are remembered.
const SIZES_MAX: usize = 8;
/// How often what is kept is tried again at once, where trying gives more news.
const RETRIES_MAX: u32 = 4;

/// Said of a packet whose end is missing.
const PACKET_CUT: &str = "a QUIC packet is cut by the capture";

/// Packets kept until they can be opened.
#[derive(Default)]
pub(super) struct Held {
    packets: VecDeque<HeldPacket>,
    pub(super) bytes: usize,
}

struct HeldPacket {
    direction: Direction,
    ts: Timestamp,
    bytes: Vec<u8>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn pop(&mut self) -> Option<HeldPacket> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len();
        Some(packet)
    }
}

/// Where in a datagram a packet is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Bytes of the same datagram before it.
    before: usize,
    /// Length of the datagrams that were captured as one, once known.
    segment: Option<usize>,
}

impl Connection {
    pub(super) fn walk(&mut self, direction: Direction, ts: Timestamp, datagram: &[u8], out: &mut Output) {
        let short = datagram.first().is_some_and(|&first| !is_long(first));
        if gquic::probe(datagram) || (self.foreign && short) {
            return self.foreign(datagram, out);
        }
        let mut place = Place { before: 0, segment: None };
        let mut rest = datagram;
        while let Some(&first) = rest.first() {
            let begins = rest.len() == datagram.len();
            if !begins && !self.looks_like_packet(direction, rest) {
                return;
            }
            let used = if is_long(first) {
                let used = self.long(direction, ts, rest, out);
                place.before += used;
                used
            } else {
                let used = self.short(direction, ts, rest, place, out);
                if used < rest.len() {
                    place = Place { before: 0, segment: Some(place.before + used) };
                }
                used
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        if !self.cut {
            self.remember_size(direction, datagram.len());
        }
    }

    /// Whether what follows a packet is one too, and not padding or garbage.
    fn looks_like_packet(&self, direction: Direction, rest: &[u8]) -> bool {
        let Some(&first) = rest.first() else { return false };
        if is_long(first) {
            return long_header(rest).is_some_and(|header| {
                Version::by_number(header.version).is_some()
                    || self.alias.is_some_and(|alias| alias.number == header.version)
            });
        }
        let addressed = self.short_cid_len(direction, rest).is_some();
        rest.len() >= SHORT_MIN
            && (first & 0x40 != 0 || self.sides[direction.index()].greased)
            && (addressed || self.hello.is_none())
    }

    fn remember_size(&mut self, direction: Direction, len: usize) {
        let sizes = &mut self.side(direction).sizes;
        if (DATAGRAM_FULL_MIN..=usize::from(u16::MAX)).contains(&len) && sizes.first() != Some(&len) {
            sizes.retain(|&size| size != len);
            sizes.insert(0, len);
            sizes.truncate(SIZES_MAX);
        }
    }

    /// Takes a packet with a long header; how many bytes it has.
    fn long(&mut self, direction: Direction, ts: Timestamp, rest: &[u8], out: &mut Output) -> usize {
        if long_version(rest).is_some_and(Version::is_foreign) {
            self.foreign(rest, out);
            return rest.len();
        }
        let Some(header) = long_header(rest) else {
            self.weird(out, "a QUIC header is malformed or cut");
            self.count(OpaqueReason::Truncated, rest.len(), out);
            return rest.len();
        };
        if header.version == 0 {
            self.restart();
            return rest.len();
        }
        let known = Version::by_number(header.version).or(self.alias.filter(|alias| alias.number == header.version));
        match known {
            Some(version) => self.long_of(direction, ts, (rest, &header, version), out),
            None => self.guess(direction, ts, rest, &header, out),
        }
    }

    /// Takes a packet of an unknown version as one of a version it may be like.
    fn guess(
        &mut self,
        direction: Direction,
        ts: Timestamp,
        rest: &[u8],
        header: &LongHeader<'_>,
        out: &mut Output,
    ) -> usize {
        for version in Version::guesses(header.version) {
            let packet = long_packet(rest, header, version).filter(|packet| packet.kind == LongType::Initial);
            let Some(packet) = packet else { continue };
            if self.open_initial(direction, version, header.dcid, packet.bytes, packet.number_at).is_some() {
                self.alias = Some(version);
                // Opened once more, so that there is one way only for opened packets to go.
                self.side(direction).spaces[0] = super::Space::default();
                return self.long_of(direction, ts, (rest, header, version), out);
            }
        }
        self.weird(out, "a QUIC version is not known");
        self.count(OpaqueReason::Quic, rest.len(), out);
        rest.len()
    }

    fn long_of(
        &mut self,
        direction: Direction,
        ts: Timestamp,
        (rest, header, version): (&[u8], &LongHeader<'_>, Version),
        out: &mut Output,
    ) -> usize {
        if version.long_type(header.first) == LongType::Retry {
            self.retry_packet(direction, (rest, header, version), out);
            return rest.len();
        }
        let Some(packet) = long_packet(rest, header, version) else {
            self.weird(out, "a QUIC header is malformed or cut");
            self.count(OpaqueReason::Truncated, rest.len(), out);
            return rest.len();
        };
        if packet.missing > 0 {
            self.weird(out, PACKET_CUT);
            self.count(OpaqueReason::Truncated, packet.bytes.len(), out);
            return rest.len();
        }
        self.long_packet(direction, ts, packet, header, version, out);
        packet.bytes.len()
    }

    /// The server wants the client to prove its address: the client begins anew with keys of another ID.
    fn retry_packet(
        &mut self,
        direction: Direction,
        (packet, header, version): (&[u8], &LongHeader<'_>, Version),
        out: &mut Output,
    ) {
        let verdicts: Vec<_> =
            self.initial.iter().filter_map(|set| retry_is_genuine(version, set.dcid.as_bytes(), packet)).collect();
        if !verdicts.is_empty() && !verdicts.contains(&true) {
            self.weird(out, "the tag of a QUIC Retry packet is wrong");
            return;
        }
        self.learn_cid(direction.reversed(), header.scid);
    }

    fn long_packet(
        &mut self,
        direction: Direction,
        ts: Timestamp,
        packet: LongPacket<'_>,
        header: &LongHeader<'_>,
        version: Version,
        out: &mut Output,
    ) {
        let LongPacket { kind, dcid, bytes, number_at, .. } = packet;
        let (level, opened) = match kind {
            LongType::Initial => (Level::Initial, self.open_initial(direction, version, dcid, bytes, number_at)),
            LongType::ZeroRtt | LongType::Handshake => {
                let level = if kind == LongType::ZeroRtt { Level::Early } else { Level::Handshake };
                let sealed = Sealed { direction, level, bytes, number_at: &[number_at] };
                (level, self.open(sealed, Some(version), Effort::Likeliest))
            }
            LongType::Retry => return,
        };
        if opened.is_some() || self.side(direction.reversed()).cid_len.is_none() {
            self.learn_cid(direction, dcid);
            self.learn_cid(direction.reversed(), header.scid);
            self.side(direction.reversed()).cid_len = Some(header.scid.len());
        }
        let settled = level == Level::Handshake || (level == Level::Initial && !self.is_client(direction));
        if opened.is_some() && settled && self.version != Some(version) {
            self.version = Some(version);
            self.news += 1;
        }
        match opened {
            Some(opened) => self.opened(direction, ts, level, opened, version, out),
            None if version.is_google_handshake() => self.count(OpaqueReason::Quic, bytes.len(), out),
            None => self.closed(direction, ts, level, bytes, out),
        }
    }

    /// Takes a packet with a short header; how many bytes it has.
    fn short(&mut self, direction: Direction, ts: Timestamp, rest: &[u8], place: Place, out: &mut Output) -> usize {
        if self.cut {
            self.weird(out, PACKET_CUT);
            self.count(OpaqueReason::Truncated, rest.len(), out);
            return rest.len();
        }
        if rest.len() < SHORT_MIN {
            self.count(OpaqueReason::UnknownProtocol, rest.len(), out);
            return rest.len();
        }
        let number_at = self.short_number_at(direction, rest);
        let level = Level::Application;
        let sealed = |len: usize| {
            let bytes = rest.get(..len).unwrap_or(rest);
            Sealed { direction, level, bytes, number_at: &number_at }
        };
        let expected = place.segment.filter(|&len| len < rest.len());
        let whole = [expected, Some(rest.len())];
        let opened = whole
            .into_iter()
            .flatten()
            .find_map(|len| self.open(sealed(len), None, Effort::Likeliest).map(|opened| (len, opened)));
        let opened = opened.or_else(|| {
            let lens = self.split_lens(direction, rest.len(), place.before);
            lens.into_iter().find_map(|len| self.open(sealed(len), None, Effort::Likeliest).map(|opened| (len, opened)))
        });
        let opened =
            opened.or_else(|| self.open(sealed(rest.len()), None, Effort::Search).map(|opened| (rest.len(), opened)));
        let Some((len, opened)) = opened else {
            if !self.is_stateless_reset(direction, rest) {
                self.closed(direction, ts, level, rest, out);
            }
            return rest.len();
        };
        if len < rest.len() {
            self.remember_size(direction, place.before + len);
        }
        if number_at.len() > 1 {
            self.side(direction).cid_len = opened.number_at.checked_sub(1);
        }
        let version = self.version.unwrap_or(Version::V1);
        self.opened(direction, ts, level, opened, version, out);
        len
    }

    /// How long the first of several datagrams that were captured as one may be: senders and network cards split and
    /// join datagrams of equal length (GSO, GRO).
    fn split_lens(&mut self, direction: Direction, len: usize, before: usize) -> Vec<usize> {
        if len + before <= DATAGRAM_FULL_MIN || !self.ring(direction, Level::Application).has_keys() {
            return Vec::new();
        }
        let mut sizes = self.side(direction).sizes.clone();
        let proven = self.ring(direction, Level::Application).is_proven() && self.trial_bytes > 0;
        if len + before > DATAGRAM_USUAL_MAX && proven {
            sizes.extend(USUAL_SIZES);
            sizes.extend(DATAGRAM_FULL_MIN..=DATAGRAM_USUAL_MAX);
        }
        let lens = sizes.into_iter().filter_map(|size| size.checked_sub(before));
        lens.filter(|&first| first < len && first >= SHORT_MIN).collect()
    }

    /// A server that has forgotten the connection says so with noise and a token (RFC 9000 §10.3).
    fn is_stateless_reset(&mut self, direction: Direction, packet: &[u8]) -> bool {
        let end = packet.last_chunk::<16>();
        end.is_some_and(|end| self.side(direction).reset_tokens.contains(end))
    }

    /// A packet did not open: it is kept where it may later, else it counts.
    fn closed(&mut self, direction: Direction, ts: Timestamp, level: Level, bytes: &[u8], out: &mut Output) {
        let reason = self.why_closed(direction, level);
        let late = self.late_keys == LateKeys::Possible;
        let later = match reason {
            OpaqueReason::NoHandshake => level == Level::Initial || late || !self.keys.is_empty(),
            OpaqueReason::NoKey => late,
            _ => false,
        };
        if !later {
            if reason == OpaqueReason::WrongKey {
                self.weird(out, "a QUIC packet could not be opened");
            }
            return self.count(reason, bytes.len(), out);
        }
        self.held.bytes += bytes.len();
        self.held.packets.push_back(HeldPacket { direction, ts, bytes: bytes.to_vec() });
        while self.held.packets.len() > HELD_PACKETS_MAX || self.held.bytes > HELD_BYTES_MAX {
            let Some(packet) = self.held.pop() else { break };
            self.weird(out, "too many QUIC packets wait for their keys");
            self.count(reason, packet.bytes.len(), out);
        }
    }

    /// Tries what is kept again.
    pub(super) fn retry_held(&mut self, out: &mut Output) {
        // What is kept is whole, whatever gave the news.
        let cut = std::mem::take(&mut self.cut);
        self.retry_whole(out);
        self.cut = cut;
    }

    fn retry_whole(&mut self, out: &mut Output) {
        for _ in 0..RETRIES_MAX {
            let news = self.news;
            let mut held = std::mem::take(&mut self.held);
            while let Some(packet) = held.pop() {
                self.walk(packet.direction, packet.ts, &packet.bytes, out);
            }
            if self.news == news {
                return;
            }
        }
    }

    /// What is kept will not be opened.
    pub(super) fn drop_held(&mut self, out: &mut Output) {
        let reason = self.why_closed(Direction::ToServer, Level::Application);
        while let Some(packet) = self.held.pop() {
            self.count(reason, packet.bytes.len(), out);
        }
    }

    /// A datagram of a version that is known for QUIC but not opened.
    fn foreign(&mut self, datagram: &[u8], out: &mut Output) {
        if let Some(name) = gquic::server_name(datagram) {
            self.name(name, out);
        }
        self.foreign = true;
        self.count(OpaqueReason::Quic, datagram.len(), out);
    }

    pub(super) fn count(&mut self, reason: OpaqueReason, len: usize, out: &mut Output) {
        self.opaque.get_or_insert(reason);
        out.opaque_bytes += len as u64;
    }
}
