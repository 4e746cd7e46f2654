//! Words for the phone's shell. On the computer no shell is between us and adb, so this is the only quoting there is.

/// A word that the phone's shell reads as exactly this text.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_one_word() {
        for (word, wanted) in [
            ("com.example.app", "com.example.app"),
            ("10.0.0.2:8080", "10.0.0.2:8080"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("a\nb", "'a\nb'"),
            ("~", "'~'"),
            ("绿途", "'绿途'"),
        ] {
            assert_eq!(quoted(word), wanted);
        }
    }
}
