//! Cuts the bytes of one direction of a stream into HTTP/3 frames (RFC 9114 §7.1). DATA passes through as it comes;
//! frames that are read as a whole are collected; all others, reserved ones among them, are skipped. Lost bytes are
//! survived where the length of the frame they fell into is known.

use crate::http::SECTION_MAX;
use std::borrow::Cow;

/// Longest frame that is read as a whole.
pub(super) const FRAME_MAX: usize = SECTION_MAX;

/// Frame types (RFC 9114 §11.2.1).
pub(super) mod kind {
    pub(in super::super) const DATA: u64 = 0x00;
    pub(in super::super) const HEADERS: u64 = 0x01;
    pub(in super::super) const SETTINGS: u64 = 0x04;
    pub(in super::super) const PUSH_PROMISE: u64 = 0x05;
    /// Signal of a WebTransport stream (draft-ietf-webtrans-http3 §4.3): the rest of the stream is no frame.
    pub(in super::super) const WEBTRANSPORT: u64 = 0x41;
}

/// What frames give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Bytes of a DATA frame after so many lost ones.
    Data { gap: u64, bytes: &'a [u8] },
    /// The payload of another frame.
    Whole { kind: u64, payload: Cow<'a, [u8]> },
    /// As much of a payload as came before a loss or the cap.
    Cut { kind: u64, payload: Vec<u8> },
    /// Bytes of a stream that holds no frames, after so many lost ones.
    Foreign { gap: u64, bytes: &'a [u8] },
    /// So many bytes that belong to no frame that could be found.
    Skipped(usize),
}

/// The frames of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// Bytes of an unfinished header or payload.
    buf: Vec<u8>,
    /// Bytes lost since the last [`Part::Data`] or [`Part::Foreign`].
    gap: u64,
    lost: bool,
    /// No frame was seen yet.
    fresh: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data {
        left: u64,
    },
    Whole {
        kind: u64,
        left: u64,
    },
    Skip {
        left: u64,
    },
    /// The stream holds no frames.
    Foreign,
    /// Where frames begin is not known any more.
    Lost,
}

impl Frames {
    /// The frames of a stream from its beginning.
    pub(super) fn new() -> Self {
        Self { state: State::Header, buf: Vec::new(), gap: 0, lost: false, fresh: true }
    }

    /// The next part; takes what it used off the front of `rest`. None once all is used.
    pub(super) fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Option<Part<'a>> {
        loop {
            match self.state {
                State::Header => self.header(rest)?,
                State::Data { left: 0 } | State::Skip { left: 0 } => self.state = State::Header,
                State::Data { left } => {
                    let bytes = take(rest, left)?;
                    self.state = State::Data { left: left - bytes.len() as u64 };
                    return Some(Part::Data { gap: std::mem::take(&mut self.gap), bytes });
                }
                State::Whole { kind, left } => {
                    if let Some(part) = self.whole(kind, left, rest) {
                        return Some(part);
                    }
                    if rest.is_empty() {
                        return None;
                    }
                }
                State::Skip { left } => {
                    let bytes = take(rest, left)?;
                    self.state = State::Skip { left: left - bytes.len() as u64 };
                }
                State::Foreign => {
                    let bytes = take(rest, u64::MAX)?;
                    return Some(Part::Foreign { gap: std::mem::take(&mut self.gap), bytes });
                }
                State::Lost => return take(rest, u64::MAX).map(|bytes| Part::Skipped(bytes.len())),
            }
        }
    }

    /// So many bytes are missing at this point; gives what is left of a frame that is damaged.
    pub(super) fn lose(&mut self, bytes: u64) -> Option<Part<'static>> {
        self.lost = true;
        match &mut self.state {
            State::Data { left } | State::Skip { left } if bytes <= *left => {
                *left -= bytes;
                if matches!(self.state, State::Data { .. }) {
                    self.gap += bytes;
                }
                None
            }
            State::Whole { kind, left } => {
                let kind = *kind;
                let payload = std::mem::take(&mut self.buf);
                self.state = if bytes <= *left { State::Skip { left: *left - bytes } } else { State::Lost };
                Some(Part::Cut { kind, payload })
            }
            State::Foreign => {
                self.gap = self.gap.saturating_add(bytes);
                None
            }
            State::Header | State::Data { .. } | State::Skip { .. } | State::Lost => {
                self.buf.clear();
                self.state = State::Lost;
                None
            }
        }
    }

    /// The direction ended; gives what came of a frame that is not whole.
    pub(super) fn end(&mut self) -> Option<Part<'static>> {
        let State::Whole { kind, .. } = self.state else { return None };
        self.lost = true;
        self.state = State::Lost;
        Some(Part::Cut { kind, payload: std::mem::take(&mut self.buf) })
    }

    /// Whether bytes are missing, or the frame at hand is not whole: what was read is not all.
    pub(super) fn is_damaged(&self) -> bool {
        let between = match self.state {
            State::Header => self.buf.is_empty(),
            State::Data { left } | State::Skip { left } => left == 0,
            State::Foreign => true,
            State::Whole { .. } | State::Lost => false,
        };
        self.lost || !between
    }

    fn header(&mut self, rest: &mut &[u8]) -> Option<()> {
        loop {
            if let Some((kind, left)) = frame_header(&self.buf) {
                self.buf.clear();
                self.state = match kind {
                    kind::DATA => State::Data { left },
                    // Its second number is that of a session; nothing tells a length.
                    kind::WEBTRANSPORT if self.fresh => State::Foreign,
                    kind::HEADERS | kind::SETTINGS | kind::PUSH_PROMISE => State::Whole { kind, left },
                    _ => State::Skip { left },
                };
                self.fresh = false;
                return Some(());
            }
            let (&byte, after) = rest.split_first()?;
            self.buf.push(byte);
            *rest = after;
        }
    }

    fn whole<'a>(&mut self, kind: u64, left: u64, rest: &mut &'a [u8]) -> Option<Part<'a>> {
        if self.buf.is_empty()
            && let Some(len) = usize::try_from(left).ok().filter(|&len| len <= FRAME_MAX)
            && let Some((payload, after)) = rest.split_at_checked(len)
        {
            *rest = after;
            self.state = State::Header;
            return Some(Part::Whole { kind, payload: Cow::Borrowed(payload) });
        }
        let room = (FRAME_MAX - self.buf.len()) as u64;
        let bytes = take(rest, left.min(room))?;
        self.buf.extend_from_slice(bytes);
        let left = left - bytes.len() as u64;
        self.state = State::Whole { kind, left };
        if left == 0 {
            self.state = State::Header;
            return Some(Part::Whole { kind, payload: Cow::Owned(std::mem::take(&mut self.buf)) });
        }
        if self.buf.len() == FRAME_MAX {
            self.state = State::Skip { left };
            return Some(Part::Cut { kind, payload: std::mem::take(&mut self.buf) });
        }
        None
    }
}

/// Up to `most` bytes off the front; none where there are none.
fn take<'a>(rest: &mut &'a [u8], most: u64) -> Option<&'a [u8]> {
    let len = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
    let (bytes, after) = rest.split_at_checked(len).filter(|(bytes, _)| !bytes.is_empty())?;
    *rest = after;
    Some(bytes)
}

/// Type and length of a frame.
fn frame_header(bytes: &[u8]) -> Option<(u64, u64)> {
    let (kind, rest) = varint(bytes)?;
    let (len, _) = varint(rest)?;
    Some((kind, len))
}

/// A variable-length integer (RFC 9000 §16) and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, _) = bytes.split_first()?;
    let (all, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let value = all[1..].iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    Some((value, rest))
}
