//! Values whose form tells what they are, if they pass the check the rules give with the form.

use super::checks::passes;
use super::gate::Gate;
use super::scan::{State, hit_at};
use super::stop::Stops;
use super::{Detect, Setup};
use crate::model::{DataType, Field, FieldKind, Glance, MatchKind, text_of};
use crate::rules::{KeyMatcher, PatternRule, normalise_key};
use regex::bytes::RegexSet;
use std::sync::Arc;

/// Shortest value worth a look, bytes.
const LENGTH_MIN: usize = 6;
/// Longest text that is searched, bytes.
const LENGTH_MAX: usize = 1 << 20;
/// Most matches of one form in one value.
const MATCHES_MAX: usize = 64;

struct Pattern {
    data_type: DataType,
    rule: PatternRule,
    not_keys: Vec<KeyMatcher>,
}

struct Patterns {
    gate: Gate,
    set: RegexSet,
    patterns: Vec<Pattern>,
    stops: Arc<Stops>,
}

pub(super) fn build(setup: &mut Setup<'_>) -> Option<Box<dyn Detect>> {
    let patterns: Vec<Pattern> = setup
        .rules
        .identifiers()
        .iter()
        .flat_map(|rule| {
            rule.patterns.iter().map(|pattern| Pattern {
                data_type: rule.data_type.clone(),
                rule: pattern.clone(),
                not_keys: rule.not_keys.clone(),
            })
        })
        .collect();
    if patterns.is_empty() {
        return None;
    }
    let regexes = || patterns.iter().map(|pattern| pattern.rule.regex.as_str());
    let gate = Gate::new(regexes());
    match RegexSet::new(regexes()) {
        Ok(set) => Some(Box::new(Patterns { gate, set, patterns, stops: Arc::clone(&setup.stops) })),
        Err(error) => {
            setup.warnings.push(format!("the forms of identifiers can't be searched for together: {error}"));
            None
        }
    }
}

impl Detect for Patterns {
    fn wants(&self, leaf: &Glance<'_>, _scan: &State) -> bool {
        self.gate.may_match(leaf.value, leaf.kinds)
    }

    fn digits(&self) -> [u64; 10] {
        self.gate.digits()
    }

    fn field(&self, field: &Field<'_>, scan: &mut State) {
        let sized = (LENGTH_MIN..=LENGTH_MAX).contains(&field.value.len());
        if field.kind == FieldKind::Whole || !sized {
            return;
        }
        if !self.gate.may_match(field.value, field.kinds) || !self.set.is_match(field.value) {
            return;
        }
        let Ok(text) = std::str::from_utf8(field.value) else { return };
        let key = normalise_key(&text_of(field.key));
        for index in self.set.matches(field.value) {
            let pattern = &self.patterns[index];
            if pattern.not_keys.iter().any(|not| not.is_match(&key)) {
                continue;
            }
            for found in pattern.rule.regex.find_iter(text).take(MATCHES_MAX) {
                let value = found.as_str();
                if alone(field.value, found.start(), found.end())
                    && passes(pattern.rule.check, value)
                    && !self.stops.contains(&pattern.data_type, value)
                {
                    let mut hit = hit_at(field, found.range(), &pattern.data_type, value.to_owned());
                    hit.matched = MatchKind::Pattern;
                    hit.confidence = pattern.rule.confidence;
                    scan.add(hit);
                }
            }
        }
    }
}

/// Whether a match is no piece of a longer word or number.
fn alone(text: &[u8], start: usize, end: usize) -> bool {
    let joins = |a: Option<&u8>, b: Option<&u8>| match (a, b) {
        (Some(a), Some(b)) => a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric(),
        _ => false,
    };
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let last = end.checked_sub(1).and_then(|at| text.get(at));
    !joins(before, text.get(start)) && !joins(last, text.get(end)) && !in_fraction(text, start, end)
}

/// Whether a match is one side of a number with a fraction, such as a measurement with many digits.
fn in_fraction(text: &[u8], start: usize, end: usize) -> bool {
    let digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let point = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&b'.');
    let behind = digit(Some(start)) && point(start.checked_sub(1)) && digit(start.checked_sub(2));
    let before = digit(end.checked_sub(1)) && point(Some(end)) && digit(Some(end + 1));
    behind || before
}
