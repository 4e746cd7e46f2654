//! Identifying data in the target of a request, where servers and proxies log it.

use super::{Check, Context, Grade, about_flow, evidence, grade, to};
use crate::audit::Page;
use crate::model::{Evidence, Finding, Part, Severity, Side};

pub(super) struct IdentifierInUrl;

static PAGE: Page = Page {
    code: "identifier-in-url",
    title: "identifying data in a request's URL",
    what: "Identifying data stands in the path or query of a request.",
    why: "URLs are written to logs of servers, proxies and browsers and travel on in Referer, so the data spreads beyond its purpose.",
    tested: "Where the observations kept as evidence of a data flow stand in their requests.",
    not_tested: "Observations beyond those kept as evidence; Referer headers of other requests.",
    fix: "Send such data in the body of a POST request.",
    regulations: &[],
};

impl Check for IdentifierInUrl {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        for judged in context.flows {
            let flow = &judged.flow;
            if grade(context.rules.ontology(), &flow.data_type) == Grade::General {
                continue;
            }
            let in_url: Vec<Evidence> = flow
                .evidence
                .iter()
                .filter(|seen| {
                    seen.location.side == Side::Request && matches!(seen.location.part, Part::Query | Part::Path)
                })
                .map(evidence)
                .collect();
            if in_url.is_empty() {
                continue;
            }
            let title = format!("{} in the URL of requests to {}", flow.data_type, to(&flow.party));
            let finding = about_flow(&PAGE, Severity::Note, judged, title, "URLs are logged on their way".to_owned());
            findings.push(Finding { evidence: in_url, ..finding });
        }
    }
}
