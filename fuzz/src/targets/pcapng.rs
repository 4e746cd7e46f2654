//! A pcapng file of any blocks: section header, one Ethernet interface, then the input.

use divulge::capture::Capture;
use divulge::model::CaptureItem;
use std::sync::Arc;

const HEAD: &[u8] = &[
    0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 28, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0,
];

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
