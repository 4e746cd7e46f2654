//! `marks.jsonl` → the tester's [`Mark`]s, one JSON object a line; blank lines are skipped. Where marks stand in a
//! recording is the capture reader's matter.

use super::RuleError;
use crate::model::{Mark, MarkKind, Timestamp};
use serde::Deserialize;

/// A line as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    ts: String,
    mark: String,
    text: Option<String>,
}

/// The marks of a file, by time.
///
/// # Errors
/// Every line that is no mark.
pub fn parse_marks(file: &str, text: &str) -> Result<Vec<Mark>, Vec<RuleError>> {
    let (marks, errors) = read_marks(file, 0, text);
    if errors.is_empty() { Ok(marks) } else { Err(errors) }
}

/// The marks of lines of a file, by time, `before` of which came earlier; and every line that is no mark.
#[must_use]
pub fn read_marks(file: &str, before: usize, text: &str) -> (Vec<Mark>, Vec<RuleError>) {
    let (mut marks, mut errors) = (Vec::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match read_line(line) {
            Ok(mark) => marks.push(mark),
            Err((column, message)) => {
                errors.push(RuleError { file: file.to_owned(), line: before + number + 1, column, message });
            }
        }
    }
    marks.sort_by_key(|mark| mark.ts);
    (marks, errors)
}

/// The mark of a line, or what is wrong in which column.
fn read_line(line: &str) -> Result<Mark, (usize, String)> {
    let column = |word: &str| line.find(&format!("\"{word}\"")).map_or(1, |at| line[..at].chars().count() + 1);
    let parsed: Line = serde_json::from_str(line).map_err(|why| {
        let message = why.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
        // serde_json counts bytes.
        let before = line.get(..why.column().saturating_sub(1)).unwrap_or(line);
        (before.chars().count() + 1, message.to_owned())
    })?;
    let mark = MarkKind::parse(&parsed.mark).ok_or_else(|| {
        let message =
            format!("no mark `{}`: launch, agree, refuse, background, foreground, withdraw or note", parsed.mark);
        (column(&parsed.mark), message)
    })?;
    let ts =
        Timestamp::parse(&parsed.ts).map_err(|why| (column(&parsed.ts), format!("`ts` is no RFC 3339 time: {why}")))?;
    Ok(Mark { ts, mark, text: parsed.text })
}

#[cfg(test)]
mod tests {
    use super::parse_marks;
    use crate::model::MarkKind;

    #[test]
    fn marks_come_in_order_of_time() {
        let text = "{\"ts\":\"2024-01-01T00:00:02Z\",\"mark\":\"agree\"}\n\n{\"ts\":\"2024-01-01T08:00:01+08:00\",\"mark\":\"launch\",\"text\":\"首次\"}\n";
        let marks = parse_marks("m.jsonl", text).expect("marks");
        assert_eq!(marks.iter().map(|mark| mark.mark).collect::<Vec<_>>(), [MarkKind::Launch, MarkKind::Agree]);
        assert_eq!(marks[0].text.as_deref(), Some("首次"));
    }

    #[test]
    fn every_bad_line_is_named_with_its_column() {
        let text = "{\"ts\":\"2024-01-01T00:00:02Z\",\"mark\":\"accept\"}\nnonsense\n{\"ts\":\"yesterday\",\"mark\":\"note\"}\n{\"ts\":\"2024-01-01T00:00:02Z\",\"mark\":\"note\",\"x\":1}\n";
        let errors = parse_marks("m.jsonl", text).expect_err("errors");
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 4, "{shown:?}");
        assert!(shown[0].starts_with("m.jsonl:1:37: no mark `accept`"), "{}", shown[0]);
        assert!(shown[1].starts_with("m.jsonl:2:"), "{}", shown[1]);
        assert!(shown[2].starts_with("m.jsonl:3:7: `ts` is no RFC 3339 time"), "{}", shown[2]);
        assert!(shown[3].contains("unknown field `x`"), "{}", shown[3]);
    }
}
