//! The checks: each turns verdicts, marks or coverage into findings of one code. A new check is one file here and one
//! line in [`CHECKS`].

mod after_refusal;
mod after_withdrawal;
mod before_consent;
mod cleartext_identifier;
mod contradicting_clauses;
mod denied_flow;
mod hashed_identifier;
mod identifier_in_url;
mod undeclared_flow;
mod undeclared_recipient;
mod unread_policy;
mod unreadable_host;
mod vague_disclosure;

use super::Page;
use crate::model::{
    ClauseQuote, Confidence, DataType, Evidence, Finding, HostSummary, JudgedFlow, Mark, MarkKind, Observation, Party,
    PolicyDocument, Role, Severity, Timestamp, Verdict,
};
use crate::rules::{Ontology, RuleSet};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Everything a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The flows with their verdicts.
    pub flows: &'a [JudgedFlow],
    /// The hosts of the run.
    pub hosts: &'a [HostSummary],
    /// The policies; empty where none was given.
    pub documents: &'a [&'a PolicyDocument],
    /// The tester's marks.
    pub marks: &'a [Mark],
    /// The rules.
    pub rules: &'a RuleSet,
}

/// One check.
pub trait Check: Sync {
    /// What its findings mean.
    fn page(&self) -> &'static Page;

    /// Appends its findings.
    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>);
}

/// All checks, by code.
pub static CHECKS: &[&dyn Check] = &[
    &after_refusal::AfterRefusal,
    &after_withdrawal::AfterWithdrawal,
    &before_consent::BeforeConsent,
    &cleartext_identifier::CleartextIdentifier,
    &contradicting_clauses::ContradictingClauses,
    &denied_flow::DeniedFlow,
    &hashed_identifier::HashedIdentifier,
    &identifier_in_url::IdentifierInUrl,
    &undeclared_flow::UndeclaredFlow,
    &undeclared_recipient::UndeclaredRecipient,
    &unread_policy::UnreadPolicy,
    &unreadable_host::UnreadableHost,
    &vague_disclosure::VagueDisclosure,
];

/// The same 16 hex digits for the same code, data type and party in every run: the start of the SHA-256 of
/// `code|data type|party id|role`.
#[must_use]
pub fn fingerprint(code: &str, data_type: &str, party: &str, role: Role) -> String {
    let digest = Sha256::digest(format!("{code}|{data_type}|{party}|{}", role.as_str()));
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How much a data type tells of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    /// Facts many people share: model, language, operator.
    General,
    /// Names a person or device, or says where they are or what they wrote.
    Identifying,
    /// Sensitive personal information (GB/T 35273 annex B, PIPL article 28).
    Sensitive,
}

/// Types whose parts name a person or device, or are content of theirs.
const IDENTIFYING: &[&str] =
    &["device_identifier", "identity", "location", "user_content", "wifi_information", "installed_apps", "cookie"];

fn grade(ontology: &Ontology, data_type: &DataType) -> Grade {
    if ontology.get(data_type.as_str()).is_some_and(|rule| rule.sensitive) {
        Grade::Sensitive
    } else if IDENTIFYING.iter().any(|broad| ontology.subsumes(&DataType::new(broad), data_type)) {
        Grade::Identifying
    } else {
        Grade::General
    }
}

/// A finding about one flow, with all of its evidence and the clauses of its verdict. Evidence that may be chance is
/// a lead and no more, so it makes no finding graver than [`Severity::Low`].
fn about_flow(page: &Page, severity: Severity, judged: &JudgedFlow, title: String, reason: String) -> Finding {
    let flow = &judged.flow;
    let doubtful = flow.evidence.iter().all(|seen| seen.confidence == Confidence::Possible);
    let (severity, reason) = if doubtful && !flow.evidence.is_empty() {
        (severity.min(Severity::Low), format!("{reason}; recognised only by the name of a field or a short value"))
    } else {
        (severity, reason)
    };
    Finding {
        code: page.code,
        severity,
        verdict: judged.verdict,
        title,
        reason,
        data_flow: Some((flow.data_type.clone(), Arc::clone(&flow.party))),
        regulations: page.regulations.iter().map(|&id| id.to_owned()).collect(),
        evidence: flow.evidence.iter().map(evidence).collect(),
        clauses: judged.clauses.clone(),
        fingerprint: fingerprint(page.code, flow.data_type.as_str(), &flow.party.id, flow.party.role),
    }
}

