//! The spellings of a known value before any encoding: with and without separators, with and without country code or
//! check digit. Upper and lower case are the matcher's business.

use super::checks;
use crate::model::Identifier;

/// What may stand beside a match for it to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Boundary {
    /// Anything.
    Any,
    /// No further digit.
    Digits,
    /// No further hexadecimal digit.
    Hex,
    /// At the start of an IMEI's 14 digits: no digit before; after it none, its check digit, or a software version.
    Imei,
    /// No further letter or digit.
    Token,
}

/// One spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variant {
    pub(super) text: String,
    pub(super) boundary: Boundary,
    /// A spelling programs use, which may be hashed or encoded; the others are only for people to read.
    pub(super) derived: bool,
}

/// Shortest text that needs no boundary around it.
const FREE_MIN: usize = 12;

/// All spellings of an identifier, the profile's own first.
pub(super) fn variants(identifier: &Identifier) -> Vec<Variant> {
    let value = identifier.value.trim();
    let mut out = vec![plain(value)];
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let hex: String = value.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    let separated = value.len() > hex.len();
    let only =
        |allowed: fn(char) -> bool| value.chars().all(|c| allowed(c) || matches!(c, ':' | '-' | '.' | ' ' | '_'));
    match identifier.data_type.as_str() {
        "imei" if (14..=16).contains(&digits.len()) => imei(&digits, &mut out),
        "phone_number" if only(|c| c.is_ascii_digit() || matches!(c, '+' | '(' | ')')) => phone(&digits, &mut out),
        _ if hex.len() == 12 && only(|c| c.is_ascii_hexdigit()) && (separated || mac_like(identifier)) => {
            mac(&hex, &mut out);
        }
        _ if hex.len() == 32 && separated && only(|c| c.is_ascii_hexdigit()) => uuid(&hex, &mut out),
        _ if hex.len() == 32 && uuid_like(identifier) && only(|c| c.is_ascii_hexdigit()) => uuid(&hex, &mut out),
        _ if digits.len() >= 10 && value.len() > digits.len() && only(|c| c.is_ascii_digit()) => {
            out.push(plain(&digits));
        }
        _ => {}
    }
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|variant| !variant.text.is_empty() && seen.insert(variant.text.clone()));
    out
}

fn mac_like(identifier: &Identifier) -> bool {
    matches!(identifier.data_type.as_str(), "mac_address" | "bssid" | "wifi_information" | "bluetooth_information")
}

fn uuid_like(identifier: &Identifier) -> bool {
    matches!(identifier.data_type.as_str(), "oaid" | "vaid" | "aaid" | "gaid" | "idfa" | "idfv" | "openudid" | "guid")
}

/// A spelling with the boundary its characters ask for.
fn plain(text: &str) -> Variant {
    let boundary = if text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Boundary::Digits
    } else if text.len() >= FREE_MIN {
        Boundary::Any
    } else {
        Boundary::Token
    };
    Variant { text: text.to_owned(), boundary, derived: true }
}

/// A spelling for people.
fn printed(text: String) -> Variant {
    Variant { derived: false, ..digits(text) }
}

fn digits(text: String) -> Variant {
    Variant { text, boundary: Boundary::Digits, derived: true }
}

/// Cuts ASCII digits into groups of the given lengths.
fn grouped(digits: &str, lengths: &[usize], separator: &str) -> String {
    let mut rest = digits;
    let mut groups = Vec::new();
    for &length in lengths {
        let (group, tail) = rest.split_at(length.min(rest.len()));
        groups.push(group);
        rest = tail;
    }
    groups.push(rest);
    groups.retain(|group| !group.is_empty());
    groups.join(separator)
}

