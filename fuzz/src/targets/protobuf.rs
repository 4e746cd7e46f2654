//! Protocol buffers, bare and in messages of gRPC; and of a well-formed message, however nested, no text is missing.

use super::body::take_apart;
use crate::pieces::pieces;
use divulge::decode;
use divulge::model::{Body, Direction, Exchange, ExchangeId, Field, FlowId, Protocol, Request, Side, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads one input.
pub fn target(data: &[u8]) {
    take_apart("application/x-protobuf", None, data);
    let len = u32::try_from(data.len()).expect("short").to_be_bytes();
    take_apart("application/grpc", None, &[&[0], &len[..], data].concat());
    well_formed(data);
}

/// The pieces are texts; those to the client are wrapped with all before them into a message of their own.
fn well_formed(data: &[u8]) {
    let mut texts = BTreeSet::new();
    let mut message = Vec::new();
    let mut depth = 0;
    for (number, piece) in pieces(data).iter().enumerate() {
        // Letters beyond those of hexadecimal numbers, and a separator, so that nothing is taken for a code.
        let text: Vec<u8> =
            b"~~~~~~~~".iter().copied().chain(piece.bytes.iter().map(|byte| b'g' + byte % 20)).collect();
        message.extend(field(1 + number % 300, &text));
        texts.insert(text);
        if piece.direction == Direction::ToClient && depth < decode::PROTOBUF_DEPTH_MAX {
            message = field(7, &message);
            depth += 1;
        }
    }
    let body = Body {
        bytes: message.len() as u64,
        content_type: Some("application/x-protobuf".to_owned()),
        complete: true,
        data: message,
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
    let mut take = |value: &[u8]| texts.remove(value);
    let mut weirds = Vec::new();
    decode::fields(&exchange, Side::Request, &mut |field: &Field<'_>| _ = take(field.value), &mut weirds);
    let missing: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}, {weirds:?}");
}

fn field(number: usize, bytes: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2)[..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
