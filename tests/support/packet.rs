//! IP packets with correct lengths and checksums, and DNS look-ups as datagrams. Link-layer framing is in `link`.

use super::{MS, Way};
use std::net::{IpAddr, SocketAddr};

/// One IP packet with its time.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// Nanoseconds since the epoch.
    pub(crate) ts: i64,
    /// From the IP header on.
    pub(crate) ip: Vec<u8>,
    /// Android user id, where the capture is to name one.
    pub(crate) uid: Option<i32>,
    /// To the server (sent by the phone) or back.
    pub(crate) way: Way,
}

/// IP protocol numbers.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// Wraps a transport header and payload whose checksum field (at `checksum_at`) is still zero.
pub(crate) fn ip_packet(src: IpAddr, dst: IpAddr, protocol: u8, mut transport: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    let mut pseudo = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            pseudo.extend(src.octets());
            pseudo.extend(dst.octets());
            pseudo.extend([0, protocol]);
            pseudo.extend(len16(transport.len()));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            pseudo.extend(src.octets());
            pseudo.extend(dst.octets());
            pseudo.extend([0, 0]);
            pseudo.extend(len16(transport.len()));
            pseudo.extend([0, 0, 0, protocol]);
        }
        _ => panic!("both addresses are of one family"),
    }
    pseudo.extend(&transport);
    transport[checksum_at..checksum_at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    let mut out = ip_header(src, dst, protocol, transport.len(), 0, 0x4000);
    out.extend(transport);
    out
}

fn ip_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize, id: u16, flags: u16) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut head = vec![0x45, 0];
            head.extend(len16(20 + len));
            head.extend(id.to_be_bytes());
            head.extend(flags.to_be_bytes());
            head.extend([64, protocol, 0, 0]);
            head.extend(src.octets());
            head.extend(dst.octets());
            let sum = checksum(&head);
            head[10..12].copy_from_slice(&sum.to_be_bytes());
            head
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut head = vec![0x60, 0, 0, 0];
            head.extend(len16(len));
            head.extend([protocol, 64]);
            head.extend(src.octets());
            head.extend(dst.octets());
            head
        }
        _ => panic!("both addresses are of one family"),
    }
}

/// Cuts an IPv4 packet into fragments of at most `size` payload bytes (a multiple of 8), RFC 791 §3.2.
pub(crate) fn fragments(packet: &Packet, size: usize, id: u16) -> Vec<Packet> {
    assert!(packet.ip[0] == 0x45 && size.is_multiple_of(8), "an IPv4 packet without options, cut at eights");
    let address = |at: usize| IpAddr::from([packet.ip[at], packet.ip[at + 1], packet.ip[at + 2], packet.ip[at + 3]]);
    let payload = &packet.ip[20..];
    let count = payload.len().div_ceil(size);
    let cut = |(index, part): (usize, &[u8])| {
        let more = if index + 1 < count { 0x2000 } else { 0 };
        let offset = u16::try_from(index * size / 8).expect("within a packet");
        let mut ip = ip_header(address(12), address(16), packet.ip[9], part.len(), id, more | offset);
        ip.extend(part);
        Packet { ip, ..packet.clone() }
    };
    payload.chunks(size).enumerate().map(cut).collect()
}

/// Puts an IPv6 hop-by-hop and a destination options header in front of the transport header (RFC 8200 §4).
pub(crate) fn with_extension_headers(packet: &Packet) -> Packet {
    assert_eq!(packet.ip[0] >> 4, 6, "an IPv6 packet");
    let mut ip = packet.ip[..40].to_vec();
    let length = u16::from_be_bytes([ip[4], ip[5]]) + 16;
    ip[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut ip[6], 0);
    ip.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    ip.extend([next, 0, 1, 4, 0, 0, 0, 0]);
    ip.extend(&packet.ip[40..]);
    Packet { ip, ..packet.clone() }
}

/// One UDP datagram.
pub(crate) fn datagram(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(src.port().to_be_bytes());
    udp.extend(dst.port().to_be_bytes());
    udp.extend(len16(8 + payload.len()));
    udp.extend([0, 0]);
    udp.extend(payload);
    ip_packet(src.ip(), dst.ip(), UDP, udp, 6)
}

/// A DNS question and its answer (RFC 1035 §4).
pub(crate) fn lookup(client: SocketAddr, resolver: SocketAddr, name: &str, address: IpAddr, ts: i64) -> [Packet; 2] {
    let id = name.bytes().fold(7u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte)));
    let mut question = Vec::new();
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("a label of at most 63 bytes"));
        question.extend(label.as_bytes());
    }
    question.push(0);
    let (kind, data): (u16, Vec<u8>) = match address {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (28, address.octets().to_vec()),
    };
    question.extend(kind.to_be_bytes());
    question.extend([0, 1]);
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(&question);
    let mut answer = id.to_be_bytes().to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(&question);
    answer.extend([0xc0, 0x0c]);
    answer.extend(kind.to_be_bytes());
    answer.extend([0, 1, 0, 0, 0, 60]);
    answer.extend(len16(data.len()));
    answer.extend(data);
    let packet = |ts, ip, way| Packet { ts, ip, uid: None, way };
    [
        packet(ts, datagram(client, resolver, &query), Way::ToServer),
        packet(ts + 12 * MS, datagram(resolver, client, &answer), Way::ToClient),
    ]
}

fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("at most 65535 bytes").to_be_bytes()
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}
