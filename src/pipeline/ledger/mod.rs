//! Events, in order → the outcome of the run: who received what, how often, and what stayed closed. It sees every
//! event once, after the shards, so what depends on more than one flow (names of addresses, consent) is decided here.

mod incidents;
mod marks;

use super::event::{Event, FlowSummary};
use super::names::AddressNames;
use crate::attribute::Attributor;
use crate::model::{
    Coverage, DataFlow, DataType, FlowId, HostSummary, Incident, Mark, NameKind, NameSource, Observation, OpaqueReason,
    Party, Role, Timestamp, TransportProtocol, Weird, WeirdCount,
};
use incidents::Incidents;
use marks::Marks;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use incidents::{CONNECTIONS_MAX, INCIDENTS_MAX};
pub use marks::MARKS_MAX;

/// Most hosts that are counted one by one; the rest are counted together.
pub const HOSTS_MAX: usize = 100_000;
/// Most data flows kept apart; more means that the parties are made up.
pub const DATA_FLOWS_MAX: usize = 40_000;

/// Data flows beyond which one observation of each is evidence enough.
const FLOWS_WELL_PROVED: usize = 10_000;

#[derive(Clone)]
struct HostCount {
    party: Arc<Party>,
    named_by: NameSource,
    flows: u64,
    bytes: u64,
    opaque: BTreeMap<OpaqueReason, u64>,
    opaque_bytes: u64,
    exchanges: u64,
}

impl HostCount {
    fn new(party: Arc<Party>, named_by: NameSource) -> Self {
        Self { party, named_by, flows: 0, bytes: 0, opaque: BTreeMap::new(), opaque_bytes: 0, exchanges: 0 }
    }

    fn add(&mut self, flow: &FlowSummary, reason: Option<OpaqueReason>, named_by: NameSource) {
        self.named_by = self.named_by.min(named_by);
        self.flows += 1;
        self.bytes += flow.bytes;
        self.opaque_bytes += flow.opaque_bytes;
        self.exchanges += u64::from(flow.exchanges);
        if let (Some(reason), true) = (reason, flow.opaque_bytes > 0) {
            *self.opaque.entry(reason).or_default() += flow.opaque_bytes;
        }
    }

    /// Bytes for which there was no key turn out to be closed because the client refused our certificate.
    fn was_refused(&mut self, bytes: u64) {
        if let Some(closed) = self.opaque.get_mut(&OpaqueReason::NoKey) {
            *closed = closed.saturating_sub(bytes);
            if *closed == 0 {
                self.opaque.remove(&OpaqueReason::NoKey);
            }
        }
        *self.opaque.entry(OpaqueReason::Pinned).or_default() += bytes;
    }

    fn summary(&self, host: &Arc<str>) -> HostSummary {
        // Most bytes first; of equals the first by name, so that runs agree.
        let reason = self.opaque.iter().max_by_key(|&(reason, bytes)| (bytes, std::cmp::Reverse(reason)));
        HostSummary {
            host: Arc::clone(host),
            named_by: self.named_by,
            party: Arc::clone(&self.party),
            flows: self.flows,
            bytes: self.bytes,
            opaque_bytes: self.opaque_bytes,
            opaque_reason: reason.map(|(&reason, _)| reason),
            exchanges: self.exchanges,
        }
    }
}

