//! The proxy as a capture that comes as it happens. What it taps is recorded first, on a thread of its own, and then
//! handed on to be read: where reading can't keep up, it is reading that skips, and neither the recording nor the phone
//! waits for it.

use crate::capture::{CaptureError, Coming, Recorder, Told};
use crate::model::{CaptureItem, Incident, IncidentKind, Timestamp};
use crate::proxy::{Gathered, Proxy, Tap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most bytes of frames that wait to be read; what comes beyond that is recorded only.
pub const BACKLOG_MAX: usize = 64 << 20;
/// Longest wait for the tap before looking whether to stop.
const WAIT: Duration = Duration::from_millis(100);

/// What becomes of what passes, besides being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspection {
    /// It is read.
    On,
    /// It is not; incidents are told of all the same.
    Off,
}

/// A recording that several write to.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Option<Recorder>>>);

impl Recording {
    /// Writes to a recorder, as long as that can be written to.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self(Arc::new(Mutex::new(Some(recorder))))
    }

    /// Adds an item. One that can't be written is the last: it is told of, in words, and the recording left.
    ///
    /// # Errors
    /// The words.
    pub fn item(&self, item: &CaptureItem) -> Result<(), String> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recorder) = held.as_mut() else { return Ok(()) };
        let Err(error) = recorder.item(item) else { return Ok(()) };
        let told = format!("{}: {error}; nothing more is recorded", recorder.path().display());
        *held = None;
        Err(told)
    }
}

/// A proxy that runs, and where it is recorded to.
pub struct Tapped {
    proxy: Proxy,
    recorder: Recording,
    inspection: Inspection,
}

impl Tapped {
    /// Reads, and records, what a proxy taps.
    #[must_use]
    pub fn new(proxy: Proxy, recorder: Recording, inspection: Inspection) -> Self {
        Self { proxy, recorder, inspection }
    }
}

impl Coming for Tapped {
    fn name(&self) -> String {
        "proxy".to_owned()
    }

    fn read(self: Box<Self>, stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool) {
        let Self { mut proxy, recorder, inspection } = *self;
        let waiting = Arc::new(AtomicUsize::new(0));
        let (to, from) = channel();
        let keeper = Keeper { tap: proxy.tap(), recorder, inspection, to, waiting: Arc::clone(&waiting), skipped: 0 };
        match thread::Builder::new().name("recorder".to_owned()).spawn(move || keeper.run()) {
            Ok(_) => {}
            Err(source) => {
                tell(Told::Failed(CaptureError::Io { name: "proxy".to_owned(), source }));
                return;
            }
        }
        hand_on(&mut proxy, stop, &from, &waiting, tell);
        // Where nobody listens any more, the proxy ends with whoever started it.
        proxy.stop();
    }

    fn farewell(&self) -> Duration {
        Duration::from_secs(5)
    }
}

fn hand_on(
    proxy: &mut Proxy,
    stop: &AtomicBool,
    from: &Receiver<(CaptureItem, usize)>,
    waiting: &AtomicUsize,
    tell: &mut dyn FnMut(Told) -> bool,
) {
    let (mut total, mut stopped) = (0u64, false);
    loop {
        if !stopped && stop.load(Ordering::SeqCst) {
            proxy.stop();
            stopped = true;
        }
        match from.recv_timeout(WAIT) {
            Ok((item, bytes)) => {
                total += bytes as u64;
                let heard = tell(Told::Item(item, total));
                waiting.fetch_sub(bytes, Ordering::Relaxed);
                if !heard {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                tell(Told::Ended);
                return;
            }
        }
    }
}

/// Takes what the tap gathers, records it and sends it on.
struct Keeper {
    tap: Arc<Tap>,
    recorder: Recording,
    inspection: Inspection,
    to: Sender<(CaptureItem, usize)>,
    /// Bytes sent on that nobody has taken yet.
    waiting: Arc<AtomicUsize>,
    /// Bytes not sent on since that was last told.
    skipped: u64,
}

impl Keeper {
    fn run(mut self) {
        loop {
            let Gathered { items, ended } = self.tap.take(WAIT);
            for item in items {
                if !self.keep(item) {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    }

    /// False where nobody listens any more.
    fn keep(&mut self, item: CaptureItem) -> bool {
        let mut heard = self.record(&item);
        let bytes = match &item {
            CaptureItem::Frames(batch) => batch.frames.iter().map(|frame| frame.len).sum(),
            _ => 0,
        };
        if bytes > 0 && self.inspection == Inspection::Off {
            return heard;
        }
        if bytes > 0 && self.waiting.load(Ordering::Relaxed) + bytes > BACKLOG_MAX {
            self.skipped += bytes as u64;
            return heard;
        }
        if self.skipped > 0 {
            let text = format!("{} bytes were recorded but not read: reading could not keep up", self.skipped);
            self.skipped = 0;
            let incident = unread(text);
            heard &= self.send(incident, 0);
        }
        heard && self.send(item, bytes)
    }

    fn send(&self, item: CaptureItem, bytes: usize) -> bool {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.to.send((item, bytes)).is_ok()
    }

    /// Writes an item to the recording; that it can't be written to is told once.
    fn record(&self, item: &CaptureItem) -> bool {
        let Err(text) = self.recorder.item(item) else { return true };
        let incident = unread(text);
        self.send(incident, 0)
    }
}

fn unread(text: String) -> CaptureItem {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ts = Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    CaptureItem::Incident(Incident { ts, kind: IncidentKind::Unread, host: Arc::from("proxy"), connection: None, text })
}
