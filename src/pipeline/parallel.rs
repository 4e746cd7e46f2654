//! The pipeline over worker threads: one thread reads and decides what belongs to which flow, each worker follows its
//! share of the flows, and the events come back in the order of the items that caused them.

use super::budget::{Account, Budget};
use super::event::Event;
use super::intake::{Intake, Item, ItemKind, PacketItem};
use super::shard::{Ordered, Shard, shard_of};
use super::{Pipeline, Settings};
use crate::model::{CaptureItem, FrameBatch, ReadyExchange, Segment};
use crate::tls::{KeyLog, KeyLogProblem};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Batches on their way through the workers at a time, so that no core waits for another.
const IN_FLIGHT: usize = 6;

/// What the caller gets and gives while the pipeline runs.
pub trait Feed {
    /// The next part of the capture; none at its end. Where it has to wait for one it says [`CaptureItem::Pause`] first,
    /// so that all events of what came before are handed over meanwhile.
    fn next(&mut self) -> Option<CaptureItem>;
    /// An event.
    fn event(&mut self, event: Event);
    /// The last lines of a key log were read: those that were wrong, and how many sessions have keys by now.
    fn keys_read(&mut self, problems: Vec<KeyLogProblem>, sessions: usize);
    /// Something about the capture that the user should know.
    fn warning(&mut self, warning: String);
    /// The events of another batch have all been handed over. False ends the run early.
    fn progress(&mut self) -> bool {
        true
    }
}

/// Runs a capture through `threads` workers (0 counts as 1). With one, no thread is started.
pub fn run(settings: &Settings, threads: usize, feed: &mut dyn Feed) {
    if threads <= 1 {
        run_here(settings, feed);
    } else {
        run_threads(settings, threads, feed);
    }
}

fn run_here(settings: &Settings, feed: &mut dyn Feed) {
    let mut pipeline = Pipeline::new(settings);
    while let Some(item) = feed.next() {
        match item {
            CaptureItem::Frames(batch) => {
                for frame in batch.iter() {
                    pipeline.handle_frame(&frame);
                    while let Some(event) = pipeline.poll_event() {
                        feed.event(event);
                    }
                }
                if !feed.progress() {
                    break;
                }
            }
            CaptureItem::Exchanges(batch) => {
                for exchange in batch {
                    pipeline.handle_exchange(exchange);
                    while let Some(event) = pipeline.poll_event() {
                        feed.event(event);
                    }
                }
                if !feed.progress() {
                    break;
                }
            }
            CaptureItem::Secrets(source, text) => {
                let problems = pipeline.handle_keys(source, &text);
                feed.keys_read(problems, pipeline.keys.sessions());
            }
            CaptureItem::Warning(warning) | CaptureItem::Note(warning) => feed.warning(warning),
            CaptureItem::Pause => {
                pipeline.use_keys();
                while let Some(event) = pipeline.poll_event() {
                    feed.event(event);
                }
                if !feed.progress() {
                    break;
                }
            }
        }
    }
    pipeline.finish();
    while let Some(event) = pipeline.poll_event() {
        feed.event(event);
    }
}

/// An item whose payload is named by its place in the segment, so that it can cross threads.
struct Posted {
    item: Item<'static>,
    /// Place of the payload; none where the item owns it.
    place: Option<(usize, usize)>,
}

enum Work {
    Items {
        segment: Option<Segment>,
        items: Vec<Posted>,
    },
    Keys(u64, Arc<KeyLog>),
    /// Count what is held.
    Look,
}

/// What a worker gives back for each piece of work.
struct Done {
    events: Vec<Ordered>,
    account: Option<Account>,
}

/// Work that is on its way through the workers.
enum Pending {
    /// Events of the intake itself.
    Batch(Vec<Ordered>),
    Look(u64),
}

