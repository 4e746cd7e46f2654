//! QPACK (RFC 9204) as seen from outside: the instructions of an encoder stream and the field sections of the same
//! direction in, field lines out. What was lost leaves fields unknown and never wrong.

mod instructions;
mod section;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub use section::{Awaited, FieldLine};
pub use table::TABLE_MAX;

use instructions::{Instructions, NotUnderstood};
use table::Table;

/// Said where instructions do not make sense or are missing.
const INSTRUCTIONS_LOST: &str = "QPACK instructions were lost";
/// Said where a field refers to an entry that is not known.
const UNKNOWN_ENTRY: &str = "QPACK refers to an entry that was not seen";
/// Said where the bytes of a section are no field lines.
const BAD_SECTION: &str = "QPACK field section does not make sense";
/// Said where the peers agree on a larger table.
const TABLE_TOO_LARGE: &str = "QPACK table is larger than what is kept";

/// The decoder of one direction: who encodes is who sends the requests or the responses.
#[derive(Debug, Default)]
pub struct Decoder {
    table: Table,
    instructions: Instructions,
    /// SETTINGS_QPACK_MAX_TABLE_CAPACITY of the receiver (RFC 9204 §3.2.3), once seen.
    max_capacity: Option<u64>,
    /// The capacity as the encoder set it, uncut.
    set_capacity: u64,
    /// Set once no further instruction will be understood: the bytes of those that were not.
    lost: Option<u64>,
}

impl Decoder {
    /// The receiver's SETTINGS_QPACK_MAX_TABLE_CAPACITY; 0 where its SETTINGS do not name it.
    pub fn set_max_capacity(&mut self, capacity: u64) {
        self.max_capacity = Some(capacity);
    }

    /// Takes bytes of the encoder stream in order (RFC 9204 §4.3), without its type. Gives how many of them stand from an
    /// instruction on that makes no sense: they are to be told to [`Self::lose`] once the sections that waited are read,
    /// for which they make no difference.
    #[must_use]
    pub fn instructions(&mut self, bytes: &[u8], weirds: &mut Vec<&'static str>) -> u64 {
        if self.lost.is_some() {
            return bytes.len() as u64;
        }
        let mut instructions = std::mem::take(&mut self.instructions);
        let unread = instructions.feed(bytes, self, weirds);
        self.instructions = instructions;
        match unread {
            Ok(()) => 0,
            Err(NotUnderstood(unread)) => {
                self.lose(0, weirds);
                unread
            }
        }
    }

    /// So many bytes of the encoder stream are missing: where the next instruction begins is not known.
    pub fn lose(&mut self, bytes: u64, weirds: &mut Vec<&'static str>) {
        match &mut self.lost {
            Some(unseen) => *unseen = unseen.saturating_add(bytes),
            None => {
                self.lost = Some(bytes.saturating_add(self.instructions.pending()));
                weirds.push(INSTRUCTIONS_LOST);
            }
        }
    }
}
