//! Places: pairs of numbers near the profile's, in WGS-84, GCJ-02 and BD-09, and pairs under latitude and longitude
//! keys. One number alone is no place.

use super::coordinates::{Point, bd09, distance, gcj02};
use super::lexicon::Axis;
use super::scan::{Hit, State, hit_at};
use super::{Detect, Setup};
use crate::model::{Confidence, DataType, Decoding, Field, FieldKind, Glance, Kinds, MatchKind, Place};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Longest text that is searched for numbers, bytes.
const TEXT_MAX: usize = 512;
/// Shortest text that may hold half a place, bytes.
const NUMBER_MIN: usize = 3;
/// Digits of whole numbers that may stand for degrees.
const WHOLE_DIGITS: RangeInclusive<usize> = 6..=10;
/// Most numbers of one exchange that are weighed.
const NUMBERS_MAX: usize = 1024;
/// A partner is at most this many candidates away.
const PARTNER_MAX: usize = 6;
/// How far a number may be from the profile's to be weighed, degrees: more than any system shifts, and rounding.
const NEAR: f64 = 0.06;
/// Decimals from which a place is precise.
const PRECISE_DECIMALS: u32 = 4;
/// Metres a place is off for each unit of its first decimal.
const FIRST_DECIMAL: f64 = 11_120.0;
/// Factors of whole numbers that stand for degrees.
const SCALES: [(f64, u32, &str); 3] = [(1e5, 5, "e5"), (1e6, 6, "e6"), (1e7, 7, "e7")];
/// A number that may be half of a place.
#[derive(Debug)]
pub(super) struct Number {
    value: f64,
    decimals: u32,
    scale: Option<&'static str>,
    axis: Option<Axis>,
    /// The pointer of what holds the number and its partner.
    parent: String,
    hit: Hit,
    used: bool,
}

struct Locations {
    /// Each place in each system, with the system's name in chains.
    places: Vec<(Place, Point, Option<&'static str>)>,
    /// Numbers before a decimal point that may be near a place, without their sign.
    degrees: BTreeSet<u64>,
    /// Whole numbers, without their sign, that may stand for degrees near a place.
    scaled: Vec<RangeInclusive<u64>>,
}

/// A number as it stands in a text.
struct Written<'t> {
    start: usize,
    text: &'t [u8],
    /// The digits before the point.
    whole: u64,
    decimals: u32,
}

pub(super) fn build(setup: &mut Setup<'_>) -> Option<Box<dyn Detect>> {
    let places = setup.profile.locations.iter().flat_map(|&place| {
        let wgs = (place.lat, place.lon);
        let gcj = gcj02(wgs);
        [(place, wgs, None), (place, gcj, Some("gcj02")), (place, bd09(gcj), Some("bd09"))]
    });
    let places: Vec<_> = places.collect();
    let mut degrees = BTreeSet::new();
    let mut scaled = Vec::new();
    for value in places.iter().flat_map(|&(_, (lat, lon), _)| [lat.abs(), lon.abs()]) {
        // A little more than near, so that rounding can't matter: what passes is looked at exactly.
        let (least, most) = ((value - 2.0 * NEAR).max(0.0), value + 2.0 * NEAR);
        degrees.extend([least, most].map(|value| value as u64));
        scaled.extend(SCALES.iter().map(|&(factor, ..)| (least * factor) as u64..=(most * factor) as u64));
    }
    Some(Box::new(Locations { places, degrees, scaled }))
}

/// Whether a text may hold half a place: it has a point somewhere, or nothing but numbers.
fn may_hold(kinds: Kinds) -> bool {
    kinds.0 & (Kinds::POINT | Kinds::NOT_NUMBERS) != Kinds::NOT_NUMBERS
}

