//! Puts IP packets into the frames of a link type, and PCAPdroid's trailer behind them.

use super::packet::Packet;
use super::{Order, Way};

/// How frames of a capture begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Ethernet,
    /// One 802.1Q tag.
    Vlan,
    /// An 802.1ad and an 802.1Q tag.
    QinQ,
    Raw,
    /// `LINKTYPE_IPV4` or `LINKTYPE_IPV6`.
    Ipv4,
    Ipv6,
    /// BSD loopback with the family in the byte order of the capturing host.
    Null(Order),
    Loop,
    Sll,
    Sll2,
    Nflog,
    Ppp,
    /// Ethernet with PCAPdroid's app trailer.
    Pcapdroid,
}

impl Link {
    /// Every one that can carry IPv4.
    pub(crate) const FOR_IPV4: &[Self] = &[
        Self::Ethernet,
        Self::Vlan,
        Self::QinQ,
        Self::Raw,
        Self::Ipv4,
        Self::Null(Order::Little),
        Self::Null(Order::Big),
        Self::Loop,
        Self::Sll,
        Self::Sll2,
        Self::Nflog,
        Self::Ppp,
        Self::Pcapdroid,
    ];

    /// The `LINKTYPE_*` number.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan | Self::QinQ | Self::Pcapdroid => 1,
            Self::Raw => 101,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::Null(_) => 0,
            Self::Loop => 108,
            Self::Sll => 113,
            Self::Sll2 => 276,
            Self::Nflog => 239,
            Self::Ppp => 9,
        }
    }

    /// One frame.
    pub(crate) fn frame(self, packet: &Packet, app: &str) -> Vec<u8> {
        let v6 = packet.ip[0] >> 4 == 6;
        let ether_type: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let packet_type: u8 = if packet.way == Way::ToServer { 4 } else { 0 };
        let family: u32 = if v6 { 30 } else { 2 };
        let mut out = Vec::new();
        match self {
            Self::Ethernet => {
                out.extend(ETHERNET);
                out.extend(ether_type);
            }
            Self::Vlan => {
                out.extend(ETHERNET);
                out.extend([0x81, 0x00, 0x00, 0x64]);
                out.extend(ether_type);
            }
            Self::QinQ => {
                out.extend(ETHERNET);
                out.extend([0x88, 0xa8, 0x00, 0x0a, 0x81, 0x00, 0x00, 0x64]);
                out.extend(ether_type);
            }
            Self::Raw | Self::Ipv4 | Self::Ipv6 => {}
            Self::Null(order) => out.extend(order.u32(family)),
            Self::Loop => out.extend(Order::Big.u32(family)),
            Self::Sll => {
                out.extend([0, packet_type, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
                out.extend(ether_type);
            }
            Self::Sll2 => {
                out.extend(ether_type);
                out.extend([0, 0, 0, 0, 0, 3, 0, 1, packet_type, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
            }
            Self::Nflog => out.extend(nflog_head(packet, v6)),
            Self::Ppp => out.extend([0xff, 0x03, 0x00, if v6 { 0x57 } else { 0x21 }]),
            Self::Pcapdroid => {
                out.extend([0; 12]);
                out.extend(ether_type);
            }
        }
        out.extend(&packet.ip);
        match self {
            Self::Nflog => out.resize(out.len().next_multiple_of(4), 0),
            Self::Pcapdroid => pcapdroid_trailer(&mut out, packet.uid.unwrap_or(-1), app),
            _ => {}
        }
        out
    }
}

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Family, version, group, then a UID attribute and the head of the payload attribute.
fn nflog_head(packet: &Packet, v6: bool) -> Vec<u8> {
    let mut out = vec![if v6 { 10 } else { 2 }, 0, 0, 5];
    if let Some(uid) = packet.uid {
        out.extend([8, 0, 11, 0]);
        out.extend(uid.to_be_bytes());
    }
    out.extend(u16::try_from(4 + packet.ip.len()).expect("one packet").to_le_bytes());
    out.extend([9, 0]);
    out
}

fn pcapdroid_trailer(frame: &mut Vec<u8>, uid: i32, app: &str) {
    frame.resize(frame.len().next_multiple_of(4), 0);
    frame.extend([0x01, 0x07, 0x20, 0x21]);
    frame.extend(uid.to_be_bytes());
    let mut name = app.as_bytes().to_vec();
    name.resize(20, 0);
    frame.extend(name);
    let mut crc = flate2::Crc::new();
    crc.update(frame);
    frame.extend(crc.sum().to_le_bytes());
}
