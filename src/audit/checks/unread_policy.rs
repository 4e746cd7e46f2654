//! A policy was given and no statement could be read from it, so that every verdict would mislead.

use super::{Check, Context, fingerprint};
use crate::audit::Page;
use crate::model::{Finding, Role, Severity};

pub(super) struct UnreadPolicy;

static PAGE: Page = Page {
    code: "unread-policy",
    title: "no statement was found in the policy",
    what: "The text given as the policy holds no statement about personal data that could be read.",
    why: "Either the app has no rules on collection, or the text was not understood; in both cases every flow counts as omitted.",
    tested: "The number of statements read from all documents given.",
    not_tested: "Whether the text is the policy that the app shows.",
    fix: "Check the file (`divulge policy show`), or write the declarations by hand (`policy import --format toml`).",
    regulations: &["CN191-1.1"],
};

impl Check for UnreadPolicy {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let read = context.documents.iter().any(|policy| !policy.statements.is_empty());
        if context.documents.is_empty() || read {
            return;
        }
        findings.push(Finding {
            code: PAGE.code,
            severity: Severity::Medium,
            verdict: None,
            title: "no statement about personal data was found in the policy".to_owned(),
            reason: "every data flow is therefore judged as omitted".to_owned(),
            data_flow: None,
            regulations: PAGE.regulations.iter().map(|&id| id.to_owned()).collect(),
            evidence: Vec::new(),
            clauses: Vec::new(),
            fingerprint: fingerprint(PAGE.code, "", "", Role::FirstParty),
        });
    }
}
