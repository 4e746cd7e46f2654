//! IEEE 802.11 data frames in the clear: MAC header, LLC/SNAP, IP. Protected frames stay closed.

use super::link::{Payload, SHORT, llc};

/// The packet in an 802.11 frame.
pub(super) fn payload(data: &[u8]) -> Payload<'_> {
    behind_header(data, 1)
}

/// The packet in an 802.11 frame whose header is padded to a multiple of four bytes.
pub(super) fn padded(data: &[u8]) -> Payload<'_> {
    behind_header(data, 4)
}

fn behind_header(data: &[u8], multiple: usize) -> Payload<'_> {
    let [control, flags, ..] = data else { return Payload::Weird(SHORT) };
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    // Only data frames, and of those only the ones with data (bit 2 of the subtype says "no data").
    if kind != 2 || subtype & 4 != 0 {
        return Payload::NotIp;
    }
    if flags & 0x40 != 0 {
        return Payload::Weird("802.11 frame is encrypted");
    }
    let four_addresses = flags & 3 == 3;
    let qos = subtype & 8 != 0;
    let mut len = if four_addresses { 30 } else { 24 };
    let aggregate = qos && data.get(len).is_some_and(|control| control & 0x80 != 0);
    if qos {
        len += 2;
        // The order bit of a QoS frame announces an HT control field.
        if flags & 0x80 != 0 {
            len += 4;
        }
    }
    let Some(body) = data.get(len.next_multiple_of(multiple)..) else { return Payload::Weird(SHORT) };
    if aggregate { first_of(body) } else { llc(body) }
}

/// The first message of an aggregate (IEEE 802.11 §9.3.2.2.2): two addresses, a length, LLC. One frame gives one packet.
fn first_of(body: &[u8]) -> Payload<'_> {
    let Some((header, rest)) = body.split_at_checked(14) else { return Payload::Weird(SHORT) };
    let len = usize::from(u16::from_be_bytes([header[12], header[13]]));
    // Each but the last is padded to a multiple of four.
    if rest.len() > (14 + len).next_multiple_of(4) {
        return Payload::Weird("802.11 frame of several messages is not read");
    }
    llc(&rest[..len.min(rest.len())])
}
