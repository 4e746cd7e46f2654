//! Capture files and pcap streams → batches of frames: pcap and pcapng, plain, gzip or Zstandard, mapped files and
//! streams. Knows no protocol: what is inside a frame is left to `packet`.

mod format;
mod open;

pub use format::{FRAME_MAX, Problem};
pub use open::{Capture, CaptureError, Input};
