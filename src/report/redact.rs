//! Replaces values of identifiers by stable pseudonyms: the same value of the same type reads `imei#3f2a9c` in every
//! report, and its bytes are hidden in the excerpts too. What counts as a value was found by others.

use crate::model::{DataType, Evidence, Excerpt, Report};
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whether values of identifiers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShowValues {
    /// Pseudonyms stand for them.
    #[default]
    Redacted,
    /// They are written as seen.
    Plain,
}

/// `imei#3f2a9c`: the type and the first six hex digits of the value's SHA-256.
#[must_use]
pub fn pseudonym(data_type: &DataType, value: &str) -> String {
    let digest = Sha256::digest(value.as_bytes());
    format!("{data_type}#{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

/// Hides the values of one report wherever they stand in its excerpts.
#[derive(Debug)]
pub struct Redactor {
    show: ShowValues,
    /// Finds every value of the report, and what stands for each.
    values: Option<(AhoCorasick, Vec<String>)>,
}

impl Redactor {
    /// Shortest value that is looked for beside its own match; shorter ones would hide half of every excerpt.
    pub const VALUE_MIN: usize = 4;
    /// Most bytes of a value that are looked for; what follows them in an excerpt is hidden as a run.
    pub const PATTERN_MAX: usize = 256;
    /// Most values that are looked for.
    pub const VALUES_MAX: usize = 20_000;
    /// Shortest run of letters and digits that is hidden around a match if [`Self::DIGITS_MIN`] of it are digits,
    /// although nothing is known of it: it may be an identifier that the profile lacks.
    pub const TOKEN_MIN: usize = 8;
    /// Digits that make a run look like a value; the names of fields (`imei_sha256`) have fewer.
    pub const DIGITS_MIN: usize = 4;
    /// From this length one digit is enough: base64 has few.
    pub const LONG_TOKEN_MIN: usize = 24;

    /// A redactor without values of its own: it hides the match and what looks like a value around it.
    #[must_use]
    pub const fn new(show: ShowValues) -> Self {
        Self { show, values: None }
    }

    /// A redactor that knows all values of `report`.
    #[must_use]
    pub fn of(report: &Report, show: ShowValues) -> Self {
        if show == ShowValues::Plain {
            return Self::new(show);
        }
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        for observation in report.data_flows.iter().flat_map(|judged| &judged.flow.evidence) {
            for text in [observation.value.as_str(), observation.excerpt.matched.as_str()] {
                let text = &text[..text.floor_char_boundary(Self::PATTERN_MAX)];
                if text.len() >= Self::VALUE_MIN && names.len() < Self::VALUES_MAX && !names.contains_key(text) {
                    names.insert(text, pseudonym(&observation.data_type, &observation.value));
                }
            }
        }
        let (patterns, replacements): (Vec<&str>, Vec<String>) = names.into_iter().unzip();
        let finder = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(patterns)
            .expect("the caps on values keep the automaton far below its limits");
        Self { show, values: Some((finder, replacements)) }
    }

    /// The value, or its pseudonym.
    #[must_use]
    pub fn value<'a>(&self, data_type: &DataType, value: &'a str) -> Cow<'a, str> {
        match self.show {
            ShowValues::Plain => Cow::Borrowed(value),
            ShowValues::Redacted => Cow::Owned(pseudonym(data_type, value)),
        }
    }

    /// The bytes around a match: its text before, the match, its text after.
    #[must_use]
    pub fn excerpt(&self, excerpt: &Excerpt) -> Excerpt {
        match self.show {
            ShowValues::Plain => excerpt.clone(),
            ShowValues::Redacted => Excerpt {
                before: self.text(&excerpt.before).into_owned(),
                matched: hidden(&excerpt.matched),
                after: self.text(&excerpt.after).into_owned(),
            },
        }
    }

    /// Any captured text, with known values and what looks like one hidden.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.show == ShowValues::Plain {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        self.replace_known(text, &mut out, hide_tokens);
        Cow::Owned(out)
    }

    /// A name or path of captured text, with known values hidden; anything else in it is kept.
    #[must_use]
    pub fn name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.values.is_none() {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len());
        self.replace_known(name, &mut out, |between, out| out.push_str(between));
        Cow::Owned(out)
    }

    fn replace_known(&self, text: &str, out: &mut String, between: impl Fn(&str, &mut String)) {
        let mut from = 0;
        if let Some((finder, pseudonyms)) = &self.values {
            for found in finder.find_iter(text) {
                between(&text[from..found.start()], out);
                out.push_str(&pseudonyms[found.pattern().as_usize()]);
                from = found.end();
            }
        }
        between(&text[from..], out);
    }

    /// The excerpt of a piece of evidence.
    #[must_use]
    pub fn evidence(&self, evidence: &Evidence) -> Excerpt {
        self.excerpt(&evidence.excerpt)
    }
}

