//! The keys that may open one direction, in the order they come into use, and the sequence number of the next
//! record: opens records by trial where suite, epoch or number are not certain (RFC 8446 §7, §5.3).

use super::cipher::{Opened, Opener};
use super::record::RecordHeader;
use super::suite::Suite;
use crate::model::KeySource;

/// Most lost records the search for a sequence number bridges.
pub const SEQUENCE_SEARCH_MAX: u64 = 65_536;
/// Bytes that may be decrypted in vain in one session before the search is given up.
pub const TRIAL_BYTES_MAX: u64 = 64 << 20;
/// A trial costs at least as much as this many bytes.
const TRIAL_COST_MIN: u64 = 256;
/// Smallest record a sealed stream can have: header, one byte and tag.
const SEALED_RECORD_MIN: u64 = 22;

/// An epoch of a direction, in the order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Epoch {
    /// TLS 1.3 early data.
    Early,
    /// TLS 1.3 handshake.
    Handshake,
    /// Application data; in TLS 1.2 all that follows ChangeCipherSpec.
    Application,
}

/// The keys of an epoch; several until the first record tells which fits.
struct Rung {
    epoch: Epoch,
    openers: Vec<Opener>,
    seq: u64,
    proven: bool,
}

/// Which numbering a keyring follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// TLS 1.3: an epoch's numbers begin at an unseen place if the epoch before could not be read.
    Epochs,
    /// TLS 1.2: every record since ChangeCipherSpec counts.
    Continuous,
}

/// A record that was opened, and what that told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Success {
    pub(super) opened: Opened,
    /// The epoch of the key that fitted.
    pub(super) epoch: Epoch,
    /// Records that must have been lost before this one.
    pub(super) skipped: u64,
    /// Bytes a record has more than its content, with the header left out.
    pub(super) overhead: usize,
    pub(super) suite: Suite,
    pub(super) source: KeySource,
}

/// The keys of one direction.
pub(super) struct Keyring {
    numbering: Numbering,
    rungs: Vec<Rung>,
    at: usize,
    /// How many numbers ahead to look.
    slack: u64,
    /// Records not opened since the last one that was.
    misses: u64,
    nonce_ahead: Option<u64>,
}

impl Keyring {
    /// A ring of the epochs' keys; epochs without keys are left out. None if that leaves nothing.
    pub(super) fn new(numbering: Numbering, epochs: impl IntoIterator<Item = (Epoch, Vec<Opener>)>) -> Option<Self> {
        let rungs: Vec<_> = epochs
            .into_iter()
            .filter(|(_, openers)| !openers.is_empty())
            .map(|(epoch, openers)| Rung { epoch, openers, seq: 0, proven: false })
            .collect();
        let ring = Self { numbering, rungs, at: 0, slack: 0, misses: 0, nonce_ahead: None };
        (!ring.rungs.is_empty()).then_some(ring)
    }