/// Totals of a run.
pub struct Ledger {
    attributor: Attributor,
    parties: FxHashMap<Arc<str>, Arc<Party>>,
    names: AddressNames,
    hosts: BTreeMap<Arc<str>, HostCount>,
    /// Flows that have not ended, as they stood when they were last told of.
    open: BTreeMap<FlowId, FlowSummary>,
    data_flows: FxHashMap<(DataType, Arc<str>, Role), DataFlow>,
    weirds: BTreeMap<(crate::model::Layer, &'static str), u64>,
    marks: Marks,
    incidents: Incidents,
    coverage: Coverage,
    exchanges: u64,
    apps: BTreeMap<Arc<str>, u64>,
    tls: TlsCount,
    full: bool,
}

/// TLS sessions by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsCount {
    /// Opened with keys.
    pub opened: u64,
    /// Closed for want of a key.
    pub no_key: u64,
    /// Closed though a key was there.
    pub wrong_key: u64,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(attributor: Attributor) -> Self {
        Self {
            attributor,
            parties: FxHashMap::default(),
            names: AddressNames::default(),
            hosts: BTreeMap::new(),
            open: BTreeMap::new(),
            data_flows: FxHashMap::default(),
            weirds: BTreeMap::new(),
            marks: Marks::default(),
            incidents: Incidents::default(),
            coverage: Coverage::default(),
            exchanges: 0,
            apps: BTreeMap::new(),
            tls: TlsCount::default(),
            full: false,
        }
    }

    /// Takes a mark. The outcome is the same whenever that is done.
    pub fn mark(&mut self, mark: &Mark) {
        self.marks.add(mark);
    }

