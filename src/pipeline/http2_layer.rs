//! HTTP/2 as a layer: its exchanges, and a stack of layers for each of its tunnels (RFC 9113 §8.5).

use super::collected::Collected;
use super::connection::{Shared, context};
use super::tunnels::Tunnels;
use crate::http::Http2;
use crate::model::{Direction, Exchange, StreamChunk, Timestamp, TlsInfo};
use std::sync::Arc;

/// HTTP/2 and what stands in it.
pub(super) struct Http2Layer {
    http: Http2,
    tunnels: Tunnels,
    tls: Option<Arc<TlsInfo>>,
    depth: u32,
}

impl Http2Layer {
    /// A connection that begins with HTTP/2.
    pub(super) fn new(shared: &Shared, tls: Option<Arc<TlsInfo>>, depth: u32) -> Self {
        let http = Http2::new(context(shared, tls.clone()), shared.next_index);
        Self { http, tunnels: Tunnels::default(), tls, depth }
    }

    /// A connection that changed to HTTP/2 with this exchange.
    pub(super) fn upgraded(
        shared: &Shared,
        exchange: Option<Exchange>,
        swapped: bool,
        tls: Option<Arc<TlsInfo>>,
        depth: u32,
    ) -> Self {
        let http = Http2::upgraded(context(shared, tls.clone()), shared.next_index, exchange, swapped);
        Self { http, tunnels: Tunnels::default(), tls, depth }
    }

    pub(super) fn chunk(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) {
        self.http.count_from(shared.next_index);
        self.http.chunk(chunk, &mut out.http);
        self.after(shared, out);
    }

    pub(super) fn close(&mut self, shared: &mut Shared, direction: Direction, ts: Timestamp, out: &mut Collected) {
        self.http.count_from(shared.next_index);
        self.http.close(direction, ts, &mut out.http);
        self.after(shared, out);
    }

    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        self.http.count_from(shared.next_index);
        self.http.finish(ts, &mut out.http);
        self.after(shared, out);
    }

    /// Bytes held for what is still to come.
    pub(super) fn held(&self) -> usize {
        self.http.held() + self.tunnels.held()
    }

    /// Collects what came, and gives the tunnels what is theirs.
    fn after(&mut self, shared: &mut Shared, out: &mut Collected) {
        let tunnelled = std::mem::take(&mut out.http.tunnelled);
        out.take_http(shared, self.tls.as_ref());
        shared.next_index = self.http.next_index();
        self.tunnels.pass_on(shared, tunnelled, self.tls.as_ref(), self.depth + 1, out);
    }
}
