//! Whether the beginning of a stream is TLS, by its record headers alone; also where a capture begins mid-stream.

use super::record::{HEADER_LEN, RecordHeader};

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

#[cfg(test)]
mod tests {
    use super::{Probe, probe};

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
