//! IEEE 802.11 data frames in the clear: MAC header, LLC/SNAP, IP. Protected frames stay closed.

use super::link::{Payload, llc};

/// The packet in an 802.11 frame.
pub(super) fn payload(data: &[u8]) -> Payload<'_> {
    let [control, flags, ..] = data else { return Payload::Weird("frame shorter than its link header") };
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
    if aggregate {
        return Payload::Weird("802.11 aggregate frame is not read");
    }
    data.get(len..).map_or(Payload::Weird("frame shorter than its link header"), llc)
}
