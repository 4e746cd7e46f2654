//! Columns of a terminal: width, padding, cutting and wrapping of text in which Chinese characters take two cells.
//! The text was neutralised before.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells of `text`.
pub(in crate::report) fn width(text: &str) -> usize {
    text.width()
}

/// `text` with spaces up to `columns` cells; longer text is left whole.
pub(in crate::report) fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    out
}

/// `text` in the middle of `columns` cells.
pub(in crate::report) fn centre(text: &str, columns: usize) -> String {
    let free = columns.saturating_sub(width(text));
    pad(&format!("{}{text}", " ".repeat(free / 2)), columns)
}

/// Whether `text` fits into `columns` cells, with few marks that take none (combining characters).
fn fits(text: &str, columns: usize) -> bool {
    text.len() <= columns || (text.chars().take(2 * columns + 1).count() <= 2 * columns && width(text) <= columns)
}

/// How many bytes of characters, in the order given, fit into `columns` cells beside an ellipsis.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> usize {
    let (mut used, mut bytes) = (0, 0);
    for c in characters.take(2 * columns) {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        bytes += c.len_utf8();
    }
    bytes
}

/// At most `columns` cells of `text`; an ellipsis shows that some is missing.
pub(in crate::report) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if fits(text, columns) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}\u{2026}", &text[..fitting(text.chars(), columns)]))
}

/// The last `columns` cells of `text`; an ellipsis shows that some is missing.
pub(in crate::report) fn cut_start(text: &str, columns: usize) -> Cow<'_, str> {
    if fits(text, columns) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("\u{2026}{}", &text[text.len() - fitting(text.chars().rev(), columns)..]))
}

/// `text` in lines of at most `columns` cells, broken at spaces and between wide characters, else anywhere.
pub(in crate::report) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    // Where the line may be broken: bytes of `line` before and after the break.
    let mut space: Option<usize> = None;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            let rest = match space.filter(|_| wide < 2 && c != ' ') {
                Some(at) => line.split_off(at),
                None => String::new(),
            };
            lines.push(line.trim_end().to_owned());
            line = rest.trim_start().to_owned();
            used = width(&line);
            space = None;
            if c == ' ' && line.is_empty() {
                continue;
            }
        }
        line.push(c);
        used += wide;
        if c == ' ' || wide == 2 {
            space = Some(line.len());
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{centre, cut, cut_start, pad, width, wrap};

    #[test]
    fn chinese_text_takes_two_cells() {
        assert_eq!(pad("个推", 6), "个推  ");
        assert_eq!(centre("个推", 8), "  个推  ");
        assert_eq!(cut("个推有限公司", 7), "个推有…");
        assert_eq!(cut_start("个推有限公司", 7), "…限公司");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut(&format!("a{}", "\u{301}".repeat(1_000)), 8).chars().count(), 17);
    }

    #[test]
    fn no_wrapped_line_is_too_wide_and_nothing_is_lost() {
        let text = "我们会收集您的 IMEI and the Android ID、MAC地址averyveryverylongtokenwithoutanyspace 等信息";
        for columns in 8..40 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            let joined: String = lines.concat();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
    }
}
