//! Ethernet frames through all of the pipeline, with key logs among them: the same events from one thread and from two.

use divulge::detect::Detector;
use divulge::model::{
    CaptureItem, DataType, FrameBatch, FrameMeta, Identifier, KeySource, LinkType, Profile, Timestamp,
};
use divulge::pipeline::{Event, Feed, LateKeys, Pipeline, Settings, run};
use divulge::rules::RuleSet;
use divulge::tls::KeyLogProblem;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// The control byte that makes a piece lines of a key log.
const KEYS: u8 = 0xff;

/// Reads one input; its first byte chooses the settings. Each piece has three bytes of control (addresses and ports, what
/// becomes of its sequence number, its length) and its payload.
pub fn target(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else { return };
    let late_keys = if choice & 1 == 0 { LateKeys::Never } else { LateKeys::Possible };
    let settings = Settings { late_keys, detector: Some(detector()), ..Settings::default() };
    let mut next = [[1_u32; 2]; 64];
    let mut parts = Vec::new();
    while let [ports, how, len, bytes @ ..] = rest {
        let (payload, after) = bytes.split_at(usize::from(*len).min(bytes.len()));
        rest = after;
        parts.push(match *ports {
            KEYS => Part::Keys(payload.to_vec()),
            ports if ports & 8 == 0 => {
                Part::Frame(tcp(&mut next[usize::from(ports >> 1 & 0x3f)], ports, *how, payload))
            }
            ports => Part::Frame(udp(ports, payload)),
        });
    }
    assert_eq!(alone(&settings, &parts), threaded(&settings, parts));
}

enum Part {
    Frame(Vec<u8>),
    Keys(Vec<u8>),
}

/// One that knows a few values, so that searching is part of the target.
fn detector() -> Arc<Detector> {
    static DETECTOR: OnceLock<Arc<Detector>> = OnceLock::new();
    let make = || {
        let values = [("imei", "861536030196001"), ("oaid", "3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34")];
        let identifiers = values.map(|(data_type, value)| Identifier {
            data_type: DataType::new(data_type),
            label: data_type.into(),
            value: value.into(),
        });
        let profile = Profile { identifiers: identifiers.into(), ..Profile::default() };
        Arc::new(Detector::new(&profile, &RuleSet::builtin().expect("the built-in rules are valid")))
    };
    Arc::clone(DETECTOR.get_or_init(make))
}

/// Ethernet and IPv4 up to the ports.
fn head(ports: u8, protocol: u8, len: usize) -> Vec<u8> {
    let total = u16::try_from(24 + len).expect("short");
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    let (from, to) = if ports & 1 == 0 { (2, 9) } else { (9, 2) };
    bytes.extend([10, 0, 0, from, 10, 0, 0, to]);
    let client = 40_000 + u16::from(ports >> 4);
    let server = [80, 443, 53, 1883][usize::from(ports >> 1 & 3)];
    let (from, to) = if ports & 1 == 0 { (client, server) } else { (server, client) };
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes
}

fn udp(ports: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(ports, 17, 4 + payload.len());
    bytes.extend(u16::try_from(8 + payload.len()).expect("short").to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// A segment: the next of its stream, or one that was sent before, leaves a hole or begins or ends the stream.
fn tcp(next: &mut [u32; 2], ports: u8, how: u8, payload: &[u8]) -> Vec<u8> {
    let way = usize::from(ports & 1);
    let seq = match how & 7 {
        1 => next[way].wrapping_sub(payload.len() as u32),
        2 => next[way].wrapping_add(1),
        3 => next[way].wrapping_add(1_000_000),
        _ => next[way],
    };
    let (fin, syn, rst) = (how >> 3 & 1, how >> 4 & 1, how >> 5 & u8::from(how >> 6 == 3));
    next[way] = seq.wrapping_add(payload.len() as u32).wrapping_add(u32::from(fin | syn));
    let mut bytes = head(ports, 6, 16 + payload.len());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(next[1 - way].to_be_bytes());
    bytes.extend([0x50, 0x10 | fin | syn << 1 | rst << 2, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// Each frame a batch of its own, and each time a new flow of events.
struct Parts {
    parts: VecDeque<Part>,
    number: u64,
    events: Vec<String>,
}

fn meta(number: u64, len: usize) -> FrameMeta {
    let ts = Timestamp::from_nanos(i64::try_from(number).expect("small") * 50_000_000);
    let original_len = u32::try_from(len).expect("short");
    FrameMeta { number, ts, link: LinkType(1), start: 0, len, original_len, app: None }
}

impl Feed for Parts {
    fn next(&mut self) -> Option<CaptureItem> {
        Some(match self.parts.pop_front()? {
            Part::Keys(text) => CaptureItem::Secrets(KeySource::Keylog, text),
            Part::Frame(bytes) => {
                self.number += 1;
                let frames = vec![meta(self.number, bytes.len())];
                CaptureItem::Frames(FrameBatch { segment: Arc::new(bytes), frames })
            }
        })
    }

    fn event(&mut self, event: Event) {
        self.events.push(format!("{event:?}"));
    }

    fn keys_read(&mut self, _: Vec<KeyLogProblem>, _: usize) {}

    fn warning(&mut self, _: String) {}
}

fn threaded(settings: &Settings, parts: Vec<Part>) -> Vec<String> {
    let mut feed = Parts { parts: parts.into(), number: 0, events: Vec::new() };
    run(settings, 2, &mut feed);
    feed.events
}

fn alone(settings: &Settings, parts: &[Part]) -> Vec<String> {
    let mut pipeline = Pipeline::new(settings);
    let mut events = Vec::new();
    let mut number = 0;
    for part in parts {
        match part {
            Part::Keys(text) => drop(pipeline.handle_keys(KeySource::Keylog, text)),
            Part::Frame(bytes) => {
                number += 1;
                let batch = FrameBatch { segment: Arc::new(bytes.clone()), frames: vec![meta(number, bytes.len())] };
                batch.iter().for_each(|frame| pipeline.handle_frame(&frame));
            }
        }
        while let Some(event) = pipeline.poll_event() {
            events.push(format!("{event:?}"));
        }
    }
    pipeline.finish();
    while let Some(event) = pipeline.poll_event() {
        events.push(format!("{event:?}"));
    }
    events
}
