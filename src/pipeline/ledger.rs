//! Events, in order → the outcome of the run: who received what, how often, and what stayed closed. It sees every
//! event once, after the shards, so what depends on more than one flow (names of addresses, consent) is decided here.

use super::event::{Event, FlowSummary};
use super::names::AddressNames;
use crate::attribute::Attributor;
use crate::model::{
    Confidence, Coverage, DataFlow, DataType, FlowId, HostSummary, Incident, IncidentKind, Mark, MarkKind, NameKind,
    NameSource, Observation, OpaqueReason, Party, Role, Timestamp, Weird, WeirdCount,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Most hosts that are counted one by one; the rest are counted together.
pub const HOSTS_MAX: usize = 100_000;
/// Most data flows kept apart; more means that the parties are made up.
pub const DATA_FLOWS_MAX: usize = 40_000;

/// Most connections remembered at a time as passed through because of a pin.
pub const PINNED_MAX: usize = 65_536;
/// Data flows beyond which one observation of each is evidence enough.
const FLOWS_WELL_PROVED: usize = 10_000;

/// What the app sends before the user agreed, going by the tester's marks.
#[derive(Debug, Clone, Copy)]
enum Consent {
    /// No mark speaks of it.
    Unknown,
    /// Given at this time.
    At(Timestamp),
    /// Never given.
    Never,
}

impl Consent {
    fn of(marks: &[Mark]) -> Self {
        let agreed = marks.iter().filter(|mark| mark.mark == MarkKind::Agree).map(|mark| mark.ts).min();
        match agreed {
            Some(ts) => Self::At(ts),
            None if marks.iter().any(|mark| mark.mark == MarkKind::Refuse) => Self::Never,
            None => Self::Unknown,
        }
    }

    fn missing_at(self, ts: Timestamp) -> bool {
        match self {
            Self::Unknown => false,
            Self::At(agreed) => ts < agreed,
            Self::Never => true,
        }
    }
}

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

    fn add(&mut self, flow: &FlowSummary, named_by: NameSource) {
        self.named_by = self.named_by.min(named_by);
        self.flows += 1;
        self.bytes += flow.bytes;
        self.opaque_bytes += flow.opaque_bytes;
        self.exchanges += u64::from(flow.exchanges);
        if let (Some(reason), true) = (flow.opaque_reason, flow.opaque_bytes > 0) {
            *self.opaque.entry(reason).or_default() += flow.opaque_bytes;
        }
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
    /// Connections that were passed through because of a pin, and when; until their flows end.
    pinned: FxHashMap<(SocketAddr, SocketAddr), Timestamp>,
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
            pinned: FxHashMap::default(),
            coverage: Coverage::default(),
            exchanges: 0,
            apps: BTreeMap::new(),
            tls: TlsCount::default(),
            full: false,
        }
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

    /// The data flows, by data type and party, those told apart that began before the consent that the marks tell of.
    #[must_use]
    pub fn data_flows(&self, marks: &[Mark]) -> Vec<DataFlow> {
        let consent = Consent::of(marks);
        let mut flows: Vec<_> = self.data_flows.iter().collect();
        flows.sort_unstable_by_key(|&(key, _)| key);
        let told = |flow: &DataFlow| DataFlow { before_consent: consent.missing_at(flow.first_ts), ..flow.clone() };
        flows.into_iter().map(|(_, flow)| told(flow)).collect()
    }

    /// Takes what befell a connection.
    pub fn incident(&mut self, incident: &Incident) {
        if let (IncidentKind::Pinned | IncidentKind::ClientRefused, Some(connection)) =
            (incident.kind, incident.connection)
            && (self.pinned.len() < PINNED_MAX || self.pinned.contains_key(&connection))
        {
            self.pinned.insert(connection, incident.ts);
        }
    }

    /// As a flow tells of itself, or with the reason that an incident knows better.
    fn with_reason(&self, flow: &FlowSummary) -> FlowSummary {
        let pinned = self.pinned.get(&(flow.key.client, flow.key.server));
        // The five-tuple may have been another connection's before.
        let is_pinned =
            pinned.is_some_and(|&ts| ts >= flow.first_ts) && flow.opaque_reason == Some(OpaqueReason::NoKey);
        let opaque_reason = if is_pinned { Some(OpaqueReason::Pinned) } else { flow.opaque_reason };
        FlowSummary { opaque_reason, ..flow.clone() }
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
            count.add(&self.with_reason(flow), named_by);
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
        let earliest = seen.ts < flow.first_ts;
        flow.first_ts = flow.first_ts.min(seen.ts);
        flow.last_ts = flow.last_ts.max(seen.ts);
        let news = earliest || (seen.cleartext && !flow.cleartext);
        flow.cleartext |= seen.cleartext;
        keep_evidence(flow, most, seen, news);
    }

    fn flow(&mut self, flow: &FlowSummary) {
        if let Some(app) = &flow.app
            && let Some(name) = app.package.as_ref().or(app.name.as_ref())
        {
            *self.apps.entry(Arc::clone(name)).or_default() += 1;
        }
        let told = self.with_reason(flow);
        self.pinned.remove(&(flow.key.client, flow.key.server));
        let flow = &told;
        if flow.bytes == 0 {
            return;
        }
        self.tls.opened += u64::from(flow.tls.as_ref().is_some_and(|tls| tls.keys.is_some()));
        self.tls.no_key += u64::from(flow.opaque_reason == Some(OpaqueReason::NoKey));
        self.tls.wrong_key += u64::from(flow.opaque_reason == Some(OpaqueReason::WrongKey));
        self.coverage.flows += 1;
        self.coverage.bytes += flow.bytes;
        self.coverage.readable_bytes += flow.bytes - flow.opaque_bytes;
        // A flow of which something was read and something was not is not a readable one.
        self.coverage.readable_flows += u64::from(flow.opaque_bytes == 0);
        let (host, named_by) = self.host_of(flow);
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&host) {
            self.full = true;
            return;
        }
        let party = self.party(&host);
        self.hosts.entry(host).or_insert_with(|| HostCount::new(party, named_by)).add(flow, named_by);
    }
}

