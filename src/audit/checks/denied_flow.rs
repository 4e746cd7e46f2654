//! Flows that the policy denies, or promises otherwise than they happened.

use super::{Check, Context, with_verdict};
use crate::audit::Page;
use crate::model::{Finding, Severity, Verdict};

pub(super) struct DeniedFlow;

static PAGE: Page = Page {
    code: "denied-flow",
    title: "sent although the policy says otherwise",
    what: "The policy denies that this data goes to this recipient, or promises a form or condition that was not kept (verdict: incorrect).",
    why: "Breaking one's own declared rules is a named violation and misleads users.",
    tested: "Only denials are relevant to the flow, or a denial narrows the declaration; or the nearest declaration promises hashing, anonymising, encryption or consent and the bytes show otherwise.",
    not_tested: "Conditions that cannot be seen from traffic; denials with open exceptions (except with consent, as the law requires) do not count as denials.",
    fix: "Stop sending the data, or correct the policy and ask for consent again.",
    regulations: &["CN191-3.9", "GB35273-5.5", "MASTG-TEST-0206"],
};

impl Check for DeniedFlow {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let title = "was sent, against the policy's word, to";
        with_verdict(context, &PAGE, Verdict::Incorrect, |_| Severity::High, title, findings);
    }
}
