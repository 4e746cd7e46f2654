//! HPACK (RFC 7541) as seen from outside: header blocks of one direction → field sections.
//!
//! Indices count from the newest entry, so entries that come after the start of a capture, or after a loss, resolve as
//! they should although older ones are not known; what refers to those gives the part that is known.

use super::super::field_coding::{CodingError, Reader};
use super::super::streams::FieldSection;
use std::collections::VecDeque;

/// Most bytes of a dynamic table, whatever the connection's settings say.
pub const DYNAMIC_TABLE_MAX: usize = 256 << 10;
/// Size of a dynamic table where nothing else is said (RFC 9113 §6.5.2).
const DYNAMIC_TABLE_INITIAL: usize = 4_096;
/// What an entry counts besides its bytes (RFC 7541 §4.1).
const ENTRY_OVERHEAD: usize = 32;

/// Appendix A.
const STATIC_TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What was odd about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Oddities {
    /// It refers to entries that were not captured.
    pub(super) unknown: bool,
    /// It refers to entries that should be there, or has strings that are none.
    pub(super) malformed: bool,
    /// It wants a larger table than is kept.
    pub(super) large_table: bool,
}

/// The block cannot be read to its end, and what later ones refer to is lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

#[derive(Debug)]
struct Entry {
    /// Name, then value.
    bytes: Box<[u8]>,
    name_end: usize,
    name_known: bool,
    value_known: bool,
}

impl Entry {
    fn name(&self) -> Option<&[u8]> {
        self.name_known.then(|| &self.bytes[..self.name_end])
    }

    fn value(&self) -> Option<&[u8]> {
        self.value_known.then(|| &self.bytes[self.name_end..])
    }

    const fn size(&self) -> usize {
        self.bytes.len() + ENTRY_OVERHEAD
    }
}

/// The decoder of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Newest first.
    entries: VecDeque<Entry>,
    size: usize,
    capacity: usize,
    /// There are older entries than those known.
    uncertain: bool,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    /// A decoder that has seen the connection from its start.
    fn default() -> Self {
        let (entries, name, value) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { entries, size: 0, capacity: DYNAMIC_TABLE_INITIAL, uncertain: false, name, value }
    }
}

impl Decoder {
    /// Bytes of the dynamic table, by its own count (RFC 7541 §4.1).
    pub(super) const fn held(&self) -> usize {
        self.size
    }

