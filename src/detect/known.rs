//! The profile's values in all their forms, in one pass over each document.

use super::checks::luhn_digit;
use super::forms::{Form, forms};
use super::matcher::{Matcher, Needle};
use super::scan::{State, hit_at};
use super::variants::{Boundary, variants};
use super::{Detect, Setup};
use crate::model::{Confidence, Decoding, Field, FieldKind, Glance, Identifier, MatchKind, text_of};
use crate::rules::normalise_key;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Needles of this length and more are searched by samples far apart.
const LONG: usize = 8;
/// Needles of this length and more are searched for inside other text; shorter ones only as whole values.
const SHORT: usize = 4;
/// Most occurrences in one document that are remembered for its leaves.
const SEEN_MAX: usize = 1 << 16;

/// What a needle stands for.
struct Target {
    identifier: usize,
    boundary: Boundary,
    chain: Vec<Decoding>,
}

/// Needles of one length class with what they stand for.
#[derive(Default)]
struct Class {
    needles: Vec<Needle>,
    targets: Vec<Vec<Target>>,
}

impl Class {
    fn push(&mut self, needle: Needle, targets: Vec<Target>) {
        self.needles.push(needle);
        self.targets.push(targets);
    }
}

struct Known {
    identifiers: Vec<Identifier>,
    long: Matcher<8, 4>,
    long_targets: Vec<Vec<Target>>,
    short: Matcher<4, 2>,
    short_targets: Vec<Vec<Target>>,
    /// Values too short to be searched for, lower case.
    tiny: FxHashMap<Vec<u8>, Vec<Target>>,
}

/// An occurrence of a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    start: usize,
    end: usize,
    short: bool,
    needle: usize,
}

/// Documents of which the occurrences are remembered: one inside the other, those searched last.
const DOCUMENTS: usize = 8;

/// The occurrences in the documents searched last, so that their leaves need not be searched again.
#[derive(Debug, Default)]
pub(super) struct Seen {
    documents: Vec<(u32, Vec<Match>)>,
    found: Vec<Match>,
}

impl Seen {
    /// Forgets everything: the next walk numbers its documents anew.
    pub(super) fn clear(&mut self) {
        self.documents.clear();
    }

    fn remember(&mut self, document: u32, matches: Vec<Match>) {
        if self.documents.len() >= DOCUMENTS {
            self.documents.remove(0);
        }
        self.documents.push((document, matches));
    }

    /// Whether a leaf that is the very bytes of its document holds no value, as was seen before.
    #[inline]
    pub(super) fn is_without(&self, leaf: &Glance<'_>) -> bool {
        leaf.value.len() < SHORT || (leaf.verbatim && self.of(leaf.document).is_some_and(<[Match]>::is_empty))
    }

    fn of(&self, document: u32) -> Option<&[Match]> {
        self.documents.iter().rev().find(|(id, _)| *id == document).map(|(_, matches)| &matches[..])
    }
}

pub(super) fn build(setup: &mut Setup<'_>) -> Option<Box<dyn Detect>> {
    let mut identifiers = Vec::new();
    for identifier in &setup.profile.identifiers {
        if setup.stops.listed(&identifier.data_type, &identifier.value) {
            setup.warnings.push(format!(
                "profile: {} = \"{}\" is known to be shared by many phones; what it proves is weak",
                identifier.label, identifier.value
            ));
        }
        if setup.stops.placeholder(&identifier.value) {
            setup.warnings.push(format!(
                "profile: {} = \"{}\" is a placeholder that many phones send; it is not looked for",
                identifier.label, identifier.value
            ));
        } else {
            identifiers.push(identifier.clone());
        }
    }
    if identifiers.is_empty() {
        return None;
    }
    let mut all: BTreeMap<Needle, Vec<Target>> = BTreeMap::new();
    for (index, identifier) in identifiers.iter().enumerate() {
        for form in variants(identifier).iter().flat_map(forms) {
            if !setup.stops.placeholder(&String::from_utf8_lossy(&form.needle.text)) {
                add(all.entry(form.needle.clone()).or_default(), index, form);
            }
        }
    }
    let (mut long, mut short, mut tiny) = (Class::default(), Class::default(), FxHashMap::default());
    for (needle, targets) in all {
        match needle.text.len() {
            LONG.. => long.push(needle, targets),
            SHORT..LONG => short.push(needle, targets),
            _ => drop(tiny.insert(needle.text.into_vec(), targets)),
        }
    }
    Some(Box::new(Known {
        identifiers,
        long: Matcher::new(long.needles),
        long_targets: long.targets,
        short: Matcher::new(short.needles),
        short_targets: short.targets,
        tiny,
    }))
}

