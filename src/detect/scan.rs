//! Collects the hits of one exchange and turns them into observations: one for each data type, value and place, the
//! surest and the one with the shortest chain, and the leaf rather than what is around it.

use super::inert::Inert;
use super::{Detect, OBSERVATIONS_MAX, known, lexicon, location};
use crate::model::{
    Confidence, DataType, Decoding, Excerpt, Exchange, ExchangeId, Field, FieldKind, Glance, Kinds, Layer, Location,
    MatchKind, Observation, Part, Side, Timestamp, Visit, Weird,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

/// Most hits that are weighed against each other.
const HITS_MAX: usize = OBSERVATIONS_MAX * 4;

/// What observations say of the exchange they are from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Its time.
    pub ts: Timestamp,
    /// Its host.
    pub host: Arc<str>,
    /// Whether it travelled outside TLS.
    pub cleartext: bool,
}

impl Origin {
    /// The origin of an exchange's fields.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Self {
        let host = Arc::from(exchange.host());
        Self { exchange: exchange.id, ts: exchange.ts, host, cleartext: exchange.tls.is_none() }
    }
}

/// Something found, before it is weighed against the other finds.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) data_type: DataType,
    pub(super) value: String,
    pub(super) matched: MatchKind,
    pub(super) identifier: Option<Arc<str>>,
    pub(super) location: Location,
    pub(super) chain: Vec<Decoding>,
    pub(super) confidence: Confidence,
    pub(super) excerpt: Excerpt,
    /// The match is all of a leaf.
    pub(super) covers: bool,
}

impl Hit {
    fn rank(&self) -> (Confidence, Reverse<MatchKind>, Reverse<usize>, usize) {
        (self.confidence, Reverse(self.matched), Reverse(self.chain.len()), self.excerpt.matched.len())
    }

    fn key(&self) -> Key {
        (self.identifier.clone(), self.data_type.clone(), self.value.clone(), self.location.clone())
    }

    fn same(&self, other: &Self) -> bool {
        self.value == other.value
            && self.location == other.location
            && self.data_type == other.data_type
            && self.identifier == other.identifier
    }
}

type Key = (Option<Arc<str>>, DataType, String, Location);

/// Hits that are compared one by one; for more a table is made.
const FEW: usize = 24;

/// What detectors write to and remember within an exchange.
#[derive(Debug, Default)]
pub(super) struct State {
    hits: Vec<Hit>,
    by_key: FxHashMap<Key, usize>,
    over: bool,
    pub(super) known: known::Seen,
    pub(super) numbers: Vec<location::Number>,
    meaning: usize,
    lexicon: lexicon::Cache,
}

impl State {
    /// What the key of the current field says.
    #[inline]
    pub(super) fn meaning(&self) -> &lexicon::Meaning {
        self.lexicon.get(self.meaning)
    }

    /// Adds a hit, or betters one like it.
    pub(super) fn add(&mut self, hit: Hit) {
        if let Some(at) = self.find(&hit) {
            if hit.rank() > self.hits[at].rank() {
                self.hits[at] = hit;
            }
        } else if self.hits.len() >= HITS_MAX {
            self.over = true;
        } else {
            if self.hits.len() >= FEW {
                self.by_key.insert(hit.key(), self.hits.len());
            }
            self.hits.push(hit);
        }
    }

    /// The hit of the same value in the same place.
    fn find(&mut self, hit: &Hit) -> Option<usize> {
        if self.hits.len() < FEW {
            return self.hits.iter().position(|other| other.same(hit));
        }
        if self.by_key.is_empty() {
            self.by_key = self.hits.iter().enumerate().map(|(at, hit)| (hit.key(), at)).collect();
        }
        self.by_key.get(&hit.key()).copied()
    }

    /// Whether no further hit can be kept.
    pub(super) fn full(&self) -> bool {
        self.over
    }

    /// The hits that say something the others don't.
    fn weigh(&mut self) -> Vec<Hit> {
        if self.hits.is_empty() {
            return Vec::new();
        }
        let hits = std::mem::take(&mut self.hits);
        self.by_key.clear();
        if hits.len() == 1 {
            return hits;
        }
        let keep = weigh(&hits);
        hits.into_iter().zip(keep).filter_map(|(hit, keep)| keep.then_some(hit)).collect()
    }
}

/// Which of some hits say something the others don't.
fn weigh(hits: &[Hit]) -> Vec<bool> {
    let mut inner = FxHashSet::default();
    let mut covered = FxHashSet::default();
    let mut known = FxHashSet::default();
    for hit in hits {
        ancestors(&hit.location, |name, pointer| {
            inner.insert((&hit.data_type, &*hit.value, place(&hit.location, name, pointer)));
        });
        if hit.matched == MatchKind::Known {
            known.insert((&hit.data_type, &hit.location));
            if hit.covers && hit.confidence > Confidence::Possible {
                covered.insert(&hit.location);
            }
        }
    }
    let keep = |hit: &Hit| {
        let own = place(&hit.location, &hit.location.name, &hit.location.pointer);
        let guess = hit.matched != MatchKind::Known;
        !(inner.contains(&(&hit.data_type, &*hit.value, own))
            || guess && covered.contains(&hit.location)
            || guess && known.contains(&(&hit.data_type, &hit.location)))
    };
    hits.iter().map(keep).collect()
}

type Place<'h> = (Side, Part, &'h str, &'h str);

