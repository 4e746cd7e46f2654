//! Exchanges taken apart and searched: every form of a known value in every container is found with the right chain,
//! and look-alikes are not reported.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use divulge::decode;
use divulge::detect::{Detector, OBSERVATIONS_MAX, Origin};
use divulge::model::{
    Body, Confidence, DataType, Exchange, ExchangeId, FlowId, Headers, Identifier, MatchKind, Observation, Part, Place,
    Profile, Protocol, Request, Response, Side, Timestamp, Weird,
};
use divulge::rules::RuleSet;
use sha2::Digest;
use std::io::Write;
use std::sync::Arc;

const VALUES: [(&str, &str); 12] = [
    ("imei", "861536030196001"),
    ("android_id", "7c1e4f02ab93d856"),
    ("mac_address", "02:1A:C5:3F:7E:90"),
    ("oaid", "3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34"),
    ("gaid", "a3c1f7d2-5b0e-4c88-9e21-0d4b6a7f9c15"),
    ("phone_number", "13912345678"),
    ("imsi", "460001234567890"),
    ("iccid", "89860118801234567890"),
    ("email", "li.ming@mail.example.com"),
    ("serial_number", "R58M41ABCDE"),
    ("name", "欧阳明华"),
    ("ssid", "Home-5G-Wang"),
];

fn profile() -> Profile {
    Profile {
        identifiers: VALUES.iter().map(|&(data_type, value)| identifier(data_type, value)).collect(),
        locations: vec![Place { lat: 31.298_974, lon: 120.585_289, radius_m: 200.0 }],
        ..Profile::default()
    }
}

fn identifier(data_type: &str, value: &str) -> Identifier {
    Identifier { data_type: DataType::new(data_type), label: data_type.into(), value: value.into() }
}

fn detector() -> Detector {
    Detector::new(&profile(), &RuleSet::builtin().expect("the built-in rules are valid"))
}

