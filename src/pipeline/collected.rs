//! What the layers of one flow give while they take bytes, on its way to becoming events.

use super::connection::Shared;
use super::resolvers;
use super::unknown::Piece;
use crate::http;
use crate::model::{
    Exchange, FlowId, NameKind, NameProtocol, NameSource, OpaqueReason, SeenName, Timestamp, TlsInfo, Weird,
};
use crate::{quic, tls};
use std::sync::Arc;

/// Most weirds kept of one call; the rest of a flood says nothing new.
const WEIRDS_MAX: usize = 256;

/// Outputs of all layers; used again for every flow of a shard.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) http: http::Output,
    spare_tls: Vec<tls::Output>,
    /// Output for the QUIC connection at work.
    pub(super) quic: quic::Output,
    /// Complete requests, whose answers may still come.
    pub(super) asked: Vec<Exchange>,
    /// Exchanges that ended.
    pub(super) exchanges: Vec<Exchange>,
    /// Bytes of no known protocol, if anyone looks into them.
    pub(super) pieces: Vec<Piece>,
    pub(super) wants_pieces: bool,
    pub(super) names: Vec<SeenName>,
    pub(super) weirds: Vec<Weird>,
    /// Bytes of no known protocol that are clear text.
    pub(super) text_bytes: u64,
    pub(super) opaque_bytes: u64,
    pub(super) opaque_reason: Option<OpaqueReason>,
}

impl Collected {
    /// An empty one; bytes of no known protocol are kept where someone looks into them.
    pub(super) fn new(wants_pieces: bool) -> Self {
        Self { wants_pieces, ..Self::default() }
    }

    pub(super) fn opaque(&mut self, bytes: usize, reason: OpaqueReason) {
        self.opaque_bytes += bytes as u64;
        self.opaque_reason = Some(reason);
    }

    pub(super) fn weird(&mut self, weird: Weird) {
        if self.weirds.len() < WEIRDS_MAX {
            self.weirds.push(weird);
        }
    }

    pub(super) fn sni(&mut self, flow: FlowId, ts: Timestamp, name: &str, protocol: NameProtocol) {
        let kind = NameKind::Sni;
        self.names.push(SeenName { ts, flow, kind, name: name.to_owned(), protocol, addresses: Vec::new() });
    }

    /// Moves what HTTP gave here.
    pub(super) fn take_http(&mut self, shared: &mut Shared, tls: Option<&Arc<TlsInfo>>) {
        let last = self.http.asked.iter().chain(&self.http.exchanges).map(|exchange| exchange.id.index).max();
        shared.next_index = last.map_or(shared.next_index, |last| shared.next_index.max(last.wrapping_add(1)));
        self.http.asked.iter().for_each(|exchange| resolvers::asked(exchange, &mut self.names));
        self.http.exchanges.iter().for_each(|exchange| resolvers::answered(exchange, &mut self.names));
        if let Some((host, source)) = self.http.asked.iter().rev().find_map(host_of)
            && source == NameSource::Http
            && let Some(asked) = self.http.asked.last()
        {
            shared.host = Some((host, asked.tls.is_none()));
        }
        self.take_skipped(shared, tls);
        self.asked.append(&mut self.http.asked);
        self.exchanges.append(&mut self.http.exchanges);
        for weird in self.http.weirds.drain(..) {
            if self.weirds.len() < WEIRDS_MAX {
                self.weirds.push(Weird { flow: Some(shared.flow), ..weird });
            }
        }
        if self.http.skipped_bytes > 0 {
            self.opaque_bytes += self.http.skipped_bytes;
            self.opaque_reason = Some(OpaqueReason::Truncated);
        }
        // Whoever reads tunnels has taken these before.
        for tunnelled in self.http.tunnelled.drain(..) {
            if let http::Tunnelled::Chunk(_, chunk) = tunnelled {
                self.opaque_bytes += chunk.bytes.len() as u64;
                self.opaque_reason = Some(OpaqueReason::UnknownProtocol);
            }
        }
        self.http.skipped_bytes = 0;
        self.http.read_bytes = 0;
    }

    /// What parsers skipped is searched all the same, in pieces that end where something was understood.
    fn take_skipped(&mut self, shared: &mut Shared, tls: Option<&Arc<TlsInfo>>) {
        let skipped = std::mem::take(&mut self.http.skipped);
        if skipped.is_empty() && self.http.asked.is_empty() || !self.wants_pieces {
            return;
        }
        let mut unknown = std::mem::take(&mut shared.skipped);
        if skipped.is_empty() {
            unknown.flush(shared, self);
        } else {
            unknown.tls = tls.cloned();
        }
        for chunk in &skipped {
            unknown.chunk(shared, chunk.as_chunk(), self);
        }
        shared.skipped = unknown;
    }

    /// An output for a TLS session, from those that are free.
    pub(super) fn spare_tls(&mut self) -> tls::Output {
        let mut output = self.spare_tls.pop().unwrap_or_default();
        output.clear();
        output
    }

    pub(super) fn return_tls(&mut self, output: tls::Output) {
        self.spare_tls.push(output);
    }
}

/// The host of a request, to name its flow by.
pub(super) fn host_of(exchange: &Exchange) -> Option<(Arc<str>, NameSource)> {
    exchange.request.as_ref()?;
    let (host, source) = exchange.named_host();
    Some((Arc::from(host), source))
}
