//! Captures that come as they happen (standard input, a pipe, an interface): each is read on a thread of its own, so
//! that waiting for it keeps nobody else waiting, and tells what it reads as messages. Starts no thread itself.

use super::open::{Capture, CaptureError, Input};
use crate::model::CaptureItem;
use std::sync::atomic::AtomicBool;
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

    /// Reads until the end, and tells; returns early where `tell` gives false, or `stop` is set and all that was
    /// already under way has been told.
    fn read(self: Box<Self>, stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool);

    /// How long it is given at most, after `stop` was set, for what is under way.
    fn farewell(&self) -> Duration;
}

/// Standard input or a file that is no regular one, such as a named pipe.
#[derive(Debug)]
pub struct Streaming(pub Input);

impl Coming for Streaming {
    fn name(&self) -> String {
        self.0.name()
    }

    fn read(self: Box<Self>, _stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool) {
        // The signal that ends the run has mostly reached the writer too, which now lets go of its last packets: what
        // a pipe still brings is read until it ends or falls silent, and only whoever listens knows that. Opening may wait as well: for a pipe's other end, and for the first bytes.
        let mut capture = match Capture::open(&self.0) {
            Ok(capture) => capture,
            Err(error) => {
                tell(Told::Failed(error));
                return;
            }
        };
        loop {
            let heard = match capture.next_item() {
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
            if !heard {
                return;
            }
        }
    }

    fn farewell(&self) -> Duration {
        Duration::from_secs(2)
    }
}
