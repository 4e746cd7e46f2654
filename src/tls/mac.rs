//! The separate MAC of TLS 1.2 and before (RFC 5246 §6.2.3.1): over number, header and bytes of a record.

use super::record::RecordHeader;
use super::schedule::{hmac_md5, hmac_of};
use super::suite::Hash;
use aws_lc_rs::hmac;
use sm3::Sm3;

/// A MAC key.
pub(super) enum MacKey {
    /// HMAC with MD5.
    Md5(Vec<u8>),
    /// HMAC with SM3.
    Sm3(Vec<u8>),
    /// HMAC with another hash.
    Other(Box<hmac::Key>),
}

impl MacKey {
    /// A key of the hash's output length.
    pub(super) fn new(hash: Hash, key: &[u8]) -> Self {
        let algorithm = match hash {
            Hash::Md5 => return Self::Md5(key.to_vec()),
            Hash::Sm3 => return Self::Sm3(key.to_vec()),
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
        };
        Self::Other(Box::new(hmac::Key::new(algorithm, key)))
    }

    /// Bytes of a tag.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Md5(_) => Hash::Md5.output_len(),
            Self::Sm3(_) => Hash::Sm3.output_len(),
            Self::Other(key) => key.algorithm().tag_len(),
        }
    }

    /// Whether `tag` is that of the record; none if not.
    pub(super) fn verify(&self, seq: u64, header: RecordHeader, bytes: &[u8], tag: &[u8]) -> Option<()> {
        let len = u16::try_from(bytes.len()).ok()?;
        let (seq, header) = (seq.to_be_bytes(), RecordHeader { len, ..header }.bytes());
        let fits = match self {
            Self::Md5(key) => hmac_md5(key, &[&seq, &header, bytes]) == tag,
            Self::Sm3(key) => hmac_of::<Sm3>(key, &[&seq, &header, bytes]) == tag,
            Self::Other(key) => {
                let mut mac = hmac::Context::with_key(key);
                mac.update(&seq);
                mac.update(&header);
                mac.update(bytes);
                mac.sign().as_ref() == tag
            }
        };
        fits.then_some(())
    }
}
