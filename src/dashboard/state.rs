//! All the dashboard knows at a moment: the newest report, a bounded window of exchanges, and where the reader is.
//! Changed by `update` alone; it knows no terminal and no clock.

use super::feed::ExchangeSummary;
use super::keys::{self, Scope};
use super::matrix::{CellMark, Matrix};
use super::proof::Proof;
use super::redact::{Known, Values};
use super::theme::Theme;
use super::view::SCREENS;
use crate::model::{ExchangeId, Report};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Most exchanges kept for the list; older ones go first, and the list says so.
pub(crate) const WINDOW_MAX: usize = 10_000;

/// How far the input has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Still reading.
    Reading {
        /// Bytes read.
        bytes: u64,
        /// Bytes of the input, 0 if unknown.
        total: u64,
    },
    /// All of it was read.
    Done,
    /// Reading ended early.
    Failed(String),
}

/// The newest exchanges.
#[derive(Debug, Default)]
pub(crate) struct Window {
    kept: VecDeque<ExchangeSummary>,
    /// Which one each is, counted from the first ever seen.
    places: FxHashMap<ExchangeId, u64>,
    /// Exchanges seen, kept or not.
    pub(crate) seen: u64,
}

impl Window {
    /// Adds the newest, or what is new of one that is kept; true where the oldest had to go.
    pub(crate) fn take(&mut self, exchange: ExchangeSummary) -> bool {
        if let Some(&place) = self.places.get(&exchange.id) {
            let row = usize::try_from(place - self.dropped()).unwrap_or(usize::MAX);
            if let Some(kept) = self.kept.get_mut(row) {
                *kept = exchange;
            }
            return false;
        }
        let full = self.kept.len() >= WINDOW_MAX;
        if full && let Some(oldest) = self.kept.pop_front() {
            self.places.remove(&oldest.id);
        }
        self.places.insert(exchange.id, self.seen);
        self.seen += 1;
        self.kept.push_back(exchange);
        full
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// One of them, from the oldest.
    pub(crate) fn get(&self, row: usize) -> Option<&ExchangeSummary> {
        self.kept.get(row)
    }

    /// One of them by its name.
    pub(crate) fn find(&self, id: ExchangeId) -> Option<&ExchangeSummary> {
        let place = self.places.get(&id)?;
        self.kept.get(usize::try_from(place - self.dropped()).ok()?)
    }

    /// Exchanges seen that are no longer kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.seen - self.kept.len() as u64
    }
}

/// What is selected on a screen, and what is in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// The selected row.
    pub(crate) row: usize,
    /// The first row in view.
    pub(crate) top: usize,
    /// The selected column.
    pub(crate) column: usize,
    /// The first column in view.
    pub(crate) left: usize,
    /// Whether the selection stays on the last row as rows come.
    pub(crate) follow: bool,
}

impl Cursor {
    /// Keeps the selection within `rows` rows and in view of `height` of them.
    pub(crate) fn fit(&mut self, rows: usize, height: usize) {
        let last = rows.saturating_sub(1);
        self.row = if self.follow { last } else { self.row.min(last) };
        let height = height.max(1);
        self.top = self.top.min(self.row).min(rows.saturating_sub(height));
        if self.row >= self.top + height {
            self.top = self.row + 1 - height;
        }
    }
}

/// What lies over a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// The keys; the first line in view.
    Help(usize),
    /// The introduction; the first line in view.
    Intro(usize),
    /// The proof of something.
    Proof(Proof),
}

/// A short word to the reader that goes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What it says.
    pub(crate) text: &'static str,
    /// Ticks it stays.
    pub(crate) ticks: u32,
}

/// Ticks a notice stays: about three seconds.
pub(crate) const NOTICE_TICKS: u32 = 90;

/// Everything the views read.
#[derive(Debug)]
pub(crate) struct State {
    /// The newest report.
    pub(crate) report: Arc<Report>,
    /// Its matrix.
    pub(crate) matrix: Matrix,
    /// The data flows that were observed in an exchange, as far as the report keeps the evidence.
    pub(crate) flows_of: BTreeMap<ExchangeId, Vec<usize>>,
    /// The values of that evidence, to be hidden wherever they stand.
    pub(crate) known: Known,
    /// The newest exchanges.
    pub(crate) window: Window,
    /// How far the input has been read.
    pub(crate) phase: Phase,
    /// Place of the screen in [`SCREENS`].
    pub(crate) screen: usize,
    /// The cursor of each screen.
    pub(crate) cursors: Vec<Cursor>,
    /// What lies over the screen.
    pub(crate) overlay: Option<Overlay>,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// Whether personal values are shown.
    pub(crate) values: Values,
    /// The styles.
    pub(crate) theme: Theme,
    /// A word to the reader.
    pub(crate) notice: Option<Notice>,
    /// What the run is about, shown at the start.
    pub(crate) intro: Option<String>,
}

