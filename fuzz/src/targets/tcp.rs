//! Segments of one stream in any order, overlapping and repeated: what is delivered is the stream, and with all of it
//! there nothing is missing.

use divulge::flow::{Delivery, Segment, TcpStream};
use divulge::model::Timestamp;

const LEN: usize = 4_096;

/// Reads one input.
pub fn target(data: &[u8]) {
    let [s0, s1, s2, s3, holes, rest @ ..] = data else { return };
    let start = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
    let stream: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
    let mut tcp = TcpStream::default();
    let mut seen = Vec::new();
    let mut lost = 0;
    let mut sink = |delivery: Delivery<'_>| {
        if let Delivery::Bytes { bytes, gap, .. } = delivery {
            let at = seen.len() + usize::try_from(gap).expect("small");
            assert_eq!(bytes, &stream[at..at + bytes.len()], "at {at}");
            lost += gap;
            seen.resize(at, 0);
            seen.extend_from_slice(bytes);
        }
    };
    let ts = Timestamp::from_nanos(0);
    let syn = Segment { seq: start, syn: true, fin: false, payload: &[], missing: 0, ts };
    tcp.segment(&syn, &mut sink);
    let seq = |at: usize| start.wrapping_add(1).wrapping_add(at as u32);
    for piece in rest.chunks_exact(3) {
        let at = (usize::from(piece[0]) << 8 | usize::from(piece[1])) % LEN;
        let len = usize::from(piece[2]).min(LEN - at);
        tcp.segment(&Segment { seq: seq(at), payload: &stream[at..at + len], syn: false, ..syn }, &mut sink);
        if holes & 1 == 1 && piece[2] & 7 == 7 {
            tcp.acknowledged(seq(at), &mut sink);
        }
    }
    if holes & 1 == 0 {
        for at in (0..LEN).step_by(512).rev() {
            tcp.segment(&Segment { seq: seq(at), payload: &stream[at..at + 512], syn: false, ..syn }, &mut sink);
        }
    }
    tcp.flush(&mut sink);
    if holes & 1 == 0 {
        assert_eq!((seen, lost), (stream, 0));
    }
}
