//! HAR files (HTTP Archive 1.2, softwareishard.com/blog/har-12-spec) → batches of exchanges, in the order of time: of
//! browsers, mitmproxy, HTTP Toolkit, Charles, Proxyman, Fiddler, PCAPdroid and whoever else writes `log.entries`.
//!
//! A first pass finds where each entry stands and when it began; entries are then read one after the other, so that
//! memory holds the file (mapped where possible) and one batch.

mod body;
mod entry;
mod json;
mod url;

#[cfg(test)]
mod tests;

use super::format::Problem;
use crate::model::{CaptureItem, Segment, Timestamp};
use entry::Unsent;
use json::{Cursor, Stop};
use std::collections::VecDeque;
use std::sync::Arc;

/// Largest HAR that is held in memory because it can't be mapped (compressed, or from a pipe), bytes.
pub const HELD_MAX: usize = 2 << 30;
/// Entries beyond this many are not read.
pub const ENTRIES_MAX: usize = 20_000_000;

/// Entries of a batch, and the bytes of JSON they may have together.
const BATCH_ENTRIES: usize = 128;
const BATCH_BYTES: usize = 4 << 20;
/// Entries with mistakes that are told one by one.
const PROBLEMS_TOLD: usize = 5;

/// How the text of a HAR is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// Whether a file begins as JSON does, and how that is written; none where it does not.
pub(super) fn detect(head: &[u8]) -> Option<Encoding> {
    let (encoding, text) = match head {
        [0xff, 0xfe, rest @ ..] => (Encoding::Utf16Le, rest.iter().copied().step_by(2).take(1 << 10).collect()),
        [0xfe, 0xff, _, rest @ ..] => (Encoding::Utf16Be, rest.iter().copied().step_by(2).take(1 << 10).collect()),
        [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8, rest[..rest.len().min(1 << 10)].to_vec()),
        _ => (Encoding::Utf8, head[..head.len().min(1 << 10)].to_vec()),
    };
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')).then_some(encoding)
}

/// An entry of the log.
#[derive(Debug, Clone, Copy)]
struct Place {
    ts: Timestamp,
    start: usize,
    end: usize,
}

/// An open HAR file.
pub(super) struct Har {
    name: String,
    bytes: Segment,
    places: Vec<Place>,
    next: usize,
    /// What is told after the last entry.
    ending: VecDeque<CaptureItem>,
    /// Entries with mistakes.
    wrong: usize,
    /// The first of them.
    told: Vec<Problem>,
    /// Entries that tell of no traffic.
    local: usize,
    taken: u64,
}

impl Har {
    /// Finds the entries.
    ///
    /// # Errors
    /// What was found where `log.entries` was expected.
    pub(super) fn open(name: &str, encoding: Encoding, bytes: Segment) -> Result<Self, Problem> {
        let bytes: Segment = match encoding {
            Encoding::Utf8 => bytes,
            Encoding::Utf16Le => Arc::new(encoding_rs::UTF_16LE.decode((*bytes).as_ref()).0.into_owned().into_bytes()),
            Encoding::Utf16Be => Arc::new(encoding_rs::UTF_16BE.decode((*bytes).as_ref()).0.into_owned().into_bytes()),
        };
        let data = (*bytes).as_ref();
        let mut places = Vec::new();
        let end = index(data, &mut places)?;
        let mut ending = VecDeque::new();
        if let Some(problem) = end {
            ending.push_back(CaptureItem::Warning(format!(
                "{name}: offset {}: {}; the {} entries before it were read",
                problem.offset,
                problem.message,
                places.len()
            )));
        }
        // An entry without a time keeps its place after the one before it.
        let mut last = Timestamp::default();
        for place in &mut places {
            if place.ts == Timestamp::default() {
                place.ts = last;
            }
            last = place.ts;
        }
        places.sort_by_key(|place| place.ts);
        Ok(Self {
            name: name.to_owned(),
            bytes,
            places,
            next: 0,
            ending,
            wrong: 0,
            told: Vec::new(),
            local: 0,
            taken: 0,
        })
    }

    /// Says that the file was longer than what could be held of it.
    pub(super) fn was_cut(&mut self) {
        let text = format!(
            "{}: a HAR that is compressed or comes from a pipe is held in memory; only its first {HELD_MAX} bytes were read",
            self.name
        );
        self.ending.push_front(CaptureItem::Warning(text));
    }

    /// Bytes of entries read so far.
    pub(super) fn offset(&self) -> u64 {
        self.taken
    }

    /// Bytes of the text.
    pub(super) fn size(&self) -> u64 {
        (*self.bytes).as_ref().len() as u64
    }

    /// The next exchanges or warning; none at the end.
    pub(super) fn next_item(&mut self) -> Option<CaptureItem> {
        let mut found = Vec::new();
        let mut size = 0;
        let mut entries = 0;
        while let Some(place) = self.places.get(self.next)
            && entries < BATCH_ENTRIES
            && size < BATCH_BYTES
        {
            self.next += 1;
            entries += 1;
            size += place.end - place.start;
            let data = (*self.bytes).as_ref();
            let read = Cursor::new(data, place.start).value();
            let read = read.map(|node| entry::exchanges(&node, &self.name, place.ts, &mut found));
            match read {
                Ok(Ok(())) => {}
                Ok(Err(Unsent::Local)) => self.local += 1,
                Ok(Err(Unsent::NoEntry)) => self.wrong(Stop::Wrong(place.start, "an entry")),
                Err(stop) => self.wrong(stop),
            }
        }
        self.taken += size as u64;
        if entries > 0 {
            return Some(CaptureItem::Exchanges(found));
        }
        self.tell_rest();
        self.ending.pop_front()
    }

