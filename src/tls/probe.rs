//! Whether the beginning of a stream is TLS, by its record headers alone; also where a capture begins mid-stream.

use super::handshake::kind;
use super::hello::ssl2_client_hello;
use super::record::{HEADER_LEN, RecordHeader, content};

/// An answer about the beginning of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It is TLS.
    Yes,
    /// It is not.
    No,
    /// Too few bytes to tell; what is there would fit.
    Unsure,
}

/// Whether `bytes`, the first of a direction, are TLS records. Never [`Probe::Unsure`] from five bytes on.
#[must_use]
pub fn probe(bytes: &[u8]) -> Probe {
    if ssl2_client_hello(bytes).is_some() {
        return Probe::Yes;
    }
    if bytes.len() < HEADER_LEN {
        let fits = match bytes {
            [] => true,
            [kind] => (20..=24).contains(kind),
            [kind, major] => (20..=24).contains(kind) && *major == 3,
            [kind, major, minor, ..] => (20..=24).contains(kind) && *major == 3 && *minor <= 4,
        };
        return if fits { Probe::Unsure } else { Probe::No };
    }
    let mut rest = bytes;
    // A few headers in a row leave no room for accidents.
    for _ in 0..3 {
        let Some(header) = RecordHeader::read(rest) else { return Probe::No };
        rest = rest.get(HEADER_LEN + usize::from(header.len)..).unwrap_or_default();
        if rest.len() < HEADER_LEN {
            break;
        }
    }
    Probe::Yes
}

/// Shortest ClientHello record: header, message header, version, random, session id, a suite and no compression.
const HELLO_MIN: usize = HEADER_LEN + 4 + 2 + 32 + 1 + 4 + 2;
/// Of it, what is looked at.
const HELLO_SEEN: usize = HEADER_LEN + 4 + 2 + 32 + 1;

/// Where in `bytes`, which are of another protocol, a client begins TLS (STARTTLS and its like): a record with a
/// ClientHello that is the last of the bytes or followed by more records, as a client waits for the answer.
#[must_use]
pub fn find_hello(bytes: &[u8]) -> Option<usize> {
    let starts = memchr::memmem::find_iter(bytes, &[content::HANDSHAKE, 3]);
    starts.into_iter().find(|&at| bytes.get(at..).is_some_and(begins_hello))
}

fn begins_hello(bytes: &[u8]) -> bool {
    let Some(header) = RecordHeader::read(bytes).filter(|header| usize::from(header.len) >= HELLO_MIN - HEADER_LEN)
    else {
        return false;
    };
    let Some(&[kind, long, _, _, major, minor]) = bytes.get(HEADER_LEN..).and_then(|body| body.first_chunk::<6>())
    else {
        return false;
    };
    let session_id = bytes.get(HELLO_SEEN - 1);
    let after = bytes.get(HEADER_LEN + usize::from(header.len)..).unwrap_or_default();
    kind == kind::CLIENT_HELLO
        && long == 0
        && major == 3
        && minor <= 3
        && session_id.is_some_and(|&len| len <= 32)
        && probe(after) != Probe::No
}

#[cfg(test)]
mod tests {
    use super::{Probe, find_hello, probe};

    fn hello() -> Vec<u8> {
        let body = [&[3, 3][..], &[0x55; 32], &[0, 0, 2, 0x13, 0x01, 1, 0]].concat();
        let message = [&[1, 0, 0, u8::try_from(body.len()).expect("short")], &body[..]].concat();
        [&[0x16, 3, 1, 0, u8::try_from(message.len()).expect("short")], &message[..]].concat()
    }

    #[test]
    fn a_hello_behind_other_bytes_is_found_where_it_begins() {
        assert_eq!(find_hello(&hello()), Some(0));
        assert_eq!(find_hello(&[b"\x16\x03\0STARTTLS\r\n", &hello()[..]].concat()), Some(13));
        let cut = &hello()[..45];
        assert_eq!(find_hello(&[b"STARTTLS\r\n", cut].concat()), Some(10), "the rest comes later");
        assert_eq!(find_hello(&[&hello()[..], b"\x14\x03\x03\0\x01\x01"].concat()), Some(0));
    }

    #[test]
    fn a_hello_that_is_only_quoted_begins_no_tls() {
        assert_eq!(find_hello(&[b"a capture: ", &hello()[..], b" and so on"].concat()), None);
        assert_eq!(find_hello(b"\x16\x03\x01\0\x80\x02\0\0"), None);
        assert_eq!(find_hello(b""), None);
    }

    #[test]
    fn records_are_told_from_other_protocols() {
        assert_eq!(probe(&[]), Probe::Unsure);
        assert_eq!(probe(&[0x16, 3, 1]), Probe::Unsure);
        assert_eq!(probe(&[0x16, 3, 1, 2, 0, 1]), Probe::Yes);
        assert_eq!(probe(&[0x17, 3, 3, 0, 2, 9, 9, 0x17, 3, 3, 0, 1]), Probe::Yes, "mid-stream");
        assert_eq!(probe(&[0x17, 3, 3, 0, 2, 9, 9, 0x47, 3, 3, 0, 1]), Probe::No, "the second header is none");
        assert_eq!(probe(&[0x16, 3, 1, 0xff, 0xff]), Probe::No, "too long");
        assert_eq!(probe(b"GET / HTTP/1.1"), Probe::No);
        assert_eq!(probe(b"G"), Probe::No);
    }
}
