//! Finds the start of a frame after bytes were lost: the first place from which headers, lengths and texts agree with
//! each other well enough that chance would hardly give it. Which place that is depends on the bytes alone, not on how
//! they come in.

use super::frame::{self, BINARY, CLOSE, CONTINUATION, Head, PING, PONG, RSV1, TEXT};

/// Bytes after a place that are looked at before it is given up.
const WINDOW: usize = 64 << 10;
/// Largest frame believed in a search.
const FRAME_MAX: u64 = 16 << 20;
/// Bits of evidence wanted.
const BITS_WANTED: u32 = 20;
/// What one plausible header is worth.
const BITS_HEAD: u32 = 5;
/// What it is worth to stand right after the hole: frames often begin with packets.
const BITS_FIRST: u32 = 6;
/// What a chain of frames that ends with the stream is worth.
const BITS_END: u32 = 10;
/// Bytes of a text that are looked at …
const TEXT_LOOK: usize = 64;
/// … and the most bits it is worth.
const BITS_TEXT: u32 = 16;

/// What frames of the searched direction look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Payloads are masked.
    pub(super) masked: bool,
    /// Messages may be compressed.
    pub(super) deflate: bool,
}

/// Whether more bytes of the direction may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Expected,
    No,
}

/// What a search gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A frame begins after so many bytes that are none.
    At(usize),
    /// Nothing begins in the first so many bytes; what follows is open.
    NotIn(usize),
}

/// Searches `bytes`, the first of which stands right after the hole if `fresh`.
pub(super) fn search(bytes: &[u8], fresh: bool, expected: Expected, more: More) -> Found {
    for start in 0..bytes.len() {
        let window = &bytes[start..bytes.len().min(start + WINDOW)];
        let first = if fresh && start == 0 { BITS_FIRST } else { 0 };
        // A full window is all a place gets, however much is at hand.
        let more = if window.len() == WINDOW { More::No } else { more };
        let at_end = start + window.len() == bytes.len() && more == More::No && window.len() < WINDOW;
        match judge(window, first, expected, more, at_end) {
            Verdict::Yes => return Found::At(start),
            Verdict::No => {}
            Verdict::Open => return Found::NotIn(start),
        }
    }
    Found::NotIn(bytes.len())
}

/// Frames of a client that show what they are without a text among them.
const FRAMES_SURE: u32 = 3;

/// Whether frames of a client begin here, where no handshake was seen: masked and of sane lengths one after another, and
/// surer than a search after a loss asks for, as nothing says that this is a WebSocket at all: with a text that is one,
/// or three frames of which the last ends with the bytes.
#[must_use]
pub fn begins_client_frames(bytes: &[u8]) -> bool {
    let expected = Expected { masked: true, deflate: false };
    let (mut at, mut frames, mut text) = (0, 0, false);
    while at < bytes.len() {
        if bytes.len() > at + 1 && !plausible_start(bytes[at], bytes[at + 1], expected) {
            return false;
        }
        let Some((head, length)) = frame::head(&bytes[at..]) else { return text };
        if head.long_form || head.len > FRAME_MAX || (head.is_control() && head.len > 125) {
            return false;
        }
        let payload = &bytes[at + length..];
        let wanted = usize::try_from(head.len).unwrap_or(usize::MAX);
        let look = &payload[..payload.len().min(wanted).min(TEXT_LOOK)];
        match content_bits(&head, look) {
            Some(bits) => text |= bits == BITS_TEXT,
            None => return false,
        }
        if payload.len() < wanted {
            return text;
        }
        frames += 1;
        at += length + wanted;
    }
    text || frames >= FRAMES_SURE
}

enum Verdict {
    Yes,
    No,
    Open,
}

fn judge(bytes: &[u8], first: u32, expected: Expected, more: More, at_end: bool) -> Verdict {
    let open = if more == More::Expected { Verdict::Open } else { Verdict::No };
    let (mut at, mut bits) = (0, first);
    loop {
        if at == bytes.len() {
            return if at_end && bits + BITS_END >= BITS_WANTED { Verdict::Yes } else { open };
        }
        // The first two bytes turn down most places without waiting for the rest.
        if bytes.len() > at + 1 && !plausible_start(bytes[at], bytes[at + 1], expected) {
            return Verdict::No;
        }
        let Some((head, length)) = frame::head(&bytes[at..]) else { return open };
        if head.long_form || head.len > FRAME_MAX || (head.is_control() && head.len > 125) {
            return Verdict::No;
        }
        let payload = &bytes[at + length..];
        let wanted = usize::try_from(head.len).unwrap_or(usize::MAX);
        let look = wanted.min(TEXT_LOOK);
        if payload.len() < look {
            return open;
        }
        match content_bits(&head, &payload[..look]) {
            Some(content) => bits += BITS_HEAD + content,
            None => return Verdict::No,
        }
        if bits >= BITS_WANTED {
            return Verdict::Yes;
        }
        if payload.len() < wanted {
            return open;
        }
        at += length + wanted;
    }
}

fn plausible_start(first: u8, second: u8, expected: Expected) -> bool {
    let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
    let known = match opcode {
        CONTINUATION => rsv == 0,
        TEXT | BINARY => rsv == 0 || (rsv == RSV1 && expected.deflate),
        CLOSE | PING | PONG => fin && rsv == 0,
        _ => false,
    };
    known && (second & 0x80 != 0) == expected.masked
}

/// What the beginning of a payload is worth; none where it contradicts its header.
fn content_bits(head: &Head, look: &[u8]) -> Option<u32> {
    let mut clear = [0; TEXT_LOOK];
    let clear = &mut clear[..look.len()];
    clear.copy_from_slice(look);
    if let Some(key) = head.mask {
        frame::mask(clear, key, 0);
    }
    match head.opcode {
        TEXT if head.rsv == 0 => match std::str::from_utf8(clear) {
            Err(error) if error.error_len().is_some() => None,
            Ok(_) | Err(_) => {
                let bits = u32::try_from(look.len()).unwrap_or(BITS_TEXT).min(BITS_TEXT);
                Some(if clear.iter().any(|&byte| byte < 0x20 && !byte.is_ascii_whitespace()) { 0 } else { bits })
            }
        },
        CLOSE => match *clear {
            [] => Some(0),
            [high, low, ..] if (1000..5000).contains(&u16::from_be_bytes([high, low])) => Some(4),
            _ => None,
        },
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::begins_client_frames;
    use crate::http::websocket::frame::mask;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut masked = payload.to_vec();
        mask(&mut masked, key, 0);
        let len = u8::try_from(payload.len()).expect("a short payload");
        [&[first, 0x80 | len][..], &key, &masked].concat()
    }

    #[test]
    fn frames_of_a_client_are_known_without_their_handshake() {
        let text = frame(0x81, b"{\"type\":\"hello\",\"id\":1}");
        assert!(begins_client_frames(&text));
        assert!(begins_client_frames(&text[..24]), "cut by the packet");
        assert!(begins_client_frames(&[frame(0x89, b""), text.clone()].concat()));
        assert!(begins_client_frames(&[frame(0x82, &[1, 2]), frame(0x82, &[3; 40]), frame(0x89, b"")].concat()));
        for other in [
            frame(0x82, &[9; 40]),
            frame(0x81, b"short"),
            frame(0x81, &[0xff; 40]),
            [text.clone(), b"GET / HTTP/1.1\r\n".to_vec()].concat(),
            b"\x81\x7e\x00\x90not masked at all, so of no client".to_vec(),
        ] {
            assert!(!begins_client_frames(&other), "{other:x?}");
        }
    }
}
