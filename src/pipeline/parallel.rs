//! The pipeline over worker threads: one thread reads and decides what belongs to which flow, each worker follows its
//! share of the flows, and the events come back in the order of the items that caused them.

use super::budget::{Account, Budget};
use super::event::{Event, Events};
use super::intake::{Intake, Item, ItemKind, PacketItem, TcpItem};
use super::shard::{Shard, shard_of};
use super::{Pipeline, Settings};
use crate::model::{
    App, CaptureItem, Direction, FlowId, FrameBatch, Incident, Mark, ReadyExchange, Segment, Timestamp,
};
use crate::tls::{KeyLog, KeyLogProblem};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Batches on their way through the workers at a time, so that no core waits for another.
const IN_FLIGHT: usize = 6;
/// Buffers that grew larger than this are not used again.
const SPARE_MAX: usize = 2 << 20;

/// What the caller gets and gives while the pipeline runs.
pub trait Feed {
    /// The next part of the capture; none at its end. Where it has to wait for one it says [`CaptureItem::Pause`] first,
    /// so that all events of what came before are handed over meanwhile.
    fn next(&mut self) -> Option<CaptureItem>;
    /// An event.
    fn event(&mut self, event: Event);
    /// An exchange that ended, as it was rendered ([`super::Exchanges::Rendered`]).
    fn rendered(&mut self, _bytes: &[u8]) {}
    /// The last lines of a key log were read: those that were wrong, and how many sessions have keys by now.
    fn keys_read(&mut self, problems: Vec<KeyLogProblem>, sessions: usize);
    /// A moment of the tester's that came with the capture.
    fn mark(&mut self, _mark: Mark) {}
    /// What befell a connection of the proxy.
    fn incident(&mut self, _incident: Incident) {}
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
                    drain(&mut pipeline, feed);
                }
                if !feed.progress() {
                    break;
                }
            }
            CaptureItem::Exchanges(batch) => {
                for exchange in batch {
                    pipeline.handle_exchange(exchange);
                    drain(&mut pipeline, feed);
                }
                if !feed.progress() {
                    break;
                }
            }
            CaptureItem::Secrets(source, text) => {
                let problems = pipeline.handle_keys(source, &text);
                feed.keys_read(problems, pipeline.keys.sessions());
            }
            CaptureItem::Mark(mark) => feed.mark(mark),
            CaptureItem::Incident(incident) => feed.incident(incident),
            CaptureItem::Warning(warning) | CaptureItem::Note(warning) => feed.warning(warning),
            CaptureItem::Pause => {
                pipeline.use_keys();
                drain(&mut pipeline, feed);
                if !feed.progress() {
                    break;
                }
            }
        }
    }
    pipeline.finish();
    drain(&mut pipeline, feed);
}

fn drain(pipeline: &mut Pipeline, feed: &mut dyn Feed) {
    while let Some(event) = pipeline.poll_event() {
        match event {
            Event::Rendered(place) => feed.rendered(pipeline.rendered(&place)),
            event => feed.event(event),
        }
    }
}

