//! What hosts are called, and what told their names.

use crate::run::{Folder, address, divulge, ndjson, report, status, stderr};
use crate::support::file::{Resolution, pcap};
use crate::support::link::Link;
use crate::support::packet::{Packet, datagram};
use crate::support::tcp::Connection;
use crate::support::tls::{Authority, Session};
use crate::support::{MS, Order, Way};
use serde_json::Value;

const AT: i64 = 1_697_076_000_000_000_000;

fn run(packets: &[Packet], args: &[&str]) -> std::process::Output {
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", packets));
    let output = divulge(&[&["replay", &capture, "--tui", "never"], args].concat());
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    output
}

fn udp(at: i64, from: &str, to: &str, payload: &[u8]) -> Packet {
    Packet { ts: at, ip: datagram(address(from), address(to), payload), uid: None, way: Way::ToServer }
}

/// The answer that `www.<label>.example`, over an alias, is at 203.0.113.9.
fn answer(label: &str) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www".to_vec();
    bytes.push(u8::try_from(label.len()).expect("short"));
    bytes.extend_from_slice(label.as_bytes());
    bytes.extend_from_slice(b"\x07example\0\0\x01\0\x01\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0");
    let alias = bytes.len() - 5;
    bytes.push(u8::try_from(16 + label.len() + 1).expect("short"));
    bytes.extend_from_slice(&[0xc0, u8::try_from(alias).expect("short")]);
    bytes.extend_from_slice(b"\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71\x09");
    bytes
}

#[test]
fn a_host_is_called_by_the_surest_name_and_its_source_is_told() {
    let mut packets = Vec::new();
    let mut clear = Connection::open(address("10.0.0.2:40100"), address("203.0.113.1:80"), None, AT);
    clear.send(Way::ToServer, b"GET / HTTP/1.1\r\nHost: web.lvtu.example\r\n\r\n");
    packets.extend(clear.close());
    let mut closed = Connection::open(address("10.0.0.2:40101"), address("203.0.113.2:443"), None, AT);
    Session::open(&Authority::new(), "closed.lvtu.example", 0, &mut closed);
    packets.extend(closed.close());
    // One address has two names, one after the other.
    for (at, port, label) in [(AT + 1_000 * MS, 40_102, "first"), (AT + 9_000 * MS, 40_103, "second")] {
        packets.push(udp(at, "8.8.8.8:53", "10.0.0.2:5301", &answer(label)));
        let client = format!("10.0.0.2:{port}");
        let mut named = Connection::open(address(&client), address("203.0.113.9:7000"), None, at + 10 * MS);
        named.send(Way::ToServer, b"\x01\x02\x03\x04\x05\x06\x07\x08");
        packets.extend(named.close());
    }
    let mut bare = Connection::open(address("10.0.0.2:40104"), address("203.0.113.5:7000"), None, AT + 20_000 * MS);
    bare.send(Way::ToServer, b"\x01\x02\x03\x04\x05\x06\x07\x08");
    packets.extend(bare.close());
    packets.sort_by_key(|packet| packet.ts);
    let report = report(&run(&packets, &["--format", "json"]));
    let hosts: Vec<_> =
        report["hosts"].as_array().expect("hosts").iter().map(|one| (&one["host"], &one["named_by"])).collect();
    let text =
        |(host, by): &(&Value, &Value)| format!("{} {}", host.as_str().unwrap_or("-"), by.as_str().unwrap_or("-"));
    let mut named: Vec<String> = hosts.iter().map(text).filter(|line| !line.starts_with("8.8.8.8")).collect();
    named.sort();
    assert_eq!(
        named,
        [
            "203.0.113.5 address",
            "closed.lvtu.example sni",
            "web.lvtu.example http",
            "www.first.example dns",
            "www.second.example dns",
        ]
    );
}

#[test]
fn names_of_the_local_network_are_told_and_count_as_read() {
    let announced = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x07Pixel-7\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\xa8\x01\x07";
    let asked = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x07wanghpc\0\0\x01\0\x01";
    let packets = [
        udp(AT, "192.168.1.7:5353", "224.0.0.251:5353", announced),
        udp(AT + MS, "192.168.1.7:5353", "224.0.0.251:5353", announced),
        udp(AT + 2 * MS, "192.168.1.7:50000", "224.0.0.252:5355", asked),
    ];
    let names = ndjson(&run(&packets, &["--emit", "dns", "--format", "ndjson"]));
    let told: Vec<_> = names.iter().map(|one| (one["name"].as_str(), one["protocol"].as_str())).collect();
    assert_eq!(told[0], (Some("Pixel-7.local"), Some("mdns")));
    assert_eq!(told.last(), Some(&(Some("wanghpc"), Some("llmnr"))));
    let report = report(&run(&packets, &["--format", "json"]));
    assert_eq!(report["coverage"]["readable_bytes"], report["coverage"]["bytes"]);
}
