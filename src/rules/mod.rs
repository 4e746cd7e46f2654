//! The rules: what data types there are and what they are called, who receives data, and what identifiers look
//! like. Reads the TOML files under `rules/` once, checks them, and gives an immutable [`RuleSet`]; every mistake is
//! a [`RuleError`] with file, line and column. Also reads the two files a tester writes, the device profile and the
//! marks. Touches no disk: the built-in files are part of the program, others are handed over as text.

mod error;
mod forms;
mod graph;
mod identifier;
mod load;
mod marks;
mod ontology;
mod party;
mod profile;
mod raw;

pub use error::{RuleError, RuleFile, position};
pub use identifier::{IdentifierRule, KeyMatcher, KeyRule, PatternRule, ValueCheck, normalise_key};
pub use marks::{parse_marks, read_marks};
pub use ontology::{DataTypeRule, Lang, Ontology, ROOT};
pub use party::{ANYONE, FIRST_PARTY, Parties, PartyKind, PartyRule, THIRD_PARTY, normalise_alias};
pub use profile::{DEFAULT_RADIUS_M, parse_profile};

use include_dir::{Dir, include_dir};

/// The rules the program carries.
static BUILTIN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/rules");

/// Everything the rules say, checked.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    ontology: Ontology,
    parties: Parties,
    identifiers: Vec<IdentifierRule>,
    /// Files of the folders that another module reads (`policy/`, `regulations/`).
    others: Vec<RuleFile>,
}

/// How much a rule set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct RuleSummary {
    /// Data types.
    pub data_types: usize,
    /// Chinese and English terms for them.
    pub synonyms: usize,
    /// SDKs and services.
    pub sdks: usize,
    /// Companies.
    pub companies: usize,
    /// Names of parties.
    pub aliases: usize,
    /// Hosts and domain suffixes.
    pub hosts: usize,
    /// Data types with key names or forms.
    pub identifiers: usize,
}

impl RuleSet {
    /// The built-in rules.
    ///
    /// # Errors
    /// Never for a released program: a test loads them.
    pub fn builtin() -> Result<Self, Vec<RuleError>> {
        Self::load(&[])
    }

    /// The built-in rules and files of the user's own, which come after them.
    ///
    /// # Errors
    /// Everything that is wrong in any file.
    pub fn load(extra: &[RuleFile]) -> Result<Self, Vec<RuleError>> {
        let mut files = builtin_files();
        files.extend_from_slice(extra);
        load::load(&files)
    }

    /// Everything that is wrong with these files, for `rules check`: as an addition to the built-in rules, or by
    /// themselves where they have an ontology of their own and so are a whole set.
    #[must_use]
    pub fn check(files: &[RuleFile]) -> Vec<RuleError> {
        let whole = files.iter().any(|file| file.path == "ontology.toml");
        let loaded = if whole { load::load(files) } else { Self::load(files) };
        loaded.err().unwrap_or_default()
    }

    /// The data ontology.
    #[must_use]
    pub fn ontology(&self) -> &Ontology {
        &self.ontology
    }

    /// All parties and how they relate.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The SDK rules, by id.
    pub fn sdks(&self) -> impl Iterator<Item = &PartyRule> {
        self.parties.rules().iter().filter(|rule| rule.kind == PartyKind::Sdk)
    }

    /// The company rules, by id.
    pub fn companies(&self) -> impl Iterator<Item = &PartyRule> {
        self.parties.rules().iter().filter(|rule| rule.kind == PartyKind::Company)
    }

    /// A party by id.
    #[must_use]
    pub fn party(&self, id: &str) -> Option<&PartyRule> {
        self.parties.get(id)
    }

    /// A party by a name as a policy writes it (normalised, see [`normalise_alias`]).
    #[must_use]
    pub fn party_by_alias(&self, name: &str) -> Option<&PartyRule> {
        self.parties.by_alias(name)
    }

    /// Every `(alias, party id)` of SDKs, companies and groups, as the rules write them, that may be looked for in
    /// running text: without the names that are words of the language too ([`PartyRule::whole_only`]).
    pub fn party_aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parties.rules().iter().flat_map(|rule| {
            let names = rule.aliases.iter().filter(|alias| !rule.whole_only.contains(alias));
            names.map(|alias| (alias.as_str(), rule.id()))
        })
    }

    /// A party by host, longest suffix on label boundaries, with the suffix that matched.
    #[must_use]
    pub fn party_by_host<'h>(&self, host: &'h str) -> Option<(&PartyRule, &'h str)> {
        self.parties.by_host(host)
    }

    /// A party by Android package or class name.
    #[must_use]
    pub fn party_by_package(&self, package: &str) -> Option<&PartyRule> {
        self.parties.by_package(package)
    }

    /// Whether the entity `narrow` is `broad` or one of it (`third_party` ⊒ `push_provider` ⊒ `jpush`).
    #[must_use]
    pub fn entity_subsumes(&self, broad: &str, narrow: &str) -> bool {
        self.parties.subsumes(broad, narrow)
    }

    /// Steps from the entity `narrow` up to `broad`; 0 for the same.
    #[must_use]
    pub fn entity_distance(&self, narrow: &str, broad: &str) -> Option<u32> {
        self.parties.distance(narrow, broad)
    }

    /// What identifiers look like, by data type.
    #[must_use]
    pub fn identifiers(&self) -> &[IdentifierRule] {
        &self.identifiers
    }

    /// Files of a folder whose content another module reads (`policy`), built-in ones first.
    pub fn files_under<'s>(&'s self, folder: &'s str) -> impl Iterator<Item = &'s RuleFile> {
        self.others.iter().filter(move |file| load::folder(&file.path) == folder)
    }

    /// How much there is.
    #[must_use]
    pub fn summary(&self) -> RuleSummary {
        RuleSummary {
            data_types: self.ontology.types().len(),
            synonyms: self.ontology.synonyms().count(),
            sdks: self.sdks().count(),
            companies: self.companies().count(),
            aliases: self.parties.rules().iter().map(|rule| rule.aliases.len()).sum(),
            hosts: self.parties.rules().iter().map(|rule| rule.hosts.len()).sum(),
            identifiers: self.identifiers.len(),
        }
    }
}

/// The built-in files, by path.
fn builtin_files() -> Vec<RuleFile> {
    fn walk(dir: &Dir<'static>, out: &mut Vec<RuleFile>) {
        for file in dir.files() {
            if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8())
                && path.ends_with(".toml")
            {
                out.push(RuleFile { path: path.replace('\\', "/"), text: text.to_owned() });
            }
        }
        for dir in dir.dirs() {
            walk(dir, out);
        }
    }
    let mut out = Vec::new();
    walk(&BUILTIN, &mut out);
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

#[cfg(test)]
mod tests;
