//! Makes captured text harmless: for a terminal, where control characters, ANSI sequences and bidirectional
//! overrides must show instead of act, and inside JSON strings. Cutting and redacting is left to others.

use crate::model::text_of;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character could act on a terminal, hide, or reorder its neighbours instead of showing.
pub(super) const fn acts(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every character that would act on a terminal as a visible escape (`\x1b`, `\u{202e}`, `\n`).
#[must_use]
pub fn neutral(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_neutral(&mut out, c);
    }
    Cow::Owned(out)
}

fn push_neutral(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if !acts(c) => out.push(c),
        // Writing to a string cannot fail.
        c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)).expect("a string takes all"),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a string takes all"),
    }
}

/// What a byte of UTF-8 means to the escaper: 0 as is, 1 must be escaped, 2 may begin a character that acts.
static CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = 1;
        byte += 1;
    }
    class[b'"' as usize] = 1;
    class[b'\\' as usize] = 1;
    class[0x7f] = 1;
    // Lead bytes of the characters `acts` names above ASCII.
    class[0xc2] = 2;
    class[0xd8] = 2;
    class[0xe1] = 2;
    class[0xe2] = 2;
    class[0xef] = 2;
    class[0xf3] = 2;
    class
};

/// Appends the inside of a JSON string (no quotes). Besides what RFC 8259 §7 demands, characters that would act on a
/// terminal are escaped, so that a line may be looked at as it is.
pub(super) fn push_json_fragment(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut clean, mut at) = (0, 0);
    while at < bytes.len() {
        if let Some(eight) = bytes[at..].first_chunk()
            && plain(u64::from_le_bytes(*eight))
        {
            at += 8;
            continue;
        }
        let width = match CLASS[bytes[at] as usize] {
            0 => 0,
            1 => 1,
            _ => text[at..].chars().next().filter(|&c| acts(c)).map_or(0, char::len_utf8),
        };
        if width == 0 {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[clean..at]);
        push_json_escape(out, &text[at..at + width]);
        at += width;
        clean = at;
    }
    out.extend_from_slice(&bytes[clean..]);
}

/// Whether eight bytes are ASCII without anything to escape. May say no for some that are.
const fn plain(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    /// The high bit of each zero byte (and of some above one).
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zeros(word ^ (ONES * b'"' as u64));
    let backslash = zeros(word ^ (ONES * b'\\' as u64));
    let delete = zeros(word ^ (ONES * 0x7f));
    (word | control | quote | backslash | delete) & HIGH == 0
}

fn push_json_escape(out: &mut Vec<u8>, c: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match c.as_bytes() {
        b"\"" => out.extend_from_slice(b"\\\""),
        b"\\" => out.extend_from_slice(b"\\\\"),
        b"\n" => out.extend_from_slice(b"\\n"),
        b"\r" => out.extend_from_slice(b"\\r"),
        b"\t" => out.extend_from_slice(b"\\t"),
        _ => {
            for unit in c.encode_utf16() {
                let digit = |shift: u16| HEX[usize::from(unit >> shift & 0xf)];
                out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
        }
    }
}

/// Appends a JSON string with its quotes.
pub(super) fn push_json_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_json_fragment(out, text);
    out.push(b'"');
}

/// Appends bytes as a JSON string: as text if they are UTF-8, else each byte as its Latin-1 character.
pub(super) fn push_json_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        push_json_str(out, &text_of(bytes));
    }
}

/// Whether bytes are ASCII without anything to escape, as most are. May say no for some that are.
fn is_plain(bytes: &[u8]) -> bool {
    let (words, _) = bytes.as_chunks::<8>();
    match bytes.last_chunk::<8>() {
        Some(last) => words.iter().chain([last]).all(|word| plain(u64::from_le_bytes(*word))),
        None => bytes.iter().all(|&byte| byte < 0x80 && CLASS[usize::from(byte)] == 0),
    }
}

/// Appends a JSON string, or `null`.
pub(super) fn push_json_opt(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_json_str(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends lower-case hex digits.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::{acts, neutral, push_json_bytes, push_json_str, text_of};

    const NASTY: &str = "a\x1b[2J\u{9b}31m\u{202e}gpj.exe\u{2066}\r\n\t\0\"\\\u{7f}\u{feff}\u{e0041}，中文😀";

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        assert!(!neutral(NASTY).chars().any(acts));
        assert_eq!(neutral("\x1b[2J\u{202e}\n"), "\\x1b[2J\\u{202e}\\n");
        assert_eq!(neutral("中文 ok"), "中文 ok");
    }

    #[test]
    fn every_character_comes_back_through_json() {
        for c in '\0'..=char::MAX {
            let mut out = Vec::new();
            let text =
                format!("{}{c}{}", &"abcdefgh"[..u32::from(c) as usize % 9], &"01234567"[..u32::from(c) as usize % 7]);
            push_json_str(&mut out, &text);
            let written = std::str::from_utf8(&out).expect("UTF-8");
            assert!(!written.chars().any(acts), "{c:?}");
            assert_eq!(serde_json::from_str::<String>(written).expect("JSON"), text);
        }
    }

    #[test]
    fn bytes_are_written_as_their_text_is() {
        for byte in 0..=u8::MAX {
            for (before, after) in [(0, 0), (0, 3), (3, 0), (8, 0), (0, 8), (5, 9), (16, 1)] {
                let bytes = [&b"abcdefghijklmnop"[..before], &[byte], &b"qrstuvwxyz"[..after]].concat();
                let (mut out, mut text) = (Vec::new(), Vec::new());
                push_json_bytes(&mut out, &bytes);
                push_json_str(&mut text, &text_of(&bytes));
                assert_eq!(out, text, "{byte:#04x} after {before} bytes, before {after}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_become_latin1() {
        let mut out = Vec::new();
        push_json_bytes(&mut out, b"caf\xe9\xff\x00");
        assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), "caf\u{e9}\u{ff}\0");
    }
}
