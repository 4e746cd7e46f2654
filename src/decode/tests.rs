//! Tests of the decoders together: what fields an exchange gives, and the caps.

use super::*;
use crate::model::{
    Body, Exchange, ExchangeId, Field, FieldKind, FlowId, Headers, Protocol, Request, Response, Side, Timestamp, Weird,
    text_of,
};
use ::base64::Engine;
use ::base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use flate2::Compression;
use std::io::Write;
use std::sync::Arc;

/// part/name/pointer, chain, value, source.
pub(super) type Seen = (String, String, String, std::ops::Range<usize>);

fn exchange(target: &str, headers: &[(&str, &str)], content_type: &str, encodings: &[&str], data: &[u8]) -> Exchange {
    let mut fields = Headers::default();
    for (name, value) in headers {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let body = Body {
        bytes: data.len() as u64,
        content_type: Some(content_type.to_owned()),
        encodings: encodings.iter().map(|&token| token.to_owned()).collect(),
        complete: true,
        data: data.to_vec(),
        ..Body::default()
    };
    Exchange {
        id: ExchangeId { flow: FlowId(1), index: 0 },
        ts: Timestamp::default(),
        protocol: Protocol::Http11,
        client: "10.0.0.2:1".parse().unwrap(),
        server: "10.0.0.3:80".parse().unwrap(),
        app: None,
        tls: None,
        request: Some(Arc::new(Request {
            method: "POST".to_owned(),
            target: target.as_bytes().into(),
            headers: fields.clone(),
            body: body.clone(),
            ..Request::default()
        })),
        response: Some(Response { status: 200, headers: fields, body }),
    }
}

fn walk(exchange: &Exchange, side: Side, kind: FieldKind) -> (Vec<Seen>, Vec<Weird>) {
    let mut seen = Vec::new();
    let mut weirds = Vec::new();
    fields(
        exchange,
        side,
        &mut |field: &Field<'_>| {
            if field.kind == kind {
                let part = format!("{:?}", field.part).to_lowercase();
                let chain: Vec<_> = field.chain.iter().map(|step| step.0).collect();
                seen.push((
                    format!("{part}/{}/{}", text_of(field.name), field.pointer),
                    chain.join(">"),
                    String::from_utf8_lossy(field.value).into_owned(),
                    field.source.clone(),
                ));
            }
        },
        &mut weirds,
    );
    (seen, weirds)
}

pub(super) fn leaves(content_type: &str, encodings: &[&str], data: &[u8]) -> (Vec<Seen>, Vec<Weird>) {
    walk(&exchange("/", &[], content_type, encodings, data), Side::Request, FieldKind::Leaf)
}

#[track_caller]
pub(super) fn has(seen: &[Seen], place: &str, chain: &str, value: &str) {
    let found = seen.iter().any(|(p, c, v, _)| (p.as_str(), c.as_str(), v.as_str()) == (place, chain, value));
    assert!(found, "no {place} {chain} {value:?} in {seen:#?}");
}

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// [`TEXT`] as one stored brotli meta-block (RFC 7932 §9.2).
const BROTLI: &[u8] =
    &[0x0b, 0x07, 0x80, 0x7b, 0x22, 0x69, 0x64, 0x22, 0x3a, 0x22, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x22, 0x7d, 0x03];

const TEXT: &[u8] = br#"{"id":"abcdef"}"#;

#[test]
fn a_target_gives_path_segments_and_query_pairs() {
    let exchange = exchange("/v1/u%20x/log?a=1&b=c%3Dd+e&flag#f", &[], "", &[], b"");
    let (seen, weirds) = walk(&exchange, Side::Request, FieldKind::Leaf);
    has(&seen, "path//$[0]", "", "v1");
    has(&seen, "path//$[1]", "percent", "u x");
    has(&seen, "query/a/", "", "1");
    has(&seen, "query/b/", "percent", "c=d e");
    assert!(weirds.is_empty());
    let (whole, _) = walk(&exchange, Side::Request, FieldKind::Whole);
    has(&whole, "query//", "", "a=1&b=c%3Dd+e&flag#f");
    let source = |value: &str| seen.iter().find(|(_, _, v, _)| v == value).unwrap().3.clone();
    assert_eq!(source("v1"), 1..3);
    assert_eq!(source("1"), 16..17);
}

