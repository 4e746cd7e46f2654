//! The words that make a policy readable but are no part of the ontology: verbs, negators, conditions, titles,
//! column headers (`rules/policy/*.toml`). Read once and checked; what they mean together is for the other units.

use crate::model::Action;
use crate::rules::RuleError;
use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const CUES: (&str, &str) = ("rules/policy/cues.toml", include_str!("../../rules/policy/cues.toml"));
const DATA: (&str, &str) = ("rules/policy/data.toml", include_str!("../../rules/policy/data.toml"));
const LAYOUT: (&str, &str) = ("rules/policy/layout.toml", include_str!("../../rules/policy/layout.toml"));

/// The role a word plays in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cue {
    /// A verb of handling data.
    Verb(Action),
    /// The same, but only with the app or an SDK as its subject.
    WeakVerb(Action),
    /// A verb by which users hand data over.
    UserGives,
    /// 提供, 发送: means what its receiver makes of it.
    Gives,
    /// Not.
    Negator,
    /// The app's own side.
    First,
    /// The user.
    User,
    /// A third party without a name.
    Third,
    /// Starts a purpose inside a clause.
    PurposeTail,
    /// The user refuses or switches off.
    UserChoice,
    /// Consent.
    Consent,
    /// An exception is made.
    Exception,
    /// 这些信息.
    SameData,
    /// In irreversible form.
    Hashed,
    /// Encrypted.
    Encrypted,
    /// Anonymised.
    Anonymised,
    /// Only in a protected form.
    OnlyForm,
    /// Stays on the device.
    LocalOnly,
    /// The clause is about something else.
    Void,
    /// The sentence is about something else.
    VoidSentence,
    /// Only looks like one of the others.
    Nothing,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCues {
    collect: Vec<String>,
    r#use: Vec<String>,
    share: Vec<String>,
    transfer: Vec<String>,
    disclose: Vec<String>,
    store: Vec<String>,
    weak_collect: Vec<String>,
    weak_use: Vec<String>,
    user_gives: Vec<String>,
    gives: Vec<String>,
    entrust: Vec<String>,
    negator: Vec<String>,
    first: Vec<String>,
    user: Vec<String>,
    purpose: Vec<String>,
    purpose_tail: Vec<String>,
    condition: Vec<String>,
    condition_end: Vec<String>,
    user_choice: Vec<String>,
    consent: Vec<String>,
    exception: Vec<String>,
    same_data: Vec<String>,
    third: Vec<String>,
    oblique: Vec<String>,
    via: Vec<String>,
    example: Vec<String>,
    includes: Vec<String>,
    open_end: Vec<String>,
    open_start: Vec<String>,
    hashed: Vec<String>,
    encrypted: Vec<String>,
    anonymised: Vec<String>,
    only_form: Vec<String>,
    local_only: Vec<String>,
    void: Vec<String>,
    void_sentence: Vec<String>,
    nothing: Vec<String>,
}

/// A composed data name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    /// Regular expression over normalised text.
    pub(super) pattern: String,
    /// What it means.
    pub(super) types: Vec<String>,
}

/// A word that needs another before it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextTerm {
    pub(super) term: String,
    pub(super) r#type: String,
    pub(super) after: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawData {
    compose: Vec<Compose>,
    context: Vec<ContextTerm>,
    terms: BTreeMap<String, Vec<String>>,
    implies: BTreeMap<String, String>,
    ignore: Ignore,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignore {
    words: Vec<String>,
    filler: Vec<String>,
}

/// What a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Topic {
    Rights,
    Children,
    Contact,
    Changes,
    Definitions,
    Security,
    Share,
    Store,
    Collect,
}

/// What a column of an SDK table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Column {
    Serial,
    Name,
    Purpose,
    Data,
    Company,
    Link,
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cells {
    nothing: Vec<String>,
    empty: Vec<String>,
    link_words: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLayout {
    title: Vec<String>,
    opening: Vec<String>,
    annex: Vec<String>,
    effective: Vec<String>,
    updated: Vec<String>,
    sections: BTreeMap<Topic, Vec<String>>,
    columns: BTreeMap<Column, Vec<String>>,
    cells: Cells,
}

/// All of it, words normalised as [`super::text::normalise_term`] does.
pub(super) struct Lexicon {
    pub(super) cues: Vec<(String, Cue)>,
    /// Heads of purpose and condition clauses.
    pub(super) purpose: Vec<String>,
    pub(super) condition: Vec<String>,
    pub(super) condition_end: Vec<String>,
    pub(super) oblique: Vec<String>,
    pub(super) via: Vec<String>,
    pub(super) example: Vec<String>,
    pub(super) includes: Vec<String>,
    pub(super) open_end: Vec<String>,
    pub(super) open_start: Vec<String>,
    pub(super) compose: Vec<(Regex, Vec<String>)>,
    pub(super) context: Vec<ContextTerm>,
    pub(super) terms: Vec<(String, String)>,
    /// Types that name another type too.
    pub(super) implies: BTreeMap<String, String>,
    pub(super) ignore: Vec<String>,
    pub(super) filler: Vec<String>,
    pub(super) title: Vec<String>,
    pub(super) opening: Vec<String>,
    pub(super) annex: Vec<String>,
    pub(super) effective: Vec<String>,
    pub(super) updated: Vec<String>,
    pub(super) sections: Vec<(Topic, Vec<String>)>,
    pub(super) columns: Vec<(String, Column)>,
    pub(super) cell_nothing: Vec<String>,
    pub(super) cell_empty: Vec<String>,
    pub(super) cell_link_words: Vec<String>,
}

/// The lexicon the program carries.
pub(super) fn builtin() -> &'static Lexicon {
    static BUILTIN: LazyLock<Lexicon> =
        LazyLock::new(|| load(CUES, DATA, LAYOUT).expect("invariant: the built-in lexicon is checked by a test"));
    &BUILTIN
}

