//! Hosts whose traffic stayed closed: what goes there is not known.

use super::{Check, Context, about_party, to};
use crate::audit::Page;
use crate::model::{Finding, Severity, Verdict};

pub(super) struct UnreadableHost;

static PAGE: Page = Page {
    code: "unreadable-host",
    title: "traffic to a host could not be read",
    what: "Bytes went to this host and their content stayed closed, so nothing is known of what they carry.",
    why: "A report without findings for a host that could not be read proves nothing about it.",
    tested: "Payload bytes per host that no stage could open, with the commonest reason.",
    not_tested: "The content itself.",
    fix: "Give the keys of the sessions (--keys, or the capture's own), capture through the proxy, or capture from the start of the connection without loss.",
    regulations: &[],
};

impl Check for UnreadableHost {
    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn run(&self, context: &Context<'_>, findings: &mut Vec<Finding>) {
        for host in context.hosts.iter().filter(|host| host.opaque_bytes > 0) {
            let why = host.opaque_reason.map_or("unknown", crate::model::OpaqueReason::as_str);
            let title = format!("traffic to {} could not be read", host.host);
            let reason =
                format!("{} of {} bytes to {} stayed closed: {why}", host.opaque_bytes, host.bytes, to(&host.party));
            findings.push(Finding {
                verdict: Some(Verdict::Unreadable),
                ..about_party(&PAGE, Severity::Note, &host.host, &host.party, title, reason)
            });
        }
    }
}
