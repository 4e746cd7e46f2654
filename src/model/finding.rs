//! What a report says is wrong.

use super::{DataType, Excerpt, ExchangeId, Location, Party, Verdict};
use super::{Decoding, Polarity, Span};
use serde::Serialize;
use std::sync::Arc;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum Severity {
    Note,
    Low,
    Medium,
    High,
}

impl Severity {
    /// The name used in the JSON contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The request bytes of a finding.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Which exchange.
    pub exchange: ExchangeId,
    /// The host it went to.
    pub host: Arc<str>,
    /// Where in it.
    pub location: Location,
    /// What was undone.
    pub chain: Vec<Decoding>,
    /// The value found (redact before showing).
    pub value: String,
    /// The bytes.
    pub excerpt: Excerpt,
}

/// The policy words of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClauseQuote {
    /// Which policy of the run, an index into [`super::Report::policies`].
    pub document: usize,
    /// Statement id.
    pub id: String,
    /// Clause number.
    pub clause: String,
    /// The sentence or table row.
    pub text: String,
    /// Where `text` stands in the policy.
    pub span: Span,
    /// Where the data phrase stands in the policy.
    pub phrase: Option<Span>,
    /// Whether it declares or denies.
    pub polarity: Polarity,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Stable kebab-case code.
    pub code: &'static str,
    /// How grave.
    pub severity: Severity,
    /// The verdict it rests on, if any.
    pub verdict: Option<Verdict>,
    /// One line for people.
    pub title: String,
    /// Why: the relation between flow and statements, with the ontology edges used.
    pub reason: String,
    /// The data flow it speaks of.
    pub data_flow: Option<(DataType, Arc<Party>)>,
    /// Ids of regulations it touches.
    pub regulations: Vec<String>,
    /// Request bytes.
    pub evidence: Vec<Evidence>,
    /// Policy words.
    pub clauses: Vec<ClauseQuote>,
    /// Same across runs for the same code, data type and party: 16 hex digits.
    pub fingerprint: String,
}
