//! The page of a check: what a finding means and how far it goes, for `divulge explain CODE`.

use std::fmt;

/// Documentation of one finding code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// What was found.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it was tested.
    pub tested: &'static str,
    /// What the test does not cover.
    pub not_tested: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// Ids of regulations and of OWASP MASTG tests it touches.
    pub regulations: &'static [&'static str],
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.code, self.title)?;
        for (heading, text) in [
            ("What was found", self.what),
            ("Why it matters", self.why),
            ("How it is tested", self.tested),
            ("What is not tested", self.not_tested),
            ("How to fix it", self.fix),
        ] {
            writeln!(f, "{heading}\n  {text}\n")?;
        }
        if self.regulations.is_empty() {
            return Ok(());
        }
        writeln!(f, "See\n  {}", self.regulations.join(", "))
    }
}
