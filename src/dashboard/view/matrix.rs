//! Data type × recipient: a letter for the verdict and how often, so that it reads without colour too. Recipients
//! that do not fit scroll in from the right.

use super::{list, put};
use crate::dashboard::layout;
use crate::dashboard::matrix::{Cell, CellMark, Column, Shape};
use crate::dashboard::proof::Subject;
use crate::dashboard::state::{Cursor, Phase, State};
use crate::dashboard::text;
use crate::model::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::sync::Arc;

/// The first screen.
pub(super) struct Matrix;

/// Rows of titles.
const TITLES: u16 = 2;
/// Rows of details: a rule, the selected cell in words, its reason, the legend.
const DETAILS: u16 = 4;
/// Widest column of data types.
const LABEL_MAX: usize = 22;
/// Columns of a cell that are reversed where it is selected: mark, blank, count.
const CELL_WIDTH: usize = 7;

impl super::Screen for Matrix {
    fn name(&self) -> &'static str {
        "Matrix"
    }

    fn rows(&self, state: &State) -> usize {
        state.matrix.rows.len()
    }

    fn height(&self, body: Rect) -> usize {
        usize::from(layout::list(body, TITLES, DETAILS).rows.height)
    }

    fn row_key(&self, state: &State, row: usize) -> Option<String> {
        state.matrix.rows.get(row).map(ToString::to_string)
    }

    fn columns(&self, state: &State) -> usize {
        state.matrix.columns.len()
    }

    fn column_key(&self, state: &State, column: usize) -> Option<String> {
        let party = &state.matrix.columns.get(column)?.party;
        Some(format!("{} {}", party.role.as_str(), party.id))
    }

    fn fit_columns(&self, state: &State, cursor: &mut Cursor, body: Rect) {
        let columns = &state.matrix.columns;
        cursor.column = cursor.column.min(columns.len().saturating_sub(1));
        cursor.left = cursor.left.min(cursor.column);
        let (room, shape) = (room_for_columns(state, body), shape(state, body));
        while cursor.left < cursor.column && taken(&columns[cursor.left..=cursor.column], shape) > room {
            cursor.left += 1;
        }
        while cursor.left > 0 && taken(&columns[cursor.left - 1..], shape) <= room {
            cursor.left -= 1;
        }
    }

    fn open(&self, state: &State) -> Option<Subject> {
        let cursor = state.cursor();
        state.matrix.cell(cursor.row, cursor.column)?;
        let party = &state.matrix.columns.get(cursor.column)?.party;
        Some(Subject::Cell(state.matrix.rows.get(cursor.row)?.clone(), Arc::clone(&party.id), party.role))
    }

    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer) {
        let parts = layout::list(body, TITLES, DETAILS);
        if state.matrix.rows.is_empty() {
            let words = match state.phase {
                Phase::Reading { .. } => "Nothing found yet: reading.",
                Phase::Done | Phase::Failed(_) => {
                    "No personal data was found in what could be read, and no policy declares any. \
                     Hosts tells what stayed closed; Log has the warnings."
                }
            };
            return list::put_empty(state, words, parts.rows, buffer);
        }
        let in_view = columns_in_view(state, body);
        draw_titles(state, in_view, parts.titles, body, buffer);
        let cursor = state.cursor();
        for (line, row) in (cursor.top..state.matrix.rows.len()).take(usize::from(parts.rows.height)).enumerate() {
            put(buffer, parts.rows, line, &row_line(state, row, in_view, body));
        }
        draw_details(state, parts.details, buffer);
    }
}

/// Columns the data types take: what the longest needs, but at most two fifths of the screen.
fn label_width(state: &State, body: Rect) -> usize {
    let longest = state.matrix.rows.iter().map(|row| text::width(row.as_str())).max().unwrap_or(0);
    let part = usize::from(body.width) * 2 / 5;
    longest.clamp(9, LABEL_MAX).min(part.max(9))
}

fn room_for_columns(state: &State, body: Rect) -> usize {
    usize::from(body.width).saturating_sub(label_width(state, body))
}

/// Terminal columns some recipients take, the blank before each counted.
fn taken(columns: &[Column], shape: Shape) -> usize {
    columns.iter().map(|column| usize::from(column.title(shape).width) + 1).sum()
}

/// Whole names where all recipients fit with them.
fn shape(state: &State, body: Rect) -> Shape {
    let fits = taken(&state.matrix.columns, Shape::Wide) <= room_for_columns(state, body);
    if fits { Shape::Wide } else { Shape::Compact }
}

/// The first recipient in view and the one after the last.
fn columns_in_view(state: &State, body: Rect) -> (usize, usize) {
    let columns = &state.matrix.columns;
    let left = state.cursor().left.min(columns.len());
    let (room, shape) = (room_for_columns(state, body), shape(state, body));
    let mut used = 0;
    let fits = |column: &&Column| {
        used += usize::from(column.title(shape).width) + 1;
        used <= room
    };
    let fitting = columns[left..].iter().take_while(fits).count();
    // A screen too narrow for one recipient still shows the start of it.
    (left, (left + fitting.max(1)).min(columns.len()))
}

