//! The handshake of a SOCKS proxy, and a PROXY header: however the bytes are cut, the same rest behind them.

use crate::pieces::{Piece, pieces, recut};
use divulge::model::Direction;
use divulge::socks::{Handshake, Progress, probe, proxy_header};

/// Reads one input.
pub fn target(data: &[u8]) {
    let _ = probe(Direction::ToServer, data);
    if let Ok(len) = proxy_header(data) {
        assert!(len <= data.len());
        assert_eq!(proxy_header(&data[..len]), Ok(len), "what follows a header is no part of it");
    }
    let whole = pieces(data);
    assert_eq!(run(&whole), run(&recut(&whole)));
}

/// The bytes behind the handshake; none where it never ends.
fn run(pieces: &[Piece<'_>]) -> Option<[Vec<u8>; 2]> {
    let mut handshake = Handshake::default();
    let mut pieces = pieces.iter();
    let mut rest = loop {
        let piece = pieces.next()?;
        match handshake.feed(piece.direction, piece.bytes) {
            Progress::More => (),
            Progress::Done { to_server, to_client } => break [to_server, to_client],
            Progress::Broken => return None,
        }
    };
    for piece in pieces {
        rest[piece.direction.index()].extend_from_slice(piece.bytes);
    }
    Some(rest)
}
