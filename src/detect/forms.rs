//! Everything a spelling of a known value may have been turned into: hashes, hexadecimal, base64 at each alignment,
//! percent-escapes, reversed. The chain of a form says how to undo it, outermost first.

use super::matcher::Needle;
use super::variants::{Boundary, Variant};
use crate::model::Decoding;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeSet;

/// A hash function.
pub(super) struct Hash {
    pub(super) name: &'static str,
    pub(super) digest: fn(&[u8]) -> Vec<u8>,
}

fn digest<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

/// The hash functions whose results are looked for, sorted by name.
pub(super) const HASHES: &[Hash] = &[
    Hash { name: "md5", digest: digest::<Md5> },
    Hash { name: "sha1", digest: digest::<Sha1> },
    Hash { name: "sha256", digest: digest::<Sha256> },
    Hash { name: "sha512", digest: digest::<Sha512> },
];

/// Hashes that are made of the text of an MD5.
const OUTER_HASHES: &[&str] = &["md5", "sha256"];
/// Shortest base64 that is told from chance, characters.
const BASE64_MIN: usize = 8;
/// Shortest text that is looked for as hexadecimal or reversed, bytes.
const TEXT_MIN: usize = 6;

/// Something to look for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) needle: Needle,
    pub(super) boundary: Boundary,
    pub(super) chain: Vec<Decoding>,
}

impl Form {
    fn new(text: impl Into<Vec<u8>>, fold: bool, boundary: Boundary, chain: &[&'static str]) -> Self {
        let needle = Needle { text: text.into().into_boxed_slice(), fold };
        Self { needle, boundary, chain: chain.iter().map(|&name| Decoding(name)).collect() }
    }
}

/// All forms of a spelling.
pub(super) fn forms(variant: &Variant) -> Vec<Form> {
    let text = variant.text.as_str();
    let mut out = vec![Form::new(text.to_ascii_lowercase(), true, variant.boundary, &[])];
    let reversed: String = text.chars().rev().collect();
    if text.len() >= TEXT_MIN && reversed != text && variant.boundary != Boundary::Imei {
        out.push(Form::new(reversed, true, variant.boundary, &["reverse"]));
    }
    escaped(text, &mut out);
    if !variant.derived {
        return out;
    }
    let cased: BTreeSet<String> =
        [text.to_owned(), text.to_ascii_lowercase(), text.to_ascii_uppercase()].into_iter().collect();
    for text in &cased {
        if text.len() >= TEXT_MIN {
            out.push(Form::new(hex(text.as_bytes()), true, Boundary::Any, &["hex"]));
        }
        aligned(text.as_bytes(), &mut out);
        for hash in HASHES {
            hashed(hash, text.as_bytes(), &mut out);
        }
    }
    out
}

/// Percent-escapes, where there is something to escape.
fn escaped(text: &str, out: &mut Vec<Form>) {
    let once = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    if once != text {
        out.push(Form::new(once, true, Boundary::Any, &["percent"]));
    }
}

/// The characters of base64 that depend on `bytes` alone when they stand at each of the three alignments of a blob.
fn aligned(bytes: &[u8], out: &mut Vec<Form>) {
    let forms: BTreeSet<String> = (0..3usize)
        .flat_map(|offset| {
            let padded = [&b"\0\0"[..offset], bytes].concat();
            let first = (offset * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)]
                .map(|text| text.get(first..end).unwrap_or_default().to_owned())
        })
        .filter(|text| text.len() >= BASE64_MIN)
        .collect();
    out.extend(forms.into_iter().map(|text| Form::new(text, false, Boundary::Any, &["base64"])));
}

fn hashed(hash: &Hash, bytes: &[u8], out: &mut Vec<Form>) {
    let digest = (hash.digest)(bytes);
    let text = hex(&digest);
    for encoded in [BASE64_STANDARD_NO_PAD.encode(&digest), BASE64_URL_SAFE_NO_PAD.encode(&digest)] {
        out.push(Form::new(encoded, false, Boundary::Any, &["base64", hash.name]));
    }
    if hash.name == "md5" {
        for half in [&text[8..24], &text[..16]] {
            out.push(Form::new(half, true, Boundary::Hex, &["md5-16"]));
        }
        for outer in HASHES.iter().filter(|outer| OUTER_HASHES.contains(&outer.name)) {
            out.push(Form::new(hex(&(outer.digest)(text.as_bytes())), true, Boundary::Any, &[outer.name, "md5"]));
        }
    }
    out.push(Form::new(text, true, Boundary::Any, &[hash.name]));
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|&byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
