//! The traffic's side of a proof: where the value stands, what was undone to reach it, its bytes, and the exchange
//! around it as far as it is still in the window.

use super::exchanges::time_of_day;
use crate::dashboard::feed::ExchangeSummary;
use crate::dashboard::proof::{Case, Exhibit, Match, Proof, Subject, step_meaning};
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Piece, piece};
use crate::dashboard::theme::Theme;
use crate::model::{Confidence, Location, MatchKind, Part, Side};

/// Columns the names of facts take.
const NAME_WIDTH: usize = 9;

/// What the request's pane says.
pub(super) fn pieces(state: &State, case: &Case<'_>, proof: &Proof) -> Vec<Piece> {
    let exhibit = case.exhibits.get(proof.evidence);
    let id = match (&proof.subject, exhibit) {
        (Subject::Exchange(id), _) => Some(*id),
        (Subject::Cell(..) | Subject::Finding(_), exhibit) => exhibit.map(|exhibit| exhibit.exchange),
    };
    let summary = id.and_then(|id| state.window.find(id));
    let mut facts = Facts { state, theme: state.theme, pieces: Vec::new() };
    if let Some(exhibit) = exhibit {
        facts.push_exhibit(exhibit, summary);
    }
    match summary {
        Some(summary) => facts.push_exchange(summary, exhibit.is_none()),
        None if exhibit.is_none() => facts.pieces.push(piece("No request is on record for this.", state.theme.muted())),
        None => {}
    }
    facts.pieces
}

/// The text as it grows.
struct Facts<'a> {
    state: &'a State,
    theme: Theme,
    pieces: Vec<Piece>,
}

impl Facts<'_> {
    fn push(&mut self, name: &str, value: &str) {
        self.pieces.push(piece(&text::pad(name, NAME_WIDTH), self.theme.muted()));
        self.pieces.push(piece(&text::visible(value), self.theme.text()));
        self.pieces.push(piece("\n", self.theme.text()));
    }

    fn heading(&mut self, words: &str) {
        self.pieces.push(piece(&format!("\n{words}\n"), self.theme.muted()));
    }

    fn push_exhibit(&mut self, exhibit: &Exhibit<'_>, summary: Option<&ExchangeSummary>) {
        let values = self.state.values;
        self.push("host", exhibit.host);
        if let Some((method, target)) = summary.and_then(|summary| summary.request.as_ref()) {
            self.push("request", &format!("{method} {}", values.target(target)));
        }
        self.push("where", &place(exhibit.location));
        if let Some(data_type) = exhibit.data_type {
            self.push("data", data_type.as_str());
        }
        self.push("value", &values.value(exhibit.value));
        if let Some(matched) = exhibit.matched {
            self.push("found by", &how(matched));
            if matched.cleartext {
                self.push("sent", "in clear text, outside TLS");
            }
        }
        self.push_chain(exhibit);
        let excerpt = exhibit.excerpt;
        self.heading("bytes");
        self.pieces.push(piece(&values.context(&excerpt.before), self.theme.muted()));
        self.pieces.push(piece(&values.value(&excerpt.matched), self.theme.highlight()));
        self.pieces.push(piece(&values.context(&excerpt.after), self.theme.muted()));
        self.pieces.push(piece("\n", self.theme.text()));
    }

    /// What was undone, a line a step.
    fn push_chain(&mut self, exhibit: &Exhibit<'_>) {
        if exhibit.chain.is_empty() {
            return self.push("decoded", "nothing: it stands there as it is");
        }
        for (at, step) in exhibit.chain.iter().enumerate() {
            let label = if at == 0 { "decoded" } else { "" };
            self.pieces.push(piece(&text::pad(label, NAME_WIDTH), self.theme.muted()));
            self.pieces.push(piece(&format!("{} {}", at + 1, step.0), self.theme.title()));
            self.pieces.push(piece(&format!("  {}\n", step_meaning(step.0)), self.theme.muted()));
        }
    }

    /// The exchange itself; its first facts only where no exhibit told them.
    fn push_exchange(&mut self, summary: &ExchangeSummary, alone: bool) {
        let values = self.state.values;
        if alone {
            self.push("host", &summary.host);
            if let Some((method, target)) = &summary.request {
                self.push("request", &format!("{method} {}", values.target(target)));
            }
        } else {
            self.pieces.push(piece("\n", self.theme.text()));
        }
        let security = summary.tls.as_deref().unwrap_or("clear text");
        let when = time_of_day(summary.ts);
        let protocol = summary.protocol.as_str();
        self.push("exchange", &format!("{} at {when} UTC, {protocol}, {security}", summary.id));
        self.push("server", &summary.server.to_string());
        if let Some(app) = &summary.app {
            self.push("app", app);
        }
        match summary.status {
            Some(status) => self.push("response", &format!("{status}, {} bytes", summary.response_bytes)),
            None => self.push("response", "not captured"),
        }
        if !summary.headers.is_empty() {
            self.heading("headers");
            for line in summary.headers.lines() {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                self.pieces.push(piece(&format!("{}: ", text::visible(name)), self.theme.muted()));
                self.pieces.push(piece(&format!("{}\n", values.context(value)), self.theme.text()));
            }
        }
        if summary.request_bytes > 0 {
            let kind = if summary.body_kind.is_empty() { "no type given" } else { &summary.body_kind };
            self.heading(&format!("body, {} bytes, {kind}", summary.request_bytes));
            self.pieces.push(piece(&values.context(&summary.body), self.theme.text()));
        }
    }
}

/// How a value was recognised, in words.
fn how(matched: Match<'_>) -> String {
    let kind = match matched.kind {
        MatchKind::Known => "value of the device profile",
        MatchKind::Pattern => "pattern with its checks",
        MatchKind::Key => "name of the field",
    };
    let sure = match matched.confidence {
        Confidence::Possible => "possible",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    };
    let label = matched.identifier.map_or_else(String::new, |label| format!(" ({label})"));
    format!("{kind}{label}, {sure}")
}

/// `request body imei $.data.imei`
fn place(location: &Location) -> String {
    let side = match location.side {
        Side::Request => "request",
        Side::Response => "response",
    };
    let part = match location.part {
        Part::Query => "query",
        Part::Path => "path",
        Part::Header => "header",
        Part::Cookie => "cookie",
        Part::Body => "body",
        Part::Stream => "stream",
    };
    let names = [side, part, &location.name, &location.pointer];
    names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
}
