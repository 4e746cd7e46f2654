//! What a decoder sees of the bytes it is asked about: the bytes, what was said of them, and a cheap summary of
//! which characters they hold.

use super::walker::Doc;
use crate::model::{FieldKind, Kinds};

/// Bytes of an input that are looked at for its shape; the rest is only searched for `%`, `=` and `&`.
const SHAPE_LOOK: usize = 512;

/// The kinds of characters in some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape(Kinds);

impl Shape {
    fn of(bytes: &[u8]) -> Self {
        let look = bytes.len().min(SHAPE_LOOK);
        let Kinds(mut kinds) = Kinds::of(&bytes[..look]);
        let rest = &bytes[look..];
        if !rest.is_empty() && kinds & Kinds::CONTROL == 0 {
            if kinds & Kinds::PERCENT == 0 && memchr::memchr(b'%', rest).is_some() {
                kinds |= Kinds::PERCENT;
            }
            if kinds & Kinds::PAIR == 0 && memchr::memchr2(b'=', b'&', rest).is_some() {
                kinds |= Kinds::PAIR;
            }
        }
        Self(Kinds(kinds))
    }

    /// Only hexadecimal digits, as far as looked.
    pub(super) fn hex(self) -> bool {
        !self.0.any(Kinds::NOT_HEX)
    }

    /// Only characters base64 may hold, as far as looked.
    pub(super) fn base64(self) -> bool {
        !self.0.any(Kinds::NOT_BASE64)
    }

    /// One word of letters, digits, `+`, `/`, `-` and `_`, as far as looked.
    pub(super) fn word(self) -> bool {
        !self.0.any(Kinds::NOT_BASE64 | Kinds::PERCENT | Kinds::PAIR | Kinds::CONTROL | Kinds::BLANK)
    }

    /// A `%` somewhere.
    pub(super) fn percent(self) -> bool {
        self.0.any(Kinds::PERCENT)
    }

    /// A `=` or `&` somewhere.
    pub(super) fn pair(self) -> bool {
        self.0.any(Kinds::PAIR)
    }

    /// Control characters: not text.
    pub(super) fn binary(self) -> bool {
        self.0.any(Kinds::CONTROL)
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

    /// A leaf whose kinds of characters are known.
    #[inline]
    pub(super) fn leaf(doc: Doc<'a>, kinds: Kinds, content_type: Option<&'a str>) -> Self {
        let shape = if doc.bytes.len() <= SHAPE_LOOK { Shape(kinds) } else { Shape::of(doc.bytes) };
        Self { doc, kind: FieldKind::Leaf, content_type, shape }
    }

    /// Whether any decoder could take it: by a type given, by its characters, or by how it begins.
    pub(super) fn promising(&self) -> bool {
        const BEGINNINGS: &[u8] = b"{[\"-\xef \t\r\n";
        self.content_type.is_some()
            || self.shape.hex()
            || self.shape.base64()
            || self.shape.0.any(Kinds::PERCENT | Kinds::PAIR | Kinds::CONTROL)
            || self.bytes().first().is_some_and(|first| BEGINNINGS.contains(first))
            || is_compressed(self.bytes())
            || super::engine_io::begins(self.bytes())
    }

    /// Whether there is white space somewhere.
    pub(super) fn blank(&self) -> bool {
        let rest = self.bytes().get(SHAPE_LOOK..).unwrap_or_default();
        self.shape.0.any(Kinds::BLANK) || self.bytes().contains(&0x0c) || rest.iter().any(u8::is_ascii_whitespace)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.doc.bytes
    }
}

/// Whether decoded bytes are believable as text: UTF-8 (perhaps cut at the end) without control characters.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    // A character that is cut has no control characters among its bytes.
    if Kinds::of(bytes).any(Kinds::CONTROL) {
        return false;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => !text.is_empty(),
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    }
}

/// As [`is_text`], for bytes that are not cut.
pub(super) fn is_whole_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !Kinds::of(bytes).any(Kinds::CONTROL) && std::str::from_utf8(bytes).is_ok()
}

/// Whether the first bytes of decoded data may be text or something compressed; cheap, to turn down most of what
/// only looks encoded.
pub(super) fn may_be_data(start: &[u8]) -> bool {
    matches!(start, [0x1f, 0x8b, ..] | [0x28, 0xb5, ..] | [0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78, ..])
        || is_text(start)
}

/// Whether bytes begin like a compressed format that can be undone.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    // The first byte is 0x1f for gzip, and ends in 8 for the others.
    let first = bytes.first().is_some_and(|first| *first == 0x1f || first & 0x0f == 8);
    first && (super::gzip::magic(bytes) || super::zlib::magic(bytes) || super::zstandard::magic(bytes))
}
