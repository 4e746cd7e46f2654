//! base64 and base64url (RFC 4648 §4, §5), padded or not, wrapped in lines or not, as a whole value, if what it
//! holds is believable: text, something compressed, or a protocol buffer.

use super::shape::{Input, is_compressed, is_text, may_be_data};
use super::walker::Walker;
use super::{Decoder, Probe, wire};
use ::base64::Engine;
use ::base64::alphabet::URL_SAFE;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Shortest value that is tried, characters.
const LENGTH_MIN: usize = 8;
/// Characters decoded first to see whether the rest is worth it.
const LOOK: usize = 64;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Base64;

impl Decoder for Base64 {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if input.shape.base64() && input.bytes().len() >= LENGTH_MIN { Probe::Unsure } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        if !promising(input.bytes()) {
            return;
        }
        let Some(text) = normal(input.bytes()) else { return };
        let mut head = [0; LOOK];
        let look = &text[..text.len().min(LOOK)];
        let Ok(length) = ENGINE.decode_slice(look, &mut head) else { return };
        if !believable(&head[..length]) {
            return;
        }
        let data: Cow<'_, [u8]> = if text.len() <= LOOK {
            Cow::Borrowed(&head[..length])
        } else {
            let Ok(data) = ENGINE.decode(&text) else { return };
            Cow::Owned(data)
        };
        if is_compressed(&data) || is_text(&data) || wire::looks_like(&data) {
            walker.step("base64", |walker| walker.decoded(&data, input.kind));
        }
    }
}

/// Values of the characters of both alphabets; 64 for all others.
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut table = [64u8; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut value = 0u8;
    while value < 64 {
        table[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    table[b'+' as usize] = 62;
    table[b'/' as usize] = 63;
    table
}

/// Whether the first eight characters give bytes worth going on for; undecided where one of them is no digit.
pub(super) fn promising(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first_chunk::<8>() else { return true };
    let values = first.map(|byte| VALUES[usize::from(byte)]);
    if values.iter().any(|&value| value > 63) {
        return true;
    }
    let word = values.iter().fold(0u64, |word, &value| word << 6 | u64::from(value));
    let start = &word.to_be_bytes()[2..];
    may_be_data(start) || wire::may_go_on(start, bytes.len() / 4 * 3 + 3)
}

fn believable(head: &[u8]) -> bool {
    is_compressed(head) || (head.len() >= 5 && is_text(head)) || wire::may_begin(head)
}

/// The value in the URL-safe alphabet without padding and line breaks; none if it can't be base64. A space inside is
/// a `+` that a form reader took for one.
fn normal(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let trimmed = bytes.trim_ascii();
    let end = trimmed.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let body = &trimmed[..end];
    if trimmed.len() - end > 2 || body.contains(&b'=') || body.len() < LENGTH_MIN - 1 {
        return None;
    }
    let plain = body.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let text: Cow<'_, [u8]> = if plain {
        Cow::Borrowed(body)
    } else {
        let translate = |&byte: &u8| match byte {
            b'+' | b' ' => Some(b'-'),
            b'/' => Some(b'_'),
            b'\r' | b'\n' => None,
            other => Some(other),
        };
        Cow::Owned(body.iter().filter_map(translate).collect())
    };
    (text.len() % 4 != 1).then_some(text)
}
