//! The matrix of data types and recipients: one cell a data flow, with the letter of its verdict and how often it was
//! seen. Recipients that do not fit beside each other go into further blocks.

use super::labels::letter;
use super::layout::{centre, cut, pad, width};
use super::{Ink, Page};
use crate::model::{JudgedFlow, Party, Report, Role, Verdict};
use crate::report::neutral;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Most cells of a recipient's column.
const COLUMN_MAX: usize = 16;
/// Fewest: `C 9999!<`.
const COLUMN_MIN: usize = 8;

/// Recipients stand with the app itself first, then third parties, the platform and unknown ones, each by name.
fn column_key(party: &Party) -> (Role, &str, &str) {
    (party.role, &party.name, &party.id)
}

pub(super) fn write(report: &Report, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    page.heading(page.labels.matrix, out)?;
    if report.data_flows.is_empty() {
        return writeln!(out, "{}", page.labels.no_flows);
    }
    let mut rows: BTreeMap<&str, BTreeMap<(Role, &str, &str), &JudgedFlow>> = BTreeMap::new();
    let mut columns: BTreeMap<(Role, &str, &str), String> = BTreeMap::new();
    for judged in &report.data_flows {
        let key = column_key(&judged.flow.party);
        rows.entry(judged.flow.data_type.as_str()).or_default().insert(key, judged);
        columns.entry(key).or_insert_with(|| cut(&neutral(&judged.flow.party.name), COLUMN_MAX).into_owned());
    }
    let row_width = rows.keys().map(|row| width(row)).max().unwrap_or(0).max(width(page.labels.data_type)) + 1;
    let columns: Vec<((Role, &str, &str), String, usize)> = columns
        .into_iter()
        .map(|(key, name)| {
            let columns = width(&name).max(COLUMN_MIN);
            (key, name, columns)
        })
        .collect();
    for (index, block) in blocks(&columns, page.width.saturating_sub(row_width)).into_iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let names: String = block.iter().map(|(_, name, columns)| format!(" {}", centre(name, *columns))).collect();
        writeln!(out, "{}{}", pad(page.labels.data_type, row_width), names.trim_end())?;
        for (row, cells) in &rows {
            if block.iter().all(|(key, ..)| !cells.contains_key(key)) {
                continue;
            }
            write!(out, "{}", pad(row, row_width))?;
            let mut line = String::new();
            for (key, _, columns) in block {
                line.push(' ');
                line.push_str(
                    &cells.get(key).map_or_else(|| centre("\u{b7}", *columns), |flow| cell(flow, *columns, page)),
                );
            }
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    legend(page, out)
}

fn legend(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for item in page.labels.legend {
        if !line.is_empty() && width(&line) + 3 + width(item) > page.width {
            writeln!(out, "{}", page.ink(Ink::Dim, &line))?;
            line.clear();
        }
        if !line.is_empty() {
            line.push_str("   ");
        }
        line.push_str(item);
    }
    writeln!(out, "{}", page.ink(Ink::Dim, &line))
}

/// The columns in groups that fit beside the row labels.
fn blocks<T>(columns: &[(T, String, usize)], free: usize) -> Vec<&[(T, String, usize)]> {
    let (mut blocks, mut start, mut used) = (Vec::new(), 0, 0);
    for (at, (_, _, columns_wide)) in columns.iter().enumerate() {
        if at > start && used + columns_wide + 1 > free {
            blocks.push(&columns[start..at]);
            (start, used) = (at, 0);
        }
        used += columns_wide + 1;
    }
    blocks.push(&columns[start..]);
    blocks
}

fn cell(judged: &JudgedFlow, columns: usize, page: &Page<'_>) -> String {
    let count = match judged.flow.observations {
        count @ 0..10_000 => count.to_string(),
        count @ 10_000..10_000_000 => format!("{}k", count / 1_000),
        count => format!("{}M", count / 1_000_000),
    };
    let text = format!(
        "{} {count}{}{}",
        letter(judged.verdict),
        if judged.flow.cleartext { "!" } else { "" },
        if judged.flow.before_consent { "<" } else { "" }
    );
    let ink = match judged.verdict {
        Some(Verdict::Clear) => Ink::Green,
        Some(Verdict::Vague | Verdict::Ambiguous) => Ink::Yellow,
        Some(Verdict::Incorrect | Verdict::Omitted) => Ink::Red,
        Some(Verdict::Unreadable) | None => Ink::Dim,
    };
    page.ink(ink, &centre(&text, columns))
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn columns_that_do_not_fit_go_into_further_blocks() {
        let columns: Vec<((), String, usize)> = (0..7).map(|_| ((), String::new(), 9)).collect();
        let sizes: Vec<usize> = blocks(&columns, 32).iter().map(|block| block.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(blocks(&columns, 2).len(), 7);
    }
}
