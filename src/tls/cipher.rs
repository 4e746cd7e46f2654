//! Opens records: keys of one direction and epoch, and a sequence number, turn a record body into its content
//! (RFC 8446 §5.2, RFC 5288, RFC 7905). Which key and number to try is left to `keyring`.

use super::aead::{self, AeadKey, NONCE_LEN};
use super::block::BLOCK_MAX;
use super::cbc::{self, CbcKey, MacOrder, Vector};
use super::mac::MacKey;
use super::reader::Reader;
use super::record::{HEADER_LEN, RecordHeader};
use super::schedule::{expand_label, prf, ssl3_prf};
use super::stream::{self, StreamKey};
use super::suite::{Bulk, Suite};
use crate::model::KeySource;

/// Bytes of a nonce that GCM and CCM send with each record in TLS 1.2 (RFC 5288 §3).
const EXPLICIT_NONCE_LEN: usize = 8;
const SALT_LEN: usize = 4;
const SSL_3_0: u16 = 0x0300;
const TLS_1_0: u16 = 0x0301;
const TLS_1_2: u16 = 0x0303;

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

/// What TLS 1.2 and before make their keys from, beside the master secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session12<'a> {
    pub(super) version: u16,
    pub(super) suite: Suite,
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
    pub(super) order: MacOrder,
}

enum Kind {
    /// TLS 1.3: the nonce is the iv with the sequence number mixed in; the secret makes the next generation.
    Tls13 { key: AeadKey, iv: [u8; NONCE_LEN], secret: Vec<u8> },
    /// TLS 1.2 GCM and CCM: the nonce is the salt and what the record carries.
    Explicit12 { key: AeadKey, salt: [u8; SALT_LEN] },
    /// TLS 1.2 ChaCha20-Poly1305: the nonce is made as in TLS 1.3.
    Implicit12 { key: AeadKey, iv: [u8; NONCE_LEN] },
    /// TLS 1.0 to 1.2 in CBC mode.
    Cbc(Box<CbcKey>),
    /// TLS 1.0 to 1.2 with RC4 or no cipher.
    Stream(Box<StreamKey>),
}

/// The keys of one direction and epoch.
pub(super) struct Opener {
    suite: Suite,
    source: KeySource,
    kind: Kind,
}

impl Opener {
    /// Keys of a TLS 1.3 traffic secret; none where the suite cannot be opened.
    pub(super) fn tls13(suite: Suite, source: KeySource, secret: &[u8]) -> Option<Self> {
        let mut key = [0; 32];
        let key = key.get_mut(..aead::key_len(suite.bulk)?)?;
        let mut iv = [0; NONCE_LEN];
        expand_label(suite.hash, secret, b"key", key)?;
        expand_label(suite.hash, secret, b"iv", &mut iv)?;
        let kind = Kind::Tls13 { key: AeadKey::new(suite.bulk, key)?, iv, secret: secret.to_vec() };
        Some(Self { suite, source, kind })
    }

    /// Keys of a master secret of SSL 3.0 to TLS 1.2; none where the suite cannot be opened.
    pub(super) fn tls12(session: Session12<'_>, role: Role, source: KeySource, master: &[u8]) -> Option<Self> {
        let Session12 { version, suite, .. } = session;
        let (aead, cbc) = (suite.bulk.is_aead(), cbc::key_len(suite.bulk).is_some());
        let key_len = key_len(suite.bulk)?;
        let (mac_len, iv_len) = match suite.bulk {
            Bulk::Chacha20Poly1305 => (0, NONCE_LEN),
            _ if aead => (0, SALT_LEN),
            _ => (suite.hash.output_len(), if cbc && version <= TLS_1_0 { cbc::block_len(suite.bulk) } else { 0 }),
        };
        let len = 2 * (mac_len + key_len + iv_len);
        let hash = (version == TLS_1_2).then(|| suite.prf12());
        let block = match version {
            SSL_3_0 => ssl3_prf(master, [session.server_random, session.client_random], len),
            _ => prf(hash, master, b"key expansion", &[session.server_random, session.client_random], len)?,
        };
        let mut block = Reader::new(&block);
        let mut part = |len: usize| {
            let (client, server) = (block.take(len)?, block.take(len)?);
            Some(match role {
                Role::Client => client,
                Role::Server => server,
            })
        };
        let (mac_key, key, iv) = (part(mac_len)?, part(key_len)?, part(iv_len)?);
        let mac = || match version {
            SSL_3_0 => MacKey::ssl3(suite.hash, mac_key),
            _ => MacKey::new(suite.hash, mac_key),
        };
        let kind = match suite.bulk {
            Bulk::Chacha20Poly1305 => Kind::Implicit12 { key: AeadKey::new(suite.bulk, key)?, iv: iv.try_into().ok()? },
            _ if aead => Kind::Explicit12 { key: AeadKey::new(suite.bulk, key)?, salt: iv.try_into().ok()? },
            _ if !cbc => Kind::Stream(Box::new(StreamKey::new(key, mac()))),
            _ => {
                let mut first = [0; BLOCK_MAX];
                first.iter_mut().zip(iv).for_each(|(slot, &byte)| *slot = byte);
                let vector = if iv.is_empty() { Vector::Explicit } else { Vector::Chained(first) };
                Kind::Cbc(Box::new(CbcKey::new(suite.bulk, key, mac(), session.order, vector)?))
            }
        };
        Some(Self { suite, source, kind })
    }