/// Appends `text` with runs of letters, digits and the marks inside of identifiers hidden where they hold a digit (or
/// an at sign) and are long enough.
fn hide_tokens(text: &str, out: &mut String) {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '_' | '+' | '/' | '@');
    let mut rest = text;
    while !rest.is_empty() {
        let (token, other) = rest.split_at(rest.find(|c| !inside(c)).unwrap_or(rest.len()));
        if looks_like_value(token) {
            out.push_str(&hidden(token));
        } else {
            out.push_str(token);
        }
        let (between, next) = other.split_at(other.find(inside).unwrap_or(other.len()));
        out.push_str(between);
        rest = next;
    }
}

fn looks_like_value(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let enough = if token.len() >= Redactor::LONG_TOKEN_MIN { 1 } else { Redactor::DIGITS_MIN };
    token.len() >= Redactor::TOKEN_MIN && (digits >= enough || token.contains('@'))
}

/// A hidden text of the same kind: its first and last two characters if it is long, else nothing of it.
fn hidden(text: &str) -> String {
    let count = text.chars().count();
    if count < 12 {
        return "\u{2022}".repeat(count.min(12));
    }
    let head: String = text.chars().take(2).collect();
    let tail: String = text.chars().skip(count - 2).collect();
    format!("{head}{}{tail}", "\u{2022}".repeat((count - 4).min(12)))
}

#[cfg(test)]
mod tests {
    use super::{Redactor, ShowValues, hidden, pseudonym};
    use crate::model::{DataType, Excerpt};
    use crate::report::sample;

    #[test]
    fn a_pseudonym_is_stable_and_does_not_hold_the_value() {
        let imei = DataType::new("imei");
        let name = pseudonym(&imei, "861536030196001");
        assert_eq!(name, pseudonym(&imei, "861536030196001"));
        assert!(name.starts_with("imei#") && name.len() == 11);
        assert_ne!(name, pseudonym(&imei, "861536030196019"));
    }

    #[test]
    fn a_short_match_is_hidden_whole_and_a_long_one_nearly() {
        assert_eq!(hidden("demon"), "•••••");
        assert_eq!(hidden("861536030196001"), "86•••••••••••01");
    }

    #[test]
    fn no_value_of_the_report_is_left_in_any_excerpt() {
        let report = sample::report();
        let redactor = Redactor::of(&report, ShowValues::Redacted);
        let excerpt = Excerpt {
            before: "imei2=861536030196001&mac=".into(),
            matched: "02:1A:C5:3F:7E:90".into(),
            after: "&unknown=a1b2c3d4e5f6&lang=zh-CN&imei_sha256=".into(),
        };
        let shown = redactor.excerpt(&excerpt);
        let all = format!("{}{}{}", shown.before, shown.matched, shown.after);
        for secret in ["861536030196001", "02:1A:C5", "a1b2c3d4e5f6"] {
            assert!(!all.contains(secret), "{all}");
        }
        assert!(all.contains("imei2=imei#") && all.contains("&lang=zh-CN&imei_sha256="), "{all}");
        assert_eq!(Redactor::of(&report, ShowValues::Plain).excerpt(&excerpt), excerpt);
    }
}
