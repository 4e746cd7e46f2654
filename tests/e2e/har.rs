//! HAR files of browsers and proxies, replayed: `tests/e2e/har` holds a small one in the manner of each.

use crate::run::{
    Folder, assert_one_line, divulge, divulge_with_input, exchanges, ndjson, report, status, stderr, summary,
};
use crate::support::http::gzip;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;

const ALL: &[&str] = &["charles", "chrome", "firefox", "httptoolkit", "mitmproxy", "pcapdroid", "proxyman"];

fn file(name: &str) -> String {
    format!("{}/tests/e2e/har/{name}.har", env!("CARGO_MANIFEST_DIR"))
}

fn profile(folder: &Folder) -> String {
    let text = "imei = [\"861536030196001\"]\noaid = \"3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34\"\nandroid_id = \"9774d56d682e549c\"\n";
    folder.file("device.toml", text.as_bytes())
}

/// `data type host part name chain` of each observation.
fn observations(args: &[&str]) -> Vec<String> {
    let mut all = vec!["replay"];
    all.extend(args);
    all.extend(["--emit", "observations", "--format", "ndjson", "--show-values"]);
    let output = divulge(&all);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let line = |seen: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let place = &seen["where"];
        let chain: Vec<_> = seen["chain"].as_array().expect("a list").iter().map(&text).collect();
        let parts = [text(&seen["data_type"]), text(&seen["host"]), text(&place["part"]), text(&place["name"])];
        format!("{} [{}]", parts.join(" "), chain.join(" "))
    };
    ndjson(&output).iter().filter(|seen| seen["match"] == "known").map(line).collect()
}

#[test]
fn the_requests_of_every_exporter_are_read() {
    let read = |name: &str| summary(&exchanges(&[&file(name)]));
    assert_eq!(
        read("chrome"),
        [
            "GET track.adflux.example /p.gif?id=3f2a9c41-7d5e-4b86-9a10-5e8c7d2f1b34 null",
            "POST api.lvtu.example /v1/report?imei=861536030196001&t=%7B1%7D 200",
            "GET push.lvtu.example /ws?v=1 101",
            "null push.lvtu.example /ws?v=1 null",
            "null push.lvtu.example /ws?v=1 null",
        ]
    );
    assert_eq!(read("firefox"), ["POST log.lvtu.example /form 204"]);
    assert_eq!(read("httptoolkit"), ["POST bin.lvtu.example /b 200", "PUT bin.lvtu.example /large 200"]);
    let charles =
        ["POST op.lvtu.example /op?sessionId=6a 200", "CONNECT tls.lvtu.example:443 tls.lvtu.example:443 200"];
    assert_eq!(read("charles"), charles);
    assert_eq!(read("pcapdroid"), ["POST p.lvtu.example /x null"]);
}

#[test]
fn identifiers_are_found_whatever_way_the_body_was_written() {
    let folder = Folder::new();
    let profile = profile(&folder);
    let found = |name: &str| observations(&[&file(name), "--profile", &profile]);
    let oaid_in = |place: &str| format!("oaid {place}");
    assert_eq!(found("charles"), ["imei op.lvtu.example body imei [json]"]);
    let chrome = found("chrome");
    for line in [
        "imei api.lvtu.example query imei []".to_owned(),
        "android_id api.lvtu.example body android_id [json]".to_owned(),
        oaid_in("api.lvtu.example cookie oaid []"),
        oaid_in("push.lvtu.example body oaid [json]"),
        oaid_in("track.adflux.example query id []"),
    ] {
        assert!(chrome.contains(&line), "no {line} in {chrome:?}");
    }
    assert!(chrome.iter().all(|line| !line.contains("cdn")), "what a cache answered was never sent: {chrome:?}");
    assert_eq!(
        found("firefox"),
        ["oaid log.lvtu.example cookie uid []", "android_id log.lvtu.example body android_id [form]"]
    );
    assert_eq!(found("httptoolkit"), ["imei bin.lvtu.example body imei [gzip json]"]);
    assert_eq!(
        found("mitmproxy"),
        ["imei up.lvtu.example body imei [gzip json]", "imei push.lvtu.example body  [protobuf]"]
    );
    assert_eq!(found("pcapdroid"), ["imei p.lvtu.example body  []"]);
    assert_eq!(found("proxyman"), ["android_id img.lvtu.example body android_id [multipart]"]);
}

#[test]
fn what_the_exporter_tells_of_the_connection_is_kept() {
    let proxyman = &exchanges(&[&file("proxyman")])[0];
    assert_eq!(proxyman["client"], json!({"ip": "127.0.0.1", "port": 50412}));
    assert_eq!(proxyman["server"], json!({"ip": "192.0.2.6", "port": 8443}));
    assert_eq!((&proxyman["app"]["name"], &proxyman["scheme"]), (&json!("Lvtu"), &json!("https")));
    let chrome = exchanges(&[&file("chrome")]);
    assert_eq!((&chrome[1]["protocol"], &chrome[1]["tls"]["sni"]), (&json!("h2"), &json!("api.lvtu.example")));
    assert_eq!((&chrome[0]["tls"], &chrome[3]["protocol"]), (&Value::Null, &json!("websocket")));
    assert_eq!(chrome[3]["ts"], "2024-05-06T07:08:11.250000Z");
}

