//! Names asked over HTTP: DNS messages (RFC 8484), their JSON form, and the HTTPDNS of Chinese clouds, which apps use
//! beside or instead of the system's resolver. Whatever HTTP carried them, the names label flows by address.

use crate::decode::undo_encodings;
use crate::dns;
use crate::model::{Body, Exchange, NameKind, NameProtocol, Request, SeenName, Timestamp};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::net::IpAddr;

/// Largest answer that is read.
const ANSWER_MAX: usize = 256 << 10;
/// Most names of one request.
const NAMES_MAX: usize = 64;
/// Most addresses of one name.
const ADDRESSES_MAX: usize = 64;
/// Values inside each other in an answer that are looked into.
const DEPTH_MAX: usize = 8;

/// A way of asking by the query of a target.
struct Resolver {
    /// The last segment of the path.
    path: &'static str,
    /// The parameter that holds the names.
    parameter: &'static str,
    /// What else the target must show.
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The segment is all of the path.
    Alone,
    /// An account number stands before the segment.
    Account,
    /// The version of the interface stands before the segment.
    Version,
    /// Nothing else.
    Any,
}

/// The known ways, by last segment and parameter.
const RESOLVERS: &[Resolver] = &[
    // DNSPod's HTTPDNS: `/d?dn=`.
    Resolver { path: "d", parameter: "dn", shape: Shape::Alone },
    // Alibaba Cloud's HTTPDNS: `/100000/d?host=`, `sign_d`; `resolve` for several.
    Resolver { path: "d", parameter: "host", shape: Shape::Account },
    // DNS over HTTPS in JSON, at some under its usual path.
    Resolver { path: "dns-query", parameter: "name", shape: Shape::Any },
    // ByteDance's HTTPDNS: `/q?host=`.
    Resolver { path: "q", parameter: "host", shape: Shape::Alone },
    // Baidu's HTTPDNS: `/v4/resolve?dn=`.
    Resolver { path: "resolve", parameter: "dn", shape: Shape::Version },
    Resolver { path: "resolve", parameter: "host", shape: Shape::Account },
    Resolver { path: "resolve", parameter: "name", shape: Shape::Any },
    Resolver { path: "sign_d", parameter: "host", shape: Shape::Account },
    Resolver { path: "sign_resolve", parameter: "host", shape: Shape::Account },
];

/// Members of a JSON answer that hold addresses …
const ADDRESS_KEYS: &[&str] = &["data", "ip", "ips", "ipsv4", "ipsv6", "ipv4", "ipv6", "v4", "v6"];
/// … and that say which name they are for.
const NAME_KEYS: &[&str] = &["dn", "domain", "host", "name"];

/// The names a request asks for.
pub(super) fn asked(exchange: &Exchange, names: &mut Vec<SeenName>) {
    let Some(request) = &exchange.request else { return };
    if let Some(message) = question(request) {
        names.extend(message.seen_names(exchange.ts, exchange.id.flow));
    } else {
        names.extend(by_query(request).into_iter().map(|name| seen(exchange, name, Vec::new())));
    }
}

/// The names an answer gives addresses for, and those of a question that was not captured.
pub(super) fn answered(exchange: &Exchange, names: &mut Vec<SeenName>) {
    let Some(response) = &exchange.response else { return };
    if is_message(&response.body) {
        let message = plain(&response.body).and_then(|data| dns::message(&data));
        let told = message.map(|message| message.seen_names(exchange.ts, exchange.id.flow)).unwrap_or_default();
        names.extend(told.into_iter().filter(|name| !name.addresses.is_empty() || exchange.request.is_none()));
        return;
    }
    let Some(request) = &exchange.request else { return };
    let asked = by_query(request);
    if asked.is_empty() {
        return;
    }
    let Some(answer) = plain(&response.body) else { return };
    let mut told: Vec<(String, Vec<IpAddr>)> = asked.into_iter().map(|name| (name, Vec::new())).collect();
    match serde_json::from_slice::<Value>(&answer) {
        Ok(answer) => in_json(&answer, owner_of(&told), false, 0, &mut told),
        Err(_) => in_text(&String::from_utf8_lossy(&answer), &mut told),
    }
    let told = told.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    names.extend(told.map(|(name, addresses)| seen(exchange, name, addresses)));
}

fn seen(exchange: &Exchange, name: String, addresses: Vec<IpAddr>) -> SeenName {
    let (ts, flow): (Timestamp, _) = (exchange.ts, exchange.id.flow);
    SeenName { ts, flow, kind: NameKind::Dns, name, protocol: NameProtocol::Dns, addresses }
}

/// The body of an answer without its content encodings.
fn plain(body: &Body) -> Option<Vec<u8>> {
    if body.data.is_empty() || body.data.len() > ANSWER_MAX {
        return None;
    }
    undo_encodings(&body.data, &body.encodings, ANSWER_MAX)
}

