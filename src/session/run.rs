//! Feeds the sources of a case through the pipeline and makes the report.

use super::case::{Case, Source};
use super::inlet::Inlet;
use crate::attribute::Attributor;
use crate::audit;
use crate::capture::CaptureError;
use crate::detect::Detector;
use crate::model::{CaptureItem, Incident, Mark, Report};
use crate::pipeline::{self, Event, Exchanges, Feed, LateKeys, Ledger, Renderer, Settings};
use crate::tls::KeyLogProblem;
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
    /// Look for nothing; hand them on.
    Exchanges,
    /// Look for nothing and drop them: only names are wanted.
    Names,
}

/// Sees a run as it goes.
pub trait Sink {
    /// An event; observations name their party already.
    fn event(&mut self, event: Event);
    /// An exchange as it was rendered ([`Wanted::Rendered`]).
    fn rendered(&mut self, _bytes: &[u8]) {}
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
pub fn replay(case: Case, wanted: &Wanted, threads: usize, sink: &mut dyn Sink) -> Outcome {
    let mut case = case;
    let inputs = case.sources.iter().map(Source::name).collect();
    let mut inlet = Inlet::new(std::mem::take(&mut case.sources), case.interrupt.clone(), case.recorder.take());
    inlet.add_to(case.recording.take());
    inlet.warnings.extend(std::mem::take(&mut case.warnings));
    let mut keys = std::mem::take(&mut case.keys);
    let sessions = keys.sessions();
    let attributor = Attributor::new(Arc::clone(&case.rules), &case.first_party);
    let mut ledger = Ledger::new(attributor);
    for mark in case.marks.iter().chain(&inlet.look_ahead(&mut keys)) {
        ledger.mark(mark);
    }
    // Those inside the captures are recorded where they stand.
    for mark in std::mem::take(&mut case.marks) {
        inlet.record(&CaptureItem::Mark(mark));
    }
    inlet.follow(std::mem::take(&mut case.growing_keys), case.growing_marks.take());
    let detector = match wanted {
        Wanted::Audit | Wanted::Findings => Some(Arc::new(Detector::new(&case.profile, &case.rules))),
        Wanted::Rendered(_) | Wanted::Exchanges | Wanted::Names => None,
    };
    if let Some(detector) = &detector {
        inlet.warnings.extend(detector.warnings().iter().cloned());
    }
    let exchanges = match wanted {
        Wanted::Audit | Wanted::Exchanges => Exchanges::Kept,
        Wanted::Findings | Wanted::Names => Exchanges::Dropped,
        Wanted::Rendered(renderer) => Exchanges::Rendered(Arc::clone(renderer)),
    };
    let late_keys = if inlet.is_at_hand() { LateKeys::Never } else { LateKeys::Possible };
    let settings = Settings { keys: Arc::new(keys), late_keys, detector, exchanges };
    let state =
        State { inputs, inlet, ledger, sessions, judge: matches!(wanted, Wanted::Audit | Wanted::Findings), case };
    let mut run = Run { state, sink };
    pipeline::run(&settings, threads, &mut run);
    let mut state = run.state;
    state.tell_about_keys();
    let report = state.report();
    Outcome { report, failures: state.inlet.failures, damaged: state.inlet.damaged }
}

struct Run<'c> {
    state: State,
    sink: &'c mut dyn Sink,
}

struct State {
    inputs: Vec<String>,
    inlet: Inlet,
    ledger: Ledger,
    /// Sessions the key logs know.
    sessions: usize,
    judge: bool,
    case: Case,
}

impl State {
    fn report(&self) -> Report {
        let mut report = Report {
            inputs: self.inputs.clone(),
            started: self.inlet.first,
            ended: self.inlet.last,
            app: self.case.app.clone().or_else(|| self.ledger.app()),
            policies: self.case.policies.clone(),
            marks: self.ledger.marks(),
            hosts: self.ledger.hosts(),
            weirds: self.ledger.weirds(),
            warnings: self.inlet.warnings.list(),
            coverage: self.ledger.coverage(),
            exchanges: self.ledger.exchanges(),
            frames: self.inlet.frames,
            ..Report::default()
        };
        report.warnings.extend(self.inlet.losses());
        report.warnings.extend(self.ledger.warnings());
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
                marks: &report.marks,
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
        let (given, tls) = (self.sessions, self.ledger.tls());
        if given > 0 && tls.opened == 0 && tls.no_key > 0 {
            let message = format!(
                "none of the {given} sessions of the key log is in the capture: {} TLS flows stay closed",
                tls.no_key
            );
            self.inlet.warnings.push(message);
        }
        if tls.wrong_key > 0 {
            self.inlet.warnings.push(format!("the keys given for {} TLS flows do not open them", tls.wrong_key));
        }
    }
}

impl Feed for Run<'_> {
    fn next(&mut self) -> Option<CaptureItem> {
        self.state.inlet.next()
    }

    fn event(&mut self, mut event: Event) {
        self.state.ledger.record(&mut event);
        self.sink.event(event);
    }

    fn rendered(&mut self, bytes: &[u8]) {
        self.state.ledger.record(&mut Event::Ended);
        self.sink.rendered(bytes);
    }

    fn keys_read(&mut self, problems: Vec<KeyLogProblem>, sessions: usize) {
        self.state.inlet.key_problems(&problems);
        self.state.sessions = sessions;
    }

    fn mark(&mut self, mark: Mark) {
        self.state.ledger.mark(&mark);
    }

    fn incident(&mut self, incident: Incident) {
        self.state.ledger.incident(&incident);
    }

    fn warning(&mut self, warning: String) {
        self.state.inlet.warnings.push(warning);
    }

    fn progress(&mut self) -> bool {
        let Self { state, sink } = self;
        let (bytes, total) = state.inlet.progress();
        sink.progress(bytes, total, &mut || state.report())
    }
}
