//! Rows of SDK tables → statements: what the SDK of the row collects, for what, or that it collects nothing.

use super::enumeration;
use super::lexicon::Cue;
use super::prose::{cues_in, data_in};
use super::statement::{Draft, all_named, named, words};
use super::table::{Page, Record, Table};
use crate::model::{Action, DeclaredData, LocalEdge, Polarity, StatementSource};
use crate::rules::ROOT;
use rustc_hash::FxHashSet;
use std::ops::Range;

/// The statements of a table.
pub(super) fn statements(page: &Page<'_>, table: &Table, clause: &str, edges: &mut Vec<LocalEdge>) -> Vec<Draft> {
    table.records.iter().flat_map(|record| row(page, record, clause, edges)).collect()
}

/// What a row says, once for each party its name stands for.
fn row(page: &Page<'_>, record: &Record, clause: &str, edges: &mut Vec<LocalEdge>) -> Vec<Draft> {
    let Some(draft) = statement(page, record, clause, edges) else { return Vec::new() };
    let name = record.name.clone().map_or("", |range| page.text.raw_str(range).trim());
    let parties = all_named(page.rules, name);
    parties.into_iter().map(|recipient| Draft { recipient, ..draft.clone() }).collect()
}

fn statement(page: &Page<'_>, record: &Record, clause: &str, edges: &mut Vec<LocalEdge>) -> Option<Draft> {
    let name = page.text.raw_str(record.name.clone()?).trim();
    let mut draft = Draft {
        clause: clause.to_owned(),
        range: record.range.clone(),
        action: Action::Collect,
        polarity: Polarity::Positive,
        recipient: named(page.rules, name),
        data: Vec::new(),
        purpose: record.purpose.clone().and_then(|range| words(page.text.raw_str(range))),
        condition: None,
        form: None,
        source: StatementSource::Table,
        seen: FxHashSet::default(),
    };
    for cell in &record.data {
        let body = &page.text.norm[cell.clone()];
        if page.lexicon.cell_nothing.iter().any(|word| body.starts_with(word.as_str())) {
            draft.polarity = Polarity::Negative;
        }
        if page.lexicon.cell_empty.iter().any(|word| word == body.trim()) {
            continue;
        }
        let cell = cell.start..purpose_in(page, cell);
        let found = data_in(page.mentions, &cell);
        let mentions = &page.mentions.data[found];
        let open = enumeration::read(page.text, cell.clone(), mentions, (page.lexicon, page.rules.ontology()), edges);
        for (mention, open) in mentions.iter().zip(open) {
            draft.add(page.text, mention, open);
        }
    }
    if draft.polarity == Polarity::Negative && draft.data.is_empty() {
        let cell = record.data.first()?;
        draft.data.push(DeclaredData {
            data_type: page.rules.ontology().data_type(ROOT)?,
            text: page.text.raw_str(cell.clone()).to_owned(),
            span: page.text.span(page.text.raw_range(cell.clone())),
            open_ended: false,
        });
    }
    (!draft.data.is_empty()).then_some(draft)
}

/// Where the data of a cell gives way to what it is for (用来生成…), outside brackets.
fn purpose_in(page: &Page<'_>, cell: &Range<usize>) -> usize {
    cues_in(page.mentions, cell)
        .iter()
        .filter(|cue| cue.cue == Cue::PurposeTail && cue.start > cell.start)
        .find(|cue| {
            let before = &page.text.norm[cell.start..cue.start];
            let depth =
                before.bytes().fold(0_i64, |depth, byte| depth + i64::from(byte == b'(') - i64::from(byte == b')'));
            depth <= 0 && before.ends_with([',', ';', ')', '。'])
        })
        .map_or(cell.end, |cue| cue.start)
}