#[test]
fn a_body_the_exporter_left_out_counts_as_unread() {
    let output = divulge(&["replay", &file("httptoolkit"), "--format", "json", "--min-coverage", "99"]);
    let read = report(&output);
    assert_eq!(status(&output), 3, "{}", stderr(&output));
    assert_eq!(read["hosts"][0]["opaque_bytes"], 5_000_000);
    assert_eq!(read["hosts"][0]["opaque_reason"], "truncated");
    assert!(read["weirds"].to_string().contains("left out by the exporter"), "{}", read["weirds"]);
}

#[test]
fn compressed_files_pipes_and_threads_change_nothing() {
    let folder = Folder::new();
    let plain = fs::read(file("chrome")).expect("a fixture");
    let expected = exchanges(&[&file("chrome")]);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&plain).expect("memory takes all");
    let zstd = zstd::encode_all(&plain[..], 3).expect("memory takes all");
    for (name, bytes) in [
        ("a.har.gz", gzip(&plain)),
        ("a.har.zst", zstd),
        ("a.zhar", zlib.finish().expect("memory takes all")),
        ("no-name-of-a-har", plain.clone()),
    ] {
        assert_eq!(exchanges(&[&folder.file(name, &bytes)]), expected, "{name}");
    }
    let output = divulge_with_input(&["replay", "-", "--emit", "exchanges", "--format", "ndjson"], &plain);
    assert_eq!(ndjson(&output), expected);
    assert_eq!(exchanges(&[&file("chrome"), "--threads", "3"]), exchanges(&[&file("chrome"), "--threads", "1"]));
}

#[test]
fn several_files_of_any_kind_are_one_run() {
    let files: Vec<String> = ALL.iter().map(|name| file(name)).collect();
    let mut args: Vec<&str> = files.iter().map(String::as_str).collect();
    let demo = crate::run::shipped("traffic.pcapng");
    args.push(&demo);
    let read = exchanges(&args);
    let ids: std::collections::BTreeSet<String> = read.iter().map(|exchange| exchange["id"].to_string()).collect();
    assert_eq!(ids.len(), read.len(), "ids are given once");
}

#[test]
fn json_that_is_no_har_is_told_in_one_line() {
    let folder = Folder::new();
    let output = divulge(&["replay", &folder.file("a.json", b"{\n\"a\": 1}")]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["a.json", "offset 0", "line 1", "log.entries"]);
}

/// Exchanges without what a HAR of them can't give back: ids, and bodies of answers as they were packed.
fn comparable(args: &[&str]) -> Vec<Value> {
    let mut all = exchanges(args);
    for exchange in &mut all {
        for key in ["id", "flow", "response"] {
            exchange[key] = Value::Null;
        }
        exchange["tls"]["keys"] = Value::Null;
        // Only encodings that fit the body are believed.
        if let Some(body) = exchange["request"]["body"].as_object_mut() {
            body.remove("encodings");
        }
        for key in ["ja4", "ech", "certificate"] {
            exchange["tls"].as_object_mut().map(|tls| tls.remove(key));
        }
    }
    all.sort_by_key(ToString::to_string);
    all
}

/// A capture, written as HAR and read again, gives what it gave.
fn assert_round_trip(folder: &Folder, capture: &[&str], profile: &str) {
    let har = folder.path("out.har");
    let mut args = vec!["replay"];
    args.extend(capture);
    args.extend(["--format", "har", "-o", &har]);
    let output = divulge(&args);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let text = fs::read_to_string(&har).expect("a file");
    let log: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(log["log"]["creator"]["name"], "divulge");
    assert_eq!(comparable(&[&har]), comparable(capture), "{capture:?}");
    let sorted = |args: &[&str]| {
        let mut lines = observations(&[args, &["--profile", profile]].concat());
        // Streams of no known protocol have no place in a HAR.
        lines.retain(|line| !line.contains(" stream "));
        lines.sort();
        lines
    };
    assert_eq!(sorted(&[&har]), sorted(capture), "{capture:?}");
}

#[test]
fn a_capture_written_as_har_and_read_again_gives_the_same() {
    let folder = Folder::new();
    let demo = crate::run::shipped("traffic.pcapng");
    assert_round_trip(&folder, &[&demo], &crate::run::shipped("device.toml"));
    for name in ALL {
        assert_round_trip(&folder, &[&file(name)], &profile(&folder));
    }
}

#[test]
fn real_captures_written_as_har_and_read_again_give_the_same() {
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real");
    let Ok(list) = fs::read_dir(shared) else {
        eprintln!("skipped: ../shared not found");
        return;
    };
    let folder = Folder::new();
    for entry in list {
        let path = entry.expect("a readable folder").path();
        let name = path.to_str().expect("a path in UTF-8").to_owned();
        let keys = path.with_extension("keys");
        let wanted = ["suri-", "zeek-", "hotplace-http", "ws-http"].iter().any(|part| name.contains(part));
        if !wanted || !path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            continue;
        }
        let mut args = vec![name.as_str()];
        if keys.exists() {
            args.extend(["--keys", keys.to_str().expect("a path in UTF-8")]);
        }
        assert_round_trip(&folder, &args, &profile(&folder));
    }
}

#[test]
fn har_is_written_to_standard_output_and_tells_nothing_else() {
    let demo = crate::run::shipped("traffic.pcapng");
    let output = divulge(&["replay", &demo, "--format", "har"]);
    assert_eq!(report(&output)["log"]["entries"].as_array().map(Vec::len), Some(exchanges(&[&demo]).len()));
    let output = divulge(&["replay", &demo, "--format", "har", "--emit", "sni"]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["--format har", "--emit"]);
    let output = divulge(&["replay", &demo, "--format", "har", "--fail-on", "high"]);
    assert_eq!(status(&output), 1);
}
