//! JSON as HAR files hold it, over bytes that are all at hand: where a value ends, and its members. A general parser
//! would refuse what exporters write: surrogates without their other half (binary bodies), invalid UTF-8, a file that
//! is cut off. Strings are unescaped only when asked for, so that a tree costs little beside the text it points into.

use std::borrow::Cow;

/// Arrays and objects inside each other that are followed; HAR needs about ten.
pub(super) const NEST_MAX: usize = 128;

/// Why reading ended before the value did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end here.
    Cut,
    /// Something else stands at this offset than what was expected.
    Wrong(usize, &'static str),
}

/// A JSON value.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    /// `null`, `true` or `false`.
    Word(&'a [u8]),
    Number(&'a [u8]),
    Text(Text<'a>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Text<'a>, Node<'a>)>),
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Its bytes: UTF-8, unless the file holds something else. A lone low surrogate U+DC80 to U+DCFF is the byte it
    /// stands for (PEP 383); any other lone surrogate is U+FFFD.
    pub(super) fn bytes(self) -> Cow<'a, [u8]> {
        let Some(first) = memchr::memchr(b'\\', self.0) else { return Cow::Borrowed(self.0) };
        let mut out = Vec::with_capacity(self.0.len());
        out.extend_from_slice(&self.0[..first]);
        let mut rest = &self.0[first..];
        while let [b'\\', after @ ..] = rest {
            let taken = unescape(after, &mut out);
            rest = &after[taken..];
            let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
        }
        Cow::Owned(out)
    }

    fn is(self, name: &str) -> bool {
        self.0 == name.as_bytes() || (self.0.contains(&b'\\') && *self.bytes() == *name.as_bytes())
    }
}

/// Appends what the escape after a backslash means; gives its length.
fn unescape(after: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(&kind) = after.first() else { return 0 };
    let plain = match kind {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'u' => {
            let Some(unit) = hex4(after.get(1..5)) else {
                out.push(b'u');
                return 1;
            };
            return 5 + unicode(unit, &after[5..], out);
        }
        // A quote, a backslash, a slash; anything else is no escape and stands for itself.
        other => other,
    };
    out.push(plain);
    1
}

/// Appends a UTF-16 unit with the half that may follow; gives what that took.
fn unicode(unit: u16, rest: &[u8], out: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    let low = match rest {
        [b'\\', b'u', digits @ ..] => hex4(digits.get(..4)),
        _ => None,
    };
    let character = match (unit, low) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            taken = 6;
            char::decode_utf16([unit, low]).next().and_then(Result::ok)
        }
        (0xdc80..=0xdcff, _) => {
            out.push(unit.to_le_bytes()[0]);
            return 0;
        }
        _ => char::from_u32(u32::from(unit)),
    };
    let mut buffer = [0; 4];
    out.extend_from_slice(character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut buffer).as_bytes());
    taken
}

fn hex4(digits: Option<&[u8]>) -> Option<u16> {
    let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl<'a> Node<'a> {
    /// The value of a member; none where it is missing or null. Of equals the last, as browsers read it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let found = members.iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value);
        found.filter(|value| !matches!(value, Self::Word(b"null")))
    }

    /// The elements of an array; nothing for anything else.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Its bytes if it is a string or a number.
    pub(super) fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Text(text) => Some(text.bytes()),
            Self::Number(digits) => Some(Cow::Borrowed(digits)),
            _ => None,
        }
    }

    /// The same as text.
    pub(super) fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A number, also one in a string.
    pub(super) fn number(&self) -> Option<f64> {
        std::str::from_utf8(&self.bytes()?).ok()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A count of something; none where it is negative, as HAR writes what is not known.
    pub(super) fn count(&self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        self.number().filter(|number| *number >= 0.0).map(|number| number as u64)
    }

    /// A text member that is not empty.
    pub(super) fn text_of(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Self::text).filter(|text| !text.is_empty())
    }
}

