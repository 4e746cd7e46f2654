//! Where the bytes of a capture come from: a file, which is mapped where that can be, or a stream, with what compresses
//! it taken off.

use super::har::Har;
use crate::model::Segment;
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Bytes asked of a stream at a time.
pub(super) const READ_SIZE: usize = 1 << 20;

/// The bytes of a capture.
pub(super) enum Bytes {
    /// All of it is at hand.
    Mapped(Segment),
    Stream(Box<dyn Read + Send>),
    Har(Box<Har>),
}

#[expect(
    unsafe_code,
    reason = "mapping a file is the point; the map is read-only and captures are not edited while read"
)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is private to this process and never written; a file cut short meanwhile ends the process with
    // SIGBUS rather than giving wrong bytes.
    let map = unsafe { Mmap::map(file)? };
    #[cfg(unix)]
    map.advise(memmap2::Advice::Sequential)?;
    Ok(map)
}

pub(super) fn open_file(file: File) -> io::Result<Bytes> {
    let is_regular = file.metadata()?.is_file();
    if is_regular && file.metadata()?.len() > 0 {
        let map = map(&file)?;
        if !is_compressed(&map) {
            return Ok(Bytes::Mapped(Arc::new(map)));
        }
    }
    decompressing(Box::new(file))
}

#[cfg(unix)]
pub(super) fn open_stdin() -> io::Result<Bytes> {
    use std::os::fd::AsFd;
    // Redirected from a file it can be mapped like one; from a pipe it is a stream.
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    open_file(file)
}

#[cfg(unix)]
pub(super) fn stdin_metadata() -> io::Result<std::fs::Metadata> {
    use std::os::fd::AsFd;
    File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata()
}

#[cfg(not(unix))]
pub(super) fn stdin_metadata() -> io::Result<std::fs::Metadata> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
pub(super) fn open_stdin() -> io::Result<Bytes> {
    decompressing(Box::new(io::stdin()))
}

fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_zlib(head)
}

/// A zlib header with a window of 32 KiB (RFC 1950 §2.2), as in mitmproxy's `.zhar`.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, flags, ..] if (0x7800 | u16::from(*flags)).is_multiple_of(31) && flags & 0x20 == 0)
}

/// Looks at the first bytes of a stream and puts a decompressor over it where they ask for one.
fn decompressing(mut reader: Box<dyn Read + Send>) -> io::Result<Bytes> {
    let mut head = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let (gzip, zstandard) = (head.starts_with(&[0x1f, 0x8b]), head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    let zlib = is_zlib(&head);
    let whole = io::Cursor::new(head).chain(reader);
    let reader: Box<dyn Read + Send> = if zlib {
        Box::new(flate2::read::ZlibDecoder::new(whole))
    } else if gzip {
        Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(READ_SIZE, whole)))
    } else if zstandard {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    };
    Ok(Bytes::Stream(reader))
}
