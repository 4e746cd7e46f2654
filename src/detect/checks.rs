//! Tests of candidate values: check digits, prefixes, ranges. Each is as strict as its standard allows, since the
//! form alone proves nothing.

use crate::rules::ValueCheck;
use std::net::IpAddr;

/// Weights of the first 17 digits of a resident identity number (GB 11643-1999 §4.1.4, mod 11-2 of ISO 7064).
const ID_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters by remainder.
const ID_CHECKS: &[u8; 11] = b"10X98765432";
/// First two digits of provinces (GB/T 2260), and of residence permits.
const ID_AREAS: &[u32] = &[
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65, 71, 81, 82, 83, 91,
];
/// Endings of what looks like an address but is a file.
const FILE_ENDINGS: &[&str] = &["png", "jpg", "jpeg", "gif", "webp", "svg", "js", "css", "json", "mp4", "zip", "apk"];

/// Whether a value passes a check.
#[must_use]
pub fn passes(check: ValueCheck, value: &str) -> bool {
    let value = value.trim();
    match check {
        ValueCheck::None => !value.is_empty(),
        ValueCheck::Luhn => value.len() >= 8 && luhn(&digits(value)),
        ValueCheck::Imei => imei(value),
        ValueCheck::Meid => {
            value.len() == 14 && all_hex(value) && matches!(value.as_bytes()[0].to_ascii_lowercase(), b'a'..=b'f')
        }
        ValueCheck::Imsi => value.len() == 15 && all_digits(value) && matches!(value.as_bytes()[0], b'2'..=b'7'),
        ValueCheck::Iccid => iccid(value),
        ValueCheck::CnPhone => cn_phone(value),
        ValueCheck::CnId => cn_id(value),
        ValueCheck::Mac => mac(value),
        ValueCheck::Uuid => uuid(value),
        ValueCheck::Hex16 => hex16(value),
        ValueCheck::Email => email(value),
        ValueCheck::Ip => ip(value),
        ValueCheck::Latitude => degrees(value).is_some_and(|degrees| degrees.abs() <= 90.0),
        ValueCheck::Longitude => degrees(value).is_some_and(|degrees| degrees.abs() <= 180.0),
        ValueCheck::Coordinates => coordinates(value),
        ValueCheck::Opaque => {
            (15..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        ValueCheck::Serial => {
            (6..=20).contains(&value.len())
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && value.bytes().any(|byte| byte.is_ascii_digit())
        }
    }
}

fn all_digits(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
}

fn all_hex(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|character| character.to_digit(10)).collect()
}

/// The sum of Luhn's check over digits whose last one is doubled or not.
fn luhn_sum(digits: &[u32], double_last: bool) -> u32 {
    let weigh = |(place, &digit): (usize, &u32)| {
        let doubled = if place.is_multiple_of(2) == double_last { digit * 2 } else { digit };
        if doubled > 9 { doubled - 9 } else { doubled }
    };
    digits.iter().rev().enumerate().map(weigh).sum()
}

fn luhn(digits: &[u32]) -> bool {
    luhn_sum(digits, false).is_multiple_of(10)
}

/// The check digit that makes `body` pass Luhn's check.
pub(super) fn luhn_digit(body: &str) -> u32 {
    (10 - luhn_sum(&digits(body), true) % 10) % 10
}

fn imei(value: &str) -> bool {
    value.len() == 15 && all_digits(value) && matches!(&value[..2], "01" | "35" | "86" | "99") && luhn(&digits(value))
}

/// Chinese cards may hold letters and may be without their last digit; others must pass Luhn's check.
fn iccid(value: &str) -> bool {
    let form = (19..=20).contains(&value.len()) && value.starts_with("89") && all_hex(value);
    form && (value.starts_with("8986") && value[..6].bytes().all(|byte| byte.is_ascii_digit())
        || all_digits(value) && (luhn(&digits(value)) || luhn(&digits(&value[..19]))))
}

/// The number ranges of mainland China.
fn cn_phone(value: &str) -> bool {
    let number: String = value.chars().filter(|character| !matches!(character, ' ' | '-' | '+')).collect();
    let national = number.strip_prefix("0086").or_else(|| number.strip_prefix("86")).unwrap_or(&number);
    if national.len() != 11 || !all_digits(national) {
        return false;
    }
    let digits = national.as_bytes();
    let third = digits[2];
    digits[0] == b'1'
        && match digits[1] {
            b'3' | b'8' => true,
            b'4' => matches!(third, b'0' | b'1' | b'4'..=b'9'),
            b'5' => third != b'4',
            b'6' => matches!(third, b'2' | b'5'..=b'7'),
            b'7' => third != b'4' || matches!(digits[3], b'0' | b'1' | b'9'),
            b'9' => third != b'4',
            _ => false,
        }
}

fn cn_id(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() != 18 || !value.is_ascii() || !all_digits(&value[..17]) {
        return false;
    }
    let digits = digits(&value[..17]);
    let number = |from: usize, to: usize| digits[from..to].iter().fold(0, |number, digit| number * 10 + digit);
    let (year, month, day) = (number(6, 10), number(10, 12), number(12, 14));
    let month_days = [31, if year % 4 == 0 { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let dated = (1900..=2100).contains(&year)
        && month
            .checked_sub(1)
            .and_then(|month| month_days.get(month as usize))
            .is_some_and(|&most| (1..=most).contains(&day));
    let sum: u32 = digits.iter().zip(ID_WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    dated && ID_AREAS.contains(&number(0, 2)) && bytes[17].to_ascii_uppercase() == ID_CHECKS[(sum % 11) as usize]
}

fn mac(value: &str) -> bool {
    let octets: Vec<&str> = if value.len() == 12 {
        value.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect()
    } else {
        let Some(separator) = value.chars().find(|c| !c.is_ascii_hexdigit()) else { return false };
        if !matches!(separator, ':' | '-' | '.' | ' ' | '_') {
            return false;
        }
        value.split(separator).collect()
    };
    let bytes: Option<Vec<u8>> = octets
        .iter()
        .map(|octet| {
            let form = (1..=2).contains(&octet.len()) && all_hex(octet);
            u8::from_str_radix(octet, 16).ok().filter(|_| form)
        })
        .collect();
    bytes.is_some_and(|bytes| {
        bytes.len() == 6 && bytes != [2, 0, 0, 0, 0, 0] && bytes.iter().any(|&byte| byte != bytes[0])
    })
}

fn uuid(value: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut groups = value.split('-');
    let form = lengths.iter().all(|&length| groups.next().is_some_and(|group| group.len() == length && all_hex(group)));
    form && groups.next().is_none() && value.bytes().any(|byte| byte != b'0' && byte != b'-')
}

fn hex16(value: &str) -> bool {
    (13..=16).contains(&value.len())
        && all_hex(value)
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    let local_sane = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte) || byte >= 0x80;
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80)
    };
    let lower = domain.to_ascii_lowercase();
    let ending = lower.rsplit('.').next().unwrap_or_default();
    (1..=64).contains(&local.len())
        && local.bytes().all(local_sane)
        && domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(label)
        && !FILE_ENDINGS.contains(&ending)
        && psl::suffix(lower.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

fn ip(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

fn degrees(value: &str) -> Option<f64> {
    let (whole, fraction) = value.split_once('.')?;
    let form = all_digits(whole.trim_start_matches(['-', '+'])) && !fraction.is_empty() && all_digits(fraction);
    value.parse().ok().filter(|&degrees: &f64| form && degrees != 0.0)
}

/// Two numbers that can be latitude and longitude in either order, with a fraction, whatever stands between them.
fn coordinates(value: &str) -> bool {
    let numbers: Vec<f64> = value
        .split(|character: char| !(character.is_ascii_digit() || matches!(character, '.' | '-' | '+')))
        .filter_map(degrees)
        .collect();
    matches!(numbers[..], [a, b, ..] if a.abs() <= 180.0 && b.abs() <= 180.0 && (a.abs() <= 90.0 || b.abs() <= 90.0))
}

#[cfg(test)]
mod tests {
    use super::{luhn_digit, passes};
    use crate::rules::ValueCheck::{self, *};

    #[test]
    fn values_of_the_standards_pass_and_their_neighbours_do_not() {
        let cases: &[(ValueCheck, &[&str], &[&str])] = &[
            (
                Imei,
                &["861536030196001", "490154203237518"][..1],
                &["861536030196002", "161536030196001", "000000000000000"],
            ),
            (Imsi, &["460001234567890"], &["46000123456789", "960001234567890"]),
            (Iccid, &["89860118801234567890", "898600810115F0387588"], &["99860118801234567890", "8986011"]),
            (
                CnPhone,
                &["13912345678", "+86 139-1234-5678", "008617012345678"],
                &["15412345678", "1391234567", "1700000000000"],
            ),
            (
                CnId,
                &["34052419800101001X", "34052419800101001x"],
                &["340524198001010013", "34052419801301001X", "99052419800101001X"],
            ),
            (
                Mac,
                &["02:1a:c5:3f:7e:90", "021AC53F7E90", "2-1a-c5-3f-7e-9"],
                &["02:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "02:1a:c5:3f:7e"],
            ),
            (Uuid, &["3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34"], &["00000000-0000-0000-0000-000000000000", "3f2a9c41"]),
            (Hex16, &["9774d56d682e549c"], &["1234567890123456", "9774d56d682e549c0"]),
            (Email, &["li.ming+x@mail.example.com"], &["icon@2x.png", "a@b", "a@b.notatld", "@x.com", "a b@x.com"]),
            (Ip, &["10.1.2.3", "fe80::1"], &["1.2.3", "0.0.0.0", "1.2.3.400"]),
            (Latitude, &["31.298974", "-31.2"], &["31", "91.5", "0.0", "1.2.3"]),
            (Coordinates, &["31.29,120.58", "POINT(120.58 31.29)"], &["31.29", "1.2.3.4", "190.5,120.5"]),
            (Longitude, &["120.585289"], &["181.5", "abc"]),
        ];
        for (check, good, bad) in cases {
            good.iter().for_each(|value| assert!(passes(*check, value), "{check:?} {value}"));
            bad.iter().for_each(|value| assert!(!passes(*check, value), "{check:?} {value}"));
        }
        assert_eq!(luhn_digit("86153603019600"), 1);
        assert_eq!(luhn_digit("49015420323751"), 8);
    }

    proptest::proptest! {
        #[test]
        fn no_value_panics(value in ".{0,40}") {
            for check in [None, Luhn, Imei, Meid, Imsi, Iccid, CnPhone, CnId, Mac, Uuid, Hex16, Email, Ip, Latitude, Coordinates, Opaque, Serial] {
                let passed = passes(check, &value);
                proptest::prop_assert!(!passed || !value.trim().is_empty());
            }
        }
    }
}
