//! One TCP connection: its streams put in order, and the layers that read them.

use super::collected::Collected;
use super::connection::{Shared, Stack};
use super::intake::{PacketItem, TcpItem};
use crate::flow::{Conversation, Delivery, Segment};
use crate::model::{Direction, Layer, StreamChunk, Timestamp, TlsInfo, Weird};
use std::sync::Arc;

/// One TCP connection.
pub(super) struct TcpState {
    pub(super) streams: Conversation,
    pub(super) stack: Stack,
    /// Set once both directions ended and everything has left: what is to be known of the session afterwards. Late
    /// packets are repeats.
    pub(super) over: Option<Option<Arc<TlsInfo>>>,
}

impl TcpState {
    pub(super) fn packet(
        &mut self,
        shared: &mut Shared,
        packet: &PacketItem<'_>,
        header: TcpItem,
        ts: Timestamp,
        bytes: &mut u64,
        out: &mut Collected,
    ) {
        let TcpItem { seq, ack, syn, fin, rst } = header;
        if self.over.is_some() {
            return;
        }
        let direction = packet.direction;
        let segment = Segment { seq, syn, fin, payload: &packet.payload, missing: packet.missing, ts };
        // A reset's own bytes are no data of the stream (RFC 9293 §3.5.3 allows text that says why).
        let mut fits = true;
        if !rst {
            let Self { streams, stack, .. } = self;
            fits = streams.segment(direction, &segment, ack, &mut |direction, delivery| {
                deliver(stack, shared, direction, delivery, bytes, out);
            });
        }
        if !fits {
            out.weird(Weird { layer: Layer::Flow, flow: Some(shared.flow), reason: "segment far outside the window" });
        }
        if rst && self.streams.reset(direction, seq) {
            self.flush(shared, bytes, out);
            self.stack.close(shared, direction, ts, out);
        }
        if self.streams.ended() && !self.stack.is_waiting() {
            self.finish(shared, bytes, ts, out);
        }
    }

    /// Lets everything leave, and the parsers go: a closed connection is kept only to know its late packets.
    pub(super) fn finish(&mut self, shared: &mut Shared, bytes: &mut u64, ts: Timestamp, out: &mut Collected) {
        if self.over.is_some() {
            return;
        }
        self.flush(shared, bytes, out);
        self.stack.finish(shared, ts, out);
        shared.flush_skipped(out);
        self.over = Some(self.stack.tls());
        self.stack = Stack::new();
    }

    pub(super) fn flush(&mut self, shared: &mut Shared, bytes: &mut u64, out: &mut Collected) {
        let Self { streams, stack, .. } = self;
        streams.flush(&mut |direction, delivery| deliver(stack, shared, direction, delivery, bytes, out));
    }
}

fn deliver(
    stack: &mut Stack,
    shared: &mut Shared,
    direction: Direction,
    delivery: Delivery<'_>,
    total: &mut u64,
    out: &mut Collected,
) {
    match delivery {
        Delivery::Bytes { bytes, gap, ts } => {
            *total += bytes.len() as u64;
            if gap > 0 {
                out.weird(Weird {
                    layer: Layer::Flow,
                    flow: Some(shared.flow),
                    reason: "bytes missing in the capture",
                });
            }
            stack.chunk(shared, StreamChunk { direction, ts, bytes, gap }, out);
        }
        Delivery::End { ts } => stack.close(shared, direction, ts, out),
    }
}
