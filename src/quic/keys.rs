//! Traffic secrets to packet keys, and protected packets to their payload: header protection, packet numbers, AEAD
//! (RFC 9001 §5, RFC 9369 §3.3). Which key to try is left to `connection`.

use super::version::{Labels, Version};
use crate::model::KeySource;
use crate::tls::{AeadKey, Bulk, Hash, NONCE_LEN, Suite, aead_key_len, expand_label};
use aws_lc_rs::aead::quic;
use aws_lc_rs::hmac;

/// Bytes of ciphertext from which the mask of the header is made (RFC 9001 §5.4.2).
const SAMPLE_LEN: usize = 16;
/// Longest packet number.
const NUMBER_LEN_MAX: usize = 4;
/// The suite of Initial packets (RFC 9001 §5).
const INITIAL_SUITE: u16 = 0x1301;
/// Length of SHA-256's output.
const INITIAL_SECRET_LEN: usize = 32;

/// Keys of one direction and encryption level.
pub(super) struct Keys {
    pub(super) suite: Suite,
    /// Where the secret came from; none for Initial keys, which everybody can make.
    pub(super) source: Option<KeySource>,
    header: quic::HeaderProtectionKey,
    packet: PacketKey,
}

/// What opens the payload: all that changes with a key update.
pub(super) struct PacketKey {
    suite: Suite,
    labels: Labels,
    aead: AeadKey,
    iv: [u8; NONCE_LEN],
    secret: Vec<u8>,
}

/// A packet whose header protection is off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unmasked {
    /// The first byte in the clear.
    pub(super) first: u8,
    /// Where the payload begins.
    pub(super) payload_at: usize,
    /// The bits of the packet number that were sent.
    pub(super) truncated: u64,
}

impl Unmasked {
    /// The key phase bit of a short header (RFC 9001 §6).
    pub(super) const fn phase(self) -> bool {
        self.first & 0x04 != 0
    }

    /// How many packet numbers the bits sent tell apart.
    pub(super) const fn window(self) -> u64 {
        1 << (8 * ((self.first & 3) as u64 + 1))
    }

    /// The whole packet number, from the largest one seen (RFC 9000 appendix A.3).
    pub(super) const fn number(self, largest: Option<u64>) -> u64 {
        let expected = match largest {
            Some(largest) => largest + 1,
            None => 0,
        };
        let window = self.window();
        let candidate = (expected & !(window - 1)) | self.truncated;
        if candidate + window / 2 <= expected && candidate < (1 << 62) - window {
            candidate + window
        } else if candidate > expected + window / 2 && candidate >= window {
            candidate - window
        } else {
            candidate
        }
    }
}

impl Keys {
    /// Keys of a traffic secret; none where the suite is none of TLS 1.3 or its header protection unknown.
    pub(super) fn new(suite: Suite, labels: Labels, source: Option<KeySource>, secret: &[u8]) -> Option<Self> {
        let algorithm = match suite.bulk {
            Bulk::Aes128Gcm | Bulk::Aes128Ccm(_) => &quic::AES_128,
            Bulk::Aes256Gcm | Bulk::Aes256Ccm(_) => &quic::AES_256,
            Bulk::Chacha20Poly1305 => &quic::CHACHA20,
            _ => return None,
        };
        let mut key = [0; 32];
        let key = key.get_mut(..aead_key_len(suite.bulk)?)?;
        let label: &[u8] = match labels {
            Labels::V1 => b"quic hp",
            Labels::V2 => b"quicv2 hp",
        };
        expand_label(suite.hash, secret, label, key)?;
        let header = quic::HeaderProtectionKey::new(algorithm, key).ok()?;
        Some(Self { suite, source, header, packet: PacketKey::new(suite, labels, secret)? })
    }

