//! Both sides of a proof: the policy's words with the data phrase highlighted, and the request's bytes with the
//! match highlighted and what was undone to reach it, step by step. Side by side, or above each other where narrow.

use super::{list, put, request};
use crate::dashboard::layout;
use crate::dashboard::matrix::CellMark;
use crate::dashboard::proof::{Case, Pane, Proof};
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Piece, piece};
use crate::dashboard::theme::Theme;
use crate::model::{ClauseQuote, Polarity, Report, Span as Chars};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Rows above the panes: what it is about, and why.
const HEAD: u16 = 2;

/// Draws a proof.
pub(super) fn draw(state: &State, proof: &Proof, body: Rect, buffer: &mut Buffer) {
    let case = Case::of(state, &proof.subject);
    let (head, panes) = parts(body);
    draw_head(state, &case, head, buffer);
    let lines = pane_lines(state, &case, proof, panes.map(|pane| pane.width));
    for (pane, area) in [Pane::Clause, Pane::Request].into_iter().zip(panes) {
        let (lines, top) = (&lines[pane as usize], proof.scroll[pane as usize]);
        let (title, text_area) = layout::split(area, 1);
        let below = lines.len().saturating_sub(top + usize::from(text_area.height));
        let words = pane_title(&case, proof, pane, top, below);
        let mut rule = list::rule(state, title.width, &words);
        if proof.pane == pane {
            rule.style = state.theme.title();
        }
        put(buffer, title, 0, &rule);
        for (row, line) in lines.iter().skip(top).take(usize::from(text_area.height)).enumerate() {
            put(buffer, text_area, row, line);
        }
    }
    if panes[1].x > panes[0].right() {
        let gap = Rect { x: panes[0].right(), width: 1, ..panes[0] };
        for row in 1..usize::from(gap.height) {
            put(buffer, gap, row, &Line::styled("│", state.theme.muted()));
        }
    }
}

/// The scroll of both panes brought back to where there is text.
pub(crate) fn ends(state: &State, proof: &Proof, body: Rect, scroll: [usize; 2]) -> [usize; 2] {
    let case = Case::of(state, &proof.subject);
    let (_, panes) = parts(body);
    let lines = pane_lines(state, &case, proof, panes.map(|pane| pane.width));
    [0, 1].map(|at| {
        let height = usize::from(panes[at].height.saturating_sub(1));
        scroll[at].min(lines[at].len().saturating_sub(height))
    })
}

fn parts(body: Rect) -> (Rect, [Rect; 2]) {
    let (head, rest) = layout::split(body, if body.height >= 10 { HEAD } else { 0 });
    (head, layout::panes(rest))
}

fn pane_lines(state: &State, case: &Case<'_>, proof: &Proof, widths: [u16; 2]) -> [Vec<Line<'static>>; 2] {
    [
        text::wrap(&clause_pieces(state, case, proof.clause), usize::from(widths[0])),
        text::wrap_paragraphs(&request::paragraphs(state, case, proof), usize::from(widths[1])),
    ]
}

fn draw_head(state: &State, case: &Case<'_>, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut spans = Vec::new();
    if let Some(mark) = case.mark {
        spans.push(Span::styled(format!("{} {}  ", mark.letter(), mark.name()), state.theme.mark(mark)));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::styled(text::fit(&case.title, width.saturating_sub(used)), state.theme.title()));
    put(buffer, area, 0, &Line::from(spans));
    put(buffer, area, 1, &Line::styled(text::fit(case.reason, width), state.theme.text()));
}

fn pane_title(case: &Case<'_>, proof: &Proof, pane: Pane, above: usize, below: usize) -> String {
    let (name, at, count) = match pane {
        Pane::Clause => ("clause", proof.clause, case.clauses.len()),
        Pane::Request => ("request", proof.evidence, case.exhibits.len()),
    };
    let place = if count > 1 { format!(" {} of {count}", at + 1) } else { String::new() };
    let arrows = match (above, below) {
        (0, 0) => "",
        (0, _) => " ↓",
        (_, 0) => " ↑",
        (_, _) => " ↑↓",
    };
    let focus = if proof.pane == pane { "▸ " } else { "" };
    format!(" {focus}{name}{place}{arrows} ")
}

