//! What a capture holds: link-layer bytes with their time.

use super::{App, Exchange, Incident, KeySource, Mark, Timestamp};
use std::sync::Arc;

/// A link type number as in pcap and pcapng files (`LINKTYPE_*`, tcpdump.org/linktypes.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

/// One captured frame; `data` is what was kept of it.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// Position in the capture, from 1.
    pub number: u64,
    /// When it was captured.
    pub ts: Timestamp,
    /// How `data` begins.
    pub link: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes the frame had on the wire; more than `data` where the snap length cut it.
    pub original_len: u32,
    /// The app, where the capture says it outside the frame (pcapng UID blocks).
    pub app: Option<Arc<App>>,
}

/// Bytes that outlive the reader: a mapped file or one buffer of a stream.
pub type Segment = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A frame of a [`FrameBatch`], by its place in the segment.
#[derive(Debug, Clone)]
pub struct FrameMeta {
    /// Position in the capture, from 1.
    pub number: u64,
    /// When it was captured.
    pub ts: Timestamp,
    /// How it begins.
    pub link: LinkType,
    /// Offset of its first byte in the segment.
    pub start: usize,
    /// Captured bytes.
    pub len: usize,
    /// Bytes on the wire.
    pub original_len: u32,
    /// The app, where the capture says it outside the frame.
    pub app: Option<Arc<App>>,
}

/// Frames in order that share one segment, so that a batch can cross threads without a copy.
#[derive(Clone)]
pub struct FrameBatch {
    /// Where the bytes are.
    pub segment: Segment,
    /// The frames.
    pub frames: Vec<FrameMeta>,
}

impl FrameBatch {
    /// Most frames put into one batch.
    pub const FRAMES_MAX: usize = 2_048;

    /// The frames with their bytes.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'_>> {
        let bytes = (*self.segment).as_ref();
        self.frames.iter().map(move |meta| Frame {
            number: meta.number,
            ts: meta.ts,
            link: meta.link,
            data: bytes.get(meta.start..meta.start + meta.len).unwrap_or_default(),
            original_len: meta.original_len,
            app: meta.app.clone(),
        })
    }
}

/// An exchange that the capture holds as such (HAR), not as packets.
#[derive(Debug)]
pub struct ReadyExchange {
    /// The connection it used: equal for exchanges of one connection, different for any other of the run.
    pub connection: Arc<str>,
    /// The exchange; its id is given by the pipeline.
    pub exchange: Exchange,
    /// Bytes of the request body that were sent and are not in the capture.
    pub missing: u64,
    /// What is odd about it.
    pub odd: Vec<&'static str>,
}

/// What a capture yields, in its order.
pub enum CaptureItem {
    /// Frames.
    Frames(FrameBatch),
    /// Exchanges that are there as such.
    Exchanges(Vec<ReadyExchange>),
    /// Lines of a TLS key log: a Decryption Secrets Block of the capture, or what a key log file grew by.
    Secrets(KeySource, Vec<u8>),
    /// A moment of the tester's, from the recording or while it is made.
    Mark(Mark),
    /// What befell a connection of the proxy.
    Incident(Incident),
    /// Something about the capture that the user should know; reading went on or ended there.
    Warning(String),
    /// As a warning, of a capture that is not damaged.
    Note(String),
    /// Nothing more is at hand for now: all before it is to be taken in.
    Pause,
}
