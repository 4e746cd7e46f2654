//! JSON (RFC 8259) as leaves with pointers, from a walk over the bytes that also takes cut-off, concatenated and
//! slightly wrong texts: nothing that can be read is lost because something else can't.

use super::shape::Input;
use super::walker::{Doc, Mark, Walker};
use super::{Decoder, NEST_MAX, Probe, ndjson};
use std::ops::Range;

pub(super) struct Json;

impl Decoder for Json {
    fn probe(&self, input: &Input<'_>) -> Probe {
        if looks_like(input.bytes()) && !ndjson::looks_like(input) { Probe::Certain } else { Probe::No }
    }

    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>) {
        walker.step("json", |walker| leaves(input.doc, 0..input.bytes().len(), walker));
    }
}

/// Whether bytes are an object, an array or a string of JSON, or the beginning of one.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = text.trim_ascii_start();
    let (Some(&first), Some(&last)) = (text.first(), text.iter().rev().find(|byte| !byte.is_ascii_whitespace())) else {
        return false;
    };
    let next = || text[1..].iter().find(|byte| !byte.is_ascii_whitespace()).copied();
    match first {
        b'{' => matches!(next(), Some(b'"' | b'}' | b'\'')) || last == b'}',
        b'[' => {
            matches!(next(), Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9')) || (last == b']' && text.len() > 2)
        }
        b'"' => last == b'"' && text.len() > 2,
        _ => false,
    }
}

/// One container the walk is in.
struct Frame {
    /// The container itself.
    mark: Mark,
    array: bool,
    index: usize,
    /// An object's key was read, its value not yet.
    keyed: bool,
}

/// Shows every leaf of the JSON text at `range` of `doc`.
pub(super) fn leaves(doc: Doc<'_>, range: Range<usize>, walker: &mut Walker<'_>) {
    let mut reader = Reader { bytes: &doc.bytes[..range.end], doc, frames: Vec::new(), deeper: 0, root: walker.mark() };
    let mut at = range.start;
    while at < range.end && !walker.full() {
        at = reader.token(at, walker);
    }
    walker.reset(reader.root);
}

struct Reader<'a> {
    bytes: &'a [u8],
    doc: Doc<'a>,
    frames: Vec<Frame>,
    /// Containers open beyond the cap, which get no pointer of their own.
    deeper: usize,
    root: Mark,
}

