//! The examples of RFC 9204 Appendix B, and what happens when parts of them are missing.

use super::{Awaited, Decoder, TABLE_MAX};
use crate::http::SECTION_MAX;

const AUTHORITY: &str = "c00f7777772e6578616d706c652e636f6d";
const PATH: &str = "c10c2f73616d706c652f70617468";
const CUSTOM: &str = "4a637573746f6d2d6b65790c637573746f6d2d76616c7565";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// A decoder for the table of Appendix B, of 220 bytes.
fn decoder() -> Decoder {
    let mut decoder = Decoder::default();
    decoder.set_max_capacity(220);
    feed(&mut decoder, "3fbd01");
    decoder
}

fn take(decoder: &mut Decoder, bytes: &[u8], weirds: &mut Vec<&'static str>) {
    let unread = decoder.instructions(bytes, weirds);
    if unread > 0 {
        decoder.lose(unread, weirds);
    }
}

fn feed(decoder: &mut Decoder, hex: &str) -> Vec<&'static str> {
    let mut weirds = Vec::new();
    take(decoder, &bytes(hex), &mut weirds);
    weirds
}

/// `name: value` lines with `?` for what is not known, and what was odd.
fn read(decoder: &Decoder, section: &[u8]) -> (Vec<String>, Vec<&'static str>) {
    let (mut lines, mut weirds) = (Vec::new(), Vec::new());
    decoder.section(section, &mut weirds, &mut |field| {
        let text = |part: Option<&[u8]>| part.map_or("?".to_owned(), |part| String::from_utf8_lossy(part).into_owned());
        lines.push(format!("{}: {}", text(field.name), text(field.value)));
    });
    (lines, weirds)
}

fn lines(decoder: &Decoder, hex: &str) -> Vec<String> {
    let (lines, weirds) = read(decoder, &bytes(hex));
    assert!(weirds.is_empty(), "{weirds:?}");
    lines
}

#[test]
fn a_literal_with_a_static_name_is_read_as_in_b1() {
    assert_eq!(lines(&Decoder::default(), "0000510b2f696e6465782e68746d6c"), [":path: /index.html"]);
}

#[test]
fn dynamic_entries_are_read_as_in_b2_to_b5() {
    let mut decoder = decoder();
    assert_eq!(decoder.awaits(&bytes("03811011")), Awaited::Instructions);
    assert!(feed(&mut decoder, &[AUTHORITY, PATH].concat()).is_empty());
    assert_eq!(decoder.awaits(&bytes("03811011")), Awaited::Nothing);
    assert_eq!(lines(&decoder, "03811011"), [":authority: www.example.com", ":path: /sample/path"]);
    feed(&mut decoder, CUSTOM);
    feed(&mut decoder, "02");
    assert_eq!(lines(&decoder, "050080c181"), [":authority: www.example.com", ":path: /", "custom-key: custom-value"]);
    feed(&mut decoder, "810d637573746f6d2d76616c756532");
    assert_eq!(lines(&decoder, "060080"), ["custom-key: custom-value2"]);
}

#[test]
fn instructions_may_come_byte_by_byte() {
    let mut decoder = decoder();
    let all = bytes(&[AUTHORITY, PATH, CUSTOM, "02"].concat());
    for byte in &all {
        let mut weirds = Vec::new();
        take(&mut decoder, std::slice::from_ref(byte), &mut weirds);
        assert!(weirds.is_empty());
    }
    assert_eq!(lines(&decoder, "050080c181").len(), 3);
}

#[test]
fn literals_of_every_kind_are_read() {
    let mut decoder = decoder();
    feed(&mut decoder, &[AUTHORITY, PATH].concat());
    // Never indexed: a literal name, a static name, a dynamic name, a name from behind the base.
    assert_eq!(lines(&decoder, "03003378787803616263"), ["xxx: abc"]);
    assert_eq!(lines(&decoder, "030071026162"), [":path: ab"]);
    assert_eq!(lines(&decoder, "030060026162"), [":path: ab"]);
    assert_eq!(lines(&decoder, "038108026162"), [":authority: ab"]);
    // Huffman-coded: `gzip`.
    assert_eq!(lines(&decoder, "000051839bd9ab"), [":path: gzip"]);
}

#[test]
fn the_count_that_is_needed_wraps() {
    // Six entries of 36 bytes: the count is told modulo twelve (§4.5.1.1).
    let mut decoder = decoder();
    for number in 0..30 {
        feed(&mut decoder, &format!("416102{:02x}{:02x}", b'0' + number / 10, b'0' + number % 10));
    }
    // 30 % 12 + 1 = 7, base 30.
    assert_eq!(lines(&decoder, "07008081"), ["a: 29", "a: 28"]);
    assert_eq!(decoder.awaits(&bytes("080080")), Awaited::Instructions);
}

