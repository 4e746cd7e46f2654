//! What is opened as a proof, and both its sides put together from the report: the clauses on one, the request on
//! the other. Lays nothing out and judges nothing.

use super::matrix::CellMark;
use super::state::State;
use crate::model::{
    ClauseQuote, Confidence, DataType, Decoding, Excerpt, ExchangeId, JudgedFlow, Location, MatchKind, Observation,
    Report, Role,
};
use std::sync::Arc;

/// What is proved. Named by what stays the same when a new report comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A cell of the matrix.
    Cell(DataType, Arc<str>, Role),
    /// A finding, by its fingerprint.
    Finding(String),
    /// All that was found in an exchange.
    Exchange(ExchangeId),
}

/// One side of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The policy's words.
    Clause,
    /// The request's bytes.
    Request,
}

/// An open proof and where the reader is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// What is proved.
    pub(crate) subject: Subject,
    /// The pane that scrolls.
    pub(crate) pane: Pane,
    /// The clause shown.
    pub(crate) clause: usize,
    /// The evidence shown.
    pub(crate) evidence: usize,
    /// First line in view of either pane.
    pub(crate) scroll: [usize; 2],
}

impl Proof {
    /// Opened at its start.
    pub(crate) const fn of(subject: Subject) -> Self {
        Self { subject, pane: Pane::Clause, clause: 0, evidence: 0, scroll: [0; 2] }
    }

    /// The scroll of the pane that scrolls.
    pub(crate) const fn scroll_mut(&mut self) -> &mut usize {
        &mut self.scroll[self.pane as usize]
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exhibit<'a> {
    /// What kind of data, where it is known.
    pub(crate) data_type: Option<&'a DataType>,
    /// Which exchange.
    pub(crate) exchange: ExchangeId,
    /// The host.
    pub(crate) host: &'a str,
    /// Where in the exchange.
    pub(crate) location: &'a Location,
    /// What was undone.
    pub(crate) chain: &'a [Decoding],
    /// The value.
    pub(crate) value: &'a str,
    /// The bytes.
    pub(crate) excerpt: &'a Excerpt,
    /// How it was recognised, where the report still says.
    pub(crate) matched: Option<Match<'a>>,
}

/// How a value was recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match<'a> {
    /// By what.
    pub(crate) kind: MatchKind,
    /// How surely.
    pub(crate) confidence: Confidence,
    /// The profile's label for it.
    pub(crate) identifier: Option<&'a str>,
    /// Whether it travelled outside TLS.
    pub(crate) cleartext: bool,
}

/// Both sides of a proof.
#[derive(Debug, Default)]
pub(crate) struct Case<'a> {
    /// What it is about, in a line.
    pub(crate) title: String,
    /// What was judged.
    pub(crate) mark: Option<CellMark>,
    /// Why.
    pub(crate) reason: &'a str,
    /// The policy's side.
    pub(crate) clauses: Vec<&'a ClauseQuote>,
    /// The traffic's side.
    pub(crate) exhibits: Vec<Exhibit<'a>>,
    /// Ids of regulations it touches.
    pub(crate) regulations: &'a [String],
}

impl<'a> Case<'a> {
    /// The case of a subject; an empty one where the report no longer speaks of it.
    pub(crate) fn of(state: &'a State, subject: &Subject) -> Self {
        let report = state.report.as_ref();
        let case = match subject {
            Subject::Cell(data_type, party, role) => Self::of_cell(report, data_type, party, *role),
            Subject::Finding(fingerprint) => Self::of_finding(report, fingerprint),
            Subject::Exchange(id) => Some(Self::of_exchange(state, *id)),
        };
        case.unwrap_or_else(|| Self { title: "no longer in the report".to_owned(), ..Self::default() })
    }

    fn of_cell(report: &'a Report, data_type: &DataType, party: &str, role: Role) -> Option<Self> {
        let is_it = |of: &crate::model::Party| *of.id == *party && of.role == role;
        let judged =
            report.data_flows.iter().find(|judged| judged.flow.data_type == *data_type && is_it(&judged.flow.party));
        if let Some(judged) = judged {
            return Some(Self {
                title: format!("{data_type} → {}", judged.flow.party.name),
                mark: Some(CellMark::of(judged.verdict)),
                reason: &judged.reason,
                clauses: judged.clauses.iter().collect(),
                exhibits: judged.flow.evidence.iter().map(Exhibit::of).collect(),
                regulations: &[],
            });
        }
        let mut declared =
            report.declared_only.iter().filter(|only| only.data_type == *data_type && is_it(&only.party));
        let first = declared.next()?;
        Some(Self {
            title: format!("{data_type} → {}", first.party.name),
            mark: Some(CellMark::DeclaredOnly),
            reason: "declared, and not seen in this traffic",
            clauses: std::iter::once(first).chain(declared).map(|only| &only.clause).collect(),
            exhibits: Vec::new(),
            regulations: &[],
        })
    }

