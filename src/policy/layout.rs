//! The lines of a policy and what they are: numbered headings in the styles Chinese and English policies use (第一部分,
//! 一、, （一）, 1., 1.2, (1), a), and numbers lost in copying), list items and paragraphs, each with its clause and topic.

use super::lexicon::{Lexicon, Topic};
use super::text::Text;
use std::ops::Range;

/// Longest heading, in characters.
const HEADING_MAX: usize = 40;

/// A line that isn't blank, by bytes of the normalised text, without bullets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Line {
    /// Its range.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// The lines of the normalised text.
pub(super) fn lines(norm: &str) -> Vec<Line> {
    let mut out = Vec::new();
    let mut at = 0;
    for line in norm.split_inclusive('\n') {
        let body = line.trim_end_matches('\n');
        let trimmed = body.trim_start_matches(['-', '•', '·', '●', '#', '>', '■', '◆', '○', '▪', ' ']);
        let start = at + (body.len() - trimmed.len());
        if !trimmed.is_empty() {
            out.push(Line { start, end: at + body.len() });
        }
        at += line.len();
    }
    out
}

/// The number in front of a heading or item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// Depth of its style; deeper styles stand under shallower ones.
    rank: u8,
    /// As a clause name writes it: `一`, `(一)`, `1.2`, `a`.
    core: String,
    /// Whether the core says the whole place (`1.2`).
    whole: bool,
    /// Bytes it takes, with its separator.
    len: usize,
}

impl Number {
    /// Whether its style is one of headings above lists: 第一部分, 一、, （一）, 1.2.
    pub(super) fn is_upper(&self) -> bool {
        self.rank <= 2 || (self.whole && self.rank > 3)
    }

    /// Bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

fn is_cjk_digit(c: char) -> bool {
    matches!(c, '一' | '二' | '三' | '四' | '五' | '六' | '七' | '八' | '九' | '十' | '百' | '零' | '〇')
}

/// Bytes of the leading characters for which `is` holds.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.char_indices().find(|(_, c)| !is(*c)).map_or(text.len(), |(at, _)| at)
}

/// The number a normalised line starts with.
pub(super) fn number(line: &str) -> Option<Number> {
    if let Some(rest) = line.strip_prefix('第') {
        let digits = run(rest, |c| is_cjk_digit(c) || c.is_ascii_digit());
        let unit = ["部分", "章", "条", "节"].into_iter().find(|unit| rest[digits..].starts_with(unit))?;
        let len = "第".len() + digits + unit.len();
        return (digits > 0).then(|| Number { rank: 0, core: line[..len].to_owned(), whole: true, len });
    }
    let cjk = run(line, is_cjk_digit);
    if cjk > 0 {
        let mark = line[cjk..].chars().next().filter(|c| matches!(c, '、' | '.' | ',' | ':'))?;
        return Some(Number { rank: 1, core: line[..cjk].to_owned(), whole: false, len: cjk + mark.len_utf8() });
    }
    if let Some(rest) = line.strip_prefix('(') {
        return bracketed(rest);
    }
    if let Some(rest) = line.strip_prefix('、') {
        // A heading whose number was lost in copying.
        return (!rest.is_empty()).then(|| Number { rank: 1, core: "?".to_owned(), whole: false, len: "、".len() });
    }
    digits(line).or_else(|| letter(line))
}

/// What follows an opening bracket: `一)`, `1)`, `a)`, or nothing where the number was lost.
fn bracketed(rest: &str) -> Option<Number> {
    if let Some(end) = rest.find(')').filter(|end| *end <= 12) {
        let inner = &rest[..end];
        let len = end + 2;
        let rank = match inner {
            "" => 2,
            _ if inner.chars().all(is_cjk_digit) => 2,
            _ if inner.len() <= 3 && inner.bytes().all(|byte| byte.is_ascii_digit()) => 6,
            _ if inner.len() <= 4 && inner.bytes().all(|byte| byte.is_ascii_lowercase()) => 7,
            _ => return None,
        };
        let core = if inner.is_empty() { "(?)".to_owned() } else { format!("({inner})") };
        return Some(Number { rank, core, whole: false, len });
    }
    let short = rest.chars().count() <= 12 && !rest.is_empty() && !rest.contains(')');
    short.then(|| Number { rank: 2, core: "(?)".to_owned(), whole: false, len: 1 })
}