impl State {
    /// Nothing read yet.
    pub(crate) fn new(values: Values, theme: Theme, intro: Option<String>) -> Self {
        Self {
            report: Arc::default(),
            matrix: Matrix::default(),
            flows_of: BTreeMap::new(),
            known: Known::default(),
            window: Window::default(),
            phase: Phase::Reading { bytes: 0, total: 0 },
            screen: 0,
            cursors: vec![Cursor::default(); SCREENS.len()],
            overlay: intro.is_some().then_some(Overlay::Intro(0)),
            size: (80, 24),
            values,
            theme,
            notice: None,
            intro,
        }
    }

    /// Takes a new report in.
    pub(crate) fn set_report(&mut self, report: Arc<Report>) {
        self.matrix = Matrix::of(&report);
        self.flows_of.clear();
        for (place, judged) in report.data_flows.iter().enumerate() {
            for observation in &judged.flow.evidence {
                let flows = self.flows_of.entry(observation.exchange).or_default();
                if flows.last() != Some(&place) {
                    flows.push(place);
                }
            }
        }
        let observed = report.data_flows.iter().flat_map(|judged| &judged.flow.evidence);
        let observed = observed.flat_map(|seen| [seen.value.as_str(), seen.excerpt.matched.as_str()]);
        let proved = report.findings.iter().flat_map(|finding| &finding.evidence);
        let proved = proved.flat_map(|evidence| [evidence.value.as_str(), evidence.excerpt.matched.as_str()]);
        self.known = Known::of(observed.chain(proved));
        self.report = report;
    }

    /// Captured text as it may be shown.
    pub(crate) fn context(&self, text: &str) -> String {
        self.values.context(&self.known, text)
    }

    /// A request target as it may be shown.
    pub(crate) fn target(&self, target: &str) -> String {
        self.values.target(&self.known, target)
    }

    /// Exchanges seen, by whichever of report and feed is ahead.
    pub(crate) fn exchanges(&self) -> u64 {
        self.report.exchanges.max(self.window.seen)
    }

    /// The scopes whose keys hold now.
    pub(crate) fn scopes(&self) -> &'static [Scope] {
        match self.overlay {
            Some(Overlay::Proof(_)) => keys::IN_PROOF,
            Some(Overlay::Help(_) | Overlay::Intro(_)) => keys::IN_READING,
            None if SCREENS[self.screen].columns(self) > 0 => keys::ON_COLUMNS,
            None => keys::ON_SCREEN,
        }
    }

    /// The cursor of the screen in view.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursors.get(self.screen).copied().unwrap_or_default()
    }

    /// The gravest mark a data flow or finding of an exchange has.
    pub(crate) fn mark_of(&self, id: ExchangeId) -> Option<CellMark> {
        let flows = self.flows_of.get(&id)?;
        flows.iter().filter_map(|&at| self.report.data_flows.get(at)).map(|flow| CellMark::of(flow.verdict)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, WINDOW_MAX, Window};
    use crate::dashboard::tests::fixtures;

    #[test]
    fn the_window_of_exchanges_has_an_end() {
        let mut window = Window::default();
        for index in 0..WINDOW_MAX + 5 {
            let oldest_went = window.take(fixtures::exchange(index as u64 + 1));
            assert_eq!(oldest_went, index >= WINDOW_MAX);
        }
        assert_eq!((window.len(), window.dropped()), (WINDOW_MAX, 5));
        assert_eq!(window.get(0).map(|exchange| exchange.id.flow.0), Some(6));
    }

    #[test]
    fn an_answer_joins_its_request_in_the_list() {
        let mut window = Window::default();
        for flow in 1..=3 {
            window.take(crate::dashboard::ExchangeSummary { status: None, ..fixtures::exchange(flow) });
        }
        assert!(!window.take(fixtures::exchange(2)));
        assert_eq!((window.len(), window.seen), (3, 3));
        let statuses: Vec<_> = (0..3).filter_map(|row| window.get(row)).map(|exchange| exchange.status).collect();
        assert_eq!(statuses, [None, Some(200), None]);
        assert!(window.find(fixtures::exchange(2).id).is_some_and(|exchange| exchange.status.is_some()));
    }

    #[test]
    fn the_selection_stays_in_view() {
        let mut cursor = Cursor { row: 50, ..Cursor::default() };
        cursor.fit(100, 10);
        assert_eq!((cursor.row, cursor.top), (50, 41));
        cursor.fit(20, 10);
        assert_eq!((cursor.row, cursor.top), (19, 10));
        cursor.fit(0, 10);
        assert_eq!((cursor.row, cursor.top), (0, 0));
        cursor.follow = true;
        cursor.fit(7, 0);
        assert_eq!((cursor.row, cursor.top), (6, 6));
    }
}
