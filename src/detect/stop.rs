//! Values that identify nobody (placeholders of the system, zeros, empty strings) and their hashes.

use super::forms::{HASHES, hex};
use crate::model::DataType;
use crate::rules::RuleSet;
use rustc_hash::{FxHashMap, FxHashSet};

/// Placeholders that apply to every data type, lower case. Rules may add more for each.
const PLACEHOLDERS: &[&str] = &[
    "",
    "0",
    "-1",
    "000000000000000",
    "00000000-0000-0000-0000-000000000000",
    "00:00:00:00:00:00",
    "02:00:00:00:00:00",
    "02-00-00-00-00-00",
    "020000000000",
    "0123456789abcdef",
    "<unknown ssid>",
    "ff:ff:ff:ff:ff:ff",
    "n/a",
    "nil",
    "none",
    "null",
    "nan",
    "undefined",
    "unknow",
    "unknown",
    "(null)",
];

/// Fewest letters or digits that are a placeholder if they are all the same.
const SAME_MIN: usize = 4;

/// Values never reported.
pub(super) struct Stops {
    placeholders: FxHashSet<String>,
    /// By data type.
    listed: FxHashMap<DataType, FxHashSet<String>>,
    hashes: FxHashSet<String>,
}

impl Stops {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let placeholders: FxHashSet<String> = PLACEHOLDERS.iter().map(|&value| value.to_owned()).collect();
        let mut listed: FxHashMap<DataType, FxHashSet<String>> = FxHashMap::default();
        for rule in rules.identifiers() {
            let values = rule.stop.iter().map(|value| value.to_ascii_lowercase());
            listed.entry(rule.data_type.clone()).or_default().extend(values);
        }
        let spellings = placeholders.iter().chain(listed.values().flatten());
        let spellings = spellings.flat_map(|value| [value.clone(), value.to_ascii_uppercase()]);
        let hashes =
            spellings.flat_map(|value| HASHES.iter().map(move |hash| hex(&(hash.digest)(value.as_bytes())))).collect();
        Self { placeholders, listed, hashes }
    }

    /// Whether a value, or the value a hash was made of, says nothing of anyone.
    pub(super) fn placeholder(&self, value: &str) -> bool {
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        let bare: Vec<u8> = value.bytes().filter(u8::is_ascii_alphanumeric).collect();
        let same =
            value.is_ascii() && (bare.is_empty() || bare.len() >= SAME_MIN && bare.iter().all(|&byte| byte == bare[0]));
        same || self.placeholders.contains(&value) || self.hashes.contains(&value)
    }

    /// Whether the rules list a value as shared by many phones.
    pub(super) fn listed(&self, data_type: &DataType, value: &str) -> bool {
        self.listed.get(data_type).is_some_and(|listed| listed.contains(&value.trim().to_ascii_lowercase()))
    }

    /// Whether a value found without knowing it is to be left out.
    pub(super) fn contains(&self, data_type: &DataType, value: &str) -> bool {
        self.listed(data_type, value) || self.placeholder(value)
    }
}
