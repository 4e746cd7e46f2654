//! What streams give for the conversations of HTTP/2 and HTTP/3.

use super::Role::{Request, Response};
use super::{FieldSection, STREAMS_MAX, Streams};
use crate::http::{Context, Digests, HeldChunk, Output, Tunnelled};
use crate::model::{Body, Direction, Exchange, FlowId, Protocol, Timestamp};

fn streams() -> Streams {
    let client = ([10, 0, 0, 1], 40_000).into();
    let server = ([10, 0, 0, 2], 443).into();
    Streams::new(
        Context { flow: FlowId(3), client, server, app: None, tls: None, digests: Digests::Wanted },
        Protocol::H2,
        5,
    )
}

fn section(fields: &[(&str, &str)]) -> FieldSection {
    let mut section = FieldSection::default();
    for (name, value) in fields {
        section.push(name.as_bytes(), value.as_bytes());
    }
    section
}

fn get(path: &str) -> FieldSection {
    section(&[(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", path)])
}

fn call(path: &str) -> FieldSection {
    let fields = [(":method", "POST"), (":authority", "a.example"), (":path", path), ("x-device", "1")];
    section(&[&fields[..], &[("content-type", "application/grpc")]].concat())
}

fn status(code: &str) -> FieldSection {
    section(&[(":status", code)])
}

const TS: Timestamp = Timestamp::from_nanos(1);

fn line(exchange: &Exchange) -> String {
    let body =
        |body: &Body| format!("[{}{}]", String::from_utf8_lossy(&body.data), if body.complete { "" } else { "…" });
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let authority = request.authority.as_deref().unwrap_or("-");
        let names: Vec<_> = request.headers.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        let (target, body) = (request.target_text(), body(&request.body));
        format!("{} {target} {authority} {} {body}", request.method, names.join(","))
    });
    let response = exchange.response.as_ref();
    let response = response.map_or("-".to_owned(), |response| format!("{} {}", response.status, body(&response.body)));
    format!("{} {request} -> {response}", exchange.id.index)
}

fn lines(exchanges: &[Exchange]) -> Vec<String> {
    exchanges.iter().map(line).collect()
}

#[test]
fn interleaved_streams_are_told_apart() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, section(&[(":method", "POST"), (":path", "/1"), ("host", "h")]), TS, &mut out);
    streams.fields(3, Request, get("/3"), TS, &mut out);
    streams.end(3, Request, &mut out);
    streams.data(1, Request, b"ab", TS, &mut out);
    streams.fields(3, Response, status("103"), TS, &mut out);
    streams.fields(3, Response, status("200"), TS, &mut out);
    streams.data(1, Request, b"c", TS, &mut out);
    streams.fields(1, Request, section(&[("x-sum", "9")]), TS, &mut out);
    streams.end(1, Request, &mut out);
    assert_eq!(lines(&out.asked), ["6 GET /3 a.example  [] -> -", "5 POST /1 h host,x-sum [abc] -> -"]);
    streams.data(3, Response, b"ok", TS, &mut out);
    streams.end(3, Response, &mut out);
    streams.finish(&mut out);
    let expected = ["6 GET /3 a.example  [] -> 200 [ok]", "5 POST /1 h host,x-sum [abc] -> -"];
    assert_eq!(lines(&out.exchanges), expected);
    assert_eq!(out.exchanges[0].protocol, Protocol::H2);
}

#[test]
fn a_reset_gives_what_came() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, get("/1"), TS, &mut out);
    streams.data(1, Request, b"ab", TS, &mut out);
    streams.reset(1, &mut out);
    streams.data(1, Request, b"late", TS, &mut out);
    streams.fields(1, Response, status("200"), TS, &mut out);
    streams.finish(&mut out);
    assert_eq!(lines(&out.asked), ["5 GET /1 a.example  [ab…] -> -"]);
    assert_eq!(lines(&out.exchanges), ["5 GET /1 a.example  [ab…] -> -"]);
}

#[test]
fn bytes_without_their_head_are_no_request_that_was_made_up() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.data(7, Request, b"tail", TS, &mut out);
    streams.end(7, Request, &mut out);
    streams.data(5, Response, b"tail", TS, &mut out);
    streams.end(5, Response, &mut out);
    streams.fields(9, Response, status("200"), TS, &mut out);
    streams.finish(&mut out);
    assert_eq!(lines(&out.asked), ["5   -  [tail…] -> -"]);
    assert_eq!(lines(&out.exchanges), ["5   -  [tail…] -> -", "7 - -> 200 […]"]);
}

#[test]
fn a_promise_is_an_exchange_without_a_request() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.promise(2, TS);
    streams.fields(2, Response, status("200"), TS, &mut out);
    streams.data(2, Response, b"css", TS, &mut out);
    streams.end(2, Response, &mut out);
    assert_eq!(lines(&out.exchanges), ["5 - -> 200 [css]"]);
    assert!(out.asked.is_empty());
}

