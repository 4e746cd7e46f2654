//! Capture files and streams → batches of frames, or of exchanges: pcap, pcapng and HAR, plain, gzip or Zstandard,
//! mapped files and streams. Knows no protocol: what is inside a frame is left to `packet`.

mod format;
mod har;
mod open;

pub use format::{FRAME_MAX, Problem};
pub use har::{ENTRIES_MAX, HELD_MAX};
pub use open::{Capture, CaptureError, Input};
