//! A capture → inputs that the targets begin with, so that they need not guess what a frame, a hello or a request looks
//! like: `DIVULGE_FUZZ=seeds divulge-fuzz CAPTURE` fills `corpus/TARGET`.

use crate::packets::Peer;
use crate::pieces::joined;
use divulge::capture::{Capture, Input};
use divulge::model::{CaptureItem, Direction, Exchange, Frame, KeySource, Side, Transport};
use divulge::packet::Decoder;
use divulge::pipeline::{Event, Pipeline, Settings};
use divulge::tls::KeyLog;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// Most bytes of a seed: small ones are worked on faster.
const SEED_MAX: usize = 4_096;
/// Most seeds of one target.
const SEEDS_MAX: usize = 40;

/// Seeds by target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, mut seed: Vec<u8>) {
        seed.truncate(SEED_MAX);
        let of_target = self.0.entry(target).or_default();
        if of_target.len() < SEEDS_MAX && !of_target.contains(&seed) {
            of_target.push(seed);
        }
    }

    fn write(&self) -> io::Result<()> {
        for (target, seeds) in &self.0 {
            let folder = Path::new("corpus").join(target);
            fs::create_dir_all(&folder)?;
            for (number, seed) in seeds.iter().enumerate() {
                fs::write(folder.join(format!("seed-{number}")), seed)?;
            }
        }
        Ok(())
    }
}

/// Payloads of the connections by their ends, from whoever was seen first.
type Connections = BTreeMap<(SocketAddr, SocketAddr), Vec<(Direction, Vec<u8>)>>;

/// Writes the seeds that a capture holds.
pub fn write(path: &str) {
    let bytes = fs::read(path).expect("the capture");
    let mut seeds = Seeds::default();
    seeds.add("pcapng", bytes[..bytes.len().min(SEED_MAX)].to_vec());
    let mut capture = Capture::open(&Input::from_arg(path)).expect("a capture");
    let mut keys = KeyLog::new();
    for text in capture.look_ahead().secrets {
        keys.add_text(KeySource::Dsb, &text);
        seeds.add("keylog", text);
    }
    let settings = Settings { keys: Arc::new(keys), ..Settings::default() };
    let (mut pipeline, mut decoder) = (Pipeline::new(&settings), Decoder::default());
    let mut connections = Connections::new();
    while let Ok(Some(item)) = capture.next_item() {
        let CaptureItem::Frames(batch) = item else { continue };
        for frame in batch.iter() {
            of_frame(&frame, &mut decoder, &mut connections, &mut seeds);
            pipeline.handle_frame(&frame);
        }
    }
    pipeline.finish();
    for payloads in connections.values() {
        let pieces: Vec<_> = payloads.iter().map(|(direction, bytes)| (*direction, &bytes[..])).collect();
        let target = if pieces.iter().any(|(_, bytes)| bytes.starts_with(b"\x16\x03")) { "tls" } else { "http1" };
        seeds.add(target, joined(&pieces));
    }
    while let Some(event) = pipeline.poll_event() {
        if let Event::Exchange(exchange) = event {
            of_exchange(&exchange, &mut seeds);
        }
    }
    made_up(&mut seeds);
    seeds.write().expect("the folder can be written");
}

fn of_frame(frame: &Frame<'_>, decoder: &mut Decoder, connections: &mut Connections, seeds: &mut Seeds) {
    if let (Ok(link), Ok(len)) = (u8::try_from(frame.link.0), u8::try_from(frame.data.len())) {
        seeds.add("link", [&[link, len][..], frame.data].concat());
    }
    let Some(packet) = decoder.decode(frame, &mut |_| ()) else { return };
    match packet.transport {
        Transport::Tcp(segment) if !segment.payload.is_empty() => {
            let from = SocketAddr::new(packet.src, segment.src_port);
            let to = SocketAddr::new(packet.dst, segment.dst_port);
            let (ends, direction) = match connections.contains_key(&(to, from)) {
                true => ((to, from), Direction::ToClient),
                false => ((from, to), Direction::ToServer),
            };
            connections.entry(ends).or_default().push((direction, segment.payload.to_vec()));
        }
        Transport::Udp(datagram) if datagram.src_port == 53 || datagram.dst_port == 53 => {
            seeds.add("dns", datagram.payload.to_vec());
        }
        _ => (),
    }
}

