//! The separate MAC of TLS 1.2 and before (RFC 5246 §6.2.3.1): over number, header and bytes of a record.

use super::record::RecordHeader;
use super::schedule::{hmac_md5, hmac_of};
use super::suite::Hash;
use aws_lc_rs::hmac;
use md5::{Digest, Md5};
use sha1::Sha1;
use sm3::Sm3;

/// A MAC key.
pub(super) enum MacKey {
    /// HMAC with MD5.
    Md5(Vec<u8>),
    /// The MAC of SSL 3.0 (RFC 6101 §5.2.3.1), which is not yet an HMAC.
    Ssl3(Hash, Vec<u8>),
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

    /// A key of SSL 3.0, with MD5 or SHA-1.
    pub(super) fn ssl3(hash: Hash, key: &[u8]) -> Self {
        Self::Ssl3(hash, key.to_vec())
    }

    /// Whether the bytes of the padding before it are anything (SSL 3.0).
    pub(super) const fn leaves_padding_open(&self) -> bool {
        matches!(self, Self::Ssl3(..))
    }

    /// Bytes of a tag.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Md5(_) => Hash::Md5.output_len(),
            Self::Ssl3(hash, _) => hash.output_len(),
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
            Self::Ssl3(hash, key) => ssl3_mac(*hash, key, &[&seq, &[header[0]], &header[3..], bytes]) == tag,
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

fn ssl3_mac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    match hash {
        Hash::Md5 => nested::<Md5>(key, 48, parts),
        _ => nested::<Sha1>(key, 40, parts),
    }
}

fn nested<D: Digest>(key: &[u8], pad: usize, parts: &[&[u8]]) -> Vec<u8> {
    let begin = |with: u8| D::new_with_prefix(key).chain_update([with; 48].get(..pad).unwrap_or_default());
    let inner = parts.iter().fold(begin(0x36), |inner, part| inner.chain_update(part));
    begin(0x5c).chain_update(inner.finalize()).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::MacKey;
    use crate::tls::record::RecordHeader;
    use crate::tls::suite::Hash;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn the_mac_of_ssl_3_leaves_the_version_out() {
        let header = RecordHeader { kind: 23, version: [3, 0], len: 0 };
        for (hash, key_len, tag) in [
            (Hash::Sha1, 20, "10f74a6693a6275bdb7322086660467b662eab39"),
            (Hash::Md5, 16, "2842a2abd9a5c77bfe20ace5a17acea2"),
        ] {
            let key = MacKey::ssl3(hash, &vec![8; key_len]);
            assert_eq!(key.tag_len(), hash.output_len());
            assert_eq!(key.verify(5, header, b"a request", &hex(tag)), Some(()));
            assert_eq!(key.verify(6, header, b"a request", &hex(tag)), None);
        }
    }
}
