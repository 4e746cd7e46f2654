//! Every screen and overlay at three sizes, empty and full.

use super::fixtures::{empty, filled, picture, press};
use crate::dashboard::keys::Key;
use crate::dashboard::state::State;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 20)];

/// A name and the keys that lead there.
const PLACES: [(&str, &[Key]); 8] = [
    ("matrix", &[Key::Char('1')]),
    ("exchanges", &[Key::Char('2')]),
    ("findings", &[Key::Char('3')]),
    ("hosts", &[Key::Char('4')]),
    ("log", &[Key::Char('5')]),
    ("help", &[Key::Char('?')]),
    ("proof_of_a_finding", &[Key::Char('3'), Key::End, Key::Enter]),
    ("proof_of_an_exchange", &[Key::Char('2'), Key::End, Key::Enter]),
];

fn check(fill: &str, state_of: fn(u16, u16) -> State) {
    for (width, height) in SIZES {
        for (name, keys) in PLACES {
            let mut state = state_of(width, height);
            press(&mut state, keys);
            insta::assert_snapshot!(format!("{name}_{fill}_{width}x{height}"), picture(&state));
        }
    }
}

#[test]
fn every_screen_looks_right_before_anything_is_read() {
    check("empty", empty);
}

#[test]
fn every_screen_looks_right_when_all_is_read() {
    check("filled", filled);
}
