//! Packets inside packets: GRE, and the tunnels over UDP, told by their ports and checked by their headers.

use super::ieee80211;
use super::link::{Payload, ether, mpls, ppp};
use crate::model::UdpDatagram;
use std::borrow::Cow;

/// The IP packet in a GRE payload (RFC 2784, RFC 2890, RFC 2637 for PPTP, ERSPAN types I to III).
pub(super) fn in_gre(payload: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    inside(payload, |bytes| {
        let [flags, version, high, low, ..] = *bytes else { return None };
        let sequence = usize::from(flags >> 4 & 1);
        if version & 7 == 1 {
            // PPTP: the key is always there, and an acknowledgement number may be.
            let rest = bytes.get(8 + (sequence + usize::from(version >> 7)) * 4..)?;
            return ip_of(ppp(rest));
        }
        if version & 7 != 0 {
            return None;
        }
        // Checksum, key and sequence number take four bytes each.
        let options = usize::from(flags >> 7 & 1) + usize::from(flags >> 5 & 1) + sequence;
        let rest = bytes.get(4 + options * 4..)?;
        match u16::from_be_bytes([high, low]) {
            0x6558 => ethernet(rest),
            0x88be if sequence == 0 => ethernet(rest),
            0x88be => ethernet(rest.get(8..)?),
            0x22eb => ethernet(rest.get(12..)?),
            // Frames that Aruba's access points mirror.
            0x8200..=0x82ff => ip_of(ieee80211::payload(rest)),
            ether_type => ip_of(ether(ether_type, rest)),
        }
    })
}

/// The IP packet in a datagram of a tunnel, told by port and header.
pub(super) fn in_udp<'a>(datagram: &UdpDatagram<'a>) -> Option<Cow<'a, [u8]>> {
    let find: fn(&[u8]) -> Option<&[u8]> = match (datagram.src_port, datagram.dst_port) {
        (_, 4789 | 8472) => vxlan,
        (_, 4790) => vxlan_gpe,
        (2152, _) | (_, 2152) => gtp_u,
        (_, 6081) => geneve,
        (3544, _) | (_, 3544) => teredo,
        (5072, _) | (_, 5072) => ayiya,
        (1701, _) | (_, 1701) => l2tp,
        (_, 6635) => |bytes| ip_of(mpls(bytes)),
        (_, 37_008) => tzsp,
        (4341, _) | (_, 4341) => lisp,
        _ => return None,
    };
    match &datagram.payload {
        Cow::Borrowed(bytes) => find(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => find(bytes).map(|inner| Cow::Owned(inner.to_vec())),
    }
}

fn inside<'a>(payload: Cow<'a, [u8]>, find: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<Cow<'a, [u8]>> {
    match payload {
        Cow::Borrowed(bytes) => find(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => find(&bytes).map(|inner| Cow::Owned(inner.to_vec())),
    }
}

fn ip_of(payload: Payload<'_>) -> Option<&[u8]> {
    match payload {
        Payload::Ip(ip) => Some(ip),
        Payload::IpOf { .. } | Payload::NotIp | Payload::Weird(_) => None,
    }
}

fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let ether_type = u16::from_be_bytes([*frame.get(12)?, *frame.get(13)?]);
    ip_of(ether(ether_type, frame.get(14..)?))
}

/// RFC 7348 §5: the I flag and a zero reserved byte.
fn vxlan(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.first()? & 0x08 != 0 && *bytes.get(7)? == 0).then(|| ethernet(bytes.get(8..)?)).flatten()
}

/// draft-ietf-nvo3-vxlan-gpe §3.1: the P flag and what protocol follows.
fn vxlan_gpe(bytes: &[u8]) -> Option<&[u8]> {
    let [flags, _, _, protocol, _, _, _, _, ref rest @ ..] = *bytes else { return None };
    match (flags & 0x04 != 0, protocol) {
        (false, _) => vxlan(bytes),
        (true, 1 | 2) => bare_ip(rest),
        (true, 3) => ethernet(rest),
        (true, _) => None,
    }
}

/// TaZmen Sniffer Protocol, version 1: a mirrored Ethernet frame behind tagged fields.
fn tzsp(bytes: &[u8]) -> Option<&[u8]> {
    let [1, 0 | 1, 0, 1, ..] = *bytes else { return None };
    let mut at = 4;
    loop {
        match *bytes.get(at)? {
            0 => at += 1,
            1 => return ethernet(bytes.get(at + 1..)?),
            _ => at += 2 + usize::from(*bytes.get(at + 1)?),
        }
    }
}

