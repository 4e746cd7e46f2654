//! HTTP/2 as a layer: its exchanges, and a stack of layers for each of its tunnels (RFC 9113 §8.5).

use super::collected::Collected;
use super::connection::{LAYERS_MAX, Shared, Stack, context};
use crate::http::{Http2, Tunnelled};
use crate::model::{Direction, Exchange, OpaqueReason, StreamChunk, Timestamp, TlsInfo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// HTTP/2 and what stands in it.
pub(super) struct Http2Layer {
    http: Http2,
    /// By stream.
    tunnels: BTreeMap<u64, Stack>,
    tls: Option<Arc<TlsInfo>>,
    depth: u32,
}

impl Http2Layer {
    /// A connection that begins with HTTP/2.
    pub(super) fn new(shared: &Shared, tls: Option<Arc<TlsInfo>>, depth: u32) -> Self {
        let http = Http2::new(context(shared, tls.clone()), shared.next_index);
        Self { http, tunnels: BTreeMap::new(), tls, depth }
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
        Self { http, tunnels: BTreeMap::new(), tls, depth }
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
        self.http.held() + self.tunnels.values().map(Stack::held).sum::<usize>()
    }

    /// Collects what came, and gives the tunnels what is theirs.
    fn after(&mut self, shared: &mut Shared, out: &mut Collected) {
        let tunnelled = std::mem::take(&mut out.http.tunnelled);
        out.take_http(shared);
        shared.next_index = self.http.next_index();
        for tunnelled in tunnelled {
            match tunnelled {
                Tunnelled::Chunk(_, chunk) if self.depth >= LAYERS_MAX => {
                    out.opaque(chunk.bytes.len(), OpaqueReason::UnknownProtocol);
                }
                Tunnelled::Chunk(stream, chunk) => {
                    let (tls, depth) = (&self.tls, self.depth + 1);
                    let inside = self.tunnels.entry(stream).or_insert_with(|| Stack::inside(tls.clone(), depth));
                    inside.chunk(shared, chunk.as_chunk(), out);
                }
                Tunnelled::Closed(stream, direction, ts) => {
                    if let Some(inside) = self.tunnels.get_mut(&stream) {
                        inside.close(shared, direction, ts, out);
                    }
                }
                Tunnelled::Finished(stream, ts) => {
                    if let Some(mut inside) = self.tunnels.remove(&stream) {
                        inside.finish(shared, ts, out);
                    }
                }
            }
        }
    }
}
