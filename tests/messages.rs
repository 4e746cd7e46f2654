//! Messages of gRPC and protocol buffers searched: what an app puts into them is found without a schema, and noise is
//! not taken for anything.

use divulge::decode;
use divulge::detect::{Detector, Origin};
use divulge::model::{
    Body, DataType, Exchange, ExchangeId, FlowId, Identifier, Observation, Place, Profile, Protocol, Request, Side,
    Timestamp,
};
use divulge::rules::RuleSet;
use std::sync::Arc;

const TYPES: [&str; 8] = [
    "",
    "application/octet-stream",
    "application/x-protobuf",
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/connect+json",
    "text/event-stream",
];

fn detector() -> Detector {
    let identifier = |data_type: &str, value: &str| Identifier {
        data_type: DataType::new(data_type),
        label: data_type.into(),
        value: value.into(),
    };
    let profile = Profile {
        identifiers: vec![
            identifier("imei", "861536030196001"),
            identifier("android_id", "9774d56d682e549c"),
            identifier("phone_number", "13912345678"),
            identifier("name", "欧阳明华"),
        ],
        locations: vec![Place { lat: 31.298_974, lon: 120.585_289, radius_m: 200.0 }],
        ..Profile::default()
    };
    Detector::new(&profile, &RuleSet::builtin().expect("the built-in rules are valid"))
}

fn search(detector: &Detector, content_type: &str, data: Vec<u8>) -> Vec<Observation> {
    let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
    let body = Body { bytes: data.len() as u64, content_type, complete: true, data, ..Body::default() };
    let exchange = Exchange {
        id: ExchangeId { flow: FlowId(1), index: 0 },
        ts: Timestamp::default(),
        protocol: Protocol::Grpc,
        client: ([10, 0, 0, 2], 1).into(),
        server: ([10, 0, 0, 3], 443).into(),
        app: None,
        tls: None,
        request: Some(Arc::new(Request { method: "POST".into(), body, ..Request::default() })),
        response: None,
    };
    let mut weirds = Vec::new();
    let mut scan = detector.scan();
    decode::fields(&exchange, Side::Request, &mut scan, &mut weirds);
    scan.finish(&Origin::of(&exchange), &mut weirds)
}

fn field(tag: u8, payload: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(payload.len()).expect("a short payload")][..], payload].concat()
}

/// A report as an SDK sends it: identifiers as texts and numbers, a place as doubles.
fn report() -> Vec<u8> {
    let mut number = vec![0x18];
    let mut left = 13_912_345_678_u64;
    while left > 0x7f {
        number.push(0x80 | u8::try_from(left & 0x7f).expect("seven bits"));
        left >>= 7;
    }
    number.push(u8::try_from(left).expect("seven bits"));
    let place = [&[0x09][..], &31.298_974_f64.to_le_bytes(), &[0x11], &120.585_289_f64.to_le_bytes()].concat();
    let device = [
        field(0x0a, b"861536030196001"),
        field(0x12, "欧阳明华".as_bytes()),
        number,
        [&[0x21][..], &0x9774_d56d_682e_549c_u64.to_le_bytes()].concat(),
        field(0x2a, &place),
    ];
    field(0x1a, &device.concat())
}

fn enveloped(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, message].concat()
}

#[test]
fn texts_numbers_and_places_of_a_message_are_found() {
    let detector = detector();
    for (content_type, data, way) in [
        ("application/x-protobuf", report(), "protobuf"),
        ("application/octet-stream", report(), "protobuf"),
        ("application/grpc", enveloped(&report()), "grpc>protobuf"),
    ] {
        let seen = search(&detector, content_type, data);
        for (data_type, pointer, steps) in [
            ("imei", "$.3.1", ""),
            ("name", "$.3.2", ""),
            ("phone_number", "$.3.3", ""),
            ("android_id", "$.3.4", ">u64"),
            ("precise_location", "$.3.5.1", ""),
        ] {
            let found = seen.iter().any(|one| {
                let chain: Vec<_> = one.chain.iter().map(|step| step.0).collect();
                one.data_type.as_str() == data_type
                    && one.location.pointer.starts_with(pointer.trim_end_matches(".1"))
                    && chain.join(">") == format!("{way}{steps}")
            });
            assert!(found, "{content_type} {data_type} {pointer}: {seen:#?}");
        }
    }
}

/// Bytes as from a good cipher, the same every time.
fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }
}

#[test]
fn noise_gives_no_observation_whatever_it_is_called() {
    let detector = detector();
    let mut next = noise(7);
    let mut total = 0;
    for content_type in TYPES {
        for length in (16..1_500).step_by(7) {
            let bytes: Vec<u8> = (0..length).map(|_| next()).collect();
            let field = field(0x12, &bytes[..bytes.len().min(250)]);
            for data in [bytes.clone(), enveloped(&bytes), field.clone(), enveloped(&field)] {
                let seen = search(&detector, content_type, data);
                assert!(seen.is_empty(), "{content_type}: {seen:#?}");
                total += 1;
            }
        }
    }
    assert!(total > 6_000);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        data in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        content_type in proptest::sample::select(&TYPES[..]),
        wrapped in proptest::bool::ANY,
    ) {
        thread_local!(static DETECTOR: Detector = detector());
        DETECTOR.with(|detector| search(detector, content_type, if wrapped { enveloped(&data) } else { data }));
    }
}