/// Adds what a form stands for; of one identifier only the form with the fewest steps.
fn add(targets: &mut Vec<Target>, identifier: usize, form: Form) {
    let target = Target { identifier, boundary: form.boundary, chain: form.chain };
    match targets.iter_mut().find(|target| target.identifier == identifier) {
        Some(known) if known.chain.len() > target.chain.len() => *known = target,
        Some(_) => {}
        None => targets.push(target),
    }
}

impl Detect for Known {
    fn wants(&self, leaf: &Glance<'_>, scan: &State) -> bool {
        if leaf.value.len() < SHORT {
            return !self.tiny.is_empty();
        }
        let Some(matches) = scan.known.of(leaf.document).filter(|_| leaf.verbatim) else {
            let mut found = false;
            self.long.find(leaf.value, |_, _| found = true);
            self.short.find(leaf.value, |_, _| found = true);
            return found;
        };
        let end = leaf.start + leaf.value.len();
        let first = matches.partition_point(|found| found.start < leaf.start);
        matches.get(first).is_some_and(|found| found.start < end)
    }

    fn digits(&self) -> [u64; 10] {
        let tiny = if self.tiny.is_empty() { 0 } else { (1 << SHORT) - 1 };
        [tiny; 10]
    }

    fn field(&self, field: &Field<'_>, scan: &mut State) {
        if field.value.len() < SHORT {
            self.tiny(field, scan);
            return;
        }
        if field.kind == FieldKind::Whole {
            self.search(field, scan);
            return;
        }
        let Range { start, end } = field.within;
        let Some(matches) = scan.known.of(field.document.id).filter(|_| field.verbatim()) else {
            return self.search_leaf(field, scan);
        };
        if matches.is_empty() {
            return;
        }
        let first = matches.partition_point(|found| found.start < start);
        let inside = matches[first..].iter().take_while(|found| found.start < end).filter(|found| found.end <= end);
        let inside: Vec<Match> = inside.copied().collect();
        for found in inside {
            self.found(Match { start: found.start - start, end: found.end - start, ..found }, field, scan);
        }
    }
}

impl Known {
    /// Searches a whole document and remembers what was found for its leaves.
    fn search(&self, field: &Field<'_>, scan: &mut State) {
        let mut matches = Vec::new();
        self.find(field.value, &mut matches);
        matches.sort_unstable();
        for &found in &matches {
            self.found(found, field, scan);
        }
        if matches.len() < SEEN_MAX {
            scan.known.remember(field.document.id, matches);
        }
    }

    /// Searches a leaf that is not part of a document which was searched.
    fn search_leaf(&self, field: &Field<'_>, scan: &mut State) {
        let mut found = std::mem::take(&mut scan.known.found);
        self.find(field.value, &mut found);
        found.sort_unstable_by_key(|found| (found.short, found.start, found.needle));
        for found in found.drain(..) {
            self.found(found, field, scan);
        }
        scan.known.found = found;
    }

    fn find(&self, text: &[u8], matches: &mut Vec<Match>) {
        let mut push = |short: bool, needle: usize, length: usize, start: usize| {
            if matches.len() < SEEN_MAX {
                matches.push(Match { start, end: start + length, short, needle });
            }
        };
        self.long.find(text, |needle, start| push(false, needle, self.long.length(needle), start));
        self.short.find(text, |needle, start| push(true, needle, self.short.length(needle), start));
    }

    fn found(&self, found: Match, field: &Field<'_>, scan: &mut State) {
        let targets = if found.short { &self.short_targets } else { &self.long_targets };
        let range = found.start..found.end;
        for target in &targets[found.needle] {
            if !scan.full() && bounded(target.boundary, field.value, &range) {
                self.tell(target, field, range.clone(), scan);
            }
        }
    }

