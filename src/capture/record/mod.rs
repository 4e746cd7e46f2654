//! Frames, key logs, marks and incidents → a pcapng file (draft-ietf-opsawg-pcapng), so that what came by can be replayed
//! and opened in Wireshark: an interface for each link type, times in nanoseconds, keys as Decryption Secrets Blocks,
//! apps as PCAPdroid names them, marks and incidents as journal entries. What was given is in the file when a call
//! returns, whatever becomes of the program.

mod blocks;
mod recent;
mod tail;

use crate::model::{App, CaptureItem, Frame, FrameBatch, LinkType, Timestamp};
use recent::Recent;
use rustc_hash::FxHashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tail::Tail;

/// Bytes after which blocks leave for the file though more of the same item follow.
const WRITE_MAX: usize = 4 << 20;
/// Most apps whose names are known to have been written; more than a phone has.
const APPS_MAX: usize = 65_536;

/// Most bytes of key log lines that a file takes over from those before it: the last ones, of about 2,500 sessions.
pub const KEYS_CARRIED_MAX: usize = 2 << 20;

/// When a recording goes on in another file. Each can be opened alone; read in order they are as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordLimits {
    /// Bytes a file gets, unless it begins with a frame that is larger.
    pub max_bytes: Option<u64>,
    /// Time of the capture that a file holds.
    pub max_age: Option<Duration>,
}

/// A pcapng file that is being written.
pub struct Recorder {
    /// The first file.
    first: PathBuf,
    /// The file that is written now.
    path: PathBuf,
    /// Its number, from 1.
    number: u32,
    limits: RecordLimits,
    /// Keys that the next file begins with.
    recent: Recent,
    /// Time of the file's first frame.
    began: Option<Timestamp>,
    file: Tail<File>,
    /// Blocks on their way to the file: empty between calls.
    out: Vec<u8>,
    /// Link types of the interfaces, by number.
    interfaces: Vec<LinkType>,
    /// Apps by uid, as a reader of the file knows them.
    apps: FxHashMap<i32, Arc<App>>,
}

impl Recorder {
    /// Creates the file, for its owner alone as it is to hold keys, and writes its header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut recorder = Self {
            first: path.to_path_buf(),
            path: path.to_path_buf(),
            number: 1,
            limits: RecordLimits::default(),
            recent: Recent::new(0),
            began: None,
            file: Tail::new(create(path)?),
            out: Vec::new(),
            interfaces: Vec::new(),
            apps: FxHashMap::default(),
        };
        blocks::section(&mut recorder.out)?;
        recorder.write()?;
        Ok(recorder)
    }

    /// Goes on in another file where one has reached a limit: `NAME-0002.pcapng` after `NAME.pcapng`, and so on.
    #[must_use]
    pub fn with_limits(mut self, limits: RecordLimits) -> Self {
        self.limits = limits;
        let limited = limits != RecordLimits::default();
        // A small file is not to be filled with keys alone.
        let quarter = limits.max_bytes.map_or(usize::MAX, |max| usize::try_from(max / 4).unwrap_or(usize::MAX));
        self.recent = Recent::new(if limited { KEYS_CARRIED_MAX.min(quarter) } else { 0 });
        self
    }

    /// The file that is written now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what a recording keeps of an item: frames, keys, marks and incidents. Keys must come before the frames they
    /// open.
    ///
    /// # Errors
    /// The operating system's; the file then ends with the last block that was written whole.
    pub fn item(&mut self, item: &CaptureItem) -> io::Result<()> {
        match item {
            CaptureItem::Frames(batch) => self.frames(batch)?,
            CaptureItem::Secrets(_, text) => {
                self.recent.add(text);
                blocks::secrets(&mut self.out, text)?;
            }
            CaptureItem::Mark(mark) => blocks::mark(&mut self.out, mark)?,
            CaptureItem::Incident(incident) => blocks::incident(&mut self.out, incident)?,
            CaptureItem::Exchanges(_) | CaptureItem::Warning(_) | CaptureItem::Note(_) | CaptureItem::Pause => {}
        }
        self.write()
    }

    fn frames(&mut self, batch: &FrameBatch) -> io::Result<()> {
        for frame in batch.iter() {
            if self.out.len() >= WRITE_MAX {
                self.write()?;
            }
            if self.is_full(&frame) {
                self.next_file()?;
            }
            self.began = self.began.or(Some(frame.ts));
            let interface = self.interface(frame.link)?;
            let uid = self.uid(frame.app.as_ref())?;
            blocks::packet(&mut self.out, interface, &frame, uid)?;
        }
        Ok(())
    }

    /// Whether a frame is to stand in the next file.
    fn is_full(&self, frame: &Frame<'_>) -> bool {
        let Some(began) = self.began else { return false };
        let len = self.file.len() + (self.out.len() + blocks::PACKET_OVERHEAD + frame.data.len()) as u64;
        let age = u64::try_from(frame.ts.nanos().saturating_sub(began.nanos())).unwrap_or(0);
        self.limits.max_bytes.is_some_and(|max| len > max)
            || self.limits.max_age.is_some_and(|max| Duration::from_nanos(age) >= max)
    }

    fn next_file(&mut self) -> io::Result<()> {
        self.write()?;
        let path = numbered(&self.first, self.number.saturating_add(1));
        self.file = Tail::new(create(&path)?);
        self.path = path;
        self.number = self.number.saturating_add(1);
        self.began = None;
        self.interfaces.clear();
        self.apps.clear();
        blocks::section(&mut self.out)?;
        if !self.recent.lines().is_empty() {
            blocks::secrets(&mut self.out, self.recent.lines())?;
        }
        Ok(())
    }

    /// Lets all blocks leave for the file.
    fn write(&mut self) -> io::Result<()> {
        let written = self.file.append(&self.out);
        self.out.clear();
        self.out.shrink_to(2 * WRITE_MAX);
        written
    }

    /// The number of the interface of a link type.
    fn interface(&mut self, link: LinkType) -> io::Result<u32> {
        let known = self.interfaces.iter().position(|&known| known == link);
        let number = known.unwrap_or(self.interfaces.len());
        if known.is_none() {
            self.interfaces.push(link);
            blocks::interface(&mut self.out, link)?;
        }
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The uid of an app, whose names are told before its first frame. Without one there is no way to name it.
    fn uid(&mut self, app: Option<&Arc<App>>) -> io::Result<Option<i32>> {
        let Some((app, uid)) = app.and_then(|app| Some((app, app.uid?))) else { return Ok(None) };
        let told = match self.apps.get(&uid) {
            Some(known) => Arc::ptr_eq(known, app) || known == app,
            None => app.package.is_none() && app.name.is_none(),
        };
        if !told {
            if self.apps.len() >= APPS_MAX {
                self.apps.clear();
            }
            self.apps.insert(uid, Arc::clone(app));
            blocks::uid_map(&mut self.out, uid, app)?;
        }
        Ok(Some(uid))
    }
}

