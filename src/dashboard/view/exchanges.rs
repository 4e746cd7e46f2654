//! The newest exchanges, oldest first. Targets are shown with their values masked unless values are shown.

use super::list;
use crate::dashboard::layout::{Align, TableColumn, Width};
use crate::dashboard::proof::Subject;
use crate::dashboard::state::{Phase, State};
use crate::dashboard::text::{self, Piece};
use crate::model::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The screen of exchanges.
pub(super) struct Exchanges;

const COLUMNS: [TableColumn; 9] = [
    TableColumn { title: "time (UTC)", width: Width::Fixed(12), rank: 3, align: Align::Left },
    TableColumn { title: "", width: Width::Fixed(1), rank: 0, align: Align::Left },
    TableColumn { title: "method", width: Width::Fixed(7), rank: 4, align: Align::Left },
    TableColumn { title: "host", width: Width::Share(20), rank: 0, align: Align::Tail },
    TableColumn { title: "target", width: Width::Share(22), rank: 1, align: Align::Left },
    TableColumn { title: "st.", width: Width::Fixed(3), rank: 2, align: Align::Right },
    TableColumn { title: "sent", width: Width::Fixed(5), rank: 5, align: Align::Right },
    TableColumn { title: "recvd", width: Width::Fixed(5), rank: 6, align: Align::Right },
    TableColumn { title: "protocol", width: Width::Fixed(9), rank: 7, align: Align::Left },
];

impl super::Screen for Exchanges {
    fn name(&self) -> &'static str {
        "Exchanges"
    }

    fn rows(&self, state: &State) -> usize {
        state.window.len()
    }

    fn height(&self, body: Rect) -> usize {
        list::height(body)
    }

    fn row_key(&self, _state: &State, _row: usize) -> Option<String> {
        // A report moves no exchange.
        None
    }

    fn rolls(&self) -> bool {
        true
    }

    fn open(&self, state: &State) -> Option<Subject> {
        state.window.get(state.cursor().row).map(|exchange| Subject::Exchange(exchange.id))
    }

    fn draw(&self, state: &State, body: Rect, buffer: &mut Buffer) {
        let empty = match state.phase {
            Phase::Reading { .. } => "No exchange read yet.",
            Phase::Done | Phase::Failed(_) => "No exchange could be read. Hosts and Log tell why.",
        };
        let list = list::List {
            columns: &COLUMNS,
            rows: state.window.len(),
            cell: &|row, column| cell(state, row, column),
            details: &|row| details(state, row),
            empty,
        };
        list::draw(state, &list, body, buffer);
    }
}

fn cell(state: &State, row: usize, column: usize) -> (String, Style) {
    let theme = state.theme;
    let Some(exchange) = state.window.get(row) else { return (String::new(), theme.text()) };
    let request = exchange.request.as_ref();
    match column {
        0 => (time_of_day(exchange.ts), theme.muted()),
        1 => match state.mark_of(exchange.id) {
            Some(mark) => (mark.letter().to_string(), theme.mark(mark)),
            None => (String::new(), theme.text()),
        },
        2 => (request.map_or("-", |(method, _)| method).to_owned(), theme.text()),
        3 => (exchange.host.clone(), theme.text()),
        4 => (request.map_or_else(|| "-".to_owned(), |(_, target)| state.target(target)), theme.text()),
        5 => match exchange.status {
            Some(status) if status >= 400 => (status.to_string(), theme.alarm()),
            Some(status) => (status.to_string(), theme.text()),
            None => ("-".to_owned(), theme.muted()),
        },
        6 => (text::short_count(exchange.request_bytes), theme.muted()),
        7 => (text::short_count(exchange.response_bytes), theme.muted()),
        _ => (exchange.protocol.as_str().to_owned(), theme.muted()),
    }
}

/// `HH:MM:SS.mmm`, UTC.
pub(super) fn time_of_day(ts: Timestamp) -> String {
    let shown = ts.to_string();
    let time = shown.split_once('T').map_or(shown.as_str(), |(_, time)| time);
    time.get(..12).unwrap_or(time).to_owned()
}

fn details(state: &State, row: usize) -> Vec<Piece> {
    let theme = state.theme;
    let Some(exchange) = state.window.get(row) else { return Vec::new() };
    let mut pieces = Vec::new();
    let security = exchange.tls.as_deref().unwrap_or("clear text");
    pieces.push(text::piece(&format!("{}  {}  {security}", exchange.id, exchange.server), theme.muted()));
    if let Some(app) = &exchange.app {
        pieces.push(text::piece(&format!("  {app}"), theme.muted()));
    }
    if state.window.dropped() > 0 {
        let words = format!("  ({} older ones are no longer listed)", state.window.dropped());
        pieces.push(text::piece(&words, theme.muted()));
    }
    let places = state.flows_of.get(&exchange.id).map_or(&[][..], Vec::as_slice);
    let mut types: Vec<_> = places.iter().filter_map(|&at| state.report.data_flows.get(at)).collect();
    types.dedup_by(|a, b| a.flow.data_type == b.flow.data_type);
    if !types.is_empty() {
        let types: Vec<_> = types.iter().map(|judged| judged.flow.data_type.as_str()).collect();
        pieces.push(text::piece(&format!("\nholds {}", types.join(", ")), theme.title()));
    }
    if let Some((method, target)) = &exchange.request {
        pieces.push(text::piece(&format!("\n{method} {}", state.target(target)), theme.text()));
    }
    pieces
}
