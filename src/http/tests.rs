//! What the HTTP/1 parser gives for streams as they occur, whole and cut in any pieces.

use super::{Context, Digests, Http1, Output, Switch};
use crate::model::{Direction, Exchange, FlowId, Protocol, StreamChunk, Timestamp, Weird};
use Direction::{ToClient, ToServer};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Step {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64, Vec<u8>),
    Close(Direction),
}

fn client(bytes: impl AsRef<[u8]>) -> Step {
    Step::Bytes(ToServer, bytes.as_ref().to_vec())
}

fn server(bytes: impl AsRef<[u8]>) -> Step {
    Step::Bytes(ToClient, bytes.as_ref().to_vec())
}

fn parser() -> Http1 {
    let client = ([10, 0, 0, 1], 40_000).into();
    let server = ([10, 0, 0, 2], 80).into();
    Http1::new(Context { flow: FlowId(7), client, server, app: None, tls: None, digests: Digests::Wanted }, 0)
}

/// Runs a conversation with its bytes cut into pieces of `size`; what follows a handoff is added to its rest.
fn run(steps: &[Step], size: usize) -> Output {
    let mut http = parser();
    let mut out = Output::default();
    let ts = Timestamp::from_nanos(1);
    for step in steps {
        let (direction, mut gap, bytes) = match step {
            Step::Close(direction) => {
                http.close(*direction, ts, &mut out);
                continue;
            }
            Step::Bytes(direction, bytes) => (*direction, 0, bytes),
            Step::Gap(direction, gap, bytes) => (*direction, *gap, bytes),
        };
        for piece in bytes.chunks(size) {
            let chunk = StreamChunk { direction, ts, bytes: piece, gap };
            match &mut out.handoff {
                Some(handoff) => handoff.rest.push(super::HeldChunk { direction, ts, gap, bytes: piece.to_vec() }),
                None => http.chunk(chunk, &mut out),
            }
            gap = 0;
        }
    }
    http.finish(&mut out);
    out
}

fn exchanges(steps: &[Step]) -> Vec<Exchange> {
    run(steps, usize::MAX).exchanges
}

/// `METHOD target authority body(complete) -> status body(complete)`.
fn line(exchange: &Exchange) -> String {
    let body = |body: &crate::model::Body| {
        format!("{}{}", String::from_utf8_lossy(&body.data), if body.complete { "" } else { "…" })
    };
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let authority = request.authority.as_deref().unwrap_or("-");
        format!("{} {} {authority} [{}]", request.method, request.target_text(), body(&request.body))
    });
    let response = exchange.response.as_ref();
    let response =
        response.map_or("-".to_owned(), |response| format!("{} [{}]", response.status, body(&response.body)));
    format!("{}: {request} -> {response}", exchange.id.index)
}

fn lines(steps: &[Step]) -> Vec<String> {
    exchanges(steps).iter().map(line).collect()
}

