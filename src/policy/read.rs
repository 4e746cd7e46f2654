//! The whole way from a text to its documents, and the choice among them.

use super::document::{Part, parts};
use super::layout::{Block, BlockKind, Line, lines, outline};
use super::lexicon::{Cue, builtin};
use super::prose::{self, Prose};
use super::statement::Draft;
use super::table::{self, Page};
use super::text::{Text, normalise_term};
use super::vocabulary::{CueMention, Mentions, Vocabulary};
use super::{defects, rows};
use crate::model::{Declaration, PolicyDocument, Section};
use crate::rules::RuleSet;
use std::ops::Range;

/// Reads policies; building one compiles the words of the rules, so keep it for many texts.
pub struct Reader<'r> {
    vocabulary: Vocabulary<'r>,
}

impl<'r> Reader<'r> {
    /// A reader that knows the data types and parties of `rules`.
    #[must_use]
    pub fn new(rules: &'r RuleSet) -> Self {
        Self { vocabulary: Vocabulary::new(rules, builtin()) }
    }

    /// Reads a text. Linear in its length; the same text always gives the same documents.
    ///
    /// A page with several policies or dated versions gives one document each, in order; parts that hold no
    /// statements (menus) are left out, unless nothing else is there.
    #[must_use]
    pub fn read(&self, text: &str) -> Vec<PolicyDocument> {
        let text = Text::new(text);
        let lines = lines(&text.norm);
        let parts = parts(&text, &lines, self.vocabulary.lexicon());
        let mut mentions = self.vocabulary.scan(&text);
        mentions.drop_names(&own_names(&parts), &text.norm);
        let mut documents: Vec<PolicyDocument> =
            parts.iter().map(|part| document(&self.vocabulary, &text, &lines, part, &mentions)).collect();
        if documents.iter().any(|document| !document.statements.is_empty()) {
            documents.retain(|document| !document.statements.is_empty());
        } else {
            documents.truncate(1);
        }
        documents
    }
}

/// Reads one text, see [`Reader::read`].
#[must_use]
pub fn read(text: &str, rules: &RuleSet) -> Vec<PolicyDocument> {
    Reader::new(rules).read(text)
}

/// The document of a version: the one effective (else updated) on `version`; without one the newest by effective (else
/// updated) date, of equal dates the one with the most statements.
#[must_use]
pub fn pick<'d>(documents: &'d [PolicyDocument], version: Option<&str>) -> Option<&'d PolicyDocument> {
    match version {
        Some(date) => documents
            .iter()
            .find(|document| document.effective_date.as_deref() == Some(date))
            .or_else(|| documents.iter().find(|document| document.updated_date.as_deref() == Some(date))),
        None => documents.iter().rev().max_by_key(|document| {
            (document.effective_date.as_ref().or(document.updated_date.as_ref()), document.statements.len())
        }),
    }
}

/// What the policies call their app, normalised.
fn own_names(parts: &[Part]) -> Vec<String> {
    let mut names: Vec<String> = parts
        .iter()
        .filter_map(|part| part.app.as_deref())
        .map(normalise_term)
        .flat_map(|name| {
            let short = name.strip_suffix("平台").map(str::to_owned);
            [Some(name), short]
        })
        .flatten()
        .filter(|name| name.chars().count() >= 2)
        .collect();
    names.sort();
    names.dedup();
    names
}

impl Mentions {
    /// Makes the app's own names its own: cues of the first party, and no third parties.
    fn drop_names(&mut self, names: &[String], norm: &str) {
        for name in names {
            for at in memchr::memmem::find_iter(norm.as_bytes(), name.as_bytes()) {
                self.cues.push(CueMention { start: at, end: at + name.len(), cue: Cue::First });
            }
        }
        self.cues.sort_by_key(|cue| (cue.start, cue.end));
        self.parties.retain(|party| !names.iter().any(|name| norm[party.start..party.end] == **name));
    }
}

