//! Tables with one cell a line: a header of three to ten short lines, then records. A record ends at its link or in
//! front of the next serial number; cells that broke over lines are put together by their brackets and their place.

use super::{Page, Record, Table, ends_table, is_link, is_sdk_table};
use crate::policy::lexicon::Column;
use std::ops::Range;

/// Most columns.
const COLUMNS_MAX: usize = 12;
/// Most lines one cell may take with its bracket open, and one record.
const CELL_LINES_MAX: usize = 12;
const RECORD_LINES_MAX: usize = 40;

/// A cell: the lines it takes and its bytes.
#[derive(Debug, Clone)]
struct Cell {
    lines: Range<usize>,
    range: Range<usize>,
}

pub(super) fn read(page: &Page<'_>, at: usize) -> Option<Table> {
    let mut columns = Vec::new();
    while columns.len() < COLUMNS_MAX && at + columns.len() < page.lines.len() {
        match page.column(page.line(at + columns.len())) {
            // A name column that comes again starts the data of a table whose cells look like headers.
            Some(column) => columns.push(column),
            None => break,
        }
    }
    if !is_sdk_table(&columns) {
        return None;
    }
    let body = at + columns.len();
    let cells = cells(page, body);
    let (records, used) = records(page, &columns, &cells);
    let end = used.checked_sub(1).and_then(|last| cells.get(last)).map_or(body, |cell| cell.lines.end);
    Some(Table { lines: at..end, records })
}

/// The lines after the header as cells, up to the end of the table.
fn cells(page: &Page<'_>, mut at: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    while at < page.lines.len() {
        let line = page.line(at);
        if ends_table(line) {
            break;
        }
        let mut end = at + 1;
        let mut depth = brackets(line);
        while depth > 0 && end < page.lines.len() && end - at < CELL_LINES_MAX && !is_link(page.line(end)) {
            depth += brackets(page.line(end));
            end += 1;
        }
        if depth > 0 {
            end = at + 1;
        }
        cells.push(Cell { lines: at..end, range: page.lines[at].start..page.lines[end - 1].end });
        at = end;
    }
    cells
}

/// Opened minus closed brackets.
fn brackets(line: &str) -> i64 {
    line.bytes().map(|byte| i64::from(byte == b'(') - i64::from(byte == b')')).sum()
}

fn text<'p>(page: &'p Page<'_>, cell: &Cell) -> &'p str {
    &page.text.norm[cell.range.clone()]
}

