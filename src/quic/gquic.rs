//! Google's QUIC before it took over TLS: its datagrams are known for what they are, and the name in the client's
//! hello, which is in the clear up to Q046, is read. The rest of such a connection stays closed.

use crate::tls::Reader;
use memchr::memmem;

/// Where the version is in a public header with a connection ID.
const VERSION_AT: usize = 9;
/// Longest name kept.
const NAME_MAX: usize = 253;
/// Most tags a hello may have (its makers' limit).
const TAGS_MAX: u16 = 128;

/// Whether a datagram has a public header that names a version: what clients send until the server has answered.
pub(super) fn probe(datagram: &[u8]) -> bool {
    let (Some(&flags), Some(version)) = (datagram.first(), datagram.get(VERSION_AT..VERSION_AT + 4)) else {
        return false;
    };
    flags & 0xcb == 0x09 && is_version(version)
}

/// Whether a public header of Google's QUIC names a version, or a long header does.
pub(super) fn is_version(version: &[u8]) -> bool {
    matches!(version, [b'Q', b'0', tens, units] if tens.is_ascii_digit() && units.is_ascii_digit())
}

/// The server name of a client's hello somewhere in `bytes`.
pub(super) fn server_name(bytes: &[u8]) -> Option<String> {
    let at = memmem::find(bytes, b"CHLO")?;
    let mut reader = Reader::new(bytes.get(at + 4..)?);
    let count = u16::from_le_bytes(reader.array()?);
    reader.take(2)?;
    if count > TAGS_MAX {
        return None;
    }
    let mut start = 0;
    let mut found = None;
    for _ in 0..count {
        let tag: [u8; 4] = reader.array()?;
        let end = u32::from_le_bytes(reader.array()?) as usize;
        if &tag == b"SNI\0" {
            found = Some(start..end);
        }
        start = end;
    }
    let name = reader.rest().get(found?)?;
    let plausible = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(byte));
    (!name.is_empty() && name.len() <= NAME_MAX && plausible).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{probe, server_name};

    fn hello() -> Vec<u8> {
        let mut bytes = b"\xa0\x01CHLO\x02\0\0\0PAD\0\x03\0\0\0SNI\0\x0e\0\0\0---".to_vec();
        bytes.extend(b"www.a-b.com");
        bytes
    }

    #[test]
    fn the_name_of_a_hello_in_the_clear_is_read() {
        assert_eq!(server_name(&hello()).as_deref(), Some("www.a-b.com"));
        assert_eq!(server_name(&hello()[..20]), None);
        assert_eq!(server_name(b"nothing"), None);
    }

    #[test]
    fn a_public_header_is_known_by_its_version() {
        let header = b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q043\x01....";
        assert!(probe(header));
        assert!(!probe(b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08QXYZ\x01...."));
        assert!(!probe(&header[..11]));
    }
}
