//! Opens records: keys of one direction and epoch, and a sequence number, turn a record body into its content
//! (RFC 8446 §5.2, RFC 5288, RFC 7905). Which key and number to try is left to `keyring`.

use super::record::{HEADER_LEN, RecordHeader};
use super::schedule::{expand_label, key_block12};
use super::suite::{Bulk, Suite};
use crate::model::KeySource;
use aws_lc_rs::aead;

const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;
/// Bytes of a nonce that GCM sends with each record in TLS 1.2 (RFC 5288 §3).
const EXPLICIT_NONCE_LEN: usize = 8;
const SALT_LEN: usize = 4;

/// A record that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opened {
    /// Its content type, the inner one where there are two.
    pub(super) kind: u8,
    /// Length of its content.
    pub(super) len: usize,
}

/// Whose records a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Those the client sends.
    Client,
    /// Those the server sends.
    Server,
}

/// What TLS 1.2 and before make their keys from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session12<'a> {
    pub(super) suite: Suite,
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
}

enum Kind {
    /// TLS 1.3: the nonce is the iv with the sequence number mixed in; the secret makes the next generation.
    Tls13 { iv: [u8; NONCE_LEN], secret: Vec<u8> },
    /// TLS 1.2 GCM: the nonce is the salt and what the record carries.
    Explicit12 { salt: [u8; SALT_LEN] },
    /// TLS 1.2 ChaCha20-Poly1305: the nonce is made as in TLS 1.3.
    Implicit12 { iv: [u8; NONCE_LEN] },
}

/// The keys of one direction and epoch.
pub(super) struct Opener {
    suite: Suite,
    source: KeySource,
    key: aead::LessSafeKey,
    kind: Kind,
}

