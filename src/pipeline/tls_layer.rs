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
    /// Whether the inner layer has been told of the session yet.
    told: bool,
    /// Set while something is closed and keys may still come.
    held: Option<Held>,
}

/// A session that may be opened later, in whole or in one direction.
#[derive(Default)]
struct Held {
    /// All its ciphertext.
    chunks: Vec<HeldChunk>,
    bytes: usize,
    ends: Vec<(Direction, Timestamp)>,
    opaque_bytes: u64,
    reason: Option<OpaqueReason>,
    /// How many secrets there were at the last attempt.
    tried_with: usize,
    /// Directions whose plaintext is passed on already.
    flowing: [bool; 2],
    /// Whether there is plaintext that is not passed on yet.
    withheld: bool,
}

/// What is passed on of a session that may still be waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accept {
    /// What is open for good: requests first, answers only with them. More keys may come.
    Whole,
    /// Whatever opens: no more keys come.
    Anything,
}

impl TlsLayer {
    pub(super) fn new(shared: &Shared, depth: u32) -> Self {
        Self {
            session: TlsSession::new(Arc::clone(&shared.keys)),
            inner: Stack::Probing(Probing::at(depth)),
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
        self.tell(shared.flow, &plain, chunk.ts, out);
        self.pass_on(shared, &plain, chunk.ts, Accept::Whole, out);
        out.return_tls(plain);
        self.look_for_keys(shared, out);
        self.wait_no_longer_than_needed(shared, out);
    }

    pub(super) fn close(&mut self, shared: &mut Shared, direction: Direction, ts: Timestamp, out: &mut Collected) {
        let mut plain = out.spare_tls();
        self.session.close(direction, &mut plain);
        self.tell(shared.flow, &plain, ts, out);
        self.pass_on(shared, &plain, ts, Accept::Whole, out);
        out.return_tls(plain);
        if let Some(held) = &mut self.held {
            held.ends.push((direction, ts));
            if !held.flowing[direction.index()] {
                return;
            }
        }
        self.inner.close(shared, direction, ts, out);
    }

    pub(super) fn finish(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        self.give_up_waiting(shared, out);
        self.inner.finish(shared, ts, out);
        if let Some(reason) = self.session.opaque_reason() {
            out.opaque(0, reason);
        }
    }

    /// New keys are known.
    pub(super) fn retry(&mut self, shared: &mut Shared, out: &mut Collected) {
        self.look_for_keys(shared, out);
        self.wait_no_longer_than_needed(shared, out);
        self.inner.retry(shared, out);
    }

    /// Tries the session again where more of its secrets are known than it was opened with. They may have come before it
    /// was seen which session it is.
    fn look_for_keys(&mut self, shared: &mut Shared, out: &mut Collected) {
        let Some(held) = self.held.as_mut().filter(|_| !Arc::ptr_eq(self.session.keys(), &shared.keys)) else { return };
        self.session.look_for_inner_hello_in(&shared.keys);
        let known = self.session.secrets_in(&shared.keys);
        if known > held.tried_with {
            held.tried_with = known;
            if known > self.session.secrets_in(self.session.keys()) {
                self.replay(shared, Accept::Whole, out);
            }
        } else if known == self.session.secrets_in(self.session.keys()) {
            // A copy of the log as it was once would keep what the log itself has forgotten.
            self.session.renew_keys(&shared.keys);
        }
    }

    /// Reads the session again from its start, with the keys known by now, and goes on with that if it opens more.
    fn replay(&mut self, shared: &mut Shared, accept: Accept, out: &mut Collected) {
        let Some(held) = &mut self.held else { return };
        let mut session = self.session.again(Arc::clone(&shared.keys));
        let mut plain = out.spare_tls();
        for chunk in &held.chunks {
            session.chunk(chunk.as_chunk(), &mut plain);
        }
        for &(direction, _) in &held.ends {
            session.close(direction, &mut plain);
        }
        let client = session.client_direction();
        let open = |direction| session.closed_bytes(direction) == 0;
        // Where nothing is closed, nothing there is to open may have come yet.
        let whole = open(client) && (session.is_keyed(client) || open(client.reversed()));
        if whole || accept == Accept::Anything {
            self.session = session;
            (held.opaque_bytes, held.reason, held.withheld) = (0, None, false);
            let ts = held.chunks.last().map_or_else(Timestamp::default, |chunk| chunk.ts);
            let ends = held.ends.clone();
            let before = held.flowing;
            // The name was told when it was first seen.
            plain.names.clear();
            self.tell(shared.flow, &plain, ts, out);
            self.pass_on_but(before, shared, &plain, ts, accept, out);
            let flowing = self.held.as_ref().map_or([true; 2], |held| held.flowing);
            for (direction, ts) in ends {
                if flowing[direction.index()] && !before[direction.index()] {
                    self.inner.close(shared, direction, ts, out);
                }
            }
        }
        out.return_tls(plain);
    }

    /// Nothing is waited for where all is open, or where it is too much.
    fn wait_no_longer_than_needed(&mut self, shared: &mut Shared, out: &mut Collected) {
        let Some(held) = &self.held else { return };
        let session = &self.session;
        let open = |direction| session.is_keyed(direction) && session.closed_bytes(direction) == 0;
        let over = held.bytes > TLS_HELD_MAX;
        if session.readable() && open(Direction::ToServer) && open(Direction::ToClient) {
            self.stop_holding(shared, out);
        } else if over {
            out.weird(Weird { layer: Layer::Tls, flow: Some(shared.flow), reason: NO_LONGER_HELD });
            self.give_up_waiting(shared, out);
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        let waiting = self.held.as_ref().map_or(0, |held| held.bytes);
        self.session.held() + waiting + self.inner.held()
    }

    /// Bytes that are closed as long as no keys come, and why.
    pub(super) fn closed_so_far(&self) -> Option<(u64, OpaqueReason)> {
        let held = self.held.as_ref()?;
        Some((held.opaque_bytes, held.reason?))
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.held.is_some() || self.inner.is_waiting()
    }

    pub(super) fn stop_waiting(&mut self, shared: &mut Shared, out: &mut Collected) {
        self.give_up_waiting(shared, out);
        self.inner.stop_waiting(shared, out);
    }

    /// No more keys come: what opens with those there are is passed on, the rest is counted.
    fn give_up_waiting(&mut self, shared: &mut Shared, out: &mut Collected) {
        let closed = self.held.as_ref().is_some_and(|held| held.withheld || held.reason.is_some());
        if closed && self.session.secrets_in(&shared.keys) > 0 {
            self.replay(shared, Accept::Anything, out);
        }
        self.stop_holding(shared, out);
    }

    fn stop_holding(&mut self, shared: &mut Shared, out: &mut Collected) {
        let Some(Held { opaque_bytes, reason, ends, flowing, .. }) = self.held.take() else { return };
        self.session.forget_passing_keys();
        if let Some(reason) = reason {
            out.opaque(usize::try_from(opaque_bytes).unwrap_or(usize::MAX), reason);
        }
        for (direction, ts) in ends {
            if !flowing[direction.index()] {
                self.inner.close(shared, direction, ts, out);
            }
        }
    }

    fn pass_on(
        &mut self,
        shared: &mut Shared,
        plain: &tls::Output,
        ts: Timestamp,
        accept: Accept,
        out: &mut Collected,
    ) {
        self.pass_on_but([false; 2], shared, plain, ts, accept, out);
    }

    /// Passes plaintext on, but for directions of which it has been passed on before.
    fn pass_on_but(
        &mut self,
        passed: [bool; 2],
        shared: &mut Shared,
        plain: &tls::Output,
        ts: Timestamp,
        accept: Accept,
        out: &mut Collected,
    ) {
        for chunk in plain.plaintext() {
            if passed[chunk.direction.index()] {
                continue;
            }
            if !self.may_flow(chunk.direction, accept) {
                self.held.iter_mut().for_each(|held| held.withheld = true);
                continue;
            }
            if !self.told {
                self.told = true;
                if let Stack::Probing(probing) = &mut self.inner {
                    probing.set_tls(self.session.info());
                }
            }
            self.inner.chunk(shared, chunk, out);
        }
        for &direction in &plain.closed {
            if !passed[direction.index()] && self.held.as_ref().is_none_or(|held| held.flowing[direction.index()]) {
                self.inner.close(shared, direction, ts, out);
            }
        }
    }

    /// Whether plaintext of a direction can be passed on: while keys may come, requests only if all of them open, and
    /// answers only where their requests do, so that none stands alone whose request is read a moment later.
    fn may_flow(&mut self, direction: Direction, accept: Accept) -> bool {
        let Some(held) = &mut self.held else { return true };
        let client = self.session.client_direction();
        let flowing = &mut held.flowing[direction.index()];
        *flowing = *flowing
            || accept == Accept::Anything
            || self.session.is_keyed(client)
                && self.session.closed_bytes(client) == 0
                && self.session.closed_bytes(direction) == 0;
        *flowing
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
