//! The traffic's side of a proof: where the value stands, what was undone to reach it, its bytes, and the exchange
//! around it as far as it is still in the window.

use super::exchanges::time_of_day;
use crate::dashboard::feed::ExchangeSummary;
use crate::dashboard::proof::{Case, Exhibit, Match, Proof, Subject, step_meaning};
use crate::dashboard::state::State;
use crate::dashboard::text::{self, Breaks, Paragraph, Piece, piece};
use crate::dashboard::theme::Theme;
use crate::model::{Confidence, Location, MatchKind, Part, Side};

/// Columns the names of facts take.
const NAME_WIDTH: usize = 9;

/// What the request's pane says.
pub(super) fn paragraphs(state: &State, case: &Case<'_>, proof: &Proof) -> Vec<Paragraph> {
    let exhibit = case.exhibits.get(proof.evidence);
    let id = match (&proof.subject, exhibit) {
        (Subject::Exchange(id), _) => Some(*id),
        (Subject::Cell(..) | Subject::Finding(_), exhibit) => exhibit.map(|exhibit| exhibit.exchange),
    };
    let summary = id.and_then(|id| state.window.find(id));
    let mut facts = Facts { state, theme: state.theme, paragraphs: Vec::new() };
    if let Some(exhibit) = exhibit {
        facts.push_exhibit(exhibit, summary);
    }
    match summary {
        Some(summary) => facts.push_exchange(summary, exhibit.is_none()),
        None if exhibit.is_none() => {
            facts.push_text(vec![piece("No request is on record for this.", state.theme.muted())]);
        }
        None => {}
    }
    facts.paragraphs
}

/// The text as it grows.
struct Facts<'a> {
    state: &'a State,
    theme: Theme,
    paragraphs: Vec<Paragraph>,
}

impl Facts<'_> {
    fn push(&mut self, name: &str, value: &str) {
        self.push_pieces(name, vec![piece(&text::visible(value), self.theme.text())]);
    }

    fn push_pieces(&mut self, name: &str, mut pieces: Vec<Piece>) {
        pieces.insert(0, piece(&text::pad(name, NAME_WIDTH), self.theme.muted()));
        self.paragraphs.push(Paragraph { hang: NAME_WIDTH, breaks: Breaks::Words, pieces });
    }

    /// As `push`, for a value without words.
    fn push_raw(&mut self, name: &str, value: &str) {
        let name = piece(&text::pad(name, NAME_WIDTH), self.theme.muted());
        let value = piece(&text::visible(value), self.theme.text());
        self.paragraphs.push(Paragraph { hang: NAME_WIDTH, breaks: Breaks::Anywhere, pieces: vec![name, value] });
    }

    fn push_text(&mut self, pieces: Vec<Piece>) {
        self.paragraphs.push(Paragraph { hang: 0, breaks: Breaks::Words, pieces });
    }

    /// A heading after a blank line.
    fn heading(&mut self, words: &str) {
        self.push_text(vec![piece(&format!("\n{words}"), self.theme.muted())]);
    }

    fn push_request(&mut self, summary: &ExchangeSummary) {
        if let Some((method, target)) = &summary.request {
            self.push_raw("request", &format!("{method} {}", self.state.target(target)));
        }
    }

    /// The proof itself comes first; a small screen shows little more.
    fn push_exhibit(&mut self, exhibit: &Exhibit<'_>, summary: Option<&ExchangeSummary>) {
        let (values, excerpt) = (self.state.values, exhibit.excerpt);
        self.push_raw("host", exhibit.host);
        self.push("where", &place(exhibit.location));
        let bytes = vec![
            piece(&text::pad("bytes", NAME_WIDTH), self.theme.muted()),
            piece(&self.state.context(&excerpt.before), self.theme.muted()),
            piece(&values.value(&excerpt.matched), self.theme.highlight()),
            piece(&self.state.context(&excerpt.after), self.theme.muted()),
        ];
        self.paragraphs.push(Paragraph { hang: NAME_WIDTH, breaks: Breaks::Anywhere, pieces: bytes });
        self.push_chain(exhibit);
        if let Some(summary) = summary {
            self.push_request(summary);
        }
        let kind = exhibit.data_type.map_or_else(String::new, |data_type| format!("  ({data_type})"));
        self.push("value", &format!("{}{kind}", values.value(exhibit.value)));
        if let Some(matched) = exhibit.matched {
            self.push("found by", &how(matched));
            if matched.cleartext {
                self.push("sent", "in clear text, outside TLS");
            }
        }
    }

    /// What was undone, a line a step.
    fn push_chain(&mut self, exhibit: &Exhibit<'_>) {
        if exhibit.chain.is_empty() {
            return self.push("decoded", "nothing: it stands there as it is");
        }
        for (at, step) in exhibit.chain.iter().enumerate() {
            let meaning = piece(&format!("  {}", step_meaning(step.0)), self.theme.muted());
            let name = piece(&format!("{} {}", at + 1, step.0), self.theme.title());
            self.push_pieces(if at == 0 { "decoded" } else { "" }, vec![name, meaning]);
        }
    }

    /// The exchange itself; its first facts only where no exhibit told them.
    fn push_exchange(&mut self, summary: &ExchangeSummary, alone: bool) {
        if alone {
            self.push_raw("host", &summary.host);
            self.push_request(summary);
        } else {
            self.push_text(Vec::new());
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
        }
        for line in summary.headers.lines() {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let name = piece(&format!("{}: ", text::visible(name)), self.theme.muted());
            let value = piece(&text::visible(&self.state.context(value)), self.theme.text());
            self.paragraphs.push(Paragraph { hang: 2, breaks: Breaks::Anywhere, pieces: vec![name, value] });
        }
        if summary.request_bytes > 0 {
            let kind = if summary.body_kind.is_empty() { "no type given" } else { &summary.body_kind };
            self.heading(&format!("body, {} bytes, {kind}", summary.request_bytes));
            let body = vec![piece(&self.state.context(&summary.body), self.theme.text())];
            self.paragraphs.push(Paragraph { hang: 0, breaks: Breaks::Anywhere, pieces: body });
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
