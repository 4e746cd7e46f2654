//! Conversations of HTTP/3 as their streams carry them.

use super::encoder::{data, frame, get, headers, insert, status, varint};
use super::{Http3, MESSAGES_MAX, Multiplexed};
use crate::http::{Context, Digests, Output, Tunnelled};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Body, Exchange, FlowId, Protocol, StreamChunk, Timestamp};
use proptest::prelude::*;

const TS: Timestamp = Timestamp::from_nanos(1);

fn http3() -> Http3 {
    let client = ([10, 0, 0, 1], 40_000).into();
    let server = ([10, 0, 0, 2], 443).into();
    Http3::new(Context { flow: FlowId(3), client, server, app: None, tls: None, digests: Digests::Wanted }, 0, ToServer)
}

/// What happens on a stream, one direction.
#[derive(Debug, Clone)]
enum Step {
    Bytes(u64, Direction, Vec<u8>),
    Gap(u64, Direction, u64, Vec<u8>),
    End(u64, Direction),
    Reset(u64, Direction),
}
use Step::{Bytes, End, Gap, Reset};

fn take(http: &mut Http3, steps: &[Step], out: &mut Output) {
    for step in steps {
        match step {
            Bytes(id, direction, bytes) => {
                http.chunk(*id, StreamChunk { direction: *direction, ts: TS, bytes, gap: 0 }, out);
            }
            Gap(id, direction, gap, bytes) => {
                http.chunk(*id, StreamChunk { direction: *direction, ts: TS, bytes, gap: *gap }, out);
            }
            End(id, direction) => http.end(*id, *direction, 0, TS, out),
            Reset(id, direction) => http.reset(*id, *direction, TS, out),
        }
    }
}

fn run(steps: &[Step]) -> Output {
    let (mut http, mut out) = (http3(), Output::default());
    take(&mut http, steps, &mut out);
    http.finish(&mut out);
    out
}

fn line(exchange: &Exchange) -> String {
    let body =
        |body: &Body| format!("[{}{}]", String::from_utf8_lossy(&body.data), if body.complete { "" } else { "…" });
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let authority = request.authority.as_deref().unwrap_or("-");
        let fields = request.headers.iter().map(|(name, value)| [name, b"=", value].concat());
        let fields: Vec<_> = fields.map(|field| String::from_utf8_lossy(&field).into_owned()).collect();
        let (target, body) = (request.target_text(), body(&request.body));
        format!("{} {target} {authority} {} {body}", request.method, fields.join(","))
    });
    let response = exchange.response.as_ref();
    let response = response.map_or("-".to_owned(), |response| format!("{} {}", response.status, body(&response.body)));
    format!("{request} -> {response}")
}

fn lines(exchanges: &[Exchange]) -> Vec<String> {
    exchanges.iter().map(line).collect()
}

fn reasons(out: &Output) -> Vec<&'static str> {
    out.weirds.iter().map(|weird| weird.reason).collect()
}

/// Settings of a server that allows a table of 4096 bytes.
fn settings() -> Step {
    Bytes(3, ToClient, [vec![0], frame(4, &[1, 0x50, 0, 7, 16, 0x21, 0])].concat())
}

#[test]
fn a_conversation_gives_its_exchanges() {
    let out = run(&[
        Bytes(2, ToServer, [vec![0], frame(4, &[]), frame(0x21, b"grease"), frame(0xd, &[0])].concat()),
        settings(),
        Bytes(6, ToServer, vec![0x21, 1, 2, 3]),
        Bytes(0, ToServer, [headers(&[(":method", "POST"), (":path", "/1"), ("host", "h")]), data(b"ab")].concat()),
        Bytes(4, ToServer, [frame(0x40, b"unknown"), get("/2")].concat()),
        End(4, ToServer),
        Bytes(0, ToServer, [data(b"c"), headers(&[("x-sum", "9")])].concat()),
        End(0, ToServer),
        Bytes(4, ToClient, [status("103"), status("200"), data(b"ok")].concat()),
        End(4, ToClient),
        Bytes(0, ToClient, status("204")),
        End(0, ToClient),
    ]);
    assert_eq!(lines(&out.exchanges), ["GET /2 a.example  [] -> 200 [ok]", "POST /1 h host=h,x-sum=9 [abc] -> 204 []"]);
    assert_eq!(lines(&out.asked), ["GET /2 a.example  [] -> -", "POST /1 h host=h,x-sum=9 [abc] -> -"]);
    assert_eq!(out.exchanges[0].protocol, Protocol::H3);
    assert_eq!((reasons(&out), out.skipped_bytes), (vec![], 0));
}

