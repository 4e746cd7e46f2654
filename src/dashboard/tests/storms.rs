//! Random keys, sizes and messages: none may panic, and every state must be drawable at every size.

use super::fixtures::{cells, exchange, report};
use crate::dashboard::feed::Feed;
use crate::dashboard::keys::{KEYS, Key};
use crate::dashboard::message::Message;
use crate::dashboard::redact::Values;
use crate::dashboard::state::State;
use crate::dashboard::theme::Theme;
use crate::dashboard::update::update;
use crate::model::Report;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Step {
    Key(Key),
    Resize(u16, u16),
    Tick,
    Exchange(u64),
    Full,
    Empty,
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    let keys: Vec<Key> = KEYS.iter().flat_map(|binding| binding.keys).copied().collect();
    let keys: Vec<Key> = keys.into_iter().filter(|key| !matches!(key, Key::Char('q') | Key::Ctrl('c'))).collect();
    prop_oneof![
        8 => proptest::sample::select(keys).prop_map(Step::Key),
        2 => (1u16..50, 1u16..30).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => (1u16..6, 1u16..6).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => Just(Step::Tick),
        1 => (1u64..50).prop_map(Step::Exchange),
        1 => Just(Step::Full),
        1 => Just(Step::Empty),
        1 => Just(Step::Fail),
    ]
}

fn message(step: &Step) -> Message {
    match step {
        Step::Key(key) => Message::Key(*key),
        Step::Resize(width, height) => Message::Resize(*width, *height),
        Step::Tick => Message::Tick,
        Step::Exchange(flow) => Message::Feed(Feed::Exchange(Box::new(exchange(*flow)))),
        Step::Full => Message::Feed(Feed::Report(Arc::new(report()))),
        Step::Empty => Message::Feed(Feed::Report(Arc::new(Report::default()))),
        Step::Fail => Message::Feed(Feed::Failed("截断".to_owned())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_keys_and_sizes_panics(steps in prop::collection::vec(step(), 1..40)) {
        let mut state = State::new(Values::Redacted, Theme::coloured(), Some("intro 介绍".to_owned()));
        update(&mut state, message(&Step::Full));
        for step in &steps {
            update(&mut state, message(step));
            cells(&state);
        }
    }
}

#[test]
fn every_small_size_can_be_drawn() {
    for open in [&[][..], &[Key::Enter], &[Key::Char('?')], &[Key::Char('3'), Key::Enter]] {
        for number in '1'..='5' {
            for (width, height) in (1..=24).flat_map(|width| [1, 2, 3, 4, 5, 8, 14].map(|height| (width, height))) {
                let mut state = super::fixtures::filled(width, height);
                super::fixtures::press(&mut state, &[Key::Char(number)]);
                super::fixtures::press(&mut state, open);
                cells(&state);
            }
        }
    }
}