impl Detect for Locations {
    fn wants(&self, leaf: &Glance<'_>, scan: &State) -> bool {
        let axis = scan.meaning().axis;
        if (axis.is_none() && self.places.is_empty()) || leaf.value.len() < NUMBER_MIN || !may_hold(leaf.kinds) {
            return false;
        }
        if leaf.kinds == Kinds::default() && !WHOLE_DIGITS.contains(&leaf.value.len()) {
            return false;
        }
        // One number by itself is told at once.
        match small_number(leaf.value) {
            Some((whole, point)) if point => axis.is_some() || self.degrees.contains(&whole),
            Some((whole, _)) => self.scaled.iter().any(|range| range.contains(&whole)),
            None => {
                let mut found = false;
                if leaf.value.len() <= TEXT_MAX {
                    numbers(leaf.value, |written| found |= self.may_matter(&written, axis));
                }
                found
            }
        }
    }

    fn digits(&self) -> [u64; 10] {
        let mut digits = [0; 10];
        for length in WHOLE_DIGITS {
            let place = 10u64.pow(u32::try_from(length).unwrap_or(0) - 1);
            for (first, lengths) in (0u64..).zip(&mut digits) {
                let (least, most) = (first * place, (first + 1) * place - 1);
                if self.scaled.iter().any(|range| *range.start() <= most && least <= *range.end()) {
                    *lengths |= 1 << length;
                }
            }
        }
        digits
    }

    fn field(&self, field: &Field<'_>, scan: &mut State) {
        if field.kind == FieldKind::Whole || !(NUMBER_MIN..=TEXT_MAX).contains(&field.value.len()) {
            return;
        }
        let axis = scan.meaning().axis;
        if (axis.is_none() && self.places.is_empty()) || !may_hold(field.kinds) {
            return;
        }
        numbers(field.value, |written| {
            if self.may_matter(&written, axis) {
                self.number(field, &written, axis, scan);
            }
        });
    }

    fn finish(&self, scan: &mut State) {
        let mut numbers = std::mem::take(&mut scan.numbers);
        for first in 0..numbers.len() {
            let partners = first + 1..numbers.len().min(first + 1 + PARTNER_MAX);
            for second in partners {
                if numbers[first].used || numbers[second].used || !together(&numbers[first], &numbers[second]) {
                    continue;
                }
                if let Some(hit) = self.pair(&numbers[first], &numbers[second]) {
                    numbers[first].used = true;
                    numbers[second].used = true;
                    scan.add(hit);
                }
            }
        }
    }
}

impl Locations {
    /// Whether a number may be half of a place, from a look at its digits.
    fn may_matter(&self, written: &Written<'_>, axis: Option<Axis>) -> bool {
        if written.decimals > 0 {
            axis.is_some() || self.degrees.contains(&written.whole)
        } else {
            self.scaled.iter().any(|range| range.contains(&written.whole))
        }
    }

    fn near(&self, value: f64) -> bool {
        self.places.iter().any(|(_, (lat, lon), _)| (value - lat).abs() <= NEAR || (value - lon).abs() <= NEAR)
    }

    fn number(&self, field: &Field<'_>, written: &Written<'_>, axis: Option<Axis>, scan: &mut State) {
        if scan.numbers.len() >= NUMBERS_MAX {
            return;
        }
        let (start, end, decimals) = (written.start, written.start + written.text.len(), written.decimals);
        let Some(value) = std::str::from_utf8(written.text).ok().and_then(|text| text.parse::<f64>().ok()) else {
            return;
        };
        let (value, decimals, scale) = if decimals > 0 {
            (value, decimals, None)
        } else {
            let scaled = SCALES.iter().map(|&(factor, decimals, name)| (value / factor, decimals, Some(name)));
            match scaled.into_iter().find(|&(value, ..)| self.near(value)) {
                Some(scaled) => scaled,
                None => return,
            }
        };
        if axis.is_none() && !self.near(value) {
            return;
        }
        let hit = hit_at(field, start..end, &DataType::new("location"), String::new());
        let pointer = &*hit.location.pointer;
        // Numbers of one text belong together, and so do members of one object.
        let alone = end - start == field.value.trim_ascii().len();
        let parent = if alone { pointer.rfind(['.', '[']).map_or("", |at| &pointer[..at]) } else { pointer };
        let parent = parent.to_owned();
        scan.numbers.push(Number { value, decimals, scale, axis, parent, hit, used: false });
    }

