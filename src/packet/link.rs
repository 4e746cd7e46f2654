//! Link layers down to the IP packet they carry (tcpdump.org/linktypes.html), and PCAPdroid's trailer.

use super::{ieee80211, nflog};
use crate::model::LinkType;

impl LinkType {
    /// Ethernet (also with PCAPdroid's trailer).
    pub const ETHERNET: Self = Self(1);
}

/// Length of PCAPdroid's trailer.
pub(super) const PCAPDROID_TRAILER: usize = 32;
const PCAPDROID_MAGIC: [u8; 4] = [0x01, 0x07, 0x20, 0x21];
/// Most tags or labels in front of one packet.
const TAGS_MAX: usize = 8;

/// What a frame carries.
pub(super) enum Payload<'a> {
    Ip(&'a [u8]),
    IpOf { uid: Option<i32>, ip: &'a [u8] },
    NotIp,
    Weird(&'static str),
}

/// The app a PCAPdroid trailer names.
pub(super) struct Trailer<'a> {
    pub(super) uid: i32,
    pub(super) name: &'a [u8],
}

/// The trailer at the end of an Ethernet frame, if there is one: the magic number and then either the checksum or the
/// zero addresses that PCAPdroid's made-up Ethernet header has.
pub(super) fn pcapdroid_trailer(data: &[u8]) -> Option<Trailer<'_>> {
    if data.len() < 14 + PCAPDROID_TRAILER {
        return None;
    }
    let (frame, trailer) = data.split_at(data.len() - PCAPDROID_TRAILER);
    if trailer[..4] != PCAPDROID_MAGIC {
        return None;
    }
    let made_up = frame[..12].iter().all(|&byte| byte == 0);
    if !made_up {
        let mut crc = flate2::Crc::new();
        crc.update(&data[..data.len() - 4]);
        let fcs = [trailer[28], trailer[29], trailer[30], trailer[31]];
        if crc.sum() != u32::from_le_bytes(fcs) && crc.sum() != u32::from_be_bytes(fcs) {
            return None;
        }
    }
    let uid = i32::from_be_bytes([trailer[4], trailer[5], trailer[6], trailer[7]]);
    let name = &trailer[8..28];
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Some(Trailer { uid, name: &name[..end] })
}

/// Finds the IP packet in a frame of the given link type.
pub(super) fn payload(link: LinkType, data: &[u8], original_len: u32) -> Payload<'_> {
    match link.0 {
        0 | 108 => null(data),
        1 => ethernet(data, original_len),
        9 => ppp(data),
        10 => data.get(13..).map_or(Payload::Weird(SHORT), llc),
        12 | 14 | 101 | 228 | 229 => raw(data),
        50 => ppp_serial(data),
        51 => pppoe(data),
        100 => llc(data),
        104 => cisco_hdlc(data),
        105 => ieee80211::payload(data),
        107 => frame_relay(data),
        109 => by_family(data, 0, 12),
        113 => by_protocol(data, 14, 16),
        117 => pflog(data),
        119 => data.get(144..).map_or(Payload::Weird(SHORT), ieee80211::payload),
        127 => radiotap(data),
        138 => by_protocol(data, 16, 18),
        163 => avs(data),
        166 => data.get(1..).map_or(Payload::Weird(SHORT), ppp),
        192 => ppi(data, original_len),
        197 => erf(data),
        219 => mpls(data),
        226 => by_family(data, 0, 24),
        239 => nflog::payload(data),
        // netANALYZER: four bytes, then Ethernet with its checksum.
        240 => by_protocol(data, 16, 18),
        258 => pktap(data, original_len),
        276 => by_protocol(data, 0, 20),
        // Tags of Marvell's switches between the addresses and the EtherType: DSA, and EDSA with an EtherType of its own.
        284 => by_protocol(data, 16, 18),
        285 => by_protocol(data, 20, 22),
        _ => Payload::Weird("link type that is not read"),
    }
}

pub(super) const SHORT: &str = "frame shorter than its link header";

fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// IP without a link header.
pub(super) fn raw(data: &[u8]) -> Payload<'_> {
    match data.first().map(|byte| byte >> 4) {
        Some(4 | 6) => Payload::Ip(data),
        Some(_) => Payload::Weird("neither IPv4 nor IPv6"),
        None => Payload::Weird(SHORT),
    }
}

/// BSD loopback: the address family in the byte order of the machine that captured (NULL) or of the network (LOOP).
fn null(data: &[u8]) -> Payload<'_> {
    let Some(family) = data.first_chunk::<4>() else { return Payload::Weird(SHORT) };
    let (little, big) = (u32::from_le_bytes(*family), u32::from_be_bytes(*family));
    // 2 is AF_INET everywhere; AF_INET6 is 10 (Linux), 23 (Windows), 24, 28 or 30 (BSDs, macOS).
    let is_ip = |family| matches!(family, 2 | 10 | 23 | 24 | 28 | 30);
    if is_ip(little) || is_ip(big) { raw(&data[4..]) } else { Payload::NotIp }
}

