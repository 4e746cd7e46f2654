//! Tells the names of DNS messages when they are first asked for, and again with the addresses an answer gives.

use super::collected::Collected;
use crate::dns::DnsMessage;
use crate::model::{FlowId, NameProtocol, Timestamp};

/// Most questions of one flow remembered to tell an answer from news.
const ASKED_MAX: usize = 256;

/// What was asked in one flow.
#[derive(Default)]
pub(super) struct DnsQuestions {
    /// Number of the message, or of what carried it, and name.
    asked: Vec<(u64, String)>,
}

impl DnsQuestions {
    /// Takes a message by its number.
    pub(super) fn tell(
        &mut self,
        (number, message): (u64, &DnsMessage),
        protocol: NameProtocol,
        flow: FlowId,
        ts: Timestamp,
        out: &mut Collected,
    ) {
        for name in message.seen_names_over(protocol, ts, flow) {
            let key = (number, name.name.clone());
            let known = self.asked.contains(&key);
            if known && name.addresses.is_empty() {
                continue;
            }
            if !known && self.asked.len() < ASKED_MAX {
                self.asked.push(key);
            }
            out.names.push(name);
        }
    }
}
