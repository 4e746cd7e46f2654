//! Lays a report out as data type × recipient: which rows, which columns in which order, what each cell says.
//! Takes verdicts as they are and draws nothing.

use super::text;
use crate::model::{DataType, Party, Report, Role, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a cell says, told apart by a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CellMark {
    /// Declared, never seen.
    DeclaredOnly,
    /// Seen, and no policy to judge it by.
    NoPolicy,
    /// Declared exactly.
    Clear,
    /// Its content stayed closed.
    Unreadable,
    /// Declared by a broader term.
    Vague,
    /// Declared and denied.
    Ambiguous,
    /// Not declared.
    Omitted,
    /// Denied, or sent otherwise than declared.
    Incorrect,
}

impl CellMark {
    /// All, in the order of the legend.
    pub(crate) const ALL: [Self; 8] = [
        Self::Clear,
        Self::Vague,
        Self::Ambiguous,
        Self::Incorrect,
        Self::Omitted,
        Self::Unreadable,
        Self::DeclaredOnly,
        Self::NoPolicy,
    ];

    /// The mark of a verdict.
    pub(crate) const fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            Some(Verdict::Clear) => Self::Clear,
            Some(Verdict::Vague) => Self::Vague,
            Some(Verdict::Ambiguous) => Self::Ambiguous,
            Some(Verdict::Incorrect) => Self::Incorrect,
            Some(Verdict::Omitted) => Self::Omitted,
            Some(Verdict::Unreadable) => Self::Unreadable,
            None => Self::NoPolicy,
        }
    }

    /// The letter shown.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Clear => 'C',
            Self::Vague => 'V',
            Self::Ambiguous => 'A',
            Self::Incorrect => 'I',
            Self::Omitted => 'O',
            Self::Unreadable => 'U',
            Self::DeclaredOnly => 'd',
            Self::NoPolicy => '?',
        }
    }

    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Vague => "vague",
            Self::Ambiguous => "ambiguous",
            Self::Incorrect => "incorrect",
            Self::Omitted => "omitted",
            Self::Unreadable => "unreadable",
            Self::DeclaredOnly => "declared, not seen",
            Self::NoPolicy => "no policy",
        }
    }
}

/// One cell that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    /// What it says.
    pub(crate) mark: CellMark,
    /// Observations.
    pub(crate) count: u64,
    /// Place in `data_flows`, or in `declared_only` where the mark is `DeclaredOnly`.
    pub(crate) source: usize,
}

/// One recipient.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Who.
    pub(crate) party: Arc<Party>,
    compact: Title,
    wide: Title,
    worst: CellMark,
    count: u64,
}

/// The name of a recipient in at most two lines.
#[derive(Debug, Clone)]
pub(crate) struct Title {
    /// The lines; a name of one line stands in the second.
    pub(crate) lines: [String; 2],
    /// Columns of the terminal they need.
    pub(crate) width: u16,
}

/// How much room recipients are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Long names are cut, so that more recipients fit.
    Compact,
    /// Names are whole but for very long ones.
    Wide,
}

/// The matrix of a report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    /// Data types in the order of the report; those only declared come last.
    pub(crate) rows: Vec<DataType>,
    /// Recipients: first party, then by worst verdict, observations and name.
    pub(crate) columns: Vec<Column>,
    cells: BTreeMap<(usize, usize), Cell>,
}

/// Who a column stands for: an app's own servers and the same company as a third party are two.
type PartyKey = (Arc<str>, Role);

impl Matrix {
    /// Narrowest column.
    pub(crate) const COLUMN_MIN: u16 = 8;
    /// Widest column in the compact shape; longer names are cut.
    pub(crate) const COMPACT_MAX: u16 = 12;
    /// Widest column in the wide shape.
    pub(crate) const WIDE_MAX: u16 = 24;

    /// The matrix of a report.
    pub(crate) fn of(report: &Report) -> Self {
        let mut rows = Vec::new();
        let mut row_of = BTreeMap::new();
        let mut columns: BTreeMap<PartyKey, Column> = BTreeMap::new();
        let mut found: BTreeMap<(usize, PartyKey), Cell> = BTreeMap::new();
        let seen = report.data_flows.iter().enumerate().map(|(source, judged)| {
            let cell = Cell { mark: CellMark::of(judged.verdict), count: judged.flow.observations, source };
            (&judged.flow.data_type, &judged.flow.party, cell)
        });
        let declared = report.declared_only.iter().enumerate().map(|(source, declared)| {
            let cell = Cell { mark: CellMark::DeclaredOnly, count: 0, source };
            (&declared.data_type, &declared.party, cell)
        });
        for (data_type, party, cell) in seen.chain(declared) {
            let row = *row_of.entry(data_type.clone()).or_insert_with(|| {
                rows.push(data_type.clone());
                rows.len() - 1
            });
            let key = (Arc::clone(&party.id), party.role);
            let column = columns.entry(key.clone()).or_insert_with(|| Column::new(party));
            column.worst = column.worst.max(cell.mark);
            column.count += cell.count;
            found.entry((row, key)).or_insert(cell);
        }
        let mut columns: Vec<_> = columns.into_iter().collect();
        columns.sort_by(|(_, a), (_, b)| a.rank().cmp(&b.rank()));
        let place: BTreeMap<_, _> = columns.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        let cells = found.into_iter().filter_map(|((row, key), cell)| Some(((row, *place.get(&key)?), cell)));
        Self { rows, cells: cells.collect(), columns: columns.into_iter().map(|(_, column)| column).collect() }
    }

