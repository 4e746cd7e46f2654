//! Finds the next HTTP/1 message in bytes that make none: at the next line start, or, where a body that nobody announced
//! stands before it, inside a line.

use super::Output;
use super::http1::{Http1, Side, State};
use super::probe::{Kind, NeedMore, Place, request_inside};
use crate::model::Timestamp;
use memchr::memchr;

/// Longest line in which a request is looked for that does not begin it.
const LINE_KEEP_MAX: usize = 8 << 10;

impl Http1 {
    /// At a line start while looking for a message.
    pub(super) fn at_line(&mut self, side: usize, input: &[u8], ts: Timestamp, out: &mut Output) -> usize {
        let (taken, verdict) = self.look(side, input, ts, Place::Anywhere);
        match verdict {
            Err(NeedMore) => {}
            Ok(Some(kind)) => self.begin_head(side, kind, out),
            Ok(None) => {
                self.sides[side].state = State::Seek { line_start: false };
                self.withdraw_early(side, out);
                if matches!(self.sides[side].state, State::Held) {
                    let (seen, started) = (std::mem::take(&mut self.sides[side].buf), self.sides[side].started);
                    self.run(side, &seen, started, out);
                } else if self.sides[side].buf.ends_with(b"\n") {
                    self.end_line(side, ts, out);
                }
            }
        }
        taken
    }

    /// In a line that begins no message. Requests may follow a body that nobody announced without a line end, so lines
    /// of their side are kept to be looked at.
    pub(super) fn skip_line(&mut self, side: usize, input: &[u8], ts: Timestamp, out: &mut Output) -> usize {
        let end = memchr(b'\n', input).map(|end| end + 1);
        let taken = end.unwrap_or(input.len());
        let is_kept = self.wanted(side) != Some(Kind::Response);
        let Side { buf, overlong, started, state, .. } = &mut self.sides[side];
        if is_kept && !*overlong && buf.len() + taken <= LINE_KEEP_MAX {
            if buf.is_empty() {
                *started = ts;
            }
            buf.extend_from_slice(&input[..taken]);
            if end.is_some() {
                self.end_line(side, ts, out);
            }
            return taken;
        }
        *overlong = end.is_none();
        *state = State::Seek { line_start: end.is_some() };
        let kept = std::mem::take(buf);
        self.skip(side, &kept, out);
        self.sides[side].started = ts;
        self.skip(side, &input[..taken], out);
        taken
    }

    /// The buffer holds a line that begins no message of it as is kept.
    fn end_line(&mut self, side: usize, ts: Timestamp, out: &mut Output) {
        let line = std::mem::take(&mut self.sides[side].buf);
        self.sides[side].state = State::Seek { line_start: true };
        let kept = line.ends_with(b"\n") && line.len() <= LINE_KEEP_MAX && self.wanted(side) != Some(Kind::Response);
        let start = if kept { request_inside(&line) } else { None };
        let skipped = start.unwrap_or(line.len());
        self.skip(side, &line[..skipped], out);
        self.run(side, &line[skipped..], ts, out);
    }
}
