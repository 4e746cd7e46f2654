//! A made-up run with Chinese names and long ones, all verdicts, and text that tries to act on a terminal.

use crate::dashboard::feed::{ExchangeSummary, Feed};
use crate::dashboard::keys::Key;
use crate::dashboard::message::Message;
use crate::dashboard::redact::Values;
use crate::dashboard::state::State;
use crate::dashboard::theme::Theme;
use crate::dashboard::update::update;
use crate::dashboard::view;
use crate::model::{
    ClauseQuote, Confidence, Coverage, DataFlow, DataType, DeclaredOnly, Decoding, Evidence, Excerpt, ExchangeId,
    Finding, FlowId, HostSummary, JudgedFlow, Layer, Location, MatchKind, NameSource, Observation, OpaqueReason, Part,
    Party, Polarity, PolicyDocument, PolicyUsed, Protocol, Report, Role, Severity, Side, Span, Timestamp, Verdict,
    WeirdCount,
};
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use std::sync::Arc;

const CLAUSE: &str = "为了向您推送消息，我们会收集您的设备信息（IMEI、Android ID、MAC地址等）以及网络类型，并提供给合作的推送服务商；\
                      未经您同意，我们不会上传精确位置。";

pub(crate) fn party(id: &str, name: &str, role: Role) -> Arc<Party> {
    Arc::new(Party { id: id.into(), name: name.into(), role })
}

fn span_of(text: &str, words: &str) -> Span {
    let at = text.find(words).expect("the words are in the text");
    let start = text[..at].chars().count();
    Span(start, start + words.chars().count())
}

fn policy() -> PolicyUsed {
    let text = format!("隐私政策\n\n第二条 信息收集\n2.1 {CLAUSE}\n2.2 其他。\n");
    let document = PolicyDocument {
        title: Some("示例应用隐私政策".to_owned()),
        app: Some("示例应用".to_owned()),
        publisher: None,
        effective_date: Some("2024-03-01".to_owned()),
        updated_date: None,
        language: "zh".to_owned(),
        span: Span(0, text.chars().count()),
        sections: Vec::new(),
        statements: Vec::new(),
        defects: Vec::new(),
        local_ontology: Vec::new(),
    };
    PolicyUsed { file: "policies/example.txt".to_owned(), text: text.into(), document: Arc::new(document) }
}

fn quote(phrase: &str, polarity: Polarity) -> ClauseQuote {
    let text = policy().text;
    ClauseQuote {
        document: 0,
        id: "s1".to_owned(),
        clause: "2.1".to_owned(),
        text: CLAUSE.to_owned(),
        span: span_of(&text, CLAUSE),
        phrase: Some(span_of(&text, phrase)),
        polarity,
    }
}

fn location() -> Location {
    Location { side: Side::Request, part: Part::Body, name: "imei".into(), pointer: "$.device.ids[0].imei".into() }
}

fn excerpt() -> Excerpt {
    Excerpt {
        before: "{\"model\":\"X\u{202e}9\",\"ids\":[{\"imei\":\"".to_owned(),
        matched: "861536030196001".to_owned(),
        after: "\",\"oaid\":\"3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34\"}],\"t\":\"\x1b[31m\"}".to_owned(),
    }
}

