//! The given captures, decrypted and compared with what another reader of TLS made of them: the bytes of either side of
//! every stream, by length and SHA-256.

#![expect(clippy::print_stderr, reason = "a test that can't run says so")]

use divulge::capture::{Capture, Input};
use divulge::flow::{Conversation, Delivery, FlowTable, Segment};
use divulge::model::{CaptureItem, Direction, FlowId, FlowKey, Frame, KeySource, StreamChunk, Timestamp, Transport};
use divulge::packet::Decoder;
use divulge::tls::{KeyLog, Output, TlsSession};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Both directions of a TCP flow, its TLS session and what that gave.
struct Flow {
    key: FlowKey,
    streams: Conversation,
    session: TlsSession,
    plain: [Vec<u8>; 2],
    output: Output,
}

impl Flow {
    fn deliver(
        session: &mut TlsSession,
        out: &mut Output,
        plain: &mut [Vec<u8>; 2],
        way: Direction,
        what: Delivery<'_>,
    ) {
        match what {
            Delivery::Bytes { bytes, gap, ts } => session.chunk(StreamChunk { direction: way, ts, bytes, gap }, out),
            Delivery::End { .. } => session.close(way, out),
        }
        for chunk in out.plaintext() {
            plain[chunk.direction.index()].extend_from_slice(chunk.bytes);
        }
        out.clear();
    }

    fn packet(&mut self, way: Direction, segment: &Segment<'_>, ack: Option<u32>) {
        let Self { streams, session, plain, output, .. } = self;
        streams.segment(way, segment, ack, &mut |way, what| Self::deliver(session, output, plain, way, what));
    }

    fn finish(&mut self) {
        let Self { streams, session, plain, output, .. } = self;
        streams.flush(&mut |way, what| Self::deliver(session, output, plain, way, what));
    }
}

#[derive(Default)]
struct Reader {
    decoder: Decoder,
    table: FlowTable,
    flows: BTreeMap<FlowId, Flow>,
}

impl Reader {
    fn frame(&mut self, frame: &Frame<'_>, keys: &Arc<KeyLog>) {
        let Some(packet) = self.decoder.decode(frame, &mut |_| {}) else { return };
        let Some(seen) = self.table.packet(&packet) else { return };
        if let Some(key) = seen.opened {
            let flow = Flow {
                key,
                streams: Default::default(),
                session: TlsSession::new(Arc::clone(keys)),
                plain: Default::default(),
                output: Output::new(),
            };
            self.flows.insert(seen.id, flow);
        }
        let (Some(flow), Transport::Tcp(tcp)) = (self.flows.get_mut(&seen.id), &packet.transport) else { return };
        if tcp.flags.rst {
            return;
        }
        let segment = Segment {
            seq: tcp.seq,
            syn: tcp.flags.syn,
            fin: tcp.flags.fin,
            payload: &tcp.payload,
            missing: tcp.missing,
            ts: Timestamp::default(),
        };
        flow.packet(seen.direction, &segment, tcp.flags.ack.then_some(tcp.ack));
    }
}

/// The text of the key log beside a capture.
fn key_log(capture: &Path) -> String {
    std::fs::read_to_string(capture.with_extension("keys")).unwrap_or_default()
}

fn flows_of(capture: &Path, key_log: &str) -> Vec<Flow> {
    let mut keys = KeyLog::new();
    keys.add_text(KeySource::Keylog, key_log.as_bytes());
    let mut opened = Capture::open(&Input::File(capture.to_path_buf())).expect("a capture");
    for text in opened.look_ahead().secrets {
        keys.add_text(KeySource::Dsb, &text);
    }
    let keys = Arc::new(keys);
    let mut reader = Reader::default();
    while let Ok(Some(item)) = opened.next_item() {
        if let CaptureItem::Frames(batch) = item {
            for frame in batch.iter() {
                reader.frame(&frame, &keys);
            }
        }
    }
    let mut flows: Vec<Flow> = reader.flows.into_values().collect();
    flows.iter_mut().for_each(Flow::finish);
    flows
}

/// The SHA-256 in hexadecimal digits; empty of nothing, as in what is compared with.
fn digest(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What each end sent, as length and digest, by its address.
fn sent(flow: &Flow) -> [(String, usize, String); 2] {
    [(flow.key.client, Direction::ToServer), (flow.key.server, Direction::ToClient)].map(|(address, way)| {
        let bytes = &flow.plain[way.index()];
        (address.to_string(), bytes.len(), digest(bytes))
    })
}

fn expected(line: &Value) -> [(String, usize, String); 2] {
    ["0", "1"].map(|node| {
        let text = |key: String| line[key].as_str().unwrap_or_default().to_owned();
        let len = line[format!("from_node{node}_len")].as_u64().and_then(|len| usize::try_from(len).ok());
        (text(format!("node{node}")), len.expect("a length"), text(format!("from_node{node}_sha256")))
    })
}

fn streams(oracle: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(oracle).expect("readable");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["kind"] == "tls_stream").collect()
}

fn captures() -> Vec<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real"));
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: ../shared not found");
        return Vec::new();
    };
    let mut captures: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    captures.retain(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng"));
    captures.sort();
    captures
}

#[test]
fn premaster_secrets_alone_open_the_sessions_they_name() {
    let (captures, mut opened) = (captures(), 0);
    for capture in &captures {
        let keys: String =
            key_log(capture).lines().filter(|line| line.starts_with("RSA ")).map(|l| format!("{l}\n")).collect();
        let wanted: Vec<_> = streams(&capture.with_extension("oracle.jsonl")).iter().map(expected).collect();
        if keys.is_empty() {
            continue;
        }
        let flows: Vec<_> = flows_of(capture, &keys).iter().map(sent).collect();
        for flow in flows.iter().filter(|flow| flow.iter().any(|side| side.1 > 0)) {
            let reversed = [flow[1].clone(), flow[0].clone()];
            assert!(wanted.iter().any(|sides| sides == flow || *sides == reversed), "{}", capture.display());
            opened += 1;
        }
    }
    // Where a pre-shared key is mixed in, the premaster secret of a line is only a part of the real one.
    assert!(opened > 0 || captures.is_empty());
}

#[test]
fn every_stream_is_decrypted_to_the_same_bytes() {
    let captures = captures();
    let (mut seen, mut wrong, none) = (0, Vec::new(), captures.is_empty());
    for capture in captures {
        let wanted = streams(&capture.with_extension("oracle.jsonl"));
        if wanted.is_empty() {
            continue;
        }
        let flows: Vec<_> = flows_of(&capture, &key_log(&capture)).iter().map(sent).collect();
        for line in wanted {
            seen += 1;
            let mut sides = expected(&line);
            sides.sort();
            let found = flows.iter().any(|flow| {
                let mut flow = flow.clone();
                flow.sort();
                flow == sides
            });
            if !found {
                let near: Vec<_> = flows.iter().filter(|flow| sides.iter().any(|side| side.0 == flow[0].0)).collect();
                wrong.push(format!("{}: wanted {sides:?}, have {near:?}", capture.display()));
            }
        }
    }
    assert!(seen > 0 || none, "no stream to compare with");
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{}", wrong.len(), wrong.join("\n"));
}
