//! A body of any bytes, and a stream of no known protocol, taken apart by all decoders.

use divulge::decode;
use divulge::model::{Body, Exchange, ExchangeId, Field, FlowId, Protocol, Request, Side, Timestamp};
use std::sync::Arc;

const TYPES: [&str; 8] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/grpc",
    "application/x-protobuf",
    "application/grpc-web-text",
    "text/event-stream",
    "application/octet-stream",
];

/// Reads one input: the content type's number, the encoding's, the body.
pub fn target(data: &[u8]) {
    let [kind, encoding, bytes @ ..] = data else { return };
    let encodings = ["gzip", "br", "zstd", "deflate"];
    take_apart(TYPES[usize::from(*kind) % TYPES.len()], encodings.get(usize::from(*encoding)).copied(), bytes);
}

/// Decodes a body of this type, and the same bytes as a stream.
pub fn take_apart(content_type: &str, encoding: Option<&str>, bytes: &[u8]) {
    let mut weirds = Vec::new();
    let body = Body {
        bytes: bytes.len() as u64,
        content_type: Some(content_type.to_owned()),
        encodings: encoding.map(str::to_owned).into_iter().collect(),
        complete: true,
        data: bytes.to_vec(),
        ..Body::default()
    };
    let request = Request { method: "POST".to_owned(), target: Box::from(&b"/"[..]), body, ..Request::default() };
    let exchange = Exchange {
        id: ExchangeId { flow: FlowId(1), index: 0 },
        ts: Timestamp::from_nanos(0),
        protocol: Protocol::Http11,
        client: ([10, 0, 0, 2], 1).into(),
        server: ([10, 0, 0, 3], 80).into(),
        app: None,
        tls: None,
        request: Some(Arc::new(request)),
        response: None,
    };
    let mut fields = 0;
    decode::fields(&exchange, Side::Request, &mut |_: &Field<'_>| fields += 1, &mut weirds);
    decode::stream_fields(FlowId(1), bytes, Side::Request, &mut |_: &Field<'_>| fields += 1, &mut weirds);
    assert!(fields <= 2 * decode::FIELDS_MAX);
}
