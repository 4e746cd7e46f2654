//! Hides personal values on the screen: a found value wholly, and in the text around it whatever looks like one,
//! since the bytes beside one identifier mostly hold the next. Decides nothing about what is personal data.

use aho_corasick::{AhoCorasick, MatchKind};

/// Whether personal values are readable on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// Only the ends of long values are shown.
    #[default]
    Redacted,
    /// As captured.
    Shown,
}

/// Letters and digits a value must have for its ends to be shown.
const ENDS_FROM: usize = 10;
/// Characters shown at each end.
const ENDS: usize = 2;
/// Digits that make a token around a value look like a value itself.
const DIGITS_FROM: usize = 4;
/// Length from which a token of letters looks like an encoded value.
const TOKEN_FROM: usize = 20;

impl Values {
    /// The other way.
    pub(crate) const fn toggled(self) -> Self {
        match self {
            Self::Redacted => Self::Shown,
            Self::Shown => Self::Redacted,
        }
    }

    /// A value that was found: its letters and digits are masked but for two at each end of a long one.
    pub(crate) fn value(self, text: &str) -> String {
        match self {
            Self::Shown => text.to_owned(),
            Self::Redacted => mask(text),
        }
    }

    /// Text that may hold values: known ones are masked, and tokens that look like one.
    pub(crate) fn context(self, known: &Known, text: &str) -> String {
        match self {
            Self::Shown => text.to_owned(),
            Self::Redacted => mask_tokens(&known.masked(text)),
        }
    }

    /// A request target: every query value is masked, and what is or looks like a value in the path.
    pub(crate) fn target(self, known: &Known, text: &str) -> String {
        if self == Self::Shown {
            return text.to_owned();
        }
        let text = known.masked(text);
        let Some((path, query)) = text.split_once('?') else { return mask_tokens(&text) };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((_, "")) => pair.to_owned(),
            Some((name, _)) => format!("{}=***", mask_tokens(name)),
            None => mask_tokens(pair),
        });
        format!("{}?{}", mask_tokens(path), pairs.collect::<Vec<_>>().join("&"))
    }
}

/// The values found so far, to be masked wherever else they stand.
#[derive(Debug, Default)]
pub(crate) enum Known {
    /// None yet.
    #[default]
    Nothing,
    /// Finds them.
    These(AhoCorasick),
    /// They are too much to look for, so all text is masked.
    Everything,
}

impl Known {
    /// Most values remembered; the rest are masked only where they look like values.
    pub(crate) const MAX: usize = 4_096;
    /// Longest value remembered, in bytes: no longer one is shown whole on a screen.
    const LONGEST: usize = 512;
    /// Shortest value remembered, in bytes: shorter ones stand in every text by chance.
    const SHORTEST: usize = 3;

    /// Remembers values.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let lengths = Self::SHORTEST..=Self::LONGEST;
        let mut values: Vec<&str> = values.filter(|value| lengths.contains(&value.len())).collect();
        values.sort_unstable();
        values.dedup();
        values.truncate(Self::MAX);
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(values.iter().copied());
        finder.map_or(Self::Everything, Self::These)
    }

    fn masked(&self, text: &str) -> String {
        let finder = match self {
            Self::Nothing => return text.to_owned(),
            Self::Everything => return hide(text),
            Self::These(finder) => finder,
        };
        let mut out = String::with_capacity(text.len());
        finder.replace_all_with(text, &mut out, |_, value, out| {
            out.push_str(&hide(value));
            true
        });
        out
    }
}

/// Every letter and digit masked.
fn hide(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() { '*' } else { c }).collect()
}

fn mask(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    let ends = if letters >= ENDS_FROM { ENDS } else { 0 };
    let mut seen = 0;
    let masked = text.chars().map(|c| {
        if !c.is_alphanumeric() {
            return c;
        }
        seen += 1;
        if seen <= ends || seen > letters - ends { c } else { '*' }
    });
    masked.collect()
}

fn mask_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut token = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '-' | ':' | '.' | '@' | '+' | '%' | '_') {
            token.push(c);
        } else {
            push_token(&mut out, &token);
            token.clear();
            out.push(c);
        }
    }
    push_token(&mut out, &token);
    out
}

fn push_token(out: &mut String, token: &str) {
    // A trailing or leading separator is punctuation of the text, not part of a value.
    let looks_like_a_value = token.contains('@')
        || token.chars().filter(char::is_ascii_digit).count() >= DIGITS_FROM
        || (token.len() >= TOKEN_FROM && !token.contains(['.', '_', '-']))
        || token.chars().any(|c| !c.is_ascii() && c.is_alphanumeric());
    if looks_like_a_value {
        out.push_str(&hide(token));
    } else {
        out.push_str(token);
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Values};

    #[test]
    fn a_value_keeps_its_shape_and_the_ends_of_a_long_one() {
        assert_eq!(Values::Redacted.value("861536030196001"), "86***********01");
        assert_eq!(Values::Redacted.value("02:1A:C5:3F:7E:90"), "02:**:**:**:**:90");
        assert_eq!(Values::Redacted.value("张三"), "**");
        assert_eq!(Values::Shown.value("张三"), "张三");
    }

    #[test]
    fn values_beside_a_value_are_masked_and_names_are_not() {
        let masked = Values::Redacted
            .context(&Known::default(), "{\"android_id\":\"9774d56d682e549c\",\"mail\":\"a@b.c\",\"n\":\"张三\"}");
        assert_eq!(masked, "{\"android_id\":\"****************\",\"mail\":\"*@*.*\",\"n\":\"**\"}");
    }

    #[test]
    fn a_value_that_was_found_is_masked_wherever_it_stands() {
        let known = Known::of(["zhangsan", "no"].into_iter());
        let masked = Values::Redacted.context(&known, "{\"nick\":\"ZhangSan\",\"login\":\"zhangsan_x\",\"ok\":\"no\"}");
        assert_eq!(masked, "{\"nick\":\"********\",\"login\":\"********_x\",\"ok\":\"no\"}");
        assert_eq!(Values::Redacted.target(&known, "/u/zhangsan/home"), "/u/********/home");
    }

    #[test]
    fn query_values_of_a_target_are_masked() {
        let masked = Values::Redacted.target(&Known::default(), "/v1/device/861536030196001?imei=1&x=&y");
        assert_eq!(masked, "/v1/device/***************?imei=***&x=&y");
    }
}
