//! DNS messages, and streams of them.
#![no_main]

use divulge::dns::{DnsStream, message, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = probe(data);
    let _ = message(data);
    let mut stream = DnsStream::default();
    for part in data.chunks(7) {
        stream.feed(0, part);
    }
});