    /// Which numbering it follows.
    pub(super) const fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// The epoch in use.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.rungs.get(self.at).map(|rung| rung.epoch)
    }

    /// Whether there are keys of an epoch.
    pub(super) fn has(&self, epoch: Epoch) -> bool {
        self.rungs.iter().any(|rung| rung.epoch == epoch)
    }

    /// Whether any key has opened a record.
    pub(super) fn is_proven(&self) -> bool {
        self.rungs.iter().any(|rung| rung.proven)
    }

    /// Records not opened since the last one that was.
    pub(super) const fn misses(&self) -> u64 {
        self.misses
    }

    /// Goes on to an epoch, if there are keys for it.
    pub(super) fn advance(&mut self, epoch: Epoch) {
        if let Some(at) = self.rungs.iter().position(|rung| rung.epoch == epoch).filter(|&at| at > self.at) {
            self.at = at;
        }
    }

    /// Goes on to the next generation of the key in use (KeyUpdate).
    pub(super) fn update(&mut self) {
        if let Some(rung) = self.rungs.get_mut(self.at) {
            rung.openers = rung.openers.iter().filter_map(Opener::updated).collect();
            rung.seq = 0;
        }
    }

    /// Bytes a record has more than its content, for the key in use.
    pub(super) fn overhead(&self) -> usize {
        self.rungs.get(self.at).and_then(|rung| rung.openers.first()).map_or(0, Opener::overhead)
    }

    /// One record was lost.
    pub(super) fn pass_one(&mut self) {
        let last = self.at + 1 == self.rungs.len();
        if let Some(rung) = self.rungs.get_mut(self.at)
            && (rung.proven || self.numbering == Numbering::Continuous)
        {
            rung.seq = rung.seq.saturating_add(1);
        } else {
            self.slack = (self.slack + 1).min(SEQUENCE_SEARCH_MAX);
        }
        // The lost one may have been the last of its epoch, or the first of the next.
        if !last {
            self.slack = (self.slack + 1).min(SEQUENCE_SEARCH_MAX);
        }
    }

    /// An unknown number of records was lost, of `bytes` together.
    pub(super) fn pass_bytes(&mut self, bytes: u64) {
        self.slack = self.slack.saturating_add(bytes / SEALED_RECORD_MIN + 1).min(SEQUENCE_SEARCH_MAX);
    }

    /// Opens a record into `out`, which is as long as `body`. What is tried in vain is taken off `budget`.
    pub(super) fn open(
        &mut self,
        header: RecordHeader,
        body: &[u8],
        out: &mut [u8],
        budget: &mut u64,
    ) -> Option<Success> {
        if let Some(hinted) = self.hinted(body)
            && let Some(success) = self.try_rung(self.at, hinted, header, body, out, budget)
        {
            return Some(success);
        }
        if self.slack > 0 && self.numbering == Numbering::Epochs {
            self.add_next_generation();
        }
        for ahead in 0..=self.slack {
            for rung in self.at..self.rungs.len() {
                if *budget == 0 {
                    return None;
                }
                if let Some(success) = self.try_rung(rung, ahead, header, body, out, budget) {
                    return Some(success);
                }
            }
        }
        None
    }

    /// A record in its place could not be opened.
    pub(super) fn miss(&mut self, body: &[u8]) {
        self.rungs.iter().flat_map(|rung| &rung.openers).for_each(|opener| opener.passed(body));
        self.misses += 1;
        let proven = self.rungs.get(self.at).is_some_and(|rung| rung.proven);
        if proven || self.numbering == Numbering::Continuous {
            self.pass_one();
        }
    }

    /// How far ahead the nonce a record carries says it is, where numbers have been lost.
    fn hinted(&self, body: &[u8]) -> Option<u64> {
        let rung = self.rungs.get(self.at)?;
        let nonce = rung.openers.first()?.explicit_nonce(body)?;
        let ahead = nonce.wrapping_sub(self.nonce_ahead?).wrapping_sub(rung.seq);
        (ahead > 0 && ahead <= self.slack).then_some(ahead)
    }

    /// After a loss a KeyUpdate may be among what was lost.
    fn add_next_generation(&mut self) {
        if self.at + 1 != self.rungs.len() {
            return;
        }
        let Some(rung) = self.rungs.get(self.at).filter(|rung| rung.proven) else { return };
        let openers: Vec<_> = rung.openers.iter().filter_map(Opener::updated).collect();
        let epoch = rung.epoch;
        self.rungs.push(Rung { epoch, openers, seq: 0, proven: false });
    }

    fn try_rung(
        &mut self,
        at: usize,
        ahead: u64,
        header: RecordHeader,
        body: &[u8],
        out: &mut [u8],
        budget: &mut u64,
    ) -> Option<Success> {
        let rung = self.rungs.get_mut(at)?;
        let seq = rung.seq.checked_add(ahead)?;
        let mut fitting = None;
        for (which, opener) in rung.openers.iter().enumerate() {
            if let Some(opened) = opener.open(seq, header, body, out) {
                fitting = Some((which, opened));
                break;
            }
            *budget = budget.saturating_sub((body.len() as u64).max(TRIAL_COST_MIN));
        }
        let (which, opened) = fitting?;
        rung.openers.swap(0, which);
        rung.openers.truncate(1);
        rung.seq = seq.saturating_add(1);
        rung.proven = true;
        let opener = rung.openers.first()?;
        opener.passed(body);
        let success = Success {
            opened,
            epoch: rung.epoch,
            skipped: ahead,
            overhead: opener.overhead(),
            suite: opener.suite(),
            source: opener.source(),
        };
        self.nonce_ahead = opener.explicit_nonce(body).map(|nonce| nonce.wrapping_sub(seq));
        // A generation added on suspicion goes if the key in use still fits.
        self.rungs.truncate(self.rungs.len().min(last_rung_kept(&self.rungs, at)));
        // Epochs do not come back, and their keys take room.
        self.rungs.drain(..at);
        self.at = 0;
        self.slack = 0;
        self.misses = 0;
        Some(success)
    }
}

/// How many rungs stay once the one at `at` has opened a record.
fn last_rung_kept(rungs: &[Rung], at: usize) -> usize {
    let epoch = rungs.get(at).map(|rung| rung.epoch);
    let later = rungs.get(at + 1..).unwrap_or_default();
    at + 1 + later.iter().take_while(|rung| Some(rung.epoch) != epoch).count()
}