    /// The marks, each once, by time.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        self.marks.list()
    }

    /// Takes what befell a connection of the proxy.
    pub fn incident(&mut self, incident: &Incident) {
        for refused in self.incidents.add(incident) {
            self.tls.no_key = self.tls.no_key.saturating_sub(1);
            if let Some(host) = self.hosts.get_mut(&refused.host) {
                host.was_refused(refused.bytes);
            }
        }
    }

    /// What is to be said of incidents, and of marks that were too many.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.incidents.lines();
        if self.marks.more() > 0 {
            warnings.push(format!("more than {MARKS_MAX} marks: the rest is not in the report"));
        }
        warnings
    }

    /// Takes an event; names the party of each observation in it.
    pub fn record(&mut self, event: &mut Event) {
        match event {
            Event::Asked(_, observations) | Event::Observed(observations) => self.observations(observations),
            Event::Exchange(_) | Event::Ended | Event::Rendered(_) => self.exchanges += 1,
            Event::Name(name) => {
                if name.kind == NameKind::Dns && !name.addresses.is_empty() {
                    let host: Arc<str> = Arc::from(name.name.to_ascii_lowercase());
                    for &address in &name.addresses {
                        self.full |= !self.names.learn(address, name.ts, &host);
                    }
                }
            }
            Event::Weird(weird) => self.weird(weird),
            Event::Open(flow) => drop(self.open.insert(flow.id, FlowSummary::clone(flow))),
            Event::Flow(flow) => {
                self.open.remove(&flow.id);
                self.flow(flow);
            }
        }
    }

    /// Exchanges so far.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// What could be read.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The data flows, by data type and party.
    #[must_use]
    pub fn data_flows(&self) -> Vec<DataFlow> {
        let mut flows: Vec<_> = self.data_flows.iter().collect();
        flows.sort_unstable_by_key(|&(key, _)| key);
        let judged = |flow: &DataFlow| {
            let before_consent = self.marks.consent_missing_at(flow.first_ts);
            DataFlow { before_consent, ..flow.clone() }
        };
        flows.into_iter().map(|(_, flow)| judged(flow)).collect()
    }

    /// The hosts, by name; those of flows that are open among them.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostSummary> {
        if self.open.is_empty() {
            return self.hosts.iter().map(|(host, count)| count.summary(host)).collect();
        }
        let mut hosts = self.hosts.clone();
        for flow in self.open.values() {
            let (host, named_by) = self.host_of(flow);
            if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&host) {
                continue;
            }
            let known = self.parties.get(&host).map(Arc::clone);
            let party = known.unwrap_or_else(|| self.attributor.party(&host));
            let count = hosts.entry(host).or_insert_with(|| HostCount::new(party, named_by));
            count.add(flow, self.reason_of(flow), named_by);
        }
        hosts.iter().map(|(host, count)| count.summary(host)).collect()
    }

    /// Odd traffic, by layer and reason.
    #[must_use]
    pub fn weirds(&self) -> Vec<WeirdCount> {
        self.weirds.iter().map(|(&(layer, reason), &count)| WeirdCount { layer, reason, count }).collect()
    }

    /// The app most flows came from, where the capture names apps.
    #[must_use]
    pub fn app(&self) -> Option<String> {
        self.apps.iter().max_by_key(|&(name, flows)| (flows, std::cmp::Reverse(name))).map(|(name, _)| name.to_string())
    }

    /// TLS sessions by what became of them.
    #[must_use]
    pub fn tls(&self) -> TlsCount {
        self.tls
    }

    /// Whether a cap was met, so that some data flows or hosts are missing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    fn weird(&mut self, weird: &Weird) {
        *self.weirds.entry((weird.layer, weird.reason)).or_default() += 1;
    }

    fn party(&mut self, host: &Arc<str>) -> Arc<Party> {
        if let Some(party) = self.parties.get(host) {
            return Arc::clone(party);
        }
        let party = self.attributor.party(host);
        if self.parties.len() < HOSTS_MAX {
            self.parties.insert(Arc::clone(host), Arc::clone(&party));
        }
        party
    }

    /// The name DNS gave for a host that is only an address, before a time.
    fn named(&self, host: &Arc<str>, ts: Timestamp) -> Option<Arc<str>> {
        self.names.at(host.parse::<IpAddr>().ok()?, ts).map(Arc::clone)
    }

    /// What a flow's host is called, and what told it.
    fn host_of(&self, flow: &FlowSummary) -> (Arc<str>, NameSource) {
        let told = flow.host.clone().filter(|&(_, source)| source != NameSource::Address);
        let told = told.or_else(|| {
            let (name, source) = flow.tls.as_ref()?.server_name()?;
            Some((Arc::from(name), source))
        });
        told.unwrap_or_else(|| {
            let address = flow
                .host
                .as_ref()
                .map_or_else(|| Arc::from(flow.key.server.ip().to_string()), |(host, _)| Arc::clone(host));
            match self.named(&address, flow.first_ts) {
                Some(name) => (name, NameSource::Dns),
                None => (address, NameSource::Address),
            }
        })
    }

    /// Takes what was found in one exchange, and so went to one host.
    fn observations(&mut self, observations: &mut [Observation]) {
        let Some(first) = observations.first() else { return };
        let host = self.named(&first.host, first.ts).unwrap_or_else(|| Arc::clone(&first.host));
        let party = self.party(&host);
        for seen in observations {
            seen.host = Arc::clone(&host);
            seen.party = Some(Arc::clone(&party));
            self.observation(seen, &host, &party);
        }
    }

    fn observation(&mut self, seen: &Observation, host: &Arc<str>, party: &Arc<Party>) {
        let key = (seen.data_type.clone(), Arc::clone(&party.id), party.role);
        if self.data_flows.len() >= DATA_FLOWS_MAX && !self.data_flows.contains_key(&key) {
            self.full = true;
            return;
        }
        let most = if self.data_flows.len() > FLOWS_WELL_PROVED { 1 } else { DataFlow::EVIDENCE_MAX };
        let flow = self.data_flows.entry(key).or_insert_with(|| DataFlow {
            data_type: seen.data_type.clone(),
            party: Arc::clone(party),
            hosts: std::collections::BTreeSet::new(),
            observations: 0,
            first_ts: seen.ts,
            last_ts: seen.ts,
            cleartext: false,
            before_consent: false,
            evidence: Vec::new(),
        });
        if !flow.hosts.contains(host) {
            flow.hosts.insert(Arc::clone(host));
        }
        flow.observations += 1;
        flow.first_ts = flow.first_ts.min(seen.ts);
        flow.last_ts = flow.last_ts.max(seen.ts);
        let news = seen.cleartext && !flow.cleartext;
        flow.cleartext |= seen.cleartext;
        keep_evidence(&mut flow.evidence, most, seen, news);
    }

    fn flow(&mut self, flow: &FlowSummary) {
        if let Some(app) = &flow.app
            && let Some(name) = app.package.as_ref().or(app.name.as_ref())
        {
            *self.apps.entry(Arc::clone(name)).or_default() += 1;
        }
        if flow.bytes == 0 {
            return;
        }
        let reason = self.reason_of(flow);
        self.tls.opened += u64::from(flow.tls.as_ref().is_some_and(|tls| tls.keys.is_some()));
        self.tls.no_key += u64::from(reason == Some(OpaqueReason::NoKey));
        self.tls.wrong_key += u64::from(reason == Some(OpaqueReason::WrongKey));
        self.coverage.flows += 1;
        self.coverage.bytes += flow.bytes;
        self.coverage.readable_bytes += flow.bytes - flow.opaque_bytes;
        // A flow of which something was read and something was not is not a readable one.
        self.coverage.readable_flows += u64::from(flow.opaque_bytes == 0);
        let (host, named_by) = self.host_of(flow);
        if let (Some(OpaqueReason::NoKey), Some(connection)) = (reason, connection_of(flow)) {
            self.incidents.closed(connection, (flow.first_ts, flow.last_ts), &host, flow.opaque_bytes);
        }
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&host) {
            self.full = true;
            return;
        }
        let party = self.party(&host);
        let count = self.hosts.entry(host).or_insert_with(|| HostCount::new(party, named_by));
        count.add(flow, reason, named_by);
    }

    /// Why a flow stayed closed, as far as is known by now.
    fn reason_of(&self, flow: &FlowSummary) -> Option<OpaqueReason> {
        let refused = flow.opaque_reason == Some(OpaqueReason::NoKey)
            && connection_of(flow)
                .is_some_and(|connection| self.incidents.is_refused(connection, flow.first_ts, flow.last_ts));
        if refused { Some(OpaqueReason::Pinned) } else { flow.opaque_reason }
    }
}

