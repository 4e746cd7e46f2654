//! HTTP/2 in both directions: however the bytes are cut, the same exchanges.
#![no_main]

use divulge::http::{Http2, Output};
use divulge::model::Timestamp;
use divulge_fuzz::{Piece, all_said, context, pieces, recut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = pieces(data);
    assert_eq!(run(&whole), run(&recut(&whole)));
});

fn run(pieces: &[Piece<'_>]) -> Vec<String> {
    let mut out = Output::default();
    let mut http = Http2::new(context(), 0);
    for piece in pieces {
        http.chunk(piece.chunk(), &mut out);
    }
    http.finish(Timestamp::from_nanos(0), &mut out);
    all_said(&out)
}
