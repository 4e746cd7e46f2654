//! HAR files of any bytes: alone, as the entries of a log, and as one entry.

use divulge::capture::Capture;
use divulge::model::CaptureItem;
use std::sync::Arc;

/// Reads one input.
pub fn target(data: &[u8]) {
    read(data.to_vec());
    read([b"{\"log\":{\"entries\":[", data, b"]}}"].concat());
    let entry = b"{\"log\":{\"entries\":[{\"startedDateTime\":\"2024-01-01T00:00:00Z\",\"request\":{\"method\":\"POST\",\"url\":\"https://a.example/\",";
    read([&entry[..], data, b"}]}}"].concat());
}

fn read(bytes: Vec<u8>) {
    let len = bytes.len();
    let Ok(mut capture) = Capture::from_memory("fuzz.har", Arc::new(bytes)) else { return };
    capture.look_ahead();
    let mut entries = 0;
    while let Ok(Some(item)) = capture.next_item() {
        if let CaptureItem::Exchanges(batch) = item {
            entries += batch.len();
        }
    }
    // An entry has at least a request, and a message of a WebSocket at least its braces.
    assert!(entries <= len);
}
