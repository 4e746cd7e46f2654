//! The marks of a run, in whatever order they come, and what they say of consent. Nothing is decided before the report is
//! made, so that a mark counts for what came before it as well.

use crate::model::{Mark, MarkKind, Timestamp};
use std::collections::BTreeSet;

/// Most marks kept; a tester sets a few.
pub const MARKS_MAX: usize = 10_000;

/// Marks, each once.
#[derive(Default)]
pub(super) struct Marks {
    kept: BTreeSet<Mark>,
    more: u64,
    agreed: Option<Timestamp>,
    refused: bool,
}

impl Marks {
    pub(super) fn add(&mut self, mark: &Mark) {
        match mark.mark {
            MarkKind::Agree => self.agreed = Some(self.agreed.map_or(mark.ts, |agreed| agreed.min(mark.ts))),
            MarkKind::Refuse => self.refused = true,
            MarkKind::Launch | MarkKind::Background | MarkKind::Foreground | MarkKind::Withdraw | MarkKind::Note => {}
        }
        if self.kept.len() < MARKS_MAX {
            self.kept.insert(mark.clone());
        } else {
            self.more += u64::from(!self.kept.contains(mark));
        }
    }

    /// By time.
    pub(super) fn list(&self) -> Vec<Mark> {
        self.kept.iter().cloned().collect()
    }

    /// Marks beyond [`MARKS_MAX`].
    pub(super) const fn more(&self) -> u64 {
        self.more
    }

    /// Whether the user had not agreed at a time, as far as marks speak of it.
    pub(super) fn consent_missing_at(&self, ts: Timestamp) -> bool {
        self.agreed.map_or(self.refused, |agreed| ts < agreed)
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKS_MAX, Marks};
    use crate::model::{Mark, MarkKind, Timestamp};

    fn mark(at: i64, mark: MarkKind) -> Mark {
        Mark { ts: Timestamp::from_nanos(at), mark, text: None }
    }

    #[test]
    fn marks_come_in_any_order_and_count_once() {
        let mut marks = Marks::default();
        let missing = |marks: &Marks, at| marks.consent_missing_at(Timestamp::from_nanos(at));
        assert!(!missing(&marks, 5), "nobody spoke of it");
        marks.add(&mark(9, MarkKind::Refuse));
        assert!(missing(&marks, 5) && missing(&marks, 50));
        for at in [7, 30, 7] {
            marks.add(&mark(at, MarkKind::Agree));
        }
        assert!(missing(&marks, 6) && !missing(&marks, 7));
        let times: Vec<_> = marks.list().iter().map(|mark| mark.ts.nanos()).collect();
        assert_eq!(times, [7, 9, 30]);
    }

    #[test]
    fn marks_without_end_are_counted_and_the_agreement_among_them_holds() {
        let mut marks = Marks::default();
        for at in 0..i64::try_from(MARKS_MAX).unwrap() + 5 {
            marks.add(&mark(at, MarkKind::Note));
        }
        marks.add(&mark(3, MarkKind::Agree));
        assert_eq!((marks.list().len(), marks.more()), (MARKS_MAX, 6));
        assert!(marks.consent_missing_at(Timestamp::from_nanos(2)));
    }
}
