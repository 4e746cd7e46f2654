//! Markdown tables: `| SDK名称 | 使用目的 | 个人信息 |`, a row of dashes, rows; cells of row spans left empty.

use super::{Page, Record, Table, is_sdk_table};
use crate::policy::lexicon::Column;
use std::ops::Range;

pub(super) fn read(page: &Page<'_>, at: usize) -> Option<Table> {
    if !page.line(at).contains('|') {
        return None;
    }
    let columns: Vec<Column> =
        cells(page, at).into_iter().map(|cell| page.column(&page.text.norm[cell]).unwrap_or(Column::Other)).collect();
    if !is_sdk_table(&columns) {
        return None;
    }
    let mut records = Vec::new();
    let mut end = at + 1;
    let mut purpose: Option<Range<usize>> = None;
    while end < page.lines.len() && page.line(end).contains('|') {
        let row = cells(page, end);
        let ruler =
            row.iter().all(|cell| page.text.norm[cell.clone()].bytes().all(|byte| matches!(byte, b'-' | b':' | b' ')));
        if !ruler {
            let mut record = Record { range: page.lines[end].range(), ..Record::default() };
            for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                match column {
                    Column::Name => record.name = record.name.or(Some(cell)),
                    Column::Purpose => record.purpose = record.purpose.or(Some(cell)),
                    Column::Data => record.data.push(cell),
                    Column::Serial | Column::Company | Column::Link | Column::Other => {}
                }
            }
            purpose = record.purpose.clone().or(purpose);
            record.purpose.clone_from(&purpose);
            if record.name.is_some() {
                records.push(record);
            }
        }
        end += 1;
    }
    Some(Table { lines: at..end, records })
}

/// The cells of a row, blanks trimmed; empty ones kept.
fn cells(page: &Page<'_>, at: usize) -> Vec<Range<usize>> {
    let line = &page.lines[at];
    let body = &page.text.norm[line.range()];
    // Only the first bar opens the row; more of them are empty cells.
    let inner = if body.trim_start().starts_with('|') {
        body.trim_start().split_once('|').map_or(body, |(_, rest)| rest)
    } else {
        body
    };
    let mut start = line.end - inner.len();
    let inner = inner.trim_end();
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut out = Vec::new();
    for cell in inner.split('|') {
        let lead = cell.len() - cell.trim_start().len();
        let trimmed = cell.trim();
        out.push(start + lead..start + lead + trimmed.len());
        start += cell.len() + 1;
    }
    out
}
