//! The data ontology as one policy uses it: the rules' own edges and those of the text's enumerations
//! (设备信息(IMEI、…)). Says how far a term lies above a data type, and over which edges.

use crate::model::{DataType, LocalEdge};
use crate::rules::{Ontology, ROOT};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One step of a way up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    distance: u32,
    /// The node below, and whether the policy's own list gave the edge; none at the start.
    from: Option<(DataType, bool)>,
}

/// All terms above a data type, itself included, with the shortest ways to them.
#[derive(Debug, Clone, Default)]
pub(super) struct Above(BTreeMap<DataType, Step>);

impl Above {
    /// The terms with their distances.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&DataType, u32)> {
        self.0.iter().map(|(term, step)| (term, step.distance))
    }

    /// Steps up to `term`.
    pub(super) fn distance(&self, term: &DataType) -> Option<u32> {
        self.0.get(term).map(|step| step.distance)
    }

    /// The way up to `term` in words: `imei ⊂ device_identifier ⊂ device_information (by the policy's own list)`.
    pub(super) fn way(&self, term: &DataType) -> String {
        let (mut words, mut at) = (Vec::new(), term);
        let mut own = false;
        while let Some(Step { from: Some((below, local)), .. }) = self.0.get(at) {
            own = own || *local;
            words.push(if *local { format!("{at} (by the policy's own list)") } else { at.to_string() });
            at = below;
        }
        words.push(at.to_string());
        words.reverse();
        words.join(" \u{2282} ")
    }
}

/// The ontology of one policy.
#[derive(Debug, Clone)]
pub(super) struct Terms<'a> {
    ontology: &'a Ontology,
    /// The text's own broader terms of a data type.
    local: BTreeMap<&'a DataType, Vec<&'a DataType>>,
    /// The ways up from every type of the rules, worked out once.
    known: BTreeMap<&'a DataType, Arc<Above>>,
}

impl<'a> Terms<'a> {
    /// The rules' ontology with the edges of some policies. Edges that would turn the rules' order round (设备标识(设备信息))
    /// are left out: they'd make everything part of everything.
    pub(super) fn new(ontology: &'a Ontology, edges: impl Iterator<Item = &'a LocalEdge>) -> Self {
        let mut local: BTreeMap<&DataType, Vec<&DataType>> = BTreeMap::new();
        for edge in edges {
            let parents = local.entry(&edge.child).or_default();
            if !ontology.subsumes(&edge.child, &edge.parent) && !parents.contains(&&edge.parent) {
                parents.push(&edge.parent);
            }
        }
        local.values_mut().for_each(|parents| parents.sort());
        let mut terms = Self { ontology, local, known: BTreeMap::new() };
        terms.known = ontology.ids().map(|id| (id, Arc::new(terms.ways_up(id)))).collect();
        terms
    }

    /// Everything above `data_type`.
    pub(super) fn above(&self, data_type: &DataType) -> Arc<Above> {
        self.known.get(data_type).map_or_else(|| Arc::new(self.ways_up(data_type)), Arc::clone)
    }

    /// Breadth first; the rules' edges are tried before the policy's.
    fn ways_up(&self, data_type: &DataType) -> Above {
        let mut above = BTreeMap::from([(data_type.clone(), Step { distance: 0, from: None })]);
        let mut queue = VecDeque::from([(data_type.clone(), 0)]);
        while let Some((node, distance)) = queue.pop_front() {
            let known = self.ontology.get(node.as_str());
            let parents = known.map_or(&[][..], |rule| &rule.parents).iter().map(|parent| (parent.clone(), false));
            let own = self.local.get(&node).into_iter().flatten().map(|parent| ((*parent).clone(), true));
            // A type the rules lack is personal information all the same.
            let root = known.is_none().then(|| (DataType::new(ROOT), false));
            for (parent, local) in parents.chain(own).chain(root).collect::<Vec<_>>() {
                if !above.contains_key(&parent) {
                    let step = Step { distance: distance + 1, from: Some((node.clone(), local)) };
                    above.insert(parent.clone(), step);
                    queue.push_back((parent, distance + 1));
                }
            }
        }
        Above(above)
    }

    /// How `first` relates to `second`, two terms that have a data type in common.
    pub(super) fn relation(&self, first: &DataType, second: &DataType) -> super::Relation {
        use super::Relation;
        if first == second {
            Relation::Equal
        } else if self.above(first).distance(second).is_some() {
            Relation::Narrower
        } else if self.above(second).distance(first).is_some() {
            Relation::Broader
        } else {
            Relation::Overlapping
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Terms;
    use crate::audit::{Relation, fixture};
    use crate::model::{DataType, LocalEdge, Span};

    fn edge(parent: &str, child: &str) -> LocalEdge {
        LocalEdge { parent: DataType::new(parent), child: DataType::new(child), span: Span(0, 1) }
    }

    #[test]
    fn the_policys_own_list_shortens_the_way_and_is_named() {
        let rules = fixture::rules();
        let (imei, device) = (DataType::new("imei"), DataType::new("device_information"));
        let none = Terms::new(rules.ontology(), [].iter());
        assert_eq!(none.above(&imei).distance(&device), Some(2));
        assert_eq!(none.above(&imei).way(&device), "imei ⊂ device_identifier ⊂ device_information");
        let edges = [edge("device_information", "imei"), edge("usage_information", "imei")];
        let own = Terms::new(rules.ontology(), edges.iter());
        assert_eq!(own.above(&imei).distance(&device), Some(1));
        assert_eq!(own.above(&imei).way(&device), "imei ⊂ device_information (by the policy's own list)");
        assert_eq!(own.above(&imei).distance(&DataType::new("usage_information")), Some(1));
    }

    #[test]
    fn a_list_that_turns_the_order_round_is_ignored() {
        let rules = fixture::rules();
        let edges = [edge("imei", "device_information")];
        let terms = Terms::new(rules.ontology(), edges.iter());
        assert_eq!(terms.above(&DataType::new("device_model")).distance(&DataType::new("imei")), None);
        let (imei, device) = (DataType::new("imei"), DataType::new("device_information"));
        assert_eq!(terms.relation(&imei, &device), Relation::Narrower);
        assert_eq!(terms.relation(&device, &imei), Relation::Broader);
    }

    #[test]
    fn a_type_the_rules_lack_is_personal_information() {
        let rules = fixture::rules();
        let terms = Terms::new(rules.ontology(), [].iter());
        assert_eq!(terms.above(&DataType::new("shoe_size")).distance(&DataType::new("personal_information")), Some(1));
    }
}
