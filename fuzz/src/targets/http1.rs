//! HTTP/1 in both directions: however the bytes are cut, the same exchanges. Where bytes had to be skipped because no
//! message could be found in them, only what holds of any stream is asked for: how soon the next message is found may
//! depend on where they were cut.

use crate::pieces::{Piece, all_said, check, context, pieces, recut};
use divulge::http::{Http1, Output};

/// Reads one input.
pub fn target(data: &[u8]) {
    let whole = pieces(data);
    if let (Some(one), Some(other)) = (run(&whole), run(&recut(&whole))) {
        assert_eq!(one, other);
    }
}

/// What the pieces say; none where some of them could not be read.
fn run(pieces: &[Piece<'_>]) -> Option<Vec<String>> {
    let mut out = Output::default();
    let mut http = Http1::new(context(), 0);
    for piece in pieces {
        http.chunk(piece.chunk(), &mut out);
    }
    http.finish(&mut out);
    check(&out);
    (out.skipped_bytes == 0).then(|| all_said(&out))
}
