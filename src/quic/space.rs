//! A packet number space of one direction: which numbers were seen, and which the other side has acknowledged although
//! they never were: those the capture lost (RFC 9000 §12.3, §13).

use super::frame::Ack;
use super::ranges::Ranges;

/// Most ranges of one ACK frame that are looked at; real ones have a handful.
const ACK_RANGES_MAX: usize = 64;
/// Rounds of acknowledgements after which nobody sends again what is still missing: in the first the sender learns of
/// its loss, in the second it has sent it again and that has passed, the third is for grace.
const ROUNDS: u32 = 3;

/// The space.
#[derive(Default)]
pub(super) struct Space {
    seen: Ranges,
    largest: Option<u64>,
    /// Largest number acknowledged though never seen.
    lost: Option<u64>,
    /// A number beyond all that had been seen when the round began; and how many rounds there have been.
    round_end: u64,
    round: u32,
}

impl Space {
    /// The largest number seen.
    pub(super) const fn largest(&self) -> Option<u64> {
        self.largest
    }

    /// A packet was opened; false where it was seen before.
    pub(super) fn saw(&mut self, number: u64) -> bool {
        self.largest = Some(self.largest.map_or(number, |largest| largest.max(number)));
        self.seen.insert(number..=number)
    }

    /// The capture began in the middle: what is before `number` was lost.
    pub(super) fn begins_at(&mut self, number: u64) {
        self.lost = self.lost.max(number.checked_sub(1));
    }

    /// The other side has acknowledged packets of this space; whether a round ended with it.
    pub(super) fn acknowledged(&mut self, ack: &Ack<'_>) -> bool {
        let missing = ack.ranges().take(ACK_RANGES_MAX).filter_map(|range| self.seen.last_missing(range)).max();
        self.lost = self.lost.max(missing);
        let Some(largest) = self.largest else { return false };
        let ended = ack.largest >= self.round_end;
        if ended {
            self.round += 1;
            self.round_end = largest.max(ack.largest) + 1;
        }
        ended
    }

    /// Whether bytes missing since `round` were lost to the capture, and nobody will send them again.
    pub(super) const fn is_lost(&self, round: u32) -> bool {
        self.lost.is_some() && self.round.wrapping_sub(round) >= ROUNDS
    }

    /// Rounds of acknowledgements so far.
    pub(super) const fn round(&self) -> u32 {
        self.round
    }
}
