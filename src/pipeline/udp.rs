//! Datagrams: DNS and QUIC are read; the rest is unknown.

use super::collected::Collected;
use super::connection::Shared;
use super::questions::DnsQuestions;
use super::quic_layer::QuicLayer;
use super::unknown;
use crate::model::{Direction, Layer, NameProtocol, Timestamp, Weird};
use crate::{dns, quic};

/// The port of HTTP/3, where what may be QUIC is taken for it.
const QUIC_PORT: u16 = 443;

/// Said of a datagram of which only the beginning was captured.
const CUT: &str = "datagram cut by the capture";

/// How much of a datagram was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// Only its beginning.
    Cut,
}

/// One UDP conversation.
#[derive(Default)]
pub(super) struct UdpFlow {
    questions: DnsQuestions,
    quic: Option<Box<QuicLayer>>,
}

impl UdpFlow {
    /// Bytes held for what is still to come.
    pub(super) fn held(&self) -> usize {
        self.quic.as_ref().map_or(0, |quic| quic.held())
    }

    /// Gives up what is held.
    pub(super) fn cut(&mut self, shared: &mut Shared, ts: Timestamp, out: &mut Collected) {
        if let Some(mut quic) = self.quic.take() {
            quic.finish(shared, ts, out);
        }
    }

    pub(super) fn datagram(
        &mut self,
        shared: &mut Shared,
        (payload, extent): (&[u8], Extent),
        direction: Direction,
        ts: Timestamp,
        out: &mut Collected,
    ) {
        if extent == Extent::Cut {
            out.weird(Weird { layer: Layer::Flow, flow: Some(shared.flow), reason: CUT });
        }
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
            self.questions.tell((told.id.into(), &told), protocol, shared.flow, ts, out);
            unknown::understood(shared, payload, direction, ts, out);
            return;
        }
        if self.is_quic(payload, direction, ports) {
            self.quic.get_or_insert_default().datagram(shared, (payload, extent), direction, ts, out);
            return;
        }
        if dns::is_local(payload, ports) {
            unknown::understood(shared, payload, direction, ts, out);
            return;
        }
        if (ports.contains(&53) || dns::probe(payload))
            && let Some(message) = dns::message(payload)
        {
            let message = (message.id.into(), &message);
            self.questions.tell(message, NameProtocol::Dns, shared.flow, ts, out);
            return;
        }
        unknown::datagram(shared, payload, direction, ts, out);
    }

    /// Whether a datagram is QUIC, as far as its bytes and those before it tell.
    fn is_quic(&self, payload: &[u8], direction: Direction, ports: [u16; 2]) -> bool {
        match (quic::probe(payload), &self.quic) {
            _ if ports.contains(&53) => false,
            (quic::Probe::Yes, _) | (quic::Probe::Maybe, Some(_)) => true,
            (quic::Probe::Maybe, None) => ports.contains(&QUIC_PORT),
            (quic::Probe::No, Some(quic)) => quic.knows(direction, payload),
            (quic::Probe::No, None) => false,
        }
    }

    /// Its QUIC connections, if there are any.
    pub(super) fn quic(&self) -> Option<&QuicLayer> {
        self.quic.as_deref()
    }

    /// Its QUIC connections, if there are any.
    pub(super) fn quic_mut(&mut self) -> Option<&mut QuicLayer> {
        self.quic.as_deref_mut()
    }
}
