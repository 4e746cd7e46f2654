//! Opening inputs and reading them batch by batch. A plain file is mapped and its frames are never copied; a
//! compressed file or a stream goes through buffers that each batch keeps alive as long as it needs them.

use super::bytes::{Bytes, READ_SIZE, open_file, open_stdin, stdin_metadata};
use super::format::{Format, Problem, Step};
use super::har::{self, Har};
use super::journal::Entry;
use crate::model::{CaptureItem, FrameBatch, FrameMeta, KeySource, Mark, Segment};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

/// Most marks of a capture that are told before its frames; more come as the frames are read.
pub const MARKS_MAX: usize = 10_000;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// `-` is standard input, anything else a file.
    #[must_use]
    pub fn from_arg(arg: &str) -> Self {
        if arg == "-" { Self::Stdin } else { Self::File(PathBuf::from(arg)) }
    }

    /// The name shown to people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// Whether it comes as it happens (a pipe, a terminal, a socket) instead of being there as a file is.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        let kind = match self {
            Self::File(path) => std::fs::metadata(path),
            Self::Stdin => stdin_metadata(),
        };
        // What can't be looked at will be told when it is opened.
        kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
    }
}

/// Why an input can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The operating system refused.
    #[error("{name}: {source}")]
    Io {
        /// The input.
        name: String,
        /// Its reason.
        source: io::Error,
    },
    /// Reading failed on the way, or what compresses it is damaged.
    #[error("{name}: offset {offset}: {source}; all before it was read")]
    Read {
        /// The input.
        name: String,
        /// Place in the (decompressed) capture.
        offset: u64,
        /// The reason.
        source: io::Error,
    },
    /// It is empty.
    #[error("{name}: offset 0: empty, expected a pcap, pcapng or HAR capture")]
    Empty {
        /// The input.
        name: String,
    },
    /// It is something else.
    #[error("{name}: offset {offset}: {message}")]
    NotACapture {
        /// The input.
        name: String,
        /// Where it stops making sense.
        offset: u64,
        /// What was found and expected.
        message: String,
    },
}

/// An open capture.
pub struct Capture {
    name: String,
    bytes: Bytes,
    /// The compressed file the bytes come from, which can be read once more.
    again: Option<PathBuf>,
    format: Format,
    /// Place in the (decompressed) capture.
    offset: u64,
    /// Bytes of a stream read but not yet taken.
    rest: Vec<u8>,
    scratch: Vec<u8>,
    frames: u64,
    secrets: Secrets,
    done: bool,
}

/// What stands in a capture that had better be known before its frames are read.
#[derive(Debug, Default)]
pub struct Ahead {
    /// TLS key logs.
    pub secrets: Vec<Vec<u8>>,
    /// The tester's marks, at most [`MARKS_MAX`].
    pub marks: Vec<Mark>,
}

impl Ahead {
    fn add(&mut self, mark: Mark) {
        if self.marks.len() < MARKS_MAX {
            self.marks.push(mark);
        }
    }
}

/// What to do with key logs met on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Yield,
    Known,
}

impl Capture {
    /// Opens an input.
    ///
    /// # Errors
    /// [`CaptureError`] if it can't be opened, is empty, or does not begin as a capture.
    pub fn open(input: &Input) -> Result<Self, CaptureError> {
        let name = input.name();
        let io_error = |source| CaptureError::Io { name: name.clone(), source };
        let bytes = match input {
            Input::File(path) => {
                let file = File::open(path).map_err(io_error)?;
                if file.metadata().map_err(io_error)?.is_dir() {
                    return Err(io_error(io::Error::from(io::ErrorKind::IsADirectory)));
                }
                open_file(file).map_err(io_error)?
            }
            Input::Stdin => open_stdin().map_err(io_error)?,
        };
        let again = match (input, &bytes) {
            (Input::File(path), Bytes::Stream(_)) if path.is_file() => Some(path.clone()),
            (Input::File(_) | Input::Stdin, _) => None,
        };
        Self::over(name, bytes, again)
    }