fn parse<'de, T: Deserialize<'de>>((file, text): (&str, &'de str)) -> Result<T, RuleError> {
    toml::from_str(text)
        .map_err(|error| RuleError::at(file, text, error.span().unwrap_or(0..0), error.message().trim_end()))
}

/// Reads the three files.
fn load(cues: (&str, &str), data: (&str, &str), layout: (&str, &str)) -> Result<Lexicon, RuleError> {
    let raw: RawCues = parse(cues)?;
    let data_raw: RawData = parse(data)?;
    let layout: RawLayout = parse(layout)?;
    let mut compose = Vec::new();
    for rule in &data_raw.compose {
        let regex = Regex::new(&rule.pattern).map_err(|error| {
            let at = data.1.find(&rule.pattern).unwrap_or(0);
            RuleError::at(data.0, data.1, at..at, format!("not a regular expression: {error}"))
        })?;
        compose.push((regex, rule.types.clone()));
    }
    let mut context = data_raw.context;
    for term in &mut context {
        term.term = super::text::normalise_term(&term.term);
        term.after = normalised(&term.after);
    }
    let columns = layout.columns.iter().flat_map(|(column, words)| normalised(words).into_iter().map(|w| (w, *column)));
    let terms = data_raw.terms.iter().flat_map(|(id, words)| normalised(words).into_iter().map(|w| (w, id.clone())));
    Ok(Lexicon {
        cues: cue_list(&raw),
        purpose: longest_first(&raw.purpose),
        condition: longest_first(&raw.condition),
        condition_end: normalised(&raw.condition_end),
        oblique: longest_first(&raw.oblique),
        via: longest_first(&raw.via),
        example: longest_first(&raw.example),
        includes: longest_first(&raw.includes),
        open_end: longest_first(&raw.open_end),
        open_start: longest_first(&raw.open_start),
        compose,
        context,
        terms: terms.collect(),
        implies: data_raw.implies,
        ignore: normalised(&data_raw.ignore.words),
        filler: normalised(&data_raw.ignore.filler),
        title: longest_first(&layout.title),
        opening: normalised(&layout.opening),
        annex: normalised(&layout.annex),
        effective: longest_first(&layout.effective),
        updated: longest_first(&layout.updated),
        sections: layout.sections.iter().map(|(topic, words)| (*topic, normalised(words))).collect(),
        columns: columns.collect(),
        cell_nothing: longest_first(&layout.cells.nothing),
        cell_empty: normalised(&layout.cells.empty),
        cell_link_words: normalised(&layout.cells.link_words),
    })
}

fn normalised(words: &[String]) -> Vec<String> {
    words.iter().map(|word| super::text::normalise_term(word)).collect()
}

fn longest_first(words: &[String]) -> Vec<String> {
    let mut words = normalised(words);
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words
}

/// Every cue word with its role; where a word has two, the first list here decides.
fn cue_list(raw: &RawCues) -> Vec<(String, Cue)> {
    use Action::{Collect, Disclose, Share, Store, Transfer, Use};
    let lists: [(&[String], Cue); 26] = [
        (&raw.nothing, Cue::Nothing),
        (&raw.collect, Cue::Verb(Collect)),
        (&raw.r#use, Cue::Verb(Use)),
        (&raw.share, Cue::Verb(Share)),
        (&raw.entrust, Cue::Verb(Share)),
        (&raw.transfer, Cue::Verb(Transfer)),
        (&raw.disclose, Cue::Verb(Disclose)),
        (&raw.store, Cue::Verb(Store)),
        (&raw.weak_collect, Cue::WeakVerb(Collect)),
        (&raw.weak_use, Cue::WeakVerb(Use)),
        (&raw.user_gives, Cue::UserGives),
        (&raw.gives, Cue::Gives),
        (&raw.void_sentence, Cue::VoidSentence),
        (&raw.void, Cue::Void),
        (&raw.user_choice, Cue::UserChoice),
        (&raw.negator, Cue::Negator),
        (&raw.first, Cue::First),
        (&raw.user, Cue::User),
        (&raw.third, Cue::Third),
        (&raw.only_form, Cue::OnlyForm),
        (&raw.local_only, Cue::LocalOnly),
        (&raw.hashed, Cue::Hashed),
        (&raw.encrypted, Cue::Encrypted),
        (&raw.anonymised, Cue::Anonymised),
        (&raw.same_data, Cue::SameData),
        (&raw.exception, Cue::Exception),
    ];
    let mut words = Vec::new();
    for (list, cue) in lists {
        words.extend(normalised(list).into_iter().map(|word| (word, cue)));
    }
    words.extend(normalised(&raw.purpose_tail).into_iter().map(|word| (word, Cue::PurposeTail)));
    words.extend(normalised(&raw.consent).into_iter().map(|word| (word, Cue::Consent)));
    words
}

#[cfg(test)]
mod tests {
    use super::{CUES, DATA, LAYOUT, builtin, load};

    #[test]
    fn the_built_in_lexicon_is_sound() {
        let lexicon = load(CUES, DATA, LAYOUT).map_err(|error| error.to_string());
        assert!(lexicon.is_ok(), "{:?}", lexicon.err());
        assert!(builtin().cues.iter().all(|(word, _)| !word.is_empty()));
    }

    #[test]
    fn a_mistake_names_file_and_line() {
        let broken = "compose = []\ncontext = []\nwrong = 1\n[terms]\n[implies]\n[ignore]\nwords = []\nfiller = []\n";
        let error = load(CUES, ("x.toml", broken), LAYOUT).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("x.toml:3:1"), "{error}");
    }
}
