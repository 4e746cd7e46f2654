//! Tables with one row a line, cells split by single blanks and row spans dropped: a row ends at its link words or
//! address; its name is the last cell that names a party before the data.

use super::{Page, Record, Table, ends_table, is_link, is_sdk_table};
use crate::policy::lexicon::Column;
use std::ops::Range;

/// Most tokens of a row.
const TOKENS_MAX: usize = 60;

pub(super) fn read(page: &Page<'_>, at: usize) -> Option<Table> {
    let header = tokens(page, at);
    let columns: Vec<Column> =
        header.iter().map(|token| page.column(&page.text.norm[token.clone()])).collect::<Option<_>>()?;
    if !is_sdk_table(&columns) {
        return None;
    }
    let mut records = Vec::new();
    let mut row: Vec<Range<usize>> = Vec::new();
    let mut linked = false;
    let mut end = at + 1;
    while end < page.lines.len() && !ends_table(page.line(end)) {
        for token in tokens(page, end) {
            let word = &page.text.norm[token.clone()];
            let link = is_link(word) || page.lexicon.cell_link_words.iter().any(|link| link == word);
            if link {
                linked = true;
            } else {
                if linked || row.len() >= TOKENS_MAX {
                    records.extend(record(page, &columns, &row));
                    row.clear();
                    linked = false;
                }
                row.push(token);
            }
        }
        if !columns.contains(&Column::Link) {
            records.extend(record(page, &columns, &row));
            row.clear();
        }
        end += 1;
    }
    records.extend(record(page, &columns, &row));
    // A purpose that spans rows stands in the first of them only.
    let mut purpose = None;
    for record in &mut records {
        purpose = record.purpose.take().or(purpose);
        record.purpose.clone_from(&purpose);
    }
    Some(Table { lines: at..end, records })
}

/// The words of a line that blanks separate, outside brackets, as ranges of the normalised text.
fn tokens(page: &Page<'_>, at: usize) -> Vec<Range<usize>> {
    let line = &page.lines[at];
    let norm = &page.text.norm;
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut start = line.start;
    let mut depth = 0_usize;
    let mut previous: Option<usize> = None;
    for (offset, c) in norm[line.range()].char_indices() {
        let here = line.start + offset;
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let parted = previous.is_some_and(|before| page.text.gap_before(before, here))
            || (c == ' ' && parts_latin(&norm[start..here], &norm[here + 1..line.end]));
        if parted && depth == 0 {
            if here > start {
                out.push(start..here);
            }
            start = here;
        }
        previous = Some(here);
    }
    if line.end > start {
        out.push(start..line.end);
    }
    out.iter_mut().for_each(|token| {
        // A blank between Latin words is a character of its own here.
        let word = &norm[token.clone()];
        let trimmed = word.trim();
        let lead = word.len() - word.trim_start().len();
        *token = token.start + lead..token.start + lead + trimmed.len();
    });
    out.retain(|token| !token.is_empty());
    join_latin(page, out)
}

/// Whether a blank between Latin characters parts cells: after SDK, and in front of an item's number.
fn parts_latin(before: &str, after: &str) -> bool {
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    before.ends_with("sdk") || (digits > 0 && after[digits..].starts_with(['.', '、', ')']))
}

/// Puts `腾讯 SDK` back together: a blank before SDK doesn't part cells.
fn join_latin(page: &Page<'_>, tokens: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for token in tokens {
        match out.last_mut() {
            Some(last) if page.text.norm[token.clone()].starts_with("sdk") => {
                last.end = token.end;
            }
            _ => out.push(token),
        }
    }
    out
}

/// One row from its words.
fn record(page: &Page<'_>, columns: &[Column], row: &[Range<usize>]) -> Option<Record> {
    let word = |token: &Range<usize>| &page.text.norm[token.clone()];
    let range = row.first()?.start..row.last()?.end;
    let plain: Vec<Column> = columns.iter().copied().filter(|column| *column != Column::Link).collect();
    // The last party with data after it; data may mention parties, a party's cell never is data.
    let named = (0..row.len())
        .rev()
        .find(|at| page.is_party(word(&row[*at])) && row[at + 1..].iter().any(|token| page.has_data(token)));
    let by_place = || {
        let name = plain.iter().position(|column| *column == Column::Name)?;
        if row.len() == plain.len() { Some(name) } else { (row.len() == 2).then_some(0) }
    };
    let name = named.or_else(by_place)?;
    let purpose = (name >= 1).then(|| row[name - 1].clone());
    let data = row[name + 1..].to_vec();
    (!data.is_empty()).then(|| Record { name: Some(row[name].clone()), purpose, data, range })
}
