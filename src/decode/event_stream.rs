//! Server-sent events (WHATWG HTML §9.2): the data of each event, which is often JSON, with its name and id.

use super::shape::Input;
use super::walker::Walker;
use super::{Decoder, Probe};
use std::ops::Range;

pub(super) struct EventStream;

impl Decoder for EventStream {
    fn is_announced(&self, input: &Input<'_>) -> bool {
        let named = |kind: &str| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        input.content_type.is_some_and(named)
    }

    fn probe(&self, _input: &Input<'_>) -> Probe {
        Probe::No
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.step("event-stream", |walker| events(input, walker));
    }
}

/// The data lines of the event on its way.
#[derive(Default)]
struct Event {
    data: Vec<Range<usize>>,
}

fn events(input: &Input<'_>, walker: &mut Walker<'_>) {
    let bytes = input.bytes();
    let root = walker.mark();
    let mut event = Event::default();
    let (mut index, mut begun) = (0, false);
    for line in lines(bytes) {
        if walker.full() {
            break;
        }
        if line.is_empty() {
            event.give_out(input, index, walker);
            index += usize::from(begun);
            begun = false;
            continue;
        }
        let text = &bytes[line.clone()];
        let colon = memchr::memchr(b':', text).unwrap_or(text.len());
        let skip = if text.get(colon + 1) == Some(&b' ') { 2 } else { 1 };
        let value = (line.start + colon + skip).min(line.end)..line.end;
        begun = true;
        match &text[..colon] {
            b"data" => event.data.push(value),
            // A comment may hold anything.
            name if !value.is_empty() => {
                walker.push_index(index);
                if let (false, Ok(name)) = (name.is_empty(), std::str::from_utf8(name)) {
                    walker.push_key(name);
                }
                walker.leaf(input.doc, value.clone(), &bytes[value], None);
                walker.reset(root);
            }
            _ => {}
        }
    }
    // The last event may have been cut off before its empty line.
    event.give_out(input, index, walker);
}

impl Event {
    fn give_out(&mut self, input: &Input<'_>, index: usize, walker: &mut Walker<'_>) {
        let bytes = input.bytes();
        let data = std::mem::take(&mut self.data);
        let (Some(first), Some(last)) = (data.first(), data.last()) else { return };
        let within = first.start..last.end;
        if within.is_empty() {
            return;
        }
        let root = walker.mark();
        walker.push_index(index);
        walker.push_key("data");
        if let [only] = &data[..] {
            walker.leaf(input.doc, only.clone(), &bytes[only.clone()], None);
        } else {
            let lines: Vec<&[u8]> = data.iter().map(|line| &bytes[line.clone()]).collect();
            walker.leaf(input.doc, within, &lines.join(&b'\n'), None);
        }
        walker.reset(root);
    }
}

/// The lines, which end with CR, LF or both, without their ends and the byte order mark.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let start = at;
        let end = memchr::memchr2(b'\r', b'\n', &bytes[start..]).map_or(bytes.len(), |found| start + found);
        at = end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, leaves};

    #[test]
    fn the_data_of_each_event_is_read() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "\u{feff}: a comment",
                "event: update",
                r#"data: {"user":"one"}"#,
                "id: 7",
                "",
                "data:{",
                r#"data:"user":"two""#,
                "data:}",
                "",
                "",
                r#"data: {"user":"three"}"#,
            ]
            .join(end);
            let (seen, weirds) = leaves("text/event-stream; charset=utf-8", &[], text.as_bytes());
            has(&seen, "body/user/$[0].data.user", "event-stream>json", "one");
            has(&seen, "body/event/$[0].event", "event-stream", "update");
            has(&seen, "body/id/$[0].id", "event-stream", "7");
            has(&seen, "body/user/$[1].data.user", "event-stream>json", "two");
            has(&seen, "body/user/$[2].data.user", "event-stream>json", "three");
            assert!(weirds.is_empty());
        }
    }

    #[test]
    fn lines_without_values_give_nothing() {
        let (seen, _) = leaves("text/event-stream", &[], b"data\n\ndata:\n\nretry\n:\n\n");
        assert_eq!(seen.len(), 1, "the text as a whole: {seen:?}");
    }
}
