//! Turns the outcome of a run, and the events of a running one, into text for people and JSON for programs.
//! Every format is one file and one line in [`FORMATS`]; all write to a `dyn Write` and read nothing but the model.
//! What captured bytes may do to a terminal is stopped here (`escape`), and so are the values of identifiers
//! (`redact`). Files, colours of the screen and exit codes are left to the shells.

mod escape;
pub mod har;
mod har_parts;
mod json;
pub mod lines;
pub mod ndjson;
mod redact;
mod text;

pub use escape::neutral;
pub use redact::{Redactor, ShowValues, pseudonym};

use crate::model::Report;
use std::io::{self, Write};

/// Language of the labels of reports for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

/// Whether ANSI colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Never.
    #[default]
    Never,
    /// Always; the caller has seen that the output is a terminal.
    Always,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOptions {
    /// Whether values of identifiers are shown.
    pub show_values: ShowValues,
    /// Columns of the terminal, for text.
    pub width: usize,
    /// Language of labels, for text.
    pub lang: Lang,
    /// Colours, for text.
    pub color: Color,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { show_values: ShowValues::Redacted, width: 100, lang: Lang::En, color: Color::Never }
    }
}

/// A report format.
pub trait Format: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Writes `report` to `out`.
    ///
    /// # Errors
    /// Only those of `out`.
    fn write(&self, report: &Report, options: &ReportOptions, out: &mut dyn Write) -> io::Result<()>;
}

/// The formats, by name.
pub static FORMATS: &[&dyn Format] = &[&json::Json, &ndjson::Ndjson, &text::Text];

/// The format of that name.
#[must_use]
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests {
    use super::escape::acts;
    use super::{FORMATS, Lang, ReportOptions, ShowValues, format, sample};
    use crate::model::{Excerpt, Role};

    /// Captured text of all kinds that break things, a megabyte of it.
    fn nasty() -> String {
        let seed = "<script>alert(1)</script>\x1b]0;t\x07\u{9b}2J\u{202e}\u{2066}=cmd|' /C'!A0\"},{\\\r\n\t\0\u{301}\u{feff}861536030196001中文";
        seed.repeat((1 << 20) / seed.len() + 1)
    }

    #[test]
    fn a_megabyte_of_nasty_text_breaks_no_format() {
        let mut report = sample::report();
        let party = sample::party(&nasty(), &nasty(), Role::Unknown);
        for judged in &mut report.data_flows {
            judged.flow.party = party.clone();
            judged.flow.hosts = [nasty().into()].into();
        }
        for finding in &mut report.findings {
            finding.title = nasty();
            for seen in &mut finding.evidence {
                (seen.host, seen.value) = (nasty().into(), nasty());
                seen.location.pointer = nasty().into();
                seen.excerpt = Excerpt { before: nasty(), matched: nasty(), after: nasty() };
            }
        }
        report.hosts[0].host = nasty().into();
        for (show_values, lang) in [(ShowValues::Redacted, Lang::Zh), (ShowValues::Plain, Lang::En)] {
            let options = ReportOptions { show_values, lang, ..ReportOptions::default() };
            for name in ["json", "ndjson", "text"] {
                let mut out = Vec::new();
                format(name).expect("a format").write(&report, &options, &mut out).expect("a vector takes all");
                let text = String::from_utf8(out).expect("UTF-8");
                assert!(!text.chars().any(|c| c != '\n' && acts(c)), "{name}");
                match name {
                    "text" => assert!(text.len() < 64 << 10, "{}", text.len()),
                    "json" => assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok()),
                    _ => assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())),
                }
            }
        }
    }

    #[test]
    fn formats_are_sorted_by_name() {
        assert!(FORMATS.is_sorted_by(|a, b| a.name() < b.name()));
    }
}