#[test]
fn a_grpc_call_is_one_exchange_and_its_messages_are_asked_at_once() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, call("/s.S/M"), TS, &mut out);
    streams.data(1, Request, b"\0\0\0\0\x01a\0\0\0", TS, &mut out);
    assert_eq!(lines(&out.asked), ["5 POST /s.S/M a.example x-device,content-type [\0\0\0\0\x01a] -> -"]);
    streams.data(1, Request, b"\0\x02bc\0", TS, &mut out);
    streams.end(1, Request, &mut out);
    assert_eq!(
        lines(&out.asked[1..]),
        [
            "5 POST /s.S/M a.example content-type [\0\0\0\0\x02bc] -> -",
            "5 POST /s.S/M a.example content-type [\0…] -> -"
        ]
    );
    streams.fields(1, Response, status("200"), TS, &mut out);
    streams.fields(1, Response, section(&[("grpc-status", "0")]), TS, &mut out);
    streams.end(1, Response, &mut out);
    assert_eq!((out.asked.len(), out.exchanges.len()), (3, 1));
    let exchange = &out.exchanges[0];
    assert_eq!(exchange.protocol, Protocol::Grpc);
    assert_eq!(exchange.request.as_ref().map(|request| request.body.bytes), Some(14));
    assert_eq!(exchange.response.as_ref().and_then(|response| response.headers.get("grpc-status")), Some(&b"0"[..]));
}

#[test]
fn a_grpc_call_without_a_whole_message_is_asked_when_it_ends() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, call("/s.S/M"), TS, &mut out);
    streams.data(1, Request, b"\0\0", TS, &mut out);
    streams.finish(&mut out);
    assert_eq!(lines(&out.asked), ["5 POST /s.S/M a.example x-device,content-type [\0\0…] -> -"]);
    assert_eq!(lines(&out.exchanges), lines(&out.asked));
}

#[test]
fn streams_that_never_end_stay_below_their_cap() {
    let (mut streams, mut out) = (streams(), Output::default());
    for id in 0..3_000 {
        streams.fields(id * 2 + 1, Request, get("/"), TS, &mut out);
    }
    assert_eq!(out.exchanges.len(), 3_000 - STREAMS_MAX);
    assert_eq!(out.weirds.len(), 1);
    streams.finish(&mut out);
    assert_eq!((out.asked.len(), out.exchanges.len()), (3_000, 3_000));
}

#[test]
fn bodies_that_wait_stay_below_their_cap() {
    let (mut streams, mut out) = (streams(), Output::default());
    let megabyte = vec![7; 1 << 20];
    for id in 0..10 {
        streams.fields(id, Request, get("/"), TS, &mut out);
        for _ in 0..12 {
            streams.data(id, Request, &megabyte, TS, &mut out);
        }
    }
    assert!(!out.exchanges.is_empty() && streams.kept <= super::STREAM_BYTES_MAX);
    streams.finish(&mut out);
    assert_eq!(streams.kept, 0);
    assert_eq!(out.exchanges.len(), 10);
}

fn connect(protocol: Option<&str>) -> FieldSection {
    let mut head = section(&[(":method", "CONNECT"), (":authority", "a.example:443")]);
    if let Some(protocol) = protocol {
        for (name, value) in [(":protocol", protocol), (":scheme", "https"), (":path", "/chat")] {
            head.push(name.as_bytes(), value.as_bytes());
        }
    }
    head
}

#[test]
fn an_extended_connect_carries_web_socket_messages() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, connect(Some("websocket")), TS, &mut out);
    assert_eq!(lines(&out.asked), ["5 CONNECT /chat a.example:443  [] -> -"]);
    streams.fields(1, Response, status("200"), TS, &mut out);
    assert_eq!(lines(&out.exchanges), ["5 CONNECT /chat a.example:443  [] -> 200 []"]);
    streams.fields(3, Request, get("/3"), TS, &mut out);
    streams.data(1, Request, b"\x81\x85\0\0\0\0he", TS, &mut out);
    streams.data(1, Request, b"llo", TS, &mut out);
    streams.data(1, Response, b"\x81\x02yo", TS, &mut out);
    streams.end(1, Request, &mut out);
    streams.finish(&mut out);
    assert_eq!(
        lines(&out.exchanges[1..]),
        [
            "7  /chat a.example:443  [hello] -> -",
            "8  /chat a.example:443  […] -> 0 [yo]",
            "6 GET /3 a.example  […] -> -"
        ]
    );
    assert_eq!(out.exchanges[1].protocol, Protocol::WebSocket);
    assert_eq!(lines(&out.asked)[1], lines(&out.exchanges)[1]);
}

#[test]
fn the_bytes_of_a_tunnel_are_handed_on() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, connect(None), TS, &mut out);
    streams.data(1, Request, b"early", TS, &mut out);
    streams.fields(1, Response, status("200"), TS, &mut out);
    streams.lost_bytes(1, Response, 4);
    streams.data(1, Response, b"answer", TS, &mut out);
    streams.end(1, Response, &mut out);
    streams.reset(1, &mut out);
    assert_eq!(lines(&out.exchanges), ["5 CONNECT a.example:443 a.example:443  [] -> 200 []"]);
    let chunk =
        |direction, gap, bytes: &[u8]| Tunnelled::Chunk(1, HeldChunk { direction, ts: TS, gap, bytes: bytes.to_vec() });
    assert_eq!(
        out.tunnelled,
        [
            chunk(Direction::ToServer, 0, b"early"),
            chunk(Direction::ToClient, 4, b"answer"),
            Tunnelled::Closed(1, Direction::ToClient, TS),
            Tunnelled::Finished(1, TS)
        ]
    );
}

#[test]
fn a_refused_tunnel_has_a_body() {
    let (mut streams, mut out) = (streams(), Output::default());
    streams.fields(1, Request, connect(None), TS, &mut out);
    streams.fields(1, Response, status("403"), TS, &mut out);
    streams.data(1, Response, b"no", TS, &mut out);
    streams.end(1, Response, &mut out);
    assert_eq!(lines(&out.exchanges), ["5 CONNECT a.example:443 a.example:443  [] -> 403 [no]"]);
}
