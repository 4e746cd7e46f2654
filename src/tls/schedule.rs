//! Key schedules: secrets of a key log to record keys (RFC 8446 §7, RFC 5246 §6.3). `expand_label` serves QUIC too.

use super::suite::Hash;
use aws_lc_rs::{hkdf, tls_prf};

/// Longest output of [`expand_label`] asked for here or by QUIC: a SHA-384 secret.
pub const EXPAND_MAX: usize = 48;

struct OutputLen(usize);

impl hkdf::KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1): fills `out` from `secret`. The label goes without `tls13 `.
/// None where `hash` is none of TLS 1.3, or `secret` or `out` is longer than it allows.
pub fn expand_label(hash: Hash, secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    const PREFIX: &[u8] = b"tls13 ";
    let algorithm = match hash {
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
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

/// The key block of TLS 1.2 (RFC 5246 §6.3): `len` bytes of the pseudo-random function over the master secret.
pub(super) fn key_block12(
    hash: Hash,
    master: &[u8],
    server_random: &[u8; 32],
    client_random: &[u8; 32],
    len: usize,
) -> Option<Vec<u8>> {
    let algorithm = match hash {
        Hash::Sha384 => &tls_prf::P_SHA384,
        _ => &tls_prf::P_SHA256,
    };
    let secret = tls_prf::Secret::new(algorithm, master).ok()?;
    let block = secret.derive_with_seed_concatination(b"key expansion", server_random, client_random, len).ok()?;
    Some(block.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::expand_label;
    use crate::tls::suite::Hash;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hex")).collect()
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