    /// A capture that is in memory already, shown under `name`.
    ///
    /// # Errors
    /// [`CaptureError`] if it is empty or does not begin as a capture.
    pub fn from_memory(name: &str, bytes: Segment) -> Result<Self, CaptureError> {
        Self::over(name.to_owned(), Bytes::Mapped(bytes), None)
    }

    fn over(name: String, bytes: Bytes, again: Option<PathBuf>) -> Result<Self, CaptureError> {
        let mut capture = Self {
            name,
            bytes,
            again,
            format: Format::new(),
            offset: 0,
            rest: Vec::new(),
            scratch: Vec::new(),
            frames: 0,
            secrets: Secrets::Yield,
            done: false,
        };
        if !capture.begin_har()? {
            capture.begin()?;
        }
        Ok(capture)
    }

    /// The input's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far, of the capture as it is after decompression.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match &self.bytes {
            Bytes::Har(har) => har.offset(),
            Bytes::Mapped(_) | Bytes::Stream(_) => self.offset,
        }
    }

    /// Size of a mapped capture; none for a stream.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Mapped(map) => Some((**map).as_ref().len() as u64),
            Bytes::Stream(_) => None,
            Bytes::Har(har) => Some(har.size()),
        }
    }

    /// Frames read so far, with those [`Capture::number_after`] told of.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Numbers the frames to come as if `frames` had been read before them.
    pub fn number_after(&mut self, frames: u64) {
        self.frames = frames;
    }

    /// Whether all frames are at hand at once, so that [`Capture::look_ahead`] sees them.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        matches!(self.bytes, Bytes::Mapped(_) | Bytes::Har(_)) || self.again.is_some()
    }

    /// Reads ahead through a pcapng file and gives every TLS key log and every mark in it, wherever they stand. After this
    /// [`Capture::next_item`] yields none of the key logs again; marks come once more in their places. A stream can't be
    /// read ahead and gives nothing here.
    pub fn look_ahead(&mut self) -> Ahead {
        let mut ahead = Ahead::default();
        if !self.format.is_pcapng() {
            return ahead;
        }
        if let Some(path) = &self.again {
            let Ok(mut capture) = Self::open(&Input::File(path.clone())) else { return ahead };
            // What is damaged there will be met, and told, when the frames are read.
            while let Ok(Some(item)) = capture.next_item() {
                match item {
                    CaptureItem::Secrets(_, text) => ahead.secrets.push(text),
                    CaptureItem::Mark(mark) => ahead.add(mark),
                    _ => {}
                }
            }
            self.secrets = Secrets::Known;
            return ahead;
        }
        let Bytes::Mapped(map) = &self.bytes else { return ahead };
        let map = (**map).as_ref();
        let mut format = Format::new();
        let mut at = 0usize;
        while let Ok(step) = format.step(&map[at..], at as u64) {
            at += match step {
                Step::Secrets { len, start, end } => {
                    ahead.secrets.push(map[at + start..at + end].to_vec());
                    len
                }
                Step::Entry { len, entry } => {
                    if let Entry::Mark(mark) = *entry {
                        ahead.add(mark);
                    }
                    len
                }
                Step::Frame { len, .. } | Step::Skip { len } | Step::Odd { len, .. } => len,
                Step::Need(_) => break,
            };
        }
        self.secrets = Secrets::Known;
        ahead
    }

    /// The next frames, key log or warning; none at the end.
    ///
    /// # Errors
    /// The operating system's, naming the input. What was read before stays valid.
    pub fn next_item(&mut self) -> Result<Option<CaptureItem>, CaptureError> {
        if self.done {
            return Ok(None);
        }
        match &mut self.bytes {
            Bytes::Har(har) => Ok(har.next_item()),
            Bytes::Mapped(map) => {
                let map = Arc::clone(map);
                Ok(self.next_mapped(map))
            }
            Bytes::Stream(_) => self.next_streamed(),
        }
    }

    /// Whether it is JSON, which is then taken for a HAR: it must be at hand whole, as its entries need not be in order.
    fn begin_har(&mut self) -> Result<bool, CaptureError> {
        if let Bytes::Stream(_) = self.bytes
            && self.fill()? == 0
        {
            return Ok(false);
        }
        let head = match &self.bytes {
            Bytes::Mapped(map) => (**map).as_ref(),
            Bytes::Stream(_) | Bytes::Har(_) => self.rest.as_slice(),
        };
        let Some(text) = har::detect(head) else { return Ok(false) };
        if let Bytes::Stream(_) = self.bytes {
            while self.rest.len() <= har::HELD_MAX && self.fill()? > 0 {}
        }
        let cut = self.rest.len() > har::HELD_MAX;
        let segment: Segment = match &self.bytes {
            Bytes::Mapped(map) => Arc::clone(map),
            Bytes::Stream(_) | Bytes::Har(_) => Arc::new(std::mem::take(&mut self.rest)),
        };
        let har = Har::open(&self.name, text, segment);
        let wrong =
            |Problem { offset, message }| CaptureError::NotACapture { name: self.name.clone(), offset, message };
        let mut har = har.map_err(wrong)?;
        if cut {
            har.was_cut();
        }
        self.bytes = Bytes::Har(Box::new(har));
        Ok(true)
    }

    /// Reads the file header, so that what is no capture is refused before anything else is done.
    fn begin(&mut self) -> Result<(), CaptureError> {
        loop {
            let have = match &self.bytes {
                Bytes::Mapped(map) => (**map).as_ref(),
                Bytes::Stream(_) | Bytes::Har(_) => self.rest.as_slice(),
            };
            let short = have.len();
            match self.format.step(have, self.offset) {
                Ok(Step::Skip { len }) => {
                    self.advance(len);
                    // Nothing is passed over yet where only the kind of the file was found out.
                    if len > 0 {
                        return Ok(());
                    }
                }
                Ok(Step::Need(_)) => {
                    if self.fill()? == 0 {
                        if short == 0 {
                            return Err(CaptureError::Empty { name: self.name.clone() });
                        }
                        let message = format!(
                            "cut off inside the file header ({short} bytes), expected a pcap or pcapng capture"
                        );
                        return Err(CaptureError::NotACapture {
                            name: self.name.clone(),
                            offset: short as u64,
                            message,
                        });
                    }
                }
                Ok(Step::Frame { .. } | Step::Secrets { .. } | Step::Entry { .. } | Step::Odd { .. }) => return Ok(()),
                Err(Problem { offset, message }) => {
                    return Err(CaptureError::NotACapture { name: self.name.clone(), offset, message });
                }
            }
        }
    }

    fn advance(&mut self, len: usize) {
        self.offset += len as u64;
        if let Bytes::Stream(_) = self.bytes {
            self.rest.drain(..len.min(self.rest.len()));
        }
    }

    /// Reads more of a stream; 0 at its end (and for a mapped file, which has no more).
    fn fill(&mut self) -> Result<usize, CaptureError> {
        let Bytes::Stream(reader) = &mut self.bytes else { return Ok(0) };
        // Kept from read to read: a stream may bring a packet at a time.
        self.scratch.resize(READ_SIZE, 0);
        loop {
            match reader.read(&mut self.scratch) {
                Ok(count) => {
                    self.rest.extend_from_slice(&self.scratch[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A compressed file that ends early is a truncated capture, not a failure.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(source) => {
                    self.done = true;
                    let offset = self.offset + self.rest.len() as u64;
                    return Err(CaptureError::Read { name: self.name.clone(), offset, source });
                }
            }
        }
    }

    fn next_mapped(&mut self, segment: Segment) -> Option<CaptureItem> {
        let bytes = (*segment).as_ref();
        let size = bytes.len();
        let mut frames = Vec::with_capacity(FrameBatch::FRAMES_MAX);
        let end = self.take(bytes, 0, &mut frames);
        self.finish_batch(segment, frames, end, size)
    }

    fn next_streamed(&mut self) -> Result<Option<CaptureItem>, CaptureError> {
        loop {
            let buffer = std::mem::take(&mut self.rest);
            let base = self.offset;
            let mut frames = Vec::new();
            let end = self.take(&buffer, base, &mut frames);
            let taken = usize::try_from(self.offset - base).unwrap_or(buffer.len()).min(buffer.len());
            if let (End::Need(need), true) = (&end, frames.is_empty()) {
                self.rest = buffer;
                self.rest.drain(..taken);
                if !self.fill_to(*need)? {
                    self.done = true;
                    return Ok(self.truncation(self.rest.len() as u64));
                }
                continue;
            }
            self.rest = buffer[taken..].to_vec();
            return Ok(self.finish_batch(Arc::new(buffer), frames, end, taken));
        }
    }

    /// Reads until `need` bytes wait; false where the stream ends before.
    fn fill_to(&mut self, need: usize) -> Result<bool, CaptureError> {
        while self.rest.len() < need {
            if self.fill()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes frames from `bytes`, which begin at `base` of the capture, until a batch is full or something else comes.
    fn take(&mut self, bytes: &[u8], base: u64, frames: &mut Vec<FrameMeta>) -> End {
        while frames.len() < FrameBatch::FRAMES_MAX {
            let at = usize::try_from(self.offset - base).unwrap_or(bytes.len()).min(bytes.len());
            match self.format.step(&bytes[at..], self.offset) {
                Ok(Step::Frame { len, start, captured, original_len, ts, link, app }) => {
                    self.frames += 1;
                    let start = at + start;
                    frames.push(FrameMeta { number: self.frames, ts, link, start, len: captured, original_len, app });
                    self.offset += len as u64;
                }
                Ok(Step::Skip { len }) => self.offset += len as u64,
                Ok(Step::Secrets { len, start, end }) => {
                    // Frames before a key log leave first, so that it takes effect where it stands.
                    if self.secrets == Secrets::Yield {
                        if !frames.is_empty() {
                            return End::Full;
                        }
                        self.offset += len as u64;
                        return End::Secrets(bytes[at + start..at + end].to_vec());
                    }
                    self.offset += len as u64;
                }
                Ok(Step::Entry { len, entry }) => {
                    if !frames.is_empty() {
                        return End::Full;
                    }
                    self.offset += len as u64;
                    return End::Entry(entry);
                }
                Ok(Step::Odd { len, problem }) => {
                    if !frames.is_empty() {
                        return End::Full;
                    }
                    self.offset += len as u64;
                    return End::Warning(problem);
                }
                Ok(Step::Need(need)) => return End::Need(need),
                Err(problem) => {
                    if !frames.is_empty() {
                        return End::Full;
                    }
                    self.done = true;
                    return End::Warning(Problem {
                        message: format!("{}; nothing after it was read", problem.message),
                        ..problem
                    });
                }
            }
        }
        End::Full
    }

    fn finish_batch(&mut self, segment: Segment, frames: Vec<FrameMeta>, end: End, size: usize) -> Option<CaptureItem> {
        if !frames.is_empty() {
            return Some(CaptureItem::Frames(FrameBatch { segment, frames }));
        }
        match end {
            End::Secrets(text) => Some(CaptureItem::Secrets(KeySource::Dsb, text)),
            End::Entry(entry) => Some(match *entry {
                Entry::Mark(mark) => CaptureItem::Mark(mark),
                Entry::Incident(incident) => CaptureItem::Incident(incident),
            }),
            End::Warning(problem) => {
                Some(CaptureItem::Warning(format!("{}: offset {}: {}", self.name, problem.offset, problem.message)))
            }
            End::Full | End::Need(_) => {
                self.done = true;
                self.truncation((size as u64).saturating_sub(self.offset))
            }
        }
    }

    fn truncation(&self, left: u64) -> Option<CaptureItem> {
        (left > 0).then(|| {
            let message = format!(
                "{}: offset {}: cut off inside a record ({left} of its bytes are there); all before it was read",
                self.name, self.offset
            );
            CaptureItem::Warning(message)
        })
    }
}

enum End {
    Full,
    Secrets(Vec<u8>),
    Entry(Box<Entry>),
    Warning(Problem),
    Need(usize),
}
