//! HTTP/2 from the wire to what is found in it: over TLS, after an upgrade, in the middle of a connection, and what its
//! streams carry besides requests.

use crate::run::{Folder, address, divulge, ndjson, status, stderr, summary};
use crate::support::file::{Resolution, pcap};
use crate::support::http2::{Last, data, headers, preface, request, settings};
use crate::support::link::Link;
use crate::support::packet::Packet;
use crate::support::tcp::Connection;
use crate::support::tls::{Authority, Session};
use crate::support::{MS, Order, Way};
use serde_json::Value;

const AT: i64 = 1_697_076_000_000_000_000;
const IMEI: &str = "861536030196001";
const OK: [(&str, &str); 1] = [(":status", "200")];

type Turn = (Way, Vec<u8>);

fn up(parts: &[Vec<u8>]) -> Turn {
    (Way::ToServer, parts.concat())
}

fn down(parts: &[Vec<u8>]) -> Turn {
    (Way::ToClient, parts.concat())
}

fn connection() -> Connection {
    Connection::open(address("10.0.0.2:40100"), address("203.0.113.9:8080"), None, AT)
}

fn clear(turns: &[Turn]) -> Vec<Packet> {
    let mut connection = connection();
    for (way, bytes) in turns {
        connection.send(*way, bytes);
        connection.wait(20 * MS);
    }
    connection.close()
}

/// The lines of a kind that a replay of these packets gives.
fn lines(packets: &[Packet], keys: &str, emit: &str) -> Vec<Value> {
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", packets));
    let profile = folder.file("device.toml", format!("imei = \"{IMEI}\"\n").as_bytes());
    let keys = folder.file("a.keys", keys.as_bytes());
    let args = ["replay", &capture, "--profile", &profile, "--keys", &keys, "--emit", emit, "--format", "ndjson"];
    let output = divulge(&args);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    ndjson(&output)
}

/// `exchange part pointer` of each observation.
fn found(packets: &[Packet], keys: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let seen = lines(packets, keys, "observations");
    let one = |one: &Value| [&one["exchange"], &one["where"]["part"], &one["where"]["pointer"]].map(text).join(" ");
    seen.iter().map(one).collect()
}

fn protocols(exchanges: &[Value]) -> Vec<&str> {
    exchanges.iter().filter_map(|exchange| exchange["protocol"].as_str()).collect()
}

