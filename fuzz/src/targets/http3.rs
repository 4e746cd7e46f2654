//! The streams of HTTP/3: however their bytes are cut, the same exchanges.

use crate::pieces::{Piece, all_said, check, context, pieces, recut};
use divulge::http::Output;
use divulge::http::h3::{Http3, Multiplexed};
use divulge::model::{Direction, Timestamp};

/// The bit of a piece's first byte that says the stream ends; the low bits are the stream's number.
const END: u8 = 0x40;

/// Reads one input.
pub fn target(data: &[u8]) {
    let whole = pieces(data);
    assert_eq!(run(&whole, <[Piece<'_>]>::to_vec), run(&whole, recut));
}

fn run<'a>(pieces: &[Piece<'a>], cut: impl Fn(&[Piece<'a>]) -> Vec<Piece<'a>>) -> Vec<String> {
    let mut out = Output::default();
    let mut http = Http3::new(context(), 0, Direction::ToServer);
    for piece in pieces {
        let Some((first, bytes)) = piece.bytes.split_first() else { continue };
        let id = u64::from(first & 0x0f);
        for part in cut(&[Piece { bytes, ..piece.clone() }]) {
            http.chunk(id, part.chunk(), &mut out);
        }
        if first & END != 0 {
            http.end(id, piece.direction, 0, Timestamp::from_nanos(0), &mut out);
        }
    }
    http.finish(&mut out);
    check(&out);
    all_said(&out)
}
