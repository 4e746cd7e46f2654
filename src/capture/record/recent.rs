//! The end of a key log: its last lines, which a recording that goes on in another file takes along, so that sessions
//! that are open then can be read there as well.

/// Lines of a key log, of which only the last are kept.
pub(super) struct Recent {
    text: Vec<u8>,
    max: usize,
}

impl Recent {
    /// At most `max` bytes.
    pub(super) const fn new(max: usize) -> Self {
        Self { text: Vec::new(), max }
    }

    /// Adds lines.
    pub(super) fn add(&mut self, lines: &[u8]) {
        // What would have to go at once is not copied first.
        self.text.extend_from_slice(last(lines, self.max));
        if !self.text.ends_with(b"\n") && !self.text.is_empty() {
            self.text.push(b'\n');
        }
        // Half of it goes at a time, so that each line moves about once.
        if self.text.len() > self.max.saturating_mul(2) {
            let kept = last(&self.text, self.max).len();
            self.text.drain(..self.text.len() - kept);
        }
    }

    /// The last lines.
    pub(super) fn lines(&self) -> &[u8] {
        last(&self.text, self.max)
    }
}

/// As many of the last lines as `max` bytes have room for.
fn last(text: &[u8], max: usize) -> &[u8] {
    let Some(cut) = text.len().checked_sub(max).filter(|&cut| cut > 0) else { return text };
    // A line that begins right at the cut is whole.
    let next = memchr::memchr(b'\n', &text[cut - 1..]).map_or(text.len(), |end| cut + end);
    &text[next..]
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn the_last_whole_lines_are_kept() {
        let mut recent = Recent::new(10);
        assert_eq!(recent.lines(), b"");
        for (added, kept) in [
            ("one\n", "one\n"),
            ("two\nthree", "two\nthree\n"),
            ("four\n", "four\n"),
            ("five\n", "four\nfive\n"),
            ("a line that is longer than all\n", "four\nfive\n"),
            ("x\n", "five\nx\n"),
            ("1\n2\n3\n4\n5\n6\n", "2\n3\n4\n5\n6\n"),
        ] {
            recent.add(added.as_bytes());
            assert_eq!(String::from_utf8_lossy(recent.lines()), kept, "after {added:?}");
        }
        for _ in 0..1_000 {
            recent.add(b"abc\n");
            assert!(recent.text.len() <= 25);
        }
    }
}
