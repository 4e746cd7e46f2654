//! Traffic that made no sense.

use super::FlowId;
use serde::Serialize;

/// The stage that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the stages by their module names")]
pub enum Layer {
    Capture,
    Packet,
    Flow,
    Tls,
    Quic,
    Http,
    Dns,
    Decode,
    Detect,
}

/// Something a stage could not make sense of; it went on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weird {
    /// Which stage.
    pub layer: Layer,
    /// In which flow, if in one.
    pub flow: Option<FlowId>,
    /// A fixed phrase, so that reports can count alike ones.
    pub reason: &'static str,
}

impl Weird {
    /// A weird outside any flow, or whose flow the caller adds.
    #[must_use]
    pub const fn new(layer: Layer, reason: &'static str) -> Self {
        Self { layer, flow: None, reason }
    }
}
