//! What a decoder sees of the bytes it is asked about: the bytes, what was said of them, and a cheap summary of
//! which characters they hold.

use super::walker::Doc;
use crate::model::FieldKind;

/// Bytes of an input that are looked at for its shape; the rest is only searched for `%`, `=` and `&`.
const SHAPE_LOOK: usize = 512;

const NOT_HEX: u8 = 1;
const NOT_BASE64: u8 = 2;
const PERCENT: u8 = 4;
const PAIR: u8 = 8;
const CONTROL: u8 = 16;

/// Flags of each byte.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0u8;
    loop {
        let mut flags = 0;
        if !byte.is_ascii_hexdigit() {
            flags |= NOT_HEX;
        }
        let base64 =
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b' ' | b'\r' | b'\n');
        if !base64 {
            flags |= NOT_BASE64;
        }
        match byte {
            b'%' => flags |= PERCENT,
            b'=' | b'&' => flags |= PAIR,
            b'\t' | b'\r' | b'\n' => {}
            0..=0x1f | 0x7f => flags |= CONTROL,
            _ => {}
        }
        table[byte as usize] = flags;
        if byte == 255 {
            return table;
        }
        byte += 1;
    }
}

/// The kinds of characters in some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape(u8);

impl Shape {
    fn of(bytes: &[u8]) -> Self {
        let look = bytes.len().min(SHAPE_LOOK);
        let mut flags = bytes[..look].iter().fold(0, |flags, &byte| flags | CLASS[usize::from(byte)]);
        let rest = &bytes[look..];
        if !rest.is_empty() && flags & CONTROL == 0 {
            if flags & PERCENT == 0 && memchr::memchr(b'%', rest).is_some() {
                flags |= PERCENT;
            }
            if flags & PAIR == 0 && memchr::memchr2(b'=', b'&', rest).is_some() {
                flags |= PAIR;
            }
        }
        Self(flags)
    }

    /// Only hexadecimal digits, as far as looked.
    pub(super) fn hex(self) -> bool {
        self.0 & NOT_HEX == 0
    }

    /// Only characters base64 may hold, as far as looked.
    pub(super) fn base64(self) -> bool {
        self.0 & NOT_BASE64 == 0
    }

    /// A `%` somewhere.
    pub(super) fn percent(self) -> bool {
        self.0 & PERCENT != 0
    }

    /// A `=` or `&` somewhere.
    pub(super) fn pair(self) -> bool {
        self.0 & PAIR != 0
    }

    /// Control characters: not text.
    pub(super) fn binary(self) -> bool {
        self.0 & CONTROL != 0
    }
}

/// Bytes that may be in some encoding.
pub(super) struct Input<'a> {
    /// The bytes, as a document of their own.
    pub(super) doc: Doc<'a>,
    /// What they were to the document they came from.
    pub(super) kind: FieldKind,
    /// `Content-Type` as sent, lower case not guaranteed.
    pub(super) content_type: Option<&'a str>,
    /// Their characters.
    pub(super) shape: Shape,
}

impl<'a> Input<'a> {
    pub(super) fn new(doc: Doc<'a>, kind: FieldKind, content_type: Option<&'a str>) -> Self {
        Self { doc, kind, content_type, shape: Shape::of(doc.bytes) }
    }

    /// Whether any decoder could take it: by a type given, by its characters, or by how it begins.
    pub(super) fn promising(&self) -> bool {
        const BEGINNINGS: &[u8] = b"{[\"-\xef \t\r\n";
        self.content_type.is_some()
            || self.shape.0 & (NOT_HEX | NOT_BASE64) != NOT_HEX | NOT_BASE64
            || self.shape.0 & (PERCENT | PAIR | CONTROL) != 0
            || self.bytes().first().is_some_and(|first| BEGINNINGS.contains(first))
            || is_compressed(self.bytes())
            || super::engine_io::begins(self.bytes())
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.doc.bytes
    }
}

/// Whether decoded bytes are believable as text: UTF-8 (perhaps cut at the end) without control characters.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(_) => bytes,
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        Err(_) => return false,
    };
    !text.is_empty() && text.iter().all(|&byte| CLASS[usize::from(byte)] & CONTROL == 0)
}

/// Whether the first bytes of decoded data may be text or something compressed; cheap, to turn down most of what
/// only looks encoded.
pub(super) fn may_be_data(start: &[u8]) -> bool {
    matches!(start, [0x1f, 0x8b, ..] | [0x28, 0xb5, ..] | [0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78, ..])
        || is_text(start)
}

/// Whether bytes begin like a compressed format that can be undone.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    super::gzip::magic(bytes) || super::zlib::magic(bytes) || super::zstandard::magic(bytes)
}
