//! A version number on the wire to what differs between versions: the salt of Initial keys, the labels of the key
//! schedule, the type bits of long headers, the key of Retry's integrity tag (RFC 9001 §5.2, §5.8; RFC 9369 §3).

/// A QUIC version whose packets are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its number on the wire.
    pub number: u32,
    rules: Rules,
}

/// Versions that protect their packets alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Draft 22.
    Draft22,
    /// Drafts 23 to 28.
    Draft23,
    /// Drafts 29 to 32.
    Draft29,
    /// RFC 9000, drafts 33 and 34.
    V1,
    /// RFC 9369.
    V2,
    /// Google's Q050: the packets of QUIC with a handshake that is not TLS.
    Q050,
    /// Google's T050.
    T050,
    /// Google's T051.
    T051,
}

/// Which labels the key schedule uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    /// Those of RFC 9001 §5.1 and the drafts.
    V1,
    /// Those of RFC 9369 §3.3.2.
    V2,
}

/// The type of a long header packet, whatever bits the version gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LongType {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

const V1: u32 = 1;
const V2: u32 = 0x6b33_43cf;
/// The number RFC 9369 had before it was one.
const V2_DRAFT: u32 = 0x709a_50c4;

impl Version {
    /// RFC 9000.
    pub const V1: Self = Self { number: V1, rules: Rules::V1 };
    /// RFC 9369.
    pub const V2: Self = Self { number: V2, rules: Rules::V2 };

    /// The version of a number, if it is known.
    #[must_use]
    pub const fn by_number(number: u32) -> Option<Self> {
        let rules = match number {
            V1 | 0xff00_0021 | 0xff00_0022 => Rules::V1,
            V2 | V2_DRAFT => Rules::V2,
            0xff00_001d..=0xff00_0020 => Rules::Draft29,
            0xff00_0017..=0xff00_001c => Rules::Draft23,
            0xff00_0016 => Rules::Draft22,
            0x5130_3530 => Rules::Q050,
            0x5430_3530 => Rules::T050,
            0x5430_3531 => Rules::T051,
            _ => return None,
        };
        Some(Self { number, rules })
    }

    /// What a version of an unknown number may be like, the likeliest first: a greased number (RFC 9000 §15) or one
    /// that a company gave to what it made of a known version, as Facebook did.
    pub(super) const fn guesses(number: u32) -> [Self; 5] {
        [
            Self { number, rules: Rules::V1 },
            Self { number, rules: Rules::Draft29 },
            Self { number, rules: Rules::V2 },
            Self { number, rules: Rules::Draft23 },
            Self { number, rules: Rules::Draft22 },
        ]
    }

    /// Whether the number belongs to Google's QUIC before TLS, or to a draft too early to be read: known for QUIC, and
    /// not opened.
    pub(super) const fn is_foreign(number: u32) -> bool {
        let google = matches!(number, 0x5130_3030..=0x5130_3939) && Self::by_number(number).is_none();
        google || matches!(number, 0xff00_0001..=0xff00_0015)
    }

    /// Whether its handshake is Google's own and not TLS, so that nothing but the first packets can be opened.
    pub(super) const fn is_google_handshake(self) -> bool {
        matches!(self.rules, Rules::Q050)
    }

    /// The salt of Initial secrets.
    pub(super) const fn salt(self) -> &'static [u8; 20] {
        match self.rules {
            Rules::Draft22 => b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a",
            Rules::Draft23 => b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02",
            Rules::Draft29 => b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99",
            Rules::V1 => b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
            Rules::V2 => b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
            Rules::Q050 => b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45",
            Rules::T050 => b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10",
            Rules::T051 => b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d",
        }
    }

    /// The labels of its key schedule. The second version had others before it was final; those were never deployed.
    pub(super) const fn labels(self) -> Labels {
        match self.rules {
            Rules::V2 => Labels::V2,
            _ => Labels::V1,
        }
    }

    /// Key and nonce of the Retry Integrity Tag; none where the drafts had no tag or a key not known.
    pub(super) const fn retry_key(self) -> Option<(&'static [u8; 16], &'static [u8; 12])> {
        Some(match self.rules {
            Rules::V1 => (
                b"\xbe\x0c\x69\x0b\x9f\x66\x57\x5a\x1d\x76\x6b\x54\xe3\x68\xc8\x4e",
                b"\x46\x15\x99\xd3\x5d\x63\x2b\xf2\x23\x98\x25\xbb",
            ),
            Rules::V2 => (
                b"\x8f\xb4\xb0\x1b\x56\xac\x48\xe2\x60\xfb\xcb\xce\xad\x7c\xcc\x92",
                b"\xd8\x69\x69\xbc\x2d\x7c\x6d\x99\x90\xef\xb0\x4a",
            ),
            Rules::Draft29 => (
                b"\xcc\xce\x18\x7e\xd0\x9a\x09\xd0\x57\x28\x15\x5a\x6c\xb9\x6b\xe1",
                b"\xe5\x49\x30\xf9\x7f\x21\x36\xf0\x53\x0a\x8c\x1c",
            ),
            _ => return None,
        })
    }

    /// The type of a long header packet of this version.
    pub(super) const fn long_type(self, first: u8) -> LongType {
        let bits = (first >> 4) & 3;
        let bits = match self.rules {
            Rules::V2 => (bits + 3) & 3,
            _ => bits,
        };
        match bits {
            0 => LongType::Initial,
            1 => LongType::ZeroRtt,
            2 => LongType::Handshake,
            _ => LongType::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LongType, Version};

    #[test]
    fn the_second_version_has_its_own_type_bits() {
        let types = |version: Version| [0xc0, 0xd0, 0xe0, 0xf0].map(|first| version.long_type(first));
        use LongType::{Handshake, Initial, Retry, ZeroRtt};
        assert_eq!(types(Version::V1), [Initial, ZeroRtt, Handshake, Retry]);
        assert_eq!(types(Version::V2), [Retry, Initial, ZeroRtt, Handshake]);
    }

    #[test]
    fn drafts_are_known_by_number() {
        let salt = |number| Version::by_number(number).map(Version::salt);
        assert_eq!(salt(0xff00_0022), salt(1));
        assert_ne!(salt(0xff00_001d), salt(1));
        assert_eq!(salt(0xff00_0017), salt(0xff00_001c));
        assert_eq!(Version::by_number(0x1a2a_3a4a), None);
        assert!(Version::is_foreign(0x5130_3433));
    }
}
