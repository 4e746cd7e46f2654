//! Finds many byte strings at once by skipping: the shift tables of Wu and Manber ("A fast algorithm for multi-pattern
//! searching", 1994) over a window at each pattern's start. A pattern longer than a window costs nothing until the
//! window matches. Case is folded for the search and compared exactly where a pattern asks for it.

/// Slots of the shift table.
const SLOTS: usize = 1 << 16;

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
    shifts: Box<[u8; SLOTS]>,
    /// Needles whose window ends in a block of this slot: `entries[starts[slot]..starts[slot + 1]]`.
    starts: Box<[u32]>,
    entries: Vec<(u64, u32)>,
}

impl<const WINDOW: usize, const BLOCK: usize> Matcher<WINDOW, BLOCK> {
    /// Prepares the search; `needles` shorter than the window are never found.
    pub(super) fn new(needles: Vec<Needle>) -> Self {
        const { assert!(BLOCK <= 4 && BLOCK < WINDOW && WINDOW <= 8) };
        let most = u8::try_from(WINDOW - BLOCK + 1).expect("a window is at most eight bytes");
        let mut shifts = Box::new([most; SLOTS]);
        let mut slots: Vec<(usize, u64, u32)> = Vec::new();
        for (index, needle) in (0u32..).zip(&needles) {
            let Some(window) = needle.text.get(..WINDOW) else { continue };
            for (shift, end) in (0u8..).zip((BLOCK..=WINDOW).rev()) {
                let slot = slot(&window[end - BLOCK..end]);
                shifts[slot] = shifts[slot].min(shift);
            }
            slots.push((slot(&window[WINDOW - BLOCK..]), word(window), index));
        }
        slots.sort_unstable();
        let mut starts = vec![0u32; SLOTS + 1].into_boxed_slice();
        for &(slot, ..) in &slots {
            starts[slot + 1] += 1;
        }
        for slot in 0..SLOTS {
            starts[slot + 1] += starts[slot];
        }
        let entries = slots.into_iter().map(|(_, word, index)| (word, index)).collect();
        Self { needles, shifts, starts, entries }
    }

    /// Tells every occurrence: index of the needle and where it begins.
    pub(super) fn find(&self, text: &[u8], mut tell: impl FnMut(usize, usize)) {
        if self.entries.is_empty() {
            return;
        }
        let mut end = WINDOW;
        while let Some(block) = text.get(end - BLOCK..end) {
            let slot = slot(block);
            let shift = self.shifts[slot];
            if shift > 0 {
                end += usize::from(shift);
                continue;
            }
            let start = end - WINDOW;
            let window = word(&text[start..end]);
            for &(word, index) in &self.entries[self.starts[slot] as usize..self.starts[slot + 1] as usize] {
                if word == window && self.at(index as usize, &text[start..]) {
                    tell(index as usize, start);
                }
            }
            end += 1;
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

/// The slot of a block, the same for all its spellings in upper and lower case.
#[inline]
fn slot(block: &[u8]) -> usize {
    let hash = |word: u32, mask: u32| ((word | mask).wrapping_mul(0x9e37_79b1) >> 16) as usize;
    match *block {
        [a, b, c, d] => hash(u32::from_le_bytes([a, b, c, d]), 0x2020_2020),
        [a, b] => usize::from(u16::from_le_bytes([a, b]) | 0x2020),
        _ => 0,
    }
}

/// A window as a number, case folded.
#[inline]
fn word(window: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..window.len()].copy_from_slice(window);
    u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020
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
