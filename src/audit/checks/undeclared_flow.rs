//! Flows that no statement of the policy covers.

use super::{Check, Context, Grade, and, grade, with_verdict};
use crate::audit::Page;
use crate::model::{Finding, Role, Severity, Verdict};

pub(super) struct UndeclaredFlow;

static PAGE: Page = Page {
    code: "undeclared-flow",
    title: "sent, and declared nowhere in the policy",
    what: "No statement of the policy covers this data going to this recipient, not even by a broader term (verdict: omitted).",
    why: "A policy must list what is collected, by whom and what for, SDK by SDK; undeclared sharing is the commonest ground of notices.",
    tested: "All statements were searched for the data type or a broader one together with the recipient or a broader one; a row of an SDK table licenses its SDK alone.",
    not_tested: "Texts shown elsewhere (dialogs, the SDK's own policy); data passed on by servers.",
    fix: "Stop sending it, or name the data and the recipient in the policy and ask for consent again.",
    regulations: &["CN191-2.1", "PIPL-17", "MASTG-TEST-0206"],
};

impl Check for UndeclaredFlow {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let start = findings.len();
        let severity = |judged: &crate::model::JudgedFlow| match grade(context.rules.ontology(), &judged.flow.data_type)
        {
            Grade::General => Severity::Medium,
            Grade::Identifying | Grade::Sensitive => Severity::High,
        };
        with_verdict(context, &PAGE, Verdict::Omitted, severity, "is not declared, and was sent to", findings);
        for finding in &mut findings[start..] {
            let own = finding.data_flow.as_ref().is_some_and(|(_, party)| party.role == Role::FirstParty);
            if !own {
                finding.regulations = and(&PAGE, &["CN337-3", "CN164-1.3.1", "PIPL-23", "GB35273-9.2"]);
            }
        }
    }
}
