//! What befell the connections of the proxy, added up; and the flows whose client refused our certificate. An incident
//! may be told before its flow ends or after, so both are kept until the other comes.

use crate::model::{Incident, IncidentKind, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Most different incidents told one by one.
pub const INCIDENTS_MAX: usize = 1_000;
/// Most connections remembered, both of those refused and of those that stayed closed: the latest.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Nanoseconds that an incident may lie before or after the frames of its flow. Addresses and ports are used again later.
const TOLERANCE: i64 = 1_000_000_000;

/// Client and server.
type Connection = (SocketAddr, SocketAddr);

/// A flow without a key that has ended.
struct Closed {
    first: Timestamp,
    last: Timestamp,
    host: Arc<str>,
    bytes: u64,
    refused: bool,
}

/// A flow of which an incident that was told later says that its client refused our certificate.
pub(super) struct Refused {
    pub(super) host: Arc<str>,
    /// Bytes that stayed closed.
    pub(super) bytes: u64,
}

/// Incidents so far.
#[derive(Default)]
pub(super) struct Incidents {
    counts: BTreeMap<(IncidentKind, Arc<str>, String), u64>,
    more: u64,
    refused: Latest<Timestamp>,
    closed: Latest<Closed>,
}

impl Incidents {
    /// Takes an incident; gives the flows that have ended and are other than was thought.
    pub(super) fn add(&mut self, incident: &Incident) -> Vec<Refused> {
        let key = (incident.kind, Arc::clone(&incident.host), incident.text.clone());
        if self.counts.len() < INCIDENTS_MAX || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
        } else {
            self.more += 1;
        }
        let refuses = matches!(incident.kind, IncidentKind::ClientRefused | IncidentKind::Pinned);
        let Some(connection) = incident.connection.filter(|_| refuses) else { return Vec::new() };
        self.refused.push(connection, incident.ts);
        let closed = self.closed.of_mut(connection);
        closed
            .filter(|flow| !flow.refused && within(incident.ts, flow.first, flow.last))
            .map(|flow| {
                flow.refused = true;
                Refused { host: Arc::clone(&flow.host), bytes: flow.bytes }
            })
            .collect()
    }

    /// Whether the client of a flow refused our certificate, now or before.
    pub(super) fn is_refused(&self, connection: Connection, first: Timestamp, last: Timestamp) -> bool {
        self.refused.of(connection).any(|&ts| within(ts, first, last))
    }

    /// Remembers a flow that ended without a key: what befell it may still be told.
    pub(super) fn closed(
        &mut self,
        connection: Connection,
        (first, last): (Timestamp, Timestamp),
        host: &Arc<str>,
        bytes: u64,
    ) {
        self.closed.push(connection, Closed { first, last, host: Arc::clone(host), bytes, refused: false });
    }

    /// A line for each different incident, and how often it happened.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |((kind, host, text), count): (&(IncidentKind, Arc<str>, String), &u64)| {
            let text = if text.is_empty() { kind.as_str().replace('_', " ") } else { text.clone() };
            let times = if *count == 1 { String::new() } else { format!(" ({count} times)") };
            // A recording may hold anything, but a warning is one line.
            format!("{host}: {text}{times}").replace(char::is_control, " ")
        };
        let more = (self.more > 0).then(|| format!("{} more incidents of other kinds and hosts", self.more));
        self.counts.iter().map(line).chain(more).collect()
    }
}

fn within(ts: Timestamp, first: Timestamp, last: Timestamp) -> bool {
    let earliest = first.nanos().saturating_sub(TOLERANCE);
    let latest = last.nanos().saturating_add(TOLERANCE);
    (earliest..=latest).contains(&ts.nanos())
}

/// The latest things that were said of connections, at most [`CONNECTIONS_MAX`].
struct Latest<T> {
    by_connection: FxHashMap<Connection, VecDeque<T>>,
    order: VecDeque<Connection>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { by_connection: FxHashMap::default(), order: VecDeque::new() }
    }
}

