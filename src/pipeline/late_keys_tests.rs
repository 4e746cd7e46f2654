//! Key logs that grow while flows are open.

use super::{Event, LateKeys, Pipeline, Settings};
use crate::model::{Frame, KeySource, LinkType, Timestamp};
use std::time::{Duration, Instant};

/// The first packet of a connection: of a TLS session where there are bytes.
fn packet(number: u32, syn: bool, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes();
    let len = u16::try_from(40 + payload.len()).expect("a short packet").to_be_bytes();
    let ip = [&[0x45, 0][..], &len, &[0, 0, 0, 0, 64, 6, 0, 0, 10, a, b, c, 203, 0, 113, 7]].concat();
    let sequence = if syn { [0, 0, 0, 1] } else { [0, 0, 0, 2] };
    let flags = if syn { 0x02 } else { 0x10 };
    let tcp = [&[0x20, d, 1, 0xbb][..], &sequence, &[0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat();
    [&ip[..], &tcp, payload].concat()
}

#[test]
fn a_key_log_that_grows_line_by_line_costs_little_however_many_flows_are_open() {
    const FLOWS: u32 = 60_000;
    const LINES: u32 = 1_000;
    let mut pipeline = Pipeline::new(&Settings { late_keys: LateKeys::Possible, ..Settings::default() });
    let mut flows = 0;
    let mut handle = |pipeline: &mut Pipeline, data: &[u8]| {
        pipeline.handle_frame(&Frame {
            number: 1,
            ts: Timestamp::from_nanos(1_000_000),
            link: LinkType(101),
            data,
            original_len: u32::try_from(data.len()).expect("a short frame"),
            app: None,
        });
        while let Some(event) = pipeline.poll_event() {
            flows += u32::from(matches!(event, Event::Flow(_)));
        }
    };
    for number in 0..FLOWS {
        handle(&mut pipeline, &packet(number, true, &[]));
        handle(&mut pipeline, &packet(number, false, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    }
    let started = Instant::now();
    for number in 0..LINES {
        let line = format!("CLIENT_RANDOM {number:064x} {}\n", "ab".repeat(48));
        assert_eq!(pipeline.handle_keys(KeySource::Keylog, line.as_bytes()), []);
        pipeline.use_keys();
    }
    let took = started.elapsed();
    assert_eq!(flows, 0, "all flows are still open");
    // Every flow for every line would be 60 million visits.
    assert!(took < Duration::from_secs(20), "{took:?}");
}
