//! Buffers that a connection holds only while bytes are on their way through it, so that idle ones cost little. Each
//! thread keeps a few for its next turn.

use std::cell::RefCell;
use std::io;
use tokio::net::TcpStream;

/// Bytes asked of a socket at a time.
pub(super) const READ_SIZE: usize = 128 << 10;
/// Buffers a thread keeps.
const KEPT: usize = 4;
/// Buffers that grew larger are given back.
const KEPT_SIZE_MAX: usize = 512 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of at least `READ_SIZE` bytes; what is in it is left over from earlier.
pub(super) fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_SIZE])
}

/// Gives a buffer back.
pub(super) fn give(buffer: Vec<u8>) {
    if (READ_SIZE..=KEPT_SIZE_MAX).contains(&buffer.len()) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}

/// Reads once, at most so many bytes, and hands them to `sink`; gives their number, 0 at the end. No buffer is held while
/// there is nothing to read.
pub(super) async fn read(socket: &TcpStream, most: usize, sink: impl FnOnce(&[u8])) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        let mut buffer = take();
        let most = most.min(buffer.len());
        let read = socket.try_read(&mut buffer[..most]);
        if let Ok(read) = read {
            sink(&buffer[..read]);
            give(buffer);
            return Ok(read);
        }
        give(buffer);
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

/// Bytes that wait to be written; holds a buffer only while there are any.
#[derive(Default)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What waits.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Room for at least `len` more bytes; [`Outgoing::filled`] tells how many of them were used.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = take();
        }
        if self.buffer.len() - self.end < len {
            self.buffer.resize((self.end + len).next_power_of_two(), 0);
        }
        &mut self.buffer[self.end..]
    }

    pub(super) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// So many bytes have been written.
    pub(super) fn written(&mut self, len: usize) {
        self.start += len;
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
            give(std::mem::take(&mut self.buffer));
        }
    }

    /// Where the next byte will stand, to be given to [`Outgoing::since`].
    pub(super) fn mark(&self) -> usize {
        self.end
    }

    /// What was added since.
    pub(super) fn since(&self, mark: usize) -> &[u8] {
        self.buffer.get(mark..self.end).unwrap_or_default()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::Outgoing;

    #[test]
    fn bytes_leave_in_order_and_the_buffer_with_the_last() {
        let mut out = Outgoing::default();
        out.extend(b"abc");
        let mark = out.mark();
        out.extend(&vec![b'x'; super::READ_SIZE]);
        assert_eq!((out.bytes().len(), out.since(mark).len()), (super::READ_SIZE + 3, super::READ_SIZE));
        out.written(2);
        assert_eq!(out.bytes()[..2], *b"cx");
        out.written(super::READ_SIZE + 1);
        assert!(out.is_empty() && out.buffer.is_empty());
    }
}
