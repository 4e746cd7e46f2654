//! Authenticated ciphers of record protection: AES-GCM, ChaCha20-Poly1305 and AES-CCM (RFC 5116, RFC 6655) under one
//! roof. Nonces and what is authenticated are left to `cipher`, and to QUIC.

use super::block::{Mode, WideKey};
use super::suite::Bulk;
use aws_lc_rs::aead;
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};

/// Bytes of every nonce here.
pub const NONCE_LEN: usize = 12;
const BLOCK: usize = 16;

/// A key of an authenticated cipher.
pub enum AeadKey {
    /// A cipher the library has as a whole.
    Whole(aead::LessSafeKey),
    /// A block cipher beside AES.
    Wide(Box<WideKey>),
    /// AES-CCM, put together from counter mode and CBC-MAC (RFC 3610 with L = 3).
    Ccm(Box<CcmKey>),
}

/// A key of AES-CCM.
pub struct CcmKey {
    counter: DecryptingKey,
    mac: EncryptingKey,
    tag_len: usize,
}

/// Bytes of the key of a cipher; none where it is no authenticated one.
#[must_use]
pub fn key_len(bulk: Bulk) -> Option<usize> {
    match bulk {
        Bulk::Aes128Gcm | Bulk::Aes128Ccm(_) => Some(16),
        Bulk::Aes256Gcm | Bulk::Aes256Ccm(_) | Bulk::Chacha20Poly1305 => Some(32),
        Bulk::BlockGcm(block) | Bulk::BlockCcm(block) => Some(block.key_len()),
        _ => None,
    }
}

impl AeadKey {
    /// A key of [`key_len`] bytes.
    #[must_use]
    pub fn new(bulk: Bulk, key: &[u8]) -> Option<Self> {
        let whole = |algorithm| Some(Self::Whole(aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?)));
        match bulk {
            Bulk::Aes128Gcm => whole(&aead::AES_128_GCM),
            Bulk::Aes256Gcm => whole(&aead::AES_256_GCM),
            Bulk::Chacha20Poly1305 => whole(&aead::CHACHA20_POLY1305),
            Bulk::Aes128Ccm(tag_len) | Bulk::Aes256Ccm(tag_len) => {
                let algorithm = if matches!(bulk, Bulk::Aes128Ccm(_)) { &AES_128 } else { &AES_256 };
                let unbound = || UnboundCipherKey::new(algorithm, key).ok();
                Some(Self::Ccm(Box::new(CcmKey {
                    counter: DecryptingKey::ctr(unbound()?).ok()?,
                    mac: EncryptingKey::cbc(unbound()?).ok()?,
                    tag_len: usize::from(tag_len),
                })))
            }
            Bulk::BlockGcm(block) => Some(Self::Wide(Box::new(WideKey::new(block, Mode::Gcm, key)?))),
            Bulk::BlockCcm(block) => Some(Self::Wide(Box::new(WideKey::new(block, Mode::Ccm, key)?))),
            _ => None,
        }
    }

    /// Bytes of the tag after the ciphertext.
    #[must_use]
    pub fn tag_len(&self) -> usize {
        match self {
            Self::Whole(_) | Self::Wide(_) => 16,
            Self::Ccm(key) => key.tag_len,
        }
    }

    /// Opens ciphertext and tag into the beginning of `out` and says how much it is; none where the key is wrong.
    #[must_use]
    pub fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let (text, tag) = sealed.split_at_checked(sealed.len().checked_sub(self.tag_len())?)?;
        let out = out.get_mut(..text.len())?;
        match self {
            Self::Whole(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, aead::Aad::from(aad), text, tag, out).ok()?;
            }
            Self::Wide(key) => key.open(nonce, aad, text, tag, out)?,
            Self::Ccm(key) => {
                let CcmKey { counter, mac, tag_len } = &**key;
                out.copy_from_slice(text);
                counter.decrypt(out, counter_block(nonce, 1)).ok()?;
                let mut expected = ccm_mac(mac, nonce, aad, out, *tag_len)?;
                counter.decrypt(&mut expected, counter_block(nonce, 0)).ok()?;
                if expected.get(..*tag_len)? != tag {
                    return None;
                }
            }
        }
        Some(text.len())
    }
}

/// The counter block A_i of RFC 3610 §2.3.
fn counter_block(nonce: [u8; NONCE_LEN], counter: u8) -> DecryptionContext {
    let mut block = [0; BLOCK];
    for (slot, byte) in block.iter_mut().skip(1).zip(nonce) {
        *slot = byte;
    }
    block[0] = 2;
    block[BLOCK - 1] = counter;
    DecryptionContext::Iv128((&block).into())
}

/// The CBC-MAC of RFC 3610 §2.2, not yet encrypted.
fn ccm_mac(
    mac: &EncryptingKey,
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    text: &[u8],
    tag_len: usize,
) -> Option<[u8; BLOCK]> {
    let flags = 0x40 | u8::try_from((tag_len - 2) / 2).ok()? << 3 | 2;
    let [_, len @ ..] = u32::try_from(text.len()).ok()?.to_be_bytes();
    let aad_len = u16::try_from(aad.len()).ok()?.to_be_bytes();
    let mut blocks = Vec::with_capacity(text.len() + 4 * BLOCK);
    blocks.push(flags);
    blocks.extend_from_slice(&nonce);
    blocks.extend_from_slice(&len);
    blocks.extend_from_slice(&aad_len);
    blocks.extend_from_slice(aad);
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    blocks.extend_from_slice(text);
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    mac.less_safe_encrypt(&mut blocks, EncryptionContext::Iv128((&[0; BLOCK]).into())).ok()?;
    blocks.last_chunk::<BLOCK>().copied()
}

#[cfg(test)]
mod tests {
    use super::AeadKey;
    use crate::tls::suite::Bulk;

    #[test]
    fn ccm_opens_what_ccm_sealed() {
        // NIST SP 800-38C, example 3.
        let key: Vec<u8> = (0x40..0x50).collect();
        let nonce = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b];
        let aad: Vec<u8> = (0..20).collect();
        let sealed = [
            0xe3, 0xb2, 0x01, 0xa9, 0xf5, 0xb7, 0x1a, 0x7a, 0x9b, 0x1c, 0xea, 0xec, 0xcd, 0x97, 0xe7, 0x0b, 0x61, 0x76,
            0xaa, 0xd9, 0xa4, 0x42, 0x8a, 0xa5, 0x48, 0x43, 0x92, 0xfb, 0xc1, 0xb0, 0x99, 0x51,
        ];
        let mut out = [0; 32];
        let key = AeadKey::new(Bulk::Aes128Ccm(8), &key).expect("a key");
        assert_eq!(key.open(nonce, &aad, &sealed, &mut out), Some(24));
        assert_eq!(out[..24].to_vec(), (0x20..0x38).collect::<Vec<u8>>());
        assert_eq!(key.open(nonce, &aad[1..], &sealed, &mut out), None);
    }
}