    /// Initial keys of the client and of the server, from the first destination connection ID (RFC 9001 §5.2).
    pub(super) fn initial(version: Version, dcid: &[u8]) -> Option<[Self; 2]> {
        let suite = Suite::by_id(INITIAL_SUITE)?;
        let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, version.salt()), dcid);
        let keys = |label: &[u8]| {
            let mut own = [0; INITIAL_SECRET_LEN];
            expand_label(Hash::Sha256, secret.as_ref(), label, &mut own)?;
            Self::new(suite, version.labels(), None, &own)
        };
        Some([keys(b"client in")?, keys(b"server in")?])
    }

    /// Takes the header protection off `packet`; none where it is too short, or where the reserved bits tell that the
    /// key is wrong.
    pub(super) fn unmask(&self, packet: &[u8], number_at: usize) -> Option<Unmasked> {
        let sample = packet.get(number_at + NUMBER_LEN_MAX..)?.get(..SAMPLE_LEN)?;
        let mask = self.header.new_mask(sample).ok()?;
        let first = *packet.first()?;
        let (bits, reserved) = if first & 0x80 != 0 { (0x0f, 0x0c) } else { (0x1f, 0x18) };
        let first = first ^ (mask[0] & bits);
        if first & reserved != 0 {
            return None;
        }
        let number_len = usize::from(first & 3) + 1;
        let mut truncated = 0;
        for (byte, mask) in packet.get(number_at..number_at + number_len)?.iter().zip(mask.iter().skip(1)) {
            truncated = truncated << 8 | u64::from(byte ^ mask);
        }
        Some(Unmasked { first, payload_at: number_at + number_len, truncated })
    }

    /// The key of the payload.
    pub(super) const fn packet(&self) -> &PacketKey {
        &self.packet
    }

    /// Replaces the key of the payload; that of the header stays (RFC 9001 §6).
    pub(super) fn replace(&mut self, packet: PacketKey) -> PacketKey {
        std::mem::replace(&mut self.packet, packet)
    }
}

impl PacketKey {
    fn new(suite: Suite, labels: Labels, secret: &[u8]) -> Option<Self> {
        let (key_label, iv_label): (&[u8], &[u8]) = match labels {
            Labels::V1 => (b"quic key", b"quic iv"),
            Labels::V2 => (b"quicv2 key", b"quicv2 iv"),
        };
        let mut key = [0; 32];
        let key = key.get_mut(..aead_key_len(suite.bulk)?)?;
        let mut iv = [0; NONCE_LEN];
        expand_label(suite.hash, secret, key_label, key)?;
        expand_label(suite.hash, secret, iv_label, &mut iv)?;
        Some(Self { suite, labels, aead: AeadKey::new(suite.bulk, key)?, iv, secret: secret.to_vec() })
    }

    /// The next generation (RFC 9001 §6.1).
    pub(super) fn updated(&self) -> Option<Self> {
        let label: &[u8] = match self.labels {
            Labels::V1 => b"quic ku",
            Labels::V2 => b"quicv2 ku",
        };
        let mut next = vec![0; self.secret.len()];
        expand_label(self.suite.hash, &self.secret, label, &mut next)?;
        Self::new(self.suite, self.labels, &next)
    }

    /// Opens the payload of `packet` into the beginning of `out` and says how much it is; `scratch` is any buffer.
    pub(super) fn open(
        &self,
        packet: &[u8],
        number_at: usize,
        unmasked: Unmasked,
        number: u64,
        scratch: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Option<usize> {
        let (head, sealed) = packet.split_at_checked(unmasked.payload_at)?;
        scratch.clear();
        scratch.extend_from_slice(head);
        *scratch.first_mut()? = unmasked.first;
        let number_field = scratch.get_mut(number_at..)?;
        for (slot, byte) in number_field.iter_mut().rev().zip(unmasked.truncated.to_le_bytes()) {
            *slot = byte;
        }
        let mut nonce = self.iv;
        for (slot, byte) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *slot ^= byte;
        }
        self.aead.open(nonce, scratch, sealed, out)
    }
}

/// Whether the integrity tag of a Retry packet fits the connection ID its answer was sent to (RFC 9001 §5.8); none where
/// the version has no tag.
pub(super) fn retry_is_genuine(version: Version, original_dcid: &[u8], packet: &[u8]) -> Option<bool> {
    let (key, nonce) = version.retry_key()?;
    let (body, tag) = packet.split_at_checked(packet.len().checked_sub(super::packet::RETRY_TAG_LEN)?)?;
    let key = AeadKey::new(Bulk::Aes128Gcm, key)?;
    let pseudo = [&[u8::try_from(original_dcid.len()).ok()?][..], original_dcid, body].concat();
    Some(key.open(*nonce, &pseudo, tag, &mut []).is_some())
}
