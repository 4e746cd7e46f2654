//! The tunnels inside a connection of many streams (RFC 9113 §8.5, RFC 9114 §4.4): a stack of layers for each.

use super::collected::Collected;
use super::connection::{LAYERS_MAX, Shared, Stack};
use crate::http::Tunnelled;
use crate::model::{OpaqueReason, Timestamp, TlsInfo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stacks by stream.
#[derive(Default)]
pub(super) struct Tunnels {
    inside: BTreeMap<u64, Stack>,
}

impl Tunnels {
    /// Gives the tunnels what is theirs; new ones stand `depth` layers down.
    pub(super) fn pass_on(
        &mut self,
        shared: &mut Shared,
        tunnelled: Vec<Tunnelled>,
        tls: Option<&Arc<TlsInfo>>,
        depth: u32,
        out: &mut Collected,
    ) {
        for tunnelled in tunnelled {
            match tunnelled {
                Tunnelled::Chunk(_, chunk) if depth > LAYERS_MAX => {
                    out.opaque(chunk.bytes.len(), OpaqueReason::UnknownProtocol);
                }
                Tunnelled::Chunk(stream, chunk) => {
                    let inside = self.inside.entry(stream).or_insert_with(|| Stack::inside(tls.cloned(), depth));
                    inside.chunk(shared, chunk.as_chunk(), out);
                }
                Tunnelled::Closed(stream, direction, ts) => {
                    if let Some(inside) = self.inside.get_mut(&stream) {
                        inside.close(shared, direction, ts, out);
                    }
                }
                Tunnelled::Finished(stream, ts) => {
                    if let Some(mut inside) = self.inside.remove(&stream) {
                        inside.finish(shared, ts, out);
                    }
                }
            }
        }
    }

    /// The connection ended.
    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        for (_, mut inside) in std::mem::take(&mut self.inside) {
            inside.finish(shared, ts, out);
        }
    }

    /// Bytes held for what is still to come.
    pub(super) fn held(&self) -> usize {
        self.inside.values().map(Stack::held).sum()
    }
}
