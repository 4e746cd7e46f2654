//! Frames of every link type carry the same packet; PCAPdroid's vector names its app.

use super::{Decoder, FramePlace, plain};
use crate::model::{Frame, LinkType, Packet, Timestamp, Transport};

/// IPv4, UDP 40000 → 53, payload `hi`.
const IP: [u8; 30] =
    [0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 8, 8, 8, 8, 0x9c, 0x40, 0, 53, 0, 10, 0, 0, b'h', b'i'];

fn frame(link: u32, data: &[u8]) -> Frame<'_> {
    let original_len = u32::try_from(data.len()).unwrap();
    Frame { number: 1, ts: Timestamp::default(), link: LinkType(link), data, original_len, app: None }
}

fn decode<'a>(link: u32, data: &'a [u8]) -> Option<Packet<'a>> {
    Decoder::default().decode(&frame(link, data), &mut |_| {})
}

fn with(header: &[u8]) -> Vec<u8> {
    [header, &IP].concat()
}

fn payload(packet: &Packet<'_>) -> Vec<u8> {
    match &packet.transport {
        Transport::Udp(datagram) => datagram.payload.to_vec(),
        Transport::Tcp(segment) => segment.payload.to_vec(),
        Transport::Other(_) => Vec::new(),
    }
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    let mac = [0u8; 12];
    let ethernet = |rest: &[u8]| [&mac[..], rest, &IP].concat();
    let nflog = [&[2u8, 0, 0, 0, 8, 0, 11, 0, 0, 0, 0x27, 0xfa, 34, 0, 9, 0][..], &IP, &[0, 0]].concat();
    let cases: Vec<(u32, Vec<u8>)> = vec![
        (1, ethernet(&[8, 0])),
        (1, ethernet(&[0x81, 0, 0, 5, 8, 0])),
        (1, ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0])),
        (1, ethernet(&[0x88, 0x47, 0, 1, 0x01, 64])),
        (1, ethernet(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 32, 0, 0x21])),
        (1, ethernet(&[0x89, 0x26, 0, 0, 0, 1, 8, 0])),
        (1, ethernet(&[0x89, 0x09, 1, 1, 0, 1, 0, 5, 8, 0])),
        (1, ethernet(&[0x89, 0x3f, 0, 0, 0, 1, 0, 0, 8, 0])),
        (1, ethernet(&[&[0x88, 0xa8, 0, 7, 0x88, 0xe7, 0, 0, 0, 5][..], &mac, &[8, 0]].concat())),
        (1, ethernet(&[&[0x89, 0x03, 4, 1][..], &mac, &[8, 0]].concat())),
        (0, with(&[2, 0, 0, 0])),
        (108, with(&[0, 0, 0, 2])),
        (9, with(&[0xff, 3, 0, 0x21])),
        (9, with(&[0x21])),
        (50, with(&[0x0f, 0, 8, 0])),
        (101, IP.to_vec()),
        (12, IP.to_vec()),
        (228, IP.to_vec()),
        (105, with(&[&[0x08, 1][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat())),
        (105, with(&[&[0x88, 1][..], &[0; 22], &[0x80, 0], &mac, &[0, 38, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat())),
        (127, {
            let radiotap = [0, 0, 17, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20];
            with(&[&radiotap[..], &[0x88, 1], &[0; 24], &[0; 2], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat())
        }),
        (113, with(&[0, 4, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0])),
        (276, with(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0])),
        (239, nflog),
        (10, with(&[&[0; 13][..], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat())),
        (100, with(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0])),
        (107, with(&[0x18, 0x41, 3, 0xcc])),
        (109, with(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (117, with(&[&[61, 2][..], &[0; 62]].concat())),
        (192, with(&[0, 0, 8, 0, 101, 0, 0, 0])),
        (197, with(&[&[0; 8][..], &[0x82, 4], &[0; 6], &[0; 8], &[0; 2], &mac, &[8, 0]].concat())),
        (219, with(&[0, 0, 0x11, 64])),
        (240, with(&[&[0; 4][..], &mac, &[8, 0]].concat())),
        (284, with(&[&mac[..], &[0x40, 0, 0, 0, 8, 0]].concat())),
    ];
    for (link, data) in cases {
        let packet = decode(link, &data).unwrap_or_else(|| panic!("link type {link}: {data:02x?}"));
        assert_eq!((packet.src.to_string(), packet.dst.to_string()), ("10.0.0.1".into(), "8.8.8.8".into()), "{link}");
        assert_eq!(payload(&packet), b"hi", "link type {link}");
    }
}

#[test]
fn tunnels_lead_to_the_packet_inside() {
    let outer = |protocol: u8, rest: &[u8]| {
        let total = u16::try_from(20 + rest.len() + IP.len()).unwrap().to_be_bytes();
        let head = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        [&head[..], rest, &IP].concat()
    };
    let udp = |port: u16, rest: &[u8]| {
        let (port, len) = (port.to_be_bytes(), u16::try_from(8 + rest.len() + IP.len()).unwrap().to_be_bytes());
        outer(17, &[&[0x9c, 0x40, port[0], port[1], len[0], len[1], 0, 0][..], rest].concat())
    };
    let ethernet = [&[0; 12][..], &[8, 0]].concat();
    let cases = [
        outer(4, &[]),
        outer(47, &[0, 0, 8, 0]),
        outer(47, &[0x30, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, 2]),
        outer(47, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21]),
        outer(47, &[&[0, 0, 0x65, 0x58][..], &ethernet].concat()),
        outer(47, &[&[0, 0, 0x82, 0x10, 8, 1][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat()),
        outer(97, &[&[0x30, 0][..], &ethernet].concat()),
        outer(137, &[0, 1, 0x11, 64]),
        udp(4790, &[0x0c, 0, 0, 1, 0, 0, 5, 0]),
        udp(6635, &[0, 1, 0x11, 64]),
        udp(4341, &[0; 8]),
        udp(37_008, &[&[1, 0, 0, 1, 10, 1, 0, 1][..], &ethernet].concat()),
        udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet].concat()),
        udp(2152, &[0x30, 0xff, 0, 30, 0, 0, 0, 1]),
        udp(6081, &[0, 0, 8, 0, 0, 0, 1, 0]),
        udp(5072, &[&[0x41, 0x52, 0x11, 4, 0, 0, 0, 0][..], &[0; 36]].concat()),
        udp(1701, &[0x40, 2, 0, 40, 0, 1, 0, 1, 0xff, 3, 0, 0x21]),
    ];
    for data in cases {
        let packet = decode(101, &data).unwrap_or_else(|| panic!("nothing inside {data:02x?}"));
        assert_eq!((packet.src.to_string(), payload(&packet)), ("10.0.0.1".into(), b"hi".to_vec()), "{data:02x?}");
    }
}

#[test]
fn an_nflog_frame_names_its_uid() {
    let data = [&[2u8, 0, 0, 0, 8, 0, 11, 0, 0, 0, 0x27, 0xfa, 34, 0, 9, 0][..], &IP, &[0, 0]].concat();
    let packet = decode(239, &data).unwrap();
    assert_eq!(packet.app.unwrap().uid, Some(10_234));
}

#[test]
fn a_pcapdroid_trailer_names_the_app() {
    let hex = "00000000000000000000000008004500001e00010000401100000a0d7001080808089c400035000a000068690107202100\
               0027fae6b58be8af954170700000000000000000000000f567cb52";
    let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let data: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    assert_eq!(data.len(), 76);
    let packet = decode(1, &data).unwrap();
    let app = packet.app.clone().unwrap();
    assert_eq!((app.uid, app.name.as_deref()), (Some(10_234), Some("测试App")));
    assert_eq!(payload(&packet), b"hi");
}

#[test]
fn a_name_cut_inside_a_character_keeps_its_whole_characters() {
    assert_eq!(super::cut_utf8("一二三四五六七".as_bytes().get(..20).unwrap()), "一二三四五六");
}

#[test]
fn fragments_in_any_order_make_one_datagram() {
    let piece = |offset: u16, more: u16, body: &[u8]| {
        let field = (more << 13 | offset).to_be_bytes();
        let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
        let head = [0x45, 0, total[0], total[1], 0, 7, field[0], field[1], 64, 17, 0, 0, 10, 0, 0, 1, 8, 8, 8, 8];
        [&head[..], body].concat()
    };
    let udp = [0x9c, 0x40, 0, 53, 0, 18, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let (first, second) = (piece(0, 1, &udp[..16]), piece(2, 0, &udp[16..]));
    for order in [[&first, &second], [&second, &first]] {
        let mut decoder = Decoder::default();
        assert!(decoder.decode(&frame(101, order[0]), &mut |_| {}).is_none());
        let packet = decoder.decode(&frame(101, order[1]), &mut |_| {}).unwrap();
        assert_eq!(payload(&packet), (1..=10).collect::<Vec<u8>>());
    }
}

#[test]
fn a_packet_cut_by_the_snap_length_says_what_is_missing() {
    let mut data = [0x45u8, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 8, 8, 8, 8].to_vec();
    data.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    data.extend(b"GET / HTTP");
    let packet = decode(101, &data).unwrap();
    let Transport::Tcp(segment) = packet.transport else { panic!("not TCP") };
    assert_eq!((segment.payload.len(), segment.missing), (10, 10));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(link in 0u32..300, data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut decoder = Decoder::default();
        let first = decoder.decode(&frame(link, &data), &mut |_| {}).is_some();
        let again = Decoder::default().decode(&frame(link, &data), &mut |_| {}).is_some();
        proptest::prop_assert_eq!(first, again);
    }
}

#[test]
fn the_short_way_through_plain_headers_leads_where_the_long_one_does() {
    let mut v6 = vec![0x60, 0, 0, 0, 0, 10, 17, 64];
    v6.extend([0x20; 32]);
    v6.extend(&IP[20..]);
    let (mut short, mut decoder) = (0, Decoder::default());
    for packet in [IP.to_vec(), v6] {
        for at in 0..packet.len().min(41) {
            for byte in 0..=u8::MAX {
                for cut in [0, 1, 5] {
                    let mut bytes = packet[..packet.len() - cut].to_vec();
                    bytes[at.min(packet.len() - cut - 1)] = byte;
                    let Some(datagram) = plain(&bytes) else { continue };
                    let frame = frame(101, &bytes);
                    let place = FramePlace { frame: &frame, app: None };
                    let long = decoder.any_datagram(&place, &bytes, &mut |weird| panic!("{weird:?} in {bytes:02x?}"));
                    assert_eq!(Some(datagram), long, "{bytes:02x?}");
                    short += 1;
                }
            }
        }
    }
    assert!(short > 10_000, "{short}");
}
