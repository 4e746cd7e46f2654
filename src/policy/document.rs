//! The policies of a page: several dated versions and separate policies are told apart by their titles and dates, and
//! each gets its title, app, publisher, dates and language. What stands before the first (menus) belongs to none.

use super::layout::{Line, is_cjk};
use super::lexicon::Lexicon;
use super::text::Text;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Longest title and longest date line, in characters.
const TITLE_MAX: usize = 30;
const DATE_LINE_MAX: usize = 40;
/// Least text of a version of its own, in bytes of the normalised text.
const VERSION_MIN: usize = 1500;
/// Lines after a title in which its opening or its dates are looked for.
const HEAD_LINES: usize = 14;

static DATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(20\d\d)(?:[年./ ](\d{1,2})[月./ ](\d{1,2})|(0[1-9]|1[0-2])([0-3]\d)\b)")
        .expect("invariant: a fixed pattern")
});
static ENGLISH_DATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(january|february|march|april|may|june|july|august|september|october|november|december) ?(\d{1,2}), ?(20\d\d)")
        .expect("invariant: a fixed pattern")
});
static COMPANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Han}()]{2,30}?(?:股份有限公司|有限责任公司|有限公司)").expect("invariant: a fixed pattern")
});
static NAMED_WE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([^。!,\n(]{2,15})\(以下(?:简称|称|亦称|合称)*[“"「]*我们"#).expect("invariant: a fixed pattern")
});
static COMPANY_ALIAS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"公司\((?:以下(?:简称|称|亦称))?[“"「]([^“”"」我]{2,12})[”"」]"#).expect("invariant: a fixed pattern")
});

/// A policy of the page.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// Its lines.
    pub(super) lines: Range<usize>,
    pub(super) title: Option<String>,
    pub(super) app: Option<String>,
    pub(super) publisher: Option<String>,
    pub(super) effective: Option<String>,
    pub(super) updated: Option<String>,
    pub(super) language: &'static str,
}

/// Splits a page.
pub(super) fn parts(text: &Text<'_>, lines: &[Line], lexicon: &Lexicon) -> Vec<Part> {
    let starts = starts(text, lines, lexicon);
    let mut out: Vec<Part> = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(lines.len());
        let mut part = describe(text, lines, *start..end, lexicon);
        if part.title.is_none()
            && let Some(before) = out.last()
        {
            // A further version on the same page.
            part.title.clone_from(&before.title);
            part.app = before.app.clone().or(part.app);
            part.publisher = part.publisher.or_else(|| before.publisher.clone());
        }
        out.push(part);
    }
    out
}

/// Lines at which a policy starts; always at least the first line.
fn starts(text: &Text<'_>, lines: &[Line], lexicon: &Lexicon) -> Vec<usize> {
    let mut starts = vec![0];
    for (at, line) in lines.iter().enumerate().skip(1) {
        let last = lines[*starts.last().unwrap_or(&0)].start;
        if is_title(&text.norm[line.range()], lexicon) {
            if opens(text, lines, at, lexicon) {
                starts.push(at);
            }
        } else if dated(&text.norm[line.range()], lexicon).is_some()
            && line.start - last >= VERSION_MIN
            && text.norm.len() - line.end >= VERSION_MIN
        {
            starts.push(at);
        }
    }
    starts
}

/// Whether a line is a policy's title.
fn is_title(line: &str, lexicon: &Lexicon) -> bool {
    line.chars().take(TITLE_MAX + 1).count() <= TITLE_MAX
        && !line.contains(['《', '。', ',', ':', ';', '/'])
        && super::layout::number(line).is_none()
        && lexicon.title.iter().any(|word| line.ends_with(word.as_str()))
}

/// Whether the lines after a title open a policy: a long paragraph with the words of openings. A title's word in a
/// link or a table cell is followed by other things.
fn opens(text: &Text<'_>, lines: &[Line], at: usize, lexicon: &Lexicon) -> bool {
    let after = &lines[at + 1..];
    let numbered = after.first().is_some_and(|line| super::layout::number(&text.norm[line.range()]).is_some());
    !numbered
        && after.iter().take(HEAD_LINES).any(|line| {
            let body = &text.norm[line.start..floor(&text.norm, line.end.min(line.start + 1000))];
            super::layout::number(body).is_none()
                && body.chars().take(40).count() == 40
                && lexicon.opening.iter().any(|word| body.contains(word.as_str()))
        })
}

