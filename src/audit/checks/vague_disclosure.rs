//! Flows that the policy declares only by broader terms.

use super::{Check, Context, with_verdict};
use crate::audit::Page;
use crate::model::{Finding, Severity, Verdict};

pub(super) struct VagueDisclosure;

static PAGE: Page = Page {
    code: "vague-disclosure",
    title: "declared only by a broader term",
    what: "The policy covers this flow only by a broader name of the data or of the recipient (verdict: vague).",
    why: "Kinds of data and recipients are to be listed one by one; \"device information\" or \"partners\" does not tell what goes where.",
    tested: "The nearest relevant statement lies at least one step above the flow in the ontology of data or of recipients, or in the policy's own lists.",
    not_tested: "Whether a reader would find the term clear enough.",
    fix: "Name the data type and the recipient in the clause.",
    regulations: &["CN191-2.1", "CN164-1.1.3", "MASTG-TEST-0206"],
};

impl Check for VagueDisclosure {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let title = "is declared only by a broader term, and was sent to";
        with_verdict(context, &PAGE, Verdict::Vague, |_| Severity::Low, title, findings);
    }
}
