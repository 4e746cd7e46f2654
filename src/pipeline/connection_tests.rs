//! The layers of connections that are not seen from their start, or with holes.

use super::collected::Collected;
use super::connection::{LateKeys, Shared, Stack};
use super::unknown::Unknown;
use crate::model::TransportProtocol;
use crate::model::{Direction, FlowId, FlowKey, StreamChunk, Timestamp};
use std::sync::Arc;

/// What a connection seen from its middle gives, as `METHOD target`; each chunk is a direction, a gap and bytes.
fn requests(chunks: &[(Direction, u64, &str)]) -> Vec<String> {
    let (client, server) = (([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 80).into());
    let mut shared = Shared {
        flow: FlowId(1),
        key: FlowKey { transport: TransportProtocol::Tcp, client, server },
        app: None,
        digests: crate::http::Digests::Wanted,
        keys: Arc::default(),
        late_keys: LateKeys::Never,
        next_index: 0,
        from_start: false,
        host: None,
        skipped: Unknown::skipped(),
    };
    let (mut stack, mut out) = (Stack::new(), Collected::default());
    let ts = Timestamp::default();
    for &(direction, gap, bytes) in chunks {
        stack.chunk(&mut shared, StreamChunk { direction, ts, bytes: bytes.as_bytes(), gap }, &mut out);
    }
    stack.finish(&mut shared, ts, &mut out);
    let requests = out.exchanges.iter().filter_map(|exchange| exchange.request.as_ref());
    requests.map(|request| format!("{} {}", request.method, request.target_text())).collect()
}

#[test]
fn a_hole_in_what_is_not_yet_recognised_joins_nothing() {
    use Direction::ToServer;
    let read = requests(&[(ToServer, 0, "GET /first?id=1"), (ToServer, 40, "GET /second HTTP/1.1\r\n\r\n")]);
    assert_eq!(read, ["GET /first?id=1", "GET /second"]);
}

#[test]
fn an_answer_without_its_beginning_does_not_hide_a_request_that_was_cut() {
    use Direction::{ToClient, ToServer};
    let read = requests(&[
        (ToServer, 0, "GET /1?id=8615"),
        (ToClient, 0, "\u{1}\u{2} end of a body"),
        (ToServer, 300, "GET /2?id=8615"),
        (ToClient, 0, "\u{1}\u{2} end of another"),
        (ToServer, 300, "GET /3?id=8615"),
    ]);
    assert_eq!(read, ["GET /1?id=8615", "GET /2?id=8615", "GET /3?id=8615"]);
}

#[test]
fn a_request_line_longer_than_a_segment_is_found_behind_unknown_bytes() {
    use Direction::{ToClient, ToServer};
    let read = requests(&[
        (ToClient, 0, "\u{1}\u{2}the middle of a body"),
        (ToServer, 0, "GET /long?"),
        (ToServer, 0, "id=1 HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(read, ["GET /long?id=1"]);
}
