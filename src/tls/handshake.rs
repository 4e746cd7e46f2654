//! The handshake layer: payloads of handshake records to whole messages, however they were split or packed
//! (RFC 8446 §5.1). Messages nobody asks for are skipped without being buffered; what they mean is left to `session`.

/// Longest handshake message that is put together; longer ones are skipped and reported.
pub const HANDSHAKE_MESSAGE_MAX: usize = 256 * 1024;

/// Handshake message types (RFC 8446 §4, RFC 5246 §7.4).
pub mod kind {
    /// ClientHello.
    pub const CLIENT_HELLO: u8 = 1;
    /// ServerHello.
    pub const SERVER_HELLO: u8 = 2;
    /// EndOfEarlyData.
    pub const END_OF_EARLY_DATA: u8 = 5;
    /// EncryptedExtensions.
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// Certificate.
    pub const CERTIFICATE: u8 = 11;
    /// Finished.
    pub const FINISHED: u8 = 20;
    /// KeyUpdate.
    pub const KEY_UPDATE: u8 = 24;
    /// CompressedCertificate (RFC 8879 §4).
    pub const COMPRESSED_CERTIFICATE: u8 = 25;
}

const HEADER_LEN: usize = 4;

/// What a step of the reassembly gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole message: its type and body.
    Message(u8, &'a [u8]),
    /// A message too long to keep; it is skipped.
    TooLong,
    /// All bytes are used up.
    Done,
}

/// Puts together the messages of one direction.
#[derive(Debug, Default)]
pub struct Handshake {
    /// A message of which a part has come, from its header on.
    partial: Vec<u8>,
    /// Bytes of a message still to be passed over.
    skip: usize,
    /// The message in `partial` was handed out; it is dropped at the next step.
    delivered: bool,
    /// Bytes were lost at an unknown place, so the next payload need not begin with a message.
    lost: bool,
}

impl Handshake {
    /// Takes from `payload` up to the end of the next message that matters.
    pub fn step<'s, 'p: 's>(&'s mut self, payload: &mut &'p [u8]) -> Step<'s> {
        if std::mem::take(&mut self.delivered) {
            self.partial = Vec::new();
        }
        loop {
            let skipped = self.skip.min(payload.len());
            *payload = payload.get(skipped..).unwrap_or_default();
            self.skip -= skipped;
            if payload.is_empty() {
                return Step::Done;
            }
            if !self.partial.is_empty() {
                break;
            }
            let Some((kind, len)) = header(payload) else {
                self.partial.extend_from_slice(payload);
                *payload = &[];
                return Step::Done;
            };
            if !wanted(kind) || len > HANDSHAKE_MESSAGE_MAX {
                self.skip = HEADER_LEN + len;
                if wanted(kind) {
                    return Step::TooLong;
                }
                continue;
            }
            let total = HEADER_LEN + len;
            if let Some((message, rest)) = payload.split_at_checked(total) {
                *payload = rest;
                return Step::Message(kind, message.get(HEADER_LEN..).unwrap_or_default());
            }
            self.partial.extend_from_slice(payload);
            *payload = &[];
            return Step::Done;
        }
        self.step_partial(payload)
    }

    /// Bytes kept of an unfinished message.
    pub(super) const fn held(&self) -> usize {
        self.partial.len()
    }

    /// Goes on with a message whose first part came before.
    fn step_partial<'s, 'p: 's>(&'s mut self, payload: &mut &'p [u8]) -> Step<'s> {
        self.fill(HEADER_LEN, payload);
        let Some((kind, len)) = header(&self.partial) else { return Step::Done };
        let total = HEADER_LEN + len;
        if !wanted(kind) || len > HANDSHAKE_MESSAGE_MAX {
            let missing = total.saturating_sub(self.partial.len());
            self.partial.clear();
            self.skip = missing;
            return if wanted(kind) { Step::TooLong } else { self.step(payload) };
        }
        self.fill(total, payload);
        if self.partial.len() < total {
            return Step::Done;
        }
        self.delivered = true;
        Step::Message(kind, self.partial.get(HEADER_LEN..).unwrap_or_default())
    }

    fn fill(&mut self, upto: usize, payload: &mut &[u8]) {
        let wanted = upto.saturating_sub(self.partial.len()).min(payload.len());
        let (part, rest) = payload.split_at(wanted);
        self.partial.extend_from_slice(part);
        *payload = rest;
    }