#[test]
fn streams_inside_tls_are_searched_and_told_apart() {
    let body = format!(r#"{{"device":{{"imei":"{IMEI}"}}}}"#);
    let json = [("content-type", "application/json")];
    let turns = [
        up(&[preface(), request(1, Last::No, "POST", "/log", &json), request(3, Last::Yes, "GET", "/ad", &[])]),
        down(&[settings(), headers(3, Last::No, &OK), data(3, Last::Yes, b"ad")]),
        up(&[data(1, Last::No, &body.as_bytes()[..9]), data(1, Last::Yes, &body.as_bytes()[9..])]),
        down(&[headers(1, Last::Yes, &[(":status", "204")])]),
    ];
    let mut connection = connection();
    let mut session = Session::open(&Authority::new(), "a.example", 0, &mut connection);
    for (way, bytes) in turns {
        session.send(way, &bytes, &mut connection);
    }
    session.close(&mut connection);
    let (keys, packets) = (session.key_log(), connection.close());
    let exchanges = lines(&packets, &keys, "exchanges");
    assert_eq!(summary(&exchanges), ["GET a.example /ad 200", "POST a.example /log 204"]);
    assert_eq!(protocols(&exchanges), ["h2", "h2"]);
    assert_eq!(exchanges[1]["request"]["body"]["bytes"], body.len());
    assert_eq!(found(&packets, &keys), ["1.0 body $.device.imei"]);
}

#[test]
fn an_upgraded_connection_is_one_request_of_each_protocol() {
    let ask = format!(
        "GET /first?imei={IMEI} HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    );
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let packets = clear(&[
        up(&[ask.into()]),
        down(&[answer.into(), settings(), headers(1, Last::No, &OK), data(1, Last::Yes, b"one")]),
        up(&[preface(), request(3, Last::Yes, "GET", "/second", &[])]),
        down(&[headers(3, Last::Yes, &[(":status", "404")])]),
    ]);
    let exchanges = lines(&packets, "", "exchanges");
    let first = format!("GET a.example /first?imei={IMEI} 200");
    assert_eq!(summary(&exchanges), [first.as_str(), "GET a.example /second 404"]);
    assert_eq!(protocols(&exchanges), ["http/1.1", "h2"]);
    assert_eq!(exchanges[0]["response"]["body"]["bytes"], 3);
    assert_eq!(found(&packets, "").len(), 1);
}

#[test]
fn messages_of_a_call_that_never_ends_are_searched_once_each() {
    let message = |text: &str| [&[0, 0, 0, 0, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let field = format!("\x0a\x0f{IMEI}");
    let call = [("content-type", "application/grpc"), ("x-imei", IMEI)];
    let packets = clear(&[
        up(&[preface(), request(1, Last::No, "POST", "/s.S/Chat", &call), data(1, Last::No, &message("\x08\x01"))]),
        down(&[settings(), headers(1, Last::No, &OK)]),
        up(&[data(1, Last::No, &message(&field)), data(1, Last::No, &message(&field)[..9])]),
        up(&[data(1, Last::No, &message(&field)[9..])]),
    ]);
    let exchanges = lines(&packets, "", "exchanges");
    assert_eq!(summary(&exchanges), ["POST a.example /s.S/Chat 200"]);
    assert_eq!(protocols(&exchanges), ["grpc"]);
    let parts: Vec<String> =
        found(&packets, "").iter().map(|one| one.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(parts, ["1.0 header", "1.0 body", "1.0 body"]);
}

#[test]
fn a_tunnel_and_a_web_socket_inside_a_connection_are_read() {
    let connect = [(":method", "CONNECT"), (":authority", "b.example:80")];
    let socket = [(":protocol", "websocket"), ("sec-websocket-version", "13")];
    let get = format!("GET /x?imei={IMEI} HTTP/1.1\r\nHost: b.example\r\n\r\n");
    let text = [&[0x81, 0x80 | 15, 0, 0, 0, 0][..], IMEI.as_bytes()].concat();
    let packets = clear(&[
        up(&[preface(), headers(1, Last::No, &connect), request(3, Last::No, "CONNECT", "/chat", &socket)]),
        down(&[settings(), headers(1, Last::No, &OK), headers(3, Last::No, &OK)]),
        up(&[data(1, Last::No, get.as_bytes()), request(5, Last::Yes, "GET", "/plain", &[]), data(3, Last::No, &text)]),
        down(&[data(1, Last::No, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), headers(5, Last::Yes, &OK)]),
    ]);
    let mut exchanges = lines(&packets, "", "exchanges");
    exchanges.sort_by_key(|exchange| exchange["id"].as_str().map(str::to_owned));
    assert_eq!(
        summary(&exchanges),
        [
            "CONNECT b.example:80 b.example:80 200",
            "CONNECT a.example /chat 200",
            "GET a.example /plain 200",
            "null a.example /chat null",
            &format!("GET b.example /x?imei={IMEI} 200"),
        ]
    );
    assert_eq!(protocols(&exchanges), ["h2", "h2", "h2", "websocket", "http/1.1"]);
    assert_eq!(found(&packets, "").len(), 2);
}

#[test]
fn a_connection_whose_start_was_not_captured_is_read() {
    let packets = clear(&[
        up(&[request(7, Last::No, "POST", "/log", &[]), data(7, Last::Yes, format!("imei={IMEI}").as_bytes())]),
        down(&[headers(7, Last::Yes, &OK)]),
    ]);
    // Neither the handshake nor what came before is there.
    let exchanges = lines(&packets[3..], "", "exchanges");
    assert_eq!(summary(&exchanges), ["POST a.example /log 200"]);
    assert_eq!(found(&packets[3..], "").len(), 1);
}