/// RFC 9300 §5: eight bytes, then IP whose length fills the datagram.
fn lisp(bytes: &[u8]) -> Option<&[u8]> {
    let inner = bare_ip(bytes.get(8..)?)?;
    let declared = match inner[0] >> 4 {
        4 => usize::from(u16::from_be_bytes([*inner.get(2)?, *inner.get(3)?])),
        _ => usize::from(u16::from_be_bytes([*inner.get(4)?, *inner.get(5)?])) + 40,
    };
    (declared == inner.len()).then_some(inner)
}

fn bare_ip(bytes: &[u8]) -> Option<&[u8]> {
    matches!(bytes.first()? >> 4, 4 | 6).then_some(bytes)
}

/// EtherIP (RFC 3378): version 3 and twelve zero bits, then Ethernet.
pub(super) fn in_etherip(payload: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    inside(payload, |bytes| bytes.strip_prefix(&[0x30, 0]).and_then(ethernet))
}

/// MPLS in IP (RFC 4023).
pub(super) fn in_mpls(payload: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    inside(payload, |bytes| ip_of(mpls(bytes)))
}

/// 3GPP TS 29.281 §5.1: version 1, a G-PDU, with its optional fields and extension headers.
fn gtp_u(bytes: &[u8]) -> Option<&[u8]> {
    let [flags, 0xff, ..] = *bytes else { return None };
    if flags >> 5 != 1 {
        return None;
    }
    let mut at = 8;
    if flags & 7 != 0 {
        let mut next = *bytes.get(11)?;
        at = 12;
        while next != 0 && flags & 4 != 0 {
            let len = usize::from(*bytes.get(at)?) * 4;
            if len == 0 {
                return None;
            }
            at += len;
            next = *bytes.get(at - 1)?;
        }
    }
    let inner = bytes.get(at..)?;
    matches!(inner.first()? >> 4, 4 | 6).then_some(inner)
}

/// RFC 8926 §3.4.
fn geneve(bytes: &[u8]) -> Option<&[u8]> {
    let first = *bytes.first()?;
    if first >> 6 != 0 {
        return None;
    }
    let rest = bytes.get(8 + usize::from(first & 0x3f) * 4..)?;
    match u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]) {
        0x6558 => ethernet(rest),
        ether_type => ip_of(ether(ether_type, rest)),
    }
}

/// RFC 4380 §5.1.1: an IPv6 packet, maybe behind authentication and origin indication.
fn teredo(mut bytes: &[u8]) -> Option<&[u8]> {
    if let [0, 1, id, authentication, ..] = *bytes {
        bytes = bytes.get(13 + usize::from(id) + usize::from(authentication)..)?;
    }
    if let [0, 0, ..] = *bytes {
        bytes = bytes.get(8..)?;
    }
    let len = usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]));
    (bytes.first()? >> 4 == 6 && bytes.len() >= 40 + len).then_some(bytes)
}

/// draft-massar-v6ops-ayiya §3: lengths of identity (a power of two) and signature (words), operation, next header.
fn ayiya(bytes: &[u8]) -> Option<&[u8]> {
    let [identity, signature, operation, next, ..] = *bytes else { return None };
    if operation & 0x0f != 1 || !matches!(next, 4 | 41) {
        return None;
    }
    let inner = bytes.get(8 + (1 << (identity >> 4)) + usize::from(signature >> 4) * 4..)?;
    matches!(inner.first()? >> 4, 4 | 6).then_some(inner)
}

/// RFC 2661 §3.1: a data message of version 2, with its optional fields, that carries PPP.
fn l2tp(bytes: &[u8]) -> Option<&[u8]> {
    let [flags, version, ..] = *bytes else { return None };
    if flags & 0x80 != 0 || version & 0x0f != 2 {
        return None;
    }
    let mut at = 6;
    if flags & 0x40 != 0 {
        at += 2;
    }
    if flags & 0x08 != 0 {
        at += 4;
    }
    if flags & 0x02 != 0 {
        let pad = at + 2;
        at = pad + usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    }
    ip_of(ppp(bytes.get(at..)?))
}
