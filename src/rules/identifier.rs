//! What an identifier looks like when its value isn't known: names of keys, forms of values, and values that mean
//! nothing (`rules/identifiers/*.toml`). Looking for them is the detector's work, and so are the checks named here.

use crate::model::{Confidence, DataType};
use serde::Deserialize;

/// A test of a candidate value beyond its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueCheck {
    /// Any value that isn't empty.
    #[default]
    None,
    /// Luhn's check digit over all digits (ISO/IEC 7812-1 annex B).
    Luhn,
    /// 15 digits, Luhn, reporting body 01, 35, 86 or 99 (3GPP TS 23.003).
    Imei,
    /// 14 hexadecimal digits, first octet from A0.
    Meid,
    /// 15 digits with a mobile country code.
    Imsi,
    /// 19 or 20 digits from 89, Luhn (ITU-T E.118).
    Iccid,
    /// Mobile number of mainland China, prefix table.
    CnPhone,
    /// Resident identity number (GB 11643-1999).
    CnId,
    /// Six octets, neither all zero, all ones nor Android's 02:00:00:00:00:00.
    Mac,
    /// UUID with dashes, not all zero.
    Uuid,
    /// 16 hexadecimal digits or fewer with letters and digits mixed (a leading zero may be dropped).
    Hex16,
    /// Address with a registered top-level domain, no file name.
    Email,
    /// IPv4 or IPv6 address.
    Ip,
    /// Number from -90 to 90 with a fraction.
    Latitude,
    /// Number from -180 to 180 with a fraction.
    Longitude,
    /// Two numbers that can be a latitude and a longitude, in either order.
    Coordinates,
    /// 15 to 64 letters, digits and dashes (OAID and its like differ by maker).
    Opaque,
    /// 6 to 20 letters and digits, at least one digit.
    Serial,
}

/// A key that names a data type.
#[derive(Debug, Clone)]
pub struct KeyRule {
    /// What keys.
    pub matcher: KeyMatcher,
    /// How sure a match is.
    pub confidence: Confidence,
    /// What the value must pass.
    pub check: ValueCheck,
}

/// How a key is recognised, after [`normalise_key`].
#[derive(Debug, Clone)]
pub enum KeyMatcher {
    /// The whole key.
    Name(String),
    /// A pattern somewhere in it; anchors are up to the rule.
    Pattern(regex::Regex),
}

impl KeyMatcher {
    /// Whether a normalised key matches.
    #[must_use]
    pub fn is_match(&self, normalised: &str) -> bool {
        match self {
            Self::Name(name) => name == normalised,
            Self::Pattern(regex) => regex.is_match(normalised),
        }
    }
}

/// A form of values that says a data type without a key.
#[derive(Debug, Clone)]
pub struct PatternRule {
    /// The form.
    pub regex: regex::Regex,
    /// What a match must pass.
    pub check: ValueCheck,
    /// How sure it is.
    pub confidence: Confidence,
}

/// The rules for one data type.
#[derive(Debug, Clone)]
pub struct IdentifierRule {
    /// What is found.
    pub data_type: DataType,
    /// Keys, in the file's order: the first that matches counts.
    pub keys: Vec<KeyRule>,
    /// Forms.
    pub patterns: Vec<PatternRule>,
    /// Values that identify nobody, lower case.
    pub stop: Vec<String>,
    /// Normalised keys under which a form is no hit (`timestamp` for phone numbers).
    pub not_keys: Vec<KeyMatcher>,
    /// Where the facts are from.
    pub source: Option<String>,
    /// The rule file.
    pub file: String,
}

/// A key reduced to what its spellings share: ASCII lower case, without `_`, `-`, `.`, spaces and a leading `$`.
#[must_use]
pub fn normalise_key(key: &str) -> String {
    key.chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' ' | '$' | '[' | ']'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
