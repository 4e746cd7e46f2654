//! A table with a cursor and details of the selected row, which most screens are. Columns that do not fit go by rank.

use super::put;
use crate::dashboard::layout::{self, Align, TableColumn};
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Piece};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Rows of titles.
const TITLES: u16 = 1;
/// Rows of details, the rule above them counted.
const DETAILS: u16 = 4;

/// What a list shows.
pub(super) struct List<'a> {
    /// Its columns.
    pub(super) columns: &'a [TableColumn],
    /// How many rows there are.
    pub(super) rows: usize,
    /// What a row says in a column.
    pub(super) cell: &'a dyn Fn(usize, usize) -> (String, Style),
    /// What the selected row says at length.
    pub(super) details: &'a dyn Fn(usize) -> Vec<Piece>,
    /// What is said where there are no rows.
    pub(super) empty: &'a str,
}

/// Rows in view in a body.
pub(super) fn height(body: Rect) -> usize {
    usize::from(layout::list(body, TITLES, DETAILS).rows.height)
}

/// Draws a list.
pub(super) fn draw(state: &State, list: &List<'_>, body: Rect, buffer: &mut Buffer) {
    let (theme, cursor) = (state.theme, state.cursor());
    let parts = layout::list(body, TITLES, DETAILS);
    if list.rows == 0 {
        return put_empty(state, list.empty, parts.rows, buffer);
    }
    let columns = layout::fit_columns(list.columns, body.width);
    let titles = columns.iter().map(|&(at, width)| {
        let column = &list.columns[at];
        Span::styled(aligned(column.title, usize::from(width), column.align) + " ", theme.muted())
    });
    put(buffer, parts.titles, 0, &Line::from_iter(titles));
    for (line, row) in (cursor.top..list.rows).take(usize::from(parts.rows.height)).enumerate() {
        let mut spans = Vec::with_capacity(columns.len());
        for &(at, width) in &columns {
            let (content, style) = (list.cell)(row, at);
            let style = if row == cursor.row { style.patch(theme.selected()) } else { style };
            spans.push(Span::styled(aligned(&content, usize::from(width), list.columns[at].align) + " ", style));
        }
        put(buffer, parts.rows, line, &Line::from(spans));
    }
    draw_details(state, list, parts.details, buffer);
}

fn draw_details(state: &State, list: &List<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let row = state.cursor().row;
    put(buffer, area, 0, &rule(state, area.width, &format!(" {} of {} ", row + 1, list.rows)));
    let lines = text::wrap(&(list.details)(row), usize::from(area.width));
    let room = usize::from(area.height) - 1;
    for (at, line) in lines.iter().take(room).enumerate() {
        put(buffer, area, at + 1, line);
    }
    if lines.len() > room {
        let last = Rect { x: area.right().saturating_sub(1), width: 1, ..area };
        put(buffer, last, room, &Line::styled("…", state.theme.muted()));
    }
}

fn aligned(content: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => text::pad(content, width),
        Align::Tail => text::pad(&text::fit_end(content, width), width),
        Align::Right => text::pad_left(content, width),
    }
}

/// A rule across with a few words in it.
pub(super) fn rule(state: &State, width: u16, words: &str) -> Line<'static> {
    let words = text::fit(words, usize::from(width).saturating_sub(2));
    let rest = usize::from(width).saturating_sub(2 + text::width(&words));
    Line::styled(format!("──{words}{}", "─".repeat(rest)), state.theme.muted())
}

/// Says why there is nothing.
pub(super) fn put_empty(state: &State, words: &str, area: Rect, buffer: &mut Buffer) {
    let pieces = [text::piece(words, state.theme.muted())];
    for (at, line) in text::wrap(&pieces, usize::from(area.width)).iter().enumerate() {
        put(buffer, area, at, line);
    }
}
