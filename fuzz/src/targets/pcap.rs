//! A pcap or pcapng file or stream, of any bytes.

use divulge::capture::Capture;
use divulge::model::CaptureItem;
use std::sync::Arc;

const HEAD: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

/// Reads one input.
pub fn target(data: &[u8]) {
    read([HEAD, data].concat());
    read(data.to_vec());
}

fn read(bytes: Vec<u8>) {
    let Ok(mut capture) = Capture::from_memory("fuzz", Arc::new(bytes)) else { return };
    capture.look_ahead();
    while let Ok(Some(item)) = capture.next_item() {
        if let CaptureItem::Frames(batch) = item {
            for frame in batch.iter() {
                assert!(frame.data.len() == frame.data.len().min(batch.segment.as_ref().as_ref().len()));
            }
        }
    }
}
