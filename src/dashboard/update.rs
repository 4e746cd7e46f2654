//! From a state and a message to the next state: the whole behaviour of the dashboard, without a terminal, a clock
//! or a file. What it cannot do itself it asks for as effects.

use super::feed::Feed;
use super::keys::{self, Action, Key};
use super::layout;
use super::message::{Effect, Message};
use super::proof::{Case, Pane, Proof};
use super::redact::Values;
use super::state::{Cursor, NOTICE_TICKS, Notice, Overlay, Phase, State};
use super::view::{self, SCREENS, Screen};
use crate::model::Report;
use ratatui::layout::Rect;
use std::sync::Arc;

/// Takes one message in.
pub(crate) fn update(state: &mut State, message: Message) -> Vec<Effect> {
    // A flood of exchanges moves nothing but their list, and must not lay out all else again and again.
    let flood = matches!(message, Message::Feed(Feed::Exchange(_) | Feed::Progress { .. }));
    let effects = match message {
        Message::Key(key) => match keys::action(key, state.scopes()) {
            Some(action) => act(state, action, key),
            None => return Vec::new(),
        },
        Message::Resize(width, height) => {
            state.size = (width, height);
            vec![Effect::Redraw]
        }
        Message::Tick => tick(state),
        Message::Feed(feed) => {
            take(state, feed);
            vec![Effect::Redraw]
        }
    };
    if !effects.is_empty() {
        fit_cursors(state, |screen| !flood || screen.rolls());
        if !flood {
            fit_overlay(state);
        }
    }
    effects
}

fn tick(state: &mut State) -> Vec<Effect> {
    let Some(notice) = &mut state.notice else { return Vec::new() };
    notice.ticks = notice.ticks.saturating_sub(1);
    if notice.ticks > 0 {
        return Vec::new();
    }
    state.notice = None;
    vec![Effect::Redraw]
}

fn take(state: &mut State, feed: Feed) {
    match feed {
        Feed::Report(report) => take_report(state, report),
        Feed::Exchange(exchange) => {
            let oldest_went = state.window.take(*exchange);
            if oldest_went {
                keep_place_in_exchanges(state);
            }
        }
        Feed::Progress { bytes, total } => {
            if matches!(state.phase, Phase::Reading { .. }) {
                state.phase = Phase::Reading { bytes, total };
            }
        }
        Feed::Done => {
            if !matches!(state.phase, Phase::Failed(_)) {
                state.phase = Phase::Done;
            }
        }
        Feed::Failed(reason) => state.phase = Phase::Failed(reason),
    }
}

/// A new report may put other rows where the selected ones were, so selections are found again by what they name.
fn take_report(state: &mut State, report: Arc<Report>) {
    let kept: Vec<_> = SCREENS
        .iter()
        .zip(&state.cursors)
        .map(|(screen, cursor)| (screen.row_key(state, cursor.row), screen.column_key(state, cursor.column)))
        .collect();
    state.set_report(report);
    for (at, (row, column)) in kept.into_iter().enumerate() {
        let (screen, cursor) = (SCREENS[at], state.cursors[at]);
        let find = |key: Option<String>, count: usize, key_of: &dyn Fn(usize) -> Option<String>| {
            key.and_then(|key| (0..count).find(|&place| key_of(place).is_some_and(|other| other == key)))
        };
        let found_row = find(row, screen.rows(state), &|place| screen.row_key(state, place));
        let found_column = find(column, screen.columns(state), &|place| screen.column_key(state, place));
        let cursor =
            Cursor { row: found_row.unwrap_or(cursor.row), column: found_column.unwrap_or(cursor.column), ..cursor };
        state.cursors[at] = cursor;
    }
}

/// The rows of the exchanges moved up by one; the selection moves with its exchange.
fn keep_place_in_exchanges(state: &mut State) {
    for (screen, cursor) in SCREENS.iter().zip(&mut state.cursors) {
        if screen.rolls() && !cursor.follow {
            cursor.row = cursor.row.saturating_sub(1);
            cursor.top = cursor.top.saturating_sub(1);
        }
    }
}

