//! Finds personal data in fields: known values of the test phone in every form, forms of values with their checks,
//! telling key names, and places. Each detector is one file and one line in `DETECTORS`. A [`Detector`] is built
//! once and shared; each worker feeds fields to a [`Scan`] of its own. Who receives the data is decided elsewhere.

mod checks;
mod coordinates;
mod excerpt;
mod forms;
mod gate;
mod inert;
mod keys;
mod known;
mod lexicon;
mod location;
mod matcher;
mod patterns;
mod scan;
mod stop;
mod variants;

pub use checks::passes;
pub use scan::{Origin, Scan};

use crate::model::{Field, Glance, Profile};
use crate::rules::RuleSet;
use lexicon::Lexicon;
use std::sync::Arc;
use stop::Stops;

/// Most observations of one exchange that are kept.
pub const OBSERVATIONS_MAX: usize = 4096;
/// Longest value a key or a form is checked on, bytes.
pub const VALUE_MAX: usize = 1024;

/// One way of finding personal data.
trait Detect: Send + Sync {
    /// Whether there may be something in a leaf.
    fn wants(&self, leaf: &Glance<'_>, scan: &scan::State) -> bool;
    /// The values of nothing but digits among which there may be something whatever their key, where the search of the
    /// document did not find it: their lengths, a bit for each below 64, by the first digit.
    fn digits(&self) -> [u64; 10];
    /// Looks at a field.
    fn field(&self, field: &Field<'_>, scan: &mut scan::State);
    /// Looks at what the fields of an exchange say together.
    fn finish(&self, _scan: &mut scan::State) {}
}

/// What detectors are built from.
struct Setup<'a> {
    profile: &'a Profile,
    rules: &'a RuleSet,
    stops: Arc<Stops>,
    warnings: Vec<String>,
}

type Build = fn(&mut Setup<'_>) -> Option<Box<dyn Detect>>;

/// All detectors, sorted by name. Known values are told first: what they cover needs no guess.
const DETECTORS: &[Build] = &[keys::build, known::build, location::build, patterns::build];

/// Everything looked for, ready to be shared by threads.
pub struct Detector {
    search: Arc<scan::Search>,
    warnings: Vec<String>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("detectors", &self.search.detectors.len()).finish_non_exhaustive()
    }
}

impl Detector {
    /// Prepares the search for a profile's values and for what the rules describe.
    #[must_use]
    pub fn new(profile: &Profile, rules: &RuleSet) -> Self {
        let stops = Arc::new(Stops::new(rules));
        let mut setup = Setup { profile, rules, stops, warnings: Vec::new() };
        let detectors = DETECTORS.iter().filter_map(|build| build(&mut setup)).collect();
        let search = Arc::new(scan::Search::new(detectors, Lexicon::new(rules)));
        Self { search, warnings: setup.warnings }
    }

    /// What of the profile can't be looked for, and why.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A worker's own state; it serves one exchange after the other.
    #[must_use]
    pub fn scan(&self) -> Scan {
        Scan::new(Arc::clone(&self.search))
    }
}

#[cfg(test)]
mod tests;
