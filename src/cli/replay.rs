//! `divulge replay`.

use super::args::{Emit, FailOn, Format, Lang, Replay, Run, Tui};
use super::emit::Emitter;
use super::output::{Output, spare_inputs};
use super::{Exit, Failure, complain, har, note, screen, signals, warn};
use crate::capture::Input;
use crate::model::{Report, Severity};
use crate::pipeline::Event;
use crate::report::{self, Color, Redactor, ReportOptions, ShowValues, ndjson};
use crate::session::{self, Case, Outcome, Paths, Sink, Source, Wanted};
use std::fs::File;
use std::io::{self, IsTerminal, Write};

/// Columns of a report that goes to no terminal.
const WIDTH_DEFAULT: usize = 100;
pub(super) fn run(args: &Replay) -> Result<Exit, Failure> {
    let (inputs, first_party) = args.inputs_and_domains();
    if inputs.is_empty() {
        let message = "no INPUT given: words after --first-party are domains unless they are files that exist";
        return Err(Failure::Said(message.to_owned()));
    }
    spare_inputs(&args.run, &inputs, None)?;
    let case = load(&args.run, &inputs, &first_party, Extent::Inputs)?;
    audit(&args.run, case)
}

/// Whether the inputs are all a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// They are.
    Inputs,
    /// A network interface comes beside them.
    AndLive,
}

/// Loads what the arguments name.
pub(super) fn load(args: &Run, inputs: &[String], first_party: &[String], extent: Extent) -> Result<Case, Failure> {
    let case = session::load_case(&Paths {
        inputs,
        live: extent == Extent::AndLive,
        keys: &args.keys,
        policies: &args.policy,
        policy_version: args.policy_version.as_deref(),
        profile: args.profile.as_deref(),
        rules: &args.rules,
        first_party,
        app: args.app.as_deref(),
        marks: args.marks.as_deref(),
    })?;
    Ok(case)
}

/// Runs a case and shows its outcome as the arguments ask for.
pub(super) fn audit(args: &Run, case: Case) -> Result<Exit, Failure> {
    let coming = case.sources.iter().any(Source::is_coming);
    let piped = case.sources.iter().any(|source| matches!(source, Source::Input(Input::Stdin)));
    for path in case.growing_keys.iter().chain(&case.growing_marks).filter(|path| !path.exists()) {
        note(&format!("{}: not there yet; it is read as soon as it is", path.display()));
    }
    let threads = threads(args.threads);
    let show = show_values(args.show_values);
    let plain = args.format.is_none() && args.emit.is_none() && args.output.is_none();
    let keyboard = if piped { Keyboard::Terminal } else { Keyboard::Stdin };
    if wants_screen(args.tui, plain, keyboard) {
        let outcome = screen::run(case, threads, show, None)?;
        // What came by is gone, so its report must not go with the screen.
        if coming {
            report(args, &outcome, show)?;
        }
        return Ok(conclude(&outcome, args.fail_on, args.min_coverage, args.strict));
    }
    // A log that lacks its end is no JSON, so it is ended on a signal too.
    if coming || args.format == Some(Format::Har) {
        signals::end_with_report(&case.interrupt)?;
    }
    let outcome = match args.emit {
        None | Some(Emit::Exchanges) if args.format == Some(Format::Har) => {
            let mut out = Output::open(args.output.as_deref())?;
            har::write(case, args.fail_on.is_some(), threads, out.writer())?
        }
        Some(_) if args.format == Some(Format::Har) => {
            let message = "--format har holds exchanges and nothing else: leave --emit out";
            return Err(Failure::Said(message.to_owned()));
        }
        Some(what) => {
            let mut out = Output::open(args.output.as_deref())?;
            let outcome = emit(args, what, case, threads, show, out.writer())?;
            out.writer().flush()?;
            outcome
        }
        None => {
            // A file that can't be written is told before the run, not after it.
            let out = Output::open(args.output.as_deref())?;
            let outcome = session::replay(case, &Wanted::Findings, threads, &mut Quiet);
            report_to(args, &outcome, show, out)?;
            outcome
        }
    };
    Ok(conclude(&outcome, args.fail_on, args.min_coverage, args.strict))
}

fn report(args: &Run, outcome: &Outcome, show: ShowValues) -> Result<(), Failure> {
    report_to(args, outcome, show, Output::open(args.output.as_deref())?)
}

fn report_to(args: &Run, outcome: &Outcome, show: ShowValues, mut out: Output) -> Result<(), Failure> {
    let options = ReportOptions { show_values: show, width: width(), lang: lang(args.lang), color: color(args) };
    // A report on inputs of which none could be opened would look like a clean one.
    if outcome.report.frames > 0 || outcome.failures.is_empty() {
        write_report(&outcome.report, args.format.unwrap_or(Format::Text), &options, out.writer())?;
    }
    out.writer().flush()?;
    Ok(())
}

