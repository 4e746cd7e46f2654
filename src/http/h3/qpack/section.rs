//! Field sections (RFC 9204 §4.5): what a section waits for, and its field lines.

use super::static_table::STATIC;
use super::table::Entry;
use super::{BAD_SECTION, Decoder, UNKNOWN_ENTRY};
use crate::http::SECTION_MAX;
use crate::http::field_coding::{CodingError, Reader};

/// Bytes one entry of a table counts (RFC 9204 §3.2.2).
const ENTRY_MIN: u64 = 32;

/// What a field counts besides its name and value, so that empty ones are bounded too.
const FIELD_OVERHEAD: usize = 32;

/// What a field section needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Nothing: it can be read.
    Nothing,
    /// Instructions that have not come yet.
    Instructions,
    /// The receiver's settings, by which its first number is to be understood.
    Settings,
}

/// A field of a section; a part that refers to an entry nobody saw is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLine<'a> {
    /// The name.
    pub name: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// What the prefix of a section says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    /// Entries that must have been inserted.
    required: u64,
    base: u64,
}

impl Decoder {
    /// What a section waits for, as far as this is known now.
    #[must_use]
    pub fn awaits(&self, section: &[u8]) -> Awaited {
        let Ok(encoded) = Reader::new(section).integer(8) else { return Awaited::Nothing };
        if encoded == 0 || self.lost.is_some() {
            return Awaited::Nothing;
        }
        match self.required_count(encoded) {
            Count::Of(required) if required <= self.table.inserted() => Awaited::Nothing,
            Count::Of(_) => Awaited::Instructions,
            Count::Wrong => Awaited::Nothing,
            Count::Unsure => Awaited::Settings,
        }
    }

    /// Reads a section with what is known now, whether or not it awaits something; gives its fields in order, up to the
    /// one that makes more than [`SECTION_MAX`] bytes.
    pub fn section(&self, section: &[u8], weirds: &mut Vec<&'static str>, field: &mut dyn FnMut(FieldLine<'_>)) {
        let mut reading = Reading { decoder: self, prefix: None, total: 0, buffers: Default::default() };
        if reading.run(section, weirds, field).is_err() {
            weirds.push(BAD_SECTION);
        }
    }

    /// Required Insert Count (RFC 9204 §4.5.1.1).
    fn required_count(&self, encoded: u64) -> Count {
        let inserted = self.table.inserted();
        let unseen = self.lost.unwrap_or(0);
        let known = self.max_capacity.map(|capacity| capacity / ENTRY_MIN);
        // The encoder never sets more than the receiver's maximum.
        let entries = known.unwrap_or(self.set_capacity / ENTRY_MIN);
        if known.is_none() && (entries == 0 || inserted > entries || encoded > entries) {
            return Count::Unsure;
        }
        Count::decode(encoded, inserted, unseen, entries)
    }

    /// The same where nothing more will be known.
    fn required_count_at_last(&self, encoded: u64) -> Count {
        match self.required_count(encoded) {
            Count::Unsure => {
                let unseen = self.lost.unwrap_or(0);
                Count::decode(encoded, self.table.inserted(), unseen, self.set_capacity / ENTRY_MIN)
            }
            count => count,
        }
    }
}

/// A Required Insert Count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Of(u64),
    /// No such count can be meant.
    Wrong,
    /// It depends on settings not seen yet.
    Unsure,
}

impl Count {
    /// The count that was encoded, where `inserted` entries are known and up to `unseen` more may have been inserted.
    fn decode(encoded: u64, inserted: u64, unseen: u64, entries: u64) -> Self {
        let range = entries.saturating_mul(2);
        if encoded == 0 {
            return Self::Of(0);
        }
        if encoded > range {
            return Self::Wrong;
        }
        // What is needed lies among the last `entries`, or comes before as many have been added.
        let least = inserted.saturating_sub(entries);
        let residue = (encoded - 1) % range;
        let count = least + 1 + (residue + range - (least + 1) % range) % range;
        let ambiguous = count.saturating_add(range) <= inserted.saturating_add(unseen).saturating_add(entries);
        if ambiguous || count == 0 { Self::Wrong } else { Self::Of(count) }
    }
}