/// `1.2.3`, `1.`, `1、`, `1)`, and a bare `1` in front of Chinese.
fn digits(line: &str) -> Option<Number> {
    let first = run(line, |c| c.is_ascii_digit());
    if first == 0 || first > 3 {
        return None;
    }
    let mut end = first;
    let mut dots = 0_u8;
    while dots < 6 && line[end..].starts_with('.') {
        let more = run(&line[end + 1..], |c| c.is_ascii_digit());
        if more == 0 || more > 3 {
            break;
        }
        end += 1 + more;
        dots += 1;
    }
    let core = line[..end].to_owned();
    if dots > 0 {
        let tail = &line[end..];
        let len = end + run(tail, |c| matches!(c, '.' | '、'));
        let next = line[len..].chars().next();
        let plain = next.is_none_or(|c| !c.is_ascii_digit() && !matches!(c, '%' | '元' | '万' | '亿' | '版'));
        return plain.then_some(Number { rank: 3 + dots, core, whole: true, len });
    }
    match line[end..].chars().next() {
        None => None,
        Some(c @ ('.' | '、' | '．')) => Some(Number { rank: 3, core, whole: false, len: end + c.len_utf8() }),
        Some(')') => Some(Number { rank: 6, core: format!("{core})"), whole: false, len: end + 1 }),
        Some(c) if first <= 2 && is_cjk(c) && !"年月日个天小岁周位次元万亿项条款家种".contains(c) => {
            Some(Number { rank: 5, core, whole: false, len: end })
        }
        Some(_) => None,
    }
}

/// `a)`, `a.`, `iv.`.
fn letter(line: &str) -> Option<Number> {
    let letters = run(line, |c| c.is_ascii_lowercase());
    let roman = line[..letters].bytes().all(|byte| matches!(byte, b'i' | b'v' | b'x'));
    let fits = letters == 1 || (roman && (1..=4).contains(&letters));
    let mark = line[letters..].chars().next();
    let closed = matches!(mark, Some(')'))
        || (matches!(mark, Some('.')) && line[letters + 1..].chars().next().is_some_and(is_cjk));
    (fits && letters > 0 && closed).then(|| Number {
        rank: 7,
        core: line[..letters].to_owned(),
        whole: false,
        len: letters + 1,
    })
}

/// Whether a character is a Chinese one.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}')
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// A heading.
    Heading,
    /// Text under a heading, numbered or not.
    Text,
}

/// A line with its place in the policy.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The line without its number.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the line itself starts.
    pub(super) line_start: usize,
    pub(super) kind: BlockKind,
    /// Depth of its number's style; none without a number.
    pub(super) rank: Option<u8>,
    /// Its number as written.
    pub(super) number: String,
    /// Clause name of the place.
    pub(super) clause: String,
    /// What its section is about.
    pub(super) topic: Option<Topic>,
}

/// One open place of the outline.
struct Place {
    rank: u8,
    core: String,
    whole: bool,
    title: String,
    topic: Option<Topic>,
}

/// The lines as blocks with clauses and topics.
pub(super) fn outline(text: &Text<'_>, lines: &[Line], lexicon: &Lexicon) -> Vec<Block> {
    let mut places: Vec<Place> = Vec::new();
    let mut blocks = Vec::with_capacity(lines.len());
    let mut pending: Option<(Number, usize)> = None;
    for line in lines {
        let body = &text.norm[line.range()];
        let (number, line_start) = match pending.take() {
            // A number alone on the line before belongs to this one.
            Some((number, start)) => (Some(number), start),
            None => (number(body).or_else(|| lone_number(body)), line.start),
        };
        let own = if line_start == line.start { number.as_ref().map_or(0, |number| number.len) } else { 0 };
        let start = line.start + own.min(body.len());
        if let Some(number) = number {
            if start == line.end {
                pending = Some((number, line.start));
                continue;
            }
            let heading = number.rank <= 5 && is_heading(&text.norm[start..line.end]);
            blocks.push(enter(text, lexicon, &mut places, number, (line_start, start, line.end), heading));
        } else if is_annex(body, lexicon) {
            let title = text.raw_str(line.range()).trim().to_owned();
            places.clear();
            places.push(Place { rank: 0, core: title.clone(), whole: true, title, topic: None });
            let block = Block {
                start,
                end: line.end,
                line_start,
                kind: BlockKind::Heading,
                rank: Some(0),
                number: String::new(),
                clause: clause_of(&places),
                topic: None,
            };
            blocks.push(block);
        } else {
            let topic = places.last().and_then(|place| place.topic);
            let clause = clause_of(&places);
            blocks.push(Block {
                start,
                end: line.end,
                line_start,
                kind: BlockKind::Text,
                rank: None,
                number: String::new(),
                clause,
                topic,
            });
        }
    }
    blocks
}

/// `1.` alone on its line.
fn lone_number(body: &str) -> Option<Number> {
    let digits = run(body, |c| c.is_ascii_digit());
    ((1..=2).contains(&digits) && &body[digits..] == ".").then(|| Number {
        rank: 3,
        core: body[..digits].to_owned(),
        whole: false,
        len: body.len(),
    })
}

