//! Record protection by a block cipher in CBC mode and a separate MAC, in either order (RFC 5246 §6.2.3.2, RFC 7366), for TLS 1.0
//! to 1.2. TLS 1.0 chains records: the last block of one is the initialisation vector of the next.

use super::block::{BLOCK_MAX, BlockCipher, cbc_decrypt};
use super::mac::MacKey;
use super::record::RecordHeader;
use super::suite::Bulk;
use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use std::cell::Cell;

/// Bytes of an AES block.
const BLOCK: usize = 16;

/// What is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacOrder {
    /// The text, then both are encrypted.
    MacThenEncrypt,
    /// The ciphertext.
    EncryptThenMac,
}

/// Where the initialisation vector of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vector {
    /// At the beginning of the record (TLS 1.1 and 1.2).
    Explicit,
    /// The last block of the record before (TLS 1.0); for the first this, as long as a block is.
    Chained([u8; BLOCK_MAX]),
}

/// Keys of one direction.
pub(super) struct CbcKey {
    cipher: Cipher,
    mac: MacKey,
    order: MacOrder,
    chain: Option<Cell<[u8; BLOCK_MAX]>>,
}

enum Cipher {
    Aes(Box<DecryptingKey>),
    Other(Box<dyn BlockCipher>),
}

/// Bytes of the key of a cipher; none where it is none in CBC mode.
pub(super) const fn key_len(bulk: Bulk) -> Option<usize> {
    match bulk {
        Bulk::Aes128Cbc => Some(16),
        Bulk::Aes256Cbc => Some(32),
        Bulk::BlockCbc(block) => Some(block.key_len()),
        _ => None,
    }
}

/// Bytes of a block of a cipher in CBC mode.
pub(super) const fn block_len(bulk: Bulk) -> usize {
    match bulk {
        Bulk::BlockCbc(block) => block.block_len(),
        _ => BLOCK,
    }
}

impl CbcKey {
    /// Keys from their parts of the key block.
    pub(super) fn new(bulk: Bulk, key: &[u8], mac: MacKey, order: MacOrder, vector: Vector) -> Option<Self> {
        let aes = |algorithm| {
            Some(Cipher::Aes(Box::new(DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?)))
        };
        let cipher = match bulk {
            Bulk::Aes128Cbc => aes(&AES_128)?,
            Bulk::Aes256Cbc => aes(&AES_256)?,
            Bulk::BlockCbc(block) => Cipher::Other(block.with_key(key)?),
            _ => return None,
        };
        let chain = match vector {
            Vector::Explicit => None,
            Vector::Chained(first) => Some(Cell::new(first)),
        };
        Some(Self { cipher, mac, order, chain })
    }

    /// Bytes a record body has more than its content, with half a block of padding.
    pub(super) fn overhead(&self) -> usize {
        let block = self.block_len();
        let vector = if self.chain.is_some() { 0 } else { block };
        vector + self.mac.tag_len() + block / 2
    }

    fn block_len(&self) -> usize {
        match &self.cipher {
            Cipher::Aes(_) => BLOCK,
            Cipher::Other(cipher) => cipher.block_len(),
        }
    }

    /// A record went by, opened or not.
    pub(super) fn passed(&self, body: &[u8]) {
        let end = match self.order {
            MacOrder::MacThenEncrypt => body.len(),
            MacOrder::EncryptThenMac => body.len().saturating_sub(self.mac.tag_len()),
        };
        let last = end.checked_sub(self.block_len()).and_then(|start| body.get(start..end));
        if let (Some(chain), Some(last)) = (&self.chain, last) {
            let mut block = [0; BLOCK_MAX];
            block.iter_mut().zip(last).for_each(|(slot, &byte)| *slot = byte);
            chain.set(block);
        }
    }

