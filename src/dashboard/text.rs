//! Text for a terminal: makes captured text harmless, and measures, cuts and wraps it by columns rather than bytes,
//! so that Chinese (two columns a character) lines up. Knows nothing of what the text says.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A run of text in one style.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The text; `\n` ends a line.
    pub(crate) text: String,
    /// How it looks.
    pub(crate) style: Style,
}

/// A run of text; characters that act on a terminal become visible escapes.
pub(crate) fn piece(text: &str, style: Style) -> Piece {
    Piece { text: visible_lines(text), style }
}

/// One line of text in which every control, bidirectional and invisible character is a visible escape.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        push_visible(&mut out, c);
    }
    Cow::Owned(out)
}

/// As [`visible`], but line ends stay and tabs become spaces.
pub(crate) fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\t' => out.push_str("  "),
            c => push_visible(&mut out, c),
        }
    }
    out
}

fn push_visible(out: &mut String, c: char) {
    if is_harmless(c) {
        return out.push(c);
    }
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push_str(&format!("<U+{:04X}>", c as u32)),
    }
}

/// Whether a character only draws itself: no control, no bidirectional formatting, nothing invisible.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(u32::from(c),
            0xAD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// Columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `width` columns; one that was cut ends in `…`.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let text = visible(text);
    if text.width() <= width {
        return text.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        out.push(c);
    }
    if used < width {
        out.push('…');
    }
    out
}

/// The text in exactly `width` columns, from the left.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let mut out = fit(text, width);
    let used = out.width();
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    out
}

/// The text in exactly `width` columns, to the right.
pub(crate) fn pad_left(text: &str, width: usize) -> String {
    let fitted = fit(text, width);
    let mut out = " ".repeat(width.saturating_sub(fitted.width()));
    out.push_str(&fitted);
    out
}

/// The text in at most `width` columns; of one that was cut the end is kept, after `…`.
pub(crate) fn fit_end(text: &str, width: usize) -> String {
    let text = visible(text);
    if text.width() <= width {
        return text.into_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let kept: Vec<char> = text.chars().rev().take_while(fits).collect();
    if width == 0 { String::new() } else { ['…'].into_iter().chain(kept.into_iter().rev()).collect() }
}

/// Where a line may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Breaks {
    /// Between words, and between Chinese characters.
    #[default]
    Words,
    /// Between any two characters, as befits bytes.
    Anywhere,
}

/// Some pieces whose lines after the first are indented.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paragraph {
    /// Where its lines may end.
    pub(crate) breaks: Breaks,
    /// Columns of the indent.
    pub(crate) hang: usize,
    /// The text.
    pub(crate) pieces: Vec<Piece>,
}

/// Wraps paragraphs at `width` columns; where that is too narrow for an indent, without it.
pub(crate) fn wrap_paragraphs(paragraphs: &[Paragraph], width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for paragraph in paragraphs {
        let hang = if paragraph.hang * 3 <= width { paragraph.hang } else { 0 };
        let shape = Shape { width, hang, breaks: paragraph.breaks };
        wrap_shaped(&paragraph.pieces, shape, &mut lines);
    }
    lines
}

/// Wraps pieces at `width` columns: between Chinese characters anywhere, in other text at spaces, and so that no
/// line starts with a closing mark or ends with an opening one where that can be had.
pub(crate) fn wrap(pieces: &[Piece], width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    wrap_shaped(pieces, Shape { width, hang: 0, breaks: Breaks::Words }, &mut lines);
    lines
}

/// What lines are to be like.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    hang: usize,
    breaks: Breaks,
}

fn wrap_shaped(pieces: &[Piece], shape: Shape, lines: &mut Vec<Line<'static>>) {
    let chars: Vec<(char, Style)> =
        pieces.iter().flat_map(|piece| piece.text.chars().map(|c| (c, piece.style))).collect();
    let mut start = 0;
    for end in chars.iter().enumerate().filter(|(_, (c, _))| *c == '\n').map(|(at, _)| at).chain([chars.len()]) {
        wrap_line(&chars[start..end], shape, lines);
        start = end + 1;
    }
}

fn wrap_line(chars: &[(char, Style)], shape: Shape, lines: &mut Vec<Line<'static>>) {
    let Shape { width, hang, breaks } = shape;
    let line_from = |start: usize, end: usize| line_of(if start == 0 { 0 } else { hang }, &chars[start..end]);
    let (mut start, mut used, mut can_break) = (0, 0, None);
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at].0;
        if at > start && (breaks == Breaks::Anywhere || may_break(chars[at - 1].0, c)) {
            can_break = Some(at);
        }
        let columns = c.width().unwrap_or(0);
        if used + columns > width && at > start && (c != ' ' || breaks == Breaks::Anywhere) {
            let end = can_break.unwrap_or(at);
            lines.push(line_from(start, end));
            (start, at, used, can_break) = (end, end, hang, None);
            continue;
        }
        used += columns;
        at += 1;
    }
    lines.push(line_from(start, chars.len()));
}

fn may_break(before: char, after: char) -> bool {
    let wide = |c: char| c.width() == Some(2);
    if before == ' ' {
        return after != ' ';
    }
    (wide(before) || wide(after)) && !closes(after) && !opens(before) && after != ' '
}