struct Reading<'d> {
    decoder: &'d Decoder,
    /// None where the prefix makes no sense: no dynamic entry can be known then.
    prefix: Option<Prefix>,
    total: usize,
    /// Room for decoded names and values.
    buffers: [Vec<u8>; 2],
}

impl Reading<'_> {
    fn run(
        &mut self,
        section: &[u8],
        weirds: &mut Vec<&'static str>,
        field: &mut dyn FnMut(FieldLine<'_>),
    ) -> Result<(), CodingError> {
        let mut reader = Reader::new(section);
        self.prefix = self.read_prefix(&mut reader)?;
        if self.prefix.is_none() {
            weirds.push(BAD_SECTION);
        }
        while !reader.rest().is_empty() && self.total <= SECTION_MAX {
            self.line(&mut reader, weirds, field)?;
        }
        Ok(())
    }

    fn read_prefix(&self, reader: &mut Reader<'_>) -> Result<Option<Prefix>, CodingError> {
        let encoded = reader.integer(8)?;
        let negative = reader.peek().is_some_and(|byte| byte & 0x80 != 0);
        let delta = reader.integer(7)?;
        let Count::Of(required) = self.decoder.required_count_at_last(encoded) else { return Ok(None) };
        let base = match negative {
            false => required.checked_add(delta),
            true => required.checked_sub(delta).and_then(|base| base.checked_sub(1)),
        };
        Ok(base.map(|base| Prefix { required, base }))
    }

    /// One field line (RFC 9204 §4.5.2–§4.5.6).
    fn line(
        &mut self,
        reader: &mut Reader<'_>,
        weirds: &mut Vec<&'static str>,
        field: &mut dyn FnMut(FieldLine<'_>),
    ) -> Result<(), CodingError> {
        let [name_room, value_room] = &mut self.buffers;
        let first = reader.peek().ok_or(CodingError::Short)?;
        let (name, mut value) = match first {
            0xc0.. => fixed(reader.integer(6)?)?,
            0x80.. => self.decoder.before_base(self.prefix, reader.integer(6)?),
            0x40.. if first & 0x10 != 0 => fixed(reader.integer(4)?)?,
            0x40.. => self.decoder.before_base(self.prefix, reader.integer(4)?),
            0x20.. => (string(reader, 3, name_room)?, None),
            0x10.. => self.decoder.after_base(self.prefix, reader.integer(4)?),
            _ => self.decoder.after_base(self.prefix, reader.integer(3)?),
        };
        if !matches!(first, 0x80.. | 0x10..0x20) {
            value = string(reader, 7, value_room)?;
        }
        if name.is_none() || value.is_none() {
            weirds.push(UNKNOWN_ENTRY);
        }
        self.total += name.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + FIELD_OVERHEAD;
        field(FieldLine { name, value });
        Ok(())
    }
}

type Parts<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// An entry of the static table.
fn fixed(index: u64) -> Result<Parts<'static>, CodingError> {
    let entry = usize::try_from(index).ok().and_then(|index| STATIC.get(index));
    let (name, value) = entry.ok_or(CodingError::Overflow)?;
    Ok((Some(name.as_bytes()), Some(value.as_bytes())))
}

/// A string; not known where its Huffman code is broken.
fn string<'a: 's, 's>(
    reader: &mut Reader<'a>,
    prefix: u32,
    room: &'s mut Vec<u8>,
) -> Result<Option<&'s [u8]>, CodingError> {
    match reader.string(prefix, room) {
        Ok(text) => Ok(Some(text)),
        Err(CodingError::Huffman) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Decoder {
    /// An entry by its place before the base.
    fn before_base(&self, prefix: Option<Prefix>, index: u64) -> Parts<'_> {
        self.entry(prefix, |base| base.checked_sub(index)?.checked_sub(1))
    }

    /// An entry by its place from the base on.
    fn after_base(&self, prefix: Option<Prefix>, index: u64) -> Parts<'_> {
        self.entry(prefix, |base| base.checked_add(index))
    }

    fn entry(&self, prefix: Option<Prefix>, index: impl FnOnce(u64) -> Option<u64>) -> Parts<'_> {
        let index = prefix.and_then(|prefix| index(prefix.base).filter(|&index| index < prefix.required));
        match index.and_then(|index| self.table.get(index)) {
            Some(Entry { name, value }) => (name.as_deref(), value.as_deref()),
            None => (None, None),
        }
    }
}
