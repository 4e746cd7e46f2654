//! A cheap look at a text that says which regular expressions cannot match in it, from what any match of theirs must
//! be: so many bytes in a row, all of certain kinds, some of them more than once. Nearly every text is turned down.

use crate::model::Kinds;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What every match of an expression is made of.
#[derive(Debug, Clone)]
struct Need {
    /// The bytes it may hold.
    bytes: [bool; 256],
    /// The fewest bytes.
    length: usize,
    /// How often it holds each byte at least.
    times: [u16; 256],
}

impl Need {
    const EMPTY: Self = Self { bytes: [false; 256], length: 0, times: [0; 256] };

    fn of(hir: &Hir) -> Self {
        let mut need = Self::EMPTY;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                for &byte in &literal.0 {
                    need.bytes[usize::from(byte)] = true;
                    need.times[usize::from(byte)] += 1;
                }
                need.length = literal.0.len();
            }
            HirKind::Class(class) => need.class(class),
            HirKind::Repetition(repetition) => {
                need = Self::of(&repetition.sub);
                let least = repetition.min;
                need.length = need.length.saturating_mul(least as usize);
                let most = u16::try_from(least).unwrap_or(u16::MAX);
                need.times.iter_mut().for_each(|times| *times = times.saturating_mul(most));
            }
            HirKind::Capture(capture) => need = Self::of(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| need.follow(&Self::of(part))),
            HirKind::Alternation(parts) => {
                let mut parts = parts.iter().map(Self::of);
                need = parts.next().unwrap_or(Self::EMPTY);
                parts.for_each(|part| need.or(&part));
            }
        }
        need
    }

    fn class(&mut self, class: &Class) {
        let mut fill = |first: u32, last: u32| {
            for byte in first..=last.min(0xff) {
                self.bytes[byte as usize] = true;
            }
        };
        match class {
            Class::Bytes(class) => class.iter().for_each(|range| fill(range.start().into(), range.end().into())),
            Class::Unicode(class) => {
                for range in class.iter() {
                    fill(range.start().into(), u32::from(range.end()).min(0x7f));
                    if u32::from(range.end()) > 0x7f {
                        fill(0x80, 0xff);
                    }
                }
            }
        }
        self.length = 1;
    }

    fn follow(&mut self, next: &Self) {
        self.length = self.length.saturating_add(next.length);
        for byte in 0..256 {
            self.bytes[byte] |= next.bytes[byte];
            self.times[byte] = self.times[byte].saturating_add(next.times[byte]);
        }
    }

    fn or(&mut self, other: &Self) {
        self.length = self.length.min(other.length);
        for byte in 0..256 {
            self.bytes[byte] |= other.bytes[byte];
            self.times[byte] = self.times[byte].min(other.times[byte]);
        }
    }
}

/// The strings of nothing but decimal digits that an expression takes: their lengths, a bit for each below 64, by their
/// first digit, and for the empty one.
#[derive(Debug, Clone, Copy)]
struct Digits {
    first: [u64; 10],
    empty: bool,
}

impl Digits {
    const NONE: Self = Self { first: [0; 10], empty: false };

    fn of(hir: &Hir) -> Self {
        let mut out = Self::NONE;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => out.empty = true,
            HirKind::Literal(literal) => {
                if let Some(first) = literal.0.first().filter(|_| literal.0.iter().all(u8::is_ascii_digit)) {
                    out.first[usize::from(first - b'0')] = 1u64.checked_shl(bits(literal.0.len())).unwrap_or(0);
                }
            }
            HirKind::Class(class) => {
                let need = Need::of(hir);
                let digit = |digit: usize| need.bytes[usize::from(b'0') + digit];
                (0..10).filter(|&at| digit(at)).for_each(|at| out.first[at] = 2);
                debug_assert!(need.length == 1, "{class:?}");
            }
            HirKind::Repetition(repetition) => {
                let sub = Self::of(&repetition.sub);
                let most = repetition.max.unwrap_or(64).min(64);
                let mut times = Self { empty: true, ..Self::NONE };
                for count in 0..=most {
                    if count >= repetition.min {
                        out.or(&times);
                    }
                    times = times.then(&sub);
                }
            }
            HirKind::Capture(capture) => out = Self::of(&capture.sub),
            HirKind::Concat(parts) => {
                out.empty = true;
                parts.iter().for_each(|part| out = out.then(&Self::of(part)));
            }
            HirKind::Alternation(parts) => parts.iter().for_each(|part| out.or(&Self::of(part))),
        }
        out
    }

    fn or(&mut self, other: &Self) {
        self.empty |= other.empty;
        self.first.iter_mut().zip(other.first).for_each(|(lengths, more)| *lengths |= more);
    }

    fn then(&self, next: &Self) -> Self {
        let lengths = next.first.iter().fold(u64::from(next.empty), |all, lengths| all | lengths);
        let mut out = Self { first: [0; 10], empty: self.empty && next.empty };
        for digit in 0..10 {
            let own = self.first[digit];
            let joined = (0..64).filter(|at| own >> at & 1 != 0).fold(0, |sum, at| sum | lengths << at);
            out.first[digit] = joined | if self.empty { next.first[digit] } else { 0 };
        }
        out
    }

    fn is_none(&self) -> bool {
        !self.empty && self.first == [0; 10]
    }
}

