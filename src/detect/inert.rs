//! Leaves that were found to hold nothing, so that the next of the same name and value, as most requests of an app repeat
//! them, costs one comparison. Both are kept and compared in full: what is remembered can't change what is found.

/// Leaves a worker remembers; a power of two.
const LEAVES: usize = 2048;
/// Bytes of a name and its value together.
const ROOM: usize = 62;

/// A name and its value, one after the other.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Leaf {
    key: u8,
    value: u8,
    bytes: [u8; ROOM],
}

/// The leaves met last, each in the place its hash gives.
#[derive(Debug)]
pub(super) struct Inert(Box<[Leaf]>);

impl Default for Inert {
    fn default() -> Self {
        // No leaf has an empty value.
        Self(vec![Leaf { key: 0, value: 0, bytes: [0; ROOM] }; LEAVES].into_boxed_slice())
    }
}

impl Inert {
    /// Whether this name and value were noted.
    #[inline]
    pub(super) fn holds(&self, key: &[u8], value: &[u8]) -> bool {
        if key.len() + value.len() > ROOM || value.is_empty() {
            return false;
        }
        let leaf = &self.0[place(key, value)];
        let (start, end) = (key.len(), key.len() + value.len());
        usize::from(leaf.key) == key.len()
            && usize::from(leaf.value) == value.len()
            && leaf.bytes[start..end] == *value
            && leaf.bytes[..start] == *key
    }

    /// Notes that this name with this value holds nothing.
    pub(super) fn note(&mut self, key: &[u8], value: &[u8]) {
        let (start, end) = (key.len(), key.len() + value.len());
        if end > ROOM || value.is_empty() {
            return;
        }
        let leaf = &mut self.0[place(key, value)];
        leaf.bytes[..start].copy_from_slice(key);
        leaf.bytes[start..end].copy_from_slice(value);
        // Both fit a byte, as they fit the room.
        leaf.key = u8::try_from(start).unwrap_or(u8::MAX);
        leaf.value = u8::try_from(value.len()).unwrap_or(u8::MAX);
    }
}

#[inline]
fn place(key: &[u8], value: &[u8]) -> usize {
    let mixed = (ends(key).rotate_left(23) ^ ends(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize % LEAVES
}

/// A number from the length and the ends of a text.
#[inline]
pub(super) fn ends(text: &[u8]) -> u64 {
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
            _ => text.iter().fold((0, 0), |(first, last), &byte| (first << 8 | u64::from(byte), last)),
        },
    };
    (first ^ last.rotate_left(29) ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::{Inert, ROOM};

    #[test]
    fn only_what_was_noted_is_held() {
        let mut inert = Inert::default();
        let long = [b'x'; ROOM];
        let pairs: [(&[u8], &[u8]); 5] =
            [(b"", b"a"), (b"net", b"wifi"), (b"ne", b"twifi"), (b"", &long), (b"k", &long[1..])];
        for (at, &(key, value)) in pairs.iter().enumerate() {
            assert!(!inert.holds(key, value), "{at}");
            inert.note(key, value);
            assert!(inert.holds(key, value), "{at}");
        }
        inert.note(b"k", &long);
        assert!(!inert.holds(b"k", &long) && !inert.holds(b"", b"") && !inert.holds(b"net", b"wif"));
    }
}
