//! The shipped demo (`captures/demo`): what is in the repository, and what divulge must say of it.

use crate::support::demo;
use divulge::capture::{Capture, Input};
use divulge::model::{CaptureItem, MarkKind};
use divulge::rules::{RuleSet, parse_marks, parse_profile};
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
    let keys = String::from_utf8(capture.secrets().concat()).expect("a key log");
    // Every TLS session but the pinned one: five lines each for TLS 1.3, one for TLS 1.2.
    assert_eq!(keys.lines().filter(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")).count(), 12);
    assert_eq!(keys.lines().filter(|line| line.starts_with("CLIENT_RANDOM ")).count(), 2);
    while let Some(item) = capture.next_item().expect("a readable file") {
        match item {
            CaptureItem::Frames(batch) => {
                for frame in batch.iter() {
                    let app = frame.app.as_deref().expect("an app for every frame");
                    assert_eq!((app.uid, app.package.as_deref()), (Some(demo::UID), Some(demo::PACKAGE)));
                }
            }
            CaptureItem::Secrets(_) => {}
            CaptureItem::Warning(text) => panic!("{text}"),
        }
    }
    assert!(capture.frames() > 500, "{} frames", capture.frames());
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