    fn pair(&self, a: &Number, b: &Number) -> Option<Hit> {
        [(a, b), (b, a)].into_iter().find_map(|(lat, lon)| {
            let fits = lat.axis != Some(Axis::Longitude) && lon.axis != Some(Axis::Latitude);
            (fits && lat.value.abs() <= 90.0 && lon.value.abs() <= 180.0).then(|| self.place(a, lat, lon)).flatten()
        })
    }

    /// The hit for a latitude and a longitude, standing where the first of them stands.
    fn place(&self, first: &Number, lat: &Number, lon: &Number) -> Option<Hit> {
        let point = (lat.value, lon.value);
        let decimals = lat.decimals.max(lon.decimals);
        let keyed = lat.axis.is_some() && lon.axis.is_some();
        let rounding = FIRST_DECIMAL * 10f64.powi(1 - i32::try_from(decimals).unwrap_or(1));
        let mut near = self
            .places
            .iter()
            .map(|(place, point_in, system)| (distance(point, *point_in) - place.radius_m - rounding, system))
            .filter(|&(over, _)| over <= 0.0 && (decimals > 1 || keyed));
        // Few decimals can't tell one system from another.
        let near = match decimals {
            PRECISE_DECIMALS.. => near.min_by(|a, b| a.0.total_cmp(&b.0)),
            _ => near.next(),
        };
        let mut hit = first.hit.clone();
        let precision = if decimals >= PRECISE_DECIMALS { "precise_location" } else { "coarse_location" };
        hit.data_type = DataType::new(precision);
        hit.value = format!("{},{}", lat.value, lon.value);
        hit.chain.extend(first.scale.map(Decoding));
        match near {
            Some((_, system)) => {
                hit.identifier = Some(Arc::from("location"));
                hit.chain.extend(system.map(Decoding));
                hit.confidence = match decimals {
                    3.. => Confidence::Certain,
                    _ if keyed => Confidence::Likely,
                    _ => Confidence::Possible,
                };
                Some(hit)
            }
            None if keyed && (lat.value != 0.0 || lon.value != 0.0) => {
                hit.matched = MatchKind::Key;
                hit.confidence = Confidence::Likely;
                Some(hit)
            }
            None => None,
        }
    }
}

/// Whether two numbers stand in one text, or are members of one object, form or query.
fn together(a: &Number, b: &Number) -> bool {
    let (first, second) = (&a.hit.location, &b.hit.location);
    first.side == second.side && first.part == second.part && a.parent == b.parent
}

/// The digits before the point of a text that is nothing but one number, and whether there is a point.
#[inline]
fn small_number(text: &[u8]) -> Option<(u64, bool)> {
    let mut whole = 0u64;
    let mut point = false;
    for &byte in text {
        match byte {
            b'0'..=b'9' if !point => whole = whole.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
            b'0'..=b'9' => {}
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    Some((whole, point))
}

/// Tells every number of a text that is no piece of a word or of a version, and of a size that may matter.
fn numbers<'t>(text: &'t [u8], mut tell: impl FnMut(Written<'t>)) {
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = at;
        let whole = run(at);
        at += whole;
        let mut decimals = 0;
        if text.get(at) == Some(&b'.') {
            decimals = run(at + 1);
            at += if decimals > 0 { 1 + decimals } else { 0 };
        }
        let signed = digits.checked_sub(1).is_some_and(|sign| matches!(text[sign], b'-' | b'+'));
        let start = if signed { digits - 1 } else { digits };
        let joins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
        let joined = start.checked_sub(1).is_some_and(|before| joins(&text[before])) || text.get(at).is_some_and(joins);
        let sized = if decimals > 0 { whole <= 3 && decimals <= 17 } else { WHOLE_DIGITS.contains(&whole) };
        if sized && !joined {
            let number = text[digits..digits + whole].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            let decimals = u32::try_from(decimals).unwrap_or(0);
            tell(Written { start, text: &text[start..at], whole: number, decimals });
        }
        // The rest of a joined word or version is none either.
        if joined {
            at += text[at..].iter().take_while(|byte| joins(byte)).count();
        }
    }
}
