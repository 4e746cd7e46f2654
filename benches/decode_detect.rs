//! Throughput of taking exchanges apart and searching them: JSON bodies like those of analytics SDKs, ten profile
//! values in all forms, all rules. Bytes are those of the bodies.

use divan::counter::BytesCount;
use divulge::decode;
use divulge::detect::{Detector, Origin};
use divulge::model::{
    Body, DataType, Exchange, ExchangeId, Field, FlowId, Identifier, Place, Profile, Protocol, Request, Side, Timestamp,
};
use divulge::rules::RuleSet;
use std::fmt::Write;
use std::sync::Arc;

fn main() {
    divan::main();
}

const VALUES: [(&str, &str); 10] = [
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
];

fn detector() -> Detector {
    let identifiers = VALUES.iter().map(|&(data_type, value)| Identifier {
        data_type: DataType::new(data_type),
        label: data_type.into(),
        value: value.into(),
    });
    let profile = Profile {
        identifiers: identifiers.collect(),
        locations: vec![Place { lat: 31.298_974, lon: 120.585_289, radius_m: 200.0 }],
        ..Profile::default()
    };
    Detector::new(&profile, &RuleSet::builtin().expect("the built-in rules are valid"))
}

/// A body of about `size` bytes: events with ids, times, hashes, texts in two languages and nested objects.
fn body(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = String::from("{\"header\":{\"appkey\":\"5f1a\",\"channel\":\"official\"},\"events\":[");
    while out.len() < size {
        let (a, b, c) = (random(), random(), random());
        write!(
            out,
            "{{\"event_id\":\"{a:016x}\",\"ts\":{},\"name\":\"page_view_{}\",\"session\":\"{b:016x}{c:016x}\",\"duration\":{},\
             \"props\":{{\"title\":\"商品详情页 {}\",\"url\":\"https:\\/\\/www.example.com\\/item\\/{}?from=home&pos={}\",\
             \"tags\":[\"sale\",\"new\",{}],\"ok\":true}},\"trace\":\"{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}\"}},",
            1_700_000_000_000 + a % 1_000_000_000,
            a % 97,
            b % 100_000,
            c % 1000,
            b % 10_000_000,
            c % 50,
            a % 10,
            a as u32,
            b as u16,
            c & 0xfff,
            a & 0xfff,
            b & 0xffff_ffff_ffff,
        )
        .expect("a String takes any text");
    }
    out.push_str("{\"last\":1}]}");
    out.into_bytes()
}

fn exchange(data: Vec<u8>) -> Exchange {
    Exchange {
        id: ExchangeId { flow: FlowId(0), index: 0 },
        ts: Timestamp::default(),
        protocol: Protocol::Http11,
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 3], 443).into(),
        app: None,
        tls: None,
        request: Some(Arc::new(Request {
            method: "POST".to_owned(),
            target: b"/v2/events?sdk=3.1&platform=android".as_slice().into(),
            authority: Some("log.example.com".to_owned()),
            body: Body {
                bytes: data.len() as u64,
                content_type: Some("application/json".to_owned()),
                complete: true,
                data,
                ..Body::default()
            },
            ..Request::default()
        })),
        response: None,
    }
}

#[divan::bench(args = [2_000, 20_000, 1_000_000])]
fn decode_and_detect(bencher: divan::Bencher<'_, '_>, size: usize) {
    let exchange = exchange(body(size));
    let detector = detector();
    let origin = Origin::of(&exchange);
    let mut scan = detector.scan();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut weirds = Vec::new();
        decode::fields(&exchange, Side::Request, &mut scan, &mut weirds);
        scan.finish(&origin, &mut weirds)
    });
}

#[divan::bench(args = [2_000, 20_000, 1_000_000])]
fn decode_alone(bencher: divan::Bencher<'_, '_>, size: usize) {
    let exchange = exchange(body(size));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut weirds = Vec::new();
        let mut bytes = 0;
        decode::fields(&exchange, Side::Request, &mut |field: &Field<'_>| bytes += field.value.len(), &mut weirds);
        bytes
    });
}

#[divan::bench]
fn build(bencher: divan::Bencher<'_, '_>) {
    bencher.bench_local(detector);
}
