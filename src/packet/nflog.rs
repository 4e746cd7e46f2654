//! LINKTYPE_NFLOG: a short header, then attributes in the byte order of the machine that captured; the packet is one
//! of them, the uid of its app another.

use super::link::{Payload, raw};

const ATTRIBUTE_PAYLOAD: u16 = 9;
const ATTRIBUTE_UID: u16 = 11;

/// The packet and uid in an NFLOG frame.
pub(super) fn payload(data: &[u8]) -> Payload<'_> {
    // Family, version, resource id; phones are little-endian, so that order is tried first.
    let Some(attributes) = data.get(4..) else { return Payload::Weird("frame shorter than its link header") };
    attributes_in(attributes, u16::from_le_bytes)
        .or_else(|| attributes_in(attributes, u16::from_be_bytes))
        .unwrap_or(Payload::Weird("NFLOG frame without a packet"))
}

fn attributes_in(mut data: &[u8], order: fn([u8; 2]) -> u16) -> Option<Payload<'_>> {
    let (mut uid, mut packet) = (None, None);
    while let [l0, l1, t0, t1, ..] = *data {
        let len = usize::from(order([l0, l1]));
        if len < 4 || len > data.len() {
            break;
        }
        let value = &data[4..len];
        match order([t0, t1]) {
            ATTRIBUTE_PAYLOAD => packet = Some(value),
            // The value itself is in network byte order.
            ATTRIBUTE_UID => uid = value.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes)),
            _ => {}
        }
        data = data.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    match raw(packet?) {
        Payload::Ip(ip) => Some(Payload::IpOf { uid, ip }),
        other => Some(other),
    }
}
