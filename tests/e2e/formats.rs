//! Reading: one conversation, written in every file format and link type, must give the same packets.

use crate::support::file::{PcapNg, Resolution, pcap};
use crate::support::http::{Turn, clear_text, get, ok, over_tls};
use crate::support::link::Link;
use crate::support::packet::{Packet, fragments, with_extension_headers};
use crate::support::tls::{Authority, SUITES};
use crate::support::{MS, Order};
use divulge::capture::{Capture, Input};
use divulge::model::{App, CaptureItem, Transport};
use divulge::packet::Decoder;
use std::io::Write as _;
use std::net::IpAddr;

const AT: i64 = 1_697_076_000_123_456_000;
const UID: i32 = 10_231;

/// Time, addresses, sequence number and payload of a TCP segment.
type Segment = (i64, IpAddr, IpAddr, u32, Vec<u8>);

#[test]
fn every_link_type_of_a_pcap_gives_the_same_segments() {
    let packets = conversation(Family::V4);
    for &link in Link::FOR_IPV4 {
        for order in [Order::Little, Order::Big] {
            for resolution in [Resolution::Micros, Resolution::Nanos] {
                let file = pcap(order, resolution, link, "绿途", &packets);
                assert_eq!(segments(&file), expected(&packets), "{link:?} {order:?} {resolution:?}");
            }
        }
    }
    let packets = conversation(Family::V6);
    for &link in Link::FOR_IPV4.iter().filter(|link| **link != Link::Ipv4).chain(&[Link::Ipv6]) {
        let file = pcap(Order::Little, Resolution::Micros, link, "绿途", &packets);
        assert_eq!(segments(&file), expected(&packets), "{link:?} over IPv6");
    }
}

#[test]
fn pcapng_sections_and_interfaces_keep_their_own_order_and_clock() {
    let packets = conversation(Family::V4);
    let mut file = PcapNg::new(Order::Little);
    let micros = file.interface(Link::Raw, None);
    let nanos = file.interface(Link::Sll2, Some(9));
    file.unknown_block();
    for (index, packet) in packets.iter().enumerate() {
        if index == packets.len() / 2 {
            file.section(Order::Big);
            file.interface(Link::Nflog, Some(6));
            file.interface(Link::Ethernet, Some(9));
        }
        file.packet(if index % 2 == 0 { micros } else { nanos }, packet);
    }
    assert_eq!(segments(&file.into_bytes()), expected(&packets));

    let mut coarse = PcapNg::new(Order::Big);
    let millis = coarse.interface(Link::Ethernet, Some(3));
    coarse.packet(millis, &packets[0]);
    assert_eq!(segments(&coarse.into_bytes())[0].0, AT / MS * MS);
}

#[test]
fn a_capture_names_the_app_in_each_of_its_ways() {
    let packets = conversation(Family::V4);
    let trailer = pcap(Order::Little, Resolution::Micros, Link::Pcapdroid, "绿途出行", &packets);
    assert_eq!(apps(&trailer), [(Some(UID), None, Some("绿途出行".to_owned()))]);

    // Twenty bytes hold six and two thirds of these characters.
    let cut = pcap(Order::Little, Resolution::Micros, Link::Pcapdroid, "绿途出行旅行助手", &packets);
    assert_eq!(apps(&cut), [(Some(UID), None, Some("绿途出行旅行".to_owned()))]);

    let nflog = pcap(Order::Little, Resolution::Micros, Link::Nflog, "", &packets);
    assert_eq!(apps(&nflog), [(Some(UID), None, None)]);

    for order in [Order::Little, Order::Big] {
        let mut file = PcapNg::new(order);
        let interface = file.interface(Link::Raw, None);
        file.uid_map(UID, "com.example.lvtu", "绿途出行");
        packets.iter().for_each(|packet| file.packet(interface, packet));
        let named = (Some(UID), Some("com.example.lvtu".to_owned()), Some("绿途出行".to_owned()));
        assert_eq!(apps(&file.into_bytes()), [named], "{order:?}");
    }
}

#[test]
fn key_logs_are_found_wherever_they_stand() {
    let authority = Authority::new();
    let ends = ("10.0.0.2:40000".parse().expect("an address"), "203.0.113.9:443".parse().expect("an address"));
    for suite in 0..SUITES.len() {
        let (packets, keys) = over_tls(&authority, ("api.lvtu.example", suite), ends, None, AT, &turns());
        let mut file = PcapNg::new(Order::Big);
        let interface = file.interface(Link::Raw, None);
        let lines: Vec<&str> = keys.split_inclusive('\n').collect();
        file.secrets(lines[0]);
        packets.iter().for_each(|packet| file.packet(interface, packet));
        file.secrets(&lines[1..].concat());
        let mut capture = open(&file.into_bytes());
        assert_eq!(capture.look_ahead().secrets.concat(), keys.as_bytes());
        let first = if suite < 3 { "CLIENT_HANDSHAKE_TRAFFIC_SECRET " } else { "CLIENT_RANDOM " };
        assert!(keys.starts_with(first), "{keys}");
    }
}

