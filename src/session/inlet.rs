//! Everything that comes in while a run goes: captures that are at hand, captures that come as they happen (each read
//! on a thread of its own), key logs and marks that grow, and the wish to end. One after another, as the pipeline takes them.

use super::case::{Interrupt, Source};
use super::follow::{self, Kind, Lines, Watch};
use super::load::tell_key_problems;
use super::tapped::Recording;
use crate::capture::{Capture, CaptureError, Coming, Recorder, Streaming, Told};
use crate::model::{CaptureItem, FrameBatch, IncidentKind, KeySource, Mark, Timestamp};
use crate::rules::read_marks;
use crate::tls::{KeyLog, KeyLogProblem};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Batches on their way from a thread that reads; beyond that it waits.
const QUEUE: usize = 16;
/// Longest wait for anything to come in; then the run has its turn (a screen is fed, output leaves).
const WAIT: Duration = Duration::from_millis(40);
/// Silence after which nothing is taken to be on its way any more, once a run is told to end.
const SILENCE: Duration = Duration::from_millis(250);
/// Most warnings kept; the rest of an endless run says nothing new.
pub const WARNINGS_MAX: usize = 1_000;

/// Warnings of a run, at most [`WARNINGS_MAX`] of them.
#[derive(Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: u64,
}

impl Warnings {
    pub(super) fn push(&mut self, warning: String) {
        if self.kept.len() < WARNINGS_MAX {
            self.kept.push(warning);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn extend(&mut self, warnings: impl IntoIterator<Item = String>) {
        warnings.into_iter().for_each(|warning| self.push(warning));
    }

    pub(super) fn list(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{} more warnings like these", self.more));
        self.kept.iter().cloned().chain(more).collect()
    }
}

/// What comes in, and the facts about it.
pub(super) struct Inlet {
    sources: VecDeque<Open>,
    to: SyncSender<Message>,
    from: Receiver<Message>,
    interrupt: Interrupt,
    stop: Arc<AtomicBool>,
    /// Set once the run is to end: when it stops waiting for what is on its way.
    deadline: Option<Instant>,
    watch: Watch,
    lines: VecDeque<Lines>,
    /// Marks of lines that were read.
    marks: VecDeque<Mark>,
    /// Whose key log was handed on last, and how many lines of it came before.
    speaker: (String, usize),
    paused: bool,
    over: bool,
    recorder: Option<Recorder>,
    /// The recording a source makes of itself; what comes beside it is added here.
    recording: Option<Recording>,
    pub(super) warnings: Warnings,
    pub(super) failures: Vec<CaptureError>,
    pub(super) damaged: bool,
    pub(super) frames: u64,
    frames_before: u64,
    bytes_done: u64,
    bytes_coming: u64,
    lost: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

enum Open {
    AtHand(Capture),
    Coming(Box<dyn Coming>),
    Reading { name: String, farewell: Duration, thread: JoinHandle<()> },
}

enum Message {
    Capture(Told),
    Lines(Lines),
}

impl Inlet {
    /// Opens what is at hand; nothing is read of what has yet to come.
    pub(super) fn new(sources: Vec<Source>, interrupt: Interrupt, recorder: Option<Recorder>) -> Self {
        let (to, from) = sync_channel(QUEUE);
        let mut inlet = Self {
            sources: VecDeque::new(),
            to,
            from,
            interrupt,
            stop: Arc::default(),
            deadline: None,
            watch: Watch::default(),
            lines: VecDeque::new(),
            marks: VecDeque::new(),
            speaker: (String::new(), 0),
            paused: false,
            over: false,
            recorder,
            recording: None,
            warnings: Warnings::default(),
            failures: Vec::new(),
            damaged: false,
            frames: 0,
            frames_before: 0,
            bytes_done: 0,
            bytes_coming: 0,
            lost: 0,
            first: None,
            last: None,
        };
        for source in sources {
            let opened = match source {
                Source::Input(input) if input.is_coming() => Ok(Open::Coming(Box::new(Streaming(input)))),
                Source::Input(input) => Capture::open(&input).map(Open::AtHand),
                Source::Memory(name, bytes) => Capture::from_memory(&name, bytes).map(Open::AtHand),
                Source::Coming(coming) => Ok(Open::Coming(coming)),
            };
            match opened {
                Ok(open) => inlet.sources.push_back(open),
                Err(error) => inlet.failures.push(error),
            }
        }
        inlet
    }

    /// Whether all key logs inside the captures are known from the start.
    pub(super) fn is_at_hand(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, Open::AtHand(capture) if capture.is_at_hand()))
    }

    /// Looks ahead for key logs and marks in captures that are at hand: they may stand behind the packets they open or
    /// are about.
    pub(super) fn look_ahead(&mut self, keys: &mut KeyLog) -> Vec<Mark> {
        let (mut marks, mut secrets) = (Vec::new(), Vec::new());
        for source in &mut self.sources {
            let Open::AtHand(capture) = source else { continue };
            let ahead = capture.look_ahead();
            marks.extend(ahead.marks);
            for text in ahead.secrets {
                let problems = keys.add_text(KeySource::Dsb, &text);
                let mut found = Vec::new();
                tell_key_problems(&problems, 0, &inside(capture.name()), &mut found);
                self.warnings.extend(found);
                secrets.push(text);
            }
        }
        for text in secrets {
            self.record(&CaptureItem::Secrets(KeySource::Dsb, text));
        }
        marks
    }

    /// Follows key logs and marks from now on; what they hold already is handed on first.
    pub(super) fn follow(&mut self, keys: Vec<PathBuf>, marks: Option<PathBuf>) {
        let keys = keys.into_iter().map(|path| (Kind::Keys, path));
        let all = keys.chain(marks.map(|path| (Kind::Marks, path)));
        let (pipes, files): (Vec<_>, Vec<_>) = all.partition(|(_, path)| follow::is_pipe(path));
        for (kind, path) in pipes {
            let to = self.to.clone();
            let name = path.display().to_string();
            let read = move || follow::read_pipe(kind, &path, &mut |lines| to.send(Message::Lines(lines)).is_ok());
            if let Err(source) = thread::Builder::new().name("lines".to_owned()).spawn(read) {
                self.failures.push(CaptureError::Io { name, source });
            }
        }
        self.watch = Watch::new(files);
        loop {
            let lines = self.watch.poll();
            if lines.is_empty() {
                break;
            }
            self.lines.extend(lines);
        }
    }

    /// The next thing that came in; [`CaptureItem::Pause`] before it is waited for; none when all is over.
    pub(super) fn next(&mut self) -> Option<CaptureItem> {
        loop {
            if let Some(mark) = self.marks.pop_front() {
                let item = CaptureItem::Mark(mark);
                self.record(&item);
                return Some(item);
            }
            if let Some(Lines { kind, file, before, text }) = self.lines.pop_front() {
                self.paused = false;
                match kind {
                    Kind::Keys => {
                        self.speaker = (file.to_string(), before);
                        let item = CaptureItem::Secrets(KeySource::Keylog, text);
                        self.record(&item);
                        return Some(item);
                    }
                    Kind::Marks => {
                        let (marks, errors) = read_marks(&file, before, &String::from_utf8_lossy(&text));
                        self.marks.extend(marks);
                        self.warnings.extend(errors.iter().map(ToString::to_string));
                        continue;
                    }
                }
            }
            self.heed_interrupt();
            match self.sources.front_mut() {
                None => {
                    if std::mem::replace(&mut self.over, true) {
                        return None;
                    }
                    self.lines.extend(self.watch.finish());
                    self.tell_about_files();
                }
                Some(Open::AtHand(_)) => {
                    if let Some(item) = self.read_on() {
                        return Some(item);
                    }
                }
                Some(Open::Coming(_)) => self.start(),
                Some(Open::Reading { .. }) => {
                    if let Some(item) = self.receive() {
                        return Some(item);
                    }
                }
            }
        }
    }

    fn heed_interrupt(&mut self) {
        if self.deadline.is_some() || !self.interrupt.is_raised() {
            return;
        }
        if let Some(Open::Coming(_)) = self.sources.front() {
            // What waits there already counts.
            self.start();
        }
        self.stop.store(true, Ordering::SeqCst);
        let farewell = match self.sources.front() {
            Some(Open::Reading { farewell, .. }) => *farewell,
            Some(Open::AtHand(_) | Open::Coming(_)) | None => {
                self.sources.clear();
                Duration::ZERO
            }
        };
        self.sources.truncate(1);
        self.deadline = Some(Instant::now() + farewell);
    }

    /// The next item of a capture that is at hand.
    fn read_on(&mut self) -> Option<CaptureItem> {
        let Some(Open::AtHand(capture)) = self.sources.front_mut() else { return None };
        capture.number_after(self.frames);
        match capture.next_item() {
            Ok(Some(item)) => {
                self.speaker = (inside(capture.name()), 0);
                Some(self.took(item))
            }
            Ok(None) => {
                let (name, offset) = (capture.name().to_owned(), capture.offset());
                self.ended(&name, offset);
                None
            }
            Err(error) => {
                self.failures.push(error);
                self.sources.pop_front();
                None
            }
        }
    }

    /// Starts the thread of a capture that comes as it happens.
    fn start(&mut self) {
        let Some(Open::Coming(coming)) = self.sources.pop_front() else { return };
        let (name, farewell) = (coming.name(), coming.farewell());
        let (to, stop) = (self.to.clone(), Arc::clone(&self.stop));
        self.bytes_coming = 0;
        let read = move || coming.read(&stop, &mut |told| to.send(Message::Capture(told)).is_ok());
        match thread::Builder::new().name("capture".to_owned()).spawn(read) {
            Ok(thread) => self.sources.push_front(Open::Reading { name, farewell, thread }),
            Err(source) => self.failures.push(CaptureError::Io { name, source }),
        }
    }

    /// The next message of a capture that comes as it happens.
    fn receive(&mut self) -> Option<CaptureItem> {
        if self.deadline.is_none() {
            let lines = self.watch.poll_if_due();
            if !lines.is_empty() {
                self.lines.extend(lines);
                return None;
            }
        }
        let message = match self.from.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                if !std::mem::replace(&mut self.paused, true) {
                    return Some(CaptureItem::Pause);
                }
                let wait = match self.deadline {
                    Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(SILENCE),
                    None => self.watch.due_in().map_or(WAIT, |due| due.min(WAIT)),
                };
                match self.from.recv_timeout(wait) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return self.nothing_came(),
                }
            }
        };
        self.paused = false;
        let Some(Open::Reading { name, .. }) = self.sources.front() else { return None };
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let name = name.clone();
            self.ended(&name, self.bytes_coming);
            return None;
        }
        match message {
            Message::Lines(lines) => {
                self.lines.push_back(lines);
                None
            }
            Message::Capture(Told::Item(item, bytes)) => {
                self.speaker = (inside(name), 0);
                self.bytes_coming = bytes;
                Some(self.took(self.numbered(item)))
            }
            Message::Capture(Told::Lost(lost)) => {
                (self.lost, self.damaged) = (lost, true);
                None
            }
            Message::Capture(Told::Ended) => {
                let name = name.clone();
                self.ended(&name, self.bytes_coming);
                None
            }
            Message::Capture(Told::Failed(error)) => {
                self.failures.push(error);
                self.sources.pop_front();
                None
            }
        }
    }

    /// The wire is quiet, or the time to end has come.
    fn nothing_came(&mut self) -> Option<CaptureItem> {
        let Some(Open::Reading { name, thread, .. }) = self.sources.front() else { return None };
        let name = name.clone();
        if self.deadline.is_some() {
            // Its thread may stay blocked in a read until the process ends.
            self.ended(&name, self.bytes_coming);
            return None;
        }
        if thread.is_finished() {
            let source = io::Error::other("reading it stopped unexpectedly");
            self.failures.push(CaptureError::Read { name, offset: self.bytes_coming, source });
            self.sources.pop_front();
            return None;
        }
        Some(CaptureItem::Pause)
    }

    fn ended(&mut self, name: &str, bytes: u64) {
        if self.frames == self.frames_before {
            self.warnings.push(format!("{name}: holds no frames"));
        }
        self.bytes_done += bytes;
        self.bytes_coming = 0;
        self.frames_before = self.frames;
        self.sources.pop_front();
    }

    /// Numbers the frames of a capture that counts from 1 after those before it.
    fn numbered(&self, item: CaptureItem) -> CaptureItem {
        match item {
            CaptureItem::Frames(FrameBatch { segment, mut frames }) => {
                for frame in &mut frames {
                    frame.number += self.frames_before;
                }
                CaptureItem::Frames(FrameBatch { segment, frames })
            }
            other => other,
        }
    }

    /// Counts what came in.
    fn took(&mut self, item: CaptureItem) -> CaptureItem {
        match &item {
            CaptureItem::Frames(batch) => {
                self.frames += batch.frames.len() as u64;
                // Frames need not stand in the order of their times.
                for frame in &batch.frames {
                    self.first = Some(self.first.map_or(frame.ts, |first| first.min(frame.ts)));
                    self.last = Some(self.last.map_or(frame.ts, |last| last.max(frame.ts)));
                }
            }
            CaptureItem::Exchanges(batch) => {
                self.frames += batch.len() as u64;
                for ts in batch.iter().map(|ready| ready.exchange.ts) {
                    self.first = Some(self.first.map_or(ts, |first| first.min(ts)));
                    self.last = Some(self.last.map_or(ts, |last| last.max(ts)));
                }
            }
            CaptureItem::Warning(_) => self.damaged = true,
            CaptureItem::Incident(incident) => self.damaged |= incident.kind == IncidentKind::Unread,
            CaptureItem::Secrets(..) | CaptureItem::Mark(_) | CaptureItem::Note(_) | CaptureItem::Pause => {}
        }
        if self.recorder.is_some() {
            self.record(&item);
        }
        item
    }

    /// What comes beside the sources is written to the recording that one of them makes.
    pub(super) fn add_to(&mut self, recording: Option<Recording>) {
        self.recording = recording;
    }

    /// Writes an item to the recording, where one is made.
    pub(super) fn record(&mut self, item: &CaptureItem) {
        if let Some(recording) = &self.recording
            && let Err(told) = recording.item(item)
        {
            self.warnings.push(told);
        }
        let Some(recorder) = &mut self.recorder else { return };
        if let Err(source) = recorder.item(item) {
            let name = recorder.path().display().to_string();
            self.warnings.push(format!("{name}: {source}; nothing more is written to it"));
            self.failures.push(CaptureError::Io { name, source });
            self.recorder = None;
        }
    }

    /// Wrong lines of the key log that was handed on last.
    pub(super) fn key_problems(&mut self, problems: &[KeyLogProblem]) {
        let (file, before) = &self.speaker;
        let mut found = Vec::new();
        tell_key_problems(problems, *before, file, &mut found);
        self.warnings.extend(found);
    }

    fn tell_about_files(&mut self) {
        let silent = self.watch.silent().map(|(kind, path)| match kind {
            Kind::Keys => format!("{}: no TLS secrets were written to it", path.display()),
            Kind::Marks => format!("{}: no marks were written to it", path.display()),
        });
        self.warnings.extend(silent.collect::<Vec<_>>());
        if self.watch.too_many {
            self.warnings.push(format!("more than {} key log files: the rest was not read", follow::FILES_MAX));
        }
    }

    /// What is to be said of packets that never got here.
    pub(super) fn losses(&self) -> Option<String> {
        (self.lost > 0).then(|| {
            format!("{} packets were dropped by the kernel before they could be read: traffic is missing", self.lost)
        })
    }

    /// Bytes read so far, and of how many; 0 where that is unknown.
    pub(super) fn progress(&self) -> (u64, u64) {
        let mut coming = self.bytes_coming > 0;
        let (mut now, mut left) = (self.bytes_coming, 0);
        for (at, source) in self.sources.iter().enumerate() {
            match source {
                Open::AtHand(capture) => {
                    now += if at == 0 { capture.offset() } else { 0 };
                    left += capture.size().unwrap_or(0);
                    coming |= capture.size().is_none();
                }
                Open::Coming(_) | Open::Reading { .. } => coming = true,
            }
        }
        (self.bytes_done + now, if coming { 0 } else { self.bytes_done + left })
    }
}

/// The name of a key log that stands in a capture.
fn inside(capture: &str) -> String {
    format!("{capture}: key log inside the capture")
}
