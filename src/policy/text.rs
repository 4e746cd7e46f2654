//! The text of a policy under two views: offsets in Unicode scalar values for the contract, and a normalised copy for
//! matching (ASCII lower case, half width, no blanks beside Chinese) with the way back to the original bytes.

use crate::model::Span;
use std::ops::Range;

/// Bytes between two remembered character counts.
const STRIDE: usize = 256;

/// A policy's text with both views.
pub(super) struct Text<'a> {
    /// The input.
    pub(super) raw: &'a str,
    /// The normalised copy.
    pub(super) norm: String,
    /// For each byte of `norm`, and for its end, the byte of `raw` it comes from.
    origin: Vec<u32>,
    /// Characters before each multiple of `STRIDE` bytes of `raw`.
    counts: Vec<u32>,
    /// Open brackets before each byte of `norm`, counted line by line.
    depth: Vec<u8>,
}

impl<'a> Text<'a> {
    /// Both views of `raw`. Linear in its length.
    pub(super) fn new(raw: &'a str) -> Self {
        let (norm, origin) = normalise(raw);
        let mut counts = Vec::with_capacity(raw.len() / STRIDE + 1);
        let mut chars = 0_u32;
        for (at, byte) in raw.bytes().enumerate() {
            if at % STRIDE == 0 {
                counts.push(chars);
            }
            chars += u32::from(byte & 0xc0 != 0x80);
        }
        counts.push(chars);
        let depth = depths(&norm);
        Self { raw, norm, origin, counts, depth }
    }

    /// Brackets open at `at` that weren't at `from`, both bytes of `norm` in one line.
    pub(super) fn depth(&self, from: usize, at: usize) -> u8 {
        let depth = |at: usize| self.depth.get(at).copied().unwrap_or(0);
        depth(at).saturating_sub(depth(from))
    }

    /// Characters before byte `at` of the input.
    fn chars_before(&self, at: usize) -> usize {
        let at = at.min(self.raw.len());
        let block = (at / STRIDE).min(self.counts.len() - 1);
        let from = block * STRIDE;
        let rest = self.raw.as_bytes()[from.min(at)..at].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        // A last, shorter block has its count pushed as the total; counting on from its start stays right because
        // `from` is then a multiple of the stride whose own count was pushed first.
        self.counts[block] as usize + rest
    }

    /// The contract's span of a byte range of the input.
    pub(super) fn span(&self, bytes: Range<usize>) -> Span {
        Span(self.chars_before(bytes.start), self.chars_before(bytes.end))
    }

    /// The input's bytes a range of `norm` comes from.
    pub(super) fn raw_range(&self, norm: Range<usize>) -> Range<usize> {
        let start = self.origin[norm.start] as usize;
        if norm.is_empty() {
            return start..start;
        }
        // The end is the end of the last character, not the start of the next kept one: blanks in between stay out.
        let last = self.norm[norm.clone()].chars().next_back().map_or(1, char::len_utf8);
        let last_start = self.origin[norm.end - last] as usize;
        let width = self.raw[last_start..].chars().next().map_or(0, char::len_utf8);
        start..(last_start + width).max(start)
    }

    /// Whether blanks stood in the input between the character of `norm` at `before` and the next one at `at`.
    pub(super) fn gap_before(&self, before: usize, at: usize) -> bool {
        self.raw_range(before..at).end < self.origin[at] as usize
    }

    /// The input's words a range of `norm` comes from.
    pub(super) fn raw_str(&self, norm: Range<usize>) -> &'a str {
        &self.raw[self.raw_range(norm)]
    }
}

/// Whether a character only separates words.
fn is_blank(c: char) -> bool {
    (c.is_whitespace() && c != '\n') || matches!(c, '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{ad}')
}

/// Half width and ASCII lower case.
fn fold(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).map_or(c, |half| half.to_ascii_lowercase()),
        _ => c.to_ascii_lowercase(),
    }
}

/// The normalised copy with the origin of each byte.
fn normalise(raw: &str) -> (String, Vec<u32>) {
    let mut norm = String::with_capacity(raw.len());
    let mut origin = Vec::with_capacity(raw.len() + 1);
    // Where blanks began that may turn into one, once the next character is known.
    let mut gap: Option<usize> = None;
    for (at, c) in raw.char_indices() {
        let joins = matches!(c, '_' | '-') && norm.ends_with(|p: char| p.is_ascii_alphanumeric());
        if is_blank(c) || joins || c == '*' || c == '\r' {
            if gap.is_none() {
                gap = Some(at);
            }
            continue;
        }
        let c = fold(c);
        if let Some(from) = gap.take()
            && c.is_ascii_alphanumeric()
            && norm.ends_with(|p: char| p.is_ascii_alphanumeric())
        {
            norm.push(' ');
            origin.push(u32::try_from(from).unwrap_or(u32::MAX));
        }
        norm.push(c);
        for _ in 0..c.len_utf8() {
            origin.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }
    origin.push(u32::try_from(raw.len()).unwrap_or(u32::MAX));
    (norm, origin)
}

/// Open brackets before each byte.
fn depths(norm: &str) -> Vec<u8> {
    let mut open = 0_u8;
    norm.bytes()
        .map(|byte| {
            let before = open;
            match byte {
                b'(' => open = open.saturating_add(1),
                b')' => open = open.saturating_sub(1),
                b'\n' => open = 0,
                _ => {}
            }
            before
        })
        .collect()
}

/// A term as it stands in normalised text.
pub(super) fn normalise_term(term: &str) -> String {
    normalise(term.trim()).0
}

#[cfg(test)]
mod tests {
    use super::{Text, normalise_term};
    use crate::model::Span;

    #[test]
    fn spellings_of_a_term_meet() {
        assert_eq!(normalise_term("Android   ID"), "android id");
        assert_eq!(normalise_term("Android_ID"), "android id");
        assert_eq!(normalise_term("ＩＰ 地址"), "ip地址");
        assert_eq!(normalise_term("Wi-Fi状态"), "wi fi状态");
    }

    #[test]
    fn spans_count_characters_however_long_the_text() {
        let raw = "我们a".repeat(500);
        let text = Text::new(&raw);
        assert_eq!(text.span(0..raw.len()), Span(0, 1500));
        for n in [1, 85, 86, 255, 256, 499] {
            assert_eq!(text.span(n * 7..n * 7 + 3), Span(n * 3, n * 3 + 1));
        }
    }

    #[test]
    fn a_match_leads_back_to_the_words_of_the_text() {
        let text = Text::new("收集 Android   ID 与 IP 地址。");
        let at = text.norm.find("android id").unwrap();
        assert_eq!(text.raw_str(at..at + 10), "Android   ID");
        let at = text.norm.find("ip地址").unwrap();
        assert_eq!(text.raw_str(at..at + "ip地址".len()), "IP 地址");
    }
}
