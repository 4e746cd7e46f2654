//! Data that was sent before the user agreed (the tester's `agree` mark).

use super::{Check, Context, Grade, about_flow, and, evidence, grade, to};
use crate::audit::Page;
use crate::model::{Evidence, Finding, MarkKind, Role, Severity};

pub(super) struct BeforeConsent;

static PAGE: Page = Page {
    code: "before-consent",
    title: "personal data sent before the user agreed",
    what: "Personal data left the phone before the tester had marked that the user agreed.",
    why: "Consent comes first: collecting before it is a named violation whatever the policy declares.",
    tested: "The first observations of every data flow are compared with the first `agree` mark.",
    not_tested: "Runs without an `agree` mark; data read on the phone and sent later; whether the consent dialog itself was lawful.",
    fix: "Start SDKs and send identifiers only after the user has agreed; give SDKs that offer it their delayed-start option.",
    regulations: &["CN191-3.1", "CN337-1", "PIPL-13/14", "GB35273-5.4"],
};

impl Check for BeforeConsent {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let agreed = context.marks.iter().filter(|mark| mark.mark == MarkKind::Agree).map(|mark| mark.ts).min();
        for judged in context.flows.iter().filter(|judged| judged.flow.before_consent) {
            let flow = &judged.flow;
            let severity = match grade(context.rules.ontology(), &flow.data_type) {
                Grade::General => Severity::Medium,
                Grade::Identifying | Grade::Sensitive => Severity::High,
            };
            let title = format!("{} sent to {} before the user agreed", flow.data_type, to(&flow.party));
            let reason = match agreed {
                Some(agreed) => format!("first seen at {}, the user agreed at {agreed}", flow.first_ts),
                None => format!("first seen at {}", flow.first_ts),
            };
            let early: Vec<Evidence> =
                flow.evidence.iter().filter(|seen| agreed.is_none_or(|ts| seen.ts < ts)).map(evidence).collect();
            let mut finding = about_flow(&PAGE, severity, judged, title, reason);
            if !early.is_empty() {
                finding.evidence = early;
            }
            if flow.party.role != Role::FirstParty {
                finding.regulations = and(&PAGE, &["CN191-5.1"]);
            }
            findings.push(finding);
        }
    }
}
