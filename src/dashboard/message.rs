//! What can happen to the dashboard, and what it can ask of the loop that runs it.

use super::feed::Feed;
use super::keys::Key;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Message {
    /// A key was pressed.
    Key(Key),
    /// The terminal has a new size, in columns and rows.
    Resize(u16, u16),
    /// Time passed (about [`super::run::FRAME`]).
    Tick,
    /// The engine told something.
    Feed(Feed),
}

/// What the loop is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Draw again.
    Redraw,
    /// End.
    Quit,
}
