//! Blocks of labels, one SDK each: `SDK名称：…`, `收集信息：…`, `使用目的：…`, a label a line.

use super::{Page, Record, Table};
use crate::policy::lexicon::Column;
use std::ops::Range;

/// Lines without a label that a block may hold before it counts as ended.
const PLAIN_MAX: usize = 3;

pub(super) fn read(page: &Page<'_>, at: usize) -> Option<Table> {
    let (Column::Name, name) = labelled(page, at)? else { return None };
    let mut records = vec![Record { range: page.lines[at].range(), name: Some(name), ..Record::default() }];
    let mut end = at + 1;
    let mut plain = 0;
    let mut last = Column::Name;
    let mut used = end;
    while end < page.lines.len() && plain <= PLAIN_MAX {
        let line = page.lines[end].range();
        match labelled(page, end) {
            Some((column, value)) => {
                plain = 0;
                last = column;
                if column == Column::Name {
                    records.push(Record { range: line.clone(), name: Some(value), ..Record::default() });
                } else if let Some(record) = records.last_mut() {
                    match column {
                        Column::Purpose => record.purpose = record.purpose.take().or(Some(value)),
                        Column::Data if !value.is_empty() => record.data.push(value),
                        _ => {}
                    }
                }
                used = end + 1;
            }
            None if super::ends_table(page.line(end)) => break,
            None => {
                plain += 1;
                if last == Column::Data && plain == 1 && page.has_data(&line) {
                    if let Some(record) = records.last_mut() {
                        record.data.push(line.clone());
                    }
                    used = end + 1;
                }
            }
        }
        if used == end + 1
            && let Some(record) = records.last_mut()
        {
            record.range.end = line.end;
        }
        end += 1;
    }
    records.retain(|record| !record.data.is_empty());
    Some(Table { lines: at..used, records })
}

/// A line `label: value` with the label's role.
fn labelled(page: &Page<'_>, at: usize) -> Option<(Column, Range<usize>)> {
    let line = &page.lines[at];
    let body = page.line(at);
    let own = crate::policy::layout::number(body).map_or(0, |number| number.len());
    let colon = body[own..].find(':').filter(|colon| *colon <= 60)? + own;
    let column = page.column(&body[own..colon])?;
    Some((column, line.start + colon + 1..line.end))
}
