//! TLS records and handshakes in both directions, and the hello of a client alone.

use crate::pieces::pieces;
use divulge::model::KeySource;
use divulge::tls::{KeyLog, Output, TlsSession, hello};
use std::sync::Arc;

/// Reads one input.
pub fn target(data: &[u8]) {
    let _ = hello::client_hello(data);
    let _ = hello::server_hello(data);
    let mut keys = KeyLog::new();
    // Any hello whose random is zero finds keys.
    let line = |label: &str| format!("{label} {} {}\n", "00".repeat(32), "11".repeat(32));
    let labels = ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"];
    for label in labels {
        keys.add_text(KeySource::Keylog, line(label).as_bytes());
    }
    keys.add_text(KeySource::Keylog, data);
    let mut session = TlsSession::new(Arc::new(keys));
    let mut out = Output::new();
    for piece in pieces(data) {
        session.chunk(piece.chunk(), &mut out);
        out.clear();
    }
}
