//! HTTP/1.1 messages as bytes, and conversations of them over TCP with or without TLS.

use super::packet::Packet;
use super::tcp::Connection;
use super::tls::{Authority, Session};
use super::{MS, Way};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::net::SocketAddr;

/// A request with its response.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

/// A request without a body.
pub(crate) fn get(host: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    message(&format!("GET {target} HTTP/1.1"), &with_host(host, headers), None)
}

/// A request with a body.
pub(crate) fn post(host: &str, target: &str, content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut headers = with_host(host, headers);
    headers.push(("Content-Type", content_type));
    message(&format!("POST {target} HTTP/1.1"), &headers, Some(body))
}

/// A JSON response.
pub(crate) fn ok(json: &str) -> Vec<u8> {
    message("HTTP/1.1 200 OK", &[("Content-Type", "application/json;charset=UTF-8")], Some(json.as_bytes()))
}

/// A JSON response that is compressed and sent in chunks.
pub(crate) fn ok_gzip_chunked(json: &str) -> Vec<u8> {
    let headers = [
        ("Content-Type", "application/json;charset=UTF-8"),
        ("Content-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
    ];
    let mut out = message("HTTP/1.1 200 OK", &headers, None);
    for chunk in gzip(json.as_bytes()).chunks(97) {
        out.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// A response that has no body.
pub(crate) fn no_content() -> Vec<u8> {
    b"HTTP/1.1 204 No Content\r\nDate: Thu, 12 Oct 2023 02:00:00 GMT\r\n\r\n".to_vec()
}

/// A message; `Content-Length` is added where there is a body.
pub(crate) fn message(start: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut out = format!("{start}\r\n").into_bytes();
    for (name, value) in headers {
        out.extend(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        out.extend(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend(b"\r\n");
    out.extend(body.unwrap_or_default());
    out
}

/// Compresses with gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The packets of a clear-text conversation.
pub(crate) fn clear_text(
    client: SocketAddr,
    server: SocketAddr,
    uid: Option<i32>,
    at: i64,
    turns: &[Turn],
) -> Vec<Packet> {
    let mut connection = Connection::open(client, server, uid, at);
    for turn in turns {
        connection.send(Way::ToServer, &turn.request);
        connection.wait(20 * MS);
        connection.send(Way::ToClient, &turn.response);
        connection.wait(40 * MS);
    }
    connection.close()
}

/// The packets of a conversation inside TLS, and its key log.
pub(crate) fn over_tls(
    authority: &Authority,
    (host, suite): (&str, usize),
    (client, server): (SocketAddr, SocketAddr),
    uid: Option<i32>,
    at: i64,
    turns: &[Turn],
) -> (Vec<Packet>, String) {
    let mut connection = Connection::open(client, server, uid, at);
    let mut session = Session::open(authority, host, suite, &mut connection);
    for turn in turns {
        session.send(Way::ToServer, &turn.request, &mut connection);
        connection.wait(20 * MS);
        session.send(Way::ToClient, &turn.response, &mut connection);
        connection.wait(40 * MS);
    }
    session.close(&mut connection);
    let keys = session.key_log();
    (connection.close(), keys)
}

fn with_host<'a>(host: &'a str, headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("Host", host)];
    all.extend(headers);
    all
}
