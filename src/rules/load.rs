//! Rule files → [`RuleSet`], with every mistake collected. What a file holds follows from its folder.

use super::forms::{compile, is_host, is_id, is_package};
use super::raw::{
    ConfidenceName, EntitiesFile, IdentifierFile, KeyTable, OneOrMany, OntologyFile, PartyFile, RoleName,
};
use super::{
    DataTypeRule, IdentifierRule, KeyMatcher, KeyRule, Ontology, Parties, PartyKind, PartyRule, PatternRule, RuleError,
    RuleFile, RuleSet, THIRD_PARTY, normalise_alias, normalise_key,
};
use crate::model::{Confidence, DataType, Party, Role};
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The folders (or single files) of a rules tree.
pub(super) const FOLDERS: [&str; 7] =
    ["companies", "entities", "identifiers", "ontology", "policy", "regulations", "sdks"];

/// The folder of a rule file: the last part of its path that names one, else the file's stem.
pub(super) fn folder(path: &str) -> &str {
    path.trim_end_matches(".toml").rsplit('/').find(|part| FOLDERS.contains(part)).unwrap_or("")
}

/// Where a name was first claimed, to say so when it is claimed again.
type Claims = FxHashMap<String, (String, String)>;

/// Rules as they come together.
#[derive(Default)]
struct Loader<'f> {
    errors: Vec<RuleError>,
    types: BTreeMap<String, (DataTypeRule, &'f RuleFile, Range<usize>)>,
    parties: BTreeMap<String, (PartyRule, &'f RuleFile, Range<usize>)>,
    /// Names that must turn out to be ids of data types, checked when all files are read.
    type_references: Vec<(&'f RuleFile, Range<usize>, String)>,
    entity_references: Vec<(&'f RuleFile, Range<usize>, String)>,
    party_files: Vec<(String, &'f RuleFile, PartyFile)>,
    terms: Claims,
    identifiers: BTreeMap<String, IdentifierRule>,
    others: Vec<RuleFile>,
}

/// Reads all files; later ones may replace parties of earlier ones by `override = true`.
pub(super) fn load(files: &[RuleFile]) -> Result<RuleSet, Vec<RuleError>> {
    let mut loader = Loader::default();
    for file in files {
        match folder(&file.path) {
            "ontology" => loader.ontology(file),
            "entities" => loader.entities(file),
            "sdks" => loader.party(file, PartyKind::Sdk),
            "companies" => loader.party(file, PartyKind::Company),
            "identifiers" => loader.identifier(file),
            "policy" | "regulations" => loader.others.push(file.clone()),
            _ => loader.errors.push(RuleError::at(
                &file.path,
                &file.text,
                0..0,
                format!("no kind of rule follows from the path; put it into one of {}", FOLDERS.join(", ")),
            )),
        }
    }
    loader.finish()
}

/// Reads one file, or says why not.
fn parse<T: DeserializeOwned>(file: &RuleFile, errors: &mut Vec<RuleError>) -> Option<T> {
    toml::from_str(&file.text).map_err(|error| errors.push(RuleError::from_toml(&file.path, &file.text, &error))).ok()
}

impl From<ConfidenceName> for Confidence {
    fn from(name: ConfidenceName) -> Self {
        match name {
            ConfidenceName::Certain => Self::Certain,
            ConfidenceName::Likely => Self::Likely,
            ConfidenceName::Possible => Self::Possible,
        }
    }
}

impl<'f> Loader<'f> {
    fn error(&mut self, file: &RuleFile, span: Range<usize>, message: impl Into<String>) {
        self.errors.push(RuleError::at(&file.path, &file.text, span, message));
    }

    fn ontology(&mut self, file: &'f RuleFile) {
        let Some(parsed) = parse::<OntologyFile>(file, &mut self.errors) else { return };
        for table in parsed.types {
            let (id, span) = (table.id.get_ref().clone(), table.id.span());
            if !is_id(&id) {
                self.error(file, span, format!("`{id}` is no id: use a-z, 0-9 and _"));
                continue;
            }
            if let Some((_, first, _)) = self.types.get(&id) {
                let message = format!("data type `{id}` is already in {}", first.path);
                self.error(file, span, message);
                continue;
            }
            for parent in &table.parents {
                self.type_references.push((file, parent.span(), parent.get_ref().clone()));
            }
            if table.parents.is_empty() && id != super::ROOT {
                self.error(file, span.clone(), format!("`{id}` needs `parents`; only {} has none", super::ROOT));
            }
            let mut terms = |label: &toml::Spanned<String>, list: &[toml::Spanned<String>]| -> Vec<String> {
                let mut out = Vec::new();
                for term in std::iter::once(label).chain(list) {
                    self.claim_term(file, term, &id);
                    if !out.contains(term.get_ref()) {
                        out.push(term.get_ref().clone());
                    }
                }
                out
            };
            let rule = DataTypeRule {
                id: DataType::new(&id),
                parents: table.parents.iter().map(|parent| DataType::new(parent.get_ref())).collect(),
                zh: terms(&table.label_zh, &table.zh),
                en: terms(&table.label_en, &table.en),
                label_zh: table.label_zh.into_inner(),
                label_en: table.label_en.into_inner(),
                sensitive: table.sensitive,
            };
            self.types.insert(id, (rule, file, span));
        }
    }

    /// A term belongs to one data type.
    fn claim_term(&mut self, file: &RuleFile, term: &toml::Spanned<String>, id: &str) {
        let key = normalise_alias(term.get_ref());
        if key.is_empty() {
            self.error(file, term.span(), "empty term");
            return;
        }
        let claim = self.terms.entry(key).or_insert_with(|| (id.to_owned(), term.get_ref().clone())).clone();
        if claim.0 != id {
            self.error(file, term.span(), format!("term `{}` is already a name of `{}`", term.get_ref(), claim.0));
        }
    }

    fn entities(&mut self, file: &'f RuleFile) {
        let Some(parsed) = parse::<EntitiesFile>(file, &mut self.errors) else { return };
        for table in parsed.entity {
            let party = PartyFile {
                company: None,
                role: None,
                category: table.parents,
                aliases: table.aliases,
                whole_only: None,
                packages: None,
                hosts: None,
                expected: None,
                source: None,
                reason: None,
                replaces: false,
                id: table.id,
                name: table.name,
                name_en: Some(table.name_en),
            };
            self.insert_party(file, party, PartyKind::Group);
        }
    }

    fn party(&mut self, file: &'f RuleFile, kind: PartyKind) {
        let Some(parsed) = parse::<PartyFile>(file, &mut self.errors) else { return };
        self.insert_party(file, parsed, kind);
    }

    fn insert_party(&mut self, file: &'f RuleFile, raw: PartyFile, kind: PartyKind) {
        let (id, span) = (raw.id.get_ref().clone(), raw.id.span());
        if !is_id(&id) {
            self.error(file, span, format!("`{id}` is no id: use a-z, 0-9 and _"));
            return;
        }
        if let Some((_, first, _)) = self.parties.get(&id)
            && !raw.replaces
        {
            let message = format!("party `{id}` is already in {}; say `override = true` to replace it", first.path);
            self.error(file, span, message);
            return;
        }
        let rule = self.party_rule(file, &raw, kind);
        self.parties.insert(id.clone(), (rule, file, span));
        self.party_files.retain(|(other, _, _)| *other != id);
        self.party_files.push((id, file, raw));
    }

    fn party_rule(&mut self, file: &'f RuleFile, raw: &PartyFile, kind: PartyKind) -> PartyRule {
        let list = |list: &Option<toml::Spanned<Vec<toml::Spanned<String>>>>| -> Vec<String> {
            list.iter().flat_map(|list| list.get_ref()).map(|item| item.get_ref().clone()).collect()
        };
        for (key, list) in [
            ("category", &raw.category),
            ("aliases", &raw.aliases),
            ("whole_only", &raw.whole_only),
            ("packages", &raw.packages),
            ("hosts", &raw.hosts),
            ("expected", &raw.expected),
        ] {
            if let Some(list) = list.as_ref().filter(|list| list.get_ref().is_empty()) {
                self.error(file, list.span(), format!("`{key}` is empty; leave it out"));
            }
        }
        for item in raw.hosts.iter().flat_map(toml::Spanned::get_ref).filter(|item| !is_host(item.get_ref())) {
            self.error(file, item.span(), format!("`{}` is no host name (lower case, no scheme)", item.get_ref()));
        }
        for item in raw.packages.iter().flat_map(toml::Spanned::get_ref).filter(|item| !is_package(item.get_ref())) {
            self.error(file, item.span(), format!("`{}` is no package prefix", item.get_ref()));
        }
        for item in raw.expected.iter().flat_map(toml::Spanned::get_ref) {
            self.type_references.push((file, item.span(), item.get_ref().clone()));
        }
        let mut parents: Vec<Arc<str>> = Vec::new();
        for parent in raw.category.iter().flat_map(toml::Spanned::get_ref) {
            self.entity_references.push((file, parent.span(), parent.get_ref().clone()));
            parents.push(Arc::from(parent.get_ref().as_str()));
        }
        let role = match raw.role.as_ref().map(toml::Spanned::get_ref) {
            Some(RoleName::Platform) => Role::Platform,
            Some(RoleName::ThirdParty) | None => Role::ThirdParty,
        };
        if parents.is_empty() && kind != PartyKind::Group {
            parents.push(Arc::from(THIRD_PARTY));
        }
        let mut aliases = vec![raw.name.get_ref().clone()];
        aliases.extend(raw.name_en.iter().map(|name| name.get_ref().clone()));
        aliases.extend(list(&raw.aliases));
        let mut seen = std::collections::BTreeSet::new();
        aliases.retain(|alias| seen.insert(alias.clone()));
        for item in
            raw.whole_only.iter().flat_map(toml::Spanned::get_ref).filter(|item| !aliases.contains(item.get_ref()))
        {
            self.error(file, item.span(), format!("`{}` is none of its names", item.get_ref()));
        }
        let text = |text: &Option<toml::Spanned<String>>| text.as_ref().map(|text| text.get_ref().clone());
        PartyRule {
            kind,
            party: Arc::new(Party {
                id: Arc::from(raw.id.get_ref().as_str()),
                name: Arc::from(raw.name.get_ref().as_str()),
                role,
            }),
            name_en: text(&raw.name_en),
            company: text(&raw.company),
            aliases,
            whole_only: list(&raw.whole_only),
            parents,
            packages: list(&raw.packages),
            hosts: list(&raw.hosts),
            expected: list(&raw.expected).iter().map(|id| DataType::new(id)).collect(),
            source: text(&raw.source),
            reason: text(&raw.reason),
            file: file.path.clone(),
        }
    }

    fn identifier(&mut self, file: &'f RuleFile) {
        let Some(raw) = parse::<IdentifierFile>(file, &mut self.errors) else { return };
        let id = raw.data_type.get_ref().clone();
        self.type_references.push((file, raw.data_type.span(), id.clone()));
        let mut rule = IdentifierRule {
            data_type: DataType::new(&id),
            keys: Vec::new(),
            patterns: Vec::new(),
            stop: raw.stop.iter().map(|stop| stop.get_ref().to_lowercase()).collect(),
            not_keys: Vec::new(),
            source: raw.source,
            file: file.path.clone(),
        };
        for key in raw.key {
            self.key(file, &raw.data_type, key, &mut rule.keys);
        }
        for pattern in raw.pattern {
            match compile(pattern.regex.get_ref()) {
                Ok(regex) => rule.patterns.push(PatternRule {
                    regex,
                    check: pattern.check,
                    confidence: pattern.confidence.into(),
                }),
                Err(message) => self.error(file, pattern.regex.span(), message),
            }
        }
        for key in &raw.not_keys {
            match key.get_ref().strip_prefix('/').and_then(|key| key.strip_suffix('/')) {
                Some(pattern) => match compile(pattern) {
                    Ok(regex) => rule.not_keys.push(KeyMatcher::Pattern(regex)),
                    Err(message) => self.error(file, key.span(), message),
                },
                None => rule.not_keys.push(KeyMatcher::Name(normalise_key(key.get_ref()))),
            }
        }
        if let Some(first) = self.identifiers.get(&id) {
            let message = format!("identifiers of `{id}` are already in {}", first.file);
            self.error(file, raw.data_type.span(), message);
            return;
        }
        self.identifiers.insert(id, rule);
    }

    fn key(&mut self, file: &RuleFile, table: &toml::Spanned<String>, key: KeyTable, out: &mut Vec<KeyRule>) {
        let (confidence, check) = (key.confidence.into(), key.check);
        let mut push = |matcher| out.push(KeyRule { matcher, confidence, check });
        match (key.name, key.pattern) {
            (Some(names), None) => {
                let span = names.span();
                let names = match names.into_inner() {
                    OneOrMany::One(name) => vec![name],
                    OneOrMany::Many(names) => names,
                };
                if names.is_empty() {
                    self.error(file, span.clone(), "`name` is empty");
                }
                for name in names {
                    let normal = normalise_key(&name);
                    if normal.is_empty() {
                        self.error(file, span.clone(), format!("`{name}` is no key name"));
                    } else {
                        push(KeyMatcher::Name(normal));
                    }
                }
            }
            (None, Some(pattern)) => match compile(pattern.get_ref()) {
                Ok(regex) => push(KeyMatcher::Pattern(regex)),
                Err(message) => self.error(file, pattern.span(), message),
            },
            _ => self.error(file, table.span(), "each [[key]] needs either `name` or `pattern`"),
        }
    }

    /// Hosts, packages and aliases belong to one party.
    fn claim_party_names(&mut self) {
        let (mut hosts, mut packages, mut aliases) = (Claims::default(), Claims::default(), Claims::default());
        for (id, file, raw) in std::mem::take(&mut self.party_files) {
            let mut claim = |claims: &mut Claims, what: &str, item: &toml::Spanned<String>, key: String| {
                let first = claims.entry(key).or_insert_with(|| (id.clone(), file.path.clone())).clone();
                if first.0 != id {
                    self.error(
                        file,
                        item.span(),
                        format!("{what} `{}` is already claimed by `{}` in {}", item.get_ref(), first.0, first.1),
                    );
                }
            };
            for item in raw.hosts.iter().flat_map(toml::Spanned::get_ref) {
                claim(&mut hosts, "host", item, item.get_ref().clone());
            }
            for item in raw.packages.iter().flat_map(toml::Spanned::get_ref) {
                claim(&mut packages, "package", item, item.get_ref().clone());
            }
            let own = std::iter::once(&raw.name).chain(&raw.name_en);
            for item in own.chain(raw.aliases.iter().flat_map(toml::Spanned::get_ref)) {
                claim(&mut aliases, "name", item, normalise_alias(item.get_ref()));
            }
        }
    }

    fn finish(mut self) -> Result<RuleSet, Vec<RuleError>> {
        self.claim_party_names();
        for (file, span, id) in std::mem::take(&mut self.type_references) {
            if !self.types.contains_key(&id) {
                self.error(file, span, format!("no data type `{id}`"));
            }
        }
        for (file, span, id) in std::mem::take(&mut self.entity_references) {
            if !self.parties.contains_key(&id) {
                self.error(file, span, format!("no entity `{id}`"));
            }
        }
        // A company with a rule of its own is above its SDKs.
        let companies: FxHashMap<String, Arc<str>> = self
            .parties
            .values()
            .filter(|(rule, _, _)| rule.kind == PartyKind::Company)
            .flat_map(|(rule, _, _)| {
                let names = rule.aliases.iter().map(|alias| normalise_alias(alias)).chain([rule.id().to_owned()]);
                names.map(|name| (name, Arc::clone(&rule.party.id)))
            })
            .collect();
        for (rule, _, _) in self.parties.values_mut().filter(|(rule, _, _)| rule.kind == PartyKind::Sdk) {
            let Some(id) = rule.company.as_ref().and_then(|name| companies.get(&normalise_alias(name))) else {
                continue;
            };
            if !rule.parents.contains(id) {
                rule.parents.push(Arc::clone(id));
            }
        }
        let (ontology, type_cycles) = Ontology::new(self.types.values().map(|(rule, _, _)| rule.clone()).collect());
        let (parties, party_cycles) = Parties::new(self.parties.values().map(|(rule, _, _)| rule.clone()).collect());
        for id in type_cycles {
            if let Some((_, file, span)) = self.types.get(&*id).cloned() {
                self.error(file, span, format!("the parents of `{id}` lead back to it"));
            }
        }
        for id in party_cycles {
            if let Some((_, file, span)) = self.parties.get(&*id).cloned() {
                self.error(file, span, format!("the categories of `{id}` lead back to it"));
            }
        }
        if self.errors.is_empty() {
            let identifiers = self.identifiers.into_values().collect();
            return Ok(RuleSet { ontology, parties, identifiers, others: self.others });
        }
        self.errors.sort();
        self.errors.dedup();
        Err(self.errors)
    }
}
