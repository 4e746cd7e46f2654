//! Places: pairs of numbers near the profile's, in WGS-84, GCJ-02 and BD-09, and pairs under latitude and longitude
//! keys. One number alone is no place.

use super::coordinates::{Point, bd09, distance, gcj02};
use super::scan::{Hit, State, hit_at};
use super::{Detect, Setup};
use crate::model::{Confidence, DataType, Decoding, Field, FieldKind, MatchKind, Place};
use crate::rules::{ValueCheck, normalise_key};
use std::sync::Arc;

/// Longest text that is searched for numbers, bytes.
const TEXT_MAX: usize = 512;
/// Shortest text that may hold half a place, bytes.
const NUMBER_MIN: usize = 3;
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
/// Keys of latitudes, normalised; the rules may add more.
const LATITUDE_KEYS: &[&str] = &["lat", "latitude", "gpslat", "gpslatitude", "loclat", "mlat", "weidu", "wd"];
/// Keys of longitudes.
const LONGITUDE_KEYS: &[&str] = &[
    "lng",
    "lon",
    "long",
    "longitude",
    "gpslng",
    "gpslon",
    "gpslongitude",
    "loclng",
    "loclon",
    "mlng",
    "jingdu",
    "jd",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Latitude,
    Longitude,
}

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
}

pub(super) fn build(setup: &mut Setup<'_>) -> Option<Box<dyn Detect>> {
    let places = setup.profile.locations.iter().flat_map(|&place| {
        let wgs = (place.lat, place.lon);
        let gcj = gcj02(wgs);
        [(place, wgs, None), (place, gcj, Some("gcj02")), (place, bd09(gcj), Some("bd09"))]
    });
    Some(Box::new(Locations { places: places.collect() }))
}

impl Detect for Locations {
    fn field(&self, field: &Field<'_>, scan: &mut State) {
        if field.kind == FieldKind::Whole || !(NUMBER_MIN..=TEXT_MAX).contains(&field.value.len()) {
            return;
        }
        let whole = |byte: &u8| byte.is_ascii_digit() || b"+-,;| ".contains(byte);
        if memchr::memchr(b'.', field.value).is_none() && !field.value.iter().all(whole) {
            return;
        }
        let mut axis = None;
        let mut asked = false;
        numbers(field.value, |start, end, value, decimals| {
            if !asked {
                asked = true;
                axis = Self::axis(field.key, scan);
            }
            self.number(field, (start, end), (value, decimals), axis, scan);
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
    fn axis(key: &str, scan: &State) -> Option<Axis> {
        if key.is_empty() {
            return None;
        }
        let candidates = scan.candidates.as_deref().unwrap_or_default();
        let says = |check| candidates.iter().any(|candidate| candidate.check == check);
        let key = normalise_key(key);
        if LATITUDE_KEYS.contains(&key.as_str()) || says(ValueCheck::Latitude) {
            Some(Axis::Latitude)
        } else if LONGITUDE_KEYS.contains(&key.as_str()) || says(ValueCheck::Longitude) {
            Some(Axis::Longitude)
        } else {
            None
        }
    }

    fn near(&self, value: f64) -> bool {
        self.places.iter().any(|(_, (lat, lon), _)| (value - lat).abs() <= NEAR || (value - lon).abs() <= NEAR)
    }

    fn number(
        &self,
        field: &Field<'_>,
        (start, end): (usize, usize),
        (value, decimals): (f64, u32),
        axis: Option<Axis>,
        scan: &mut State,
    ) {
        if scan.numbers.len() >= NUMBERS_MAX {
            return;
        }
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

/// Tells every number of a text that is no piece of a word or of a version: where, value, decimals.
fn numbers(text: &[u8], mut tell: impl FnMut(usize, usize, f64, u32)) {
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
        let sized = if decimals > 0 { whole <= 3 && decimals <= 17 } else { (6..=10).contains(&whole) };
        if sized
            && !joined
            && let Some(value) = std::str::from_utf8(&text[start..at]).ok().and_then(|text| text.parse().ok())
        {
            tell(start, at, value, u32::try_from(decimals).unwrap_or(0));
        }
        // The rest of a joined word or version is none either.
        if joined {
            at += text[at..].iter().take_while(|byte| joins(byte)).count();
        }
    }
}
