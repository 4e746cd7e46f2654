//! Identifiers that were hashed before they were sent: still identifiers.

use super::{Check, Context, about_flow, evidence, to};
use crate::audit::{Page, promise};
use crate::model::{DataType, Evidence, Finding, Severity};

pub(super) struct HashedIdentifier;

static PAGE: Page = Page {
    code: "hashed-identifier",
    title: "identifier sent as a hash",
    what: "A device identifier, phone number or the like was sent as a plain hash of its value.",
    why: "The hash of an identifier names the same device for everyone, and short values are found from it by trying all of them: it is de-identified at best, never anonymous.",
    tested: "The hash was recomputed from the known value of the device profile and found in the traffic.",
    not_tested: "Salted and keyed hashes, which cannot be recognised; what the receiver does with the hash.",
    fix: "Send a random identifier of the app's own instead, or declare the hashed identifier as personal data.",
    regulations: &["GB35273-6.2"],
};

impl Check for HashedIdentifier {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        let ontology = context.rules.ontology();
        let identifiers = [DataType::new("device_identifier"), DataType::new("identity")];
        for judged in context.flows {
            let flow = &judged.flow;
            if !identifiers.iter().any(|broad| ontology.subsumes(broad, &flow.data_type)) {
                continue;
            }
            let hashed: Vec<Evidence> =
                flow.evidence.iter().filter(|seen| promise::is_hashed(seen)).map(evidence).collect();
            let Some(first) = hashed.first() else { continue };
            let chain: Vec<&str> = first.chain.iter().map(|step| step.0).collect();
            let title = format!("{} sent as a hash to {}", flow.data_type, to(&flow.party));
            let reason = format!("found as {}; an unsalted hash is still an identifier", chain.join(" \u{2192} "));
            findings.push(Finding { evidence: hashed, ..about_flow(&PAGE, Severity::Note, judged, title, reason) });
        }
    }
}
