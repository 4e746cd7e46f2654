//! Premaster secrets to master secrets (RFC 5246 §8.1, RFC 7627). The extended derivation runs over what the handshake
//! said, so that is kept here where a key log has premaster secrets at all.

use super::schedule::{prf, ssl3_prf};
use super::suite::{Hash, Suite};
use aws_lc_rs::digest;
use md5::{Digest, Md5};

/// Most handshake bytes kept of a session; no usual handshake has more before the keys are agreed on.
pub const TRANSCRIPT_MAX: usize = 128 * 1024;

const MASTER_LEN: usize = 48;
const SSL_3_0: u16 = 0x0300;
const TLS_1_2: u16 = 0x0303;
const HEADER_LEN: usize = 4;
const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Handshake messages of both sides in the clear, as they came.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    /// Takes the payload of a handshake record.
    pub(super) fn push(&mut self, payload: &[u8]) {
        if self.bytes.len() + payload.len() <= TRANSCRIPT_MAX {
            self.bytes.extend_from_slice(payload);
        }
    }

    /// What the client sent for the key exchange.
    pub(super) fn key_exchange(&self) -> Option<&[u8]> {
        self.messages()
            .rfind(|&(_, message)| message.first() == Some(&CLIENT_KEY_EXCHANGE))
            .and_then(|(_, message)| message.get(HEADER_LEN..))
    }

    /// The messages from the last ClientHello to the key exchange (RFC 7627 §3).
    fn through_key_exchange(&self) -> Option<Vec<u8>> {
        let mut hashed = Vec::new();
        let mut found = false;
        for (_, message) in self.messages() {
            match message.first() {
                Some(&HELLO_REQUEST) => continue,
                Some(&CLIENT_HELLO) => {
                    hashed.clear();
                    found = false;
                }
                _ if found => continue,
                Some(&CLIENT_KEY_EXCHANGE) => found = true,
                _ => {}
            }
            hashed.extend_from_slice(message);
        }
        found.then_some(hashed)
    }

    fn messages(&self) -> impl DoubleEndedIterator<Item = (usize, &[u8])> {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(&[_, a, b, c]) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER_LEN>()) {
            let end = at + HEADER_LEN + u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(message) = self.bytes.get(at..end) else { break };
            starts.push((at, message));
            at = end;
        }
        starts.into_iter()
    }
}

/// What a master secret is made from, beside the premaster secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) version: u16,
    pub(super) suite: Suite,
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
    /// Whether both sides agreed on the extended derivation.
    pub(super) extended: bool,
    pub(super) transcript: &'a Transcript,
}

impl Exchange<'_> {
    /// The master secret; none where it takes messages that were not seen.
    pub(super) fn master(&self, premaster: &[u8]) -> Option<Vec<u8>> {
        if self.version == SSL_3_0 {
            return Some(ssl3_prf(premaster, [self.client_random, self.server_random], MASTER_LEN));
        }
        let hash = (self.version == TLS_1_2).then(|| self.suite.prf12());
        if !self.extended {
            return prf(hash, premaster, b"master secret", &[self.client_random, self.server_random], MASTER_LEN);
        }
        let messages = self.transcript.through_key_exchange()?;
        let seed = match hash {
            Some(Hash::Sha384) => digest::digest(&digest::SHA384, &messages).as_ref().to_vec(),
            Some(_) => digest::digest(&digest::SHA256, &messages).as_ref().to_vec(),
            None => {
                let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &messages);
                [Md5::digest(&messages).as_slice(), sha1.as_ref()].concat()
            }
        };
        prf(hash, premaster, b"extended master secret", &[&seed], MASTER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::Transcript;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind], &len[1..], body].concat()
    }

    #[test]
    fn the_session_hash_runs_from_the_last_hello_to_the_key_exchange() {
        let mut transcript = Transcript::default();
        transcript.push(&[message(1, b"first"), message(0, b"")].concat());
        transcript.push(&message(1, b"again"));
        transcript.push(&message(2, b"hello"));
        transcript.push(&[message(16, b"keys"), message(15, b"verify")].concat());
        let wanted = [message(1, b"again"), message(2, b"hello"), message(16, b"keys")].concat();
        assert_eq!(transcript.through_key_exchange(), Some(wanted));
        assert_eq!(transcript.key_exchange(), Some(&b"keys"[..]));
        transcript.push(&message(1, b"renegotiated"));
        assert_eq!(transcript.through_key_exchange(), None);
    }
}
