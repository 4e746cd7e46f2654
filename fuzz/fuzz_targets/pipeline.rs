//! Whole Ethernet frames through all of the pipeline, with a key log among them.
#![no_main]

use divulge::model::{Frame, KeySource, LinkType, Timestamp};
use divulge::pipeline::{Pipeline, Settings};
use libfuzzer_sys::fuzz_target;

/// Ethernet and IPv4 up to the addresses' last bytes, so that few bytes of input make a packet.
fn frame(ports: u8, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let total = u16::try_from(24 + rest.len()).expect("short");
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
    bytes.extend(rest);
    bytes
}

fuzz_target!(|data: &[u8]| {
    let mut pipeline = Pipeline::new(&Settings::default());
    let mut rest = data;
    let mut number = 0;
    while let [ports, len, bytes @ ..] = rest {
        let (payload, after) = bytes.split_at(usize::from(*len).min(bytes.len()));
        number += 1;
        if *ports == 0xff {
            pipeline.handle_keys(KeySource::Keylog, payload);
        } else {
            let data = frame(*ports, if ports & 8 == 0 { 6 } else { 17 }, payload);
            let original_len = u32::try_from(data.len()).expect("short");
            let ts = Timestamp::from_nanos(number as i64 * 1_000_000);
            pipeline.handle_frame(&Frame { number, ts, link: LinkType(1), data: &data, original_len, app: None });
        }
        while pipeline.poll_event().is_some() {}
        rest = after;
    }
    pipeline.finish();
    while pipeline.poll_event().is_some() {}
});