impl Reader<'_> {
    /// Reads one token at `at` and gives the offset after it.
    fn token(&mut self, at: usize, walker: &mut Walker<'_>) -> usize {
        match self.bytes[at] {
            b' ' | b'\n' | b'\r' | b'\t' | b':' => at + 1,
            b'"' => self.string(at, walker),
            b'{' => self.begin(at, false, walker),
            b'[' => self.begin(at, true, walker),
            b'}' | b']' => {
                self.end(walker);
                at + 1
            }
            b',' => {
                if self.deeper == 0
                    && let Some(frame) = self.frames.last_mut()
                {
                    frame.index += 1;
                    frame.keyed = false;
                    walker.reset(frame.mark);
                }
                at + 1
            }
            _ => self.bare(at, walker),
        }
    }

    fn begin(&mut self, at: usize, array: bool, walker: &mut Walker<'_>) -> usize {
        if self.deeper > 0 || self.frames.len() >= NEST_MAX {
            walker.weird("JSON nested too deeply is read without pointers");
            self.deeper += 1;
            return at + 1;
        }
        self.element(walker);
        self.frames.push(Frame { mark: walker.mark(), array, index: 0, keyed: false });
        at + 1
    }

    fn end(&mut self, walker: &mut Walker<'_>) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if self.frames.pop().is_some() {
            self.done(walker);
        }
    }

    /// Goes into the next element if the walk is in an array.
    fn element(&self, walker: &mut Walker<'_>) {
        if self.deeper == 0
            && let Some(frame) = self.frames.last()
            && frame.array
        {
            walker.push_index(frame.index);
        }
    }

    /// Goes back to the container after a value.
    fn done(&mut self, walker: &mut Walker<'_>) {
        if self.deeper > 0 {
            return;
        }
        match self.frames.last_mut() {
            Some(frame) => {
                frame.keyed = false;
                walker.reset(frame.mark);
            }
            None => walker.reset(self.root),
        }
    }

    fn string(&mut self, at: usize, walker: &mut Walker<'_>) -> usize {
        let (end, escaped) = string_end(self.bytes, at + 1);
        let next = (end + 1).min(self.bytes.len());
        let raw = at + 1..end;
        let in_object = self.deeper > 0 || self.frames.last().is_some_and(|frame| !frame.array && !frame.keyed);
        if in_object && let Some(colon) = colon_after(self.bytes, next) {
            if self.deeper == 0 {
                self.key(raw, escaped, walker);
            }
            return colon + 1;
        }
        self.element(walker);
        if escaped {
            let text = unescape(&self.bytes[raw.clone()]);
            walker.leaf(self.doc, raw, &text, None);
        } else {
            let text = &self.doc.bytes[raw.clone()];
            walker.leaf(self.doc, raw, text, None);
        }
        self.done(walker);
        next
    }

    fn key(&mut self, raw: Range<usize>, escaped: bool, walker: &mut Walker<'_>) {
        let raw = &self.bytes[raw];
        if escaped {
            walker.push_key(&unescape(raw));
        } else {
            walker.push_key(raw);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.keyed = true;
        }
    }

    /// A number, `true`, `false`, `null`, or an unquoted word of sloppy writers.
    fn bare(&mut self, at: usize, walker: &mut Walker<'_>) -> usize {
        let rest = &self.bytes[at..];
        let end = at + rest.iter().position(|&byte| STOPS[usize::from(byte)]).unwrap_or(rest.len()).max(1);
        let word = &self.bytes[at..end];
        let in_object = self.deeper == 0 && self.frames.last().is_some_and(|frame| !frame.array && !frame.keyed);
        if in_object && let Some(colon) = colon_after(self.bytes, end) {
            self.key(at..end, false, walker);
            return colon + 1;
        }
        if word != b"null" {
            self.element(walker);
            walker.scalar(self.doc, at..end);
            self.done(walker);
        }
        end
    }
}

/// The bytes that end a number or a bare word.
static STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 11 {
        table[b",}]{[\": \n\r\t"[at] as usize] = true;
        at += 1;
    }
    table
};

/// The offset of a string's closing quote (or the end of the text), and whether it holds escapes.
fn string_end(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut at = start;
    let mut escaped = false;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return (at, escaped);
        }
        escaped = true;
        at = (at + 2).min(bytes.len());
    }
    (bytes.len(), escaped)
}

/// The offset of a colon that follows at `at` after white space only.
fn colon_after(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    match rest.first() {
        Some(b':') => return Some(at),
        Some(b',' | b'}' | b']') => return None,
        _ => {}
    }
    let blank = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    (rest[blank] == b':').then_some(at + blank)
}

/// Undoes the escapes of a string (RFC 8259 §7); what is no valid escape stays as it is.
pub(super) fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let plain = memchr::memchr(b'\\', &raw[at..]).map_or(raw.len(), |found| at + found);
        out.extend_from_slice(&raw[at..plain]);
        at = plain;
        let Some(&kind) = raw.get(at + 1) else {
            out.extend_from_slice(&raw[at..]);
            break;
        };
        let simple = match kind {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'"' | b'\\' | b'/' => kind,
            b'u' => {
                if let Some((character, length)) = unicode_escape(&raw[at..]) {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    at += length;
                    continue;
                }
                out.push(b'\\');
                kind
            }
            _ => {
                out.push(b'\\');
                kind
            }
        };
        out.push(simple);
        at += 2;
    }
    out
}

/// `\uXXXX` or a surrogate pair of them: the character and the bytes it took.
fn unicode_escape(raw: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0u32, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if let 0xd800..=0xdbff = first
        && let Some(second @ 0xdc00..=0xdfff) = unit(6)
    {
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).map(|character| (character, 12));
    }
    char::from_u32(first).map(|character| (character, 6))
}