#[test]
fn headers_and_cookies_are_fields() {
    let headers =
        [("Referer", "https://x.example/p?mac=02%3A1a#t=9"), ("Cookie", "a=1; b=%7B%22k%22%3A%22value-1%22%7D")];
    let (seen, _) = walk(&exchange("/", &headers, "", &[], b""), Side::Request, FieldKind::Leaf);
    has(&seen, "header/Referer/", "", headers[0].1);
    has(&seen, "header/Referer/$.mac", "url>percent", "02:1a");
    has(&seen, "header/Referer/$.t", "url", "9");
    has(&seen, "cookie/a/", "", "1");
    has(&seen, "cookie/b/$.k", "percent>json", "value-1");
    let set = [("Set-Cookie", "sid=abc; Path=/; HttpOnly")];
    let (seen, _) = walk(&exchange("/", &set, "", &[], b""), Side::Response, FieldKind::Leaf);
    has(&seen, "cookie/sid/", "", "abc");
}

#[test]
fn json_gives_pointers_and_exact_sources() {
    let body = r#"{"data":[1,{"payload":"x\u4e2d\"y"},[2.5,true,null]],"a.b":"z"}"#;
    let (seen, weirds) = leaves("application/json", &[], body.as_bytes());
    has(&seen, "body/data/$.data[0]", "json", "1");
    has(&seen, "body/payload/$.data[1].payload", "json", "x中\"y");
    has(&seen, "body/data/$.data[2][0]", "json", "2.5");
    has(&seen, "body/data/$.data[2][1]", "json", "true");
    has(&seen, "body/a.b/$[\"a.b\"]", "json", "z");
    assert_eq!(seen.len(), 5);
    assert!(weirds.is_empty());
    for (_, _, value, source) in seen.iter().filter(|leaf| leaf.2 == "2.5" || leaf.2 == "z") {
        assert_eq!(&body[source.clone()], value);
    }
}