/// Keeps the surest observations, at most `most`, those that first show something new of the flow, and the earliest: only
/// the marks, which may come later, say whether that was before consent.
fn keep_evidence(flow: &mut DataFlow, most: usize, seen: &Observation, news: bool) {
    let (evidence, first_ts) = (&mut flow.evidence, flow.first_ts);
    if evidence.len() < most {
        evidence.push(seen.clone());
        return;
    }
    let others = evidence.iter().enumerate().rev().filter(|(_, kept)| kept.ts > first_ts || most == 1);
    let Some((weakest, confidence)) =
        others.min_by_key(|(_, kept)| kept.confidence).map(|(at, kept)| (at, kept.confidence))
    else {
        return;
    };
    if news || (seen.confidence > confidence && confidence < Confidence::Certain) {
        let last = evidence.iter().rposition(|kept| kept.ts > first_ts).unwrap_or(weakest);
        evidence.remove(if news { last } else { weakest });
        evidence.push(seen.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;
    use crate::attribute::Attributor;
    use crate::model::{Certificate, FlowId, FlowKey, NameSource, OpaqueReason, Timestamp, TlsInfo, TransportProtocol};
    use crate::pipeline::{Event, FlowSummary};
    use crate::rules::RuleSet;
    use std::sync::Arc;

    fn flow(sni: Option<&str>, certified: &[&str]) -> Event {
        let names = certified.iter().map(|&name| name.to_owned()).collect();
        let certificate = Some(Arc::new(Certificate { names, ..Certificate::default() }));
        let tls = TlsInfo { sni: sni.map(str::to_owned), certificate, ..TlsInfo::default() };
        Event::Flow(Box::new(FlowSummary {
            id: FlowId(1),
            key: FlowKey {
                transport: TransportProtocol::Tcp,
                client: ([10, 0, 0, 2], 40_000).into(),
                server: ([203, 0, 113, 9], 443).into(),
            },
            app: None,
            first_ts: Timestamp::default(),
            last_ts: Timestamp::default(),
            bytes: 10,
            opaque_bytes: 10,
            opaque_reason: Some(OpaqueReason::NoKey),
            host: None,
            tls: Some(Arc::new(tls)),
            exchanges: 0,
        }))
    }

    #[test]
    fn a_flow_that_is_open_is_seen_and_counted_once_when_it_ends() {
        let rules = RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut ledger = Ledger::new(Attributor::new(Arc::new(rules), &[]));
        let Event::Flow(ended) = flow(Some("api.example.com"), &[]) else { panic!("a flow") };
        for bytes in [3, 7] {
            ledger.record(&mut Event::Open(Box::new(FlowSummary { bytes, opaque_bytes: bytes, ..(*ended).clone() })));
            let hosts = ledger.hosts();
            assert_eq!((hosts.len(), hosts[0].flows, hosts[0].opaque_bytes), (1, 1, bytes));
            assert_eq!(hosts[0].opaque_reason, Some(OpaqueReason::NoKey));
        }
        assert_eq!(ledger.coverage().flows, 0, "only what ended is counted for good");
        ledger.record(&mut Event::Flow(ended));
        let hosts = ledger.hosts();
        assert_eq!((hosts[0].flows, hosts[0].bytes, ledger.coverage().bytes), (1, 10, 10));
    }

    #[test]
    fn a_flow_without_a_name_asked_for_is_called_by_its_certificate() {
        let rules = RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut ledger = Ledger::new(Attributor::new(Arc::new(rules), &[]));
        for mut event in [
            flow(Some("Api.Example.com"), &["other.example.com"]),
            flow(Some("203.0.113.9"), &["only.example.com"]),
            flow(None, &["*.example.org", "example.org"]),
            flow(None, &["a.example.com", "b.example.net"]),
        ] {
            ledger.record(&mut event);
        }
        let hosts = ledger.hosts();
        let named: Vec<_> = hosts.iter().map(|host| (&*host.host, host.named_by, &*host.party.id)).collect();
        assert_eq!(
            named,
            [
                ("*.example.org", NameSource::Certificate, "example.org"),
                ("203.0.113.9", NameSource::Address, "203.0.113.9"),
                ("api.example.com", NameSource::Sni, "example.com"),
                ("only.example.com", NameSource::Certificate, "example.com"),
            ]
        );
    }
}
