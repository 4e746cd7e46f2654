//! WebSocket: the messages of the given captures against what another reader made of them, and a message of an app from
//! the wire to what is found in it.

#![expect(clippy::print_stderr, reason = "a test that can't run says so")]

use crate::run::{Folder, address, divulge, ndjson, status, stderr};
use crate::support::file::{Resolution, pcap};
use crate::support::link::Link;
use crate::support::tcp::Connection;
use crate::support::{MS, Order, Way};
use divulge::capture::{Capture, Input};
use divulge::model::{CaptureItem, Exchange, Protocol};
use divulge::pipeline::{Event, Exchanges, Pipeline, Settings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const AT: i64 = 1_697_076_000_000_000_000;
const IMEI: &str = "861536030196001";

fn exchanges_of(capture: &Path) -> Vec<Exchange> {
    let mut pipeline = Pipeline::new(&Settings { exchanges: Exchanges::Kept, ..Settings::default() });
    let mut capture = Capture::open(&Input::File(capture.to_path_buf())).expect("a capture");
    while let Ok(Some(item)) = capture.next_item() {
        if let CaptureItem::Frames(batch) = item {
            batch.iter().for_each(|frame| pipeline.handle_frame(&frame));
        }
    }
    pipeline.finish();
    let events = std::iter::from_fn(|| pipeline.poll_event());
    events.filter_map(|event| if let Event::Exchange(exchange) = event { Some(*exchange) } else { None }).collect()
}

/// Messages as (from the client, length), put together from the frames another reader saw.
fn expected(oracle: &Path) -> Vec<(bool, u64)> {
    let text = std::fs::read_to_string(oracle).expect("readable");
    let frames = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut drafts = [0, 0];
    let mut messages = Vec::new();
    for frame in frames.filter(|line| line["kind"] == "websocket") {
        let client = frame["from"] == "client";
        let len = frame["len"].as_u64().expect("a length");
        match frame["opcode"].as_u64().expect("an opcode") {
            // The code of a close frame is no text, and what says nothing is no message.
            8 if len > 2 => messages.push((client, len - 2)),
            9 | 10 if len > 0 => messages.push((client, len)),
            0..=2 => {
                drafts[usize::from(client)] += len;
                if frame["fin"] == true {
                    messages.push((client, std::mem::take(&mut drafts[usize::from(client)])));
                }
            }
            _ => {}
        }
    }
    messages
}

fn captures() -> Vec<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real"));
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: ../shared not found");
        return Vec::new();
    };
    let mut captures: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    captures.retain(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng"));
    captures.retain(|path| path.with_extension("oracle.jsonl").exists());
    captures.sort();
    captures
}

#[test]
fn every_message_of_the_given_captures_is_read() {
    let captures = captures();
    let (mut compared, none) = (0, captures.is_empty());
    for capture in captures {
        let wanted = expected(&capture.with_extension("oracle.jsonl"));
        if wanted.is_empty() {
            continue;
        }
        let all = exchanges_of(&capture);
        let answers = all.iter().filter_map(|exchange| exchange.response.as_ref());
        let compressed = answers.filter_map(|answer| answer.headers.get("sec-websocket-extensions")).next().is_some();
        let sockets: Vec<&Exchange> = all.iter().filter(|one| one.protocol == Protocol::WebSocket).collect();
        let mut seen = Vec::new();
        for exchange in sockets {
            let request = exchange.request.as_ref().expect("the place of the handshake");
            assert!(request.authority.is_some() && request.method.is_empty(), "{}", capture.display());
            let body = exchange.response.as_ref().map_or(&request.body, |response| &response.body);
            assert!(body.complete, "{}", capture.display());
            // All of these are text inside, compressed or not.
            assert!(String::from_utf8_lossy(&body.data).chars().any(char::is_alphanumeric), "{}", capture.display());
            seen.push((exchange.response.is_none(), body.bytes));
        }
        compared += seen.len();
        if compressed {
            let ways = |messages: &[(bool, u64)]| messages.iter().map(|message| message.0).collect::<Vec<_>>();
            assert_eq!(ways(&seen), ways(&wanted), "{}", capture.display());
        } else {
            assert_eq!(seen, wanted, "{}", capture.display());
        }
    }
    assert!(none || compared > 50, "{compared} messages compared");
}

#[test]
fn compressed_json_of_a_given_capture_comes_out_whole() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real/ws-websocket-compressed.pcapng");
    if !Path::new(capture).exists() {
        eprintln!("skipped: ../shared not found");
        return;
    }
    let all = exchanges_of(Path::new(capture));
    let sockets = all.iter().filter(|one| one.protocol == Protocol::WebSocket);
    let texts: Vec<(Value, Value)> = sockets
        .map(|exchange| {
            let request = exchange.request.as_ref().map(|request| &request.body);
            let body = exchange.response.as_ref().map(|response| &response.body).or(request).expect("a body");
            let text: Value = serde_json::from_slice(&body.data).expect("JSON");
            (text["type"].clone(), text["data"].clone())
        })
        .collect();
    let [(first, sent), (second, returned), ..] = &texts[..] else { panic!("{texts:?}") };
    assert_eq!((first, second), (&json!("request"), &json!("response")));
    assert_eq!(sent, returned, "the server returns what it is sent");
}

