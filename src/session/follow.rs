//! Files that grow while a capture comes in, key logs (SSLKEYLOGFILE, friTap, eCapture) and marks → their lines, as they
//! are written. Files may be missing at first, appear in a folder, be cut, rotated or replaced; a line counts once it
//! ends.

use super::load::{FOLDERS_MAX, walk};
use crate::model::KeySource;
use crate::rules::read_marks;
use crate::tls::KeyLog;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time between two looks at the files; a look that takes long is followed by a longer rest.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How much longer than a look the rest after it is.
const REST_FACTOR: u32 = 8;
/// Quiet time after which a last line without its end is used if it makes sense.
const QUIET: Duration = Duration::from_millis(500);
/// Time a file that has just grown is given to grow on, and how often.
const SETTLE: Duration = Duration::from_millis(2);
const SETTLE_TRIES: usize = 8;
/// Most bytes read of one file in one look.
const READ_MAX: usize = 8 << 20;
/// Longest beginning of a line that is kept; lines of a key log are far shorter.
const LINE_MAX: usize = 64 << 10;
/// First bytes of a file by which it is told from another in its place.
const HEAD: usize = 64;
/// Most files followed.
pub(super) const FILES_MAX: usize = 4_096;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// TLS secrets.
    Keys,
    /// The tester's marks.
    Marks,
}

impl Kind {
    /// Whether a line makes sense as it is, though it has not ended.
    fn fits(self, line: &[u8]) -> bool {
        match self {
            Self::Keys => {
                let mut trial = KeyLog::new();
                trial.add_text(KeySource::Keylog, line).is_empty() && !trial.is_empty()
            }
            Self::Marks => !read_marks("", 0, &String::from_utf8_lossy(line)).0.is_empty(),
        }
    }
}

/// Lines a file grew by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// What they are.
    pub(super) kind: Kind,
    /// The file, as shown to people.
    pub(super) file: Arc<str>,
    /// Lines of the file before these.
    pub(super) before: usize,
    /// The lines.
    pub(super) text: Vec<u8>,
}

/// Files and folders that are followed.
#[derive(Default)]
pub(super) struct Watch {
    roots: Vec<(Kind, PathBuf)>,
    files: BTreeMap<PathBuf, Followed>,
    next: Option<Instant>,
    /// Files beyond [`FILES_MAX`] were seen.
    pub(super) too_many: bool,
}

struct Followed {
    kind: Kind,
    path: PathBuf,
    shown: Arc<str>,
    identity: Option<(u64, u64)>,
    head: Vec<u8>,
    offset: u64,
    /// A last line that has not ended.
    partial: Vec<u8>,
    partial_used: bool,
    grew: Instant,
    lines: usize,
}

impl Watch {
    /// Follows files and folders. Named pipes are not read here: see [`is_pipe`].
    pub(super) fn new(roots: Vec<(Kind, PathBuf)>) -> Self {
        Self { roots, ..Self::default() }
    }