#[test]
fn a_request_is_asked_as_soon_as_it_ends() {
    let (mut http, mut out) = (http3(), Output::default());
    take(&mut http, &[Bytes(0, ToServer, get("/"))], &mut out);
    assert!(out.asked.is_empty());
    take(&mut http, &[End(0, ToServer)], &mut out);
    assert_eq!(lines(&out.asked), ["GET / a.example  [] -> -"]);
    assert!(out.exchanges.is_empty());
}

/// A request whose path stands in the first entry of the table, then a second one with trailers from the second.
fn dynamic() -> Vec<Step> {
    let section = |lines: &[u8], required: u8| frame(1, &[&[required + 1, 0], lines].concat());
    vec![
        settings(),
        Bytes(2, ToServer, [vec![0], frame(4, &[])].concat()),
        Bytes(6, ToServer, [vec![2, 0x3f, 0xe1, 0x1f], insert(":path", "/dynamic?imei=1")].concat()),
        Bytes(0, ToServer, section(&[0xd1, 0xd7, 0x80], 1)),
        End(0, ToServer),
        Bytes(6, ToServer, insert("x-sum", "77")),
        Bytes(4, ToServer, [section(&[0xd4, 0x80], 1), data(b"body"), section(&[0x80], 2)].concat()),
        End(4, ToServer),
        Bytes(0, ToClient, status("200")),
        End(0, ToClient),
        Bytes(4, ToClient, [status("200"), data(b"x")].concat()),
        End(4, ToClient),
    ]
}

const DYNAMIC: [&str; 2] = ["GET /dynamic?imei=1 -  [] -> 200 []", "POST /dynamic?imei=1 - x-sum=77 [body] -> 200 [x]"];

#[test]
fn sections_use_the_dynamic_table() {
    let out = run(&dynamic());
    assert_eq!(lines(&out.exchanges), DYNAMIC);
    assert_eq!(reasons(&out), [""; 0]);
}

#[test]
fn a_section_waits_for_its_entries_and_so_does_what_follows_it() {
    let mut steps = dynamic();
    // All instructions come last.
    let instructions: Vec<Step> = [steps.remove(5), steps.remove(2)].into_iter().rev().collect();
    steps.extend(instructions);
    let (mut http, mut out) = (http3(), Output::default());
    let (last, before) = steps.split_last().expect("steps");
    let (first, before) = before.split_last().expect("steps");
    take(&mut http, before, &mut out);
    assert!(out.asked.is_empty() && out.exchanges.is_empty());
    take(&mut http, std::slice::from_ref(first), &mut out);
    assert_eq!(lines(&out.exchanges), DYNAMIC[..1]);
    take(&mut http, std::slice::from_ref(last), &mut out);
    assert_eq!(lines(&out.exchanges), DYNAMIC);
    assert_eq!(http.blocked.bytes, 0);
}

#[test]
fn a_section_whose_entries_never_come_is_read_without_them() {
    let mut steps = dynamic();
    steps.remove(5);
    let out = run(&steps);
    assert_eq!(lines(&out.exchanges), [DYNAMIC[0], "POST /dynamic?imei=1 -  [body] -> 200 [x]"]);
    assert_eq!(reasons(&out), ["QPACK refers to an entry that was not seen"]);
    steps.remove(2);
    let out = run(&steps);
    assert_eq!(lines(&out.exchanges), ["GET  -  [] -> 200 []", "POST  -  [body] -> 200 [x]"]);
}

#[test]
fn lost_instructions_hold_nothing_up() {
    let mut steps = dynamic();
    steps[5] = Gap(6, ToServer, 9, Vec::new());
    let (mut http, mut out) = (http3(), Output::default());
    take(&mut http, &steps, &mut out);
    assert_eq!(lines(&out.exchanges), [DYNAMIC[0], "POST /dynamic?imei=1 -  [body] -> 200 [x]"]);
    assert_eq!(reasons(&out), ["QPACK instructions were lost", "QPACK refers to an entry that was not seen"]);
}

