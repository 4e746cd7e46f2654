//! Decoded leaves of an exchange, as the decoders hand them to the detectors: borrowed, one call at a time.

use serde::{Serialize, Serializer};
use std::fmt;
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

/// A decoded value, lent to a visitor for the time of one call.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// A whole document or one of its leaves.
    pub kind: FieldKind,
    /// Which message.
    pub side: Side,
    /// Which part of it.
    pub part: Part,
    /// As in [`Location::name`].
    pub name: &'a str,
    /// As in [`Location::pointer`].
    pub pointer: &'a str,
    /// The innermost name the value goes by, whatever the part: the last object key, form or query name inside it,
    /// else `name`.
    pub key: &'a str,
    /// Its bytes after all of `chain`.
    pub value: &'a [u8],
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
        Location { side: self.side, part: self.part, name: Arc::from(self.name), pointer: Arc::from(self.pointer) }
    }

    /// Whether the value is the very bytes of its document, nothing unescaped.
    #[must_use]
    pub fn verbatim(&self) -> bool {
        self.within.len() == self.value.len()
            && self.document.bytes.get(self.within.clone()).is_some_and(|raw| std::ptr::eq(raw, self.value))
    }
}
