//! The findings, gravest first, as the report orders them.

use super::list;
use crate::dashboard::layout::{Align, TableColumn, Width};
use crate::dashboard::matrix::CellMark;
use crate::dashboard::proof::Subject;
use crate::dashboard::state::{Phase, State};
use crate::dashboard::text::{self, Piece};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The screen of findings.
pub(super) struct Findings;

const COLUMNS: [TableColumn; 6] = [
    TableColumn { title: "grave", width: Width::Fixed(6), rank: 0, align: Align::Left },
    TableColumn { title: "", width: Width::Fixed(1), rank: 1, align: Align::Left },
    TableColumn { title: "data type", width: Width::Fixed(18), rank: 2, align: Align::Left },
    TableColumn { title: "recipient", width: Width::Fixed(16), rank: 3, align: Align::Left },
    TableColumn { title: "what is wrong", width: Width::Share(24), rank: 0, align: Align::Left },
    TableColumn { title: "code", width: Width::Fixed(26), rank: 4, align: Align::Left },
];

impl super::Screen for Findings {
    fn name(&self) -> &'static str {
        "Findings"
    }

    fn rows(&self, state: &State) -> usize {
        state.report.findings.len()
    }

    fn height(&self, body: Rect) -> usize {
        list::height(body)
    }

    fn row_key(&self, state: &State, row: usize) -> Option<String> {
        state.report.findings.get(row).map(|finding| finding.fingerprint.clone())
    }

    fn open(&self, state: &State) -> Option<Subject> {
        let finding = state.report.findings.get(state.cursor().row)?;
        Some(Subject::Finding(finding.fingerprint.clone()))
    }

    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer) {
        let empty = match state.phase {
            Phase::Reading { .. } => "No finding yet: reading.",
            Phase::Done | Phase::Failed(_) => "Nothing to find fault with in what could be read.",
        };
        let list = list::List {
            columns: &COLUMNS,
            rows: state.report.findings.len(),
            cell: &|row, column| cell(state, row, column),
            details: &|row| details(state, row),
            empty,
        };
        list::draw(state, &list, body, buffer);
    }
}

fn cell(state: &State, row: usize, column: usize) -> (String, Style) {
    let theme = state.theme;
    let Some(finding) = state.report.findings.get(row) else { return (String::new(), theme.text()) };
    let flow = finding.data_flow.as_ref();
    match column {
        0 => (finding.severity.as_str().to_owned(), theme.severity(finding.severity)),
        1 => match finding.verdict.map(|verdict| CellMark::of(Some(verdict))) {
            Some(mark) => (mark.letter().to_string(), theme.mark(mark)),
            None => (String::new(), theme.text()),
        },
        2 => (flow.map_or_else(String::new, |(data_type, _)| data_type.to_string()), theme.text()),
        3 => (flow.map_or_else(String::new, |(_, party)| party.name.to_string()), theme.text()),
        4 => (finding.title.clone(), theme.text()),
        _ => (finding.code.to_owned(), theme.muted()),
    }
}

fn details(state: &State, row: usize) -> Vec<Piece> {
    let theme = state.theme;
    let Some(finding) = state.report.findings.get(row) else { return Vec::new() };
    let mut pieces = vec![text::piece(&finding.title, theme.title())];
    if !finding.reason.is_empty() {
        pieces.push(text::piece(&format!("\n{}", finding.reason), theme.text()));
    }
    if !finding.regulations.is_empty() {
        pieces.push(text::piece(&format!("  {}", finding.regulations.join(", ")), theme.muted()));
    }
    pieces
}
