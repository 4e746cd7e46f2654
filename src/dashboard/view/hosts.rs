//! The hosts of the run: who each is, how much went to it, and how much of that stayed closed and why.

use super::list;
use crate::dashboard::layout::{Align, TableColumn, Width};
use crate::dashboard::proof::Subject;
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Piece};
use crate::model::{HostSummary, OpaqueReason};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The screen of hosts.
pub(super) struct Hosts;

const COLUMNS: [TableColumn; 7] = [
    TableColumn { title: "host", width: Width::Share(24), rank: 0, align: Align::Tail },
    TableColumn { title: "party", width: Width::Share(12), rank: 2, align: Align::Left },
    TableColumn { title: "flows", width: Width::Fixed(5), rank: 5, align: Align::Right },
    TableColumn { title: "exch.", width: Width::Fixed(5), rank: 4, align: Align::Right },
    TableColumn { title: "bytes", width: Width::Fixed(5), rank: 3, align: Align::Right },
    TableColumn { title: "read", width: Width::Fixed(4), rank: 0, align: Align::Right },
    TableColumn { title: "why not", width: Width::Fixed(18), rank: 1, align: Align::Left },
];

impl super::Screen for Hosts {
    fn name(&self) -> &'static str {
        "Hosts"
    }

    fn rows(&self, state: &State) -> usize {
        state.report.hosts.len()
    }

    fn height(&self, body: Rect) -> usize {
        list::height(body)
    }

    fn row_key(&self, state: &State, row: usize) -> Option<String> {
        state.report.hosts.get(row).map(|host| host.host.to_string())
    }

    fn open(&self, _state: &State) -> Option<Subject> {
        None
    }

    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer) {
        let list = list::List {
            columns: &COLUMNS,
            rows: state.report.hosts.len(),
            cell: &|row, column| cell(state, row, column),
            details: &|row| details(state, row),
            empty: "No host seen.",
        };
        list::draw(state, &list, body, buffer);
    }
}

/// Why bytes stayed closed, in words.
fn why(reason: OpaqueReason) -> &'static str {
    match reason {
        OpaqueReason::NoKey => "no key given",
        OpaqueReason::WrongKey => "key does not open",
        OpaqueReason::NoHandshake => "handshake missing",
        OpaqueReason::UnsupportedCipher => "cipher unsupported",
        OpaqueReason::UnknownProtocol => "unknown protocol",
        OpaqueReason::Quic => "QUIC",
        OpaqueReason::Truncated => "capture cut",
        OpaqueReason::Pinned => "certificate pinned",
    }
}

fn readable(host: &HostSummary) -> Option<u64> {
    text::percent(host.bytes.saturating_sub(host.opaque_bytes), host.bytes)
}

fn cell(state: &State, row: usize, column: usize) -> (String, Style) {
    let theme = state.theme;
    let Some(host) = state.report.hosts.get(row) else { return (String::new(), theme.text()) };
    let reason = host.opaque_reason.filter(|_| host.opaque_bytes > 0);
    match column {
        0 => (host.host.to_string(), theme.text()),
        1 => (host.party.name.to_string(), theme.text()),
        2 => (text::short_count(host.flows), theme.muted()),
        3 => (text::short_count(host.exchanges), theme.muted()),
        4 => (text::short_count(host.bytes), theme.muted()),
        5 => match readable(host) {
            Some(100) => ("100%".to_owned(), theme.text()),
            Some(percent) => (format!("{percent}%"), theme.title()),
            None => ("-".to_owned(), theme.muted()),
        },
        _ => (reason.map_or("", why).to_owned(), theme.title()),
    }
}

fn details(state: &State, row: usize) -> Vec<Piece> {
    let theme = state.theme;
    let Some(host) = state.report.hosts.get(row) else { return Vec::new() };
    let named_by = host.named_by.label().map_or_else(String::new, |label| format!(" ({label})"));
    let mut pieces = vec![
        text::piece(&host.host, theme.title()),
        text::piece(&named_by, theme.muted()),
        text::piece(&format!("  {} ({})", host.party.name, host.party.role.as_str()), theme.text()),
    ];
    if host.opaque_bytes > 0 {
        let reason = host.opaque_reason.map_or("reason unknown", why);
        let words = format!("\n{} of {} bytes stayed closed: {reason}", host.opaque_bytes, host.bytes);
        pieces.push(text::piece(&words, theme.text()));
    }
    pieces
}