    /// What the files grew by, if it is time to look again.
    pub(super) fn poll_if_due(&mut self) -> Vec<Lines> {
        if self.roots.is_empty() || self.next.is_some_and(|next| Instant::now() < next) {
            return Vec::new();
        }
        let mut found = self.poll();
        // The secrets of a session are written line by line and should come together.
        for _ in 0..SETTLE_TRIES {
            if found.is_empty() {
                break;
            }
            std::thread::sleep(SETTLE);
            let more = self.poll();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        found
    }

    /// What the files grew by.
    pub(super) fn poll(&mut self) -> Vec<Lines> {
        let started = Instant::now();
        let mut paths = Vec::new();
        for (kind, root) in &self.roots {
            if root.is_dir() {
                // A folder that can't be read now may be readable at the next look.
                if walk(root, FOLDERS_MAX, &mut |path| paths.push((path.to_path_buf(), *kind))).is_err() {
                    continue;
                }
            } else {
                paths.push((root.clone(), *kind));
            }
        }
        paths.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut found = Vec::new();
        for (path, kind) in paths {
            if self.files.len() >= FILES_MAX && !self.files.contains_key(&path) {
                self.too_many = true;
                continue;
            }
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_file() {
                let file = self.files.entry(path).or_insert_with_key(|path| Followed::new(kind, path));
                found.extend(file.look(&metadata));
            }
        }
        self.next = Some(Instant::now() + LOOK_EVERY.max(started.elapsed() * REST_FACTOR));
        found
    }

    /// The last lines, though they never ended: the run is over.
    pub(super) fn finish(&mut self) -> Vec<Lines> {
        let mut found = self.poll();
        found.extend(self.files.values_mut().filter_map(Followed::last_line));
        found
    }

    /// Time until the next look; none where nothing is followed.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let next = self.next.filter(|_| !self.roots.is_empty())?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// The files and folders of which nothing was ever read.
    pub(super) fn silent(&self) -> impl Iterator<Item = (Kind, &Path)> {
        let spoke = |root: &Path| self.files.iter().any(|(path, file)| path.starts_with(root) && file.offset > 0);
        let roots = self.roots.iter().map(|(kind, root)| (*kind, root.as_path()));
        roots.filter(move |(_, root)| !is_pipe(root) && !spoke(root))
    }
}

impl Followed {
    fn new(kind: Kind, path: &Path) -> Self {
        Self {
            kind,
            path: path.to_path_buf(),
            shown: Arc::from(path.display().to_string()),
            identity: None,
            head: Vec::new(),
            offset: 0,
            partial: Vec::new(),
            partial_used: false,
            grew: Instant::now(),
            lines: 0,
        }
    }

    fn look(&mut self, metadata: &Metadata) -> Vec<Lines> {
        let identity = identity(metadata);
        let same = self.identity.is_none_or(|known| Some(known) == identity);
        let mut found = Vec::new();
        if same && metadata.len() == self.offset {
            found.extend(self.quiet_line());
            return found;
        }
        // A file that can't be read now may be readable at the next look.
        let Ok(mut file) = File::open(&self.path) else { return found };
        let head = head(&mut file).unwrap_or_default();
        if !same || metadata.len() < self.offset || !head.starts_with(&self.head) {
            found.extend(self.last_line());
            (self.offset, self.lines) = (0, 0);
        }
        self.head = head;
        self.identity = identity;
        let mut text = Vec::new();
        let read =
            file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.take(READ_MAX as u64).read_to_end(&mut text));
        if let Ok(count) = read
            && count > 0
        {
            self.offset += count as u64;
            self.grew = Instant::now();
            found.extend(self.take(&text));
        }
        found
    }

    /// Takes new bytes; gives the lines that ended in them.
    fn take(&mut self, bytes: &[u8]) -> Option<Lines> {
        self.partial_used = false;
        let Some(end) = memchr::memrchr2(b'\n', b'\r', bytes) else {
            // What is longer than any line is neither key nor mark; keeping its beginning makes it a wrong line later.
            let room = LINE_MAX.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return None;
        };
        let mut text = std::mem::take(&mut self.partial);
        text.extend_from_slice(&bytes[..=end]);
        self.partial.extend_from_slice(&bytes[end + 1..]);
        let lines = self.told(text);
        self.lines += memchr::memchr_iter(b'\n', &lines.text).count();
        Some(lines)
    }

    /// The last line where nothing followed for a while and it makes sense as it is. It is kept: should it go on, the
    /// whole of it counts as well.
    fn quiet_line(&mut self) -> Option<Lines> {
        if self.partial.is_empty() || self.partial_used || self.grew.elapsed() < QUIET {
            return None;
        }
        self.partial_used = true;
        self.kind.fits(&self.partial).then(|| self.told(self.partial.clone()))
    }

    fn last_line(&mut self) -> Option<Lines> {
        let text = std::mem::take(&mut self.partial);
        let used = std::mem::take(&mut self.partial_used);
        (!text.is_empty() && !used).then(|| self.told(text))
    }

    fn told(&self, text: Vec<u8>) -> Lines {
        Lines { kind: self.kind, file: Arc::clone(&self.shown), before: self.lines, text }
    }
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}

