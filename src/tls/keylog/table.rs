//! A part of a key log: secrets in one buffer, found by client random.

use super::line::Line;
use super::{KnownSecret, SecretLabel};
use crate::model::KeySource;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u32,
    next: Option<u32>,
    len: u16,
    label: SecretLabel,
    source: KeySource,
}

/// Secrets by client random.
#[derive(Debug, Default)]
pub(super) struct Table {
    first: HashMap<[u8; 32], u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    premasters: usize,
}

impl Table {
    /// How many secrets there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many client randoms have secrets.
    pub(super) fn ids(&self) -> usize {
        self.first.len()
    }

    pub(super) fn each_id(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.first.keys()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn has(&self, id: &[u8; 32]) -> bool {
        self.first.contains_key(id)
    }

    pub(super) fn secrets_of(&self, id: &[u8; 32]) -> usize {
        self.chain(id).count()
    }

    pub(super) const fn premasters(&self) -> usize {
        self.premasters
    }

    pub(super) fn secrets<'s>(
        &'s self,
        id: &[u8; 32],
        label: SecretLabel,
    ) -> impl Iterator<Item = KnownSecret<'s>> + use<'s> {
        self.chain(id).filter(move |entry| entry.label == label).filter_map(|entry| self.known(entry))
    }

    pub(super) fn insert(&mut self, source: KeySource, line: &Line) -> Result<(), String> {
        self.add(source, line.label, line.id, line.secret())
    }

    /// The secrets of both, those of `self` first.
    pub(super) fn joined(&self, later: &Self) -> Self {
        let mut joined = Self {
            first: self.first.clone(),
            entries: self.entries.clone(),
            bytes: self.bytes.clone(),
            premasters: self.premasters,
        };
        for id in later.first.keys() {
            for entry in later.chain(id) {
                if let Some(known) = later.known(entry) {
                    joined.add(known.source, entry.label, *id, known.bytes).expect("both fitted into one log");
                }
            }
        }
        joined
    }

    fn add(&mut self, source: KeySource, label: SecretLabel, id: [u8; 32], secret: &[u8]) -> Result<(), String> {
        let full = "the key log is full";
        let offset = u32::try_from(self.bytes.len()).map_err(|_| full)?;
        let len = u16::try_from(secret.len()).map_err(|_| full)?;
        let at = u32::try_from(self.entries.len()).map_err(|_| full)?;
        self.bytes.extend_from_slice(secret);
        self.entries.push(Entry { offset, next: None, len, label, source });
        self.premasters += usize::from(matches!(label, SecretLabel::Premaster | SecretLabel::RsaPremaster));
        let Some(&first) = self.first.get(&id) else {
            self.first.insert(id, at);
            return Ok(());
        };
        // Chains hold at most a few entries a label, so walking to the end stays cheap.
        let mut last = first;
        while let Some(next) = self.entries.get(last as usize).and_then(|entry| entry.next) {
            last = next;
        }
        if let Some(entry) = self.entries.get_mut(last as usize) {
            entry.next = Some(at);
        }
        Ok(())
    }

    fn chain<'s>(&'s self, id: &[u8; 32]) -> impl Iterator<Item = &'s Entry> + use<'s> {
        let entry = |at: u32| self.entries.get(at as usize);
        std::iter::successors(self.first.get(id).and_then(|&at| entry(at)), move |last| last.next.and_then(entry))
    }

    fn known(&self, entry: &Entry) -> Option<KnownSecret<'_>> {
        let start = entry.offset as usize;
        let bytes = self.bytes.get(start..start + usize::from(entry.len))?;
        Some(KnownSecret { bytes, source: entry.source })
    }
}
