//! Decoded leaves of an exchange.

use serde::{Serialize, Serializer};
use std::borrow::Cow;
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
    /// Header, cookie, query or form name; the last object key of a body path; empty where there is none.
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

/// A decoded leaf value.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// Where it stands.
    pub location: Location,
    /// Its bytes after all of `chain`.
    pub value: Cow<'a, [u8]>,
    /// What was undone, outermost first.
    pub chain: Vec<Decoding>,
    /// The bytes of the undecoded part (target, header value, body as sent) it was read from.
    pub source: Range<usize>,
}
