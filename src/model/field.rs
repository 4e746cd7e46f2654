//! Decoded leaves of an exchange, as the decoders hand them to the detectors: borrowed, one call at a time.

use super::{Kinds, text_of};
use serde::{Serialize, Serializer};
use std::fmt::{self, Write};
use std::ops::Range;
use std::sync::Arc;

/// The part of an exchange a field stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The query of the request target.
    Query,
    /// The path of the request target.
    Path,
    /// A header field.
    Header,
    /// One cookie of `Cookie` or `Set-Cookie`.
    Cookie,
    /// The body.
    Body,
    /// Bytes of a stream of no known protocol.
    Stream,
}

/// Which message of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// Where in an exchange a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Which message.
    pub side: Side,
    /// Which part of it.
    pub part: Part,
    /// Header, cookie or query name; the last object key or form name of a body path; empty where there is none.
    pub name: Arc<str>,
    /// Path inside the part, `$.data[3].payload`; empty at its top.
    pub pointer: Arc<str>,
}

/// One step that was undone to reach a value, named as shown in chains: `gzip`, `json`, `base64`, `percent`, `md5` …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decoding(pub &'static str);

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Decoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// What a field's value is to the bytes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// A whole decoded document (a query string, a body after its content encodings, what a base64 blob held). It
    /// is shown before its leaves, so that what is glued together inside it is still searched.
    Whole,
    /// One value of a document.
    Leaf,
}

/// The decoded bytes a field stands in.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Differs for every document of one walk.
    pub id: u32,
    /// All of it.
    pub bytes: &'a [u8],
}

/// One step of the way from the top of a part to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Into a named member; its name stands at these offsets of the names.
    Key(usize, usize),
    /// Into a member that has a number instead of a name.
    Number(u32),
    /// Into an element of a list.
    Index(usize),
}

/// The way from the top of a part to a value: `$.data[3].payload`, empty at the top. It is written out only when asked
/// for, since most values are looked at once and forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pointer<'a> {
    steps: &'a [Step],
    names: &'a [u8],
}

impl<'a> Pointer<'a> {
    /// A way of `steps` whose names stand in `names`.
    #[must_use]
    pub fn new(steps: &'a [Step], names: &'a [u8]) -> Self {
        Self { steps, names }
    }

    /// Whether a name can stand after a dot as it is.
    #[must_use]
    pub fn is_plain(name: &[u8]) -> bool {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$') || *byte >= 0x80;
        !name.is_empty() && name.iter().all(plain)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.steps.is_empty() {
            f.write_char('$')?;
        }
        for step in self.steps {
            let (start, end) = match *step {
                Step::Key(start, end) => (start, end),
                Step::Number(number) => {
                    write!(f, ".{number}")?;
                    continue;
                }
                Step::Index(index) => {
                    write!(f, "[{index}]")?;
                    continue;
                }
            };
            let name = &self.names[start..end];
            let text = text_of(name);
            if Self::is_plain(name) {
                f.write_char('.')?;
                f.write_str(&text)?;
                continue;
            }
            f.write_str("[\"")?;
            for character in text.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(character)?;
            }
            f.write_str("\"]")?;
        }
        Ok(())
    }
}

/// What is told of a leaf before it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// As in [`Field::key`].
    pub key: &'a [u8],
    /// Its bytes.
    pub value: &'a [u8],
    /// The kinds of its characters.
    pub kinds: Kinds,
    /// The document it stands in,
    pub document: u32,
    /// and where.
    pub start: usize,
    /// Whether the value is the very bytes of its document.
    pub verbatim: bool,
}

/// Sees the fields of an exchange.
pub trait Visit {
    /// A walk begins: its documents are numbered anew.
    fn begin(&mut self) {}

    /// Whether a leaf should be shown: most hold nothing of interest, and showing them costs more than saying so.
    fn wants(&mut self, _leaf: &Glance<'_>) -> bool {
        true
    }

    /// Whether a value under this key was noted to hold nothing, wherever it stands.
    fn is_inert(&mut self, _key: &[u8], _value: &[u8]) -> bool {
        false
    }

    /// Notes that a value under this key was not wanted, and that nothing could be decoded from it.
    fn note_inert(&mut self, _key: &[u8], _value: &[u8]) {}

    /// Sees a field.
    fn field(&mut self, field: &Field<'_>);
}

impl<F: FnMut(&Field<'_>)> Visit for F {
    fn field(&mut self, field: &Field<'_>) {
        self(field);
    }
}

/// A decoded value, lent to a visitor for the time of one call.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// A whole document or one of its leaves.
    pub kind: FieldKind,
    /// Which message.
    pub side: Side,
    /// Which part of it.
    pub part: Part,
    /// As in [`Location::name`], as bytes.
    pub name: &'a [u8],
    /// As in [`Location::pointer`].
    pub pointer: Pointer<'a>,
    /// The innermost name the value goes by, whatever the part: the last object key, form or query name inside it,
    /// else `name`.
    pub key: &'a [u8],
    /// Its bytes after all of `chain`.
    pub value: &'a [u8],
    /// The kinds of characters of a leaf; of a whole document none are told.
    pub kinds: Kinds,
    /// What was undone, outermost first.
    pub chain: &'a [Decoding],
    /// The bytes of the undecoded part (query, path, header value, cookie value, body as sent) it was read from.
    pub source: Range<usize>,
    /// The document it stands in; a whole document stands in itself.
    pub document: Document<'a>,
    /// Where in the document it stands, before unescaping.
    pub within: Range<usize>,
}

impl Field<'_> {
    /// Where it stands, to keep.
    #[must_use]
    pub fn location(&self) -> Location {
        let pointer = self.pointer.to_string();
        Location {
            side: self.side,
            part: self.part,
            name: Arc::from(&*text_of(self.name)),
            pointer: Arc::from(pointer),
        }
    }

    /// Whether the value is the very bytes of its document, nothing unescaped.
    #[must_use]
    pub fn verbatim(&self) -> bool {
        self.within.len() == self.value.len()
            && self.document.bytes.get(self.within.clone()).is_some_and(|raw| std::ptr::eq(raw, self.value))
    }
}
