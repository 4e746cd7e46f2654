//! Packets inside packets: GRE, and VXLAN, GTP-U and Geneve over their UDP ports.

use super::link::{Payload, ether};
use crate::model::UdpDatagram;
use std::borrow::Cow;

/// The IP packet in a GRE payload (RFC 2784, RFC 2890).
pub(super) fn in_gre(payload: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    inside(payload, |bytes| {
        let [flags, version, high, low, ..] = *bytes else { return None };
        if version & 7 != 0 {
            return None;
        }
        // Checksum, key and sequence number take four bytes each.
        let options = usize::from(flags >> 7 & 1) + usize::from(flags >> 5 & 1) + usize::from(flags >> 4 & 1);
        let rest = bytes.get(4 + options * 4..)?;
        match u16::from_be_bytes([high, low]) {
            0x6558 => ethernet(rest),
            ether_type => ip_of(ether(ether_type, rest)),
        }
    })
}

/// The IP packet in a datagram of a tunnel, told by port and header.
pub(super) fn in_udp<'a>(datagram: &UdpDatagram<'a>) -> Option<Cow<'a, [u8]>> {
    let find: fn(&[u8]) -> Option<&[u8]> = match datagram.dst_port {
        4789 | 8472 => vxlan,
        2152 => gtp_u,
        6081 => geneve,
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
