//! The end of a file of blocks: whatever happens while it is written, the file ends with a whole block.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// What can be written at its end, and cut.
pub(super) trait Store: Write {
    /// Takes away all beyond `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Store for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }
}

/// A file of whole blocks that grows.
pub(super) struct Tail<S> {
    store: S,
    len: u64,
}

impl<S: Store> Tail<S> {
    /// Over an empty file.
    pub(super) fn new(store: S) -> Self {
        Self { store, len: 0 }
    }

    /// Bytes of the file.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Adds blocks: with one call of the system where it takes them all at once. Nothing is kept back.
    ///
    /// # Errors
    /// The operating system's; those blocks that were written whole stay.
    pub(super) fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < blocks.len() {
            match self.store.write(&blocks[written..]) {
                Ok(0) => return Err(self.broken(blocks, written, io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(blocks, written, error)),
            }
        }
        self.len += written as u64;
        Ok(())
    }

    fn broken(&mut self, blocks: &[u8], written: usize, error: io::Error) -> io::Error {
        self.len += whole(&blocks[..written]) as u64;
        // What is no file, such as a pipe, can't be cut; the first error says more than that.
        drop(self.store.cut(self.len));
        error
    }
}

/// Bytes of the whole blocks that `blocks` begins with.
fn whole(blocks: &[u8]) -> usize {
    let mut end = 0;
    while let Some(len) = blocks[end..].get(4..).and_then(|rest| rest.first_chunk::<4>())
        && let Some(next) = end.checked_add(u32::from_le_bytes(*len) as usize)
        && next <= blocks.len()
        && next > end
    {
        end = next;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::{Store, Tail};
    use std::io::{self, Write};

    /// A disk with room for so many bytes.
    struct Small {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Store for Small {
        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.bytes.truncate(usize::try_from(len).unwrap());
            Ok(())
        }
    }

    fn block(len: u32) -> Vec<u8> {
        let mut block = vec![1; len as usize];
        block[4..8].copy_from_slice(&len.to_le_bytes());
        block
    }

    #[test]
    fn a_full_disk_leaves_whole_blocks() {
        let first = block(20);
        let more = [block(12), block(16), block(40)].concat();
        for room in first.len()..first.len() + more.len() {
            let mut tail = Tail::new(Small { bytes: Vec::new(), room });
            tail.append(&first).unwrap();
            let error = tail.append(&more).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let ends = [20, 32, 48];
            let whole = *ends.iter().rev().find(|&&end| end <= room).unwrap();
            assert_eq!((tail.store.bytes.len(), tail.len), (whole, whole as u64), "room for {room}");
            assert_eq!(tail.store.bytes, [&first[..], &more].concat()[..whole]);
        }
    }
}