/// A masked frame with the key `1234`.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    assert!(length < 126);
    let masked = payload.iter().zip(b"1234".iter().cycle()).map(|(byte, key)| byte ^ key);
    [first, 0x80 | length].into_iter().chain(*b"1234").chain(masked).collect()
}

#[test]
fn what_an_app_sends_over_a_websocket_is_found_and_named() {
    let mut connection = Connection::open(address("10.0.0.2:40100"), address("203.0.113.9:80"), None, AT);
    let request = format!(
        "GET /push?imei={IMEI} HTTP/1.1\r\nHost: push.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let text = format!(r#"42["login",{{"deviceId":"{IMEI}"}}]"#);
    let (front, back) = text.as_bytes().split_at(20);
    let turns: [(Way, Vec<u8>); 6] = [
        (Way::ToServer, request.into_bytes()),
        (Way::ToClient, answer.as_bytes().to_vec()),
        (Way::ToServer, frame(0x01, front)),
        (Way::ToServer, frame(0x89, b"")),
        (Way::ToServer, frame(0x80, back)),
        (Way::ToClient, b"\x81\x02ok".to_vec()),
    ];
    for (way, bytes) in turns {
        connection.send(way, &bytes);
        connection.wait(20 * MS);
    }
    let folder = Folder::new();
    let packets = connection.close();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", &packets));
    let profile = folder.file("device.toml", format!("imei = \"{IMEI}\"\n").as_bytes());
    let run = |emit: &str| {
        let args = ["replay", &capture, "--profile", &profile, "--emit", emit, "--format", "ndjson", "--show-values"];
        let output = divulge(&args);
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        ndjson(&output)
    };
    let seen = run("observations");
    let facts: Vec<_> = seen
        .iter()
        .map(|one| json!([one["exchange"], one["host"], one["where"]["part"], one["where"]["pointer"]]))
        .collect();
    // The handshake's target is searched with the handshake and not again with each message.
    let expected =
        [json!(["1.0", "push.example", "query", ""]), json!(["1.1", "push.example", "body", "$[1].deviceId"])];
    assert_eq!(facts, expected);
    let lines = run("exchanges");
    let [handshake, up, down] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!((&handshake["method"], &handshake["status"]), (&json!("GET"), &json!(101)));
    for message in [up, down] {
        assert_eq!(message["protocol"], "websocket");
        assert_eq!((&message["method"], &message["status"]), (&Value::Null, &Value::Null));
        assert_eq!((&message["authority"], &message["path"]), (&json!("push.example"), &handshake["path"]));
    }
    assert_eq!((&up["request"]["body"]["bytes"], &up["response"]), (&json!(text.len()), &Value::Null));
    assert_eq!((&down["request"], &down["response"]["body"]["bytes"]), (&Value::Null, &json!(2)));
}

#[test]
fn what_a_grpc_call_of_a_given_capture_asks_for_is_found() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real");
    let capture = format!("{folder}/ws-grpc_person_search_json_with_image.pcapng");
    if !Path::new(&capture).exists() {
        eprintln!("skipped: ../shared not found");
        return;
    }
    let files = Folder::new();
    let profile = files.file("device.toml", b"name = [\"Jason\", \"Lily\"]\n");
    let args = ["replay", &capture, "--profile", &profile, "--emit", "observations", "--format", "ndjson"];
    let output = divulge(&[&args[..], &["--show-values"]].concat());
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let seen = ndjson(&output);
    let facts: Vec<_> = seen.iter().map(|one| json!([one["value"], one["where"]["pointer"], one["chain"]])).collect();
    let chain = json!(["grpc", "json"]);
    assert_eq!(facts, [json!(["Jason", "$.name[0]", chain]), json!(["Lily", "$.name[1]", chain])]);
}

#[test]
fn a_websocket_is_read_though_the_capture_begins_in_its_middle() {
    let mut connection = Connection::open(address("10.0.0.2:40100"), address("203.0.113.9:80"), None, AT);
    connection.send(Way::ToServer, b"GET /push HTTP/1.1\r\nHost: push.example\r\n\r\n");
    let before = connection.packets.len();
    let text = format!(r#"42["login",{{"deviceId":"{IMEI}"}}]"#);
    connection.send(Way::ToClient, b"\x81\x05hello");
    connection.send(Way::ToServer, &frame(0x81, text.as_bytes()));
    connection.send(Way::ToServer, &frame(0x89, b""));
    connection.send(Way::ToClient, b"\x8a\x00\x81\x17{\"code\":0,\"msg\":\"done\"}");
    let packets = connection.close().split_off(before);
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "", &packets));
    let exchanges = exchanges_of(Path::new(&capture));
    let sent = exchanges.iter().find_map(|exchange| exchange.request.as_ref()).expect("a message");
    assert_eq!(String::from_utf8_lossy(&sent.body.data), text);
    assert!(exchanges.iter().all(|exchange| exchange.protocol == Protocol::WebSocket));
    let answers: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.response.as_ref()).collect();
    assert_eq!(answers.iter().map(|answer| answer.body.bytes).collect::<Vec<_>>(), [0x17]);
}
