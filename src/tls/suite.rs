//! What a cipher suite number means: its IANA name, and from the name the cipher, the MAC and the hash of the key
//! schedule. Suites that cannot be opened still have their name.

use super::block::Block;
use super::suite_names::SUITE_NAMES;

/// The bulk cipher of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    /// AES-128 in Galois/counter mode (RFC 5288).
    Aes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 5288).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7905).
    Chacha20Poly1305,
    /// AES-128 in cipher block chaining mode (RFC 5246).
    Aes128Cbc,
    /// AES-256 in cipher block chaining mode (RFC 5246).
    Aes256Cbc,
    /// AES-128 in counter mode with CBC-MAC (RFC 6655), tag length in bytes.
    Aes128Ccm(u8),
    /// AES-256 in counter mode with CBC-MAC (RFC 6655), tag length in bytes.
    Aes256Ccm(u8),
    /// Another block cipher in cipher block chaining mode.
    BlockCbc(Block),
    /// Another block cipher in Galois/counter mode (RFC 6367, RFC 6209, RFC 8998).
    BlockGcm(Block),
    /// Another block cipher in counter mode with CBC-MAC, tags of 16 bytes (RFC 8998).
    BlockCcm(Block),
    /// RC4 with 128-bit keys (RFC 5246 appendix C).
    Rc4,
    /// No encryption, only a MAC.
    Null,
    /// A cipher that is not opened.
    Unsupported,
}

impl Bulk {
    /// Whether the cipher authenticates by itself.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(
            self,
            Self::Aes128Gcm
                | Self::Aes256Gcm
                | Self::Chacha20Poly1305
                | Self::Aes128Ccm(_)
                | Self::Aes256Ccm(_)
                | Self::BlockGcm(_)
                | Self::BlockCcm(_)
        )
    }
}

/// A hash of a suite: of the MAC in a CBC suite, else of the key schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SM3 (GB/T 32905).
    Sm3,
}

impl Hash {
    /// Output length in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sm3 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Its number on the wire.
    pub id: u16,
    /// Its IANA name.
    pub name: &'static str,
    /// Its bulk cipher.
    pub bulk: Bulk,
    /// The hash its name ends with.
    pub hash: Hash,
}

/// The suites of TLS 1.3 that can be opened, the likeliest first.
const TLS13_SUITES: [u16; 7] = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0x00c6, 0x00c7];

impl Suite {
    /// The suite of a number, if the registry has it.
    #[must_use]
    pub fn by_id(id: u16) -> Option<Self> {
        let at = SUITE_NAMES.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        let &(id, name) = SUITE_NAMES.get(at)?;
        Some(Self { id, name, bulk: bulk_of(name), hash: hash_of(name) })
    }

    /// All TLS 1.3 suites whose secrets have `secret_len` bytes, the likeliest first.
    pub fn tls13_with_secret_len(secret_len: usize) -> impl Iterator<Item = Self> {
        TLS13_SUITES.into_iter().filter_map(Self::by_id).filter(move |suite| suite.hash.output_len() == secret_len)
    }

    /// Whether the suite belongs to TLS 1.3.
    #[must_use]
    pub const fn is_tls13(self) -> bool {
        matches!(self.id, 0x1301..=0x13ff | 0x00c6 | 0x00c7 | 0xc0b4 | 0xc0b5)
    }

    /// The hash of the TLS 1.2 pseudo-random function (RFC 5246 §5: SHA-256 unless the suite says otherwise).
    pub(super) const fn prf12(self) -> Hash {
        match self.hash {
            Hash::Sha384 => Hash::Sha384,
            _ => Hash::Sha256,
        }
    }
}

/// The name of a suite number; `0xabcd` where the registry has none.
#[must_use]
pub fn suite_name(id: u16) -> String {
    Suite::by_id(id).map_or_else(|| format!("0x{id:04x}"), |suite| suite.name.to_owned())
}

