//! Who receives data.

use serde::Serialize;
use std::sync::Arc;

/// What a receiver is to the app under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The app's own servers.
    FirstParty,
    /// An SDK or another company.
    ThirdParty,
    /// The operating system's maker, acting for the phone rather than for the app.
    Platform,
    /// Nobody could be named.
    Unknown,
}

impl Role {
    /// The name used in the JSON contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstParty => "first_party",
            Self::ThirdParty => "third_party",
            Self::Platform => "platform",
            Self::Unknown => "unknown",
        }
    }
}

/// A receiver of data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// `first_party`, the id of an SDK or company in the rules, or a registrable domain.
    pub id: Arc<str>,
    /// Name shown to people.
    pub name: Arc<str>,
    /// What it is to the app.
    pub role: Role,
}
