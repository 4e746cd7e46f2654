//! Caps what all flows together hold in memory. Every parser has caps of its own, but thousands of flows that each stay
//! below theirs can still add up. So what is held is looked at every few megabytes, and where it is too much, the flows
//! that hold most give up what they hold. Looks stand at fixed places in the capture and count what was held some looks
//! before, so that shards need not wait for each other and their number changes nothing.

use crate::model::FlowId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most bytes that all flows together may hold for what is still to come.
pub const HELD_MAX: usize = 160 << 20;
/// What is left after flows had to give up theirs.
const HELD_LEFT: usize = 96 << 20;
/// Captured bytes between two looks …
const BYTES_BETWEEN: usize = 8 << 20;
/// … or frames, whichever is reached first.
const FRAMES_BETWEEN: usize = 16_384;
/// Looks between counting and deciding.
const LAG: u64 = 4;
/// Flows that hold less are not worth naming.
const WORTH_NAMING: usize = 1_024;

/// Said of a flow that had to give up what it held.
pub(super) const CUT: &str = "flow cut short: all flows together hold more than the cap";

/// What flows held at a look.
#[derive(Debug, Default)]
pub(super) struct Account {
    held: usize,
    flows: Vec<(usize, FlowId)>,
}

impl Account {
    pub(super) fn add(&mut self, flow: FlowId, held: usize) {
        self.held += held;
        if held >= WORTH_NAMING {
            self.flows.push((held, flow));
        }
    }
}

/// Decides which flows give up what they hold.
#[derive(Debug, Default)]
pub(super) struct Budget {
    bytes: usize,
    frames: usize,
    look: u64,
    accounts: BTreeMap<u64, Account>,
    /// Flows cut short since the oldest account, with the look.
    cut: Vec<(u64, FlowId)>,
}

impl Budget {
    /// Counts a frame of so many bytes; gives the number of a look where one is due before it.
    pub(super) fn due(&mut self, bytes: usize) -> Option<u64> {
        let due = self.bytes >= BYTES_BETWEEN || self.frames >= FRAMES_BETWEEN;
        if due {
            (self.bytes, self.frames) = (0, 0);
            self.look += 1;
        }
        self.bytes += bytes;
        self.frames += 1;
        due.then_some(self.look)
    }

    /// Takes what a shard's flows held at a look.
    pub(super) fn add(&mut self, look: u64, account: Account) {
        let all = self.accounts.entry(look).or_default();
        all.held += account.held;
        all.flows.extend(account.flows);
    }

    /// Whether what must be known at a look is.
    pub(super) fn is_ready(&self, look: u64) -> bool {
        look <= LAG || self.accounts.contains_key(&(look - LAG))
    }

    /// The flows that have to give up what they hold at a look, largest first.
    pub(super) fn over(&mut self, look: u64) -> Vec<FlowId> {
        let Some(counted) = look.checked_sub(LAG) else { return Vec::new() };
        let Some(Account { held, mut flows }) = self.accounts.remove(&counted) else { return Vec::new() };
        // A look counts before it cuts.
        self.cut.retain(|&(at, _)| at >= counted);
        let known: Vec<FlowId> = self.cut.iter().map(|&(_, flow)| flow).collect();
        let gone: usize = flows.iter().filter(|(_, flow)| known.contains(flow)).map(|&(held, _)| held).sum();
        let mut left = held - gone;
        if left <= HELD_MAX {
            return Vec::new();
        }
        flows.sort_unstable_by_key(|&(held, flow)| (Reverse(held), flow));
        let mut over = Vec::new();
        for (held, flow) in flows {
            if left <= HELD_LEFT {
                break;
            }
            if !known.contains(&flow) {
                left -= held;
                over.push(flow);
            }
        }
        self.cut.extend(over.iter().map(|&flow| (look, flow)));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// A look at flows that hold so many megabytes, from flow 1.
    fn look(budget: &mut Budget, number: u64, held: &[usize]) -> Vec<u64> {
        let mut account = Account::default();
        for (flow, mib) in (1..).zip(held) {
            account.add(FlowId(flow), mib * MIB);
        }
        budget.add(number, account);
        assert!(budget.is_ready(number));
        budget.over(number).into_iter().map(|flow| flow.0).collect()
    }

    #[test]
    fn the_largest_flows_give_way_once_and_some_looks_later() {
        let mut budget = Budget::default();
        let held = [10, 90, 40, 50];
        for number in 1..=LAG {
            assert_eq!(look(&mut budget, number, &held), [] as [u64; 0]);
        }
        assert_eq!(look(&mut budget, LAG + 1, &held), [2, 4], "190 - 90 is still more than is to be left");
        for number in LAG + 2..=2 * LAG + 1 {
            assert_eq!(look(&mut budget, number, &held), [] as [u64; 0], "what was counted is from before the cut");
        }
    }

    #[test]
    fn what_fits_stays() {
        let mut budget = Budget::default();
        for number in 1..20 {
            assert_eq!(look(&mut budget, number, &[80, 79]), [] as [u64; 0]);
        }
    }

    #[test]
    fn a_look_is_due_after_bytes_or_frames() {
        let mut budget = Budget::default();
        let after = |budget: &mut Budget, bytes: usize| (0..100_000).position(|_| budget.due(bytes).is_some());
        assert_eq!(after(&mut budget, 60), Some(FRAMES_BETWEEN));
        assert_eq!(after(&mut budget, MIB), Some(8));
    }
}