#[test]
fn bytes_lost_in_a_body_leave_the_rest() {
    let out = run(&[
        Bytes(0, ToServer, [get("/1"), vec![0, 10, b'a', b'b']].concat()),
        Gap(0, ToServer, 4, [&b"cdef"[..], &data(b"gh")].concat()),
        End(0, ToServer),
    ]);
    assert_eq!(lines(&out.exchanges), ["GET /1 a.example  [abcdefgh…] -> -"]);
    assert_eq!((reasons(&out), out.skipped_bytes), (vec![], 0));
}

#[test]
fn bytes_lost_in_a_head_leave_what_came_before_and_the_body() {
    let head = headers(&[(":method", "POST"), (":path", "/lost"), ("x-a", "1"), ("x-b", "2")]);
    let (before, after) = head.split_at(head.len() - 4);
    let out = run(&[
        Bytes(0, ToServer, before.to_vec()),
        Gap(0, ToServer, 2, [&after[2..], &data(b"body")].concat()),
        End(0, ToServer),
    ]);
    assert_eq!(lines(&out.exchanges), ["POST /lost - x-a=1 [body…] -> -"]);
    assert_eq!(reasons(&out), ["QPACK field section does not make sense"]);
}

#[test]
fn frames_are_not_made_up_after_a_loss_across_them() {
    let out = run(&[
        Bytes(0, ToServer, [get("/1"), vec![0, 10, b'a', b'b']].concat()),
        Gap(0, ToServer, 40, get("/no")),
        End(0, ToServer),
        Bytes(4, ToServer, get("/2")),
        End(4, ToServer),
    ]);
    assert_eq!(lines(&out.exchanges), ["GET /1 a.example  [ab…] -> -", "GET /2 a.example  [] -> -"]);
    assert_eq!(reasons(&out), ["HTTP/3 frames were lost"]);
    assert_eq!(out.skipped_bytes, get("/no").len() as u64);
}

#[test]
fn a_reset_gives_what_came() {
    let out = run(&[
        Bytes(0, ToServer, [get("/1"), data(b"ab")].concat()),
        Reset(0, ToServer),
        Bytes(4, ToServer, get("/2")),
        End(4, ToServer),
        Bytes(4, ToClient, [status("200"), data(b"ab")].concat()),
        Reset(4, ToClient),
    ]);
    assert_eq!(lines(&out.exchanges), ["GET /2 a.example  [] -> 200 [ab…]", "GET /1 a.example  [ab…] -> -"]);
}

#[test]
fn a_response_that_overtakes_its_request_waits_for_it() {
    let out = run(&[
        Bytes(0, ToClient, status("200")),
        End(0, ToClient),
        Bytes(4, ToServer, get("/2")),
        End(4, ToServer),
        Bytes(0, ToServer, get("/1")),
        End(0, ToServer),
    ]);
    assert_eq!(lines(&out.exchanges), ["GET /1 a.example  [] -> 200 []", "GET /2 a.example  [] -> -"]);
}

#[test]
fn a_push_is_an_exchange_without_a_request() {
    let promise = |id: u8| frame(5, &[&[id][..], &headers(&[(":method", "GET"), (":path", "/style")])[2..]].concat());
    let out = run(&[
        Bytes(0, ToServer, get("/1")),
        End(0, ToServer),
        Bytes(0, ToClient, [promise(0), status("200")].concat()),
        Bytes(15, ToClient, [vec![1, 0], status("200"), data(b"css")].concat()),
        End(15, ToClient),
        End(0, ToClient),
    ]);
    assert_eq!(lines(&out.exchanges), ["- -> 200 [css]", "GET /1 a.example  [] -> 200 []"]);
    assert_eq!(lines(&out.asked), ["GET /1 a.example  [] -> -"]);
}

