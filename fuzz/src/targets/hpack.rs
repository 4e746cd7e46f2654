//! HPACK: each piece of the input is a header block of one connection, one after the other.

use crate::pieces::{Piece, context, pieces};
use divulge::http::{Http2, Output};
use divulge::model::Timestamp;

/// Reads one input.
pub fn target(data: &[u8]) {
    let mut out = Output::default();
    let mut http = Http2::new(context(), 0);
    for (stream, piece) in (1u32..).step_by(2).zip(&pieces(data)) {
        let length = piece.bytes.len().to_be_bytes();
        let frame = [&length[length.len() - 3..], &[1, 5], &stream.to_be_bytes(), piece.bytes].concat();
        http.chunk(Piece { bytes: &frame, ..piece.clone() }.chunk(), &mut out);
    }
    http.finish(Timestamp::from_nanos(0), &mut out);
}