fn place<'h>(location: &Location, name: &'h str, pointer: &'h str) -> Place<'h> {
    // In a body the name follows from the pointer.
    let name = if matches!(location.part, Part::Body | Part::Stream) { "" } else { name };
    (location.side, location.part, name, pointer)
}

/// The places around a location: prefixes of its pointer at `.` and `[`, the top, and the part as a whole.
fn ancestors<'h>(location: &'h Location, mut tell: impl FnMut(&'h str, &'h str)) {
    let pointer = &location.pointer;
    for (at, _) in pointer.match_indices(['.', '[']).filter(|&(at, _)| at > 1) {
        tell(&location.name, &pointer[..at]);
    }
    if !pointer.is_empty() {
        tell(&location.name, "");
    }
    if !location.name.is_empty() && !matches!(location.part, Part::Body | Part::Stream) {
        tell("", "");
    }
}

/// What all workers share.
pub(super) struct Search {
    pub(super) detectors: Vec<Box<dyn Detect>>,
    lexicon: lexicon::Lexicon,
    /// Values of nothing but digits that one of the detectors wants whatever their key.
    digits: [u64; 10],
}

impl Search {
    pub(super) fn new(detectors: Vec<Box<dyn Detect>>, lexicon: lexicon::Lexicon) -> Self {
        let mut digits = [0u64; 10];
        for wanted in detectors.iter().map(|detector| detector.digits()) {
            digits.iter_mut().zip(wanted).for_each(|(lengths, more)| *lengths |= more);
        }
        Self { detectors, lexicon, digits }
    }

    /// Whether a leaf is a number that no detector wants.
    #[inline]
    fn is_mere_number(&self, leaf: &Glance<'_>, state: &State) -> bool {
        let first = match leaf.value.first() {
            Some(first) if leaf.kinds == Kinds::default() && leaf.value.len() < 64 => usize::from(first - b'0'),
            _ => return false,
        };
        self.digits[first] >> leaf.value.len() & 1 == 0
            && state.meaning().candidates.is_none()
            && state.known.is_without(leaf)
    }
}

/// A worker's search through one exchange after the other.
pub struct Scan {
    search: Arc<Search>,
    state: State,
    /// What of a leaf a detector wants depends on its name and value alone, but for values of the profile that begin in
    /// it and end behind it, of which nothing is told.
    inert: Inert,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("hits", &self.state.hits.len()).finish_non_exhaustive()
    }
}

impl Scan {
    pub(super) fn new(search: Arc<Search>) -> Self {
        Self { search, state: State::default(), inert: Inert::default() }
    }

    /// Ends the current exchange: what was found in the fields since the last call. Reaching a cap is added to
    /// `weirds`.
    pub fn finish(&mut self, origin: &Origin, weirds: &mut Vec<Weird>) -> Vec<Observation> {
        for detector in &self.search.detectors {
            detector.finish(&mut self.state);
        }
        self.state.known.clear();
        self.state.numbers.clear();
        let mut hits = self.state.weigh();
        if std::mem::take(&mut self.state.over) || hits.len() > OBSERVATIONS_MAX {
            let flow = Some(origin.exchange.flow);
            weirds.push(Weird { layer: Layer::Detect, flow, reason: "observations over the cap left out" });
            hits.truncate(OBSERVATIONS_MAX);
        }
        let observe = |hit: Hit| Observation {
            exchange: origin.exchange,
            ts: origin.ts,
            host: Arc::clone(&origin.host),
            party: None,
            data_type: hit.data_type,
            value: hit.value,
            matched: hit.matched,
            identifier: hit.identifier,
            location: hit.location,
            chain: hit.chain,
            confidence: hit.confidence,
            cleartext: origin.cleartext,
            excerpt: hit.excerpt,
        };
        hits.into_iter().map(observe).collect()
    }
}

impl Visit for Scan {
    fn begin(&mut self) {
        self.state.known.clear();
    }

    fn wants(&mut self, leaf: &Glance<'_>) -> bool {
        let Self { search, state, .. } = self;
        state.meaning = search.lexicon.meaning(&mut state.lexicon, leaf.key);
        !search.is_mere_number(leaf, state) && search.detectors.iter().any(|detector| detector.wants(leaf, state))
    }

    #[inline]
    fn is_inert(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.inert.holds(key, value)
    }

    fn note_inert(&mut self, key: &[u8], value: &[u8]) {
        self.inert.note(key, value);
    }

    /// Looks at a field of the current exchange.
    fn field(&mut self, field: &Field<'_>) {
        let Self { search, state, .. } = self;
        state.meaning = match field.kind {
            FieldKind::Whole => 0,
            FieldKind::Leaf => search.lexicon.meaning(&mut state.lexicon, field.key),
        };
        for detector in &search.detectors {
            detector.field(field, state);
        }
    }
}

/// A hit at `range` of a field's value.
pub(super) fn hit_at(field: &Field<'_>, range: Range<usize>, data_type: &DataType, value: String) -> Hit {
    let covers = field.kind == FieldKind::Leaf && field.value.trim_ascii().len() <= range.len();
    Hit {
        data_type: data_type.clone(),
        value,
        matched: MatchKind::Known,
        identifier: None,
        location: field.location(),
        chain: field.chain.to_vec(),
        confidence: Confidence::Certain,
        excerpt: super::excerpt::excerpt(field, range),
        covers,
    }
}
