//! One JSON object a line: exchanges, names, observations and findings as they come (`divulge.exchange/1`,
//! `divulge.name/1`, `divulge.observation/1`, `divulge.finding/1`). The lines are written by hand into a byte buffer
//! because a capture of a gigabyte has hundreds of thousands of them; the keys stand in the contract's order.

use super::escape::{push_hex, push_json_bytes, push_json_opt, push_json_str};
use super::{Format, Redactor, ReportOptions, ShowValues, pseudonym};
use crate::model::{
    App, Body, Certificate, ClauseQuote, Confidence, Decoding, EncryptedHello, Evidence, Exchange, Finding, Headers,
    KeySource, Location, MatchKind, NameKind, Observation, Part, Party, Protocol, Report, SeenName, TlsInfo,
};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// The findings of a report, one a line.
#[derive(Debug)]
pub(super) struct Ndjson;

impl Format for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn write(&self, report: &Report, options: &ReportOptions, out: &mut dyn Write) -> io::Result<()> {
        let redactor = Redactor::of(report, options.show_values);
        let mut line = Vec::with_capacity(1024);
        for found in &report.findings {
            line.clear();
            finding(found, &redactor, &mut line);
            out.write_all(&line)?;
        }
        Ok(())
    }
}

/// Appends the `divulge.exchange/1` line of an exchange.
pub fn exchange(exchange: &Exchange, out: &mut Vec<u8>) {
    let request = exchange.request.as_ref();
    put(out, r#"{"schema":"divulge.exchange/1","id":""#);
    put_number(out, exchange.id.flow.0);
    put(out, ".");
    put_number(out, u64::from(exchange.id.index));
    put(out, r#"","ts":""#);
    put_display(out, exchange.ts);
    put(out, r#"","flow":"#);
    put_number(out, exchange.id.flow.0);
    put(out, r#","protocol":""#);
    put(out, exchange.protocol.as_str());
    put(out, r#"","scheme":""#);
    put(out, exchange.scheme());
    put(out, r#"","method":"#);
    let method = request.map(|request| request.method.as_str());
    push_json_opt(out, method.filter(|method| !method.is_empty()));
    put(out, r#","authority":"#);
    push_json_opt(out, request.and_then(|request| request.authority.as_deref()));
    put(out, r#","path":"#);
    match request {
        Some(request) if !request.target.is_empty() => push_json_bytes(out, &request.target),
        Some(_) | None => put(out, "null"),
    }
    put(out, r#","status":"#);
    match &exchange.response {
        Some(response) if response.status > 0 => put_number(out, u64::from(response.status)),
        Some(_) | None => put(out, "null"),
    }
    put_address(out, r#","client":"#, exchange.client);
    put_address(out, r#","server":"#, exchange.server);
    put_app(out, exchange.app.as_deref());
    put(out, r#","request":"#);
    // Beside a message of the server, the request only says where it came from.
    let sent = request.filter(|_| exchange.protocol != Protocol::WebSocket || exchange.response.is_none());
    put_message(out, sent.map(|request| (&request.headers, &request.body)));
    put(out, r#","response":"#);
    put_message(out, exchange.response.as_ref().map(|response| (&response.headers, &response.body)));
    put_tls(out, exchange.tls.as_deref());
    put(out, "}\n");
}

/// Appends the `divulge.name/1` line of a host name.
pub fn name(name: &SeenName, out: &mut Vec<u8>) {
    put(out, r#"{"schema":"divulge.name/1","ts":""#);
    put_display(out, name.ts);
    put(out, r#"","flow":"#);
    put_display(out, name.flow);
    put(out, r#","kind":""#);
    put(
        out,
        match name.kind {
            NameKind::Sni => "sni",
            NameKind::Dns => "dns",
        },
    );
    put(out, r#"","name":"#);
    push_json_str(out, &name.name);
    put(out, r#","protocol":""#);
    put(out, name.protocol.as_str());
    put(out, "\"}\n");
}

/// Appends the `divulge.observation/1` line of an observation.
pub fn observation(seen: &Observation, show: ShowValues, out: &mut Vec<u8>) {
    put(out, r#"{"schema":"divulge.observation/1","exchange":""#);
    put_display(out, seen.exchange);
    put(out, r#"","ts":""#);
    put_display(out, seen.ts);
    put(out, r#"","host":"#);
    push_json_str(out, &seen.host);
    put(out, r#","party":"#);
    put_party(out, seen.party.as_deref());
    put(out, r#","data_type":"#);
    push_json_str(out, seen.data_type.as_str());
    put(out, r#","value":"#);
    match show {
        ShowValues::Plain => push_json_str(out, &seen.value),
        ShowValues::Redacted => push_json_str(out, &pseudonym(&seen.data_type, &seen.value)),
    }
    put(out, r#","value_sha256":""#);
    push_hex(out, &Sha256::digest(seen.value.as_bytes()));
    put(out, r#"","match":""#);
    put(
        out,
        match seen.matched {
            MatchKind::Known => "known",
            MatchKind::Pattern => "pattern",
            MatchKind::Key => "key",
        },
    );
    put(out, r#"","identifier":"#);
    push_json_opt(out, seen.identifier.as_deref());
    put(out, r#","where":"#);
    put_location(out, &seen.location, &Redactor::new(ShowValues::Plain));
    put(out, r#","chain":"#);
    put_chain(out, &seen.chain);
    put(out, r#","confidence":""#);
    put(
        out,
        match seen.confidence {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        },
    );
    put(out, "\"}\n");
}

/// Appends the `divulge.finding/1` line of a finding: the members of `findings` in `divulge.report/1`.
pub fn finding(found: &Finding, redactor: &Redactor, out: &mut Vec<u8>) {
    put(out, r#"{"schema":"divulge.finding/1","code":"#);
    push_json_str(out, found.code);
    put(out, r#","severity":""#);
    put(out, found.severity.as_str());
    put(out, r#"","verdict":"#);
    push_json_opt(out, found.verdict.map(crate::model::Verdict::as_str));
    put(out, r#","title":"#);
    push_json_str(out, &found.title);
    put(out, r#","reason":"#);
    push_json_str(out, &found.reason);
    put(out, r#","data_flow":"#);
    match &found.data_flow {
        Some((data_type, party)) => {
            put(out, r#"{"data_type":"#);
            push_json_str(out, data_type.as_str());
            put(out, r#","party":"#);
            put_party(out, Some(party));
            put(out, "}");
        }
        None => put(out, "null"),
    }
    put(out, r#","regulations":"#);
    put_list(out, &found.regulations, |out, id| push_json_str(out, id));
    put(out, r#","evidence":"#);
    put_list(out, &found.evidence, |out, evidence| put_evidence(out, evidence, redactor));
    put(out, r#","clauses":"#);
    put_list(out, &found.clauses, put_clause);
    put(out, r#","fingerprint":"#);
    push_json_str(out, &found.fingerprint);
    put(out, ",\"new\":true}\n");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a vector takes all");
}

/// Decimal digits: a general formatter costs several times as much.
fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_ip(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return put_display(out, address) };
    for (index, octet) in address.octets().into_iter().enumerate() {
        put(out, if index > 0 { "." } else { "" });
        put_number(out, u64::from(octet));
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
    put(out, "[");
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            put(out, ",");
        }
        item(out, value);
    }
    put(out, "]");
}

fn put_address(out: &mut Vec<u8>, key: &str, address: SocketAddr) {
    put(out, key);
    put(out, r#"{"ip":""#);
    put_ip(out, address.ip());
    put(out, r#"","port":"#);
    put_number(out, u64::from(address.port()));
    put(out, "}");
}

fn put_app(out: &mut Vec<u8>, app: Option<&App>) {
    let Some(app) = app else { return put(out, r#","app":null"#) };
    put(out, r#","app":{"uid":"#);
    match app.uid {
        Some(uid) => put_display(out, uid),
        None => put(out, "null"),
    }
    put(out, r#","package":"#);
    push_json_opt(out, app.package.as_deref());
    put(out, r#","name":"#);
    push_json_opt(out, app.name.as_deref());
    put(out, "}");
}

fn put_message(out: &mut Vec<u8>, message: Option<(&Headers, &Body)>) {
    let Some((headers, body)) = message else { return put(out, "null") };
    put(out, r#"{"headers":["#);
    for (index, (name, value)) in headers.iter().enumerate() {
        put(out, if index > 0 { ",[" } else { "[" });
        push_json_bytes(out, name);
        put(out, ",");
        push_json_bytes(out, value);
        put(out, "]");
    }
    put(out, r#"],"body":{"bytes":"#);
    put_number(out, body.bytes);
    put(out, r#","sha256":"#);
    match &body.sha256 {
        Some(digest) => {
            put(out, "\"");
            push_hex(out, digest);
            put(out, "\"");
        }
        None => put(out, "null"),
    }
    put(out, r#","content_type":"#);
    push_json_opt(out, body.content_type.as_deref());
    put(out, r#","encodings":"#);
    put_list(out, &body.encodings, |out, encoding| push_json_str(out, encoding));
    put(out, r#","complete":"#);
    put(out, if body.complete { "true}}" } else { "false}}" });
}

fn put_tls(out: &mut Vec<u8>, tls: Option<&TlsInfo>) {
    let Some(tls) = tls else { return put(out, r#","tls":null"#) };
    put(out, r#","tls":{"version":"#);
    push_json_opt(out, tls.version.as_deref());
    put(out, r#","cipher":"#);
    push_json_opt(out, tls.cipher.as_deref());
    put(out, r#","sni":"#);
    push_json_opt(out, tls.sni.as_deref());
    put(out, r#","alpn":"#);
    push_json_opt(out, tls.alpn.as_deref());
    put(out, r#","keys":"#);
    put(
        out,
        match tls.keys {
            Some(KeySource::Keylog) => "\"keylog\"",
            Some(KeySource::Dsb) => "\"dsb\"",
            Some(KeySource::Proxy) => "\"proxy\"",
            None => "null",
        },
    );
    put(out, r#","ja4":"#);
    push_json_opt(out, tls.ja4.as_deref());
    put(out, r#","ech":"#);
    push_json_opt(out, tls.ech.map(EncryptedHello::as_str));
    put_certificate(out, tls.certificate.as_deref());
    put(out, "}");
}

fn put_certificate(out: &mut Vec<u8>, certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else { return put(out, r#","certificate":null"#) };
    put(out, r#","certificate":{"subject":"#);
    push_json_opt(out, certificate.subject.as_deref());
    put(out, r#","organisation":"#);
    push_json_opt(out, certificate.organisation.as_deref());
    put(out, r#","names":"#);
    put_list(out, &certificate.names, |out, name| push_json_str(out, name));
    put(out, r#","addresses":"#);
    put_list(out, &certificate.addresses, |out, address| {
        put(out, "\"");
        put_display(out, address);
        put(out, "\"");
    });
    put(out, r#","issuer":"#);
    push_json_opt(out, certificate.issuer.as_deref());
    put(out, r#","issuer_organisation":"#);
    push_json_opt(out, certificate.issuer_organisation.as_deref());
    put(out, "}");
}

fn put_party(out: &mut Vec<u8>, party: Option<&Party>) {
    let Some(party) = party else { return put(out, "null") };
    put(out, r#"{"id":"#);
    push_json_str(out, &party.id);
    put(out, r#","name":"#);
    push_json_str(out, &party.name);
    put(out, r#","role":""#);
    put(out, party.role.as_str());
    put(out, "\"}");
}

/// The name used in the JSON contracts.
pub(super) const fn part_name(part: Part) -> &'static str {
    match part {
        Part::Query => "query",
        Part::Path => "path",
        Part::Header => "header",
        Part::Cookie => "cookie",
        Part::Body => "body",
        Part::Stream => "stream",
    }
}

fn put_location(out: &mut Vec<u8>, location: &Location, redactor: &Redactor) {
    put(out, r#"{"part":""#);
    put(out, part_name(location.part));
    put(out, r#"","name":"#);
    push_json_str(out, &redactor.name(&location.name));
    put(out, r#","pointer":"#);
    push_json_str(out, &redactor.name(&location.pointer));
    put(out, "}");
}

fn put_chain(out: &mut Vec<u8>, chain: &[Decoding]) {
    put_list(out, chain, |out, step| push_json_str(out, step.0));
}

fn put_evidence(out: &mut Vec<u8>, evidence: &Evidence, redactor: &Redactor) {
    let excerpt = redactor.evidence(evidence);
    put(out, r#"{"exchange":""#);
    put_display(out, evidence.exchange);
    put(out, r#"","host":"#);
    push_json_str(out, &evidence.host);
    put(out, r#","where":"#);
    put_location(out, &evidence.location, redactor);
    put(out, r#","chain":"#);
    put_chain(out, &evidence.chain);
    put(out, r#","excerpt":{"before":"#);
    push_json_str(out, &excerpt.before);
    put(out, r#","matched":"#);
    push_json_str(out, &excerpt.matched);
    put(out, r#","after":"#);
    push_json_str(out, &excerpt.after);
    put(out, "}}");
}

fn put_clause(out: &mut Vec<u8>, clause: &ClauseQuote) {
    put(out, r#"{"id":"#);
    push_json_str(out, &clause.id);
    put(out, r#","clause":"#);
    push_json_str(out, &clause.clause);
    put(out, r#","text":"#);
    push_json_str(out, &clause.text);
    put(out, "}");
}

#[cfg(test)]
mod tests {
    use super::{Redactor, ShowValues, exchange, finding, name, observation};
    use crate::model::{FlowId, NameKind, NameProtocol, Role, SeenName};
    use crate::report::sample;
    use serde_json::{Value, json};

    fn line(out: &[u8]) -> Value {
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert!(out.iter().all(|&byte| byte >= 0x20 || byte == b'\n'));
        serde_json::from_slice(out).expect("JSON")
    }

    #[test]
    fn an_exchange_with_nasty_bytes_comes_back_whole() {
        let mut out = Vec::new();
        exchange(&sample::nasty_exchange(), &mut out);
        let read = line(&out);
        assert_eq!(read["path"], "/p?q=\u{e4}\"\x1b]0;t\x07\n");
        assert_eq!(read["request"]["headers"][1], json!(["X-\"Nasty\\", "\u{ff}\u{fe}\0\x1b[2J\"},{\"a\":1"]));
        assert_eq!(read["request"]["headers"][2], json!(["X-名", "值\u{202e}\u{2028}"]));
        assert_eq!(read["request"]["body"]["sha256"], "ab".repeat(32));
        assert_eq!(read["server"], json!({"ip": "2001:db8::1", "port": 443}));
        assert_eq!(read["app"], json!({"uid": 10_123, "package": "com.example", "name": null}));
        assert_eq!(read["tls"]["keys"], "dsb");
        for key in ["ja4", "ech", "certificate"] {
            assert_eq!(read["tls"][key], Value::Null, "{key}");
        }
        assert_eq!(read["response"]["body"]["sha256"], Value::Null);
        assert_eq!((&read["id"], &read["flow"], &read["status"]), (&json!("12.0"), &json!(12), &json!(200)));
    }

    #[test]
    fn the_keys_of_an_exchange_stand_in_the_order_of_the_contract() {
        let mut out = Vec::new();
        exchange(&sample::nasty_exchange(), &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let keys =
            "schema id ts flow protocol scheme method authority path status client server app request response tls";
        let mut from = 0;
        for key in keys.split(' ') {
            from +=
                text[from..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} is missing or too early"));
        }
    }

    #[test]
    fn an_exchange_of_which_only_the_response_was_seen_has_no_request() {
        let mut only = sample::nasty_exchange();
        (only.request, only.app, only.tls) = (None, None, None);
        let mut out = Vec::new();
        exchange(&only, &mut out);
        let read = line(&out);
        for key in ["request", "method", "authority", "path", "app", "tls"] {
            assert_eq!(read[key], Value::Null, "{key}");
        }
        assert_eq!(read["scheme"], "http");
    }

    #[test]
    fn a_name_is_one_line() {
        let seen = SeenName {
            ts: sample::ts(0),
            flow: FlowId(7),
            kind: NameKind::Sni,
            name: "a.example\n\"".into(),
            protocol: NameProtocol::Quic,
            addresses: vec![],
        };
        let mut out = Vec::new();
        name(&seen, &mut out);
        let read = line(&out);
        assert_eq!((&read["kind"], &read["protocol"]), (&json!("sni"), &json!("quic")));
        assert_eq!(read["name"], "a.example\n\"");
    }

    #[test]
    fn an_observation_shows_its_value_only_when_asked() {
        let party = sample::party("getui", "个推", Role::ThirdParty);
        let seen = sample::observation("imei", "861536030196001", &party, "a.example");
        let mut out = Vec::new();
        observation(&seen, ShowValues::Redacted, &mut out);
        assert!(!String::from_utf8_lossy(&out).contains("861536030196001"));
        let read = line(&out);
        assert_eq!(read["party"], json!({"id": "getui", "name": "个推", "role": "third_party"}));
        assert_eq!(read["where"], json!({"part": "body", "name": "imei", "pointer": "$.device.imei"}));
        assert_eq!(read["chain"], json!(["gzip", "json"]));
        out.clear();
        observation(&seen, ShowValues::Plain, &mut out);
        assert_eq!(line(&out)["value"], "861536030196001");
    }

    #[test]
    fn a_finding_holds_both_sides_of_the_proof_and_no_value() {
        let report = sample::report();
        let mut out = Vec::new();
        finding(&report.findings[0], &Redactor::of(&report, ShowValues::Redacted), &mut out);
        assert!(!String::from_utf8_lossy(&out).contains("861536030196001"));
        let read = line(&out);
        assert_eq!(read["code"], "undeclared-flow");
        assert_eq!(read["evidence"][0]["exchange"], "3.1");
        assert!(read["evidence"][0]["excerpt"]["before"].as_str().is_some_and(|text| text.ends_with("\"imei\":\"")));
    }
}
