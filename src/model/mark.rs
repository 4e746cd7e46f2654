//! A tester's moments.

use super::Timestamp;
use serde::Serialize;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum MarkKind {
    Launch,
    Agree,
    Refuse,
    Background,
    Foreground,
    Withdraw,
    Note,
}

/// One moment of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// When.
    pub ts: Timestamp,
    /// What.
    pub mark: MarkKind,
    /// In the tester's words.
    pub text: Option<String>,
}
