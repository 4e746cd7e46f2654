//! The disclosure types of PoliCheck (USENIX Security 2020), and one for what could not be read.

use serde::Serialize;

/// How a data flow relates to the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Declared with its exact type and receiver.
    Clear,
    /// Declared only by a broader term.
    Vague,
    /// Declared and denied in contradicting statements.
    Ambiguous,
    /// Denied, or sent otherwise than the policy says.
    Incorrect,
    /// Not declared at all.
    Omitted,
    /// Traffic was seen but its content stayed closed.
    Unreadable,
}

impl Verdict {
    /// The name used in the JSON contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Vague => "vague",
            Self::Ambiguous => "ambiguous",
            Self::Incorrect => "incorrect",
            Self::Omitted => "omitted",
            Self::Unreadable => "unreadable",
        }
    }
}
