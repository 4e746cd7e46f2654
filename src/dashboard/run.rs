//! The loop: drains the feed without waiting for it, asks the terminal for keys, hands both to `update`, and draws
//! at most [`FRAMES_PER_SECOND`] times a second and only when something changed. The one place with a clock.

use super::feed::Feed;
use super::input::Input;
use super::keys::Key;
use super::message::{Effect, Message};
use super::redact::Values;
use super::state::{Phase, State};
use super::terminal::Screen;
use super::theme::{Colour, Theme};
use super::update::update;
use super::view;
use crossterm::event::Event;
use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Most frames drawn in a second.
pub(crate) const FRAMES_PER_SECOND: u64 = 30;
/// Least time between two frames, and the length of a tick.
pub(crate) const FRAME: Duration = Duration::from_millis(1_000 / FRAMES_PER_SECOND);
/// Shortest wait for a key, so that a busy feed does not spin.
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// Longest time spent taking in the feed before keys and drawing have their turn.
const DRAIN_MAX: Duration = Duration::from_millis(10);

/// How the dashboard starts.
#[derive(Debug, Clone, Default)]
pub struct DashboardOptions {
    /// Whether personal values are shown from the start.
    pub values: Values,
    /// Whether to use colour.
    pub colour: Colour,
    /// Lines that explain what is looked at, shown first (`divulge demo`).
    pub intro: Option<String>,
}

/// Shows what the feed tells until the reader quits. Does not end by itself when the feed does.
///
/// The terminal is given back in every case, also when this or another thread panics.
///
/// # Errors
/// Where the terminal fails; of kind [`io::ErrorKind::Interrupted`] where a signal (SIGHUP, SIGINT, SIGTERM) or a
/// panic elsewhere ended it.
pub fn run(feed: Receiver<Feed>, options: DashboardOptions) -> io::Result<()> {
    let colourless = options.colour == Colour::Never || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    let theme = if colourless { Theme::plain() } else { Theme::coloured() };
    let mut state = State::new(options.values, theme, options.intro);
    let mut screen = Screen::enter()?;
    let ended = Input::start().and_then(|input| watch(&mut screen, &input, &mut state, &feed));
    let left = screen.leave();
    ended.and(left)
}

fn watch(screen: &mut Screen, input: &Input, state: &mut State, feed: &Receiver<Feed>) -> io::Result<()> {
    let size = screen.terminal.size()?;
    update(state, Message::Resize(size.width, size.height));
    let (mut dirty, mut drained) = (true, Drained::default());
    let mut drawn: Option<Instant> = None;
    let mut ticked = Instant::now();
    loop {
        if let Some(reason) = screen.ending() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, format!("the dashboard was ended by {reason}")));
        }
        if !drained.ended {
            drained = drain(state, feed);
            dirty |= drained.changed;
        }
        while ticked.elapsed() >= FRAME {
            ticked += FRAME;
            dirty |= update(state, Message::Tick).contains(&Effect::Redraw);
        }
        if dirty && drawn.is_none_or(|at| at.elapsed() >= FRAME) {
            screen.terminal.draw(|frame| view::draw(state, frame.area(), frame.buffer_mut()))?;
            (dirty, drawn) = (false, Some(Instant::now()));
        }
        let until_frame = drawn.map_or(FRAME, |at| FRAME.saturating_sub(at.elapsed())).max(LEAST_WAIT);
        let wait = match (drained.more, dirty || !drained.ended) {
            (true, _) => Duration::ZERO,
            (false, true) => until_frame,
            (false, false) => FRAME,
        };
        // Keys that came together are taken together, so that a held key does not lag behind.
        let mut next = input.next(wait)?;
        while let Some(event) = next {
            for effect in take_event(state, &event) {
                match effect {
                    Effect::Redraw => dirty = true,
                    Effect::Quit => return Ok(()),
                }
            }
            next = input.next(Duration::ZERO)?;
        }
    }
}

fn take_event(state: &mut State, event: &Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => Key::of(*key).map_or_else(Vec::new, |key| update(state, Message::Key(key))),
        Event::Resize(width, height) => update(state, Message::Resize(*width, *height)),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => Vec::new(),
    }
}

/// What came of draining the feed.
#[derive(Debug, Clone, Copy, Default)]
struct Drained {
    /// Something came.
    changed: bool,
    /// Time ran out before the feed did.
    more: bool,
    /// Nothing can come any more.
    ended: bool,
}

/// Takes in what the feed holds now. Of several reports only the newest is laid out.
fn drain(state: &mut State, feed: &Receiver<Feed>) -> Drained {
    let started = Instant::now();
    let mut newest = None;
    let mut drained = Drained { more: true, ..Drained::default() };
    while started.elapsed() < DRAIN_MAX {
        match feed.try_recv() {
            Ok(Feed::Report(report)) => newest = Some(report),
            Ok(message) => drop(update(state, Message::Feed(message))),
            Err(error) => {
                drained.more = false;
                drained.ended = error == TryRecvError::Disconnected;
                break;
            }
        }
        drained.changed = true;
    }
    if let Some(report) = newest {
        update(state, Message::Feed(Feed::Report(report)));
    }
    if drained.ended && matches!(state.phase, Phase::Reading { .. }) {
        update(state, Message::Feed(Feed::Failed("reading stopped without a word".to_owned())));
        drained.changed = true;
    }
    drained
}