/// A header of `header` bytes with an address family in four of its bytes.
fn by_family(data: &[u8], at: usize, header: usize) -> Payload<'_> {
    match (data.get(at..at + 4), data.get(header..)) {
        (Some(_), Some(rest)) => raw(rest),
        _ => Payload::Weird(SHORT),
    }
}

/// OpenBSD's packet filter log: its length, padded to four, is in the first byte.
fn pflog(data: &[u8]) -> Payload<'_> {
    let len = data.first().map(|&len| usize::from(len).next_multiple_of(4));
    len.and_then(|len| data.get(len..)).map_or(Payload::Weird(SHORT), raw)
}

/// Frame relay (RFC 2427): two address bytes, control, network layer protocol id.
fn frame_relay(data: &[u8]) -> Payload<'_> {
    match data {
        [_, _, 0x03, 0xcc | 0x8e, rest @ ..] => raw(rest),
        [_, _, 0x03, 0x00, 0x80, _, _, _, high, low, rest @ ..] | [_, _, 0x03, 0x80, _, _, _, high, low, rest @ ..] => {
            ether(u16::from_be_bytes([*high, *low]), rest)
        }
        // Cisco's framing: an EtherType after the address.
        [_, _, high, low, rest @ ..] => ether(u16::from_be_bytes([*high, *low]), rest),
        _ => Payload::Weird(SHORT),
    }
}

fn ethernet(data: &[u8], original_len: u32) -> Payload<'_> {
    let Some(ether_type) = be16(data, 12) else { return Payload::Weird(SHORT) };
    // PCAPdroid leaves its header and trailer off a packet that would not fit the snap length.
    if !matches!(ether_type, 0x0800 | 0x86dd | 0x8100 | 0x88a8) && is_bare_ip(data, original_len) {
        return raw(data);
    }
    by_protocol(data, 12, 14)
}

fn is_bare_ip(data: &[u8], original_len: u32) -> bool {
    match data.first().map(|byte| byte >> 4) {
        Some(4) => data[0] & 0x0f >= 5 && be16(data, 2).is_some_and(|len| u32::from(len) == original_len),
        Some(6) => be16(data, 4).is_some_and(|len| u32::from(len) + 40 == original_len),
        Some(_) | None => false,
    }
}

/// A header of `header` bytes with an EtherType at `at`.
fn by_protocol(data: &[u8], at: usize, header: usize) -> Payload<'_> {
    match (be16(data, at), data.get(header..)) {
        (Some(ether_type), Some(rest)) => ether(ether_type, rest),
        _ => Payload::Weird(SHORT),
    }
}

/// What follows an EtherType: tags, labels and PPPoE are passed through.
pub(super) fn ether(mut ether_type: u16, mut data: &[u8]) -> Payload<'_> {
    for _ in 0..TAGS_MAX {
        // Where the next EtherType stands.
        let next = match ether_type {
            0x0800 | 0x86dd => return raw(data),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => 2,
            // VN-Tag, Cisco MetaData, E-Tag (IEEE 802.1BR).
            0x8926 => 4,
            0x8909 | 0x893f => 6,
            // Whole Ethernet frames: behind the tag of a provider backbone (IEEE 802.1ah), behind FabricPath's (whose
            // outer addresses stand before it), or bare.
            0x88e7 => 16,
            0x8903 => 14,
            0x6558 => 12,
            0x8847 | 0x8848 => return mpls(data),
            0x8864 => return pppoe(data),
            0..=1500 => return llc(data),
            _ => return Payload::NotIp,
        };
        let (Some(inner), Some(rest)) = (be16(data, next), data.get(next + 2..)) else { return Payload::Weird(SHORT) };
        (ether_type, data) = (inner, rest);
    }
    Payload::Weird("too many VLAN tags")
}

/// IEEE 802.2 with SNAP.
pub(super) fn llc(data: &[u8]) -> Payload<'_> {
    match data {
        [0xaa, 0xaa, 0x03, _, _, _, high, low, rest @ ..] => match u16::from_be_bytes([*high, *low]) {
            0..=1500 => Payload::NotIp,
            ether_type => ether(ether_type, rest),
        },
        [0x06, 0x06, 0x03, rest @ ..] => raw(rest),
        _ => Payload::NotIp,
    }
}

/// MPLS labels (RFC 3032); below them IP, or Ethernet behind a control word (RFC 4448).
pub(super) fn mpls(mut data: &[u8]) -> Payload<'_> {
    for _ in 0..TAGS_MAX {
        let Some((label, rest)) = data.split_first_chunk::<4>() else { return Payload::Weird(SHORT) };
        data = rest;
        if label[2] & 1 == 1 {
            return match data.first().map(|byte| byte >> 4) {
                Some(4 | 6) => Payload::Ip(data),
                Some(0) => data.get(4..).map_or(Payload::Weird(SHORT), |data| by_protocol(data, 12, 14)),
                Some(_) => by_protocol(data, 12, 14),
                None => Payload::Weird(SHORT),
            };
        }
    }
    Payload::Weird("too many MPLS labels")
}

