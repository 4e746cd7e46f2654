//! The HTTP/1 parser's inner loops: heads, bodies in TCP-sized pieces, chunked bodies, and byte-wise feeding.

use divan::{Bencher, black_box, counter::BytesCount};
use divulge::http::{Context, Digests, Http1, Output};
use divulge::model::{Direction, FlowId, StreamChunk, Timestamp};

fn main() {
    divan::main();
}

const SEGMENT: usize = 1448;

fn heads(count: usize) -> Vec<u8> {
    let head = "GET /v1/config?device=9774d56d682e549c&os=14&lang=zh-CN HTTP/1.1\r\nHost: api.example.com\r\n\
        User-Agent: Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36\r\nAccept: application/json\r\n\
        Accept-Encoding: gzip, deflate, br\r\nAccept-Language: zh-CN,zh;q=0.9\r\nCookie: sid=0123456789abcdef\r\n\
        Connection: keep-alive\r\n\r\n";
    head.repeat(count).into_bytes()
}

fn post(length: usize) -> Vec<u8> {
    let head = format!("POST /upload HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; length]].concat()
}

fn chunked(count: usize) -> Vec<u8> {
    let mut bytes = b"POST /upload HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..count {
        bytes.extend_from_slice(b"1000\r\n");
        bytes.resize(bytes.len() + 0x1000, b'x');
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn parse(bytes: &[u8], size: usize) -> Output {
    let (client, server) = (([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 80).into());
    let mut http =
        Http1::new(Context { flow: FlowId(1), client, server, app: None, tls: None, digests: Digests::Wanted }, 0);
    let mut out = Output::default();
    for piece in bytes.chunks(size) {
        let chunk = StreamChunk { direction: Direction::ToServer, ts: Timestamp::default(), bytes: piece, gap: 0 };
        http.chunk(chunk, &mut out);
    }
    http.finish(&mut out);
    out
}

fn bench(bencher: Bencher<'_, '_>, bytes: &[u8], size: usize) {
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| parse(black_box(bytes), size));
}

#[divan::bench]
fn heads_in_segments(bencher: Bencher<'_, '_>) {
    bench(bencher, &heads(500), SEGMENT);
}

#[divan::bench]
fn heads_in_one_piece(bencher: Bencher<'_, '_>) {
    bench(bencher, &heads(500), usize::MAX);
}

#[divan::bench]
fn heads_byte_by_byte(bencher: Bencher<'_, '_>) {
    bench(bencher, &heads(50), 1);
}

#[divan::bench]
fn body_in_segments(bencher: Bencher<'_, '_>) {
    bench(bencher, &post(4 << 20), SEGMENT);
}

#[divan::bench]
fn chunked_body_in_segments(bencher: Bencher<'_, '_>) {
    bench(bencher, &chunked(1024), SEGMENT);
}

/// The floor under every body: its hash alone.
#[divan::bench]
fn sha256_alone(bencher: Bencher<'_, '_>) {
    use sha2::{Digest, Sha256};
    let bytes = post(4 << 20);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| Sha256::digest(black_box(&bytes)));
}
