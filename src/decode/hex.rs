//! Text, or something compressed, written as hexadecimal digits.

use super::shape::{Input, is_compressed, is_text, may_be_data};
use super::walker::Walker;
use super::{Decoder, Probe};

/// Fewest digits that are tried.
const LENGTH_MIN: usize = 12;

pub(super) struct Hex;

impl Decoder for Hex {
    fn probe(&self, input: &Input<'_>) -> Probe {
        let length = input.bytes().len();
        if input.shape.hex() && length >= LENGTH_MIN && length.is_multiple_of(2) { Probe::Unsure } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        if !promising(input.bytes()) {
            return;
        }
        let head = undo(&input.bytes()[..LENGTH_MIN]);
        if !head.is_some_and(|head| is_compressed(&[&head[..], &[0; 16]].concat()) || is_text(&head)) {
            return;
        }
        if let Some(data) = undo(input.bytes())
            && (is_text(&data) || is_compressed(&data))
        {
            walker.step("hex", |walker| walker.decoded(&data, input.kind));
        }
    }
}

/// Whether the first six digits give bytes worth going on for.
pub(super) fn promising(digits: &[u8]) -> bool {
    let mut start = [0u8; 3];
    for (byte, pair) in start.iter_mut().zip(digits.chunks_exact(2)) {
        match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return false,
        }
    }
    may_be_data(&start)
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn undo(digits: &[u8]) -> Option<Vec<u8>> {
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}
