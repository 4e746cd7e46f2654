//! A tester's moments.

use super::Timestamp;
use serde::Serialize;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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

impl MarkKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Launch, Self::Agree, Self::Refuse, Self::Background, Self::Foreground, Self::Withdraw, Self::Note];

    /// The word used in files of marks, recordings and contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Agree => "agree",
            Self::Refuse => "refuse",
            Self::Background => "background",
            Self::Foreground => "foreground",
            Self::Withdraw => "withdraw",
            Self::Note => "note",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One moment of a session. They are in order by their time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    /// When.
    pub ts: Timestamp,
    /// What.
    pub mark: MarkKind,
    /// In the tester's words.
    pub text: Option<String>,
}
