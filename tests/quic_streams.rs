//! The given captures' QUIC, held against what another reader made of it: every name and protocol of a hello, and that
//! what has keys opens.
#![expect(clippy::print_stderr, reason = "a test that can't run says so")]

use divulge::capture::{Capture, Input};
use divulge::flow::FlowTable;
use divulge::model::{CaptureItem, Direction, FlowId, Frame, KeySource, OpaqueReason, Timestamp, Transport};
use divulge::packet::Decoder;
use divulge::quic::{Claim, Connection, LateKeys, Output, Probe, StreamEventKind, probe};
use divulge::tls::KeyLog;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A datagram of a flow.
struct Datagram {
    direction: Direction,
    ts: Timestamp,
    bytes: Vec<u8>,
}

/// A connection and what it gave.
struct Read {
    connection: Connection,
    names: Vec<String>,
    /// By stream and direction: bytes, lost bytes, whether it ended.
    streams: BTreeMap<(u64, Direction), (Vec<u8>, u64, bool)>,
    opaque_bytes: u64,
}

impl Read {
    fn new(keys: &Arc<KeyLog>) -> Self {
        let connection = Connection::new(Arc::clone(keys), LateKeys::Never);
        Self { connection, names: Vec::new(), streams: BTreeMap::new(), opaque_bytes: 0 }
    }

    fn take(&mut self, out: &mut Output) {
        for event in &out.streams {
            let stream = self.streams.entry((event.id, event.direction)).or_default();
            assert!(!stream.2, "nothing comes after the end");
            match &event.kind {
                StreamEventKind::Bytes { gap, range } => {
                    stream.0.extend_from_slice(out.bytes(range));
                    stream.1 += gap;
                }
                StreamEventKind::End { gap } => (stream.1, stream.2) = (stream.1 + gap, true),
                StreamEventKind::Reset { .. } | StreamEventKind::Cut => stream.2 = true,
            }
        }
        self.names.append(&mut out.names);
        self.opaque_bytes += out.opaque_bytes;
        out.clear();
    }
}

/// The UDP flows of a capture that look like QUIC, and its keys.
fn flows_of(capture: &Path) -> (Vec<Vec<Datagram>>, Arc<KeyLog>) {
    let mut keys = KeyLog::new();
    let beside = std::fs::read(capture.with_extension("keys")).unwrap_or_default();
    keys.add_text(KeySource::Keylog, &beside);
    let mut flows: BTreeMap<FlowId, Vec<Datagram>> = BTreeMap::new();
    let Ok(mut opened) = Capture::open(&Input::File(capture.to_path_buf())) else { return Default::default() };
    for text in opened.look_ahead().secrets {
        keys.add_text(KeySource::Dsb, &text);
    }
    let (mut decoder, mut table) = (Decoder::default(), FlowTable::default());
    while let Ok(Some(item)) = opened.next_item() {
        if let CaptureItem::Frames(batch) = item {
            for frame in batch.iter() {
                datagram(&frame, &mut decoder, &mut table, &mut flows);
            }
        }
    }
    let flows = flows.into_values().filter(|flow| flow.iter().any(|one| probe(&one.bytes) == Probe::Yes));
    (flows.collect(), Arc::new(keys))
}

fn datagram(
    frame: &Frame<'_>,
    decoder: &mut Decoder,
    table: &mut FlowTable,
    flows: &mut BTreeMap<FlowId, Vec<Datagram>>,
) {
    let Some(packet) = decoder.decode(frame, &mut |_| {}) else { return };
    let Some(seen) = table.packet(&packet) else { return };
    if let Transport::Udp(udp) = &packet.transport {
        let datagram = Datagram { direction: seen.direction, ts: packet.ts, bytes: udp.payload.to_vec() };
        flows.entry(seen.id).or_default().push(datagram);
    }
}

