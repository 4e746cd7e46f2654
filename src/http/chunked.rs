//! Undoes the chunked transfer coding (RFC 9112 §7.1), with extensions, trailers and bare LF line ends.

use super::body::{BodySink, Progress};
use super::head::HeadScan;
use memchr::memchr;

/// Longest trailer section.
const TRAILERS_MAX: usize = 64 << 10;
/// Longest chunk-size line after its digits.
const LINE_MAX: usize = 16 << 10;

/// Where in the coding a body stands.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    trailers: Vec<u8>,
    scan: HeadScan,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the digits of a size.
    Size { size: u64, digits: u8 },
    /// After them: white space, extensions, line end.
    Extension { size: u64, length: usize },
    /// In the bytes of a chunk.
    Data { left: u64 },
    /// After them: the line end.
    DataEnd { returned: bool },
    /// After the last chunk.
    Trailers,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    /// Takes bytes; gives how many belong to the body.
    pub(super) fn feed(&mut self, input: &[u8], sink: &mut BodySink) -> (usize, Progress) {
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            match self.state {
                State::Size { size, digits } => match (char::from(rest[0]).to_digit(16), rest[0]) {
                    (Some(_), _) if digits == 16 => return (at, Progress::Lost { line_start: false }),
                    (Some(digit), _) => {
                        self.state = State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 };
                        at += 1;
                    }
                    (None, b'\r' | b'\n' | b' ' | b'\t' | b';') if digits > 0 => {
                        self.state = State::Extension { size, length: 0 };
                    }
                    (None, _) => return (at, Progress::Lost { line_start: digits == 0 }),
                },
                State::Extension { size, length } => {
                    let window = &rest[..rest.len().min(LINE_MAX - length)];
                    let Some(end) = memchr(b'\n', window) else {
                        at += window.len();
                        if length + window.len() == LINE_MAX {
                            return (at, Progress::Lost { line_start: false });
                        }
                        self.state = State::Extension { size, length: length + window.len() };
                        continue;
                    };
                    at += end + 1;
                    self.state = if size == 0 { State::Trailers } else { State::Data { left: size } };
                }
                State::Data { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    sink.push(&rest[..taken]);
                    at += taken;
                    self.state = match left - taken as u64 {
                        0 => State::DataEnd { returned: false },
                        left => State::Data { left },
                    };
                }
                State::DataEnd { returned } => match rest[0] {
                    b'\n' => {
                        at += 1;
                        self.state = State::default();
                    }
                    b'\r' if !returned => {
                        at += 1;
                        self.state = State::DataEnd { returned: true };
                    }
                    _ => return (at, Progress::Lost { line_start: true }),
                },
                State::Trailers => {
                    let (taken, progress) = self.trailer_bytes(rest);
                    at += taken;
                    if progress != Progress::More {
                        return (at, progress);
                    }
                }
            }
        }
        (at, Progress::More)
    }

    fn trailer_bytes(&mut self, rest: &[u8]) -> (usize, Progress) {
        let window = &rest[..rest.len().min(TRAILERS_MAX - self.trailers.len())];
        let end = self.scan.feed(window);
        let taken = end.unwrap_or(window.len());
        self.trailers.extend_from_slice(&window[..taken]);
        let progress = match end {
            Some(_) => Progress::Done,
            None if self.trailers.len() == TRAILERS_MAX => Progress::Lost { line_start: false },
            None => Progress::More,
        };
        (taken, progress)
    }

    /// Bytes were lost at this point: only inside one chunk can the coding be followed past them.
    pub(super) fn lost(&mut self, gap: u64) -> Progress {
        match self.state {
            State::Data { left } if gap < left => {
                self.state = State::Data { left: left - gap };
                Progress::More
            }
            State::Data { left } if gap == left => {
                self.state = State::DataEnd { returned: false };
                Progress::More
            }
            _ => Progress::Lost { line_start: true },
        }
    }

    /// The trailer lines, as far as seen.
    pub(super) fn trailers(&self) -> &[u8] {
        &self.trailers
    }
}