    /// Whether a suite can be opened at all.
    pub(super) fn supports(suite: Suite) -> bool {
        key_len(suite.bulk).is_some()
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

    /// Bytes a record body has more than its content; an estimate where there is padding.
    pub(super) fn overhead(&self) -> usize {
        match &self.kind {
            Kind::Tls13 { key, .. } => key.tag_len() + 1,
            Kind::Explicit12 { key, .. } => key.tag_len() + EXPLICIT_NONCE_LEN,
            Kind::Implicit12 { key, .. } => key.tag_len(),
            Kind::Cbc(key) => key.overhead(),
            Kind::Stream(key) => key.overhead(),
        }
    }

    /// The nonce a record carries, as a number; most senders count it up with the sequence number.
    pub(super) fn explicit_nonce(&self, body: &[u8]) -> Option<u64> {
        let Kind::Explicit12 { .. } = self.kind else { return None };
        body.first_chunk::<EXPLICIT_NONCE_LEN>().map(|nonce| u64::from_be_bytes(*nonce))
    }

    /// A record went by, opened or not.
    pub(super) fn passed(&self, body: &[u8]) {
        match &self.kind {
            Kind::Cbc(key) => key.passed(body),
            Kind::Stream(key) => key.passed(body),
            Kind::Tls13 { .. } | Kind::Explicit12 { .. } | Kind::Implicit12 { .. } => {}
        }
    }

    /// Opens a record into the beginning of `out`, which must be as long as `body`. None where the key or the number is wrong.
    pub(super) fn open(&self, seq: u64, header: RecordHeader, body: &[u8], out: &mut [u8]) -> Option<Opened> {
        let len = match &self.kind {
            Kind::Tls13 { key, iv, .. } => {
                let len = key.open(mixed_nonce(iv, seq), &header.bytes(), body, out)?;
                // The content type is the last byte that is not zero padding (RFC 8446 §5.4).
                let content = out.get(..len)?;
                let last = content.iter().rposition(|&byte| byte != 0)?;
                return Some(Opened { kind: *content.get(last)?, len: last });
            }
            Kind::Explicit12 { key, salt } => {
                let (explicit, sealed) = body.split_at_checked(EXPLICIT_NONCE_LEN)?;
                let mut nonce = [0; NONCE_LEN];
                nonce.first_chunk_mut::<SALT_LEN>()?.copy_from_slice(salt);
                nonce.last_chunk_mut::<EXPLICIT_NONCE_LEN>()?.copy_from_slice(explicit);
                let aad = aad12(seq, header, sealed.len().checked_sub(key.tag_len())?)?;
                key.open(nonce, &aad, sealed, out)?
            }
            Kind::Implicit12 { key, iv } => {
                let aad = aad12(seq, header, body.len().checked_sub(key.tag_len())?)?;
                key.open(mixed_nonce(iv, seq), &aad, body, out)?
            }
            Kind::Cbc(key) => key.open(seq, header, body, out)?,
            Kind::Stream(key) => key.open(seq, header, body, out)?,
        };
        Some(Opened { kind: header.kind, len })
    }
}

fn key_len(bulk: Bulk) -> Option<usize> {
    aead::key_len(bulk).or_else(|| cbc::key_len(bulk)).or_else(|| stream::key_len(bulk))
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
