//! Third parties that receive personal data and that the policy never names.

use super::{Check, Context, about_party, evidence, to};
use crate::audit::{Judge, Page};
use crate::model::{Evidence, Finding, Party, Polarity, Role, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct UndeclaredRecipient;

static PAGE: Page = Page {
    code: "undeclared-recipient",
    title: "a third party receives data and is never named",
    what: "Personal data goes to a third party that no declaration of the policy names, neither itself nor its company.",
    why: "The recipient's name must be told when data is given to another processor, and SDK lists must be complete.",
    tested: "The party of every data flow against the recipients of all positive statements, by id, alias and company.",
    not_tested: "Parties that receive only data of which nothing was recognised; companies behind hosts that the rules do not know.",
    fix: "Add the recipient to the list of SDKs and third parties, with purpose, data and contact.",
    regulations: &["PIPL-23", "CN292", "GB35273-9.7", "MASTG-TEST-0281"],
};

impl Check for UndeclaredRecipient {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        if context.documents.is_empty() {
            return;
        }
        let judge = Judge::new(context.documents, context.rules);
        let mut parties: BTreeMap<&Arc<Party>, (Vec<&str>, Vec<Evidence>)> = BTreeMap::new();
        for judged in context.flows {
            let flow = &judged.flow;
            if matches!(flow.party.role, Role::ThirdParty | Role::Unknown) {
                let (types, seen) = parties.entry(&flow.party).or_default();
                types.push(flow.data_type.as_str());
                seen.extend(flow.evidence.first().map(evidence));
            }
        }
        for (party, (types, seen)) in parties {
            let named = judge.statements.all.iter().any(|said| {
                !said.implied
                    && said.declaration.polarity == Polarity::Positive
                    && judge.names(party, &judge.statements.receivers[said.receiver])
            });
            if named {
                continue;
            }
            let title = format!("{} receives personal data and is not named in the policy", to(party));
            let reason = format!("it receives {}; no declaration names it or its company", types.join(", "));
            let mut finding = about_party(&PAGE, Severity::Medium, "", party, title, reason);
            finding.evidence = seen.into_iter().take(crate::model::DataFlow::EVIDENCE_MAX).collect();
            findings.push(finding);
        }
    }
}
