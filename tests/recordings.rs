//! A run that is recorded, and its recording replayed: both say the same, in whatever pieces it was recorded and read.

use divulge::capture::{Capture, Coming, Input, RecordLimits, Recorder, Streaming, Told};
use divulge::model::{
    App, CaptureItem, FlowKey, Incident, IncidentKind, KeySource, Mark, OpaqueReason, Report, Timestamp,
};
use divulge::pipeline::Event;
use divulge::report::{FORMATS, ReportOptions};
use divulge::rules::parse_marks;
use divulge::session::{self, Case, Outcome, Paths, Sink, Source, Wanted, load_case};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Items that come as they happen.
struct Tape(Vec<CaptureItem>);

impl Coming for Tape {
    fn name(&self) -> String {
        "tape".to_owned()
    }

    fn read(self: Box<Self>, _stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool) {
        for item in self.0 {
            if !tell(Told::Item(item, 0)) {
                return;
            }
        }
        tell(Told::Ended);
    }

    fn farewell(&self) -> Duration {
        Duration::ZERO
    }
}

/// Keeps the events as text; flows as they ended.
#[derive(Default)]
struct Events {
    seen: Vec<String>,
    closed: Vec<(FlowKey, Timestamp)>,
}

impl Sink for Events {
    fn event(&mut self, event: Event) {
        match &event {
            // How a flow stands meanwhile is told of live runs alone.
            Event::Open(_) => return,
            Event::Flow(flow) if flow.opaque_reason == Some(OpaqueReason::NoKey) => {
                self.closed.push((flow.key, flow.first_ts));
            }
            _ => {}
        }
        // A replay has the keys from the recording.
        self.seen.push(format!("{event:?}").replace("keys: Some(Proxy)", "keys: Some(Dsb)"));
    }

    fn progress(&mut self, _bytes: u64, _total: u64, _report: &mut dyn FnMut() -> Report) -> bool {
        true
    }
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/demo").join(name)
}

fn marks() -> Vec<Mark> {
    let text = std::fs::read_to_string(shipped("marks.jsonl")).expect("a text");
    parse_marks("marks.jsonl", &text).expect("marks")
}

/// What a proxy would tell of the shipped capture: keys first, but not of all sessions; marks only at the end.
fn tape(incidents: &[Incident]) -> Vec<CaptureItem> {
    let mut capture = Capture::open(&Input::File(shipped("traffic.pcapng"))).expect("a capture");
    let mut items = Vec::new();
    for text in capture.look_ahead().secrets {
        let text = String::from_utf8(text).expect("text");
        let known = text.lines().filter(|line| !line.starts_with("CLIENT_RANDOM"));
        let known: String = known.flat_map(|line| [line, "\n"]).collect();
        items.push(CaptureItem::Secrets(KeySource::Proxy, known.into_bytes()));
    }
    let other =
        Arc::new(App { uid: Some(1_000), package: Some("android".into()), name: Some("Android\nsystem".into()) });
    while let Some(item) = capture.next_item().expect("a readable file") {
        if let CaptureItem::Frames(mut batch) = item {
            batch.frames.iter_mut().skip(50).take(5).for_each(|frame| frame.app = Some(Arc::clone(&other)));
            items.push(CaptureItem::Frames(batch));
        }
    }
    items.extend(incidents.iter().cloned().map(CaptureItem::Incident));
    items.extend(marks().into_iter().map(CaptureItem::Mark));
    items.push(CaptureItem::Note("of the run alone".to_owned()));
    items
}

fn case(sources: Vec<Source>, recorder: Option<Recorder>) -> Case {
    let (policy, profile) = (shipped("policy.txt"), shipped("device.toml"));
    let paths = Paths { live: true, policies: &[policy], profile: Some(&profile), ..Paths::default() };
    Case { sources, recorder, ..load_case(&paths).expect("a case") }
}

