//! One readable line for an exchange, a name or an observation: `--emit … --format text`. Captured text is neutralised
//! and cut; the whole of it stands in the NDJSON.

use super::ndjson::part_name;
use super::text::layout::{cut, pad};
use super::{ShowValues, neutral, pseudonym};
use crate::model::{Confidence, Exchange, MatchKind, NameKind, Observation, SeenName};
use std::borrow::Cow;

/// Most columns of a request target or value in a line.
pub const VALUE_MAX: usize = 160;

/// `12.0 2023-11-14T22:13:20.000000Z https POST a.example/p?q=1 200 (5 → 0 bytes)`.
#[must_use]
pub fn exchange(exchange: &Exchange) -> String {
    let status = exchange.response.as_ref().map(|response| response.status).filter(|&status| status > 0);
    let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let (method, target, sent) = match &exchange.request {
        Some(request) => {
            let method = if request.method.is_empty() { "-" } else { &request.method };
            (method, request.target_text(), request.body.bytes.to_string())
        }
        None => ("-", Cow::Borrowed(""), "-".to_owned()),
    };
    let received =
        exchange.response.as_ref().map_or_else(|| "-".to_owned(), |response| response.body.bytes.to_string());
    let host = exchange.host();
    // An absolute target repeats the host.
    let place = if target.starts_with('/') || target.is_empty() { format!("{host}{target}") } else { target.into() };
    format!(
        "{} {} {} {} {} {} {status} ({sent} \u{2192} {received} bytes)",
        exchange.id,
        exchange.ts,
        exchange.protocol.as_str(),
        exchange.scheme(),
        neutral(&cut(method, 32)),
        cut(&neutral(&place), VALUE_MAX),
    )
}

/// `2023-11-14T22:13:20.000000Z sni  tls  a.example`, with the addresses of a DNS answer.
#[must_use]
pub fn name(name: &SeenName) -> String {
    let kind = match name.kind {
        NameKind::Sni => "sni",
        NameKind::Dns => "dns",
    };
    let protocol = name.protocol.as_str();
    let mut line = format!("{} {kind} {} {}", name.ts, pad(protocol, 4), cut(&neutral(&name.name), VALUE_MAX));
    for (index, address) in name.addresses.iter().enumerate() {
        line.push_str(if index == 0 { " = " } else { ", " });
        line.push_str(&address.to_string());
    }
    line
}

/// `3.1 2023-… imei = imei#3f2a9c → api.example (个推) body $.device.imei [gzip json] known, certain`.
#[must_use]
pub fn observation(seen: &Observation, show: ShowValues) -> String {
    let value = match show {
        ShowValues::Plain => neutral(&seen.value).into_owned(),
        ShowValues::Redacted => pseudonym(&seen.data_type, &seen.value),
    };
    let party = seen.party.as_ref().map_or_else(String::new, |party| format!(" ({})", neutral(&party.name)));
    let chain: Vec<&str> = seen.chain.iter().map(|step| step.0).collect();
    format!(
        "{} {} {} = {} \u{2192} {}{party} {} {} [{}] {}, {}",
        seen.exchange,
        seen.ts,
        seen.data_type,
        cut(&value, VALUE_MAX),
        cut(&neutral(&seen.host), VALUE_MAX),
        part_name(seen.location.part),
        cut(&neutral(if seen.location.pointer.is_empty() { &seen.location.name } else { &seen.location.pointer }), 80),
        chain.join(" "),
        match seen.matched {
            MatchKind::Known => "known",
            MatchKind::Pattern => "pattern",
            MatchKind::Key => "key",
        },
        match seen.confidence {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{ShowValues, exchange, name, observation};
    use crate::model::{FlowId, NameKind, NameProtocol, Role, SeenName};
    use crate::report::{escape::acts, sample};

    #[test]
    fn a_nasty_exchange_is_one_harmless_line() {
        let line = exchange(&sample::nasty_exchange());
        assert!(!line.chars().any(acts), "{line:?}");
        assert!(line.starts_with("12.0 2023-11-14T22:13:20.000000Z http/1.1 https POST a.example/p?q="), "{line}");
        assert!(line.ends_with(" 200 (5 \u{2192} 0 bytes)"), "{line}");
    }

    #[test]
    fn an_observation_names_its_way_and_hides_its_value() {
        let party = sample::party("getui", "个推", Role::ThirdParty);
        let seen = sample::observation("imei", "861536030196001", &party, "a.example");
        let line = observation(&seen, ShowValues::Redacted);
        assert!(line.contains("[gzip json]") && line.contains("$.device.imei") && !line.contains("8615"), "{line}");
        assert!(observation(&seen, ShowValues::Plain).contains("861536030196001"));
    }

    #[test]
    fn a_dns_answer_shows_its_addresses() {
        let seen = SeenName {
            ts: sample::ts(0),
            flow: FlowId(1),
            kind: NameKind::Dns,
            name: "a.example".into(),
            protocol: NameProtocol::Dns,
            addresses: vec!["192.0.2.1".parse().expect("an address"), "2001:db8::1".parse().expect("an address")],
        };
        assert_eq!(name(&seen), "2023-11-14T22:13:20.000000Z dns dns  a.example = 192.0.2.1, 2001:db8::1");
    }
}
