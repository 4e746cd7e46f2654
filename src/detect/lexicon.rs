//! What key names tell of their values, from the rules; resolved once for each spelling of a key.

use crate::model::{Confidence, DataType};
use crate::rules::{KeyMatcher, RuleSet, ValueCheck, normalise_key};
use regex::RegexSet;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Most spellings a worker remembers.
const CACHE_MAX: usize = 8192;
/// Longest key that is looked up, bytes.
const KEY_MAX: usize = 96;

/// A data type a key may stand for.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) data_type: DataType,
    pub(super) confidence: Confidence,
    pub(super) check: ValueCheck,
    /// Its place in the rules: the first of a data type counts.
    order: (usize, usize),
}

/// The spellings a worker has met.
#[derive(Debug, Default)]
pub(super) struct Cache(FxHashMap<Box<str>, Option<Arc<[Candidate]>>>);

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

    /// The data types a key may stand for, surest first; none where it says nothing.
    pub(super) fn candidates(&self, cache: &mut Cache, key: &str) -> Option<Arc<[Candidate]>> {
        if key.is_empty() || key.len() > KEY_MAX {
            return None;
        }
        if let Some(found) = cache.0.get(key) {
            return found.clone();
        }
        let found = self.resolve(key);
        if cache.0.len() < CACHE_MAX {
            cache.0.insert(Box::from(key), found.clone());
        }
        found
    }

    fn resolve(&self, key: &str) -> Option<Arc<[Candidate]>> {
        let key = normalise_key(key);
        let mut found: Vec<Candidate> = self.names.get(&key).cloned().unwrap_or_default();
        found.extend(self.patterns.matches(&key).into_iter().map(|index| self.patterned[index].clone()));
        found.sort_by_key(|candidate| candidate.order);
        found.dedup_by_key(|candidate| candidate.order.0);
        found.sort_by_key(|candidate| std::cmp::Reverse(candidate.confidence));
        (!found.is_empty()).then(|| Arc::from(found))
    }
}
