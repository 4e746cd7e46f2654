//! HPACK: each piece of the input is a header block of one connection, one after the other.
#![no_main]

use divulge::http::{Http2, Output};
use divulge::model::Timestamp;
use divulge_fuzz::{Piece, context, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut out = Output::default();
    let mut http = Http2::new(context(), 0);
    for (stream, piece) in (1u32..).step_by(2).zip(&pieces(data)) {
        let length = piece.bytes.len().to_be_bytes();
        let frame = [&length[length.len() - 3..], &[1, 5], &stream.to_be_bytes(), piece.bytes].concat();
        http.chunk(Piece { bytes: &frame, ..piece.clone() }.chunk(), &mut out);
    }
    http.finish(Timestamp::from_nanos(0), &mut out);
});
