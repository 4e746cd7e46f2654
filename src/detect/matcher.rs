//! Finds many byte strings at once from samples of the text: of every needle, the blocks that can stand at a multiple
//! of the stride inside its first bytes are known, so looking at every stride-th block finds each occurrence once. The
//! samples do not depend on each other, and a bit for each block's hash turns down nearly all of them. Case is folded
//! for the search and compared exactly where a needle asks for it.

/// Samples looked at before their bits are tested.
const SAMPLES: usize = 8;
/// Bits of the filter for each block, so that few samples pass by chance.
const BITS_EACH: usize = 32;

/// A byte string to look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Needle {
    pub(super) text: Box<[u8]>,
    /// ASCII letters match in either case.
    pub(super) fold: bool,
}

/// A search for many needles, all at least a window long.
pub(super) struct Matcher<const WINDOW: usize, const BLOCK: usize> {
    needles: Vec<Needle>,
    /// A bit for each hash of a block that is in a needle.
    filter: Box<[u64]>,
    /// How far a hash is shifted to be a place in the filter, and a slot of `starts`.
    filter_shift: u32,
    slot_shift: u32,
    /// Blocks of a slot: `entries[starts[slot]..starts[slot + 1]]`.
    starts: Box<[u32]>,
    entries: Vec<Entry>,
}

/// A block of a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    slot: u32,
    block: u32,
    needle: u32,
    /// Where in the needle it stands.
    offset: u32,
}

impl<const WINDOW: usize, const BLOCK: usize> Matcher<WINDOW, BLOCK> {
    /// Bytes from one sample to the next.
    const STRIDE: usize = WINDOW - BLOCK + 1;

    /// Prepares the search; `needles` shorter than the window are never found.
    pub(super) fn new(needles: Vec<Needle>) -> Self {
        const { assert!((BLOCK == 2 || BLOCK == 4) && BLOCK < WINDOW) };
        let mut entries = Vec::new();
        for (index, needle) in (0u32..).zip(&needles) {
            let Some(window) = needle.text.get(..WINDOW) else { continue };
            for (offset, block) in (0u32..).zip(window.windows(BLOCK)) {
                entries.push(Entry { slot: 0, block: number(block), needle: index, offset });
            }
        }
        let bits = (entries.len() * BITS_EACH).next_power_of_two().ilog2().clamp(12, 21);
        let filter_shift = 32 - bits;
        let slot_shift = filter_shift + 4;
        let mut filter = vec![0u64; 1 << (bits - 6)].into_boxed_slice();
        for entry in &mut entries {
            let hash = hash(entry.block);
            entry.slot = hash >> slot_shift;
            let at = (hash >> filter_shift) as usize;
            filter[at / 64] |= 1 << (at % 64);
        }
        entries.sort_unstable();
        let mut starts = vec![0u32; (1 << (32 - slot_shift)) + 1].into_boxed_slice();
        for entry in &entries {
            starts[entry.slot as usize + 1] += 1;
        }
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        Self { needles, filter, filter_shift, slot_shift, starts, entries }
    }

    /// Tells every occurrence once, in no order: index of the needle and where it begins.
    pub(super) fn find(&self, text: &[u8], mut tell: impl FnMut(usize, usize)) {
        if self.entries.is_empty() || text.len() < WINDOW {
            return;
        }
        let mut at = 0;
        let mask = self.filter.len() - 1;
        while let Some(samples) = text.get(at..at + (SAMPLES - 1) * Self::STRIDE + BLOCK) {
            let mut passed = 0u32;
            for sample in 0..SAMPLES {
                let start = sample * Self::STRIDE;
                let place = (hash(number(&samples[start..start + BLOCK])) >> self.filter_shift) as usize;
                let bit = (self.filter[(place / 64) & mask] >> (place % 64)) & 1;
                passed |= u32::from(bit != 0) << sample;
            }
            while passed != 0 {
                self.verify(text, at + passed.trailing_zeros() as usize * Self::STRIDE, &mut tell);
                passed &= passed - 1;
            }
            at += SAMPLES * Self::STRIDE;
        }
        while let Some(block) = text.get(at..at + BLOCK) {
            let place = (hash(number(block)) >> self.filter_shift) as usize;
            if (self.filter[place / 64] >> (place % 64)) & 1 != 0 {
                self.verify(text, at, &mut tell);
            }
            at += Self::STRIDE;
        }
    }

    /// Tells the needles that stand in `text` with the block at `at`.
    #[inline(never)]
    fn verify(&self, text: &[u8], at: usize, tell: &mut impl FnMut(usize, usize)) {
        let block = number(&text[at..at + BLOCK]);
        let slot = (hash(block) >> self.slot_shift) as usize;
        for entry in &self.entries[self.starts[slot] as usize..self.starts[slot + 1] as usize] {
            let start = at.checked_sub(entry.offset as usize).filter(|_| entry.block == block);
            if let Some(start) = start
                && self.at(entry.needle as usize, &text[start..])
            {
                tell(entry.needle as usize, start);
            }
        }
    }

    /// Bytes of a needle.
    pub(super) fn length(&self, index: usize) -> usize {
        self.needles[index].text.len()
    }

    fn at(&self, index: usize, text: &[u8]) -> bool {
        let needle = &self.needles[index];
        text.get(..needle.text.len()).is_some_and(|text| {
            if needle.fold { text.eq_ignore_ascii_case(&needle.text) } else { text == &*needle.text }
        })
    }
}

/// A block as a number, the same for all its spellings in upper and lower case.
#[inline]
fn number(block: &[u8]) -> u32 {
    match *block {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]) | 0x2020_2020,
        [a, b] => u32::from(u16::from_le_bytes([a, b]) | 0x2020),
        _ => 0,
    }
}

#[inline]
fn hash(block: u32) -> u32 {
    block.wrapping_mul(0x9e37_79b1)
}

#[cfg(test)]
mod tests {
    use super::{Matcher, Needle};

    fn naive(needles: &[Needle], text: &[u8], window: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for start in 0..text.len() {
            for (index, needle) in needles.iter().enumerate().filter(|(_, needle)| needle.text.len() >= window) {
                let here = text.get(start..start + needle.text.len());
                let same = |here: &[u8]| {
                    if needle.fold { here.eq_ignore_ascii_case(&needle.text) } else { *here == *needle.text }
                };
                if here.is_some_and(same) {
                    found.push((start, index));
                }
            }
        }
        found
    }

    proptest::proptest! {
        #[test]
        fn it_finds_what_a_naive_search_finds(
            needles in proptest::collection::vec(("[aAbB@`]{1,11}", proptest::bool::ANY), 0..20),
            text in "[aAbB@`]{0,120}",
        ) {
            let needles: Vec<Needle> =
                needles.into_iter().map(|(text, fold)| Needle { text: text.into_bytes().into(), fold }).collect();
            for window in [4, 8] {
                let mut found = Vec::new();
                let tell = |index, start| found.push((start, index));
                if window == 4 {
                    Matcher::<4, 2>::new(needles.clone()).find(text.as_bytes(), tell);
                } else {
                    Matcher::<8, 4>::new(needles.clone()).find(text.as_bytes(), tell);
                }
                found.sort_unstable();
                proptest::prop_assert_eq!(found, naive(&needles, text.as_bytes(), window));
            }
        }
    }
}
