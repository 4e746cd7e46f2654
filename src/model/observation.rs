//! Personal data seen in an exchange.

use super::{DataType, Decoding, ExchangeId, Location, Party, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// How a value was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchKind {
    /// A value of the device profile, in one of its forms.
    Known,
    /// A pattern with its checks.
    Pattern,
    /// The name of the field, with a check of its value.
    Key,
}

/// How sure an observation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// May be chance.
    Possible,
    /// Hardly chance.
    Likely,
    /// No doubt.
    Certain,
}

/// The bytes that prove an observation, for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Excerpt {
    /// Text right before the match.
    pub before: String,
    /// The match as it stands in the traffic.
    pub matched: String,
    /// Text right after it.
    pub after: String,
}

/// One piece of personal data in one exchange.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Its time.
    pub ts: Timestamp,
    /// The host it was sent to (from, in a response).
    pub host: Arc<str>,
    /// Who that is; none until attribution.
    pub party: Option<Arc<Party>>,
    /// What kind of data.
    pub data_type: DataType,
    /// The value as meant: the profile's own writing for a known value, else the decoded text.
    pub value: String,
    /// How it was recognised.
    pub matched: MatchKind,
    /// The profile label of a known value.
    pub identifier: Option<Arc<str>>,
    /// Where it stands.
    pub location: Location,
    /// What was undone to reach it, outermost first, a hash last.
    pub chain: Vec<Decoding>,
    /// How sure.
    pub confidence: Confidence,
    /// Whether it travelled outside TLS.
    pub cleartext: bool,
    /// The proof.
    pub excerpt: Excerpt,
}