fn judged(
    data_type: &str,
    party: &Arc<Party>,
    verdict: Option<Verdict>,
    count: u64,
    clauses: Vec<ClauseQuote>,
) -> JudgedFlow {
    let host: Arc<str> = format!("{}.example.com", party.id).into();
    let evidence = (0..2).map(|index| Observation {
        exchange: ExchangeId { flow: FlowId(1 + index), index: 0 },
        ts: Timestamp::from_nanos(1_709_287_200_120_000_000),
        host: Arc::clone(&host),
        party: Some(Arc::clone(party)),
        data_type: DataType::new(data_type),
        value: "861536030196001".to_owned(),
        matched: MatchKind::Known,
        identifier: Some(data_type.into()),
        location: location(),
        chain: vec![Decoding("gzip"), Decoding("json"), Decoding("base64"), Decoding("md5")],
        confidence: Confidence::Certain,
        cleartext: index == 1,
        excerpt: excerpt(),
    });
    JudgedFlow {
        flow: DataFlow {
            data_type: DataType::new(data_type),
            party: Arc::clone(party),
            hosts: [Arc::clone(&host)].into(),
            observations: count,
            first_ts: Timestamp::from_nanos(0),
            last_ts: Timestamp::from_nanos(1),
            cleartext: true,
            before_consent: false,
            evidence: evidence.collect(),
        },
        verdict,
        clauses,
        reason: "declared only by the broader term device_information (设备信息 ⊐ imei)".to_owned(),
    }
}

fn finding(fingerprint: &str, severity: Severity, flow: &JudgedFlow) -> Finding {
    let evidence = flow.flow.evidence.iter().map(|seen| Evidence {
        exchange: seen.exchange,
        host: Arc::clone(&seen.host),
        location: seen.location.clone(),
        chain: seen.chain.clone(),
        value: seen.value.clone(),
        excerpt: seen.excerpt.clone(),
    });
    Finding {
        code: "undeclared-flow",
        severity,
        verdict: flow.verdict,
        title: format!("{} sent to {}: 政策未声明向其提供该信息", flow.flow.data_type, flow.flow.party.name),
        reason: "No statement of the policy covers this data type for this recipient.".to_owned(),
        data_flow: Some((flow.flow.data_type.clone(), Arc::clone(&flow.flow.party))),
        regulations: vec!["PIPL-23".to_owned(), "GB/T 35273-9.2".to_owned()],
        evidence: evidence.collect(),
        clauses: flow.clauses.clone(),
        fingerprint: fingerprint.to_owned(),
    }
}

/// A run with everything in it.
pub(crate) fn report() -> Report {
    let own = party("first_party", "示例应用", Role::FirstParty);
    let push = party("jiguang", "极光推送", Role::ThirdParty);
    let statistics = party("umeng", "友盟+ Umeng Analytics SDK", Role::ThirdParty);
    let unknown = party("tracker-with-a-long-name.example.net", "tracker-with-a-long-name.example.net", Role::Unknown);
    let platform = party("google", "Google", Role::Platform);
    let declared = |phrase| vec![quote(phrase, Polarity::Positive)];
    let mut data_flows = vec![
        judged("android_id", &own, Some(Verdict::Clear), 42, declared("Android ID")),
        judged("imei", &push, Some(Verdict::Vague), 12_345, declared("设备信息")),
        judged("imei", &unknown, Some(Verdict::Omitted), 3, Vec::new()),
        judged("mac_address", &statistics, Some(Verdict::Ambiguous), 7, declared("MAC地址")),
        judged("precise_location", &own, Some(Verdict::Incorrect), 1, vec![quote("精确位置", Polarity::Negative)]),
        judged("precise_location", &platform, Some(Verdict::Unreadable), 0, Vec::new()),
        judged("bluetooth_information", &platform, None, 2, Vec::new()),
    ];
    data_flows[0].flow.evidence[1].value = "zhangsan".to_owned();
    let findings = vec![
        finding("00000000000000a1", Severity::High, &data_flows[2]),
        finding("00000000000000a2", Severity::Medium, &data_flows[3]),
        finding("00000000000000a3", Severity::Low, &data_flows[1]),
    ];
    let host = |name: &str, party: &Arc<Party>, opaque: Option<OpaqueReason>| HostSummary {
        host: name.into(),
        named_by: NameSource::Sni,
        party: Arc::clone(party),
        flows: 3,
        bytes: 52_345,
        opaque_bytes: if opaque.is_some() { 50_000 } else { 0 },
        opaque_reason: opaque,
        exchanges: 17,
    };
    Report {
        inputs: vec!["captures/示例.pcapng".to_owned(), "b.pcap".to_owned()],
        app: Some("com.example.app".to_owned()),
        policies: vec![policy()],
        hosts: vec![
            host("api.example.com", &own, None),
            host("push.jiguang.example.com", &push, Some(OpaqueReason::Pinned)),
            host("tracker-with-a-long-name.example.net", &unknown, Some(OpaqueReason::NoKey)),
        ],
        declared_only: vec![DeclaredOnly {
            data_type: DataType::new("network_type"),
            party: Arc::clone(&push),
            clause: quote("网络类型", Polarity::Positive),
        }],
        findings,
        data_flows,
        weirds: vec![WeirdCount { layer: Layer::Tls, reason: "record with a length beyond the limit", count: 1_234 }],
        warnings: vec!["keys.log:3: expected a client random of 64 hex digits; 该行已忽略".to_owned()],
        coverage: Coverage { bytes: 157_035, readable_bytes: 107_035, flows: 9, readable_flows: 6 },
        exchanges: 40,
        frames: 900,
        ..Report::default()
    }
}

