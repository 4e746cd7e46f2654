//! Captures that come as they happen (standard input, a pipe, an interface): each is read on a thread of its own, so
//! that waiting for it keeps nobody else waiting, and tells what it reads as messages. Starts no thread itself.

use super::open::{Capture, CaptureError, Input};
use crate::model::CaptureItem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a capture that comes as it happens tells.
pub enum Told {
    /// Frames (numbered from 1), keys or a warning; with the bytes read so far.
    Item(CaptureItem, u64),
    /// So many packets in all were lost on the way here.
    Lost(u64),
    /// It ended; nothing follows.
    Ended,
    /// It can't be read, or not on; nothing follows.
    Failed(CaptureError),
}

/// A capture that comes as it happens.
pub trait Coming: Send {
    /// The name shown to people.
    fn name(&self) -> String;

    /// Reads until the end, and tells; returns early where `tell` gives false or, between two reads, `stop` is set.
    fn read(self: Box<Self>, stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool);

    /// How long it takes at most until `stop` is seen and the rest told; zero where a read may block for ever.
    fn farewell(&self) -> Duration;
}

/// Standard input or a file that is no regular one, such as a named pipe.
#[derive(Debug)]
pub struct Streaming(pub Input);

impl Coming for Streaming {
    fn name(&self) -> String {
        self.0.name()
    }

    fn read(self: Box<Self>, stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool) {
        // Opening may wait as well: for a pipe's other end, and for the first bytes.
        let mut capture = match Capture::open(&self.0) {
            Ok(capture) => capture,
            Err(error) => {
                tell(Told::Failed(error));
                return;
            }
        };
        let mut heard = true;
        while heard && !stop.load(Ordering::SeqCst) {
            heard = match capture.next_item() {
                Ok(Some(item)) => tell(Told::Item(item, capture.offset())),
                Ok(None) => {
                    tell(Told::Ended);
                    return;
                }
                Err(error) => {
                    tell(Told::Failed(error));
                    return;
                }
            };
        }
        tell(Told::Ended);
    }

    fn farewell(&self) -> Duration {
        Duration::ZERO
    }
}
