//! Who may receive data: SDKs, companies and groups of them, found by id, by the name a policy uses, by host or by
//! Android package. Which party a flow goes to is decided by `attribute`.

use super::graph::Graph;
use crate::model::{DataType, Party, Role};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Id of the app's own side.
pub const FIRST_PARTY: &str = "first_party";
/// Id of all others, and of a third party without a name.
pub const THIRD_PARTY: &str = "third_party";
/// Root of the entity ontology.
pub const ANYONE: &str = "anyone";

/// What a party rule describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartyKind {
    /// An SDK or a service (`rules/sdks`).
    Sdk,
    /// A whole company (`rules/companies`).
    Company,
    /// A kind of receiver, `push_provider` (`rules/entities.toml`).
    Group,
}

/// One party of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyRule {
    /// What it is.
    pub kind: PartyKind,
    /// Id, name for people and role, shared with every flow to it.
    pub party: Arc<Party>,
    /// English name.
    pub name_en: Option<String>,
    /// The company behind it, as its policy writes it.
    pub company: Option<String>,
    /// Names policies use, its own names included.
    pub aliases: Vec<String>,
    /// Those of `aliases` that are words of the language too (`Branch`, 灯塔): a name only where they are all of a
    /// table cell or the like, never in running text.
    pub whole_only: Vec<String>,
    /// Broader entities: groups, and the company if it has a rule.
    pub parents: Vec<Arc<str>>,
    /// Android package prefixes.
    pub packages: Vec<String>,
    /// Host names and domain suffixes, lower case.
    pub hosts: Vec<String>,
    /// Data types it is documented to take: an expectation, never a finding.
    pub expected: Vec<DataType>,
    /// Where the facts are from.
    pub source: Option<String>,
    /// Why the rule is as it is.
    pub reason: Option<String>,
    /// The rule file.
    pub file: String,
}

impl PartyRule {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.party.id
    }

    /// What it is to an app.
    #[must_use]
    pub fn role(&self) -> Role {
        self.party.role
    }
}

/// All parties and how they relate.
#[derive(Debug, Clone, Default)]
pub struct Parties {
    rules: Vec<PartyRule>,
    by_id: FxHashMap<Arc<str>, usize>,
    by_alias: FxHashMap<String, usize>,
    by_host: FxHashMap<String, usize>,
    by_package: FxHashMap<String, usize>,
    graph: Graph,
}

impl Parties {
    /// Builds it; also gives the ids whose parents close a cycle. The first of several claims wins.
    pub(super) fn new(mut rules: Vec<PartyRule>) -> (Self, Vec<Arc<str>>) {
        rules.sort_by(|a, b| (a.kind, &a.party.id).cmp(&(b.kind, &b.party.id)));
        let nodes: Vec<(Arc<str>, Vec<Arc<str>>)> =
            rules.iter().map(|rule| (Arc::clone(&rule.party.id), rule.parents.clone())).collect();
        let (graph, cyclic) = Graph::new(&nodes);
        let mut all = Self { graph, ..Self::default() };
        for (at, rule) in rules.iter().enumerate() {
            all.by_id.entry(Arc::clone(&rule.party.id)).or_insert(at);
            for alias in rule.aliases.iter().map(|alias| normalise_alias(alias)).filter(|alias| !alias.is_empty()) {
                all.by_alias.entry(alias).or_insert(at);
            }
            for host in &rule.hosts {
                all.by_host.entry(host.clone()).or_insert(at);
            }
            for package in &rule.packages {
                all.by_package.entry(package.clone()).or_insert(at);
            }
        }
        all.rules = rules;
        (all, cyclic)
    }

    /// All rules: SDKs, companies, groups, each by id.
    #[must_use]
    pub fn rules(&self) -> &[PartyRule] {
        &self.rules
    }

    /// By id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&PartyRule> {
        self.by_id.get(id).map(|at| &self.rules[*at])
    }

    /// By a name as a policy writes it: `友盟SDK`, `Bugly（com.tencent.bugly）`, `com.tencent.imsdk`.
    #[must_use]
    pub fn by_alias(&self, name: &str) -> Option<&PartyRule> {
        let exact = |name: &str| self.by_alias.get(&normalise_alias(name)).map(|at| &self.rules[*at]);
        let package = |name: &str| {
            let name = name.trim().trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let name = name.strip_suffix("SDK").or_else(|| name.strip_suffix("sdk")).unwrap_or(name).trim();
            if name.is_ascii() && name.contains('.') { self.by_package(name) } else { None }
        };
        if let Some(rule) = exact(name).or_else(|| package(name)) {
            return Some(rule);
        }
        let (before, rest) = name.split_once(['(', '（', '[', '【'])?;
        let inside = rest.split([')', '）', ']', '】']).next().unwrap_or(rest);
        exact(before).or_else(|| package(inside)).or_else(|| exact(inside))
    }

    /// By host, longest suffix on label boundaries; also the suffix that matched.
    #[must_use]
    pub fn by_host<'h>(&self, host: &'h str) -> Option<(&PartyRule, &'h str)> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let lower = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            std::borrow::Cow::Owned(host.to_ascii_lowercase())
        } else {
            std::borrow::Cow::Borrowed(host)
        };
        let mut start = 0;
        loop {
            if let Some(at) = self.by_host.get(&lower[start..]) {
                return Some((&self.rules[*at], &host[start..]));
            }
            start += lower[start..].find('.')? + 1;
        }
    }

    /// By Android package or class name, longest prefix on dots.
    #[must_use]
    pub fn by_package(&self, package: &str) -> Option<&PartyRule> {
        let mut end = package.len();
        loop {
            if let Some(at) = self.by_package.get(&package[..end]) {
                return Some(&self.rules[*at]);
            }
            end = package[..end].rfind('.')?;
        }
    }

    /// Whether `narrow` is `broad` or one of it. An id without a rule is some third party.
    #[must_use]
    pub fn subsumes(&self, broad: &str, narrow: &str) -> bool {
        self.distance(narrow, broad).is_some()
    }

    /// Steps from `narrow` up to `broad`, 0 for the same entity. An id without a rule is some third party.
    #[must_use]
    pub fn distance(&self, narrow: &str, broad: &str) -> Option<u32> {
        if narrow == broad {
            return Some(0);
        }
        if self.by_id.contains_key(narrow) {
            return self.graph.distance(narrow, broad);
        }
        match (narrow, broad) {
            (FIRST_PARTY, _) => (broad == ANYONE).then_some(1),
            (_, THIRD_PARTY) => Some(1),
            (_, ANYONE) => Some(2),
            _ => None,
        }
    }

    /// Whether some entity is one of both.
    #[must_use]
    pub fn common_descendant(&self, a: &str, b: &str) -> bool {
        a != ANYONE && b != ANYONE && self.graph.common_descendant(a, b)
    }
}

/// A name reduced to what two spellings of it share: lower case, half width, without spaces, `_-()./·` and the word
/// SDK.
#[must_use]
pub fn normalise_alias(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            other => other,
        };
        if !c.is_whitespace() && !matches!(c, '_' | '-' | '(' | ')' | '.' | '/' | '·' | '\u{200b}' | '\u{feff}') {
            out.extend(c.to_lowercase());
        }
    }
    out.replace("sdk", "")
}