fn closes(c: char) -> bool {
    "，。、；：？！）》」』】〉”’…,.;:?!)]}%".contains(c)
}

fn opens(c: char) -> bool {
    "（《「『【〈“‘([{".contains(c)
}

fn line_of(indent: usize, chars: &[(char, Style)]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if indent > 0 {
        spans.push(Span::raw(" ".repeat(indent)));
    }
    for &(c, style) in chars {
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push(c),
            Some(_) | None => spans.push(Span::styled(c.to_string(), style)),
        }
    }
    Line::from(spans)
}

/// A number of things in at most five columns: `999`, `12.3k`, `4.0M`.
pub(crate) fn short_count(count: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if count < 1_000 {
        return count.to_string();
    }
    let (mut tenths, mut unit) = (count / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    if tenths < 1_000 {
        format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{}{}", tenths / 10, UNITS[unit])
    }
}

/// `part` of `whole` in percent, rounded down so that only all of it is 100.
pub(crate) fn percent(part: u64, whole: u64) -> Option<u64> {
    let percent = u128::from(part) * 100 / u128::from((whole > 0).then_some(whole)?);
    u64::try_from(percent.min(100)).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        Breaks, Paragraph, fit, fit_end, pad, percent, piece, short_count, visible, visible_lines, width, wrap,
        wrap_paragraphs,
    };
    use proptest::prelude::*;
    use ratatui::style::Style;

    fn wrapped(text: &str, width: usize) -> Vec<String> {
        wrap(&[piece(text, Style::default())], width).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown_as_an_escape() {
        assert_eq!(visible("a\x1b[31mb\u{202e}c\u{9b}\n"), "a\\x1b[31mb<U+202E>c\\x9b\\n");
        assert_eq!(visible_lines("a\r\n\tb\rc"), "a\n  b\\rc");
        assert_eq!(visible("设备 é"), "设备 é");
    }

    #[test]
    fn a_cut_never_splits_a_wide_character() {
        assert_eq!(fit("设备信息", 5), "设备…");
        assert_eq!(fit("设备信息", 4), "设…");
        assert_eq!(fit("设备信息", 8), "设备信息");
        assert_eq!(fit("设备", 0), "");
        assert_eq!(pad("设备信息", 6), "设备… ");
    }

    #[test]
    fn chinese_wraps_between_characters_and_english_at_spaces() {
        assert_eq!(wrapped("我们收集设备信息", 6), ["我们收", "集设备", "信息"]);
        assert_eq!(wrapped("the quick fox", 10), ["the quick ", "fox"]);
        assert_eq!(wrapped("one\n\ntwo", 10), ["one", "", "two"]);
    }

    #[test]
    fn no_line_starts_with_a_closing_mark() {
        assert_eq!(wrapped("设备信息，位置", 8), ["设备信", "息，位置"]);
        assert_eq!(wrapped("收集（设备）", 6), ["收集", "（设", "备）"]);
    }

    #[test]
    fn a_word_wider_than_the_line_is_broken() {
        assert_eq!(wrapped("861536030196001", 6), ["861536", "030196", "001"]);
    }

    #[test]
    fn the_end_of_a_host_can_be_kept() {
        assert_eq!(fit_end("push.example.com", 12), "…example.com");
        assert_eq!(fit_end("设备信息", 4), "…息");
        assert_eq!(
            (fit_end("ab", 2).as_str(), fit_end("abc", 1).as_str(), fit_end("abc", 0).as_str()),
            ("ab", "…", "")
        );
    }

    #[test]
    fn lines_after_the_first_of_a_paragraph_are_indented() {
        let paragraph =
            Paragraph {
                hang: 3, breaks: Breaks::Words, pieces: vec![piece("id 我们收集设备", Style::default())]
            };
        let lines: Vec<_> = wrap_paragraphs(&[paragraph], 9).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["id 我们收", "   集设备"]);
        let bytes =
            Paragraph { hang: 3, breaks: Breaks::Anywhere, pieces: vec![piece("id {a, bcdefg", Style::default())] };
        let lines: Vec<_> = wrap_paragraphs(&[bytes], 9).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["id {a, bc", "   defg"]);
    }

    #[test]
    fn counts_and_shares_are_short() {
        let shown: Vec<_> = [999, 1_000, 12_345, 123_456, 4_000_000].map(short_count).into();
        assert_eq!(shown, ["999", "1.0k", "12.3k", "123k", "4.0M"]);
        assert!(width(&short_count(u64::MAX)) <= 5);
        assert_eq!((percent(999, 1_000), percent(5, 5), percent(0, 0)), (Some(99), Some(100), None));
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_character_within_the_width(text in "[a-z 设备，。（]{0,60}", columns in 2usize..20) {
            let lines = wrapped(&text, columns);
            prop_assert_eq!(lines.concat(), text);
            for line in lines {
                prop_assert!(width(line.trim_end()) <= columns, "{:?}", line);
            }
        }

        #[test]
        fn a_padded_text_has_exactly_its_width(text in "\\PC{0,30}", columns in 0usize..40) {
            prop_assert_eq!(width(&pad(&text, columns)), columns);
        }
    }
}
