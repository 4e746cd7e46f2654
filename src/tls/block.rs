//! Block ciphers beside AES (3DES, DES, Camellia, ARIA, SM4) and the modes TLS runs them in: CBC, GCM and CCM
//! (RFC 5246, RFC 6367, RFC 6209, RFC 8998, NIST SP 800-38C and D). Old and national suites: right before fast.

use aria::cipher::{Block as CipherBlock, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};

/// Bytes of the blocks that GCM and CCM take.
const WIDE: usize = 16;
/// Bytes of a nonce.
const NONCE_LEN: usize = 12;
/// Longest block of any cipher here.
pub(super) const BLOCK_MAX: usize = 16;

/// A block cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// DES (FIPS 46-3), 56 bits.
    Des,
    /// Triple DES with three keys.
    TripleDes,
    /// Camellia (RFC 3713), 128 bits.
    Camellia128,
    /// Camellia, 256 bits.
    Camellia256,
    /// ARIA (RFC 5794), 128 bits.
    Aria128,
    /// ARIA, 256 bits.
    Aria256,
    /// SM4 (GB/T 32907).
    Sm4,
}

impl Block {
    /// Bytes of its key.
    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::Camellia128 | Self::Aria128 | Self::Sm4 => 16,
            Self::Camellia256 | Self::Aria256 => 32,
        }
    }

    /// Bytes of a block.
    pub(super) const fn block_len(self) -> usize {
        match self {
            Self::Des | Self::TripleDes => 8,
            _ => WIDE,
        }
    }

    /// The cipher with a key of [`Self::key_len`] bytes.
    pub(super) fn with_key(self, key: &[u8]) -> Option<Box<dyn BlockCipher>> {
        fn keyed<C>(key: &[u8]) -> Option<Box<dyn BlockCipher>>
        where
            C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + Send + 'static,
        {
            Some(Box::new(Keyed(C::new_from_slice(key).ok()?)))
        }
        match self {
            Self::Des => keyed::<des::Des>(key),
            Self::TripleDes => keyed::<des::TdesEde3>(key),
            Self::Camellia128 => keyed::<camellia::Camellia128>(key),
            Self::Camellia256 => keyed::<camellia::Camellia256>(key),
            Self::Aria128 => keyed::<aria::Aria128>(key),
            Self::Aria256 => keyed::<aria::Aria256>(key),
            Self::Sm4 => keyed::<sm4::Sm4>(key),
        }
    }
}

/// A block cipher with its key; blocks of another length are left as they are.
pub(super) trait BlockCipher: Send {
    fn block_len(&self) -> usize;
    fn encrypt(&self, block: &mut [u8]);
    fn decrypt(&self, block: &mut [u8]);
}

struct Keyed<C>(C);

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser + Send> BlockCipher for Keyed<C> {
    fn block_len(&self) -> usize {
        C::block_size()
    }

    fn encrypt(&self, block: &mut [u8]) {
        if let Ok(block) = <&mut CipherBlock<C>>::try_from(block) {
            self.0.encrypt_block(block);
        }
    }

    fn decrypt(&self, block: &mut [u8]) {
        if let Ok(block) = <&mut CipherBlock<C>>::try_from(block) {
            self.0.decrypt_block(block);
        }
    }
}

/// Decrypts whole blocks in CBC mode.
pub(super) fn cbc_decrypt(cipher: &dyn BlockCipher, vector: &[u8], text: &mut [u8]) {
    let mut before = [0; BLOCK_MAX];
    before.iter_mut().zip(vector).for_each(|(slot, &byte)| *slot = byte);
    for block in text.chunks_exact_mut(cipher.block_len()) {
        let mut sealed = [0; BLOCK_MAX];
        sealed.iter_mut().zip(&*block).for_each(|(slot, &byte)| *slot = byte);
        cipher.decrypt(block);
        block.iter_mut().zip(before).for_each(|(byte, part)| *byte ^= part);
        before = sealed;
    }
}

/// An authenticated mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Gcm,
    Ccm,
}

/// A key of a cipher of 16-byte blocks in an authenticated mode, with tags of 16 bytes.
pub struct WideKey {
    cipher: Box<dyn BlockCipher>,
    mode: Mode,
}

impl WideKey {
    pub(super) fn new(block: Block, mode: Mode, key: &[u8]) -> Option<Self> {
        let cipher = block.with_key(key).filter(|cipher| cipher.block_len() == WIDE)?;
        Some(Self { cipher, mode })
    }

