//! The one table of keys: dispatch, the help screen and the hints of the footer all read it. It says which key asks
//! for what and where; what then happens is `update`'s.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key as the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

impl Key {
    /// The key of a terminal event; none for keys that mean nothing here.
    pub(crate) fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        match event.code {
            KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Self::Ctrl(c.to_ascii_lowercase()))
            }
            KeyCode::Char(c) if !event.modifiers.contains(KeyModifiers::ALT) => Some(Self::Char(c)),
            KeyCode::Enter => Some(Self::Enter),
            KeyCode::Esc => Some(Self::Esc),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Some(Self::BackTab),
            KeyCode::Tab => Some(Self::Tab),
            KeyCode::BackTab => Some(Self::BackTab),
            KeyCode::Up => Some(Self::Up),
            KeyCode::Down => Some(Self::Down),
            KeyCode::Left => Some(Self::Left),
            KeyCode::Right => Some(Self::Right),
            KeyCode::PageUp => Some(Self::PageUp),
            KeyCode::PageDown => Some(Self::PageDown),
            KeyCode::Home => Some(Self::Home),
            KeyCode::End => Some(Self::End),
            _ => None,
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Help,
    Close,
    Open,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    NextScreen,
    PreviousScreen,
    /// The screen whose number is the digit pressed.
    Numbered,
    SwitchPane,
    NextEvidence,
    PreviousEvidence,
    NextClause,
    PreviousClause,
    ToggleValues,
}

/// Where a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Always.
    Everywhere,
    /// On every screen, when nothing lies over it.
    Screen,
    /// On screens with columns to choose from.
    Columns,
    /// In the proof of a cell, finding or exchange.
    Proof,
    /// In the help and the introduction.
    Reading,
}

impl Scope {
    /// In the order of the help screen.
    pub(crate) const ALL: [Self; 5] = [Self::Everywhere, Self::Screen, Self::Columns, Self::Proof, Self::Reading];

    /// The heading in the help screen.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Screen => "On a screen",
            Self::Columns => "In the matrix",
            Self::Proof => "In a proof",
            Self::Reading => "In this help",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The keys that ask for it.
    pub(crate) keys: &'static [Key],
    /// The keys as shown.
    pub(crate) shown: &'static str,
    /// Where.
    pub(crate) scope: Scope,
    /// What.
    pub(crate) action: Action,
    /// The line in the help screen.
    pub(crate) help: &'static str,
    /// Keys, a blank and a word for the footer, where there is room; empty where it has none.
    pub(crate) hint: &'static str,
}

const fn row(
    shown: &'static str,
    keys: &'static [Key],
    scope: Scope,
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, shown, scope, action, help, hint }
}

/// Every key there is. Footer hints stand in this order.
pub(crate) const KEYS: &[Binding] = &[
    row("enter", &[Key::Enter], Scope::Screen, Action::Open, "enter proof", "open the proof of what is selected"),
    row("← h", &[Key::Left, Key::Char('h')], Scope::Columns, Action::Left, "", "the recipient to the left"),
    row("→ l", &[Key::Right, Key::Char('l')], Scope::Columns, Action::Right, "", "the recipient to the right"),
    row("esc", &[Key::Esc], Scope::Proof, Action::Close, "esc back", "back to the screen"),
    row("tab", &[Key::Tab], Scope::Proof, Action::SwitchPane, "tab pane", "scroll the other pane"),
    row("→ l", &[Key::Right, Key::Char('l')], Scope::Proof, Action::NextEvidence, "", "next request that proves it"),
    row("← h", &[Key::Left, Key::Char('h')], Scope::Proof, Action::PreviousEvidence, "← → request", "previous request"),
    row("]", &[Key::Char(']')], Scope::Proof, Action::NextClause, "", "next clause"),
    row("[", &[Key::Char('[')], Scope::Proof, Action::PreviousClause, "[ ] clause", "previous clause"),
    row("enter esc", &[Key::Enter, Key::Esc], Scope::Reading, Action::Close, "enter close", "close it"),
    row("?", &[Key::Char('?')], Scope::Everywhere, Action::Help, "? help", "this help"),
    row("q ctrl-c", &[Key::Char('q'), Key::Ctrl('c')], Scope::Everywhere, Action::Quit, "q quit", "quit"),
    row("v", &[Key::Char('v')], Scope::Everywhere, Action::ToggleValues, "v values", "show or hide personal values"),
    row("tab", &[Key::Tab], Scope::Screen, Action::NextScreen, "tab next screen", "next screen"),
    row("shift-tab", &[Key::BackTab], Scope::Screen, Action::PreviousScreen, "", "previous screen"),
    row("1 … 9", NUMBERS, Scope::Everywhere, Action::Numbered, "", "the screen of that number"),
    row("↑ k", &[Key::Up, Key::Char('k')], Scope::Everywhere, Action::Up, "", "up"),
    row("↓ j", &[Key::Down, Key::Char('j')], Scope::Everywhere, Action::Down, "", "down"),
    row("pgup ctrl-b", &[Key::PageUp, Key::Ctrl('b')], Scope::Everywhere, Action::PageUp, "", "a page up"),
    row("pgdn ctrl-f", &[Key::PageDown, Key::Ctrl('f')], Scope::Everywhere, Action::PageDown, "", "a page down"),
    row("home g", &[Key::Home, Key::Char('g')], Scope::Everywhere, Action::First, "", "to the first"),
    row("end G", &[Key::End, Key::Char('G')], Scope::Everywhere, Action::Last, "", "to the last, and follow new ones"),
];

