//! Capture files, pcap streams and network interfaces → batches of frames, or of exchanges: pcap, pcapng and HAR, plain,
//! gzip or Zstandard, mapped files and streams; libpcap where the feature `live` is on. Knows no protocol: what is
//! inside a frame is left to `packet`.

mod bytes;
mod format;
mod har;
mod journal;
#[cfg(feature = "live")]
pub mod live;
mod open;
mod record;
mod told;

pub use format::{FRAME_MAX, Problem};
pub use har::{ENTRIES_MAX, HELD_MAX};
pub use journal::JOURNAL_TEXT_MAX;
pub use open::{Ahead, Capture, CaptureError, Input, MARKS_MAX};
pub use record::{KEYS_CARRIED_MAX, RecordLimits, Recorder};
pub use told::{Coming, Streaming, Told};