fn act(state: &mut State, action: Action, key: Key) -> Vec<Effect> {
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Help => {
            state.overlay = match state.overlay {
                Some(Overlay::Help(_)) => None,
                Some(Overlay::Intro(_) | Overlay::Proof(_)) | None => Some(Overlay::Help(0)),
            };
        }
        Action::Close => state.overlay = None,
        Action::Open => {
            if let Some(subject) = SCREENS[state.screen].open(state) {
                state.overlay = Some(Overlay::Proof(Proof::of(subject)));
            }
        }
        Action::ToggleValues => {
            state.values = state.values.toggled();
            let text = match state.values {
                Values::Redacted => "personal values hidden",
                Values::Shown => "personal values shown: mind who sees this screen",
            };
            state.notice = Some(Notice { text, ticks: NOTICE_TICKS });
        }
        Action::NextScreen => go_to(state, (state.screen + 1) % SCREENS.len()),
        Action::PreviousScreen => go_to(state, (state.screen + SCREENS.len() - 1) % SCREENS.len()),
        Action::Numbered => {
            if let Key::Char(digit) = key
                && let Some(number) = digit.to_digit(10)
            {
                go_to(state, (number as usize).saturating_sub(1));
            }
        }
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::First
        | Action::Last
        | Action::Left
        | Action::Right => scroll(state, action),
        Action::SwitchPane
        | Action::NextEvidence
        | Action::PreviousEvidence
        | Action::NextClause
        | Action::PreviousClause => turn(state, action),
    }
    vec![Effect::Redraw]
}

fn go_to(state: &mut State, screen: usize) {
    if screen < SCREENS.len() {
        state.screen = screen;
        state.overlay = None;
    }
}

/// Moves the selection, or the text in view.
fn scroll(state: &mut State, action: Action) {
    let body = layout::chrome(area(state)).body;
    let moved = |from: usize, page: usize| match action {
        Action::Up => from.saturating_sub(1),
        Action::Down => from + 1,
        Action::PageUp => from.saturating_sub(page.max(1)),
        Action::PageDown => from + page.max(1),
        Action::First => 0,
        // `fit` brings it back to the last there is.
        Action::Last => usize::MAX / 2,
        _ => from,
    };
    let page = usize::from(body.height).saturating_sub(2);
    match &mut state.overlay {
        Some(Overlay::Help(top) | Overlay::Intro(top)) => *top = moved(*top, page),
        Some(Overlay::Proof(proof)) => *proof.scroll_mut() = moved(*proof.scroll_mut(), page / 2),
        None => {
            let page = SCREENS[state.screen].height(body);
            let cursor = &mut state.cursors[state.screen];
            match action {
                Action::Left => cursor.column = cursor.column.saturating_sub(1),
                Action::Right => cursor.column += 1,
                _ => {
                    cursor.row = moved(cursor.row, page);
                    cursor.follow = action == Action::Last;
                }
            }
        }
    }
}

/// Turns to another pane, clause or request of the proof.
fn turn(state: &mut State, action: Action) {
    let Some(Overlay::Proof(mut proof)) = state.overlay.take() else { return };
    let case = Case::of(state, &proof.subject);
    let stepped = |at: usize, count: usize, forward: bool| match (count, forward) {
        (0, _) => 0,
        (count, true) => (at + 1) % count,
        (count, false) => (at + count - 1) % count,
    };
    match action {
        Action::SwitchPane => {
            proof.pane = match proof.pane {
                Pane::Clause => Pane::Request,
                Pane::Request => Pane::Clause,
            };
        }
        Action::NextEvidence | Action::PreviousEvidence => {
            proof.evidence = stepped(proof.evidence, case.exhibits.len(), action == Action::NextEvidence);
            proof.scroll[Pane::Request as usize] = 0;
        }
        _ => {
            proof.clause = stepped(proof.clause, case.clauses.len(), action == Action::NextClause);
            proof.scroll[Pane::Clause as usize] = 0;
        }
    }
    state.overlay = Some(Overlay::Proof(proof));
}

fn area(state: &State) -> Rect {
    Rect::new(0, 0, state.size.0, state.size.1)
}

/// Brings every selection back to where there is something, and into view.
fn fit_cursors(state: &mut State, concerns: impl Fn(&dyn Screen) -> bool) {
    let body = layout::chrome(area(state)).body;
    for (at, screen) in SCREENS.iter().enumerate().filter(|(_, screen)| concerns(**screen)) {
        let mut cursor = state.cursors[at];
        cursor.fit(screen.rows(state), screen.height(body));
        screen.fit_columns(state, &mut cursor, body);
        state.cursors[at] = cursor;
    }
}

/// Brings the text in view back to where there is some.
fn fit_overlay(state: &mut State) {
    let body = layout::chrome(area(state)).body;
    let Some(mut overlay) = state.overlay.take() else { return };
    match &mut overlay {
        Overlay::Help(top) => *top = (*top).min(view::reading_end(&view::help_lines(body.width), body)),
        Overlay::Intro(top) => *top = (*top).min(view::reading_end(&view::intro_lines(state, body.width), body)),
        Overlay::Proof(proof) => {
            let case = Case::of(state, &proof.subject);
            proof.clause = proof.clause.min(case.clauses.len().saturating_sub(1));
            proof.evidence = proof.evidence.min(case.exhibits.len().saturating_sub(1));
            proof.scroll = view::proof_ends(state, proof, body, proof.scroll);
        }
    }
    state.overlay = Some(overlay);
}
