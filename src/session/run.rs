//! Feeds the sources of a case through the pipeline and makes the report.

use super::case::{Case, Source};
use super::load::tell_key_problems;
use crate::attribute::Attributor;
use crate::audit;
use crate::capture::{Capture, CaptureError};
use crate::detect::Detector;
use crate::model::{CaptureItem, KeySource, Report, Timestamp};
use crate::pipeline::{self, Event, Exchanges, Feed, LateKeys, Ledger, Renderer, Settings};
use crate::tls::KeyLogProblem;
use std::collections::VecDeque;
use std::sync::Arc;

/// What is to be done with exchanges.
#[derive(Clone)]
pub enum Wanted {
    /// Look for personal data in them and judge; hand them on.
    Audit,
    /// The same, but hand on only what was found.
    Findings,
    /// Look for nothing; render them where they are found.
    Rendered(Renderer),
    /// Look for nothing and drop them: only names are wanted.
    Names,
}

/// Sees a run as it goes.
pub trait Sink {
    /// An event; observations name their party already.
    fn event(&mut self, event: Event);
    /// So many bytes of so many (0 if unknown) have been read. `report` makes a snapshot of the outcome so far, at some
    /// cost. False ends the run early.
    fn progress(&mut self, bytes: u64, total: u64, report: &mut dyn FnMut() -> Report) -> bool;
}

/// How a run ended.
pub struct Outcome {
    /// What it found.
    pub report: Report,
    /// Inputs that could not be read, or not to their end because the system failed.
    pub failures: Vec<CaptureError>,
    /// Whether an input was damaged or cut off.
    pub damaged: bool,
}

/// Runs a case. Warnings go into the report as they are; the caller shows them.
pub fn replay(case: &Case, wanted: &Wanted, threads: usize, sink: &mut dyn Sink) -> Outcome {
    let mut warnings = case.warnings.clone();
    let mut failures = Vec::new();
    let mut captures = VecDeque::new();
    for source in &case.sources {
        let opened = match source {
            Source::Input(input) => Capture::open(input),
            Source::Memory(name, bytes) => Capture::from_memory(name, Arc::clone(bytes)),
        };
        match opened {
            Ok(capture) => captures.push_back(capture),
            Err(error) => failures.push(error),
        }
    }
    // Key logs may stand behind the packets they open, so captures that are at hand are looked through for them first.
    let mut keys = case.keys.clone();
    for capture in &mut captures {
        for text in capture.secrets() {
            let problems = keys.add_text(KeySource::Dsb, &text);
            tell_key_problems(&problems, &inside(capture.name()), &mut warnings);
        }
    }
    let detector = match wanted {
        Wanted::Audit | Wanted::Findings => Some(Arc::new(Detector::new(&case.profile, &case.rules))),
        Wanted::Rendered(_) | Wanted::Names => None,
    };
    if let Some(detector) = &detector {
        warnings.extend(detector.warnings().iter().cloned());
    }
    let exchanges = match wanted {
        Wanted::Audit => Exchanges::Kept,
        Wanted::Findings | Wanted::Names => Exchanges::Dropped,
        Wanted::Rendered(renderer) => Exchanges::Rendered(Arc::clone(renderer)),
    };
    let at_hand = captures.iter().all(Capture::is_at_hand);
    let late_keys = if at_hand { LateKeys::Never } else { LateKeys::Possible };
    let settings = Settings { keys: Arc::new(keys), late_keys, detector, exchanges };
    let attributor = Attributor::new(Arc::clone(&case.rules), &case.first_party);
    let state = State {
        case,
        captures,
        ledger: Ledger::new(attributor, &case.marks),
        warnings,
        failures,
        damaged: false,
        frames: 0,
        frames_before: 0,
        bytes_done: 0,
        first: None,
        last: None,
        judge: matches!(wanted, Wanted::Audit | Wanted::Findings),
    };
    let mut run = Run { state, sink };
    pipeline::run(&settings, threads, &mut run);
    let mut state = run.state;
    state.tell_about_keys();
    Outcome { report: state.report(), failures: state.failures, damaged: state.damaged }
}

/// The name of a key log that stands in a capture.
fn inside(capture: &str) -> String {
    format!("{capture}: key log inside the capture")
}

struct Run<'c> {
    state: State<'c>,
    sink: &'c mut dyn Sink,
}

struct State<'c> {
    case: &'c Case,
    captures: VecDeque<Capture>,
    ledger: Ledger,
    warnings: Vec<String>,
    failures: Vec<CaptureError>,
    damaged: bool,
    frames: u64,
    frames_before: u64,
    bytes_done: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    judge: bool,
}

