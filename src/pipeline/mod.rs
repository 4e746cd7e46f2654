//! Composes the stages: frames in, events out, in the order of the capture whatever the number of threads.
//!
//! [`Pipeline`] is the engine without threads: feed it frames and key logs, take its events. [`run`] does the same for
//! batches with the flows spread over worker threads. Both give the same events, byte for byte. [`Ledger`] adds the
//! events up. No file, socket or clock is touched here.
//!
//! # As a library
//!
//! Feed frames (of a file, or what [`crate::proxy::Tap::take`] gives while a proxy runs) and take events:
//!
//! ```
//! use divulge::capture::{Capture, Input};
//! use divulge::model::{CaptureItem, Profile};
//! use divulge::pipeline::{Event, Exchanges, LateKeys, Pipeline, Settings};
//! use divulge::{detect::Detector, rules::RuleSet};
//! use std::sync::Arc;
//!
//! let rules = RuleSet::load(&[]).expect("the built-in rules");
//! let detector = Arc::new(Detector::new(&Profile::default(), &rules));
//! let settings = Settings { detector: Some(detector), late_keys: LateKeys::Possible, exchanges: Exchanges::Kept, ..Settings::default() };
//! let mut pipeline = Pipeline::new(&settings);
//!
//! let mut capture = Capture::open(&Input::from_arg("captures/demo/traffic.pcapng")).expect("the shipped capture");
//! let (mut exchanges, mut observations) = (0, 0);
//! while let Some(item) = capture.next_item().expect("a readable file") {
//!     match item {
//!         CaptureItem::Frames(batch) => batch.iter().for_each(|frame| pipeline.handle_frame(&frame)),
//!         CaptureItem::Secrets(source, text) => assert!(pipeline.handle_keys(source, &text).is_empty()),
//!         _ => {}
//!     }
//! }
//! pipeline.finish();
//! while let Some(event) = pipeline.poll_event() {
//!     match event {
//!         Event::Asked(_, found) => observations += found.len(),
//!         Event::Exchange(_) => exchanges += 1,
//!         _ => {}
//!     }
//! }
//! assert!(exchanges > 30 && observations > 0, "{exchanges} exchanges, {observations} observations");
//! ```

mod budget;
mod collected;
mod connection;
#[cfg(test)]
mod connection_tests;
mod event;
mod http2_layer;
mod intake;
#[cfg(test)]
mod late_keys_tests;
mod ledger;
mod names;
mod observe;
mod parallel;
mod paths;
mod questions;
mod quic_layer;
#[cfg(test)]
mod quic_tests;
mod ready;
mod resolvers;
mod shard;
mod tcp_flow;
mod tls_layer;
mod tunnels;
mod udp;
mod unknown;

pub use crate::decode::undo_encodings;
pub use budget::HELD_MAX;
pub use connection::LateKeys;
pub use event::{Event, FlowSummary};
pub use intake::WAITING_FLOWS_MAX;
pub use ledger::{CONNECTIONS_MAX, DATA_FLOWS_MAX, HOSTS_MAX, INCIDENTS_MAX, Ledger, MARKS_MAX, TlsCount};
pub use names::{NAMES_MAX, NAMES_PER_ADDRESS_MAX};
pub use parallel::{Feed, run};
pub use paths::PATH_CANDIDATES_MAX;
pub use quic_layer::{QUIC_CONNECTIONS_MAX, QUIC_STREAMS_MAX};
pub use shard::Renderer;
pub use tls_layer::TLS_HELD_MAX;
pub use unknown::PIECE_MAX;

use crate::detect::Detector;
use crate::model::{Frame, KeySource, ReadyExchange};
use crate::tls::KeyLog;
use budget::Budget;
use event::Events;
use intake::Intake;
use observe::Observer;
use shard::Shard;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// What the pipeline does with exchanges.
#[derive(Clone, Default)]
pub struct Settings {
    /// TLS secrets known from the start.
    pub keys: Arc<KeyLog>,
    /// Whether more of them may come with the capture, after the traffic they open.
    pub late_keys: LateKeys,
    /// Looks for personal data, if wanted.
    pub detector: Option<Arc<Detector>>,
    /// What becomes of exchanges.
    pub exchanges: Exchanges,
}

