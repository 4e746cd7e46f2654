//! Findings with both sides of the proof: the policy's words and the bytes that were sent.

use super::labels;
use super::layout::{cut, cut_start};
use super::{Ink, Page};
use crate::model::{Evidence, Finding, Polarity, Report, Severity, Side};
use crate::report::ndjson::part_name;
use crate::report::neutral;
use std::io::{self, Write};

/// Most pieces of evidence shown of one finding; JSON has all.
const EVIDENCE_SHOWN: usize = 2;
/// Most clauses shown of one finding.
const CLAUSES_SHOWN: usize = 3;
/// Most cells of a reason.
const REASON_MAX: usize = 800;
/// Most cells of a quoted clause or a title.
const QUOTE_MAX: usize = 400;

pub(super) fn write(report: &Report, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    page.heading(&format!("{} ({})", page.labels.findings, report.findings.len()), out)?;
    if report.findings.is_empty() {
        return writeln!(out, "{}", page.labels.none);
    }
    for (index, finding) in report.findings.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        one(index + 1, finding, page, out)?;
    }
    Ok(())
}

fn one(number: usize, finding: &Finding, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let ink = match finding.severity {
        Severity::High => Ink::Red,
        Severity::Medium => Ink::Yellow,
        Severity::Low | Severity::Note => Ink::Dim,
    };
    let label = format!("[{}]", labels::severity(page.options.lang, finding.severity));
    let head = format!("{} {}", finding.code, finding.fingerprint);
    writeln!(out, "{number:>3} {} {}", page.ink(ink, &label), page.ink(Ink::Dim, &head))?;
    page.indented(4, &cut(&neutral(&finding.title), QUOTE_MAX), out)?;
    if !finding.reason.is_empty() {
        page.indented(4, &cut(&neutral(&finding.reason), REASON_MAX), out)?;
    }
    clauses(finding, page, out)?;
    for evidence in finding.evidence.iter().take(EVIDENCE_SHOWN) {
        sent(finding, evidence, page, out)?;
    }
    if let more @ 1.. = finding.evidence.len().saturating_sub(EVIDENCE_SHOWN) {
        page.labelled(4, "", &format!("(+{more} {})", page.labels.more), out)?;
    }
    if !finding.regulations.is_empty() {
        page.labelled(4, page.labels.regulations, &finding.regulations.join(", "), out)?;
    }
    Ok(())
}

/// A sentence or table row that stands on several lines, cells and lines apart by a bar.
fn in_one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
}

fn clauses(finding: &Finding, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if finding.clauses.is_empty() {
        if finding.verdict.is_some() {
            page.labelled(4, page.labels.clause, page.labels.no_clause, out)?;
        }
        return Ok(());
    }
    for quote in finding.clauses.iter().take(CLAUSES_SHOWN) {
        let denies = match quote.polarity {
            Polarity::Negative => format!(" ({})", page.labels.denies),
            Polarity::Positive => String::new(),
        };
        let text = format!(
            "\u{a7} {} {}{denies}: \u{201c}{}\u{201d}",
            cut(&neutral(&quote.clause), 32),
            quote.id,
            cut(&neutral(&in_one_line(&quote.text)), QUOTE_MAX)
        );
        page.labelled(4, page.labels.clause, &text, out)?;
    }
    if let more @ 1.. = finding.clauses.len().saturating_sub(CLAUSES_SHOWN) {
        page.labelled(4, "", &format!("(+{more} {})", page.labels.more), out)?;
    }
    Ok(())
}

fn sent(finding: &Finding, evidence: &Evidence, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let location = &evidence.location;
    let path = if location.pointer.is_empty() { &location.name } else { &location.pointer };
    let chain: Vec<&str> = evidence.chain.iter().map(|step| step.0).collect();
    let chain = if chain.is_empty() { String::new() } else { format!(" [{}]", chain.join(" \u{2192} ")) };
    let side = match location.side {
        Side::Request => "",
        Side::Response => "response ",
    };
    let value = finding.data_flow.as_ref().map_or_else(String::new, |(data_type, _)| {
        format!("{} ", cut(&neutral(&page.redactor.value(data_type, &evidence.value)), 48))
    });
    let place = format!(
        "{value}in {} {} {side}{} {}{chain}",
        evidence.exchange,
        cut(&neutral(&evidence.host), 48),
        part_name(location.part),
        cut(&neutral(&page.redactor.name(path)), 60),
    );
    page.labelled(4, page.labels.sent, &place, out)?;
    let excerpt = page.redactor.evidence(evidence);
    let room = page.width.saturating_sub(14 + 4);
    let matched = cut(&neutral(&excerpt.matched), room.min(64)).into_owned();
    let side_room = room.saturating_sub(super::width(&matched)) / 2;
    let line = format!(
        "{}\u{ab}{}\u{bb}{}",
        cut_start(&neutral(&excerpt.before), side_room),
        page.ink(Ink::Bold, &matched),
        cut(&neutral(&excerpt.after), side_room)
    );
    writeln!(out, "{}{line}", " ".repeat(14))
}