impl State<'_> {
    fn report(&self) -> Report {
        let mut report = Report {
            inputs: self.case.sources.iter().map(Source::name).collect(),
            started: self.first,
            ended: self.last,
            app: self.case.app.clone().or_else(|| self.ledger.app()),
            policies: self.case.policies.clone(),
            marks: self.case.marks.clone(),
            hosts: self.ledger.hosts(),
            weirds: self.ledger.weirds(),
            warnings: self.warnings.clone(),
            coverage: self.ledger.coverage(),
            exchanges: self.ledger.exchanges(),
            frames: self.frames,
            ..Report::default()
        };
        if self.ledger.is_full() {
            report.warnings.push(format!(
                "more than {} data flows or {} hosts: the rest is not in the report",
                pipeline::DATA_FLOWS_MAX,
                pipeline::HOSTS_MAX
            ));
        }
        if self.judge {
            let documents: Vec<_> = self.case.policies.iter().map(|policy| &*policy.document).collect();
            let input = audit::AuditInput {
                flows: self.ledger.data_flows(),
                hosts: &report.hosts,
                documents: &documents,
                marks: &self.case.marks,
            };
            let judged = audit::audit(input, &self.case.rules);
            report.data_flows = judged.data_flows;
            report.findings = judged.findings;
            report.declared_only = judged.declared_only;
        }
        report
    }

    /// Keys that fit nothing are the commonest mistake of all, and easily taken for traffic that can't be read.
    fn tell_about_keys(&mut self) {
        let (given, tls) = (self.case.keys.sessions(), self.ledger.tls());
        if given > 0 && tls.opened == 0 && tls.no_key > 0 {
            let message = format!(
                "none of the {given} sessions of the key log is in the capture: {} TLS flows stay closed",
                tls.no_key
            );
            self.warnings.push(message);
        }
        if tls.wrong_key > 0 {
            self.warnings.push(format!("the keys given for {} TLS flows do not open them", tls.wrong_key));
        }
    }

    fn total(&self) -> u64 {
        self.bytes_done + self.captures.iter().filter_map(Capture::size).sum::<u64>()
    }
}

impl State<'_> {
    fn next(&mut self) -> Option<CaptureItem> {
        loop {
            let capture = self.captures.front_mut()?;
            capture.number_after(self.frames);
            match capture.next_item() {
                Ok(Some(item)) => {
                    match &item {
                        CaptureItem::Frames(batch) => {
                            self.frames += batch.frames.len() as u64;
                            for frame in [batch.frames.first(), batch.frames.last()].into_iter().flatten() {
                                self.first = Some(self.first.map_or(frame.ts, |first| first.min(frame.ts)));
                                self.last = Some(self.last.map_or(frame.ts, |last| last.max(frame.ts)));
                            }
                        }
                        CaptureItem::Exchanges(batch) => {
                            self.frames += batch.len() as u64;
                            capture.number_after(self.frames);
                            for ts in batch.iter().map(|ready| ready.exchange.ts) {
                                self.first = Some(self.first.map_or(ts, |first| first.min(ts)));
                                self.last = Some(self.last.map_or(ts, |last| last.max(ts)));
                            }
                        }
                        CaptureItem::Warning(_) => self.damaged = true,
                        CaptureItem::Note(_) => {}
                        CaptureItem::Secrets(..) | CaptureItem::Pause => {}
                    }
                    return Some(item);
                }
                Ok(None) => {
                    if capture.frames() == self.frames_before {
                        self.warnings.push(format!("{}: holds no frames", capture.name()));
                    }
                    self.bytes_done += capture.offset();
                    self.frames_before = self.frames;
                    self.captures.pop_front();
                }
                Err(error) => {
                    self.failures.push(error);
                    self.captures.pop_front();
                }
            }
        }
    }
}

impl Feed for Run<'_> {
    fn next(&mut self) -> Option<CaptureItem> {
        self.state.next()
    }

    fn event(&mut self, mut event: Event) {
        self.state.ledger.record(&mut event);
        self.sink.event(event);
    }

    fn key_problems(&mut self, problems: Vec<KeyLogProblem>) {
        let name = self.state.captures.front().map(|capture| capture.name().to_owned()).unwrap_or_default();
        tell_key_problems(&problems, &inside(&name), &mut self.state.warnings);
    }

    fn warning(&mut self, warning: String) {
        self.state.warnings.push(warning);
    }

    fn progress(&mut self) -> bool {
        let Self { state, sink } = self;
        let bytes = state.bytes_done + state.captures.front().map_or(0, Capture::offset);
        sink.progress(bytes, state.total(), &mut || state.report())
    }
}