fn clause_pieces(state: &State, case: &Case<'_>, at: usize) -> Vec<Piece> {
    let theme = state.theme;
    let mut pieces = match case.clauses.get(at) {
        None => vec![piece(no_clause(state, case.mark), theme.muted())],
        Some(quote) => {
            let mut pieces = clause_heading(&state.report, quote, theme);
            pieces.extend(quote_pieces(&state.report, quote, theme));
            pieces
        }
    };
    if !case.reason.is_empty() {
        pieces.push(piece(&format!("\n\nwhy  {}", case.reason), theme.muted()));
    }
    if !case.regulations.is_empty() {
        pieces.push(piece(&format!("\nsee  {}", case.regulations.join(", ")), theme.muted()));
    }
    pieces
}

fn no_clause(state: &State, mark: Option<CellMark>) -> &'static str {
    if state.report.policies.is_empty() {
        return "No policy was given, so there is nothing to hold this against.";
    }
    match mark {
        Some(CellMark::Omitted) => "No clause of the policy speaks of this data going to this recipient.",
        _ => "No clause is on record for this.",
    }
}

fn clause_heading(report: &Report, quote: &ClauseQuote, theme: Theme) -> Vec<Piece> {
    let polarity = match quote.polarity {
        Polarity::Positive => "declares",
        Polarity::Negative => "denies",
    };
    let mut pieces = vec![piece(&format!("{}  ", quote.clause), theme.title()), piece(polarity, theme.text())];
    // With several policies the reader has to know whose words these are.
    if report.policies.len() > 1
        && let Some(policy) = report.policies.get(quote.document)
    {
        let name = policy.document.title.as_deref().unwrap_or(&policy.file);
        pieces.push(piece(&format!("  {name}"), theme.muted()));
    }
    pieces.push(piece("\n\n", theme.text()));
    pieces
}

/// The clause as the policy has it, with the phrase highlighted; the quote itself where the policy's text does not
/// have it at that place.
fn quote_pieces(report: &Report, quote: &ClauseQuote, theme: Theme) -> Vec<Piece> {
    let policy = report.policies.get(quote.document);
    let in_policy = policy.and_then(|policy| slice(&policy.text, quote.span)).filter(|text| !text.trim().is_empty());
    let text = in_policy.unwrap_or(&quote.text);
    let inside = quote.phrase.filter(|phrase| quote.span.0 <= phrase.0 && phrase.1 <= quote.span.1);
    let Some(phrase) = inside else {
        let mut pieces = vec![piece(text, theme.text())];
        let elsewhere = quote.phrase.and_then(|phrase| slice(&policy?.text, phrase));
        if let Some(words) = elsewhere {
            pieces.push(piece("\n\nwith  ", theme.muted()));
            pieces.push(piece(words, theme.highlight()));
        }
        return pieces;
    };
    let chars = text.chars().count();
    let part = |from: usize, to: usize| slice(text, Chars(from.min(chars), to.min(chars))).unwrap_or_default();
    let (from, to) = (phrase.0 - quote.span.0, phrase.1 - quote.span.0);
    vec![
        piece(part(0, from), theme.text()),
        piece(part(from, to), theme.highlight()),
        piece(part(to, chars), theme.text()),
    ]
}

/// The part of a text between two offsets in characters; none where they are not in it or the wrong way round.
fn slice(text: &str, span: Chars) -> Option<&str> {
    let mut offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = offsets.nth(span.0)?;
    let end = match span.1.checked_sub(span.0)? {
        0 => start,
        length => offsets.nth(length - 1)?,
    };
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::{Chars, quote_pieces, slice};
    use crate::dashboard::tests::fixtures;
    use crate::dashboard::theme::Theme;

    #[test]
    fn a_slice_counts_characters_and_stays_inside() {
        assert_eq!(slice("我们收集IMEI", Chars(2, 4)), Some("收集"));
        assert_eq!(slice("我们", Chars(0, 2)), Some("我们"));
        assert_eq!(slice("我们", Chars(1, 1)), Some(""));
        assert_eq!(slice("我们", Chars(1, 3)), None);
        assert_eq!(slice("我们", Chars(2, 1)), None);
    }

    #[test]
    fn the_data_phrase_of_a_clause_is_highlighted() {
        let report = fixtures::report();
        let quote = &report.data_flows[1].clauses[0];
        let pieces = quote_pieces(&report, quote, Theme::plain());
        let marked: Vec<_> =
            pieces.iter().filter(|piece| piece.style == Theme::plain().highlight()).map(|piece| &*piece.text).collect();
        assert_eq!(marked, ["设备信息"]);
    }
}
