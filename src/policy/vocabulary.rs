//! Where a text names data and parties: one linear pass of the ontology's words, the lexicon's and the parties' names
//! over the normalised text. Runs of glued Latin identifiers (`IMEIIDFAIDFV`) are split; a short word inside another
//! (`sn` in `sns`) is not taken.

use super::lexicon::{Cue, Lexicon};
use super::text::{Text, normalise_term};
use crate::model::DataType;
use crate::rules::RuleSet;
use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;
use std::sync::Arc;

/// A mention of data, by bytes of the normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) types: Arc<[DataType]>,
}

/// A name of a party, by bytes of the normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartyMention {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Id in the rules; none for an SDK the rules don't know.
    pub(super) id: Option<Arc<str>>,
}

/// A cue word, by bytes of the normalised text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CueMention {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) cue: Cue,
}

/// What a data word stands for.
enum Term {
    Data(Arc<[DataType]>),
    /// Data only after one of the lexicon's context words.
    Context(usize),
    Filler,
    Ignore,
}

/// A place with its types; none where the words there mean no data.
type Found = (Range<usize>, Option<Arc<[DataType]>>);

/// All words, compiled.
pub(super) struct Vocabulary<'r> {
    lexicon: &'static Lexicon,
    rules: &'r RuleSet,
    data: AhoCorasick,
    terms: Vec<Term>,
    composed: Vec<Arc<[DataType]>>,
    parties: AhoCorasick,
    party_ids: Vec<Arc<str>>,
    cues: AhoCorasick,
}

/// What a text mentions, each list by place.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    pub(super) data: Vec<Mention>,
    pub(super) parties: Vec<PartyMention>,
    pub(super) cues: Vec<CueMention>,
}

/// Characters before a context word within which its partner must stand.
const CONTEXT_WINDOW: usize = 24;
/// Characters around a mention within which words leave it out.
const EXCLUSION_WINDOW: usize = 40;

impl<'r> Vocabulary<'r> {
    /// Compiles the words of the rules and the lexicon.
    pub(super) fn new(rules: &'r RuleSet, lexicon: &'static Lexicon) -> Self {
        let mut words: FxHashMap<String, usize> = FxHashMap::default();
        let mut terms = Vec::new();
        let mut patterns = Vec::new();
        let mut add = |word: String, term: Term| {
            if !word.is_empty() && !words.contains_key(&word) {
                words.insert(word.clone(), terms.len());
                terms.push(term);
                patterns.push(word);
            }
        };
        for word in &lexicon.ignore {
            add(word.clone(), Term::Ignore);
        }
        for (at, context) in lexicon.context.iter().enumerate() {
            add(context.term.clone(), Term::Context(at));
        }
        let own = lexicon.terms.iter().map(|(word, id)| (word.clone(), rules.ontology().data_type(id)));
        let theirs = rules.ontology().synonyms().map(|(word, id)| (normalise_term(word), Some(id.clone())));
        let all: Vec<(String, Option<DataType>)> = own.chain(theirs).collect();
        let known: FxHashSet<&str> = all.iter().map(|(word, _)| word.as_str()).collect();
        for (word, id) in &all {
            // A plural beside its singular would swallow the s of what is glued to it; `bounded` allows for plurals.
            let plural = word.is_ascii() && word.strip_suffix('s').is_some_and(|one| known.contains(one));
            let Some(id) = id.clone().filter(|_| !plural) else { continue };
            let word = word.clone();
            let implied = lexicon.implies.get(id.as_str()).and_then(|broad| rules.ontology().data_type(broad));
            let types: Arc<[DataType]> = std::iter::once(id).chain(implied).collect();
            if word.contains(' ') {
                add(word.replace(' ', ""), Term::Data(Arc::clone(&types)));
            }
            add(word, Term::Data(types));
        }
        for word in &lexicon.filler {
            add(word.clone(), Term::Filler);
        }
        let composed = lexicon.compose.iter().map(|(_, ids)| types_of(rules, ids)).collect();
        let (names, party_ids) = party_names(rules);
        Self {
            lexicon,
            rules,
            data: automaton(&patterns),
            terms,
            composed,
            parties: automaton(&names),
            party_ids,
            cues: automaton(lexicon.cues.iter().map(|(word, _)| word)),
        }
    }