fn is_message(body: &Body) -> bool {
    let named = |kind: &str| {
        let base = kind.split(';').next().unwrap_or_default().trim();
        ["application/dns-message", "application/dns-udpwireformat"].iter().any(|name| base.eq_ignore_ascii_case(name))
    };
    body.content_type.as_deref().is_some_and(named)
}

/// The DNS message of a request: its body, or its `dns` parameter (RFC 8484 §4.1).
fn question(request: &Request) -> Option<dns::DnsMessage> {
    if is_message(&request.body) {
        return dns::message(&plain(&request.body)?);
    }
    let (_, query) = split_target(&request.target)?;
    let coded = parameter(query, "dns")?;
    let message = BASE64_URL_SAFE_NO_PAD.decode(coded.trim_end_matches('=')).ok()?;
    dns::message(&message).filter(|message| !message.response && !message.questions.is_empty())
}

/// The names a target asks for in one of the known ways.
fn by_query(request: &Request) -> Vec<String> {
    let Some((path, query)) = split_target(&request.target) else { return Vec::new() };
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    let before = before.rsplit('/').next().unwrap_or_default();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |shape: Shape| match shape {
        Shape::Alone => before.is_empty() && path.len() == last.len() + 1,
        Shape::Account => number(before),
        Shape::Version => before.strip_prefix('v').is_some_and(number),
        Shape::Any => true,
    };
    let known = RESOLVERS.iter().filter(|resolver| resolver.path == last && fits(resolver.shape));
    let value = known.filter_map(|resolver| parameter(query, resolver.parameter)).next().unwrap_or_default();
    let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
    let names: Vec<String> =
        value.split(',').take(NAMES_MAX).map(|name| name.trim_end_matches('.').to_owned()).collect();
    if names.iter().all(|name| is_host(name)) { names } else { Vec::new() }
}

