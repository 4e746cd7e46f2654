//! How a text runs: blocks into sentences, sentences into clauses, and what goes on from one to the next, a list after
//! its verb or the items after a lead-in.

use super::layout::{Block, BlockKind};
use super::text::Text;
use crate::model::{Action, Polarity, Recipient};
use std::ops::Range;

/// Blocks a lead-in ("we collect the following:") reaches at most.
const LEAD_IN_BLOCKS_MAX: usize = 40;

/// What later clauses may go on with.
#[derive(Default, Clone)]
pub(super) struct Frame {
    /// Drafts that more data belongs to.
    pub(super) drafts: Vec<usize>,
    /// A verb whose data is still to come.
    pub(super) pending: Option<(Vec<Action>, Polarity, Vec<Recipient>)>,
}

impl Frame {
    /// Whether anything is open.
    pub(super) fn is_open(&self) -> bool {
        !self.drafts.is_empty() || self.pending.is_some()
    }
}

/// A sentence that announces a list ("we collect the following:") and how far it reaches.
#[derive(Default)]
pub(super) struct LeadIn {
    frame: Frame,
    left: usize,
    /// Style of the list's first item.
    rank: Option<u8>,
}

impl LeadIn {
    /// The lead-in that leaves `frame` open.
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, left: LEAD_IN_BLOCKS_MAX, rank: None }
    }

    /// What a block may go on with; a heading, a shallower number or a plain paragraph ends the list.
    pub(super) fn frame(&mut self, block: &Block, body: &str) -> Frame {
        let shallower = matches!((self.rank, block.rank), (Some(first), Some(own)) if own < first);
        let paragraph = block.rank.is_none() && (self.rank.is_some() || body.contains('。'));
        if self.left == 0 || block.kind == BlockKind::Heading && body.len() > 60 || shallower || paragraph {
            *self = Self::default();
            return Frame::default();
        }
        self.left -= 1;
        self.rank = self.rank.or(block.rank);
        self.frame.clone()
    }
}

/// The sentences of a block.
pub(super) fn sentences(text: &Text<'_>, range: Range<usize>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = range.start;
    let mut before = None;
    for (offset, c) in text.norm[range.clone()].char_indices() {
        let at = range.start + offset;
        let full_stop = before.is_some_and(|(dot, previous)| previous == '.' && text.gap_before(dot, at));
        if full_stop && at > start {
            out.push(start..at);
            start = at;
        }
        if matches!(c, '。' | '!' | '?') {
            let end = at + c.len_utf8();
            out.push(start..end);
            start = end;
        }
        before = Some((at, c));
    }
    if start < range.end {
        out.push(start..range.end);
    }
    out
}

/// The clauses of a sentence: parted by commas, semicolons and colons outside brackets.
pub(super) fn clauses(norm: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = range.start;
    let mut depth = 0_usize;
    for (offset, byte) in norm.as_bytes()[range.clone()].iter().enumerate() {
        let at = range.start + offset;
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' | b';' | b':' if depth == 0 => {
                out.push(start..at + 1);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < range.end {
        out.push(start..range.end);
    }
    out
}