fn evidence(seen: &Observation) -> Evidence {
    Evidence {
        exchange: seen.exchange,
        host: Arc::clone(&seen.host),
        location: seen.location.clone(),
        chain: seen.chain.clone(),
        value: seen.value.clone(),
        excerpt: seen.excerpt.clone(),
    }
}

/// A finding for every flow with the verdict.
fn with_verdict(
    context: &Context<'_>,
    page: &'static Page,
    verdict: Verdict,
    severity: impl Fn(&JudgedFlow) -> Severity,
    title: &str,
    findings: &mut Vec<Finding>,
) {
    for judged in context.flows.iter().filter(|judged| judged.verdict == Some(verdict)) {
        let title = format!("{} {title} {}", judged.flow.data_type, to(&judged.flow.party));
        findings.push(about_flow(page, severity(judged), judged, title, judged.reason.clone()));
    }
}

/// The receiver as titles name it.
fn to(party: &Party) -> String {
    match party.role {
        Role::FirstParty => "the first party".to_owned(),
        Role::ThirdParty | Role::Platform => format!("{} ({})", party.name, party.id),
        Role::Unknown => format!("{} (unknown party)", party.id),
    }
}

/// A finding for every flow that went on after a mark that should have ended it, up to the next `agree`.
fn after_mark(context: &Context<'_>, page: &'static Page, mark: MarkKind, words: &str, findings: &mut Vec<Finding>) {
    let spans: Vec<(Timestamp, Option<Timestamp>)> = context
        .marks
        .iter()
        .filter(|said| said.mark == mark)
        .map(|said| {
            let agreed = context.marks.iter().filter(|other| other.mark == MarkKind::Agree && other.ts > said.ts);
            (said.ts, agreed.map(|other| other.ts).min())
        })
        .collect();
    for judged in context.flows {
        let within = |ts: Timestamp| spans.iter().any(|(from, to)| ts > *from && to.is_none_or(|to| ts < to));
        let flow = &judged.flow;
        let seen: Vec<Evidence> = flow.evidence.iter().filter(|seen| within(seen.ts)).map(evidence).collect();
        if seen.is_empty() && !within(flow.first_ts) && !within(flow.last_ts) {
            continue;
        }
        let severity = match grade(context.rules.ontology(), &flow.data_type) {
            Grade::General => Severity::Medium,
            Grade::Identifying | Grade::Sensitive => Severity::High,
        };
        let title = format!("{} sent to {} {words}", flow.data_type, to(&flow.party));
        let reason = format!("last seen at {}, {words}", flow.last_ts);
        let finding = about_flow(page, severity, judged, title, reason);
        findings.push(if seen.is_empty() { finding } else { Finding { evidence: seen, ..finding } });
    }
}

/// Regulations of a page, with some more for one finding.
fn and(page: &Page, more: &[&str]) -> Vec<String> {
    page.regulations.iter().chain(more).map(|&id| id.to_owned()).collect()
}

/// A finding about no flow in particular.
fn about_party(
    page: &Page,
    severity: Severity,
    subject: &str,
    party: &Party,
    title: String,
    reason: String,
) -> Finding {
    Finding {
        code: page.code,
        severity,
        verdict: None,
        title,
        reason,
        data_flow: None,
        regulations: page.regulations.iter().map(|&id| id.to_owned()).collect(),
        evidence: Vec::new(),
        clauses: Vec::<ClauseQuote>::new(),
        fingerprint: fingerprint(page.code, subject, &party.id, party.role),
    }
}

#[cfg(test)]
mod tests;