    /// Values of less than four bytes prove nothing but under their own name.
    fn tiny(&self, field: &Field<'_>, scan: &mut State) {
        if self.tiny.is_empty() || field.kind == FieldKind::Whole {
            return;
        }
        if let Some(targets) = self.tiny.get(&field.value.to_ascii_lowercase()) {
            for target in targets.iter().filter(|target| target.chain.is_empty()) {
                if self.named(target, field, scan) {
                    self.tell(target, field, 0..field.value.len(), scan);
                }
            }
        }
    }

    /// Whether the field's key names the target's data type or label.
    fn named(&self, target: &Target, field: &Field<'_>, scan: &State) -> bool {
        let identifier = &self.identifiers[target.identifier];
        let key = normalise_key(&text_of(field.key));
        let same = |name: &str| normalise_key(name) == key;
        same(&identifier.label)
            || same(identifier.data_type.as_str())
            || scan
                .meaning()
                .candidates
                .iter()
                .flat_map(|candidates| candidates.iter())
                .any(|candidate| candidate.data_type == identifier.data_type)
    }

    fn tell(&self, target: &Target, field: &Field<'_>, range: Range<usize>, scan: &mut State) {
        let identifier = &self.identifiers[target.identifier];
        let text = &field.value[range.clone()];
        let covers = field.value.trim_ascii().len() <= text.len();
        let Some(mut confidence) = confidence(target, text, covers) else { return };
        if confidence < Confidence::Certain && covers && self.named(target, field, scan) {
            confidence = Confidence::Certain;
        }
        let mut hit = hit_at(field, range, &identifier.data_type, identifier.value.to_string());
        hit.matched = MatchKind::Known;
        hit.identifier = Some(Arc::clone(&identifier.label));
        hit.chain.extend_from_slice(&target.chain);
        hit.confidence = confidence;
        scan.add(hit);
    }
}

/// How sure a match is by its length and by what is around it; none if it is hardly more than chance.
fn confidence(target: &Target, text: &[u8], covers: bool) -> Option<Confidence> {
    let last = target.chain.last().map_or("", |step| step.0);
    let wide = !text.is_ascii();
    let digits = text.iter().all(u8::is_ascii_digit);
    Some(match (last, text.len()) {
        ("md5-16", _) => Confidence::Likely,
        ("base64" | "reverse", ..10) => Confidence::Likely,
        ("" | "reverse", length) if digits && length < 10 => match (covers, length) {
            (true, 8..) => Confidence::Likely,
            (true, _) | (false, 8..) => Confidence::Possible,
            (false, _) => return None,
        },
        ("", ..8) if covers && wide => Confidence::Certain,
        ("", ..8) if covers || wide => Confidence::Likely,
        ("", ..8) => Confidence::Possible,
        _ => Confidence::Certain,
    })
}

/// Whether a match stands as its boundary asks.
fn bounded(boundary: Boundary, text: &[u8], range: &Range<usize>) -> bool {
    let before = range.start.checked_sub(1).map(|at| text[at]);
    let after = text.get(range.end).copied();
    let free = |joins: fn(&u8) -> bool| !before.as_ref().is_some_and(joins) && !after.as_ref().is_some_and(joins);
    match boundary {
        Boundary::Any => true,
        Boundary::Digits => free(u8::is_ascii_digit),
        Boundary::Hex => free(u8::is_ascii_hexdigit),
        Boundary::Token => {
            let joins = |edge: u8, beside: Option<u8>| {
                edge.is_ascii_alphanumeric() && beside.is_some_and(|beside| beside.is_ascii_alphanumeric())
            };
            !joins(text[range.start], before) && !joins(text[range.end - 1], after)
        }
        Boundary::Imei => {
            let more: Vec<u8> = text[range.end..].iter().copied().take(3).take_while(u8::is_ascii_digit).collect();
            let body = std::str::from_utf8(&text[range.clone()]).unwrap_or_default();
            !before.is_some_and(|byte| byte.is_ascii_digit())
                && match more[..] {
                    [] | [_, _] => true,
                    [digit] => u32::from(digit - b'0') == luhn_digit(body),
                    _ => false,
                }
        }
    }
}
