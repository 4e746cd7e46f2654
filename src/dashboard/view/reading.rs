//! Text to read over a screen: the help, made from the key table, and the introduction of a run.

use super::put;
use crate::dashboard::keys::{Scope, bindings};
use crate::dashboard::matrix::CellMark;
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Breaks, Paragraph};
use crate::dashboard::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns the keys take in the help.
const KEYS_WIDTH: usize = 12;
/// Columns of the word that tells how much there is below.
const BELOW_WIDTH: u16 = 12;

/// The help: every row of the key table under the heading of its scope, then the marks.
pub(crate) fn help_lines(width: u16) -> Vec<Line<'static>> {
    // Bold needs no colour, so the help looks the same with and without.
    let theme = Theme::plain();
    let entry = |term: &str, words: &str| {
        let term = text::piece(&format!("  {}", text::pad(term, KEYS_WIDTH)), theme.title());
        let pieces = vec![term, text::piece(words, theme.text())];
        Paragraph { hang: KEYS_WIDTH + 2, breaks: Breaks::Words, pieces }
    };
    let heading = |words: &str| Paragraph { pieces: vec![text::piece(words, theme.title())], ..Paragraph::default() };
    let mut paragraphs = Vec::new();
    for scope in Scope::ALL {
        paragraphs.push(heading(scope.title()));
        paragraphs.extend(bindings(&[scope]).map(|binding| entry(binding.shown, binding.help)));
        paragraphs.push(Paragraph::default());
    }
    paragraphs.push(heading("Marks"));
    paragraphs.extend(CellMark::ALL.map(|mark| entry(&mark.letter().to_string(), mark.name())));
    paragraphs.push(entry("·", "nothing"));
    text::wrap_paragraphs(&paragraphs, usize::from(width))
}

/// The introduction, wrapped.
pub(crate) fn intro_lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let pieces = [text::piece(state.intro.as_deref().unwrap_or_default(), state.theme.text())];
    text::wrap(&pieces, usize::from(width))
}

/// The last first line of a text in a body.
pub(crate) fn end(lines: &[Line<'_>], body: Rect) -> usize {
    lines.len().saturating_sub(usize::from(body.height))
}

/// Draws a text from a line on.
pub(super) fn draw(lines: &[Line<'_>], top: usize, body: Rect, buffer: &mut Buffer) {
    for (row, line) in lines.iter().skip(top).take(usize::from(body.height)).enumerate() {
        put(buffer, body, row, line);
    }
    let below = lines.len().saturating_sub(top + usize::from(body.height));
    if below > 0 && body.width > 2 * BELOW_WIDTH {
        let corner = Rect { x: body.right() - BELOW_WIDTH, width: BELOW_WIDTH, ..body };
        let words = text::pad_left(&format!("↓ {below} more"), usize::from(BELOW_WIDTH));
        put(buffer, corner, usize::from(body.height) - 1, &Line::styled(words, Theme::plain().muted()));
    }
}
