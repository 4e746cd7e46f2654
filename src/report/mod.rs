//! Turns the outcome of a run, and the events of a running one, into text for people and JSON for programs.
//! Every format is one file and one line in [`FORMATS`]; all write to a `dyn Write` and read nothing but the model.
//! What captured bytes may do to a terminal is stopped here (`escape`), and so are the values of identifiers
//! (`redact`). Files, colours of the screen and exit codes are left to the shells.

mod escape;
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
    use super::FORMATS;

    #[test]
    fn formats_are_sorted_by_name() {
        assert!(FORMATS.is_sorted_by(|a, b| a.name() < b.name()));
    }
}
