//! What key names tell of their values, from the rules; resolved once for each spelling of a key.

use super::inert::ends;
use crate::model::{Confidence, DataType, text_of};
use crate::rules::{KeyMatcher, RuleSet, ValueCheck, normalise_key};
use regex::RegexSet;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Most spellings a worker remembers.
const CACHE_MAX: usize = 8192;
/// Of them those that are found at once.
const LATEST: usize = 1024;
/// Longest key that is looked up, bytes.
const KEY_MAX: usize = 96;

/// Keys of latitudes, normalised; the rules may add more.
const LATITUDE_KEYS: &[&str] = &["lat", "latitude", "gpslat", "gpslatitude", "loclat", "mlat", "weidu", "wd"];
/// Keys of longitudes.
const LONGITUDE_KEYS: &[&str] = &[
    "lng",
    "lon",
    "long",
    "longitude",
    "gpslng",
    "gpslon",
    "gpslongitude",
    "loclng",
    "loclon",
    "mlng",
    "jingdu",
    "jd",
];

/// A data type a key may stand for.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) data_type: DataType,
    pub(super) confidence: Confidence,
    pub(super) check: ValueCheck,
    /// Its place in the rules: the first of a data type counts.
    order: (usize, usize),
}

/// Half of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Latitude,
    Longitude,
}

/// What a key says of its value.
#[derive(Debug, Clone, Default)]
pub(super) struct Meaning {
    /// The data types it may stand for, surest first; none where it says nothing.
    pub(super) candidates: Option<Arc<[Candidate]>>,
    /// The half of a place it may stand for.
    pub(super) axis: Option<Axis>,
}

/// The spellings a worker has met, and what they mean.
#[derive(Debug)]
pub(super) struct Cache {
    places: FxHashMap<Box<[u8]>, usize>,
    /// Spellings by a hash of their ends, the latest of each.
    latest: Box<[(Box<[u8]>, usize)]>,
    /// What is said of no key, of the last key there was no room for, and of those that were met.
    meanings: Vec<Meaning>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            places: FxHashMap::default(),
            latest: vec![Default::default(); LATEST].into_boxed_slice(),
            meanings: vec![Meaning::default(); 2],
        }
    }
}

impl Cache {
    /// The meaning at a place that [`Lexicon::meaning`] gave.
    #[inline]
    pub(super) fn get(&self, place: usize) -> &Meaning {
        &self.meanings[place]
    }
}

/// All key rules.
pub(super) struct Lexicon {
    names: FxHashMap<String, Vec<Candidate>>,
    patterns: RegexSet,
    patterned: Vec<Candidate>,
}

impl Lexicon {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut names: FxHashMap<String, Vec<Candidate>> = FxHashMap::default();
        let mut regexes = Vec::new();
        let mut patterned = Vec::new();
        for (rule_index, rule) in rules.identifiers().iter().enumerate() {
            for (index, key) in rule.keys.iter().enumerate() {
                let candidate = Candidate {
                    data_type: rule.data_type.clone(),
                    confidence: key.confidence,
                    check: key.check,
                    order: (rule_index, index),
                };
                match &key.matcher {
                    KeyMatcher::Name(name) => names.entry(name.clone()).or_default().push(candidate),
                    KeyMatcher::Pattern(regex) => {
                        regexes.push(regex.as_str().to_owned());
                        patterned.push(candidate);
                    }
                }
            }
        }
        // Every one of them was compiled before, but a set of them may be over the size limit.
        let patterns = RegexSet::new(&regexes).unwrap_or_else(|_| RegexSet::empty());
        Self { names, patterns, patterned }
    }

    /// The place in the cache of what a key says.
    #[inline]
    pub(super) fn meaning(&self, cache: &mut Cache, key: &[u8]) -> usize {
        if key.is_empty() {
            return 0;
        }
        let at = (ends(key) >> 40) as usize % LATEST;
        let (latest, place) = &cache.latest[at];
        if **latest == *key { *place } else { self.look_up(cache, key, at) }
    }

    fn look_up(&self, cache: &mut Cache, key: &[u8], at: usize) -> usize {
        let place = match cache.places.get(key) {
            Some(&place) => place,
            None => {
                let found = self.find(key);
                if key.len() > KEY_MAX || cache.places.len() >= CACHE_MAX {
                    cache.meanings[1] = found;
                    return 1;
                }
                cache.meanings.push(found);
                cache.places.insert(Box::from(key), cache.meanings.len() - 1);
                cache.meanings.len() - 1
            }
        };
        cache.latest[at] = (Box::from(key), place);
        place
    }

    fn find(&self, key: &[u8]) -> Meaning {
        let text = text_of(key);
        let normal = normalise_key(&text);
        let candidates = if text.len() > KEY_MAX { None } else { self.resolve(&normal) };
        let says = |check| candidates.iter().flat_map(|found| found.iter()).any(|candidate| candidate.check == check);
        let axis = if LATITUDE_KEYS.contains(&normal.as_str()) || says(ValueCheck::Latitude) {
            Some(Axis::Latitude)
        } else if LONGITUDE_KEYS.contains(&normal.as_str()) || says(ValueCheck::Longitude) {
            Some(Axis::Longitude)
        } else {
            None
        };
        Meaning { candidates, axis }
    }

    fn resolve(&self, key: &str) -> Option<Arc<[Candidate]>> {
        let mut found: Vec<Candidate> = self.names.get(key).cloned().unwrap_or_default();
        found.extend(self.patterns.matches(key).into_iter().map(|index| self.patterned[index].clone()));
        found.sort_by_key(|candidate| candidate.order);
        found.dedup_by_key(|candidate| candidate.order.0);
        found.sort_by_key(|candidate| std::cmp::Reverse(candidate.confidence));
        (!found.is_empty()).then(|| Arc::from(found))
    }
}
