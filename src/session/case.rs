//! Everything a run is given, loaded and checked.

use crate::capture::Input;
use crate::model::{Mark, PolicyUsed, Profile, Segment};
use crate::rules::RuleSet;
use crate::tls::KeyLog;
use std::sync::Arc;

/// Where frames come from.
#[derive(Clone)]
pub enum Source {
    /// A file or standard input.
    Input(Input),
    /// A capture in memory, with the name to show.
    Memory(String, Segment),
}

impl Source {
    /// The name shown to people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Input(input) => input.name(),
            Self::Memory(name, _) => name.clone(),
        }
    }
}

/// A run's inputs.
#[derive(Clone)]
pub struct Case {
    /// The captures, in order.
    pub sources: Vec<Source>,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// TLS secrets of key log files.
    pub keys: KeyLog,
    /// The policies to judge against.
    pub policies: Vec<PolicyUsed>,
    /// What to look for.
    pub profile: Profile,
    /// Domains of the app's own servers, those of the profile included.
    pub first_party: Vec<String>,
    /// The app under test, where the user names it.
    pub app: Option<String>,
    /// The tester's marks.
    pub marks: Vec<Mark>,
    /// What was odd in the files above.
    pub warnings: Vec<String>,
}
