//! Rule files as the caller hands them over, and what is said when one is wrong: file, line, column, message.
//! Reads nothing from disk itself.

use std::fmt;
use std::ops::Range;

/// The text of one rule file. The path is relative to the rules folder (`sdks/jpush.toml`): its first folder says
/// what kind of rule the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Where it came from, as shown in errors.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Something wrong in a file a person wrote. Displays as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl RuleError {
    /// An error at a byte range of `text`; past the end counts as the end.
    #[must_use]
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = position(text, span.start);
        Self { file: file.to_owned(), line, column, message: message.into() }
    }

    /// What the TOML reader says.
    #[must_use]
    pub fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Self::at(file, text, error.span().unwrap_or(0..0), error.message().trim_end())
    }
}

/// Line and column, both from 1, of a byte offset; the column counts characters.
#[must_use]
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "a = 1\n名 = \"值\"\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 6), (2, 1));
        assert_eq!(position(text, 12), (2, 5));
        assert_eq!(position(text, 999), (3, 1));
    }
}