/// What kind of date a line gives, and the line's rest after the words for it.
fn dated<'t>(line: &'t str, lexicon: &Lexicon) -> Option<(DateKind, &'t str)> {
    if line.chars().take(DATE_LINE_MAX + 1).count() > DATE_LINE_MAX {
        return None;
    }
    let line = line.trim_start_matches(['(', '[', '【', '《']);
    let (kind, rest) = date_word(line, lexicon)?;
    date_in(rest).map(|_| (kind, rest))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DateKind {
    Effective,
    Updated,
}

fn date_word<'t>(line: &'t str, lexicon: &Lexicon) -> Option<(DateKind, &'t str)> {
    for (kind, words) in [(DateKind::Effective, &lexicon.effective), (DateKind::Updated, &lexicon.updated)] {
        for word in words {
            for prefix in ["", "本政策", "本隐私政策", "版本", "最新"] {
                if let Some(rest) = line.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(word.as_str())) {
                    return Some((kind, rest));
                }
            }
        }
    }
    None
}

/// The first date of a normalised text as `YYYY-MM-DD`.
fn date_in(text: &str) -> Option<String> {
    if let Some(found) = DATE.captures(text) {
        let part = |at: usize| found.get(at).map(|m| m.as_str());
        return day(part(1)?, part(2).or_else(|| part(4))?, part(3).or_else(|| part(5))?);
    }
    let found = ENGLISH_DATE.captures(text)?;
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = MONTHS.iter().position(|month| found[1].starts_with(month))? + 1;
    day(&found[3], &month.to_string(), &found[2])
}

fn day(year: &str, month: &str, day: &str) -> Option<String> {
    let (month, day): (u8, u8) = (month.parse().ok()?, day.parse().ok()?);
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then(|| format!("{year}-{month:02}-{day:02}"))
}

/// Reads the head and the body of one policy for its facts.
fn describe(text: &Text<'_>, lines: &[Line], range: Range<usize>, lexicon: &Lexicon) -> Part {
    let mut part = Part { lines: range.clone(), language: "zh", ..Part::default() };
    let own = &lines[range];
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return part };
    let head = &own[..own.len().min(HEAD_LINES)];
    for (at, line) in head.iter().enumerate() {
        let body = &text.norm[line.range()];
        if part.title.is_none() && is_title(body, lexicon) {
            part.title = Some(text.raw_str(line.range()).trim().to_owned());
        }
        if let Some((kind, rest)) = date_word(body, lexicon) {
            let here = date_in(rest).or_else(|| lone_date(text, &head[at + 1..]));
            let slot = if kind == DateKind::Effective { &mut part.effective } else { &mut part.updated };
            if slot.is_none() && body.chars().take(DATE_LINE_MAX + 1).count() <= DATE_LINE_MAX {
                *slot = here;
            }
        }
    }
    let whole = first.start..last.end;
    let norm = &text.norm[whole.clone()];
    dates_of_sentences(norm, &mut part);
    part.language = language(norm);
    part.publisher = publisher(text, whole.clone());
    part.app = app(text, whole, part.title.as_deref(), lexicon);
    part
}

/// A date on the next line, unless more dates follow it: then it is a list of versions.
fn lone_date(text: &Text<'_>, lines: &[Line]) -> Option<String> {
    let date = |line: &Line| (line.end - line.start < 40).then(|| date_in(&text.norm[line.range()])).flatten();
    let found = lines.first().and_then(date)?;
    lines.get(1).and_then(date).is_none().then_some(found)
}

/// `…于2020年11月1日正式生效`, `本政策于2021年4月20日更新`.
fn dates_of_sentences(norm: &str, part: &mut Part) {
    for found in DATE.find_iter(norm) {
        let after: String = norm[found.end()..].chars().take(8).collect();
        let before: String =
            norm[..found.start()].chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
        if part.effective.is_none() && (after.contains("生效") || before.contains("生效日期")) {
            part.effective = date_in(found.as_str());
        }
        let updated =
            after.contains("更新") || after.contains("修订") || after.contains("发布") || before.contains("更新日期");
        if part.updated.is_none() && updated {
            part.updated = date_in(found.as_str());
        }
    }
}

/// `zh` where three letters in ten are Chinese.
fn language(norm: &str) -> &'static str {
    let (mut chinese, mut latin) = (0_usize, 0_usize);
    for c in norm.chars() {
        if is_cjk(c) {
            chinese += 1;
        } else if c.is_ascii_alphabetic() {
            latin += 1;
        }
    }
    if chinese * 10 >= (chinese + latin / 3) * 3 { "zh" } else { "en" }
}