fn bits(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Whether what an expression takes of a string of digits begins (or ends) where the string does.
fn bounded(hir: &Hir, first: bool) -> bool {
    match hir.kind() {
        HirKind::Look(look) => matches!(look, Look::WordAscii | Look::WordUnicode),
        HirKind::Capture(capture) => bounded(&capture.sub, first),
        HirKind::Concat(parts) => {
            if first { parts.first() } else { parts.last() }.is_some_and(|part| bounded(part, first))
        }
        HirKind::Alternation(parts) => parts.iter().all(|part| Digits::of(part).is_none() || bounded(part, first)),
        _ => false,
    }
}

/// A run of bytes without which an expression cannot match.
#[derive(Debug)]
struct Run {
    /// Its bit in the table of bytes.
    bit: u32,
    length: usize,
    /// A sign that is in it so many times, with its bit.
    mark: Option<(u8, u16, usize)>,
}

/// Runs one of which a text must hold, shortest first.
#[derive(Debug)]
pub(super) struct Gate {
    runs: Vec<Run>,
    /// Strings of digits in which one of the expressions may match, by their first digit.
    digits: [u64; 10],
    /// The runs each byte may stand in.
    table: Box<[u32; 256]>,
    open: bool,
}

impl Gate {
    /// A gate for all of these expressions; one that is open to every text where one of them can't be judged.
    pub(super) fn new<'r>(regexes: impl Iterator<Item = &'r str>) -> Self {
        let mut gate = Self { runs: Vec::new(), digits: [0; 10], table: Box::new([0; 256]), open: false };
        for (index, regex) in regexes.enumerate() {
            let parsed = ParserBuilder::new().utf8(false).build().parse(regex).ok();
            let parsed = parsed.map(|hir| (Need::of(&hir), hir));
            let Some((need, hir)) = parsed.filter(|(need, _)| need.length > 0 && index < 32) else {
                gate.open = true;
                return gate;
            };
            let digits = Digits::of(&hir);
            let whole = bounded(&hir, true) && bounded(&hir, false);
            for (lengths, own) in gate.digits.iter_mut().zip(digits.first) {
                *lengths |= if whole || digits.is_none() { own } else { u64::MAX };
            }
            let bit = 1u32 << index;
            let mut mark: Option<(u8, u16, usize)> = None;
            for byte in 0..=255u8 {
                let times = usize::from(need.times[usize::from(byte)]);
                if need.bytes[usize::from(byte)] {
                    gate.table[usize::from(byte)] |= bit;
                }
                if Kinds::sign(byte) != 0 && times > mark.map_or(0, |(.., times)| times) {
                    mark = Some((byte, Kinds::sign(byte), times));
                }
            }
            gate.runs.push(Run { bit, length: need.length, mark });
        }
        gate.runs.sort_by_key(|run| run.length);
        // A run that only stands where a shorter one does says nothing more.
        let mut needed: Vec<Run> = Vec::new();
        for run in std::mem::take(&mut gate.runs) {
            let holds = |other: &Run| {
                other.mark.is_none() && gate.table.iter().all(|bits| bits & run.bit == 0 || bits & other.bit != 0)
            };
            if !needed.iter().any(holds) {
                needed.push(run);
            }
        }
        gate.runs = needed;
        gate
    }

    /// The strings of nothing but digits in which some expression may match.
    pub(super) fn digits(&self) -> [u64; 10] {
        if self.open { [u64::MAX; 10] } else { self.digits }
    }

    /// Whether some expression may match in a text with these [`Kinds`].
    pub(super) fn may_match(&self, text: &[u8], kinds: Kinds) -> bool {
        if kinds == Kinds::default() && text.len() < 64 && !self.open {
            // Nothing but digits.
            let first = text.first().map_or(0, |first| usize::from(first - b'0'));
            return self.digits[first] >> text.len() & 1 != 0;
        }
        let runs = self.runs.iter().take_while(|run| run.length <= text.len());
        self.open
            || runs.filter(|run| run.mark.is_none_or(|(_, sign, _)| kinds.any(sign))).any(|run| self.holds(text, run))
    }

    /// Whether a text holds a run: one of its bytes stands at each multiple of its length.
    fn holds(&self, text: &[u8], run: &Run) -> bool {
        let inside = |byte: &u8| self.table[usize::from(*byte)] & run.bit != 0;
        let mut at = run.length - 1;
        while let Some(byte) = text.get(at) {
            if !inside(byte) {
                at += run.length;
                continue;
            }
            let start = at - text[..at].iter().rev().take_while(|byte| inside(byte)).count();
            let end = at + text[at..].iter().take_while(|byte| inside(byte)).count();
            let marked = |(mark, _, times): (u8, u16, usize)| {
                text[start..end].iter().filter(|&&byte| byte == mark).take(times).count() == times
            };
            if end - start >= run.length && run.mark.is_none_or(marked) {
                return true;
            }
            at = end + run.length;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use crate::model::Kinds;
    use regex::bytes::Regex;
    use std::sync::LazyLock;

    const REGEXES: [&str; 8] = [
        r"(?-u:\b)[0-9]{15}(?-u:\b)",
        r"[a-z]{1,64}@[a-z0-9](?:[a-z0-9-]*\.)+[a-z]{2,24}(?-u:\b)",
        r"(?-u:\b)[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?-u:\b)",
        r"(?:\+86|(?-u:\b)86|(?-u:\b))[ -]?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?-u:\b)",
        r"(?i)ab?c|\d{4}é",
        r"(?:xy){3,}z*",
        r"4[0-9]{2,3}",
        r"(?-u:\b)(?:7|81){2}[0-9]?(?-u:\b)",
    ];

    proptest::proptest! {
        #[test]
        fn what_is_turned_down_does_not_match(text in "(?:[0-9]{0,16}|[0-9a-f:]{0,18}|[a-z@.-]{0,12}|[abcxyz ]{0,8}|[+861 -]{0,14}|[4781]{1,6}|é|٣){1,4}") {
            static ALL: LazyLock<Vec<(Regex, Gate)>> = LazyLock::new(|| {
                REGEXES.iter().map(|&regex| (Regex::new(regex).unwrap(), Gate::new([regex].into_iter()))).collect()
            });
            for (regex, gate) in ALL.iter() {
                let found = regex.is_match(text.as_bytes());
                proptest::prop_assert!(!found || gate.may_match(text.as_bytes(), Kinds::of(text.as_bytes())), "{regex} {text}");
            }
            let any = ALL.iter().any(|(regex, _)| regex.is_match(text.as_bytes()));
            proptest::prop_assert!(!any || Gate::new(REGEXES.into_iter()).may_match(text.as_bytes(), Kinds::of(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn common_texts_are_turned_down_and_matches_are_not() {
        let gate = Gate::new(REGEXES[..4].iter().copied());
        for text in [
            "ProductDetailActivity",
            "12345",
            "3f2a9c41-7d5e-4b86-aa10-5e8c7d2f1b3f",
            "a.b.c.example.com",
            "2026-10-02T12:30",
            "1760000000000",
            "123456789012",
        ] {
            assert!(!gate.may_match(text.as_bytes(), Kinds::of(text.as_bytes())), "{text}");
        }
        for text in [
            "861536030196001",
            "mail a@b.example",
            "02:1a:c5:3f:7e:90",
            "+86 139-1234-5678",
            "8613912345678",
            "13912345678",
        ] {
            assert!(gate.may_match(text.as_bytes(), Kinds::of(text.as_bytes())), "{text}");
        }
        assert!(
            Gate::new([r"a*"].into_iter()).may_match(b"x", Kinds::of(b"x")),
            "an expression that matches nothing at all says nothing"
        );
    }
}
