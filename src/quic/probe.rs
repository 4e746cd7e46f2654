//! Whether a datagram is QUIC, from its bytes alone (RFC 8999, RFC 9000 §17). Short headers can't be told from noise.

use super::gquic;
use super::packet::{is_long, long_header, long_version};
use super::version::Version;

/// Shortest packet that carries anything.
const LONG_MIN: usize = 21;
/// Shortest datagram that begins a connection.
const FULL_MIN: usize = 1200;
/// Shortest connection ID a client makes up for the server.
const FIRST_CID_LEN_MIN: usize = 8;

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It is QUIC: a long header of a known version.
    Yes,
    /// It may be: a short header, or a long one of an unknown version.
    Maybe,
    /// It is not.
    No,
}

/// Looks at a datagram.
#[must_use]
pub fn probe(datagram: &[u8]) -> Probe {
    let Some(&first) = datagram.first() else { return Probe::No };
    if gquic::probe(datagram) {
        return Probe::Yes;
    }
    if !is_long(first) {
        return if first & 0x40 != 0 && datagram.len() >= LONG_MIN { Probe::Maybe } else { Probe::No };
    }
    if datagram.len() >= LONG_MIN && long_version(datagram).is_some_and(Version::is_foreign) {
        return Probe::Yes;
    }
    let Some(header) = long_header(datagram) else { return Probe::No };
    // Version negotiation lists the versions, four bytes each.
    if header.version == 0 {
        let known = header.rest.as_chunks::<4>();
        let listed = known.0.iter().any(|version| is_known(u32::from_be_bytes(*version)));
        return if listed && known.1.is_empty() { Probe::Yes } else { Probe::No };
    }
    if datagram.len() < LONG_MIN || first & 0x40 == 0 {
        return Probe::No;
    }
    if is_known(header.version) {
        return Probe::Yes;
    }
    // What begins a connection fills a datagram and is addressed by eight bytes at least (RFC 9000 §7.2, §14.1).
    let begins = datagram.len() >= FULL_MIN && header.dcid.len() >= FIRST_CID_LEN_MIN;
    if begins || is_greased(header.version) { Probe::Maybe } else { Probe::No }
}

fn is_known(version: u32) -> bool {
    Version::by_number(version).is_some() || Version::is_foreign(version) || version >> 12 == 0x000f_aceb
}

/// Reserved to force version negotiation (RFC 9000 §15).
const fn is_greased(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

#[cfg(test)]
mod tests {
    use super::{Probe, probe};

    #[test]
    fn long_headers_of_known_versions_are_quic() {
        let datagram = |first: u8, version: u32| {
            [&[first][..], &version.to_be_bytes(), &[8, 1, 2, 3, 4, 5, 6, 7, 8, 0], &[0x44; 40]].concat()
        };
        assert_eq!(probe(&datagram(0xc3, 1)), Probe::Yes);
        assert_eq!(probe(&datagram(0xd3, 0x6b33_43cf)), Probe::Yes);
        assert_eq!(probe(&datagram(0xc3, 0xface_b010)), Probe::Yes);
        assert_eq!(probe(&datagram(0xc3, 0x1a2a_3a4a)), Probe::Maybe);
        assert_eq!(probe(&datagram(0xc3, 0x1234_5678)), Probe::No);
        let full = [datagram(0xc3, 0x1234_5678), vec![0; 1200]].concat();
        assert_eq!(probe(&full), Probe::Maybe, "a version nobody knows");
        let packed = [&[0xc3][..], b"Q046\x50", &[0x99; 60]].concat();
        assert_eq!(probe(&packed), Probe::Yes, "the lengths of the IDs share a byte");
        assert_eq!(probe(&datagram(0x80, 1)), Probe::No, "DTLS and others have no fixed bit");
        assert_eq!(probe(&[0x43; 30]), Probe::Maybe);
        assert_eq!(probe(&[0x16; 30]), Probe::No);
        assert_eq!(probe(&[]), Probe::No);
    }

    #[test]
    fn version_negotiation_is_quic_if_it_lists_a_known_version() {
        let list = |versions: &[u32]| {
            let versions: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
            [&[0x80, 0, 0, 0, 0, 0, 2, 7, 7][..], &versions].concat()
        };
        assert_eq!(probe(&list(&[0x1a2a_3a4a, 1])), Probe::Yes);
        assert_eq!(probe(&list(&[0x1a2a_3a4a])), Probe::No);
    }
}