fn run_threads(settings: &Settings, threads: usize, feed: &mut dyn Feed) {
    thread::scope(|scope| {
        let mut workers = Vec::with_capacity(threads);
        for _ in 0..threads {
            let (to, work) = channel::<Work>();
            let (done, from) = channel::<Done>();
            let shard = settings.shard();
            scope.spawn(move || worker(shard, &work, &done));
            workers.push((to, from));
        }
        let intake = Intake::new(settings.late_keys);
        let mut driver = Driver { workers, intake, budget: Budget::default(), in_flight: VecDeque::new() };
        let mut keys = KeyLog::clone(&settings.keys);
        let mut keys_changed = false;
        while let Some(item) = feed.next() {
            match item {
                CaptureItem::Frames(batch) => {
                    driver.use_keys(&keys, &mut keys_changed);
                    if !driver.send(&batch, feed) || !driver.collect(IN_FLIGHT, feed) {
                        break;
                    }
                }
                CaptureItem::Exchanges(batch) => {
                    driver.use_keys(&keys, &mut keys_changed);
                    driver.send_exchanges(batch);
                    if !driver.collect(IN_FLIGHT, feed) {
                        break;
                    }
                }
                CaptureItem::Secrets(source, text) => {
                    let problems = keys.add_text(source, &text);
                    feed.keys_read(problems, keys.sessions());
                    keys_changed = true;
                }
                CaptureItem::Warning(warning) | CaptureItem::Note(warning) => feed.warning(warning),
                CaptureItem::Pause => {
                    driver.use_keys(&keys, &mut keys_changed);
                    if !driver.collect(0, feed) || !feed.progress() {
                        break;
                    }
                }
            }
        }
        driver.use_keys(&keys, &mut keys_changed);
        driver.finish();
        // What is on its way belongs to the outcome, also where no more is wanted.
        while !driver.in_flight.is_empty() {
            driver.collect(0, feed);
        }
        // Dropping the senders ends the workers, which the scope then joins.
    });
}

struct Driver {
    workers: Vec<(Sender<Work>, Receiver<Done>)>,
    intake: Intake,
    budget: Budget,
    in_flight: VecDeque<Pending>,
}

impl Driver {
    /// Sends a batch to the workers; false where the caller wants no more.
    fn send(&mut self, batch: &FrameBatch, feed: &mut dyn Feed) -> bool {
        let count = self.workers.len();
        let room = batch.frames.len() / count + 16;
        let empty = || -> Vec<Vec<Posted>> { (0..count).map(|_| Vec::with_capacity(room)).collect() };
        let (mut posts, mut own) = (empty(), Vec::new());
        let base = (*batch.segment).as_ref().as_ptr() as usize;
        for frame in batch.iter() {
            if let Some(look) = self.budget.due(frame.data.len()) {
                let sent = std::mem::replace(&mut posts, empty());
                self.post(Some(&batch.segment), sent, std::mem::take(&mut own));
                self.tell(Pending::Look(look), || Work::Look);
                while !self.budget.is_ready(look) {
                    if !self.collect(self.in_flight.len() - 1, feed) {
                        return false;
                    }
                }
                for flow in self.budget.over(look) {
                    self.intake.cut(flow, &mut |item| posts[shard_of(item.lane, count)].push(post(item, base)));
                }
            }
            self.intake.frame(
                &frame,
                &mut |item| posts[shard_of(item.lane, count)].push(post(item, base)),
                &mut |order, weird| own.push((order, Event::Weird(weird))),
            );
        }
        self.post(Some(&batch.segment), posts, own);
        true
    }

    fn send_exchanges(&mut self, batch: Vec<ReadyExchange>) {
        let count = self.workers.len();
        let mut posts: Vec<Vec<Posted>> = (0..count).map(|_| Vec::new()).collect();
        for exchange in batch {
            self.intake.ready(exchange, &mut |item| posts[shard_of(item.lane, count)].push(post(item, 0)));
        }
        self.post(None, posts, Vec::new());
    }

    fn finish(&mut self) {
        let count = self.workers.len();
        let mut posts: Vec<Vec<Posted>> = (0..count).map(|_| Vec::new()).collect();
        self.intake.finish(&mut |item| posts[shard_of(item.lane, count)].push(post(item, 0)));
        self.post(None, posts, Vec::new());
    }

    fn post(&mut self, segment: Option<&Segment>, posts: Vec<Vec<Posted>>, own: Vec<Ordered>) {
        for ((to, _), items) in self.workers.iter().zip(posts) {
            let work = Work::Items { segment: segment.cloned(), items };
            assert!(to.send(work).is_ok(), "a worker ended before its input: it has panicked");
        }
        self.in_flight.push_back(Pending::Batch(own));
    }

