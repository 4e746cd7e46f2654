//! Tests of the WebSocket reader: messages from frames, holes, and that pieces change nothing.

use super::frame;
use super::*;
use crate::model::Direction::{ToClient, ToServer};
use crate::model::FlowId;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;

fn clear(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..126 => bytes.push(len as u8),
        len @ ..65_536 => {
            bytes.push(126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = clear(first, payload);
    let at = bytes.len() - payload.len();
    bytes[1] |= 0x80;
    frame::mask(&mut bytes[at..], KEY, 0);
    bytes.splice(at..at, KEY);
    bytes
}

/// Compresses messages with one window.
fn deflater() -> impl FnMut(&[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::default(), false);
    move |text| {
        let mut out = Vec::with_capacity(text.len() + 64);
        state.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

fn opening(extensions: &str) -> Opening {
    let mut answer = Headers::default();
    answer.push(b"Upgrade", b"websocket");
    answer.push(b"Sec-WebSocket-Extensions", extensions.as_bytes());
    let request = Request {
        method: "GET".into(),
        target: b"/ws?t=1"[..].into(),
        authority: Some("a.example".into()),
        ..Request::default()
    };
    Opening { request: Some(request), answer: Some(answer), swapped: false }
}

type Piece<'a> = (Direction, u64, &'a [u8]);

fn run_opened(opening: Opening, pieces: &[Piece<'_>], size: usize) -> Output {
    let context = Context {
        flow: FlowId(1),
        client: "10.0.0.2:4000".parse().unwrap(),
        server: "10.0.0.3:80".parse().unwrap(),
        app: None,
        tls: None,
        digests: Default::default(),
    };
    let mut socket = WebSocket::new(context, opening);
    let mut out = Output::default();
    let (ts, mut next) = (Timestamp::default(), 1);
    for &(direction, gap, bytes) in pieces {
        let mut gap = gap;
        for bytes in bytes.chunks(size) {
            socket.chunk(StreamChunk { direction, ts, bytes, gap }, &mut next, &mut out);
            gap = 0;
        }
    }
    socket.finish(ts, &mut next, &mut out);
    out
}

fn run(extensions: &str, pieces: &[Piece<'_>]) -> Output {
    run_opened(opening(extensions), pieces, usize::MAX)
}

/// `> text` of the client, `< text` of the server; `…` after what is not complete.
fn line(exchange: &Exchange) -> String {
    let (arrow, body) = match &exchange.response {
        Some(response) => ('<', &response.body),
        None => ('>', &exchange.request.as_ref().unwrap().body),
    };
    let end = if body.complete { "" } else { "…" };
    format!("{arrow} {}{end}", String::from_utf8_lossy(&body.data))
}

fn lines(out: &Output) -> Vec<String> {
    out.exchanges.iter().map(line).collect()
}

fn reasons(out: &Output) -> Vec<&'static str> {
    out.weirds.iter().map(|weird| weird.reason).collect()
}

/// RFC 6455 §5.7.
#[test]
fn the_examples_of_the_rfc_are_read() {
    let out = run(
        "",
        &[
            (ToClient, 0, &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
            (ToServer, 0, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
            (ToClient, 0, &[0x01, 0x03, 0x48, 0x65, 0x6c]),
            (ToClient, 0, &[0x80, 0x02, 0x6c, 0x6f]),
            (ToClient, 0, &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
            (ToServer, 0, &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
            (ToClient, 0, &clear(FIN | 2, &[7; 256])),
            (ToClient, 0, &clear(FIN | 2, &[7; 65_536])),
        ],
    );
    let seen = lines(&out);
    assert_eq!(seen[..5], ["< Hello", "> Hello", "< Hello", "< Hello", "> Hello"]);
    assert_eq!(seen[5..].iter().map(String::len).collect::<Vec<_>>(), [258, 65_538]);
    assert_eq!(reasons(&out), [""; 0]);
    assert_eq!(out.skipped_bytes, 0);
}

#[test]
fn a_message_names_the_place_of_its_handshake_and_has_no_method() {
    let out = run("", &[(ToServer, 0, &masked(FIN | 1, b"up")), (ToClient, 0, &clear(FIN | 1, b"down"))]);
    let [up, down] = &out.exchanges[..] else { panic!("{:?}", out.exchanges) };
    for exchange in [up, down] {
        let request = exchange.request.as_ref().unwrap();
        assert_eq!((request.method.as_str(), &*request.target), ("", &b"/ws?t=1"[..]));
        assert_eq!(exchange.host(), "a.example");
        assert_eq!(exchange.protocol, Protocol::WebSocket);
        assert_eq!(request.headers.len(), 0);
    }
    assert_eq!((up.id.index, down.id.index), (1, 2));
    assert!(up.response.is_none() && up.request.as_ref().unwrap().body.sha256.is_some());
    let response = down.response.as_ref().unwrap();
    assert_eq!((response.status, response.body.bytes), (0, 4));
    // What the client sent is also given as asked.
    assert_eq!(out.asked.iter().map(line).collect::<Vec<_>>(), ["> up"]);
}

#[test]
fn control_frames_stand_between_the_pieces_of_a_message() {
    let bytes = [
        masked(1, b"one "),
        masked(FIN | 9, b""),
        masked(0, b"two "),
        masked(FIN | 9, b"ping"),
        masked(FIN, b"three"),
        masked(FIN | 8, b"\x03\xe8bye"),
    ]
    .concat();
    let out = run("", &[(ToServer, 0, &bytes)]);
    assert_eq!(lines(&out), ["> ping", "> one two three", "> bye"]);
    assert_eq!(reasons(&out), [""; 0]);
}

#[test]
fn an_empty_message_is_a_message() {
    let out = run("", &[(ToServer, 0, &masked(FIN | 1, b"")), (ToClient, 0, &clear(FIN | 8, b"\x03\xe8"))]);
    assert_eq!(lines(&out), ["> "]);
}

#[test]
fn compressed_messages_share_their_window() {
    let mut deflate = deflater();
    let texts = ["a message of some length", "a message of some length", "another message of some length"];
    let bytes: Vec<u8> =
        texts.iter().flat_map(|text| masked(FIN | COMPRESSED | 1, &deflate(text.as_bytes()))).collect();
    assert!(bytes.len() < 90, "the second and third refer to the first: {}", bytes.len());
    for extensions in ["permessage-deflate", "permessage-deflate; server_no_context_takeover"] {
        let out = run(extensions, &[(ToServer, 0, &bytes)]);
        assert_eq!(lines(&out), texts.map(|text| format!("> {text}")));
    }
    let unanswered = Opening { answer: None, ..opening("") };
    let out = run_opened(unanswered, &[(ToServer, 0, &bytes)], usize::MAX);
    assert_eq!(lines(&out), texts.map(|text| format!("> {text}")));
}

#[test]
fn messages_that_start_anew_are_read_whatever_was_agreed() {
    let message = || deflater()(b"a message of some length");
    let bytes = [clear(FIN | COMPRESSED | 1, &message()), clear(FIN | COMPRESSED | 1, &message())].concat();
    for extensions in ["permessage-deflate; server_no_context_takeover", "permessage-deflate"] {
        let out = run(extensions, &[(ToClient, 0, &bytes)]);
        assert_eq!(lines(&out), ["< a message of some length"; 2]);
    }
}

#[test]
fn only_the_first_frame_of_a_compressed_message_says_so() {
    let deflated = deflater()(b"a message in pieces");
    let (front, back) = deflated.split_at(7);
    let bytes =
        [clear(COMPRESSED | 1, front), clear(FIN | 9, b"p"), clear(FIN, back), clear(FIN | 1, b"not compressed")]
            .concat();
    let out = run("permessage-deflate", &[(ToClient, 0, &bytes)]);
    assert_eq!(lines(&out), ["< p", "< a message in pieces", "< not compressed"]);
    assert_eq!(reasons(&out), [""; 0]);
}

#[test]
fn a_hole_in_a_payload_costs_that_message_alone() {
    let before = masked(FIN | 1, b"0123456789abcdef");
    let bytes = [&before[..], &masked(FIN | 1, b"next")].concat();
    let out = run("", &[(ToServer, 0, &bytes[..10]), (ToServer, 5, &bytes[15..])]);
    assert_eq!(lines(&out), ["> 01239abcdef…", "> next"]);
    let out = run("", &[(ToServer, 0, &bytes[..10]), (ToServer, 12, &bytes[22..])]);
    assert_eq!(lines(&out), ["> 0123…", "> next"], "a hole that ends with the frame");
}

#[test]
fn a_hole_over_frames_is_crossed_at_the_next_believable_frame() {
    let texts: Vec<String> = (0..8).map(|number| format!("{{\"number\":{number},\"text\":\"一条消息\"}}")).collect();
    for (direction, make) in [(ToServer, masked as fn(u8, &[u8]) -> Vec<u8>), (ToClient, clear)] {
        let frames: Vec<Vec<u8>> = texts.iter().map(|text| make(FIN | 1, text.as_bytes())).collect();
        let length = frames[0].len();
        let bytes = frames.concat();
        // From inside the first frame to inside the third, and to the very start of the third.
        for resume in [2 * length + 9, 2 * length] {
            let gap = (resume - 10) as u64;
            let out = run("", &[(direction, 0, &bytes[..10]), (direction, gap, &bytes[resume..])]);
            let seen = lines(&out);
            let from = if resume == 2 * length { 2 } else { 3 };
            assert!(seen[0].ends_with('…'), "{seen:?}");
            let expected: Vec<String> = texts[from..].iter().map(|text| format!("{} {text}", &seen[0][..1])).collect();
            assert_eq!(seen[1..], expected, "{direction:?} {resume}");
            assert_eq!(out.skipped_bytes, if from == 3 { length as u64 - 9 } else { 0 });
        }
    }
}

#[test]
fn noise_after_a_hole_gives_no_message() {
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut messages = 0;
    for direction in [ToServer, ToClient] {
        let bytes: Vec<u8> = (0..200_000).map(|_| noise()).collect();
        let out = run("permessage-deflate", &[(direction, 1, &bytes)]);
        messages += out.exchanges.len();
        assert!(out.skipped_bytes > 0);
    }
    assert_eq!(messages, 0);
}

#[test]
fn a_lost_window_is_reported_and_nothing_is_made_up() {
    let mut deflate = deflater();
    let frames: Vec<Vec<u8>> = ["the first message, number 1", "the first message, number 2", "ßpecial, 唯一的内容"]
        .iter()
        .map(|text| masked(FIN | COMPRESSED | 1, &deflate(text.as_bytes())))
        .collect();
    let bytes = frames.concat();
    let hole = 12;
    let out = run("permessage-deflate", &[(ToServer, 0, &bytes[..hole]), (ToServer, 4, &bytes[hole + 4..])]);
    let seen = lines(&out);
    assert!(seen[0].starts_with("> the f") && seen[0].ends_with('…'), "{seen:?}");
    assert!(seen.iter().all(|line| !line.contains("number")), "{seen:?}");
    assert!(reasons(&out).contains(&"compressed WebSocket message that refers to lost bytes"));
    assert!(out.skipped_bytes > 0);
}

#[test]
fn breaches_of_the_rules_are_reported_and_lose_nothing() {
    let out = run(
        "",
        &[
            (ToServer, 0, &clear(FIN | 1, b"clear from the client")),
            (ToServer, 0, &masked(1, b"cut off")),
            (ToServer, 0, &masked(FIN | 3, b"opcode 3")),
            (ToServer, 0, &masked(FIN, b"no beginning")),
            (ToServer, 0, &masked(FIN | COMPRESSED | 1, b"not agreed")),
            (ToServer, 0, &masked(FIN | 0x20 | 1, b"bit 2")),
            (ToServer, 0, &masked(9, b"ping in pieces")),
            (ToServer, 0, &masked(FIN | 1, b"broken off")[..10]),
        ],
    );
    let expected = [
        "> clear from the client",
        "> cut off…",
        "> opcode 3",
        "> no beginning…",
        "> not agreed",
        "> bit 2",
        "> ping in pieces",
        "> brok…",
    ];
    assert_eq!(lines(&out), expected);
    let expected = [
        "WebSocket frame masked by the server or clear from the client",
        "unknown WebSocket opcode",
        "WebSocket message that begins inside another",
        "WebSocket message without a beginning",
        "reserved bit of a WebSocket frame set",
        "WebSocket control frame cut in pieces or too long",
        "WebSocket frame that breaks off",
    ];
    assert_eq!(reasons(&out), expected);
}

#[test]
fn a_length_nobody_sends_is_a_loss_of_step() {
    let mut bytes = vec![0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    bytes.extend(clear(FIN | 1, b"a text that is read all the same"));
    let out = run("", &[(ToClient, 0, &bytes)]);
    assert_eq!(lines(&out), ["< a text that is read all the same"]);
    assert_eq!(reasons(&out), ["WebSocket frame too long to be one"]);
    assert_eq!(out.skipped_bytes, 10);
}

#[test]
fn a_long_message_keeps_its_beginning_and_hashes_all() {
    let payload = vec![b'x'; Body::RESPONSE_KEEP_MAX + 10];
    let out = run("", &[(ToClient, 0, &clear(FIN | 1, &payload))]);
    let body = &out.exchanges[0].response.as_ref().unwrap().body;
    assert_eq!((body.bytes, body.data.len()), (payload.len() as u64, Body::RESPONSE_KEEP_MAX));
    let whole = {
        use sha2::Digest;
        sha2::Sha256::digest(&payload)
    };
    assert_eq!(body.sha256, Some(whole.into()));
}

#[test]
fn swapped_sides_keep_who_is_the_client() {
    let opened = Opening { swapped: true, ..opening("") };
    let out = run_opened(opened, &[(ToClient, 0, &masked(FIN | 1, b"up"))], usize::MAX);
    assert_eq!(lines(&out), ["> up"]);
    assert_eq!(out.exchanges[0].client.port(), 80);
    assert_eq!(reasons(&out), [""; 0]);
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        2 => "[a-z{}\":,一]{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
    ];
    let first = prop_oneof![
        5 => Just(FIN | 1),
        2 => Just(FIN | 2),
        1 => Just(1),
        1 => Just(0),
        1 => Just(FIN),
        1 => Just(FIN | 9),
        2 => Just(FIN | COMPRESSED | 1),
        1 => any::<u8>(),
    ];
    let frame = (first, payload, any::<bool>(), any::<bool>()).prop_map(|(first, payload, mask, deflate)| {
        let payload = if deflate { deflater()(&payload) } else { payload };
        if mask { masked(first, &payload) } else { clear(first, &payload) }
    });
    proptest::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn pieces_change_nothing(
        bytes in frames(),
        cut in any::<prop::sample::Index>(),
        gap in 0u64..40,
        size in 1usize..40,
        agreed in any::<bool>(),
        direction in prop_oneof![Just(ToServer), Just(ToClient)],
    ) {
        let extensions = if agreed { "permessage-deflate" } else { "" };
        let cut = cut.index(bytes.len() + 1);
        let after = (cut + gap as usize).min(bytes.len());
        let pieces = [(direction, 0, &bytes[..cut]), (direction, gap, &bytes[after..])];
        let whole = run_opened(opening(extensions), &pieces, usize::MAX);
        let pieced = run_opened(opening(extensions), &pieces, size);
        let facts = |out: &Output| {
            (format!("{:?}{:?}", out.exchanges, out.asked), reasons(out), out.read_bytes, out.skipped_bytes)
        };
        prop_assert_eq!(facts(&whole), facts(&pieced));
    }
}