const NUMBERS: &[Key] = &[
    Key::Char('1'),
    Key::Char('2'),
    Key::Char('3'),
    Key::Char('4'),
    Key::Char('5'),
    Key::Char('6'),
    Key::Char('7'),
    Key::Char('8'),
    Key::Char('9'),
];

/// The bindings that hold where `scopes` do.
pub(crate) fn bindings(scopes: &[Scope]) -> impl Iterator<Item = &'static Binding> {
    KEYS.iter().filter(move |binding| scopes.contains(&binding.scope))
}

/// What a key asks for where `scopes` hold.
pub(crate) fn action(key: Key, scopes: &[Scope]) -> Option<Action> {
    bindings(scopes).find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
}

/// The sets of scopes that hold together.
pub(crate) const ON_SCREEN: &[Scope] = &[Scope::Screen, Scope::Everywhere];
/// On a screen with columns.
pub(crate) const ON_COLUMNS: &[Scope] = &[Scope::Screen, Scope::Columns, Scope::Everywhere];
/// In a proof.
pub(crate) const IN_PROOF: &[Scope] = &[Scope::Proof, Scope::Everywhere];
/// In the help or the introduction.
pub(crate) const IN_READING: &[Scope] = &[Scope::Reading, Scope::Everywhere];

#[cfg(test)]
mod tests {
    use super::{Action, IN_PROOF, IN_READING, KEYS, Key, ON_COLUMNS, ON_SCREEN, Scope, bindings};
    use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

    #[test]
    fn no_key_asks_for_two_things_in_one_place() {
        for scopes in [ON_SCREEN, ON_COLUMNS, IN_PROOF, IN_READING] {
            let mut taken: Vec<Key> = Vec::new();
            for key in bindings(scopes).flat_map(|binding| binding.keys) {
                assert!(!taken.contains(key), "{key:?} twice in {scopes:?}");
                taken.push(*key);
            }
        }
    }

    #[test]
    fn every_action_has_a_key() {
        use Action::*;
        let all = [
            Quit,
            Help,
            Close,
            Open,
            Up,
            Down,
            PageUp,
            PageDown,
            First,
            Last,
            Left,
            Right,
            NextScreen,
            PreviousScreen,
            Numbered,
            SwitchPane,
            NextEvidence,
            PreviousEvidence,
            NextClause,
            PreviousClause,
            ToggleValues,
        ];
        for action in all {
            assert!(KEYS.iter().any(|binding| binding.action == action), "{action:?}");
        }
    }

    #[test]
    fn every_binding_is_shown_in_the_help_under_a_heading() {
        for binding in KEYS {
            assert!(!binding.help.is_empty() && !binding.keys.is_empty(), "{binding:?}");
            assert!(Scope::ALL.contains(&binding.scope), "{binding:?}");
        }
    }

    #[test]
    fn the_release_of_a_key_is_no_key() {
        let mut event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(Key::of(event), Some(Key::Char('q')));
        event.kind = KeyEventKind::Release;
        assert_eq!(Key::of(event), None);
        assert_eq!(Key::of(KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL)), Some(Key::Ctrl('c')));
    }
}