/// Reads a flow, which may hold several connections.
fn read(flow: &[Datagram], keys: &Arc<KeyLog>) -> Vec<Read> {
    let mut all: Vec<Read> = Vec::new();
    let mut out = Output::new();
    for Datagram { direction, ts, bytes } in flow {
        let best = all.iter_mut().rev().map(|one| (one.connection.claims(*direction, bytes), one));
        let best = best.max_by_key(|(claim, _)| *claim).filter(|(claim, _)| *claim != Claim::No);
        let one = match best {
            Some((_, one)) => one,
            None => {
                all.push(Read::new(keys));
                all.last_mut().expect("just pushed")
            }
        };
        one.connection.datagram(*direction, *ts, bytes, &mut out);
        one.take(&mut out);
    }
    for one in &mut all {
        one.connection.finish(&mut out);
        one.take(&mut out);
    }
    all
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

fn oracle(capture: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(capture.with_extension("oracle.jsonl")).expect("readable");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_hello_gives_its_name_and_first_protocol() {
    let (captures, mut seen) = (captures(), 0);
    for capture in &captures {
        let lines = oracle(capture);
        let wanted: BTreeSet<(String, String)> = lines
            .iter()
            .filter(|line| line["kind"] == "sni" && line["transport"] == "quic")
            .map(|line| {
                let alpn = line["alpn"].as_array().and_then(|all| all.first()).and_then(Value::as_str);
                (line["server_name"].as_str().unwrap_or_default().to_owned(), alpn.unwrap_or_default().to_owned())
            })
            .collect();
        let (flows, keys) = flows_of(capture);
        let found: BTreeSet<(String, String)> = flows
            .iter()
            .flat_map(|flow| read(flow, &keys))
            .filter(|one| one.connection.client_hello().is_some())
            .filter_map(|one| {
                let info = one.connection.info();
                Some((info.sni.clone()?, info.alpn.clone().unwrap_or_default()))
            })
            .collect();
        assert_eq!(found, wanted, "{}", capture.display());
        seen += wanted.len();
    }
    assert!(seen > 0 || captures.is_empty());
}

#[test]
fn what_has_keys_opens_and_what_has_none_says_so() {
    for capture in captures() {
        let (flows, keys) = flows_of(&capture);
        for one in flows.iter().flat_map(|flow| read(flow, &keys)) {
            let known = one.connection.client_random().is_some_and(|random| keys.knows(&random));
            if known {
                assert_eq!(one.opaque_bytes, 0, "{}", capture.display());
                assert!(one.connection.readable());
                assert!(one.streams.values().all(|stream| stream.1 == 0), "no byte is lost");
            } else if one.opaque_bytes > 0 {
                assert_ne!(one.connection.opaque_reason(), Some(OpaqueReason::WrongKey));
            }
        }
    }
}

/// A small generator of numbers, the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }
}

/// Damages a flow: bytes changed, datagrams cut, lost, doubled, joined and moved.
fn damaged(flow: &[Datagram], noise: &mut Noise) -> Vec<Datagram> {
    let copy = |one: &Datagram| Datagram { direction: one.direction, ts: one.ts, bytes: one.bytes.clone() };
    let mut flow: Vec<Datagram> = flow.iter().map(copy).collect();
    for _ in 0..=noise.below(6) {
        let (at, other) = (noise.below(flow.len()), noise.below(flow.len()));
        let Some(one) = flow.get_mut(at) else { break };
        let place = noise.below(one.bytes.len());
        match noise.below(9) {
            0 | 1 => one.bytes.truncate(place),
            2..=4 => one.bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (place % 8)),
            5 => drop(flow.remove(at)),
            6 => flow.swap(at, other),
            7 => {
                let more = flow.get(other).map(|other| other.bytes.clone()).unwrap_or_default();
                flow[at].bytes.extend(more);
            }
            _ => {
                let again = copy(&flow[at]);
                flow.insert(other, again);
            }
        }
    }
    flow
}

#[test]
fn damaged_traffic_is_read_without_harm_and_nothing_is_invented() {
    let mut noise = Noise(7);
    for capture in captures() {
        let (flows, keys) = flows_of(&capture);
        for flow in flows.iter().take(4) {
            let whole = read(flow, &keys);
            let genuine: BTreeSet<&str> = whole.iter().flat_map(|one| &one.names).map(String::as_str).collect();
            for _ in 0..60 {
                let flow = damaged(flow, &mut noise);
                let sent: u64 = flow.iter().map(|one| one.bytes.len() as u64).sum();
                for one in read(&flow, &keys) {
                    assert!(one.opaque_bytes <= sent, "{}", capture.display());
                    // What is in the clear, in Google's QUIC, nothing authenticates.
                    let sealed = one.connection.client_hello().is_some();
                    let told = one.names.iter().all(|name| genuine.contains(name.as_str()));
                    assert!(told || !sealed, "{}", capture.display());
                    for (key, (bytes, _, _)) in &one.streams {
                        let of = whole.iter().filter_map(|whole| whole.streams.get(key)).map(|stream| stream.0.len());
                        assert!(of.max().is_some_and(|most| bytes.len() <= most), "{} {key:?}", capture.display());
                    }
                }
            }
        }
    }
}
