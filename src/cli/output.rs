//! Where output goes: standard output or a file, which must not be one of those a run reads.

use super::Failure;
use super::args::Run;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bytes gathered before they are written.
const WRITE_BUFFER: usize = 256 << 10;

/// Standard output or a file.
pub(super) struct Output(BufWriter<Box<dyn Write>>);

impl Output {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let to: Box<dyn Write> = match path {
            Some(path) => {
                Box::new(File::create(path).map_err(|error| Failure::Said(format!("{}: {error}", path.display())))?)
            }
            None => Box::new(io::stdout()),
        };
        Ok(Self(BufWriter::with_capacity(WRITE_BUFFER, to)))
    }

    pub(super) fn writer(&mut self) -> &mut dyn Write {
        &mut self.0
    }
}

/// Refuses to write over a file that the run reads: captures and session keys can't be had again.
pub(super) fn spare_inputs(args: &Run, inputs: &[String], written: Option<&Path>) -> Result<(), Failure> {
    let read = inputs.iter().map(Path::new);
    let read = read.chain([&args.keys, &args.policy, &args.rules].into_iter().flatten().map(AsRef::as_ref));
    let read: Vec<&Path> = read.chain([&args.profile, &args.marks].into_iter().flatten().map(AsRef::as_ref)).collect();
    for path in [args.output.as_deref(), written].into_iter().flatten() {
        // Where nothing stands yet, nothing can be lost; links lead to what they mean.
        let Ok(place) = fs::canonicalize(path) else { continue };
        let taken = |other: &&&Path| fs::canonicalize(other).is_ok_and(|other| is_same(&place, &other));
        if let Some(other) = read.iter().find(taken) {
            let message = format!("{}: would be written over, and is read as {}", path.display(), other.display());
            return Err(Failure::Said(message));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A hard link is another name of the same file; a folder of keys holds what lies in it.
    let number =
        |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| (file.dev(), file.ino()));
    let same = number(one).is_some_and(|number_of_one| number(other) == Some(number_of_one));
    same || (other.is_dir() && one.starts_with(other))
}

#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || (other.is_dir() && one.starts_with(other))
}