    /// Opens a record into the beginning of `out` and says how much it is.
    pub(super) fn open(&self, seq: u64, header: RecordHeader, body: &[u8], out: &mut [u8]) -> Option<usize> {
        let tag_len = self.mac.tag_len();
        let (sealed, outer_tag) = match self.order {
            MacOrder::MacThenEncrypt => (body, None),
            MacOrder::EncryptThenMac => {
                let (sealed, tag) = body.split_at_checked(body.len().checked_sub(tag_len)?)?;
                (sealed, Some(tag))
            }
        };
        if let Some(tag) = outer_tag {
            self.mac.verify(seq, header, sealed, tag)?;
        }
        let block = self.block_len();
        let chained;
        let (vector, text) = match &self.chain {
            Some(chain) => {
                chained = chain.get();
                (chained.get(..block)?, sealed)
            }
            None => sealed.split_at_checked(block)?,
        };
        if text.is_empty() || !text.len().is_multiple_of(block) {
            return None;
        }
        let out = out.get_mut(..text.len())?;
        out.copy_from_slice(text);
        match &self.cipher {
            Cipher::Aes(key) => {
                let vector: &[u8; BLOCK] = vector.try_into().ok()?;
                key.decrypt(out, DecryptionContext::Iv128(vector.into())).ok()?;
            }
            Cipher::Other(cipher) => cbc_decrypt(&**cipher, vector, out),
        }
        let padding = *out.last()?;
        let padded = out.len().checked_sub(usize::from(padding) + 1)?;
        if !self.mac.leaves_padding_open() && out.get(padded..)?.iter().any(|&byte| byte != padding) {
            return None;
        }
        if outer_tag.is_some() {
            return Some(padded);
        }
        let len = padded.checked_sub(tag_len)?;
        let (content, tag) = out.get(..padded)?.split_at_checked(len)?;
        self.mac.verify(seq, header, content, tag)?;
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, CbcKey, MacKey, MacOrder, Vector};
    use crate::tls::record::RecordHeader;
    use crate::tls::suite::{Bulk, Hash};
    use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
    use aws_lc_rs::hmac;

    const KEY: [u8; 32] = [7; 32];
    const MAC_KEY: [u8; 20] = [8; 20];

    fn mac(seq: u64, bytes: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &MAC_KEY);
        let len = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        let all = [&seq.to_be_bytes()[..], &[23, 3, 2], &len, bytes].concat();
        hmac::sign(&key, &all).as_ref().to_vec()
    }

    fn encrypt(vector: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
        let mut padded = text.to_vec();
        let padding = BLOCK - 1 - padded.len() % BLOCK;
        padded.extend(std::iter::repeat_n(u8::try_from(padding).expect("short"), padding + 1));
        let key = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, &KEY).expect("a key")).expect("a mode");
        key.less_safe_encrypt(&mut padded, EncryptionContext::Iv128((&vector).into())).expect("whole blocks");
        padded
    }

    fn open(key: &CbcKey, seq: u64, body: &[u8]) -> Option<Vec<u8>> {
        let header = RecordHeader { kind: 23, version: [3, 2], len: u16::try_from(body.len()).expect("short") };
        let mut out = vec![0; body.len()];
        let len = key.open(seq, header, body, &mut out);
        key.passed(body);
        len.map(|len| out[..len].to_vec())
    }

    fn key(order: MacOrder, vector: Vector) -> CbcKey {
        CbcKey::new(Bulk::Aes256Cbc, &KEY, MacKey::new(Hash::Sha1, &MAC_KEY), order, vector).expect("a key")
    }

    #[test]
    fn a_record_is_opened_in_either_order_and_only_under_its_number() {
        let (vector, text) = ([9; BLOCK], b"a request of some length".as_slice());
        let inside = [&vector[..], &encrypt(vector, &[text, &mac(4, text)].concat())].concat();
        let sealed = [&vector[..], &encrypt(vector, text)].concat();
        let outside = [&sealed[..], &mac(4, &sealed)].concat();
        for (order, body) in [(MacOrder::MacThenEncrypt, &inside), (MacOrder::EncryptThenMac, &outside)] {
            let key = key(order, Vector::Explicit);
            assert_eq!(open(&key, 4, body).as_deref(), Some(text));
            assert_eq!(open(&key, 5, body), None);
            assert_eq!(open(&key, 4, &body[..body.len() - BLOCK]), None);
            assert_eq!(open(&key, 4, &[]), None);
        }
    }

    #[test]
    fn records_of_tls_1_0_go_on_from_the_last_block() {
        let first = encrypt([1; BLOCK], &[&b"one"[..], &mac(0, b"one")].concat());
        let last = *first.last_chunk::<BLOCK>().expect("a block");
        let second = encrypt(last, &[&b"two"[..], &mac(1, b"two")].concat());
        let key = key(MacOrder::MacThenEncrypt, Vector::Chained([1; BLOCK]));
        assert_eq!(open(&key, 0, &first).as_deref(), Some(&b"one"[..]));
        assert_eq!(open(&key, 1, &second).as_deref(), Some(&b"two"[..]));
    }
}