#[test]
fn streams_of_extensions_are_handed_on() {
    let out = run(&[
        Bytes(0, ToServer, [varint(0x41), vec![0], b"web transport".to_vec()].concat()),
        Bytes(2, ToServer, [varint(0x54), b"web transport".to_vec()].concat()),
        Bytes(1, ToClient, b"more".to_vec()),
    ]);
    assert!(out.exchanges.is_empty());
    assert_eq!(reasons(&out), ["HTTP/3 stream of an extension that is not read"]);
    let bytes: Vec<_> = out
        .tunnelled
        .iter()
        .filter_map(|part| match part {
            Tunnelled::Chunk(id, chunk) => Some((*id, &chunk.bytes[..])),
            Tunnelled::Closed(..) | Tunnelled::Finished(..) => None,
        })
        .collect();
    assert_eq!(bytes, [(0, &b"web transport"[..]), (2, b"web transport"), (1, b"more")]);
}

#[test]
fn what_waits_and_what_is_open_stay_below_their_caps() {
    let (mut http, mut out) = (http3(), Output::default());
    for number in 0..5_000 {
        let blocked = frame(1, &[5, 0, 0xd1, 0x80]);
        take(
            &mut http,
            &[Bytes(number * 4, ToServer, blocked), Bytes(number * 4, ToServer, data(&[0; 900]))],
            &mut out,
        );
        assert!(http.messages.len() <= MESSAGES_MAX && http.blocked.bytes <= super::BLOCKED_BYTES_MAX);
        assert!(http.blocked.len() <= super::BLOCKED_SECTIONS_MAX);
    }
    assert!(reasons(&out).contains(&"QPACK instructions were not waited for any longer"));
    http.finish(&mut out);
    assert_eq!((out.exchanges.len(), out.asked.len(), http.blocked.bytes), (5_000, 5_000, 0));
}

/// Exchanges without their places, sorted.
fn sorted(out: &Output) -> Vec<String> {
    let mut lines = lines(&out.exchanges);
    lines.sort();
    lines
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_exchanges(cuts in proptest::collection::vec(1usize..9, 1..40)) {
        let mut sizes = cuts.iter().cycle();
        let mut steps = Vec::new();
        for step in dynamic() {
            if let Bytes(id, direction, bytes) = &step {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((*sizes.next().expect("endless")).min(rest.len()));
                    steps.push(Bytes(*id, *direction, piece.to_vec()));
                    rest = after;
                }
            } else {
                steps.push(step);
            }
        }
        let (one, many) = (run(&dynamic()), run(&steps));
        prop_assert_eq!(lines(&one.exchanges), lines(&many.exchanges));
        prop_assert_eq!(lines(&one.asked), lines(&many.asked));
    }

    /// Streams keep their order each; between them there is none.
    #[test]
    fn any_order_of_the_streams_gives_the_same_exchanges(order in proptest::collection::vec(any::<prop::sample::Index>(), 64)) {
        let mut left: Vec<Vec<Step>> = Vec::new();
        for step in dynamic() {
            let key = |step: &Step| match step {
                Bytes(id, way, _) | Gap(id, way, ..) | End(id, way) | Reset(id, way) => (*id, *way),
            };
            match left.iter_mut().find(|steps| key(&steps[0]) == key(&step)) {
                Some(steps) => steps.push(step),
                None => left.push(vec![step]),
            }
        }
        let (mut http, mut out) = (http3(), Output::default());
        let mut order = order.iter().cycle();
        while !left.is_empty() {
            let at = order.next().expect("endless").index(left.len());
            let step = left[at].remove(0);
            left.retain(|steps| !steps.is_empty());
            take(&mut http, &[step], &mut out);
        }
        let before = out.exchanges.len();
        http.finish(&mut out);
        prop_assert_eq!(before, 2, "nothing has to wait for the end");
        prop_assert_eq!(sorted(&out), sorted(&run(&dynamic())));
    }

    #[test]
    fn any_bytes_are_survived(pieces in proptest::collection::vec((0u64..12, any::<bool>(), 0u64..3, proptest::collection::vec(any::<u8>(), 0..60)), 0..40)) {
        let steps: Vec<Step> = pieces
            .into_iter()
            .map(|(id, way, gap, bytes)| Gap(id, if way { ToServer } else { ToClient }, gap, bytes))
            .collect();
        run(&steps);
    }
}
