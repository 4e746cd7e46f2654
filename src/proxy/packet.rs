//! Bytes of a connection → raw IP frames (LINKTYPE_RAW) as they would be seen beside the phone: IPv4 (RFC 791) or IPv6
//! (RFC 8200), TCP (RFC 9293), with checksums, so that any reader of captures takes them.

use std::net::{IpAddr, SocketAddr};

/// `LINKTYPE_RAW`: a frame begins with the IP header.
pub(super) const LINKTYPE_RAW: u32 = 101;
/// Most payload put into one segment. IP's length field allows little more; a capture with segmentation offload looks alike.
pub(super) const SEGMENT_MAX: usize = 65_000;

/// Most bytes before the payload: IPv6 and TCP without options.
pub(super) const HEADERS_MAX: usize = 60;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const TCP_HEADER: usize = 20;
const PROTOCOL_TCP: u8 = 6;

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    OpenAnswer,
    Data,
    End,
    Reset,
}

impl Kind {
    const fn flags(self) -> u8 {
        match self {
            Self::Open => SYN,
            Self::OpenAnswer => SYN | ACK,
            Self::Data => PSH | ACK,
            Self::End => FIN | ACK,
            Self::Reset => RST | ACK,
        }
    }
}

/// Where a segment stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: u32,
}

/// Appends one frame to `out`. `payload` is at most [`SEGMENT_MAX`] long; both addresses are of one family.
pub(super) fn append(out: &mut Vec<u8>, place: &Place, kind: Kind, payload: &[u8]) {
    let start = out.len();
    let length = TCP_HEADER + payload.len();
    let word = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let mut sum = Sum::default();
    match (place.from.ip(), place.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = word(20 + length).to_be_bytes();
            // Don't fragment; lifetime 64.
            out.extend_from_slice(&[0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, PROTOCOL_TCP, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            let mut header = Sum::default();
            header.add(&out[start..]);
            out[start + 10..start + 12].copy_from_slice(&header.finish());
            sum.add(&from.octets());
            sum.add(&to.octets());
        }
        (from, to) => {
            let (from, to) = (as_v6(from), as_v6(to));
            let payload_len = word(length).to_be_bytes();
            out.extend_from_slice(&[0x60, 0, 0, 0, payload_len[0], payload_len[1], PROTOCOL_TCP, 64]);
            out.extend_from_slice(&from);
            out.extend_from_slice(&to);
            sum.add(&from);
            sum.add(&to);
        }
    }
    sum.add(&[0, PROTOCOL_TCP]);
    sum.add(&word(length).to_be_bytes());
    let tcp = out.len();
    out.extend_from_slice(&place.from.port().to_be_bytes());
    out.extend_from_slice(&place.to.port().to_be_bytes());
    out.extend_from_slice(&place.seq.to_be_bytes());
    let ack = if kind == Kind::Open { 0 } else { place.ack };
    out.extend_from_slice(&ack.to_be_bytes());
    // Header of five words; the largest window; checksum and urgent pointer.
    out.extend_from_slice(&[0x50, kind.flags(), 0xff, 0xff, 0, 0, 0, 0]);
    sum.add(&out[tcp..]);
    sum.add(payload);
    out[tcp + 16..tcp + 18].copy_from_slice(&sum.finish());
    out.extend_from_slice(payload);
}

fn as_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The Internet checksum (RFC 1071) over parts of even length but for the last. It sums words in the byte order of the
/// machine, which only swaps the bytes of the result.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        // Many independent sums of 32 bits, so that they can be made at once; each is far from its end.
        let mut lanes = [0u64; 8];
        let mut blocks = bytes.chunks_exact(32);
        for block in &mut blocks {
            for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(4)) {
                *lane += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
            }
        }
        let mut sum: u64 = lanes.iter().sum();
        let mut words = blocks.remainder().chunks_exact(2);
        for word in &mut words {
            sum += u64::from(u16::from_ne_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            sum += u64::from(u16::from_ne_bytes([*last, 0]));
        }
        self.0 += sum;
    }

    fn finish(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!u16::try_from(sum).unwrap_or(0)).to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Place, Sum, append};
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    fn place(from: &str, to: &str) -> Place {
        Place { from: from.parse().unwrap(), to: to.parse().unwrap(), seq: 7, ack: 9 }
    }

    #[test]
    fn headers_and_checksums_are_those_another_reader_expects() {
        for (from, to) in [("10.0.0.2:40000", "203.0.113.9:443"), ("[2001:db8::2]:40000", "[2001:db8::9]:443")] {
            for payload in [&b""[..], b"odd", &[0xff; 1_000], &[0x5a; super::SEGMENT_MAX]] {
                let mut frame = Vec::new();
                append(&mut frame, &place(from, to), Kind::Data, payload);
                let sliced = SlicedPacket::from_ip(&frame).expect("a packet");
                let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("no TCP") };
                assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number(), tcp.payload()), (7, 9, payload));
                let expected = match &sliced.net {
                    Some(NetSlice::Ipv4(ip)) => {
                        assert_eq!(ip.header().to_header().calc_header_checksum(), ip.header().header_checksum());
                        tcp.to_header().calc_checksum_ipv4_raw(ip.header().source(), ip.header().destination(), payload)
                    }
                    Some(NetSlice::Ipv6(ip)) => {
                        let addresses = (ip.header().source(), ip.header().destination());
                        tcp.to_header().calc_checksum_ipv6_raw(addresses.0, addresses.1, payload)
                    }
                    _ => panic!("no IP"),
                };
                assert_eq!(expected.expect("a checksum"), tcp.checksum());
            }
        }
    }

    proptest! {
        #[test]
        fn sums_of_any_length_are_those_of_words(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut sum = Sum::default();
            sum.add(&bytes);
            let mut plain = 0u32;
            for pair in bytes.chunks(2) {
                plain += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
                plain = (plain & 0xffff) + (plain >> 16);
            }
            prop_assert_eq!(u16::from_be_bytes(sum.finish()), !u16::try_from(plain).unwrap());
        }
    }
}