/// The connection that an incident would name.
fn connection_of(flow: &FlowSummary) -> Option<(SocketAddr, SocketAddr)> {
    (flow.key.transport == TransportProtocol::Tcp).then_some((flow.key.client, flow.key.server))
}

/// Keeps the surest observations, at most `most`, among them the earliest, which may turn out to have come before the
/// user agreed, and one that first shows something new of the flow (`news`).
fn keep_evidence(evidence: &mut Vec<Observation>, most: usize, seen: &Observation, news: bool) {
    if evidence.len() < most {
        evidence.push(seen.clone());
        return;
    }
    let earliest = evidence.iter().enumerate().min_by_key(|(_, kept)| kept.ts).map(|(at, kept)| (at, kept.ts));
    let is_earliest = earliest.is_some_and(|(_, ts)| seen.ts < ts);
    let news = news || is_earliest;
    let cleartext = only(evidence.iter().map(|kept| kept.cleartext)).filter(|_| !seen.cleartext);
    let may_go = |at: usize| cleartext != Some(at) && (is_earliest || earliest.is_none_or(|(first, _)| first != at));
    let others = || evidence.iter().enumerate().rev().filter(|&(at, _)| may_go(at));
    let at = if news {
        others().next().map_or(evidence.len() - 1, |(at, _)| at)
    } else {
        match others().min_by_key(|(_, kept)| kept.confidence) {
            Some((at, weakest)) if weakest.confidence < seen.confidence => at,
            Some(_) | None => return,
        }
    };
    evidence.remove(at);
    evidence.push(seen.clone());
}

/// The place of the only one that is so, if it is one alone.
fn only(mut are: impl Iterator<Item = bool>) -> Option<usize> {
    let at = are.by_ref().position(|is| is)?;
    (!are.any(|is| is)).then_some(at)
}

#[cfg(test)]
mod tests;
