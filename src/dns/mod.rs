//! Reads DNS messages (RFC 1035) over UDP and TCP: the names asked for and the addresses answered.
//!
//! What is cut off gives what was read before it. Which ports to look at, and joining names with flows, is the
//! pipeline's part.

mod local;
mod message;

pub use local::is_local;
pub use message::{DnsMessage, announcement, message, probe};

use crate::model::{FlowId, NameKind, NameProtocol, SeenName, Timestamp};
use std::net::IpAddr;

/// Longest DNS message over TCP (RFC 1035 §4.2.2).
pub const TCP_MESSAGE_MAX: usize = u16::MAX as usize;

impl DnsMessage {
    /// The names asked for, once each, with the addresses the answers lead to.
    #[must_use]
    pub fn seen_names(&self, ts: Timestamp, flow: FlowId) -> Vec<SeenName> {
        self.seen_names_over(NameProtocol::Dns, ts, flow)
    }

    /// The same of another protocol with messages of this kind.
    #[must_use]
    pub fn seen_names_over(&self, protocol: NameProtocol, ts: Timestamp, flow: FlowId) -> Vec<SeenName> {
        let mut seen: Vec<SeenName> = Vec::new();
        for (name, _) in &self.questions {
            if seen.iter().any(|before| before.name.eq_ignore_ascii_case(name)) {
                continue;
            }
            let of_it = |(owner, _): &&(String, IpAddr)| owner.eq_ignore_ascii_case(name);
            let addresses = self.addresses.iter().filter(of_it).map(|(_, address)| *address).collect();
            // The root without its dot would be nothing; this is how protocol analysers write it.
            let name = if name == "." { "<Root>".to_owned() } else { name.clone() };
            seen.push(SeenName { ts, flow, kind: NameKind::Dns, name, protocol, addresses });
        }
        seen
    }
}

/// DNS over one direction of a TCP stream: messages with a length before each.
#[derive(Debug, Default)]
pub struct DnsStream {
    buf: Vec<u8>,
    /// Bytes were lost, or what came is no DNS: lengths cannot be told any more.
    lost: bool,
}

impl DnsStream {
    /// Bytes kept of an unfinished message.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buf.len()
    }

    /// Takes bytes in order, with `gap` bytes lost before them; gives the messages they end. After a gap, or bytes that
    /// are no DNS, nothing more is read of the stream.
    pub fn feed(&mut self, gap: u64, bytes: &[u8]) -> Vec<DnsMessage> {
        if gap > 0 {
            self.lost = true;
        }
        if self.lost {
            self.buf.clear();
            return Vec::new();
        }
        self.buf.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut at = 0;
        while let [high, low, rest @ ..] = &self.buf[at..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(payload) = rest.get(..length) else { break };
            let Some(read) = message(payload) else {
                self.lost = true;
                break;
            };
            messages.push(read);
            at += 2 + length;
        }
        self.buf.drain(..at);
        messages
    }

    /// Whether nothing more can be read of the stream.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }
}

/// Whether a direction of a TCP stream begins with a whole DNS message behind its length, to the last byte: for ports
/// that are not DNS's own.
#[must_use]
pub fn probe_stream(bytes: &[u8]) -> bool {
    let [high, low, rest @ ..] = bytes else { return false };
    rest.get(..usize::from(u16::from_be_bytes([*high, *low]))).is_some_and(probe)
}

#[cfg(test)]
mod tests {
    use super::{DnsMessage, DnsStream, probe_stream};
    use crate::model::{FlowId, Timestamp};

    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";

    #[test]
    fn messages_over_tcp_are_found_in_any_pieces() {
        let one = [&[0, u8::try_from(QUERY.len()).expect("a short query")][..], QUERY].concat();
        let two = [&one[..], &one[..]].concat();
        for size in 1..=two.len() {
            let mut stream = DnsStream::default();
            let found: Vec<_> = two.chunks(size).flat_map(|piece| stream.feed(0, piece)).collect();
            assert_eq!(found.len(), 2, "pieces of {size}");
            assert!(probe_stream(&two) && !probe_stream(&two[1..]) && !probe_stream(&one[..one.len() - 1]));
            assert_eq!(found[1].questions, [("www.Example.com".to_owned(), 1)]);
        }
    }

    #[test]
    fn a_gap_ends_the_reading_of_a_stream() {
        let mut stream = DnsStream::default();
        assert!(stream.feed(3, QUERY).is_empty());
        assert!(stream.is_lost());
    }

    #[test]
    fn a_name_is_given_once_with_its_addresses() {
        let message = DnsMessage {
            id: 1,
            response: true,
            questions: vec![("a.example".to_owned(), 1), ("A.example".to_owned(), 28), ("b.example".to_owned(), 1)],
            addresses: vec![("a.example".to_owned(), [1, 2, 3, 4].into())],
        };
        let names = message.seen_names(Timestamp::default(), FlowId(3));
        assert_eq!(names.len(), 2);
        assert_eq!(names[0].addresses.len(), 1);
        assert_eq!(names[1].name, "b.example");
        let root = DnsMessage { questions: vec![(".".to_owned(), 2)], addresses: Vec::new(), ..message };
        assert_eq!(root.seen_names(Timestamp::default(), FlowId(3))[0].name, "<Root>");
    }
}
