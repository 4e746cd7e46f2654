//! Draws a state: header, tabs, the screen or what lies over it, and the footer. Every screen is a file here and a
//! line in [`SCREENS`]. Views only read; the same state at the same size always gives the same cells.

mod chrome;
mod exchanges;
mod findings;
mod hosts;
mod list;
mod log;
mod matrix;
mod proof;
mod reading;
mod request;

pub(crate) use proof::ends as proof_ends;
pub(crate) use reading::{end as reading_end, help_lines, intro_lines};

use super::layout;
use super::proof::Subject;
use super::state::{Cursor, Overlay, State};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// One screen.
pub(crate) trait Screen: Sync {
    /// The name on its tab.
    fn name(&self) -> &'static str;

    /// How many rows it has to choose from.
    fn rows(&self, state: &State) -> usize;

    /// How many rows are in view in a body.
    fn height(&self, body: Rect) -> usize;

    /// What a row is about, whatever its place; used to keep it selected as reports come.
    fn row_key(&self, state: &State, row: usize) -> Option<String>;

    /// How many columns it has to choose from.
    fn columns(&self, _state: &State) -> usize {
        0
    }

    /// What a column is about, whatever its place.
    fn column_key(&self, _state: &State, _column: usize) -> Option<String> {
        None
    }

    /// Keeps the selected column in view.
    fn fit_columns(&self, _state: &State, _cursor: &mut Cursor, _body: Rect) {}

    /// Whether its rows are those of the window of exchanges and move up as old ones go.
    fn rolls(&self) -> bool {
        false
    }

    /// What the proof of the selected row is about.
    fn open(&self, state: &State) -> Option<Subject>;

    /// Draws it.
    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer);
}

/// The screens in the order of their numbers.
pub(crate) const SCREENS: &[&dyn Screen] =
    &[&matrix::Matrix, &exchanges::Exchanges, &findings::Findings, &hosts::Hosts, &log::Log];

/// Draws everything.
pub(crate) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let parts = layout::chrome(area);
    chrome::draw_header(state, parts.header, buffer);
    chrome::draw_tabs(state, parts.tabs, buffer);
    match &state.overlay {
        Some(Overlay::Help(top)) => reading::draw(&help_lines(parts.body.width), *top, parts.body, buffer),
        Some(Overlay::Intro(top)) => {
            reading::draw(&intro_lines(state, parts.body.width), *top, parts.body, buffer);
        }
        Some(Overlay::Proof(proof)) => proof::draw(state, proof, parts.body, buffer),
        None => SCREENS[state.screen].draw(state, parts.body, buffer),
    }
    chrome::draw_footer(state, parts.footer, buffer);
}

/// Writes a line in a row of an area; outside it, nothing.
fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    let area = area.intersection(buffer.area);
    let Ok(row) = u16::try_from(row) else { return };
    if row < area.height && area.width > 0 {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}
