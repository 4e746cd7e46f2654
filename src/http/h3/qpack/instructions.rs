//! The instructions of an encoder stream (RFC 9204 §4.3), over any number of pieces.

use super::static_table::STATIC;
use super::table::{Entry, TABLE_MAX};
use super::{Decoder, TABLE_TOO_LARGE, UNKNOWN_ENTRY};
use crate::http::field_coding::{CodingError, Reader};
use std::sync::Arc;

/// Longest name or value of an instruction.
const STRING_MAX: u64 = TABLE_MAX;

/// Bytes of an instruction that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Instructions {
    pending: Vec<u8>,
}

impl Instructions {
    /// Bytes that wait for the rest of their instruction.
    pub(super) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Takes bytes. An error where an instruction makes no sense: nothing from its beginning on is understood.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        decoder: &mut Decoder,
        weirds: &mut Vec<&'static str>,
    ) -> Result<(), NotUnderstood> {
        if self.pending.is_empty() {
            let rest = run(bytes, decoder, weirds)?;
            self.pending.extend_from_slice(rest);
        } else {
            self.pending.extend_from_slice(bytes);
            let pending = std::mem::take(&mut self.pending);
            let rest = run(&pending, decoder, weirds)?;
            let done = pending.len() - rest.len();
            self.pending = pending;
            self.pending.drain(..done);
        }
        Ok(())
    }
}

/// So many bytes, from an instruction on that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUnderstood(pub(super) u64);

/// Carries out whole instructions; gives the bytes after them.
fn run<'a>(bytes: &'a [u8], decoder: &mut Decoder, weirds: &mut Vec<&'static str>) -> Result<&'a [u8], NotUnderstood> {
    let mut reader = Reader::new(bytes);
    loop {
        let rest = reader.rest();
        // Whether an instruction is whole is seen without decoding its strings, so that a slow one costs no more.
        let done = extent(reader).and_then(|()| decoder.carry_out(&mut reader, weirds));
        match done {
            Ok(()) => {}
            Err(CodingError::Short) => return Ok(rest),
            Err(CodingError::Overflow | CodingError::Huffman) => return Err(NotUnderstood(rest.len() as u64)),
        }
    }
}

/// Walks over one instruction.
fn extent(mut reader: Reader<'_>) -> Result<(), CodingError> {
    match reader.peek().ok_or(CodingError::Short)? {
        0x80.. => reader.integer(6).map(|_| ())?,
        0x40.. => skip_string(&mut reader, 5)?,
        _ => return reader.integer(5).map(|_| ()),
    }
    skip_string(&mut reader, 7)
}

fn skip_string(reader: &mut Reader<'_>, prefix: u32) -> Result<(), CodingError> {
    let len = reader.integer(prefix)?;
    let len = usize::try_from(len).ok().filter(|_| len <= STRING_MAX).ok_or(CodingError::Overflow)?;
    *reader = Reader::new(reader.rest().get(len..).ok_or(CodingError::Short)?);
    Ok(())
}

impl Decoder {
    /// Carries out the next instruction. An error where it cannot be followed, and so none after it.
    fn carry_out(&mut self, reader: &mut Reader<'_>, weirds: &mut Vec<&'static str>) -> Result<(), CodingError> {
        let first = reader.peek().ok_or(CodingError::Short)?;
        let mut entry = match first {
            0xc0.. => {
                let index = usize::try_from(reader.integer(6)?).map_err(|_| CodingError::Overflow)?;
                let (name, _) = STATIC.get(index).ok_or(CodingError::Overflow)?;
                Entry { name: Some(Arc::from(name.as_bytes())), value: None }
            }
            0x80.. => self.newest(reader.integer(6)?, weirds)?,
            0x40.. => Entry { name: string(reader, 5)?, value: None },
            0x20.. => {
                let capacity = reader.integer(5)?;
                self.set_capacity = self.set_capacity.max(capacity);
                if !self.table.set_capacity(capacity) {
                    weirds.push(TABLE_TOO_LARGE);
                }
                return Ok(());
            }
            _ => self.newest(reader.integer(5)?, weirds)?,
        };
        if first >= 0x40 {
            entry.value = string(reader, 7)?;
        }
        self.table.insert(entry);
        Ok(())
    }

    /// The entry that is so many older than the newest; an unknown one where it is not known any more.
    fn newest(&self, index: u64, weirds: &mut Vec<&'static str>) -> Result<Entry, CodingError> {
        let age = index.checked_add(1).ok_or(CodingError::Overflow)?;
        let index = self.table.inserted().checked_sub(age).ok_or(CodingError::Overflow)?;
        Ok(self.table.get(index).cloned().unwrap_or_else(|| {
            weirds.push(UNKNOWN_ENTRY);
            Entry::default()
        }))
    }
}

/// A string; not known where its Huffman code is broken.
fn string(reader: &mut Reader<'_>, prefix: u32) -> Result<Option<Arc<[u8]>>, CodingError> {
    match reader.string(prefix, &mut Vec::new()) {
        Ok(text) => Ok(Some(Arc::from(text))),
        Err(CodingError::Huffman) => Ok(None),
        Err(error) => Err(error),
    }
}
