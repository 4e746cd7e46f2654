//! Holds what was sent against what was declared: judges every data flow by the flow-to-policy model of PoliCheck
//! (USENIX Security 2020) and turns verdicts, marks and coverage into findings with both sides of the proof.
//! Recognising data and naming receivers is done by then; showing findings is left to the reports.
//!
//! A check is one file in `checks/` and one line in [`CHECKS`]; its [`Page`] is what `divulge explain CODE` prints.

mod checks;
mod declared;
mod judge;
mod page;
mod promise;
mod relation;
mod statement;
mod terms;

pub use checks::{CHECKS, Check, Context, fingerprint};
pub use judge::{Distances, Judge, Judgement, Vagueness};
pub use page::Page;
pub use relation::{Cell, Relation};

use crate::model::{DataFlow, DeclaredOnly, Finding, HostSummary, JudgedFlow, Mark, PolicyDocument};
use crate::rules::RuleSet;
use std::cmp::Reverse;

/// What there is to judge.
#[derive(Debug, Default)]
pub struct AuditInput<'a> {
    /// The data flows, by data type and party.
    pub flows: Vec<DataFlow>,
    /// The hosts of the run.
    pub hosts: &'a [HostSummary],
    /// The policies, in the order of [`crate::model::Report::policies`]; none where no policy was given.
    pub documents: &'a [&'a PolicyDocument],
    /// The tester's marks.
    pub marks: &'a [Mark],
}

/// The outcome of an audit, as the report holds it.
#[derive(Debug, Default)]
pub struct AuditOutcome {
    /// The flows with their verdicts, in the order given.
    pub data_flows: Vec<JudgedFlow>,
    /// Findings, gravest first, then by code and fingerprint.
    pub findings: Vec<Finding>,
    /// Declared but never seen.
    pub declared_only: Vec<DeclaredOnly>,
}

/// Judges all flows and runs all checks. Without documents there are no verdicts, and only the checks that need no
/// policy find anything.
#[must_use]
pub fn audit(input: AuditInput<'_>, rules: &RuleSet) -> AuditOutcome {
    let judge = Judge::new(input.documents, rules);
    let mut observed = declared::Observed::default();
    let data_flows: Vec<JudgedFlow> = input
        .flows
        .into_iter()
        .map(|flow| {
            if input.documents.is_empty() {
                return JudgedFlow { flow, verdict: None, clauses: Vec::new(), reason: String::new() };
            }
            let judgement = judge.judge(&flow);
            observed.note(&judgement);
            JudgedFlow { flow, verdict: Some(judgement.verdict), clauses: judgement.clauses, reason: judgement.reason }
        })
        .collect();
    let context =
        Context { flows: &data_flows, hosts: input.hosts, documents: input.documents, marks: input.marks, rules };
    let mut findings = Vec::new();
    for check in CHECKS {
        check.run(&context, &mut findings);
    }
    findings.sort_by(|a, b| {
        (Reverse(a.severity), a.code, &a.fingerprint).cmp(&(Reverse(b.severity), b.code, &b.fingerprint))
    });
    AuditOutcome { data_flows, findings, declared_only: declared::never_seen(&judge, &observed) }
}

/// Judges one flow; where there are many, make one [`Judge`] for all.
#[must_use]
pub fn judge(flow: &DataFlow, documents: &[&PolicyDocument], rules: &RuleSet) -> Judgement {
    Judge::new(documents, rules).judge(flow)
}

/// The page of a finding code.
#[must_use]
pub fn page(code: &str) -> Option<&'static Page> {
    CHECKS.iter().map(|check| check.page()).find(|page| page.code == code)
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests;
