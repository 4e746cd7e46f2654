//! What the reader should know about the reading itself: why it stopped, warnings, odd traffic by stage and count.

use super::list;
use crate::dashboard::layout::{Align, TableColumn, Width};
use crate::dashboard::proof::Subject;
use crate::dashboard::state::{Phase, State, WINDOW_MAX};
use crate::dashboard::text::{self, Piece};
use crate::model::Layer;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The screen of the log.
pub(super) struct Log;

const COLUMNS: [TableColumn; 3] = [
    TableColumn { title: "kind", width: Width::Fixed(8), rank: 0, align: Align::Left },
    TableColumn { title: "count", width: Width::Fixed(6), rank: 1, align: Align::Right },
    TableColumn { title: "what", width: Width::Share(20), rank: 0, align: Align::Left },
];

/// One row.
struct Entry {
    kind: &'static str,
    count: Option<u64>,
    words: String,
}

impl super::Screen for Log {
    fn name(&self) -> &'static str {
        "Log"
    }

    fn rows(&self, state: &State) -> usize {
        own_entries(state).count() + state.report.warnings.len() + state.report.weirds.len()
    }

    fn height(&self, body: Rect) -> usize {
        list::height(body)
    }

    fn row_key(&self, state: &State, row: usize) -> Option<String> {
        entry(state, row).map(|entry| format!("{} {}", entry.kind, entry.words))
    }

    fn open(&self, _state: &State) -> Option<Subject> {
        None
    }

    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer) {
        let list = list::List {
            columns: &COLUMNS,
            rows: self.rows(state),
            cell: &|row, column| cell(state, row, column),
            details: &|row| details(state, row),
            empty: "No warnings, and no traffic that made no sense.",
        };
        list::draw(state, &list, body, buffer);
    }
}

/// What the dashboard itself has to say.
fn own_entries(state: &State) -> impl Iterator<Item = Entry> {
    let stopped = match &state.phase {
        Phase::Failed(reason) => Some(Entry { kind: "stopped", count: None, words: reason.clone() }),
        Phase::Reading { .. } | Phase::Done => None,
    };
    let dropped = (state.window.dropped() > 0).then(|| Entry {
        kind: "window",
        count: Some(state.window.dropped()),
        words: format!("exchanges are no longer listed: the list keeps the newest {WINDOW_MAX}"),
    });
    stopped.into_iter().chain(dropped)
}

fn entry(state: &State, row: usize) -> Option<Entry> {
    let own = own_entries(state).count();
    if row < own {
        return own_entries(state).nth(row);
    }
    let row = row - own;
    if let Some(words) = state.report.warnings.get(row) {
        return Some(Entry { kind: "warning", count: None, words: words.clone() });
    }
    let weird = state.report.weirds.get(row - state.report.warnings.len())?;
    Some(Entry { kind: layer_name(weird.layer), count: Some(weird.count), words: weird.reason.to_owned() })
}

fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Capture => "capture",
        Layer::Packet => "packet",
        Layer::Flow => "flow",
        Layer::Tls => "tls",
        Layer::Quic => "quic",
        Layer::Http => "http",
        Layer::Dns => "dns",
        Layer::Decode => "decode",
        Layer::Detect => "detect",
    }
}

fn cell(state: &State, row: usize, column: usize) -> (String, Style) {
    let theme = state.theme;
    let Some(entry) = entry(state, row) else { return (String::new(), theme.text()) };
    match column {
        0 if entry.kind == "stopped" => (entry.kind.to_owned(), theme.alarm()),
        0 => (entry.kind.to_owned(), theme.muted()),
        1 => (entry.count.map_or_else(String::new, text::short_count), theme.muted()),
        _ => (entry.words, theme.text()),
    }
}

fn details(state: &State, row: usize) -> Vec<Piece> {
    entry(state, row).map(|entry| text::piece(&entry.words, state.theme.text())).into_iter().collect()
}