/// Path and query of a target.
fn split_target(target: &[u8]) -> Option<(&str, &str)> {
    let question = memchr::memchr(b'?', target)?;
    let path = std::str::from_utf8(&target[..question]).ok()?;
    // Absolute form.
    let path = match path.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => path,
    };
    Some((path, std::str::from_utf8(&target[question + 1..]).ok()?))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether text is a host name of at least two labels, and no address.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        && name.rsplit('.').next().is_some_and(|top| top.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

type Told = [(String, Vec<IpAddr>)];

/// The only name asked for owns all addresses; several are told apart by the answer.
fn owner_of(told: &Told) -> Option<usize> {
    (told.len() == 1).then_some(0)
}

fn find(told: &Told, name: &str) -> Option<usize> {
    let name = name.trim_end_matches('.');
    told.iter().position(|(asked, _)| asked.eq_ignore_ascii_case(name))
}

fn tell(told: &mut Told, owner: Option<usize>, text: &str) {
    if let (Some(owner), Ok(address)) = (owner, text.trim().parse::<IpAddr>()) {
        let addresses = &mut told[owner].1;
        if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

/// Addresses in a JSON answer; `under` says whether a member that holds them is around.
fn in_json(value: &Value, owner: Option<usize>, under: bool, depth: usize, told: &mut Told) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) if under => tell(told, owner, text),
        Value::Array(values) => values.iter().for_each(|value| in_json(value, owner, under, depth + 1, told)),
        Value::Object(members) => {
            let named =
                NAME_KEYS.iter().filter_map(|key| members.get(*key)?.as_str()).find_map(|name| find(told, name));
            let owner = named.or(owner);
            for (key, value) in members {
                let owner = find(told, key).or(owner);
                in_json(value, owner, ADDRESS_KEYS.contains(&key.as_str()), depth + 1, told);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Addresses in a text answer: `1.2.3.4;5.6.7.8,60|client`, a line for each name after its name if there are several.
fn in_text(text: &str, told: &mut Told) {
    let only = owner_of(told);
    for line in text.lines() {
        let line = line.split('|').next().unwrap_or_default();
        let named = line.split_once(':').and_then(|(name, rest)| Some((find(told, name)?, rest)));
        let (owner, rest) = named.map_or((only, line), |(owner, rest)| (Some(owner), rest));
        rest.split([';', ',', ' ']).for_each(|piece| tell(told, owner, piece));
    }
}

#[cfg(test)]
mod tests {
    use super::{answered, asked};
    use crate::model::{Body, Exchange, ExchangeId, FlowId, Protocol, Request, Response, SeenName, Timestamp};
    use std::sync::Arc;

    /// RFC 8484 §4.1.1: the query for `www.example.com`.
    const QUERY: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

    fn body(content_type: &str, data: &[u8]) -> Body {
        Body { content_type: Some(content_type.to_owned()), data: data.to_vec(), ..Body::default() }
    }

    fn exchange(target: &str, sent: Body, answer: Option<Body>) -> Exchange {
        let request =
            Request { method: "GET".into(), target: target.as_bytes().into(), body: sent, ..Request::default() };
        Exchange {
            id: ExchangeId { flow: FlowId(1), index: 0 },
            ts: Timestamp::default(),
            protocol: Protocol::H2,
            client: "10.0.0.2:4000".parse().expect("an address"),
            server: "10.0.0.3:443".parse().expect("an address"),
            app: None,
            tls: None,
            request: Some(Arc::new(request)),
            response: answer.map(|body| Response { status: 200, body, ..Response::default() }),
        }
    }

    fn line(name: &SeenName) -> String {
        let addresses: Vec<String> = name.addresses.iter().map(ToString::to_string).collect();
        format!("{} {}", name.name, addresses.join(" ")).trim_end().to_owned()
    }

    fn names_asked(target: &str, sent: Body) -> Vec<String> {
        let mut names = Vec::new();
        asked(&exchange(target, sent, None), &mut names);
        names.iter().map(line).collect()
    }

    fn names_told(target: &str, content_type: &str, answer: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        answered(&exchange(target, Body::default(), Some(body(content_type, answer))), &mut names);
        names.iter().map(line).collect()
    }

    /// RFC 8484 §4.1.1 and §4.2.2.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let get = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        assert_eq!(names_asked(get, Body::default()), ["www.example.com"]);
        assert_eq!(names_asked("/dns-query", body("application/dns-message", QUERY)), ["www.example.com"]);
        let longer = "/dns-query?dns=AAABAAABAAAAAAAAAWE-NjJjaGFyYWN0ZXJsYWJlbC1tYWtlcy1iYXNlNjR1cmwtZGlzdGluY3QtZnJvbS1zdGFuZGFyZC1iYXNlNjQHZXhhbXBsZQNjb20AAAEAAQ";
        assert_eq!(names_asked(longer, Body::default()).len(), 1);
        let mut answer = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03com\0\0\x1c\0\x01".to_vec();
        answer.extend(b"\xc0\x0c\0\x1c\0\x01\0\0\x0e\x7d\0\x10\x20\x01\x0d\xb8\xab\xcd\0\x12\0\x01\0\x02\0\x03\0\x04");
        assert_eq!(
            names_told("/dns-query", "application/dns-message", &answer),
            ["www.example.com 2001:db8:abcd:12:1:2:3:4"]
        );
    }

    #[test]
    fn json_answers_follow_their_aliases() {
        let answer = br#"{"Status":0,"Question":[{"name":"a.example.","type":1}],"Answer":[
            {"name":"a.example.","type":5,"data":"b.example."},{"name":"b.example.","type":1,"data":"192.0.2.7"}],
            "edns_client_subnet":"198.51.100.0/24"}"#;
        for target in ["/resolve?name=a.example&type=A", "/dns-query?type=1&name=a.example."] {
            assert_eq!(names_asked(target, Body::default()), ["a.example"]);
            assert_eq!(names_told(target, "application/dns-json", answer), ["a.example 192.0.2.7"]);
        }
    }

    #[test]
    fn the_httpdns_of_clouds_is_read() {
        let text: &[u8] = b"192.0.2.1;192.0.2.2,120|198.51.100.9";
        assert_eq!(
            names_told("/d?dn=a.example.&clientip=1&ttl=1", "text/html", text),
            ["a.example 192.0.2.1 192.0.2.2"]
        );
        let text: &[u8] = b"a.example.:192.0.2.1,60\nb.example.:2001:db8::1,60\n";
        let seen = names_told("http://119.29.29.29/d?dn=a.example,b.example", "text/plain", text);
        assert_eq!(seen, ["a.example 192.0.2.1", "b.example 2001:db8::1"]);
        let json: &[u8] = br#"{"ips":["192.0.2.3"],"host":"a.example","client_ip":"198.51.100.9","ttl":60}"#;
        assert_eq!(names_told("/100000/d?host=a.example", "application/json", json), ["a.example 192.0.2.3"]);
        let json: &[u8] =
            br#"{"dns":[{"host":"a.example","ips":["192.0.2.3"]},{"host":"b.example","ips":["192.0.2.4"]}]}"#;
        let seen = names_told("/100000/resolve?host=a.example%2Cb.example", "application/json", json);
        assert_eq!(seen, ["a.example 192.0.2.3", "b.example 192.0.2.4"]);
        let json: &[u8] = br#"{"clientip":"198.51.100.9","data":{"a.example":{"ttl":60,"ip":["192.0.2.5"]}}}"#;
        assert_eq!(
            names_told("/v4/resolve?account_id=1&dn=a.example", "application/json", json),
            ["a.example 192.0.2.5"]
        );
    }

    #[test]
    fn other_requests_ask_for_nothing() {
        for target in [
            "/d?dn=5dc3ae2b",
            "/x/d?host=a.example",
            "/q?host=localhost",
            "/d?dn=192.0.2.1",
            "/resolve?name=some%20words",
            "/api/users?host=a.example",
            "/?dns=yes",
            "/d",
        ] {
            assert_eq!(names_asked(target, Body::default()), [""; 0], "{target}");
        }
    }
}