#[test]
fn cut_and_sloppy_json_still_gives_its_leaves() {
    let (seen, _) = leaves("", &[], br#"{"a":"1","b":{"c":"22","d":"333"#);
    has(&seen, "body/a/$.a", "json", "1");
    has(&seen, "body/c/$.b.c", "json", "22");
    has(&seen, "body/d/$.b.d", "json", "333");
    let (seen, _) = leaves("", &[], b"\xef\xbb\xbf{a:1,\"b\":2,,}{\"c\":3}");
    has(&seen, "body/a/$.a", "json", "1");
    has(&seen, "body/c/$.c", "json", "3");
}

#[test]
fn lines_of_json_are_told_by_index() {
    let (seen, _) = leaves("", &[], b"{\"e\":\"a\"}\n{\"e\":\"b\"}\r\n");
    has(&seen, "body/e/$[0].e", "ndjson", "a");
    has(&seen, "body/e/$[1].e", "ndjson", "b");
}

#[test]
fn a_form_in_a_form_and_json_in_json_are_opened() {
    let (seen, _) = leaves("application/x-www-form-urlencoded", &[], b"m=%7B%22imei%22%3A%2286%22%7D&q=a%253Db%2526c");
    has(&seen, "body/imei/$.m.imei", "form>percent>json", "86");
    has(&seen, "body/q/$.q", "form>percent>percent", "a=b&c");
    let (seen, _) = leaves("", &[], br#"{"p":"{\"q\":\"[\\\"deep\\\"]\"}"}"#);
    has(&seen, "body/q/$.p.q[0]", "json>json>json", "deep");
}

#[test]
fn multipart_gives_parts_by_name_and_file_names() {
    let body = b"--B\r\nContent-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":\"b\"}\r\n--B\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"x.log\"\r\n\r\nline\r\n--B--\r\n";
    for content_type in ["multipart/form-data; boundary=B", ""] {
        let (seen, _) = leaves(content_type, &[], body);
        has(&seen, "body/a/$.meta.a", "multipart>json", "b");
        has(&seen, "body/filename/$.f.filename", "multipart", "x.log");
        has(&seen, "body/f/$.f", "multipart", "line");
    }
}

#[test]
fn content_encodings_are_undone_in_reverse_order() {
    let zstd = zstd::encode_all(TEXT, 3).unwrap();
    for (tokens, chain, data) in [
        (&["gzip"][..], "gzip>json", gzip(TEXT)),
        (&["x-gzip"], "gzip>json", gzip(TEXT)),
        (&["deflate"], "deflate>json", zlib(TEXT)),
        (&["deflate"], "deflate>json", deflate(TEXT)),
        (&["br"], "br>json", BROTLI.to_vec()),
        (&["zstd"], "zstd>json", zstd.clone()),
        (&["deflate", "gzip"], "gzip>deflate>json", gzip(&zlib(TEXT))),
        (&[], "gzip>json", gzip(TEXT)),
        (&[], "zlib>json", zlib(TEXT)),
        (&[], "zstd>json", zstd),
    ] {
        let (seen, weirds) = leaves("application/json", tokens, &data);
        has(&seen, "body/id/$.id", chain, "abcdef");
        assert!(weirds.is_empty(), "{tokens:?} {weirds:?}");
    }
}

#[test]
fn a_lying_content_encoding_is_reported_and_the_bytes_are_read_as_they_are() {
    let (seen, weirds) = leaves("application/json", &["gzip"], TEXT);
    has(&seen, "body/id/$.id", "json", "abcdef");
    assert_eq!(weirds.len(), 1);
    let (seen, _) = leaves("application/json", &["br"], &gzip(TEXT));
    has(&seen, "body/id/$.id", "gzip>json", "abcdef");
}

#[test]
fn cut_compressed_data_gives_what_came_out() {
    let text: String =
        (0..4000).map(|n| format!("{{\"n\":\"{n:x}-{:x}\"}}", n * 7919 % 104_729)).collect::<Vec<_>>().join(",");
    let text = format!("[{text}]");
    for (tokens, data) in [
        (&["gzip"][..], gzip(text.as_bytes())),
        (&["deflate"], zlib(text.as_bytes())),
        (&["zstd"], zstd::encode_all(text.as_bytes(), 3).unwrap()),
        (&[], gzip(text.as_bytes())),
    ] {
        let (seen, weirds) = leaves("application/json", tokens, &data[..data.len() * 9 / 10]);
        if tokens != ["zstd"] {
            assert!(seen.len() > 1000, "{tokens:?} {}", seen.len());
        }
        assert!(!weirds.is_empty());
    }
}

#[test]
fn base64_and_hex_are_opened_when_what_they_hold_is_believable() {
    let inner = BASE64_STANDARD.encode(gzip(TEXT));
    let hex: String = TEXT.iter().map(|byte| format!("{byte:02X}")).collect();
    let body = format!(
        r#"{{"a":"{inner}","b":"{hex}","c":"{}","d":"9774d56d682e549c","e":"deviceidentifier"}}"#,
        BASE64_URL_SAFE_NO_PAD.encode(BASE64_STANDARD.encode(TEXT))
    );
    let (seen, weirds) = leaves("", &[], body.as_bytes());
    has(&seen, "body/id/$.a.id", "json>base64>gzip>json", "abcdef");
    has(&seen, "body/id/$.b.id", "json>hex>json", "abcdef");
    has(&seen, "body/id/$.c.id", "json>base64>base64>json", "abcdef");
    assert_eq!(seen.iter().filter(|leaf| leaf.0 == "body/d/$.d" || leaf.0 == "body/e/$.e").count(), 2);
    assert!(weirds.is_empty());
}

#[test]
fn a_plus_read_as_a_space_does_not_spoil_base64() {
    let text = BASE64_STANDARD.encode(r#"{"k":"~~~>>>???"}"#);
    assert!(text.contains('+'));
    let (seen, _) = walk(&exchange(&format!("/?d={text}"), &[], "", &[], b""), Side::Request, FieldKind::Leaf);
    has(&seen, "query/d/$.k", "base64>json", "~~~>>>???");
}

#[test]
fn a_bomb_stays_within_the_cap_and_is_reported() {
    let bomb = gzip(&vec![b' '; 300 << 20]);
    let mut longest = 0;
    let mut weirds = Vec::new();
    let exchange = exchange("/", &[], "", &[], &bomb);
    fields(&exchange, Side::Request, &mut |field: &Field<'_>| longest = longest.max(field.value.len()), &mut weirds);
    assert!((INFLATED_FREE..=DECODED_MAX).contains(&longest));
    assert!(weirds.iter().any(|weird| weird.reason.contains("beyond the cap")), "{weirds:?}");
}

#[test]
fn encodings_beyond_the_depth_cap_are_reported() {
    let mut text = "a value that stands deep".to_owned();
    for _ in 0..12 {
        text = BASE64_STANDARD.encode(text);
    }
    let (seen, weirds) = leaves("text/plain", &[], text.as_bytes());
    assert!(seen.iter().all(|leaf| leaf.1.split('>').count() <= DEPTH_MAX));
    assert_eq!(weirds.len(), 1);
}

#[test]
fn deep_json_and_many_fields_stay_within_their_caps() {
    let deep = format!("{}\"x\"{}", "[".repeat(10_000), "]".repeat(10_000));
    let (seen, weirds) = leaves("", &[], deep.as_bytes());
    assert!(seen.iter().any(|leaf| leaf.2 == "x"));
    assert_eq!(weirds.len(), 1);
    let mixed = r#"{"a":["#.repeat(10_000);
    let (_, weirds) = leaves("", &[], mixed.as_bytes());
    assert_eq!(weirds.len(), 1);
    let many = format!("[{}]", "1,".repeat(1_000_000));
    let (seen, weirds) = leaves("", &[], many.as_bytes());
    assert!(seen.len() <= FIELDS_MAX && seen.len() > FIELDS_MAX / 2);
    assert_eq!(weirds.len(), 1);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..400), which in 0usize..6) {
        let token = ["gzip", "deflate", "br", "zstd", "identity", "x"][which];
        let kind = ["", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded", "application/json", "text/plain", "x"][which];
        leaves(kind, &[token], &data);
        leaves(kind, &[], &data);
        let mut weirds = Vec::new();
        stream_fields(crate::model::FlowId(0), &data, Side::Response, &mut |field: &Field<'_>| assert!(field.source.end <= data.len()), &mut weirds);
    }

    #[test]
    fn nearly_valid_text_never_panics(text in r#"[\{\}\[\]":,\\u0-9a-f%&=?/+ -]{0,200}"#) {
        leaves("", &[], text.as_bytes());
        let target = format!("/{text}");
        walk(&exchange(&target, &[("Cookie", &text), ("Referer", &target)], "", &[], b""), Side::Request, FieldKind::Leaf);
    }
}

#[test]
fn json_and_gzip_behind_a_framing_are_read_in_bodies_too() {
    let mqtt = [&b"\x32\x28\x00\x08app/push\x00\x07"[..], br#"{"id":"some value"}"#].concat();
    let stomp = b"SEND\ndestination:/q\ncontent-length:19\n\n{\"id\":\"some value\"}\0";
    for body in [&mqtt[..], stomp, br#"callback({"id":"some value"});"#] {
        let (seen, weirds) = leaves("", &[], body);
        has(&seen, "body/id/$.id", "json", "some value");
        assert!(weirds.is_empty(), "{weirds:?}");
    }
    let framed = [&b"\x01\x00\x00\x02"[..], &gzip(br#"{"id":"some value"}"#)].concat();
    let (seen, _) = leaves("application/octet-stream", &[], &framed);
    has(&seen, "body/id/$.id", "gzip>json", "some value");
}