    /// `len` payload bytes were lost. Within a message they are passed over with it.
    pub fn lose(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if std::mem::take(&mut self.delivered) {
            self.partial.clear();
        }
        let message_rest = match header(&self.partial) {
            Some((_, message)) => (HEADER_LEN + message).saturating_sub(self.partial.len()),
            None => self.skip,
        };
        let within = len <= message_rest;
        self.partial.clear();
        self.skip = if within { message_rest - len } else { 0 };
        self.lost = !within;
    }

    /// A record begins. After a loss its payload is dropped unless it looks like the beginning of a message.
    pub fn begins_message(&mut self, payload: &[u8]) -> bool {
        if self.lost {
            let plausible = header(payload).is_some_and(|(kind, len)| {
                matches!(kind, 0..=25) && len.abs_diff(payload.len()) < HANDSHAKE_MESSAGE_MAX
            });
            self.lost = !plausible;
        }
        !self.lost
    }

    /// Whether `payload` is, or goes on with, a message of a type; encrypted bytes hardly ever look like it.
    pub(super) fn goes_on_with(&self, kind: u8, payload: &[u8]) -> bool {
        let begins = |bytes: &[u8]| header(bytes).is_some_and(|(k, len)| k == kind && len <= HANDSHAKE_MESSAGE_MAX);
        if self.partial.is_empty() || self.delivered { begins(payload) } else { begins(&self.partial) }
    }

    /// The body so far of a message that is not whole, with its type.
    pub fn unfinished(&self) -> Option<(u8, &[u8])> {
        if self.delivered {
            return None;
        }
        let (kind, _) = header(&self.partial)?;
        Some((kind, self.partial.get(HEADER_LEN..)?))
    }
}

fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c] = bytes.first_chunk::<HEADER_LEN>()?;
    Some((kind, u32::from_be_bytes([0, a, b, c]) as usize))
}

const fn wanted(kind: u8) -> bool {
    matches!(
        kind,
        kind::CLIENT_HELLO
            | kind::SERVER_HELLO
            | kind::END_OF_EARLY_DATA
            | kind::ENCRYPTED_EXTENSIONS
            | kind::CERTIFICATE
            | kind::FINISHED
            | kind::KEY_UPDATE
            | kind::COMPRESSED_CERTIFICATE
    )
}

#[cfg(test)]
mod tests {
    use super::{HANDSHAKE_MESSAGE_MAX, Handshake, Step};
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind], &len[1..], body].concat()
    }

    fn collect(handshake: &mut Handshake, mut payload: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            match handshake.step(&mut payload) {
                Step::Message(kind, body) => messages.push((kind, body.to_vec())),
                Step::TooLong => {}
                Step::Done => return messages,
            }
        }
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_split(cuts in proptest::collection::vec(1_usize..40, 0..40)) {
            let stream = [message(1, &[1; 50]), message(12, &[2; 70]), message(20, &[]), message(20, &[3; 32])].concat();
            let mut handshake = Handshake::default();
            let mut messages = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                messages.extend(collect(&mut handshake, part));
                rest = after;
            }
            messages.extend(collect(&mut handshake, rest));
            prop_assert_eq!(messages, vec![(1, vec![1; 50]), (20, vec![]), (20, vec![3; 32])]);
        }
    }

    #[test]
    fn a_message_above_the_cap_is_skipped_without_being_kept() {
        let mut handshake = Handshake::default();
        let long = message(1, &vec![0; HANDSHAKE_MESSAGE_MAX + 1]);
        let mut reported = 0;
        for part in long.chunks(16_384) {
            let mut payload = part;
            while handshake.step(&mut payload) == Step::TooLong {
                reported += 1;
            }
        }
        assert_eq!(reported, 1);
        assert!(handshake.partial.capacity() < 100);
        assert_eq!(collect(&mut handshake, &message(20, &[5])), [(20, vec![5])]);
    }

    #[test]
    fn bytes_lost_within_a_message_lose_that_message_only() {
        let mut handshake = Handshake::default();
        let stream = [message(12, &[0; 100]), message(20, &[1; 12])].concat();
        assert!(collect(&mut handshake, &stream[..30]).is_empty());
        handshake.lose(50);
        assert_eq!(collect(&mut handshake, &stream[80..]), [(20, vec![1; 12])]);
    }
}