/// An exchange on its own flow.
pub(crate) fn exchange(flow: u64) -> ExchangeSummary {
    ExchangeSummary {
        id: ExchangeId { flow: FlowId(flow), index: 0 },
        ts: Timestamp::from_nanos(1_709_287_200_120_000_000 + i64::try_from(flow).expect("small") * 1_000_000),
        protocol: Protocol::Http11,
        server: ([203, 0, 113, 7], 443).into(),
        host: "push.jiguang.example.com".to_owned(),
        app: Some("com.example.app".to_owned()),
        tls: (!flow.is_multiple_of(2)).then(|| "TLS 1.3".to_owned()),
        request: Some(("POST".to_owned(), "/v3/report/设备?imei=861536030196001&os=android".to_owned())),
        status: Some(if flow.is_multiple_of(3) { 404 } else { 200 }),
        headers: "Host: push.jiguang.example.com\nUser-Agent: okhttp/4.9\nX-Id: 861536030196001\n".to_owned(),
        body: "{\"name\":\"张三\",\"nick\":\"zhangsan\",\"a\":\"\x1b]0;x\x07\"}".to_owned(),
        body_kind: "application/json, gzip".to_owned(),
        request_bytes: 1_234,
        response_bytes: 56,
    }
}

/// A state of a size that has read nothing.
pub(crate) fn empty(width: u16, height: u16) -> State {
    let mut state = State::new(Values::Redacted, Theme::coloured(), None);
    update(&mut state, Message::Resize(width, height));
    state
}

/// A state of a size that has read the whole run.
pub(crate) fn filled(width: u16, height: u16) -> State {
    let mut state = empty(width, height);
    for flow in 1..=40 {
        update(&mut state, Message::Feed(Feed::Exchange(Box::new(exchange(flow)))));
    }
    update(&mut state, Message::Feed(Feed::Report(Arc::new(report()))));
    update(&mut state, Message::Feed(Feed::Done));
    state
}

/// Presses keys.
pub(crate) fn press(state: &mut State, keys: &[Key]) {
    for key in keys {
        update(state, Message::Key(*key));
    }
}

/// The cells a state is drawn as.
pub(crate) fn cells(state: &State) -> Buffer {
    let mut terminal = ratatui::Terminal::new(TestBackend::new(state.size.0, state.size.1)).expect("test backend");
    terminal.draw(|frame| view::draw(state, frame.area(), frame.buffer_mut())).expect("test backend");
    terminal.backend().buffer().clone()
}

/// What a state looks like, a line a row.
pub(crate) fn picture(state: &State) -> String {
    let buffer = cells(state);
    let mut picture = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            covered = crate::dashboard::text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        picture.push_str(line.trim_end());
        picture.push('\n');
    }
    picture
}
