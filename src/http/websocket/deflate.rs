//! permessage-deflate (RFC 7692): what the handshake agreed on, and inflating one direction's messages.
//!
//! A window that is kept although each message starts anew changes nothing, since no distance then leaves its message; and
//! an empty window never gives wrong bytes, since a distance that leaves it is an error. So the agreement matters little,
//! and messages after a loss are tried with an empty window.

use crate::model::Headers;
use flate2::{Decompress, FlushDecompress, Status};

/// Most bytes one message may inflate to; what is beyond is not read.
pub const INFLATED_MAX: u64 = 64 << 20;
/// What a sender takes off the end of each message (RFC 7692 §7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];
/// Bytes a decompressor keeps: 32 KiB of window (RFC 1951 §2) and about as much state.
const WINDOW: usize = 48 << 10;
/// Bytes inflated at a time.
const PIECE: usize = 16 << 10;

/// Whether messages may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// The answer agreed to it; for the client's and the server's messages, whether each starts with an empty window.
    Agreed { fresh: [bool; 2] },
    /// The answer did not agree to it.
    Refused,
    /// The answer was not captured.
    Unknown,
}

impl Agreement {
    /// What the header fields of the answer say; none where it was not captured.
    pub(super) fn of(answer: Option<&Headers>) -> Self {
        let Some(answer) = answer else { return Self::Unknown };
        let values = answer.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"sec-websocket-extensions"));
        for (_, value) in values {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            for extension in value.split(',') {
                let mut words = extension.split(';').map(str::trim);
                if words.next() == Some("permessage-deflate") {
                    let mut fresh = [false; 2];
                    for word in words {
                        fresh[0] |= word == "client_no_context_takeover";
                        fresh[1] |= word == "server_no_context_takeover";
                    }
                    return Self::Agreed { fresh };
                }
            }
        }
        Self::Refused
    }
}

/// Why a message could not be inflated to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No deflate, or a distance to before what is known.
    Broken,
    /// More than [`INFLATED_MAX`] bytes.
    Capped,
}

/// The decompressor of one direction.
#[derive(Debug, Default)]
pub(super) struct Inflater {
    state: Option<Box<Decompress>>,
    produced: u64,
}

impl Inflater {
    /// Bytes of its window.
    pub(super) fn held(&self) -> usize {
        if self.state.is_some() { WINDOW } else { 0 }
    }

    /// Inflates a piece of a message into `sink`. After a failure the rest of the message is unreadable, and the window
    /// is empty.
    pub(super) fn feed(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        let result = self.run(input, sink);
        if result.is_err() {
            self.reset();
        }
        result
    }

    /// Ends a message.
    pub(super) fn end(&mut self, fresh: bool, sink: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        let result = self.feed(TAIL, sink);
        self.produced = 0;
        if fresh {
            self.reset();
        }
        result
    }

    /// Forgets the window and the message on its way.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn run(&mut self, mut input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        let state = self.state.get_or_insert_with(|| Box::new(Decompress::new(false)));
        let mut piece = [0; PIECE];
        loop {
            let before = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut piece, FlushDecompress::Sync);
            let taken = usize::try_from(state.total_in() - before.0).unwrap_or(usize::MAX).min(input.len());
            let given = usize::try_from(state.total_out() - before.1).unwrap_or(usize::MAX).min(PIECE);
            input = &input[taken..];
            sink(&piece[..given]);
            self.produced += given as u64;
            if self.produced > INFLATED_MAX {
                return Err(Failure::Capped);
            }
            // What came out before an error is right.
            match status.map_err(|_| Failure::Broken)? {
                // A final block ends the stream, not the message (RFC 7692 §7.2.3.5).
                Status::StreamEnd => {
                    state.reset(false);
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                Status::Ok | Status::BufError if given == PIECE => {}
                Status::Ok | Status::BufError if input.is_empty() => return Ok(()),
                Status::Ok | Status::BufError if taken == 0 && given == 0 => return Err(Failure::Broken),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Failure, INFLATED_MAX, Inflater};
    use crate::model::Headers;

    fn answer(value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(b"Sec-WebSocket-Extensions", value.as_bytes());
        headers
    }

    fn inflate(inflater: &mut Inflater, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        inflater.feed(bytes, &mut |piece| out.extend_from_slice(piece))?;
        inflater.end(false, &mut |piece| out.extend_from_slice(piece))?;
        Ok(out)
    }

    #[test]
    fn the_answer_tells_what_was_agreed() {
        let agreed = |client, server| Agreement::Agreed { fresh: [client, server] };
        for (value, expected) in [
            ("permessage-deflate", agreed(false, false)),
            ("x-other; a=1, Permessage-Deflate; server_no_context_takeover", agreed(false, true)),
            ("permessage-deflate; client_no_context_takeover; server_max_window_bits=10", agreed(true, false)),
            ("permessage-bzip2", Agreement::Refused),
        ] {
            assert_eq!(Agreement::of(Some(&answer(value))), expected, "{value}");
        }
        assert_eq!(Agreement::of(Some(&Headers::default())), Agreement::Refused);
        assert_eq!(Agreement::of(None), Agreement::Unknown);
    }

    /// RFC 7692 §7.2.3.1 to §7.2.3.5.
    #[test]
    fn the_examples_of_the_rfc_inflate() {
        let hello: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for example in [
            hello,
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(&mut Inflater::default(), example).as_deref(), Ok(&b"Hello"[..]), "{example:x?}");
        }
        let mut sharing = Inflater::default();
        assert_eq!(inflate(&mut sharing, hello).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflate(&mut sharing, &[0xf2, 0x00, 0x11, 0x00, 0x00]).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflate(&mut sharing, &[0x00]).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_reference_to_a_lost_window_gives_nothing() {
        let mut inflater = Inflater::default();
        assert_eq!(inflate(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00]), Err(Failure::Broken));
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&mut inflater, &hello).as_deref(), Ok(&b"Hello"[..]));
    }

    #[test]
    fn a_bomb_is_stopped_at_its_cap() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        let zeros = vec![0; 1 << 20];
        for _ in 0..=INFLATED_MAX >> 20 {
            std::io::Write::write_all(&mut encoder, &zeros).expect("a vector takes all");
        }
        let bomb = encoder.finish().expect("a vector takes all");
        let mut total = 0;
        let result = Inflater::default().feed(&bomb, &mut |piece| total += piece.len() as u64);
        assert_eq!(result, Err(Failure::Capped));
        assert!(total <= INFLATED_MAX + (16 << 10), "{total}");
    }
}