    /// Opens ciphertext and its tag into `out`, which is as long as the text; none where the tag is wrong.
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        text: &[u8],
        tag: &[u8],
        out: &mut [u8],
    ) -> Option<()> {
        out.copy_from_slice(text);
        let (first, mac) = match self.mode {
            Mode::Gcm => (gcm_block(nonce, 2), self.ghash(aad, text)),
            Mode::Ccm => (ccm_block(nonce, 1), [0; WIDE]),
        };
        self.counter_mode(first, out);
        let (mut expected, mac) = match self.mode {
            Mode::Gcm => (gcm_block(nonce, 1), mac),
            Mode::Ccm => (ccm_block(nonce, 0), self.cbc_mac(nonce, aad, out)?),
        };
        self.cipher.encrypt(&mut expected);
        xor(&mut expected, &mac);
        (expected == tag).then_some(())
    }

    /// Mixes the key stream from a counter block on into `text`.
    fn counter_mode(&self, first: [u8; WIDE], text: &mut [u8]) {
        let mut counter = u128::from_be_bytes(first);
        for part in text.chunks_mut(WIDE) {
            let mut stream = counter.to_be_bytes();
            self.cipher.encrypt(&mut stream);
            xor(part, &stream);
            counter = counter.wrapping_add(1);
        }
    }

    /// GHASH of SP 800-38D §6.4.
    fn ghash(&self, aad: &[u8], text: &[u8]) -> [u8; WIDE] {
        let mut key = [0; WIDE];
        self.cipher.encrypt(&mut key);
        let key = u128::from_be_bytes(key);
        let bits = |bytes: &[u8]| (bytes.len() as u128) * 8;
        let lengths = (bits(aad) << 64 | bits(text)).to_be_bytes();
        let parts = aad.chunks(WIDE).chain(text.chunks(WIDE)).chain([&lengths[..]]);
        let hash = parts.fold(0, |hash, part| {
            let mut block = [0; WIDE];
            xor(&mut block, part);
            product(hash ^ u128::from_be_bytes(block), key)
        });
        hash.to_be_bytes()
    }

    /// The CBC-MAC of RFC 3610 §2.2, not yet encrypted.
    fn cbc_mac(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &[u8]) -> Option<[u8; WIDE]> {
        let mut mac = ccm_block(nonce, u32::try_from(text.len()).ok().filter(|&len| len < 1 << 24)?);
        mac[0] |= 0x40 | 7 << 3;
        self.cipher.encrypt(&mut mac);
        let aad_len = u16::try_from(aad.len()).ok()?.to_be_bytes();
        let head = [&aad_len[..], aad].concat();
        for part in head.chunks(WIDE).chain(text.chunks(WIDE)) {
            xor(&mut mac, part);
            self.cipher.encrypt(&mut mac);
        }
        Some(mac)
    }
}

fn xor(into: &mut [u8], part: &[u8]) {
    into.iter_mut().zip(part).for_each(|(byte, part)| *byte ^= part);
}

/// The product in GF(2^128) of SP 800-38D §6.3, where the first bit is the lowest power.
fn product(x: u128, y: u128) -> u128 {
    const REDUCTION: u128 = 0xe1 << 120;
    let (mut sum, mut power) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            sum ^= power;
        }
        power = if power & 1 == 1 { power >> 1 ^ REDUCTION } else { power >> 1 };
    }
    sum
}

/// Nonce and a counter of 32 bits.
fn gcm_block(nonce: [u8; NONCE_LEN], counter: u32) -> [u8; WIDE] {
    let mut block = [0; WIDE];
    xor(&mut block, &nonce);
    xor(&mut block[NONCE_LEN..], &counter.to_be_bytes());
    block
}

/// The size of a counter of 24 bits, less one; nonce and counter.
fn ccm_block(nonce: [u8; NONCE_LEN], counter: u32) -> [u8; WIDE] {
    let mut block = [0; WIDE];
    block[0] = 2;
    xor(&mut block[1..], &nonce);
    xor(&mut block[NONCE_LEN..], &counter.to_be_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::{Block, Mode, WideKey, cbc_decrypt};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn the_examples_of_rfc_8998_are_opened() {
        let key = hex("0123456789abcdeffedcba9876543210");
        let nonce = hex("00001234567800000000abcd").try_into().expect("twelve bytes");
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain: String =
            ["aa", "bb", "cc", "dd", "ee", "ff", "ee", "aa"].iter().map(|byte| byte.repeat(8)).collect();
        for (mode, text, tag) in [
            (
                Mode::Gcm,
                "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
                 d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
                "83de3541e4c2b58177e065a9bf7b62ec",
            ),
            (
                Mode::Ccm,
                "48af93501fa62adbcd414cce6034d895dda1bf8f132f042098661572e7483094\
                 fd12e518ce062c98acee28d95df4416bed31a2f04476c18bb40c84a74b97dc5b",
                "16842d4fa186f56ab33256971fa110f4",
            ),
        ] {
            let sealing = WideKey::new(Block::Sm4, mode, &key).expect("a key");
            let mut out = vec![0; 64];
            assert_eq!(sealing.open(nonce, &aad, &hex(text), &hex(tag), &mut out), Some(()), "{mode:?}");
            assert_eq!(out, hex(&plain));
            assert_eq!(sealing.open(nonce, &aad[1..], &hex(text), &hex(tag), &mut out), None, "{mode:?}");
        }
    }

    #[test]
    fn every_cipher_undoes_its_blocks() {
        for block in [
            Block::Des,
            Block::TripleDes,
            Block::Camellia128,
            Block::Camellia256,
            Block::Aria128,
            Block::Aria256,
            Block::Sm4,
        ] {
            let key: Vec<u8> = (1..).take(block.key_len()).collect();
            let cipher = block.with_key(&key).expect("a key");
            assert_eq!(cipher.block_len(), block.block_len());
            let plain: Vec<u8> = (0..).take(3 * block.block_len()).collect();
            let vector = vec![0x5a; block.block_len()];
            let (mut sealed, mut before) = (plain.clone(), vector.clone());
            for part in sealed.chunks_mut(block.block_len()) {
                super::xor(part, &before);
                cipher.encrypt(part);
                before = part.to_vec();
            }
            assert_ne!(sealed, plain);
            cbc_decrypt(&*cipher, &vector, &mut sealed);
            assert_eq!(sealed, plain, "{block:?}");
            assert!(block.with_key(&key[1..]).is_none());
        }
    }

    #[test]
    fn triple_des_is_that_of_the_standard() {
        // NIST SP 800-67 appendix B.1, first block.
        let cipher =
            Block::TripleDes.with_key(&hex("0123456789abcdef23456789abcdef01456789abcdef0123")).expect("a key");
        let mut block = *b"The qufc";
        cipher.encrypt(&mut block);
        assert_eq!(block.to_vec(), hex("a826fd8ce53b855f"));
    }
}