#[test]
fn without_settings_a_small_count_is_clear_and_a_large_one_waits() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.awaits(&bytes("03811011")), Awaited::Settings);
    feed(&mut decoder, &["3fbd01", AUTHORITY, PATH].concat());
    assert_eq!(lines(&decoder, "03811011").len(), 2);
    for _ in 0..10 {
        feed(&mut decoder, "00");
    }
    assert_eq!(decoder.awaits(&bytes("010080")), Awaited::Settings);
    decoder.set_max_capacity(220);
    assert_eq!(decoder.awaits(&bytes("010080")), Awaited::Nothing);
    assert_eq!(lines(&decoder, "010080"), [":path: /sample/path"]);
}

#[test]
fn lost_instructions_leave_fields_unknown_but_never_wrong() {
    let mut decoder = decoder();
    feed(&mut decoder, AUTHORITY);
    let mut weirds = Vec::new();
    decoder.lose(14, &mut weirds);
    assert_eq!(weirds, ["QPACK instructions were lost"]);
    assert!(feed(&mut decoder, CUSTOM).is_empty());
    // Nothing is waited for; what was known before stays known unless the count could be another.
    assert_eq!(decoder.awaits(&bytes("0301c1")), Awaited::Nothing);
    let (lines, weirds) = read(&decoder, &bytes("03811011c1"));
    assert_eq!(lines, ["?: ?", "?: ?", ":path: /"]);
    assert!(weirds.contains(&"QPACK refers to an entry that was not seen"));
}

#[test]
fn one_lost_instruction_leaves_what_came_before() {
    let mut decoder = decoder();
    feed(&mut decoder, AUTHORITY);
    decoder.lose(4, &mut Vec::new());
    let (lines, _) = read(&decoder, &bytes("03811011c1"));
    assert_eq!(lines, [":authority: www.example.com", "?: ?", ":path: /"]);
}

#[test]
fn a_section_that_breaks_off_gives_what_stands_before() {
    let decoder = Decoder::default();
    let (lines, weirds) = read(&decoder, &bytes("0000d1510b2f69"));
    assert_eq!(lines, [":method: GET"]);
    assert_eq!(weirds, ["QPACK field section does not make sense"]);
    assert_eq!(read(&decoder, &[]).1, ["QPACK field section does not make sense"]);
    assert_eq!(read(&decoder, &bytes("0000ffffff")).1, ["QPACK field section does not make sense"]);
}

#[test]
fn instructions_that_make_no_sense_end_the_table() {
    for hex in ["00", "80026162", "ff40026162"] {
        assert_eq!(feed(&mut decoder(), hex), ["QPACK instructions were lost"], "{hex}");
    }
}

#[test]
fn a_bomb_stays_under_its_caps() {
    let mut decoder = Decoder::default();
    decoder.set_max_capacity(1 << 40);
    let mut weirds = Vec::new();
    // A capacity of 2^30, then one entry of 200 kB, again and again.
    take(&mut decoder, &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x03], &mut weirds);
    assert_eq!(weirds, ["QPACK table is larger than what is kept"]);
    let mut insert = vec![0x41, b'a', 0x7f, 0xc1, 0x99, 0x0c];
    insert.resize(6 + 200_000, b'x');
    take(&mut decoder, &insert, &mut weirds);
    take(&mut decoder, &vec![0; 100_000], &mut weirds);
    assert_eq!(weirds.len(), 1);
    assert!(decoder.table.size() <= TABLE_MAX + (16 << 10));
    let required = decoder.table.inserted() + 1;
    let mut section = Vec::from([0xff]);
    let mut rest = required - 255;
    while rest >= 128 {
        section.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    section.extend([rest as u8, 0]);
    section.resize(10_000, 0x80);
    let mut total = 0;
    decoder.section(&section, &mut weirds, &mut |field| total += field.value.map_or(0, <[u8]>::len));
    assert!(total > 0 && total <= SECTION_MAX + 200_000);
    assert_eq!(weirds.len(), 1);
}

#[test]
fn what_makes_no_sense_counts_alike_however_it_is_cut() {
    // The third instruction names an entry of the static table that there is not.
    let all = bytes(&[AUTHORITY, PATH, "ff4000", CUSTOM].concat());
    for size in 1..=all.len() {
        let mut decoder = decoder();
        let mut weirds = Vec::new();
        all.chunks(size).for_each(|piece| take(&mut decoder, piece, &mut weirds));
        assert_eq!(
            (decoder.lost, decoder.table.inserted()),
            (Some(3 + CUSTOM.len() as u64 / 2), 2),
            "in pieces of {size}"
        );
        assert_eq!(weirds, ["QPACK instructions were lost"]);
    }
}

#[test]
fn an_endless_instruction_is_given_up() {
    let mut decoder = decoder();
    let mut weirds = feed(&mut decoder, "417f0000");
    weirds.extend(feed(&mut decoder, "41617fffffffff0f"));
    for _ in 0..1_000 {
        take(&mut decoder, &[b'x'; 1_000], &mut weirds);
    }
    assert_eq!(weirds, ["QPACK instructions were lost"]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(instructions in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), section in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
        let mut decoder = decoder();
        let mut weirds = Vec::new();
        for piece in instructions.chunks(7) {
            take(&mut decoder, piece, &mut weirds);
        }
        let _awaited = decoder.awaits(&section);
        decoder.section(&section, &mut weirds, &mut |_| {});
    }
}
