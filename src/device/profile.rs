//! Identifiers as a device profile (`device.toml`): what was read as keys, what was not as comments with the reason.

use super::identifiers::{Entry, Identifiers};
use std::fmt::Write as _;

/// Longest reason that is written down.
const REMARK_MAX: usize = 200;

impl Identifiers {
    /// The profile as text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Identifiers of the test phone, as `divulge device profile` read them over adb.\n\
             # Whoever has this file can recognise the phone.\n\n",
        );
        for entry in &self.entries {
            write_entry(&mut text, entry);
        }
        text.push_str(
            "\n# To be filled in by hand: what was put on the clipboard before the app was started, and where the phone was.\n\
             # clipboard = \"any text that is found nowhere else\"\n\
             # location = { lat = 0.0, lon = 0.0, radius_m = 200 }\n",
        );
        if let Some((package, uids)) = &self.app {
            let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
            let _ = write!(
                text,
                "\n[app]\n# uid {}\npackage = {}\n# Domains of the app's own servers:\n# first_party = [\"example.com\"]\n",
                uids.join(", "),
                string(package),
            );
        }
        text
    }
}

fn write_entry(text: &mut String, entry: &Entry) {
    let remark = entry.remark.as_deref().map(one_line);
    let values: Vec<String> = entry.values.iter().map(|value| string(value)).collect();
    let value = match values.as_slice() {
        [] => {
            let reason = remark.unwrap_or_else(|| "not read".to_owned());
            // Writing to a string does not fail.
            let _ = writeln!(text, "# {}: {reason}", entry.key);
            return;
        }
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    if let Some(remark) = remark {
        let _ = writeln!(text, "# {}: {remark}", entry.key);
    }
    let _ = if entry.key == entry.data_type {
        writeln!(text, "{} = {value}", entry.key)
    } else {
        writeln!(text, "{} = {{ type = {}, value = {value} }}", entry.key, string(entry.data_type))
    };
}

/// A string of TOML.
fn string(value: &str) -> String {
    toml::Value::from(value).to_string()
}

/// What the phone said, fit for a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REMARK_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_phone_says_is_toml() {
        let entry = |key, data_type, values: &[&str], remark: Option<&str>| Entry {
            key,
            data_type,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            remark: remark.map(str::to_owned),
        };
        let identifiers = Identifiers {
            entries: vec![
                entry("imei", "imei", &["867530040172932", "867530040173096"], None),
                entry("ssid", "ssid", &["a\"b'\\\u{1b}[31m\n\u{7f}"], None),
                entry("imsi", "imsi", &[], Some("needs\nroot = \"1\"")),
                entry("android_id_of_phone", "android_id", &["b7c1e5420d9fa683"], Some("remark")),
                entry("device_name", "device_name", &["'''"], None),
            ],
            app: Some(("com.example.app".to_owned(), vec![10101, 1_010_101])),
        };
        let text = identifiers.to_toml();
        let table: toml::Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(table["ssid"].as_str(), Some("a\"b'\\\u{1b}[31m\n\u{7f}"));
        assert_eq!(table["imei"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["android_id_of_phone"]["type"].as_str(), Some("android_id"));
        assert_eq!(table["app"]["package"].as_str(), Some("com.example.app"));
        assert!(!table.contains_key("imsi") && !table.contains_key("root"), "{text}");
        assert!(text.is_ascii() || !text.contains('\u{1b}'), "{text}");
    }
}
