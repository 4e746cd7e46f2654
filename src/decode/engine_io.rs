//! JSON behind the packet type of Engine.IO and Socket.IO (`42["event",{…}]`, `451-/space,7[…]`, several packets in one
//! polling body) and behind the frame letter of SockJS (`a["…"]`).

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe, json};

/// Most digits of a type, a length, a number of attachments or an identifier.
const DIGITS_MAX: usize = 10;
/// Longest name of a namespace.
const NAMESPACE_MAX: usize = 128;
/// Packets of a body that are looked at for JSON.
const PACKETS_LOOK: usize = 4;
/// Between the packets of a polling body.
const SEPARATOR: u8 = 0x1e;

pub(super) struct EngineIo;

impl Decoder for EngineIo {
    fn probe(&self, input: &Input<'_>) -> Probe {
        // Most bodies are told apart by their first byte, without a look at the rest.
        if !input.bytes().first().is_some_and(|first| first.is_ascii_digit() || matches!(first, b'a' | b'm')) {
            return Probe::No;
        }
        let packets = input.bytes().split(|&byte| byte == SEPARATOR).take(PACKETS_LOOK);
        let found = packets.into_iter().any(|packet| prefix(packet).is_some_and(|at| json::looks_like(&packet[at..])));
        if found { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        let bytes = input.bytes();
        let several = memchr::memchr(SEPARATOR, bytes).is_some();
        walker.step("engine.io", |walker| {
            let root = walker.mark();
            let mut start = 0;
            for (index, packet) in bytes.split(|&byte| byte == SEPARATOR).enumerate() {
                if walker.full() {
                    break;
                }
                if several {
                    walker.push_index(index);
                }
                let end = start + packet.len();
                match prefix(packet) {
                    Some(at) => walker.step("json", |walker| json::leaves(input.doc, start + at..end, walker)),
                    None if !packet.is_empty() => walker.leaf(input.doc, start..end, packet, None),
                    None => {}
                }
                walker.reset(root);
                start = end + 1;
            }
        });
    }
}

/// Whether bytes begin like a packet with JSON in it.
pub(super) fn begins(bytes: &[u8]) -> bool {
    prefix(bytes).is_some()
}

/// Where the JSON of a packet begins.
fn prefix(bytes: &[u8]) -> Option<usize> {
    let at = match *bytes.first()? {
        b'0'..=b'9' => {
            let mut at = digits(bytes, 0)?;
            // Bodies of Engine.IO 3 have the length of each packet before it.
            if bytes.get(at) == Some(&b':') {
                at = digits(bytes, at + 1)?;
            }
            if bytes.get(at) == Some(&b'-') {
                at += 1;
            }
            if bytes.get(at) == Some(&b'/') {
                let name = &bytes[at..bytes.len().min(at + NAMESPACE_MAX)];
                at += memchr::memchr(b',', name)? + 1;
            }
            digits(bytes, at).unwrap_or(at)
        }
        b'a' | b'm' => 1,
        _ => return None,
    };
    matches!(bytes.get(at), Some(b'[' | b'{')).then_some(at)
}

/// The end of one to [`DIGITS_MAX`] digits.
fn digits(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes.get(at..)?.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    (1..=DIGITS_MAX).contains(&count).then_some(at + count)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, leaves};

    #[test]
    fn json_behind_a_packet_type_is_read() {
        for (text, place) in [
            (r#"42["login",{"id":"some value"}]"#, "body/id/$[1].id"),
            (r#"42/chat,13["login",{"id":"some value"}]"#, "body/id/$[1].id"),
            (r#"451-["login",{"id":"some value","file":{"_placeholder":true,"num":0}}]"#, "body/id/$[1].id"),
            (r#"0{"sid":"x","id":"some value"}"#, "body/id/$.id"),
            (r#"96:40{"id":"some value"}"#, "body/id/$.id"),
            (r#"m{"id":"some value"}"#, "body/id/$.id"),
        ] {
            let (seen, _) = leaves("", &[], text.as_bytes());
            has(&seen, place, "engine.io>json", "some value");
        }
        let (seen, _) = leaves("", &[], br#"a["{\"id\":\"some value\"}"]"#);
        has(&seen, "body/id/$[0].id", "engine.io>json>json", "some value");
        let (seen, _) = leaves("text/plain", &[], b"2\x1e40{\"a\":1}\x1e42[\"e\",{\"id\":\"some value\"}]");
        has(&seen, "body/id/$[2][1].id", "engine.io>json", "some value");
    }

    #[test]
    fn numbers_and_words_are_no_packets() {
        for text in ["2026-11-22 [x]", "12345678", "abc[1]", "42[", "1.5{\"a\":1}", "april{}"] {
            let (seen, _) = leaves("", &[], text.as_bytes());
            assert!(seen.iter().all(|(_, chain, ..)| !chain.contains("engine")), "{text}: {seen:?}");
        }
    }
}
