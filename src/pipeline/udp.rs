//! Datagrams: DNS is read; QUIC is known for what it is and counts as closed; the rest is unknown.

use super::collected::Collected;
use super::connection::Shared;
use super::unknown;
use crate::dns;
use crate::model::{Direction, NameProtocol, OpaqueReason, Timestamp};

/// Most DNS questions of one flow remembered to tell an answer from news.
const ASKED_MAX: usize = 256;

/// One UDP conversation.
#[derive(Default)]
pub(super) struct UdpFlow {
    asked: Vec<(u16, String)>,
    quic: bool,
}

impl UdpFlow {
    pub(super) fn datagram(
        &mut self,
        shared: &mut Shared,
        payload: &[u8],
        direction: Direction,
        ts: Timestamp,
        out: &mut Collected,
    ) {
        if payload.is_empty() {
            return;
        }
        let ports = [shared.key.client.port(), shared.key.server.port()];
        // Multicast DNS and LLMNR name things of the local network, the phone itself among them.
        let multicast = [(5353, NameProtocol::Mdns), (5355, NameProtocol::Llmnr)];
        if let Some(&(_, protocol)) = multicast.iter().find(|(port, _)| ports.contains(port))
            && let Some(message) = dns::message(payload)
        {
            let told = if message.response { dns::announcement(payload).unwrap_or(message) } else { message };
            self.names(shared, protocol, &told, ts, out);
            unknown::understood(shared, payload, direction, ts, out);
            return;
        }
        if dns::is_local(payload, ports) {
            unknown::understood(shared, payload, direction, ts, out);
            return;
        }
        if (ports.contains(&53) || dns::probe(payload))
            && let Some(message) = dns::message(payload)
        {
            self.names(shared, NameProtocol::Dns, &message, ts, out);
            return;
        }
        self.quic |= direction == Direction::ToServer && is_quic(payload);
        if self.quic {
            out.opaque(payload.len(), OpaqueReason::Quic);
        } else {
            unknown::datagram(shared, payload, direction, ts, out);
        }
    }

    /// Names are told when first asked for, and again with the addresses an answer gives.
    fn names(
        &mut self,
        shared: &Shared,
        protocol: NameProtocol,
        message: &dns::DnsMessage,
        ts: Timestamp,
        out: &mut Collected,
    ) {
        for name in message.seen_names_over(protocol, ts, shared.flow) {
            let key = (message.id, name.name.clone());
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

/// A QUIC long header of version 1, 2 or a late draft (RFC 9000 §17.2, RFC 9369 §3.1).
fn is_quic(payload: &[u8]) -> bool {
    let [first, v0, v1, v2, v3, ..] = *payload else { return false };
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    first & 0xc0 == 0xc0
        && (version == 1 || version == 0x6b33_43cf || version >> 8 == 0x00ff_0000 || version >> 24 == 0x51)
}
