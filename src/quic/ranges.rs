//! A set of numbers kept as ranges: packet numbers that were seen, streams that ended. Beyond a cap the lowest ranges
//! grow together, so that memory stays bounded on hostile input.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Most ranges of one set; the lowest two are then taken for one.
pub const RANGES_MAX: usize = 512;

/// The set.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// First to last of each range; they neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds the numbers of a range; false where all of them were there.
    pub(super) fn insert(&mut self, range: RangeInclusive<u64>) -> bool {
        let (mut first, mut last) = range.into_inner();
        if let Some((&start, &end)) = self.ranges.range(..=first).next_back() {
            if end >= last {
                return false;
            }
            if end >= first.saturating_sub(1) {
                first = start;
            }
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last.saturating_add(1)).next() {
            last = last.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, last);
        if self.ranges.len() > RANGES_MAX
            && let Some((lowest, _)) = self.ranges.pop_first()
            && let Some((_, end)) = self.ranges.pop_first()
        {
            self.ranges.insert(lowest, end);
        }
        true
    }

    /// Whether a number is in the set.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, &end)| end >= number)
    }

    /// The largest number of `range` that is not in the set.
    pub(super) fn last_missing(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let (first, last) = range.into_inner();
        let missing = match self.ranges.range(..=last).next_back() {
            Some((&start, &end)) if end >= last => start.checked_sub(1)?,
            _ => last,
        };
        (missing >= first).then_some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::{RANGES_MAX, Ranges};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set(inserts in proptest::collection::vec((0_u64..200, 0_u64..9), 0..60)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, len) in inserts {
                let news = (first..=first + len).any(|number| !set.contains(&number));
                prop_assert_eq!(ranges.insert(first..=first + len), news);
                set.extend(first..=first + len);
            }
            for number in 0..220 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            for last in [0, 50, 209] {
                prop_assert_eq!(ranges.last_missing(0..=last), (0..=last).rev().find(|number| !set.contains(number)));
            }
        }
    }

    #[test]
    fn many_ranges_grow_together_at_the_low_end() {
        let mut ranges = Ranges::default();
        for number in 0..2 * RANGES_MAX as u64 {
            ranges.insert(number * 2..=number * 2);
        }
        assert_eq!(ranges.ranges.len(), RANGES_MAX);
        assert!(ranges.contains(1) && !ranges.contains(4 * RANGES_MAX as u64 - 3));
    }
}
