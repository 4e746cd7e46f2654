//! What the policy declares and nothing was seen of.

use super::judge::{Judge, Judgement};
use crate::model::{DataType, DeclaredOnly, Party, Polarity, Role};
use crate::rules::{FIRST_PARTY, ROOT};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The statements some flow was judged by.
#[derive(Debug, Default)]
pub(super) struct Observed(BTreeSet<usize>);

impl Observed {
    pub(super) fn note(&mut self, judgement: &Judgement) {
        self.0.extend(&judgement.relevant);
    }
}

/// Each pair of data type and recipient that is declared and of which no flow was seen, with its first statement; by
/// recipient, then data type.
pub(super) fn never_seen(judge: &Judge<'_>, observed: &Observed) -> Vec<DeclaredOnly> {
    let mut pairs: BTreeMap<(Arc<str>, &DataType), (usize, bool)> = BTreeMap::new();
    for (at, said) in judge.statements.all.iter().enumerate() {
        // Personal information at large can't be observed as such; its kinds are.
        let at_large = said.data.data_type.as_str() == ROOT;
        if said.implied || at_large || said.declaration.polarity == Polarity::Negative {
            continue;
        }
        let receiver = Arc::clone(&judge.statements.receivers[said.receiver].id);
        let pair = pairs.entry((receiver, said.data.data_type)).or_insert((at, false));
        pair.1 |= observed.0.contains(&at);
    }
    pairs
        .into_iter()
        .filter(|(_, (_, seen))| !seen)
        .map(|((_, data_type), (at, _))| {
            let said = &judge.statements.all[at];
            DeclaredOnly { data_type: data_type.clone(), party: party(judge, said.receiver), clause: judge.quote(said) }
        })
        .collect()
}

fn party(judge: &Judge<'_>, receiver: usize) -> Arc<Party> {
    let receiver = &judge.statements.receivers[receiver];
    if let Some(rule) = judge.rules.party(&receiver.id).filter(|_| &*receiver.id != FIRST_PARTY) {
        return Arc::clone(&rule.party);
    }
    let role = if receiver.own { Role::FirstParty } else { Role::ThirdParty };
    Arc::new(Party { id: Arc::clone(&receiver.id), name: Arc::clone(&receiver.name), role })
}
