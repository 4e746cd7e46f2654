//! Statements made ready for judging: one entry for each data type of each declaration, with whom it speaks of.
//! Which statements speak of whom follows PoliCheck: what we collect, use or store is a first-party matter, what goes
//! to others a matter of theirs alone, and to share is to have collected.

use super::terms::Above;
use crate::model::{
    Action, DataType, Declaration, DeclaredData, LocalEdge, Polarity, PolicyDocument, Recipient, Role, Span,
    StatementSource,
};
use crate::rules::{FIRST_PARTY, THIRD_PARTY, normalise_alias};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a statement says of one data type.
#[derive(Debug, Clone)]
pub(super) struct Said<'a> {
    /// Index of its document.
    pub(super) document: usize,
    /// The statement.
    pub(super) declaration: &'a Declaration,
    /// The data mention.
    pub(super) data: Mention<'a>,
    /// Index into [`Statements::receivers`].
    pub(super) receiver: usize,
    /// Whether it follows from a statement about sharing instead of standing in the text.
    pub(super) implied: bool,
}

/// Data a statement mentions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention<'a> {
    /// Which data.
    pub(super) data_type: &'a DataType,
    /// The words of the text; for an item of a list the words of the term it is listed under.
    pub(super) text: &'a str,
    /// Where they stand.
    pub(super) span: Span,
}

/// Somebody the statements speak of.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    /// `first_party`, a party of the rules, a group, or a name of the text.
    pub(super) id: Arc<str>,
    /// The name as the text writes it.
    pub(super) name: Arc<str>,
    /// The name as aliases compare.
    pub(super) alias: String,
    /// Whether it is the app itself.
    pub(super) own: bool,
}

/// All statements of some documents, by data type.
#[derive(Debug, Clone, Default)]
pub(super) struct Statements<'a> {
    pub(super) all: Vec<Said<'a>>,
    pub(super) receivers: Vec<Receiver>,
    by_type: BTreeMap<(usize, &'a DataType), Vec<usize>>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(documents: &[&'a PolicyDocument]) -> Self {
        let mut statements = Self::default();
        let mut known = BTreeMap::new();
        for (document, policy) in documents.iter().enumerate() {
            let mut lists: Vec<&LocalEdge> = policy.local_ontology.iter().collect();
            lists.sort_by_key(|edge| edge.span);
            for declaration in &policy.statements {
                let mentions = mentions(declaration, &lists);
                for (receiver, implied) in receivers_of(declaration) {
                    let next = statements.receivers.len();
                    let index = *known.entry(Arc::clone(&receiver.id)).or_insert(next);
                    if index == next {
                        statements.receivers.push(receiver);
                    }
                    for &data in &mentions {
                        let said = Said { document, declaration, data, receiver: index, implied };
                        statements.by_type.entry((document, data.data_type)).or_default().push(statements.all.len());
                        statements.all.push(said);
                    }
                }
            }
        }
        statements
    }

    /// Indices of the statements of a document about any of the terms, with the distance of the term.
    pub(super) fn about(&self, document: usize, above: &Above) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for (term, distance) in above.iter() {
            let indices = self.by_type.get(&(document, term)).into_iter().flatten();
            found.extend(indices.map(|&index| (index, distance)));
        }
        found
    }
}

/// The data a declaration mentions, with the items of the lists in it: 设备信息(IMEI、MAC地址) declares its items, where
/// a bare 设备信息 covers them only vaguely. `lists` are sorted by span.
fn mentions<'a>(declaration: &'a Declaration, lists: &[&'a LocalEdge]) -> Vec<Mention<'a>> {
    let said = |data: &'a DeclaredData| Mention { data_type: &data.data_type, text: &data.text, span: data.span };
    let mut mentions: Vec<Mention<'_>> = declaration.data.iter().map(said).collect();
    let from = lists.partition_point(|edge| edge.span.0 < declaration.span.0);
    let within = lists[from..].iter().take_while(|edge| edge.span.0 < declaration.span.1);
    for edge in within {
        let listed_under = mentions.iter().find(|mention| *mention.data_type == edge.parent).copied();
        let known = mentions.iter().any(|mention| *mention.data_type == edge.child);
        if let Some(parent) = listed_under.filter(|_| !known) {
            mentions.push(Mention { data_type: &edge.child, ..parent });
        }
    }
    mentions
}

/// Of whom a declaration speaks; with whether that is only implied.
fn receivers_of(declaration: &Declaration) -> Vec<(Receiver, bool)> {
    let own = declaration.recipient.role == Role::FirstParty;
    let gives = matches!(declaration.action, Action::Share | Action::Transfer | Action::Disclose);
    match declaration.polarity {
        // "We do not use/store it" does not deny that it is sent: such use is typically conditional (PolicyLint).
        Polarity::Negative if matches!(declaration.action, Action::Use | Action::Store) => Vec::new(),
        Polarity::Negative if speaks_of_another_act(declaration) => Vec::new(),
        // A denial of sharing that names nobody speaks of all others.
        Polarity::Negative if own && gives => vec![(named(THIRD_PARTY, &declaration.recipient.name), false)],
        Polarity::Negative => vec![(receiver(&declaration.recipient), false)],
        // To share is to have collected. A row of an SDK table says what the SDK takes, not what the app has.
        Polarity::Positive if gives && !own && declaration.source == StatementSource::Prose => {
            vec![(receiver(&declaration.recipient), false), (named(FIRST_PARTY, FIRST_PARTY), true)]
        }
        Polarity::Positive => vec![(receiver(&declaration.recipient), false)],
    }
}

/// Chinese law and policies tell sharing (共享), transfer of control (转让) and publication (公开披露) apart
/// (GB/T 35273 9.2, 9.4): who denies the latter two has not denied that an SDK receives data, unless he names others as
/// those it is not disclosed to. In English the words are used for each other.
fn speaks_of_another_act(declaration: &Declaration) -> bool {
    const OTHERS: &[&str] = &["第三方", "他人", "其他", "其它", "任何"];
    let chinese = declaration.text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    match declaration.action {
        Action::Transfer => chinese,
        Action::Disclose => chinese && !OTHERS.iter().any(|word| declaration.text.contains(word)),
        Action::Collect | Action::Use | Action::Share | Action::Store => false,
    }
}

fn receiver(recipient: &Recipient) -> Receiver {
    match recipient.role {
        Role::FirstParty => named(FIRST_PARTY, &recipient.name),
        Role::ThirdParty | Role::Platform | Role::Unknown => named(&recipient.id, &recipient.name),
    }
}

fn named(id: &str, name: &str) -> Receiver {
    Receiver { id: id.into(), name: name.into(), alias: normalise_alias(name), own: id == FIRST_PARTY }
}