/// 14 digits with or without check digit or software version (3GPP TS 23.003 §6.2), and as printed in groups.
fn imei(digits: &str, out: &mut Vec<Variant>) {
    let body = &digits[..14];
    out.retain(|variant| variant.text != digits);
    let full = format!("{body}{}", checks::luhn_digit(body));
    out.push(self::digits(full.clone()));
    out.push(Variant { text: body.to_owned(), boundary: Boundary::Imei, derived: true });
    if digits.len() == 16 {
        out.push(self::digits(digits.to_owned()));
    }
    for separator in ["-", " "] {
        for lengths in [&[2, 6, 6][..], &[6, 2, 6], &[8, 6]] {
            out.push(printed(grouped(&full, lengths, separator)));
        }
    }
}

/// A number of mainland China with its ways of giving the country, or any other with and without `+`.
fn phone(digits: &str, out: &mut Vec<Variant>) {
    let national = digits.strip_prefix("0086").or_else(|| digits.strip_prefix("86")).unwrap_or(digits);
    if national.len() != 11 || !national.starts_with('1') {
        out.push(self::digits(digits.to_owned()));
        return;
    }
    let (spaced, dashed) = (grouped(national, &[3, 4], " "), grouped(national, &[3, 4], "-"));
    for prefix in ["", "86", "+86", "0086", "+86-", "+86 "] {
        out.push(self::digits(format!("{prefix}{national}")));
    }
    for number in [&spaced, &dashed] {
        for prefix in ["", "86-", "+86-", "+86 ", "86 "] {
            out.push(printed(format!("{prefix}{number}")));
        }
    }
}

/// Six octets with every usual separator, also with leading zeros dropped.
fn mac(hex: &str, out: &mut Vec<Variant>) {
    let octets: Vec<&str> = (0..6).map(|octet| &hex[octet * 2..octet * 2 + 2]).collect();
    for separator in [":", "-", "", "."] {
        out.push(plain(&octets.join(separator)));
    }
    for text in [octets.join(" "), octets.join("_"), grouped(hex, &[4, 4], ".")] {
        out.push(Variant { derived: false, ..plain(&text) });
    }
    let short: Vec<&str> = octets.iter().map(|octet| octet.strip_prefix('0').unwrap_or(octet)).collect();
    out.push(Variant { text: short.join(":"), boundary: Boundary::Token, derived: true });
}

fn uuid(hex: &str, out: &mut Vec<Variant>) {
    out.push(plain(&grouped(hex, &[8, 4, 4, 4], "-")));
    out.push(plain(hex));
}

#[cfg(test)]
mod tests {
    use super::variants;
    use crate::model::{DataType, Identifier};

    fn texts(data_type: &str, value: &str) -> Vec<String> {
        let identifier =
            Identifier { data_type: DataType::new(data_type), label: data_type.into(), value: value.into() };
        variants(&identifier).into_iter().map(|variant| variant.text).collect()
    }

    #[test]
    fn each_kind_of_value_has_its_spellings() {
        let has = |data_type: &str, value: &str, wanted: &[&str]| {
            let texts = texts(data_type, value);
            for wanted in wanted {
                assert!(texts.iter().any(|text| text == wanted), "{value}: no {wanted} in {texts:?}");
            }
        };
        has("imei", "861536030196001", &["861536030196001", "86153603019600", "86-153603-019600-1"]);
        has("imei", "86153603019600", &["861536030196001"]);
        has(
            "mac_address",
            "02:1A:C5:3F:7E:09",
            &["021ac53f7e09", "02-1a-c5-3f-7e-09", "021a.c53f.7e09", "2:1a:c5:3f:7e:9"],
        );
        has("mac_address", "021AC53F7E09", &["02:1a:c5:3f:7e:09"]);
        has(
            "phone_number",
            "13912345678",
            &["+8613912345678", "008613912345678", "139 1234 5678", "+86 139-1234-5678"],
        );
        has("phone_number", "+8613912345678", &["13912345678"]);
        has("oaid", "3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34", &["3f2a9c417d5e4b869a105e8c7d2f1b34"]);
        has("gaid", "3f2a9c417d5e4b869a105e8c7d2f1b34", &["3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34"]);
        assert_eq!(texts("android_id", "9774d56d682e549c"), ["9774d56d682e549c"]);
    }
}
