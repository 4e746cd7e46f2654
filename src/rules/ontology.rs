//! The data ontology (`rules/ontology.toml`): which data types exist, what they are called in policies, and which
//! is part of which. Finding the terms in a text is the policy reader's work.

use super::graph::Graph;
use crate::model::DataType;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The data type everything else is part of.
pub const ROOT: &str = "personal_information";

/// One node of the ontology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTypeRule {
    /// Its id.
    pub id: DataType,
    /// Ids of the broader types it is part of; empty for the root only.
    pub parents: Vec<DataType>,
    /// Chinese label.
    pub label_zh: String,
    /// English label.
    pub label_en: String,
    /// Chinese terms of policies, the label included.
    pub zh: Vec<String>,
    /// English terms of policies, the label included.
    pub en: Vec<String>,
    /// Sensitive personal information (GB/T 35273-2020 annex B; PIPL article 28).
    pub sensitive: bool,
}

/// A language divulge speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// All data types and how they relate: a directed acyclic graph with one root.
#[derive(Debug, Clone, Default)]
pub struct Ontology {
    types: Vec<DataTypeRule>,
    index: FxHashMap<Arc<str>, usize>,
    graph: Graph,
}

impl Ontology {
    /// Builds it; also gives the ids whose parents close a cycle.
    pub(super) fn new(mut types: Vec<DataTypeRule>) -> (Self, Vec<Arc<str>>) {
        types.sort_by(|a, b| a.id.cmp(&b.id));
        let nodes: Vec<(Arc<str>, Vec<Arc<str>>)> = types
            .iter()
            .map(|rule| {
                (Arc::from(rule.id.as_str()), rule.parents.iter().map(|parent| Arc::from(parent.as_str())).collect())
            })
            .collect();
        let index = nodes.iter().enumerate().map(|(at, (id, _))| (Arc::clone(id), at)).collect();
        let (graph, cyclic) = Graph::new(&nodes);
        (Self { types, index, graph }, cyclic)
    }

    /// The rule of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&DataTypeRule> {
        self.index.get(id).map(|at| &self.types[*at])
    }

    /// Whether the id exists.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    /// The id as a data type sharing the ontology's memory.
    #[must_use]
    pub fn data_type(&self, id: &str) -> Option<DataType> {
        self.get(id).map(|rule| rule.id.clone())
    }

    /// All rules, by id.
    #[must_use]
    pub fn types(&self) -> &[DataTypeRule] {
        &self.types
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &DataType> {
        self.types.iter().map(|rule| &rule.id)
    }

    /// `personal_information`.
    #[must_use]
    pub fn root(&self) -> DataType {
        self.data_type(ROOT).unwrap_or_else(|| DataType::new(ROOT))
    }

    /// Whether `narrow` is `broad` or part of it.
    #[must_use]
    pub fn subsumes(&self, broad: &DataType, narrow: &DataType) -> bool {
        broad == narrow || self.graph.distance(narrow.as_str(), broad.as_str()).is_some()
    }

    /// Steps of the shortest way from `narrow` up to `broad`; 0 for the same type, none where it isn't part of it.
    #[must_use]
    pub fn distance(&self, narrow: &DataType, broad: &DataType) -> Option<u32> {
        if narrow == broad { Some(0) } else { self.graph.distance(narrow.as_str(), broad.as_str()) }
    }

    /// The types of a shortest way from `narrow` up to `broad`, both included.
    #[must_use]
    pub fn path(&self, narrow: &DataType, broad: &DataType) -> Option<Vec<DataType>> {
        let way = self.graph.path(narrow.as_str(), broad.as_str())?;
        Some(way.into_iter().filter_map(|id| self.data_type(id)).collect())
    }

    /// Whether some type is part of both; the root shares nothing with anything (reference: PoliCheck's ≈).
    #[must_use]
    pub fn common_descendant(&self, a: &DataType, b: &DataType) -> bool {
        a.as_str() != ROOT && b.as_str() != ROOT && self.graph.common_descendant(a.as_str(), b.as_str())
    }

    /// The types directly below.
    #[must_use]
    pub fn children(&self, id: &str) -> Vec<DataType> {
        self.graph.children(id).into_iter().filter_map(|id| self.data_type(id)).collect()
    }

    /// Label for people; the id itself where the type is unknown.
    #[must_use]
    pub fn label<'a>(&'a self, id: &'a str, lang: Lang) -> &'a str {
        self.get(id).map_or(id, |rule| match lang {
            Lang::Zh => &rule.label_zh,
            Lang::En => &rule.label_en,
        })
    }

    /// Every term with its data type, Chinese and English, as the rules write them.
    pub fn synonyms(&self) -> impl Iterator<Item = (&str, &DataType)> {
        self.types.iter().flat_map(|rule| rule.zh.iter().chain(&rule.en).map(move |term| (term.as_str(), &rule.id)))
    }
}
