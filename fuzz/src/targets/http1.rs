//! HTTP/1 in both directions: however the bytes are cut, the same exchanges.

use crate::pieces::{Piece, all_said, check, context, pieces, recut};
use divulge::http::{Http1, Output};

/// Reads one input.
pub fn target(data: &[u8]) {
    let whole = pieces(data);
    assert_eq!(run(&whole), run(&recut(&whole)));
}

fn run(pieces: &[Piece<'_>]) -> Vec<String> {
    let mut out = Output::default();
    let mut http = Http1::new(context(), 0);
    for piece in pieces {
        http.chunk(piece.chunk(), &mut out);
    }
    http.finish(&mut out);
    check(&out);
    all_said(&out)
}
