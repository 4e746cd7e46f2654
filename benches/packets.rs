//! The inner loops in front of the protocols: frames to packets, packets to flows, segments to ordered bytes, and the
//! whole pipeline over the shipped capture.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use divulge::capture::Capture;
use divulge::flow::{FlowTable, Segment, TcpStream};
use divulge::model::{CaptureItem, Frame, LinkType, Timestamp};
use divulge::packet::Decoder;
use divulge::pipeline::{Pipeline, Settings};
use std::sync::Arc;

const PAYLOAD: usize = 1_448;
const FRAMES: usize = 1_024;

fn main() {
    divan::main();
}

/// Ethernet, IPv4 and TCP with a full segment; `number` gives the sequence number.
fn frame(number: usize) -> Vec<u8> {
    let mut data = vec![0; 12];
    data.extend([8, 0]);
    let total = u16::try_from(40 + PAYLOAD).expect("fits").to_be_bytes();
    data.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
    let seq = u32::try_from(1 + number * PAYLOAD).expect("fits").to_be_bytes();
    data.extend([0x9c, 0x40, 0, 80]);
    data.extend(seq);
    data.extend([0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    data.resize(54 + PAYLOAD, b'x');
    data
}

fn frames() -> Vec<Vec<u8>> {
    (0..FRAMES).map(frame).collect()
}

fn as_frame(number: usize, data: &[u8]) -> Frame<'_> {
    let original_len = u32::try_from(data.len()).expect("fits");
    let ts = Timestamp::from_nanos(0);
    Frame { number: number as u64, ts, link: LinkType::ETHERNET, data, original_len, app: None }
}

#[divan::bench]
fn frames_to_packets(bencher: Bencher<'_, '_>) {
    let frames = frames();
    bencher.counter(BytesCount::new(FRAMES * (54 + PAYLOAD))).bench_local(|| {
        let mut decoder = Decoder::default();
        for (number, data) in frames.iter().enumerate() {
            black_box(decoder.decode(&as_frame(number, data), &mut |_| {}));
        }
    });
}

#[divan::bench]
fn packets_to_flows(bencher: Bencher<'_, '_>) {
    let frames = frames();
    let mut decoder = Decoder::default();
    let packets: Vec<_> = frames
        .iter()
        .enumerate()
        .filter_map(|(number, data)| decoder.decode(&as_frame(number, data), &mut |_| {}))
        .collect();
    bencher.counter(BytesCount::new(FRAMES * PAYLOAD)).bench_local(|| {
        let mut table = FlowTable::default();
        for packet in &packets {
            black_box(table.packet(packet));
        }
    });
}

fn reassemble(bencher: Bencher<'_, '_>, order: impl Fn(usize) -> usize) {
    let payload = vec![b'x'; PAYLOAD];
    bencher.counter(BytesCount::new(FRAMES * PAYLOAD)).bench_local(|| {
        let mut stream = TcpStream::default();
        let mut bytes = 0;
        let mut sink = |delivery: divulge::flow::Delivery<'_>| {
            if let divulge::flow::Delivery::Bytes { bytes: piece, .. } = delivery {
                bytes += piece.len();
            }
        };
        let syn = Segment { seq: 0, syn: true, fin: false, payload: &[], missing: 0, ts: Timestamp::from_nanos(0) };
        stream.segment(&syn, &mut sink);
        for number in 0..FRAMES {
            let seq = u32::try_from(1 + order(number) * PAYLOAD).expect("fits");
            stream.segment(&Segment { seq, syn: false, payload: &payload, ..syn }, &mut sink);
        }
        black_box(bytes)
    });
}

#[divan::bench]
fn segments_in_order(bencher: Bencher<'_, '_>) {
    reassemble(bencher, |number| number);
}

#[divan::bench]
fn segments_swapped_in_pairs(bencher: Bencher<'_, '_>) {
    reassemble(bencher, |number| number ^ 1);
}

#[divan::bench]
fn shipped_capture_to_events(bencher: Bencher<'_, '_>) {
    let bytes: &'static [u8] = include_bytes!("../captures/demo/traffic.pcapng");
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut capture = Capture::from_memory("traffic.pcapng", Arc::new(bytes)).expect("a capture");
        let mut pipeline = Pipeline::new(&Settings::default());
        let mut events = 0;
        while let Some(item) = capture.next_item().expect("readable") {
            match item {
                CaptureItem::Frames(batch) => batch.iter().for_each(|frame| pipeline.handle_frame(&frame)),
                CaptureItem::Secrets(_, text) => {
                    black_box(pipeline.handle_keys(divulge::model::KeySource::Dsb, &text));
                }
                _ => {}
            }
        }
        pipeline.finish();
        while pipeline.poll_event().is_some() {
            events += 1;
        }
        black_box(events)
    });
}
