//! Takes the terminal over and gives it back, whatever happens in between: at the end, on an error, on a panic of
//! any thread, and on the signals that ask a process to end. Draws nothing.

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{self, Stdout, stdout};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

/// The signals that end the dashboard in order, with their names.
const SIGNALS: [(i32, &str); 3] = [(SIGHUP, "SIGHUP"), (SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// The terminal while it is ours; dropping it gives it back.
pub(crate) struct Screen {
    /// What to draw on.
    pub(crate) terminal: ratatui::Terminal<CrosstermBackend<Stdout>>,
    guard: Guard,
}

impl Screen {
    /// Enters raw mode and the alternate screen, and watches for panics and signals.
    ///
    /// # Errors
    /// Where the terminal refuses, or a signal handler cannot be set. The terminal is then as it was.
    pub(crate) fn enter() -> io::Result<Self> {
        let guard = Guard::enter()?;
        let terminal = ratatui::Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(Self { terminal, guard })
    }

    /// Why the dashboard has to end now, if it has to.
    pub(crate) fn ending(&self) -> Option<&'static str> {
        if self.guard.panicked.load(Ordering::SeqCst) {
            return Some("a thread panicked");
        }
        let raised = self.guard.signals.iter().find(|signal| signal.raised.load(Ordering::SeqCst));
        raised.map(|signal| signal.name)
    }

    /// Gives the terminal back.
    ///
    /// # Errors
    /// Where the terminal refuses.
    pub(crate) fn leave(mut self) -> io::Result<()> {
        self.guard.leave()
    }
}

struct Signal {
    name: &'static str,
    raised: Arc<AtomicBool>,
    id: SigId,
}

struct Guard {
    signals: Vec<Signal>,
    /// Set once the dashboard is gone: a signal then does what it would have done without us.
    gone: Arc<AtomicBool>,
    panicked: Arc<AtomicBool>,
    previous: Option<Hook>,
    left: bool,
}

impl Guard {
    fn enter() -> io::Result<Self> {
        let gone = Arc::new(AtomicBool::new(false));
        let mut guard = Self { signals: Vec::new(), gone, panicked: Arc::default(), previous: None, left: false };
        for (number, name) in SIGNALS {
            signal_hook::flag::register_conditional_default(number, Arc::clone(&guard.gone))?;
            let raised = Arc::new(AtomicBool::new(false));
            let id = signal_hook::flag::register(number, Arc::clone(&raised))?;
            guard.signals.push(Signal { name, raised, id });
        }
        let previous: Hook = Arc::from(std::panic::take_hook());
        guard.previous = Some(Arc::clone(&previous));
        let panicked = Arc::clone(&guard.panicked);
        std::panic::set_hook(Box::new(move |info| {
            // The message has to land on the ordinary screen, so the terminal goes back first.
            if !panicked.swap(true, Ordering::SeqCst)
                && let Err(error) = give_back()
            {
                // Nothing is left to tell it on but the message that follows.
                drop(error);
            }
            previous(info);
        }));
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(guard)
    }

    fn leave(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.left, true) {
            return Ok(());
        }
        self.gone.store(true, Ordering::SeqCst);
        for signal in &self.signals {
            signal_hook::low_level::unregister(signal.id);
        }
        // A panicking thread may not set the hook; the process is about to end then anyway.
        if !std::thread::panicking()
            && let Some(previous) = self.previous.take()
        {
            std::panic::set_hook(Box::new(move |info| previous(info)));
        }
        if self.panicked.load(Ordering::SeqCst) {
            return Ok(());
        }
        give_back()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            // The terminal is gone (a closed session): there is nobody left to tell.
            drop(error);
        }
    }
}

/// Leaves the alternate screen and raw mode; tries both even if one fails.
fn give_back() -> io::Result<()> {
    let screen = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    disable_raw_mode()?;
    screen
}
