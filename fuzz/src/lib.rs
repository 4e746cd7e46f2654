//! What the fuzz targets share: input bytes → pieces of a two-way stream, and exchanges → something to compare.

use divulge::http::{Context, Output};
use divulge::model::{Direction, Exchange, FlowId, StreamChunk, Timestamp};

/// A piece of one direction.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    /// Which way.
    pub direction: Direction,
    /// Bytes lost before it.
    pub gap: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// The piece as parsers take it.
    pub fn chunk(&self) -> StreamChunk<'_> {
        StreamChunk { direction: self.direction, ts: Timestamp::from_nanos(0), bytes: self.bytes, gap: self.gap }
    }
}

/// Cuts an input: each piece has a control byte (direction, whether bytes were lost, high bits of the length), a length
/// byte, and its bytes.
pub fn pieces(mut data: &[u8]) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    while let [control, low, rest @ ..] = data {
        let len = (usize::from(control >> 2) << 8 | usize::from(*low)).min(rest.len());
        let direction = if control & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        // Rare, so that most dialogues are whole.
        let gap = if control & 0xfe == 0xfe { u64::from(*low) } else { 0 };
        all.push(Piece { direction, gap, bytes: &rest[..len] });
        data = &rest[len..];
    }
    all
}

/// The same bytes, each piece cut into single bytes at its ends and halves between.
pub fn recut<'a>(pieces: &[Piece<'a>]) -> Vec<Piece<'a>> {
    let mut all = Vec::new();
    for piece in pieces {
        let cuts = [0, 1, 2, 5, piece.bytes.len() / 2, piece.bytes.len().saturating_sub(1), piece.bytes.len()];
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(piece.bytes.len())).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut gap = piece.gap;
        for pair in cuts.windows(2) {
            all.push(Piece { direction: piece.direction, gap, bytes: &piece.bytes[pair[0]..pair[1]] });
            gap = 0;
        }
        if piece.bytes.is_empty() {
            all.push(piece.clone());
        }
    }
    all
}

/// A flow for parsers.
pub fn context() -> Context {
    Context {
        flow: FlowId(1),
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([203, 0, 113, 9], 443).into(),
        app: None,
        tls: None,
    }
}

/// What an exchange says, to compare.
pub fn said(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map(|request| {
        let body = &request.body;
        (&request.method, &request.target, &request.authority, &request.headers, body.bytes, body.sha256, body.complete)
    });
    let response = exchange.response.as_ref().map(|response| {
        let body = &response.body;
        (response.status, &response.headers, body.bytes, body.sha256, body.complete)
    });
    format!("{} {:?} {request:?} {response:?}", exchange.id, exchange.protocol)
}

/// What all exchanges of an output say.
pub fn all_said(out: &Output) -> Vec<String> {
    out.exchanges.iter().map(said).collect()
}
