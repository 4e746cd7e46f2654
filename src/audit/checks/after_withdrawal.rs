//! Data that was sent although the user had withdrawn consent (the tester's `withdraw` mark).

use super::{Check, Context, after_mark};
use crate::audit::Page;
use crate::model::{Finding, MarkKind};

pub(super) struct AfterWithdrawal;

static PAGE: Page = Page {
    code: "after-withdrawal",
    title: "personal data sent after consent was withdrawn",
    what: "Personal data left the phone after the tester had marked that consent was withdrawn.",
    why: "After a withdrawal no further data may be collected on the ground of that consent.",
    tested: "Times of observations are compared with the `withdraw` marks; an `agree` mark ends the span.",
    not_tested: "Runs without a `withdraw` mark; data whose processing rests on another legal ground; deletion on the servers.",
    fix: "Stop SDKs and clear identifiers when consent is withdrawn, and keep that state across restarts.",
    regulations: &["CN191-3.8", "PIPL-15"],
};

impl Check for AfterWithdrawal {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        after_mark(context, &PAGE, MarkKind::Withdraw, "after consent was withdrawn", findings);
    }
}
