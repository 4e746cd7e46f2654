//! Bytes of a policy file → text: UTF-8 (with or without BOM), UTF-16 by its BOM, GB18030 by validity. Formats that
//! aren't plain text are told apart by their first bytes and refused with their name; reading them is another unit.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

/// Largest policy file read, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 20;

/// Share of replacement or control characters, in 1/1000, above which bytes count as binary.
const BINARY_PER_MILLE: usize = 10;

/// Why bytes are no policy text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A format known but not read.
    #[error("offset {offset}: this is {format}, which isn't read yet; expected plain text (UTF-8, UTF-16 or GB18030)")]
    Format {
        /// Its name.
        format: &'static str,
        /// Byte offset of what told it.
        offset: usize,
    },
    /// No text in any encoding tried.
    #[error(
        "offset {offset}: not text: {found}; expected plain text (UTF-8, UTF-16 with a byte order mark, or GB18030)"
    )]
    NotText {
        /// First byte that makes no sense.
        offset: usize,
        /// What stands there.
        found: String,
    },
    /// Nothing in it.
    #[error("offset 0: the policy is empty; expected text")]
    Empty,
    /// More than [`POLICY_BYTES_MAX`].
    #[error("offset {POLICY_BYTES_MAX}: the policy has {0} bytes; at most {POLICY_BYTES_MAX} are read")]
    TooLarge(usize),
    /// A declarations file with something wrong in it.
    #[error("line {line}, column {column}: {message}")]
    Toml {
        /// Line from 1.
        line: usize,
        /// Column in characters from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

/// The text of a policy file, without a byte order mark.
///
/// # Errors
/// Where the bytes are empty, too many, binary, or a format that isn't plain text.
pub fn decode(bytes: &[u8]) -> Result<String, PolicyError> {
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLarge(bytes.len()));
    }
    if let Some((format, offset)) = foreign_format(bytes) {
        return Err(PolicyError::Format { format, offset });
    }
    let text = decode_text(bytes)?;
    if text.trim().is_empty() {
        return Err(PolicyError::Empty);
    }
    match html_at(&text) {
        Some(offset) => Err(PolicyError::Format { format: "HTML", offset }),
        None => Ok(text),
    }
}

fn foreign_format(bytes: &[u8]) -> Option<(&'static str, usize)> {
    const MAGICS: [(&[u8], &str); 6] = [
        (b"%PDF", "PDF"),
        (b"PK\x03\x04", "a ZIP archive (DOCX?)"),
        (b"\xd0\xcf\x11\xe0", "an old Office document"),
        (b"{\\rtf", "RTF"),
        (b"\x1f\x8b", "gzip"),
        (b"\x89PNG", "a PNG image"),
    ];
    let skipped = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    MAGICS.iter().find(|(magic, _)| bytes[skipped..].starts_with(magic)).map(|(_, name)| (*name, skipped))
}

/// Where an HTML document starts: a doctype or `<html` among the first 1,024 bytes.
fn html_at(text: &str) -> Option<usize> {
    let mut end = text.len().min(1024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text[..end].to_ascii_lowercase();
    head.find("<!doctype html").or_else(|| head.find("<html"))
}

fn decode_text(bytes: &[u8]) -> Result<String, PolicyError> {
    if let Some((encoding, bom)) = Encoding::for_bom(bytes) {
        let (text, bad) = encoding.decode_without_bom_handling(&bytes[bom..]);
        if bad && encoding == UTF_8 {
            return Err(not_utf8(bytes));
        }
        debug_assert!(encoding == UTF_8 || encoding == UTF_16LE || encoding == UTF_16BE);
        return checked(text.into_owned());
    }
    if bytes.is_empty() {
        return Err(PolicyError::Empty);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => checked(text.to_owned()),
        Err(_) => match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
            Some(text) => checked(text.into_owned()),
            None => Err(not_utf8(bytes)),
        },
    }
}

fn not_utf8(bytes: &[u8]) -> PolicyError {
    let offset = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    let found = bytes.get(offset).map_or_else(|| "end".to_owned(), |byte| format!("byte 0x{byte:02x}"));
    PolicyError::NotText { offset, found }
}

/// Refuses text that is mostly control characters, which random bytes decode to.
fn checked(text: String) -> Result<String, PolicyError> {
    let odd = |c: char| (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{b}')) || c == '\u{fffd}';
    let (mut count, mut first) = (0_usize, None);
    let mut total = 0_usize;
    for (at, c) in text.char_indices() {
        total += 1;
        if odd(c) {
            count += 1;
            first = first.or(Some((at, c)));
        }
    }
    match first {
        Some((offset, c)) if count * 1000 > total * BINARY_PER_MILLE => {
            Err(PolicyError::NotText { offset, found: format!("character U+{:04X}", u32::from(c)) })
        }
        Some(_) | None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{PolicyError, decode};

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "我们会收集您的手机号码。";
        let (gbk, _, _) = encoding_rs::GB18030.encode(text);
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        let mut bom = b"\xef\xbb\xbf".to_vec();
        bom.extend(text.as_bytes());
        for bytes in [text.as_bytes(), &gbk, &utf16, &bom] {
            assert_eq!(decode(bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_plain_text_is_named() {
        assert!(decode(b"%PDF-1.7\n").unwrap_err().to_string().contains("PDF"));
        assert!(decode(b"PK\x03\x04....").unwrap_err().to_string().contains("ZIP"));
        assert!(decode(b"  <!DOCTYPE html><html>").unwrap_err().to_string().contains("HTML"));
        assert_eq!(decode(b""), Err(PolicyError::Empty));
        assert_eq!(decode(b" \n"), Err(PolicyError::Empty));
        assert!(matches!(decode(&[0_u8; 64]), Err(PolicyError::NotText { offset: 0, .. })));
        assert!(matches!(decode(&[b'a', 0xff, 0xff, 0x00]), Err(PolicyError::NotText { offset: 1, .. })));
    }
}
