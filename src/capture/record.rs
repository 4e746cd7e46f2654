//! What comes in → a pcapng file (draft-ietf-opsawg-pcapng), so that it can be replayed and opened in Wireshark: an
//! interface for each link type, times in nanoseconds, keys as Decryption Secrets Blocks before the frames they open, apps as
//! PCAPdroid writes them, marks and incidents as journal entries. Each call leaves a whole file behind.

use super::format::PCAPDROID_PEN;
use super::journal;
use crate::model::{App, CaptureItem, FrameBatch, LinkType, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 0x0A;
const CUSTOM: u32 = 0x0BAD;
/// `TLSK`: the secrets are a TLS key log.
const TLS_KEY_LOG: u32 = 0x544C_534B;
/// Most apps described in one file.
const APPS_MAX: usize = 65_536;
/// Newest session secrets that are written again at the start of a next file, for sessions that go on in it, bytes.
pub const SECRETS_CARRIED_MAX: usize = 1 << 20;

/// When to go on in a next file.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordLimits {
    /// When a file has so many bytes.
    pub max_bytes: Option<u64>,
    /// When its first frame is so old, by the times of frames.
    pub max_age: Option<Duration>,
}

/// A pcapng file that is being written, or several, one after another.
pub struct Recorder {
    path: PathBuf,
    limits: RecordLimits,
    /// The file now: the first is 1.
    number: u32,
    file: File,
    /// Bytes of the file, up to its last whole block.
    written: u64,
    began: Option<Timestamp>,
    /// Link types of the interfaces, by number.
    interfaces: Vec<LinkType>,
    /// Apps that are described in this file.
    apps: BTreeSet<i32>,
    /// The newest secrets, and how many bytes they are.
    secrets: VecDeque<Vec<u8>>,
    secrets_len: usize,
    /// Blocks on their way to the file, but for the bytes of large frames.
    buffer: Vec<u8>,
}

/// Frames of this size and larger are written from where they are, smaller ones with what stands around them.
const LARGE: usize = 4_096;
/// Most pieces written at once (`IOV_MAX` of Linux).
const PIECES_MAX: usize = 1_024;

