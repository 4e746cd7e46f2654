//! Frames and key logs → a pcapng file (draft-ietf-opsawg-pcapng), so that what came by can be replayed and opened in
//! Wireshark: an interface for each link type, times in nanoseconds, keys as Decryption Secrets Blocks.

use crate::model::{FrameBatch, LinkType};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 0x0A;
/// `TLSK`: the secrets are a TLS key log.
const TLS_KEY_LOG: u32 = 0x544C_534B;

/// A pcapng file that is being written.
pub struct Recorder {
    path: PathBuf,
    out: BufWriter<File>,
    /// Link types of the interfaces, by number.
    interfaces: Vec<LinkType>,
}

impl Recorder {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(256 << 10, File::create(path)?);
        let mut recorder = Self { path: path.to_path_buf(), out, interfaces: Vec::new() };
        let mut body = Vec::new();
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        option(&mut body, 4, concat!("divulge ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, 0, &[]);
        recorder.block(SECTION_HEADER, &body)?;
        recorder.out.flush()?;
        Ok(recorder)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds frames, and lets them leave for the file.
    ///
    /// # Errors
    /// The operating system's; the file then ends in the middle of a block.
    pub fn frames(&mut self, batch: &FrameBatch) -> io::Result<()> {
        let mut body = Vec::new();
        for frame in batch.iter() {
            let interface = self.interface(frame.link)?;
            let nanos = u64::try_from(frame.ts.nanos()).unwrap_or(0);
            body.clear();
            for word in [interface, (nanos >> 32) as u32, (nanos & 0xFFFF_FFFF) as u32] {
                body.extend(word.to_le_bytes());
            }
            body.extend(u32::try_from(frame.data.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend(frame.original_len.to_le_bytes());
            body.extend(frame.data);
            self.block(ENHANCED_PACKET, &body)?;
        }
        self.out.flush()
    }

    /// Adds lines of a TLS key log.
    ///
    /// # Errors
    /// As [`Recorder::frames`].
    pub fn secrets(&mut self, text: &[u8]) -> io::Result<()> {
        let mut body = Vec::with_capacity(8 + text.len());
        body.extend(TLS_KEY_LOG.to_le_bytes());
        body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(text);
        self.block(DECRYPTION_SECRETS, &body)?;
        self.out.flush()
    }

    fn interface(&mut self, link: LinkType) -> io::Result<u32> {
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
            self.block(INTERFACE_DESCRIPTION, &body)?;
        }
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let padding = body.len().next_multiple_of(4) - body.len();
        let total = u32::try_from(12 + body.len() + padding).map_err(io::Error::other)?.to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&total)?;
        self.out.write_all(body)?;
        self.out.write_all(&[0; 3][..padding])?;
        self.out.write_all(&total)
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Recorder;
    use crate::capture::{Capture, Input};
    use crate::model::{CaptureItem, FrameBatch, FrameMeta, LinkType, Timestamp};
    use std::sync::Arc;

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
        recorder.secrets(b"# a key log\n").unwrap();
        recorder.frames(&FrameBatch { segment: Arc::new(b"abcdefgh"), frames }).unwrap();
        let mut capture = Capture::open(&Input::File(path)).unwrap();
        assert_eq!(capture.secrets(), [b"# a key log\n".to_vec()]);
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
}