/// The events and the report as JSON, without what is different by nature.
fn run(case: Case, threads: usize) -> (Events, Outcome, String) {
    let mut events = Events::default();
    let mut outcome = session::replay(case, &Wanted::Audit, threads, &mut events);
    assert!(outcome.failures.is_empty());
    outcome.report.inputs.clear();
    outcome.report.warnings.retain(|warning| !warning.contains("of the run alone"));
    let format = FORMATS.iter().find(|format| format.name() == "json").expect("a format");
    let mut json = Vec::new();
    format.write(&outcome.report, &ReportOptions::default(), &mut json).expect("in memory");
    (events, outcome, String::from_utf8(json).expect("text"))
}

fn incidents() -> Vec<Incident> {
    let (events, ..) = run(case(vec![Source::Coming(Box::new(Tape(tape(&[]))))], None), 1);
    let [(key, ts), ..] = events.closed[..] else { panic!("a flow without keys") };
    let incident = |kind, host: &str, connection, text: &str| Incident {
        ts,
        kind,
        host: host.into(),
        connection,
        text: text.to_owned(),
    };
    vec![
        incident(IncidentKind::Pinned, "pinned.example", Some((key.client, key.server)), "passed through"),
        incident(IncidentKind::OriginUntrusted, "old.example", None, "origin certificate\nexpired"),
        incident(IncidentKind::OriginUntrusted, "old.example", None, "origin certificate\nexpired"),
    ]
}

#[test]
fn a_recording_says_what_its_run_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, pieces) = (folder.path().join("whole.pcapng"), folder.path().join("pieces.pcapng"));
    let incidents = incidents();
    let live = |recorder| case(vec![Source::Coming(Box::new(Tape(tape(&incidents))))], Some(recorder));
    let (events, outcome, report) = run(live(Recorder::create(&whole).expect("a file")), 1);
    assert_eq!(outcome.report.marks, marks());
    assert!(report.contains("before_consent\": true") || report.contains("before_consent\":true"), "marks came late");
    assert!(outcome.report.hosts.iter().any(|host| host.opaque_reason == Some(OpaqueReason::Pinned)));
    let told: Vec<_> = outcome.report.warnings.iter().filter(|warning| warning.contains("example: ")).collect();
    assert_eq!(told, ["pinned.example: passed through", "old.example: origin certificate expired (2 times)"]);

    let limits = RecordLimits { max_bytes: Some(25_000), max_age: None };
    run(live(Recorder::create(&pieces).expect("a file").with_limits(limits)), 2);
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| *path != whole)
        .collect();
    // `pieces.pcapng` comes before `pieces-0002.pcapng`.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    assert!(files.len() > 3, "{files:?}");

    let whole = || vec![Source::Input(Input::File(whole.clone()))];
    let streamed = || match whole().pop() {
        Some(Source::Input(input)) => vec![Source::Coming(Box::new(Streaming(input)))],
        _ => Vec::new(),
    };
    let files = || files.iter().map(|path| Source::Input(Input::File(path.clone()))).collect();
    for threads in [1, 3] {
        for (how, sources) in [("whole", whole()), ("streamed", streamed()), ("in pieces", files())] {
            let (again, ended, said) = run(case(sources, None), threads);
            assert_eq!(ended.damaged, outcome.damaged, "{how}");
            assert_eq!(said, report, "{how}, {threads} threads");
            assert_eq!(again.seen, events.seen, "{how}, {threads} threads");
        }
    }
}

#[test]
fn traffic_that_went_by_unread_is_damage_also_in_the_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.pcapng");
    let unread = Incident {
        ts: Timestamp::default(),
        kind: IncidentKind::Unread,
        host: "big.example".into(),
        connection: None,
        text: "too much at once".to_owned(),
    };
    let recorder = Recorder::create(&path).expect("a file");
    let (_, live, _) = run(case(vec![Source::Coming(Box::new(Tape(tape(&[unread]))))], Some(recorder)), 1);
    let (_, replayed, _) = run(case(vec![Source::Input(Input::File(path))], None), 1);
    assert!(live.damaged && replayed.damaged);
    assert_eq!(live.report.warnings.last(), replayed.report.warnings.last());
}