/// A place in JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) data: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    /// The next byte that is no white space, not taken.
    pub(super) fn peek(&mut self) -> Result<u8, Stop> {
        while let Some(&byte) = self.data.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Stop::Cut)
    }

    /// Takes this byte.
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(Stop::Wrong(self.at, expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes on to the next member or element; false at the end of the object or array, which is then taken. `first`
    /// is whether none was read yet.
    pub(super) fn more(&mut self, close: u8, first: bool) -> Result<bool, Stop> {
        let mut byte = self.peek()?;
        if byte == b',' && !first {
            self.at += 1;
            byte = self.peek()?;
        } else if byte != close && !first {
            return Err(Stop::Wrong(self.at, "a comma"));
        }
        // A comma before the end is let pass.
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// A name and the colon after it.
    pub(super) fn key(&mut self) -> Result<Text<'a>, Stop> {
        let key = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(key)
    }

    fn string(&mut self) -> Result<Text<'a>, Stop> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at = string_end(self.data, start).ok_or(Stop::Cut)?;
        Ok(Text(&self.data[start..self.at - 1]))
    }

    /// Passes over a value, whatever it holds.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(),
            _ => self.scalar().map(|_| ()),
        }
    }

    fn skip_nested(&mut self) -> Result<(), Stop> {
        let mut depth = 0usize;
        while let Some(&byte) = self.data.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.at = string_end(self.data, self.at).ok_or(Stop::Cut)?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Err(Stop::Cut)
    }

    fn scalar(&mut self) -> Result<Node<'a>, Stop> {
        let start = self.at;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let Some(len) = self.data[start..].iter().position(ends) else { return Err(Stop::Cut) };
        let word = &self.data[start..start + len];
        self.at += len;
        match word {
            b"null" | b"true" | b"false" => Ok(Node::Word(word)),
            // Some exporters write what they do not know as a word of their language.
            b"NaN" | b"Infinity" | b"-Infinity" | b"undefined" | b"None" => Ok(Node::Word(b"null")),
            [b'-' | b'0'..=b'9', ..] => Ok(Node::Number(word)),
            _ => Err(Stop::Wrong(start, "a value")),
        }
    }

    /// Reads a value.
    pub(super) fn value(&mut self) -> Result<Node<'a>, Stop> {
        self.value_in(NEST_MAX)
    }

    fn value_in(&mut self, depth: usize) -> Result<Node<'a>, Stop> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Stop::Wrong(self.at, "less nesting")) };
        match self.peek()? {
            b'"' => Ok(Node::Text(self.string()?)),
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                while self.more(b'}', members.is_empty())? {
                    let key = self.key()?;
                    members.push((key, self.value_in(depth)?));
                }
                Ok(Node::Object(members))
            }
            b'[' => {
                self.at += 1;
                let mut elements = Vec::new();
                while self.more(b']', elements.is_empty())? {
                    elements.push(self.value_in(depth)?);
                }
                Ok(Node::Array(elements))
            }
            _ => self.scalar(),
        }
    }
}

impl Text<'_> {
    /// Whether it is this name.
    pub(super) fn names(self, name: &str) -> bool {
        self.is(name)
    }
}

/// The place after the quote that ends a string which begins at `at`.
fn string_end(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', data.get(at..)?)?;
        if data[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Node, Stop};

    fn read(json: &[u8]) -> Result<Node<'_>, Stop> {
        Cursor::new(json, 0).value()
    }

    #[test]
    fn a_string_is_unescaped_and_lone_surrogates_do_not_end_it() {
        let text = |json: &[u8]| read(json).expect("JSON").bytes().expect("a string").into_owned();
        assert_eq!(text(br#""a\n\"\\\/\u00e9\ud83d\ude00z""#), "a\n\"\\/é😀z".as_bytes());
        assert_eq!(text(br#""\udc8bx\udcff""#), b"\x8bx\xff");
        assert_eq!(text(br#""\ud83dx""#), "\u{fffd}x".as_bytes());
        assert_eq!(text(b"\"\xff\xfe\""), b"\xff\xfe");
    }

    #[test]
    fn members_are_found_and_null_is_none() {
        let node = read(br#"{"a": null, "b": "12", "n\u0061me": [1, {"c": true}, ], "b": 13}"#).expect("JSON");
        assert!(node.get("a").is_none());
        assert_eq!(node.get("b").and_then(Node::count), Some(13));
        assert_eq!(node.get("name").map(|list| list.elements().len()), Some(2));
    }

    #[test]
    fn what_is_cut_off_is_told_from_what_is_wrong() {
        assert!(matches!(read(br#"{"a": "b"#), Err(Stop::Cut)));
        assert!(matches!(read(br#"{"a" 1}"#), Err(Stop::Wrong(5, "a colon"))));
        assert!(matches!(read(br#"{"a": 1 "b": 2}"#), Err(Stop::Wrong(8, "a comma"))));
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        assert!(matches!(read(&deep), Err(Stop::Wrong(_, "less nesting"))));
        let mut cursor = Cursor::new(&deep, 0);
        assert_eq!((cursor.skip(), cursor.at), (Ok(()), deep.len()));
    }
}
