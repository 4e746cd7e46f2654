//! The blocks of a pcapng section that a recording is made of, one function each: appended to a buffer, little-endian.

use super::super::journal;
use crate::model::{App, Frame, Incident, LinkType, Mark};
use std::io;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const JOURNAL_EXPORT: u32 = 9;
const DECRYPTION_SECRETS: u32 = 0x0A;
const CUSTOM: u32 = 0x0BAD;
/// `TLSK`: the secrets are a TLS key log.
const TLS_KEY_LOG: u32 = 0x544C_534B;
/// PCAPdroid's private enterprise number.
const PCAPDROID_PEN: u32 = 62_652;

/// Most bytes a frame takes as a block beyond its own: what surrounds it, padding, and the number of its app.
pub(super) const PACKET_OVERHEAD: usize = 64;

pub(super) fn section(out: &mut Vec<u8>) -> io::Result<()> {
    block(out, SECTION_HEADER, |body| {
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        option(body, 4, concat!("divulge ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(body, 0, &[]);
    })
}

/// Times are in nanoseconds.
pub(super) fn interface(out: &mut Vec<u8>, link: LinkType) -> io::Result<()> {
    block(out, INTERFACE_DESCRIPTION, |body| {
        body.extend(u16::try_from(link.0).unwrap_or(u16::MAX).to_le_bytes());
        body.extend([0; 6]);
        // if_tsresol: ten to the minus ninth of a second.
        option(body, 9, &[9]);
        option(body, 0, &[]);
    })
}

/// A frame of an interface, and the uid of its app.
pub(super) fn packet(out: &mut Vec<u8>, interface: u32, frame: &Frame<'_>, uid: Option<i32>) -> io::Result<()> {
    let nanos = u64::try_from(frame.ts.nanos()).unwrap_or(0);
    block(out, ENHANCED_PACKET, |body| {
        let captured = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
        for word in [interface, (nanos >> 32) as u32, (nanos & 0xFFFF_FFFF) as u32, captured, frame.original_len] {
            body.extend(word.to_le_bytes());
        }
        body.extend_from_slice(frame.data);
        if let Some(uid) = uid {
            body.resize(body.len() + padding(frame.data.len()), 0);
            option(body, 1, format!("u-{uid}").as_bytes());
            option(body, 0, &[]);
        }
    })
}

pub(super) fn secrets(out: &mut Vec<u8>, text: &[u8]) -> io::Result<()> {
    block(out, DECRYPTION_SECRETS, |body| {
        body.extend(TLS_KEY_LOG.to_le_bytes());
        body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend_from_slice(text);
    })
}

/// PCAPdroid's UID map: whose app a uid is. Names have 255 bytes at most.
pub(super) fn uid_map(out: &mut Vec<u8>, uid: i32, app: &App) -> io::Result<()> {
    let capped = |name: &str| {
        let end = name.floor_char_boundary(usize::from(u8::MAX));
        name.as_bytes()[..end].to_vec()
    };
    let [package, name] = [&app.package, &app.name].map(|name| name.as_deref().map(capped).unwrap_or_default());
    block(out, CUSTOM, |body| {
        body.extend(PCAPDROID_PEN.to_le_bytes());
        body.extend([1, 0, 1, 0]);
        body.extend(uid.to_le_bytes());
        body.extend([&package, &name].map(|name| u8::try_from(name.len()).unwrap_or(u8::MAX)));
        body.extend(package);
        body.extend(name);
    })
}

pub(super) fn mark(out: &mut Vec<u8>, mark: &Mark) -> io::Result<()> {
    block(out, JOURNAL_EXPORT, |body| journal::write_mark(body, mark))
}

pub(super) fn incident(out: &mut Vec<u8>, incident: &Incident) -> io::Result<()> {
    block(out, JOURNAL_EXPORT, |body| journal::write_incident(body, incident))
}

/// A block around what `body` appends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let len = out.len() - start;
    out.resize(out.len() + padding(len), 0);
    let total = u32::try_from(out.len() - start + 4).map_err(io::Error::other)?.to_le_bytes();
    out.extend(total);
    out[start + 4..start + 8].copy_from_slice(&total);
    Ok(())
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padding(value.len()), 0);
}

const fn padding(len: usize) -> usize {
    len.next_multiple_of(4) - len
}
