//! Key schedules: secrets of a key log to record keys (RFC 8446 §7, RFC 5246 §6.3). `expand_label` serves QUIC too.

use super::suite::Hash;
use aws_lc_rs::{digest, hkdf, hmac, tls_prf};
use md5::{Digest, Md5};
use sm3::Sm3;

/// Longest output of [`expand_label`] asked for here or by QUIC: a SHA-384 secret.
pub const EXPAND_MAX: usize = 48;

/// What every label of TLS 1.3 begins with.
const PREFIX: &[u8] = b"tls13 ";

struct OutputLen(usize);

impl hkdf::KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1): fills `out` from `secret`. The label goes without `tls13 `.
/// None where `hash` is none of TLS 1.3, or `secret` or `out` is longer than it allows.
pub fn expand_label(hash: Hash, secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    let algorithm = match hash {
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
        Hash::Sm3 => return expand_label_sm3(secret, label, out),
        Hash::Md5 | Hash::Sha1 => return None,
    };
    if secret.len() > EXPAND_MAX || out.len() > EXPAND_MAX {
        return None;
    }
    let out_len = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_len = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let prk = hkdf::Prk::new_less_safe(algorithm, secret);
    let info = [&out_len[..], &label_len, PREFIX, label, &[0]];
    prk.expand(&info, OutputLen(out.len())).ok()?.fill(out).ok()
}

/// The same with SM3, for outputs of at most one digest, as all of TLS 1.3 are (RFC 5869 §2.3).
fn expand_label_sm3(secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    let out_len = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_len = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let bytes = hmac_of::<Sm3>(secret, &[&out_len, &label_len, PREFIX, label, &[0, 1]]);
    out.copy_from_slice(bytes.get(..out.len())?);
    Some(())
}

/// The pseudo-random function over a secret, a label and seeds: of TLS 1.2 with its hash (RFC 5246 §5), without
/// one that of TLS 1.0 and 1.1 (RFC 2246 §5).
pub(super) fn prf(hash: Option<Hash>, secret: &[u8], label: &[u8], seeds: &[&[u8]], len: usize) -> Option<Vec<u8>> {
    let seeds = seeds.concat();
    let algorithm = match hash {
        Some(Hash::Sha384) => &tls_prf::P_SHA384,
        Some(_) => &tls_prf::P_SHA256,
        None => {
            let seed = [label, &seeds].concat();
            let half = secret.len().div_ceil(2);
            let mut out = vec![0; len];
            xor_p_hash(hmac_md5, secret.get(..half)?, &seed, &mut out);
            xor_p_hash(hmac_sha1, secret.get(secret.len() - half..)?, &seed, &mut out);
            return Some(out);
        }
    };
    let secret = tls_prf::Secret::new(algorithm, secret).ok()?;
    Some(secret.derive(label, &seeds, len).ok()?.as_ref().to_vec())
}

/// The key derivation of SSL 3.0 (RFC 6101 §6.1 and §6.2.2): MD5 over a secret and a SHA-1 that begins with `A`, `BB` …
pub(super) fn ssl3_prf(secret: &[u8], seeds: [&[u8; 32]; 2], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 16);
    for (letter, count) in (b'A'..=b'Z').zip(1..) {
        if out.len() >= len {
            break;
        }
        let mut inner = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        [&[letter].repeat(count)[..], secret, seeds[0], seeds[1]].into_iter().for_each(|part| inner.update(part));
        out.extend_from_slice(&Md5::new_with_prefix(secret).chain_update(inner.finish()).finalize());
    }
    out.truncate(len);
    out
}

/// Mixes P_hash of RFC 2246 §5 into `out`.
fn xor_p_hash(hmac: fn(&[u8], &[&[u8]]) -> Vec<u8>, secret: &[u8], seed: &[u8], out: &mut [u8]) {
    let mut a = hmac(secret, &[seed]);
    let mut rest = out;
    while !rest.is_empty() {
        let bytes = hmac(secret, &[&a, seed]);
        let (part, after) = rest.split_at_mut(bytes.len().min(rest.len()));
        for (slot, byte) in part.iter_mut().zip(bytes) {
            *slot ^= byte;
        }
        rest = after;
        a = hmac(secret, &[&a]);
    }
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

/// HMAC-MD5 (RFC 2104) of a key of at most a block.
pub(super) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac_of::<Md5>(key, parts)
}

/// HMAC of a hash with blocks of 64 bytes and a key of at most a block.
pub(super) fn hmac_of<D: Digest>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(slot, byte)| *slot ^= byte);
        block
    };
    let mut inner = D::new_with_prefix(pad(0x36));
    parts.iter().for_each(|part| inner.update(part));
    D::new_with_prefix(pad(0x5c)).chain_update(inner.finalize()).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{expand_label, ssl3_prf};
    use crate::tls::suite::Hash;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn keys_of_ssl_3_are_md5_over_sha_1() {
        let bytes = ssl3_prf(&[7; 48], [&[1; 32], &[2; 32]], 40);
        assert_eq!(bytes, hex("4516c1927d98a152f7aff20e04b8fec357cccfe9d026b38bf74733a1dd22e36b5f25a5da5c511ff8"));
    }

    #[test]
    fn the_keys_of_rfc_8448_come_out() {
        // RFC 8448 §3: server handshake traffic secret, its key and iv.
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(Hash::Sha256, &secret, b"key", &mut key).expect("a key");
        expand_label(Hash::Sha256, &secret, b"iv", &mut iv).expect("an iv");
        assert_eq!(key.to_vec(), hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv.to_vec(), hex("5d313eb2671276ee13000b30"));
    }
}
