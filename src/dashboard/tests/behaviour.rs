//! What keys and messages do, and what must never be on the screen.

use super::fixtures::{cells, empty, exchange, filled, picture, press, report};
use crate::dashboard::feed::Feed;
use crate::dashboard::keys::{KEYS, Key};
use crate::dashboard::message::{Effect, Message};
use crate::dashboard::redact::Values;
use crate::dashboard::state::{NOTICE_TICKS, Overlay, Phase, State, WINDOW_MAX};
use crate::dashboard::theme::Theme;
use crate::dashboard::update::update;
use crate::dashboard::view::{SCREENS, help_lines};
use ratatui::style::{Color, Modifier};
use std::sync::Arc;

#[test]
fn q_and_ctrl_c_quit_from_anywhere() {
    for place in [&[][..], &[Key::Char('?')], &[Key::Char('3'), Key::Enter]] {
        for key in [Key::Char('q'), Key::Ctrl('c')] {
            let mut state = filled(80, 24);
            press(&mut state, place);
            assert_eq!(update(&mut state, Message::Key(key)), [Effect::Quit]);
        }
    }
}

#[test]
fn the_help_lists_every_key() {
    let help: Vec<String> = help_lines(120).iter().map(ToString::to_string).collect();
    for binding in KEYS {
        assert!(help.iter().any(|line| line.contains(binding.shown) && line.contains(binding.help)), "{binding:?}");
    }
    let mut state = filled(80, 24);
    press(&mut state, &[Key::Char('?')]);
    assert!(matches!(state.overlay, Some(Overlay::Help(0))));
    press(&mut state, &[Key::Char('?')]);
    assert_eq!(state.overlay, None);
}

#[test]
fn numbers_and_tab_choose_the_screen() {
    let mut state = filled(80, 24);
    press(&mut state, &[Key::Char('3')]);
    assert_eq!(SCREENS[state.screen].name(), "Findings");
    press(&mut state, &[Key::Char('9')]);
    assert_eq!(SCREENS[state.screen].name(), "Findings");
    press(&mut state, &[Key::Tab, Key::Tab, Key::Tab]);
    assert_eq!(SCREENS[state.screen].name(), "Matrix");
    press(&mut state, &[Key::BackTab]);
    assert_eq!(SCREENS[state.screen].name(), "Log");
}

#[test]
fn enter_opens_the_proof_of_the_selected_cell_and_esc_closes_it() {
    let mut state = filled(80, 24);
    // The first cell: android_id sent to the app's own servers.
    while state.cursor().column > 0 {
        press(&mut state, &[Key::Left]);
    }
    press(&mut state, &[Key::Enter]);
    let shown = picture(&state);
    assert!(shown.contains("android_id → 示例应用") && shown.contains("2.1  declares"), "{shown}");
    press(&mut state, &[Key::Esc]);
    assert_eq!(state.overlay, None);
}

#[test]
fn an_empty_cell_has_no_proof() {
    let mut state = filled(80, 24);
    press(&mut state, &[Key::End, Key::Char('g')]);
    let empty_column = (0..state.matrix.columns.len()).find(|&at| state.matrix.cell(0, at).is_none());
    for _ in 0..empty_column.expect("an empty cell") {
        press(&mut state, &[Key::Right]);
    }
    press(&mut state, &[Key::Enter]);
    assert_eq!(state.overlay, None);
}

#[test]
fn the_match_and_the_phrase_are_highlighted_in_a_proof() {
    let mut state = filled(120, 40);
    press(&mut state, &[Key::Char('v'), Key::Char('3'), Key::End, Key::Enter]);
    let buffer = cells(&state);
    let marked: String = (0..buffer.area.height)
        .flat_map(|y| (0..buffer.area.width).map(move |x| (x, y)))
        .filter(|&at| buffer[at].modifier.contains(Modifier::UNDERLINED))
        .map(|at| buffer[at].symbol().trim().to_owned())
        .collect();
    assert!(marked.contains("设备信息") && marked.contains("861536030196001"), "{marked}");
}