impl Recorder {
    /// Creates the file, readable by its owner only since it will hold keys, and writes its header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::rotating(path, RecordLimits::default())
    }

    /// As [`Recorder::create`]; goes on in `name-0002.pcapng` and so on when a limit is reached.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rotating(path: &Path, limits: RecordLimits) -> io::Result<Self> {
        let mut recorder = Self {
            path: path.to_path_buf(),
            limits,
            number: 1,
            file: create(path)?,
            written: 0,
            began: None,
            interfaces: Vec::new(),
            apps: BTreeSet::new(),
            secrets: VecDeque::new(),
            secrets_len: 0,
            buffer: Vec::new(),
        };
        recorder.header();
        recorder.flush()?;
        Ok(recorder)
    }

    /// The file that is written now.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        if self.number == 1 {
            return self.path.clone();
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        self.path.with_file_name(format!("{stem}-{:04}{}", self.number, extension.unwrap_or_default()))
    }

    /// Adds what came in; warnings and the like are left out. It has left for the file when this returns.
    ///
    /// # Errors
    /// The operating system's; the file then ends with the last block that was whole.
    pub fn item(&mut self, item: &CaptureItem) -> io::Result<()> {
        match item {
            CaptureItem::Frames(batch) => {
                self.rotate(batch)?;
                return self.frames(batch);
            }
            CaptureItem::Secrets(_, text) => {
                self.keep(text);
                self.key_log(text);
            }
            CaptureItem::Mark(mark) => block(&mut self.buffer, journal::BLOCK, &[&journal::mark(mark)]),
            CaptureItem::Incident(incident) => {
                block(&mut self.buffer, journal::BLOCK, &[&journal::incident(incident)]);
            }
            CaptureItem::Exchanges(_) | CaptureItem::Warning(_) | CaptureItem::Note(_) | CaptureItem::Pause => {}
        }
        self.flush()
    }

    fn header(&mut self) {
        let mut body = Vec::new();
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        option(&mut body, 4, concat!("divulge ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, 0, &[]);
        block(&mut self.buffer, SECTION_HEADER, &[&body]);
    }

    fn frames(&mut self, batch: &FrameBatch) -> io::Result<()> {
        // Where in the buffer the bytes of large frames belong.
        let mut large: Vec<(usize, &[u8])> = Vec::new();
        let segment = (*batch.segment).as_ref();
        for (frame, meta) in batch.iter().zip(&batch.frames) {
            self.began.get_or_insert(frame.ts);
            let interface = self.interface(frame.link);
            let uid = frame.app.as_deref().and_then(|app| self.app(app));
            let mut options = Vec::new();
            if let Some(uid) = uid {
                option(&mut options, 1, format!("u-{uid}").as_bytes());
                option(&mut options, 0, &[]);
            }
            let nanos = u64::try_from(frame.ts.nanos()).unwrap_or(0);
            let padding = frame.data.len().next_multiple_of(4) - frame.data.len();
            let word = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            let total = word(32 + frame.data.len() + padding + options.len());
            let (high, low) = ((nanos >> 32) as u32, (nanos & 0xFFFF_FFFF) as u32);
            let kept = word(frame.data.len());
            for word in [ENHANCED_PACKET, total, interface, high, low, kept, frame.original_len] {
                self.buffer.extend_from_slice(&word.to_le_bytes());
            }
            if frame.data.len() >= LARGE {
                let data = segment.get(meta.start..meta.start + meta.len).unwrap_or_default();
                large.push((self.buffer.len(), data));
            } else {
                self.buffer.extend_from_slice(frame.data);
            }
            self.buffer.extend_from_slice(&[0; 3][..padding]);
            self.buffer.extend_from_slice(&options);
            self.buffer.extend_from_slice(&total.to_le_bytes());
        }
        self.flush_with(&large)
    }

    fn key_log(&mut self, text: &[u8]) {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        block(&mut self.buffer, DECRYPTION_SECRETS, &[&TLS_KEY_LOG.to_le_bytes(), &len.to_le_bytes(), text]);
    }

    /// Remembers secrets for the next file.
    fn keep(&mut self, text: &[u8]) {
        if self.limits.max_bytes.is_none() && self.limits.max_age.is_none() {
            return;
        }
        self.secrets.push_back(text.to_vec());
        self.secrets_len += text.len();
        while self.secrets_len > SECRETS_CARRIED_MAX
            && let Some(oldest) = self.secrets.pop_front()
        {
            self.secrets_len -= oldest.len();
        }
    }

    /// Goes on in a next file if it is time.
    fn rotate(&mut self, batch: &FrameBatch) -> io::Result<()> {
        let full = self.limits.max_bytes.is_some_and(|most| self.written >= most);
        let now = batch.frames.first().map(|frame| frame.ts);
        let age = self.began.zip(now).map(|(began, now)| now.nanos().saturating_sub(began.nanos()));
        let old = self
            .limits
            .max_age
            .zip(age)
            .is_some_and(|(most, age)| age >= i64::try_from(most.as_nanos()).unwrap_or(i64::MAX));
        if self.began.is_none() || !(full || old) {
            return Ok(());
        }
        self.number += 1;
        self.file = create(&self.path())?;
        (self.written, self.began) = (0, None);
        self.interfaces.clear();
        self.apps.clear();
        self.header();
        for text in std::mem::take(&mut self.secrets) {
            self.key_log(&text);
            self.secrets.push_back(text);
        }
        Ok(())
    }

    fn interface(&mut self, link: LinkType) -> u32 {
        let known = self.interfaces.iter().position(|&known| known == link);
        let number = known.unwrap_or(self.interfaces.len());
        if known.is_none() {
            self.interfaces.push(link);
            let mut body = Vec::new();
            body.extend(u16::try_from(link.0).unwrap_or(u16::MAX).to_le_bytes());
            body.extend([0; 6]);
            // if_tsresol: ten to the minus ninth of a second.
            option(&mut body, 9, &[9]);
            option(&mut body, 0, &[]);
            block(&mut self.buffer, INTERFACE_DESCRIPTION, &[&body]);
        }
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Describes an app before its first frame; gives its uid.
    fn app(&mut self, app: &App) -> Option<i32> {
        let uid = app.uid?;
        if self.apps.len() < APPS_MAX && self.apps.insert(uid) {
            let text = |text: &Option<Arc<str>>| {
                let text = text.as_deref().unwrap_or_default();
                // PCAPdroid's own limit.
                text.as_bytes()[..text.floor_char_boundary(63)].to_vec()
            };
            let (package, name) = (text(&app.package), text(&app.name));
            let lengths = [package.len(), name.len()].map(|len| u8::try_from(len).unwrap_or(0));
            let head = [&PCAPDROID_PEN.to_le_bytes()[..], &1u16.to_le_bytes(), &[1, 0], &uid.to_le_bytes()].concat();
            block(&mut self.buffer, CUSTOM, &[&head, &lengths, &package, &name]);
        }
        Some(uid)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_with(&[])
    }

    /// Writes the buffer, with other bytes in between.
    fn flush_with(&mut self, between: &[(usize, &[u8])]) -> io::Result<()> {
        let mut pieces = Vec::with_capacity(1 + 2 * between.len());
        let mut at = 0;
        for &(place, bytes) in between {
            pieces.extend([IoSlice::new(&self.buffer[at..place]), IoSlice::new(bytes)]);
            at = place;
        }
        pieces.push(IoSlice::new(&self.buffer[at..]));
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let wrote = write_all(&mut self.file, &mut pieces);
        match wrote {
            Ok(()) => self.written += len as u64,
            Err(_) => {
                // Part of it may be there. Where that can't be undone either, the file ends in the middle of a block.
                let _: io::Result<()> = self.file.set_len(self.written);
            }
        }
        self.buffer.clear();
        wrote
    }
}

/// Writes all pieces, in as few calls as there can be.
fn write_all(file: &mut File, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        let most = pieces.len().min(PIECES_MAX);
        match file.write_vectored(&pieces[..most]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut pieces, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Appends a block whose body is made of parts.
fn block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let padding = len.next_multiple_of(4) - len;
    // Bodies are frames and key logs, both capped far below this.
    let total = u32::try_from(12 + len + padding).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&total);
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0; 3][..padding]);
    out.extend_from_slice(&total);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::{RecordLimits, Recorder};
    use crate::capture::{Capture, Input};
    use crate::model::{
        App, CaptureItem, FrameBatch, FrameMeta, Incident, IncidentKind, KeySource, LinkType, Mark, MarkKind, Timestamp,
    };
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn meta(number: u64, link: u32, start: usize, len: usize, app: Option<Arc<App>>) -> FrameMeta {
        let ts = Timestamp::from_nanos(1_700_000_000_123_456_789 + i64::try_from(number).unwrap());
        FrameMeta { number, ts, link: LinkType(link), start, len, original_len: 99, app }
    }

    fn frames(frames: Vec<FrameMeta>) -> CaptureItem {
        CaptureItem::Frames(FrameBatch { segment: Arc::new(b"abcdefgh"), frames })
    }

    fn secrets(text: &str) -> CaptureItem {
        CaptureItem::Secrets(KeySource::Proxy, text.as_bytes().to_vec())
    }

    /// What a capture holds, in words.
    fn told(path: &Path) -> Vec<String> {
        let mut capture = Capture::open(&Input::File(path.to_path_buf())).unwrap();
        let mut told = Vec::new();
        while let Some(item) = capture.next_item().unwrap() {
            match item {
                CaptureItem::Frames(batch) => told.extend(batch.iter().map(|frame| {
                    let nanos = frame.ts.nanos() % 1_000_000_000;
                    let data = String::from_utf8_lossy(frame.data).into_owned();
                    let app = frame.app.map(|app| format!(" {:?} {:?} {:?}", app.uid, app.package, app.name));
                    format!("{} {nanos} {data} {}{}", frame.link.0, frame.original_len, app.unwrap_or_default())
                })),
                CaptureItem::Secrets(_, text) => told.push(String::from_utf8_lossy(&text).into_owned()),
                CaptureItem::Mark(mark) => told.push(format!("{:?} {:?}", mark.mark, mark.text)),
                CaptureItem::Incident(incident) => told.push(format!("{:?} {}", incident.kind, incident.text)),
                CaptureItem::Warning(text) | CaptureItem::Note(text) => told.push(text),
                CaptureItem::Exchanges(_) | CaptureItem::Pause => {}
            }
        }
        told
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        let app = App { uid: Some(10_234), package: Some("com.example".into()), name: Some("测试".into()) };
        let ts = Timestamp::from_nanos(1_700_000_000_000_000_001);
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.item(&secrets("# a key log\n")).unwrap();
        let three = vec![meta(1, 1, 0, 5, None), meta(2, 276, 5, 3, Some(Arc::new(app))), meta(3, 1, 1, 4, None)];
        recorder.item(&frames(three)).unwrap();
        recorder.item(&CaptureItem::Mark(Mark { ts, mark: MarkKind::Agree, text: Some("ok".to_owned()) })).unwrap();
        let incident =
            Incident { ts, kind: IncidentKind::Pinned, host: "h".into(), connection: None, text: "why".to_owned() };
        recorder.item(&CaptureItem::Incident(incident)).unwrap();
        assert_eq!(
            told(&path),
            [
                "# a key log\n",
                "1 123456790 abcde 99",
                "276 123456791 fgh 99 Some(10234) Some(\"com.example\") Some(\"测试\")",
                "1 123456792 bcde 99",
                "Agree Some(\"ok\")",
                "Pinned why"
            ]
        );
    }

    #[test]
    fn files_go_on_in_a_next_one_with_the_newest_keys() {
        for limits in [
            RecordLimits { max_bytes: Some(1), max_age: None },
            RecordLimits { max_bytes: None, max_age: Some(Duration::from_nanos(1)) },
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut recorder = Recorder::rotating(&folder.path().join("out.pcapng"), limits).unwrap();
            for number in 1..=3 {
                recorder.item(&secrets(&format!("# {number}\n"))).unwrap();
                recorder.item(&frames(vec![meta(number, 1, 0, 1, None)])).unwrap();
            }
            assert_eq!(recorder.path(), folder.path().join("out-0003.pcapng"));
            assert_eq!(told(&folder.path().join("out.pcapng")), ["# 1\n", "1 123456790 a 99", "# 2\n"]);
            assert_eq!(told(&folder.path().join("out-0002.pcapng")), ["# 1\n", "# 2\n", "1 123456791 a 99", "# 3\n"]);
            assert_eq!(told(&recorder.path()), ["# 1\n", "# 2\n", "# 3\n", "1 123456792 a 99"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_recording_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        Recorder::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