/// Tells on standard error what went wrong, and finds the exit code.
pub(super) fn conclude(outcome: &Outcome, fail_on: Option<FailOn>, min_coverage: Option<f64>, strict: bool) -> Exit {
    for warning in &outcome.report.warnings {
        warn(warning);
    }
    for failure in &outcome.failures {
        complain(&failure.to_string());
    }
    if !outcome.failures.is_empty() || (strict && outcome.damaged) {
        return Exit::Failed;
    }
    let least = fail_on.and_then(FailOn::severity);
    if least.is_some_and(|least: Severity| outcome.report.findings.iter().any(|finding| finding.severity >= least)) {
        return Exit::Findings;
    }
    let coverage = outcome.report.coverage;
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    let read = if coverage.bytes == 0 { 100.0 } else { coverage.readable_bytes as f64 * 100.0 / coverage.bytes as f64 };
    if min_coverage.is_some_and(|least| read < least) {
        warn(&format!("{read:.1} % of the payload bytes could be read, --min-coverage asks for more"));
        return Exit::Coverage;
    }
    Exit::Fine
}

fn emit(
    args: &Run,
    what: Emit,
    case: Case,
    threads: usize,
    show: ShowValues,
    out: &mut dyn Write,
) -> Result<Outcome, Failure> {
    let format = args.format.unwrap_or(Format::Text);
    // Judging costs several times what reading does, so it is done only for an exit code that needs it.
    let judge = args.fail_on.is_some();
    let wanted = Emitter::wanted(what, format, judge);
    let mut emitter = Emitter::new(what, format, show, out);
    let outcome = session::replay(case, &wanted, threads, &mut emitter);
    if let Some(error) = emitter.failed {
        return Err(Failure::Output(error));
    }
    if what == Emit::Findings {
        findings(&outcome.report, format, show, out)?;
    }
    Ok(outcome)
}

fn findings(report: &Report, format: Format, show: ShowValues, out: &mut dyn Write) -> io::Result<()> {
    let redactor = Redactor::of(report, show);
    let mut line = Vec::new();
    for finding in &report.findings {
        line.clear();
        match format {
            Format::Text => {
                let title = redactor.text(&finding.title);
                let text = format!("{} {} {}\n", finding.severity.as_str(), finding.code, report::neutral(&title));
                line.extend_from_slice(text.as_bytes());
            }
            Format::Json | Format::Ndjson | Format::Har => ndjson::finding(finding, &redactor, &mut line),
        }
        out.write_all(&line)?;
    }
    Ok(())
}

pub(super) fn write_report(
    report: &Report,
    format: Format,
    options: &ReportOptions,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = match format {
        Format::Text => "text",
        Format::Json => "json",
        Format::Ndjson => "ndjson",
        Format::Har => "har",
    };
    let format = report::format(name).ok_or_else(|| Failure::Said(format!("no report format {name}")))?;
    format.write(report, options, out)?;
    Ok(())
}

/// A sink for runs whose report is all that is wanted.
pub(super) struct Quiet;

impl Sink for Quiet {
    fn event(&mut self, _event: Event) {}

    fn progress(&mut self, _bytes: u64, _total: u64, _report: &mut dyn FnMut() -> Report) -> bool {
        true
    }
}

/// Where the dashboard's keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyboard {
    /// Standard input.
    Stdin,
    /// The terminal itself, because a capture comes on standard input.
    Terminal,
}

/// Whether the dashboard is to be shown; `plain` says that nothing asks for printed output.
pub(super) fn wants_screen(tui: Tui, plain: bool, keyboard: Keyboard) -> bool {
    let keys = || match keyboard {
        Keyboard::Stdin => io::stdin().is_terminal(),
        Keyboard::Terminal => File::open("/dev/tty").is_ok(),
    };
    match tui {
        Tui::Always => true,
        Tui::Never => false,
        Tui::Auto => plain && io::stdout().is_terminal() && keys(),
    }
}

pub(super) fn threads(given: Option<u16>) -> usize {
    match given {
        Some(count) => usize::from(count),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

pub(super) fn show_values(show: bool) -> ShowValues {
    if show { ShowValues::Plain } else { ShowValues::Redacted }
}

pub(super) fn lang(lang: Lang) -> report::Lang {
    match lang {
        Lang::En => report::Lang::En,
        Lang::Zh => report::Lang::Zh,
    }
}

fn color(args: &Run) -> Color {
    if args.output.is_none() { color_of_stdout() } else { Color::Never }
}

/// Colour on a terminal, unless `NO_COLOR` says otherwise (no-color.org).
pub(super) fn color_of_stdout() -> Color {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !refused { Color::Always } else { Color::Never }
}

pub(super) fn width() -> usize {
    if !io::stdout().is_terminal() {
        return WIDTH_DEFAULT;
    }
    crossterm::terminal::size().map_or(WIDTH_DEFAULT, |(columns, _)| usize::from(columns).max(40))
}
