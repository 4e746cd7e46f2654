//! `device.toml` → [`Profile`]: the test phone's identifiers, its place and the app under test. How the values are
//! looked for is the detector's work.

use super::{RuleError, RuleSet};
use crate::model::{DataType, Identifier, Place, Profile};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Radius of a place that doesn't say its own, metres.
pub const DEFAULT_RADIUS_M: f64 = 200.0;

/// A value where it stands.
type Value<'v, 'i> = &'v Spanned<DeValue<'i>>;

/// Reads a device profile.
///
/// # Errors
/// Everything that is wrong in it: unknown ids, empty or unusable values, impossible places.
pub fn parse_profile(file: &str, text: &str, rules: &RuleSet) -> Result<Profile, Vec<RuleError>> {
    let table = DeTable::parse(text).map_err(|error| vec![RuleError::from_toml(file, text, &error)])?;
    let mut reader = Reader { file, text, rules, errors: Vec::new(), profile: Profile::default() };
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        match key.get_ref().as_ref() {
            "app" => reader.app(value),
            "location" => reader.place(value),
            id => reader.identifier(id, key.span(), value),
        }
    }
    reader.errors.sort();
    if reader.errors.is_empty() { Ok(reader.profile) } else { Err(reader.errors) }
}

/// A profile while it is read.
struct Reader<'r> {
    file: &'r str,
    text: &'r str,
    rules: &'r RuleSet,
    errors: Vec<RuleError>,
    profile: Profile,
}

impl Reader<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.errors.push(RuleError::at(self.file, self.text, span, message));
    }

    fn app(&mut self, value: Value<'_, '_>) {
        let DeValue::Table(table) = value.get_ref() else {
            self.error(value.span(), "`app` is a table: [app] package, first_party");
            return;
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "package" => self.profile.package = self.texts("package", value).into_iter().next(),
                "first_party" => {
                    for domain in self.texts("first_party", value) {
                        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
                        if domain.contains(['/', ':', ' ', '@']) {
                            self.error(
                                value.span(),
                                format!("`{domain}` is no domain: leave out scheme, port and path"),
                            );
                        } else {
                            self.profile.first_party.push(domain);
                        }
                    }
                }
                other => {
                    self.error(key.span(), format!("unknown key `{other}` in [app]; it has package and first_party"))
                }
            }
        }
    }

    fn identifier(&mut self, label: &str, span: Range<usize>, value: Value<'_, '_>) {
        let (data_type, values) = match value.get_ref() {
            DeValue::Table(table) => {
                let mut kind = None;
                let mut values = None;
                for (key, value) in table {
                    match key.get_ref().as_ref() {
                        "type" => kind = Some(value),
                        "value" => values = Some(value),
                        other => {
                            self.error(key.span(), format!("unknown key `{other}`; a label has type and value"));
                        }
                    }
                }
                let (Some(kind), Some(values)) = (kind, values) else {
                    self.error(span, format!("`{label}` needs both type and value"));
                    return;
                };
                let DeValue::String(id) = kind.get_ref() else {
                    self.error(kind.span(), "`type` is the id of a data type");
                    return;
                };
                let Some(data_type) = self.data_type(id, kind.span(), "") else { return };
                (data_type, values)
            }
            _ => {
                let hint = "; a label of your own is `label = { type = \"…\", value = \"…\" }`";
                let Some(data_type) = self.data_type(label, span, hint) else { return };
                (data_type, value)
            }
        };
        let label: Arc<str> = Arc::from(label);
        for text in self.texts(&label, values) {
            let identifier =
                Identifier { data_type: data_type.clone(), label: Arc::clone(&label), value: Arc::from(text) };
            if !self.profile.identifiers.contains(&identifier) {
                self.profile.identifiers.push(identifier);
            }
        }
    }

    fn data_type(&mut self, id: &str, span: Range<usize>, hint: &str) -> Option<DataType> {
        let found = self.rules.ontology().data_type(id);
        if found.is_none() {
            let near = nearest(id, self.rules.ontology().ids().map(DataType::as_str).chain(["location", "app"]));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.error(span, format!("no data type `{id}`{near}{hint}"));
        }
        found
    }

    /// One value or a list of them, as text.
    fn texts(&mut self, key: &str, value: Value<'_, '_>) -> Vec<String> {
        match value.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                self.error(value.span(), format!("`{key}` is empty"));
                Vec::new()
            }
            DeValue::Array(items) => items.iter().filter_map(|item| self.text(key, item)).collect(),
            _ => self.text(key, value).into_iter().collect(),
        }
    }

    fn text(&mut self, key: &str, value: Value<'_, '_>) -> Option<String> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.trim().to_owned(),
            // As written, so that leading zeros and digits beyond 64 bits stay.
            DeValue::Integer(_) => self.text.get(value.span()).unwrap_or("").replace('_', ""),
            _ => {
                self.error(value.span(), format!("`{key}` is a string or a list of strings"));
                return None;
            }
        };
        if text.is_empty() {
            self.error(value.span(), format!("`{key}` is empty; leave it out"));
            return None;
        }
        Some(text)
    }

    /// `location`: a place, or text to look for, or a list of either.
    fn place(&mut self, value: Value<'_, '_>) {
        match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items.iter().for_each(|item| self.place(item)),
            DeValue::Table(table) if table.contains_key("type") || table.contains_key("value") => {
                self.identifier("location", value.span(), value);
            }
            DeValue::Table(table) => {
                let (mut lat, mut lon, mut radius) = (None, None, Some(DEFAULT_RADIUS_M));
                for (key, value) in table {
                    match key.get_ref().as_ref() {
                        "lat" => lat = self.number("lat", value, 90.0),
                        "lon" => lon = self.number("lon", value, 180.0),
                        "radius_m" => radius = self.number("radius_m", value, 1e7).filter(|radius| *radius > 0.0),
                        other => {
                            self.error(key.span(), format!("unknown key `{other}`; location has lat, lon and radius_m"))
                        }
                    }
                }
                match (lat, lon, radius) {
                    (Some(lat), Some(lon), Some(radius_m)) => {
                        self.profile.locations.push(Place { lat, lon, radius_m });
                    }
                    _ => self.error(value.span(), "location needs lat, lon and a positive radius_m"),
                }
            }
            _ => self.identifier("location", value.span(), value),
        }
    }

    fn number(&mut self, key: &str, value: Value<'_, '_>, limit: f64) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) => {
                self.text.get(value.span()).and_then(|text| text.replace('_', "").parse::<f64>().ok())
            }
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && number.abs() <= limit);
        if number.is_none() {
            self.error(value.span(), format!("`{key}` is a number from -{limit} to {limit}"));
        }
        number
    }
}