    fn wrong(&mut self, stop: Stop) {
        self.wrong += 1;
        if self.wrong <= PROBLEMS_TOLD {
            self.told.push(problem((*self.bytes).as_ref(), stop));
        }
    }

    fn tell_rest(&mut self) {
        for problem in self.told.drain(..) {
            let text = format!("{}: offset {}: {}; entry left out", self.name, problem.offset, problem.message);
            self.ending.push_back(CaptureItem::Warning(text));
        }
        if self.wrong > PROBLEMS_TOLD {
            let text = format!("{}: {} more entries like these left out", self.name, self.wrong - PROBLEMS_TOLD);
            self.ending.push_back(CaptureItem::Warning(text));
            self.wrong = 0;
        }
        if self.local > 0 {
            let text = format!(
                "{}: {} entries were never sent (answered from a cache, blocked, or no network address) and are left out",
                self.name, self.local
            );
            self.ending.push_back(CaptureItem::Note(text));
            self.local = 0;
        }
    }
}

/// Finds where each entry stands. Gives what ended the list too early, if something did.
fn index(data: &[u8], places: &mut Vec<Place>) -> Result<Option<Problem>, Problem> {
    let start = if data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut root = Cursor::new(data, start);
    let entries = find(&mut root, 1).map_err(|stop| not_har(data, stop))?;
    let Some(mut at) = entries else {
        return Err(not_har(data, Stop::Wrong(start, "an object with log.entries")));
    };
    match list(&mut at, places) {
        Ok(()) => Ok(None),
        Err(stop) => Ok(Some(problem(data, stop))),
    }
}

/// Goes into the object at the cursor and finds the array `entries`, in it or in its member `log`.
fn find<'a>(cursor: &mut Cursor<'a>, depth: usize) -> Result<Option<Cursor<'a>>, Stop> {
    cursor.expect(b'{', "a JSON object")?;
    let mut first = true;
    while cursor.more(b'}', std::mem::take(&mut first))? {
        let key = cursor.key()?;
        if key.names("entries") && cursor.peek()? == b'[' {
            return Ok(Some(*cursor));
        }
        if depth > 0 && key.names("log") && cursor.peek()? == b'{' {
            let mut inside = *cursor;
            // What is damaged in it is met, and told, when it is passed over.
            if let Some(found) = find(&mut inside, depth - 1)? {
                return Ok(Some(found));
            }
        }
        cursor.skip()?;
    }
    Ok(None)
}

fn list(cursor: &mut Cursor<'_>, places: &mut Vec<Place>) -> Result<(), Stop> {
    cursor.expect(b'[', "a list of entries")?;
    let mut first = true;
    while cursor.more(b']', std::mem::take(&mut first))? {
        cursor.peek()?;
        let start = cursor.at;
        cursor.skip()?;
        if places.len() >= ENTRIES_MAX {
            return Err(Stop::Wrong(start, "no more entries than are read"));
        }
        let ts = started(&cursor.data[..cursor.at], start);
        places.push(Place { ts, start, end: cursor.at });
    }
    Ok(())
}

/// `startedDateTime` of the entry at `start`; the epoch where it is missing.
fn started(data: &[u8], start: usize) -> Timestamp {
    let mut cursor = Cursor::new(data, start);
    let mut look = || -> Result<Option<Timestamp>, Stop> {
        cursor.expect(b'{', "an object")?;
        let mut first = true;
        while cursor.more(b'}', std::mem::take(&mut first))? {
            if cursor.key()?.names("startedDateTime") {
                let value = cursor.value()?;
                return Ok(value.text().and_then(|text| url::time(&text)));
            }
            cursor.skip()?;
        }
        Ok(None)
    };
    // Damage is told when the entry is read.
    look().ok().flatten().unwrap_or_default()
}

fn not_har(data: &[u8], stop: Stop) -> Problem {
    let Problem { offset, message } = problem(data, stop);
    Problem { offset, message: format!("{message}; not a HAR file, which is a JSON object with log.entries") }
}

fn problem(data: &[u8], stop: Stop) -> Problem {
    let (offset, message) = match stop {
        Stop::Cut => (data.len(), "the file is cut off here".to_owned()),
        Stop::Wrong(at, expected) => {
            let found = match data.get(at) {
                Some(&byte) if byte.is_ascii_graphic() => format!("'{}'", char::from(byte)),
                Some(byte) => format!("byte {byte:#04x}"),
                None => "the end".to_owned(),
            };
            (at, format!("{found} found, expected {expected}"))
        }
    };
    let line = memchr::memchr_iter(b'\n', &data[..offset.min(data.len())]).count() + 1;
    Problem { offset: offset as u64, message: format!("line {line}: {message}") }
}