fn bulk_of(name: &str) -> Bulk {
    let ccm = |name: &str| if name.contains("_CCM_8") { 8 } else { 16 };
    match name {
        _ if name.contains("AES_128_GCM") => Bulk::Aes128Gcm,
        _ if name.contains("AES_256_GCM") => Bulk::Aes256Gcm,
        _ if name.contains("CHACHA20_POLY1305") => Bulk::Chacha20Poly1305,
        _ if name.contains("AES_128_CBC") => Bulk::Aes128Cbc,
        _ if name.contains("AES_256_CBC") => Bulk::Aes256Cbc,
        _ if name.contains("AES_128_CCM") => Bulk::Aes128Ccm(ccm(name)),
        _ if name.contains("AES_256_CCM") => Bulk::Aes256Ccm(ccm(name)),
        _ if name.contains("RC4_128") => Bulk::Rc4,
        _ if name.contains("WITH_NULL_") && name != "TLS_NULL_WITH_NULL_NULL" => Bulk::Null,
        _ => other_bulk(name).unwrap_or(Bulk::Unsupported),
    }
}

/// The ciphers of old and of national suites.
fn other_bulk(name: &str) -> Option<Bulk> {
    let (block, mode) = [
        ("3DES_EDE_", Block::TripleDes),
        ("WITH_DES_", Block::Des),
        ("CAMELLIA_128_", Block::Camellia128),
        ("CAMELLIA_256_", Block::Camellia256),
        ("ARIA_128_", Block::Aria128),
        ("ARIA_256_", Block::Aria256),
        ("SM4_", Block::Sm4),
    ]
    .into_iter()
    .find_map(|(mark, block)| Some((block, name.split_once(mark)?.1)))?;
    match mode.split_once('_')?.0 {
        "CBC" => Some(Bulk::BlockCbc(block)),
        "GCM" => Some(Bulk::BlockGcm(block)),
        "CCM" => Some(Bulk::BlockCcm(block)),
        _ => None,
    }
}

fn hash_of(name: &str) -> Hash {
    match name {
        _ if name.ends_with("_SHA384") => Hash::Sha384,
        _ if name.ends_with("_SHA") => Hash::Sha1,
        _ if name.ends_with("_SM3") => Hash::Sm3,
        _ if name.ends_with("_MD5") => Hash::Md5,
        _ => Hash::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite_names::SUITE_NAMES;
    use super::{Block, Bulk, Hash, Suite, suite_name};

    #[test]
    fn the_registry_is_sorted_so_that_every_suite_is_found() {
        assert!(SUITE_NAMES.is_sorted_by_key(|&(id, _)| id));
        assert!(SUITE_NAMES.iter().all(|&(id, name)| Suite::by_id(id).is_some_and(|suite| suite.name == name)));
    }

    #[test]
    fn a_name_tells_cipher_and_hash() {
        let facts = |id| Suite::by_id(id).map(|suite| (suite.bulk, suite.hash));
        assert_eq!(facts(0x1302), Some((Bulk::Aes256Gcm, Hash::Sha384)));
        assert_eq!(facts(0xc0ae), Some((Bulk::Aes128Ccm(8), Hash::Sha256)));
        assert_eq!(facts(0xc014), Some((Bulk::Aes256Cbc, Hash::Sha1)));
        assert_eq!(facts(0x000a), Some((Bulk::BlockCbc(Block::TripleDes), Hash::Sha1)));
        assert_eq!(facts(0x0009), Some((Bulk::BlockCbc(Block::Des), Hash::Sha1)));
        assert_eq!(facts(0x0008), Some((Bulk::Unsupported, Hash::Sha1)), "40 bits for export");
        assert_eq!(facts(0x00c6), Some((Bulk::BlockGcm(Block::Sm4), Hash::Sm3)));
        assert_eq!(facts(0x00c7), Some((Bulk::BlockCcm(Block::Sm4), Hash::Sm3)));
        assert_eq!(facts(0xc072), Some((Bulk::BlockCbc(Block::Camellia128), Hash::Sha256)));
        assert_eq!(facts(0xc07b), Some((Bulk::BlockGcm(Block::Camellia256), Hash::Sha384)));
        assert_eq!(facts(0xc03c), Some((Bulk::BlockCbc(Block::Aria128), Hash::Sha256)));
        assert_eq!(facts(0xc051), Some((Bulk::BlockGcm(Block::Aria256), Hash::Sha384)));
        assert_eq!(facts(0x0005), Some((Bulk::Rc4, Hash::Sha1)));
        assert_eq!(suite_name(0xfefe), "0xfefe");
    }
}
