//! A small report for the tests of the formats.

use crate::model::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) fn party(id: &str, name: &str, role: Role) -> Arc<Party> {
    Arc::new(Party { id: id.into(), name: name.into(), role })
}

pub(super) fn ts(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

pub(super) fn observation(data_type: &str, value: &str, party: &Arc<Party>, host: &str) -> Observation {
    Observation {
        exchange: ExchangeId { flow: FlowId(3), index: 1 },
        ts: ts(2),
        host: host.into(),
        party: Some(Arc::clone(party)),
        data_type: DataType::new(data_type),
        value: value.into(),
        matched: MatchKind::Known,
        identifier: Some(data_type.into()),
        location: Location {
            side: Side::Request,
            part: Part::Body,
            name: data_type.into(),
            pointer: format!("$.device.{data_type}").into(),
        },
        chain: vec![Decoding("gzip"), Decoding("json")],
        confidence: Confidence::Certain,
        cleartext: true,
        excerpt: Excerpt {
            before: format!("{{\"app\":\"\u{202e}x\x1b[2J\",\"{data_type}\":\""),
            matched: value.into(),
            after: "\",\"other\":\"861536030196001\"}".into(),
        },
    }
}

pub(super) fn quote(id: &str, clause: &str, text: &str, polarity: Polarity) -> ClauseQuote {
    ClauseQuote {
        document: 0,
        id: id.into(),
        clause: clause.into(),
        text: text.into(),
        span: Span(10, 30),
        phrase: None,
        polarity,
    }
}

fn judged(
    data_type: &str,
    value: &str,
    to: (&Arc<Party>, &str),
    verdict: Verdict,
    quotes: &[ClauseQuote],
) -> JudgedFlow {
    let evidence = vec![observation(data_type, value, to.0, to.1)];
    JudgedFlow {
        flow: DataFlow {
            data_type: DataType::new(data_type),
            party: Arc::clone(to.0),
            hosts: BTreeSet::from([to.1.into()]),
            observations: 12,
            first_ts: ts(2),
            last_ts: ts(60),
            cleartext: true,
            before_consent: false,
            evidence,
        },
        verdict: Some(verdict),
        clauses: quotes.to_vec(),
        reason: "statement s1 names it".into(),
    }
}

fn finding(flow: &JudgedFlow, code: &'static str, severity: Severity) -> Finding {
    let seen = &flow.flow.evidence[0];
    Finding {
        code,
        severity,
        verdict: flow.verdict,
        title: format!("{} sent to {}", flow.flow.data_type, flow.flow.party.name),
        reason: "no statement names it".into(),
        data_flow: Some((flow.flow.data_type.clone(), Arc::clone(&flow.flow.party))),
        regulations: vec!["CN191-2.1".into()],
        evidence: vec![Evidence {
            exchange: seen.exchange,
            host: Arc::clone(&seen.host),
            location: seen.location.clone(),
            chain: seen.chain.clone(),
            value: seen.value.clone(),
            excerpt: seen.excerpt.clone(),
        }],
        clauses: flow.clauses.clone(),
        fingerprint: "0123456789abcdef".into(),
    }
}

fn document() -> PolicyDocument {
    PolicyDocument {
        title: Some("示例隐私政策".into()),
        app: Some("示例".into()),
        publisher: None,
        effective_date: Some("2024-01-02".into()),
        updated_date: None,
        language: "zh".into(),
        span: Span(0, 100),
        sections: vec![],
        statements: vec![],
        defects: vec![],
        local_ontology: vec![],
    }
}

/// A report with two flows, a finding, an opaque host, and captured text that tries to act on the terminal.
pub(super) fn report() -> Report {
    let own = party("first_party", "示例 first party", Role::FirstParty);
    let push = party("getui", "个推 Getui", Role::ThirdParty);
    let clause = quote("s1", "1.2", "我们会收集您的设备信息(MAC、IMEI)", Polarity::Positive);
    let flows = vec![
        judged("imei", "861536030196001", (&push, "api.getui.example"), Verdict::Omitted, &[]),
        judged(
            "mac_address",
            "02:1A:C5:3F:7E:90",
            (&own, "api.example.com"),
            Verdict::Clear,
            std::slice::from_ref(&clause),
        ),
    ];
    let findings = vec![finding(&flows[0], "undeclared-flow", Severity::High)];
    Report {
        inputs: vec!["capture.pcapng".into()],
        started: Some(ts(0)),
        ended: Some(ts(90)),
        app: Some("com.example.app".into()),
        policies: vec![PolicyUsed { file: "policy.txt".into(), text: "".into(), document: Arc::new(document()) }],
        marks: vec![Mark { ts: ts(1), mark: MarkKind::Agree, text: None }],
        hosts: vec![
            host("api.example.com", &own, 2, 4_000, 0, None),
            host("api.getui.example", &push, 1, 900, 0, None),
            host("pinned.example\x1b[31m", &push, 3, 50_000, 50_000, Some(OpaqueReason::NoKey)),
        ],
        data_flows: flows,
        findings,
        declared_only: vec![DeclaredOnly { data_type: DataType::new("contacts"), party: own, clause }],
        weirds: vec![WeirdCount { layer: Layer::Tls, reason: "record too long", count: 3 }],
        warnings: vec!["capture.pcapng: cut short at byte 4711".into()],
        coverage: Coverage { bytes: 54_900, readable_bytes: 4_900, flows: 6, readable_flows: 3 },
        exchanges: 13,
        frames: 400,
    }
}

fn host(host: &str, party: &Arc<Party>, flows: u64, bytes: u64, opaque: u64, why: Option<OpaqueReason>) -> HostSummary {
    HostSummary {
        host: host.into(),
        named_by: NameSource::Sni,
        party: Arc::clone(party),
        flows,
        bytes,
        opaque_bytes: opaque,
        opaque_reason: why,
        exchanges: if opaque > 0 { 0 } else { flows },
    }
}

/// An exchange whose every text tries to break out.
pub(super) fn nasty_exchange() -> Exchange {
    let mut headers = Headers::default();
    headers.push(b"Host", b"a.example");
    headers.push(b"X-\"Nasty\\", b"\xff\xfe\x00\x1b[2J\"},{\"a\":1");
    headers.push("X-名".as_bytes(), "值\u{202e}\u{2028}".as_bytes());
    let body = Body {
        bytes: 5,
        sha256: Some([0xab; 32]),
        content_type: Some("text/\"plain\"".into()),
        encodings: vec!["gzip".into(), "br".into()],
        complete: true,
        data: vec![],
    };
    let address: SocketAddr = "192.0.2.1:40000".parse().expect("an address");
    Exchange {
        id: ExchangeId { flow: FlowId(12), index: 0 },
        ts: ts(0),
        protocol: Protocol::Http11,
        client: address,
        server: "[2001:db8::1]:443".parse().expect("an address"),
        app: Some(Arc::new(App { uid: Some(10_123), package: Some("com.example".into()), name: None })),
        tls: Some(Arc::new(TlsInfo {
            version: Some("TLS 1.3".into()),
            keys: Some(KeySource::Dsb),
            ..TlsInfo::default()
        })),
        request: Some(Arc::new(Request {
            method: "POST".into(),
            target: Box::from(&b"/p?q=\xe4\"\x1b]0;t\x07\n"[..]),
            authority: Some("a.example".into()),
            headers: headers.clone(),
            body,
        })),
        response: Some(Response { status: 200, headers, body: Body::default() }),
    }
}