impl Opener {
    /// Keys of a TLS 1.3 traffic secret; none where the suite cannot be opened.
    pub(super) fn tls13(suite: Suite, source: KeySource, secret: &[u8]) -> Option<Self> {
        let algorithm = algorithm(suite.bulk)?;
        let mut key = [0; 32];
        let key = key.get_mut(..algorithm.key_len())?;
        let mut iv = [0; NONCE_LEN];
        expand_label(suite.hash, secret, b"key", key)?;
        expand_label(suite.hash, secret, b"iv", &mut iv)?;
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?);
        Some(Self { suite, source, key, kind: Kind::Tls13 { iv, secret: secret.to_vec() } })
    }

    /// Keys of a TLS 1.2 master secret; none where the suite cannot be opened.
    pub(super) fn tls12(session: Session12<'_>, role: Role, source: KeySource, master: &[u8]) -> Option<Self> {
        let suite = session.suite;
        let algorithm = algorithm(suite.bulk)?;
        let key_len = algorithm.key_len();
        let iv_len = if suite.bulk == Bulk::Chacha20Poly1305 { NONCE_LEN } else { SALT_LEN };
        let block_len = 2 * (key_len + iv_len);
        let block = key_block12(suite.prf12(), master, session.server_random, session.client_random, block_len)?;
        let (keys, ivs) = block.split_at_checked(2 * key_len)?;
        let which = match role {
            Role::Client => 0,
            Role::Server => 1,
        };
        let key = keys.chunks_exact(key_len).nth(which)?;
        let iv = ivs.chunks_exact(iv_len).nth(which)?;
        let kind = match suite.bulk {
            Bulk::Chacha20Poly1305 => Kind::Implicit12 { iv: iv.try_into().ok()? },
            _ => Kind::Explicit12 { salt: iv.try_into().ok()? },
        };
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?);
        Some(Self { suite, source, key, kind })
    }

    /// Whether a suite can be opened at all.
    pub(super) fn supports(suite: Suite) -> bool {
        algorithm(suite.bulk).is_some()
    }

    /// The next generation of a TLS 1.3 key (RFC 8446 §7.2); none before TLS 1.3.
    pub(super) fn updated(&self) -> Option<Self> {
        let Kind::Tls13 { secret, .. } = &self.kind else { return None };
        let mut next = vec![0; secret.len()];
        expand_label(self.suite.hash, secret, b"traffic upd", &mut next)?;
        Self::tls13(self.suite, self.source, &next)
    }

    pub(super) const fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) const fn source(&self) -> KeySource {
        self.source
    }

    /// Bytes a record body has more than its content.
    pub(super) const fn overhead(&self) -> usize {
        match self.kind {
            Kind::Tls13 { .. } => TAG_LEN + 1,
            Kind::Explicit12 { .. } => TAG_LEN + EXPLICIT_NONCE_LEN,
            Kind::Implicit12 { .. } => TAG_LEN,
        }
    }

    /// The nonce a record carries, as a number; most senders count it up with the sequence number.
    pub(super) fn explicit_nonce(&self, body: &[u8]) -> Option<u64> {
        let Kind::Explicit12 { .. } = self.kind else { return None };
        body.first_chunk::<EXPLICIT_NONCE_LEN>().map(|nonce| u64::from_be_bytes(*nonce))
    }

    /// Opens a record into the beginning of `out`, which must be as long as `body`. None where the key or the number is wrong.
    pub(super) fn open(&self, seq: u64, header: RecordHeader, body: &[u8], out: &mut [u8]) -> Option<Opened> {
        match &self.kind {
            Kind::Tls13 { iv, .. } => {
                let len = self.gather(mixed_nonce(iv, seq), &header.bytes(), body, out)?;
                // The content type is the last byte that is not zero padding (RFC 8446 §5.4).
                let content = out.get(..len)?;
                let last = content.iter().rposition(|&byte| byte != 0)?;
                Some(Opened { kind: *content.get(last)?, len: last })
            }
            Kind::Explicit12 { salt } => {
                let (explicit, sealed) = body.split_at_checked(EXPLICIT_NONCE_LEN)?;
                let mut nonce = [0; NONCE_LEN];
                nonce.first_chunk_mut::<SALT_LEN>()?.copy_from_slice(salt);
                nonce.last_chunk_mut::<EXPLICIT_NONCE_LEN>()?.copy_from_slice(explicit);
                let aad = aad12(seq, header, sealed.len().checked_sub(TAG_LEN)?)?;
                let len = self.gather(nonce, &aad, sealed, out)?;
                Some(Opened { kind: header.kind, len })
            }
            Kind::Implicit12 { iv } => {
                let aad = aad12(seq, header, body.len().checked_sub(TAG_LEN)?)?;
                let len = self.gather(mixed_nonce(iv, seq), &aad, body, out)?;
                Some(Opened { kind: header.kind, len })
            }
        }
    }

    fn gather(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let (text, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_LEN)?)?;
        let out = out.get_mut(..text.len())?;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.key.open_separate_gather(nonce, aead::Aad::from(aad), text, tag, out).ok()?;
        Some(text.len())
    }
}

fn algorithm(bulk: Bulk) -> Option<&'static aead::Algorithm> {
    match bulk {
        Bulk::Aes128Gcm => Some(&aead::AES_128_GCM),
        Bulk::Aes256Gcm => Some(&aead::AES_256_GCM),
        Bulk::Chacha20Poly1305 => Some(&aead::CHACHA20_POLY1305),
        Bulk::Aes128Cbc | Bulk::Aes256Cbc | Bulk::Aes128Ccm(_) | Bulk::Aes256Ccm(_) | Bulk::Unsupported => None,
    }
}

/// The nonce of RFC 8446 §5.3.
fn mixed_nonce(iv: &[u8; NONCE_LEN], seq: u64) -> [u8; NONCE_LEN] {
    let mut nonce = *iv;
    for (byte, part) in nonce.iter_mut().rev().zip(seq.to_le_bytes()) {
        *byte ^= part;
    }
    nonce
}

/// What TLS 1.2 authenticates beside the text (RFC 5246 §6.2.3.3).
fn aad12(seq: u64, header: RecordHeader, text_len: usize) -> Option<[u8; 8 + HEADER_LEN]> {
    let len = u16::try_from(text_len).ok()?;
    let mut aad = [0; 8 + HEADER_LEN];
    aad.first_chunk_mut::<8>()?.copy_from_slice(&seq.to_be_bytes());
    aad.last_chunk_mut::<HEADER_LEN>()?.copy_from_slice(&RecordHeader { len, ..header }.bytes());
    Some(aad)
}
