//! The frame around every screen: the header with what is looked at and the totals, the tabs, and the footer with
//! the keys that hold now. Parts that do not fit go by priority.

use super::{SCREENS, put};
use crate::dashboard::keys;
use crate::dashboard::redact::Values;
use crate::dashboard::state::{Phase, State};
use crate::dashboard::text;
use crate::model::{PolicyUsed, Severity};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Between two parts of a line; three columns.
const GAP: &str = " · ";
const GAP_WIDTH: usize = 3;
/// Narrowest room for the policy's date and title.
const POLICY_MIN: usize = 12;

/// Draws what is looked at and the totals.
pub(super) fn draw_header(state: &State, area: Rect, buffer: &mut Buffer) {
    if area.height > 1 {
        put(buffer, area, 0, &source_line(state, usize::from(area.width)));
    }
    if area.height > 0 {
        put(buffer, area, usize::from(area.height) - 1, &totals_line(state, usize::from(area.width)));
    }
}

/// Program, inputs, app; on the right how far reading is.
fn source_line(state: &State, width: usize) -> Line<'static> {
    let theme = state.theme;
    let (phase, style) = match &state.phase {
        Phase::Reading { bytes, total } => match text::percent(*bytes, *total) {
            Some(percent) => (format!("reading {percent:>3}%"), theme.muted()),
            None => ("reading".to_owned(), theme.muted()),
        },
        Phase::Done => ("done".to_owned(), theme.muted()),
        Phase::Failed(reason) => (format!("stopped: {reason}"), theme.alarm()),
    };
    // Whoever shares a screen has to see at any time that values are readable on it.
    let phase = if state.values == Values::Shown { format!("values shown · {phase}") } else { phase };
    let phase = text::fit(&phase, (width / 2).max(8));
    let names: Vec<_> = state.report.inputs.iter().map(|input| file_name(input)).collect();
    let mut what = names.join(", ");
    if let Some(app) = &state.report.app {
        what = if what.is_empty() { app.clone() } else { format!("{what}{GAP}{app}") };
    }
    let room = width.saturating_sub("divulge  ".len() + text::width(&phase) + 1);
    Line::from(vec![
        Span::styled("divulge  ", theme.title()),
        Span::styled(text::pad(&what, room), theme.text()),
        Span::raw(" "),
        Span::styled(phase, style),
    ])
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Policy, exchanges, coverage, findings; the first of these go first where there is no room.
fn totals_line(state: &State, width: usize) -> Line<'static> {
    let (report, theme) = (state.report.as_ref(), state.theme);
    let high = report.findings.iter().filter(|finding| finding.severity == Severity::High).count();
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let count = report.findings.len();
    let findings = format!("{count} finding{}", plural(count as u64));
    let mut parts = vec![match high {
        0 => (findings, theme.text()),
        high => (format!("{findings}, {high} high"), theme.alarm()),
    }];
    if let Some(percent) = text::percent(report.coverage.readable_bytes, report.coverage.bytes) {
        let style = if percent < 100 { theme.title() } else { theme.text() };
        parts.push((format!("{percent}% read"), style));
    }
    let exchanges = state.exchanges();
    parts.push((format!("{} exchange{}", text::short_count(exchanges), plural(exchanges)), theme.text()));
    let mut used = 0;
    let fits = |(part, _): &(String, _)| {
        used += text::width(part) + if used > 0 { GAP_WIDTH } else { 0 };
        used <= width
    };
    let mut kept: Vec<_> = parts.into_iter().take_while(fits).collect();
    let taken: usize = kept.iter().map(|(part, _)| text::width(part) + GAP_WIDTH).sum();
    let room = width.saturating_sub(taken);
    if room >= POLICY_MIN {
        kept.push((text::fit(&policy_text(&report.policies), room), theme.muted()));
    }
    let mut spans = Vec::new();
    for (part, style) in kept.into_iter().rev() {
        if !spans.is_empty() {
            spans.push(Span::styled(GAP, theme.muted()));
        }
        spans.push(Span::styled(part, style));
    }
    Line::from(spans)
}

fn policy_text(policies: &[PolicyUsed]) -> String {
    let [first, others @ ..] = policies else { return "no policy".to_owned() };
    let document = &first.document;
    let title = document.title.as_deref().unwrap_or(file_name(&first.file));
    let date = document.effective_date.as_deref().or(document.updated_date.as_deref());
    let mut shown = date.map_or_else(|| title.to_owned(), |date| format!("{date} {title}"));
    if !others.is_empty() {
        shown.push_str(&format!(" and {} more", others.len()));
    }
    shown
}

/// Draws the names of the screens; where they do not fit, the numbers and the name of the one in view.
pub(super) fn draw_tabs(state: &State, area: Rect, buffer: &mut Buffer) {
    let full: usize = SCREENS.iter().map(|screen| screen.name().len() + 5).sum();
    let all_names = full <= usize::from(area.width);
    let mut spans = Vec::new();
    for (at, screen) in SCREENS.iter().enumerate() {
        let chosen = at == state.screen;
        let style = if chosen { state.theme.selected() } else { state.theme.muted() };
        let name = if all_names || chosen { format!(" {}", screen.name()) } else { String::new() };
        spans.push(Span::styled(format!(" {}{name} ", at + 1), style));
        spans.push(Span::raw(" "));
    }
    put(buffer, area, 0, &Line::from(spans));
}

/// Draws a notice, or the keys that hold now.
pub(super) fn draw_footer(state: &State, area: Rect, buffer: &mut Buffer) {
    if let Some(notice) = &state.notice {
        let shown = text::fit(notice.text, usize::from(area.width));
        return put(buffer, area, 0, &Line::styled(shown, state.theme.title()));
    }
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    let can_open = SCREENS[state.screen].open(state).is_some();
    let useful =
        |binding: &&keys::Binding| !binding.hint.is_empty() && (binding.action != keys::Action::Open || can_open);
    for binding in keys::bindings(state.scopes()).filter(useful) {
        let needed = text::width(binding.hint);
        if used + needed > usize::from(area.width) {
            continue;
        }
        used += needed + 2;
        let (keys, words) = split_hint(binding.hint);
        spans.push(Span::styled(keys, state.theme.title()));
        spans.push(Span::styled(format!("{words}  "), state.theme.muted()));
    }
    put(buffer, area, 0, &Line::from(spans));
}

/// The keys of a hint, and its words: `← →` and ` request`, `tab` and ` next screen`.
fn split_hint(hint: &'static str) -> (&'static str, &'static str) {
    let pair = hint.char_indices().nth(1).filter(|&(_, second)| second == ' ').and_then(|(at, _)| {
        let after = hint[at + 1..].find(' ')?;
        (hint[at + 1..].chars().nth(1) == Some(' ')).then_some(at + 1 + after)
    });
    hint.split_at(pair.or_else(|| hint.find(' ')).unwrap_or(hint.len()))
}
