//! Identifying or sensitive data that travelled outside TLS.

use super::{Check, Context, Grade, about_flow, evidence, grade, to};
use crate::audit::Page;
use crate::model::{Evidence, Finding, Severity};

pub(super) struct CleartextIdentifier;

static PAGE: Page = Page {
    code: "cleartext-identifier",
    title: "identifying data sent without encryption",
    what: "An identifier, a location, content or other identifying data travelled in clear text.",
    why: "Anyone on the way (Wi-Fi, operator) can read and change it; sensitive data must be encrypted in transit.",
    tested: "Observations outside TLS and QUIC whose data type names a person or device, or is sensitive; hashed values count too, since they name a device as well.",
    not_tested: "Encryption inside of clear-text transport (it shows as unread content); the strength of TLS where it was used.",
    fix: "Use HTTPS for every request, also of SDKs; forbid clear text in the network security configuration.",
    regulations: &["GB35273-6.3", "PIPL-51"],
};

impl Check for CleartextIdentifier {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        for judged in context.flows.iter().filter(|judged| judged.flow.cleartext) {
            let flow = &judged.flow;
            let severity = match grade(context.rules.ontology(), &flow.data_type) {
                Grade::General => continue,
                Grade::Identifying => Severity::Medium,
                Grade::Sensitive => Severity::High,
            };
            let open: Vec<Evidence> = flow.evidence.iter().filter(|seen| seen.cleartext).map(evidence).collect();
            let hosts: Vec<&str> = flow.hosts.iter().map(|host| &**host).take(3).collect();
            let title = format!("{} sent in clear text to {}", flow.data_type, to(&flow.party));
            let reason = format!("outside TLS, to {}", hosts.join(", "));
            let mut finding = about_flow(&PAGE, severity, judged, title, reason);
            if !open.is_empty() {
                finding.evidence = open;
            }
            findings.push(finding);
        }
    }
}
