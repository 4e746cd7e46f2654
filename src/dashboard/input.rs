//! Reads the terminal's events on a thread of its own and hands them over a channel: asking a terminal that has gone
//! away for events may never return, and then the dashboard itself must still be able to end.

use crossterm::event::{self, Event};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How often the thread looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for the thread to end; one that hangs is left to the end of the process.
const FAREWELL: Duration = Duration::from_millis(200);
/// Events that may wait to be taken; while they do, later ones wait in the terminal.
const WAITING_MAX: usize = 256;

/// The events of the terminal.
#[derive(Debug)]
pub(crate) struct Input {
    events: Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
}

impl Input {
    /// Starts reading.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, events) = sync_channel(WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("terminal-input".to_owned()).spawn(move || read(&sender, &stopped))?;
        Ok(Self { events, stop })
    }

    /// The next event, if one comes in time.
    ///
    /// # Errors
    /// Where the terminal fails.
    pub(crate) fn next(&self, wait: Duration) -> io::Result<Option<Event>> {
        match self.events.recv_timeout(wait) {
            Ok(event) => event.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the terminal no longer sends keys")),
        }
    }
}

impl Drop for Input {
    /// Ends the thread, so that what is typed from now on is for whoever comes next.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let started = Instant::now();
        while let Some(left) = FAREWELL.checked_sub(started.elapsed()) {
            if matches!(self.events.recv_timeout(left), Err(RecvTimeoutError::Disconnected)) {
                break;
            }
        }
    }
}

fn read(sender: &SyncSender<io::Result<Event>>, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let event = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let failed = event.is_err();
        if sender.send(event).is_err() || failed {
            return;
        }
    }
}
