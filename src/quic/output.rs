//! What a connection hands on: bytes of streams in one reusable buffer, names, and what went wrong.

use crate::model::{Direction, Timestamp, Weird};
use std::ops::Range;

/// Something that happened to one direction of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// The stream (RFC 9000 §2.1). Bit 0 tells who opened it (0 the client), bit 1 that it goes one way only.
    pub id: u64,
    /// Which way.
    pub direction: Direction,
    /// When the last of the bytes was captured.
    pub ts: Timestamp,
    /// What.
    pub kind: StreamEventKind,
}

/// What happened to one direction of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEventKind {
    /// The next bytes.
    Bytes {
        /// Bytes lost right before them.
        gap: u64,
        /// Where they are; [`Output::bytes`] gives them.
        range: Range<usize>,
    },
    /// All bytes have come, but for `gap` ones that were lost at the very end.
    End {
        /// Bytes lost since the last ones handed on.
        gap: u64,
    },
    /// The sender gave the stream up, with an error code of the application.
    Reset {
        /// The code.
        code: u64,
    },
    /// The stream is not followed any more: a cap was reached.
    Cut,
}

/// A CONNECTION_CLOSE frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// Who sent it: the side whose packets go this way.
    pub direction: Direction,
    /// When.
    pub ts: Timestamp,
    /// The error code.
    pub code: u64,
    /// Whether the application closed it, not the transport.
    pub application: bool,
}

/// What came of the last calls; clear it and use it again, also for other connections.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    /// What happened to streams, in order.
    pub streams: Vec<StreamEvent>,
    /// Host names of ClientHellos, as sent.
    pub names: Vec<String>,
    /// What made no sense; the flow is the caller's to add.
    pub weirds: Vec<Weird>,
    /// Unreliable datagrams (RFC 9221): which way, when, and where; [`Output::bytes`] gives them.
    pub datagrams: Vec<(Direction, Timestamp, Range<usize>)>,
    /// Closures.
    pub closes: Vec<Close>,
    /// Bytes of encrypted packets that were not opened.
    pub opaque_bytes: u64,
}

impl Output {
    /// An empty output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all but the room taken.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.streams.clear();
        self.names.clear();
        self.weirds.clear();
        self.datagrams.clear();
        self.closes.clear();
        self.opaque_bytes = 0;
    }

    /// The bytes of a range of this output.
    #[must_use]
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// Hands on bytes of a stream.
    pub(super) fn push_stream(&mut self, id: u64, direction: Direction, ts: Timestamp, gap: u64, bytes: &[u8]) {
        let added = self.store(bytes);
        if gap == 0
            && let Some(last) = self.streams.last_mut()
            && (last.id, last.direction) == (id, direction)
            && let StreamEventKind::Bytes { range, .. } = &mut last.kind
            && range.end == added.start
        {
            range.end = added.end;
            last.ts = last.ts.max(ts);
            return;
        }
        self.streams.push(StreamEvent { id, direction, ts, kind: StreamEventKind::Bytes { gap, range: added } });
    }

    /// Hands on an unreliable datagram.
    pub(super) fn push_datagram(&mut self, direction: Direction, ts: Timestamp, bytes: &[u8]) {
        let range = self.store(bytes);
        self.datagrams.push((direction, ts, range));
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len()
    }
}
