//! Datagrams by which a device introduces itself to the local network, beside DNS: NetBIOS names, DHCP and the time.
//! They are clear and understood as far as it goes; what identifies the device in them is left to detection.

/// Whether a datagram between these ports is one of NetBIOS (RFC 1002), DHCP (RFC 2131, RFC 8415) or NTP (RFC 5905).
#[must_use]
pub fn is_local(payload: &[u8], ports: [u16; 2]) -> bool {
    let to = |wanted: u16| ports.contains(&wanted);
    to(137) && is_netbios_name(payload)
        || to(138) && is_netbios_datagram(payload)
        || (to(67) || to(68)) && is_dhcp(payload)
        || (to(546) || to(547)) && is_dhcp6(payload)
        || to(123) && is_ntp(payload)
}

/// A name of 32 letters `A` to `P` behind a header as DNS has it.
fn is_netbios_name(payload: &[u8]) -> bool {
    const LEN: u8 = 32;
    payload.get(12) == Some(&LEN)
        && payload.get(13..45).is_some_and(|name| name.iter().all(|byte| (b'A'..=b'P').contains(byte)))
}

fn is_netbios_datagram(payload: &[u8]) -> bool {
    let kind = payload.first().is_some_and(|kind| (0x10..=0x16).contains(kind));
    kind && payload.get(14) == Some(&32)
}

/// Request or answer, and the cookie before the options.
fn is_dhcp(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(1 | 2)) && payload.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63])
}

/// A type, a transaction, and options to the last byte.
fn is_dhcp6(payload: &[u8]) -> bool {
    let Some((&[kind, ..], mut rest)) = payload.split_first_chunk::<4>() else { return false };
    while let Some((&[_, _, high, low], after)) = rest.split_first_chunk::<4>() {
        let Some(next) = after.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        rest = next;
    }
    (1..=11).contains(&kind) && rest.is_empty()
}

/// Version 1 to 4, a mode, and the fixed header.
fn is_ntp(payload: &[u8]) -> bool {
    payload.len() >= 48 && payload.first().is_some_and(|&first| (1..=4).contains(&(first >> 3 & 7)) && first & 7 != 0)
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn datagrams_of_the_local_network_are_known_by_port_and_form() {
        let netbios = [&[0x12, 0x34, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 32][..], &[b'C'; 32], &[0, 0, 32, 0, 1]].concat();
        let mut dhcp = vec![1, 1, 6, 0];
        dhcp.resize(236, 0);
        dhcp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
        let dhcp6 = [1, 9, 9, 9, 0, 1, 0, 2, 0xab, 0xcd];
        let mut ntp = vec![0x23];
        ntp.resize(48, 0);
        for (payload, ports) in
            [(&netbios[..], [137, 137]), (&dhcp, [68, 67]), (&dhcp6, [546, 547]), (&ntp, [40_000, 123])]
        {
            assert!(is_local(payload, ports), "{ports:?}");
            assert!(!is_local(payload, [40_000, 4_000]), "{ports:?}");
            assert!(!is_local(&payload[..payload.len() / 4], ports), "{ports:?}");
        }
        assert!(!is_local(&[], [137, 123]));
    }
}
