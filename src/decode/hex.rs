//! Text, or something compressed, written as hexadecimal digits.

use super::shape::{Input, is_compressed, is_text};
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
        let head: Option<Vec<u8>> = undo(&input.bytes()[..LENGTH_MIN]);
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

fn undo(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}
