//! The dynamic table of QPACK (RFC 9204 §3.2), by absolute index. Entries that were evicted are kept for a while: a
//! reader that sees both sides from outside may come late to a block, and an absolute index never changes its meaning.

use std::collections::VecDeque;
use std::sync::Arc;

/// Largest capacity followed, whatever the peers agree on.
pub const TABLE_MAX: u64 = 256 << 10;
/// Bytes of evicted entries still known.
const EVICTED_KEPT: u64 = 16 << 10;
/// What an entry counts besides its name and value (RFC 9204 §3.2.1).
const ENTRY_OVERHEAD: u64 = 32;

/// A field of which name or value may not be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Option<Arc<[u8]>>,
    pub(super) value: Option<Arc<[u8]>>,
}

impl Entry {
    fn size(&self) -> u64 {
        let len = |part: &Option<Arc<[u8]>>| part.as_ref().map_or(0, |part| part.len() as u64);
        len(&self.name) + len(&self.value) + ENTRY_OVERHEAD
    }
}

/// Entries in the order of their insertion.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    inserted: u64,
    size: u64,
    capacity: u64,
}

impl Table {
    /// How many entries have ever been inserted.
    pub(super) const fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Bytes of the entries that are known.
    #[cfg(test)]
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Sets the capacity; false where it is larger than what is followed.
    pub(super) fn set_capacity(&mut self, capacity: u64) -> bool {
        self.capacity = capacity.min(TABLE_MAX);
        self.evict();
        capacity <= TABLE_MAX
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.inserted += 1;
        self.size += entry.size();
        self.entries.push_back(entry);
        self.evict();
    }

    /// The entry of an absolute index; none where it is not known (any more).
    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        let first = self.inserted - self.entries.len() as u64;
        self.entries.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    fn evict(&mut self) {
        while self.size > self.capacity + EVICTED_KEPT {
            let Some(entry) = self.entries.pop_front() else { break };
            self.size -= entry.size();
        }
    }
}