impl<T> Latest<T> {
    fn push(&mut self, connection: Connection, said: T) {
        if self.order.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.order.pop_front()
            && let Some(list) = self.by_connection.get_mut(&oldest)
        {
            list.pop_front();
            if list.is_empty() {
                self.by_connection.remove(&oldest);
            }
        }
        self.order.push_back(connection);
        self.by_connection.entry(connection).or_default().push_back(said);
    }

    fn of(&self, connection: Connection) -> impl Iterator<Item = &T> {
        self.by_connection.get(&connection).into_iter().flatten()
    }

    fn of_mut(&mut self, connection: Connection) -> impl Iterator<Item = &mut T> {
        self.by_connection.get_mut(&connection).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS_MAX, Connection, INCIDENTS_MAX, Incidents, TOLERANCE};
    use crate::model::{Incident, IncidentKind, Timestamp};
    use std::sync::Arc;

    fn ts(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn connection(port: u16) -> Connection {
        (([10, 0, 0, 2], port).into(), ([203, 0, 113, 9], 443).into())
    }

    fn incident(kind: IncidentKind, host: &str, text: &str, at: i64, port: u16) -> Incident {
        Incident { ts: ts(at), kind, host: host.into(), connection: Some(connection(port)), text: text.to_owned() }
    }

    #[test]
    fn incidents_are_told_in_one_order_with_their_number() {
        let mut incidents = Incidents::default();
        for (kind, host, text) in [
            (IncidentKind::Unread, "b.example.com", ""),
            (IncidentKind::OriginUntrusted, "b.example.com", "origin certificate expired"),
            (IncidentKind::OriginUntrusted, "a.example.com", "origin certificate expired"),
            (IncidentKind::OriginUntrusted, "b.example.com", "origin certificate expired"),
        ] {
            incidents.add(&incident(kind, host, text, 0, 1));
        }
        assert_eq!(
            incidents.lines(),
            [
                "a.example.com: origin certificate expired",
                "b.example.com: origin certificate expired (2 times)",
                "b.example.com: unread"
            ]
        );
        for number in 0..INCIDENTS_MAX {
            incidents.add(&incident(IncidentKind::Refused, "c.example.com", &number.to_string(), 0, 1));
        }
        assert_eq!(incidents.lines().len(), INCIDENTS_MAX + 1);
        assert_eq!(incidents.lines().last().unwrap(), "3 more incidents of other kinds and hosts");
    }

    #[test]
    fn a_flow_is_refused_whichever_is_told_first_and_another_on_the_same_ports_is_not() {
        let mut incidents = Incidents::default();
        let host: Arc<str> = Arc::from("a.example.com");
        let hour = 3_600_000_000_000;
        incidents.closed(connection(1), (ts(0), ts(10)), &host, 7);
        incidents.closed(connection(1), (ts(hour), ts(hour + 10)), &host, 8);
        incidents.closed(connection(2), (ts(hour), ts(hour + 10)), &host, 9);
        let told = |incidents: &mut Incidents, kind, at, port| -> Vec<u64> {
            incidents.add(&incident(kind, "a.example.com", "", at, port)).iter().map(|flow| flow.bytes).collect()
        };
        assert_eq!(told(&mut incidents, IncidentKind::OriginFailed, hour, 1), [0; 0]);
        assert_eq!(told(&mut incidents, IncidentKind::Pinned, hour + 10 + TOLERANCE, 1), [8]);
        assert_eq!(told(&mut incidents, IncidentKind::ClientRefused, hour, 1), [0; 0], "it is known already");
        assert!(incidents.is_refused(connection(1), ts(hour), ts(hour + 1)));
        assert!(!incidents.is_refused(connection(1), ts(0), ts(10)));
        assert!(!incidents.is_refused(connection(2), ts(hour), ts(hour + 1)));
    }

    #[test]
    fn of_connections_without_end_the_latest_are_kept() {
        let mut incidents = Incidents::default();
        for number in 0..=CONNECTIONS_MAX {
            let port = u16::try_from(number).unwrap();
            incidents.add(&incident(IncidentKind::Pinned, "a.example.com", "", 0, port));
        }
        assert!(!incidents.is_refused(connection(0), ts(0), ts(0)));
        assert!(incidents.is_refused(connection(1), ts(0), ts(0)));
        assert_eq!(incidents.refused.by_connection.len(), CONNECTIONS_MAX);
    }
}