fn is_serial(cell: &str) -> bool {
    !cell.is_empty() && cell.len() <= 3 && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// Groups cells into records; also how many cells they take.
fn records(page: &Page<'_>, columns: &[Column], cells: &[Cell]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    let mut strays = 0;
    while at < cells.len() {
        let end = record_end(page, columns, cells, at);
        let Some(record) = record(page, columns, &cells[at..end]) else {
            // A lone line between records, or the text after the table.
            strays += 1;
            if strays > 3 || end - at > 1 {
                break;
            }
            at = end;
            continue;
        };
        strays = 0;
        records.push(record);
        at = end;
    }
    (records, at)
}

/// Where the record that starts at `at` ends.
fn record_end(page: &Page<'_>, columns: &[Column], cells: &[Cell], at: usize) -> usize {
    let limit = cells.len().min(at + RECORD_LINES_MAX);
    let link_column = columns.iter().position(|column| *column == Column::Link);
    let serial = columns.first() == Some(&Column::Serial);
    let next_serial = serial
        .then(|| {
            let own: Option<u32> = text(page, &cells[at]).parse().ok();
            (at + 2..limit).find(|next| {
                let cell = text(page, &cells[*next]);
                is_serial(cell) && own.is_none_or(|own| cell.parse() == Ok(own + 1))
            })
        })
        .flatten();
    let link = link_column.and_then(|_| (at + 1..limit).find(|next| is_link(text(page, &cells[*next]))));
    match (next_serial, link, link_column) {
        (Some(next), _, _) => next,
        (None, Some(link), Some(column)) => {
            // Cells of the columns after the link, as far as they don't start the next record.
            let mut end = link + 1;
            let after = columns.len() - column - 1;
            while end < limit && end <= link + after && !starts_record(page, columns, cells, end) {
                end += 1;
            }
            end
        }
        _ => {
            let full = (at + columns.len()).min(cells.len());
            let next = (at + 2..full)
                .find(|next| page.is_party(text(page, &cells[*next])) && columns.first() == Some(&Column::Name));
            next.unwrap_or(full)
        }
    }
}

fn starts_record(page: &Page<'_>, columns: &[Column], cells: &[Cell], at: usize) -> bool {
    let cell = text(page, &cells[at]);
    match columns.first() {
        Some(Column::Serial) => is_serial(cell),
        Some(Column::Name) => page.is_party(cell),
        _ => false,
    }
}

/// One record from its cells: by place where their number is right, else by what they hold.
fn record(page: &Page<'_>, columns: &[Column], cells: &[Cell]) -> Option<Record> {
    let whole = cells.first()?.range.start..cells.last()?.range.end;
    let mut record = Record { range: whole, ..Record::default() };
    if cells.len() == columns.len() {
        for (column, cell) in columns.iter().zip(cells) {
            put(&mut record, *column, cell.range.clone());
        }
    } else {
        let roles = roles(page, columns, cells);
        for (column, cell) in roles.into_iter().zip(cells) {
            put(&mut record, column, cell.range.clone());
        }
    }
    let sane =
        record.name.as_ref().is_some_and(|name| name.len() <= 120 && !page.text.norm[name.clone()].contains('。'));
    (sane && cells.len() >= 2).then_some(record)
}

fn put(record: &mut Record, column: Column, range: Range<usize>) {
    match column {
        Column::Name if record.name.is_none() => record.name = Some(range),
        Column::Purpose if record.purpose.is_none() => record.purpose = Some(range),
        Column::Data => record.data.push(range),
        Column::Name | Column::Purpose | Column::Serial | Column::Company | Column::Link | Column::Other => {}
    }
}

/// Roles for cells whose number doesn't fit: links, serials and companies show themselves, the first other cell is the
/// name, cells of the columns before the data keep their place, what is left is data.
fn roles(page: &Page<'_>, columns: &[Column], cells: &[Cell]) -> Vec<Column> {
    let texts: Vec<&str> = cells.iter().map(|cell| text(page, cell)).collect();
    let mut roles: Vec<Option<Column>> = texts
        .iter()
        .enumerate()
        .map(|(at, cell)| match cell {
            _ if is_link(cell) => Some(Column::Link),
            _ if at == 0 && is_serial(cell) => Some(Column::Serial),
            _ if is_company(cell) && columns.contains(&Column::Company) && at > 0 => Some(Column::Company),
            _ => None,
        })
        .collect();
    let link = roles.iter().position(|role| *role == Some(Column::Link));
    if let Some(link) = link {
        roles[link + 1..].iter_mut().for_each(|role| *role = role.or(Some(Column::Other)));
    }
    let data_column = columns.iter().position(|column| *column == Column::Data).unwrap_or(0);
    let mut before = columns[..data_column].iter().filter(|column| **column != Column::Serial);
    let free = roles.iter().filter(|role| role.is_none()).count();
    let mut left = free;
    for (at, role) in roles.iter_mut().enumerate() {
        if role.is_some() {
            continue;
        }
        let next = before.clone().next().copied();
        // The last free cell is the data, unless it plainly holds none and comes too early.
        let keeps = left > 1
            && next.is_some_and(|column| column == Column::Name || !page.has_data(&cells[at].range) || left > 2);
        *role = Some(if keeps || free == 1 {
            before.next();
            next.unwrap_or(Column::Data)
        } else {
            Column::Data
        });
        left -= 1;
    }
    roles.into_iter().map(|role| role.unwrap_or(Column::Other)).collect()
}

fn is_company(cell: &str) -> bool {
    cell.ends_with("公司") && cell.chars().take(41).count() <= 40
}