fn document(
    vocabulary: &Vocabulary<'_>,
    text: &Text<'_>,
    lines: &[Line],
    part: &Part,
    mentions: &Mentions,
) -> PolicyDocument {
    let own = &lines[part.lines.clone()];
    let span = match (own.first(), own.last()) {
        (Some(first), Some(last)) => first.start..last.end,
        _ => 0..0,
    };
    let page = Page { text, lines: own, mentions, lexicon: vocabulary.lexicon(), rules: vocabulary.rules() };
    let tables = table::find(&page);
    let blocks = outline(text, own, vocabulary.lexicon());
    let ranges: Vec<Range<usize>> =
        tables.iter().map(|table| own[table.lines.start].start..own[table.lines.end - 1].end).collect();
    let mut edges = Vec::new();
    let prose = Prose { text, mentions, lexicon: vocabulary.lexicon(), rules: vocabulary.rules() };
    let mut drafts = prose::read(&prose, &blocks, &ranges, &mut edges);
    for (table, range) in tables.iter().zip(&ranges) {
        let before = blocks.partition_point(|block| block.start < range.start);
        let clause = before.checked_sub(1).map_or(String::new(), |at| blocks[at].clause.clone());
        drafts.extend(rows::statements(&page, table, &clause, &mut edges));
    }
    drafts.sort_by_key(|draft| draft.range.start);
    let sections = sections(text, &blocks, &ranges, span.end);
    let defects = defects::find(text, &blocks, &drafts, &page, &tables);
    PolicyDocument {
        title: part.title.clone(),
        app: part.app.clone(),
        publisher: part.publisher.clone(),
        effective_date: part.effective.clone(),
        updated_date: part.updated.clone(),
        language: part.language.to_owned(),
        span: text.span(text.raw_range(span)),
        sections,
        statements: declarations(text, drafts, part.title.as_deref()),
        defects,
        local_ontology: edges,
    }
}

/// Most drafts of one place that are compared to say the same only once.
const ALIKE_MAX: usize = 16;

/// Drafts that say the same of the same sentence put together, in order, with ids.
fn declarations(text: &Text<'_>, drafts: Vec<Draft>, title: Option<&str>) -> Vec<Declaration> {
    let mut kept: Vec<Draft> = Vec::new();
    for draft in drafts.into_iter().filter(|draft| !draft.data.is_empty()) {
        match kept.iter_mut().rev().take(ALIKE_MAX).find(|known| known.says_like(&draft)) {
            Some(known) => known.merge(draft),
            None => kept.push(draft),
        }
    }
    kept.into_iter()
        .enumerate()
        .map(|(at, draft)| {
            let bytes = text.raw_range(draft.range.clone());
            Declaration {
                id: format!("s{}", at + 1),
                clause: if draft.clause.is_empty() { title.unwrap_or_default().to_owned() } else { draft.clause },
                span: text.span(bytes.clone()),
                text: text.raw[bytes].trim().to_owned(),
                action: draft.action,
                polarity: draft.polarity,
                recipient: draft.recipient,
                data: draft.data,
                purpose: draft.purpose,
                condition: draft.condition,
                form: draft.form,
                source: draft.source,
            }
        })
        .collect()
}

/// Headings with the extent of their text; the lines of a table of contents are left out.
fn sections(text: &Text<'_>, blocks: &[Block], tables: &[Range<usize>], end: usize) -> Vec<Section> {
    let in_table = |block: &Block| {
        let at = tables.partition_point(|table| table.end <= block.start);
        tables.get(at).is_some_and(|table| table.start < block.end)
    };
    let headings: Vec<(usize, &Block)> =
        blocks.iter().enumerate().filter(|(_, block)| block.kind == BlockKind::Heading && !in_table(block)).collect();
    let mut last_seen: rustc_hash::FxHashMap<&str, usize> = rustc_hash::FxHashMap::default();
    for (at, block) in &headings {
        last_seen.insert(&text.norm[block.start..block.end], *at);
    }
    // The end of a section is the next heading of the same or a shallower style: found from the back.
    let mut ends = vec![end; headings.len()];
    let mut later: Vec<(u8, usize)> = Vec::new();
    for (at, (_, block)) in headings.iter().enumerate().rev() {
        let rank = block.rank.unwrap_or(0);
        while later.last().is_some_and(|(other, _)| *other > rank) {
            later.pop();
        }
        ends[at] = later.last().map_or(end, |(_, start)| *start);
        later.push((rank, block.line_start));
    }
    headings
        .iter()
        .zip(ends)
        .filter(|((at, block), _)| {
            let repeated = last_seen.get(&text.norm[block.start..block.end]).is_some_and(|last| last > at);
            let bare =
                blocks.get(at + 1).is_some_and(|next| next.kind == BlockKind::Heading && next.rank == block.rank);
            !(repeated && bare)
        })
        .map(|((_, block), end)| Section {
            number: block.number.clone(),
            title: text.raw_str(block.start..block.end).trim().to_owned(),
            span: text.span(text.raw_range(block.line_start..end.max(block.end))),
        })
        .collect()
}
