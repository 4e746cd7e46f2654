//! What HTTP/2 conversations give, whole, cut in any pieces, with a part missing, and from their middle on.

use super::frame::PREFACE;
use super::{HEADER_BLOCK_MAX, Http2};
use crate::http::huffman::tests::encode;
use crate::http::{Context, Digests, Output};
use crate::model::{Body, Direction, Exchange, FlowId, Protocol, StreamChunk, Timestamp, Weird};
use Direction::{ToClient, ToServer};
use proptest::prelude::*;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// An encoder that puts every field into the dynamic table and refers to those it has.
#[derive(Debug, Default, Clone)]
struct Encoder {
    table: Vec<(String, String)>,
}

impl Encoder {
    fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(name, value) in fields {
            let entry = (name.to_owned(), value.to_owned());
            if let Some(at) = self.table.iter().rev().position(|known| *known == entry) {
                integer(&mut out, 0x80, 7, 62 + at);
                continue;
            }
            let coded = encode(value.as_bytes());
            let static_name = [(":authority", 1), (":method", 2), (":path", 4), (":scheme", 6), (":status", 8)];
            match static_name.iter().find(|(known, _)| *known == name) {
                Some((_, index)) => integer(&mut out, 0x40, 6, *index),
                None => {
                    out.push(0x40);
                    integer(&mut out, 0, 7, name.len());
                    out.extend_from_slice(name.as_bytes());
                }
            }
            integer(&mut out, 0x80, 7, coded.len());
            out.extend_from_slice(&coded);
            self.table.push(entry);
        }
        out
    }

    fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
        frame(1, flags | END_HEADERS, stream, &self.block(fields))
    }

    fn get(&mut self, stream: u32, path: &str) -> Vec<u8> {
        self.head(stream, END_STREAM, &request("GET", path))
    }
}

fn request<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "https"), (":authority", "a.example"), (":path", path), ("x-device", "d1")]
}

fn integer(out: &mut Vec<u8>, flags: u8, prefix: u32, value: usize) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        out.push(flags | value as u8);
        return;
    }
    out.push(flags | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Step {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64, Vec<u8>),
    Close(Direction),
}

fn client(parts: &[Vec<u8>]) -> Step {
    Step::Bytes(ToServer, parts.concat())
}

fn server(parts: &[Vec<u8>]) -> Step {
    Step::Bytes(ToClient, parts.concat())
}

fn context() -> Context {
    let client = ([10, 0, 0, 1], 40_000).into();
    let server = ([10, 0, 0, 2], 443).into();
    Context { flow: FlowId(7), client, server, app: None, tls: None, digests: Digests::Wanted }
}

fn run_in(mut http: Http2, steps: &[Step], size: usize) -> Output {
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
            http.chunk(StreamChunk { direction, ts, bytes: piece, gap }, &mut out);
            gap = 0;
        }
    }
    http.finish(ts, &mut out);
    out
}

fn run(steps: &[Step], size: usize) -> Output {
    run_in(Http2::new(context(), 0), steps, size)
}

fn line(exchange: &Exchange) -> String {
    let body = |body: &Body| {
        let text: String = String::from_utf8_lossy(&body.data).chars().take(12).collect();
        format!("[{text}{}]", if body.complete { "" } else { "…" })
    };
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let authority = request.authority.as_deref().unwrap_or("-");
        format!("{} {} {authority} {}", request.method, request.target_text(), body(&request.body))
    });
    let response = exchange.response.as_ref();
    let response = response.map_or("-".to_owned(), |response| format!("{} {}", response.status, body(&response.body)));
    format!("{}: {request} -> {response}", exchange.id.index)
}

fn lines(out: &Output) -> Vec<String> {
    out.exchanges.iter().map(line).collect()
}

fn reasons(weirds: &[Weird]) -> Vec<&'static str> {
    weirds.iter().map(|weird| weird.reason).collect()
}

