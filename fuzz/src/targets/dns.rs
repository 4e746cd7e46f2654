//! DNS messages, and streams of them.

use divulge::dns::{DnsStream, message, probe};

/// Reads one input.
pub fn target(data: &[u8]) {
    let _ = probe(data);
    let _ = message(data);
    let mut stream = DnsStream::default();
    for part in data.chunks(7) {
        stream.feed(0, part);
    }
}