/// The file of a number beyond the first.
fn numbered(first: &Path, number: u32) -> PathBuf {
    let mut name = first.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{number:04}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    first.with_file_name(name)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        use std::os::unix::fs::PermissionsExt;
        // One that was there before keeps its mode; a file system that knows no modes can't change it.
        drop(file.set_permissions(std::fs::Permissions::from_mode(0o600)));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{RecordLimits, Recorder, numbered};
    use crate::capture::{Capture, Input};
    use crate::model::{App, CaptureItem, FrameBatch, FrameMeta, KeySource, LinkType, Timestamp};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        let meta = |number, link, start, len| FrameMeta {
            number,
            ts: Timestamp::from_nanos(1_700_000_000_123_456_789 + i64::try_from(number).unwrap()),
            link: LinkType(link),
            start,
            len,
            original_len: 99,
            app: None,
        };
        let frames = vec![meta(1, 1, 0, 5), meta(2, 276, 5, 3), meta(3, 1, 1, 4)];
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.item(&CaptureItem::Secrets(KeySource::Proxy, b"# a key log\n".to_vec())).unwrap();
        recorder.item(&CaptureItem::Frames(FrameBatch { segment: Arc::new(b"abcdefgh"), frames })).unwrap();
        let mut capture = Capture::open(&Input::File(path)).unwrap();
        assert_eq!(capture.look_ahead().secrets, [b"# a key log\n".to_vec()]);
        let Some(CaptureItem::Frames(batch)) = capture.next_item().unwrap() else { panic!("no frames") };
        let read: Vec<_> = batch
            .iter()
            .map(|frame| (frame.link.0, frame.ts.nanos() % 1_000_000_000, frame.data.to_vec(), frame.original_len))
            .collect();
        assert_eq!(
            read,
            [
                (1, 123_456_790, b"abcde".to_vec(), 99),
                (276, 123_456_791, b"fgh".to_vec(), 99),
                (1, 123_456_792, b"bcde".to_vec(), 99)
            ]
        );
    }

    #[test]
    fn apps_are_named_before_their_first_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        let app = |uid, package: Option<&str>, name: Option<&str>| {
            Some(Arc::new(App { uid, package: package.map(Arc::from), name: name.map(Arc::from) }))
        };
        let apps = [
            app(Some(10_123), Some("com.example.app"), Some("Example")),
            app(Some(10_123), Some("com.example.app"), Some("Example")),
            None,
            app(Some(1_000), None, None),
            app(Some(1_000), Some("android"), None),
            app(Some(10_123), Some("com.example.other"), None),
            app(Some(10_123), None, None),
        ];
        let frames = apps.iter().enumerate().map(|(at, app)| FrameMeta {
            number: at as u64 + 1,
            ts: Timestamp::from_nanos(1),
            link: LinkType(101),
            start: 0,
            len: at,
            original_len: 9,
            app: app.clone(),
        });
        let batch = FrameBatch { segment: Arc::new(b"abcdefgh"), frames: frames.collect() };
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.item(&CaptureItem::Frames(batch)).unwrap();
        let unnamed = FrameMeta {
            number: 8,
            ts: Timestamp::from_nanos(2),
            link: LinkType(101),
            start: 0,
            len: 1,
            original_len: 1,
            app: app(None, Some("com.example.no_uid"), None),
        };
        let batch = FrameBatch { segment: Arc::new(b"a"), frames: vec![unnamed] };
        recorder.item(&CaptureItem::Frames(batch)).unwrap();
        let mut capture = Capture::open(&Input::File(path.clone())).unwrap();
        let Some(CaptureItem::Frames(batch)) = capture.next_item().unwrap() else { panic!("no frames") };
        let read: Vec<_> = batch.iter().map(|frame| frame.app).collect();
        assert_eq!(read, [&apps[..], &[None]].concat());
        let lens: Vec<_> = batch.iter().map(|frame| frame.data.len()).collect();
        assert_eq!(lens, [0, 1, 2, 3, 4, 5, 6, 1]);
        let bytes = std::fs::read(path).unwrap();
        let named = memchr::memmem::find_iter(&bytes, b"com.example.app").count();
        assert_eq!(named, 1, "once however many frames");
    }

    #[test]
    fn a_file_that_is_full_is_followed_by_another_that_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("out.pcapng");
        let frame = |number: u64, len| FrameMeta {
            number,
            ts: Timestamp::from_nanos(i64::try_from(number).unwrap() * 1_000_000_000),
            link: LinkType(101),
            start: 0,
            len,
            original_len: 1,
            app: Some(Arc::new(App { uid: Some(7), package: Some("com.example.app".into()), name: None })),
        };
        let record = |recorder: &mut Recorder, frames: Vec<FrameMeta>| {
            let batch = FrameBatch { segment: Arc::new([0_u8; 4_096]), frames };
            recorder.item(&CaptureItem::Frames(batch)).unwrap();
        };
        let limits = RecordLimits { max_bytes: Some(2_000), max_age: Some(Duration::from_secs(5)) };
        let mut recorder = Recorder::create(&first).unwrap().with_limits(limits);
        recorder.item(&CaptureItem::Secrets(KeySource::Proxy, b"# keys\n".to_vec())).unwrap();
        // One of its own that is too large, two that fit together, and the one after has come too late.
        record(&mut recorder, vec![frame(1, 4_000), frame(2, 800), frame(3, 800)]);
        record(&mut recorder, vec![frame(6, 4), frame(7, 4)]);
        assert_eq!(recorder.path(), folder.path().join("out-0003.pcapng"));
        let read = |path: &std::path::Path| {
            let mut capture = Capture::open(&Input::File(path.to_path_buf())).unwrap();
            assert_eq!(capture.look_ahead().secrets, [b"# keys\n".to_vec()]);
            let Some(CaptureItem::Frames(batch)) = capture.next_item().unwrap() else { panic!("no frames") };
            assert!(batch.frames.iter().all(|frame| frame.app.as_ref().is_some_and(|app| app.package.is_some())));
            batch.frames.iter().map(|frame| frame.len).collect::<Vec<_>>()
        };
        let lens: Vec<_> = [1, 2, 3]
            .map(|number| if number == 1 { first.clone() } else { numbered(&first, number) })
            .iter()
            .map(|path| read(path))
            .collect();
        assert_eq!(lens, [vec![4_000], vec![800, 800, 4], vec![4]]);
        assert_eq!(numbered(std::path::Path::new("a.b/c"), 12), std::path::Path::new("a.b/c-0012"));
    }

    #[cfg(unix)]
    #[test]
    fn a_recording_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        std::fs::write(&path, "of an earlier run").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(Recorder::create(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_at_once() {
        let error = Recorder::create(std::path::Path::new("/dev/full")).err().expect("no room for a header");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}
