//! What the targets share: input bytes → pieces of a two-way stream, and what a parser gave → something to compare, and
//! what must hold for it whatever the input.

use divulge::http::{Context, Digests, Output};
use divulge::model::{Direction, Exchange, ExchangeId, FlowId, Protocol, StreamChunk, Timestamp};
use std::collections::BTreeMap;

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

/// Bits of a piece's control byte that say together that bytes were lost before it: rare, so that most dialogues are
/// whole.
const LOST: u8 = 0x0e;

/// Cuts an input: each piece has a control byte (direction, whether bytes were lost, high bits of the length), a length
/// byte, and its bytes.
pub fn pieces(mut data: &[u8]) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    while let [control, low, rest @ ..] = data {
        let len = (usize::from(control >> 4) << 8 | usize::from(*low)).min(rest.len());
        let direction = if control & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let gap = if control & LOST == LOST { 1 + u64::from(*low) } else { 0 };
        all.push(Piece { direction, gap, bytes: &rest[..len] });
        data = &rest[len..];
    }
    all
}

/// The input that [`pieces`] cuts so.
pub fn joined(pieces: &[(Direction, &[u8])]) -> Vec<u8> {
    let mut input = Vec::new();
    for (direction, bytes) in pieces {
        for part in bytes.chunks(0xfff) {
            let high = u8::try_from(part.len() >> 8).expect("cut to twelve bits");
            input.push(high << 4 | u8::from(*direction == Direction::ToClient));
            input.push((part.len() & 0xff) as u8);
            input.extend_from_slice(part);
        }
    }
    input
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
        digests: Digests::Wanted,
    }
}

/// What a request of an exchange says, to compare.
fn asks(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map(|request| {
        let body = &request.body;
        (&request.method, &request.target, &request.authority, &request.headers, body.bytes, body.sha256, body.complete)
    });
    format!("{} {:?} {request:?}", exchange.id, exchange.protocol)
}

/// What an exchange says, to compare.
fn said(exchange: &Exchange) -> String {
    let response = exchange.response.as_ref().map(|response| {
        let body = &response.body;
        (response.status, &response.headers, body.bytes, body.sha256, body.complete)
    });
    format!("{} {response:?}", asks(exchange))
}

/// What a parser gave for a whole stream, to compare: requests, exchanges, what made no sense.
pub fn all_said(out: &Output) -> Vec<String> {
    let asked = out.asked.iter().map(asks);
    let mut weirds: Vec<_> = out.weirds.iter().map(|weird| weird.reason.to_owned()).collect();
    weirds.sort_unstable();
    asked.chain(out.exchanges.iter().map(said)).chain(weirds).collect()
}

/// What holds for any stream that ended: no id is used twice, a request is asked once and before its exchange ends, and
/// what was asked also ends. Messages of a gRPC call are asked alone, and share its line.
pub fn check(out: &Output) {
    let mut ended = BTreeMap::<ExchangeId, &Exchange>::new();
    for exchange in &out.exchanges {
        assert!(ended.insert(exchange.id, exchange).is_none(), "{} ended twice", exchange.id);
    }
    let mut asked = BTreeMap::<ExchangeId, &Exchange>::new();
    for exchange in &out.asked {
        assert!(exchange.request.is_some(), "{} asks for nothing", exchange.id);
        let again = asked.insert(exchange.id, exchange).is_some();
        assert!(!again || exchange.protocol == Protocol::Grpc, "{} was asked twice", exchange.id);
    }
    for (id, exchange) in &ended {
        if exchange.request.is_none() || matches!(exchange.protocol, Protocol::Grpc | Protocol::WebSocket) {
            continue;
        }
        let before = asked.get(id).unwrap_or_else(|| panic!("{id} was never asked"));
        assert_eq!(asks(before), asks(exchange), "{id} changed");
    }
    let handed = out.handoff.as_ref().and_then(|handoff| handoff.exchange.as_ref()).map(|exchange| exchange.id);
    for (id, exchange) in &asked {
        let message = exchange.protocol == Protocol::Grpc;
        assert!(message || ended.contains_key(id) || handed == Some(*id), "{id} was asked and never ended");
    }
}