fn reasons(weirds: &[Weird]) -> Vec<&'static str> {
    weirds.iter().map(|weird| weird.reason).collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn pipelined_requests_are_paired_in_order() {
    let steps = [
        client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        client("GET /3 HTTP/1.0\r\n\r\n"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
        server("HTTP/1.0 200 OK\r\n\r\nto the end"),
        Step::Close(ToClient),
    ];
    assert_eq!(
        lines(&steps),
        ["0: GET /1 a [] -> 200 [1]", "1: POST /2 a [abc] -> 404 []", "2: GET /3 - [] -> 200 [to the end]"]
    );
    let last = &exchanges(&steps)[2];
    assert_eq!(last.protocol, Protocol::Http10);
    assert_eq!(last.client.port(), 40_000);
}

#[test]
fn a_chunked_body_is_hashed_after_transfer_decoding() {
    let steps = [
        client(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\nContent-Encoding: GZIP, br\r\n\r\n",
        ),
        client("5;ext=\"x\"\r\nhello\r\n00006 \r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /next HTTP/1.1\r\n\r\n"),
    ];
    let all = exchanges(&steps);
    assert_eq!(all.iter().map(line).collect::<Vec<_>>(), ["0: POST / a [hello world] -> -", "1: GET /next - [] -> -"]);
    let request = all[0].request.as_ref().expect("a request");
    assert_eq!(request.body.sha256, Some(Sha256::digest(b"hello world").into()));
    assert_eq!(request.body.content_type.as_deref(), Some("text/plain"));
    assert_eq!(request.body.encodings, ["gzip", "br"]);
    assert_eq!(request.headers.iter().last(), Some((&b"X-Sum"[..], &b"1"[..])));
}

#[test]
fn interim_responses_and_responses_without_body_are_understood() {
    let steps = [
        client("PUT /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        server("HTTP/1.1 100 Continue\r\n\r\n"),
        client("hiHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n"),
        server("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        server("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    ];
    assert_eq!(lines(&steps), ["0: PUT /1 - [hi] -> 204 []", "1: HEAD /2 - [] -> 200 []", "2: GET /3 - [] -> 304 []"]);
}

#[test]
fn a_refused_expectation_does_not_swallow_the_next_request() {
    let steps = [
        client("PUT /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"),
        server("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
        client("GET /2 HTTP/1.1\r\n\r\n"),
        server(OK),
    ];
    assert_eq!(lines(&steps), ["0: PUT /1 - […] -> 417 []", "1: GET /2 - [] -> 200 [ok]"]);
}

#[test]
fn transfer_encoding_wins_over_content_length() {
    let steps = [client(
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n",
    )];
    let out = run(&steps, usize::MAX);
    assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: POST / t [] -> -", "1: GET /2 t [] -> -"]);
    assert_eq!(reasons(&out.weirds), ["Transfer-Encoding with Content-Length"]);
}

#[test]
fn a_gap_in_a_body_keeps_the_parser_in_step() {
    let steps = [
        client("GET /1 HTTP/1.1\r\n\r\n"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"),
        Step::Gap(ToClient, 5, b"hij".to_vec()),
        client("POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab"),
        Step::Gap(ToServer, 2, b"ef\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n\r\n".to_vec()),
        server(OK),
        server(OK),
    ];
    assert_eq!(
        lines(&steps),
        ["0: GET /1 - [] -> 200 [abhij…]", "1: POST /2 - [abef…] -> 200 [ok]", "2: GET /3 - [] -> 200 [ok]"]
    );
}

#[test]
fn a_gap_in_a_head_gives_the_request_and_the_next_message() {
    let steps = [
        client("GET /1 HTTP/1.1\r\nHost: a\r\nUser-Ag"),
        Step::Gap(ToServer, 9, b"rest: of it\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n".to_vec()),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: GET /1 a […] -> -", "1: GET /2 b [] -> -"]);
    assert_eq!(out.skipped_bytes, 15);
}

#[test]
fn request_lines_cut_by_the_snap_length_keep_what_they_have() {
    let gap = |bytes: &str| Step::Gap(ToServer, 300, bytes.as_bytes().to_vec());
    let steps = [client("GET /1?id=8615"), gap("POST http://a/2"), gap("GET /3 HTTP/1."), gap("GET /4 HTTP/1.1\r\nHo")];
    let expected = [
        "0: GET /1?id=8615 - […] -> -",
        "1: POST http://a/2 a […] -> -",
        "2: GET /3 - […] -> -",
        "3: GET /4 - […] -> -",
    ];
    assert_eq!(lines(&steps), expected);
}

#[test]
fn a_body_nobody_announced_does_not_hide_the_next_request() {
    let steps = [client("POST /1 HTTP/1.1\r\nHost: a\r\n\r\n{\"a\": 1 /2}GET /2 HTTP/1.1\r\nHost: b\r\n\r\n")];
    for size in [1, 3, usize::MAX] {
        let out = run(&steps, size);
        assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: POST /1 a [] -> -", "1: GET /2 b [] -> -"]);
        assert_eq!(out.skipped_bytes, 11);
    }
}

#[test]
fn a_response_does_not_overtake_a_request_whose_head_was_cut() {
    let gap = |direction, bytes: &str| Step::Gap(direction, 300, bytes.as_bytes().to_vec());
    let steps = [
        client("GET /1 HTTP/1.1\r\nHost: a\r\nUser"),
        server(OK),
        gap(ToServer, "HEAD /2?id=861536"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        gap(ToServer, "GET /3 HTTP/1.1\r\n\r\n"),
        server(OK),
    ];
    assert_eq!(
        lines(&steps),
        ["0: GET /1 a […] -> 200 [ok]", "1: HEAD /2?id=861536 - […] -> 200 []", "2: GET /3 - [] -> 200 [ok]"]
    );
}

#[test]
fn an_upgrade_whose_request_was_cut_is_handed_on_with_it() {
    let steps = [
        client("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-K"),
        server("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nS"),
        Step::Gap(ToServer, 30, b"C".to_vec()),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: GET /ws a […] -> 101 []"]);
    let handoff = out.handoff.unwrap();
    assert_eq!(handoff.request.map(|request| request.target_text().into_owned()).as_deref(), Some("/ws"));
    assert_eq!(handoff.rest.iter().map(|chunk| chunk.bytes.as_slice()).collect::<Vec<_>>(), [b"S", b"C"]);
}

#[test]
fn the_end_of_a_method_is_no_method() {
    let steps = [
        client("GET /1 HTTP/1.1\r\n\r\n"),
        Step::Gap(ToServer, 2, b"T /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n".to_vec()),
    ];
    assert_eq!(lines(&steps), ["0: GET /1 - [] -> -", "1: GET /3 - [] -> -"]);
}

#[test]
fn a_lost_response_does_not_shift_the_pairs() {
    let steps = [
        client("GET /1 HTTP/1.1\r\n\r\n"),
        server(OK),
        client("GET /2 HTTP/1.1\r\n\r\n"),
        client("GET /3 HTTP/1.1\r\n\r\n"),
        Step::Gap(ToClient, 300, b"HTTP/1.1 403 Third\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ];
    assert_eq!(lines(&steps), ["0: GET /1 - [] -> 200 [ok]", "1: GET /2 - [] -> -", "2: GET /3 - [] -> 403 []"]);
}

#[test]
fn garbage_is_skipped_counted_and_reported() {
    let steps = [client("GET /1 HTTP/1.1\r\n\r\n\x01\x02 junk\r\nmore\r\nPOST /2 HTTP/1.1\r\n\r\n")];
    let out = run(&steps, usize::MAX);
    assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: GET /1 - [] -> -", "1: POST /2 - [] -> -"]);
    assert_eq!(out.skipped_bytes, 15);
    assert_eq!(reasons(&out.weirds), ["bytes that are no HTTP message"]);
}

#[test]
fn a_tunnel_is_handed_on_with_the_bytes_that_follow() {
    let steps = [
        client("CONNECT a.example:443 HTTP/1.1\r\n\r\n"),
        server("HTTP/1.1 200 Connection established\r\n\r\n"),
        client("\x16\x03\x01"),
        server("\x16\x03\x03"),
    ];
    let out = run(&steps, usize::MAX);
    let handoff = out.handoff.expect("a handoff");
    assert_eq!(handoff.switch, Switch::Tunnel("a.example:443".to_owned()));
    let rest: Vec<_> = handoff.rest.iter().map(|chunk| (chunk.direction, &chunk.bytes[..])).collect();
    assert_eq!(rest, [(ToServer, &b"\x16\x03\x01"[..]), (ToClient, b"\x16\x03\x03")]);
    assert_eq!(handoff.next_index, 1);
    assert_eq!(line(&out.exchanges[0]), "0: CONNECT a.example:443 a.example:443 [] -> 200 []");
}

#[test]
fn a_refused_tunnel_goes_on_in_http() {
    let connect = "CONNECT a.example:443 HTTP/1.1\r\n\r\n";
    let steps = [
        client(connect),
        server("HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n"),
        client(connect),
        server("HTTP/1.1 200 OK\r\n\r\n"),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(out.exchanges.len(), 2);
    assert!(out.handoff.is_some());
}

#[test]
fn an_upgrade_names_its_protocol() {
    let steps = [
        client("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"),
        server(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: x\r\n\r\n\x81\x01a"),
    ];
    let out = run(&steps, usize::MAX);
    let handoff = out.handoff.expect("a handoff");
    assert_eq!(handoff.switch, Switch::Upgrade("websocket".to_owned()));
    assert_eq!(handoff.request.and_then(|request| request.authority).as_deref(), Some("a"));
    assert_eq!(handoff.response_headers.get("sec-websocket-extensions"), Some(&b"x"[..]));
    assert_eq!(handoff.rest[0].bytes, b"\x81\x01a");
}

#[test]
fn an_upgrade_that_is_ignored_goes_on_in_http() {
    let steps =
        [client("GET /1 HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), client("GET /2 HTTP/1.1\r\n\r\n"), server(OK), server(OK)];
    assert_eq!(lines(&steps), ["0: GET /1 - [] -> 200 [ok]", "1: GET /2 - [] -> 200 [ok]"]);
}

#[test]
fn requests_alone_and_responses_alone_are_enough() {
    let steps = [client("GET /1 HTTP/1.1\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")];
    assert_eq!(lines(&steps), ["0: GET /1 - [] -> -", "1: GET /2 - [] -> -"]);
    let steps = [server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")];
    assert_eq!(lines(&steps), ["0: - -> 200 [ok]", "1: - -> 404 []"]);
}

#[test]
fn a_tunnel_without_its_answer_is_handed_on_at_the_end() {
    let out = run(&[client("CONNECT a.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01\x00")], usize::MAX);
    let handoff = out.handoff.expect("a handoff");
    assert_eq!(handoff.switch, Switch::Tunnel("a.example:443".to_owned()));
    assert_eq!(handoff.rest[0].bytes, b"\x16\x03\x01\x00");
}

#[test]
fn client_and_server_change_places_where_the_capture_began_in_the_middle() {
    let steps =
        [client("tail\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), server("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")];
    let all = exchanges(&steps);
    assert_eq!(all.iter().map(line).collect::<Vec<_>>(), ["0: - -> 200 []", "1: GET /1 a [] -> -"]);
    assert_eq!(all[0].client.port(), 80);
}

#[test]
fn a_request_cut_by_the_end_of_the_capture_is_given() {
    for (bytes, expected) in [
        ("GET /1 HTTP/1.1\r\nHost: a\r\nAccept: x", vec!["0: GET /1 a […] -> -"]),
        ("GET /1 HTTP/1.1", vec!["0: GET /1 - […] -> -"]),
        ("POST /1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", vec!["0: POST /1 - [ab…] -> -"]),
        ("GET /1 HTT", vec!["0: GET /1 - […] -> -"]),
        ("GET /1?imei=861536", vec!["0: GET /1?imei=861536 - […] -> -"]),
        ("GET key", vec![]),
    ] {
        assert_eq!(lines(&[client(bytes)]), expected, "{bytes:?}");
    }
}

#[test]
fn odd_requests_keep_their_target() {
    for (bytes, expected) in [
        ("GET   /a b|c HTTP/1.1\nHost: x\n\n", "0: GET /a b|c x [] -> -"),
        ("OPTIONS HTTP/1.1\nHost: x\n\n", "0: OPTIONS HTTP/1.1 x [] -> -"),
        ("GET /\u{e9}\u{1}\0 HTTP/1.1\r\n\r\n", "0: GET /\u{e9}\u{1}\0 - [] -> -"),
        ("\r\n\r\nfoo * HTTP/1.1\r\n\r\n", "0: foo * - [] -> -"),
    ] {
        assert_eq!(lines(&[client(bytes)]), [expected], "{bytes:?}");
    }
}

#[test]
fn a_start_line_is_told_alike_where_a_short_piece_comes_before_a_long_one() {
    let text = |text: &str, filler: &str| [text.as_bytes(), filler.repeat(150).as_bytes()].concat();
    for (direction, gap, bytes) in [
        (ToClient, 9, text("HTTP/1.0 101 ", "x")),
        (ToServer, 9, text("GET /", "x")),
        (ToServer, 0, text("PURGE\nHos", "|")),
        (ToServer, 0, text("GET /\nHos", "t")),
    ] {
        let whole = facts(&run(&[Step::Gap(direction, gap, bytes.clone())], usize::MAX));
        for at in 1..100 {
            let cut = [Step::Gap(direction, gap, bytes[..at].to_vec()), Step::Bytes(direction, bytes[at..].to_vec())];
            assert_eq!(facts(&run(&cut, usize::MAX)), whole, "cut at {at}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn memory_stays_bounded_when_no_response_comes() {
    let mut http = parser();
    let mut out = Output::default();
    for _ in 0..3_000 {
        let chunk =
            StreamChunk { direction: ToServer, ts: Timestamp::default(), bytes: b"GET / HTTP/1.1\r\n\r\n", gap: 0 };
        http.chunk(chunk, &mut out);
    }
    assert_eq!(out.exchanges.len(), 3_000 - super::PENDING_EXCHANGES_MAX);
    assert_eq!(reasons(&out.weirds), ["more requests wait for responses than are kept"]);
    http.finish(&mut out);
    assert_eq!(
        out.exchanges.iter().map(|exchange| exchange.id.index).collect::<Vec<_>>(),
        (0..3_000).collect::<Vec<_>>()
    );
}

#[test]
fn a_head_without_end_is_cut_at_its_cap() {
    let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
    while bytes.len() <= super::HEAD_MAX {
        bytes.extend_from_slice(b"X-Long: 0123456789012345678901234567890123456789\r\n");
    }
    bytes.extend_from_slice(b"\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    let out = run(&[client(bytes)], 1460);
    assert_eq!(out.exchanges.iter().map(line).collect::<Vec<_>>(), ["0: GET / - […] -> -", "1: GET /2 - [] -> -"]);
    assert!(reasons(&out.weirds).contains(&"message head longer than is kept"));
}

/// What must not depend on how the bytes were cut.
fn facts(out: &Output) -> (Vec<String>, Vec<&'static str>, u64, u64, Option<String>) {
    let handoff = out.handoff.as_ref().map(|handoff| {
        let rest = |direction| {
            let of_it = handoff.rest.iter().filter(|chunk| chunk.direction == direction);
            of_it.flat_map(|chunk| chunk.bytes.iter().copied()).collect::<Vec<u8>>()
        };
        format!("{:?} {:?} {:?}", handoff.switch, rest(ToServer), rest(ToClient))
    });
    let exchanges = out.exchanges.iter().map(|exchange| format!("{exchange:?}")).collect();
    (exchanges, reasons(&out.weirds), out.read_bytes, out.skipped_bytes, handoff)
}

fn client_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        2 => Just("POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"),
        2 => Just("PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"),
        1 => Just("PUT /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n"),
        1 => Just("GET /w HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        1 => Just("CONNECT h:443 HTTP/1.1\r\n\r\n"),
        1 => Just("HEAD /\r\nHost: b\r\n\r\n"),
        1 => Just("Transfer-Encoding: chunked\r\n"),
        1 => Just("\r\n"),
        1 => Just("GET /x HTTP/1.1"),
        1 => Just("5\r\n"),
    ];
    let piece = prop_oneof![8 => piece.prop_map(|text| text.as_bytes().to_vec()), 1 => proptest::collection::vec(any::<u8>(), 0..6)];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn server_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(OK),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        1 => Just("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"),
        1 => Just("HTTP/1.1 204 No\r\n\r\n"),
        1 => Just("HTTP/1.0 200 OK\r\n\r\nto the end"),
        1 => Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        1 => Just("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
        1 => Just("HTTP/1.1 20"),
    ];
    let piece = prop_oneof![8 => piece.prop_map(|text| text.as_bytes().to_vec()), 1 => proptest::collection::vec(any::<u8>(), 0..6)];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => client_text().prop_map(|bytes| Step::Bytes(ToServer, bytes)),
        6 => server_text().prop_map(|bytes| Step::Bytes(ToClient, bytes)),
        1 => (1u64..20, client_text()).prop_map(|(gap, bytes)| Step::Gap(ToServer, gap, bytes)),
        1 => (1u64..20, server_text()).prop_map(|(gap, bytes)| Step::Gap(ToClient, gap, bytes)),
        1 => any::<bool>().prop_map(|up| Step::Close(if up { ToServer } else { ToClient })),
    ];
    proptest::collection::vec(step, 0..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_segmentation_gives_the_same_exchanges(steps in steps(), size in 1usize..9) {
        prop_assert_eq!(facts(&run(&steps, size)), facts(&run(&steps, usize::MAX)));
    }

    #[test]
    fn any_bytes_are_survived_and_accounted_for(
        up in proptest::collection::vec(any::<u8>(), 0..300),
        down in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let out = run(&[client(&up), server(&down)], 7);
        let rest: usize = out.handoff.iter().flat_map(|handoff| &handoff.rest).map(|chunk| chunk.bytes.len()).sum();
        prop_assert_eq!(out.read_bytes + out.skipped_bytes + rest as u64, (up.len() + down.len()) as u64);
    }
}

#[test]
fn what_follows_a_change_of_protocol_whose_request_broke_off_is_handed_on_however_it_is_cut() {
    let steps = [
        client("GET /ws?a=1"),
        server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        client("\x01 no request line\r\nGET /inside HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    let said = |size: usize| {
        let out = run(&steps, size);
        let rest = out.handoff.map(|handoff| {
            handoff.rest.iter().filter(|held| held.direction == ToServer).flat_map(|held| held.bytes.clone()).collect()
        });
        (out.asked.len(), out.exchanges.iter().map(line).collect::<Vec<_>>(), rest.map(|bytes: Vec<u8>| bytes.len()))
    };
    let whole = said(usize::MAX);
    assert!(whole.2.is_some(), "the connection changes its protocol");
    assert!(!whole.1.iter().any(|line| line.contains("/inside")), "{whole:?}");
    for size in 1..60 {
        assert_eq!(said(size), whole, "{size}");
    }
}
