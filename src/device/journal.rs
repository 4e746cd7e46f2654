//! What was changed on a phone, on this computer's disk before it is changed there: one file a phone, one JSON object a
//! line. It outlives a crash of ours and a reboot of the phone.

use super::error::DeviceError;
use super::step::Step;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The contract of the first line.
const SCHEMA: &str = "divulge.device-journal/1";
/// Largest journal that is read; a step is a few hundred bytes.
const JOURNAL_MAX: u64 = 4 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    schema: String,
    serial: String,
    boot: String,
}

/// The steps that were begun on one phone.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// The boot in which they were done; empty if it is not known.
    pub boot: String,
    /// In the order in which they were begun.
    pub steps: Vec<Step>,
}

impl Journal {
    /// Begins one.
    ///
    /// # Errors
    /// One is there already, or it can't be written.
    pub fn begin(serial: &str, boot: &str) -> Result<Self, DeviceError> {
        let path = path_of(serial)?;
        let mut file = create_private(&path, false).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => DeviceError::Unfit(format!(
                "the phone is set up already ({}): `divulge device restore` first",
                path.display()
            )),
            _ => DeviceError::Journal { path: path.clone(), reason: error.to_string() },
        })?;
        let head = Head { schema: SCHEMA.to_owned(), serial: serial.to_owned(), boot: boot.to_owned() };
        let journal = Self { path, boot: boot.to_owned(), steps: Vec::new() };
        journal.append(&mut file, &head)?;
        #[cfg(unix)]
        if let Some(folder) = journal.path.parent() {
            // The file's name has to be on disk as well.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| journal.failed(&error))?;
        }
        Ok(journal)
    }

    /// Reads that of a phone, if there is one.
    ///
    /// # Errors
    /// It can't be read, or is damaged before its end. A last line that was cut off is a step that was never begun.
    pub fn of(serial: &str) -> Result<Option<Self>, DeviceError> {
        let path = path_of(serial)?;
        let failed = |reason: String| DeviceError::Journal { path: path.clone(), reason };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
            Ok(facts) if facts.len() > JOURNAL_MAX => return Err(failed("too large for a journal".to_owned())),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let (boot, steps) = parse(&text, serial).map_err(failed)?;
        Ok(Some(Self { path, boot, steps }))
    }

    /// Writes a step down, on disk when this returns.
    ///
    /// # Errors
    /// It can't be written.
    pub fn note(&mut self, step: &Step) -> Result<(), DeviceError> {
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(|error| self.failed(&error))?;
        self.append(&mut file, step)?;
        self.steps.push(step.clone());
        Ok(())
    }

    /// Throws it away: all of it is undone.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn close(self) -> Result<(), DeviceError> {
        fs::remove_file(&self.path).map_err(|error| self.failed(&error))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&self, file: &mut File, line: &impl Serialize) -> Result<(), DeviceError> {
        let mut text = serde_json::to_string(line).map_err(|error| self.failed(&error.into()))?;
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> DeviceError {
        DeviceError::Journal { path: self.path.clone(), reason: error.to_string() }
    }
}

fn parse(text: &str, serial: &str) -> Result<(String, Vec<Step>), String> {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.ends_with('\n')) else {
        // Cut off in its first line: no step was begun.
        return Ok((String::new(), Vec::new()));
    };
    let head: Head = serde_json::from_str(first).map_err(|error| format!("line 1: {error}"))?;
    if head.schema != SCHEMA {
        return Err(format!("`{}` is not a journal of this version", head.schema));
    }
    if head.serial != serial {
        return Err(format!("the journal of {}, not of {serial}", head.serial));
    }
    let mut steps = Vec::new();
    for (number, line) in lines.enumerate() {
        match serde_json::from_str(line) {
            Ok(step) => steps.push(step),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => return Err(format!("line {}: {error}", number + 2)),
        }
    }
    Ok((head.boot, steps))
}

/// Creates a file that only its owner may read; `over` says whether one that is there may be written over.
///
/// # Errors
/// It is there already, or can't be created.
pub fn create_private(path: &Path, over: bool) -> io::Result<File> {
    if over {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// The folder of journals, made if it is not there: `$XDG_STATE_HOME/divulge`, else `~/.local/state/divulge`.
pub(super) fn folder() -> Result<PathBuf, DeviceError> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local").join("state")))
        .or_else(|| set("LOCALAPPDATA"));
    let folder = state.ok_or_else(|| {
        let message = "no place for the journal: neither XDG_STATE_HOME nor HOME is an absolute path";
        DeviceError::Unfit(message.to_owned())
    })?;
    let folder = folder.join("divulge");
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(&folder)
        .map_err(|error| DeviceError::Journal { path: folder.clone(), reason: error.to_string() })?;
    Ok(folder)
}

/// The journal of a phone; its serial number may hold what a file's name must not.
fn path_of(serial: &str) -> Result<PathBuf, DeviceError> {
    let name: String = serial
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .take(128)
        .collect();
    Ok(folder()?.join(format!("device-{name}.jsonl")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"schema\":\"divulge.device-journal/1\",\"serial\":\"X\",\"boot\":\"b\"}\n";

    #[test]
    fn a_line_that_was_cut_off_is_a_step_that_was_not_begun() {
        let whole = format!("{HEAD}{{\"step\":\"apex\"}}\n{{\"step\":\"store\",\"file\":\"a.0\"}}\n");
        let (boot, steps) = parse(&whole, "X").expect("a journal");
        assert_eq!((boot.as_str(), steps.len()), ("b", 2));
        for cut in HEAD.len() + "{\"step\":\"apex\"}\n".len()..whole.len() - 1 {
            let (_, steps) = parse(&whole[..cut], "X").expect("a journal");
            assert_eq!(steps, [Step::Apex], "cut at {cut}");
        }
        assert!(parse(&HEAD[..20], "X").is_ok_and(|(_, steps)| steps.is_empty()));
        assert!(parse("", "X").is_ok_and(|(_, steps)| steps.is_empty()));
    }

    #[test]
    fn what_is_no_journal_of_this_phone_is_refused() {
        assert!(parse(HEAD, "Y").is_err_and(|said| said.contains("not of Y")));
        assert!(parse(&HEAD.replace("/1", "/9"), "X").is_err());
        assert!(parse(&format!("{HEAD}nonsense\n{{\"step\":\"apex\"}}\n"), "X").is_err());
    }
}