/// PPPoE session (RFC 2516).
fn pppoe(data: &[u8]) -> Payload<'_> {
    match data.get(6..) {
        Some(rest) if data[0] == 0x11 && data[1] == 0 => ppp(rest),
        Some(_) => Payload::NotIp,
        None => Payload::Weird(SHORT),
    }
}

/// PPP (RFC 1661), with or without HDLC framing, the protocol field full or compressed.
pub(super) fn ppp(data: &[u8]) -> Payload<'_> {
    let data = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    match data {
        [0x21 | 0x57, rest @ ..] | [0x00, 0x21 | 0x57, rest @ ..] => raw(rest),
        // MPLS unicast.
        [0x02, 0x81, rest @ ..] => mpls(rest),
        [] => Payload::Weird(SHORT),
        _ => Payload::NotIp,
    }
}

fn ppp_serial(data: &[u8]) -> Payload<'_> {
    match data {
        [0x0f | 0x8f, 0x00, ..] => cisco_hdlc(data),
        _ => ppp(data),
    }
}

fn cisco_hdlc(data: &[u8]) -> Payload<'_> {
    by_protocol(data, 2, 4)
}

/// Radiotap: its length is little-endian at 2; an 802.11 frame follows.
fn radiotap(data: &[u8]) -> Payload<'_> {
    let len = data.get(2..4).map(|bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    match len.and_then(|len| data.get(len..)) {
        Some(frame) if radiotap_flags(data) & 0x20 != 0 => ieee80211::padded(frame),
        Some(frame) => ieee80211::payload(frame),
        None => Payload::Weird(SHORT),
    }
}

/// Radiotap's flags, of which 0x20 says that the 802.11 header is padded to a multiple of four bytes.
fn radiotap_flags(data: &[u8]) -> u8 {
    const EXTENDED: u8 = 0x80;
    let mut at = 4;
    while data.get(at + 3).is_some_and(|high| high & EXTENDED != 0) {
        at += 4;
    }
    // Bit 0 announces the timer, eight bytes on a multiple of eight; bit 1 the flags, which come next.
    match data.get(4).map(|present| (present & 1, present >> 1 & 1)) {
        Some((1, 1)) => data.get((at + 4).next_multiple_of(8) + 8).copied().unwrap_or(0),
        Some((0, 1)) => data.get(at + 4).copied().unwrap_or(0),
        _ => 0,
    }
}

/// Endace's ERF: 16 bytes with the type at 8, extension headers, and for Ethernet two bytes more.
fn erf(data: &[u8]) -> Payload<'_> {
    const EXTENDED: u8 = 0x80;
    let Some(&kind) = data.get(8) else { return Payload::Weird(SHORT) };
    let mut at = 16;
    let mut more = kind & EXTENDED;
    while more != 0 {
        more = data.get(at).map_or(0, |next| next & EXTENDED);
        at += 8;
    }
    match (kind & 0x7f, data.get(at..)) {
        (2 | 11 | 16 | 20, Some(rest)) => by_protocol(rest, 14, 16),
        (22 | 23, Some(rest)) => raw(rest),
        (_, Some(_)) => Payload::NotIp,
        (_, None) => Payload::Weird(SHORT),
    }
}

/// AVS: its length is big-endian at 4; an 802.11 frame follows.
fn avs(data: &[u8]) -> Payload<'_> {
    let len =
        data.get(4..8).and_then(|bytes| bytes.first_chunk::<4>()).map(|bytes| u32::from_be_bytes(*bytes) as usize);
    len.and_then(|len| data.get(len..)).map_or(Payload::Weird(SHORT), ieee80211::payload)
}

/// PPI: its length at 2 and the link type of what follows at 4, little-endian.
fn ppi(data: &[u8], original_len: u32) -> Payload<'_> {
    let [_, _, l0, l1, d0, d1, d2, d3, ..] = *data else { return Payload::Weird(SHORT) };
    let (len, link) = (u16::from_le_bytes([l0, l1]), u32::from_le_bytes([d0, d1, d2, d3]));
    match data.get(usize::from(len)..) {
        Some(inner) if link != 192 && len >= 8 => {
            payload(LinkType(link), inner, original_len.saturating_sub(u32::from(len)))
        }
        Some(_) | None => Payload::Weird(SHORT),
    }
}

/// Apple's PKTAP: its own length at 0, the link type of what follows at 8, little-endian.
fn pktap(data: &[u8], original_len: u32) -> Payload<'_> {
    let field =
        |at: usize| data.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>()).map(|b| u32::from_le_bytes(*b));
    let (Some(len), Some(link)) = (field(0), field(8)) else { return Payload::Weird(SHORT) };
    match data.get(len as usize..) {
        Some(inner) if link != 258 && len > 0 => payload(LinkType(link), inner, original_len.saturating_sub(len)),
        Some(_) | None => Payload::Weird(SHORT),
    }
}