    /// Gives all workers the same work.
    fn tell(&mut self, pending: Pending, work: impl Fn() -> Work) {
        for (to, _) in &self.workers {
            assert!(to.send(work()).is_ok(), "a worker ended before its input: it has panicked");
        }
        self.in_flight.push_back(pending);
    }

    /// Hands new keys to the sessions: several key logs in a row count as one.
    fn use_keys(&mut self, keys: &KeyLog, changed: &mut bool) {
        if !std::mem::take(changed) {
            return;
        }
        let keys = Arc::new(keys.clone());
        let order = self.intake.next_orders();
        self.tell(Pending::Batch(Vec::new()), || Work::Keys(order, Arc::clone(&keys)));
    }

    /// Hands events over until at most `most` batches are in flight; false where the caller wants no more.
    fn collect(&mut self, most: usize, feed: &mut dyn Feed) -> bool {
        while self.in_flight.len() > most {
            let Some(pending) = self.in_flight.pop_front() else { break };
            let (mut events, look) = match pending {
                Pending::Batch(own) => (own, None),
                Pending::Look(look) => (Vec::new(), Some(look)),
            };
            for (_, from) in &self.workers {
                let Ok(done) = from.recv() else { panic!("a worker ended before its output: it has panicked") };
                events.extend(done.events);
                if let (Some(look), Some(account)) = (look, done.account) {
                    self.budget.add(look, account);
                }
            }
            if look.is_some() {
                continue;
            }
            // Stable: events of one item keep their order.
            events.sort_by_key(|&(order, _)| order);
            for (_, event) in events {
                feed.event(event);
            }
            if !feed.progress() {
                return false;
            }
        }
        true
    }
}

fn worker(mut shard: Shard, work: &Receiver<Work>, done: &Sender<Done>) {
    while let Ok(work) = work.recv() {
        let (mut events, mut account) = (Vec::new(), None);
        match work {
            Work::Look => account = Some(shard.account()),
            Work::Keys(order, keys) => shard.set_keys(order, &keys, &mut events),
            Work::Items { segment, items } => {
                let bytes = segment.as_ref().map(|segment| (**segment).as_ref()).unwrap_or_default();
                for posted in items {
                    shard.item(posted.open(bytes), &mut events);
                }
            }
        }
        if done.send(Done { events, account }).is_err() {
            return;
        }
    }
}

fn post(item: Item<'_>, base: usize) -> Posted {
    let Item { order, flow, lane, ts, kind } = item;
    let (kind, place) = match kind {
        ItemKind::End => (ItemKind::End, None),
        ItemKind::StopWaiting => (ItemKind::StopWaiting, None),
        ItemKind::Cut => (ItemKind::Cut, None),
        ItemKind::Ready(ready) => (ItemKind::Ready(ready), None),
        ItemKind::Packet(PacketItem { direction, opened, app, tcp, payload, missing }) => {
            let (payload, place) = match payload {
                Cow::Borrowed(bytes) => {
                    (Cow::Borrowed(&[][..]), Some(((bytes.as_ptr() as usize).wrapping_sub(base), bytes.len())))
                }
                Cow::Owned(bytes) => (Cow::Owned(bytes), None),
            };
            (ItemKind::Packet(PacketItem { direction, opened, app, tcp, payload, missing }), place)
        }
    };
    Posted { item: Item { order, flow, lane, ts, kind }, place }
}

impl Posted {
    fn open(self, segment: &[u8]) -> Item<'_> {
        let Self { item: Item { order, flow, lane, ts, kind }, place } = self;
        let kind = match kind {
            ItemKind::End => ItemKind::End,
            ItemKind::StopWaiting => ItemKind::StopWaiting,
            ItemKind::Cut => ItemKind::Cut,
            ItemKind::Ready(ready) => ItemKind::Ready(ready),
            ItemKind::Packet(packet) => {
                let payload = match place {
                    Some((at, len)) => Cow::Borrowed(segment.get(at..at + len).unwrap_or_default()),
                    None => packet.payload,
                };
                ItemKind::Packet(PacketItem { payload, ..packet })
            }
        };
        Item { order, flow, lane, ts, kind }
    }
}
