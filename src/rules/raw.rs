//! Rule files as they are written, key by key. Unknown keys are errors here; meaning is checked by `load`.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// A string that knows where it stands.
pub(super) type Text = Spanned<String>;

/// A list that holds something.
fn non_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::<T>::deserialize(deserializer)?;
    if list.is_empty() { Err(D::Error::custom("empty list; leave it out")) } else { Ok(list) }
}

/// `rules/ontology.toml`, `rules/ontology/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OntologyFile {
    #[serde(rename = "type", deserialize_with = "non_empty")]
    pub(super) types: Vec<TypeTable>,
}

/// One data type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypeTable {
    pub(super) id: Text,
    #[serde(default, deserialize_with = "non_empty")]
    pub(super) parents: Vec<Text>,
    pub(super) label_zh: Text,
    pub(super) label_en: Text,
    #[serde(default, deserialize_with = "non_empty")]
    pub(super) zh: Vec<Text>,
    #[serde(default, deserialize_with = "non_empty")]
    pub(super) en: Vec<Text>,
    #[serde(default)]
    pub(super) sensitive: bool,
}

/// `rules/entities.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntitiesFile {
    pub(super) entity: Vec<EntityTable>,
}

/// One group of receivers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntityTable {
    pub(super) id: Text,
    pub(super) parents: Option<Spanned<Vec<Text>>>,
    pub(super) name: Text,
    pub(super) name_en: Text,
    pub(super) aliases: Option<Spanned<Vec<Text>>>,
}

/// `rules/sdks/*.toml` and `rules/companies/*.toml`: one party a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyFile {
    pub(super) id: Text,
    pub(super) name: Text,
    pub(super) name_en: Option<Text>,
    /// Name of the company, or the id of one in `rules/companies`.
    pub(super) company: Option<Text>,
    pub(super) role: Option<Spanned<RoleName>>,
    pub(super) category: Option<Spanned<Vec<Text>>>,
    pub(super) aliases: Option<Spanned<Vec<Text>>>,
    /// Those of its names that are words of the language too.
    pub(super) whole_only: Option<Spanned<Vec<Text>>>,
    pub(super) packages: Option<Spanned<Vec<Text>>>,
    pub(super) hosts: Option<Spanned<Vec<Text>>>,
    pub(super) expected: Option<Spanned<Vec<Text>>>,
    pub(super) source: Option<Text>,
    pub(super) reason: Option<Text>,
    /// Replaces a rule of the same id read before.
    #[serde(default, rename = "override")]
    pub(super) replaces: bool,
}

/// What a named party may be.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleName {
    ThirdParty,
    Platform,
}

/// `rules/identifiers/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentifierFile {
    pub(super) data_type: Text,
    #[serde(default)]
    pub(super) key: Vec<KeyTable>,
    #[serde(default)]
    pub(super) pattern: Vec<PatternTable>,
    #[serde(default, deserialize_with = "non_empty")]
    pub(super) stop: Vec<Text>,
    /// Keys under which a form is no hit: names, or patterns between slashes.
    #[serde(default, deserialize_with = "non_empty")]
    pub(super) not_keys: Vec<Text>,
    pub(super) source: Option<String>,
}

/// One kind of key: a name, a list of names, or a pattern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTable {
    pub(super) name: Option<Spanned<OneOrMany>>,
    pub(super) pattern: Option<Text>,
    pub(super) confidence: ConfidenceName,
    #[serde(default)]
    pub(super) check: super::ValueCheck,
}

/// One form of values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternTable {
    pub(super) regex: Text,
    #[serde(default)]
    pub(super) check: super::ValueCheck,
    pub(super) confidence: ConfidenceName,
}

/// A string or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a string or a list of strings")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// How sure a match is.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConfidenceName {
    Certain,
    Likely,
    Possible,
}
