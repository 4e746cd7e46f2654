//! A TLS session and what is inside it. Where keys may come later than the traffic (a capture streamed in while its
//! key log grows), the ciphertext of a closed session is kept for a while and tried again when its keys turn up.

use super::collected::Collected;
use super::connection::{LateKeys, Probing, Shared, Stack};
use crate::http::HeldChunk;
use crate::model::{Direction, FlowId, Layer, NameProtocol, OpaqueReason, StreamChunk, Timestamp, TlsInfo, Weird};
use crate::tls::{self, TlsSession};
use std::sync::Arc;

/// Most ciphertext of one session kept for keys that may come later.
pub const TLS_HELD_MAX: usize = 256 << 10;

/// Said where a cap ends the waiting.
pub(super) const NO_LONGER_HELD: &str = "closed session is no longer kept for keys that may come";

pub(super) struct TlsLayer {
    session: TlsSession,
    inner: Stack,
    depth: u32,
    /// Whether the inner layer has been told of the session yet.
    told: bool,
    /// Set while the session is closed and keys may still come.
    held: Option<Held>,
}

/// A closed session that may be opened later.
#[derive(Default)]
struct Held {
    chunks: Vec<HeldChunk>,
    bytes: usize,
    ends: Vec<(Direction, Timestamp)>,
    opaque_bytes: u64,
    reason: Option<OpaqueReason>,
    /// How many secrets there were at the last attempt.
    tried_with: usize,
}

impl TlsLayer {
    pub(super) fn new(shared: &Shared, depth: u32) -> Self {
        Self {
            session: TlsSession::new(Arc::clone(&shared.keys)),
            inner: Stack::Probing(Probing::at(depth)),
            depth,
            told: false,
            held: (shared.late_keys == LateKeys::Possible).then(Held::default),
        }
    }

    pub(super) fn info(&self) -> Arc<TlsInfo> {
        self.session.info()
    }

    pub(super) fn chunk(&mut self, shared: &mut Shared, chunk: StreamChunk<'_>, out: &mut Collected) {
        if let Some(held) = &mut self.held {
            held.bytes += chunk.bytes.len();
            let StreamChunk { direction, ts, gap, bytes } = chunk;
            held.chunks.push(HeldChunk { direction, ts, gap, bytes: bytes.to_vec() });
        }
        let mut plain = out.spare_tls();
        self.session.chunk(chunk, &mut plain);
        self.pass_on(shared, &plain, chunk.ts, out);
        out.return_tls(plain);
        if self.session.readable() {
            // It opens: from here on nothing is to be waited for.
            self.give_up_waiting(out);
        } else if self.held.as_ref().is_some_and(|held| held.bytes > TLS_HELD_MAX) {
            out.weird(Weird { layer: Layer::Tls, flow: Some(shared.flow), reason: NO_LONGER_HELD });
            self.give_up_waiting(out);
        }
    }

    pub(super) fn close(&mut self, shared: &mut Shared, direction: Direction, ts: Timestamp, out: &mut Collected) {
        if let Some(held) = &mut self.held {
            held.ends.push((direction, ts));
        }
        let mut plain = out.spare_tls();
        self.session.close(direction, &mut plain);
        self.pass_on(shared, &plain, ts, out);
        out.return_tls(plain);
        self.inner.close(shared, direction, ts, out);
    }

    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        self.retry_with(shared, Accept::Anything, out);
        self.give_up_waiting(out);
        self.inner.finish(shared, ts, out);
        if let Some(reason) = self.session.opaque_reason() {
            out.opaque(0, reason);
        }
    }

    /// New keys are known.
    pub(super) fn retry(&mut self, shared: &mut Shared, out: &mut Collected) {
        if self.held.is_some() {
            self.retry_with(shared, Accept::AllOpen, out);
        } else {
            self.inner.retry(shared, out);
        }
    }

    fn retry_with(&mut self, shared: &mut Shared, accept: Accept, out: &mut Collected) {
        let Some(held) = &mut self.held else { return };
        let known = self.session.secrets_in(&shared.keys);
        // The last attempt is made in any case: it takes what opens.
        if known == 0 || accept == Accept::AllOpen && known <= held.tried_with {
            return;
        }
        held.tried_with = known;
        let (index, late_keys) = (shared.next_index, std::mem::replace(&mut shared.late_keys, LateKeys::Never));
        let mut layer = Self::new(shared, self.depth);
        let mut trial = Collected::new(out.wants_pieces);
        for chunk in &held.chunks {
            layer.chunk(shared, chunk.as_chunk(), &mut trial);
        }
        for &(direction, ts) in &held.ends {
            layer.close(shared, direction, ts, &mut trial);
        }
        shared.late_keys = late_keys;
        let opened = layer.session.readable() && (accept == Accept::Anything || trial.opaque_bytes == 0);
        if opened {
            // The name was told when it was first seen.
            trial.names.clear();
            out.absorb(trial);
            *self = layer;
            return;
        }
        shared.next_index = index;
        if trial.opaque_bytes == 0 {
            // Nothing there is to open has come yet: what comes is opened with these keys, or held for more of them.
            layer.held = self.held.take().map(|held| Held { opaque_bytes: 0, reason: None, ..held });
            *self = layer;
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        let waiting = self.held.as_ref().map_or(0, |held| held.bytes);
        self.session.held() + waiting + self.inner.held()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.held.is_some() || self.inner.is_waiting()
    }

    pub(super) fn stop_waiting(&mut self, out: &mut Collected) {
        self.give_up_waiting(out);
        self.inner.stop_waiting(out);
    }

    fn give_up_waiting(&mut self, out: &mut Collected) {
        if let Some(Held { opaque_bytes, reason: Some(reason), .. }) = self.held.take() {
            out.opaque(usize::try_from(opaque_bytes).unwrap_or(usize::MAX), reason);
        }
    }

    fn pass_on(&mut self, shared: &mut Shared, plain: &tls::Output, ts: Timestamp, out: &mut Collected) {
        self.tell(shared.flow, plain, ts, out);
        for chunk in plain.plaintext() {
            if !self.told {
                self.told = true;
                if let Stack::Probing(probing) = &mut self.inner {
                    probing.set_tls(self.session.info());
                }
            }
            self.inner.chunk(shared, chunk, out);
        }
        for &direction in &plain.closed {
            self.inner.close(shared, direction, ts, out);
        }
    }

    /// Names, weirds and what stayed closed.
    fn tell(&mut self, flow: FlowId, plain: &tls::Output, ts: Timestamp, out: &mut Collected) {
        for name in &plain.names {
            out.sni(flow, ts, name, NameProtocol::Tls);
        }
        for weird in &plain.weirds {
            out.weird(Weird { flow: Some(flow), ..weird.clone() });
        }
        if plain.opaque_bytes == 0 {
            return;
        }
        let reason = self.session.opaque_reason().unwrap_or(OpaqueReason::NoKey);
        match &mut self.held {
            Some(held) => {
                held.opaque_bytes += plain.opaque_bytes;
                held.reason = Some(reason);
            }
            None => out.opaque(usize::try_from(plain.opaque_bytes).unwrap_or(usize::MAX), reason),
        }
    }
}

/// When a second attempt counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accept {
    /// Only if nothing stays closed: more keys may come.
    AllOpen,
    /// If anything opens: no more keys come.
    Anything,
}