fn draw_titles(state: &State, (left, right): (usize, usize), area: Rect, body: Rect, buffer: &mut Buffer) {
    let (theme, cursor, width, shape) = (state.theme, state.cursor(), label_width(state, body), shape(state, body));
    let hidden = state.matrix.columns.len() - right;
    let more = match (left, hidden) {
        (0, 0) => String::new(),
        (0, hidden) => format!("{hidden} more →"),
        (left, 0) => format!("← {left} more"),
        (left, hidden) => format!("← {left}  {hidden} →"),
    };
    let rows = usize::from(area.height);
    for line in 0..rows {
        // With room for one row only, the second line of the names is the one that is never empty.
        let part = if rows == 1 { 1 } else { line };
        let label = if rows == 1 || line == 0 { more.as_str() } else { "data type" };
        let mut spans = vec![Span::styled(text::pad(label, width), theme.muted())];
        for at in left..right {
            let title = state.matrix.columns[at].title(shape);
            let style = if at == cursor.column { theme.title() } else { theme.text() };
            spans.push(Span::raw(" "));
            spans.push(Span::styled(text::pad(&title.lines[part], usize::from(title.width)), style));
        }
        put(buffer, area, line, &Line::from(spans));
    }
}

fn row_line(state: &State, row: usize, (left, right): (usize, usize), body: Rect) -> Line<'static> {
    let (theme, cursor, shape) = (state.theme, state.cursor(), shape(state, body));
    let label = state.matrix.rows[row].as_str();
    let style = if row == cursor.row { theme.title() } else { theme.text() };
    let mut spans = vec![Span::styled(text::pad(label, label_width(state, body)), style)];
    for at in left..right {
        let width = usize::from(state.matrix.columns[at].title(shape).width);
        let chosen = row == cursor.row && at == cursor.column;
        let (shown, style) = match state.matrix.cell(row, at) {
            Some(cell) => (cell_text(cell), theme.mark(cell.mark)),
            None => ("·".to_owned(), theme.muted()),
        };
        let style = if chosen { style.patch(theme.selected()) } else { style };
        spans.push(Span::raw(" "));
        spans.push(Span::styled(text::pad(&shown, CELL_WIDTH.min(width)), style));
        spans.push(Span::raw(" ".repeat(width.saturating_sub(CELL_WIDTH))));
    }
    Line::from(spans)
}

fn cell_text(cell: Cell) -> String {
    match cell.mark {
        mark if cell.count == 0 => mark.letter().to_string(),
        mark => format!("{} {}", mark.letter(), text::short_count(cell.count)),
    }
}

fn draw_details(state: &State, area: Rect, buffer: &mut Buffer) {
    let (theme, cursor) = (state.theme, state.cursor());
    let (row, column) = (state.matrix.rows.get(cursor.row), state.matrix.columns.get(cursor.column));
    let (Some(row), Some(column)) = (row, column) else { return };
    put(buffer, area, 0, &list::rule(state, area.width, ""));
    let role = match column.party.role {
        Role::FirstParty => " (first party)",
        Role::Platform => " (platform)",
        Role::Unknown => " (unknown)",
        Role::ThirdParty => "",
    };
    let cell = state.matrix.cell(cursor.row, cursor.column);
    let (what, reason) = match cell {
        None => ("nothing seen, nothing declared".to_owned(), ""),
        Some(cell) => describe(state, cell),
    };
    let room = usize::from(area.width);
    // The verdict in words matters more than the end of a long name.
    let name_room = room.saturating_sub(text::width(&what).min(room / 2) + 2);
    let name = text::fit(&format!("{row} → {}{role}", column.party.name), name_room);
    let what = text::fit(&what, room.saturating_sub(text::width(&name) + 2));
    let words = Line::from(vec![
        Span::styled(name, theme.title()),
        Span::styled(": ", theme.title()),
        Span::styled(what, cell.map_or(theme.muted(), |cell| theme.mark(cell.mark))),
    ]);
    put(buffer, area, 1, &words);
    put(buffer, area, 2, &Line::styled(text::fit(reason, room), theme.text()));
    put(buffer, area, 3, &legend(state, room));
}

fn describe(state: &State, cell: Cell) -> (String, &str) {
    if cell.mark == CellMark::DeclaredOnly {
        let clause = state.report.declared_only.get(cell.source).map(|only| only.clause.clause.as_str());
        return (format!("{} (clause {})", cell.mark.name(), clause.unwrap_or("?")), "");
    }
    let Some(judged) = state.report.data_flows.get(cell.source) else { return (String::new(), "") };
    let hosts = judged.flow.hosts.len();
    let plural = if hosts == 1 { "" } else { "s" };
    let mut what = format!("{}, seen {}× at {hosts} host{plural}", cell.mark.name(), cell.count);
    if judged.flow.cleartext {
        what.push_str(", in clear text");
    }
    if judged.flow.before_consent {
        what.push_str(", before consent");
    }
    (what, &judged.reason)
}

/// The letters with their words, those in the matrix first; on a narrow screen as many as fit.
fn legend(state: &State, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut used = 0;
    let short = |mark: CellMark| match mark {
        CellMark::DeclaredOnly => "declared",
        mark => mark.name(),
    };
    let (present, absent): (Vec<_>, Vec<_>) = CellMark::ALL.into_iter().partition(|&mark| state.matrix.has(mark));
    for mark in present.into_iter().chain(absent) {
        let needed = short(mark).len() + 2;
        if used + needed > width {
            break;
        }
        used += needed + 1;
        spans.push(Span::styled(mark.letter().to_string(), state.theme.mark(mark)));
        spans.push(Span::styled(format!(" {} ", short(mark)), state.theme.muted()));
    }
    Line::from(spans)
}
