//! Incidents of a run, added up: the same thing of the same host is told once, with how often it was.

use crate::model::{Incident, IncidentKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most incidents told apart.
pub const INCIDENTS_MAX: usize = 2_000;

/// What befell connections, by host.
#[derive(Default)]
pub(super) struct Incidents {
    told: BTreeMap<(IncidentKind, Arc<str>, String), u64>,
    more: u64,
}

impl Incidents {
    pub(super) fn add(&mut self, incident: Incident) {
        let Incident { kind, host, text, .. } = incident;
        let key = (kind, host, text);
        if let Some(count) = self.told.get_mut(&key) {
            *count += 1;
        } else if self.told.len() < INCIDENTS_MAX {
            self.told.insert(key, 1);
        } else {
            self.more += 1;
        }
    }

    /// A line each, by kind and host.
    pub(super) fn list(&self) -> Vec<String> {
        let line = |((_, host, text), count): (&(IncidentKind, Arc<str>, String), &u64)| match count {
            1 => format!("{host}: {text}"),
            count => format!("{host}: {text} ({count} times)"),
        };
        let more = (self.more > 0).then(|| format!("{} more incidents of other kinds or hosts", self.more));
        self.told.iter().map(line).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{INCIDENTS_MAX, Incidents};
    use crate::model::{Incident, IncidentKind, Timestamp};

    fn incident(kind: IncidentKind, host: &str) -> Incident {
        Incident { ts: Timestamp::default(), kind, host: host.into(), connection: None, text: "why".to_owned() }
    }

    #[test]
    fn the_same_is_told_once_and_their_number_is_bounded() {
        let mut incidents = Incidents::default();
        for host in ["b", "a", "b"] {
            incidents.add(incident(IncidentKind::Pinned, host));
        }
        incidents.add(incident(IncidentKind::ClientRefused, "z"));
        assert_eq!(incidents.list(), ["z: why", "a: why", "b: why (2 times)"]);
        for number in 0..INCIDENTS_MAX {
            incidents.add(incident(IncidentKind::OriginFailed, &number.to_string()));
        }
        assert_eq!(incidents.list().len(), INCIDENTS_MAX + 1);
        assert_eq!(incidents.list().last().map(String::as_str), Some("3 more incidents of other kinds or hosts"));
    }
}
