//! `/proc/net/tcp` and `/proc/net/tcp6`: which uid has which connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most sockets taken from one table.
const SOCKETS_MAX: usize = 16_384;
/// States in which the kernel no longer knows, or never knew, whose socket it is: TIME_WAIT, SYN_RECV; and LISTEN and
/// CLOSE, which are no connections.
const NO_CONNECTION: [&str; 4] = ["06", "03", "0A", "07"];

/// A connection of the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// The phone's end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whose it is.
    pub uid: u32,
}

/// Reads the connections of either table, or of both one after the other.
#[must_use]
pub fn parse_sockets(text: &str) -> Vec<Socket> {
    text.lines().filter_map(parse_line).take(SOCKETS_MAX).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace();
    // The number of the line; the head of the table has none.
    let number = words.next()?;
    number.strip_suffix(':')?.parse::<u32>().ok()?;
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    if NO_CONNECTION.contains(&state) {
        return None;
    }
    // Queues, timer, retransmits; then the uid.
    let uid = words.nth(3)?.parse().ok()?;
    Some(Socket { local: parse_end(local)?, remote: parse_end(remote)?, uid })
}

/// `0100007F:1F90`: the address in words as the phone's processor writes them (all Androids are little-endian), the port
/// as people do.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|_| port.len() == 4)?;
    let mut bytes = [0; 16];
    let words = address.len() / 8;
    if !address.is_ascii() || address.len() % 8 != 0 || ![1, 4].contains(&words) {
        return None;
    }
    for (at, place) in bytes.chunks_exact_mut(4).take(words).enumerate() {
        let word = u32::from_str_radix(&address[at * 8..at * 8 + 8], 16).ok()?;
        place.copy_from_slice(&word.to_le_bytes());
    }
    let address = if words == 1 {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    } else {
        // Sockets of IPv6 that speak IPv4 are the rule on Android.
        Ipv6Addr::from(bytes).to_canonical()
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:13AD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2000        0 2001 1 0 100 0 0 10 0\n   \
        1: 0700000A:C350 0200000A:1F90 01 00000000:00000000 00:00000000 00000000 10123        0 9001 1 0 20 4 30 10 -1\n   \
        2: 0700000A:C351 0200000A:1F90 06 00000000:00000000 03:00000100 00000000     0        0 0 3 0\n";
    const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0000000000000000FFFF00000700000A:C352 0000000000000000FFFF00000200000A:1F90 02 00000000:00000001 01:00000064 00000000 10124        0 9002 2 0\n   \
        1: B80D0120000000000000000001000000:C353 B80D0120000000000000000002000000:01BB 01 00000000:00000000 00:00000000 00000000 1010123        0 9003 1 0\n";

    #[test]
    fn connections_have_their_ends_and_their_uid() {
        let found = parse_sockets(&format!("{TCP}{TCP6}"));
        let wanted = [
            ("10.0.0.7:50000", "10.0.0.2:8080", 10123),
            ("10.0.0.7:50002", "10.0.0.2:8080", 10124),
            ("[2001:db8::1]:50003", "[2001:db8::2]:443", 1_010_123),
        ];
        let end = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(found, wanted.map(|(local, remote, uid)| Socket { local: end(local), remote: end(remote), uid }));
    }

    #[test]
    fn what_is_no_line_of_the_table_is_passed_over() {
        for line in
            ["", "cat: /proc/net/tcp: Permission denied", "0: x:y", "0: 0100007F:1F9 0:0 01", "1: é 2 3 4 5 6 7"]
        {
            assert_eq!(parse_sockets(line), [], "{line}");
        }
        let odd = TCP.replace("0700000A:C350", "0700000A0:C350").replace("C351", "C35");
        assert_eq!(parse_sockets(&odd), []);
    }
}