fn exchange(target: &str, headers: &[(&str, &str)], content_type: &str, encodings: &[&str], data: Vec<u8>) -> Exchange {
    let mut fields = Headers::default();
    for (name, value) in headers {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    Exchange {
        id: ExchangeId { flow: FlowId(1), index: 0 },
        ts: Timestamp::default(),
        protocol: Protocol::Http11,
        client: ([10, 0, 0, 2], 1).into(),
        server: ([10, 0, 0, 3], 80).into(),
        app: None,
        tls: None,
        request: Some(Arc::new(Request {
            method: "POST".to_owned(),
            target: target.as_bytes().into(),
            authority: Some("a.example".to_owned()),
            headers: fields,
            body: Body {
                bytes: data.len() as u64,
                content_type: Some(content_type.to_owned()),
                encodings: encodings.iter().map(|&token| token.to_owned()).collect(),
                complete: true,
                data,
                ..Body::default()
            },
        })),
        response: None,
    }
}

fn body(data: impl Into<Vec<u8>>) -> Exchange {
    exchange("/", &[], "", &[], data.into())
}

fn search(detector: &Detector, exchange: &Exchange) -> (Vec<Observation>, Vec<Weird>) {
    let mut weirds = Vec::new();
    let mut scan = detector.scan();
    for side in [Side::Request, Side::Response] {
        decode::fields(exchange, side, &mut scan, &mut weirds);
    }
    (scan.finish(&Origin::of(exchange), &mut weirds), weirds)
}

fn chain(observation: &Observation) -> String {
    observation.chain.iter().map(|step| step.0).collect::<Vec<_>>().join(">")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("memory takes any bytes");
    encoder.finish().expect("memory takes any bytes")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("memory takes any bytes");
    encoder.finish().expect("memory takes any bytes")
}

/// How apps write a value before anything else is done to it.
fn spellings(data_type: &str, value: &str) -> Vec<String> {
    let mut out = vec![value.to_owned(), value.to_uppercase(), value.to_lowercase()];
    match data_type {
        "mac_address" => {
            for separator in ["", "-"] {
                out.extend([value.replace(':', separator), value.replace(':', separator).to_lowercase()]);
            }
        }
        "oaid" | "gaid" => out.extend([value.replace('-', ""), value.replace('-', "").to_uppercase()]),
        "imei" => out.push(value[..14].to_owned()),
        "phone_number" => out.extend(["+86", "86", "0086"].map(|prefix| format!("{prefix}{value}"))),
        _ => {}
    }
    out
}

type Transform = (&'static str, fn(&str) -> String);

const HASHES: &[Transform] = &[
    ("", str::to_owned),
    ("md5", |text| hex(&md5::Md5::digest(text))),
    ("md5", |text| hex(&md5::Md5::digest(text)).to_uppercase()),
    ("md5-16", |text| hex(&md5::Md5::digest(text))[8..24].to_owned()),
    ("sha1", |text| hex(&sha1::Sha1::digest(text))),
    ("sha256", |text| hex(&sha2::Sha256::digest(text)).to_uppercase()),
    ("sha512", |text| hex(&sha2::Sha512::digest(text))),
    ("base64>md5", |text| BASE64_STANDARD.encode(md5::Md5::digest(text))),
    ("base64>sha1", |text| BASE64_URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(text))),
    ("base64>sha256", |text| BASE64_STANDARD.encode(sha2::Sha256::digest(text))),
    ("sha256>md5", |text| hex(&sha2::Sha256::digest(hex(&md5::Md5::digest(text))))),
];

const ENCODINGS: &[Transform] = &[
    ("", str::to_owned),
    ("base64", |text| BASE64_STANDARD.encode(text)),
    ("base64", |text| BASE64_URL_SAFE_NO_PAD.encode(text)),
    ("hex", |text| hex(text.as_bytes())),
    ("percent", |text| text.bytes().map(|byte| format!("%{byte:02X}")).collect()),
    ("base64>gzip", |text| BASE64_STANDARD.encode(gzip(text.as_bytes()))),
];

/// A container: the steps it adds in front, and an exchange with the text in it.
type Container = (&'static str, fn(&str) -> Exchange);

fn json(text: &str) -> String {
    serde_json::json!({"a": [1, {"payload": text}], "t": 1_700_000_000}).to_string()
}

fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A gRPC message with the text in its second field.
fn grpc(text: &str) -> Vec<u8> {
    let length = [text.len() as u8 | 0x80, (text.len() >> 7) as u8];
    let message = [&[0x08, 0x07, 0x12], &length[..], text.as_bytes()].concat();
    let prefix = [0, 0, 0, (message.len() >> 8) as u8, message.len() as u8];
    [&prefix[..], &message].concat()
}

const CONTAINERS: &[Container] = &[
    ("json", |text| body(json(text))),
    ("json>json", |text| body(json(&json(text)))),
    ("gzip>json", |text| exchange("/", &[], "application/json", &["gzip"], gzip(json(text).as_bytes()))),
    ("zlib>json", |text| body(zlib(json(text).as_bytes()))),
    ("gzip>gzip>json", |text| body(gzip(&gzip(json(text).as_bytes())))),
    ("json>base64>gzip>json", |text| body(json(&BASE64_STANDARD.encode(gzip(json(text).as_bytes()))))),
    ("form>percent>json", |text| body(format!("v=1&data={}", percent(&json(text))))),
    ("multipart>json", |text| {
        body(format!("--x\r\nContent-Disposition: form-data; name=\"m\"\r\n\r\n{}\r\n--x--\r\n", json(text)))
    }),
    ("grpc>protobuf", |text| exchange("/s.S/M", &[], "application/grpc", &[], grpc(text))),
    ("grpc>protobuf>json", |text| exchange("/s.S/M", &[], "application/grpc+proto", &[], grpc(&json(text)))),
    ("ndjson", |text| body(format!("{}\n{}\n", json("x"), json(text)))),
    ("percent>json", |text| exchange(&format!("/c?d={}", percent(&json(text))), &[], "", &[], Vec::new())),
    ("url>percent>json", |text| {
        exchange("/", &[("Referer", &format!("https://b.example/p?q={}", percent(&json(text))))], "", &[], Vec::new())
    }),
];

#[test]
fn every_form_in_every_container_is_found_with_its_chain() {
    let detector = detector();
    let (mut planted, mut missed) = (0, Vec::new());
    for (data_type, value) in VALUES {
        for spelling in spellings(data_type, value) {
            for (hashed, hash) in HASHES {
                for (encoded, encode) in ENCODINGS {
                    let text = encode(&hash(&spelling));
                    for (contained, contain) in CONTAINERS {
                        planted += 1;
                        let steps = [*contained, *encoded, *hashed];
                        let wanted = steps.into_iter().filter(|step| !step.is_empty()).collect::<Vec<_>>().join(">");
                        let (seen, _) = search(&detector, &contain(&text));
                        let found = |seen: &Observation| {
                            seen.data_type.as_str() == data_type && seen.value == value && chain(seen) == wanted
                        };
                        if !seen.iter().any(found) {
                            let chains: Vec<_> =
                                seen.iter().map(|seen| format!("{} {}", seen.data_type, chain(seen))).collect();
                            missed.push(format!("{data_type} {wanted}: {text} → {chains:?}"));
                        }
                    }
                }
            }
        }
    }
    let shown: Vec<_> = missed.iter().take(20).collect();
    assert!(missed.is_empty(), "{} of {planted} missed: {shown:#?}", missed.len());
}

/// `data_type confidence value` of everything reported.
fn reported(exchange: &Exchange) -> Vec<String> {
    let (seen, _) = search(&detector(), exchange);
    seen.iter().map(|seen| format!("{} {:?} {}", seen.data_type, seen.confidence, seen.value)).collect()
}

#[test]
fn a_value_glued_into_other_text_is_found_at_every_alignment() {
    let detector = detector();
    for before in ["", "x", "xy", "xyz"] {
        for after in ["", "z"] {
            let blob = BASE64_STANDARD.encode(format!("\u{1}\u{2}{before};{};{after}\u{3}", "7c1e4f02ab93d856"));
            let (seen, _) = search(&detector, &body(format!("{{\"p\":\"v1.{blob}\"}}")));
            assert!(seen.iter().any(|seen| seen.value == "7c1e4f02ab93d856" && chain(seen) == "json>base64"), "{blob}");
        }
    }
    let glued = "did=861536030196001_7c1e4f02ab93d856|021ac53f7e90|8c35b52ea6a3f4590f42651c43fbd494;100691030635168";
    let seen = search(&detector, &body(glued)).0;
    let types: Vec<_> = seen.iter().map(|seen| (seen.data_type.as_str(), chain(seen))).collect();
    for wanted in ["imei", "android_id", "mac_address"] {
        assert!(types.iter().any(|(data_type, _)| *data_type == wanted), "{wanted} in {types:?}");
    }
}

#[test]
fn binary_bodies_are_searched_too() {
    let mut data = vec![0x0a, 0x0f];
    data.extend_from_slice(b"861536030196001\x12\x10");
    data.extend_from_slice(b"7c1e4f02ab93d856\xff\xfe\x00");
    let (seen, _) = search(&detector(), &body(data));
    let types: Vec<_> = seen.iter().map(|seen| seen.data_type.as_str()).collect();
    assert!(types.contains(&"imei") && types.contains(&"android_id"), "{types:?}");
}

#[test]
fn every_part_of_both_messages_is_searched() {
    let detector = detector();
    let mut both = exchange(
        "/u/861536030196001/7c1e4f02ab93d856?oaid=3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34",
        &[("Cookie", "a=1; m=02%3A1a%3Ac5%3A3f%3A7e%3A90"), ("X-Phone", "13912345678")],
        "text/plain",
        &[],
        b"mail li.ming@mail.example.com now".to_vec(),
    );
    let mut headers = Headers::default();
    headers.push(b"Set-Cookie", b"id=460001234567890; Path=/");
    both.response = Some(Response { status: 200, headers, body: Body::default() });
    let (seen, _) = search(&detector, &both);
    for (data_type, side, part, name, pointer) in [
        ("imei", Side::Request, Part::Path, "", "$[1]"),
        ("android_id", Side::Request, Part::Path, "", "$[2]"),
        ("oaid", Side::Request, Part::Query, "oaid", ""),
        ("mac_address", Side::Request, Part::Cookie, "m", ""),
        ("phone_number", Side::Request, Part::Header, "X-Phone", ""),
        ("email", Side::Request, Part::Body, "", ""),
        ("imsi", Side::Response, Part::Cookie, "id", ""),
    ] {
        let found: Vec<_> = seen
            .iter()
            .filter(|seen| seen.data_type.as_str() == data_type)
            .map(|seen| {
                (seen.location.side, seen.location.part, &*seen.location.name, &*seen.location.pointer, seen.matched)
            })
            .collect();
        assert_eq!(found, [(side, part, name, pointer, MatchKind::Known)], "{data_type}");
    }
}

#[test]
fn look_alikes_are_not_reported() {
    for text in [
        r#"{"ts":1700000000000,"time":"1700000000123","seq":17012345678,"order_no":"20231115139123456789012"}"#,
        r#"{"a":"186153603019600199","b":"28615360301960012","c":"139123456780","d":"139123456781"}"#,
        r#"{"sig":"0f607264fc6318a92b9e13c65db7cd3c","h":"d41d8cd98f00b204e9800998ecf8427e","v":"3.14.1592.6535"}"#,
        r#"{"mac":"02:00:00:00:00:00","imei":"000000000000000","oaid":"00000000-0000-0000-0000-000000000000"}"#,
        r#"{"mac":"0f607264fc6318a92b9e13c65db7cd3c","imei":"5284047f4ffb4e04824a2fd1d1f0cd62","android_id":"unknown"}"#,
        r#"{"trace":"9b2f6c1e-8d4a-4f7b-a3c5-1e0d9f8b7a6c","span":"7c1e4f02ab93d857","img":"icon@2x.png"}"#,
        r#"{"lat":0.0,"lng":0.0,"x":"31.298974"}"#,
    ] {
        assert_eq!(reported(&body(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_placeholder_in_the_profile_is_refused_with_a_warning() {
    for value in ["02:00:00:00:00:00", "", "000000000000000", "unknown", "ffffffffffffffff"] {
        let profile = Profile { identifiers: vec![identifier("device_identifier", value)], ..Profile::default() };
        let detector = Detector::new(&profile, &RuleSet::default());
        assert_eq!(detector.warnings().len(), 1, "{value}");
        assert!(search(&detector, &body(format!("{{\"v\":\"{value}\"}}"))).0.is_empty(), "{value}");
    }
}

#[test]
fn short_values_count_only_where_they_stand_alone() {
    let profile = Profile {
        identifiers: vec![identifier("name", "li"), identifier("nickname", "demon"), identifier("age", "2741")],
        ..Profile::default()
    };
    let detector = Detector::new(&profile, &RuleSet::default());
    let seen = |text: &str| {
        let (seen, _) = search(&detector, &body(text));
        seen.iter().map(|seen| (seen.location.name.to_string(), seen.confidence)).collect::<Vec<_>>()
    };
    assert_eq!(seen(r#"{"list":"delight","lang":"li","w":"12741","x":"demonstrate","y":"page 2741 of"}"#), []);
    assert_eq!(
        seen(r#"{"name":"Li","a":"Demon","b":"the demon is","age":2741}"#),
        [
            ("name".to_owned(), Confidence::Certain),
            ("a".to_owned(), Confidence::Likely),
            ("b".to_owned(), Confidence::Possible),
            ("age".to_owned(), Confidence::Certain),
        ]
    );
}

#[test]
fn places_are_found_in_all_three_systems() {
    let detector = detector();
    for (text, data_type, wanted) in [
        (r#"{"lat":31.298974,"lng":120.585289}"#, "precise_location", "json"),
        (r#"{"p":{"y":"31.298974","x":"120.585289"}}"#, "precise_location", "json"),
        (r#"{"loc":"120.5853|31.2990|200"}"#, "precise_location", "json"),
        (r#"{"latitude":31.297,"longitude":120.58968}"#, "precise_location", "json>gcj02"),
        (r#"{"jd":120.59617,"wd":31.30294}"#, "precise_location", "json>bd09"),
        (r#"{"lat":31.30,"lng":120.59}"#, "coarse_location", "json"),
        (r#"{"a":31298974,"b":120585289}"#, "precise_location", "json>e6"),
    ] {
        let (seen, _) = search(&detector, &body(text));
        let found = |seen: &Observation| {
            (seen.data_type.as_str(), seen.matched) == (data_type, MatchKind::Known) && chain(seen) == wanted
        };
        assert!(seen.iter().any(found), "{text}: {seen:#?}");
    }
    for text in [r#"{"a":31.298974}"#, r#"{"w":31.298974,"h":99.5}"#, "v31.298974.120.585289"] {
        assert_eq!(reported(&body(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn patterns_and_keys_find_what_the_profile_does_not_know() {
    let detector = Detector::new(&Profile::default(), &RuleSet::builtin().expect("the built-in rules are valid"));
    let text = r#"{"imei":"352099001761481","phone":"13800001111","idno":"310101199003071230","mail":"zhang.san@corp.example.cn"}"#;
    let (seen, _) = search(&detector, &body(text));
    for (data_type, value) in [
        ("imei", "352099001761481"),
        ("phone_number", "13800001111"),
        ("id_number", "310101199003071230"),
        ("email", "zhang.san@corp.example.cn"),
    ] {
        assert!(
            seen.iter().any(|seen| seen.data_type.as_str() == data_type && seen.value == value),
            "{data_type} {seen:#?}"
        );
    }
}

#[test]
fn one_value_in_one_place_is_one_observation() {
    let text = r#"{"a":{"imei":"861536030196001"},"b":["861536030196001",{"c":"{\"d\":\"861536030196001\"}"}]}"#;
    let (seen, _) = search(&detector(), &body(text));
    let mut pointers: Vec<_> = seen.iter().map(|seen| &*seen.location.pointer).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["$.a.imei", "$.b[0]", "$.b[1].c.d"]);
    let proof = &seen.iter().find(|seen| &*seen.location.pointer == "$.a.imei").expect("just seen").excerpt;
    assert_eq!((proof.before.as_str(), proof.matched.as_str()), (r#"{"a":{"imei":""#, "861536030196001"));
}

#[test]
fn observations_over_the_cap_are_reported() {
    let text: String = (0..OBSERVATIONS_MAX * 5).map(|n| format!("\"{n}\":\"861536030196001\",")).collect();
    let (seen, weirds) = search(&detector(), &body(format!("{{{text}}}")));
    assert!(seen.len() == OBSERVATIONS_MAX);
    assert_eq!(weirds.len(), 1);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        thread_local!(static DETECTOR: Detector = detector());
        DETECTOR.with(|detector| search(detector, &body(data)));
    }

    #[test]
    fn random_identifiers_of_the_usual_forms_are_never_known(hex in "[0-9a-f]{12,40}", digits in "[0-9]{10,20}") {
        thread_local!(static DETECTOR: Detector = detector());
        let text = format!("{{\"a\":\"{hex}\",\"b\":\"{digits}\",\"c\":{digits},\"d\":\"{hex}-{digits}\"}}");
        let seen = DETECTOR.with(|detector| search(detector, &body(text)).0);
        proptest::prop_assert!(seen.iter().all(|seen| seen.matched != MatchKind::Known), "{:?}", seen);
    }
}

#[test]
fn fractions_and_numbers_of_no_network_and_names_of_no_app_are_not_reported() {
    let detector = Detector::new(&Profile::default(), &RuleSet::builtin().expect("the built-in rules are valid"));
    let types = |exchange: &Exchange| -> Vec<String> {
        search(&detector, exchange).0.iter().map(|seen| seen.data_type.as_str().to_owned()).collect()
    };
    assert_eq!(types(&body("[460012345678901]")), ["imsi"]);
    assert_eq!(types(&body("[460999995470047]")), Vec::<String>::new());
    assert_eq!(types(&body("[861536030196001]")), ["imei"]);
    assert_eq!(types(&body("[0.861536030196001,861536030196001.5]")), Vec::<String>::new());
    let sent_by = |sender: &str| exchange("/", &[("X-Requested-With", sender)], "", &[], Vec::new());
    assert_eq!(types(&sent_by("com.example.app")), ["package_name"]);
    assert_eq!(types(&sent_by("XMLHttpRequest")), Vec::<String>::new());
}
