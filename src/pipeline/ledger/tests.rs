//! Events, marks and incidents in one order and another: the outcome is the same.

use super::Ledger;
use crate::attribute::Attributor;
use crate::model::{
    Certificate, Confidence, DataFlow, DataType, Excerpt, ExchangeId, FlowId, FlowKey, Incident, IncidentKind,
    Location, Mark, MarkKind, MatchKind, NameSource, Observation, OpaqueReason, Part, Side, Timestamp, TlsInfo,
    TransportProtocol,
};
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
    let mut ledger = ledger();
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
    let mut ledger = ledger();
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

fn ledger() -> Ledger {
    let rules = RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"));
    Ledger::new(Attributor::new(Arc::new(rules), &[]))
}

fn seen(at: i64, confidence: Confidence, cleartext: bool) -> Observation {
    Observation {
        exchange: ExchangeId { flow: FlowId(1), index: u32::try_from(at).expect("a small number") },
        ts: Timestamp::from_nanos(at),
        host: Arc::from("api.example.com"),
        party: None,
        data_type: DataType::new("imei"),
        value: at.to_string(),
        matched: MatchKind::Known,
        identifier: None,
        location: Location { side: Side::Request, part: Part::Body, name: "imei".into(), pointer: "$.imei".into() },
        chain: Vec::new(),
        confidence,
        cleartext,
        excerpt: Excerpt::default(),
    }
}

#[test]
fn marks_that_come_late_change_what_came_before_consent() {
    let agree = Mark { ts: Timestamp::from_nanos(105), mark: MarkKind::Agree, text: None };
    let outcome = |late: bool| {
        let mut ledger = ledger();
        if !late {
            ledger.mark(&agree);
        }
        // The earliest is neither the first that is read nor a sure one, and many follow.
        let times = [110, 120, 100].into_iter().chain(130..150);
        for at in times {
            let confidence = if at == 100 { Confidence::Possible } else { Confidence::Certain };
            ledger.record(&mut Event::Observed(vec![seen(at, confidence, at == 140)]));
        }
        if late {
            ledger.mark(&agree);
            ledger.mark(&agree);
        }
        assert_eq!(ledger.marks(), std::slice::from_ref(&agree));
        let flows = ledger.data_flows();
        let [flow] = &flows[..] else { panic!("one data flow") };
        let evidence: Vec<_> = flow.evidence.iter().map(|seen| seen.ts.nanos()).collect();
        (flow.before_consent, evidence)
    };
    let (before_consent, evidence) = outcome(true);
    assert_eq!((before_consent, &evidence), (outcome(false).0, &outcome(false).1));
    assert!(before_consent);
    assert_eq!(evidence.len(), DataFlow::EVIDENCE_MAX);
    assert!(evidence.contains(&100) && evidence.contains(&140), "the earliest and the readable one: {evidence:?}");
}

#[test]
fn a_closed_flow_whose_client_refused_is_pinned_whichever_is_told_first() {
    let Event::Flow(ended) = flow(Some("api.example.com"), &[]) else { panic!("a flow") };
    let incident = Incident {
        ts: ended.first_ts,
        kind: IncidentKind::Pinned,
        host: Arc::from("api.example.com"),
        connection: Some((ended.key.client, ended.key.server)),
        text: "passed through".to_owned(),
    };
    let other = FlowSummary {
        key: FlowKey { client: ([10, 0, 0, 2], 40_001).into(), ..ended.key },
        opaque_bytes: 4,
        ..(*ended).clone()
    };
    for early in [true, false] {
        let mut ledger = ledger();
        ledger.record(&mut Event::Open(ended.clone()));
        if early {
            ledger.incident(&incident);
            assert_eq!(ledger.hosts()[0].opaque_reason, Some(OpaqueReason::Pinned), "while it is open");
        }
        ledger.record(&mut Event::Flow(ended.clone()));
        ledger.record(&mut Event::Flow(Box::new(other.clone())));
        if !early {
            assert_eq!((ledger.hosts()[0].opaque_reason, ledger.tls().no_key), (Some(OpaqueReason::NoKey), 2));
            ledger.incident(&incident);
        }
        let hosts = ledger.hosts();
        assert_eq!((hosts[0].opaque_reason, hosts[0].opaque_bytes), (Some(OpaqueReason::Pinned), 14));
        assert_eq!(ledger.tls().no_key, 1);
        assert_eq!(ledger.warnings(), ["api.example.com: passed through"]);
    }
}