/// Whether a path is there and is neither file nor folder: a named pipe, or one of the shell's (`<(…)`).
pub(super) fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Reads a pipe as it is written, on the caller's thread, until `tell` gives false. It stays open at its end: each
/// program that writes to a named pipe may be short-lived.
pub(super) fn read_pipe(kind: Kind, path: &Path, tell: &mut dyn FnMut(Lines) -> bool) {
    let mut followed = Followed::new(kind, path);
    let mut buffer = vec![0; 64 << 10];
    let Ok(mut file) = File::open(path) else { return };
    loop {
        let lines = match file.read(&mut buffer) {
            Ok(0) => {
                let last = followed.last_line();
                std::thread::sleep(LOOK_EVERY);
                last
            }
            Ok(count) => followed.take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => return,
        };
        if let Some(lines) = lines
            && !tell(lines)
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, QUIET, Watch};
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::Path;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn texts(watch: &mut Watch) -> Vec<String> {
        watch
            .poll()
            .into_iter()
            .map(|lines| format!("{}:{}", lines.before, String::from_utf8(lines.text).unwrap()))
            .collect()
    }

    #[test]
    fn a_line_counts_once_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        let mut watch = Watch::new(vec![(Kind::Keys, path.clone())]);
        assert!(texts(&mut watch).is_empty(), "the file is not there yet");
        assert_eq!(watch.silent().count(), 1);
        append(&path, "# one\n# tw");
        assert_eq!(texts(&mut watch), ["0:# one\n"]);
        assert!(texts(&mut watch).is_empty());
        append(&path, "o\n# three\n# fo");
        assert_eq!(texts(&mut watch), ["1:# two\n# three\n"]);
        let rest: Vec<_> = watch.finish().into_iter().map(|lines| lines.text).collect();
        assert_eq!(rest, [b"# fo".to_vec()]);
        assert_eq!(watch.silent().count(), 0);
    }

    #[test]
    fn cut_rotated_and_rewritten_files_are_read_from_their_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        let mut watch = Watch::new(vec![(Kind::Keys, path.clone())]);
        append(&path, "# first line\n");
        assert_eq!(texts(&mut watch), ["0:# first line\n"]);
        fs::write(&path, "# cut\n").unwrap();
        assert_eq!(texts(&mut watch), ["0:# cut\n"]);
        fs::rename(&path, folder.path().join("keys.log.1")).unwrap();
        append(&path, "# next file\n");
        assert_eq!(texts(&mut watch), ["0:# next file\n"]);
        // As long as before or longer, but another text.
        fs::write(&path, "# another text of more bytes\n").unwrap();
        assert_eq!(texts(&mut watch), ["0:# another text of more bytes\n"]);
    }

    #[test]
    fn files_that_appear_in_a_folder_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(vec![(Kind::Keys, folder.path().to_path_buf())]);
        assert!(texts(&mut watch).is_empty());
        fs::create_dir(folder.path().join("inner")).unwrap();
        append(&folder.path().join("inner/b.log"), "# b\n");
        append(&folder.path().join("a.log"), "# a\n");
        assert_eq!(texts(&mut watch), ["0:# a\n", "0:# b\n"]);
    }

    #[test]
    fn a_whole_line_without_its_end_is_used_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        let mut watch = Watch::new(vec![(Kind::Keys, path.clone())]);
        let line = format!("CLIENT_RANDOM {} {}", "ab".repeat(32), "cd".repeat(48));
        append(&path, &line);
        assert!(texts(&mut watch).is_empty());
        std::thread::sleep(QUIET * 2);
        assert_eq!(texts(&mut watch), [format!("0:{line}")]);
        assert!(texts(&mut watch).is_empty());
        append(&path, "\n");
        assert_eq!(texts(&mut watch), [format!("0:{line}\n")]);
        assert!(watch.finish().is_empty());
    }

    #[test]
    fn marks_are_followed_beside_keys_and_each_is_told_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, marks) = (folder.path().join("keys.log"), folder.path().join("a.jsonl"));
        let mut watch = Watch::new(vec![(Kind::Keys, keys.clone()), (Kind::Marks, marks.clone())]);
        append(&keys, "# a key log\n");
        let line = "{\"ts\":\"2024-01-01T00:00:02Z\",\"mark\":\"agree\"}";
        append(&marks, line);
        let told = |watch: &mut Watch| watch.poll().into_iter().map(|lines| lines.kind).collect::<Vec<_>>();
        assert_eq!(told(&mut watch), [Kind::Keys], "the mark has not ended");
        std::thread::sleep(QUIET * 2);
        assert_eq!(told(&mut watch), [Kind::Marks], "but makes sense");
    }
}
