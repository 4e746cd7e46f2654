//! The report for people at a terminal: the matrix first, then each finding with the policy's words beside the bytes
//! that were sent, then what was declared and never seen, what could not be read, and what was odd. Everything
//! captured is neutralised, cut and, unless values are to be shown, redacted.

mod findings;
mod labels;
pub(in crate::report) mod layout;
mod matrix;

use super::{Color, Format, Redactor, ReportOptions, neutral};
use crate::model::{DeclaredOnly, HostSummary, Report};
use labels::Labels;
use layout::{cut, pad, width, wrap};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The text report.
#[derive(Debug)]
pub(super) struct Text;

/// Fewest columns the layout works in.
const WIDTH_MIN: usize = 60;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn write(&self, report: &Report, options: &ReportOptions, out: &mut dyn Write) -> io::Result<()> {
        let redactor = Redactor::of(report, options.show_values);
        let page = Page {
            labels: labels::labels(options.lang),
            options: *options,
            width: options.width.max(WIDTH_MIN),
            redactor: &redactor,
        };
        header(report, &page, out)?;
        matrix::write(report, &page, out)?;
        findings::write(report, &page, out)?;
        declared_only(&report.declared_only, &page, out)?;
        coverage(report, &page, out)?;
        odd(report, &page, out)
    }
}

/// What every section needs to know.
struct Page<'a> {
    labels: &'static Labels,
    options: ReportOptions,
    width: usize,
    redactor: &'a Redactor,
}

/// A colour by its ANSI number.
#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Red,
    Green,
    Yellow,
    Dim,
}

impl Page<'_> {
    fn ink(&self, ink: Ink, text: &str) -> String {
        if self.options.color == Color::Never {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => 1,
            Ink::Dim => 2,
            Ink::Red => 31,
            Ink::Green => 32,
            Ink::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn heading(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{}", self.ink(Ink::Bold, text))?;
        writeln!(out, "{}", "\u{2500}".repeat(self.width))
    }

    /// Wrapped lines under one indent.
    fn indented(&self, indent: usize, text: &str, out: &mut dyn Write) -> io::Result<()> {
        wrap(text, self.width.saturating_sub(indent))
            .iter()
            .try_for_each(|line| writeln!(out, "{}{line}", " ".repeat(indent)))
    }

    /// `label  text`, the text wrapped beside its label.
    fn labelled(&self, indent: usize, label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let left = indent + 10;
        for (index, line) in wrap(text, self.width.saturating_sub(left)).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            writeln!(out, "{}{}{line}", " ".repeat(indent), pad(label, 10))?;
        }
        Ok(())
    }
}

fn header(report: &Report, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let labels = page.labels;
    writeln!(out, "{}", page.ink(Ink::Bold, &format!("divulge: {}", labels.title)))?;
    let coverage = &report.coverage;
    let counts = format!(
        "{} {}, {} {}, {} {}, {} {}",
        report.frames,
        labels.frames,
        coverage.flows,
        labels.flows,
        report.exchanges,
        labels.exchanges,
        percent(coverage.readable_bytes, coverage.bytes),
        labels.readable
    );
    page.labelled(0, labels.read, &format!("{} ({counts})", neutral(&report.inputs.join(", "))), out)?;
    if let (Some(started), Some(ended)) = (report.started, report.ended) {
        page.labelled(0, labels.time, &format!("{started} \u{2013} {ended}"), out)?;
    }
    if let Some(app) = &report.app {
        page.labelled(0, labels.app, &neutral(app), out)?;
    }
    for policy in &report.policies {
        let title = policy.document.title.as_deref().unwrap_or("\u{2014}");
        let date = policy.document.effective_date.as_deref().unwrap_or("\u{2014}");
        let text = format!("{} ({} {date}; {})", neutral(title), labels.effective, neutral(&policy.file));
        page.labelled(0, labels.policy, &text, out)?;
    }
    if report.policies.is_empty() {
        page.labelled(0, labels.policy, labels.no_policy, out)?;
    }
    let marks: Vec<String> = report
        .marks
        .iter()
        .map(|mark| {
            let text = mark.text.as_deref().map_or_else(String::new, |text| format!(" {}", neutral(text)));
            format!("{}{text} {}", format!("{:?}", mark.mark).to_lowercase(), mark.ts)
        })
        .collect();
    if !marks.is_empty() {
        page.labelled(0, labels.marks, &marks.join("; "), out)?;
    }
    Ok(())
}

/// `97.3 %`; a dash where there is nothing to count.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "\u{2014}".to_owned();
    }
    // Rounded down, so that 100 % means all.
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn declared_only(declared: &[DeclaredOnly], page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if declared.is_empty() {
        return Ok(());
    }
    page.heading(&format!("{} ({})", page.labels.declared_only, declared.len()), out)?;
    let mut by_party: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for only in declared {
        let clause = neutral(&only.clause.clause);
        let item = if clause.is_empty() {
            only.data_type.to_string()
        } else {
            format!("{} ({})", only.data_type, cut(&clause, 24))
        };
        by_party.entry((&only.party.id, &only.party.name)).or_default().push(item);
    }
    for ((_, name), items) in by_party {
        let lines = wrap(&items.join(", "), page.width.saturating_sub(26));
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { neutral(name) } else { "".into() };
            writeln!(out, "{}{line}", pad(&cut(&label, 24), 26))?;
        }
    }
    dim(page.labels.declared_note, page, out)
}