/// The known word nearest to a mistyped one, if near enough to be meant.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).map(|c| if c == '-' { '_' } else { c }).collect();
    known
        .map(|candidate| (edits(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= (word.len() / 2).clamp(1, 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, b) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, a) in word.iter().enumerate() {
            let substituted = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> RuleSet {
        RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn errors(text: &str) -> Vec<String> {
        match parse_profile("device.toml", text, &rules()) {
            Ok(profile) => panic!("read {profile:?}"),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_profile_is_read_in_its_order() {
        let text = r#"imei = ["861536030196001", "861536030196019"]
android_id = "9774d56d682e549c"
phone_number = 13912345678
first_name = { type = "name", value = ["demon", "Demon"] }
location = [{ lat = 31.298974, lon = 120, radius_m = 50 }, { lat = -1.5, lon = 0.5 }, "beside the lake"]
[app]
package = "com.example.app"
first_party = ["Example.com.", "api.example.net"]
"#;
        let profile = parse_profile("device.toml", text, &rules()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let found: Vec<(&str, &str, &str)> =
            profile.identifiers.iter().map(|id| (id.data_type.as_str(), &*id.label, &*id.value)).collect();
        assert_eq!(
            found,
            [
                ("imei", "imei", "861536030196001"),
                ("imei", "imei", "861536030196019"),
                ("android_id", "android_id", "9774d56d682e549c"),
                ("phone_number", "phone_number", "13912345678"),
                ("name", "first_name", "demon"),
                ("name", "first_name", "Demon"),
                ("location", "location", "beside the lake"),
            ]
        );
        assert_eq!(
            profile.locations,
            [
                Place { lat: 31.298_974, lon: 120.0, radius_m: 50.0 },
                Place { lat: -1.5, lon: 0.5, radius_m: DEFAULT_RADIUS_M }
            ]
        );
        assert_eq!(profile.package.as_deref(), Some("com.example.app"));
        assert_eq!(profile.first_party, ["example.com", "api.example.net"]);
    }

    #[test]
    fn an_empty_profile_is_a_profile() {
        assert_eq!(parse_profile("device.toml", "# nothing\n", &rules()), Ok(Profile::default()));
    }

    #[test]
    fn numbers_keep_the_digits_they_are_written_with() {
        let profile =
            parse_profile("device.toml", "imei = 861_536_030_196_001\niccid = 89860081011512345678\n", &rules());
        let profile = profile.unwrap_or_else(|errors| panic!("{errors:?}"));
        let values: Vec<&str> = profile.identifiers.iter().map(|id| &*id.value).collect();
        assert_eq!(values, ["861536030196001", "89860081011512345678"]);
    }

    #[test]
    fn mistakes_name_line_and_column_and_what_may_be_meant() {
        for (text, message) in [
            ("imie = \"1\"\n", "device.toml:1:1: no data type `imie`; did you mean `imei`?"),
            ("\n  android-id = \"1\"\n", "device.toml:2:3: no data type `android-id`; did you mean `android_id`?"),
            ("imei = \"\"\n", "device.toml:1:8: `imei` is empty; leave it out"),
            ("imei = []\n", "device.toml:1:8: `imei` is empty"),
            ("imei = [\"1\", \" \"]\n", "device.toml:1:14: `imei` is empty; leave it out"),
            ("imei = true\n", "device.toml:1:8: `imei` is a string or a list of strings"),
            ("imei = \n", "device.toml:1:8: "),
            ("imei = \"1\"\nimei = \"2\"\n", "device.toml:2:1: duplicate key"),
            ("x = { type = \"nmae\", value = \"a\" }\n", "device.toml:1:14: no data type `nmae`; did you mean `name`?"),
            ("x = { type = \"name\" }\n", "device.toml:1:1: `x` needs both type and value"),
            ("x = { type = \"name\", value = \"a\", y = 1 }\n", "device.toml:1:35: unknown key `y`"),
            ("location = { lat = 91.0, lon = 0.0 }\n", "device.toml:1:12: location needs lat, lon"),
            ("location = { lat = 1.0, lng = 0.0 }\n", "device.toml:1:12: location needs lat, lon"),
            ("location = { lat = 1.0, lon = 0.0, radius_m = 0 }\n", "device.toml:1:12: location needs lat, lon"),
            ("[app]\nname = \"x\"\n", "device.toml:2:1: unknown key `name` in [app]"),
            (
                "[app]\nfirst_party = [\"https://example.com/\"]\n",
                "device.toml:2:15: `https://example.com/` is no domain",
            ),
        ] {
            let found = errors(text);
            assert!(found.iter().any(|found| found.starts_with(message)), "{found:?} has no {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        assert_eq!(errors("imei = \"\"\nnose = \"long\"\n[app]\nage = 3\n").len(), 3);
    }
}