    /// The cell at a row and column; none where nothing was seen or declared.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<Cell> {
        self.cells.get(&(row, column)).copied()
    }

    /// Whether a mark occurs.
    pub(crate) fn has(&self, mark: CellMark) -> bool {
        self.cells.values().any(|cell| cell.mark == mark)
    }
}

impl Column {
    fn new(party: &Arc<Party>) -> Self {
        let name = text::visible(&party.name);
        Self {
            party: Arc::clone(party),
            compact: Title::new(&name, Matrix::COMPACT_MAX),
            wide: Title::new(&name, Matrix::WIDE_MAX),
            worst: CellMark::DeclaredOnly,
            count: 0,
        }
    }

    /// Its name in a shape.
    pub(crate) fn title(&self, shape: Shape) -> &Title {
        match shape {
            Shape::Compact => &self.compact,
            Shape::Wide => &self.wide,
        }
    }

    fn rank(&self) -> (bool, std::cmp::Reverse<(CellMark, u64)>, &Party) {
        let third = self.party.role != Role::FirstParty;
        (third, std::cmp::Reverse((self.worst, self.count)), &self.party)
    }
}

impl Title {
    /// In the least width its name needs, at most `max`.
    fn new(name: &str, max: u16) -> Self {
        let mut widths = Matrix::COLUMN_MIN..max;
        let width = widths.find(|&width| two_lines(name, usize::from(width)).is_some()).unwrap_or(max);
        let lines = two_lines(name, usize::from(width)).unwrap_or_else(|| {
            let (first, rest) = split_at_width(name, usize::from(width));
            [first.trim_end().to_owned(), text::fit(rest.trim_start(), usize::from(width))]
        });
        Self { lines, width }
    }
}

/// A name in two lines of a width, if it goes; a short one stands on the second.
fn two_lines(name: &str, width: usize) -> Option<[String; 2]> {
    if text::width(name) <= width {
        return Some([String::new(), name.to_owned()]);
    }
    let lines = text::wrap(&[text::piece(name, ratatui::style::Style::new())], width);
    match lines.as_slice() {
        [first, second] => Some([first.to_string().trim_end().to_owned(), second.to_string()]),
        _ => None,
    }
}

fn split_at_width(name: &str, width: usize) -> (&str, &str) {
    let end =
        name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| text::width(&name[..end]) <= width);
    name.split_at(end.last().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{CellMark, Column, Matrix, Shape, text};
    use crate::dashboard::tests::fixtures;
    use crate::model::{Party, Report, Role};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn the_first_party_comes_first_and_then_the_worst() {
        let matrix = Matrix::of(&fixtures::report());
        let worst: Vec<_> = matrix.columns.iter().map(|column| (column.party.role, column.worst)).collect();
        assert_eq!(worst[0].0, Role::FirstParty);
        assert!(worst[1..].windows(2).all(|pair| pair[0].1 >= pair[1].1), "{worst:?}");
    }

    #[test]
    fn every_data_flow_and_declaration_has_its_cell() {
        let report = fixtures::report();
        let matrix = Matrix::of(&report);
        assert_eq!(matrix.cells.len(), report.data_flows.len() + report.declared_only.len());
        let flow = &report.data_flows[0].flow;
        let row = matrix.rows.iter().position(|row| *row == flow.data_type).expect("row");
        let column = matrix.columns.iter().position(|column| column.party == flow.party).expect("column");
        assert_eq!(matrix.cell(row, column).map(|cell| cell.count), Some(flow.observations));
    }

    #[test]
    fn marks_are_told_apart_by_their_letter() {
        let letters: BTreeSet<_> = CellMark::ALL.map(CellMark::letter).into();
        assert_eq!(letters.len(), CellMark::ALL.len());
    }

    #[test]
    fn an_empty_report_makes_an_empty_matrix() {
        let matrix = Matrix::of(&Report::default());
        assert!(matrix.rows.is_empty() && matrix.columns.is_empty());
    }

    #[test]
    fn a_title_stays_within_its_column() {
        for name in
            ["友盟", "极光推送服务", "a-very-long-registrable-domain.example.com", "深圳市腾讯计算机系统有限公司", ""]
        {
            let party = Arc::new(Party { id: "x".into(), name: name.into(), role: Role::ThirdParty });
            let column = Column::new(&party);
            for title in [column.title(Shape::Compact), column.title(Shape::Wide)] {
                assert!(title.lines.iter().all(|line| text::width(line) <= usize::from(title.width)), "{title:?}");
            }
        }
    }
}
