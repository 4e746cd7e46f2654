//! Everything a run is given, loaded and checked.

use super::tapped::Recording;
use crate::capture::{Coming, Input, Recorder};
use crate::model::{Mark, PolicyUsed, Profile, Segment};
use crate::rules::RuleSet;
use crate::tls::KeyLog;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where frames come from.
pub enum Source {
    /// A file or standard input.
    Input(Input),
    /// A capture in memory, with the name to show.
    Memory(String, Segment),
    /// A capture that comes as it happens, such as a network interface.
    Coming(Box<dyn Coming>),
}

impl Source {
    /// The name shown to people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Input(input) => input.name(),
            Self::Memory(name, _) => name.clone(),
            Self::Coming(coming) => coming.name(),
        }
    }

    /// Whether it comes as it happens, so that nobody knows when it ends.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        match self {
            Self::Input(input) => input.is_coming(),
            Self::Memory(..) => false,
            Self::Coming(_) => true,
        }
    }
}

/// The wish that a run ends early, with all it has found so far.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Whether the run is to end.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// What to set to make it end.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// A run's inputs.
pub struct Case {
    /// The captures, in order.
    pub sources: Vec<Source>,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// TLS secrets of key log files.
    pub keys: KeyLog,
    /// Key log files and folders that are read while the run goes, because they grow.
    pub growing_keys: Vec<PathBuf>,
    /// Where what comes in is written to as well.
    pub recorder: Option<Recorder>,
    /// The recording a source makes of itself, to which what comes beside it (marks) is added.
    pub recording: Option<Recording>,
    /// Ends the run early.
    pub interrupt: Interrupt,
    /// The policies to judge against.
    pub policies: Vec<PolicyUsed>,
    /// What to look for.
    pub profile: Profile,
    /// Domains of the app's own servers, those of the profile included.
    pub first_party: Vec<String>,
    /// The app under test, where the user names it.
    pub app: Option<String>,
    /// The tester's marks that are known already.
    pub marks: Vec<Mark>,
    /// A file of marks that is read while the run goes, because it grows.
    pub growing_marks: Option<PathBuf>,
    /// What was odd in the files above.
    pub warnings: Vec<String>,
}
