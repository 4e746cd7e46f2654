//! Frames of every link type, with their tunnels and fragments.

use divulge::model::{Frame, LinkType, Timestamp};
use divulge::packet::Decoder;

/// Reads one input.
pub fn target(data: &[u8]) {
    let mut decoder = Decoder::default();
    let mut rest = data;
    let mut number = 0;
    while let [link, len, bytes @ ..] = rest {
        number += 1;
        let (frame, after) = bytes.split_at(usize::from(*len).min(bytes.len()));
        // The common link types have numbers below 300.
        let link = LinkType(u32::from(*link) + if number % 3 == 0 { 40 } else { 0 });
        let original_len = u32::try_from(frame.len()).expect("at most 255") + u32::from(*len % 3);
        let frame =
            Frame { number, ts: Timestamp::from_nanos(number as i64), link, data: frame, original_len, app: None };
        decoder.decode(&frame, &mut |_| ());
        rest = after;
    }
}