/// An item on its way to another thread.
enum Posted {
    /// A packet of an open flow: most items are one, so it is kept small.
    Packet(PostedPacket),
    /// Anything else that owns what it holds.
    Other(Box<Item<'static>>),
}

struct PostedPacket {
    order: u64,
    flow: FlowId,
    ts: Timestamp,
    /// Where the payload begins in the segment.
    at: usize,
    len: u32,
    missing: u32,
    direction: Direction,
    tcp: Option<TcpItem>,
    app: Option<Arc<App>>,
}

enum Work {
    Items {
        segment: Option<Segment>,
        items: Vec<Posted>,
        /// Empty, for the events.
        events: Events,
    },
    Keys(u64, Arc<KeyLog>),
    /// Count what is held.
    Look,
}

/// What a worker gives back for each piece of work.
struct Done {
    events: Events,
    /// Empty, to be filled again.
    items: Vec<Posted>,
    account: Option<Account>,
}

/// Work that is on its way through the workers.
enum Pending {
    /// Events of the intake itself.
    Batch(Events),
    Look(u64),
}

/// A worker, as the thread that feeds it sees it.
struct Worker {
    to: Sender<Work>,
    from: Receiver<Done>,
    /// Buffers to be filled again. Each worker gets its own back, so that it alone allocates and frees.
    spare_events: Vec<Events>,
    spare_items: Vec<Vec<Posted>>,
}

fn run_threads(settings: &Settings, threads: usize, feed: &mut dyn Feed) {
    thread::scope(|scope| {
        let mut workers = Vec::with_capacity(threads);
        for _ in 0..threads {
            let (to, work) = channel::<Work>();
            let (done, from) = channel::<Done>();
            let shard = settings.shard();
            scope.spawn(move || worker(shard, &work, &done));
            workers.push(Worker { to, from, spare_events: Vec::new(), spare_items: Vec::new() });
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
                CaptureItem::Mark(mark) => feed.mark(mark),
                CaptureItem::Incident(incident) => feed.incident(incident),
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
    workers: Vec<Worker>,
    intake: Intake,
    budget: Budget,
    in_flight: VecDeque<Pending>,
}

impl Driver {
    /// Sends a batch to the workers; false where the caller wants no more.
    fn send(&mut self, batch: &FrameBatch, feed: &mut dyn Feed) -> bool {
        let count = self.workers.len();
        let (mut posts, mut own) = (self.posts(), Events::default());
        let base = (*batch.segment).as_ref().as_ptr() as usize;
        for frame in batch.iter() {
            if let Some(look) = self.budget.due(frame.data.len()) {
                let fresh = self.posts();
                self.post(Some(&batch.segment), std::mem::replace(&mut posts, fresh), std::mem::take(&mut own));
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
        let mut posts = self.posts();
        for exchange in batch {
            self.intake.ready(exchange, &mut |item| posts[shard_of(item.lane, count)].push(post(item, 0)));
        }
        self.post(None, posts, Events::default());
    }

    fn finish(&mut self) {
        let count = self.workers.len();
        let mut posts = self.posts();
        self.intake.finish(&mut |item| posts[shard_of(item.lane, count)].push(post(item, 0)));
        self.post(None, posts, Events::default());
    }

    /// An empty list for each worker.
    fn posts(&mut self) -> Vec<Vec<Posted>> {
        self.workers.iter_mut().map(|worker| worker.spare_items.pop().unwrap_or_default()).collect()
    }

    fn post(&mut self, segment: Option<&Segment>, posts: Vec<Vec<Posted>>, own: Events) {
        for (worker, items) in self.workers.iter_mut().zip(posts) {
            let events = worker.spare_events.pop().unwrap_or_default();
            worker.send(Work::Items { segment: segment.cloned(), items, events });
        }
        self.in_flight.push_back(Pending::Batch(own));
    }

    /// Gives all workers the same work.
    fn tell(&mut self, pending: Pending, work: impl Fn() -> Work) {
        for worker in &self.workers {
            worker.send(work());
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
        self.tell(Pending::Batch(Events::default()), || Work::Keys(order, Arc::clone(&keys)));
    }

    /// Hands events over until at most `most` batches are in flight; false where the caller wants no more.
    fn collect(&mut self, most: usize, feed: &mut dyn Feed) -> bool {
        while self.in_flight.len() > most {
            let Some(pending) = self.in_flight.pop_front() else { break };
            let mut runs = Vec::with_capacity(1 + self.workers.len());
            let look = match pending {
                Pending::Batch(own) => {
                    runs.push(own);
                    None
                }
                Pending::Look(look) => Some(look),
            };
            for worker in &mut self.workers {
                let Ok(done) = worker.from.recv() else { panic!("a worker ended before its output: it has panicked") };
                if let (Some(look), Some(account)) = (look, done.account) {
                    self.budget.add(look, account);
                }
                runs.push(done.events);
                if done.items.capacity() > 0 {
                    worker.spare_items.push(done.items);
                }
            }
            if look.is_some() {
                continue;
            }
            hand_over(&mut runs, feed);
            for (worker, events) in self.workers.iter_mut().zip(runs.into_iter().skip(1)) {
                worker.keep(events);
            }
            if !feed.progress() {
                return false;
            }
        }
        true
    }
}

impl Worker {
    fn send(&self, work: Work) {
        assert!(self.to.send(work).is_ok(), "a worker ended before its input: it has panicked");
    }

    /// Keeps a buffer whose events have been handed over.
    fn keep(&mut self, mut events: Events) {
        events.rendered.clear();
        let Events { list, rendered } = &events;
        let size = rendered.capacity().max(list.capacity() * size_of::<super::event::Ordered>());
        if (1..=SPARE_MAX).contains(&size) {
            self.spare_events.push(events);
        }
    }
}

/// Hands over the events of one batch in their order: each run is in order already.
fn hand_over(runs: &mut [Events], feed: &mut dyn Feed) {
    let mut runs: Vec<_> =
        runs.iter_mut().map(|Events { list, rendered }| (list.drain(..).peekable(), rendered.as_slice())).collect();
    loop {
        let mut first: Option<(u64, usize)> = None;
        for (at, (list, _)) in runs.iter_mut().enumerate() {
            if let Some(&(order, _)) = list.peek()
                && first.is_none_or(|(before, _)| order < before)
            {
                first = Some((order, at));
            }
        }
        let Some((list, rendered)) = first.and_then(|(_, at)| runs.get_mut(at)) else { return };
        match list.next() {
            Some((_, Event::Rendered(place))) => feed.rendered(rendered.get(place).unwrap_or_default()),
            Some((_, event)) => feed.event(event),
            None => return,
        }
    }
}

fn worker(mut shard: Shard, work: &Receiver<Work>, done: &Sender<Done>) {
    while let Ok(work) = work.recv() {
        let mut back = Done { events: Events::default(), items: Vec::new(), account: None };
        match work {
            Work::Look => back.account = Some(shard.account()),
            Work::Keys(order, keys) => shard.set_keys(order, &keys, &mut back.events),
            Work::Items { segment, mut items, mut events } => {
                let bytes = segment.as_ref().map(|segment| (**segment).as_ref()).unwrap_or_default();
                for posted in items.drain(..) {
                    shard.item(posted.open(bytes), &mut events);
                }
                (back.events, back.items) = (events, items);
            }
        }
        if done.send(back).is_err() {
            return;
        }
    }
}

fn post(item: Item<'_>, base: usize) -> Posted {
    let Item { order, flow, lane, ts, kind } = item;
    let kind = match kind {
        ItemKind::End => ItemKind::End,
        ItemKind::StopWaiting => ItemKind::StopWaiting,
        ItemKind::Cut => ItemKind::Cut,
        ItemKind::Ready(ready) => ItemKind::Ready(ready),
        ItemKind::Packet(PacketItem { direction, opened: None, app, tcp, payload: Cow::Borrowed(bytes), missing })
            if u32::try_from(bytes.len()).is_ok() =>
        {
            let (at, len) = ((bytes.as_ptr() as usize).wrapping_sub(base), bytes.len() as u32);
            return Posted::Packet(PostedPacket { order, flow, ts, at, len, missing, direction, tcp, app });
        }
        // One a flow, and the few whose bytes were put together of several frames.
        ItemKind::Packet(packet) => {
            ItemKind::Packet(PacketItem { payload: Cow::Owned(packet.payload.into_owned()), ..packet })
        }
    };
    Posted::Other(Box::new(Item { order, flow, lane, ts, kind }))
}

impl Posted {
    fn open(self, segment: &[u8]) -> Item<'_> {
        match self {
            Self::Packet(PostedPacket { order, flow, ts, at, len, missing, direction, tcp, app }) => {
                let payload = Cow::Borrowed(segment.get(at..at + len as usize).unwrap_or_default());
                let packet = PacketItem { direction, opened: None, app, tcp, payload, missing };
                // The lane has chosen the shard already.
                Item { order, flow, lane: flow.0, ts, kind: ItemKind::Packet(packet) }
            }
            Self::Other(item) => *item,
        }
    }
}
