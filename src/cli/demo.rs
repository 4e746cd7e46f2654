//! `divulge demo`: the shipped capture against the shipped policy.

use super::args::{Demo, Format};
use super::output::Output;
use super::replay::{
    Keyboard, Quiet, color_of_stdout, conclude, lang, show_values, threads, wants_screen, width, write_report,
};
use super::{Exit, Failure, screen};
use crate::model::Segment;
use crate::policy;
use crate::report::ReportOptions;
use crate::rules::{parse_marks, parse_profile};
use crate::session::{self, Case, Interrupt, LoadError, Source, Wanted, policy_used};
use crate::tls::KeyLog;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const TRAFFIC: &[u8] = include_bytes!("../../captures/demo/traffic.pcapng");
const POLICY: &str = include_str!("../../captures/demo/policy.txt");
const PROFILE: &str = include_str!("../../captures/demo/device.toml");
const MARKS: &str = include_str!("../../captures/demo/marks.jsonl");

const INTRO: &str = "\
This is a made-up recording of a travel app on a test phone (traffic.pcapng, its TLS keys inside), held against \
the app's made-up privacy policy (policy.txt), with the phone's identifiers (device.toml) and the tester's marks \
(marks.jsonl). Rows are data types, columns who received them; each letter is a verdict: declared clearly (C), only \
vaguely (V), in contradicting clauses (A), sent though denied (I), not declared at all (O).

What to try next: `divulge demo --extract DIR` writes these files. `divulge replay CAPTURE --keys KEYLOG --policy \
POLICY --profile device.toml --first-party DOMAIN` does the same for yours. `divulge explain CODE` explains a finding.";

pub(super) fn run(args: &Demo) -> Result<Exit, Failure> {
    if let Some(folder) = &args.extract {
        return extract(folder);
    }
    let case = case()?;
    let show = show_values(args.show_values);
    let outcome = if wants_screen(args.tui, true, Keyboard::Stdin) {
        screen::run(case, threads(None), show, Some(INTRO.to_owned()))?
    } else {
        let outcome = session::replay(case, &Wanted::Findings, threads(None), &mut Quiet);
        let mut out = Output::open(None)?;
        for paragraph in INTRO.split("\n\n") {
            writeln!(out.writer(), "{}\n", wrapped(paragraph, width()))?;
        }
        let options =
            ReportOptions { show_values: show, width: width(), lang: lang(args.lang), color: color_of_stdout() };
        write_report(&outcome.report, Format::Text, &options, out.writer())?;
        out.writer().flush()?;
        outcome
    };
    Ok(conclude(&outcome, None, None, false))
}

/// A paragraph of ASCII text broken into lines of at most `width` columns.
fn wrapped(paragraph: &str, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        if column > 0 && column + 1 + word.len() > width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

fn case() -> Result<Case, Failure> {
    let rules = session::load_rules(&[])?;
    let profile = parse_profile("device.toml", PROFILE, &rules).map_err(LoadError::Rules)?;
    let marks = parse_marks("marks.jsonl", MARKS).map_err(LoadError::Rules)?;
    let policies = vec![policy_used("policy.txt".to_owned(), POLICY.to_owned(), policy::read(POLICY, &rules), None)?];
    let traffic: Segment = Arc::new(TRAFFIC);
    Ok(Case {
        sources: vec![Source::Memory("traffic.pcapng".to_owned(), traffic)],
        rules: Arc::new(rules),
        keys: KeyLog::new(),
        growing_keys: Vec::new(),
        recorder: None,
        recording: None,
        interrupt: Interrupt::default(),
        policies,
        first_party: profile.first_party.clone(),
        app: profile.package.clone(),
        profile,
        marks,
        growing_marks: None,
        warnings: Vec::new(),
    })
}

fn extract(folder: &Path) -> Result<Exit, Failure> {
    let failed = |error| Failure::Said(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let files: [(&str, &[u8]); 4] = [
        ("traffic.pcapng", TRAFFIC),
        ("policy.txt", POLICY.as_bytes()),
        ("device.toml", PROFILE.as_bytes()),
        ("marks.jsonl", MARKS.as_bytes()),
    ];
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).map_err(failed)?;
    }
    let at = folder.display();
    let mut out = Output::open(None)?;
    writeln!(
        out.writer(),
        "divulge replay {at}/traffic.pcapng --policy {at}/policy.txt --profile {at}/device.toml --marks {at}/marks.jsonl"
    )?;
    out.writer().flush()?;
    Ok(Exit::Fine)
}
