//! Data that was sent although the user had refused (the tester's `refuse` mark).

use super::{Check, Context, after_mark};
use crate::audit::Page;
use crate::model::{Finding, MarkKind};

pub(super) struct AfterRefusal;

static PAGE: Page = Page {
    code: "after-refusal",
    title: "personal data sent after the user refused",
    what: "Personal data left the phone after the tester had marked that consent was refused.",
    why: "Collecting after an explicit refusal is one of the named violations of the 2019 rules; it cannot be excused by the policy's text.",
    tested: "Times of observations are compared with the `refuse` marks; an `agree` mark ends the span.",
    not_tested: "Runs without a `refuse` mark; what was read on the phone and not sent; times within the span beyond the first, the last and the evidence kept of a flow.",
    fix: "Initialise SDKs and send requests with identifiers only after consent; after a refusal run in a mode without them.",
    regulations: &["CN191-3.2", "PIPL-13/14", "GB35273-5.4"],
};

impl Check for AfterRefusal {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        after_mark(context, &PAGE, MarkKind::Refuse, "after the user refused", findings);
    }
}