/// The company that calls itself 我们, else the last one named after 联系.
fn publisher(text: &Text<'_>, whole: Range<usize>) -> Option<String> {
    let norm = &text.norm[whole.clone()];
    let mut last = None;
    for found in COMPANY.find_iter(norm) {
        let matched = found.as_str();
        let cut = matched
            .char_indices()
            .rev()
            .find(|(_, c)| matches!(c, '由' | '是' | '与' | '向' | '问' | '将'))
            .map_or(0, |(at, c)| at + c.len_utf8());
        let cut = if cut == 0 {
            matched.find('(').filter(|at| *at == 0 || !matched[*at..].contains(')')).map_or(0, |at| at + 1)
        } else {
            cut
        };
        let range = whole.start + found.start() + cut..whole.start + found.end();
        let after: String = norm[found.end()..].chars().take(16).collect();
        let name = text.raw_str(range).trim().to_owned();
        if after.starts_with('(') && (after.contains("简称") || after.contains("我们") || after.contains("称")) {
            return Some(name);
        }
        last = Some((found.start(), name));
    }
    let contact = norm.rfind("联系").unwrap_or(norm.len());
    last.filter(|(at, _)| *at + 1500 > contact || *at * 10 > norm.len() * 9).map(|(_, name)| name)
}

/// What the policy is for: its title without the title's word, else the name that calls itself 我们.
fn app(text: &Text<'_>, whole: Range<usize>, title: Option<&str>, lexicon: &Lexicon) -> Option<String> {
    if let Some(title) = title {
        let folded = super::text::normalise_term(title);
        if let Some(word) = lexicon.title.iter().find(|word| folded.ends_with(word.as_str())) {
            let kept = title.chars().count().saturating_sub(word.chars().count());
            let name: String = title.chars().take(kept).collect();
            let name = name.trim().trim_start_matches(['《', '“']).trim();
            if !name.is_empty() && name != "用户" {
                return Some(name.to_owned());
            }
        }
    }
    let head_end = floor(&text.norm, whole.start + (whole.end - whole.start).min(6000));
    let head = &text.norm[whole.start..head_end];
    let found = COMPANY_ALIAS.captures(head).or_else(|| NAMED_WE.captures(head)).and_then(|found| found.get(1))?;
    let raw = text.raw_str(whole.start + found.start()..whole.start + found.end()).trim();
    let name = raw.rsplit(['由', '是', '“']).next().unwrap_or(raw).trim();
    (!name.is_empty() && !name.ends_with("公司")).then(|| name.to_owned())
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{date_in, parts};
    use crate::policy::layout::lines;
    use crate::policy::lexicon::builtin;
    use crate::policy::text::{Text, normalise_term};

    #[test]
    fn dates_are_read_in_every_writing() {
        for (raw, date) in [
            ("生效日期: 2023年11月07日", "2023-11-07"),
            ("更新日期：2020 年 1 月 5 日", "2020-01-05"),
            ("2021-04-20", "2021-04-20"),
            ("20240511", "2024-05-11"),
            ("Effective: May 3, 2024", "2024-05-03"),
        ] {
            assert_eq!(date_in(&normalise_term(raw)).as_deref(), Some(date), "{raw}");
        }
        assert_eq!(date_in(&normalise_term("2023年13月40日")), None);
    }

    #[test]
    fn dated_versions_on_one_page_are_documents_of_their_own() {
        let body =
            "我们会收集您的手机号码。欢迎使用小纸条,本政策说明我们如何处理您的个人信息,请您仔细阅读。\n".repeat(20);
        let page = format!(
            "菜单\n首页\n小纸条隐私政策\n生效日期:2024年2月1日\n{body}生效日期:2023年1月1日\n{body}个人信息保护政策\n欢迎您访问本网站,我们深知个人信息对您的重要性,并将尽力保护您的个人信息安全可靠。\n{body}"
        );
        let text = Text::new(&page);
        let found = parts(&text, &lines(&text.norm), builtin());
        let facts: Vec<_> = found.iter().map(|part| (part.title.as_deref(), part.effective.as_deref())).collect();
        let title = Some("小纸条隐私政策");
        assert_eq!(
            facts,
            [(None, None), (title, Some("2024-02-01")), (title, Some("2023-01-01")), (Some("个人信息保护政策"), None)]
        );
        assert_eq!(found[1].app.as_deref(), Some("小纸条"));
    }
}
