//! One field section (the fields of a HEADERS or PUSH_PROMISE frame, or trailers; RFC 9113 §8.3, RFC 9114 §4.3) as its
//! decoder gives it field by field: pseudo-fields apart, the others in order.

use super::super::head::words;
use crate::model::{Headers, text_of};

/// Most bytes of the names and values of one field section, after HPACK or QPACK took their compression away: what
/// browsers accept.
pub const SECTION_MAX: usize = 256 << 10;
/// What a name that the capture does not give is called: no field can have it.
const UNKNOWN_NAME: &[u8] = b"?";

/// The fields of one section.
#[derive(Debug, Default)]
pub(in crate::http) struct FieldSection {
    /// `:method`.
    pub(in crate::http) method: Option<String>,
    /// `:path`.
    pub(in crate::http) path: Option<Box<[u8]>>,
    /// `:authority`.
    pub(in crate::http) authority: Option<String>,
    /// `:scheme`.
    pub(in crate::http) scheme: Option<String>,
    /// `:protocol` (RFC 8441).
    pub(in crate::http) protocol: Option<String>,
    /// `:status`.
    pub(in crate::http) status: Option<u16>,
    /// All others in order; pseudo-fields that came twice or are unknown too.
    pub(in crate::http) headers: Headers,
    /// A field, or a part of one, is not known: what it refers to was not captured, or the section broke off.
    pub(in crate::http) incomplete: bool,
    /// More came than [`SECTION_MAX`]; the rest was left out.
    pub(in crate::http) overfull: bool,
    host: Option<String>,
    content_type: Option<String>,
    encodings: Vec<String>,
    content_length: Option<u64>,
    bytes: usize,
}

impl FieldSection {
    /// No fields yet, with room for those that a block of so many bytes usually stands for.
    pub(in crate::http) fn for_block(length: usize) -> Self {
        // Blocks are capped; fields are mostly two or three times as long as what stands for them.
        let (fields, bytes) = (8 + length / 16, 128 + 2 * length);
        Self { headers: Headers::with_capacity(fields, bytes), ..Self::default() }
    }

    /// Adds a field.
    pub(in crate::http) fn push(&mut self, name: &[u8], value: &[u8]) {
        // 32 is the overhead that RFC 7541 §4.1 reckons with; it bounds the number of empty fields too.
        self.bytes += name.len() + value.len() + 32;
        if self.bytes > SECTION_MAX {
            self.overfull = true;
            self.incomplete = true;
        } else if name.first() != Some(&b':') || !self.pseudo(name, value) {
            self.headers.push(name, value);
            self.derive(name, value);
        }
    }

    /// Adds what is known of a field whose name or value was not captured.
    pub(in crate::http) fn push_partial(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        self.incomplete = true;
        let pseudo = name.is_some_and(|name| name.starts_with(b":"));
        match (name, value) {
            (None, None) => {}
            // A pseudo-field without its value says nothing.
            (Some(_), None) if pseudo => {}
            (name, value) => self.push(name.unwrap_or(UNKNOWN_NAME), value.unwrap_or_default()),
        }
    }

    /// Whether it has a pseudo-field that only requests have.
    pub(in crate::http) fn is_request(&self) -> bool {
        self.method.is_some() || self.path.is_some() || self.scheme.is_some() || self.authority.is_some()
    }

    /// Whether it is a response's.
    pub(in crate::http) fn is_response(&self) -> bool {
        self.status.is_some()
    }

    /// Takes a pseudo-field; false where it is unknown or there already.
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> bool {
        let text = || text_of(value).into_owned();
        match name {
            b":method" if self.method.is_none() => self.method = Some(text()),
            b":path" if self.path.is_none() => self.path = Some(value.into()),
            b":authority" if self.authority.is_none() => self.authority = Some(text()),
            b":scheme" if self.scheme.is_none() => self.scheme = Some(text()),
            b":protocol" if self.protocol.is_none() => self.protocol = Some(text().to_ascii_lowercase()),
            b":status" if self.status.is_none() => self.status = text().parse().ok(),
            _ => return false,
        }
        true
    }

    fn derive(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is("host") && self.host.is_none() && !value.is_empty() => {
                self.host = Some(text_of(value).into_owned());
            }
            12 if is("content-type") => {
                self.content_type.get_or_insert_with(|| text_of(value).into_owned());
            }
            14 if is("content-length") => self.content_length = text_of(value).parse().ok(),
            16 if is("content-encoding") => {
                self.encodings.extend(words(value).filter(|coding| coding != "identity"));
            }
            _ => {}
        }
    }

    /// Appends trailers.
    pub(super) fn append(&mut self, trailers: &Self) {
        for (name, value) in trailers.headers.iter() {
            self.push(name, value);
        }
        self.incomplete |= trailers.incomplete;
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Media type and content codings, for the body; they are taken.
    pub(super) fn take_content(&mut self) -> (Option<String>, Vec<String>) {
        (self.content_type.take(), std::mem::take(&mut self.encodings))
    }

    /// Bytes of its fields.
    pub(super) const fn held(&self) -> usize {
        self.bytes
    }

    /// `:authority`, or `Host`.
    pub(super) fn authority(&self) -> Option<&str> {
        self.authority.as_deref().filter(|authority| !authority.is_empty()).or(self.host.as_deref())
    }

    /// The same; it is taken.
    pub(super) fn take_authority(&mut self) -> Option<String> {
        self.authority.take().filter(|authority| !authority.is_empty()).or_else(|| self.host.take())
    }

    /// The length to expect of the body, as far as it is said.
    pub(super) fn length_hint(&self) -> usize {
        self.content_length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldSection, SECTION_MAX};

    fn section(fields: &[(&str, &str)]) -> FieldSection {
        let mut section = FieldSection::default();
        for (name, value) in fields {
            section.push(name.as_bytes(), value.as_bytes());
        }
        section
    }

    #[test]
    fn pseudo_fields_stand_apart_and_crumbs_stay() {
        let section = section(&[
            (":method", "GET"),
            (":path", "/a?b"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            (":path", "/again"),
            (":new", "x"),
        ]);
        assert_eq!((section.method.as_deref(), section.path.as_deref()), (Some("GET"), Some(&b"/a?b"[..])));
        let fields: Vec<_> = section.headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        let expected = [("cookie", "a=1"), ("cookie", "b=2"), (":path", "/again"), (":new", "x")];
        assert_eq!(fields, expected.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    }

    #[test]
    fn what_is_known_of_a_field_is_kept() {
        let mut section = FieldSection::default();
        section.push_partial(None, Some(b"861536030196001"));
        section.push_partial(Some(b"x-a"), None);
        section.push_partial(Some(b":path"), None);
        section.push_partial(None, None);
        let fields: Vec<_> = section.headers.iter().collect();
        assert_eq!(fields, [(&b"?"[..], &b"861536030196001"[..]), (b"x-a", b"")]);
        assert!(section.incomplete && section.path.is_none());
    }

    #[test]
    fn a_section_has_a_cap() {
        let mut section = FieldSection::default();
        for _ in 0..SECTION_MAX {
            section.push(b"a", b"");
        }
        assert!(section.overfull);
        assert!(section.headers.len() <= SECTION_MAX / 33);
    }
}