    fn of_finding(report: &'a Report, fingerprint: &str) -> Option<Self> {
        let finding = report.findings.iter().find(|finding| finding.fingerprint == fingerprint)?;
        let flow = finding.data_flow.as_ref().and_then(|(data_type, party)| {
            report.data_flows.iter().find(|judged| judged.flow.data_type == *data_type && judged.flow.party == *party)
        });
        let exhibits = finding.evidence.iter().map(|evidence| Exhibit {
            data_type: finding.data_flow.as_ref().map(|(data_type, _)| data_type),
            exchange: evidence.exchange,
            host: &evidence.host,
            location: &evidence.location,
            chain: &evidence.chain,
            value: &evidence.value,
            excerpt: &evidence.excerpt,
            matched: flow.and_then(|judged| Match::in_flow(judged, evidence.exchange, &evidence.location)),
        });
        Some(Self {
            title: finding.title.clone(),
            mark: finding.verdict.map(|verdict| CellMark::of(Some(verdict))),
            reason: &finding.reason,
            clauses: finding.clauses.iter().collect(),
            exhibits: exhibits.collect(),
            regulations: &finding.regulations,
        })
    }

    fn of_exchange(state: &'a State, id: ExchangeId) -> Self {
        let places = state.flows_of.get(&id).map_or(&[][..], Vec::as_slice);
        let flows: Vec<&JudgedFlow> = places.iter().filter_map(|&place| state.report.data_flows.get(place)).collect();
        let observations = flows.iter().flat_map(|judged| &judged.flow.evidence);
        Self {
            title: format!("exchange {id}"),
            mark: state.mark_of(id),
            reason: if flows.is_empty() { "no personal data is on record for this exchange" } else { "" },
            clauses: flows.iter().flat_map(|judged| &judged.clauses).collect(),
            exhibits: observations.filter(|seen| seen.exchange == id).map(Exhibit::of).collect(),
            regulations: &[],
        }
    }
}

impl<'a> Exhibit<'a> {
    fn of(observation: &'a Observation) -> Self {
        Self {
            data_type: Some(&observation.data_type),
            exchange: observation.exchange,
            host: &observation.host,
            location: &observation.location,
            chain: &observation.chain,
            value: &observation.value,
            excerpt: &observation.excerpt,
            matched: Some(Match::of(observation)),
        }
    }
}

impl<'a> Match<'a> {
    fn of(observation: &'a Observation) -> Self {
        Self {
            kind: observation.matched,
            confidence: observation.confidence,
            identifier: observation.identifier.as_deref(),
            cleartext: observation.cleartext,
        }
    }

    fn in_flow(judged: &'a JudgedFlow, exchange: ExchangeId, location: &Location) -> Option<Self> {
        let same = |seen: &&Observation| seen.exchange == exchange && seen.location == *location;
        judged.flow.evidence.iter().find(same).map(Self::of)
    }
}

/// What a decoding step did, for people; empty for one that has no page yet.
pub(crate) fn step_meaning(step: &str) -> &'static str {
    match step {
        "gzip" | "zlib" | "deflate" | "br" | "brotli" | "zstd" => "decompressed",
        "json" => "member of an object or array",
        "form" => "field of a form",
        "query" => "parameter of a query",
        "cookie" => "one cookie",
        "multipart" => "part of a multipart body",
        "xml" => "element or attribute",
        "protobuf" => "field of a message",
        "jwt" => "claim of a token",
        "base64" | "base64url" | "base32" | "hex" => "encoded text undone",
        "percent" => "URL escapes undone",
        "md5" | "md5-16" | "sha1" | "sha256" | "sha384" | "sha512" | "sha3" | "sm3" => {
            "hash of the known value (one way; found by hashing it)"
        }
        _ => "",
    }
}