    /// The lexicon in use.
    pub(super) fn lexicon(&self) -> &'static Lexicon {
        self.lexicon
    }

    /// The rules in use.
    pub(super) fn rules(&self) -> &'r RuleSet {
        self.rules
    }

    /// Everything a text mentions.
    pub(super) fn scan(&self, text: &Text<'_>) -> Mentions {
        Mentions { data: self.scan_data(text), parties: self.scan_parties(text), cues: self.scan_cues(&text.norm) }
    }

    fn scan_data(&self, text: &Text<'_>) -> Vec<Mention> {
        let norm = text.norm.as_str();
        let mut found = self.dictionary(norm);
        for (at, (regex, _)) in self.lexicon.compose.iter().enumerate() {
            found.extend(
                regex
                    .find_iter(norm)
                    .filter(|m| bounded(norm, &m.range()))
                    .map(|m| (m.range(), Some(Arc::clone(&self.composed[at])))),
            );
        }
        // Leftmost, then longest; an ignored word holds its place like any other.
        let kinds = |found: &Found| found.1.as_ref().map_or(usize::MAX, |types| types.len());
        found.sort_by(|a, b| {
            (a.0.start, std::cmp::Reverse(a.0.end), std::cmp::Reverse(kinds(a))).cmp(&(
                b.0.start,
                std::cmp::Reverse(b.0.end),
                std::cmp::Reverse(kinds(b)),
            ))
        });
        let mut mentions: Vec<Mention> = Vec::new();
        let mut taken = 0;
        for (range, types) in found {
            if range.start < taken {
                continue;
            }
            taken = range.end;
            if let Some(types) = types.filter(|_| !excluded(norm, &range)) {
                mentions.push(Mention { start: range.start, end: range.end, types });
            }
        }
        mentions
    }

    /// Words of the dictionary with their types; none for ignored ones.
    fn dictionary(&self, norm: &str) -> Vec<Found> {
        let raw: Vec<_> = self.data.find_iter(norm).map(|m| (m.range(), m.pattern().as_usize())).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            // A chain of words that touch each other inside one Latin run stands or falls by its outer ends.
            let mut last = at;
            while last + 1 < raw.len() && raw[last + 1].0.start == raw[last].0.end && joined(norm, raw[last].0.end) {
                last += 1;
            }
            let whole = raw[at].0.start..raw[last].0.end;
            let chain_fits = bounded(norm, &whole);
            for (range, pattern) in &raw[at..=last] {
                let fits = chain_fits || bounded(norm, range) || (at != last && range.len() >= 4);
                match &self.terms[*pattern] {
                    Term::Data(types) if fits => found.push((range.clone(), Some(Arc::clone(types)))),
                    Term::Context(context) if fits => {
                        if let Some(types) = self.in_context(norm, range, *context) {
                            found.push((range.clone(), Some(types)));
                        }
                    }
                    Term::Ignore if fits => found.push((range.clone(), None)),
                    Term::Data(_) | Term::Context(_) | Term::Ignore | Term::Filler => {}
                }
            }
            at = last + 1;
        }
        found
    }

    fn in_context(&self, norm: &str, range: &Range<usize>, context: usize) -> Option<Arc<[DataType]>> {
        let term = &self.lexicon.context[context];
        let before =
            norm[..range.start].char_indices().rev().take(CONTEXT_WINDOW).last().map_or(range.start, |(at, _)| at);
        let window = &norm[before..range.start];
        let window = window.rsplit(['。', '\n']).next().unwrap_or(window);
        term.after
            .iter()
            .any(|word| window.contains(word.as_str()))
            .then(|| types_of(self.rules, std::slice::from_ref(&term.r#type)))
    }

    fn scan_parties(&self, text: &Text<'_>) -> Vec<PartyMention> {
        let norm = text.norm.as_str();
        let mut found: Vec<PartyMention> = self
            .parties
            .find_iter(norm)
            .filter(|m| bounded(norm, &m.range()) && !in_dotted_name(norm, &m.range()))
            .map(|m| {
                let end = extend_sdk(norm, m.end());
                PartyMention { start: m.start(), end, id: Some(Arc::clone(&self.party_ids[m.pattern().as_usize()])) }
            })
            .collect();
        let known: Vec<Range<usize>> = found.iter().map(|party| party.start..party.end).collect();
        for range in unnamed_sdks(norm) {
            let overlaps = known.partition_point(|k| k.end <= range.start);
            if known.get(overlaps).is_none_or(|k| k.start >= range.end) {
                found.push(PartyMention { start: range.start, end: range.end, id: None });
            }
        }
        found.sort_by_key(|party| party.start);
        found
    }

    fn scan_cues(&self, norm: &str) -> Vec<CueMention> {
        self.cues
            .find_iter(norm)
            .filter(|m| bounded(norm, &m.range()))
            .map(|m| CueMention { start: m.start(), end: m.end(), cue: self.lexicon.cues[m.pattern().as_usize()].1 })
            .filter(|m| m.cue != Cue::Nothing)
            .collect()
    }
}

/// Whether words leave a mention out: (不包括IMEI), 除IMEI以外.
fn excluded(norm: &str, range: &Range<usize>) -> bool {
    const PARTS: [char; 8] = ['。', '\n', ',', ';', ':', '(', ')', '?'];
    let from = norm[..range.start].char_indices().rev().take(EXCLUSION_WINDOW).last().map_or(range.start, |(at, _)| at);
    let before = norm[from..range.start].rsplit(PARTS).next().unwrap_or_default();
    let left_out =
        !before.contains("并不包括") && ["不包括", "不包含", "不含"].iter().any(|word| before.contains(word));
    let Some(except) = before.rfind('除') else { return left_out };
    let rest = norm[range.end..].char_indices().nth(EXCLUSION_WINDOW).map_or(norm.len(), |(at, _)| range.end + at);
    let after = norm[range.end..rest].split(PARTS).next().unwrap_or_default();
    let word = before[except..].starts_with("除了") || before[..except].ends_with(['删', '清', '解', '移', '去', '消']);
    left_out || !word && ["外的", "以外的", "之外的"].iter().any(|word| after.starts_with(word))
}

fn types_of(rules: &RuleSet, ids: &[String]) -> Arc<[DataType]> {
    ids.iter().filter_map(|id| rules.ontology().data_type(id)).collect()
}

/// Names of parties in normalised spellings, with their ids.
fn party_names(rules: &RuleSet) -> (Vec<String>, Vec<Arc<str>>) {
    let (mut names, mut ids) = (Vec::new(), Vec::new());
    let mut seen = FxHashSet::default();
    for (alias, id) in rules.party_aliases() {
        let Some(rule) = rules.party(id).filter(|rule| rule.kind != crate::rules::PartyKind::Group) else { continue };
        let word = normalise_term(alias);
        for spelling in [word.replace(' ', ""), word] {
            // One character, or two Latin ones that are no name everybody knows, would be found everywhere.
            let long_enough = spelling.chars().count() >= 2;
            if long_enough && seen.insert(spelling.clone()) {
                names.push(spelling);
                ids.push(Arc::clone(&rule.party.id));
            }
        }
    }
    (names, ids)
}

fn automaton<I, P>(words: I) -> AhoCorasick
where
    I: IntoIterator<Item = P>,
    P: AsRef<[u8]>,
{
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(words)
        .expect("invariant: the words of the rules are far fewer than an automaton can hold")
}

/// Whether both sides of `at` are Latin letters or digits.
fn joined(norm: &str, at: usize) -> bool {
    let bytes = norm.as_bytes();
    at > 0 && at < bytes.len() && bytes[at - 1].is_ascii_alphanumeric() && bytes[at].is_ascii_alphanumeric()
}

/// Whether a range of Latin text doesn't cut a word; a plural `s` may follow.
fn bounded(norm: &str, range: &Range<usize>) -> bool {
    let bytes = norm.as_bytes();
    let right = !joined(norm, range.end)
        || (bytes[range.end] == b's'
            && range.len() > 3
            && !joined(norm, range.end + 1)
            && bytes[range.end - 1].is_ascii_lowercase());
    !joined(norm, range.start) && right
}

/// Whether a name is one part of a dotted one: the `tencent` of `com.tencent.bugly`.
fn in_dotted_name(norm: &str, range: &Range<usize>) -> bool {
    let bytes = norm.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let before = range.start >= 2 && bytes[range.start - 1] == b'.' && letter(range.start - 2);
    let after = bytes.get(range.end) == Some(&b'.') && letter(range.end + 1);
    (before && letter(range.start)) || (after && letter(range.end - 1))
}

/// The end of a name with a following "SDK" taken in.
fn extend_sdk(norm: &str, end: usize) -> usize {
    let rest = &norm[end..];
    let rest_trimmed = rest.strip_prefix(' ').unwrap_or(rest);
    if rest_trimmed.starts_with("sdk") { end + (rest.len() - rest_trimmed.len()) + 3 } else { end }
}

/// Latin names in front of "SDK": `me.leolin sdk`.
fn unnamed_sdks(norm: &str) -> Vec<Range<usize>> {
    let bytes = norm.as_bytes();
    let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    memchr::memmem::find_iter(bytes, b"sdk")
        .filter_map(|at| {
            let mut end = at;
            if end > 0 && bytes[end - 1] == b' ' {
                end -= 1;
            }
            let length = bytes[..end].iter().rev().take(40).take_while(|byte| name(**byte)).count();
            let word = &norm[end - length..end];
            let is_name = length >= 2 && word.bytes().any(|byte| byte.is_ascii_alphabetic());
            let generic = matches!(word, "of" | "the" | "ios" | "android" | "app" | "our" | "party" | "these" | "this");
            (is_name && !generic && !joined(norm, at + 3)).then_some(end - length..at + 3)
        })
        .collect()
}
