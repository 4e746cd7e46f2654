//! The shipped demo (`captures/demo`): what is in the repository, and what divulge must say of it.

use crate::run::{divulge, exchanges, report, shipped};
use crate::support::demo;
use divulge::capture::{Capture, Input};
use divulge::model::{CaptureItem, MarkKind};
use divulge::rules::{RuleSet, parse_marks, parse_profile};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Set to write `captures/demo/traffic.pcapng` anew; its TLS randomness then differs, its content does not.
const REGENERATE: &str = "DIVULGE_REGENERATE_DEMO";

#[test]
fn the_shipped_capture_can_be_made_again() {
    let made = demo::capture();
    assert!(made.len() < 300_000, "{} bytes", made.len());
    if std::env::var_os(REGENERATE).is_some() {
        fs::write(folder().join("traffic.pcapng"), made).expect("the folder is there");
    }
}

#[test]
fn the_shipped_capture_is_whole_and_brings_its_keys_and_its_app() {
    let mut capture = Capture::open(&Input::File(folder().join("traffic.pcapng"))).expect("a capture");
    let keys = String::from_utf8(capture.look_ahead().secrets.concat()).expect("a key log");
    // Every TLS session but the pinned one: five lines each for TLS 1.3, one for TLS 1.2.
    assert_eq!(keys.lines().filter(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")).count(), 12);
    assert_eq!(keys.lines().filter(|line| line.starts_with("CLIENT_RANDOM ")).count(), 2);
    let mut frames = 0;
    while let Some(item) = capture.next_item().expect("a readable file") {
        match item {
            CaptureItem::Frames(batch) => {
                frames += batch.frames.len();
                for frame in batch.iter() {
                    let app = frame.app.as_deref().expect("an app for every frame");
                    assert_eq!((app.uid, app.package.as_deref()), (Some(demo::UID), Some(demo::PACKAGE)));
                }
            }
            CaptureItem::Note(_) | CaptureItem::Pause => {}
            CaptureItem::Exchanges(_) | CaptureItem::Secrets(..) | CaptureItem::Mark(_) | CaptureItem::Incident(_) => {}
            CaptureItem::Warning(text) => panic!("{text}"),
        }
    }
    assert!(frames > 500, "{frames} frames");
}

#[test]
fn the_shipped_profile_holds_the_values_that_are_sent() {
    let rules = RuleSet::builtin().expect("valid rules");
    let profile = parse_profile("device.toml", &read("device.toml"), &rules).expect("a valid profile");
    let known = |data_type: &str| {
        let of_type = profile.identifiers.iter().filter(|known| known.data_type.as_str() == data_type);
        of_type.map(|known| known.value.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(known("imei")[0], demo::IMEI);
    for (data_type, value) in [
        ("android_id", demo::ANDROID_ID),
        ("mac_address", demo::MAC),
        ("oaid", demo::OAID),
        ("bssid", demo::BSSID),
        ("device_model", demo::MODEL),
        ("phone_number", demo::PHONE),
        ("nickname", demo::NICKNAME),
        ("clipboard", demo::CLIPBOARD),
    ] {
        assert_eq!(known(data_type), [value], "{data_type}");
    }
    assert_eq!((profile.locations[0].lat, profile.locations[0].lon), demo::PLACE);
    assert_eq!(profile.package.as_deref(), Some(demo::PACKAGE));
    for imei in known("imei") {
        let sum: u32 = imei.bytes().enumerate().map(|(at, digit)| luhn_term(at, u32::from(digit - b'0'))).sum();
        assert_eq!((imei.len(), sum % 10), (15, 0), "{imei}");
    }
}

#[test]
fn the_shipped_marks_say_when_the_user_agreed() {
    let marks = parse_marks("marks.jsonl", &read("marks.jsonl")).expect("valid marks");
    let kinds: Vec<MarkKind> = marks.iter().map(|mark| mark.mark).collect();
    assert_eq!(kinds, [MarkKind::Launch, MarkKind::Agree, MarkKind::Background]);
}

#[test]
fn the_demo_finds_exactly_what_its_traffic_was_made_to_hold() {
    let expected: Value = serde_json::from_str(&read("expected.json")).expect("a JSON document");
    let (traffic, policy) = (shipped("traffic.pcapng"), shipped("policy.txt"));
    let (profile, marks) = (shipped("device.toml"), shipped("marks.jsonl"));
    let inputs = ["replay", &traffic, "--policy", &policy, "--profile", &profile, "--marks", &marks];
    let found = report(&divulge(&[&inputs[..], &["--format", "json"]].concat()));

    let flows = found["data_flows"].as_array().expect("a list");
    let row = |flow: &Value, last: &str| {
        let mut row = vec![text(&flow["data_type"]), text(&flow["party"]["id"])];
        row.extend((!last.is_empty()).then(|| text(&flow[last])));
        row
    };
    assert_eq!(sorted(flows.iter().map(|flow| row(flow, "verdict"))), rows(&expected["data_flows"]));
    let early = flows.iter().filter(|flow| flow["before_consent"] == true);
    assert_eq!(sorted(early.map(|flow| row(flow, ""))), rows(&expected["before_consent"]));
    let clear = flows.iter().filter(|flow| flow["cleartext"] == true);
    assert_eq!(sorted(clear.map(|flow| row(flow, ""))), rows(&expected["cleartext"]));
    let unseen = found["declared_only"].as_array().expect("a list");
    assert_eq!(sorted(unseen.iter().map(|unseen| row(unseen, ""))), rows(&expected["declared_only"]));
    let hosts = found["hosts"].as_array().expect("a list").iter().filter(|host| !host["opaque_reason"].is_null());
    assert_eq!(sorted(hosts.map(|host| vec![text(&host["host"])])), rows(&expected["unreadable_hosts"]));

    let seen = exchanges(&[&traffic]);
    assert_eq!(seen.len(), expected["exchanges"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a count"));
    for verdict in ["clear", "vague", "ambiguous", "incorrect", "omitted"] {
        assert!(flows.iter().any(|flow| flow["verdict"] == verdict), "{verdict}");
    }
}

fn rows(list: &Value) -> Vec<Vec<String>> {
    let row = |row: &Value| row.as_array().map_or_else(|| vec![text(row)], |row| row.iter().map(text).collect());
    sorted(list.as_array().expect("a list").iter().map(row))
}

fn sorted(rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// What a digit adds to the Luhn sum of a 15-digit number.
fn luhn_term(at: usize, digit: u32) -> u32 {
    if at.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 }
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("a shipped file")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/demo")
}
