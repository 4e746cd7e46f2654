//! HAR files that are odd, damaged, or no HAR at all.

use super::{Har, detect};
use crate::model::{CaptureItem, ReadyExchange};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_oneof};
use std::sync::Arc;

/// Exchanges and messages of a file.
fn read(text: &[u8]) -> Result<(Vec<ReadyExchange>, Vec<String>), String> {
    let encoding = detect(text).ok_or("no JSON")?;
    let mut har = Har::open("a.har", encoding, Arc::new(text.to_vec()))
        .map_err(|problem| format!("{}: {}", problem.offset, problem.message))?;
    let (mut exchanges, mut messages) = (Vec::new(), Vec::new());
    while let Some(item) = har.next_item() {
        match item {
            CaptureItem::Exchanges(batch) => exchanges.extend(batch),
            CaptureItem::Warning(text) | CaptureItem::Note(text) => messages.push(text),
            _ => panic!("no such thing in a HAR"),
        }
    }
    Ok((exchanges, messages))
}

fn targets(exchanges: &[ReadyExchange]) -> Vec<String> {
    let request = |ready: &ReadyExchange| ready.exchange.request.clone().expect("a request");
    exchanges.iter().map(|ready| request(ready).target_text().into_owned()).collect()
}

fn entry(second: u32, path: &str) -> String {
    format!(
        r#"{{"startedDateTime": "2024-05-06T07:08:{second:02}Z", "request": {{"method": "GET", "url": "https://a.example{path}"}}}}"#
    )
}

#[test]
fn entries_come_in_the_order_of_time() {
    let text = format!(r#"{{"log": {{"entries": [{}, {}, {}]}}}}"#, entry(9, "/3"), entry(1, "/1"), entry(1, "/2"));
    assert_eq!(targets(&read(text.as_bytes()).expect("a HAR").0), ["/1", "/2", "/3"]);
}

#[test]
fn a_file_that_is_cut_off_gives_what_was_whole() {
    let text =
        format!("{{\"log\": {{\"version\": \"1.2\",\n\"entries\": [{},\n{}]}}}}", entry(1, "/1"), entry(2, "/2"));
    for cut in text.find("\"/2").unwrap_or(text.len() - 20)..text.len() - 4 {
        let (exchanges, messages) = read(&text.as_bytes()[..cut]).expect("a HAR");
        assert_eq!(targets(&exchanges), ["/1"], "{cut}");
        let told = format!("a.har: offset {cut}: line 3: the file is cut off here; the 1 entries before it were read");
        assert_eq!(messages, [told]);
    }
}

#[test]
fn an_entry_with_a_mistake_is_left_out_and_told() {
    let text = format!(r#"{{"log": {{"entries": [{{"request" 1}}, [], 7, {}]}}}}"#, entry(1, "/1"));
    let (exchanges, messages) = read(text.as_bytes()).expect("a HAR");
    assert_eq!((targets(&exchanges), messages.len()), (vec!["/1".to_owned()], 3));
    assert_eq!(messages[0], "a.har: offset 32: line 1: '1' found, expected a colon; entry left out");
}

#[test]
fn what_is_no_har_is_refused_with_its_place() {
    for (text, said) in [
        (&b"{\"a\": 1}"[..], "0: line 1: '{' found, expected an object with log.entries; not a HAR"),
        (b"[1]", "0: line 1: '[' found, expected a JSON object; not a HAR"),
        (b"{\n\"log\": {\"version\"", "19: line 2: the file is cut off here; not a HAR"),
        (b"{\n  a", "4: line 2: 'a' found, expected a string; not a HAR"),
    ] {
        let error = read(text).map(|_| ()).expect_err("no HAR");
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn text_in_utf_16_and_with_a_byte_order_mark_is_read() {
    let text = format!(r#"{{"log": {{"entries": [{}]}}}}"#, entry(1, "/é"));
    let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
    };
    for file in [wide(u16::to_le_bytes), wide(u16::to_be_bytes), format!("\u{feff}{text}").into_bytes()] {
        assert_eq!(targets(&read(&file).expect("a HAR").0), ["/é"]);
    }
}

#[test]
fn members_that_are_missing_or_of_another_kind_leave_the_rest() {
    let text = r#"{"entries": [{"request": {"url": 5, "headers": {"Host": "a.example", "Cookie": ["a=1", "b=2"]}, "method": null,
        "postData": "x=1", "cookies": [{"name": "c", "value": "3"}], "queryString": [{"name": "q", "value": "ä"}]},
        "response": {"status": "204", "headers": null, "content": []}, "startedDateTime": 1714979289123, "connection": 7}]}"#;
    let (exchanges, _) = read(text.as_bytes()).expect("a HAR");
    let exchange = &exchanges[0].exchange;
    let request = exchange.request.clone().expect("a request");
    assert_eq!((request.authority.as_deref(), request.body.data.as_slice()), (Some("a.example"), &b"x=1"[..]));
    assert_eq!((request.headers.len(), request.target_text().as_ref()), (3, "5?q=%C3%A4"));
    assert_eq!(exchange.response.as_ref().map(|response| response.status), Some(204));
    assert_eq!(exchange.ts.to_string(), "2024-05-06T07:08:09.123000Z");
}

/// JSON text, now and then with a mistake in it.
fn json() -> impl Strategy<Value = String> {
    let names = [
        "log",
        "entries",
        "request",
        "response",
        "url",
        "headers",
        "name",
        "value",
        "postData",
        "text",
        "encoding",
        "params",
        "mimeType",
        "content",
        "size",
        "bodySize",
        "startedDateTime",
        "_webSocketMessages",
        "type",
        "data",
        "opcode",
        "time",
        "status",
        "cookies",
        "serverIPAddress",
        "connection",
        "method",
        "_content",
        "queryString",
    ];
    let texts = prop_oneof![
        prop::sample::select(vec![
            "https://a.example:99999/é",
            "base64",
            "AA==",
            "send",
            "multipart/form-data",
            "[::1",
            "gzip",
            "CONNECT",
            "2024-05-06T07:08:09Z",
            ":path",
            "Content-Encoding",
            "\\ud83d",
            "\\udc80",
            "",
        ])
        .prop_map(str::to_owned),
        "[a-z%\\\\u]{0,6}",
    ];
    let leaf = prop_oneof![
        texts.prop_map(|text| format!("\"{text}\"")),
        any::<f64>().prop_map(|number| number.to_string()),
        prop::sample::select(vec!["null", "true", "-", "{", "]", "\""]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let member = (prop::sample::select(names.to_vec()), inner.clone());
        let member = member.prop_map(|(name, value)| format!("\"{name}\": {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(member, 0..8).prop_map(|list| format!("{{{}}}", list.join(","))),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn no_json_makes_it_panic(entries in prop::collection::vec(json(), 0..6), cut in 0usize..400) {
        let text = format!("{{\"log\": {{\"entries\": [{}]}}}}", entries.join(","));
        let whole = read(text.as_bytes());
        prop_assert!(whole.is_ok(), "{whole:?}");
        // Cut off in the middle of a character too.
        let _message = read(&text.as_bytes()[..text.len().saturating_sub(cut)]).map(|_| ()).err();
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = [b"{\"log\": {\"entries\": [{\"request\": ", &bytes[..]].concat();
        prop_assert!(read(&text).is_ok());
    }
}
