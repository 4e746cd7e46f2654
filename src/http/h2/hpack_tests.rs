//! The examples of RFC 7541 Appendix C, and tables of which a part was not captured.

use super::{Broken, DYNAMIC_TABLE_MAX, Decoder, FieldSection, Likeness, likeness};
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// Fields as `name: value`, pseudo-fields first.
fn fields(section: &FieldSection) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = section.status.map(|status| status.to_string());
    let path = section.path.as_deref().map(text);
    let pseudo = [
        (":method", &section.method),
        (":scheme", &section.scheme),
        (":path", &path),
        (":authority", &section.authority),
        (":status", &status),
    ];
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_deref()?)));
    pseudo.chain(section.headers.iter().map(|(name, value)| format!("{}: {}", text(name), text(value)))).collect()
}

fn read(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let mut section = FieldSection::default();
    decoder.block(&bytes(hex), &mut section).expect("a block");
    fields(&section)
}

/// The dynamic table, newest first.
fn table(decoder: &Decoder) -> Vec<String> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"?")).into_owned();
    decoder.entries.iter().map(|entry| format!("{}: {}", text(entry.name()), text(entry.value()))).collect()
}

const REQUESTS: [[&str; 3]; 2] = [
    [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
];

#[test]
fn the_requests_of_appendix_c_3_and_c_4_are_read() {
    for requests in REQUESTS {
        let mut decoder = Decoder::default();
        let common = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        assert_eq!(read(&mut decoder, requests[0]), common);
        assert_eq!(read(&mut decoder, requests[1]), [&common[..], &["cache-control: no-cache"]].concat());
        assert_eq!(
            read(&mut decoder, requests[2]),
            [
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value"
            ]
        );
        let expected = ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"];
        assert_eq!((table(&decoder), decoder.size), (expected.map(str::to_owned).to_vec(), 164));
    }
}

#[test]
fn the_responses_of_appendix_c_5_and_c_6_evict_entries() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
         2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
         8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for responses in [plain, coded] {
        let mut decoder = Decoder { capacity: 256, ..Decoder::default() };
        let rest =
            ["cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"];
        assert_eq!(read(&mut decoder, responses[0]), [&[":status: 302"][..], &rest].concat());
        assert_eq!(decoder.size, 222);
        assert_eq!(read(&mut decoder, responses[1]), [&[":status: 307"][..], &rest].concat());
        let third = read(&mut decoder, responses[2]);
        assert_eq!(third[0], ":status: 200");
        assert_eq!(third[5], "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
        assert_eq!((decoder.entries.len(), decoder.size), (3, 215));
    }
}

#[test]
fn single_representations_of_appendix_c_2_are_read() {
    let mut decoder = Decoder::default();
    assert_eq!(
        read(&mut decoder, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
        ["custom-key: custom-header"]
    );
    assert_eq!(read(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"), [":path: /sample/path"]);
    assert_eq!(read(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74"), ["password: secret"]);
    assert_eq!(read(&mut decoder, "82"), [":method: GET"]);
    assert_eq!(table(&decoder), ["custom-key: custom-header"]);
}

#[test]
fn entries_after_a_loss_resolve_and_older_ones_stay_unknown() {
    for requests in REQUESTS {
        let mut decoder = Decoder::default();
        decoder.forget();
        let mut section = FieldSection::default();
        let odd = decoder.block(&bytes(requests[1]), &mut section).expect("a block");
        assert!(odd.unknown && !odd.malformed && section.incomplete);
        assert_eq!(fields(&section), [":method: GET", ":scheme: http", ":path: /", "cache-control: no-cache"]);
        let mut section = FieldSection::default();
        decoder.block(&bytes(requests[2]), &mut section).expect("a block");
        assert_eq!(fields(&section)[3], "custom-key: custom-value");
        // The newest is 62, the one before 63.
        assert_eq!(read(&mut decoder, "bebf"), ["custom-key: custom-value", "cache-control: no-cache"]);
    }
}

#[test]
fn a_value_whose_name_is_unknown_is_kept_with_its_entry() {
    let mut decoder = Decoder::default();
    decoder.forget();
    // A literal with the name of entry 70, indexed; then that entry, and one that is not known.
    assert_eq!(read(&mut decoder, "7f07 0131 be bf"), ["?: 1", "?: 1"]);
}

#[test]
fn a_reference_to_an_entry_that_cannot_be_is_odd_and_reading_goes_on() {
    let mut section = FieldSection::default();
    let odd = Decoder::default().block(&bytes("82be84"), &mut section).expect("a block");
    assert!(odd.malformed);
    assert_eq!(fields(&section), [":method: GET", ":path: /"]);
}

#[test]
fn a_block_that_breaks_off_gives_its_beginning_and_the_table_is_forgotten() {
    let mut decoder = Decoder::default();
    read(&mut decoder, REQUESTS[0][0]);
    for rest in ["80", "400a 6375", "ff80", "7f80 8080 8080 8080 8080 8080 8080 01"] {
        let mut section = FieldSection::default();
        assert_eq!(decoder.block(&bytes(&format!("82{rest}")), &mut section), Err(Broken));
        assert_eq!(fields(&section), [":method: GET"]);
        assert!(decoder.uncertain && decoder.entries.is_empty());
    }
}

#[test]
fn size_updates_evict_and_a_cap_holds_whatever_is_allowed() {
    let mut decoder = Decoder::default();
    read(&mut decoder, REQUESTS[0][0]);
    assert_eq!(read(&mut decoder, "20 3fe11f 82"), [":method: GET"]);
    assert!(decoder.entries.is_empty() && decoder.capacity == 4_096);
    decoder.allow(u32::MAX);
    let mut section = FieldSection::default();
    let odd = decoder.block(&bytes("3fe1ffff7f"), &mut section).expect("a block");
    assert!(odd.large_table && decoder.capacity == DYNAMIC_TABLE_MAX);
    let entry = [&[0x40, 1, b'a', 0x7f, 0x81, 0x07][..], &[b'x'; 1_024]].concat();
    for _ in 0..1_000 {
        decoder.block(&entry, &mut FieldSection::default()).expect("a block");
    }
    assert!(decoder.size <= DYNAMIC_TABLE_MAX && decoder.entries.len() > 200);
}

#[test]
fn heads_are_told_from_other_bytes() {
    assert_eq!(likeness(&bytes(REQUESTS[1][1])), Likeness::Head);
    assert_eq!(likeness(&bytes("88be")), Likeness::Head);
    assert_eq!(likeness(&bytes("bebf")), Likeness::Readable);
    for other in [&b""[..], b"hello, world", b"\x08\x96\x01\x12\x07testing", b"{\"a\":1}"] {
        assert_eq!(likeness(other), Likeness::None, "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_block_is_survived(block in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::default();
        for piece in block.chunks(50) {
            if decoder.block(piece, &mut FieldSection::default()).is_err() {
                prop_assert!(decoder.entries.is_empty());
            }
            prop_assert!(decoder.size <= decoder.capacity);
        }
    }
}
