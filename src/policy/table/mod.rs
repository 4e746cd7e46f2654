//! SDK tables that became text: one cell a line, one row a line, `|` rows, and blocks of labels. Headers give each
//! column its role; records are found again at links, serial numbers and names, whatever was lost between.

mod blocks;
mod cells;
mod pipes;
mod rows;

use super::layout::Line;
use super::lexicon::{Column, Lexicon};
use super::text::Text;
use super::vocabulary::Mentions;
use crate::rules::RuleSet;
use std::ops::Range;

/// A row: ranges are bytes of the normalised text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    pub(super) name: Option<Range<usize>>,
    pub(super) purpose: Option<Range<usize>>,
    /// Lines of the data cell.
    pub(super) data: Vec<Range<usize>>,
    pub(super) range: Range<usize>,
}

/// A table with the lines it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) lines: Range<usize>,
    pub(super) records: Vec<Record>,
}

/// What table readers look at.
pub(super) struct Page<'p> {
    pub(super) text: &'p Text<'p>,
    pub(super) lines: &'p [Line],
    pub(super) mentions: &'p Mentions,
    pub(super) lexicon: &'static Lexicon,
    pub(super) rules: &'p RuleSet,
}

impl Page<'_> {
    /// A line's normalised text.
    fn line(&self, at: usize) -> &str {
        &self.text.norm[self.lines[at].range()]
    }

    /// The role of a header cell.
    fn column(&self, cell: &str) -> Option<Column> {
        let cell = cell.trim().trim_end_matches([':', '*']);
        let exact = |cell: &str| self.lexicon.columns.iter().find(|(word, _)| word == cell).map(|(_, column)| *column);
        exact(cell).or_else(|| cell.find('(').and_then(|at| exact(cell[..at].trim())))
    }

    /// Whether data is mentioned in a range.
    fn has_data(&self, range: &Range<usize>) -> bool {
        let from = self.mentions.data.partition_point(|mention| mention.end <= range.start);
        self.mentions.data.get(from).is_some_and(|mention| mention.start < range.end)
    }

    /// Whether a cell names a party: all of it is a known name, or it ends in SDK.
    fn is_party(&self, cell: &str) -> bool {
        if cell.is_empty() || cell.chars().take(31).count() > 30 || cell.contains(['。', ',', ';', ':']) {
            return false;
        }
        let bare = super::statement::name_without_bracket(cell);
        bare.ends_with("sdk") || self.rules.party_by_alias(cell).is_some() || self.rules.party_by_alias(bare).is_some()
    }
}

/// Fewest columns a table must have.
const COLUMNS_MIN: usize = 3;

/// All tables of a policy, in order.
pub(super) fn find(page: &Page<'_>) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut at = 0;
    while at < page.lines.len() {
        let found = pipes::read(page, at)
            .or_else(|| rows::read(page, at))
            .or_else(|| cells::read(page, at))
            .or_else(|| blocks::read(page, at));
        match found {
            // Lines that looked like a table but hold no row aren't tried again line by line.
            Some(table) => {
                at = table.lines.end.max(at + 1);
                if !table.records.is_empty() {
                    tables.push(table);
                }
            }
            None => at += 1,
        }
    }
    tables
}

/// Whether columns make an SDK table: a name and data.
fn is_sdk_table(columns: &[Column]) -> bool {
    columns.len() >= COLUMNS_MIN && columns.contains(&Column::Name) && columns.contains(&Column::Data)
}

/// Whether a cell is an address.
fn is_link(cell: &str) -> bool {
    cell.starts_with("http") || cell.starts_with("www.")
}

/// Whether a line ends a table: a heading of an upper level, or a long sentence.
fn ends_table(line: &str) -> bool {
    let upper = super::layout::number(line).is_some_and(|number| number.is_upper());
    let sentence = line.ends_with('。') && line.chars().take(61).count() > 60;
    upper || sentence
}
