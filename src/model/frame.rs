//! What a capture holds: link-layer bytes with their time.

use super::{App, Timestamp};
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