#[test]
fn a_conversation_gives_its_exchanges() {
    let (mut up, mut down) = (Encoder::default(), Encoder::default());
    let steps = [
        client(&[
            PREFACE.to_vec(),
            settings(),
            up.head(1, 0, &request("POST", "/1")),
            up.get(3, "/3"),
            frame(0, 0, 1, b"ab"),
        ]),
        server(&[settings(), frame(4, 1, 0, &[]), down.head(3, 0, &[(":status", "200"), ("server", "s")])]),
        client(&[frame(0, PADDED, 1, b"\x02cd\0\0"), frame(8, 0, 0, &[0, 0, 1, 0]), frame(0xee, 0xff, 9, b"new")]),
        server(&[frame(0, 0, 3, b"three"), frame(6, 0, 0, &[0; 8]), down.head(1, END_STREAM, &[(":status", "204")])]),
        client(&[up.head(1, END_STREAM, &[("x-sum", "7")])]),
        server(&[down.head(3, END_STREAM, &[("grpc-status", "0")])]),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(lines(&out), ["0: POST /1 a.example [abcd] -> 204 []", "1: GET /3 a.example [] -> 200 [three]"]);
    assert_eq!(out.asked.iter().map(|exchange| exchange.id.index).collect::<Vec<_>>(), [1, 0]);
    let request = out.exchanges[0].request.as_ref().expect("a request");
    assert_eq!((request.headers.get("x-device"), request.headers.get("x-sum")), (Some(&b"d1"[..]), Some(&b"7"[..])));
    assert_eq!(out.exchanges[0].protocol, Protocol::H2);
    assert!(out.weirds.is_empty() && out.skipped_bytes == 0, "{:?}", out.weirds);
}

#[test]
fn a_header_block_may_be_padded_prioritised_and_continued() {
    let mut up = Encoder::default();
    let block = up.block(&request("GET", "/long"));
    let first = [&[2, 0, 0, 0, 0, 15][..], &block[..5], &[0, 0]].concat();
    let steps = [client(&[
        PREFACE.to_vec(),
        settings(),
        frame(1, END_STREAM | PADDED | PRIORITY, 1, &first),
        frame(9, 0, 1, &block[5..9]),
        frame(9, 0, 1, &[]),
        frame(9, END_HEADERS, 1, &block[9..]),
    ])];
    assert_eq!(lines(&run(&steps, usize::MAX)), ["0: GET /long a.example [] -> -"]);
}

#[test]
fn a_push_is_an_exchange_without_a_request() {
    let (mut up, mut down) = (Encoder::default(), Encoder::default());
    let promise = [&2u32.to_be_bytes()[..], &down.block(&request("GET", "/pushed"))].concat();
    let steps = [
        client(&[PREFACE.to_vec(), settings(), up.get(1, "/")]),
        server(&[
            settings(),
            frame(5, END_HEADERS, 1, &promise),
            down.head(2, 0, &[(":status", "200")]),
            down.head(1, END_STREAM, &[(":status", "404")]),
            frame(0, END_STREAM, 2, b"css"),
        ]),
    ];
    assert_eq!(lines(&run(&steps, usize::MAX)), ["0: GET / a.example [] -> 404 []", "1: - -> 200 [css]"]);
}

#[test]
fn resets_and_the_end_of_a_direction_give_what_came() {
    let mut up = Encoder::default();
    let steps = [
        client(&[PREFACE.to_vec(), settings(), up.head(1, 0, &request("POST", "/1")), frame(0, 0, 1, b"ab")]),
        server(&[settings(), frame(3, 0, 1, &[0, 0, 0, 8])]),
        client(&[frame(0, 0, 1, b"late"), up.head(3, 0, &request("POST", "/3")), frame(0, 0, 3, b"cd")]),
        Step::Close(ToServer),
        server(&[Encoder::default().head(3, END_STREAM, &[(":status", "200")])]),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(lines(&out), ["0: POST /1 a.example [ab…] -> -", "1: POST /3 a.example [cd…] -> 200 []"]);
    assert_eq!(out.asked.len(), 2);
}

#[test]
fn a_connection_read_from_its_middle_makes_nothing_up() {
    let mut up = Encoder::default();
    up.get(1, "/1");
    let steps = [
        client(&[up.get(3, "/1"), up.get(5, "/5"), up.get(7, "/5")]),
        server(&[Encoder::default().head(3, END_STREAM, &[(":status", "200")])]),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(
        lines(&out),
        ["0:   - [] -> 200 []", "1:  /5 - [] -> -", "2:  /5 - [] -> -"],
        "what was not captured is unknown, what came since is known"
    );
    assert_eq!(reasons(&out.weirds), ["header fields that refer to what was not captured"]);
}

#[test]
fn client_and_server_change_places_where_the_content_says_so() {
    let (mut up, mut down) = (Encoder::default(), Encoder::default());
    let steps = [
        Step::Bytes(ToServer, [frame(0, 0, 1, b"tail"), down.head(3, END_STREAM, &[(":status", "200")])].concat()),
        Step::Bytes(ToClient, up.get(5, "/5")),
    ];
    let out = run(&steps, usize::MAX);
    assert_eq!(lines(&out), ["1: - -> 200 []", "2: GET /5 a.example [] -> -"]);
    assert_eq!(out.exchanges[0].client.port(), 443);
}

#[test]
fn a_loss_within_data_costs_only_that_body() {
    let mut up = Encoder::default();
    let data = frame(0, END_STREAM, 1, b"0123456789");
    let steps = [
        client(&[PREFACE.to_vec(), settings(), up.head(1, 0, &request("POST", "/1")), data[..11].to_vec()]),
        Step::Gap(ToServer, 5, [&data[16..], &up.get(3, "/1")].concat()),
        client(&[frame(0, 0, 5, b"0123")[..11].to_vec()]),
        Step::Gap(ToServer, 2, up.get(7, "/7")),
    ];
    let out = run(&steps, usize::MAX);
    let expected = ["0: POST /1 a.example [01789…] -> -", "1: GET /1 a.example [] -> -", "3: GET /7 a.example [] -> -"];
    assert_eq!([&lines(&out)[..2], &lines(&out)[3..]].concat(), expected);
}

#[test]
fn after_a_loss_the_next_frame_is_found_and_older_entries_are_unknown() {
    let mut up = Encoder::default();
    let first = up.head(1, 0, &request("POST", "/1"));
    let lost = up.get(3, "/3");
    let rest = [&lost[15..], &up.get(5, "/5"), &up.get(7, "/5"), &frame(0, 0, 1, b"xy")].concat();
    let steps = [client(&[PREFACE.to_vec(), settings(), first]), Step::Gap(ToServer, 15, rest)];
    for size in [1, 7, usize::MAX] {
        let out = run(&steps, size);
        assert_eq!(
            lines(&out),
            ["0: POST /1 a.example [xy…] -> -", "1:  /5 - [] -> -", "2:  /5 - [] -> -"],
            "in pieces of {size}"
        );
        assert_eq!(out.skipped_bytes, lost.len() as u64 - 15);
    }
}

#[test]
fn an_upgrade_is_answered_as_the_first_stream() {
    let request = crate::model::Request { method: "GET".to_owned(), target: (*b"/up").into(), ..Default::default() };
    let exchange = Exchange {
        id: crate::model::ExchangeId { flow: FlowId(7), index: 4 },
        ts: Timestamp::default(),
        protocol: Protocol::Http11,
        client: context().client,
        server: context().server,
        app: None,
        tls: None,
        request: Some(std::sync::Arc::new(request)),
        response: Some(crate::model::Response { status: 101, ..Default::default() }),
    };
    let (mut up, mut down) = (Encoder::default(), Encoder::default());
    let steps = [
        server(&[settings(), down.head(1, 0, &[(":status", "200")]), frame(0, END_STREAM, 1, b"ok")]),
        client(&[PREFACE.to_vec(), settings(), up.get(3, "/3")]),
    ];
    let out = run_in(Http2::upgraded(context(), 5, Some(exchange.clone()), false), &steps, usize::MAX);
    assert_eq!(lines(&out), ["4: GET /up - […] -> 200 [ok]", "5: GET /3 a.example [] -> -"]);
    assert_eq!(out.exchanges[0].protocol, Protocol::Http11);
    assert_eq!(out.asked.len(), 1, "the request was asked before");
    let out = run_in(Http2::upgraded(context(), 5, Some(exchange), false), &[], usize::MAX);
    assert_eq!(lines(&out), ["4: GET /up - […] -> 101 […]"]);
}

#[test]
fn endless_continuation_stays_below_its_cap() {
    let mut up = Encoder::default();
    let block = up.block(&request("GET", "/1"));
    let mut bytes = [PREFACE.to_vec(), settings(), frame(1, END_STREAM, 1, &block)].concat();
    let more = frame(9, 0, 1, &b"\x00\x01a\x01b".repeat(3_000));
    while bytes.len() < 2 * HEADER_BLOCK_MAX {
        bytes.extend_from_slice(&more);
    }
    bytes.extend_from_slice(&frame(9, END_HEADERS, 1, &[]));
    bytes.extend_from_slice(&Encoder::default().get(3, "/3"));
    let out = run(&[Step::Bytes(ToServer, bytes)], 1_460);
    assert_eq!(lines(&out), ["0: GET /1 a.example [] -> -", "1: GET /3 a.example [] -> -"]);
    assert!(reasons(&out.weirds).contains(&"header block above the cap"), "{:?}", out.weirds);
}

#[test]
fn a_small_block_that_stands_for_many_fields_stays_below_its_cap() {
    let mut up = Encoder::default();
    let value = "v".repeat(3_000);
    let mut block = up.block(&request("GET", "/1"));
    block.extend(up.block(&[("x-bomb", &value)]));
    block.extend(vec![0xbe; 10_000]);
    let steps = [client(&[PREFACE.to_vec(), settings(), frame(1, END_STREAM | END_HEADERS, 1, &block)])];
    let out = run(&steps, usize::MAX);
    assert_eq!(reasons(&out.weirds), ["header fields above the cap"]);
    assert!(out.exchanges[0].request.as_ref().expect("a request").headers.len() < 400);
}

/// What must not depend on how the bytes were cut.
fn facts(out: &Output) -> (Vec<String>, Vec<String>, Vec<&'static str>, u64, u64) {
    let all = |exchanges: &[Exchange]| exchanges.iter().map(|exchange| format!("{exchange:?}")).collect();
    (all(&out.asked), all(&out.exchanges), reasons(&out.weirds), out.read_bytes, out.skipped_bytes)
}

/// A dialogue by both sides' encoders, with losses and damage.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (0u8..14, 0u32..5, any::<u8>());
    (any::<bool>(), proptest::collection::vec(event, 0..16)).prop_map(|(preface, events)| {
        let (mut up, mut down) = (Encoder::default(), Encoder::default());
        let mut steps = Vec::new();
        if preface {
            steps.push(client(&[PREFACE.to_vec(), settings()]));
            steps.push(server(&[settings()]));
        }
        for (event, stream, value) in events {
            let id = 2 * stream + 1;
            let path = format!("/{value}");
            let grpc = [request("POST", &path), vec![("content-type", "application/grpc")]].concat();
            steps.push(match event {
                0 => client(&[up.get(id, &path)]),
                1 => client(&[up.head(id, 0, &request("POST", &path))]),
                2 => client(&[up.head(id, 0, &grpc), frame(0, 0, id, b"\0\0\0\0\x01a\0")]),
                3 => client(&[frame(0, value & 1, id, b"\0\0\0\0\x03body")]),
                4 => server(&[down.head(id, value & 1, &[(":status", "200"), ("x", &path)])]),
                5 => server(&[frame(0, value & 9, id, b"\x01some body")]),
                6 => server(&[frame(3, 0, id, &[0; 4]), frame(6, 0, 0, &[0; 8])]),
                7 => Step::Gap(
                    ToServer,
                    u64::from(value % 14) + 1,
                    up.get(id, &path)[usize::from(value % 14)..].to_vec(),
                ),
                8 => Step::Gap(ToClient, u64::from(value), down.head(id, 1, &[(":status", "404")])),
                9 => client(&[vec![value; usize::from(value % 40)]]),
                10 => server(&[vec![0, value, 0, value & 9, 0, 0]]),
                11 => Step::Close(if value & 1 == 0 { ToServer } else { ToClient }),
                12 => server(&[frame(5, 4, id, &[&[0, 0, 0, 2][..], &down.block(&request("GET", "/p"))].concat())]),
                _ => client(&[frame(1, 0, id, &up.block(&request("PUT", &path))), frame(9, value & 4, id, &[])]),
            });
        }
        steps
    })
}

#[test]
fn what_was_asked_ends_also_where_the_sides_turn_out_swapped() {
    let context = Context {
        flow: FlowId(1),
        client: ([10, 0, 0, 1], 1).into(),
        server: ([10, 0, 0, 2], 80).into(),
        app: None,
        tls: None,
        digests: Digests::Wanted,
    };
    let (mut http, mut out) = (Http2::new(context, 0), Output::default());
    let ts = Timestamp::from_nanos(0);
    // A block that shows no role, then a request from the other side.
    let first = frame(1, END_STREAM | END_HEADERS, 1, b"\x00\x01x\x01y");
    let second = Encoder::default().get(3, "/late");
    for (direction, bytes) in [(ToServer, &first), (ToClient, &second)] {
        http.chunk(StreamChunk { direction, ts, bytes, gap: 0 }, &mut out);
    }
    http.finish(ts, &mut out);
    let ids = |exchanges: &[Exchange]| exchanges.iter().map(|exchange| exchange.id.index).collect::<Vec<_>>();
    assert_eq!(ids(&out.asked), [0, 1]);
    assert_eq!(ids(&out.exchanges), [0, 1]);
    assert_eq!(out.exchanges[1].request.as_ref().map(|request| &*request.target), Some(&b"/late"[..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_segmentation_gives_the_same_exchanges(steps in steps(), size in 1usize..24) {
        prop_assert_eq!(facts(&run(&steps, size)), facts(&run(&steps, usize::MAX)));
    }

    #[test]
    fn any_bytes_are_survived_and_accounted_for(
        up in proptest::collection::vec(any::<u8>(), 0..300),
        down in proptest::collection::vec(0u8..10, 0..300),
    ) {
        let out = run(&[Step::Bytes(ToServer, up.clone()), Step::Bytes(ToClient, down.clone())], 7);
        prop_assert_eq!(out.read_bytes + out.skipped_bytes, (up.len() + down.len()) as u64);
    }
}
