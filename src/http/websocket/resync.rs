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