fn coverage(report: &Report, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if report.hosts.is_empty() {
        return Ok(());
    }
    let total = &report.coverage;
    page.heading(
        &format!("{} ({} {})", page.labels.coverage, percent(total.readable_bytes, total.bytes), page.labels.readable),
        out,
    )?;
    let shown = |text: &str, most: usize| cut(&neutral(text), most).into_owned();
    let host_width = report
        .hosts
        .iter()
        .map(|host| width(&neutral(&named(host))))
        .max()
        .unwrap_or(0)
        .clamp(8, (page.width * 2 / 5).min(40));
    let party_width = report
        .hosts
        .iter()
        .map(|host| width(&neutral(&host.party.name)))
        .max()
        .unwrap_or(0)
        .clamp(9, (page.width / 4).min(20));
    // Hosts that stayed closed come first: they are what is not known.
    let mut hosts: Vec<&HostSummary> = report.hosts.iter().collect();
    hosts.sort_by(|a, b| b.opaque_bytes.cmp(&a.opaque_bytes).then_with(|| a.host.cmp(&b.host)));
    for host in hosts {
        let row = format!(
            "{}  {}  {:>9}",
            pad(&shown(&named(host), host_width), host_width),
            pad(&shown(&host.party.name, party_width), party_width),
            bytes(host.bytes),
        );
        if host.opaque_bytes == 0 {
            writeln!(out, "{row}")?;
            continue;
        }
        let reason = host.opaque_reason.map_or("", |reason| labels::opaque(page.options.lang, reason));
        let closed = format!("{} {}: {reason}", bytes(host.opaque_bytes), page.labels.opaque);
        let beside = width(&row) + 2 + width(&closed) <= page.width;
        let between = if beside { "  " } else { "\n    " };
        writeln!(out, "{row}{between}{}", page.ink(Ink::Yellow, &closed))?;
    }
    Ok(())
}

/// `api.example.com (SNI)`: a host, and what told its name where requests did not.
fn named(host: &HostSummary) -> String {
    match host.named_by.label() {
        Some(label) => format!("{} ({label})", host.host),
        None => host.host.to_string(),
    }
}

/// `4.7 kB`: decimal units.
fn bytes(count: u64) -> String {
    let (unit, size) = match count {
        0..1_000 => return format!("{count} B"),
        1_000..1_000_000 => ("kB", 1_000),
        1_000_000..1_000_000_000 => ("MB", 1_000_000),
        _ => ("GB", 1_000_000_000),
    };
    format!("{}.{} {unit}", count / size, count % size * 10 / size)
}

fn odd(report: &Report, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if !report.weirds.is_empty() {
        page.heading(page.labels.weirds, out)?;
        for weird in &report.weirds {
            let layer = format!("{:?}", weird.layer).to_lowercase();
            writeln!(out, "{:>8} \u{d7} {}: {}", weird.count, layer, weird.reason)?;
        }
    }
    if !report.warnings.is_empty() {
        page.heading(page.labels.warnings, out)?;
        for warning in &report.warnings {
            for line in wrap(&neutral(warning), page.width) {
                writeln!(out, "{line}")?;
            }
        }
    }
    writeln!(out)?;
    dim(page.labels.leads, page, out)
}

fn dim(text: &str, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    wrap(text, page.width).iter().try_for_each(|line| writeln!(out, "{}", page.ink(Ink::Dim, line)))
}

#[cfg(test)]
mod tests {
    use super::{bytes, percent};
    use crate::model::Report;
    use crate::report::text::layout::width;
    use crate::report::{Lang, ReportOptions, ShowValues, escape::acts, format, sample};

    fn written(report: &Report, options: &ReportOptions) -> String {
        let mut out = Vec::new();
        format("text").expect("a format").write(report, options, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_report_reads_well() {
        insta::assert_snapshot!("text_en", written(&sample::report(), &ReportOptions::default()));
    }

    #[test]
    fn the_chinese_report_reads_well_on_a_narrow_terminal() {
        let options = ReportOptions { lang: Lang::Zh, width: 60, ..ReportOptions::default() };
        insta::assert_snapshot!("text_zh_60", written(&sample::report(), &options));
    }

    #[test]
    fn nothing_captured_acts_on_the_terminal_and_no_value_shows() {
        for lang in [Lang::En, Lang::Zh] {
            let text = written(&sample::report(), &ReportOptions { lang, ..ReportOptions::default() });
            assert!(!text.chars().any(|c| c != '\n' && acts(c)));
            assert!(!text.contains("861536030196001") && !text.contains("02:1A:C5"));
        }
        let plain = ReportOptions { show_values: ShowValues::Plain, ..ReportOptions::default() };
        assert!(written(&sample::report(), &plain).contains("861536030196001"));
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for columns in [60, 72, 80, 100, 160] {
            for lang in [Lang::En, Lang::Zh] {
                let text =
                    written(&sample::report(), &ReportOptions { width: columns, lang, ..ReportOptions::default() });
                let wide: Vec<&str> = text.lines().filter(|line| width(line) > columns).collect();
                assert!(wide.is_empty(), "{columns}: {wide:?}");
            }
        }
    }

    #[test]
    fn an_empty_report_says_so() {
        let text = written(&Report::default(), &ReportOptions::default());
        assert!(text.contains("no personal data was seen") && text.contains("none given"), "{text}");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!((bytes(999), bytes(54_900), bytes(2_345_678)), ("999 B".into(), "54.9 kB".into(), "2.3 MB".into()));
        assert_eq!((percent(999_999, 1_000_000), percent(0, 0)), ("99.9 %".into(), "—".into()));
    }
}
