//! Traffic that is not HTTP: its bytes are searched all the same, and only clear text counts as readable.

use crate::run::{Folder, address, divulge, ndjson, report, status, stderr};
use crate::support::file::{Resolution, pcap};
use crate::support::link::Link;
use crate::support::packet::{Packet, datagram};
use crate::support::tcp::Connection;
use crate::support::{MS, Order, Way};
use serde_json::Value;

const AT: i64 = 1_697_076_000_000_000_000;
const IMEI: &str = "861536030196001";
const PROFILE: &str = "imei = \"861536030196001\"\nandroid_id = \"9774d56d682e549c\"\n";

/// What is seen of a device in these packets: observations, and the report.
fn replay(packets: &[Packet]) -> (Vec<Value>, Value) {
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", packets));
    let profile = folder.file("device.toml", PROFILE.as_bytes());
    let run = |args: &[&str]| {
        let all = [&["replay", &capture, "--profile", &profile, "--tui", "never"], args].concat();
        let output = divulge(&all);
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        output
    };
    let seen = ndjson(&run(&["--emit", "observations", "--format", "ndjson", "--show-values"]));
    (seen, report(&run(&["--format", "json"])))
}

fn conversation(turns: &[(Way, &[u8])]) -> Vec<Packet> {
    let mut connection = Connection::open(address("10.0.0.2:40100"), address("203.0.113.9:1883"), None, AT);
    for &(way, bytes) in turns {
        connection.send(way, bytes);
        connection.wait(20 * MS);
    }
    connection.close()
}

fn found(seen: &[Value]) -> Vec<(&str, &str, &str)> {
    let text = |value: &Value| -> &str { Box::leak(value.as_str().unwrap_or("-").to_owned().into_boxed_str()) };
    seen.iter().map(|one| (text(&one["data_type"]), text(&one["value"]), text(&one["where"]["part"]))).collect()
}

#[test]
fn a_value_in_a_binary_protocol_is_found_and_the_flow_stays_unreadable() {
    let message =
        [b"\x10\x8a\x01\x00\x04MQTT\x04\xc2\x00\x3c\x00\x0f".as_slice(), IMEI.as_bytes(), &[0xf7; 90]].concat();
    let (seen, report) = replay(&conversation(&[(Way::ToServer, &message), (Way::ToClient, b"\x20\x02\x00\x00")]));
    assert_eq!(found(&seen), [("imei", IMEI, "stream")]);
    assert_eq!(report["coverage"]["flows"], 1);
    assert_eq!(report["coverage"]["readable_flows"], 0);
    assert_eq!(report["hosts"][0]["opaque_reason"], "unknown_protocol");
}

#[test]
fn a_text_protocol_of_no_known_kind_counts_as_readable() {
    let turns: [(Way, &[u8]); 3] = [
        (Way::ToClient, b"* HELLO relay.example ready\r\n"),
        (Way::ToServer, b"REGISTER android_id=9774d56d682e549c channel=huawei\r\n"),
        (Way::ToClient, b"* OK registered\r\n"),
    ];
    let (seen, report) = replay(&conversation(&turns));
    assert!(found(&seen).contains(&("android_id", "9774d56d682e549c", "stream")), "{seen:?}");
    assert_eq!(report["coverage"]["readable_flows"], 1);
}

#[test]
fn bytes_between_messages_are_searched_and_belong_to_the_host_asked_last() {
    let asked = b"GET / HTTP/1.1\r\nHost: api.lvtu.example\r\n\r\n".as_slice();
    let (head, tail) = IMEI.split_at(7);
    let garbage = format!("\u{1}\u{2}no message\nsn={head}");
    let turns: [(Way, &[u8]); 5] = [
        (Way::ToServer, asked),
        (Way::ToClient, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (Way::ToServer, garbage.as_bytes()),
        (Way::ToServer, tail.as_bytes()),
        (Way::ToServer, &[b"\n", asked].concat()),
    ];
    let (seen, report) = replay(&conversation(&turns));
    assert_eq!(found(&seen), [("imei", IMEI, "stream")]);
    assert_eq!(seen[0]["host"], "api.lvtu.example", "{}", seen[0]);
    assert_eq!(report["hosts"][0]["opaque_reason"], "truncated");
}

#[test]
fn names_of_algorithms_in_ssh_are_no_addresses() {
    let names = b"\0\0\x01\x2c\x07\x14aes128-gcm@openssh.com,chacha20-poly1305@openssh.com".as_slice();
    let turns = [
        (Way::ToServer, b"SSH-2.0-dropbear_2020.81\r\n".as_slice()),
        (Way::ToClient, b"SSH-2.0-OpenSSH_9.2\r\n"),
        (Way::ToServer, names),
    ];
    let (seen, report) = replay(&conversation(&turns));
    assert_eq!(found(&seen), []);
    assert_eq!(report["coverage"]["readable_flows"], 0);
}

#[test]
fn what_only_looked_like_the_handshake_of_a_proxy_is_searched() {
    let login = format!("\0\x0e{IMEI}\0");
    let turns: [(Way, &[u8]); 3] =
        [(Way::ToServer, b"\x05\x01\0"), (Way::ToServer, login.as_bytes()), (Way::ToClient, b"\x07\x07\x07")];
    let (seen, _) = replay(&conversation(&turns));
    assert_eq!(found(&seen), [("imei", IMEI, "stream")]);
}

#[test]
fn a_value_cut_by_packets_is_found_whole() {
    let (head, tail) = IMEI.as_bytes().split_at(7);
    let padding = vec![0x80; 20_000];
    let first = [&padding, head].concat();
    let (seen, _) = replay(&conversation(&[(Way::ToServer, &first), (Way::ToServer, &[tail, b"\x00\x01"].concat())]));
    assert_eq!(found(&seen), [("imei", IMEI, "stream")]);
}

#[test]
fn a_datagram_of_no_known_protocol_is_searched() {
    let payload = [b"\x05\x00\x19{\"imei\":\"".as_slice(), IMEI.as_bytes(), b"\"}"].concat();
    let ip = datagram(address("10.0.0.2:40100"), address("203.0.113.9:8000"), &payload);
    let packet = Packet { ts: AT, ip, uid: None, way: Way::ToServer };
    let (seen, _) = replay(&[packet]);
    assert_eq!(found(&seen), [("imei", IMEI, "stream")]);
}

#[test]
fn what_a_server_sends_is_no_flow_to_it() {
    let turns: [(Way, &[u8]); 2] = [(Way::ToServer, b"\x01\x02\x03"), (Way::ToClient, IMEI.as_bytes())];
    assert_eq!(found(&replay(&conversation(&turns)).0), []);
}