#[test]
fn personal_values_are_hidden_until_asked_for() {
    for number in 1..=5 {
        for open in [&[][..], &[Key::Enter]] {
            let mut state = filled(200, 80);
            press(&mut state, &[Key::Char(char::from_digit(number, 10).expect("digit"))]);
            press(&mut state, open);
            let shown = picture(&state);
            assert!(!shown.contains("861536030196001") && !shown.contains("3f2a9c41-7d5e"), "{shown}");
            assert!(!shown.contains("张三") && !shown.contains("zhangsan"), "{shown}");
        }
    }
    let mut state = filled(200, 80);
    press(&mut state, &[Key::Char('v'), Key::Char('3'), Key::Enter]);
    assert!(picture(&state).contains("861536030196001"));
    press(&mut state, &[Key::Char('v')]);
    assert!(!picture(&state).contains("861536030196001"));
}

#[test]
fn captured_text_never_reaches_the_terminal_as_control() {
    for number in 1..=5 {
        for open in [&[][..], &[Key::Enter]] {
            let mut state = filled(200, 80);
            press(&mut state, &[Key::Char('v'), Key::Char(char::from_digit(number, 10).expect("digit"))]);
            press(&mut state, open);
            let buffer = cells(&state);
            for cell in buffer.content() {
                let harmful = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
                assert!(!cell.symbol().chars().any(harmful), "{:?}", cell.symbol());
            }
        }
    }
    let mut state = filled(200, 80);
    press(&mut state, &[Key::Char('v'), Key::Char('3'), Key::Enter]);
    let shown = picture(&state);
    assert!(shown.contains("\\x1b[31m") && shown.contains("<U+202E>"), "{shown}");
}

#[test]
fn without_colour_no_cell_has_a_colour() {
    let mut state = filled(120, 40);
    state.theme = Theme::plain();
    for keys in [&[][..], &[Key::Char('2')], &[Key::Char('3')], &[Key::Enter]] {
        press(&mut state, keys);
        for cell in cells(&state).content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        }
    }
}

#[test]
fn a_new_report_keeps_what_is_selected() {
    let mut state = filled(80, 24);
    press(&mut state, &[Key::Char('3'), Key::Down]);
    let chosen = state.report.findings[state.cursor().row].fingerprint.clone();
    let mut next = report();
    next.findings.swap(0, 1);
    update(&mut state, Message::Feed(Feed::Report(Arc::new(next))));
    assert_eq!(state.report.findings[state.cursor().row].fingerprint, chosen);
}

#[test]
fn the_selected_exchange_stays_as_old_ones_go() {
    let mut state = empty(80, 24);
    let feed = |state: &mut State, flow: u64| {
        update(state, Message::Feed(Feed::Exchange(Box::new(exchange(flow)))));
    };
    for flow in 1..=WINDOW_MAX as u64 {
        feed(&mut state, flow);
    }
    press(&mut state, &[Key::Char('2'), Key::Down, Key::Down, Key::Down]);
    let id_of = |state: &State| state.window.get(state.cursor().row).map(|exchange| exchange.id);
    let before = id_of(&state);
    feed(&mut state, 20_000);
    feed(&mut state, 20_001);
    assert_eq!(id_of(&state), before);
    press(&mut state, &[Key::End]);
    feed(&mut state, 20_002);
    assert_eq!(id_of(&state).map(|id| id.flow.0), Some(20_002));
}

#[test]
fn a_failure_is_told_and_not_taken_back() {
    let mut state = empty(80, 24);
    update(&mut state, Message::Feed(Feed::Failed("a.pcap: offset 24: expected a packet header".to_owned())));
    update(&mut state, Message::Feed(Feed::Done));
    assert!(matches!(state.phase, Phase::Failed(_)));
    press(&mut state, &[Key::Char('5')]);
    assert!(picture(&state).contains("offset 24"));
}

#[test]
fn a_notice_goes_by_itself() {
    let mut state = filled(80, 24);
    press(&mut state, &[Key::Char('v')]);
    assert!(picture(&state).contains("personal values shown"));
    for _ in 1..NOTICE_TICKS {
        assert_eq!(update(&mut state, Message::Tick), []);
    }
    assert_eq!(update(&mut state, Message::Tick), [Effect::Redraw]);
    assert!(!picture(&state).contains("personal values shown"));
}

#[test]
fn the_introduction_comes_first_and_a_key_puts_it_away() {
    let words = "This is the demo: 示例\nTry: divulge replay --help".to_owned();
    let mut state = State::new(Values::Redacted, Theme::plain(), Some(words));
    update(&mut state, Message::Resize(80, 24));
    assert!(picture(&state).contains("This is the demo: 示例"));
    press(&mut state, &[Key::Enter]);
    assert_eq!(state.overlay, None);
}