#[test]
fn fragments_and_extension_headers_are_undone() {
    let whole = conversation(Family::V4);
    let mut cut = Vec::new();
    for (id, packet) in whole.iter().enumerate() {
        let mut parts = fragments(packet, 24, u16::try_from(id).expect("a few packets"));
        parts.reverse();
        cut.extend(parts);
    }
    assert!(cut.len() > whole.len());
    assert_eq!(segments(&pcap(Order::Little, Resolution::Nanos, Link::Raw, "", &cut)), expected(&whole));

    let whole = conversation(Family::V6);
    let extended: Vec<Packet> = whole.iter().map(with_extension_headers).collect();
    assert_eq!(segments(&pcap(Order::Little, Resolution::Nanos, Link::Raw, "", &extended)), expected(&whole));
}

enum Family {
    V4,
    V6,
}

fn conversation(family: Family) -> Vec<Packet> {
    let (client, server) = match family {
        Family::V4 => ("10.0.0.2:40000", "203.0.113.9:80"),
        Family::V6 => ("[2001:db8::2]:40000", "[2001:db8::9]:80"),
    };
    let address = |text: &str| text.parse().expect("an address");
    clear_text(address(client), address(server), Some(UID), AT, &turns())
}

fn turns() -> [Turn; 1] {
    [Turn { request: get("api.lvtu.example", "/v1/ping?n=1", &[]), response: ok(r#"{"pong":1}"#) }]
}

fn open(file: &[u8]) -> Capture {
    let mut written = tempfile::NamedTempFile::new().expect("a temporary file");
    written.write_all(file).expect("room for a capture");
    Capture::open(&Input::File(written.path().to_owned())).expect("a capture")
}

fn each_packet(file: &[u8], mut visit: impl FnMut(&divulge::model::Packet<'_>)) {
    let (mut capture, mut decoder) = (open(file), Decoder::default());
    while let Some(item) = capture.next_item().expect("a readable file") {
        match item {
            CaptureItem::Frames(batch) => {
                for frame in batch.iter() {
                    let packet = decoder.decode(&frame, &mut |weird| panic!("{weird:?}"));
                    packet.iter().for_each(&mut visit);
                }
            }
            CaptureItem::Note(_) | CaptureItem::Pause => {}
            CaptureItem::Exchanges(_) | CaptureItem::Secrets(..) | CaptureItem::Mark(_) | CaptureItem::Incident(_) => {}
            CaptureItem::Warning(text) => panic!("{text}"),
        }
    }
}

fn segments(file: &[u8]) -> Vec<Segment> {
    let mut out = Vec::new();
    each_packet(file, |packet| match &packet.transport {
        Transport::Tcp(tcp) => out.push((packet.ts.nanos(), packet.src, packet.dst, tcp.seq, tcp.payload.to_vec())),
        other => panic!("{other:?}"),
    });
    out
}

fn expected(packets: &[Packet]) -> Vec<Segment> {
    let one = |packet: &Packet| {
        let ip = &packet.ip;
        let (src, dst, tcp) = if ip[0] >> 4 == 4 {
            let at = |from: usize| IpAddr::from(<[u8; 4]>::try_from(&ip[from..from + 4]).expect("four bytes"));
            (at(12), at(16), &ip[20..])
        } else {
            let at = |from: usize| IpAddr::from(<[u8; 16]>::try_from(&ip[from..from + 16]).expect("sixteen bytes"));
            (at(8), at(24), &ip[40..])
        };
        (packet.ts, src, dst, u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]), tcp[20..].to_vec())
    };
    packets.iter().map(one).collect()
}

fn apps(file: &[u8]) -> Vec<(Option<i32>, Option<String>, Option<String>)> {
    let mut out = Vec::new();
    let text = |part: &Option<std::sync::Arc<str>>| part.as_deref().map(str::to_owned);
    each_packet(file, |packet| {
        let app: &App = packet.app.as_deref().expect("an app");
        out.push((app.uid, text(&app.package), text(&app.name)));
    });
    out.dedup();
    out
}