/// What was inside TLS is one more dialogue of HTTP/1, its bodies are bodies, and its entry is one of a HAR.
fn of_exchange(exchange: &Exchange, seeds: &mut Seeds) {
    let Some(request) = &exchange.request else { return };
    let mut text = [request.method.as_bytes(), b" ", &request.target, b" HTTP/1.1\r\n"].concat();
    for (name, value) in request.headers.iter() {
        text.extend([name, b": ", value, b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text.extend(&request.body.data);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    seeds.add("http1", joined(&[(Direction::ToServer, &text), (Direction::ToClient, answer)]));
    let segments = text.chunks(250).flat_map(|part| [&[0, 0, part.len() as u8][..], part].concat());
    seeds.add(
        "pipeline",
        [0, 0, 0x10, 0].into_iter().chain(segments).chain([1, 0, answer.len() as u8]).chain(*answer).collect(),
    );
    for side in [Side::Request, Side::Response] {
        let body = match side {
            Side::Request => Some(&request.body),
            Side::Response => exchange.response.as_ref().map(|response| &response.body),
        };
        if let Some(body) = body.filter(|body| !body.data.is_empty()) {
            seeds.add("body", [&[7, 9][..], &body.data].concat());
            seeds.add("protobuf", body.data.clone());
        }
    }
    let mut entry = String::new();
    write!(
        entry,
        "{{\"startedDateTime\":\"2023-10-12T02:00:08.000Z\",\"time\":1,\"request\":{{\"method\":\"{}\",\"url\":\"https://a.example/?q=1\",\
         \"httpVersion\":\"HTTP/1.1\",\"headers\":[{{\"name\":\"a\",\"value\":\"b\"}}],\"queryString\":[],\"postData\":{{\"mimeType\":\
         \"text/plain\",\"text\":\"a\",\"params\":[{{\"name\":\"n\",\"value\":\"v\"}}]}}}},\"response\":{{\"status\":200,\"content\":\
         {{\"size\":1,\"mimeType\":\"text/plain\",\"text\":\"YQ==\",\"encoding\":\"base64\"}}}},\"_webSocketMessages\":[{{\"type\":\"send\",\
         \"time\":1.5,\"opcode\":1,\"data\":\"x\"}}]}}",
        request.method
    )
    .expect("into a string");
    seeds.add("har", entry.into_bytes());
}

/// What a capture of HTTP/1 does not hold.
fn made_up(seeds: &mut Seeds) {
    let [(_, client), (_, server)] = Peer::new(1).handshake();
    seeds.add("quic", [&[0][..], &joined(&[(Direction::ToServer, &client), (Direction::ToClient, &server)])].concat());
    let datagrams = [(10, &client), (11, &server)].into_iter();
    let parts = datagrams.flat_map(|(ports, bytes)| [&[ports, 0, bytes.len().min(255) as u8][..], bytes].concat());
    let keys = Peer::key_log();
    let lines = keys.lines().flat_map(|line| [&[0xff, 0, line.len() as u8 + 1][..], line.as_bytes(), b"\n"].concat());
    seeds.add("pipeline", [0].into_iter().chain(lines).chain(parts).collect());
    // A request of HTTP/3 with its answer, behind the packet protection.
    let request = b"\x02\x0b\x00\x01\x07\x00\x00\xd1\xd7\xc1\x50\x00";
    let answer = b"\x02\x0b\x00\x01\x03\x00\x00\xd9";
    let streams = joined(&[(Direction::ToServer, request), (Direction::ToClient, answer)]);
    seeds.add("quic", [&[2][..], &streams].concat());
    let head = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";
    let answer = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x02\0\x01\0\0\0\x01ok";
    seeds.add("http2", joined(&[(Direction::ToServer, head), (Direction::ToClient, answer)]));
    seeds.add(
        "socks",
        joined(&[
            (Direction::ToServer, b"\x05\x01\0\x05\x01\0\x03\x01a\0\x50GET"),
            (Direction::ToClient, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
        ]),
    );
    seeds.add("socks", b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\nGET".to_vec());
}
