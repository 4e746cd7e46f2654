//! Cuts the body of a gRPC call into its length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"), so
//! that each can be searched as soon as it is whole. Decompression and the five-byte prefix are left to `decode`.

use crate::model::Body;

/// Flag and length before a message.
const PREFIX: usize = 5;

/// Whether a media type is that of gRPC.
pub(super) fn is_grpc(content_type: &str) -> bool {
    let base = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    base == "application/grpc" || base.starts_with("application/grpc+")
}

/// Cuts messages out of the bytes of one side of a call.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The message on its way with its prefix, at most [`Body::KEEP_MAX`] bytes of it.
    partial: Vec<u8>,
    /// Bytes of the message on its way that are still to come, once its prefix is whole.
    left: Option<u64>,
    /// Bytes were lost: where messages begin is not known any more.
    lost: bool,
}

/// A message with its prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Whether all of it is there.
    pub(super) complete: bool,
}

impl Messages {
    /// Takes bytes; gives the messages that became whole.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(Message)) {
        while !bytes.is_empty() {
            if self.lost {
                return self.keep(bytes);
            }
            let wanted = match self.left {
                Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
                None => PREFIX - self.partial.len(),
            };
            let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            self.keep(piece);
            match &mut self.left {
                Some(left) => *left -= piece.len() as u64,
                None if self.partial.len() == PREFIX => {
                    let length = [self.partial[1], self.partial[2], self.partial[3], self.partial[4]];
                    self.left = Some(u32::from_be_bytes(length).into());
                }
                None => {}
            }
            if self.left == Some(0) {
                self.left = None;
                let message = std::mem::take(&mut self.partial);
                let announced = message.get(1..PREFIX).map_or(0, |length| length.iter().fold(0, shift_in));
                take(Message { complete: message.len() == PREFIX + announced, bytes: message });
            }
        }
    }

    /// Bytes were lost here; what comes after them is one piece.
    pub(super) fn lost(&mut self) {
        self.lost = true;
    }

    /// What did not become a message.
    pub(super) fn rest(&mut self) -> Option<Message> {
        let bytes = std::mem::take(&mut self.partial);
        (!bytes.is_empty()).then_some(Message { bytes, complete: false })
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.partial.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = Body::KEEP_MAX - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn shift_in(number: usize, byte: &u8) -> usize {
    number << 8 | usize::from(*byte)
}

#[cfg(test)]
mod tests {
    use super::{Messages, is_grpc};
    use proptest::prelude::*;

    #[test]
    fn the_media_type_of_grpc_has_suffixes_and_grpc_web_is_another() {
        for (content_type, is) in [
            ("application/grpc", true),
            ("Application/gRPC+proto; charset=utf-8", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(content_type), is, "{content_type}");
        }
    }

    fn cut(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut messages = Messages::default();
        let mut whole = Vec::new();
        for piece in bytes.chunks(size) {
            messages.feed(piece, |message| {
                assert!(message.complete);
                whole.push(message.bytes);
            });
        }
        (whole, messages.rest().map(|message| message.bytes))
    }

    #[test]
    fn messages_are_cut_by_their_prefix() {
        let bytes = b"\0\0\0\0\x02ab\x01\0\0\0\0\0\0\0\0\x09cut";
        let (whole, rest) = cut(bytes, usize::MAX);
        assert_eq!(whole, [&b"\0\0\0\0\x02ab"[..], b"\x01\0\0\0\0"]);
        assert_eq!(rest.as_deref(), Some(&b"\0\0\0\0\x09cut"[..]));
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_messages(lengths in proptest::collection::vec(0u8..9, 0..6), size in 1usize..9) {
            let message = |length: u8| [&[0, 0, 0, 0, length][..], &vec![length; usize::from(length)]].concat();
            let bytes: Vec<u8> = lengths.into_iter().flat_map(message).chain([0, 0, 0]).collect();
            prop_assert_eq!(cut(&bytes, size), cut(&bytes, usize::MAX));
        }
    }
}