    /// Blocks before this point were not captured.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.uncertain = true;
        // The encoder may use a larger table by now; what it has dropped it never refers to.
        self.capacity = DYNAMIC_TABLE_MAX;
    }

    /// The other side allows a table of this size (SETTINGS_HEADER_TABLE_SIZE). An encoder that uses it has to say so
    /// in a block, but keeping entries longer than it does harms nothing.
    pub(super) fn allow(&mut self, size: u32) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.capacity = self.capacity.max(size.min(DYNAMIC_TABLE_MAX));
    }

    /// Reads a whole block.
    pub(super) fn block(&mut self, block: &[u8], section: &mut FieldSection) -> Result<Oddities, Broken> {
        let mut reader = Reader::new(block);
        let mut odd = Oddities::default();
        while let Some(first) = reader.peek() {
            if self.field(first, &mut reader, section, &mut odd).is_none() {
                section.incomplete = true;
                self.forget();
                return Err(Broken);
            }
        }
        Ok(odd)
    }

    /// One representation (RFC 7541 §6).
    fn field(
        &mut self,
        first: u8,
        reader: &mut Reader<'_>,
        section: &mut FieldSection,
        odd: &mut Oddities,
    ) -> Option<()> {
        match first {
            0x80.. => {
                let index = index(reader, 7)?;
                match self.lookup(index)? {
                    Found::Static(name, value) => section.push(name.as_bytes(), value.as_bytes()),
                    Found::Known(Entry { bytes, name_end, name_known: true, value_known: true }) => {
                        section.push(&bytes[..*name_end], &bytes[*name_end..]);
                    }
                    Found::Known(entry) => {
                        odd.unknown = true;
                        section.push_partial(entry.name(), entry.value());
                    }
                    Found::Unknown => {
                        self.note_unknown(odd);
                        section.push_partial(None, None);
                    }
                }
            }
            0x40.. => self.literal(reader, 6, Indexing::Incremental, section, odd)?,
            0x20.. => {
                let size = index(reader, 5)?;
                odd.large_table |= size > DYNAMIC_TABLE_MAX;
                self.capacity = size.min(DYNAMIC_TABLE_MAX);
                self.evict(0);
            }
            _ => self.literal(reader, 4, Indexing::None, section, odd)?,
        }
        Some(())
    }

    fn literal(
        &mut self,
        reader: &mut Reader<'_>,
        prefix: u32,
        indexing: Indexing,
        section: &mut FieldSection,
        odd: &mut Oddities,
    ) -> Option<()> {
        let index = index(reader, prefix)?;
        let (mut name_buf, mut value_buf) = (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        let name = match index {
            0 => string(reader, &mut name_buf, odd)?,
            index => match self.lookup(index)? {
                Found::Static(name, _) => Some(name.as_bytes()),
                Found::Known(entry) => match entry.name() {
                    Some(name) => {
                        name_buf.clear();
                        name_buf.extend_from_slice(name);
                        Some(&name_buf[..])
                    }
                    None => None,
                },
                Found::Unknown => {
                    self.note_unknown(odd);
                    None
                }
            },
        };
        let value = string(reader, &mut value_buf, odd)?;
        match (name, value) {
            (Some(name), Some(value)) => section.push(name, value),
            (name, value) => section.push_partial(name, value),
        }
        if indexing == Indexing::Incremental {
            self.insert(name, value);
        }
        (self.name, self.value) = (name_buf, value_buf);
        Some(())
    }

    fn note_unknown(&self, odd: &mut Oddities) {
        if self.uncertain {
            odd.unknown = true;
        } else {
            odd.malformed = true;
        }
    }

    fn insert(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        let (name_known, value_known) = (name.is_some(), value.is_some());
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        let entry = Entry { bytes: [name, value].concat().into(), name_end: name.len(), name_known, value_known };
        self.evict(entry.size());
        // An entry larger than the table empties it (RFC 7541 §4.4).
        if entry.size() <= self.capacity {
            self.size += entry.size();
            self.entries.push_front(entry);
        }
    }

    /// Drops the oldest entries until so many bytes are free.
    fn evict(&mut self, wanted: usize) {
        while self.size + wanted > self.capacity
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
        }
    }

    /// An entry by its index; none where no table can have it.
    fn lookup(&self, index: usize) -> Option<Found<'_>> {
        match index.checked_sub(1)? {
            at if at < STATIC_TABLE.len() => {
                let (name, value) = STATIC_TABLE[at];
                Some(Found::Static(name, value))
            }
            at => match self.entries.get(at - STATIC_TABLE.len()) {
                Some(entry) => Some(Found::Known(entry)),
                None if at > STATIC_TABLE.len() + DYNAMIC_TABLE_MAX => None,
                None => Some(Found::Unknown),
            },
        }
    }
}

enum Found<'a> {
    Static(&'static str, &'static str),
    Known(&'a Entry),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Incremental,
    None,
}

fn index(reader: &mut Reader<'_>, prefix: u32) -> Option<usize> {
    usize::try_from(reader.integer(prefix).ok()?).ok()
}

/// A string; `Some(None)` where its Huffman code gives none.
#[expect(clippy::option_option, reason = "the outer one breaks the block, the inner one only the field")]
fn string<'s, 'a: 's>(reader: &mut Reader<'a>, buf: &'s mut Vec<u8>, odd: &mut Oddities) -> Option<Option<&'s [u8]>> {
    match reader.string(7, buf) {
        Ok(text) => Some(Some(text)),
        Err(CodingError::Huffman) => {
            odd.malformed = true;
            Some(None)
        }
        Err(CodingError::Short | CodingError::Overflow) => None,
    }
}

/// How much bytes look like a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// They are none.
    None,
    /// They can be read as one.
    Readable,
    /// They begin, as all heads do, with a pseudo-field.
    Head,
}

/// Most bytes of a block that are looked at to tell whether it is one.
const LIKENESS_MAX: usize = 512;

/// Whether bytes can be a header block of a connection that is not known.
pub(super) fn likeness(block: &[u8]) -> Likeness {
    let mut decoder = Decoder::default();
    decoder.forget();
    let mut section = FieldSection::default();
    let view = &block[..block.len().min(LIKENESS_MAX)];
    match decoder.block(view, &mut section) {
        // Where the view ends a field may be cut.
        Err(Broken) if view.len() < block.len() && (section.is_request() || section.is_response()) => Likeness::Head,
        Ok(Oddities { malformed: false, .. }) if section.is_request() || section.is_response() => Likeness::Head,
        Ok(Oddities { malformed: false, .. }) if !block.is_empty() => Likeness::Readable,
        Ok(_) | Err(Broken) => Likeness::None,
    }
}

#[cfg(test)]
#[path = "hpack_tests.rs"]
mod tests;