/// Whether a line is the title of an annex: 附件, 接入第三方SDK目录.
fn is_annex(body: &str, lexicon: &Lexicon) -> bool {
    body.chars().take(21).count() <= 20
        && !body.contains([',', '。', ':', ';', '《', '》', '"', '“'])
        && lexicon.annex.iter().any(|word| body.starts_with(word.as_str()) || body.ends_with(word.as_str()))
}

fn is_heading(body: &str) -> bool {
    let count = body.chars().take(HEADING_MAX + 1).count();
    let ends = body.ends_with(['。', ';', ',', ':', '?', '.', '!', '、', '；']);
    count <= HEADING_MAX && !ends && !body.contains('。') && !body.contains("http")
}

fn enter(
    text: &Text<'_>,
    lexicon: &Lexicon,
    places: &mut Vec<Place>,
    number: Number,
    (line_start, start, end): (usize, usize, usize),
    heading: bool,
) -> Block {
    while places.last().is_some_and(|place| place.rank >= number.rank) {
        places.pop();
    }
    let body = &text.norm[start..end];
    let inherited = places.last().and_then(|place| place.topic);
    let topic = match inherited {
        Some(topic) if topic.is_silent() => inherited,
        _ if heading => topic_of(body, lexicon).or(inherited),
        _ => inherited,
    };
    let title = if heading { text.raw_str(start..end).to_owned() } else { String::new() };
    let core = number.core.clone();
    let rank = number.rank;
    places.push(Place { rank, core: number.core, whole: number.whole, title, topic });
    let clause = clause_of(places);
    let kind = if heading { BlockKind::Heading } else { BlockKind::Text };
    Block { start, end, line_start, kind, rank: Some(rank), number: core, clause, topic }
}

/// The name of the innermost place: numbers from the last whole one on, or a title where there is none.
fn clause_of(places: &[Place]) -> String {
    let from = places.iter().rposition(|place| place.whole && place.rank > 0).unwrap_or(0);
    let parts: Vec<&str> = places[from..]
        .iter()
        .filter(|place| place.rank > 0 || places.len() == 1)
        .map(|place| place.core.as_str())
        .collect();
    let name = parts.concat();
    if name.is_empty() || name.chars().all(|c| matches!(c, '?' | '(' | ')')) {
        return places
            .iter()
            .rev()
            .map(|place| place.title.as_str())
            .find(|title| !title.is_empty())
            .unwrap_or("")
            .to_owned();
    }
    name
}

fn topic_of(title: &str, lexicon: &Lexicon) -> Option<Topic> {
    let holds = |words: &[String]| words.iter().any(|word| title.contains(word.as_str()));
    let topic = lexicon.sections.iter().find(|(_, words)| holds(words)).map(|(topic, _)| *topic)?;
    // 保障信息安全所必须收集的信息 is about collecting.
    Some(if topic == Topic::Security && title.contains("收集") { Topic::Collect } else { topic })
}

impl Topic {
    /// Whether sections of this topic say nothing about what is collected.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Rights | Self::Children | Self::Contact | Self::Changes | Self::Definitions)
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, number, outline};
    use crate::policy::lexicon::builtin;
    use crate::policy::text::Text;

    #[test]
    fn every_style_of_number_is_known() {
        for (line, core) in [
            ("第一部分 定义", "第一部分"),
            ("一、我们收集", "一"),
            ("(二)附加", "(二)"),
            ("1.2 当你", "1.2"),
            ("1.10当你", "1.10"),
            ("3、账户", "3"),
            ("2)为实现", "2)"),
            ("(1)设备", "(1)"),
            ("a)当你", "a"),
            ("ii.当你", "ii"),
            ("5您的企业", "5"),
            ("()共享", "(?)"),
            ("、我们如何共享", "?"),
        ] {
            assert_eq!(number(line).map(|n| n.core).as_deref(), Some(core), "{line}");
        }
        for line in ["2023年11月23日", "20个账号", "400-0060-100", "我们", "8:00", "3.5万"] {
            assert_eq!(number(line), None, "{line}");
        }
    }

    #[test]
    fn clauses_are_named_by_their_path() {
        let text = Text::new("一、收集信息\n(一)基础\n1、注册时\n3.\n信息安全\n3.2 加密\na) 手机");
        let blocks = outline(&text, &lines(&text.norm), builtin());
        let clauses: Vec<_> = blocks.iter().map(|block| block.clause.as_str()).collect();
        assert_eq!(clauses, ["一", "一(一)", "一(一)1", "一(一)3", "3.2", "3.2a"]);
    }
}
