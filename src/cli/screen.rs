//! The dashboard over a run: the engine on a thread of its own, the screen on this one.

use super::Failure;
use crate::dashboard::{self, Colour, DashboardOptions, ExchangeSummary, Feed, Values};
use crate::model::Report;
use crate::pipeline::Event;
use crate::report::ShowValues;
use crate::session::{self, Case, Outcome, Sink, Source, Wanted};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Messages on their way to the screen; the engine waits for the screen beyond that.
const QUEUE: usize = 4_096;
/// Time between two snapshots of the outcome.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(400);

/// Shows a run on the terminal until the user quits; gives the outcome.
pub(super) fn run(case: Case, threads: usize, show: ShowValues, intro: Option<String>) -> Result<Outcome, Failure> {
    let coming = case.sources.iter().any(Source::is_coming);
    let (to, feed) = sync_channel(QUEUE);
    let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let mut sink = ScreenSink { to, last: None, gone: false };
        let outcome = session::replay(case, &Wanted::Audit, threads, &mut sink);
        sink.send(Feed::Report(Arc::new(outcome.report.clone())));
        match outcome.failures.first() {
            Some(failure) => sink.send(Feed::Failed(failure.to_string())),
            None => sink.send(Feed::Done),
        }
        outcome
    })?;
    let values = match show {
        ShowValues::Plain => Values::Shown,
        ShowValues::Redacted => Values::Redacted,
    };
    // The feed is dropped when the screen ends, which ends the engine at its next batch.
    match dashboard::run(feed, DashboardOptions { values, colour: Colour::Auto, intro }) {
        // A signal asks a run that would never end by itself to end, as `q` does.
        Err(error) if coming && error.kind() == io::ErrorKind::Interrupted => {}
        ended => ended?,
    }
    engine.join().map_err(|_| Failure::Said("the engine ended unexpectedly".to_owned()))
}

struct ScreenSink {
    to: SyncSender<Feed>,
    last: Option<Instant>,
    gone: bool,
}

impl ScreenSink {
    fn send(&mut self, feed: Feed) {
        self.gone |= self.to.send(feed).is_err();
    }
}

impl Sink for ScreenSink {
    fn event(&mut self, event: Event) {
        if let (Event::Asked(exchange, _) | Event::Exchange(exchange), false) = (event, self.gone) {
            self.send(Feed::Exchange(Box::new(ExchangeSummary::of(&exchange))));
        }
    }

    fn progress(&mut self, bytes: u64, total: u64, report: &mut dyn FnMut() -> Report) -> bool {
        if self.last.is_none_or(|last| last.elapsed() >= SNAPSHOT_EVERY) {
            self.send(Feed::Progress { bytes, total });
            self.send(Feed::Report(Arc::new(report())));
            self.last = Some(Instant::now());
        }
        !self.gone
    }
}
