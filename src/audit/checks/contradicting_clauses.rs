//! Flows that the policy both declares and denies.

use super::{Check, Context, with_verdict};
use crate::audit::Page;
use crate::model::{Finding, Severity, Verdict};

pub(super) struct ContradictingClauses;

static PAGE: Page = Page {
    code: "contradicting-clauses",
    title: "the policy both declares and denies it",
    what: "One clause declares this data for this recipient and another denies it (verdict: ambiguous).",
    why: "A user cannot know which clause holds, so neither informs; a regulator may hold the app to the denial.",
    tested: "All statements relevant to the flow are compared pairwise; contradictions C1 to C12 of the PoliCheck model count, a denial that merely narrows does not.",
    not_tested: "Contradictions about data that was not seen in the traffic; conditions that cannot be seen from traffic.",
    fix: "Bring both clauses in line with what the app does; say exceptions in the sentence that denies.",
    regulations: &["GB35273-5.5", "MASTG-TEST-0206"],
};

impl Check for ContradictingClauses {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let title = "is both declared and denied by the policy, and was sent to";
        with_verdict(context, &PAGE, Verdict::Ambiguous, |_| Severity::Medium, title, findings);
    }
}