/// What becomes of an exchange once it has been searched.
#[derive(Clone, Default)]
pub enum Exchanges {
    /// It is handed on.
    #[default]
    Kept,
    /// It is dropped; only what was found in it is handed on.
    Dropped,
    /// It is turned into bytes where it was found, and those are handed on.
    Rendered(Renderer),
}

impl Settings {
    fn shard(&self) -> Shard {
        let observer = self.detector.as_deref().map(Observer::new);
        Shard::new(Arc::clone(&self.keys), self.late_keys, observer, self.exchanges.clone())
    }
}

/// The engine on the caller's own thread.
pub struct Pipeline {
    intake: Intake,
    budget: Budget,
    shard: Shard,
    keys: KeyLog,
    keys_changed: bool,
    events: Events,
    ready: VecDeque<Event>,
}

impl Pipeline {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let keys = KeyLog::clone(&settings.keys);
        Self {
            intake: Intake::new(settings.late_keys),
            budget: Budget::default(),
            shard: settings.shard(),
            keys,
            keys_changed: false,
            events: Events::default(),
            ready: VecDeque::new(),
        }
    }

    /// Takes the next frame of the capture.
    pub fn handle_frame(&mut self, frame: &Frame<'_>) {
        self.forget_rendered();
        self.use_keys();
        let Self { intake, budget, shard, events, ready, .. } = self;
        if let Some(look) = budget.due(frame.data.len()) {
            budget.add(look, shard.account());
            for flow in budget.over(look) {
                intake.cut(flow, &mut |item| shard.item(item, events));
            }
        }
        let mut weirds = Vec::new();
        intake.frame(frame, &mut |item| shard.item(item, events), &mut |order, weird| {
            weirds.push((order, Event::Weird(weird)))
        });
        // Most frames lead to nothing.
        if weirds.is_empty() && events.list.is_empty() {
            return;
        }
        events.list.append(&mut weirds);
        events.list.sort_by_key(|&(order, _)| order);
        ready.extend(events.list.drain(..).map(|(_, event)| event));
    }

    /// Takes an exchange that the capture holds as such.
    pub fn handle_exchange(&mut self, ready: ReadyExchange) {
        self.forget_rendered();
        self.use_keys();
        let Self { intake, shard, events, ready: out, .. } = self;
        intake.ready(ready, &mut |item| shard.item(item, events));
        out.extend(events.list.drain(..).map(|(_, event)| event));
    }

    /// Takes lines of a key log; they are used from the next frame on. Gives the lines that were wrong.
    pub fn handle_keys(&mut self, source: KeySource, text: &[u8]) -> Vec<crate::tls::KeyLogProblem> {
        let problems = self.keys.add_text(source, text);
        self.keys_changed = true;
        problems
    }

    /// Hands new keys to the sessions: several key logs in a row count as one.
    fn use_keys(&mut self) {
        if !std::mem::take(&mut self.keys_changed) {
            return;
        }
        let order = self.intake.next_orders();
        self.shard.set_keys(order, &Arc::new(self.keys.clone()), &mut self.events);
        self.ready.extend(self.events.list.drain(..).map(|(_, event)| event));
    }

    /// The capture ended: ends all flows.
    pub fn finish(&mut self) {
        self.use_keys();
        let Self { intake, shard, events, ready, .. } = self;
        intake.finish(&mut |item| shard.item(item, events));
        ready.extend(events.list.drain(..).map(|(_, event)| event));
    }

    /// The next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// The bytes that [`Event::Rendered`] tells of; they stay until the next frame or exchange is taken after all
    /// events were.
    #[must_use]
    pub fn rendered(&self, place: &Range<usize>) -> &[u8] {
        self.events.rendered.get(place.clone()).unwrap_or_default()
    }

    fn forget_rendered(&mut self) {
        if self.ready.is_empty() {
            self.events.rendered.clear();
        }
    }
}
