//! The app a packet belongs to, as the capture itself says (PCAPdroid trailers and blocks, NFLOG uid).

use serde::Serialize;
use std::sync::Arc;

/// An installed app. Every part may be unknown: captures give a uid, a name, both or neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct App {
    /// Android user id (`user * 100000 + appid`).
    pub uid: Option<i32>,
    /// Package name, `com.example.app`.
    pub package: Option<Arc<str>>,
    /// Label shown to people; may have been cut by the capture format.
    pub name: Option<Arc<str>>,
}
